"""How many members and others have each score: all that AUC, advantage and true-positive rates depend on.

Scores are rounded to 11 bits of mantissa by the upper 20 bits of their float32, which keep its order. The bins do not
depend on the data, so counts of any parts of the data add up to the same integers in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_privacy.errors import InternalError

KEY_BITS = 20
_SHIFT = 32 - KEY_BITS
_SIGN = np.uint32(1 << 31)


NUM_BUCKETS = 128
"""Groups of records (people) are put into so many buckets by their hashes; the lowest bit of the bucket is the fold."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Records by score, side and bucket of groups, where records belong to groups.

    Attributes:
      places: Index of the score among the values, ascending, of shape (num_cells,).
      slots: side * NUM_BUCKETS + bucket of each cell, ascending within one place.
      numbers: Records of each cell, positive.
    """

    places: np.ndarray
    slots: np.ndarray
    numbers: np.ndarray

    def where(self, mask: np.ndarray) -> Cells:
        """The cells of a mask."""
        return Cells(self.places[mask], self.slots[mask], self.numbers[mask])


@dataclasses.dataclass(frozen=True)
class Counts:
    """Records by score, side and fold.

    Attributes:
      values: Distinct scores (or their keys), ascending, of shape (num_values,).
      counts: int64 of shape (num_values, 2, 2): by side (0 members, 1 others) and fold.
      cells: The same by bucket of groups; None where every record stands for itself.
    """

    values: np.ndarray
    counts: np.ndarray
    cells: Cells | None = None

    @property
    def members(self) -> np.ndarray:
        """Members by value, both folds."""
        return self.counts[:, 0].sum(axis=1)

    @property
    def others(self) -> np.ndarray:
        """Non-members by value, both folds."""
        return self.counts[:, 1].sum(axis=1)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of members and of others."""
        members, others = self.counts.sum(axis=(0, 2))
        return int(members), int(others)

    def of_fold(self, fold: int) -> Counts:
        """The records of one fold alone."""
        only = np.zeros_like(self.counts)
        only[:, :, fold] = self.counts[:, :, fold]
        cells = None if self.cells is None else self.cells.where(self.cells.slots % 2 == fold)
        return Counts(self.values, only, cells)


def of_scores(
    members: np.ndarray,
    others: np.ndarray,
    member_folds: np.ndarray | None = None,
    other_folds: np.ndarray | None = None,
    *,
    buckets: tuple[np.ndarray, np.ndarray] | None = None,
) -> Counts:
    """Counts of scores as they are, without rounding.

    Args:
      members: Scores of shape (num_members,).
      others: Scores of shape (num_nonmembers,).
      member_folds: 0 or 1 for every member; all 0 without it.
      other_folds: The same for the others.
      buckets: `buckets_of` every member's and every other's group; they give the folds.

    Returns:
      The counts.
    """
    values, where = np.unique(np.concatenate([members, others]), return_inverse=True)
    sides = np.repeat([0, 1], [len(members), len(others)])
    if buckets is not None:
        return of_buckets(values, where.ravel(), sides, np.concatenate(buckets), np.ones(len(where.ravel()), np.int64))
    counts = np.zeros((len(values), 2, 2), np.int64)
    folds = [
        np.zeros(len(scores), np.int64) if given is None else given
        for scores, given in ((members, member_folds), (others, other_folds))
    ]
    np.add.at(counts, (where.ravel(), sides, np.concatenate(folds)), 1)
    return Counts(values, counts)


def of_buckets(
    values: np.ndarray, places: np.ndarray, sides: np.ndarray, buckets: np.ndarray, numbers: np.ndarray
) -> Counts:
    """Counts of records that belong to groups.

    Args:
      values: Distinct scores or keys, ascending.
      places: Index into them of each entry.
      sides: Its side.
      buckets: Its bucket.
      numbers: Records of each entry.

    Returns:
      The counts, the same for every order and division of the entries.
    """
    counts = np.zeros((len(values), 2, 2), np.int64)
    np.add.at(counts, (places, sides, buckets % 2), numbers)
    return Counts(values, counts, _cells(places, sides * NUM_BUCKETS + buckets, numbers))


def _cells(places: np.ndarray, slots: np.ndarray, numbers: np.ndarray) -> Cells:
    keys, where = np.unique(places.astype(np.int64) * (2 * NUM_BUCKETS) + slots, return_inverse=True)
    total = np.zeros(len(keys), np.int64)
    np.add.at(total, where.ravel(), numbers)
    return Cells(keys // (2 * NUM_BUCKETS), keys % (2 * NUM_BUCKETS), total)


def buckets_of(groups: np.ndarray) -> np.ndarray:
    """The bucket of each group's hash: int64 below `NUM_BUCKETS`, of the same shape."""
    return (groups & np.uint64(NUM_BUCKETS - 1)).astype(np.int64)


def merged(parts: Sequence[Counts]) -> Counts:
    """The sum of several counts; the same for every order and grouping."""
    if len(parts) == 1:
        return parts[0]
    values = np.concatenate([part.values for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.int64)
    if not len(starts):
        return parts[0]
    distinct = values[starts]
    return Counts(distinct, np.add.reduceat(counts[order], starts, axis=0), _merged_cells(parts, distinct))


def _merged_cells(parts: Sequence[Counts], values: np.ndarray) -> Cells | None:
    found = [(part.values, part.cells) for part in parts if part.cells is not None]
    if not found:
        return None
    if len(found) < len(parts):
        raise InternalError("Counts with groups of records do not add up with counts without.")
    return _cells(
        np.concatenate([np.searchsorted(values, own)[cells.places] for own, cells in found]),
        np.concatenate([cells.slots for _, cells in found]),
        np.concatenate([cells.numbers for _, cells in found]),
    )


def keys_of(scores: np.ndarray) -> np.ndarray:
    """Scores as integers of 20 bits in the same order; equal for scores that round to the same 11 bits of mantissa.

    Args:
      scores: Finite floats of any shape; beyond float32's range they count as its largest number.

    Returns:
      int64 of the same shape.
    """
    largest = np.finfo(np.float32).max
    bits = (np.clip(scores, -largest, largest).astype(np.float32) + np.float32(0.0)).view(np.uint32)
    return (np.where(bits & _SIGN, ~bits, bits | _SIGN) >> _SHIFT).astype(np.int64)


def scores_of(keys: np.ndarray) -> np.ndarray:
    """The smallest score of each key, as float64."""
    bits = np.asarray(keys).astype(np.uint32) << _SHIFT
    return np.where(bits & _SIGN, bits & ~_SIGN, ~bits).astype(np.uint32).view(np.float32).astype(np.float64)
