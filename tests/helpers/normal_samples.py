"""Tests of whether numbers are a sample of noise."""

from __future__ import annotations

import numpy as np
from scipy import stats


def scale_is(sample: np.ndarray, standard_deviation: float, *, false_alarm: float) -> bool:
    """Two-sided chi-square test of the variance of a normal sample of known mean zero."""
    statistic = float(np.sum((np.asarray(sample, np.float64) / standard_deviation) ** 2))
    low, high = stats.chi2.ppf([false_alarm / 2, 1 - false_alarm / 2], len(sample))
    return bool(low < statistic < high)
