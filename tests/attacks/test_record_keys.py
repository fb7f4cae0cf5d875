"""Keys of records: equal for equal records, uniform, independent between pairs, and indifferent to the last bits of floats."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from tfx_privacy.attacks.record_keys import Padded, fold_bits, record_keys
from tfx_privacy.errors import DataError, ParameterError

# Each statistical test below fails for correct code with this probability; the seeds are fixed.
FALSE_ALARM = 1e-4


def make_features(num_records: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "amount": random.normal(size=num_records).astype(np.float32),
        "vector": random.normal(size=(num_records, 3)),
        "count": random.integers(-5, 5, (num_records, 1)),
        "flag": random.integers(0, 2, num_records).astype(bool),
        "word": np.array([b"a", b"b", b""], dtype=object)[random.integers(0, 3, num_records)],
    }


def test_equal_records_have_equal_keys_in_any_batch_and_order() -> None:
    features = make_features()
    keys = record_keys(features)
    assert keys.dtype == np.uint64
    assert len(np.unique(keys)) == 1000
    order = np.random.default_rng(1).permutation(1000)
    shuffled = {name: column[order] for name, column in reversed(features.items())}
    assert np.array_equal(record_keys(shuffled), keys[order])
    parts = [
        record_keys({name: column[part] for name, column in features.items()}) for part in (slice(3), slice(3, None))
    ]
    assert np.array_equal(np.concatenate(parts), keys)


def test_blocks_make_no_difference() -> None:
    """More rows and columns than are mixed at once."""
    wide = np.random.default_rng(0).integers(0, 9, (70, 2000))
    whole = record_keys({"pixels": wide})
    assert np.array_equal(whole[60:], record_keys({"pixels": wide[60:]}))
    tall = np.arange(200_000)
    assert np.array_equal(record_keys({"id": tall})[-5:], record_keys({"id": tall[-5:]}))


@pytest.mark.parametrize("name", list(make_features()))
def test_one_changed_value_is_another_key(name: str) -> None:
    features = make_features()
    before = record_keys(features)
    changed = features[name].copy()
    first = changed.reshape(1000, -1)
    first[7, 0] = b"c" if name == "word" else not first[7, 0] if name == "flag" else 77
    after = record_keys({**features, name: changed})
    assert np.flatnonzero(before != after).tolist() == [7]


def test_names_positions_and_types_of_values_count() -> None:
    ones, twos = np.ones(1, np.int64), np.full(1, 2, np.int64)
    distinct: list[dict[str, np.ndarray]] = [
        {"a": ones, "b": twos}, {"a": twos, "b": ones}, {"a": ones, "c": twos}, {"a": ones}, {"a": twos},
        {"a": np.array([[1, 2]])}, {"a": np.array([[2, 1]])}, {"a": np.array([[1, 2, 0]])}, {"a": np.zeros((1, 0))},
        {"a": np.array([1.0])}, {"a": np.array(["1"])}, {"a": np.array(["2"])}, {"a": np.array([-1.0])},
        {"a": np.array([np.nan])}, {"a": np.array([np.inf])}, {"a": np.array([-np.inf])}, {"a": np.array([0.0])},
    ]  # fmt: skip
    keys = [int(record_keys(features)[0]) for features in distinct]
    assert len(set(keys)) == len(distinct)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(-3, 3, dtype=np.int32), np.arange(-3, 3, dtype=np.int64)),
        (np.array([True, False]), np.array([1, 0], np.uint8)),
        (np.array([0.1, -3e7], np.float32), np.array([0.1, -3e7], np.float32).astype(np.float64)),
        (np.array([0.0, -0.0, 1e-40]), np.zeros(3)),
        (np.array([np.nan]), np.array([-np.nan])),
        (np.arange(4.0), np.arange(4.0)[:, np.newaxis, np.newaxis]),
        (np.array(["é", ""]), np.array(["é".encode(), b""], dtype=object)),
    ],
)
def test_what_counts_as_equal(one: np.ndarray, other: np.ndarray) -> None:
    assert np.array_equal(record_keys({"x": one}), record_keys({"x": other}))


def test_keys_are_those_of_every_other_process() -> None:
    """Kept forever: reference models that were trained are found by them."""
    features = {"x": np.array([0.5, -1.25], np.float32), "n": np.array([3, -4]), "s": np.array([b"a", b"b"], object)}
    assert record_keys(features).tolist() == [18405309271325656926, 5671233261811359179]


def _bits(keys: np.ndarray) -> np.ndarray:
    return (keys[:, np.newaxis] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)


@pytest.mark.parametrize(
    "column",
    [np.arange(40_000), np.arange(40_000) << 20, np.arange(40_000) / 64.0, np.arange(40_000).astype(str)],
    ids=["integers", "high bits", "floats", "texts"],
)
def test_bits_of_keys_are_uniform(column: np.ndarray) -> None:
    """Chi-square over the 64 bits, and over 16 bins of the top bits; regular values are the hard case."""
    keys = np.unique(record_keys({"x": column}))
    half = len(keys) / 2
    statistic = float((((_bits(keys).sum(axis=0) - half) ** 2) / (half / 2)).sum())
    assert stats.chi2.sf(statistic, 64) > FALSE_ALARM
    bins = np.bincount((keys >> np.uint64(60)).astype(int), minlength=16)
    assert stats.chisquare(bins).pvalue > FALSE_ALARM


def test_the_uniformity_test_finds_a_bit_that_is_off_by_two_percent() -> None:
    random = np.random.default_rng(0)
    ones = random.random(40_000) < 0.52
    statistic = (ones.sum() - 20_000) ** 2 / 10_000
    assert stats.chi2.sf(statistic + 63, 64) < FALSE_ALARM


def _largest_deviation(signs: np.ndarray) -> float:
    """Over shares of ones and correlations of two pairs, in standard deviations; rows are pairs, of +1 and -1."""
    size = np.sqrt(signs.shape[1])
    correlations = (signs @ signs.T / size)[np.triu_indices(len(signs), 1)]
    return float(np.abs(np.concatenate([signs.sum(axis=1) / size, correlations])).max())


def test_halves_are_fair_and_independent_between_pairs() -> None:
    keys = record_keys({"x": np.arange(20_000)})
    signs = np.stack([fold_bits(keys, pair) for pair in range(64)]).astype(np.float64) * 2 - 1
    assert set(np.unique(signs)) == {-1.0, 1.0}
    limit = float(stats.norm.isf(FALSE_ALARM / 2 / (64 + 64 * 63 // 2)))
    assert _largest_deviation(signs) < limit
    # Power: one pair that repeats another in 54 % of the records.
    repeats = np.random.default_rng(0).random(20_000) < 0.08
    signs[5, repeats] = signs[3, repeats]
    assert _largest_deviation(signs) > limit


def test_halves_do_not_follow_the_order_of_keys() -> None:
    """Samples are the smallest keys: they must fall into both halves evenly."""
    keys = np.sort(record_keys({"x": np.arange(100_000)}))[:10_000]
    ones = sum(int(fold_bits(keys, pair).sum()) for pair in range(16))
    assert stats.binomtest(ones, 160_000).pvalue > FALSE_ALARM


def _with_noise(values: np.ndarray, ulps: int) -> np.ndarray:
    steps = np.random.default_rng(1).integers(-ulps, ulps + 1, values.shape)
    for step in range(ulps):
        towards = np.where(steps < 0, -np.inf, np.inf).astype(np.float32)
        values = np.where(np.abs(steps) > step, np.nextafter(values, towards), values)
    return values


@pytest.mark.parametrize(("ulps", "limit"), [(1, 0.002), (4, 0.005)])
def test_noise_in_the_last_bits_changes_few_keys(ulps: int, limit: float) -> None:
    """Ten float32 features of which most are off by up to 1 or 4 in the last bit; this measures 0.09 % and 0.25 %."""
    values = np.random.default_rng(0).normal(size=(100_000, 10)).astype(np.float32)
    noisy = _with_noise(values, ulps)
    assert (values != noisy).mean() > 0.5
    changed = (record_keys({"x": values}) != record_keys({"x": noisy})).mean()
    assert 0.0 < changed < limit


def test_numbers_that_data_is_made_of_do_not_lie_on_an_edge() -> None:
    """Whole numbers, halves, quarters, eighths: noise in the last bit changes none of their keys."""
    values = np.concatenate([np.arange(-5000, 5000) / step for step in (1, 2, 4, 8)]).astype(np.float32)
    assert np.array_equal(record_keys({"x": values}), record_keys({"x": _with_noise(values, 1)}))


@pytest.mark.parametrize("width", [8, 64, 512, 4096])
def test_wide_records_have_no_more_keys_that_noise_changes(width: int) -> None:
    """Without fewer bits, of 4,096 noisy floats nearly a third of the records would get another key."""
    values = np.random.default_rng(0).normal(size=(20_000_000 // width // 10, width)).astype(np.float32)
    noisy = _with_noise(values, 1)
    changed = (record_keys({"x": values}) != record_keys({"x": noisy})).mean()
    assert changed < 0.005
    assert len(np.unique(record_keys({"x": values}))) == len(values)


def test_padding_makes_no_difference() -> None:
    """A feature of one width, or of many: the same values at the same places are the same record."""
    dense = {name: column for name, column in make_features(50).items() if name in ("vector", "word")}
    wide = np.concatenate([dense["vector"], np.full((50, 2), 9.0)], axis=1)
    padded: dict[str, Any] = {
        "vector": Padded(wide, np.full(50, 3)),
        "word": Padded(np.array([[word, b"x"] for word in dense["word"]], object), np.ones(50, np.int64)),
    }
    assert np.array_equal(record_keys(padded), record_keys(dense))
    places = np.tile(np.arange(3), (50, 1))[:, ::-1]
    sparse = Padded(dense["vector"][:, ::-1], np.full(50, 3), places)
    assert np.array_equal(record_keys({**dense, "vector": sparse}), record_keys(dense))


def test_lengths_places_and_inner_axes_count() -> None:
    one = np.array([[1, 2, 3]])
    distinct = [
        Padded(one, np.array([3])), Padded(one, np.array([2])), Padded(one, np.array([0])),
        Padded(one, np.array([3]), np.array([[0, 1, 3]])), Padded(one[..., np.newaxis] * [1, 2], np.array([3])),
        Padded(one[..., np.newaxis] * [1, 2], np.array([2])),
    ]  # fmt: skip
    assert len({int(record_keys({"a": column})[0]) for column in distinct}) == len(distinct)
    ragged = Padded(np.arange(12).reshape(1, 3, 4), np.array([2]))
    assert np.array_equal(record_keys({"a": ragged}), record_keys({"a": np.arange(8).reshape(1, 2, 4)}))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, "Expected features of one number of records"),
        ({"a": np.ones(2), "b": np.ones(3)}, "Expected features of one number of records"),
        ({"a": np.float64(1.0)}, "Expected features of one number of records"),
        ({"a": np.array([1j])}, "Feature 'a' is of type complex128"),
        ({"a": np.array([b"x", None], dtype=object)}, "Feature 'a' holds a NoneType"),
    ],
)
def test_what_has_no_key(features: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        record_keys(features)


@pytest.mark.parametrize("pair", [-1, 1.0, True])
def test_pairs_are_numbers(pair: Any) -> None:
    with pytest.raises(ParameterError, match="Expected pair="):
        fold_bits(np.zeros(1, np.uint64), pair)
