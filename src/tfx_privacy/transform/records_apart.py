"""Records by themselves: the sensitivity of every query rests on what a function makes of each of them alone.

What is summed up is made of one record at a time (`one_by_one`), so no other record can move it, not by the last bit either: of
a batch, TensorFlow computes some elements with vector instructions and the rest without, which round log, exp and others
differently. What Transform makes of a batch is to be the same, which is checked on made-up records before anything is charged:
it finds means over a batch, cumulative sums, and tensors that have one row for each value and not for each record. It finds no
function that mixes records only where their values say so; such a one is its author's word.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Columns: TypeAlias = "Sequence[tuple[np.ndarray, np.ndarray]]"
"""Of each question, its values and the record of each."""

_RECORDS = 4
# Texts that functions take apart: words, numbers, dates, lists.
_TEXTS = (
    (b"a", b"b c", b"c a a", b"d"),
    (b"1", b"2", b"3", b"0"),
    (b"1.5", b"2.5", b"0.5", b"-3"),
    (b"2024-01-31", b"2024-02-29", b"2023-12-01", b"2020-07-15"),
    (b"1,2", b"2,1", b"0,0", b"3,4"),
    (b"x;y", b"", b"x;y;z", b"w"),
    (b"x|y", b"", b"x|y|z", b"w"),
)
# Numbers, and how many a record has where that is open: plain ones; and what functions look for, of one value at most.
_NUMBERS = (
    ((0.0, 1.25, 2.5, 3.75), (0, 1, 2, 3)),
    ((-1.0, 1e6, 0.0, 3.0), (1, 1, 0, 1)),
    ((2.0, math.nan, -7.0, 0.5), (1, 1, 1, 0)),
)
# What one record gives in a batch and alone may differ by the last bits that a vectorized operation rounds otherwise.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


def first_mixed(columns: Callable[[Any], Columns], records: Any) -> int | None:
    """Which of the questions gets something else of a record alone than of its batch.

    Args:
      columns: Gives them for serialized records.
      records: String tensor of shape (num_records,).

    Returns:
      The first question's number; None where there is none, and of records that fail alone.
    """
    together = columns(records)
    for place in range(int(records.shape[0])):
        try:
            alone = columns(records[place : place + 1])
        except tf.errors.OpError:
            continue
        for number, ((values, rows), (own, own_rows)) in enumerate(zip(together, alone, strict=True)):
            if np.any(own_rows != 0) or not _equal(values[rows == place], own):
                return number
    return None


def of_made_up_records(columns: Callable[[Any], Columns], feature_spec: Mapping[str, Any]) -> int | None:
    """As `first_mixed`, of records that are made up; None too where the function takes none of those tried.

    Raises:
      tf.errors.InvalidArgumentError: If an assertion fails that there is one row for each record.
    """
    has_texts = any(feature.dtype == tf.string for feature in feature_spec.values())
    for texts, (numbers, counts) in itertools.product(_TEXTS if has_texts else _TEXTS[:1], _NUMBERS):
        try:
            mixed = first_mixed(columns, tf.constant(list(_made_up(feature_spec, _Made(texts, numbers, counts)))))
        except tf.errors.OpError as error:
            if ONE_ROW_EACH in str(error):
                raise
        except _UnknownFeatureError:
            return None
        else:
            if mixed is not None:
                return mixed
    return None


REMEDY = (
    "Let preprocessing_fn make it of each record by itself: no mean over the batch, no cumulative sum, no sorting, and no "
    "to_dense without a fixed width."
)
ONE_ROW_EACH = "one_row_for_each_record"
"""Name of the assertion's operation."""


class _UnknownFeatureError(Exception):
    """A feature of a kind that no value is made up of."""


@dataclasses.dataclass(frozen=True)
class _Made:
    """What records are made of: of each, its text, its number, and how many values it has where that is open."""

    texts: Sequence[bytes]
    numbers: Sequence[float]
    counts: Sequence[int]


def _made_up(feature_spec: Mapping[str, Any], made: _Made) -> Iterator[bytes]:
    for place in range(_RECORDS):
        features: dict[str, Any] = {}
        for name, feature in feature_spec.items():
            features |= _of(name, feature, place, made)
        yield tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _of(name: str, feature: Any, place: int, made: _Made) -> dict[str, Any]:
    """A record's part of one feature."""
    count = made.counts[place]
    if isinstance(feature, tf.io.FixedLenFeature):
        return {name: _values(feature.dtype, int(np.prod(feature.shape, dtype=int)), place, made)}
    if isinstance(feature, tf.io.VarLenFeature):
        return {name: _values(feature.dtype, count, place, made)}
    if isinstance(feature, tf.io.RaggedFeature) and not feature.partitions:
        return {feature.value_key or name: _values(feature.dtype, count, place, made)}
    if isinstance(feature, tf.io.SparseFeature) and isinstance(feature.index_key, str):
        count = min(count, int(feature.size))
        places = tf.train.Feature(int64_list=tf.train.Int64List(value=range(count)))
        return {feature.index_key: places, feature.value_key: _values(feature.dtype, count, place, made)}
    raise _UnknownFeatureError


def _values(dtype: Any, count: int, place: int, made: _Made) -> Any:
    if dtype == tf.string:
        chosen = [made.texts[(place + number) % len(made.texts)] for number in range(count)]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=chosen))
    first = made.numbers[place]
    if dtype.is_integer:
        whole = 0 if math.isnan(first) else round(first)
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[whole + number for number in range(count)]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[first + 0.5 * number for number in range(count)]))


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True))
    return bool(np.array_equal(one, other))
