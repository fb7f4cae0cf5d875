"""Which files a function opens while it is imported or traced: figures that it reads are no constants of its source.

Python tells of every file that it opens, every address that it connects to and every process that it starts (PEP 578). TensorFlow
is asked for its files and for the operations that it runs at once, and Arrow and HDF5 for what they are told to open. Another
library that opens files by itself is not heard; so what a function writes into a graph is its author's word all the same.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

from tfx_privacy import compat
from tfx_privacy._printable import printable
from tfx_privacy.transform import operations

_MAX_FILES, _MAX_NAME = 100, 500
# What another process reads is not heard here.
_PROCESSES = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty")
# They open files without telling Python. There are others.
_LIBRARIES = {
    "h5py": ("File.__init__",),
    "pyarrow": ("OSFile", "memory_map"),
    "pyarrow.csv": ("open_csv", "read_csv"),
    "pyarrow.dataset": ("dataset",),
    "pyarrow.feather": ("read_feather", "read_table"),
    "pyarrow.json": ("read_json",),
    "pyarrow.parquet": ("ParquetFile.__init__", "read_table"),
}
_CODE = (".py", ".pyc", ".so", ".pyi", ".pth", ".dll", ".dylib")


class Found:
    """Files that were opened to be read."""

    def __init__(self, own: str | None = None) -> None:
        """Args: a folder of what was released, which is read into tables, if there is one."""
        self._names: dict[str, None] = {}
        self._own = None if own is None else os.path.join(os.path.abspath(own), "")

    @property
    def found(self) -> list[str]:
        """Their names, each once, in the order in which they were opened."""
        return [printable(name)[:_MAX_NAME] for name in self._names][:_MAX_FILES]

    def add(self, name: Any, mode: Any = "r") -> None:
        """Notes a file, unless it is code, the installation's or a release's own, or was opened for writing alone."""
        if isinstance(mode, str) and "r" not in mode and "+" not in mode:
            return
        try:
            path = os.fspath(name)
        except TypeError:
            return
        path = os.fsdecode(path)
        absolute = os.path.abspath(path)
        if path.endswith(_CODE) or absolute.startswith(_PLACES):
            return
        if self._own is not None and absolute.startswith(self._own):
            return
        self._names[path] = None


@contextlib.contextmanager
def watched(found: Found) -> Iterator[None]:
    """Notes the files that are opened while this lasts, by this thread or another."""
    global _watching, _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True
    before, _watching = _watching, found
    try:
        with compat.tensorflow_heard(found.add, functools.partial(_ran, found)), _libraries_heard(found):
            yield
    finally:
        _watching = before


@contextlib.contextmanager
def _libraries_heard(found: Found) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for module, names in _LIBRARIES.items():
            with contextlib.suppress(ImportError):
                imported = importlib.import_module(module)
                for name in names:
                    *path, last = name.split(".")
                    owner = functools.reduce(getattr, path, imported)
                    stack.enter_context(compat.calls_heard(owner, last, functools.partial(_opened, found)))
        yield


def _opened(found: Found, *arguments: Any, **more: Any) -> None:
    """Notes the first argument that is a path, or several."""
    kinds = str | bytes | os.PathLike | list | tuple
    for paths in [each for each in (*arguments, *more.values()) if isinstance(each, kinds)][:1]:
        for path in paths if isinstance(paths, list | tuple) else [paths]:
            found.add(path)


def _ran(found: Found, operation: str, graph: Any) -> None:
    for name in _that_read(operation) if graph is None else operations.that_read_files(graph):
        found.add(f"operation {name}")


@functools.lru_cache(maxsize=10_000)
def _that_read(operation: str) -> list[str]:
    message = compat.graph_of(operation)
    return operations.that_read_files(types.SimpleNamespace(as_graph_def=lambda: message))


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    if event == "open":
        name, mode, flags = arguments[0], arguments[1], arguments[2]
        if mode is None and isinstance(flags, int):
            is_new = flags & (os.O_CREAT | os.O_EXCL) == os.O_CREAT | os.O_EXCL
            mode = "w" if is_new or flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY else "r"
        _watching.add(name, mode)
    elif event == "sqlite3.connect":
        _watching.add(arguments[0])
    elif event in ("socket.connect", "socket.sendto"):
        _watching.add(f"address {arguments[1]}")
    elif event in _PROCESSES and not _installs(*arguments):
        _watching.add(f"process {_program(*arguments) or event!r}")


def _program(command: Any = "", *_: Any) -> str:
    """Alone: what is said to it may be a secret."""
    text = os.fsdecode(command) if isinstance(command, str | bytes | os.PathLike) else ""
    return os.path.basename(text.split(" ")[0])


def _installs(_: Any = "", arguments: Any = (), *__: Any) -> bool:
    """As TFX does with the user's module, before it imports it."""
    return isinstance(arguments, list | tuple) and [*arguments[1:3]] == ["-m", "pip"]


_watching: Found | None = None
_hooked = False


# Python's, its packages', and the system's own; not all of /dev, where files in memory are. The archive is looked for wherever
# packages are listed, if it is there or not.
_PLACES = (
    os.path.join(sys.base_prefix, sys.platlibdir, "python{}{}.zip".format(*sys.version_info)),
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
