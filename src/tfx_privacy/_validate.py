"""Keyword validators: the parameter's name enters the message by itself.

Every comparison is written so that NaN fails it.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

from tfx_privacy.errors import ParameterError

_MAX_SHOWN = 80


def _single(kwargs: dict[str, Any]) -> tuple[str, Any]:
    ((name, value),) = kwargs.items()
    return name, value


def real(hint: str = "", **kwargs: Any) -> float:
    """Returns the value as a Python float; bool, text, NaN and infinities are refused.

    dp-accounting 0.4.3 states a 23 times too small epsilon for an int or float32 noise
    multiplier inside a nested event, so every number becomes a float here.
    """
    name, value = _single(kwargs)
    try:
        if not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass  # a whole number with more digits than a double holds
    raise ParameterError(_message(name, value, "to be a finite number", hint))


def positive(hint: str = "", **kwargs: Any) -> float:
    """Returns the value as a float greater than zero."""
    name, value = _single(kwargs)
    number = real(hint, **kwargs)
    if number > 0.0:
        return number
    raise ParameterError(_message(name, value, "> 0", hint))


def open_interval(low: float, high: float, hint: str = "", **kwargs: Any) -> float:
    """Returns the value as a float strictly between `low` and `high`."""
    name, value = _single(kwargs)
    number = real(hint, **kwargs)
    if low < number < high:
        return number
    raise ParameterError(_message(name, value, f"in ({low:g}, {high:g})", hint))


def half_open_interval(low: float, high: float, hint: str = "", **kwargs: Any) -> float:
    """Returns the value as a float in (low, high]."""
    name, value = _single(kwargs)
    number = real(hint, **kwargs)
    if low < number <= high:
        return number
    raise ParameterError(_message(name, value, f"in ({low:g}, {high:g}]", hint))


def closed_interval(low: float, high: float, hint: str = "", **kwargs: Any) -> float:
    """Returns the value as a float in [low, high]."""
    name, value = _single(kwargs)
    number = real(hint, **kwargs)
    if low <= number <= high:
        return number
    raise ParameterError(_message(name, value, f"in [{low:g}, {high:g}]", hint))


def positive_integer(hint: str = "", maximum: int | None = None, **kwargs: Any) -> int:
    """Returns the value as an int of at least one."""
    name, value = _single(kwargs)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not int(value) >= 1:
        raise ParameterError(_message(name, value, "to be a whole number >= 1", hint))
    if maximum is not None and not int(value) <= maximum:
        raise ParameterError(_message(name, value, f"<= {maximum}", hint))
    return int(value)


def one_of(choices: tuple[str, ...], hint: str = "", **kwargs: Any) -> str:
    """Returns the value if it is one of `choices`."""
    name, value = _single(kwargs)
    if isinstance(value, str) and value in choices:
        return value
    raise ParameterError(_message(name, value, f"to be one of {', '.join(choices)}", hint))


def _message(name: str, value: Any, rule: str, hint: str) -> str:
    return f"Expected {name}={short(value)} {rule}.{' ' + hint if hint else ''}"


def short(value: Any) -> str:
    """A value as a message shows it: its beginning, where it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
