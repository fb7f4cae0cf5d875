"""A lower bound on epsilon that shares nothing with the accountants: where it is above one of theirs, something is wrong.

>>> from tfx_privacy.accounting.composition import dp_sgd_event
>>> run = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)
>>> round(epsilon_lower_bound(run, target_delta=1e-5), 2)
1.28
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import Terms, checked, parts
from tfx_privacy.accounting.epsilon import EpsilonBounds
from tfx_privacy.errors import AccountingError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

_THRESHOLDS = 400
# Rarer numbers of draws, beyond so many standard deviations, are left out, which only lowers the bound.
_REACH = 10.0
_MAX_COUNTS = 4000
# Of epsilon: sums of thousands of exponentials are not exact either.
_TOLERANCE = 1e-6


def epsilon_lower_bound(event: DpEvent, *, target_delta: float) -> float:
    """What one attack on a run shows: whoever adds up all noisy sums and compares the total with a threshold.

    One coordinate of the sums is N(0, sigma^2) without the record, and with it shifted by 1 in each step that drew it:
    their total is N(0, T sigma^2), or that shifted by a Binomial(T, q). For the event S that the total is above a
    threshold, (epsilon, delta)-DP has P(S) <= exp(epsilon) Q(S) + delta (Dwork and Roth 2014, Definition 2.4), so
    epsilon is at least log((P(S) - delta) / Q(S)). Both are known exactly; the largest over a grid of thresholds is
    taken. It holds for any number of steps, is exact for one step and without sampling, and else a tenth or a few below
    epsilon. A composition of several runs is at least as hard as its hardest.

    Args:
      event: Of `composition.dp_sgd_event`, or of `composition.composed`.
      target_delta: In (0, 1).

    Returns:
      Epsilon in nats, at least 0.

    Raises:
      ParameterError: If an argument is outside its range.
    """
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    return max(_of_run(run, target_delta) for run in parts(checked(event)))


def check(event: DpEvent, bounds: EpsilonBounds, *, target_delta: float) -> None:
    """Refuses bounds that are below what an attack can show.

    Args:
      event: What was accounted.
      bounds: What the accountants say of it.
      target_delta: In (0, 1).

    Raises:
      AccountingError: If one of them is too small, or NaN.
    """
    least = epsilon_lower_bound(event, target_delta=target_delta) * (1.0 - _TOLERANCE)
    for name, bound in (("PLD", bounds.pld), ("Renyi DP", bounds.rdp)):
        if bound is not None and not bound >= least:
            raise AccountingError(
                f"The accountants are wrong: epsilon={bound!r} by {name}, but an attack shows at least {least!r}, for "
                f"{event} at delta={target_delta:g}. Use other parameters, and please report these."
            )


def _of_run(run: Terms, target_delta: float) -> float:
    deviation = run.noise_multiplier * math.sqrt(run.steps)
    counts, weights = _draws(run)
    # In standard deviations of the total, from its mean without the record to where both tails are below any delta.
    thresholds = np.linspace(0.0, counts[-1] / deviation + 8.0, _THRESHOLDS)
    with_record = special.logsumexp(
        np.log(weights)[:, np.newaxis] + special.log_ndtr(counts[:, np.newaxis] / deviation - thresholds), axis=0
    )
    excess = np.exp(with_record) - target_delta
    usable = excess > 0.0
    if not usable.any():
        return 0.0
    return max(0.0, float(np.max(np.log(excess[usable]) - special.log_ndtr(-thresholds[usable]))))


def _draws(run: Terms) -> tuple[np.ndarray, np.ndarray]:
    """How often the record is drawn, with the probabilities; the rarest are left out."""
    if run.sampling_probability == 1.0:
        return np.array([float(run.steps)]), np.ones(1)
    of_steps = stats.binom(run.steps, run.sampling_probability)
    reach = _REACH * of_steps.std() + _REACH**2
    first, last = max(0, int(of_steps.mean() - reach)), min(run.steps, int(of_steps.mean() + reach))
    edges = np.unique(np.linspace(first, last + 1, min(last + 2 - first, _MAX_COUNTS)).astype(np.int64))
    # Neighbours are joined into the smallest of them, each as rare as the rarer end: the attack gets no better by it.
    rarer = np.minimum(of_steps.pmf(edges[:-1]), of_steps.pmf(edges[1:] - 1))
    weights = rarer * np.diff(edges)
    kept = weights > 0.0
    return edges[:-1][kept].astype(np.float64), weights[kept]
