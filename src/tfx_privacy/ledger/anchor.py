"""Heads of the ledger kept outside of it, against the restoring of an old copy.

A chain of hashes shows edits. It does not show that the newest entries are missing: an old backup is a valid ledger in
which spent budget is whole again. A file of heads shows it. Next to a SQLite ledger, where it is by default, it finds
mistakes; elsewhere (another disk, another owner, a write-once store) it also finds what somebody intended.
"""

from __future__ import annotations

import errno
import itertools
import os
import pathlib
import stat
from collections.abc import Callable, Iterator, Mapping

import pydantic

from tfx_privacy.errors import EvidenceError, LedgerError
from tfx_privacy.records import strict_json
from tfx_privacy.records.base import PositiveCount, Record

VARIABLE = "TFX_PRIVACY_LEDGER_ANCHOR"
# Writers that end at the same time may add their heads in any order; so the last few of a dataset are looked at.
_HEADS = 256
_BLOCK_BYTES = 1 << 16


class _Head(Record):
    """A line of the file."""

    ledger_id: str
    dataset_id: str
    sequence: PositiveCount
    hash: str


class Anchor:
    """A file to which every change adds the new head of a dataset."""

    def __init__(self, path: pathlib.Path | None) -> None:
        """Names the file; it is made by the first change. None keeps no heads, and finds none missing."""
        self._path = path

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, *, default: pathlib.Path | None = None
    ) -> Anchor:
        """The anchor that the environment names, or `default` where it names none.

        Raises:
          LedgerError: If it is named by a relative path.
        """
        path = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
        if not path:
            return cls(default)
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
        if self._path is None:
            return
        head = {"ledger_id": ledger_id, "dataset_id": dataset_id, "sequence": sequence, "hash": entry_hash}
        # The line break comes first as well: what a killed writer or a full disk left of a line must not take this one
        # with it.
        line = f"\n{strict_json.canonical(head)}\n".encode()
        self.end()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LedgerError(
                f"The ledger's new head cannot be added to {self._path} (set {VARIABLE} to use another): "
                f"{error.strerror}."
            ) from error

    def end(self) -> int:
        """Where the file ends now: taken before the ledger is read, because others go on writing to both."""
        if self._path is None:
            return 0
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._unreadable(error) from error
        if not stat.S_ISREG(found.st_mode):
            # A device keeps nothing, and a pipe would be waited for.
            raise self._damaged("it is a folder, a device or a pipe, and no file")
        return found.st_size

    def check(self, ledger_id: str, dataset_id: str, hash_at: Callable[[int], str | None], *, end: int) -> bool:
        """Checks that a dataset's log still holds the newest head that the file has of it.

        Args:
          ledger_id: The ledger.
          dataset_id: The dataset.
          hash_at: The hash of the dataset's entry of a number, or None.
          end: What `end` said before the ledger was read; later heads are not looked at.

        Returns:
          Whether the file has a head of it; without one nothing was checked.

        Raises:
          LedgerError: If it does not: the ledger is an old copy, or was rewritten. Or if the file is damaged.
        """
        try:
            found = list(itertools.islice(self._heads(ledger_id, dataset_id, end), _HEADS))
        except OSError as error:
            raise self._unreadable(error) from error
        if found:
            sequence, entry_hash = max(found)
            require_head(dataset_id, sequence, entry_hash, hash_at, f"the file of heads {self._path}")
        return bool(found)

    def _heads(self, ledger_id: str, dataset_id: str, end: int) -> Iterator[tuple[int, str]]:
        """A dataset's heads, from the last line up."""
        needle = f'"dataset_id":"{dataset_id}"'.encode()
        for line in self._lines(end):
            if needle not in line:
                continue
            try:
                found = strict_json.loads(line)
            except EvidenceError:
                continue  # half a line
            try:
                head = _Head.model_validate(found)
            except pydantic.ValidationError:
                # No part of a line can be read: this was written by somebody else, over a head or not.
                raise self._damaged("a line of it is no head") from None
            if (head.ledger_id, head.dataset_id) == (ledger_id, dataset_id):
                yield head.sequence, head.hash

    def _lines(self, end: int) -> Iterator[bytes]:
        """The file's lines from the last one up, so a long file costs no more than a short one."""
        if self._path is None or not end:
            return
        with self._path.open("rb") as file:
            rest = b""
            while end > 0:
                start = max(0, end - _BLOCK_BYTES)
                file.seek(start)
                first, *lines = (file.read(end - start) + rest).split(b"\n")
                yield from reversed(lines)
                end, rest = start, first
            yield rest

    def _damaged(self, why: str) -> LedgerError:
        return LedgerError(
            f"The ledger's file of heads {self._path} (set {VARIABLE} to use another) cannot be used: {why}. Restore it, or "
            "settle with the datasets' owners what it named."
        )

    def _unreadable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"The ledger's file of heads {self._path} (set {VARIABLE} to use another) cannot be read: {error.strerror}."
        )


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
        f"Entry {sequence} of dataset {dataset_id!r}, which {where} names, {state}: this ledger is an old copy, or was "
        "rewritten. Budget that was spent would be free again, so nothing is charged. Restore the newest copy, or "
        "settle what is missing with the dataset's owner."
    )
