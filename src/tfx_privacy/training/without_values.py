"""Errors of TensorFlow quote what it computed with: labels, ids, texts. Here they become errors that quote no record."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from tfx_privacy.errors import DataError

_Result = TypeVar("_Result")

# The second is what TensorFlow raises where its text quotes bytes that are no UTF-8.
ERRORS = (tf.errors.OpError, UnicodeDecodeError)
"""What TensorFlow raises while it computes with records."""

# How the text of an error in a graph begins. Operations are named by the model's code, not by records.
_OPERATION = re.compile(r"Graph execution error:\s+Detected at node ([\w/.\-]+) defined at")


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
        return function()
    except ERRORS as error:
        failed = _told(error, what)
    # Outside of the handler, so the error has no context that a log or a crash reporter would print.
    raise DataError(failed)


def _told(error: Exception, what: str) -> str:
    found = _OPERATION.match(getattr(error, "message", None) or "")
    where = f" in operation {found.group(1)!r}" if found else ""
    return (
        f"{what} failed with TensorFlow's {type(error).__name__}{where}. Its text is left out, because it may quote "
        "records. Often a label is outside of the loss' range, or an id outside of an embedding's table: check them "
        "in preprocessing_fn or input_fn. To see the text, call the model on these records yourself."
    )
