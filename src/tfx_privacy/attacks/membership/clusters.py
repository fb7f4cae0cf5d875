"""How much wider an interval must be because records belong to groups, such as the records of one person.

Records of a group are alike, so a thousand of them say less than a thousand people would. Groups are independent of each
other, and so are buckets of groups that a hash has drawn (the random groups of Wolter 2007, Introduction to Variance
Estimation, Chapter 2): the spread of a statistic's sums by bucket shows its true variance, of any correlation within
groups, and needs a bounded memory. For the AUC this is the variance of Obuchowski (1997), "Nonparametric analysis of
clustered ROC curve data", Section 2, https://doi.org/10.2307/2533958: DeLong's components, summed by cluster.

A design effect is the ratio to the variance of as many independent records (Kish 1965, Survey Sampling, Section 8.2), at
least 1: naming groups never makes an interval narrower. The spread of few buckets is itself uncertain, so quantiles are
Student's; for shares the effective number of records has the same correction (Korn and Graubard 1998, Survey
Methodology 24(2), Section 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.membership.counts import NUM_BUCKETS, Counts

MIN_GROUPS = consistency.FEWEST_GROUPS


def num_groups(counts: Counts, side: int) -> float:
    """The effective number of groups of one side: n^2 / (sum of squares of their sizes), n where each has one record.

    Estimated from the sizes of the buckets, of which the squares' sum has the mean sum of m_i^2 (1 - 1/B) + n^2 / B.

    Args:
      counts: With or without groups.
      side: 0 members, 1 others.
    """
    total = counts.sizes[side]
    if counts.cells is None or not total:
        return float(total)
    return total / _group_size(_sizes(counts)[side])


def has_enough_groups(counts: Counts) -> bool:
    """Whether both sides have groups enough for intervals; true where records stand for themselves."""
    return counts.cells is None or min(num_groups(counts, side) for side in (0, 1)) >= MIN_GROUPS


def freedom(strata: Sequence[Counts]) -> float:
    """Degrees of freedom of a variance between buckets; infinite without groups. Buckets that hold more count for more."""
    if strata[0].cells is None:
        return math.inf
    total = np.sum([_sizes(counts) for counts in strata], axis=0)
    return max(min(_effective(sizes) for sizes in total) - 1.0, 1.0)


def design_effect(strata: Sequence[Counts], weights: Sequence[tuple[np.ndarray, np.ndarray]], variance: float) -> float:
    """The design effect of a statistic that is a sum over records, to which a group may add in several strata.

    Args:
      strata: Counts of each, all with groups or all without.
      weights: What a record of each side adds in each stratum, by value: arrays of shape (num_values,), with mean 0
        over the side.
      variance: The statistic's for independent records.

    Returns:
      At least 1; the effective size of a group where the variance is 0, which shows no spread.
    """
    if strata[0].cells is None:
        return 1.0
    if not variance > 0.0:
        return max(_group_size(sizes) for counts in strata for sizes in _sizes(counts))
    sums = np.sum([_bucket_sums(counts, own) for counts, own in zip(strata, weights, strict=True)], axis=0)
    return max(1.0, float((sums**2).sum()) * _correction(strata) / variance)


def of_share(counts: Counts, side: int, above: np.ndarray) -> float:
    """The design effect of a share of one side's records.

    Args:
      counts: Of members and others.
      side: 0 members, 1 others.
      above: Which share of each value's records counts, in [0, 1], of shape (num_values,).
    """
    own, total = (counts.members, counts.others)[side], counts.sizes[side]
    share = float(own @ above) / total
    weights = [np.zeros(len(own)), np.zeros(len(own))]
    weights[side] = (above - share) / total
    if counts.cells is not None and not 0.0 < share < 1.0:
        return _group_size(_sizes(counts)[side])
    return design_effect((counts,), ((weights[0], weights[1]),), float(own @ weights[side] ** 2))


def inflation(strata: Sequence[Counts], effect: float, tail: float) -> float:
    """A design effect, with the square of the ratio of Student's quantile to the normal one at a tail."""
    if strata[0].cells is None:
        return 1.0
    return effect * float((stats.t.isf(tail, freedom(strata)) / stats.norm.isf(tail)) ** 2)


def _bucket_sums(counts: Counts, weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """What the records of each bucket add up to, of shape (NUM_BUCKETS,)."""
    cells = counts.cells
    assert cells is not None
    sides, buckets = np.divmod(cells.slots, NUM_BUCKETS)
    of_record = np.where(sides == 0, weights[0][cells.places], weights[1][cells.places])
    return np.bincount(buckets, weights=cells.numbers * of_record, minlength=NUM_BUCKETS)


def _correction(strata: Sequence[Counts]) -> float:
    """B / (B - 1), of the buckets that hold records of these strata."""
    used = len(_used(np.sum([_sizes(counts).sum(axis=0) for counts in strata], axis=0)))
    return used / (used - 1)


def _sizes(counts: Counts) -> np.ndarray:
    """Records by side and bucket, of shape (2, NUM_BUCKETS)."""
    assert counts.cells is not None
    found = np.bincount(counts.cells.slots, weights=counts.cells.numbers, minlength=2 * NUM_BUCKETS)
    return found.reshape(2, NUM_BUCKETS)


def _group_size(sizes: np.ndarray) -> float:
    """The sum of squares of groups' sizes over the number of records, from the sizes of their buckets; at least 1."""
    used = _used(sizes)
    total = float(used.sum())
    if not total or len(used) < 2:
        return max(total, 1.0)
    squares = (float((used**2).sum()) - total**2 / len(used)) / (1.0 - 1.0 / len(used))
    return min(max(squares / total, 1.0), max(total, 1.0))


def _effective(sizes: np.ndarray) -> float:
    total = float(sizes.sum())
    return total**2 / float((sizes**2).sum()) if total else 0.0


def _used(sizes: np.ndarray) -> np.ndarray:
    """All buckets, or those of the one fold that has records."""
    folds = [sizes[fold::2] for fold in (0, 1) if sizes[fold::2].any()]
    return folds[0] if len(folds) == 1 else sizes
