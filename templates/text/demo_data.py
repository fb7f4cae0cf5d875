"""The demonstration's data: docstrings of Python's standard library, and of NumPy, SciPy and scikit-learn, as they are installed.

Delete this file when DATA_PATH is yours.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import os
import pathlib
import sysconfig
from collections.abc import Iterator

SCIENTIFIC = ("numpy", "scipy", "sklearn")
_SKIPPED = ("site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3")
_MIN_WORDS = 4


def write(folder: str) -> None:
    """Writes docstrings.csv with `text` and `scientific` (0 or 1), unless the folder is there already."""
    if os.path.exists(folder):
        return
    standard = list(_paragraphs(pathlib.Path(sysconfig.get_paths()["stdlib"])))
    scientific = [text for name in SCIENTIFIC for text in _paragraphs(_folder(name))]
    rows = [(text, 0) for text in standard] + [(text, 1) for text in scientific]
    # Each text once: one that is in both splits would be no test of anything.
    unique = {text.lower(): (text, label) for text, label in rows}
    os.makedirs(folder)
    with open(os.path.join(folder, "docstrings.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "scientific"))
        writer.writerows(unique.values())
    print(f"Wrote {len(unique)} docstrings of the installed Python libraries to {folder}.")


def _folder(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return pathlib.Path(spec.submodule_search_locations[0])


def _paragraphs(folder: pathlib.Path) -> Iterator[str]:
    """The first paragraph of every docstring below a folder; the code is read and not run."""
    for path in sorted(folder.rglob("*.py")):
        if set(path.relative_to(folder).parts) & set(_SKIPPED):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
                if len(text.split()) >= _MIN_WORDS and text.isascii():
                    yield text
