"""A likelihood-ratio attack for few reference models: what one record's models cannot tell, all records' models do.

After BaVarIA (Brännvall 2026, https://arxiv.org/abs/2603.11799), which puts conjugate normal-inverse-gamma priors on
LiRA's normal distributions, so a record's score has Student-t predictive distributions with and without it. Only the
paper's abstract and introduction were at hand, not its choice of hyperparameters. Ours are estimated from the records
(empirical Bayes): the variances' by Smyth (2004), https://doi.org/10.2202/1544-6115.1027, Section 6.2; the effect's by
moments. A pair of models shares its record's difficulty, so the prior is on the effect, the difference that training
on a record makes, and the level has a flat one.

Which records are the target's members has no part in any estimate.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import special, stats

_SMALLEST = 1e-12
# Beyond this a Student-t distribution is a normal one, to all digits.
_MAX_FREEDOM = 1e6
# Variances below this share of the median are raised to it, as in limma: saturated models give none at all.
_SMALLEST_SHARE = 1e-5


@dataclasses.dataclass(frozen=True)
class _Prior:
    """Scaled inverse chi-square: a variance that is worth `freedom` degrees of freedom."""

    variance: float
    freedom: float


def bavaria(target: np.ndarray, inside: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Log of the predictive density of the target's score with the record, over that without it.

    Args:
      target: Score "loss", e.g. rescaled logits, of shape (num_records,).
      inside: Of the models trained with the record, of shape (num_records, num_pairs), at least one pair.
      out: Of the models trained without it.

    Returns:
      float64 of shape (num_records,), higher for members.
    """
    num_pairs = inside.shape[1]
    with_it, without_it = inside.mean(axis=1), out.mean(axis=1)
    level, effect = (with_it + without_it) / 2, with_it - without_it
    freedom = 2 * num_pairs - 2
    residuals = ((inside - with_it[:, None]) ** 2).sum(axis=1) + ((out - without_it[:, None]) ** 2).sum(axis=1)
    if freedom:
        prior, noise = _variance_prior(residuals / freedom, freedom), float(residuals.mean()) / freedom
    else:
        noise = _noise_of_single_pairs(target - level, effect)
        prior = _Prior(noise, _MAX_FREEDOM)
    variances = (prior.freedom * prior.variance + residuals) / (prior.freedom + freedom)
    variances = np.maximum(variances, _SMALLEST)
    # The effect has the variance `spread` among records, and is known with the variance 2 * variances / num_pairs.
    spread = max(float(effect.var()) - 2 * noise / num_pairs, 0.0)
    weight = spread / (spread + 2 * variances / num_pairs)
    posterior = effect.mean() + weight * (effect - effect.mean())
    uncertainty = weight * 2 * variances / num_pairs
    scale = np.sqrt(variances * (1 + 1 / (2 * num_pairs)) + uncertainty / 4)
    above, below = ((target - level - sign * posterior / 2) / scale for sign in (1, -1))
    shape = prior.freedom + freedom
    return np.asarray(stats.t.logpdf(above, shape) - stats.t.logpdf(below, shape))


def _variance_prior(variances: np.ndarray, freedom: int) -> _Prior:
    """The prior of variances, of which samples with so many degrees of freedom are given: moments of their logarithms."""
    median = float(np.median(variances))
    if not median > 0.0:
        return _Prior(max(float(variances.mean()), _SMALLEST), _MAX_FREEDOM)
    logs = np.log(np.maximum(variances, _SMALLEST_SHARE * median))
    centred = logs - special.digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(centred.var(ddof=1)) - float(special.polygamma(1, freedom / 2)) if len(logs) > 1 else 0.0
    half = _inverse_trigamma(excess) if excess > 0.0 else np.inf
    if not 2 * half < _MAX_FREEDOM:
        return _Prior(float(variances.mean()), _MAX_FREEDOM)
    return _Prior(float(np.exp(centred.mean() + special.digamma(half) - np.log(half))), 2 * half)


def _inverse_trigamma(value: float) -> float:
    """The number with this trigamma, by Newton's method on its reciprocal (Smyth 2004, Appendix)."""
    found = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, found))
        step = trigamma * (1.0 - trigamma / value) / float(special.polygamma(2, found))
        found += step
        if not abs(step) > 1e-10 * found:
            break
    return found


def _noise_of_single_pairs(distances: np.ndarray, effect: np.ndarray) -> float:
    """Variance of one model's score, where each record has one pair, so effect and noise are not told apart by it.

    The target is a third model. Its distance from the pair's level has the mean square 3/2 noise + (effect / 2)^2,
    whether it knows the record or not; the pair's difference has 2 noise + effect^2.
    """
    squared_effect = 1.5 * (float((effect**2).mean()) - 4 / 3 * float((distances**2).mean()))
    spread = squared_effect - float(effect.mean()) ** 2
    variance = float(effect.var())
    return max((variance - min(max(spread, 0.0), variance)) / 2, 1e-3 * variance, _SMALLEST)
