"""Whether a feature's values show that records were split by groups: they repeat within a side, and not across sides."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

SIGNIFICANCE = 1e-6
"""Probability, at most, that a feature of records that were split independently of each other looks like that."""
_LARGEST_SHARE_ON_BOTH = 0.05
# Groups that widen an interval by less than a fortieth are not worth a word.
_SMALLEST_GROUP_SIZE = 1.05


@dataclasses.dataclass(frozen=True)
class Repeats:
    """How a feature's values are spread.

    Attributes:
      num_repeated: Values that several sampled units have.
      num_on_both_sides: Those of them that units of both sides have.
    """

    num_repeated: int
    num_on_both_sides: int


def repeats(
    values: tuple[np.ndarray, np.ndarray], units: tuple[np.ndarray, np.ndarray], records: tuple[int, int]
) -> Repeats | None:
    """The repetitions of a feature, if they show groups.

    If units were put on the two sides independently of each other, a value of k units would be on one side alone with
    the probability p^k + (1 - p)^k. The number of values on both sides then is a sum of independent indicators, and
    one as small has the probability exp(s - E + s log(E / s)) at most (Chernoff 1952).

    Args:
      values: Of the sampled members and others, int64 of shapes (num_sampled,).
      units: What was put on a side as a whole: a known group, or the record itself.
      records: Of both sides, sampled or not.

    Returns:
      The repetitions; None where they are compatible with units on their own, or would hardly change an interval.
    """
    both = [
        np.unique(np.column_stack([side, unit.view(np.int64)]), axis=0)
        for side, unit in zip(values, units, strict=True)
    ]
    sizes = np.array([len(pairs) for pairs in both], np.float64)
    if not sizes.min() > 0:
        return None
    found, where = np.unique(np.concatenate([pairs[:, 0] for pairs in both]), return_inverse=True)
    sides = np.repeat([0, 1], [len(pairs) for pairs in both])
    table = np.zeros((len(found), 2), np.int64)
    np.add.at(table, (where.ravel(), sides), 1)
    times = table.sum(axis=1)
    repeated, on_both = times >= 2, (table > 0).all(axis=1)
    share = float(sizes[0] / sizes.sum())
    expected = float((1.0 - share ** times[repeated] - (1.0 - share) ** times[repeated]).sum())
    straddling = int(on_both.sum())
    if not (
        straddling <= _LARGEST_SHARE_ON_BOTH * expected and _log_tail(straddling, expected) <= math.log(SIGNIFICANCE)
    ):
        return None
    if (
        not max(_group_size(table[:, side], len(values[side]), records[side]) for side in (0, 1))
        >= _SMALLEST_GROUP_SIZE
    ):
        return None
    return Repeats(int(repeated.sum()), straddling)


def _log_tail(successes: int, expected: float) -> float:
    return successes - expected + (successes * math.log(expected / successes) if successes else 0.0)


def _group_size(times: np.ndarray, sampled: int, total: int) -> float:
    """Sum of squares of the groups' sizes over the number of units, before a part of the records was drawn."""
    pairs = float((times * (times - 1.0)).sum())
    return 1.0 + pairs / max(float(times.sum()), 1.0) * max(total, sampled) / max(sampled, 1)
