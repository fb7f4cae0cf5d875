"""Reads records by what a traced `preprocessing_fn` makes of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from typing_extensions import Self

from tfx_privacy.releases.queries import Column
from tfx_privacy.training import without_values


@dataclasses.dataclass(frozen=True)
class TracedReader:
    """The `exact_sums.Reader` of a SavedModel."""

    model_path: str
    """Its `columns.traced` takes serialized records and gives values and rows for each query; `users.traced`, of users."""

    @classmethod
    def save(cls, module: tf.Module, path: str) -> Self:
        """Saves the module to a folder that stays for as long as records are read."""
        tf.saved_model.save(module, path)
        return cls(path)

    def columns(self, records: Any) -> Sequence[Column]:
        """Of each query, its values."""
        return without_values.call(
            lambda: [_column(pair) for pair in _model(self.model_path).columns.traced(records)],
            "What preprocessing_fn makes of the records",
        )

    def users(self, records: Any) -> Column:
        """Whom the records are of."""
        return without_values.call(
            lambda: _column(_model(self.model_path).users.traced(records)), "What tells users apart"
        )


def _column(values_and_rows: tuple[Any, Any]) -> Column:
    values, rows = values_and_rows
    return Column(values.numpy(), rows.numpy())


@functools.lru_cache(maxsize=4)
def _model(path: str) -> Any:
    """The SavedModel, once in a process."""
    return tf.saved_model.load(path)
