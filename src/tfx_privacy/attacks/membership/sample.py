"""The records with the smallest hashes: a sample that does not depend on how the data is split or ordered.

Hashes are salted, so the sample has nothing to do with what records are like. The sample of a whole is found among
the samples of its parts (a bottom-k sketch, Cohen and Kaplan 2007), also where it is cut by its size in bytes: a record
is kept if all records up to its hash fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

MAX_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class Sample:
    """Serialized records in order of their hashes.

    Attributes:
      hashes: uint64 of shape (num_records,), ascending.
      records: Serialized records, as many.
    """

    hashes: np.ndarray
    records: tuple[bytes, ...]

    @property
    def folds(self) -> np.ndarray:
        """0 or 1 for each record."""
        return folds_of(self.hashes)


def empty() -> Sample:
    """A sample of nothing."""
    return Sample(np.zeros(0, np.uint64), ())


def folds_of(hashes: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """0 or 1 for each record: the hash's lowest bit, while samples are taken by the highest ones.

    Args:
      hashes: Of the records, uint64 of shape (num_records,).
      groups: Of their groups, whose records are in one fold; None where every record stands for itself.
    """
    return ((hashes if groups is None else groups) & np.uint64(1)).astype(np.int64)


def smallest(parts: Sequence[Sample], size: int, max_bytes: int = MAX_BYTES) -> Sample:
    """The sample of all parts together.

    Args:
      parts: Samples of at least `size` and `max_bytes`, or all records, of each part.
      size: Records to keep at most.
      max_bytes: Bytes to keep at most, of serialized records.

    Returns:
      The records with the smallest hashes; equal ones in the order of their bytes.
    """
    hashes = np.concatenate([part.hashes for part in parts]) if parts else np.zeros(0, np.uint64)
    records = [record for part in parts for record in part.records]
    order = np.argsort(hashes, kind="stable")
    if len(order) > size:
        ascending = hashes[order]
        order = order[: int(np.searchsorted(ascending, ascending[size - 1], side="right"))]
    order = _ties_by_bytes(order, hashes, records)[:size]
    total = np.cumsum([len(records[index]) for index in order]) if len(order) else np.zeros(0)
    kept = order[: int(np.searchsorted(total, max_bytes, side="right"))]
    return Sample(hashes[kept], tuple(records[index] for index in kept))


def _ties_by_bytes(order: np.ndarray, hashes: np.ndarray, records: Sequence[bytes]) -> np.ndarray:
    """Puts records of one hash in the order of their bytes, so which of them are kept does not depend on the parts."""
    ascending = hashes[order]
    tied = np.flatnonzero(ascending[1:] == ascending[:-1]) if len(order) > 1 else np.zeros(0, np.int64)
    if not len(tied):
        return order
    return np.array(sorted(order.tolist(), key=lambda index: (int(hashes[index]), records[index])), np.int64)
