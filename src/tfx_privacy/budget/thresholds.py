"""Delta that thresholds spend, in whole numbers.

A value that one person alone has is released with a small probability (`releases.record.Selection`), beside all that noise
hides. Such probabilities add up. What they may come to is set aside of a budget's delta beforehand, and divergence is
converted to epsilon at the rest of it.

It is fixed, as the Renyi order is, because budget that moves between both would pay for either one twice. Whoever chooses runs
after seeing the earlier ones spends delta where these revealed nothing, and divergence where they revealed much: each branch
is within its budget, and together they reveal twice the delta (`tests/budget/test_thresholds.py` computes it). With both
bounds fixed, the probability that any threshold fails is at most what was set aside, and the rest is covered by the Renyi
filter: a filter of approximate Renyi DP, as Whitehouse et al. (2023), https://arxiv.org/abs/2203.05481, have for zCDP.

>>> spent(1e-9), set_aside(1e-7)
(1152921505, 115292260412)
>>> f"{left(1e-6, set_aside(1e-7)):.6g}"
'9e-07'
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tfx_privacy import _validate
from tfx_privacy.accounting.rounding import significant_down, significant_up
from tfx_privacy.errors import ParameterError

UNIT = 2.0**-60
"""Of probability: amounts are whole multiples, so sums do not depend on their order."""
MAX_UNITS = 2**53
"""Amounts are below it, which is a probability of 1/128: canonical JSON keeps such numbers exactly (RFC 8785)."""

_DIGITS = 3
_SLACK = 2.0**-20


def spent(delta: float) -> int:
    """A probability that thresholds spend, in units, rounded up.

    Args:
      delta: In [0, 1/128).

    Raises:
      ParameterError: If it is outside.
    """
    return math.ceil(_checked(delta_spent=delta) / UNIT)


def set_aside(delta: float) -> int:
    """A probability that thresholds may spend together, in units, and a millionth more.

    Each of many amounts is rounded up by itself, so ten tenths of a probability are more than it in units. Whatever the units
    are, they are what is taken from delta.

    Args:
      delta: 0 for nothing, or in [2**-60, 1/128).

    Raises:
      ParameterError: If it is outside.
    """
    number = _checked(threshold_delta=delta)
    if 0.0 < number < UNIT:
        raise ParameterError(
            f"Expected threshold_delta={delta!r} to be 0 for nothing, or at least {UNIT:.3g}: less is not counted."
        )
    return min(MAX_UNITS - 1, math.ceil(number * (1 + _SLACK) / UNIT))


def delta_of(units: int) -> float:
    """An amount as a probability, exactly."""
    return units * UNIT


def shown(units: int, *, down: bool = False) -> str:
    """An amount as people read it, to three digits: rounded up as what is spent is, or down as what is left is.

    What was asked for is shown as it was asked for, although it was rounded to whole units.

    >>> shown(spent(1e-8)), shown(spent(1e-8) + 1), shown(set_aside(1e-7), down=True), shown(spent(1e-7) - 2, down=True)
    ('1e-08', '1.01e-08', '1e-07', '9.99e-08')

    Args:
      units: The amount.
      down: Whether less may be shown than it is, and not more.
    """
    nearest = float(f"{delta_of(units):.{_DIGITS}g}")
    is_fair = math.floor(nearest / UNIT) <= units if down else math.ceil(nearest / UNIT) >= units
    rounded = significant_down if down else significant_up
    return f"{nearest if is_fair else rounded(delta_of(units), _DIGITS):g}"


def left(delta: float, units: int) -> float:
    """What is left of a delta, rounded down.

    Args:
      delta: The whole.
      units: What is taken from it.

    Raises:
      ParameterError: If nothing is left.
    """
    exact = Fraction(delta) - Fraction(units) * Fraction(UNIT)
    if not exact > 0:
        raise ParameterError(
            f"Expected less than delta={delta:g} to be set aside for thresholds, not {delta_of(units):g}: divergence is "
            "converted to epsilon at what is left of it."
        )
    found = float(exact)
    return found if Fraction(found) <= exact else math.nextafter(found, 0.0)


def _checked(**kwargs: Any) -> float:
    ((name, value),) = kwargs.items()
    number = _validate.real(**kwargs)
    if not 0.0 <= number < MAX_UNITS * UNIT:
        raise ParameterError(
            f"Expected {name}={_validate.short(value)} in [0, {MAX_UNITS * UNIT:g}). A larger probability of releasing what "
            "one person alone has is no privacy."
        )
    return number
