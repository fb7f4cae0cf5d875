"""Lower bounds on epsilon from one run with canaries, each of which took part with probability one half.

The tests of Steinke et al. (2023), https://arxiv.org/abs/2305.08846, and Mahloujifar et al. (2024),
https://arxiv.org/abs/2410.22235, are valid for any mechanism; the Gaussian one assumes that scores are normal.

A bound above the claimed epsilon proves a defect; one below it proves nothing. How many guesses are made is fixed before the scores
are seen, with a correction for several choices: the best of many uncorrected ones is above zero in most runs without any leak.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from tfx_privacy.privacy import _validate
from tfx_privacy.privacy.errors import ParameterError

MIN_CANARIES = 100
# Shares of the canaries that are guessed, half of them as members; the others are left open.
_GUESSED_SHARES = (0.05, 0.2, 0.5, 1.0)
_LARGEST_MU = 1e3
_SEARCH_STEPS = 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditBounds:
    """Lower bounds on epsilon (nats), each by itself with the confidence; 0 where nothing could be shown."""

    one_run: float
    """For (epsilon, delta)-DP."""
    one_run_f_dp: float
    """For a mechanism whose trade-off curve is that of a Gaussian one; sharper."""
    gaussian: float
    """Assuming normal scores: a finder of defects, no proof."""
    num_canaries: int
    num_members: int
    delta: float
    confidence: float


def audit_bounds(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> AuditBounds:
    """Computes all bounds.

    Args:
      scores: Real numbers of shape (num_canaries,), higher for canaries that look like members.
      is_member: Booleans of shape (num_canaries,), drawn by fair coins before the run.
      delta: Probability, in (0, 1), at which epsilon is stated.
      confidence: Probability, in (0, 1), with which a bound holds.

    Raises:
      ParameterError: If there are fewer than 100 canaries, shapes differ, a score is not finite, or all are of one kind.
    """
    scores, is_member = _checked(scores, is_member)
    arguments: dict[str, Any] = {"delta": delta, "confidence": confidence}
    return AuditBounds(
        one_run=one_run_epsilon_lower_bound(scores, is_member, **arguments),
        one_run_f_dp=one_run_f_dp_epsilon_lower_bound(scores, is_member, **arguments),
        gaussian=gaussian_epsilon_lower_bound(scores, is_member, **arguments),
        num_canaries=len(scores),
        num_members=int(is_member.sum()),
        delta=float(delta),
        confidence=float(confidence),
    )


def one_run_epsilon_lower_bound(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> float:
    """Largest epsilon that the number of correct guesses rules out: Steinke et al. (2023), Theorem 5.2; arguments as `audit_bounds`."""
    delta, significance = _checked_levels(delta, confidence)
    scores, is_member = _checked(scores, is_member)

    def rejects(guesses: int, correct: int) -> Callable[[float], bool]:
        return lambda epsilon: one_run_p_value(len(scores), guesses, correct, epsilon, delta) <= significance

    return max(_largest(rejects(*counts)) for counts in _guess_counts(scores, is_member))


def one_run_p_value(num_canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Bound on the probability of so many correct guesses under (epsilon, delta)-DP.

    Steinke et al. (2023), Theorem 5.2: P[W >= v] + 2 m delta max_i P[v > W >= v - i] / i, with W ~ Binomial(r, e^eps / (1 + e^eps)).
    """
    chance = float(special.expit(epsilon))
    below = stats.binom.pmf(np.arange(correct - 1, -1, -1), guesses, chance)
    slope = float(np.max(np.cumsum(below) / np.arange(1, correct + 1))) if correct else 0.0
    return min(1.0, float(stats.binom.sf(correct - 1, guesses, chance)) + 2 * num_canaries * delta * slope)


