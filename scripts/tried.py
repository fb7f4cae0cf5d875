"""Prints a row of README's table of generations: what is installed here, and what passed with it.

    python scripts/tried.py

Reads pytest's reports in .cache/reports, which `make test` and `make test-generation` write.
"""

from __future__ import annotations

import importlib.metadata
import pathlib
import platform
import xml.etree.ElementTree as ET

REPORTS = pathlib.Path(__file__).resolve().parent.parent / ".cache" / "reports"
PACKAGES = ("tfx", "tensorflow", "keras", "apache-beam", "kfp", "numpy")
HEAD = "| " + " | ".join([*PACKAGES, "Python, system", "fast tests", "slow tests"]) + " |"


def row() -> str:
    """The table's row for this environment."""
    versions = [importlib.metadata.version(package) for package in PACKAGES]
    system = f"{platform.python_version()}, {platform.freedesktop_os_release()['PRETTY_NAME'].split(' (')[0]}"
    return "| " + " | ".join([*versions, system, _counts("fast"), _counts("slow")]) + " |"


def _counts(name: str) -> str:
    path = REPORTS / f"{name}.xml"
    if not path.exists():
        return "not run"
    suite = ET.parse(path).getroot().find("testsuite")
    assert suite is not None
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    skipped = int(suite.attrib["skipped"])
    passed = int(suite.attrib["tests"]) - failed - skipped
    return ", ".join(
        f"{number} {word}" for number, word in ((passed, "passed"), (skipped, "skipped"), (failed, "failed")) if number
    )


if __name__ == "__main__":
    print(HEAD, "|" + "---|" * (len(PACKAGES) + 3), row(), sep="\n")
