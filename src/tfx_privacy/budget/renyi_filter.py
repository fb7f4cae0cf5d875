"""Budget arithmetic: Renyi DP at one order that is fixed beforehand, in whole numbers.

Teams choose the next run after they saw the last one. Composing what they chose as if it had been planned is no valid
bound for privacy loss distributions, nor for the best of many Renyi orders; the sum of Renyi divergences at one order
that was fixed beforehand is (Feldman and Zrnic 2021, https://arxiv.org/abs/2008.11193, Theorem 4.3; Lecuyer 2021,
https://arxiv.org/abs/2103.01379), for concurrent runs as well (Haney et al. 2023, https://arxiv.org/abs/2309.05901).

>>> order = best_order(epsilon=8.0, delta=1e-6)
>>> run = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)
>>> budget(order, epsilon=8.0, delta=1e-6) // cost(order, run)
11
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import Terms, checked, dp_sgd_event, terms
from tfx_privacy.accounting.epsilon import SERIES_ERROR
from tfx_privacy.accounting.rounding import percent, rounded_up
from tfx_privacy.errors import AccountingError, ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

UNIT = 2.0**-40
"""Of Renyi divergence (nats): amounts are whole multiples, so sums do not depend on their order."""
MAX_UNITS = 2**53
"""Amounts are below it, which is a divergence of 8192: canonical JSON keeps such numbers exactly (RFC 8785)."""
# A step is charged `SERIES_ERROR` more than dp-accounting says. What is left of that, more than 8e-13, makes the runs'
# delta smaller by more than 4e-13 of itself for a step. The reach of the noise takes less than 2e-77 of it
# (`noise_tails.lost`), so above this delta a charge covers that too.
_SMALLEST_DELTA = 1e-60
ORDERS = tuple(
    [1 + step / 10 for step in range(1, 100)]
    + [float(order) for order in range(11, 64)]
    + [128.0, 256.0, 512.0, 1024.0]
)


def best_order(*, epsilon: float, delta: float) -> float:
    """The order at which a budget allows most: the largest `budget / order`, as a Gaussian mechanism's cost grows with it.

    Args:
      epsilon: The budget, in nats.
      delta: The budget's, in (1e-60, 1).

    Returns:
      One of `ORDERS`.

    Raises:
      ParameterError: If the budget is too small for any order.
    """
    return max(_usable(epsilon, delta), key=lambda order: _divergence(order, epsilon, delta) / order)


def budget(order: float, *, epsilon: float, delta: float) -> int:
    """What runs may cost together so that they are (epsilon, delta)-DP, in units, rounded down.

    Canonne et al. (2020), https://arxiv.org/abs/2004.00010, Proposition 12, solved for the divergence.

    Args:
      order: The Renyi order of all charges.
      epsilon: The budget, in nats.
      delta: The budget's, in (1e-60, 1).

    Raises:
      ParameterError: If nothing may be spent at this order.
    """
    units = math.floor(_divergence(_order(order), *_bounds(epsilon, delta)) / UNIT)
    if not units > 0:
        raise ParameterError(
            f"A budget of epsilon={epsilon!r} at delta={delta!r} allows nothing at the Renyi order {order:g}. Raise "
            "epsilon."
        )
    if not units < MAX_UNITS:
        raise ParameterError(
            f"A budget of epsilon={epsilon!r} at delta={delta!r} is a Renyi divergence of {MAX_UNITS * UNIT:g} or "
            "more, beyond what is counted. Lower epsilon."
        )
    return units


def cost(order: float, event: DpEvent) -> int:
    """Renyi divergence of a run at the order, in units, rounded up.

    Mironov et al. (2019), https://arxiv.org/abs/1908.10530, as dp-accounting computes it.

    Args:
      order: One of `ORDERS`.
      event: The run, of `composition.dp_sgd_event`.

    Raises:
      ParameterError: If a number is outside the accountants' range.
      AccountingError: If the divergence is not finite, or larger than any budget.
    """
    run = terms(checked(event))
    units = math.ceil(_divergence_of_run(_order(order), run) * (1 + 1e-12) / UNIT)
    if not 0 < units < MAX_UNITS:
        raise AccountingError(
            f"A run with noise_multiplier={run.noise_multiplier:g}, sampling_probability={run.sampling_probability:g} "
            f"and steps={run.steps} costs more than any budget allows at the Renyi order {order:g}. Use more noise."
        )
    return units


def epsilon_of(order: float, units: int, *, delta: float) -> float:
    """Epsilon, in nats and at delta, of runs that cost so many units together; 0 for none.

    Canonne et al. (2020), https://arxiv.org/abs/2004.00010, Proposition 12.

    Args:
      order: The Renyi order of all charges.
      units: What the runs cost together, as `cost` gives it.
      delta: In (0, 1).

    Raises:
      ParameterError: If `units` is not a whole number >= 0, or another number is outside its range.
    """
    order, delta = _order(order), _validate.open_interval(0.0, 1.0, delta=delta)
    if isinstance(units, bool) or not isinstance(units, int) or not units >= 0:
        raise ParameterError(f"Expected units={units!r} to be a whole number >= 0.")
    if units == 0:
        return 0.0
    return max(0.0, units * UNIT - _conversion(order, delta))


def share_left(charged: int, budget: int) -> float:
    """Share of a budget that is left, from 0 to 1; 0 where more is charged than there is.

    Args:
      charged: In units.
      budget: In units.
    """
    return max(0.0, 1.0 - charged / budget) if budget > 0 else 0.0


def nats(units: int) -> str:
    """An amount as text, in nats of Renyi divergence, to four digits."""
    return f"{units * UNIT:.4g}"


def explained(charged: int, budget: int, *, spent_epsilon: float, budget_epsilon: float) -> str:
    """One sentence on how much of a budget is left, and why that is not the share of epsilon that is.

    At one order epsilon is the divergence and a constant (Canonne et al. 2020, Proposition 12): runs add to the
    divergence, and pay the constant together, once.

    >>> one_run, whole = (round(nats / UNIT) for nats in (0.948, 4.796))
    >>> print(explained(one_run, whole, spent_epsilon=4.152, budget_epsilon=8.0))
    80.2 % of the budget is left, although epsilon 4.1520 of 8 is spent: the ledger adds up Renyi divergence at one order \
