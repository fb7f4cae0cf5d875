"""Shows how a local run proceeds, while everything that libraries print goes to a file."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

import rich.console
import rich.status
from absl import logging as absl_logging

# What LocalDagRunner and its launcher log; the templates are TFX's own.
_RUNNING = "Component %s is running."
_FINISHED = "Component %s is finished."
_CACHED = "A cached execution %d is used."
_TRAINING = "DPTrainer: "


@contextlib.contextmanager
def output_in_file(path: str) -> Iterator[TextIO]:
    """Sends everything written to stdout and stderr, by C++ code too, to a file.

    Args:
      path: The log file; it is appended to.

    Yields:
      The real standard output.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with os.fdopen(os.dup(1), "w", buffering=1) as terminal, open(path, "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield terminal
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)


@dataclasses.dataclass
class _Step:
    name: str
    started: float
    cached: bool = False


class _Watcher(logging.Handler):
    """Turns the runner's log records into lines that a person reads."""

    def __init__(self, console: rich.console.Console, status: rich.status.Status) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._status = status
        self._step: _Step | None = None
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        message = str(record.msg)
        if message == _RUNNING:
            self._step = _Step(str(_only(record)), time.monotonic())
            self._status.update(f"  {self._step.name} ...")
        elif message == _CACHED and self._step:
            self._step.cached = True
        elif message == _FINISHED and self._step:
            self._finish(self._step)
        elif message.startswith(_TRAINING) and self._step:
            self._status.update(f"  {self._step.name}: {record.getMessage().removeprefix(_TRAINING)}")

    def _finish(self, step: _Step) -> None:
        seconds = time.monotonic() - step.started
        self.seconds[step.name] = seconds
        note = "cached" if step.cached else f"{seconds:5.1f} s"
        self._console.print(f"  {step.name:<32}{note:>8}", highlight=False)


def _only(record: logging.LogRecord) -> object:
    return record.args[0] if isinstance(record.args, tuple) and record.args else ""


@contextlib.contextmanager
def component_times(console: rich.console.Console) -> Iterator[dict[str, float]]:
    """Prints each component of a local run with its time as it ends.

    Yields:
      Seconds by component, filled while the run proceeds.
    """
    logger = absl_logging.get_absl_logger()
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.INFO)
    with console.status("  starting ...") as status:
        watcher = _Watcher(console, status)
        logger.addHandler(watcher)
        try:
            yield watcher.seconds
        finally:
            logger.removeHandler(watcher)
            absl_logging.set_verbosity(verbosity)
