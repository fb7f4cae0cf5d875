"""What a record counts for depends on that record alone, whatever is in it and whatever stands beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from artifacts_on_disk import serialize

from tfx_privacy.components.dp_statistics_gen import reader
from tfx_privacy.components.dp_statistics_gen.reader import EVERYONE, ExampleReader, numbers, texts
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.features import Feature, Number, Text
from tfx_privacy.releases.queries import Query, VectorQuery, Vocabulary

pytestmark = pytest.mark.engine

BROKEN = b"\xff\xff no message"
FEATURES: dict[str, Feature] = {
    "fare": Number(bounds=(-1.0, 5.0), bins=8),
    "fares": Number(bounds=(0.0, 4.0), bins=4, max_values=3),
    "hour": Number(bounds=(0, 24), integer=True, required=True),
    "company": Text(),
    "tags": Text(max_values=2),
    "payment": Text(keys=["cash", "card"], max_values=2),
}
QUERIES = feature_list.queries(FEATURES)
# By feature: what a hostile record may hold there, of whatever type.
VALUES: list[list[Any]] = [
    [],
    [1.0],
    [math.nan],
    [math.inf, -math.inf, 2.5],
    [-7.25, math.nan, 3.0, 3.0, 3.0],
    [1e308],
    [3],
    [2**62, -(2**62)],
    [b"cash"],
    [b""],
    [b"card", b"card", b"card"],
    [b"a\nb", b"cash", b"other", b"cash"],
    [b"\xff\xfe"],
    [b"x" * 5000],
]


def hostile(random: np.random.Generator) -> bytes:
    """A record with any values in any feature, and now and then no record at all."""
    if random.random() < 0.1:
        return BROKEN
    chosen = {name: VALUES[random.integers(len(VALUES))] for name in FEATURES if random.random() < 0.9}
    return serialize({name: values for name, values in chosen.items() if values})


def columns(records: Sequence[bytes], wanted: Sequence[reader.Wanted]) -> Sequence[Column]:
    return ExampleReader(tuple(wanted)).columns(tf.constant(list(records), tf.string))


def sums(records: Sequence[bytes]) -> list[Any]:
    """What noise is added to, of each query."""
    found: list[Any] = []
    source = reader.of_queries(FEATURES, QUERIES)
    for query, column in zip(QUERIES, source.columns(tf.constant(list(records), tf.string)), strict=True):
        if isinstance(query, Vocabulary):
            found.append(query.counts(column))
        else:
            assert isinstance(query, VectorQuery)
            found.append(query.released(query.sums(column)))
    return found


def distance(ours: Any, theirs: Any) -> float:
    if isinstance(ours, Counter):
        return math.sqrt(sum((ours[key] - theirs[key]) ** 2 for key in {*ours, *theirs}))
    return float(np.linalg.norm((ours - theirs).astype(np.float64)))


def test_values_are_found_by_feature_and_type() -> None:
    records = [
        serialize({"fare": [1.5, 2.0], "company": [b"a", b"b"]}),
        serialize({"company": [b"\xff"]}),
        serialize({"fare": [4.0]}),
    ]
    fare, company, missing, everyone = columns(records, [numbers("fare"), texts("company"), numbers("other"), EVERYONE])
    assert (fare.values.tolist(), fare.rows.tolist()) == ([1.5, 2.0, 4.0], [0, 0, 2])
    assert (company.values.tolist(), company.rows.tolist()) == ([b"a", b"b", b"\xff"], [0, 0, 1])
    assert (len(missing.values), missing.values.dtype.kind, len(missing.rows)) == (0, "f", 0)
    assert everyone.rows.tolist() == [0, 1, 2]


def test_another_type_counts_as_missing_and_both_kinds_of_numbers_are_numbers() -> None:
    records = [serialize({"x": [b"1"]}), serialize({"x": [2]}), serialize({"x": [3.5]}), serialize({"x": [b"4"]})]
    number, text = columns(records, [numbers("x"), texts("x")])
    assert (number.values.tolist(), number.rows.tolist()) == ([2.0, 3.5], [1, 2])
    assert (text.values.tolist(), text.rows.tolist()) == ([b"1", b"4"], [0, 3])


def test_a_broken_record_is_a_record_without_features() -> None:
    records = [serialize({"x": [1.0]}), BROKEN, serialize({"x": [2.0]})]
    number, everyone = columns(records, [numbers("x"), EVERYONE])
    assert (number.values.tolist(), number.rows.tolist()) == ([1.0, 2.0], [0, 2])
    assert everyone.rows.tolist() == [0, 1, 2]


def test_no_record_is_no_value() -> None:
    assert [len(column.rows) for column in columns([], [numbers("x"), texts("x"), EVERYONE])] == [0, 0, 0]


def test_users_are_told_apart_by_texts_and_whole_numbers() -> None:
    records = [serialize({"id": [7]}), serialize({"id": [b"ann", b"bob"]}), serialize({}), serialize({"id": [1.5]})]
    users = ExampleReader((), "id").users(tf.constant(records, tf.string))
    assert (users.values.tolist(), users.rows.tolist()) == ([7, b"ann", b"bob"], [0, 1, 1])


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_the_sums_of_what_each_record_gives_alone(seed: int) -> None:
    """So they are the same for any batches, and sensitivities hold where a decoder fails on a batch."""
    random = np.random.default_rng(seed)
    records = [hostile(random) for _ in range(40)]
    alone = [sums([record]) for record in records]
    for place, whole in enumerate(sums(records)):
        added = alone[0][place].copy()
        for other in alone[1:]:
            added = added + other[place]
        assert distance(whole, added) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_a_record_moves_no_answer_by_more_than_its_sensitivity(seed: int) -> None:
    random = np.random.default_rng([1, seed])
    records = [hostile(random) for _ in range(30)]
    whole = sums(records)
    for place in range(0, len(records), 3):
        without = sums(records[:place] + records[place + 1 :])
        for query, ours, theirs in zip(QUERIES, whole, without, strict=True):
            assert distance(ours, theirs) <= query.l2_sensitivity * (1 + 1e-12), (query.name, query.kind)


def reaches(query: Query) -> bool:
    """Whether some record moves it by all that is allowed: a bound that no record reaches would hide a wrong one."""
    values = [serialize({query.name: found}) for found in VALUES if found]
    most = max(distance(sums([record])[QUERIES.index(query)], sums([])[QUERIES.index(query)]) for record in values)
    return most >= query.l2_sensitivity * 0.7


def test_sensitivities_are_not_much_larger_than_what_records_do() -> None:
    assert [query for query in QUERIES if query.name != feature_list.NUM_EXAMPLES and not reaches(query)] == []
