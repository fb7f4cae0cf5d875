"""The private step: clipped sum over the drawn units, noise once, division by a public constant, one optimizer update."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.training import clipping, keras_api
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.layers import Units
from tfx_privacy.training.noise import GaussianNoise, Noise

# Units whose gradients are computed at once; a larger batch is summed up chunk by chunk.
MAX_CHUNK = 1024
# An audit canary's gradient, in clips: long enough that clipping is part of what the audit sees.
_CANARY_LENGTH = 10.0


@dataclasses.dataclass(frozen=True)
class AdaptiveClip:
    """A clip that follows a quantile of the gradients' norms, by a count that is noised too.

    Andrew et al. (2021), https://arxiv.org/abs/1905.03871, Algorithm 1 with the geometric update.
    """

    target_quantile: float
    learning_rate: float
    sum_noise_multiplier: float
    """Of the gradients' sum, alone."""
    count_standard_deviation: float
    """Of the noise on the number of units within the clip."""


@dataclasses.dataclass(frozen=True)
class Performance:
    """What changes speed and memory, and nothing about privacy."""

    chunk_size: int | None = None
    """Units whose gradients are computed at once."""
    steps_per_call: int = 16
    """Steps that one call of the graph runs."""


class ResidentData:
    """The training records as tensors, with a blank record at the end for padding, and the records of each unit."""

    def __init__(self, data: ColumnarDataset, units: np.ndarray | None = None) -> None:
        """Args: the records, and records by unit as `sampling.records_of_users` gives them; without, each is a unit."""
        self.blank = len(data)
        self.features = tf.nest.map_structure(_with_blank, data.features)
        self.labels = _with_blank(data.labels)
        self._units = None if units is None else np.where(units < 0, self.blank, units)
        self.num_units = len(data) if units is None else len(units)
        self.records_each = 1 if units is None else units.shape[1]
        counts = np.ones(self.blank + 1, np.float32)
        if self._units is not None:
            # A unit's loss is the mean over its own records.
            of_units = np.maximum((self._units != self.blank).sum(axis=1, keepdims=True), 1)
            counts[self._units] = 1.0 / np.broadcast_to(of_units, self._units.shape)
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
        features = tf.nest.map_structure(lambda column: tf.gather(column, flat), self.features)
        return clipping.Chunk(features, tf.gather(self.labels, flat), tf.gather(self.weights, flat), present)


