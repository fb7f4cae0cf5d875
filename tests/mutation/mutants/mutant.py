"""What describes one bug."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One bug."""

    name: str
    where: str
    """Qualified name of the code, in whatever module it stands: `addressing`."""
    old: str
    """Stands there once: an expression, statements in a row, or an argument `name=value`. `...` is anything:
    `syntax`."""
    new: str
    """What takes its place; nothing leaves it out."""
    tests: str
    """What is run, space separated, wherever it is under tests/: files of which the fast tests, or single tests of files that
    take long, `test_file::test_function`."""
