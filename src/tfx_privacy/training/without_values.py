"""Errors of TensorFlow quote what it computed with: labels, ids, texts. Here they become errors that quote no record.

TensorFlow also logs the same text by itself, to the process' standard error: those lines are kept back.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from tfx_privacy.errors import DataError

_Result = TypeVar("_Result")

# The second is what TensorFlow raises where its text quotes bytes that are no UTF-8.
ERRORS = (tf.errors.OpError, UnicodeDecodeError)
"""What TensorFlow raises while it computes with records."""

# How the text of an error in a graph begins. Operations are named by the model's code, not by records.
_OPERATION = re.compile(r"Graph execution error:\s+Detected at node ([\w/.\-]+) defined at")
# How lines of TensorFlow's log begin: "2026-01-31 12:00:00.000000: W tensorflow/...:1] ", or "W0000 00:00:17.1 1 kernel.cc:1] ".
# What follows belongs to such a line until another one begins.
_LOGGED = re.compile(rb"^(\S+ \S+: [IWEF] |[IWEF]\d{4} )\S.*?\] ")
_OF_FAILURE = re.compile(
    rb"OP_REQUIRES failed|aborting with status|start aborting"
    rb"|(INVALID_ARGUMENT|OUT_OF_RANGE|FAILED_PRECONDITION|DATA_LOSS|INTERNAL|UNKNOWN|NOT_FOUND|UNIMPLEMENTED): "
)
_STDERR = 2
_redirecting = threading.Lock()


def call(function: Callable[[], _Result], what: str) -> _Result:
    """Calls a function that computes with records.

    Args:
      function: Of no arguments.
      what: It is, as the subject of a sentence.

    Returns:
      What it gives.

    Raises:
      DataError: In place of TensorFlow's errors, without their text and not chained to them.
    """
    try:
        with quiet():
            return function()
    except ERRORS as error:
        failed = _told(error, what)
    # Outside of the handler, so the error has no context that a log or a crash reporter would print.
    raise DataError(failed)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what TensorFlow logs of computations that fail; all else is written when this ends.

    In one thread at a time; others are not held up, and what they log meanwhile is treated alike.
    """
    if not _redirecting.acquire(blocking=False):
        yield
        return
    try:
        with contextlib.ExitStack() as stack:
            _redirect(stack)
            yield
    finally:
        _redirecting.release()


def _redirect(stack: contextlib.ExitStack) -> None:
    try:
        real = os.dup(_STDERR)
    except OSError:
        return  # there is no standard error, so nothing is logged
    held = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    os.dup2(held.fileno(), _STDERR)
    # If the process dies inside, what Python knows of it is not lost with what is held.
    enabled = faulthandler.is_enabled()
    if enabled:
        faulthandler.enable(file=real)

    def restore() -> None:
        os.dup2(real, _STDERR)
        if enabled:
            faulthandler.enable(file=_STDERR)
        held.seek(0)
        with os.fdopen(real, "wb") as log:
            log.write(_without_failures(held.read()))

    stack.callback(restore)


def _without_failures(log: bytes) -> bytes:
    kept, keep = [], True
    for line in log.splitlines(keepends=True):
        if _LOGGED.match(line):
            keep = not _OF_FAILURE.search(line)
        if keep:
            kept.append(line)
    return b"".join(kept)


def described(error: Exception) -> str:
    """What kind of error it is, in which operation, and where the code is that raised it; nothing of its text."""
    found = _OPERATION.match(getattr(error, "message", None) or "")
    if found:
        return f"{type(error).__name__} in operation {found.group(1)!r}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}site-packages{os.sep}" not in frame.filename
    ]
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _told(error: Exception, what: str) -> str:
    found = _OPERATION.match(getattr(error, "message", None) or "")
    where = f" in operation {found.group(1)!r}" if found else ""
    return (
        f"{what} failed with TensorFlow's {type(error).__name__}{where}. Its text is left out, because it may quote "
        "records. Often a label is outside of the loss' range, or an id outside of an embedding's table: check them "
        "in preprocessing_fn or input_fn. To see the text, call the model on these records yourself."
    )
