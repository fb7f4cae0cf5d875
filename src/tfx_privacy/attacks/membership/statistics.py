"""AUC, advantage and true-positive rates of an attack, each with its interval, from counts.

Members are the positive class: scores are higher for them. Equal scores count one half. Where counts say which group
(person) records belong to, every variance and number of records is corrected for that, by clusters.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.evaluation import Interval, TprAtFpr
from tfx_privacy.attacks.membership import clusters
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.errors import EvidenceError

# Of a test at 5 % (one-sided) with a power of 80 %.
_DETECTION_Z = 1.6449 + 0.8416
# Below, a threshold rests on too few non-members to be worth a number.
MIN_ABOVE_THRESHOLD = 10


def auc_interval(counts: Counts, *, confidence_level: float) -> Interval:
    """AUC with DeLong's variance on the logit scale.

    DeLong et al. (1988), in the form of midranks of Sun and Xu (2014); the logit keeps the interval inside (0, 1) and
    its coverage for small samples. Where nearly all scores are equal the variance is at least
    that of one record more on each side (`consistency.least_variance`): n equal scores do not show that there is no
    other. Scores of two values only (is the model right?) are two proportions, whose
    difference has the interval of Agresti and Caffo (2000). Where the sides are perfectly separated the variance
    vanishes: the bound is then that of Clopper and Pearson for as many successes as the smaller side has records.

    Args:
      counts: Of members and others.
      confidence_level: Of the two-sided interval, in (0, 1).

    Returns:
      The interval.

    Raises:
      EvidenceError: If a side is empty.
    """
    auc, variance = auc_and_variance(counts)
    n1, n0 = counts.sizes
    alpha = 1.0 - confidence_level
    inflation = _inflation((counts,), np.ones(1), alpha / 2)
    if len(counts.values) <= 2:
        return _of_two_values(counts, auc, inflation, confidence_level)
    if auc <= 0.0 or auc >= 1.0:
        return _of_separated(auc, min(clusters.num_groups(counts, side) for side in (0, 1)), confidence_level)
    if min(n1, n0) < 2:
        return Interval(estimate=auc, low=0.0, high=1.0)
    return _on_logit_scale(auc, max(variance * inflation, _least_variance(auc, counts.sizes)), confidence_level)


def stratified_auc_interval(
    strata: Sequence[Counts], *, confidence_level: float, independent: bool = True
) -> Interval | None:
    """Mean of the strata's AUCs, weighted by their numbers of pairs: only records of one stratum are compared.

    Args:
      strata: Counts of each; those without records on both sides are left out.
      confidence_level: Of the two-sided interval.
      independent: Whether the strata's AUCs are. Those of the two folds of a cross-fitted classifier are not: if both
        folds have the same accidental pattern, each classifier finds it in the other fold. The interval then allows for
        any correlation.

    Returns:
      The interval, or None where no stratum has two records on each side.
    """
    judged = [counts for counts in strata if min(counts.sizes) >= 2]
    if not judged:
        return None
    pairs = np.array([float(n1) * n0 for n1, n0 in (counts.sizes for counts in judged)])
    weights = pairs / pairs.sum()
    found = [auc_and_variance(counts) for counts in judged]
    auc = float(sum(weight * value for weight, (value, _) in zip(weights, found, strict=True)))
    # A stratum whose scores are constant or separated perfectly has no variance: it gets that of the null.
    variances = [
        variance if 0.0 < value < 1.0 and variance > 0.0 else (sum(counts.sizes) + 1) / (12.0 * math.prod(counts.sizes))
        for counts, (value, variance) in zip(judged, found, strict=True)
    ]
    variance = _variance_of_mean(weights, judged, variances, independent=independent, tail=(1.0 - confidence_level) / 2)
    if auc <= 0.0 or auc >= 1.0:
        half = float(stats.norm.ppf((1 + confidence_level) / 2)) * math.sqrt(variance)
        return Interval(estimate=auc, low=max(0.0, auc - half), high=min(1.0, auc + half))
    sizes = np.sum([counts.sizes for counts in judged], axis=0)
    return _on_logit_scale(auc, max(variance, _least_variance(auc, sizes)), confidence_level)


def auc_and_variance(counts: Counts) -> tuple[float, float]:
    """AUC and DeLong's estimate of its variance.

    Raises:
      EvidenceError: If a side is empty.
    """
    members, others = counts.members, counts.others
    n1, n0 = int(members.sum()), int(others.sum())
    if not min(n1, n0) > 0:
        raise EvidenceError(f"There are {n1} members and {n0} non-members with a score; both are needed.")
    beaten, beating = _placements(counts)
    auc = float(members @ beaten) / n1
    if min(n1, n0) < 2:
        return auc, math.inf
    variance = float(members @ (beaten - auc) ** 2) / (n1 - 1) / n1
    variance += float(others @ (beating - auc) ** 2) / (n0 - 1) / n0
    return auc, variance


def _placements(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Of each value: the share of the others that a member with it beats, and of the members that beat a non-member with it."""
    members, others = counts.members, counts.others
    n1, n0 = counts.sizes
    beaten = (np.cumsum(others) - 0.5 * others) / n0
    beating = (n1 - np.cumsum(members) + 0.5 * members) / n1
    return beaten, beating


