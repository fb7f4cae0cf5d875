"""Canaries: how far do made-up records that were trained on stand out, and what epsilon do they rule out?

The secret sharer of Carlini et al. (2019), https://arxiv.org/abs/1802.08232: canaries are trained on some
number of times, R reference canaries of the same kind are not, and the model's losses are ranked. Exposure is
log2 R - log2 rank. What it says is exact about ranks and only about these canaries; it cannot exceed log2 R, and
extrapolations beyond are a model's word.

Canaries that were put in or left out by fair coins bound epsilon from below (`tfx_privacy.accounting.auditing`).
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from scipy import special, stats

from tfx_privacy.accounting import auditing
from tfx_privacy.attacks import _rows
from tfx_privacy.attacks.evaluation import BOUND_IF_GAUSSIAN, EXPOSURE_METRICS, Finding, epsilon_metric
from tfx_privacy.errors import ParameterError

MIN_CANARIES = 10
"""Of one number of repetitions; fewer have a p-value, and no interval that covers."""
MIN_REFERENCES = 100
NO_UPPER_END = sys.float_info.max
"""Stands for the upper end of a bound that has none: JSON has no infinity, and no limit is above it."""

_METRIC = EXPOSURE_METRICS[0]
_RESAMPLES = 2000
_PERMUTATIONS = 9999
# References below that say nothing of the tail that is extrapolated.
_MIN_REFERENCES_FOR_TAIL = 1000


def exposures(losses: Any, references: Any) -> np.ndarray:
    """Exposure of each canary: Carlini et al. (2019), with the rank taken among the references.

    The rank is 1 + the number of references whose loss is not above the canary's: ties count against exposure.

    >>> exposures([0.5, 9.0, 2.0], [1.0, 2.0, 3.0, 4.0]).round(2).tolist()
    [2.0, -0.32, 0.42]

    Args:
      losses: Of the inserted canaries, of shape (num_canaries,).
      references: Losses of the canaries that were never inserted, of shape (num_references,).

    Returns:
      Bits, of shape (num_canaries,), in the order of `losses`; from log2(R / (R + 1)) to log2 R.

    Raises:
      ParameterError: If there is no reference, or a loss is not finite.
    """
    losses, references = _losses("losses", losses), _losses("references", references)
    if not len(references):
        raise ParameterError("Expected at least one reference canary. Set num_references.")
    return _exposure(np.searchsorted(np.sort(references), losses, side="right"), len(references))


def expected_exposure(num_references: int) -> float:
    """Mean exposure (bits) of a canary that was not memorised.

    It then is one of R + 1 exchangeable records and has every rank from 1 to R + 1 with the same probability, so
    the mean is log2 R - log2((R + 1)!) / (R + 1); for large R that is log2 e = 1.44. Ties make it smaller.

    >>> round(expected_exposure(1), 6), round(expected_exposure(10_000), 3)
    (-0.5, 1.442)
    """
    log2_factorial = float(special.gammaln(num_references + 2)) / math.log(2.0)
    return math.log2(num_references) - log2_factorial / (num_references + 1)


def memorisation_p_value(losses: Any, references: Any) -> float:
    """Probability of so large a mean exposure if inserted canaries and references are exchangeable.

    Of one canary: rank / (R + 1). Of several: they share their references, so their ranks depend on each other;
    the p-value is (1 + larger draws) / (1 + draws) over 9,999 draws of which canaries were inserted, with a fixed seed,
    which is exact as a test (Phipson and Smyth 2010, https://arxiv.org/abs/1603.05766). It is never below 1e-4.

    Args:
      losses: As of `exposures`; at least one.
      references: As of `exposures`.

    Returns:
      The p-value, one-sided; conservative where losses are equal.
    """
    found = exposures(losses, references)
    num_canaries, num_references = len(found), len(np.asarray(references))
    if num_canaries == 1:
        rank = round(num_references / 2.0 ** float(found[0]))
        return rank / (num_references + 1)
    random = np.random.default_rng(0)
    # Sorted canaries cut the references into gaps; every way to fill the gaps is equally likely.
    gaps = random.dirichlet(np.ones(num_canaries + 1), size=_PERMUTATIONS)
    below = random.multinomial(num_references, gaps).cumsum(axis=1)[:, :-1]
    drawn = _exposure(below, num_references).mean(axis=1)
    return (1 + int(np.sum(drawn >= found.mean() - 1e-12))) / (1 + _PERMUTATIONS)


def canary_exposure(losses: Any, repetitions: Any, references: Any, *, confidence_level: float = 0.95) -> list[Finding]:
    """One finding for each number of repetitions, ascending.

    The interval covers the mean exposure of all canaries of the kind against these references. It is a percentile
    bootstrap (2,000 resamples, fixed seed), widened for few canaries by Student's t (the "expanded percentile" of
    Hesterberg 2015, https://arxiv.org/abs/1411.5279). References are resampled too, because what is `harmless` is an
    average over them. Where all canaries have the same exposure, which resampling takes for certain, the interval
    allows for the share of others that may still be.

    Args:
      losses: The model's losses of the inserted canaries, of shape (num_canaries,).
      repetitions: How often each was inserted, of shape (num_canaries,).
      references: Losses of the canaries that were never inserted, of shape (num_references,).
      confidence_level: Of the two-sided interval, in (0, 1).

    Returns:
      Findings with the mean exposure, harmless at `expected_exposure`; INSUFFICIENT below 10 canaries or 100
      references, UNSUPPORTED where a loss is not finite. Details named "model-based" extrapolate by a skew-normal fit
      of the references' losses, and nobody vouches for them.

    Raises:
      ParameterError: If shapes do not fit, or a number of repetitions is below one.
    """
    losses, references = _rows.real_array("losses", losses, None), _rows.real_array("references", references, None)
    repetitions = _rows.whole_array("repetitions", repetitions, len(losses))
    if len(repetitions) and not repetitions.min() >= 1:
        raise ParameterError(f"Expected repetitions={repetitions.min()} >= 1. Canaries never inserted are references.")
    return [
        _of_one_count(int(count), losses[repetitions == count], references, confidence_level)
        for count in np.unique(repetitions)
    ]


def _of_one_count(count: int, losses: np.ndarray, references: np.ndarray, confidence_level: float) -> Finding:
    subject = f"inserted {count} time{'' if count == 1 else 's'}"
    bad = int(np.sum(~np.isfinite(losses))), int(np.sum(~np.isfinite(references)))
    numbers: dict[str, Any] = {"metric": _METRIC, "num_records": len(losses)}
    if sum(bad):
        reason = f"losses of {bad[0]} canaries and {bad[1]} references are not finite"
        return _rows.unavailable("canary_exposure", subject, "UNSUPPORTED", reason, **numbers)
    num_references = len(references)
    if num_references:
        numbers["p_value"] = memorisation_p_value(losses, references)
    if len(losses) < MIN_CANARIES or num_references < MIN_REFERENCES:
        reason = (
            f"{len(losses)} canaries (of {MIN_CANARIES} needed) and {num_references} references (of {MIN_REFERENCES})"
        )
        return _rows.unavailable("canary_exposure", subject, "INSUFFICIENT", reason, **numbers)
    estimate, low, high = mean_exposure_interval(losses, references, confidence_level=confidence_level)
    return Finding(
        family="canary_exposure",
        subject=subject,
        status="OK",
        estimate=estimate,
        low=low,
        high=high,
        harmless=expected_exposure(num_references),
        details=_details(losses, references),
        **numbers,
    )


def mean_exposure_interval(
    losses: np.ndarray, references: np.ndarray, *, confidence_level: float
) -> tuple[float, float, float]:
    """Estimate, low and high of the mean exposure, as `canary_exposure` says."""
    found = exposures(losses, references)
    estimate, alpha = float(found.mean()), 1.0 - confidence_level
    size, num_references = len(found), len(references)
    least, most = _exposure(np.array([num_references, 0]), num_references)
    if np.ptp(found) == 0.0:
        others = 1.0 - (alpha / 2) ** (1.0 / size)
        return estimate, estimate - others * (estimate - float(least)), estimate + others * (float(most) - estimate)
    random = np.random.default_rng(0)
    ordered = np.sort(losses)
    counts = np.diff(np.searchsorted(np.sort(references), ordered, side="right"), prepend=0, append=num_references)
    below = random.multinomial(num_references, counts / num_references, size=_RESAMPLES).cumsum(axis=1)[:, :-1]
    resampled = _exposure(np.take_along_axis(below, random.integers(0, size, size=below.shape), axis=1), num_references)
    widened = float(stats.norm.cdf(-math.sqrt(size / (size - 1)) * stats.t.isf(alpha / 2, size - 1)))
    low, high = np.quantile(resampled.mean(axis=1), [widened, 1.0 - widened])
    return estimate, min(estimate, float(low)), max(estimate, float(high))


def epsilon_finding(
    scores: Any, is_member: Any, *, delta: float, confidence_level: float = 0.95, repetitions: int = 1
) -> Finding:
    """The formal lower bound on epsilon from canaries put in or left out by fair coins.

    The estimate is Steinke et al.'s (2023) bound, valid for every mechanism; the two sharper ones, which assume more,
    are details. A lower bound has no upper end: `high` is `NO_UPPER_END`, so whoever compares it with a limit
    refuses, and "largest bound that could show" says what perfect guesses of as many canaries would give. A bound of 0
    therefore never says that epsilon is small.

    Args:
      scores: Higher for canaries that look like members, such as minus the loss; of shape (num_canaries,).
      is_member: Booleans of shape (num_canaries,), from independent fair coins.
      delta: Probability, in (0, 1), at which epsilon is stated.
      confidence_level: With which the bound is not above the true epsilon.
      repetitions: How often a canary that is in was inserted. The bound then is on the epsilon of
        as many records together.

    Returns:
      The finding, harmless at 0; INSUFFICIENT below 100 canaries, UNSUPPORTED where a score is not finite.

    Raises:
      ParameterError: If shapes or types do not fit, or a probability is outside its range.
    """
    scores, is_member = _rows.real_array("scores", scores, None), np.asarray(is_member)
    subject = f"{len(scores)} canaries, in or out by fair coins"
    numbers: dict[str, Any] = {
        "metric": epsilon_metric(float(delta), records=repetitions),
        "num_records": len(scores),
    }
    bad, num_members = int(np.sum(~np.isfinite(scores))), int(np.sum(is_member))
    if bad:
        reason = f"scores of {bad} canaries are not finite"
        return _rows.unavailable("canary_exposure", subject, "UNSUPPORTED", reason, **numbers)
    if len(scores) < auditing.MIN_CANARIES or not 2 <= num_members <= len(scores) - 2:
        reason = (
            f"{num_members} of {len(scores)} canaries are in; {auditing.MIN_CANARIES} are needed, about half of them in"
        )
        return _rows.unavailable("canary_exposure", subject, "INSUFFICIENT", reason, **numbers)
    bounds = auditing.audit_bounds(scores, is_member, delta=delta, confidence=confidence_level)
    perfect = auditing.one_run_epsilon_lower_bound(is_member * 1.0, is_member, delta=delta, confidence=confidence_level)
    return Finding(
        family="canary_exposure",
        subject=subject,
        status="OK",
        estimate=bounds.one_run,
        low=bounds.one_run,
        high=NO_UPPER_END,
        harmless=0.0,
        details={
            "canaries that were in": float(num_members),
            "largest bound that could show (nats)": max(perfect, bounds.one_run),
            BOUND_IF_GAUSSIAN: bounds.one_run_f_dp,
            "bound if scores are normal, model-based (nats)": bounds.gaussian,
        },
        **numbers,
    )


def _details(losses: np.ndarray, references: np.ndarray) -> dict[str, float]:
    found = exposures(losses, references)
    cap = math.log2(len(references))
    details = {
        "references": float(len(references)),
        "largest possible exposure (bits)": cap,
        "canaries at the largest possible exposure": float(np.sum(found >= cap)),
        "median exposure (bits)": float(np.median(found)),
    }
    if len(references) >= _MIN_REFERENCES_FOR_TAIL and np.ptp(references) > 0.0:
        details |= _extrapolated(losses, references)
    return details


def _extrapolated(losses: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Exposure beyond log2 R by a skew-normal distribution of the losses: after Carlini et al. (2019)."""
    center, spread = float(references.mean()), float(references.std())
    shape, location, scale = stats.skewnorm.fit((references - center) / spread)
    fitted = stats.skewnorm(shape, location, scale)
    bits = -fitted.logcdf((losses - center) / spread) / math.log(2.0)
    distance = float(stats.kstest((references - center) / spread, fitted.cdf).statistic)
    if not (np.isfinite(bits).all() and math.isfinite(distance)):
        return {}
    return {
        "mean exposure by a skew-normal fit, model-based (bits)": float(bits.mean()),
        "largest error of that fit among the references (probability)": distance,
    }


def _exposure(num_below: np.ndarray, num_references: int) -> np.ndarray:
    return math.log2(num_references) - np.log2(1.0 + num_below)


def _losses(name: str, values: Any) -> np.ndarray:
    array = _rows.real_array(name, values, None)
    if not np.isfinite(array).all():
        raise ParameterError(f"Expected finite {name}, but {int(np.sum(~np.isfinite(array)))} are not.")
    return array
