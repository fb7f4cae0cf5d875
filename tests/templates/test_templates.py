"""What `tfx-privacy template copy` makes: does it run, is it judged, does it compile, do its own tests find mistakes?"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent import futures

import kubeflow_reading
import pytest
from click.testing import CliRunner
from places import ROOT
from project_zygote import Zygote

from tfx_privacy import cli
from tfx_privacy.commands import template
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate import policy_file
from tfx_privacy.pipelines.container import COMMAND

TEMPLATES = ("image", "tabular", "text")
# Which components of a template charge the ledger.
_CHARGED = {"image": ["DPTrainer"], "tabular": ["DPStatisticsGen", "DPTransform", "DPTrainer"], "text": ["DPTrainer"]}
COMMON = ROOT / "templates" / "common"


def copy(model: str, destination: pathlib.Path, pipeline_name: str = "a-pipeline") -> str:
    arguments = ["--model", model, "--pipeline-name", pipeline_name, "--destination-path", str(destination)]
    done = CliRunner().invoke(cli.cli, ["template", "copy", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def files(folder: pathlib.Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# Copying.


def test_the_list_says_what_each_template_is_for() -> None:
    done = CliRunner().invoke(cli.cli, ["template", "list"])
    lines = [line.split(maxsplit=1) for line in done.output.splitlines()]
    assert [name for name, _ in lines] == list(TEMPLATES)
    assert all(summary.endswith("trained with differential privacy") for _, summary in lines)


@pytest.mark.parametrize("model", TEMPLATES)
def test_a_copy_is_the_template_with_the_pipelines_name(model: str, tmp_path: pathlib.Path) -> None:
    output = copy(model, tmp_path / "new" / "project", "my-pipeline")
    copied, source = files(tmp_path / "new" / "project"), files(COMMON) | files(ROOT / "templates" / model)
    assert copied == {name: text.replace("{{PIPELINE_NAME}}", "my-pipeline") for name, text in source.items()}
    assert {"README.md", ".gitignore", "local_runner.py", "kubeflow_v2_runner.py", "pipeline/configs.py"} <= set(copied)
    assert 'PIPELINE_NAME = "my-pipeline"' in copied["pipeline/configs.py"]
    assert "python local_runner.py" in output
    assert f"cd {tmp_path}/new/project" in output


@pytest.mark.parametrize("model", TEMPLATES)
def test_the_users_module_is_alone_in_its_folder(model: str, tmp_path: pathlib.Path) -> None:
    """TFX packages every module beside it."""
    copy(model, tmp_path)
    modules = (tmp_path / "models").glob("*.py")
    assert {path.name for path in modules} == {"__init__.py", "model.py"}


@pytest.mark.parametrize("model", TEMPLATES)
def test_whatever_the_readme_says_to_change_is_marked(model: str, tmp_path: pathlib.Path) -> None:
    """`grep -rn TODO` finds it: the comment above a setting, or the line itself, has a TODO."""
    copy(model, tmp_path)
    readme = (tmp_path / "README.md").read_text()
    steps = readme.split("`grep -rn TODO .` lists what to change:")[1].split("**Data that are split already.**")[0]
    settings = set(re.findall(r"`([A-Z_]{4,}|[a-z]+_[a-z_]+)`", steps))
    assert {
        "DATA_PATH",
        "DATASET_ID",
        "PRIVACY",
        "max_epsilon",
        "required_slices",
        "SLICE_FEATURES",
        "METRICS",
    } <= settings
    assert "SPLITS" in readme
    text = "\n\n".join(
        files(tmp_path)[name] for name in ("pipeline/configs.py", "privacy_policy.yaml", "tests/test_model.py")
    )
    for setting in settings | {"SPLITS"}:
        (block,) = (part for part in text.split("\n\n") if re.search(rf"^{setting}\b", part, re.MULTILINE))
        before, line = re.split(rf"^(?={setting}\b)", block, maxsplit=1, flags=re.MULTILINE)
        assert "TODO" in before + line.partition("\n")[0], setting
    for name in set(re.findall(r"`([a-z_/]+\.py)`", steps)) - {"demo_data.py", "pipeline/configs.py"}:
        assert "TODO" in files(tmp_path)[name], name


@pytest.mark.parametrize("model", TEMPLATES)
def test_the_report_is_given_the_metrics_and_duplicates_are_allowed_for(model: str, tmp_path: pathlib.Path) -> None:
    copy(model, tmp_path)
    wiring = files(tmp_path)["pipeline/pipeline.py"]
    assert 'evaluation=evaluator.outputs["evaluation"]' in wiring
    assert "max_overlap=configs.MAX_OVERLAP" in wiring
    assert "input_config=_splits()" in wiring


def test_no_file_is_in_two_templates() -> None:
    """It belongs into the common folder, from which every project has it."""
    places: dict[str, list[str]] = {}
    for folder in ("common", *TEMPLATES):
        for name, text in files(ROOT / "templates" / folder).items():
            places.setdefault(text, []).append(f"{folder}/{name}")
    assert [names for names in places.values() if len({name.partition("/")[0] for name in names}) > 1] == []


def test_a_templates_own_file_wins(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "common/a.txt": "common",
        "common/b.txt": "common",
        "one/b.txt": "own",
        "one/README.md": "# One",
    }.items():
        (tmp_path / "templates" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "templates" / name).write_text(text)
    monkeypatch.setattr(template, "_TEMPLATES", tmp_path / "templates")
    copy("one", tmp_path / "project")
    assert files(tmp_path / "project") == {"a.txt": "common", "b.txt": "own", "README.md": "# One"}


@pytest.mark.parametrize("model", TEMPLATES)
def test_the_policy_can_be_read_and_demands_a_ledger(model: str) -> None:
    limits = policy_file.load(ROOT / "templates" / model / "privacy_policy.yaml")
    assert limits.ledger == "required"
    assert limits.max_epsilon <= 3.0
    assert not limits.allow_non_dp_preprocessing


@pytest.mark.parametrize(
    "name", ["my_pipeline", "My-Pipeline", "1st", "-x", "x-", "", "a" * 64, "../x", 'x"y', "naïve"]
)
def test_names_that_kubeflow_refuses_are_refused(name: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ParameterError, match="--pipeline-name="):
        copy("tabular", tmp_path / "project", name)
    assert not (tmp_path / "project").exists()


def test_a_refused_name_comes_with_one_that_would_do(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ParameterError, match="Try 'my-pipeline-2'"):
        copy("tabular", tmp_path / "project", "2My_Pipeline 2")
    copy("tabular", tmp_path / "project", "my-pipeline-2")


def test_an_unknown_template_is_refused(tmp_path: pathlib.Path) -> None:
    for model in ("penguin", "report", "common", "../templates/tabular", ""):
        with pytest.raises(ParameterError, match="There are: image, tabular, text"):
            copy(model, tmp_path / "project")


def test_nothing_is_overwritten(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ParameterError, match="not empty: it holds 'mine.txt'"):
        copy("tabular", tmp_path)
    with pytest.raises(ParameterError, match="is no folder"):
        copy("tabular", tmp_path / "mine.txt")
    assert files(tmp_path) == {"mine.txt": "mine"}


def test_an_empty_folder_will_do(tmp_path: pathlib.Path) -> None:
    copy("tabular", tmp_path)
    assert (tmp_path / "local_runner.py").is_file()


@pytest.mark.slow
def test_the_installed_package_copies_the_same(tmp_path: pathlib.Path) -> None:
    """Hidden files and pages are in the wheel."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("src", "components", "pipelines", "templates"):
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import setuptools.build_meta as backend; backend.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for model in TEMPLATES:
        command = [
            sys.executable, "-c", "from tfx_privacy.cli import main; main()", "template", "copy", "--model", model,
            "--pipeline-name", "a-pipeline", "--destination-path", str(tmp_path / "installed copy" / model),
        ]  # fmt: skip
        environ = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
        subprocess.run(command, env=environ, cwd=tmp_path, check=True, capture_output=True)
        copy(model, tmp_path / "copy" / model)
    assert files(tmp_path / "installed copy") == files(tmp_path / "copy")


