"""The noise of a release. Every statistical test has a false alarm of at most 1e-6, and a twin that must fail."""

from __future__ import annotations

import decimal
import math
from typing import Any

import normal_samples
import numpy as np
import pytest
from scipy import stats

from tfx_privacy.errors import ParameterError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import rounded_gaussian as module
from tfx_privacy.releases.rounded_gaussian import MAX_STANDARD_DEVIATION, rounded_gaussian

FALSE_ALARM = 1e-6
CELL = 2.0**-53


def drawn(standard_deviation: float, size: int, bits: RandomBits | None = None) -> np.ndarray:
    return rounded_gaussian(np.full(size, standard_deviation), bits or RandomBits.of_system())


def fits(sample: np.ndarray, standard_deviation: float) -> bool:
    """Chi-square test of whole numbers against a rounded normal distribution."""
    reach = math.floor(5 * standard_deviation) + 1
    edges = np.concatenate([[-np.inf], np.arange(-reach, reach + 1) + 0.5, [np.inf]])
    expected = len(sample) * np.diff(stats.norm.cdf(edges / standard_deviation))
    places = np.clip(sample + reach, 0, len(expected) - 1)
    observed = np.bincount(places, minlength=len(expected))
    kept = expected >= 10
    rest = len(sample) - expected[kept].sum(), len(sample) - observed[kept].sum()
    expected, observed = np.append(expected[kept], rest[0]), np.append(observed[kept], rest[1])
    return bool(stats.chisquare(observed, expected).pvalue > FALSE_ALARM)


@pytest.mark.parametrize("standard_deviation", [0.3, 0.5, 1.0, 3.7])
def test_numbers_are_normal_and_rounded(standard_deviation: float) -> None:
    """Of a million numbers, where 1 % more or less, or rounding down, would be noticed."""
    sample = drawn(standard_deviation, 1_000_000)
    assert sample.dtype == np.int64
    assert fits(sample, standard_deviation)
    assert not fits(sample, standard_deviation * 1.01)
    assert not fits(sample, standard_deviation / 1.01)
    down = np.floor(np.random.default_rng(0).normal(size=1_000_000) * standard_deviation).astype(int)
    assert not fits(down, standard_deviation)


def test_the_chi_square_test_accepts_what_is_right() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        assert fits(np.rint(random.normal(size=1_000_000) * 3.7).astype(int), 3.7)


@pytest.mark.parametrize("standard_deviation", [1e3, 2.0**20 * 1.7, MAX_STANDARD_DEVIATION])
def test_large_numbers_are_normal(standard_deviation: float) -> None:
    sample = drawn(standard_deviation, 1_000_000) / standard_deviation
    assert stats.kstest(sample, "norm").pvalue > FALSE_ALARM
    assert not stats.kstest(sample * 1.03, "norm").pvalue > FALSE_ALARM
    assert normal_samples.scale_is(sample, 1.0, false_alarm=FALSE_ALARM)
    assert not normal_samples.scale_is(sample * 1.01, 1.0, false_alarm=FALSE_ALARM)
    bound = stats.norm.isf(FALSE_ALARM / 4) / math.sqrt(len(sample))
    assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < bound
    half = len(sample) // 2
    assert abs(np.corrcoef(sample[:half], sample[half:])[0, 1]) < bound


def test_each_number_has_its_own_standard_deviation() -> None:
    scales = np.tile([1.0, 10.0, 1e6], 100_000)
    sample = rounded_gaussian(scales, RandomBits.of_system())
    for number, scale in enumerate([1.0, 10.0, 1e6]):
        variance = scale**2 + 1 / 12
        low, high = stats.chi2.ppf([FALSE_ALARM / 6, 1 - FALSE_ALARM / 6], 100_000)
        assert low < np.sum(sample[number::3].astype(float) ** 2) / variance < high


class RareBits(RandomBits):
    """Words of which the first have zeros in front: every uniform number is below 2^-zeros, and uniform there."""

    def __init__(self, zeros: int, key: bytes = bytes(32)) -> None:
        super().__init__(key)
        self._whole, self._rest = divmod(zeros, 53)
        self._calls = 0

    def long(self, count: int) -> np.ndarray:
        words, call = super().long(count), self._calls
        self._calls += 1
        if call < self._whole:
            return words * np.uint64(0)
        return words >> np.uint64(self._rest) if call == self._whole else words


@pytest.mark.parametrize("distance", [3.0, 4.5, 7.0, 8.0, 9.0, 12.0, 20.0, 25.0, 26.0, 37.0])
def test_the_tails_have_the_mass_of_a_normal_distribution(distance: float) -> None:
    """Out to where doubles hold no probability: each number stands for 2^-zeros of all."""
    zeros = math.floor(distance**2 / 2 / math.log(2))
    sample = drawn(2.0**30, 60_000, RareBits(zeros)) / 2.0**30
    share = 2 * math.exp(stats.norm.logsf(distance) + zeros * math.log(2))

    def is_right(numbers: np.ndarray) -> bool:
        low, high = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], len(numbers), share)
        return bool(low <= np.sum(np.abs(numbers) > distance) <= high)

    assert is_right(sample)
    for wrong in (distance - 0.25, distance + 0.25):
        assert not is_right(sample * distance / wrong)


