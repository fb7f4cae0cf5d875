"""Which files a function opens while it is traced: figures that it reads from one are no constants of its source.

Python tells of every file that it opens (PEP 578), and TensorFlow's files are asked for their names. A library that opens
files by itself, such as Arrow, is not seen; so what a function writes into a graph is its author's word all the same.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tfx_privacy._printable import printable

_MAX_FILES, _MAX_NAME = 100, 500
_CODE = (".py", ".pyc", ".so", ".pyi", ".pth", ".dll", ".dylib")


class Found:
    """Files that were opened to be read."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    @property
    def found(self) -> list[str]:
        """Their names, each once, in the order in which they were opened."""
        return [printable(name)[:_MAX_NAME] for name in self._names][:_MAX_FILES]

    def add(self, name: Any, mode: Any = "r") -> None:
        """Notes a file, unless it is code or one of the installation's own, or was opened for writing alone."""
        if isinstance(mode, str) and "r" not in mode and "+" not in mode:
            return
        try:
            path = os.fspath(name)
        except TypeError:
            return
        path = os.fsdecode(path)
        if path.endswith(_CODE) or _is_installed(path):
            return
        self._names[path] = None


@contextlib.contextmanager
def watched() -> Iterator[Found]:
    """Notes the files that are opened while this lasts, by this thread or another."""
    global _watching, _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True
    before, found = _watching, Found()
    own = tf.io.gfile.GFile.__init__

    def noted(self: Any, name: Any, mode: str = "r") -> None:
        found.add(name, mode)
        own(self, name, mode)

    tf.io.gfile.GFile.__init__ = noted
    _watching = found
    try:
        yield found
    finally:
        _watching = before
        tf.io.gfile.GFile.__init__ = own


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watching is not None:
        name, mode, flags = arguments[0], arguments[1], arguments[2]
        if mode is None and isinstance(flags, int):
            mode = "w" if flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY else "r"
        _watching.add(name, mode)


_watching: Found | None = None
_hooked = False


def _is_installed(path: str) -> bool:
    absolute = os.path.abspath(path)
    return absolute.startswith(_PLACES)


# Python's, its packages', and what the system says of itself.
_PLACES = (
    *{os.path.abspath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "/proc/",
    "/sys/",
    "/dev/",
)
