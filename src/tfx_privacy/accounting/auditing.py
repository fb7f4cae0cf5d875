"""Lower bounds on epsilon from one run with canaries, each of which took part with probability one half.

Two tests count correct guesses of who took part: that of Steinke et al. (2023), https://arxiv.org/abs/2305.08846, valid
for every mechanism, and that of Mahloujifar et al. (2024), https://arxiv.org/abs/2410.22235, valid for those with a
Gaussian trade-off curve. Both allow canaries that depend on each other. A third, parametric one assumes independent
normal scores, and that of Jagielski et al. (2020), https://arxiv.org/abs/2006.07709, independent canaries.

A bound above the claimed epsilon proves a defect; one below it proves nothing. How many guesses are made is fixed
before the scores are seen, with a correction for several choices: the best of many uncorrected ones is above zero in
most runs without any leak.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError

MIN_CANARIES = 100
# Shares of the canaries that are guessed, half of them as members; the others are left open.
_GUESSED_SHARES = (0.05, 0.2, 0.5, 1.0)
_LARGEST_MU = 1e3
_SEARCH_STEPS = 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditBounds:
    """Lower bounds on epsilon (nats), each by itself with the confidence; 0 where nothing could be shown."""

    one_run: float
    """For (epsilon, delta)-DP, whatever the mechanism."""
    one_run_f_dp: float
    """For a mechanism at least as private as a Gaussian one of that epsilon; sharper."""
    gaussian: float
    """Assuming independent normal scores: a finder of defects, no proof."""
    num_canaries: int
    num_members: int
    delta: float
    confidence: float


def audit_bounds(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> AuditBounds:
    """Computes all bounds.

    Args:
      scores: Real numbers of shape (num_canaries,), in any unit, higher for canaries that look like members.
      is_member: Booleans of shape (num_canaries,), drawn by independent fair coins before the run.
      delta: Probability, in (0, 1), at which epsilon is stated.
      confidence: Probability, in (0, 1), with which each bound, by itself, is not above the true epsilon.

    Returns:
      The bounds, finite and at least 0, for adding or removing one canary.

    Raises:
      ParameterError: If there are fewer than 100 canaries, shapes differ, a score is not finite, fewer than two are
        members or fewer than two are not, or a probability is outside its range.
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
    """Largest epsilon that the number of correct guesses rules out: Steinke et al. (2023), Theorem 5.2.

    The highest scores are guessed to be members and as many of the lowest not to be, for four numbers of guesses that
    depend on the number of canaries only; each is tested at a quarter of the error (Bonferroni).

    Args:
      scores: As of `audit_bounds`.
      is_member: As of `audit_bounds`.
      delta: As of `audit_bounds`. The test has no power where it is not far below 1 / num_canaries.
      confidence: As of `audit_bounds`.

    Returns:
      Epsilon in nats; 0.0 where nothing could be shown.

    Raises:
      ParameterError: As `audit_bounds`.
    """
    delta, significance = _checked_levels(delta, confidence)
    scores, is_member = _checked(scores, is_member)

    def rejects(guesses: int, correct: int) -> Callable[[float], bool]:
        return lambda epsilon: one_run_p_value(len(scores), guesses, correct, epsilon, delta) <= significance

    return max(_largest(rejects(*counts)) for counts in _guess_counts(scores, is_member))


