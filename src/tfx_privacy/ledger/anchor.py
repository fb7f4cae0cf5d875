"""Heads of the ledger kept outside of it, against the restoring of an old copy.

A chain of hashes shows edits. It does not show that the newest entries are missing: an old backup is a valid ledger in which spent
budget is whole again. A file of heads elsewhere (another disk, another owner, a write-once store) shows it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from tfx_privacy.privacy import strict_json
from tfx_privacy.privacy.errors import EvidenceError, LedgerError

VARIABLE = "TFX_PRIVACY_LEDGER_ANCHOR"
_LINES = 256


class Anchor:
    """A file to which every change adds the new head of a dataset."""

    def __init__(self, path: pathlib.Path) -> None:
        """Names the file; it is made by the first change."""
        self._path = path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Anchor | None:
        """The anchor that the environment names; None where it names none."""
        path = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
        if not path:
            return None
        if not os.path.isabs(path):
            raise LedgerError(
                f"Expected {VARIABLE} to be an absolute path. It must be the same file for every pipeline."
            )
        return cls(pathlib.Path(path))

    def add(self, ledger_id: str, dataset_id: str, sequence: int, entry_hash: str) -> None:
        """Adds a head, and waits for the disk.

        Raises:
          LedgerError: If the file cannot be written; the ledger itself has the entry.
        """
        head = {"ledger_id": ledger_id, "dataset_id": dataset_id, "sequence": sequence, "hash": entry_hash}
        line = f"{strict_json.canonical(head)}\n".encode()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LedgerError(
                f"The ledger's new head cannot be added to the file in {VARIABLE}: {error.strerror}."
            ) from error

    def check(self, ledger_id: str, dataset_id: str, hash_at: Callable[[int], str | None]) -> None:
        """Checks that a dataset's log still holds the newest head that the file has of it.

        Args:
          ledger_id: The ledger.
          dataset_id: The dataset.
          hash_at: The hash of the dataset's entry of a number, or None.

        Raises:
          LedgerError: If it does not: the ledger is an old copy, or was rewritten.
        """
        newest: tuple[int, str] | None = None
        for head in self._heads(f'"dataset_id":"{dataset_id}"'.encode()):
            of_this = (head.get("ledger_id"), head.get("dataset_id")) == (ledger_id, dataset_id)
            if of_this and (newest is None or head["sequence"] > newest[0]):
                newest = head["sequence"], head["hash"]
        if newest is not None:
            require_head(dataset_id, newest[0], newest[1], hash_at, f"the file in {VARIABLE}")

    def _heads(self, needle: bytes) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LedgerError(f"The file in {VARIABLE} cannot be read: {error.strerror}.") from error
        heads = []
        # Writers that end at the same time may add their lines in any order; so the last few are looked at.
        for line in [line for line in lines if needle in line][-_LINES:]:
            with contextlib.suppress(EvidenceError):  # a killed writer leaves half a line, and others go on after it
                heads.append(strict_json.loads(line))
        return heads


def require_head(
    dataset_id: str, sequence: int, entry_hash: str, hash_at: Callable[[int], str | None], where: str
) -> None:
    """Checks that a head seen elsewhere is in the log.

    Raises:
      LedgerError: If it is not.
    """
    found = hash_at(sequence)
    if found == entry_hash:
        return
    state = "is missing" if found is None else "is another one"
    raise LedgerError(
        f"Entry {sequence} of dataset {dataset_id!r}, which {where} names, {state}: this ledger is an old copy, or was rewritten. Budget "
        "that was spent would be free again, so that nothing is charged. Restore the newest copy, or settle what is missing with the "
        "dataset's owner."
    )