def one_run_f_dp_epsilon_lower_bound(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> float:
    """Epsilon of the largest Gaussian trade-off curve that the guesses rule out: Mahloujifar et al. (2024), Algorithm 3.

    Arguments as `audit_bounds`. Ruled out is that the mechanism is mu-GDP; a mechanism that is (epsilon, delta)-DP at this one delta
    and not nearly Gaussian elsewhere may be ruled out with it, which long compositions as in training are not.
    """
    delta, significance = _checked_levels(delta, confidence)
    scores, is_member = _checked(scores, is_member)

    def rejects(guesses: int, correct: int) -> Callable[[float], bool]:
        return lambda mu: gaussian_curve_is_rejected(len(scores), guesses, correct, mu, significance)

    mu = max(_largest(rejects(*counts)) for counts in _guess_counts(scores, is_member))
    return gaussian_epsilon(mu, delta=delta)


def gaussian_curve_is_rejected(num_canaries: int, guesses: int, correct: int, mu: float, significance: float) -> bool:
    """Whether so many correct guesses have a probability below `significance` for every mu-GDP mechanism.

    Mahloujifar et al. (2024), Algorithm 3: from the assumption that the probability is as large as that, it follows step by step
    how often a guess must be right (`right`) and wrong (`wrong`); a contradiction is that both together exceed all guesses.
    """
    right = significance * correct / num_canaries
    wrong = significance * (guesses - correct) / num_canaries
    for count in range(correct - 1, -1, -1):
        next_wrong = max(wrong, _inverse_blow_up(right, mu))
        right = min(1.0, right + count / (guesses - count) * (next_wrong - wrong))
        wrong = next_wrong
        if right + wrong > guesses / num_canaries:
            return True
    return False


def _inverse_blow_up(right: float, mu: float) -> float:
    """Smallest probability under one hypothesis of an event that has probability `right` under the other."""
    return float(special.ndtr(special.ndtri(right) - mu))


def gaussian_epsilon_lower_bound(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> float:
    """Epsilon of the least separation of two normal distributions that fits: parametric; arguments as `audit_bounds`.

    The difference of the means has a lower bound (Welch), the non-members' standard deviation an upper one (chi-square), each with
    half of the error.
    """
    delta, significance = _checked_levels(delta, confidence)
    scores, is_member = _checked(scores, is_member)
    inside, outside = scores[is_member], scores[~is_member]
    error = math.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside))
    least = inside.mean() - outside.mean() - stats.norm.isf(significance / 2) * error
    freedom = len(outside) - 1
    spread = outside.std(ddof=1) * math.sqrt(freedom / stats.chi2.ppf(significance / 2, freedom))
    if not least > 0.0:
        return 0.0
    return gaussian_epsilon(min(_LARGEST_MU, least / max(spread, least / _LARGEST_MU)), delta=delta)


def gaussian_epsilon(mu: float, *, delta: float) -> float:
    """Epsilon (nats) at `delta` of a mu-GDP mechanism: Balle and Wang (2018), https://arxiv.org/abs/1805.06530, Theorem 8.

    >>> round(gaussian_epsilon(1.0, delta=1e-5), 4)
    4.3772

    Args:
      mu: Sensitivity / noise standard deviation, at least 0.
      delta: Probability, in (0, 1).

    Raises:
      ParameterError: If an argument is outside its range.
    """
    mu = _validate.closed_interval(0.0, _LARGEST_MU, mu=mu)
    delta = _validate.open_interval(0.0, 1.0, delta=delta)

    def excess(epsilon: float) -> float:
        tail = special.log_ndtr(-epsilon / mu - mu / 2)
        return float(special.ndtr(-epsilon / mu + mu / 2) - math.exp(epsilon + tail) - delta)

    if mu == 0.0 or excess(0.0) <= 0.0:
        return 0.0
    # The first term alone is delta there.
    return float(optimize.brentq(excess, 0.0, mu * mu / 2 - mu * special.ndtri(delta) + 1e-9, xtol=1e-12))


def _guess_counts(scores: np.ndarray, is_member: np.ndarray) -> list[tuple[int, int]]:
    """For each share, how many guesses are made and how many are right."""
    order = np.argsort(-scores, kind="stable")
    counts = []
    for share in _GUESSED_SHARES:
        half = max(1, int(len(scores) * share / 2))
        counts.append((2 * half, int(is_member[order[:half]].sum() + (~is_member[order[-half:]]).sum())))
    return counts


def _largest(rejects: Callable[[float], bool]) -> float:
    """The largest number that is rejected, from below."""
    low, high = 0.0, 1.0
    if not rejects(low):
        return 0.0
    while rejects(high):
        low, high = high, high * 2
        if high > _LARGEST_MU:
            return _LARGEST_MU
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        if rejects(middle):
            low = middle
        else:
            high = middle
    return low


def _checked_levels(delta: float, confidence: float) -> tuple[float, float]:
    """Delta, and the error that each of the choices of guesses may make (Bonferroni)."""
    delta = _validate.open_interval(0.0, 1.0, delta=delta)
    confidence = _validate.open_interval(0.0, 1.0, confidence=confidence)
    return delta, (1.0 - confidence) / len(_GUESSED_SHARES)


def _checked(scores: Any, is_member: Any) -> tuple[np.ndarray, np.ndarray]:
    scores, is_member = np.asarray(scores, np.float64), np.asarray(is_member)
    if scores.ndim != 1 or scores.shape != is_member.shape:
        raise ParameterError(
            f"Expected scores and is_member of one shape (num_canaries,), not {scores.shape} and {is_member.shape}."
        )
    if is_member.dtype != np.bool_:
        raise ParameterError(f"Expected is_member of type bool, not {is_member.dtype}. Pass membership bits.")
    if len(scores) < MIN_CANARIES:
        raise ParameterError(f"Expected {len(scores)} canaries >= {MIN_CANARIES}: fewer show nothing. Use more.")
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores)).sum())
        raise ParameterError(
            f"{count} of {len(scores)} scores are not finite. The run that made them is not to be trusted."
        )
    if len(scores) - 1 <= int(is_member.sum()) or int(is_member.sum()) <= 1:
        raise ParameterError(
            f"Expected members and others among the {len(scores)} canaries, but {int(is_member.sum())} are members. Flip fair coins."
        )
    return scores, is_member
