"""Runs proselint over the documents. Code in them is left out: it is no prose.

    python scripts/prose.py [FILE ...]

Prints a line for each finding, and ends with 1 if there is one. `.proselintrc.json` says which checks are on.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ".proselintrc.json"
# Fenced blocks, code in a line, comments of HTML, and targets of links.
_CODE = re.compile(r"^(```+)[^\n]*\n.*?^\1[ ]*$|(`+)[^`].*?\2|<!--.*?-->|(?<=\]\()[^)\s]*", re.MULTILINE | re.DOTALL)


def documents(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Returns the documents that are held to the rules, in a fixed order."""
    names = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
    return [
        *(root / name for name in names),
        *sorted((root / "docs").glob("*.md")),
        *sorted((root / "components").glob("*/README.md")),
    ]


def without_code(text: str) -> str:
    """Returns the text with every sign of code replaced by a middle dot, so lines and columns stay as they are."""
    return _CODE.sub(lambda match: re.sub(r"[^\n]", "\N{MIDDLE DOT}", match[0]), text)


def findings(paths: Sequence[pathlib.Path], root: pathlib.Path = ROOT) -> list[str]:
    """Returns what proselint finds, a line for each finding: file, line, column, check and message.

    Raises:
      RuntimeError: If proselint does not run, or leaves out a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        copies = {}
        for number, path in enumerate(paths):
            copy = pathlib.Path(folder).resolve() / f"{number}.md"
            copy.write_text(without_code(path.read_text(encoding="utf-8")), encoding="utf-8")
            copies[copy.as_uri()] = path
        command = [sys.executable, "-m", "proselint", "check", "--config", str(root / CONFIG), "-o", "json", folder]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"proselint ended with {done.returncode}: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout)["result"]
    return [line for address, path in copies.items() for line in _lines(found.get(address), path, root)]


def _lines(found: Any, path: pathlib.Path, root: pathlib.Path) -> list[str]:
    if not isinstance(found, dict) or "diagnostics" not in found:
        raise RuntimeError(f"proselint did not check {path}: {found}")
    name = path.relative_to(root) if path.is_relative_to(root) else path
    places = sorted(found["diagnostics"], key=lambda each: each["pos"])
    return [f"{name}:{each['pos'][0]}:{each['pos'][1]}: {each['check_path']}: {each['message']}" for each in places]


def main(arguments: Sequence[str]) -> int:
    """Prints the findings on the given files, or on all documents; returns the exit code."""
    found = findings([pathlib.Path(name).resolve() for name in arguments] or documents())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
