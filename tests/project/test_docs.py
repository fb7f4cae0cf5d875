"""Every command in the documentation runs: here, or in the test that is named."""

import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from typing import NamedTuple

import evidence
import pytest
from click.testing import CliRunner
from places import ROOT

from tfx_privacy import cli

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "components").glob("*/README.md")),
]
# Commands that do not run here, by how they begin, and where they do.
ELSEWHERE = {
    "make demo": "tests/pipelines/test_pipeline.py",
    "make test-fast": "CI, which is `make test`",
    "make test": "CI",
    "make check": "CI, which is `make test`",
    "make format": "nowhere: it changes the checkout",
    "python local_runner.py": "tests/templates/test_templates.py",
    "tfx-privacy run-ir": "tests/pipelines/test_run_ir_taxi.py",
    "columns=": "tests/templates/test_adult.py",
    "mkdir -p data/": "tests/templates/test_adult.py",
    "(echo $columns;": "tests/templates/test_adult.py",
    "python -m unittest": "tests/templates/test_templates.py",
    "python -m benchmarks.": "nowhere: minutes of a quiet machine; docs/performance.md has what they printed",
    "tfx-privacy report gs://": "tests/commands/test_report_command.py",
    "kubectl create secret": "nowhere: there is no cluster",
    "pip install ": "tests/project/test_beside_tfx.py",
    "pip-audit ": "nowhere: it asks a database that changes every day",
}
# Where an example keeps things on a server.
SERVER = "/srv/privacy"


class Command(NamedTuple):
    text: str
    begins_block: bool

    @property
    def elsewhere(self) -> str | None:
        return next((where for beginning, where in ELSEWHERE.items() if self.text.startswith(beginning)), None)


def commands(page: pathlib.Path) -> Iterator[Command]:
    """The lines of a page's bash blocks, joined where they are continued, without comments."""
    for block in re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        begins = True
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                text = re.split(r"\s+#\s", line)[0].strip()
                for part in re.split(r"\s+&&\s+", text):
                    yield Command(part, begins)
                    begins = False


ALL = {page: list(commands(page)) for page in PAGES}


def test_commands_are_found() -> None:
    found = {command.text.split()[0] for page in ALL.values() for command in page}
    assert {"tfx-privacy", "make", "export", "cd"} <= found


@pytest.mark.parametrize("beginning", ELSEWHERE)
def test_what_runs_elsewhere_is_in_the_documentation_and_there(beginning: str) -> None:
    assert any(command.text.startswith(beginning) for page in ALL.values() for command in page)
    where = ELSEWHERE[beginning]
    if where.startswith("tests/"):
        assert (ROOT / where).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if ALL[page]], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_runs(page: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page, in one folder, which holds what the reader has: a pipeline, a module with run_fn, a report."""
    work, server = tmp_path / "work", tmp_path / "server"
    server.mkdir()
    work.mkdir()
    prepare(work)
    monkeypatch.chdir(work)
    for name in ("TFX_PRIVACY_LEDGER", "TFX_PRIVACY_SIGNING_KEY", "TFX_PRIVACY_VERIFICATION_KEYS"):
        monkeypatch.delenv(name, raising=False)
    for command in ALL[page]:
        if command.begins_block:
            monkeypatch.chdir(work)
        if command.elsewhere is None:
            run(command.text.replace(SERVER, str(server)), monkeypatch)


def run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [os.path.expandvars(word) for word in shlex.split(text, comments=True)]
    if words[0] == "export":
        for word in words[1:]:
            monkeypatch.setenv(*word.split("=", 1))
    elif words[0] == "cd":
        monkeypatch.chdir(words[1])
    elif words[0] == "tfx-privacy":
        arguments, _, target = text.partition(" > ")
        words = [os.path.expandvars(word) for word in shlex.split(arguments, comments=True)]
        monkeypatch.setattr(webbrowser, "open", lambda address: True)
        done = CliRunner().invoke(cli.cli, words[1:])
        if target:
            pathlib.Path(target).write_text(done.stdout)
        if done.exit_code != 0:
            raise AssertionError(f"{text}: {done.exception!r}\n{done.output}")
    elif words[:2] == ["python", "-c"]:
        subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
    else:
        raise AssertionError(f"{text!r} is run nowhere. Add it to ELSEWHERE with the test that runs it.")


def prepare(folder: pathlib.Path) -> None:
    (folder / "pipeline.py").write_text(
        "from tfx_privacy.pipelines import taxi\n"
        "def create_pipeline():\n"
        "    return taxi.create_taxi_pipeline(output_root='gs://bucket/o', metadata_connection_config=None,\n"
        "        with_baseline=False, data_root='gs://bucket/data', enable_cache=False)\n"
    )
    tfx = importlib.util.find_spec("tfx")
    assert tfx is not None
    assert tfx.origin is not None
    example = pathlib.Path(tfx.origin).parent / "examples" / "chicago_taxi_pipeline" / "taxi_utils.py"
    for name in ("model.py", "taxi_utils.py"):
        shutil.copy(example, folder / name)
    (folder / "preprocessing.py").write_text(
        "import tensorflow_transform as tft\n"
        "def preprocessing_fn(inputs):\n"
        "    return {'fare': tft.scale_to_z_score(inputs['fare'])}\n"
    )
    shutil.copy(ROOT / "templates" / "tabular" / "privacy_policy.yaml", folder)
    report = evidence.write_report(folder / "BudgetValidator" / "report" / "10")
    shutil.copy(report / "report.json", folder)
