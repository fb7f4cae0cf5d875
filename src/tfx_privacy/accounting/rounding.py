"""Numbers as text, rounded to the side that promises less: an epsilon is never shown below what it is."""

from __future__ import annotations

import decimal
import math

# A double has at most 309 digits before the point and 767 after it.
_EXACT = decimal.Context(prec=1100)


def rounded_up(value: float, decimals: int = 4, *, trimmed: bool = False) -> str:
    """A number as text, never less than it is: `float(rounded_up(x)) >= x`.

    >>> rounded_up(1.1), rounded_up(0.1 + 0.2), rounded_up(2.0, trimmed=True)
    ('1.1000', '0.3001', '2')

    Args:
      value: The number; an infinite one is "infinite", and NaN is "nan".
      decimals: Digits after the point.
      trimmed: Whether zeros at the end are left out.

    Returns:
      The text, without an exponent.
    """
    if not math.isfinite(value):
        return "infinite" if value > 0 else str(value)
    # The shortest text that reads as this double, not its exact value: 1.1 is no reason for another digit.
    exact = decimal.Decimal(repr(float(value)))
    text = f"{exact.quantize(decimal.Decimal(1).scaleb(-decimals), decimal.ROUND_CEILING, context=_EXACT):f}"
    return text.rstrip("0").rstrip(".") if trimmed and "." in text else text


def significant_up(value: float, digits: int) -> float:
    """A positive number with so many digits, never less than it was.

    >>> significant_up(1.14741, 4), significant_up(1.147, 4)
    (1.148, 1.147)
    """
    exact = decimal.Decimal(repr(float(value)))
    return float(decimal.Context(prec=digits, rounding=decimal.ROUND_CEILING).plus(exact))


def significant_down(value: float, digits: int) -> float:
    """A positive number with so many digits, never more than it was.

    >>> significant_down(1.14791, 4), significant_down(1.147, 4)
    (1.147, 1.147)
    """
    exact = decimal.Decimal(repr(float(value)))
    return float(decimal.Context(prec=digits, rounding=decimal.ROUND_FLOOR).plus(exact))


def percent(share: float, *, down: bool = False) -> str:
    """A share to a tenth of a percent: rounded up, as what is spent is, or down, as what is left is.

    >>> percent(0.19764), percent(0.80236, down=True)
    ('19.8 %', '80.2 %')
    """
    tenths = 1000 * share
    return f"{(math.floor(tenths) if down else math.ceil(tenths)) / 10:g} %"
