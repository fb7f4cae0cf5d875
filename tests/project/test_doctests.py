"""Every `>>>` example in the package runs, and prints what its docstring shows."""

import doctest
import importlib
import pathlib
import re
from collections.abc import Iterator

import pytest
from places import ROOT

# What a folder's modules import decides when their examples run.
MARKS = {"components": pytest.mark.slow, "pipelines": pytest.mark.slow, "training": pytest.mark.engine}
FOLDERS = {
    "tfx_privacy": ROOT / "src" / "tfx_privacy",  # `rglob` does not follow its links
    "tfx_privacy.components": ROOT / "components",
    "tfx_privacy.pipelines": ROOT / "pipelines",
}
PROMPT = re.compile(r"^\s*>>> ", re.MULTILINE)


def prompts() -> Iterator[tuple[str, int]]:
    """Each module whose text has examples, by the name under which the package imports it, and how many it has."""
    for name, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            number = len(PROMPT.findall(path.read_text()))
            if number:
                yield module_name(name, path.relative_to(folder)), number


def module_name(package: str, path: pathlib.Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])


PROMPTS = dict(prompts())


def case(module: str) -> object:
    mark = MARKS.get(module.split(".")[1]) if "." in module else None
    return pytest.param(module, marks=[mark] if mark else [])


def test_examples_are_found() -> None:
    assert {"tfx_privacy", "tfx_privacy.accounting.epsilon"} <= set(PROMPTS)


@pytest.mark.parametrize("name", [case(module) for module in PROMPTS])
def test_the_examples_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(name)
    found = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    # An example in a comment or below an attribute would never run.
    assert sum(len(test.examples) for test in found) == PROMPTS[name]
    runner = doctest.DocTestRunner()
    for test in found:
        runner.run(test)
    assert runner.failures == 0, capsys.readouterr().out


def test_templates_have_no_examples() -> None:
    """They are projects of their own: nothing would run an example there."""
    assert [path for path in (ROOT / "templates").rglob("*.py") if PROMPT.search(path.read_text())] == []
