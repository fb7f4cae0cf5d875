"""Many tests at once: over attacks and slices, and over records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.membership.counts import Counts


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values that control the probability of any false alarm (Holm 1979), however the tests depend on each other.

    Args:
      p_values: Of each test, in [0, 1].

    Returns:
      float64 of the same length and order.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


@dataclasses.dataclass(frozen=True)
class RecordRisks:
    """How surprising each score is among non-members.

    Attributes:
      values: Distinct scores (or their keys), ascending, of shape (num_values,).
      p_values: Of a record with that score: (1 + number of non-members that score as high) / (1 + number of
        non-members).
      q_values: Smallest false-discovery rate at which it is called a member (Benjamini and Hochberg 1995).
    """

    values: np.ndarray
    p_values: np.ndarray
    q_values: np.ndarray


def record_risks(counts: Counts) -> RecordRisks:
    """The risk of members by their score: the population attack of Ye et al. (2022), https://arxiv.org/abs/2111.09679.

    The p-values are valid if a record that was no member would be exchangeable with the non-members;
    the false-discovery rate holds under the positive dependence that a common set of non-members
    brings (Bates et al. 2023).

    Args:
      counts: Of members and others.

    Returns:
      p- and q-values by score.
    """
    others, members = counts.others, counts.members
    as_high = others.sum() - np.cumsum(others) + others
    p_values = (1.0 + as_high) / (1.0 + others.sum())
    discovered = np.maximum(members.sum() - np.cumsum(members) + members, 1)
    rates = np.minimum(1.0, p_values * max(1, int(members.sum())) / discovered)
    # The smallest rate of any threshold at or below the score.
    return RecordRisks(counts.values, p_values, np.minimum.accumulate(rates))
