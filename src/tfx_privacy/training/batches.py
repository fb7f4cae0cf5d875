"""The training records as tensors, and how a batch of any size becomes chunks of fixed shapes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import clipping

# Units whose gradients are computed at once, at most.
MAX_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class Layout:
    """Shapes of a step: `num_large` chunks in any case, then as many small ones as the batch needs.

    Padding costs as much as records do; a chunk costs something by itself.
    """

    large: int
    num_large: int
    small: int

    @classmethod
    def of(cls, expected_batch_size: float, *, max_chunk: int = MAX_CHUNK, costly: bool = False) -> Layout:
        """For Poisson batches, whose size has at most the standard deviation sqrt(expected_batch_size).

        Args:
          expected_batch_size: Mean batch size.
          max_chunk: Largest chunk that fits into memory.
          costly: Whether a record costs much against a chunk: the large chunks then hold what nearly every batch fills,
            else what nearly every batch needs.
        """
        spread = 2 * math.sqrt(expected_batch_size)
        wanted = expected_batch_size + spread
        if costly or wanted > max_chunk:
            wanted = max(1.0, expected_batch_size - spread)
        num_large = math.ceil(wanted / max_chunk)
        large = math.ceil(wanted / num_large)
        return cls(large, num_large, min(large, math.ceil(math.sqrt(expected_batch_size))))

    @classmethod
    def of_chunks(cls, expected_batch_size: float, chunk_size: int) -> Layout:
        """With chunks of one size."""
        return cls(chunk_size, max(1, round(expected_batch_size / chunk_size)), chunk_size)

    def divisible_by(self, replicas: int) -> Layout:
        """Chunks of which every replica gets the same share."""
        return Layout(_rounded_up(self.large, replicas), self.num_large, _rounded_up(self.small, replicas))

    def cut(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cuts a batch: large chunks of shape (num_large, large) and small ones of shape (any number, small), -1 for padding."""
        room = self.large * self.num_large
        first, rest = batch[:room], batch[room:]
        num_small = math.ceil(len(rest) / self.small)
        return _padded(first, self.num_large, self.large), _padded(rest, num_small, self.small)


class ResidentData:
    """The training records as tensors, with a blank record at the end for padding, and the records of each unit."""

    def __init__(self, data: ColumnarDataset, units: np.ndarray | None = None) -> None:
        """Args: the records, and records by unit as `sampling.records_of_users` gives them; without, each is a unit."""
        self.blank = len(data)
        self.features = _features_with_blank(data)
        self.labels = tf.nest.map_structure(_with_blank, data.labels)
        self._units = None if units is None else np.where(units < 0, self.blank, units)
        self.num_units = len(data) if units is None else len(units)
        self.records_each = 1 if units is None else units.shape[1]
        counts = np.ones(self.blank + 1, np.float32)
        if self._units is not None:
            # A unit's loss is the mean over its own records.
            of_units = np.maximum((self._units != self.blank).sum(axis=1, keepdims=True), 1)
            counts[self._units] = 1.0 / np.broadcast_to(of_units, self._units.shape)
        if data.weights is not None:
            # On the loss, before its gradient is clipped: a weight can make a unit count for less than
            # the clip, never for more.
            counts[: self.blank] *= data.weights
        counts[self.blank] = 0.0
        self.weights = tf.constant(counts)

    def records_of(self, units: np.ndarray) -> np.ndarray:
        """Indices of the units' records, int32 of shape (*units.shape, records_each); of the blank one for unit -1."""
        if self._units is None:
            return np.where(units < 0, self.blank, units).astype(np.int32)[..., np.newaxis]
        blank = units[..., np.newaxis] < 0
        return np.where(blank, self.blank, self._units[units]).astype(np.int32)

    def chunk(self, records: Any, present: Any) -> clipping.Chunk:
        """Gathers a chunk inside the graph; `records` is int32 of shape (num_units, records_each)."""
        flat = tf.reshape(records, [-1])
        features, labels = tf.nest.map_structure(lambda column: tf.gather(column, flat), (self.features, self.labels))
        return clipping.Chunk(features, labels, tf.gather(self.weights, flat), present)


def _rounded_up(number: int, multiple: int) -> int:
    return math.ceil(number / multiple) * multiple


def _padded(units: np.ndarray, count: int, size: int) -> np.ndarray:
    padded = np.full(count * size, -1, np.int64)
    padded[: len(units)] = units
    return padded.reshape(count, size)


def _features_with_blank(data: ColumnarDataset) -> Any:
    """The blank record has values that the model takes; its weight is 0."""

    def of_column(name: str, column: Any) -> Any:
        if isinstance(column, np.ndarray):
            return _with_blank(
                column, data.made_up.lowest if column.dtype.kind in "iu" else 0, data.made_up.blank(name)
            )
        # Of no length, so that none of its values is used.
        return type(column)(*map(_with_blank, column))

    if isinstance(data.features, Mapping):
        return {name: of_column(name, column) for name, column in data.features.items()}
    return of_column("features", data.features)


def _with_blank(column: np.ndarray, number: int = 0, text: bytes = b"") -> Any:
    shape = (1, *column.shape[1:])
    blank = np.empty(shape, column.dtype if column.dtype.kind in "fiub" else object)
    # np.full would take trailing NULs off a text.
    blank.fill(number if blank.dtype.kind in "fiub" else text)
    with tf.device("CPU:0"):
        return tf.constant(np.concatenate([column, blank]))