@pytest.mark.slow
def test_a_copy_passes_strict_type_checks(tmp_path: pathlib.Path) -> None:
    copy("tabular", tmp_path)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--exclude", "^$", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# Running.


class Projects:
    """A project of each template, in which commands are run with an empty home."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir()
        # What libraries keep at home, as the Makefile has it: theirs, and no matter of a project.
        theirs = ("KERAS_HOME", "MPLCONFIGDIR", "RUSTUP_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
        self.environ = {
            **os.environ,
            **{name: str(root / "settings") for name in theirs},
            "HOME": str(self.home),
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self.environ.pop("TFX_PRIVACY_LEDGER", None)
        for model in TEMPLATES:
            copy(model, self.folder(model), f"my-{model}")
        self._zygote = Zygote()

    def folder(self, model: str) -> pathlib.Path:
        return self.root / model

    def python(self, model: str, *arguments: str, **environ: str) -> str:
        """Runs Python in a project, and returns what it printed; an exit code other than 0 stands in the last line."""
        log = self.root / f"{model}-{len(list(self.root.glob('*.log')))}-{re.sub(r'[^a-z_]', '', arguments[-1])}.log"
        log.touch()
        code = self._zygote.run(*arguments, cwd=self.folder(model), environ={**self.environ, **environ}, log=log)
        return log.read_text() + (f"\nexit code {code}" if code else "")

    def tfx(self, model: str, *arguments: str) -> str:
        """Runs TFX's own command line in a project."""
        folder = self.folder(model)
        environ = {**self.environ, "LOCAL_HOME": str(folder / "tfx_cli")}
        command = [str(pathlib.Path(sys.executable).with_name("tfx")), *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.stdout + (f"\nexit code {done.returncode}" if done.returncode else "")

    def ledger(self, model: str, *arguments: str) -> str:
        environ = {"TFX_PRIVACY_LEDGER": f"sqlite:///{self.folder(model)}/privacy_ledger.db"}
        done = CliRunner().invoke(cli.cli, ["ledger", *arguments], env=environ, catch_exceptions=False)
        return done.output

    def pushed(self, model: str) -> list[str]:
        folder = self.folder(model) / "tfx_pipeline_output" / f"my-{model}" / "serving_model"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def close(self) -> None:
        self._zygote.close()


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projects]:
    made = Projects(tmp_path_factory.mktemp("projects"))
    yield made
    made.close()


