r"""Gaussian differential privacy of a run: one number that holds for every delta at once.

A mechanism is mu-GDP if telling its two neighbouring outputs apart is at least as hard as telling N(0, 1) from N(mu, 1)
(Dong, Roth, Su 2022, https://arxiv.org/abs/1905.02383). Training by DP-SGD is nearly such a mechanism, so mu says
nearly all that can be said of it, and models whose epsilons are stated at different deltas can be compared (Gomez et
al. 2025, https://arxiv.org/abs/2503.10945).

>>> from tfx_privacy.accounting.composition import dp_sgd_event
>>> found = fit(dp_sgd_event(noise_multiplier=2.0, sampling_probability=1.0, steps=1))
>>> round(found.mu, 3), found.fit_error < 1e-3
(0.5, True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from tfx_privacy.accounting import noise_tails
from tfx_privacy.accounting.composition import checked
from tfx_privacy.accounting.epsilon import (
    MAX_EPSILON_FOR_PLD,
    MIN_DELTA_FOR_PLD,
    pld_round_off,
    rdp_epsilon,
)
from tfx_privacy.errors import AccountingError
from tfx_privacy.records.base import (
    OpenProbability,
    PositiveFloat,
    Probability,
    Record,
)

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

SMALLEST_DELTA = 1e-7
"""Down to here mu must cover the privacy profile. Deltas that are much smaller are of events that nobody will see, and
near the size of what the accountant cuts off; with subsampling the last of the tail is never Gaussian."""
GOOD_FIT = 1e-2
"""Gomez et al. (2025) advise to report mu where the error is below this."""
# Privacy losses' grid. A coarser one states slightly more, never less (accounting.py), and a report
# must not cost seconds.
_INTERVAL = 1e-3
_NUM_EPSILONS = 4_000
_MAX_MU = 1e3
_ROUNDS = 60
# Between two points of the grid the profile may be this much closer to the Gaussian one than at them.
_ROUNDING = 1 + 1e-4


class GaussianDP(Record):
    """A run as Gaussian differential privacy."""

    mu: PositiveFloat
    """For every epsilon with delta(epsilon) >= `smallest_delta` the mechanism's delta is at most that of mu-GDP."""
    fit_error: Probability
    """How much mu overstates: the smallest k such that the mechanism's trade-off curve, moved down and left by k, is
    below that of mu-GDP.

    The mechanism is then nowhere better than mu-GDP says by more than k in either error rate of an attack.
    """
    smallest_delta: OpenProbability


def fit(event: DpEvent, *, target_delta: float = 1.0) -> GaussianDP:
    """The smallest mu that covers a run, and how much it overstates.

    With delta(e) the run's privacy profile by privacy loss distributions, the larger of both directions, and
    delta_mu(e) that of mu-GDP:

    * mu is the smallest with delta(e) <= delta_mu(e) wherever delta(e) >= `SMALLEST_DELTA`. That is an upper bound on
      the run, because a trade-off curve is the envelope of the lines that belong to its profile (Dong et al. 2022,
      Proposition 2.12).
    * The error is max over e of (delta_mu(e) - delta(e)) / (1 + exp(e)): a trade-off curve f that is moved by k in both
      error rates, a -> f(a + k) - k, belongs to the profile delta(e) + k (1 + exp(e)), so this is the distance of
      Gomez et al. (2025).

    Args:
      event: The run, of `composition.dp_sgd_event`.
      target_delta: Where a smaller delta than `SMALLEST_DELTA` is stated, mu covers the profile down to that one, as far
        as the accountant's round-off allows.

    Returns:
      mu, unitless, rounded up by 1e-4 of itself, with its error.

    Raises:
      ParameterError: If an argument is outside the accountants' range.
      AccountingError: If the profile is not usable: the run is too far from private.
    """
    event = checked(event)
    smallest = max(min(SMALLEST_DELTA, target_delta), MIN_DELTA_FOR_PLD, 2 * pld_round_off(event))
    epsilons, deltas = _profile(smallest, event)
    mu = _smallest_mu(epsilons, deltas) * _ROUNDING
    # 1 + exp(e) would overflow, where the quotient is zero long since.
    error = np.max((profile(mu, epsilons) - deltas) / (1.0 + np.exp(np.minimum(epsilons, 700.0))))
    return GaussianDP(mu=mu, fit_error=float(np.clip(error, 0.0, 1.0)), smallest_delta=smallest)


def profile(mu: float, epsilons: np.ndarray) -> np.ndarray:
    """delta(epsilon) of mu-GDP: Dong et al. (2022), Corollary 2.13."""
    upper = special.ndtr(-epsilons / mu + mu / 2)
    # exp(e) Phi(x) in logarithms: each factor alone leaves the range of doubles.
    lower = np.exp(epsilons + special.log_ndtr(-epsilons / mu - mu / 2))
    return np.maximum(upper - lower, 0.0)


def true_positive_rate(mu: float, false_positive_rate: np.ndarray) -> np.ndarray:
    """Largest true-positive rate of any attack on a mu-GDP mechanism, at each false-positive rate."""
    return np.asarray(special.ndtr(special.ndtri(false_positive_rate) + mu))


def _profile(smallest: float, event: DpEvent) -> tuple[np.ndarray, np.ndarray]:
    """Epsilons from 0 on, and the deltas there, as long as these are at least `smallest`."""
    from tfx_privacy.third_party.dp_accounting import pld

    accountant = pld.PLDAccountant(value_discretization_interval=_INTERVAL)
    # Beyond this epsilon the distributions need gigabytes, and mu would say what infinity says.
    bound = rdp_epsilon(event, target_delta=smallest)
    if not bound <= 2 * MAX_EPSILON_FOR_PLD:
        raise AccountingError(f"epsilon={bound:g} at delta={smallest:g} is too large for a privacy profile of {event}.")
    epsilons = np.linspace(0.0, bound, _NUM_EPSILONS)
    try:
        accountant.compose(event)
        off = pld_round_off(event) + noise_tails.lost(event)
        deltas = np.minimum(np.asarray(accountant.get_delta(epsilons), dtype=np.float64) + off, 1.0)
    except (MemoryError, ArithmeticError) as error:
        raise AccountingError(f"The accountant failed for {event}: {error}.") from error
    known = deltas >= smallest
    if not (np.isfinite(deltas).all() and known.any()):
        raise AccountingError(f"There is no usable privacy profile of {event}: no delta is at least {smallest:g}.")
    return epsilons[known], deltas[known]


def _smallest_mu(epsilons: np.ndarray, deltas: np.ndarray) -> float:
    low, high = 0.0, _MAX_MU
    if not np.all(deltas <= profile(high, epsilons)):
        raise AccountingError(f"No mu up to {_MAX_MU:g} covers the privacy profile.")
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if np.all(deltas <= profile(middle, epsilons)):
            high = middle
        else:
            low = middle
    return high
