"""By how much one record moves what is released: never by more than the query says, and at worst by that much."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.queries import (
    MAX_KEY_BYTES,
    Bounds,
    Counts,
    Intervals,
    Moments,
    Presence,
    Quantiles,
    Query,
    VectorQuery,
    Vocabulary,
)

Records = list[list[Any]]
PAIRS = 10_000

TINY = 5e-324
LARGE = 1.7976931348623157e308
HOSTILE = [
    math.nan, -math.nan, math.inf, -math.inf, 0.0, -0.0, TINY, -TINY, 2.2e-308, -2.2e-308, LARGE, -LARGE, 1.0, -1.0, 0.5, 3.0,
    math.nextafter(1.0, 2.0), math.nextafter(-1.0, 0.0), math.nextafter(3.0, 0.0), 2.0**64, -(2.0**63), 2.0**-64, 1e-20, 0.1,
]  # fmt: skip
KEYS = [
    b"", b"a", b"b", b"a\n", b"\r", b"a\r\nb", b"\0", b"a\0", b" ", b"\xff\xfe", "ä".encode(), b"x" * MAX_KEY_BYTES,
    b"x" * (MAX_KEY_BYTES + 1), b"00000000-no-value-was-common-enough",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 7, 2**63 - 1, -(2**63), 10**12]

QUERIES: dict[str, tuple[Query, Sequence[Any]]] = {
    "presence": (Presence(name="x"), HOSTILE),
    "everyone": (Presence(name="x", everyone=True, max_values=3), HOSTILE),
    "presence of texts": (Presence(name="x"), KEYS),
    "moments": (Moments(name="x", bounds=(-1.0, 3.0)), HOSTILE),
    "moments of several": (Moments(name="x", bounds=(0.0, 1e-300), max_values=3), HOSTILE),
    "moments of whole numbers": (Moments(name="x", bounds=(-9e18, 9e18), max_values=2), NUMBERS),
    "moments within all doubles": (Moments(name="x", bounds=(-8e307, 8e307)), HOSTILE),
    "quantiles": (Quantiles(name="x", bounds=(-1.0, 3.0), bins=2), HOSTILE),
    "quantiles of many bins": (Quantiles(name="x", bounds=(-1.0, 3.0), bins=256, max_values=3), HOSTILE),
    "intervals": (Intervals(name="x", boundaries=(-1.0, 0.0, TINY, 3.0), max_values=2), HOSTILE),
    "bounds": (Bounds(name="x", max_values=2), HOSTILE),
    "counts": (Counts(name="x", keys=(b"a", b"", b"a\n", b"\xff\xfe"), max_values=3), KEYS),
    "counts of whole numbers": (Counts(name="x", keys=(0, 2**63 - 1, -(2**63)), max_values=2), NUMBERS),
    "vocabulary": (Vocabulary(name="x"), KEYS),
    "vocabulary of several": (Vocabulary(name="x", max_values=3), KEYS),
    "vocabulary of whole numbers": (Vocabulary(name="x", max_values=2), NUMBERS),
}


def column(records: Records, dtype: Any) -> Column:
    values = [value for record in records for value in record]
    rows = np.repeat(np.arange(len(records)), [len(record) for record in records])
    made = np.empty(len(values), object) if dtype is object else np.zeros(len(values), dtype)
    made[:] = values
    return Column(made, rows.astype(np.int64))


def dtype_of(pool: Sequence[Any]) -> Any:
    return {bytes: object, float: np.float64, int: np.int64}[type(pool[0])]


def released(query: Query, records: Records, dtype: Any) -> Any:
    """Everything that noise is added to: a vector, or counts by value."""
    asked = column(records, dtype)
    if isinstance(query, Vocabulary):
        return query.counts(asked)
    assert isinstance(query, VectorQuery)
    sums = query.sums(asked)
    exact = query.released(sums)
    assert (sums.shape, exact.shape) == ((query.length,), (query.numbers,))
    assert sums.dtype == exact.dtype == np.int64
    return exact


def moved(query: Query, one: Records, other: Records, dtype: Any) -> float:
    """L2 distance of what is released of two datasets."""
    first, second = released(query, one, dtype), released(query, other, dtype)
    if isinstance(first, Counter):
        return math.sqrt(sum((first[key] - second[key]) ** 2 for key in first.keys() | second.keys()))
    return math.sqrt(sum(part * part for part in (first - second).tolist() if part))


def some_records(draw: random.Random, pool: Sequence[Any], most: int) -> Records:
    """Few records of no to eight values, with many repeated ones; now and then one of 100."""
    records = []
    for _ in range(draw.randint(1, most)):
        size = 100 if draw.random() < 0.01 else draw.randint(0, 8)
        records.append([draw.choice(pool) for _ in range(size)])
    return records


@pytest.mark.parametrize("name", QUERIES)
def test_one_record_moves_a_release_by_its_sensitivity_at_most(name: str) -> None:
    """Ten thousand random pairs of neighbours, one of which lacks a record."""
    query, pool = QUERIES[name]
    draw, dtype = random.Random(name), dtype_of(pool)
    largest = 0.0
    for _ in range(PAIRS):
        records = some_records(draw, pool, 4)
        left_out = draw.randrange(len(records))
        largest = max(largest, moved(query, records, records[:left_out] + records[left_out + 1 :], dtype))
    assert 0.9 * query.l2_sensitivity < largest <= query.l2_sensitivity


@pytest.mark.parametrize("name", QUERIES)
def test_a_user_of_some_records_moves_a_release_so_many_times(name: str) -> None:
    query, pool = QUERIES[name]
    draw, dtype = random.Random(name), dtype_of(pool)
    for _ in range(1000):
        records = some_records(draw, pool, 8)
        kept = [record for record in records if draw.random() < 0.5]
        limit = query.l2_sensitivity * (len(records) - len(kept))
        assert moved(query, records, kept, dtype) <= limit
        # Nothing of one record depends on the others: what is released is the sum over all of them.
        alone = [released(query, [record], dtype) for record in records]
        np.testing.assert_equal(sum(alone[1:], alone[0]), released(query, records, dtype))


WORST: dict[str, list[Any]] = {
    "presence": [0.0], "everyone": [0.0], "presence of texts": [b""],
    "moments": [3.0], "moments of several": [1e-300] * 9, "moments of whole numbers": [-(2**63)] * 9,
    "moments within all doubles": [-math.inf], "quantiles": [math.inf], "quantiles of many bins": [0.1] * 9,
    "intervals": [0.0] * 9, "bounds": [-LARGE] * 9, "counts": [b""] * 9, "counts of whole numbers": [2**63 - 1] * 9,
    "vocabulary": [b"a", b"a", b"b"], "vocabulary of several": [b"a", b"a", b"b", b"\0", b"a\0"],
    "vocabulary of whole numbers": [0, 0, 1, 2],
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_the_worst_record_moves_a_release_by_its_sensitivity(name: str) -> None:
    """Less would hide a query that counts too little; the noise would only be too much."""
    query, pool = QUERIES[name]
    found = moved(query, [WORST[name]], [], dtype_of(pool))
    assert found == pytest.approx(query.l2_sensitivity, rel=1e-9)


@pytest.mark.parametrize("name", QUERIES)
def test_values_of_a_record_in_several_places_are_those_of_one_record(name: str) -> None:
    """A SparseTensor that somebody put together may have its rows in any order."""
    query, pool = QUERIES[name]
    draw, dtype = random.Random(name), dtype_of(pool)
    for _ in range(200):
        records = [[draw.choice(pool) for _ in range(5)] for _ in range(3)]
        whole = column(records, dtype)
        # The records' values in turn: each record's own stay in their order.
        order = np.argsort(np.tile(np.arange(5), 3), kind="stable")
        mixed = Column(whole.values[order], whole.rows[order])
        ask: Callable[[Column], Any] = query.counts if isinstance(query, Vocabulary) else query.sums  # type: ignore[attr-defined]
        np.testing.assert_equal(ask(mixed), ask(whole))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32, np.uint8, np.uint64, np.bool_])
def test_numbers_of_every_type_are_taken(kind: Any) -> None:
    values = Column(np.array([0, 1, 1], kind), np.array([0, 1, 2]))
    assert Presence(name="x").sums(values).tolist() == [3]
    assert Quantiles(name="x", bounds=(0.0, 1.0), bins=2).sums(values).tolist() == [1, 2]
    assert Intervals(name="x", boundaries=(0.5,)).sums(values).tolist() == [1, 2]
    assert Bounds(name="x").sums(values).sum() == 3
    assert Moments(name="x", bounds=(0.0, 1.0)).sums(values).tolist() == [3 << 20, 1 << 20, 3 << 20]
    if kind not in (np.float16, np.float32):
        assert Vocabulary(name="x").counts(values) == {b"0": 1, b"1": 2}
    else:
        with pytest.raises(ValueError, match="texts or whole numbers"):
            Vocabulary(name="x").counts(values)


def test_texts_are_no_numbers() -> None:
    texts = column([[b"1"]], object)
    for query in (Moments(name="x", bounds=(0, 1)), Quantiles(name="x", bounds=(0, 1)), Bounds(name="x")):
        with pytest.raises(ValueError, match="Expected numbers, not values of dtype object"):
            query.sums(texts)


def test_of_no_record_everything_is_zero() -> None:
    for query, pool in QUERIES.values():
        nobody: list[list[list[Any]]] = [[], [[], []]]
        for records in nobody:
            found = released(query, records, dtype_of(pool))
            assert not any(found.values() if isinstance(found, Counter) else found)