def _in_turn(projects: Projects, model: str) -> dict[str, str]:
    """What the README of a project says, in its order."""
    printed = {}
    if model == "tabular":
        printed["create"] = projects.tfx(
            model, "pipeline", "create", "--engine=local", "--pipeline-path=local_runner.py"
        )
        printed["pushed by create"] = " ".join(projects.pushed(model))
        printed["run"] = projects.tfx(model, "run", "create", "--engine=local", f"--pipeline-name=my-{model}")
    else:
        printed["run"] = projects.python(model, "local_runner.py")
    slow = {"RUN_SLOW_TESTS": "1"} if model == "text" else {}
    printed["tests"] = projects.python(model, "-m", "unittest", **slow)
    printed["compile"] = projects.python(model, "kubeflow_v2_runner.py")
    return printed


@pytest.fixture(scope="module")
def printed(projects: Projects) -> dict[str, dict[str, str]]:
    """What each project printed; minutes, so the tests below share them, and two run at a time."""
    with futures.ThreadPoolExecutor(2) as pool:
        started = {model: pool.submit(_in_turn, projects, model) for model in ("tabular", "image", "text")}
        return {model: done.result() for model, done in started.items()}


@pytest.mark.slow
@pytest.mark.parametrize("model", TEMPLATES)
def test_a_run_ends_blessed_and_pushed(model: str, projects: Projects, printed: dict[str, dict[str, str]]) -> None:
    text = printed[model]["run"]
    assert "\nBLESSED. " in text, text[-3000:]
    assert 2.9 < float(re.search(r"^epsilon +(\S+)$", text, re.MULTILINE)[1]) <= 3.0  # type: ignore[index]
    report = pathlib.Path(re.search(r"^report +(\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert report.is_relative_to(projects.folder(model))
    assert report.is_file()
    pushed = pathlib.Path(re.search(r"^pushed +(\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
    assert (pushed / "saved_model.pb").is_file()
    assert projects.pushed(model) == [pushed.name]


@pytest.mark.slow
@pytest.mark.parametrize("model", TEMPLATES)
def test_the_projects_own_tests_pass(model: str, printed: dict[str, dict[str, str]]) -> None:
    text = printed[model]["tests"]
    (count,) = re.findall(r"^Ran (\d+) tests", text, re.MULTILINE)
    assert int(count) >= 7
    # One of them is a whole run, which is skipped unless it was asked for.
    assert text.rstrip().endswith("OK" if model == "text" else "OK (skipped=1)"), text[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("model", TEMPLATES)
def test_the_report_shows_the_models_utility(
    model: str, projects: Projects, printed: dict[str, dict[str, str]]
) -> None:
    report = pathlib.Path(re.search(r"^report +(\S+)$", printed[model]["run"], re.MULTILINE)[1])  # type: ignore[index]
    facts = (report.parent / "report.json").read_text()
    metric = {"tabular": "auc", "image": "sparse_categorical_accuracy", "text": "binary_accuracy"}[model]
    assert re.search(rf"\b{metric} 0\.\d", facts, re.IGNORECASE)


@pytest.mark.slow
@pytest.mark.parametrize("model", TEMPLATES)
def test_a_project_compiles_for_kubeflow(model: str, projects: Projects, printed: dict[str, dict[str, str]]) -> None:
    assert "exit code" not in printed[model]["compile"], printed[model]["compile"][-3000:]
    spec, secrets = kubeflow_reading.read(projects.folder(model) / f"my-{model}.yaml")
    assert kubeflow_reading.faults(spec) == []
    tasks = spec["root"]["dag"]["tasks"]
    containers = [executor["container"] for executor in spec["deploymentSpec"]["executors"].values()]
    assert {tuple(container["command"]) for container in containers} == {(*COMMAND, "--local_mirrors")}
    assert set(secrets) == {f"{name}_executor" for name in (*_CHARGED[model], "BudgetValidator")}
    assert set(spec["root"]["inputDefinitions"]["parameters"]) == {"target_epsilon"}  # the policy's limits are none
    assert {"DPTrainer", "PrivacyEvaluator", "Evaluator", "BudgetValidator", "Pusher"} <= set(tasks)
    blessing = tasks["Pusher"]["inputs"]["artifacts"]["model_blessing"]["taskOutputArtifact"]
    assert blessing == {"producerTask": "BudgetValidator", "outputArtifactKey": "blessing"}
    assert tasks["DPTrainer"]["inputs"]["parameters"]["module_path"]["runtimeValue"]["constant"] == "models.model"
    # Nothing was packaged, and nothing of this machine is in it.
    assert str(projects.root) not in str(spec)
    assert not (projects.folder(model) / "gs:").exists()


@pytest.mark.slow
def test_registering_with_tfx_runs_nothing(printed: dict[str, dict[str, str]]) -> None:
    text = printed["tabular"]["create"]
    assert "Nothing was run" in text
    assert 'Pipeline "my-tabular" created successfully.' in text
    assert printed["tabular"]["pushed by create"] == ""


@pytest.mark.slow
def test_everything_that_was_written_is_in_the_projects(projects: Projects, printed: dict[str, dict[str, str]]) -> None:
    assert (projects.folder("tabular") / "tfx_cli" / "my-tabular" / "pipeline_args.json").is_file()
    assert [path.name for path in projects.home.iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("model", TEMPLATES)
def test_each_reader_was_charged_once(model: str, projects: Projects, printed: dict[str, dict[str, str]]) -> None:
    """The run of the project's own tests, and nothing else, has a ledger of its own."""
    assert "are in order" in projects.ledger(model, "verify")
    (dataset,) = re.findall(r"head (\S+?):", projects.ledger(model, "verify"))
    entries = projects.ledger(model, "log", dataset, "--format", "json").splitlines()
    kinds = [json.loads(entry)["body"]["kind"] for entry in entries]
    # The statistics of two splits are two releases.
    num_runs = len(_CHARGED[model]) + ("DPStatisticsGen" in _CHARGED[model])
    assert kinds[0] == "register"
    assert sorted(kinds[1:]) == sorted(num_runs * ["reserve", "start", "commit"])


@pytest.mark.slow
def test_a_stricter_policy_refuses_the_same_model_at_no_cost(
    projects: Projects, printed: dict[str, dict[str, str]]
) -> None:
    file = projects.folder("tabular") / "privacy_policy.yaml"
    before, log = projects.pushed("tabular"), projects.ledger("tabular", "log", "chicago-taxi-trips")
    file.write_text(file.read_text().replace("max_epsilon: 3", "max_epsilon: 1"))
    text = projects.python("tabular", "local_runner.py")
    assert re.search(r"^ +DPTrainer +cached$", text, re.MULTILINE), text
    assert "\nNOT BLESSED. " in text
    assert "max_epsilon=1" in text
    assert re.search(r"^pushed +nothing$", text, re.MULTILINE)
    assert projects.pushed("tabular") == before
    assert projects.ledger("tabular", "log", "chicago-taxi-trips") == log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "old", "new", "message"),
    [
        ("image", "GroupNormalization(GROUPS)", "BatchNormalization()", "mixes the records of a batch"),
        (
            "text", "tft.hash_strings(words, NUM_BUCKETS)", "tft.compute_and_apply_vocabulary(words)",
            "FAIL: test_nothing_is_computed_from_the_records_together",
        ),
    ],
)  # fmt: skip
def test_the_projects_own_tests_find_what_breaks_the_guarantee(
    model: str, old: str, new: str, message: str, projects: Projects, printed: dict[str, dict[str, str]]
) -> None:
    file = projects.folder(model) / "models" / "model.py"
    code = file.read_text()
    assert code.count(old) == 1
    file.write_text(code.replace(old, new))
    try:
        text = projects.python(model, "-m", "unittest", "tests.test_model")
    finally:
        file.write_text(code)
    assert text.endswith("exit code 1")
    assert message in text, text[-3000:]
