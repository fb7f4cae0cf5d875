"""Numbers on the command line: finite ones, or an error that names the option."""

from __future__ import annotations

import math
from typing import Any

import click

from tfx_privacy.errors import ParameterError


class _Finite(click.types.FloatParamType):
    """A float; NaN, infinities and what overflows to one are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            raise ParameterError(f"Expected {param.name if param else 'number'}={value} to be a finite number.")
        return number


FINITE = _Finite()
