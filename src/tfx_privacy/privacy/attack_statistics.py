"""AUC, advantage and TPR of an attack, each with its interval.

Members are the positive class: scores are higher for them.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special, stats

from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.evaluation import Interval

# Of a test at 5 % (one-sided) with a power of 80 %.
_DETECTION_Z = 1.6449 + 0.8416


def auc_interval(members: np.ndarray, nonmembers: np.ndarray, *, confidence_level: float) -> Interval:
    """AUC with DeLong's variance on the logit scale.

    DeLong et al. (1988), in the form of midranks of Sun and Xu (2014); the logit keeps the interval inside (0, 1) and its coverage
    for small samples. Where the sides are perfectly separated the variance vanishes: the bound is then that of Clopper and
    Pearson for as many successes as the smaller side has records.

    Args:
      members: Scores of shape (num_members,).
      nonmembers: Scores of shape (num_nonmembers,).
      confidence_level: Of the two-sided interval, in (0, 1).

    Returns:
      The interval; ties count one half.

    Raises:
      EvidenceError: If a side is empty or a score is not finite (none is dropped).
    """
    _require_finite(members, nonmembers)
    n1, n0 = len(members), len(nonmembers)
    ranks = stats.rankdata(np.concatenate([members, nonmembers]))
    of_members = (ranks[:n1] - stats.rankdata(members)) / n0
    of_nonmembers = 1.0 - (ranks[n1:] - stats.rankdata(nonmembers)) / n1
    auc = float(of_members.mean())
    alpha = 1.0 - confidence_level
    if auc <= 0.0 or auc >= 1.0:
        bound = float((alpha / 2) ** (1.0 / min(n1, n0)))
        return (
            Interval(estimate=1.0, low=bound, high=1.0)
            if auc >= 1.0
            else Interval(estimate=0.0, low=0.0, high=1.0 - bound)
        )
    if min(n1, n0) < 2:
        return Interval(estimate=auc, low=0.0, high=1.0)
    variance = of_members.var(ddof=1) / n1 + of_nonmembers.var(ddof=1) / n0
    half_width = stats.norm.ppf(1 - alpha / 2) * math.sqrt(variance) / (auc * (1 - auc))
    low, high = special.expit(special.logit(auc) + np.array([-half_width, half_width]))
    return Interval(estimate=auc, low=min(float(low), auc), high=max(float(high), auc))


def advantage_interval(
    members: np.ndarray,
    nonmembers: np.ndarray,
    member_folds: np.ndarray,
    nonmember_folds: np.ndarray,
    *,
    confidence_level: float,
) -> Interval | None:
    """Membership advantage, TPR - FPR, without the upward bias of a maximum over thresholds.

    The threshold is chosen on one half of the records and measured on the other, in both directions.

    Args:
      members: Scores of shape (num_members,).
      nonmembers: Scores of shape (num_nonmembers,).
      member_folds: 0 or 1 for every member, from a hash of the record.
      nonmember_folds: The same for the others.
      confidence_level: Of the two-sided interval.

    Returns:
      The interval, or None where a half is empty.
    """
    estimates, variances = [], []
    for chosen_on, measured_on in ((0, 1), (1, 0)):
        training = members[member_folds == chosen_on], nonmembers[nonmember_folds == chosen_on]
        testing = members[member_folds == measured_on], nonmembers[nonmember_folds == measured_on]
        if min(len(side) for side in (*training, *testing)) == 0:
            return None
        threshold = _best_threshold(*training)
        rates = [float(np.mean(side > threshold)) for side in testing]
        estimates.append(rates[0] - rates[1])
        # One success and one failure more, so that a rate of 0 or 1 has a variance too (Agresti and Caffo 2000).
        smoothed = [(rate * len(side) + 1) / (len(side) + 2) for rate, side in zip(rates, testing, strict=True)]
        variances.append(sum(p * (1 - p) / (len(side) + 2) for p, side in zip(smoothed, testing, strict=True)))
    estimate = sum(estimates) / 2
    half_width = float(stats.norm.ppf((1 + confidence_level) / 2)) * math.sqrt(sum(variances)) / 2
    return Interval(estimate=estimate, low=max(-1.0, estimate - half_width), high=min(1.0, estimate + half_width))


def tpr_interval(
    members: np.ndarray, nonmembers: np.ndarray, *, false_positive_rate: float, confidence_level: float
) -> Interval | None:
    """TPR at a low FPR, with the interval of Clopper and Pearson over the members.

    Args:
      members: Scores of shape (num_members,).
      nonmembers: Scores of shape (num_nonmembers,).
      false_positive_rate: Share of the non-members that may score above the threshold.
      confidence_level: Of the two-sided interval; the threshold is taken as given.

    Returns:
      The interval, or None where fewer than 10 non-members may lie above the threshold.
    """
    allowed = math.floor(false_positive_rate * len(nonmembers) + 1e-9)
    if allowed < 10 or not len(members):
        return None
    threshold = np.partition(nonmembers, len(nonmembers) - allowed - 1)[len(nonmembers) - allowed - 1]
    hits, total, alpha = int(np.sum(members > threshold)), len(members), 1 - confidence_level
    low = 0.0 if hits == 0 else float(stats.beta.ppf(alpha / 2, hits, total - hits + 1))
    high = 1.0 if hits == total else float(stats.beta.ppf(1 - alpha / 2, hits + 1, total - hits))
    return Interval(estimate=hits / total, low=low, high=high)


def minimum_detectable_auc(num_members: int, num_nonmembers: int) -> float:
    """The smallest AUC that a one-sided test at 5 % finds in 80 % of cases, for sides of these sizes."""
    if not min(num_members, num_nonmembers):
        return 1.0
    return min(1.0, 0.5 + _DETECTION_Z * math.sqrt((1 / num_members + 1 / num_nonmembers) / 12))


def _best_threshold(members: np.ndarray, nonmembers: np.ndarray) -> float:
    """The observed score above which TPR - FPR is largest."""
    values = np.unique(np.concatenate([members, nonmembers]))
    tpr = 1.0 - np.searchsorted(np.sort(members), values, side="right") / len(members)
    fpr = 1.0 - np.searchsorted(np.sort(nonmembers), values, side="right") / len(nonmembers)
    return float(values[np.argmax(tpr - fpr)])


def _require_finite(members: np.ndarray, nonmembers: np.ndarray) -> None:
    if not (len(members) and len(nonmembers)):
        raise EvidenceError(f"There are {len(members)} members and {len(nonmembers)} non-members; both are needed.")
    bad = int(np.sum(~np.isfinite(members))) + int(np.sum(~np.isfinite(nonmembers)))
    if bad:
        raise EvidenceError(f"{bad} scores are not finite; the model's outputs are NaN or infinite for these records.")
