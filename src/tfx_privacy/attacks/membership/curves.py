"""What pictures of an attack need: its ROC on a grid of false-positive rates, and how scores are spread."""

from __future__ import annotations

import numpy as np

from tfx_privacy.attacks.evaluation import Curve
from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import Counts, scores_of

_BINS = 40
_LOWEST_RATE = 1e-4
_POINTS_PER_DECADE = 12


def of_counts(attack: str, counts: Counts, confidence_level: float) -> Curve:
    """The curve of one attack.

    Args:
      attack: Its name.
      counts: Of members and others; integer values are keys of scores.
      confidence_level: Of the pointwise band.

    Returns:
      The curve.
    """
    rates = _grid(counts.sizes[1])
    found = [
        statistics.tpr_interval(counts, false_positive_rate=float(rate), confidence_level=confidence_level)
        for rate in rates
    ]
    edges, shares = _histogram(counts)
    return Curve(
        attack=attack,
        false_positive_rate=[float(rate) for rate in rates],
        true_positive_rate=[interval.estimate for interval in found],
        true_positive_rate_low=[interval.low for interval in found],
        true_positive_rate_high=[interval.high for interval in found],
        score_edges=[float(edge) for edge in edges],
        member_share=[float(share) for share in shares[0]],
        nonmember_share=[float(share) for share in shares[1]],
    )


def _grid(num_nonmembers: int) -> np.ndarray:
    """Rates from the lowest that so many non-members can show up to nearly one."""
    lowest = max(_LOWEST_RATE, 1.0 / max(num_nonmembers, 2))
    points = max(2, int(np.ceil(-np.log10(lowest) * _POINTS_PER_DECADE)))
    return np.concatenate([np.geomspace(lowest, 0.5, points), np.linspace(0.55, 0.99, 9)])


def _histogram(counts: Counts) -> tuple[np.ndarray, list[np.ndarray]]:
    scores = scores_of(counts.values) if counts.values.dtype.kind in "iu" else counts.values
    total = counts.members + counts.others
    cumulated = np.cumsum(total) / total.sum()
    low, high = (
        float(scores[min(int(np.searchsorted(cumulated, share)), len(scores) - 1)]) for share in (0.005, 0.995)
    )
    if not high > low:
        high = low + max(abs(low), 1.0) * 1e-6
    edges = np.linspace(low, high, _BINS + 1)
    where = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, _BINS - 1)
    shares = []
    for side in (counts.members, counts.others):
        filled = np.bincount(where, weights=side, minlength=_BINS) / max(int(side.sum()), 1)
        shares.append(np.clip(filled, 0.0, 1.0))
    return edges, shares
