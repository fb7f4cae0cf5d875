"""Reads features of serialized tf.Examples without a schema: there is none before there are statistics.

What a record counts for must depend on that record alone. A decoder of many records at once fails where one is broken or has
another type than the others, so these are decoded apart: by halves, until what is left decodes, or is one record.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tfx_bsl.coders import example_coder

from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.features import Feature, Number
from tfx_privacy.releases.queries import Presence, Query

_NUMBERS, _TEXTS, _USERS = "fi", "O", "iO"


class Wanted(NamedTuple):
    """Values of one feature."""

    feature: str
    kinds: str
    """Of numpy dtypes: values in a list of another kind count as missing."""


EVERYONE = Wanted("", "")
"""A value of each record, whatever is in it."""


def numbers(feature: str) -> Wanted:
    """The numbers of a feature, in a list of floats or of whole numbers."""
    return Wanted(feature, _NUMBERS)


def texts(feature: str) -> Wanted:
    """The texts of a feature."""
    return Wanted(feature, _TEXTS)


@dataclasses.dataclass(frozen=True)
class ExampleReader:
    """The `exact_sums.Reader` of tf.Examples."""

    wanted: Sequence[Wanted]
    """For each query."""
    user_id_key: str | None = None
    """Where users are the unit, the feature that tells them apart."""

    def columns(self, records: Any) -> Sequence[Column]:
        """Of each query, its values."""
        return _columns(records.numpy(), self.wanted)

    def users(self, records: Any) -> Column:
        """Whom the records are of."""
        assert self.user_id_key is not None
        (found,) = _columns(records.numpy(), [Wanted(self.user_id_key, _USERS)])
        return found


def of_queries(
    features: Mapping[str, Feature], queries: Sequence[Query], user_id_key: str | None = None
) -> ExampleReader:
    """Reads what `releases.features.queries(features)` ask of."""
    wanted = []
    for query in queries:
        if isinstance(query, Presence) and query.everyone:
            wanted.append(EVERYONE)
        else:
            wanted.append((numbers if isinstance(features[query.name], Number) else texts)(query.name))
    return ExampleReader(tuple(wanted), user_id_key)


def _columns(records: np.ndarray, wanted: Sequence[Wanted]) -> list[Column]:
    everyone = Column(np.zeros(len(records), np.int64), np.arange(len(records)))
    batches = list(_decoded(records, 0))
    parts = {each: [_column(batch, start, each) for start, batch in batches] for each in set(wanted) - {EVERYONE}}
    return [everyone if each == EVERYONE else _joined(parts[each], each) for each in wanted]


def _decoded(records: np.ndarray, start: int) -> Iterator[tuple[int, Any]]:
    """Batches of records that decode, as Arrow's columns, each with the place of its first record."""
    if not len(records):
        return
    try:
        batch = _decoder().DecodeBatch(records.tolist())
    except Exception:  # noqa: BLE001 - of whatever kind: its text may quote the records
        batch = None
    if batch is not None:
        yield start, batch
    elif len(records) > 1:
        half = len(records) // 2
        yield from _decoded(records[:half], start)
        yield from _decoded(records[half:], start + half)


def _column(batch: Any, start: int, wanted: Wanted) -> Column:
    place = batch.schema.get_field_index(wanted.feature)
    lists = batch.column(place) if place >= 0 else None
    # A feature that no record of the batch has values of is a column without lists.
    if lists is None or not hasattr(lists, "value_parent_indices"):
        return _none(wanted)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    if values.dtype.kind not in wanted.kinds:
        return _none(wanted)
    return Column(values, start + lists.value_parent_indices().to_numpy())


def _joined(parts: Sequence[Column], wanted: Wanted) -> Column:
    if len(parts) == 1:
        return parts[0]
    every = [_none(wanted), *(part for part in parts if len(part.rows))]
    if wanted.kinds == _USERS:
        every = [Column(part.values.astype(object), part.rows) for part in every]
    return Column(np.concatenate([part.values for part in every]), np.concatenate([part.rows for part in every]))


def _none(wanted: Wanted) -> Column:
    return Column(np.zeros(0, object if wanted.kinds != _NUMBERS else np.float64), np.zeros(0, np.int64))


@functools.lru_cache(maxsize=1)
def _decoder() -> Any:
    return example_coder.ExamplesToRecordBatchDecoder()
