"""What the commands print and write: the one place that writes to a terminal, so no text of the data can control it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import threading
from collections.abc import Iterator

import click

from tfx_privacy._printable import printable
from tfx_privacy.errors import EvidenceError

PATIENCE = 1.0
"""Seconds that a command may work before it says what it does."""


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Says on stderr what is being done, once and in one line, where it takes more than a moment.

    A plain line on a terminal too: TensorFlow writes to stderr meanwhile, and would break a line that is redrawn.
    """
    timer = threading.Timer(PATIENCE, echo, (f"{what} ...",), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def echo(text: str, *, err: bool = False) -> None:
    """Prints a message, with whatever does not print written as an escape."""
    click.echo(printable(text, lines=True), err=err)  # noqa: TID251 - this is the place


def data(text: str) -> None:
    """Writes machine-readable text: byte by byte into a pipe or a file, printable on a terminal."""
    shown = printable(text, lines=True) if sys.stdout.isatty() else text
    click.echo(shown, nl=False, color=True)  # noqa: TID251 - in colour, or click would change the text


def write_new(path: pathlib.Path, text: str) -> None:
    """Writes a file that only its owner can read, and never over another one.

    Raises:
      EvidenceError: If the file exists or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise EvidenceError(f"{str(path)!r} exists, and is not overwritten. Give another name.") from None
    except OSError as error:
        raise EvidenceError(f"{str(path)!r} cannot be written: {error}.") from error
