"""One process a step."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from tfx_privacy.errors import InternalError

PYTHON = ("python", "python3")
"""What containers call the interpreter; here it is the one that runs this."""


@dataclasses.dataclass(frozen=True)
class Process:
    """All that a step is given."""

    command: Sequence[str]
    environ: Mapping[str, str]
    folder: pathlib.Path
    log: pathlib.Path


Start: TypeAlias = Callable[[Process], int]
"""Runs a process to its end, and returns its exit code, negative for a signal."""


@contextlib.contextmanager
def starter(preloaded: Sequence[str] | None) -> Iterator[Start]:
    """How processes are started.

    Args:
      preloaded: Classes whose modules one process imports, from which those that run a Python module are forked; None
        to start each afresh.
    """
    if preloaded is None:
        yield fresh
        return
    zygote = _Zygote(preloaded)
    try:
        yield zygote.start
    finally:
        zygote.close()


def fresh(process: Process) -> int:
    """Starts a process as a container does."""
    command = list(process.command)
    if command[0] in PYTHON:
        command[0] = sys.executable
    with open(process.log, "ab") as log:
        return subprocess.run(
            command,
            env=dict(process.environ),
            cwd=process.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        ).returncode


class _Zygote:
    """A process that has imported TFX, used it for nothing, and forks."""

    def __init__(self, classes: Sequence[str]) -> None:
        module = "tfx_privacy.pipelines.ir_runner.zygote"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *classes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, process: Process) -> int:
        """Forks a process that runs `python -m MODULE ...`; starts every other command afresh."""
        if process.command[0] not in PYTHON or process.command[1] != "-m":
            return fresh(process)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "module": process.command[2],
            "arguments": list(process.command[3:]),
            "environ": dict(process.environ),
            "folder": os.fspath(process.folder),
            "log": os.fspath(process.log),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise InternalError("The process from which steps are forked has ended.")
        return int(answer)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()