def null_variance(counts: Counts) -> float:
    """Variance of the AUC if membership has nothing to do with the score: Mann and Whitney (1947), corrected for ties."""
    n1, n0 = counts.sizes
    total = n1 + n0
    ties = (counts.members + counts.others).astype(np.float64)
    correction = float((ties**3 - ties).sum()) / (float(total) * (total - 1)) if total > 1 else 0.0
    return (total + 1 - correction) / (12.0 * n1 * n0)


def p_value(strata: Sequence[Counts], *, independent: bool = True) -> float:
    """Two-sided, of AUC = 1/2 in every stratum, by the normal approximation of the test of Mann and Whitney (van Elteren 1960).

    Args:
      strata: Counts of each, of which only records of one stratum are compared; those with an empty side are left out.
      independent: As of `stratified_auc_interval`.

    Returns:
      The probability of an AUC as far from one half if membership has nothing to do with the score; 1.0 if nothing can
      be compared, or scores are constant. With groups, by Student's distribution of the variance between buckets.
    """
    judged = [counts for counts in strata if min(counts.sizes) > 0]
    pairs = np.array([float(n1) * n0 for n1, n0 in (counts.sizes for counts in judged)])
    variances = [null_variance(counts) for counts in judged]
    variance = _variance_of_mean(pairs, judged, variances, independent=independent)
    if not variance > 0.0:
        return 1.0
    freedom = clusters.freedom(judged) if independent else min(clusters.freedom((counts,)) for counts in judged)
    excess = sum(share * (auc_and_variance(counts)[0] - 0.5) for share, counts in zip(pairs, judged, strict=True))
    return float(2.0 * stats.t.sf(abs(excess) / math.sqrt(variance), freedom))


def advantage_interval(counts: Counts, *, confidence_level: float) -> Interval | None:
    """Membership advantage, TPR - FPR, without the upward bias of a maximum over thresholds.

    The threshold is chosen on one fold of the records and measured on the other, in both directions.

    Args:
      counts: Of members and others by fold.
      confidence_level: Of the two-sided interval.

    Returns:
      The interval, or None where a side has no record in a fold.
    """
    estimates, variances = [], []
    if not counts.counts.sum(axis=0).min() > 0:
        return None
    for chosen_on, measured_on in ((0, 1), (1, 0)):
        training, testing = counts.counts[:, :, chosen_on], counts.counts[:, :, measured_on]
        best = int(np.argmax(_share_above(training[:, 0]) - _share_above(training[:, 1])))
        sizes = testing.sum(axis=0)
        rates = testing[best + 1 :].sum(axis=0) / sizes
        estimates.append(float(rates[0] - rates[1]))
        # One success and one failure more, so a rate of 0 or 1 has a variance too (Agresti and Caffo 2000).
        smoothed = (rates * sizes + 1) / (sizes + 2)
        variance = float((smoothed * (1 - smoothed) / (sizes + 2)).sum())
        effect = _design_effect_of_difference(counts.of_fold(measured_on), best)
        variances.append(
            variance * clusters.inflation((counts.of_fold(measured_on),), effect, (1 - confidence_level) / 2)
        )
    estimate = sum(estimates) / 2
    half_width = float(stats.norm.ppf((1 + confidence_level) / 2)) * math.sqrt(sum(variances)) / 2
    return Interval(estimate=estimate, low=max(-1.0, estimate - half_width), high=min(1.0, estimate + half_width))


def tpr_intervals(counts: Counts, rates: Sequence[float], *, confidence_level: float) -> list[TprAtFpr]:
    """`tpr_interval` at each rate for which enough non-members lie above the threshold."""
    found = []
    for rate in rates:
        if math.floor(rate * _independent(counts, 1, rate) + 1e-9) >= MIN_ABOVE_THRESHOLD:
            interval = tpr_interval(counts, false_positive_rate=rate, confidence_level=confidence_level)
            found.append(TprAtFpr(false_positive_rate=rate, tpr=interval))
    return found


