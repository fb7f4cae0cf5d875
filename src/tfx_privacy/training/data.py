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
      user_ids: Whose record each is, of shape (num_records,) or (num_records, 1); needed where users are the privacy unit.
    """

    features: Mapping[str, np.ndarray] | np.ndarray
    labels: np.ndarray
    user_ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        columns = {"labels": self.labels, **self.columns}
        if self.user_ids is not None:
            columns["user_ids"] = self.user_ids
            if self.user_ids.size != len(self.labels):
                raise DataError(
                    f"The user ids have shape {self.user_ids.shape} for {len(self.labels)} records; expected one id a record."
                )
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
        chosen = {name: column for name, column in self.features.items() if name in names}
        return dataclasses.replace(self, features=chosen)

    def with_users(self, key: str) -> ColumnarDataset:
        """The same records with the feature `key` as user ids, out of the model's sight.

        Raises:
          DataError: If there is no such feature.
        """
        if not isinstance(self.features, Mapping) or key not in self.features:
            raise DataError(f"Unknown user_id_key={key!r}. The features are: {', '.join(sorted(self.columns))}.")
        rest = {name: column for name, column in self.features.items() if name != key}
        return dataclasses.replace(self, features=rest, user_ids=self.features[key])

    def num_units(self, privacy_unit: str) -> int:
        """Number of privacy units: records ("example"), or users."""
        if privacy_unit != "user":
            return len(self)
        if self.user_ids is None:
            raise DataError(
                "privacy_unit='user' needs the records' user ids. Set user_id_key to the feature that holds them."
            )
        return len(np.unique(self.user_ids.reshape(-1)))

    def synthetic(self, size: int, *, positive: bool = False) -> ColumnarDataset:
        """`size` made-up records with this data's names, shapes and types: small random numbers, zeros and ones, two texts.

        Checks of a model use these, so that no error depends on a private record.

        Args:
          size: Number of records.
          positive: All numbers are above zero, for models that take logarithms or roots.
        """
        random = np.random.default_rng(0)

        def column(real: np.ndarray) -> np.ndarray:
            shape = (size, *real.shape[1:])
            if real.dtype.kind == "f":
                numbers = random.standard_normal(shape)
                return (np.abs(numbers) + 0.1 if positive else numbers).astype(real.dtype)
            if real.dtype.kind in _NUMERIC_KINDS:
                return random.integers(0, 2, shape).astype(real.dtype)
            return np.array([b"a", b"b"], dtype=object)[random.integers(0, 2, shape)]

        made = {name: column(real) for name, real in self.columns.items()}
        labels = random.integers(0, 2, (size, *self.labels.shape[1:])).astype(self.labels.dtype)
        return ColumnarDataset(made if isinstance(self.features, Mapping) else made["features"], labels)
