"""What ends an evaluation, as data: raised in a worker of Beam, an error reaches its reader below a hundred lines.

Data that can be read and not be judged end in an evaluation that says so, and in the gate's refusal. Broken files, foreign
evidence and wrong arguments are errors: a worker notes them, and the executor raises the first.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from tfx.dsl.io import fileio

from tfx_privacy import errors
from tfx_privacy.components import _files
from tfx_privacy.errors import DataError, TFXPrivacyError
from tfx_privacy.records import strict_json

FILE_NAME = "failure.json"


class UnjudgedError(DataError):
    """Records that can be read, and that no attack can be judged on; the message is the reason that the evaluation states."""


@dataclasses.dataclass(frozen=True, order=True)
class Failure:
    """An error of ours, as it travels.

    Attributes:
      kind: Name of its class; empty if the evaluation is written, with the message as its reason.
      message: In words that quote no record.
    """

    kind: str
    message: str

    @classmethod
    def of(cls, error: TFXPrivacyError) -> Failure:
        """Of an error."""
        return cls("" if isinstance(error, UnjudgedError) else type(error).__name__, str(error))


def reason(found: Iterable[Failure]) -> str:
    """Why records cannot be judged; empty if nothing says so.

    Raises:
      TFXPrivacyError: If there is an error among them: the first by name and message, whatever worker was first.
    """
    ordered = sorted(set(found), key=lambda failure: (not failure.kind, failure))
    if not ordered:
        return ""
    if ordered[0].kind:
        raise _error(ordered[0])
    # Each file of a side may say the same of its records.
    return " ".join(failure.message for failure in ordered[:3])


def write(uri: str, failure: Failure) -> None:
    """Writes an error in the place of the evaluation."""
    _files.write_text(uri, FILE_NAME, strict_json.dumps(dataclasses.asdict(failure)))


def raise_written(uri: str) -> None:
    """Raises what a worker wrote, and removes it; nothing without it.

    Raises:
      TFXPrivacyError: Of the class that the worker met.
    """
    path = os.path.join(uri, FILE_NAME)
    if not fileio.exists(path):
        return
    found = Failure(**strict_json.loads(_files.read_text(uri, FILE_NAME)))
    fileio.remove(path)
    raise _error(found)


def _error(found: Failure) -> TFXPrivacyError:
    known = getattr(errors, found.kind or DataError.__name__, TFXPrivacyError)
    return known(found.message)