def tpr_interval(counts: Counts, *, false_positive_rate: float, confidence_level: float) -> Interval:
    """TPR at a false-positive rate; the interval counts both sides' chance.

    The members above a threshold have the interval of Clopper and Pearson (1934). The threshold is an order
    statistic of the non-members: one with so few of them above it that its true rate is at most the stated one
    bounds the TPR from below, one with so many that it is at least that bounds it from above. Each of the four ends
    has a quarter of the error. Equal scores are ordered by lot, as in the AUC: where 60 % of all records share the highest
    score, as those that the model has right, an attacker at 0.1 % names 1 in 600 of them, and not all.

    Args:
      counts: Of members and others, neither empty.
      false_positive_rate: Share of non-members above the threshold, in (0, 1).
      confidence_level: Of the two-sided interval.

    Returns:
      The interval; its estimate is at the threshold with at most that share of these non-members above it.
    """
    n1, n0 = counts.sizes
    alpha = 1.0 - confidence_level
    # With groups, of as many non-members as their design effect leaves; then scaled to the number that was counted.
    independent = _independent(counts, 1, false_positive_rate, tail=alpha / 4)
    size, scale = int(independent), n0 / max(int(independent), 1)
    fewest = int(stats.binom.ppf(alpha / 4, size, false_positive_rate)) - 1
    most = int(stats.binom.isf(alpha / 4, size, false_positive_rate)) + 1
    middle = _shares_above(counts.others, math.floor(false_positive_rate * n0 + 1e-9))
    lowest = _shares_above(counts.others, math.floor(fewest * scale + 1e-9))
    highest = _shares_above(counts.others, math.ceil(most * scale - 1e-9), exceeding=True)
    estimate = float(counts.members @ middle) / n1
    low, high = (
        _share_bound(counts, lowest, alpha / 4, upper=False),
        _share_bound(counts, highest, alpha / 4, upper=True),
    )
    return Interval(estimate=estimate, low=min(low, estimate), high=max(high, estimate))


def _shares_above(others: np.ndarray, allowed: int, *, exceeding: bool = False) -> np.ndarray:
    """Which share of the records of each value is above a threshold, if a lot orders those of one value.

    Args:
      others: Non-members by value.
      allowed: How many of them are above the threshold; negative: not even a member is.
      exceeding: Of values without a non-member: whether the threshold is at the last non-member that is allowed, and not
        just above the next one.

    Returns:
      float64 in [0, 1] of the same shape.
    """
    room = allowed - _above(others)
    alone = room > 0 if exceeding else room >= 0
    return np.where(others > 0, np.clip(room / np.maximum(others, 1), 0.0, 1.0), alone)


def _share_bound(counts: Counts, above: np.ndarray, tail: float, *, upper: bool) -> float:
    """Bound of Clopper and Pearson (1934) on the share of members above a threshold, of as many as their design effect leaves.

    A record counts for its share above; a mean of shares varies at most as much as that of as many whole records.
    """
    hits, total = float(counts.members @ above), counts.sizes[0]
    if hits == (total if upper else 0):
        return float(upper)
    inflation = clusters.inflation((counts,), clusters.of_share(counts, 0, above), tail)
    size, found = total / inflation, hits / inflation
    if upper:
        return float(stats.beta.ppf(1 - tail, found + 1, size - found))
    return float(stats.beta.ppf(tail, found, size - found + 1))


def _independent(counts: Counts, side: int, rate: float, tail: float | None = None) -> float:
    """How many independent records tell as much of the share of one side above a threshold, which a rate of it exceeds."""
    total = counts.sizes[side]
    if counts.cells is None:
        return float(total)
    above = _shares_above((counts.members, counts.others)[side], math.floor(rate * total + 1e-9))
    effect = clusters.of_share(counts, side, above)
    return total / (effect if tail is None else clusters.inflation((counts,), effect, tail))


def minimum_detectable_auc(num_members: int, num_nonmembers: int) -> float:
    """The smallest AUC that a one-sided test at 5 % finds in 80 % of cases, for sides of these sizes."""
    if not min(num_members, num_nonmembers):
        return 1.0
    return min(1.0, 0.5 + _DETECTION_Z * math.sqrt((1 / num_members + 1 / num_nonmembers) / 12))


def _above(counts: np.ndarray) -> np.ndarray:
    """How many have a higher value, for each value."""
    return np.asarray(counts.sum() - np.cumsum(counts))


def _share_above(counts: np.ndarray) -> np.ndarray:
    return np.asarray(_above(counts) / counts.sum())


