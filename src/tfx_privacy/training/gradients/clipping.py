"""Gradients of single privacy units, clipped and summed.

Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. `ClippedSum` uses the cheap forms of
`layers`; `RecordByRecord` puts every record through the model as a batch by itself, which is slower and
right whatever the model does.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients import layers
from tfx_privacy.training.gradients.capture import Recorder
from tfx_privacy.training.gradients.contributions import Contribution, Materialized, combined
from tfx_privacy.training.gradients.general import for_each_record
from tfx_privacy.training.gradients.losses import PerRecordLoss
from tfx_privacy.training.gradients.plan import Plan
from tfx_privacy.training.gradients.units import Units

# A clipped gradient is this much shorter than allowed, so rounding leaves it within the clip.
_ROUNDING = 1e-5
_SMALLEST_SQUARE = 1e-30


@dataclasses.dataclass
class Chunk:
    """Some privacy units, padded to a fixed number.

    Attributes:
      features: As the model takes them, of leading dimension `units.records`.
      labels: Of leading dimension `units.records`.
      weights: float32, (units.records,): a record's weight in its unit's loss, 0 for padding.
      present: float32, (units.count,): 1 for a unit that was drawn, 0 for padding (and for the audit's canaries).
    """

    features: Any
    labels: Any
    weights: Any
    present: Any


@dataclasses.dataclass
class Extra:
    """Gradients with respect to a vector that the model does not use: the audit's slots.

    Attributes:
      gradients: float32, (units.count, size).
      present: float32, (units.count,): 1 for a canary that was drawn.
    """

    gradients: Any
    present: Any


@dataclasses.dataclass
class Clipped:
    """Sums over the units of a chunk."""

    gradients: list[Any]
    """Per trainable variable, in its shape; then the extra vector where there is one."""
    within: Any
    """Number of units whose gradient was within the clip, a scalar."""


class GradientSum(Protocol):
    """Clips the gradients of a chunk's units and sums them."""

    def __call__(self, chunk: Chunk, l2_norm_clip: Any, extra: Extra | None = None) -> Clipped:
        """Sums over a chunk."""
        ...


class ClippedSum:
    """One forward and one backward pass for norms and sum ("book-keeping", Bu et al. 2023, https://arxiv.org/abs/2210.00038).

    A unit's part in the sum has an L2 norm, over all variables, of at most `l2_norm_clip`. A unit whose gradient is not
    finite, or too long for float32, contributes nothing, silently: failing on it would tell that it is there.
    """

    def __init__(self, model: Any, units: Units) -> None:
        """Args: a compiled model, and how records make up units."""
        self._model = model
        self._units = units
        self._variables = keras_api.trainable_variables(model)
        self._losses = PerRecordLoss(model, units.records)
        self._recorder = Recorder(model, units.records)

    def __call__(self, chunk: Chunk, l2_norm_clip: Any, extra: Extra | None = None) -> Clipped:
        """Sums over a chunk.

        Raises:
          UnsupportedCallError: While tracing, if the model's records cannot be told apart somewhere.
        """
        return _clip_and_sum(self.contributions(chunk), chunk.present, l2_norm_clip, extra)

    @property
    def plan(self) -> Plan:
        """Which calls of the model see the whole chunk."""
        return self._recorder.plan

    def contributions(self, chunk: Chunk) -> list[Contribution]:
        """One per trainable variable."""
        with tf.GradientTape(watch_accessed_variables=False) as tape, self._recorder.recording(tape) as calls:
            with keras_api.user_code():
                outputs = keras_api.called(self._model, chunk.features, training=True)
                losses = self._losses(chunk.labels, outputs)
            total = tf.tensordot(losses, chunk.weights, 1)
        watched = [output for call in calls for output in call.outputs]
        gradients = iter(tape.gradient(total, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO))
        by_variable: dict[int, list[Contribution]] = {id(variable): [] for variable in self._variables}
        for call in calls:
            of_call = [tf.cast(tf.convert_to_tensor(next(gradients)), tf.float32) for _ in call.outputs]
            for variable, contribution in layers.contributions(call, of_call, self._units):
                if id(variable) in by_variable:
                    by_variable[id(variable)].append(contribution)
        return [self._of_variable(variable, by_variable[id(variable)]) for variable in self._variables]

    def _of_variable(self, variable: Any, found: list[Contribution]) -> Contribution:
        if not found:
            return Materialized(tf.zeros((self._units.count, *variable.shape), tf.float32))
        return combined(found)


class RecordByRecord:
    """The same sums with every record as a batch by itself: the reference, and the last resort."""

    def __init__(self, model: Any, units: Units, *, in_loop: bool = False) -> None:
        """Args: a compiled model, how records make up units, and whether records are never taken at once (the reference)."""
        self._model = model
        self._in_loop = in_loop
        self._units = units
        self._variables = keras_api.trainable_variables(model)

    def __call__(self, chunk: Chunk, l2_norm_clip: Any, extra: Extra | None = None) -> Clipped:
        """Sums over a chunk."""
        return _clip_and_sum(self.contributions(chunk), chunk.present, l2_norm_clip, extra)

    def contributions(self, chunk: Chunk) -> list[Contribution]:
        """One per trainable variable."""
        records = (chunk.features, chunk.labels, chunk.weights)
        gradients = for_each_record(
            self._of_one_record, records, self._variables, self._units.records, in_loop=self._in_loop
        )
        return [Materialized(self._units.summed(each)) for each in gradients]

    def _of_one_record(self, record: tuple[Any, Any, Any]) -> list[Any]:
        features, label, weight = record
        features, label = tf.nest.map_structure(lambda column: column[tf.newaxis], (features, label))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            with keras_api.user_code():
                loss = self._loss_of(label, keras_api.called(self._model, features, training=True)) * weight
        found = tape.gradient(loss, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.cast(tf.convert_to_tensor(gradient), tf.float32) for gradient in found]

    def _loss_of(self, label: Any, outputs: Any) -> Any:
        heads = keras_api.heads(self._model, label, outputs)
        return tf.add_n([head.weight * tf.cast(tf.reduce_mean(head.loss(*head.both)), tf.float32) for head in heads])


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """While this lasts, GPUs multiply float32 as it is.

    Their TensorFloat-32, which is TensorFlow's default, rounds factors to 10 bits. Norm and sum are different products of the
    same gradient, so a unit's part in the sum could be longer than its norm says, by more than `_ROUNDING` allows for.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _clip_and_sum(found: Sequence[Contribution], present: Any, l2_norm_clip: Any, extra: Extra | None) -> Clipped:
    drawn = present
    if extra is not None:
        found, drawn = [*found, Materialized(extra.gradients)], present + extra.present
    squared = tf.add_n([contribution.squared_norms() for contribution in found])
    finite = tf.math.is_finite(squared)
    factors = tf.minimum(1.0, l2_norm_clip * (1.0 - _ROUNDING) * tf.math.rsqrt(tf.maximum(squared, _SMALLEST_SQUARE)))
    weights = tf.where(finite, factors, 0.0) * drawn
    within = tf.reduce_sum(tf.where(finite & (squared <= tf.square(l2_norm_clip)), present, 0.0))
    operands = _with_finite_units(found, finite)
    sums = [each.weighted_sum(weights, part) for each, part in zip(found, operands, strict=True)]
    return Clipped(sums, within)


def _with_finite_units(found: Sequence[Contribution], finite: Any) -> list[list[Any]]:
    """The operands, with zeros in place of units that are not finite: zero times infinity is no zero.

    Nearly always there is none, and nothing is copied.
    """
    operands = [each.operands for each in found]
    flat = tf.nest.flatten(operands)

    def zeroed() -> list[Any]:
        return [_where(each.units_of_operands(finite), part) for each in found for part in each.operands]

    return tf.nest.pack_sequence_as(operands, tf.cond(tf.reduce_all(finite), lambda: list(flat), zeroed))


def _where(kept: Any, tensor: Any) -> Any:
    """A tensor, with zeros for those entries of its first axis that are not kept."""
    return tf.where(tf.reshape(kept, (-1, *[1] * (tensor.shape.rank - 1))), tensor, tf.zeros_like(tensor))
