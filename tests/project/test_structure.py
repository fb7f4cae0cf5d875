"""Modules and functions stay of a size that can be read at once, and tests lie where their subject lies."""

import ast
import pathlib
import statistics

from places import ROOT, TESTS

PACKAGE = ROOT / "src" / "tfx_privacy"
MODULES = [
    path
    for folder in (PACKAGE, ROOT / "components", ROOT / "pipelines")
    for path in sorted(folder.rglob("*.py"))
    if "third_party" not in path.parts  # as upstream wrote it
]
LONGEST_MODULE = 450
# Folders of tests/ that are no subject of the package.
OWN_FOLDERS = {"golden", "helpers", "mutation", "project"}


def lines(path: pathlib.Path) -> int:
    return len(path.read_text().splitlines())


def function_lengths() -> list[int]:
    """Lines of each function, its signature and docstring included."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_no_module_is_too_long() -> None:
    too_long = {str(path.relative_to(ROOT)): lines(path) for path in MODULES if lines(path) > LONGEST_MODULE}
    assert too_long == {}


def test_the_median_module_has_60_to_300_lines() -> None:
    assert 60 <= statistics.median(lines(path) for path in MODULES) <= 300


def test_the_median_function_has_7_to_20_lines() -> None:
    assert 7 <= statistics.median(function_lengths()) <= 20


def test_every_folder_of_tests_has_its_subject() -> None:
    subjects = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders >= OWN_FOLDERS
    assert folders - OWN_FOLDERS <= subjects