def _variance_of_mean(
    weights: np.ndarray,
    strata: Sequence[Counts],
    variances: Sequence[float],
    *,
    independent: bool,
    tail: float | None = None,
) -> float:
    """Of a weighted sum of AUCs; the largest that any correlation allows where the parts are not independent.

    Args:
      weights: Of each stratum.
      strata: Counts of each.
      variances: Of each AUC, for independent records.
      independent: Whether the strata are.
      tail: Of the quantile that the variance is for; None corrects for groups, and not for the uncertainty of that.
    """
    if not independent:
        corrected = [
            variance * _inflation((counts,), np.ones(1), tail)
            for counts, variance in zip(strata, variances, strict=True)
        ]
        return float((weights * np.sqrt(corrected)).sum() ** 2)
    return float((weights**2 * variances).sum()) * _inflation(strata, weights, tail)


def _inflation(strata: Sequence[Counts], weights: np.ndarray, tail: float | None) -> float:
    """The design effect of a weighted sum of AUCs, for a quantile."""
    if not strata or strata[0].cells is None:
        return 1.0
    judged = [(weight, counts) for weight, counts in zip(weights, strata, strict=True) if min(counts.sizes) >= 2]
    components, variance = [], 0.0
    for weight, counts in judged:
        auc, own = auc_and_variance(counts)
        variance += weight**2 * own
        sides = zip(_placements(counts), counts.sizes, strict=True)
        members, others = (weight * (placement - auc) / size for placement, size in sides)
        components.append((members, others))
    chosen = [counts for _, counts in judged] or list(strata)
    effect = clusters.design_effect(chosen, components, variance)
    return effect if tail is None else clusters.inflation(chosen, effect, tail)


def _design_effect_of_difference(counts: Counts, place: int) -> float:
    """Of TPR - FPR above a place."""
    above = np.arange(len(counts.values)) > place
    shares = [
        int(own[above].sum()) / size for own, size in zip((counts.members, counts.others), counts.sizes, strict=True)
    ]
    members, others = ((above - share) / size for share, size in zip(shares, counts.sizes, strict=True))
    variance = sum(share * (1.0 - share) / size for share, size in zip(shares, counts.sizes, strict=True))
    return clusters.design_effect((counts,), ((members, -others),), variance)


def _of_two_values(counts: Counts, auc: float, inflation: float, confidence_level: float) -> Interval:
    """AUC of a score with two values: 1/2 + (share of members with the higher one - that of the others) / 2."""
    sizes = np.array(counts.sizes, np.float64)
    high = np.array([counts.members[-1], counts.others[-1]], np.float64)
    shares = (high + 1) / (sizes + 2) if len(counts.values) == 2 else (sizes + 1) / (sizes + 2)
    error = math.sqrt(float((shares * (1 - shares) / (sizes + 2)).sum()) * inflation)
    half = float(stats.norm.ppf((1 + confidence_level) / 2)) * error / 2
    centre = 0.5 + float(shares[0] - shares[1]) / 2
    return Interval(estimate=auc, low=max(0.0, min(auc, centre - half)), high=min(1.0, max(auc, centre + half)))


def least_interval(auc: float, sizes: tuple[int, int], *, confidence_level: float) -> Interval:
    """The narrowest interval that an AUC of so many members and others can have, whatever their scores."""
    if auc <= 0.0 or auc >= 1.0:
        return _of_separated(auc, min(sizes), confidence_level)
    return _on_logit_scale(auc, _least_variance(auc, sizes), confidence_level)


def _of_separated(auc: float, size: float, confidence_level: float) -> Interval:
    """Of Clopper and Pearson (1934), for as many successes as the smaller side has independent records."""
    bound = float(((1.0 - confidence_level) / 2) ** (1.0 / size))
    if auc >= 1.0:
        return Interval(estimate=1.0, low=bound, high=1.0)
    return Interval(estimate=0.0, low=0.0, high=1.0 - bound)


def _least_variance(auc: float, sizes: Sequence[int] | np.ndarray) -> float:
    return auc * (1.0 - auc) * consistency.least_variance(int(sizes[0]), int(sizes[1]))


def _on_logit_scale(auc: float, variance: float, confidence_level: float) -> Interval:
    half_width = float(stats.norm.ppf((1 + confidence_level) / 2)) * math.sqrt(variance) / (auc * (1 - auc))
    low, high = special.expit(special.logit(auc) + np.array([-half_width, half_width]))
    return Interval(estimate=auc, low=min(float(low), auc), high=max(float(high), auc))