def one_run_p_value(num_canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Bound on the probability of so many correct guesses under (epsilon, delta)-DP.

    Steinke et al. (2023), Theorem 5.2: P[W >= v] + 2 m delta max_i P[v > W >= v - i] / i over i from 1 to v, for m
    canaries, r guesses, v of them correct, and W ~ Binomial(r, e^eps / (1 + e^eps)).

    Args:
      num_canaries: m, each a member with probability one half.
      guesses: r, members and non-members guessed together.
      correct: v.
      epsilon: Of the mechanism under test, in nats.
      delta: Of the mechanism under test.
    """
    chance = float(special.expit(epsilon))
    below = stats.binom.pmf(np.arange(correct - 1, -1, -1), guesses, chance)
    slope = float(np.max(np.cumsum(below) / np.arange(1, correct + 1))) if correct else 0.0
    return min(1.0, float(stats.binom.sf(correct - 1, guesses, chance)) + 2 * num_canaries * delta * slope)


def one_run_f_dp_epsilon_lower_bound(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> float:
    """Epsilon of the largest Gaussian trade-off curve that the guesses rule out: Mahloujifar et al. (2024).

    What is ruled out is that the mechanism is mu-GDP, so as a bound on epsilon at this one delta it needs that the
    mechanism is at least as private as the Gaussian one of the same epsilon at this delta. Compositions of
    Poisson-subsampled Gaussian mechanisms are, as far as the tests check: their losses have the heavier tails. A
    mechanism with bounded losses, such as randomized response, is not.

    Args:
      scores: As of `audit_bounds`; guesses are those of `one_run_epsilon_lower_bound`.
      is_member: As of `audit_bounds`.
      delta: As of `audit_bounds`; used only to express mu as an epsilon.
      confidence: As of `audit_bounds`.

    Returns:
      Epsilon in nats; 0.0 where nothing could be shown.

    Raises:
      ParameterError: As `audit_bounds`.
    """
    delta, significance = _checked_levels(delta, confidence)
    scores, is_member = _checked(scores, is_member)

    def rejects(guesses: int, correct: int) -> Callable[[float], bool]:
        return lambda mu: gaussian_curve_is_rejected(len(scores), guesses, correct, mu, significance)

    mu = max(_largest(rejects(*counts)) for counts in _guess_counts(scores, is_member))
    return gaussian_epsilon(mu, delta=delta)


def gaussian_curve_is_rejected(num_canaries: int, guesses: int, correct: int, mu: float, significance: float) -> bool:
    """Whether so many correct guesses have a probability below `significance` for every mu-GDP mechanism.

    Mahloujifar et al. (2024), Algorithm 3 (`rh_with_cap` in its code): from the assumption that the probability is as
    large as that, it follows step by step how often a guess must be right (`right`) and wrong (`wrong`); a
    contradiction is that both together exceed all guesses.

    Args:
      num_canaries: Each a member with probability one half.
      guesses: Members and non-members guessed together.
      correct: Guesses that were right.
      mu: Of Gaussian differential privacy.
      significance: 1 - confidence of the test.
    """
    right = significance * correct / num_canaries
    wrong = significance * (guesses - correct) / num_canaries
    for count in range(correct - 1, -1, -1):
        next_wrong = _inverse_blow_up(right, mu)
        if next_wrong <= wrong:
            return False  # Neither number moves from here on.
        right = min(1.0, right + count / (guesses - count) * (next_wrong - wrong))
        wrong = next_wrong
        if right + wrong > guesses / num_canaries:
            return True
    return False


def _inverse_blow_up(right: float, mu: float) -> float:
    """Smallest probability under one hypothesis of an event that has probability `right` under the other."""
    return float(special.ndtr(special.ndtri(right) - mu))


def gaussian_epsilon_lower_bound(scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95) -> float:
    """Epsilon of the least separation of members from others that fits the scores; parametric.

    It assumes independent scores, normal for non-members, and a mean of the members' scores that is nearly normal: a
    finder of defects, no formal bound. mu is the difference of the means over the non-members' standard deviation. The
    former has a lower bound (Welch, with the fewest degrees of freedom), the latter an upper one (chi-square), each
    with half of the error. With Poisson sampling a member's score is a binomial count plus noise; mu then is
    sqrt(steps) * sampling_probability / noise_multiplier, less than what the composition spends, and rare large counts
    make the lower bound lower still.

    Args:
      scores: As of `audit_bounds`.
      is_member: As of `audit_bounds`.
      delta: As of `audit_bounds`; used only to express mu as an epsilon.
      confidence: As of `audit_bounds`.

    Returns:
      Epsilon in nats; 0.0 where nothing could be shown, that of mu = 1000 where the scores are separated by more.

    Raises:
      ParameterError: As `audit_bounds`.
    """
    significance = 1.0 - _validate.open_interval(0.0, 1.0, confidence=confidence)
    delta = _validate.open_interval(0.0, 1.0, delta=delta)
    scores, is_member = _checked(scores, is_member)
    mu = _least_separation(scores[is_member], scores[~is_member], significance)
    return gaussian_epsilon(mu, delta=delta)


def _least_separation(inside: np.ndarray, outside: np.ndarray, significance: float) -> float:
    """Lower bound on the difference of means in units of the standard deviation outside, in [0, `_LARGEST_MU`]."""
    error = math.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside))
    quantile = stats.t.isf(significance / 2, min(len(inside), len(outside)) - 1)
    least = float(inside.mean() - outside.mean() - quantile * error)
    if not least > 0.0:
        return 0.0
    freedom = len(outside) - 1
    spread = float(outside.std(ddof=1) * math.sqrt(freedom / stats.chi2.ppf(significance / 2, freedom)))
    # The quotient by a spread of (nearly) nothing, without an overflow.
    return _LARGEST_MU if spread <= least / _LARGEST_MU else least / spread


def clopper_pearson_epsilon_lower_bound(
    scores: Any, is_member: Any, *, delta: float, confidence: float = 0.95
) -> float:
    """Epsilon of one threshold's rates: Jagielski et al. (2020), https://arxiv.org/abs/2006.07709, for independent canaries.

    A threshold t on one half of the canaries, and whether to look above or below it, is the one that shows most there;
    on the other half that event alone is measured. By (epsilon, delta)-DP P[above t | in] <= e^epsilon P[above t |
    out] + delta, and P[below t | out] <= e^epsilon P[below t | in] + delta. The two probabilities have one-sided
    intervals of Clopper and Pearson (1934), each with half of the error (Bonferroni).

    Unlike the bounds of one run it needs canaries whose scores do not depend on each other given who took part: audit
    slots, or one canary from each of many runs. Halves are by the canaries' places, so who took part must have
    nothing to do with the place, which fair coins see to.

    Args:
      scores: As of `audit_bounds`.
      is_member: As of `audit_bounds`.
      delta: As of `audit_bounds`.
      confidence: As of `audit_bounds`.

    Returns:
      Epsilon in nats; 0.0 where nothing could be shown.

    Raises:
      ParameterError: As `audit_bounds`.
    """
    significance = 1.0 - _validate.open_interval(0.0, 1.0, confidence=confidence)
    delta = _validate.open_interval(0.0, 1.0, delta=delta)
    scores, is_member = _checked(scores, is_member)
    chosen_on, measured_on = np.array_split(np.random.default_rng(0).permutation(len(scores)), 2)
    thresholds = np.unique(scores[chosen_on])

    def shown(canaries: np.ndarray, at: np.ndarray) -> np.ndarray:
        return _ratio_bounds(scores[canaries], is_member[canaries], at, significance / 2, delta)

    above, at = np.unravel_index(int(np.argmax(shown(chosen_on, thresholds))), (2, len(thresholds)))
    return max(0.0, float(shown(measured_on, thresholds[at : at + 1])[above, 0]))


def _ratio_bounds(
    scores: np.ndarray, is_member: np.ndarray, thresholds: np.ndarray, significance: float, delta: float
) -> np.ndarray:
    """Lower bounds on epsilon by what lies above each threshold, and by what does not, of shape (2, num_thresholds)."""
    inside, outside = np.sort(scores[is_member]), np.sort(scores[~is_member])
    low_in, low_out = (np.searchsorted(side, thresholds, side="right") for side in (inside, outside))
    likely = np.stack([len(inside) - low_in, low_out])
    unlikely = np.stack([len(outside) - low_out, low_in])
    sizes = np.array([[len(inside)], [len(outside)]])
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(likely > 0, stats.beta.ppf(significance, likely, sizes - likely + 1), 0.0)
        rest = sizes[::-1] - unlikely
        most = np.where(rest > 0, stats.beta.ppf(1.0 - significance, unlikely + 1, rest), 1.0)
        return np.where(least > delta, np.log(np.maximum(least - delta, 0.0) / most), -np.inf)


def gaussian_epsilon(mu: float, *, delta: float) -> float:
    """Epsilon (nats) at `delta` of a mu-GDP mechanism.

    Balle and Wang (2018), https://arxiv.org/abs/1805.06530, Theorem 8, solved for epsilon.

    >>> round(gaussian_epsilon(1.0, delta=1e-5), 4)
    4.3772

    Args:
      mu: Sensitivity / noise standard deviation, in [0, 1000].
      delta: Probability, in (0, 1).

    Returns:
      The smallest epsilon of which the mechanism is (epsilon, delta)-DP; 0.0 where delta alone suffices.

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
    # Equal scores in an order that has nothing to do with membership, even if the canaries come sorted by it.
    shuffled = np.random.default_rng(0).permutation(len(scores))
    order = shuffled[np.argsort(-scores[shuffled], kind="stable")]
    counts = []
    for share in _GUESSED_SHARES:
        half = max(1, int(len(scores) * share / 2))
        counts.append((2 * half, int(is_member[order[:half]].sum() + (~is_member[order[-half:]]).sum())))
    return counts


def _largest(rejects: Callable[[float], bool]) -> float:
    """The largest number that is rejected, from below: what is returned is itself rejected, or 0."""
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
    """The scores, scaled into [-1, 1], and who was a member."""
    scores, is_member = _as_scores(scores), np.asarray(is_member)
    if scores.ndim != 1 or scores.shape != is_member.shape:
        raise ParameterError(
            f"Expected scores and is_member of one shape (num_canaries,), not {scores.shape} and {is_member.shape}. "
            "Pass one score and one membership bit for each canary."
        )
    if is_member.dtype != np.bool_:
        raise ParameterError(f"Expected is_member of type bool, not {is_member.dtype}. Pass membership bits.")
    if len(scores) < MIN_CANARIES:
        raise ParameterError(f"Expected {len(scores)} canaries >= {MIN_CANARIES}: fewer show nothing. Use more.")
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores)).sum())
        raise ParameterError(
            f"Expected finite scores, but {count} of {len(scores)} are not. Do not trust the run that made them."
        )
    num_members = int(is_member.sum())
    if not 2 <= num_members <= len(scores) - 2:
        raise ParameterError(
            f"Expected members and others among {len(scores)} canaries, but {num_members} are members. Flip fair coins."
        )
    # No bound depends on the unit, and squares of large scores would overflow.
    largest = float(np.abs(scores).max())
    return (scores / largest if largest > 0.0 else scores), is_member


def _as_scores(scores: Any) -> np.ndarray:
    """The scores as float64; text, complex numbers, truth values and ragged lists are refused."""
    try:
        array = np.asarray(scores)
        if array.dtype.kind in "fiu":
            return array.astype(np.float64)
        found = str(array.dtype)
    except ValueError:
        found = "lists of different lengths"
    raise ParameterError(f"Expected scores of real numbers, not {found}. Pass one number for each canary.")
