"""Which files a function opens while it is imported or traced: figures that it reads are no constants of its source.

Python tells of every file that it opens and every address that it connects to (PEP 578), and TensorFlow's files are asked for
their names. A library that opens files by itself, such as Arrow, is not seen; so what a function writes into a graph is its
author's word all the same.
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
def watched(found: Found) -> Iterator[None]:
    """Notes the files that are opened while this lasts, by this thread or another."""
    global _watching, _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True
    before = _watching
    # tf.io.gfile.GFile is derived from it, and so is what reads files as a whole.
    (kind,) = tf.io.gfile.GFile.__bases__
    own = kind.__init__

    def noted(self: Any, name: Any, mode: str = "r", *arguments: Any, **more: Any) -> None:
        found.add(name, mode)
        own(self, name, mode, *arguments, **more)

    kind.__init__ = noted
    _watching = found
    try:
        yield
    finally:
        _watching = before
        kind.__init__ = own


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    if event == "open":
        name, mode, flags = arguments[0], arguments[1], arguments[2]
        if mode is None and isinstance(flags, int):
            mode = "w" if flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY else "r"
        _watching.add(name, mode)
    elif event == "sqlite3.connect":
        _watching.add(arguments[0])
    elif event == "socket.connect":
        _watching.add(f"address {arguments[1]}")


_watching: Found | None = None
_hooked = False


def _is_installed(path: str) -> bool:
    absolute = os.path.abspath(path)
    return absolute.startswith(_PLACES)


# Python's, its packages', and the system's own; not all of /dev, where files in memory are.
_PLACES = (
    *{os.path.abspath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "/proc/",
    "/sys/",
    "/etc/",
    "/usr/lib/",
    "/usr/share/",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
)
