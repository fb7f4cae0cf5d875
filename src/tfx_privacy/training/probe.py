"""Looks at a model before training: do the cheap gradients of its layers agree with those of one record at a time?

Made-up records are used, so nothing here depends on a private one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.errors import ModelError
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

# What is tried before it is said that a model has no gradients: batches of each kind, their labels, and spreads of the
# weights; 0.0 leaves them as they are.
_DRAWS = 4
_LABELS = (0, 1, -1, 3)
_WEIGHT_SCALES = (0.0, 0.1, 1.0, -1.0, 100.0)


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


def examine(model: Any, data: ColumnarDataset, resolved: ResolvedParameters, *, may_be_noise: bool = False) -> Examined:
    """Compares the two ways to per-record gradients on made-up records.

    Args:
      model: A compiled model that `validation` accepts.
      data: Names, shapes and types of the features; no value is used.
      resolved: The run, for the size of a chunk.
      may_be_noise: Whether a model without gradients may be trained, e.g. to measure the noise.

    Returns:
      How to train it.

    Raises:
      ModelError: If it has no gradients.
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
            if not may_be_noise:
                alone = _Traced(model, clipping.RecordByRecord(model, units))
                require_gradients(model, data, alone, alone(made))
            return _slow(model, records_each, resolved, str(error))
        if not may_be_noise:
            require_gradients(model, data, fast, found)
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


def require_gradients(
    model: Any, data: ColumnarDataset, gradients_of: Callable[[ColumnarDataset], list[Any]], found: list[Any]
) -> None:
    """Refuses a model that would be trained by noise alone: whatever its records, labels and weights, no gradient is of use.

    What a unit has that is not finite is left out of the sum, so it counts as none.

    Args:
      model: Its weights are others for a while where those that it has show nothing.
      data: Names, shapes and types of the features; no value is used.
      gradients_of: From made-up records to gradients of shape (records, ...), one for each variable.
      found: What it gave for some.

    Raises:
      ModelError: If there is none.
    """
    if _is_of_use(found):
        return
    draws = [*_more_records(data)]
    with _weights_restored(model) as variables:
        for scale in _WEIGHT_SCALES:
            _redraw(variables, scale)
            for made in draws:
                gradients = trial_records.unless_refused(gradients_of, made)
                if gradients is not None and _is_of_use(gradients):
                    return
    raise ModelError(
        "This model would be trained by noise alone: for made-up records with labels of 0, 1 and others, the gradient "
        "of every record's own loss is zero or not finite, also with other weights. A loss that compares the records of "
        "a batch has none for one record; neither has one of rounded numbers or classes (argmax), nor a softmax over a "
        "single output. Make the loss a differentiable function of one record."
    )


def _is_of_use(gradients: list[Any]) -> bool:
    """Whether the gradient of any record is finite, and not zero."""
    rows = np.concatenate([np.reshape(gradient, (len(gradient), -1)) for gradient in gradients], axis=1)
    return bool(np.any(np.all(np.isfinite(rows), axis=1) & np.any(rows != 0.0, axis=1)))


def _more_records(data: ColumnarDataset) -> Iterator[ColumnarDataset]:
    """Made-up records of several kinds, with labels as they are drawn and all alike."""
    for positive in (False, True):
        many = data.synthetic(_RECORDS * _DRAWS, positive=positive)
        for start in range(0, len(many), _RECORDS):
            made = many.rows(np.arange(start, start + _RECORDS))
            yield made
            for label in _LABELS:
                yield dataclasses.replace(made, labels=_filled(made.labels, label))


def _filled(labels: Any, value: int) -> Any:
    """Of any type: an unsigned one wraps around."""
    return tf.nest.map_structure(lambda column: np.full(column.shape, value).astype(column.dtype), labels)


@contextlib.contextmanager
def _weights_restored(model: Any) -> Iterator[list[Any]]:
    variables = keras_api.trainable_variables(model)
    before = [variable.numpy() for variable in variables]
    try:
        yield variables
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _redraw(variables: list[Any], scale: float) -> None:
    """Other weights: a layer that is dead for all made-up records is not with these. None for a scale of zero."""
    random = np.random.default_rng(0)
    for variable in variables if scale else []:
        fan_in = max(1, math.prod(variable.shape[:-1]))
        drawn = random.standard_normal(variable.shape) * scale / math.sqrt(fan_in)
        variable.assign(drawn.astype(variable.dtype.as_numpy_dtype))


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
