"""Reads records by what a traced `preprocessing_fn` makes of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from typing_extensions import Self

from tfx_privacy.releases.columns import Column
from tfx_privacy.training import without_values
from tfx_privacy.transform.session import Draft


@dataclasses.dataclass(frozen=True)
class TracedReader:
    """The `exact_sums.Reader` of a SavedModel."""

    model_path: str
    """Its `columns.one_by_one` takes serialized records and gives values and rows for each query; `users.traced`, of users."""

    @classmethod
    def save(cls, draft: Draft, path: str) -> Self:
        """Saves what was traced to a folder that stays for as long as records are read."""
        tf.saved_model.save(draft.module, path)
        return cls(path)

    def columns(self, records: Any) -> Sequence[Column]:
        """Of each query, its values: made of each record alone."""
        found = without_values.call(
            lambda: _model(self.model_path).columns.one_by_one(records), "What preprocessing_fn makes of the records"
        )
        return [Column(values.numpy(), rows.numpy()) for values, rows in found]

    def users(self, records: Any) -> Column:
        """Whom the records are of."""
        values, rows = without_values.call(
            lambda: _model(self.model_path).users.traced(records), "What tells users apart"
        )
        return Column(values.numpy(), rows.numpy())


@functools.lru_cache(maxsize=4)
def _model(path: str) -> Any:
    """The SavedModel, once in a process."""
    return tf.saved_model.load(path)
