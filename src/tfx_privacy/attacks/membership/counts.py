"""How many members and others have each score: all that AUC, advantage and true-positive rates depend on.

Scores are rounded to 11 bits of mantissa by the upper 20 bits of their float32, which keep its order. The bins do not
depend on the data, so counts of any parts of the data add up to the same integers in any order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

KEY_BITS = 20
_SHIFT = 32 - KEY_BITS
_SIGN = np.uint32(1 << 31)


@dataclasses.dataclass(frozen=True)
class Counts:
    """Records by score, side and fold.

    Attributes:
      values: Distinct scores (or their keys), ascending, of shape (num_values,).
      counts: int64 of shape (num_values, 2, 2): by side (0 members, 1 others) and fold.
    """

    values: np.ndarray
    counts: np.ndarray

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


def of_scores(
    members: np.ndarray,
    others: np.ndarray,
    member_folds: np.ndarray | None = None,
    other_folds: np.ndarray | None = None,
) -> Counts:
    """Counts of scores as they are, without rounding.

    Args:
      members: Scores of shape (num_members,).
      others: Scores of shape (num_nonmembers,).
      member_folds: 0 or 1 for every member; all 0 without it.
      other_folds: The same for the others.

    Returns:
      The counts.
    """
    values, where = np.unique(np.concatenate([members, others]), return_inverse=True)
    counts = np.zeros((len(values), 2, 2), np.int64)
    sides = np.repeat([0, 1], [len(members), len(others)])
    folds = [
        np.zeros(len(scores), np.int64) if given is None else given
        for scores, given in ((members, member_folds), (others, other_folds))
    ]
    np.add.at(counts, (where.ravel(), sides, np.concatenate(folds)), 1)
    return Counts(values, counts)


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
    return Counts(values[starts], np.add.reduceat(counts[order], starts, axis=0))


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
