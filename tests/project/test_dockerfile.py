"""No engine builds the image here.

What can be checked without one is: its instructions, for both generations of TFX, and its install steps, run for real.
"""

import fnmatch
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple

import generations
import pytest
from places import ROOT


class Instruction(NamedTuple):
    keyword: str
    arguments: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.arguments)


class Stage(NamedTuple):
    image: str
    name: str | None
    instructions: list[Instruction]

    def all(self, keyword: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]


def parse() -> tuple[list[Instruction], list[Stage]]:
    """What stands before the first FROM, and the stages."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    before: list[Instruction] = []
    stages: list[Stage] = []
    for line in filter(None, text.splitlines()):
        keyword, arguments = line.split(maxsplit=1)
        if keyword == "FROM":
            image, *name = re.split(r"\s+AS\s+", arguments)
            stages.append(Stage(image, name[0] if name else None, []))
        else:
            (stages[-1].instructions if stages else before).append(Instruction(keyword, arguments))
    return before, stages


BEFORE, STAGES = parse()
FINAL = STAGES[-1]


TEXT = (ROOT / "Dockerfile").read_text()
DEFAULTS = dict(instruction.arguments.split("=") for instruction in BEFORE if "=" in instruction.arguments)
# Those that the file's head says to give for the earlier generation.
ARGUMENTS = {"1.21": DEFAULTS, "1.16": {**DEFAULTS, **dict(re.findall(r"--build-arg ([A-Z]+)=([\w.]+)", TEXT))}}
generation = pytest.mark.parametrize("generation", ARGUMENTS)


def filled(text: str, generation: str) -> str:
    for name, value in ARGUMENTS[generation].items():
        text = text.replace(f"${{{name}}}", value)
    return text


def test_every_base_is_pinned_by_a_digest_that_must_be_given() -> None:
    arguments = {instruction.arguments for instruction in BEFORE if "=" not in instruction.arguments}
    assert arguments == {"PYTHON_DIGEST", "BEAM_DIGEST"}  # without defaults
    for stage in STAGES:
        assert re.search(r":[\w.${}-]+@\$\{(PYTHON|BEAM)_DIGEST\}$", stage.image), stage.image


@generation
def test_python_is_one_that_the_lock_is_for(generation: str) -> None:
    images = [filled(stage.image, generation) for stage in STAGES]
    assert {re.search(r"python:?(\d\.\d+)", image)[1] for image in images} == {  # type: ignore[index]
        {"1.16": "3.10", "1.21": "3.13"}[generation]
    }
    lock = (ROOT / "locks" / f"tfx-{generation}-image.lock").read_text()
    (locked,) = re.findall(r"^apache-beam(?:\[.*\])?==(\S+)", lock, re.MULTILINE)
    assert f":{locked}@" in images[0]  # Beam's worker must be of the version that submits the job
    assert re.search(rf"^tfx(\[.*\])?=={generation}\.", lock, re.MULTILINE)
    assert ARGUMENTS[generation]["TFX"] == generation


def test_a_stage_that_uses_an_argument_declares_it() -> None:
    """What stands before the first FROM is unknown after it, and would be empty."""
    for stage in STAGES:
        declared = {instruction.arguments for instruction in stage.all("ARG")}
        used = {name for i in stage.instructions for name in re.findall(r"\$\{(\w+)\}", i.arguments)}
        assert used <= declared, stage


@generation
def test_the_image_has_no_notebook_and_no_server_of_one(generation: str) -> None:
    lock = (ROOT / "locks" / f"tfx-{generation}-image.lock").read_text()
    assert not re.findall(
        r"^(?:jupyter(?!-client|-core)|notebook|nbc|nbf|terminado|widgets)[\w-]*==.*", lock, re.MULTILINE
    )
    assert "tensorflow-model-analysis==" in lock


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    names = {stage.name for stage in STAGES}
    copied = []
    for stage in STAGES:
        for instruction in stage.all("COPY"):
            words = instruction.words
            if words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in names
            else:
                copied += [filled(word, generations.INSTALLED) for word in words[:-1]]
    lock = f"locks/tfx-{generations.INSTALLED}-image.lock"
    assert {lock, "pyproject.toml", "src", "components", "pipelines", "templates"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored), source


def test_the_last_account_is_not_root_and_its_folders_are_made_before() -> None:
    keywords = [instruction.keyword for instruction in FINAL.instructions]
    (account,) = (instruction.arguments for instruction in FINAL.all("USER"))
    assert account == "1000"
    before = " ".join(i.arguments for i in FINAL.instructions[: keywords.index("USER")] if i.keyword == "RUN")
    assert "useradd --uid 1000" in before
    assert "mkdir -p /gcs /s3 /minio" in before
    assert "chown pipeline /gcs /s3 /minio" in before


def test_what_steps_need_is_set_and_no_secret_is() -> None:
    values = dict(word.split("=", 1) for instruction in FINAL.all("ENV") for word in instruction.words)
    assert values["TF_USE_LEGACY_KERAS"] == "1"
    assert values["PATH"].startswith("/opt/venv/bin:")
    assert not re.search(r"(?i)(password|secret|token|api_?key|signing_key|ledger)\w*\s*=", TEXT)
    (label,) = FINAL.all("LABEL")
    assert "org.opencontainers.image.licenses=Apache-2.0" in label.words


def test_the_image_is_also_a_worker_of_beam() -> None:
    (entrypoint,) = FINAL.all("ENTRYPOINT")
    assert entrypoint.arguments == '["/opt/apache/beam/boot"]'
    assert any(i.words == ["--from=beam", "/opt/apache/beam", "/opt/apache/beam"] for i in FINAL.all("COPY"))
    # Without it `boot` makes a virtual environment below /opt/apache/beam-venv, where account 1000 may not write.
    values = dict(word.split("=", 1) for instruction in FINAL.all("ENV") for word in instruction.words)
    assert values["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] == "1"


def test_every_install_demands_hashes_or_fetches_nothing() -> None:
    commands = " && ".join(instruction.arguments for stage in STAGES for instruction in stage.all("RUN"))
    installs = [command for command in commands.split("&&") if "pip install" in command]
    assert len(installs) == 3
    for command in installs:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--no-index" in command


@pytest.mark.slow
def test_its_install_steps_run_in_a_clean_folder(tmp_path: pathlib.Path) -> None:
    """The build stage's COPY and RUN, with its absolute paths moved into a folder, an empty home and no other environment.

    The locked packages (3 GB) are installed by uv, which takes pip's arguments and checks the same hashes, from the
    cache that the checkout's own environment came from; pip itself installs the wheel.
    """
    uv = shutil.which("uv") or str(ROOT / ".cache" / "bootstrap" / "bin" / "uv")
    if not pathlib.Path(uv).exists():
        pytest.skip("uv is not there: the environment was made otherwise")
    build, venv, home = tmp_path / "build", tmp_path / "opt" / "venv", tmp_path / "home"
    home.mkdir()
    environ = {
        "HOME": str(home),
        "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
    }

    def run(command: str) -> None:
        if "apt-get" in command:
            assert shutil.which("c++"), "the compiler that this step installs"
            return
        command = filled(command, generations.INSTALLED).replace("/opt/venv", str(venv)).replace("/build", str(build))
        if "--require-hashes" in command:
            python = shlex.quote(str(venv / "bin" / "python"))
            arguments = command.split(" -m pip install ")[1].replace("--no-cache-dir ", "")
            command = f"{shlex.quote(uv)} pip install --quiet --python {python} {arguments}"
            cached = {"UV_CACHE_DIR": str(ROOT / ".cache" / "uv"), "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
            subprocess.run(["bash", "-ec", command], cwd=build, env={**environ, **cached}, check=True)
            return
        subprocess.run(["bash", "-ec", command], cwd=build, env=environ, check=True, capture_output=True)

    (stage,) = (stage for stage in STAGES if stage.name == "build")
    build.mkdir()
    for instruction in stage.instructions:
        if instruction.keyword == "COPY":
            *sources, target = (filled(word, generations.INSTALLED) for word in instruction.words)
            for source in sources:
                into = len(sources) > 1 or target.endswith("/")
                place = build / target / pathlib.PurePath(source).name if into else build / target
                if (ROOT / source).is_dir():
                    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
                    shutil.copytree(ROOT / source, build / target, symlinks=True, ignore=ignore)
                else:
                    shutil.copy(ROOT / source, place)
        elif instruction.keyword == "RUN":
            for command in instruction.arguments.split(" && "):
                run(command)
    smoke = [i.arguments for i in FINAL.all("RUN") if i.arguments.startswith("python -c")]
    assert len(smoke) == 1
    done = subprocess.run(
        ["bash", "-ec", smoke[0]], cwd=home, check=False, capture_output=True, text=True,
        env={**environ, "PATH": f"{venv}/bin:/usr/bin:/bin", "TF_USE_LEGACY_KERAS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    missing = subprocess.run(
        [str(venv / "bin" / "python"), "-c", "import pytest"], check=False, capture_output=True, env=environ
    )
    assert missing.returncode != 0  # no test tools in the image
