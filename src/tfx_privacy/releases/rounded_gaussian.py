"""Gaussian noise, rounded to whole numbers without error.

What is released is a sum of whole numbers with noise, rounded: post-processing of the Gaussian mechanism, so the
accountants' Gaussian is exact, and no last bit of a float says anything (Mironov 2012,
https://doi.org/10.1145/2382196.2382264). A normal number is sqrt(2 e) times a coordinate of a random direction, with
e = -log(u) of a uniform u (Box and Muller 1958). All three are drawn as intervals, to 53 bits: in double precision the
rounded number is certain unless it lies near a half, and then further bits and digits decide.
"""

from __future__ import annotations

import decimal

import numpy as np

from tfx_privacy.errors import ParameterError
from tfx_privacy.random_bits import RandomBits

MAX_STANDARD_DEVIATION = 2.0**40
"""Beyond it more numbers than a few lie near a half, and doubles hold no whole numbers at all soon after."""

_BITS = 53
# What double precision and the intervals' widths may be off, as a multiple of a standard deviation; the largest error seen
# against many digits is a quarter of it (tests/releases/test_rounded_gaussian.py).
_ULP = 2.0**-50
# Further bits of an interval, where they are needed: beyond them it is never undecided.
_FURTHER_WORDS = 4
_DIGITS = decimal.Context(prec=120)
_DRAWN_AT_ONCE = 1 << 16


def rounded_gaussian(standard_deviations: np.ndarray, bits: RandomBits) -> np.ndarray:
    """Independent normal numbers, each rounded to the nearest whole number.

    Args:
      standard_deviations: float64 of shape (size,), each in (0, 2^40].
      bits: Where the randomness comes from.

    Returns:
      int64 of shape (size,).

    Raises:
      ParameterError: If a standard deviation is out of its range.
    """
    scales = np.asarray(standard_deviations, np.float64)
    if not np.all((scales > 0.0) & (scales <= MAX_STANDARD_DEVIATION)):
        wrong = scales[~((scales > 0.0) & (scales <= MAX_STANDARD_DEVIATION))][0]
        raise ParameterError(f"Expected standard_deviation={wrong!r} in (0, {MAX_STANDARD_DEVIATION:g}].")
    parts = [_some(scales[start : start + _DRAWN_AT_ONCE], bits) for start in range(0, len(scales), _DRAWN_AT_ONCE)]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _some(scales: np.ndarray, bits: RandomBits) -> np.ndarray:
    zeros, fraction = _uniform(len(scales), bits)
    along, across = _directions(len(scales), bits)
    numbers, unsure = _in_doubles(scales, zeros, fraction, along, across)
    rounded = np.rint(numbers)
    # So written that what is not a number is unsure.
    for place in np.flatnonzero(~(np.abs(np.abs(numbers - rounded) - 0.5) > unsure)):
        number = _in_many_digits(
            float(scales[place]),
            int(zeros[place]),
            int(fraction[place]),
            float(along[place]),
            float(across[place]),
            bits,
        )
        rounded[place] = int(number.to_integral_value(decimal.ROUND_HALF_EVEN))
    return rounded.astype(np.int64)


def _in_doubles(
    scales: np.ndarray, zeros: np.ndarray, fraction: np.ndarray, along: np.ndarray, across: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers whose first bits these are, and by how much they may be off, for any further bits."""
    # Twice the uniform number without its zeros, less one, in the middle of its cell; below one, where -log is above zero.
    uniform = np.minimum((fraction + 0.5) * 2.0**-_BITS, 1.0 - 2.0**-52)
    radius = np.sqrt(-2.0 * (np.log((1.0 + uniform) / 2.0) - zeros * np.log(2.0)))
    square = along**2 + across**2
    unsure = scales * _ULP * (1.0 / radius + radius * (1.0 + 1.0 / np.sqrt(square)))
    return scales * radius * (along / np.sqrt(square)), unsure


def _uniform(size: int, bits: RandomBits) -> tuple[np.ndarray, np.ndarray]:
    """A uniform number in (0, 1), as the zeros after its point and the 53 bits after its first one: every scale has its share."""
    zeros = np.zeros(size)
    open_places = np.arange(size)
    while len(open_places):
        word = (bits.long(len(open_places)) >> np.uint64(64 - _BITS)).astype(np.float64)
        # A double holds 53 bits exactly, and frexp tells where they begin.
        zeros[open_places] += np.where(word > 0.0, _BITS - np.frexp(word)[1], _BITS)
        open_places = open_places[word == 0.0]
    return zeros, (bits.long(size) >> np.uint64(64 - _BITS)).astype(np.float64)


def _directions(size: int, bits: RandomBits) -> tuple[np.ndarray, np.ndarray]:
    """Points in the unit disc but not its middle, as the odd multiples of 2^-53 that their cells have in their middle.

    The few cells on the disc's edge are left out, whole: that moves a direction's probability by less than 2^-49 of itself.
    """
    found: list[np.ndarray] = []
    missing = size
    while missing:
        drawn = bits.long(2 * (missing + missing // 3 + 8)) >> np.uint64(64 - _BITS)
        # In whole numbers first: twice a drawn one, and one, has a bit more than a double holds.
        points = (2 * drawn.astype(np.int64) + (1 - 2**_BITS)).astype(np.float64) * 2.0**-_BITS
        pairs = points.reshape(2, -1)
        square = pairs[0] ** 2 + pairs[1] ** 2
        inside = pairs[:, (square < 1.0 - 2.0**-50) & (square > 2.0**-40)][:, :missing]
        found.append(inside)
        missing -= inside.shape[1]
    along, across = np.concatenate([np.zeros((2, 0)), *found], axis=1)
    return along, across


def _in_many_digits(
    scale: float, zeros: int, fraction: int, along: float, across: float, bits: RandomBits
) -> decimal.Decimal:
    """The number whose first bits these are, with more of them."""
    with decimal.localcontext(_DIGITS):
        cell = decimal.Decimal(2) ** -_BITS
        uniform = (1 + (fraction + _further(bits)) * cell) / 2 / decimal.Decimal(2) ** zeros
        x = decimal.Decimal(along) + (2 * _further(bits) - 1) * cell
        y = decimal.Decimal(across) + (2 * _further(bits) - 1) * cell
        return decimal.Decimal(scale) * (-2 * uniform.ln()).sqrt() * x / (x * x + y * y).sqrt()


def _further(bits: RandomBits) -> decimal.Decimal:
    """A uniform number in (0, 1), of so many bits that it ends far beyond any double."""
    words = [int(word) for word in bits.long(_FURTHER_WORDS)]
    whole = sum(word << (64 * place) for place, word in enumerate(words))
    return (decimal.Decimal(whole) + decimal.Decimal("0.5")) / decimal.Decimal(2) ** (64 * _FURTHER_WORDS)
