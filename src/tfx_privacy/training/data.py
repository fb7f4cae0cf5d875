"""Training records in memory, one array per feature."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfx_privacy.privacy.errors import DataError

_NUMERIC_KINDS = "fiub"


@dataclasses.dataclass(frozen=True)
class ColumnarDataset:
    """Features and labels of all records.

    Attributes:
      features: By name, arrays of shape (num_records, ...); or one such array.
      labels: Array of shape (num_records, ...); a vector becomes a column, as in Keras' own `fit`.
    """

    features: Mapping[str, np.ndarray] | np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        columns = {"labels": self.labels, **self.columns}
        sizes = {name: len(column) for name, column in columns.items() if column.ndim}
        if len(sizes) != len(columns) or len(set(sizes.values())) != 1:
            raise DataError(f"Features and labels differ in their number of records: {sizes}.")
        if not len(self):
            raise DataError("There is no record to train on. Check the training splits.")
        if self.labels.dtype.kind not in _NUMERIC_KINDS:
            raise DataError(f"Labels are of type {self.labels.dtype}; expected numbers.")
        if self.labels.ndim == 1:
            object.__setattr__(self, "labels", self.labels[:, np.newaxis])

    def __len__(self) -> int:
        """Number of records."""
        return len(self.labels)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The features by name; a single array is called "features"."""
        return dict(self.features) if isinstance(self.features, Mapping) else {"features": self.features}

    def take(self, indices: np.ndarray) -> tuple[Any, np.ndarray]:
        """Features (as the model takes them) and labels of some records."""
        if isinstance(self.features, Mapping):
            return {name: column[indices] for name, column in self.features.items()}, self.labels[indices]
        return self.features[indices], self.labels[indices]

    def only(self, names: set[str]) -> ColumnarDataset:
        """The same records with some of the features."""
        if not isinstance(self.features, Mapping):
            return self
        return ColumnarDataset({name: column for name, column in self.features.items() if name in names}, self.labels)

    def synthetic(self, size: int) -> Any:
        """Features of `size` made-up records with this data's names, shapes and types: zeros and ones.

        Checks of a model use these, so that no error depends on a private record.
        """

        def column(real: np.ndarray) -> np.ndarray:
            values = np.arange(size) % 2
            if real.dtype.kind in _NUMERIC_KINDS:
                values = values.astype(real.dtype)
            else:
                values = np.array([b"a", b"b"], dtype=object)[values]
            return np.broadcast_to(values.reshape((size,) + (1,) * (real.ndim - 1)), (size, *real.shape[1:]))

        made = {name: column(real) for name, real in self.columns.items()}
        return made if isinstance(self.features, Mapping) else made["features"]
