"""Looks at a model before training: do the cheap gradients of its layers agree with those of one record at a time?

Made-up records are used, so nothing here depends on a private one.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.training import keras_api, validation
from tfx_privacy.training.batches import MAX_CHUNK, Layout
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import clipping
from tfx_privacy.training.gradients.units import Units, UnsupportedCallError

_RECORDS = 3
# float32 in two orders of summation; a wrong form is off by its own size.
_TOLERANCE = 1e-3
# Memory for what a chunk's units need at once, besides activations.
_CHUNK_BYTES = 256 << 20
_FLOAT_BYTES = 4
# A record with more numbers than this to its gradients costs more than a chunk does by itself.
_COSTLY_NUMBERS = 8192


@dataclasses.dataclass(frozen=True)
class Examined:
    """What is known of a model's per-record gradients."""

    record_by_record: bool
    """The cheap forms are of no use: every record is put through the model by itself."""
    layout: Layout
    """Chunks that fit into memory and suit the model."""
    notes: tuple[str, ...] = ()
    """For the log: why it will be slow."""


def examine(model: Any, data: ColumnarDataset, resolved: ResolvedParameters) -> Examined:
    """Compares the two ways to per-record gradients on made-up records.

    Args:
      model: A compiled model that `validation` accepts.
      data: Names, shapes and types of the features; no value is used.
      resolved: The run, for the size of a chunk.

    Returns:
      How to train it.
    """
    records_each = resolved.parameters.max_records_per_user or 1
    made = validation.finite_records(model, data, _RECORDS) or data.synthetic(_RECORDS)
    features, labels = tf.nest.map_structure(tf.constant, (made.features, made.labels))
    ones = tf.ones(_RECORDS)
    chunk = clipping.Chunk(features, labels, ones, ones)
    units = Units(_RECORDS)
    with keras_api.without_randomness(model):
        slow = [part.materialized() for part in clipping.RecordByRecord(model, units).contributions(chunk)]
        try:
            found = clipping.ClippedSum(model, units).contributions(chunk)
        except UnsupportedCallError as error:
            return _slow(model, records_each, resolved, str(error))
        fast = [part.materialized() for part in found]
    if not _agree(fast, slow):
        return _slow(
            model,
            records_each,
            resolved,
            "Its layers' gradients could not be shown to add up to those of single records.",
        )
    numbers = sum(math.prod(part.shape[1:]) for each in found for part in each.operands)
    return Examined(False, _layout(numbers * records_each, resolved))


def _slow(model: Any, records_each: int, resolved: ResolvedParameters, reason: str) -> Examined:
    numbers = sum(math.prod(variable.shape) for variable in keras_api.trainable_variables(model))
    note = f"{reason} Every record is put through the model by itself, which is slow."
    return Examined(True, _layout(numbers * records_each, resolved), (note,))


def _layout(numbers_each: int, resolved: ResolvedParameters) -> Layout:
    assert resolved.expected_batch_size is not None
    fitting = max(1, min(MAX_CHUNK, _CHUNK_BYTES // (_FLOAT_BYTES * max(1, numbers_each))))
    return Layout.of(resolved.expected_batch_size, max_chunk=fitting, costly=numbers_each > _COSTLY_NUMBERS)


def _agree(fast: list[Any], slow: list[Any]) -> bool:
    # Each against the largest entry of any variable: a gradient that is zero but for rounding has no scale.
    scale = max(float(tf.reduce_max(tf.abs(each))) for each in slow)
    if not math.isfinite(scale):
        return False  # nothing was shown
    return all(
        bool(tf.reduce_all(tf.abs(one - other) <= _TOLERANCE * scale)) for one, other in zip(fast, slow, strict=True)
    )
