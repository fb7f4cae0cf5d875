"""AUC against non-members that are weighted to look like members, by bootstrap (Efron 1979); a help where splits differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.evaluation import Interval
from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import NUM_BUCKETS

_REPLICATES = 200
# Weights beyond this many times the mean would rest on a handful of records.
_LARGEST_WEIGHT = 20.0


def auc_interval(
    scores: tuple[np.ndarray, np.ndarray],
    odds: np.ndarray,
    buckets: tuple[np.ndarray, np.ndarray] | None,
    *,
    confidence_level: float,
) -> Interval:
    """The weighted AUC, and quantiles of its replicates; no narrower than records of the weights' effective number show.

    Where an attack tells nearly all members, or a few others have all the weight, replicates hardly differ.

    Args:
      scores: Of members and others.
      odds: Log-odds of membership of each other record, by what it looks like.
      buckets: Of the groups of members and others, which are drawn as wholes; None draws records.
      confidence_level: Of the two-sided interval.

    Returns:
      The interval.
    """
    weights = np.exp(np.clip(odds, -30.0, 30.0))
    weights = np.minimum(weights / weights.mean(), _LARGEST_WEIGHT)
    random = np.random.default_rng(0)
    found = [_auc(scores, weights, _drawn(random, scores, buckets)) for _ in range(_REPLICATES)]
    tail = (1.0 - confidence_level) / 2
    estimate = _auc(scores, weights, [np.arange(len(side)) for side in scores])
    low, high = (float(value) for value in np.quantile(found, (tail, 1.0 - tail)))
    # Of Kish (1965), Survey Sampling, Section 11.7.
    effective = max(1, int(weights.sum() ** 2 / (weights**2).sum()))
    least = statistics.least_interval(estimate, (len(scores[0]), effective), confidence_level=confidence_level)
    return Interval(estimate=estimate, low=min(low, least.low), high=max(high, least.high))


def _drawn(
    random: np.random.Generator, scores: tuple[np.ndarray, np.ndarray], buckets: tuple[np.ndarray, np.ndarray] | None
) -> list[np.ndarray]:
    """Records of each side, drawn with replacement; those of one bucket together, on both sides."""
    if buckets is None:
        return [random.integers(0, len(side), len(side)) for side in scores]
    times = np.bincount(random.integers(0, NUM_BUCKETS, NUM_BUCKETS), minlength=NUM_BUCKETS)
    drawn = [np.repeat(np.arange(len(side)), times[side]) for side in buckets]
    return [rows if len(rows) else np.arange(len(side)) for rows, side in zip(drawn, buckets, strict=True)]


def _auc(scores: tuple[np.ndarray, np.ndarray], weights: np.ndarray, chosen: Sequence[np.ndarray]) -> float:
    inside, outside, weight = scores[0][chosen[0]], scores[1][chosen[1]], weights[chosen[1]]
    order = np.argsort(outside)
    mass = np.r_[0.0, np.cumsum(weight[order])]
    below = mass[np.searchsorted(outside[order], inside, side="left")]
    not_above = mass[np.searchsorted(outside[order], inside, side="right")]
    return float(np.clip((below + not_above).mean() / 2 / mass[-1], 0.0, 1.0))