class Words:
    """In the place of further bits: the same word for ever."""

    def __init__(self, word: int) -> None:
        self._word = word

    def long(self, count: int) -> np.ndarray:
        return np.full(count, self._word, np.uint64)


LOW, HIGH = Words(0), Words(2**64 - 1)


def first_bits(size: int, seed: int) -> tuple[np.ndarray, ...]:
    bits = RandomBits.of_seed(seed)
    return (*module._uniform(size, bits), *module._directions(size, bits))


def corners() -> tuple[np.ndarray, ...]:
    """Where the bound is tightest: ends of the uniform number's cells, directions near the middle, the edge and the axes."""
    fractions = [0, 1, 2**52, 2**53 - 3, 2**53 - 2, 2**53 - 1]
    points = [
        CELL,
        3 * CELL,
        2.0**-20 + CELL,
        2.0**-21 + CELL,
        0.5 + CELL,
        math.sqrt(0.5) // (2 * CELL) * 2 * CELL + CELL,
    ]
    points += [1 - 2.0**-40 + CELL]
    rows = [
        (zeros, fraction, x, y)
        for zeros in (0, 1, 2, 53, 500)
        for fraction in fractions
        for x in points
        for y in points
        if 2.0**-40 < x * x + y * y < 1 - 2.0**-50
    ]
    return tuple(np.array(column, np.float64) for column in zip(*rows, strict=True))


def exact(scale: float, row: tuple[float, ...], bits: Any) -> decimal.Decimal:
    zeros, fraction, along, across = row
    return module._in_many_digits(scale, int(zeros), int(fraction), along, across, bits)


@pytest.mark.parametrize("parts", [first_bits(3000, 1), corners()], ids=["drawn", "corners"])
def test_doubles_are_within_their_bound(parts: tuple[np.ndarray, ...]) -> None:
    """Against 120 digits, whatever the further bits are."""
    numbers, unsure = module._in_doubles(np.ones(len(parts[0])), *parts)
    assert np.all(np.isfinite(numbers) & (unsure > 0))
    largest = 0.0
    for number, bound, row in zip(numbers.tolist(), unsure.tolist(), zip(*parts, strict=True), strict=True):
        for bits in (LOW, HIGH, RandomBits.of_seed(0)):
            largest = max(largest, float(abs(exact(1.0, row, bits) - decimal.Decimal(number))) / bound)
    assert 0.01 < largest < 0.3


def test_directions_are_the_middles_of_their_cells() -> None:
    """Odd multiples of 2^-53, on both sides of zero alike: else the further bits would fill other cells than their own."""
    for seed in range(3):
        for part in module._directions(20_000, RandomBits.of_seed(seed)):
            whole = part / CELL
            assert np.all(whole == np.rint(whole))
            assert np.all(whole.astype(np.int64) % 2 == 1)


def test_what_lies_near_a_half_is_decided_by_further_bits() -> None:
    """All others are the same whatever the further bits are."""
    size, scale = 20_000, MAX_STANDARD_DEVIATION
    rounded = module._some(np.full(size, scale), RandomBits.of_seed(2))
    stream = RandomBits.of_seed(2)
    parts = (*module._uniform(size, stream), *module._directions(size, stream))
    numbers, unsure = module._in_doubles(np.full(size, scale), *parts)
    decided, otherwise = 0, 0
    for place, row in enumerate(zip(*parts, strict=True)):
        near = abs(abs(numbers[place] - np.rint(numbers[place])) - 0.5) <= unsure[place]
        wanted = [exact(scale, row, further) for further in ([stream] if near else [LOW, HIGH])]
        decided += near
        otherwise += near and rounded[place] != np.rint(numbers[place])
        assert {int(each.to_integral_value(decimal.ROUND_HALF_EVEN)) for each in wanted} == {int(rounded[place])}
    assert decided > 50
    assert otherwise > 3


def test_no_number_is_drawn_of_none() -> None:
    assert rounded_gaussian(np.zeros(0), RandomBits.of_system()).tolist() == []
    assert rounded_gaussian(np.zeros(0), RandomBits.of_system()).dtype == np.int64


@pytest.mark.parametrize("size", [1, 2, 7, (1 << 16) - 1, (1 << 16) + 1])
def test_any_number_of_numbers(size: int) -> None:
    sample = drawn(1e9, size)
    assert sample.shape == (size,)
    assert len(np.unique(sample)) == size or size > 1000


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, -math.inf, MAX_STANDARD_DEVIATION * 1.001])
def test_a_standard_deviation_is_positive_and_has_its_limit(wrong: float) -> None:
    with pytest.raises(ParameterError, match="Expected standard_deviation="):
        rounded_gaussian(np.array([1.0, wrong]), RandomBits.of_system())


def test_no_seed_of_anybody_repeats_the_noise() -> None:
    draws = []
    for _ in range(2):
        np.random.seed(1)
        draws.append(drawn(1e9, 100))
    assert not np.any(draws[0] == draws[1])
    np.testing.assert_array_equal(drawn(5.0, 100, RandomBits.of_seed(1)), drawn(5.0, 100, RandomBits.of_seed(1)))