class PrivateStep:
    """Runs DP-SGD steps on a compiled model.

    Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. The graph has one shape whatever is drawn: a batch is cut
    into chunks of a fixed number of units, the last one padded and masked. An empty batch is a step of noise alone.
    """

    def __init__(
        self,
        model: Any,
        data: ResidentData,
        *,
        l2_norm_clip: float,
        noise_multiplier: float,
        expected_batch_size: float,
        noise: Noise | None = None,
        adaptive_clip: AdaptiveClip | None = None,
        num_canaries: int = 0,
        record_by_record: bool = False,
        performance: Performance | None = None,
        strategy: Any = None,
    ) -> None:
        """Prepares the graph.

        Args:
          model: A compiled Keras model, already validated.
          data: The records.
          l2_norm_clip: Largest L2 norm of a unit's part in the sum; the first one with an adaptive clip.
          noise_multiplier: Noise standard deviation / l2_norm_clip.
          expected_batch_size: The public constant that the noisy sum is divided by.
          noise: Where the noise comes from.
          adaptive_clip: Lets the clip follow a quantile.
          num_canaries: Size of the vector of audit slots.
          record_by_record: Uses no cheap form of any layer.
          performance: Chunk size and the like.
          strategy: A tf.distribute strategy; each chunk is divided between its replicas.
        """
        self._model = model
        self._data = data
        self._variables = keras_api.trainable_variables(model)
        self._performance = performance or Performance()
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync if strategy else 1
        chunk_size = self._performance.chunk_size or usual_chunk(expected_batch_size)
        self._chunk_size = math.ceil(chunk_size / self._replicas) * self._replicas
        units = Units(self._chunk_size // self._replicas, data.records_each)
        kind = clipping.RecordByRecord if record_by_record else clipping.ClippedSum
        self._sum: clipping.GradientSum = kind(model, units)
        self.noise = noise or GaussianNoise()
        self._clip = tf.Variable(l2_norm_clip, dtype=tf.float32, trainable=False, name="l2_norm_clip")
        self._adaptive = adaptive_clip
        self._noise_multiplier = adaptive_clip.sum_noise_multiplier if adaptive_clip else float(noise_multiplier)
        self._divisor = float(expected_batch_size)
        self._num_canaries = num_canaries
        self._shapes = [tuple(variable.shape) for variable in self._variables]
        if num_canaries:
            self._shapes.append((num_canaries,))
            self._canary_scores = tf.Variable(tf.zeros(num_canaries), trainable=False, name="canary_scores")
        shape = (None, self._chunk_size)
        signature = [
            tf.TensorSpec((*shape, data.records_each), tf.int32),
            tf.TensorSpec(shape, tf.int32),
            tf.TensorSpec((None,), tf.int32),
        ]
        # AutoGraph has nothing to convert here, and would slow tracing down.
        self._run = tf.function(self._steps, input_signature=signature, autograph=False)
        with strategy.scope() if strategy else contextlib.nullcontext():
            keras_api.prepare(model.optimizer, model)

    @property
    def size(self) -> int:
        """Length of the vector that gets noise in a step."""
        return sum(math.prod(shape) for shape in self._shapes)

    @property
    def steps_per_call(self) -> int:
        """Steps that one call of `run` should be given at most."""
        return self._performance.steps_per_call

    @property
    def state(self) -> dict[str, Any]:
        """What a later attempt needs to go on; the noise is not part of it."""
        return {"l2_norm_clip": self._clip}

    @property
    def l2_norm_clip(self) -> float:
        """The clip now."""
        return float(self._clip)

    @property
    def canary_scores(self) -> np.ndarray:
        """Sum over steps of the noisy audit vector in clips, of shape (num_canaries,)."""
        return np.array(self._canary_scores) / self._noise_multiplier

    def run(self, batches: list[np.ndarray]) -> float:
        """Runs one step for each batch.

        Args:
          batches: Indices of the units drawn; those from `num_units` on are canaries.

        Returns:
          L2 norm of the last step's noisy mean gradient.
        """
        chunks = [self._padded(batch) for batch in batches]
        ends = np.cumsum([0] + [len(units) for units, _ in chunks]).astype(np.int32)
        records = np.concatenate([self._data.records_of(units) for units, _ in chunks])
        canaries = np.concatenate([slots for _, slots in chunks])
        return float(self._run(tf.constant(records), tf.constant(canaries), tf.constant(ends)))

    def _padded(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cuts a batch into chunks: indices of units and of canaries, -1 for none, of shape (num_chunks, chunk_size)."""
        num_chunks = math.ceil(len(batch) / self._chunk_size)
        drawn = np.full(num_chunks * self._chunk_size, -1, np.int64)
        drawn[: len(batch)] = batch
        is_canary = drawn >= self._data.num_units
        shape = (num_chunks, self._chunk_size)
        units = np.where(is_canary, -1, drawn).reshape(shape)
        return units, np.where(is_canary, drawn - self._data.num_units, -1).astype(np.int32).reshape(shape)

    def _steps(self, records: Any, canaries: Any, ends: Any) -> Any:
        num_steps = tf.size(ends) - 1

        def one(step: Any, _: Any) -> tuple[Any, Any]:
            mean = self._step(records, canaries, ends[step], ends[step + 1])
            norm = tf.cond(step == num_steps - 1, lambda: tf.linalg.global_norm(mean), lambda: tf.constant(0.0))
            return step + 1, norm

        _, norm = tf.while_loop(
            lambda step, _: step < num_steps, one, (tf.constant(0), tf.constant(0.0)), parallel_iterations=1
        )
        return norm

    def _step(self, records: Any, canaries: Any, start: Any, end: Any) -> list[Any]:
        clip = self._clip.read_value()

        def add(chunk: Any, sums: list[Any], within: Any, present: Any) -> Any:
            clipped, counted = self._chunk_sum(records[chunk], canaries[chunk], clip)
            added = [total + part for total, part in zip(sums, clipped.gradients, strict=True)]
            return chunk + 1, added, within + clipped.within, present + counted

        zeros = [tf.zeros(shape, tf.float32) for shape in self._shapes]
        _, sums, within, present = tf.while_loop(
            lambda chunk, *_: chunk < end,
            add,
            (start, zeros, tf.constant(0.0), tf.constant(0.0)),
            parallel_iterations=1,
        )
        noisy = self._noised(sums, clip)
        if self._num_canaries:
            self._canary_scores.assign_add(noisy.pop() / clip)
        if self._adaptive:
            self._adapt(self._adaptive, within, present, clip)
        mean = [part / self._divisor for part in noisy]
        self._update(mean)
        return mean

    def _chunk_sum(self, records: Any, canaries: Any, clip: Any) -> tuple[clipping.Clipped, Any]:
        records = tf.ensure_shape(records, (self._chunk_size, self._data.records_each))
        canaries = tf.ensure_shape(canaries, (self._chunk_size,))
        counted = tf.cast(records[:, 0] != self._data.blank, tf.float32)

        def of_replica() -> tuple[list[Any], Any]:
            each = self._chunk_size // self._replicas
            start = 0
            if self._strategy:
                start = tf.distribute.get_replica_context().replica_id_in_sync_group * each
            part = slice(start, start + each)
            mine = [tf.ensure_shape(whole[part], (each, *whole.shape[1:])) for whole in (records, counted, canaries)]
            chunk = self._data.chunk(mine[0], mine[1])
            if not self._num_canaries:
                clipped = self._sum(chunk, clip)
            else:
                slots = tf.one_hot(mine[2], self._num_canaries, on_value=_CANARY_LENGTH) * clip
                clipped = self._sum(chunk, clip, clipping.Extra(slots, tf.cast(mine[2] >= 0, tf.float32)))
            return clipped.gradients, clipped.within

        if self._strategy is None:
            gradients, within = of_replica()
        else:
            gradients, within = tf.nest.map_structure(
                lambda each: self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None),
                self._strategy.run(of_replica),
            )
        return clipping.Clipped(gradients, within), tf.reduce_sum(counted)

    def _noised(self, sums: list[Any], clip: Any) -> list[Any]:
        """Adds one draw of noise to everything: no variable, and no row of one, goes without."""
        drawn = self.noise.draw(self.size, self._noise_multiplier * clip)
        parts = tf.split(drawn, [math.prod(shape) for shape in self._shapes])
        return [total + tf.reshape(part, shape) for total, part, shape in zip(sums, parts, self._shapes, strict=True)]

    def _adapt(self, adaptive: AdaptiveClip, within: Any, present: Any, clip: Any) -> None:
        # Counted from one half each, so that one unit moves the count by one half (Andrew et al. 2021, Section 2.2).
        noise = self.noise.draw(1, adaptive.count_standard_deviation)[0]
        share = (within - 0.5 * present + noise) / self._divisor + 0.5
        self._clip.assign(clip * tf.exp(-adaptive.learning_rate * (share - adaptive.target_quantile)))

    def _update(self, mean: list[Any]) -> None:
        def of_replica() -> None:
            regularization = regularization_gradients(self._model, self._variables)
            update = [
                tf.cast(of_data, variable.dtype) + (of_weights if of_weights is not None else 0.0)
                for of_data, of_weights, variable in zip(mean, regularization, self._variables, strict=True)
            ]
            keras_api.apply_gradients(self._model.optimizer, update, self._model)

        if self._strategy is None:
            of_replica()
            return
        with keras_api.without_aggregation(self._model.optimizer):
            self._strategy.run(of_replica)


def usual_chunk(expected_batch_size: float) -> int:
    """Holds nearly every Poisson batch, or a round part of a large one."""
    usual = math.ceil(expected_batch_size + 2 * math.sqrt(expected_batch_size))
    return min(usual, MAX_CHUNK)


def regularization_gradients(model: Any, variables: list[Any]) -> list[Any]:
    """Gradients of the weight regularizers, which depend on no record and need no noise; None where there is none."""
    with tf.GradientTape() as tape:
        losses = model.losses
        total = tf.add_n(losses) if losses else None
    if total is None:
        return [None] * len(variables)
    found = tape.gradient(total, variables)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def _with_blank(column: np.ndarray) -> Any:
    blank = (
        np.zeros((1, *column.shape[1:]), column.dtype)
        if column.dtype.kind in "fiub"
        else np.full((1, *column.shape[1:]), b"", object)
    )
    with tf.device("CPU:0"):
        return tf.constant(np.concatenate([column, blank]))
