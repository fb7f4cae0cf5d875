"""Reads records by what a traced `preprocessing_fn` makes of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from typing_extensions import Self

from tfx_privacy.errors import DataError
from tfx_privacy.releases.columns import Column
from tfx_privacy.training import without_values
from tfx_privacy.transform import records_apart
from tfx_privacy.transform.session import Draft


@dataclasses.dataclass(frozen=True)
class TracedReader:
    """The `exact_sums.Reader` of a SavedModel."""

    model_path: str
    """Its `columns.traced` takes serialized records and gives values and rows for each query; `users.traced`, of users."""
    names: tuple[str, ...]
    """Of the queries."""

    @classmethod
    def save(cls, draft: Draft, path: str) -> Self:
        """Saves what was traced to a folder that stays for as long as records are read."""
        tf.saved_model.save(draft.module, path)
        return cls(path, tuple(asked.query.name for asked in draft.asked))

    def columns(self, records: Any) -> Sequence[Column]:
        """Of each query, its values.

        Raises:
          DataError: If what is asked of a record depends on the others, as far as some of the first records of a process show.
        """
        what = "What preprocessing_fn makes of the records"
        if self.model_path not in _tried:
            mixed = without_values.call(lambda: records_apart.first_mixed(self._of, records), what)
            if mixed is not None:
                raise DataError(
                    f"{self.names[mixed]!r} gets something else of a record alone than of the same record among others. "
                    f"{records_apart.REMEDY}"
                )
            _tried.add(self.model_path)
        return [Column(*pair) for pair in without_values.call(lambda: self._of(records), what)]

    def users(self, records: Any) -> Column:
        """Whom the records are of."""
        values, rows = without_values.call(
            lambda: _model(self.model_path).users.traced(records), "What tells users apart"
        )
        return Column(values.numpy(), rows.numpy())

    def _of(self, records: Any) -> records_apart.Columns:
        return [(values.numpy(), rows.numpy()) for values, rows in _model(self.model_path).columns.traced(records)]


_tried: set[str] = set()


@functools.lru_cache(maxsize=4)
def _model(path: str) -> Any:
    """The SavedModel, once in a process."""
    return tf.saved_model.load(path)
