"""What is made of sums: right without noise, and sensible whatever the noise is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.queries import (
    GRID,
    MAX_BINS,
    MAX_VALUES,
    Bounds,
    Counts,
    Intervals,
    Moments,
    Presence,
    Quantiles,
    Vocabulary,
    check_bounds,
)


def one_each(values: np.ndarray) -> Column:
    return Column(values, np.arange(len(values)))


SAMPLE = np.random.default_rng(0).gamma(2.0, 10.0, 20_000)


def test_mean_and_variance_are_those_of_the_clipped_values() -> None:
    query = Moments(name="x", bounds=(5.0, 60.0))
    mean, variance = query.mean_and_variance(query.sums(one_each(SAMPLE)))
    clipped = np.clip(SAMPLE, 5.0, 60.0)
    assert mean == pytest.approx(clipped.mean(), abs=55 / GRID)
    assert variance == pytest.approx(clipped.var(), abs=4 * 55**2 / GRID)
    assert query.count(query.sums(one_each(SAMPLE))) == len(SAMPLE)


def test_nan_counts_as_missing_and_an_infinity_as_the_bound() -> None:
    values = np.array([math.nan, math.inf, -math.inf, 1.0])
    query = Moments(name="x", bounds=(0.0, 2.0))
    assert query.sums(one_each(values)).tolist() == [3 * GRID, 0, 2 * GRID]
    assert Quantiles(name="x", bounds=(0.0, 2.0), bins=2).sums(one_each(values)).tolist() == [1, 2]
    assert Intervals(name="x", boundaries=(0.0, 1.0)).sums(one_each(values)).tolist() == [1, 0, 2]
    assert Bounds(name="x").sums(one_each(values))[[0, 128 + 65, -1]].tolist() == [1, 1, 1]
    assert Presence(name="x").sums(one_each(values)).tolist() == [3]


@pytest.mark.parametrize(
    "noisy", [[0, 0, 0], [-5, 3, 4], [GRID - 1, GRID, GRID], [1, 2**40, -(2**40)], [-(2**50), 1, 1]]
)
def test_noise_leaves_no_mean_beyond_the_bounds_and_no_variance_of_zero(noisy: list[int]) -> None:
    query = Moments(name="x", bounds=(10.0, 20.0))
    mean, variance = query.mean_and_variance(np.array(noisy, np.int64))
    assert 10.0 <= mean <= 20.0
    assert 25e-6 <= variance <= 25.0
    assert query.count(np.array(noisy, np.int64)) >= 0.0


def test_of_no_values_the_middle_of_the_bounds() -> None:
    query = Moments(name="x", bounds=(10.0, 20.0))
    assert query.mean_and_variance(np.zeros(3, np.int64)) == pytest.approx((15.0, 25 / 3))


def test_values_that_are_all_equal_have_the_least_variance() -> None:
    query = Moments(name="x", bounds=(10.0, 20.0))
    mean, variance = query.mean_and_variance(query.sums(one_each(np.full(100, 13.0))))
    assert mean == pytest.approx(13.0, abs=1e-5)
    assert variance == pytest.approx(25e-6)


def test_noise_above_the_variance_leaves_the_noise_as_the_least_variance() -> None:
    """Of 200 equal values under noise of 30 values: what is divided by the root stays of the order of 1."""
    query = Moments(name="x", bounds=(10.0, 20.0))
    exact = query.sums(one_each(np.full(200, 13.0)))
    unlucky = exact - np.array([0, 0, 60 * GRID])
    _, variance = query.mean_and_variance(unlucky, 30.0 * GRID)
    assert variance == pytest.approx(25 * 30 / 200)
    spread = query.sums(one_each(np.linspace(10.0, 20.0, 200)))
    assert query.mean_and_variance(spread, 30.0 * GRID)[1] == pytest.approx(25 / 3, rel=0.02)  # it is above the noise


@pytest.mark.parametrize("bins", [2, 4, 64, 256, 4096])
def test_the_nodes_tell_how_many_values_lie_below_each_edge(bins: int) -> None:
    query = Quantiles(name="x", bounds=(0.0, 100.0), bins=bins)
    sums = query.sums(one_each(SAMPLE))
    wanted = np.concatenate([[0], np.cumsum(sums)])
    np.testing.assert_array_equal(query.distribution(query.released(sums)), wanted)
    np.testing.assert_array_equal(sums, np.histogram(np.clip(SAMPLE, 0, 100), np.linspace(0, 100, bins + 1))[0])
    assert query.released(sums)[:2].sum() == len(SAMPLE)


@pytest.mark.parametrize("num_buckets", [2, 3, 10, 64])
def test_quantiles_are_within_a_bin(num_buckets: int) -> None:
    query = Quantiles(name="x", bounds=(0.0, 128.0), bins=256)
    shares = (np.arange(1, num_buckets) / num_buckets).tolist()
    found = query.quantiles(query.released(query.sums(one_each(SAMPLE))), shares)
    np.testing.assert_allclose(found, np.quantile(np.clip(SAMPLE, 0, 128), shares), atol=0.5)


def test_quantiles_of_no_values_are_spread_evenly() -> None:
    query = Quantiles(name="x", bounds=(0.0, 8.0), bins=8)
    assert query.quantiles(np.zeros(14, np.int64), [0.25, 0.5]).tolist() == [2.0, 4.0]
    assert query.quantiles(np.full(14, -7), [0.25, 0.5]).tolist() == [2.0, 4.0]


def test_quantiles_never_fall_whatever_the_noise() -> None:
    random, query = np.random.default_rng(1), Quantiles(name="x", bounds=(-3.0, 5.0), bins=64)
    for scale in (1, 100, 10_000):
        for _ in range(50):
            noisy = query.released(query.sums(one_each(random.normal(size=200)))) + random.integers(-scale, scale, 126)
            found = query.quantiles(noisy, [0.1, 0.2, 0.5, 0.9])
            assert np.all(np.diff(found) >= 0)
            assert np.all((found >= -3.0) & (found <= 5.0))


def test_a_quantile_among_empty_bins_lies_in_their_middle() -> None:
    query = Quantiles(name="x", bounds=(0.0, 16.0), bins=16)
    half_and_half = np.concatenate([np.full(500, 1.5), np.full(500, 14.5)])
    (found,) = query.quantiles(query.released(query.sums(one_each(half_and_half))), [0.5])
    assert 7.0 < found < 9.0


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([3.0, 5.0, 7.9], (2.0, 8.0)),
        ([-3.0, 0.3], (-4.0, 0.5)),
        ([-7.0, -1.0], (-8.0, -1.0)),
        ([0.0], (-(2.0**-64), 2.0**-64)),
        ([1e-30, 0.0, 5e-324], (-(2.0**-64), 2.0**-64)),
        ([4.0], (4.0, 8.0)),
        ([1e300, -1e300], (-(2.0**64), 2.0**64)),
        ([math.inf, -math.inf], (-(2.0**64), 2.0**64)),
        ([math.nextafter(8.0, 0.0)], (4.0, 8.0)),
    ],
)
def test_found_bounds_are_the_powers_of_two_around_the_values(values: list[float], wanted: tuple[float, float]) -> None:
    query = Bounds(name="x")
    sums = query.sums(one_each(np.repeat(values, 100)))
    found = query.found(sums, 10.0)
    assert found == wanted
    assert found is not None
    assert check_bounds(found) == found


def test_no_bounds_are_found_in_noise() -> None:
    """With probability 1 % in a search of nothing: in 3,000 of them fewer than 60 (of a binomial, false alarm 1e-6)."""
    random, query = np.random.default_rng(2), Bounds(name="x")
    found = sum(query.found(np.rint(random.normal(size=257) * 40.0), 40.0) is not None for _ in range(3000))
    assert 5 < found < 60


def test_a_value_that_stands_alone_moves_no_bound() -> None:
    query = Bounds(name="x")
    sums = query.sums(one_each(np.array([3.0] * 500 + [1e9])))
    assert query.found(sums, 10.0) == (2.0, 4.0)


def test_counts_are_of_public_values_in_their_order() -> None:
    query = Counts(name="x", keys=(b"b", b"a", b"never"))
    values = np.array([b"a", b"b", b"a", b"other", b""], object)
    assert query.sums(one_each(values)).tolist() == [1, 2, 0]
    numbers = Counts(name="x", keys=(7, -1))
    assert numbers.sums(one_each(np.array([7, 7, 3, -1]))).tolist() == [2, 1]


def test_intervals_hold_their_lower_boundary() -> None:
    query = Intervals(name="x", boundaries=(0.0, 1.0))
    assert query.sums(one_each(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]))).tolist() == [1, 2, 2]


def test_a_vocabulary_counts_records_and_leaves_out_what_its_file_cannot_hold() -> None:
    query = Vocabulary(name="x", max_values=2)
    rows = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    values = np.array([b"a", b"a", b"b", b"c", b"a", b"", b"x\ny", b"z\r", b"c"], object)
    assert query.counts(Column(values, rows)) == {b"a": 2, b"b": 1, b"c": 1}


def test_only_the_first_values_of_a_record_count() -> None:
    query = Quantiles(name="x", bounds=(0.0, 4.0), bins=4, max_values=2)
    column = Column(np.array([math.nan, 0.5, 1.5, 2.5, 3.5]), np.array([0, 0, 0, 0, 1]))
    assert query.sums(column).tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize(
    "bounds",
    [
        (1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0), (-1e308, 1e308), "private?", (1.0,),
        (1, 2, 3), None, 5.0, ("0", "1"), (True, False), ({}, 1.0),
    ],
)  # fmt: skip
def test_bounds_are_two_numbers_that_rise(bounds: object) -> None:
    for make in (Moments, Quantiles):
        with pytest.raises(ParameterError, match="bounds="):
            make(name="x", bounds=bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize("bins", [0, 1, 3, -2, 2 * MAX_BINS, 2.0, "2", None])
def test_bins_are_a_power_of_two(bins: object) -> None:
    with pytest.raises(ParameterError, match="power of two"):
        Quantiles(name="x", bounds=(0.0, 1.0), bins=bins)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_values", [0, -1, 1.5, True, None, MAX_VALUES + 1])
def test_max_values_is_a_whole_number(max_values: object) -> None:
    with pytest.raises(ParameterError, match="max_values="):
        Presence(name="x", max_values=max_values)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.0, -1.0, math.nan, math.inf, "1", True])
def test_a_share_is_positive(share: object) -> None:
    with pytest.raises(ParameterError, match="share="):
        Presence(name="x", share=share)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [(), (b"a", b"a"), (1, 1), (b"a", 1), (2**63,), (True, 2), (1.5,), ("a",)])
def test_keys_are_different_and_of_one_kind(keys: object) -> None:
    with pytest.raises(ParameterError, match="keys="):
        Counts(name="x", keys=keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("boundaries", [(), (1.0, 1.0), (2.0, 1.0), (math.nan,), (0.0, math.inf)])
def test_boundaries_rise(boundaries: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="boundaries="):
        Intervals(name="x", boundaries=boundaries)
