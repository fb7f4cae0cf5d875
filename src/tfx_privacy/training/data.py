"""Training records in memory, one array per feature."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfx_privacy.errors import DataError
from tfx_privacy.training import variable_length
from tfx_privacy.training.made_up import PLAIN, MadeUp
from tfx_privacy.training.variable_length import Column

_NUMERIC_KINDS = "fiub"


@dataclasses.dataclass(frozen=True)
class ColumnarDataset:
    """Features and labels of all records.

    Attributes:
      features: By name, arrays of shape (num_records, ...), or `Ragged` or `Sparse` columns; or one such array.
      labels: Array of shape (num_records, ...), or such arrays by name of the model's outputs; a vector becomes a
        column, as in Keras' own `fit`.
      user_ids: Whose record each is, of shape (num_records,) or (num_records, 1); needed where
        users are the privacy unit.
      weights: Of each record's loss, of shape (num_records,) or (num_records, 1), finite and at least 0; a column
        becomes a vector.
      made_up: Of what `synthetic` makes records.
    """

    features: Mapping[str, Column] | np.ndarray
    labels: Any
    user_ids: np.ndarray | None = None
    weights: np.ndarray | None = None
    made_up: MadeUp = PLAIN

    def __post_init__(self) -> None:
        for name in ("features", "labels"):
            object.__setattr__(self, name, variable_length.map_arrays(variable_length.in_float32, getattr(self, name)))
        self._check_sizes()
        for name, labels in self.labels_by_name.items():
            if labels.dtype.kind not in _NUMERIC_KINDS:
                of_output = f" of {name!r}" if name else ""
                raise DataError(f"Labels{of_output} are of type {labels.dtype}; expected numbers.")
        columns = variable_length.map_arrays(_as_column, self.labels)
        object.__setattr__(self, "labels", columns)
        if self.weights is not None:
            object.__setattr__(self, "weights", _checked_weights(self.weights))

    def _check_sizes(self) -> None:
        columns = {f"labels {name}".rstrip(): labels for name, labels in self.labels_by_name.items()} | self.columns
        if not self.labels_by_name:
            raise DataError("There are no labels. Give an array, or arrays by the names of the model's outputs.")
        size = len(next(iter(self.labels_by_name.values()))) if all(each.ndim for each in columns.values()) else 0
        for name, one, each in (("user ids", "id", self.user_ids), ("weights", "weight", self.weights)):
            if each is not None and each.size != size:
                raise DataError(f"The {name} have shape {each.shape} for {size} records; expected one {one} a record.")
        sizes = {name: len(column) for name, column in columns.items() if column.ndim}
        if len(sizes) != len(columns) or len(set(sizes.values())) != 1:
            raise DataError(f"Features and labels differ in their number of records: {sizes}.")
        if not size:
            raise DataError("There is no record to train on. Check the training splits.")

    def __len__(self) -> int:
        """Number of records."""
        return len(next(iter(self.labels_by_name.values())))

    @property
    def labels_by_name(self) -> dict[str, np.ndarray]:
        """The labels by the name of the output that they are of; the name is empty for a single array."""
        return dict(self.labels) if isinstance(self.labels, Mapping) else {"": self.labels}

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The features' arrays by name; a single array is called "features"."""
        return variable_length.arrays_of(self._features_by_name)

    @property
    def has_variable_length(self) -> bool:
        """Whether records hold different numbers of values."""
        return not all(isinstance(column, np.ndarray) for column in self._features_by_name.values())

    @property
    def _features_by_name(self) -> dict[str, Column]:
        return dict(self.features) if isinstance(self.features, Mapping) else {"features": self.features}

    def take(self, indices: np.ndarray) -> tuple[Any, Any]:
        """Features (as `keras_api.called` takes them) and labels of some records."""
        return self._taken(self.features, indices), self._taken(self.labels, indices)

    @staticmethod
    def _taken(columns: Any, indices: np.ndarray) -> Any:
        return variable_length.map_arrays(lambda column: column[indices], columns)

    def only(self, names: set[str]) -> ColumnarDataset:
        """The same records with some of the features."""
        if not isinstance(self.features, Mapping):
            return self
        chosen = {name: column for name, column in self.features.items() if name in names}
        return dataclasses.replace(self, features=chosen)

    def scaled(self, factors: np.ndarray) -> ColumnarDataset:
        """The same records with their features' floating-point numbers multiplied, by one factor for each record."""

        def of_column(column: np.ndarray) -> np.ndarray:
            if column.dtype.kind != "f":
                return column
            return (column * factors.reshape(-1, *[1] * (column.ndim - 1))).astype(column.dtype)

        return dataclasses.replace(self, features=variable_length.map_arrays(of_column, self.features))

    def rows(self, indices: np.ndarray) -> ColumnarDataset:
        """Some of the records."""
        features, labels = self.take(indices)
        return ColumnarDataset(features, labels, made_up=self.made_up)

    def with_users(self, key: str) -> ColumnarDataset:
        """The same records with the feature `key` as user ids, out of the model's sight.

        Raises:
          DataError: If there is no such feature.
        """
        ids = self.features.get(key) if isinstance(self.features, Mapping) else None
        if not isinstance(ids, np.ndarray) or not isinstance(self.features, Mapping):
            raise DataError(
                f"Unknown user_id_key={key!r}. The features are: {', '.join(sorted(self.columns))}; the ids' must be "
                "dense."
            )
        rest = {name: column for name, column in self.features.items() if name != key}
        return dataclasses.replace(self, features=rest, user_ids=ids)

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
        """`size` made-up records with this data's names, shapes and types: small numbers, zeros and ones, two texts (`made_up`).

        Checks of a model use these, so no error depends on a private record. Of features of variable length the
        records have different numbers of values, up to the data's largest.

        Args:
          size: Number of records.
          positive: All numbers are above zero, for models that take logarithms or roots.
        """
        random = np.random.default_rng(0)

        def made_up(name: str, real: np.ndarray) -> np.ndarray:
            shape = (size, *real.shape[1:])
            if real.dtype.kind == "f":
                numbers = random.standard_normal(shape)
                return (np.abs(numbers) + 0.1 if positive else numbers).astype(real.dtype)
            if real.dtype.kind in _NUMERIC_KINDS:
                return (self.made_up.lowest + random.integers(0, 2, shape)).astype(real.dtype)
            return np.array(self.made_up.texts_of(name), dtype=object)[random.integers(0, 2, shape)]

        def column(name: str, real: Column) -> Column:
            if isinstance(real, np.ndarray):
                return made_up(name, real)
            values = made_up(name, real.values)
            width = values.shape[1]
            lengths = 1 + np.arange(size, dtype=np.int64) % width
            if isinstance(real, variable_length.Ragged):
                return variable_length.Ragged(values, lengths)
            return variable_length.Sparse(values, lengths, np.tile(np.arange(width), (size, 1)))

        made = {name: column(name, real) for name, real in self._features_by_name.items()}
        labels = {name: _made_up_labels(random, size, real) for name, real in self.labels_by_name.items()}
        return ColumnarDataset(
            made if isinstance(self.features, Mapping) else made["features"],  # type: ignore[arg-type]
            labels if isinstance(self.labels, Mapping) else labels[""],
            made_up=self.made_up,
        )


def _made_up_labels(random: np.random.Generator, size: int, real: np.ndarray) -> np.ndarray:
    return random.integers(0, 2, (size, *real.shape[1:])).astype(real.dtype)


def _as_column(labels: np.ndarray) -> np.ndarray:
    return labels[:, np.newaxis] if labels.ndim == 1 else labels


def _checked_weights(weights: np.ndarray) -> np.ndarray:
    if weights.dtype.kind not in _NUMERIC_KINDS:
        raise DataError(f"Sample weights are of type {weights.dtype}; expected numbers.")
    flat = weights.reshape(-1).astype(np.float32)
    if not (np.isfinite(flat).all() and (flat >= 0).all()):
        raise DataError("A sample weight is negative or not finite. Give weights of at least 0.")
    return flat