that was fixed beforehand, of which 0.948 of 4.796 nats are charged; converting the sum costs about 3.2 of that epsilon, \
once for all runs together.

    Args:
      charged: What all runs together were charged, in units.
      budget: What they may be charged, in units.
      spent_epsilon: `epsilon_of` what is charged.
      budget_epsilon: Epsilon of the budget.
    """
    if not charged > 0:
        return f"The whole budget of epsilon {budget_epsilon:g} is left: no run has been charged."
    left, constant = share_left(charged, budget), spent_epsilon - charged * UNIT
    but = "although" if left > max(0.0, 1.0 - spent_epsilon / budget_epsilon) else "and"
    sentence = (
        f"{percent(left, down=True)} of the budget is left, {but} epsilon {rounded_up(spent_epsilon)} of "
        f"{budget_epsilon:g} is spent: the ledger adds up Renyi divergence at one order that was fixed beforehand, of which "
        f"{nats(charged)} of {nats(budget)} nats are charged"
    )
    if not constant > 0:
        return f"{sentence}."
    return f"{sentence}; converting the sum costs about {constant:.2g} of that epsilon, once for all runs together."


@functools.lru_cache(maxsize=4096)
def _divergence_of_run(order: float, run: Terms) -> float:
    from tfx_privacy.third_party.dp_accounting import rdp

    event = dp_sgd_event(**run._asdict())
    orders = [max(1.01, math.floor(order)), order, math.ceil(order)]
    try:
        below, found, above = map(float, rdp.RdpAccountant(orders).compose(event).rdp)
    except (ArithmeticError, ValueError) as error:
        raise AccountingError(f"The accountant failed for {event} at the Renyi order {order:g}: {error}.") from error
    # At a fractional order terms cancel. The divergence never falls with the order, so whole orders, where all
    # terms are positive, show whether what is left is true, and give a bound where it is not.
    value = found if below <= found <= above else above
    value = max(value, 0.0) + run.steps * SERIES_ERROR / (order - 1)
    if not (math.isfinite(value) and value > 0.0):
        raise AccountingError(
            f"The accountant answered a Renyi divergence of {value!r} for {event} at order {order:g}."
        )
    return value


def _usable(epsilon: float, delta: float) -> list[float]:
    epsilon, delta = _bounds(epsilon, delta)
    found = [order for order in ORDERS if _divergence(order, epsilon, delta) > 0.0]
    if not found:
        raise ParameterError(
            f"A budget of epsilon={epsilon!r} at delta={delta!r} allows nothing at any Renyi order. Raise epsilon."
        )
    return found


def _divergence(order: float, epsilon: float, delta: float) -> float:
    return epsilon + _conversion(order, delta)


def _conversion(order: float, delta: float) -> float:
    """What divergence exceeds epsilon by, at most, in the conversion to (epsilon, delta)-DP."""
    return (math.log(delta) + math.log(order)) / (order - 1) - math.log1p(-1 / order)


def _order(order: float) -> float:
    return _validate.closed_interval(ORDERS[0], ORDERS[-1], order=order)


def _bounds(epsilon: float, delta: float) -> tuple[float, float]:
    return _validate.positive(epsilon=epsilon), _validate.open_interval(_SMALLEST_DELTA, 1.0, delta=delta)
