"""Features of which records hold different numbers of values, as arrays of one width that can be drawn from.

A private step needs fixed shapes, so records are rows that are padded; what the model takes, a `SparseTensor`
or a `RaggedTensor`, is made of the drawn rows inside the graph. Padding never reaches the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tfx_privacy.errors import DataError


class Ragged(NamedTuple):
    """Rows of different lengths; parts are arrays, or tensors inside the graph."""

    values: Any
    """(num_records, width, ...), padded by zeros or empty texts."""
    lengths: Any
    """int64, (num_records,)."""


class Sparse(NamedTuple):
    """Rows of values, each at its own place."""

    values: Any
    """(num_records, width)"""
    lengths: Any
    """int64, (num_records,)."""
    places: Any
    """int64, (num_records, width): the second index of each value."""


Column: TypeAlias = np.ndarray | Ragged | Sparse


def of_rows(values: np.ndarray, lengths: np.ndarray, places: np.ndarray | None = None) -> Ragged | Sparse:
    """Pads rows that follow one another.

    Args:
      values: Of all rows.
      lengths: Of each row; they add up to the number of values.
      places: Second indices of the values of a sparse feature.
    """
    lengths = np.asarray(lengths, np.int64)
    filled = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, np.newaxis]
    padded = _padding((*filled.shape, *values.shape[1:]), values.dtype)
    padded[filled] = values
    if places is None:
        return Ragged(padded, lengths)
    padded_places = np.zeros(filled.shape, np.int64)
    padded_places[filled] = places
    return Sparse(padded, lengths, padded_places)


def of_value(value: Any) -> Column:
    """One batch's feature: an array, or a padded column of a SparseTensor's or RaggedTensor's rows.

    Raises:
      DataError: If it is sparse of another rank than 2, or ragged in more than its second axis.
    """
    if hasattr(value, "dense_shape"):
        indices, shape = np.asarray(value.indices), np.asarray(value.dense_shape)
        if len(shape) != 2:
            raise DataError(f"A sparse feature has rank {len(shape)}; expected rank 2. Make it dense.")
        order = np.lexsort((indices[:, 1], indices[:, 0]))
        rows, places = indices[order].T
        return of_rows(in_float32(np.asarray(value.values))[order], np.bincount(rows, minlength=shape[0]), places)
    if hasattr(value, "row_splits"):
        if hasattr(value.values, "row_splits"):
            raise DataError("A ragged feature is ragged in several axes; expected one. Make it dense.")
        return of_rows(in_float32(np.asarray(value.values)), np.diff(np.asarray(value.row_splits)))
    return in_float32(np.asarray(value))


def in_float32(values: np.ndarray) -> np.ndarray:
    """bfloat16, which is a type of numpy's for nobody, in float32, which holds the same numbers; others as they are."""
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values


def joined(parts: Sequence[Column]) -> Column:
    """The records of several batches, padded to one width."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    width = max(part[0].shape[1] for part in parts)
    columns = [np.concatenate([_widened(array, width) for array in arrays]) for arrays in zip(*parts, strict=True)]
    return type(first)(*columns)


def map_arrays(function: Callable[[np.ndarray], Any], features: Any) -> Any:
    """Applies a function to every array of features or labels, by name or not."""
    if isinstance(features, Mapping):
        return {name: map_arrays(function, column) for name, column in features.items()}
    if isinstance(features, Ragged | Sparse):
        return type(features)(*(function(array) for array in features))
    return function(features)


def arrays_of(features: Mapping[str, Column]) -> dict[str, np.ndarray]:
    """Every array of a record's features by its own name; values are under the feature's."""
    found = {}
    for name, column in features.items():
        if isinstance(column, np.ndarray):
            found[name] = column
        else:
            found |= {name if part == "values" else f"{name}/{part}": array for part, array in column._asdict().items()}
    return found


def _widened(array: np.ndarray, width: int) -> np.ndarray:
    if array.ndim < 2 or array.shape[1] == width:
        return array
    wider = _padding((len(array), width, *array.shape[2:]), array.dtype)
    wider[:, : array.shape[1]] = array
    return wider


def _padding(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.zeros(shape, dtype) if dtype.kind in "fiub" else np.full(shape, b"", object)
