"""What is shown of an epsilon is never below it: one function rounds for gate, report, statement, ledger and plan."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_privacy.accounting.rounding import rounded_up, significant_up

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, st.integers(0, 8), st.booleans())
def test_no_text_is_below_its_number_nor_a_digit_above_it(value: float, decimals: int, trimmed: bool) -> None:
    text = rounded_up(value, decimals, trimmed=trimmed)
    assert "e" not in text
    assert value <= float(text)
    assert float(text) <= value + 10.0**-decimals + 1e-15 * abs(value)


@given(st.floats(min_value=1e-300, max_value=1e300), st.integers(1, 12))
def test_significant_digits_are_rounded_up(value: float, digits: int) -> None:
    rounded = significant_up(value, digits)
    assert value <= rounded <= value * (1 + 10.0 ** (1 - digits)) * (1 + 1e-15)


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (0.5801, 3, "0.581"), (0.58, 3, "0.580"), (0.56 + 0.02, 3, "0.581"), (0.1 + 0.2, 4, "0.3001"), (1.1, 2, "1.10"),
        (8.000000000001, 4, "8.0001"), (1234.5641, 3, "1234.565"), (math.inf, 4, "infinite"), (math.nan, 4, "nan"),
    ],
)  # fmt: skip
def test_numbers_that_other_roundings_get_wrong(value: float, decimals: int, shown: str) -> None:
    assert rounded_up(value, decimals) == shown


def test_zeros_may_be_left_out() -> None:
    assert [rounded_up(value, 3, trimmed=True) for value in (2.0, 2.3, 100.0, 0.0)] == ["2", "2.3", "100", "0"]
