"""What is wrong with the arguments is said at once: not after the many seconds that TFX takes to import."""

import ast
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from places import ROOT

from tfx_privacy import cli
from tfx_privacy.commands import terminal

ERRORS: dict[str, tuple[list[str], str]] = {
    "another ending": (["compile", "--output", "p.txt"], "to end in .yaml"),
    "a folder": (["compile", "--output", "folder.yaml"], "is a directory"),
    "no such pipeline": (["compile", "--output", "p.yaml", "--pipeline", "none.py"], "There is no file 'none.py'"),
    "a path as a module": (["compile", "--output", "p.yaml", "--module", "models/model.py"], "models.model, not models"),
    "no module": (["compile", "--output", "p.yaml", "--module", "Transform="], "as [STEP=]NAME"),
    "two modules": (["compile", "--output", "p.yaml", "--module", "a", "--module", "b"], "one module for each step"),
    "a step's two": (["compile", "--output", "p.yaml", "--module", "A=a", "--module", "A=b"], "one module for each step"),
    "no image": (["compile", "--output", "p.yaml", "--image", " "], "names no container image"),
    "a secret's value": (["compile", "--output", "p.yaml", "--secret", "A=b"], "VARIABLE=SECRET:KEY"),
    "secrets on Vertex": (["compile", "--output", "p.json", "--secret", "A=b:c"], "Vertex AI has no Kubernetes secrets"),
    "a password": (["compile", "--output", "p.yaml", "--env", "A=postgresql://me:pw@db/x"], "A holds a secret"),
    "an address": (["compile", "--output", "p.yaml", "--ledger", "sqlite:///x"], "must not be given"),
    "which pipeline": (["lint", "two.py"], "Which pipeline of 'two.py'? Give FILE.py:NAME. Found: a_pipeline(), b_pipeline()"),
    "with arguments": (["lint", "one.py"], "Found: create_pipeline() (takes arguments)"),
    "called with arguments": (["lint", "one.py:create_pipeline"], "'create_pipeline' takes arguments"),
    "of a module": (["lint", "package.two"], "Which pipeline of 'package.two'?"),
    "another name": (["lint", "two.py:c_pipeline"], "There is no 'c_pipeline' in 'two.py'"),
    "compiled": (["lint", "p.yaml"], "is a compiled pipeline"),
    "a parameter": (["run-ir", "two.py", "--parameter", "x"], "--parameter 'x' as NAME=VALUE"),
    "a variable": (["run-ir", "two.py", "--env", "NOT_SET"], "the variable is not set here"),
    "a plot": (["plan", "--population", "10", "--plot", "x.gif"], "to end in .svg"),
    "a format": (["report", "x", "--output", "y"], "--output requires --format"),
}  # fmt: skip
LIGHT = {"tfx_privacy.pipelines.compile_arguments", "tfx_privacy.pipelines.source_names"}
_RUN_ALL = """
import json, sys, time
from click.testing import CliRunner
from tfx_privacy import cli
found = {}
for name, arguments in json.load(sys.stdin).items():
    started = time.monotonic()
    done = CliRunner().invoke(cli.cli, arguments)
    found[name] = [done.exit_code, f"{done.output} {done.exception}", time.monotonic() - started]
    heavy = sorted({"tensorflow", "tfx", "apache_beam"} & set(sys.modules))
    assert not heavy, (name, heavy)
print(json.dumps(found))
"""


def test_usage_errors_come_before_tfx(tmp_path: pathlib.Path) -> None:
    imports = "import os\nimport tfx\nfrom tfx.orchestration import pipeline\nROOT = os.getcwd()\n"
    (tmp_path / "one.py").write_text(f"{imports}def create_pipeline(root):\n    return pipeline.Pipeline('a', root)\n")
    (tmp_path / "two.py").write_text(f"{imports}def a_pipeline(): ...\ndef b_pipeline(): ...\n")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import tfx\n")
    (tmp_path / "package" / "two.py").write_text((tmp_path / "two.py").read_text())
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL], input=json.dumps({name: given for name, (given, _) in ERRORS.items()}),
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name, (code, output, _) in json.loads(done.stdout).items():
        assert code != 0, name
        assert ERRORS[name][1] in output, (name, output)


