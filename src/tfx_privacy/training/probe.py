"""Looks at a model before training: do the cheap gradients of its layers agree with those of one record at a time?

Made-up records are used, so nothing here depends on a private one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import tensorflow as tf

from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.training import keras_api, state, trial_records, validation
from tfx_privacy.training.batches import MAX_CHUNK, Layout
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import clipping, losses
from tfx_privacy.training.gradients.plan import Plan
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
    """For the log: what will be slow, and why."""
    declared_record_wise: tuple[str, ...] = ()
    """Classes and functions that see whole batches on their author's word alone."""


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
    units = Units(_RECORDS)
    with keras_api.without_randomness(model):
        try:
            batched = clipping.ClippedSum(model, units)
            fast = _Traced(model, batched)
            found = fast(made)
        except UnsupportedCallError as error:
            return _slow(model, records_each, resolved, str(error))
        slow = _Traced(model, clipping.RecordByRecord(model, units, in_loop=True))
        if not _agree(found, slow(made)):
            return _slow(
                model,
                records_each,
                resolved,
                "Its layers' gradients could not be shown to add up to those of single records.",
            )
        if not trial_records.same_among_copies(fast, made, functools.partial(_agree, shows_nothing=True)):
            return _slow(
                model, records_each, resolved, "A record's gradient depends on the other records of its batch."
            )
    layout = _layout(fast.numbers_each * records_each, resolved)
    declared = sorted(batched.plan.declared | losses.declared_of(model))
    return Examined(False, layout, _notes(model, batched.plan), tuple(declared))


class _Traced:
    """The gradients of made-up records, in a graph as in training.

    Attributes:
      numbers_each: Numbers that a record's gradients are made of; known after the first call.
    """

    def __init__(self, model: Any, gradient_sum: clipping.ClippedSum | clipping.RecordByRecord) -> None:
        self.numbers_each = 0
        self._model = model
        self._gradient_sum = gradient_sum
        self._run = tf.function(self._of_chunk, autograph=False)

    def __call__(self, made: ColumnarDataset) -> list[Any]:
        features, labels = tf.nest.map_structure(tf.constant, (made.features, made.labels))
        return list(self._run(features, labels))

    def _of_chunk(self, features: Any, labels: Any) -> list[Any]:
        ones = tf.ones(_RECORDS)
        with state.nothing_kept(self._model):
            found = self._gradient_sum.contributions(clipping.Chunk(features, labels, ones, ones))
        self.numbers_each = sum(each.numbers_each for each in found)
        return [part.materialized() for part in found]


def _notes(model: Any, plan: Plan) -> tuple[str, ...]:
    """What is slower than it might be."""
    parts = plan.slow_parts
    if any(
        not losses.is_known_loss(loss) and losses.declared_name(loss) is None
        for loss in keras_api.compiled_losses(model)
    ):
        parts = [*parts, "the loss"]
    if not parts:
        return ()
    return (
        f"Called for one record at a time, because nothing shows that they leave records apart: {', '.join(parts)}. If "
        "you know that they do, declare the class or function with tfx_privacy.record_wise: the guarantee will say so.",
    )


def _slow(model: Any, records_each: int, resolved: ResolvedParameters, reason: str) -> Examined:
    numbers = sum(math.prod(variable.shape) for variable in keras_api.trainable_variables(model))
    note = f"{reason} Every record is put through the model by itself, which is slow."
    return Examined(True, _layout(numbers * records_each, resolved), (note,))


def _layout(numbers_each: int, resolved: ResolvedParameters) -> Layout:
    assert resolved.expected_batch_size is not None
    fitting = max(1, min(MAX_CHUNK, _CHUNK_BYTES // (_FLOAT_BYTES * max(1, numbers_each))))
    return Layout.of(resolved.expected_batch_size, max_chunk=fitting, costly=numbers_each > _COSTLY_NUMBERS)


def _agree(fast: list[Any], slow: list[Any], *, shows_nothing: bool = False) -> bool:
    """Whether gradients are the same; `shows_nothing` is the answer where those that they should be are not finite."""
    # Each against the largest entry of any variable: a gradient that is zero but for rounding has no scale.
    scale = max(float(tf.reduce_max(tf.abs(each))) for each in slow)
    if not math.isfinite(scale):
        return shows_nothing
    return all(
        bool(tf.reduce_all(tf.abs(one - other) <= _TOLERANCE * scale)) for one, other in zip(fast, slow, strict=True)
    )