def test_what_may_be_a_pipeline_is_imported(tmp_path: pathlib.Path) -> None:
    """The text alone rules nothing out that it does not show."""
    (tmp_path / "mine.py").write_text(
        "from elsewhere import my_pipeline\ndef a_pipeline(): ...\ndef b_pipeline(): ...\n"
    )
    done = CliRunner().invoke(cli.cli, ["lint", str(tmp_path / "mine.py")])
    assert "No module named 'elsewhere'" in done.output


def test_work_that_takes_long_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PATIENCE", 0.0)
    done = CliRunner().invoke(cli.cli, ["plan", "--population", "400", "--noise-multiplier", "5", "--format", "json"])
    assert done.stderr == "Accounting possible trainings by RDP ...\n"
    assert json.loads(done.stdout)


def heavy_imports(tree: ast.AST, *, named: bool = False) -> Iterator[tuple[int, bool]]:
    """Line of each import of TFX, and whether it is in a `with terminal.working(...)`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        inside = named or (isinstance(node, ast.With) and "terminal.working(" in ast.unparse(node.items[0]))
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            if any(name.startswith(("tfx.", "tfx_privacy.pipelines.")) for name in names - LIGHT):
                yield node.lineno, inside
        yield from heavy_imports(node, named=inside)


def test_whatever_imports_tfx_says_that_it_is_at_work() -> None:
    found = {
        (path.name, line): named
        for path in [*(ROOT / "src/tfx_privacy/commands").glob("*.py"), ROOT / "src/tfx_privacy/cli.py"]
        for line, named in heavy_imports(ast.parse(path.read_text()))
    }
    assert {name for name, _ in found} >= {"cli.py", "compile.py", "lint.py", "report.py", "run_ir.py"}
    assert all(found.values()), found


def test_work_that_is_done_at_once_is_not(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PATIENCE", 0.05)
    with terminal.working("Nothing"):
        pass
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("population", [1, 2, 10, 99])
def test_tiny_populations_are_planned_at_once_and_told_what_to_expect(population: int) -> None:
    """Sampling one of two records took seven seconds, and promised noise that another step size would spare."""
    started = time.process_time()
    done = CliRunner().invoke(cli.cli, ["plan", "--population", str(population)])
    assert time.process_time() - started < 2.0
    assert "very few" in done.stdout
    rows = CliRunner().invoke(cli.cli, ["plan", "--population", str(population), "--format", "json"])
    assert {row["expected_batch_size"] for row in json.loads(rows.stdout)} == {population}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--population", "32000", "--noise-multiplier", "1.2345", "--budget-epsilon", "8", "--reference-models", "2"],
        ["--population", "100000000", "--noise-multiplier", "123.4567", "--expected-batch-size", "1234567"],
    ],
)
def test_the_plan_fits_80_columns_and_no_number_is_folded(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli.cli, ["plan", *arguments]).stdout
    assert max(map(len, shown.splitlines())) <= 80
    rows = json.loads(CliRunner().invoke(cli.cli, ["plan", *arguments, "--format", "json"]).stdout)
    for row in rows:
        cells = {
            f"{row['noise_multiplier']:g}",
            str(row["expected_batch_size"]),
            f"{row['noise_of_mean_gradient']:.3g}",
        }
        assert any(cells <= set(line.split()) for line in shown.splitlines())


def test_the_demo_imports_tfx_where_it_keeps_its_messages() -> None:
    """Not before: they would stand on the terminal, and the time that the import took would be said to be none."""
    code = "import sys; from tfx_privacy.pipelines.taxi import demo; print('tensorflow' in sys.modules, 'tfx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
