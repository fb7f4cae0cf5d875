"""The private step: clipped sum over the drawn units, noise once, division by a public constant, one optimizer update."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfx_privacy import _validate
from tfx_privacy.accounting import noise_tails
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.training import keras_api, state
from tfx_privacy.training.batches import Layout, ResidentData
from tfx_privacy.training.gradients import clipping
from tfx_privacy.training.gradients.units import Units
from tfx_privacy.training.noise import GaussianNoise, Noise

# Numbers of noise that are drawn at once for all steps of a call: 8 MB with the bits they are made of.
_DRAWN_AT_ONCE = 1 << 20
# Noise of each variable begins at such a multiple, where TensorFlow cuts tensors without copying them.
_ALIGNMENT = 16
# An adaptive clip stays within this factor of where it began.
_CLIP_MOVES = 1e9
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSettings:
    """The numbers of a step that its guarantee follows from."""

    l2_norm_clip: float
    """Largest L2 norm of a unit's part in the sum; the first one with an adaptive clip."""
    noise_multiplier: float
    """Noise standard deviation / l2_norm_clip; with an adaptive clip that of sum and count together."""
    expected_batch_size: float
    """The public constant that the noisy sum is divided by."""
    adaptive_clip: AdaptiveClip | None = None
    """Lets the clip follow a quantile."""
    num_canaries: int = 0
    """Size of the vector of audit slots."""

    @classmethod
    def of(cls, resolved: ResolvedParameters, noise_multiplier: float) -> StepSettings:
        """The settings of a run's steps.

        Raises:
          ParameterError: If the run has no expected batch size, or the noise on an adaptive clip's count leaves nothing
            for the sum.
        """
        parameters = resolved.parameters
        if resolved.expected_batch_size is None:
            raise ParameterError(
                f"Noisy sums are divided by the expected batch size, and sampling_probability="
                f"{resolved.sampling_probability:g} gives none for an unknown number of records. Declare population in "
                "DPParameters, or call resolve(population=...)."
            )
        return cls(
            l2_norm_clip=float(parameters.l2_norm_clip),
            noise_multiplier=float(noise_multiplier),
            expected_batch_size=float(resolved.expected_batch_size),
            adaptive_clip=AdaptiveClip(
                target_quantile=parameters.clip_quantile,
                learning_rate=parameters.clip_learning_rate,
                sum_noise_multiplier=resolved.sum_noise_multiplier(noise_multiplier),
                count_standard_deviation=resolved.count_standard_deviation,
            )
            if parameters.clipping == "adaptive"
            else None,
            num_canaries=parameters.audit_canaries,
        )

    @property
    def sum_noise_multiplier(self) -> float:
        """Noise standard deviation / clip of the gradients' sum alone."""
        return self.noise_multiplier if self.adaptive_clip is None else self.adaptive_clip.sum_noise_multiplier


@dataclasses.dataclass(frozen=True)
class Performance:
    """What changes speed and memory, and nothing about privacy."""

    layout: Layout | None = None
    """Units whose gradients are computed at once; by default what suits a model whose records cost little."""
    steps_per_call: int = 16
    """Steps that one call of the graph runs."""

    def __post_init__(self) -> None:
        sizes = {} if self.layout is None else dataclasses.asdict(self.layout)
        for name, value in {"steps_per_call": self.steps_per_call, **sizes}.items():
            _validate.positive_integer(**{name: value})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """How and where steps are computed; nothing about privacy."""

    record_by_record: bool = False
    """Uses no cheap form of any layer."""
    performance: Performance = Performance()
    strategy: Any = None
    """A tf.distribute strategy; each chunk is divided between its replicas."""


class _Sums(NamedTuple):
    """Of one or several chunks."""

    gradients: list[Any]
    """Clipped; per variable, then the audit's vector where there is one."""
    within: Any
    """Number of units within the clip."""
    counted: Any
    """Number of units, canaries not among them."""


class PrivateStep:
    """Runs DP-SGD steps on a compiled model.

    Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. Shapes in the graph are fixed whatever is drawn:
    a batch is cut into chunks that are padded and masked, and nothing of it is left out. An empty batch is a step of
    noise alone.
    """

    def __init__(
        self,
        model: Any,
        data: ResidentData,
        settings: StepSettings,
        execution: Execution | None = None,
        *,
        make_noise: Callable[[int], Noise] = lambda size: GaussianNoise(),
    ) -> None:
        """Prepares the graph.

        Args:
          model: A compiled Keras model, already validated.
          data: The records.
          settings: Clip, noise and divisor.
          execution: How and where it is computed.
          make_noise: From the length of a step's draw to where the noise comes from.

        Raises:
          ModelError: If it has more weights than the accountants allow for.
        """
        execution = execution or Execution()
        strategy = execution.strategy
        self._model = model
        self._data = data
        self._variables = keras_api.trainable_variables(model)
        self._performance = execution.performance
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync if strategy else 1
        layout = self._performance.layout or Layout.of(settings.expected_batch_size)
        self._layout = layout.divisible_by(self._replicas)
        kind = clipping.RecordByRecord if execution.record_by_record else clipping.ClippedSum
        self._sums: dict[int, clipping.GradientSum] = {
            size: kind(model, Units(size // self._replicas, data.records_each))
            for size in {self._layout.large, self._layout.small}
        }
        self._clip = tf.Variable(settings.l2_norm_clip, dtype=tf.float32, trainable=False, name="l2_norm_clip")
        self._clip_range = settings.l2_norm_clip / _CLIP_MOVES, settings.l2_norm_clip * _CLIP_MOVES
        self._share = tf.Variable(float("nan"), dtype=tf.float32, trainable=False, name="share_within_clip")
        self._adaptive = settings.adaptive_clip
        self._noise_multiplier = settings.sum_noise_multiplier
        self._divisor = settings.expected_batch_size
        self._num_canaries = settings.num_canaries
        self._shapes = [tuple(variable.shape) for variable in self._variables]
        if settings.num_canaries:
            self._shapes.append((settings.num_canaries,))
            self._canary_scores = tf.Variable(tf.zeros(settings.num_canaries), trainable=False, name="canary_scores")
        self._lengths = [math.ceil(math.prod(shape) / _ALIGNMENT) * _ALIGNMENT for shape in self._shapes]
        if not self.size <= noise_tails.NUMBERS_PER_STEP:
            raise ModelError(
                f"A step needs {self.size} numbers of noise; {noise_tails.NUMBERS_PER_STEP} are accounted."
            )
        self.noise = make_noise(self.size)
        large, small = (None, self._layout.num_large, self._layout.large), (None, self._layout.small)
        signature = [
            tf.TensorSpec((*large, data.records_each), tf.int32),
            tf.TensorSpec(large, tf.int32),
            tf.TensorSpec((*small, data.records_each), tf.int32),
            tf.TensorSpec(small, tf.int32),
            tf.TensorSpec((None,), tf.int32),
        ]
        # AutoGraph has nothing to convert here, and would slow tracing down.
        self._run = tf.function(self._steps, input_signature=signature, autograph=False)
        with strategy.scope() if strategy else contextlib.nullcontext():
            keras_api.prepare(model.optimizer, model)

    @property
    def size(self) -> int:
        """Numbers of noise that are drawn for a step: for every coordinate one, and some to spare."""
        return sum(self._lengths)

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
    def clipped_fraction(self) -> float | None:
        """Noisy share of the last batch's units beyond the clip, as the clip was adapted by; None where no count is taken."""
        return 1.0 - float(self._share) if self._adaptive else None

    @property
    def canary_scores(self) -> np.ndarray:
        """Sum over steps of the noisy audit vector in clips, of shape (num_canaries,)."""
        return self._canary_scores.numpy() / self._noise_multiplier

    def run(self, batches: list[np.ndarray]) -> float:
        """Runs one step for each batch.

        Args:
          batches: Indices of the units drawn; those from `num_units` on are canaries.

        Returns:
          L2 norm of the last step's noisy mean gradient.
        """
        cuts = [self._layout.cut(batch) for batch in batches]
        large = np.stack([first for first, _ in cuts])
        small = np.concatenate([rest for _, rest in cuts])
        ends = np.cumsum([0] + [len(rest) for _, rest in cuts]).astype(np.int32)
        arguments = [*self._records_and_canaries(large), *self._records_and_canaries(small), ends]
        with clipping.full_precision():
            return float(self._run(*[tf.constant(argument) for argument in arguments]))

    def _records_and_canaries(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices of records, of shape (*drawn.shape, records_each), and of canaries, of shape drawn.shape, -1 for none."""
        canaries = drawn - self._data.num_units
        records = self._data.records_of(np.where(canaries >= 0, -1, drawn))
        return records, np.maximum(canaries, -1).astype(np.int32)

    def _steps(self, large: Any, large_canaries: Any, small: Any, small_canaries: Any, ends: Any) -> Any:
        num_steps = tf.shape(large)[0]
        of_steps = self._noise_of_steps(num_steps)

        def one(step: Any, _: Any) -> tuple[Any, Any]:
            sums = self._sum_of(large[step], large_canaries[step], small, small_canaries, ends[step], ends[step + 1])
            mean = self._apply(sums, self._drawn(self.size) if of_steps is None else of_steps[step])
            norm = tf.cond(step == num_steps - 1, lambda: tf.linalg.global_norm(mean), lambda: tf.constant(0.0))
            return step + 1, norm

        _, norm = tf.while_loop(
            lambda step, _: step < num_steps, one, (tf.constant(0), tf.constant(0.0)), parallel_iterations=1
        )
        return norm

    def _sum_of(self, large: Any, large_canaries: Any, small: Any, small_canaries: Any, start: Any, end: Any) -> _Sums:
        """One batch: the first large chunk, then the others in loops, so memory is that of a chunk."""
        clip = self._clip.read_value()
        sums = self._chunk_sum(large[0], large_canaries[0], clip, self._layout.large)
        if self._layout.num_large > 1:
            sums = self._added(sums, large, large_canaries, 1, self._layout.num_large, clip)
        return self._added(sums, small, small_canaries, start, end, clip)

    def _added(self, sums: _Sums, records: Any, canaries: Any, start: Any, end: Any, clip: Any) -> _Sums:
        size = int(records.shape[1])

        def add(chunk: Any, so_far: _Sums) -> tuple[Any, _Sums]:
            more = self._chunk_sum(records[chunk], canaries[chunk], clip, size)
            return chunk + 1, tf.nest.map_structure(tf.add, so_far, more)

        _, total = tf.while_loop(
            lambda chunk, _: chunk < end, add, (tf.convert_to_tensor(start), sums), parallel_iterations=1
        )
        return _Sums(*total)

    def _apply(self, sums: _Sums, drawn: Any) -> list[Any]:
        """Noise once, division by the constant, one update; gives the noisy mean."""
        clip = self._clip.read_value()
        noisy = self._noised(sums.gradients, drawn)
        if self._num_canaries:
            self._canary_scores.assign_add(noisy.pop() / clip)
        if self._adaptive:
            self._adapt(self._adaptive, sums.within, sums.counted, clip)
        mean = [part / self._divisor for part in noisy]
        self._update(mean)
        return mean

    def _chunk_sum(self, records: Any, canaries: Any, clip: Any, size: int) -> _Sums:
        records = tf.ensure_shape(records, (size, self._data.records_each))
        canaries = tf.ensure_shape(canaries, (size,))
        counted = tf.cast(records[:, 0] != self._data.blank, tf.float32)

        def of_replica() -> tuple[list[Any], Any]:
            each = size // self._replicas
            start = 0
            if self._strategy:
                start = tf.distribute.get_replica_context().replica_id_in_sync_group * each
            part = slice(start, start + each)
            mine = [tf.ensure_shape(whole[part], (each, *whole.shape[1:])) for whole in (records, counted, canaries)]
            chunk = self._data.chunk(mine[0], mine[1])
            extra = None
            if self._num_canaries:
                slots = tf.one_hot(mine[2], self._num_canaries, on_value=_CANARY_LENGTH) * clip
                extra = clipping.Extra(slots, tf.cast(mine[2] >= 0, tf.float32))
            # Of the very graph that runs, whatever a model did when it was looked at before.
            with state.nothing_kept(self._model):
                clipped = self._sums[size](chunk, clip, extra)
            return clipped.gradients, clipped.within

        if self._strategy is None:
            gradients, within = of_replica()
        else:
            gradients, within = tf.nest.map_structure(
                lambda each: self._strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None),
                self._strategy.run(of_replica),
            )
        return _Sums(gradients, within, tf.reduce_sum(counted))

    def _drawn(self, size: Any) -> Any:
        return self.noise.draw(size, self._noise_multiplier * self._clip)

    def _noise_of_steps(self, num_steps: Any) -> Any:
        """A row of noise for each step of a call, of shape (num_steps, size): a draw costs something by itself.

        None where each step draws its own: the noise is large, or depends on the steps before.
        """
        independent = isinstance(self.noise, GaussianNoise) and self._adaptive is None
        if not independent or self.size * self._performance.steps_per_call > _DRAWN_AT_ONCE:
            return None
        return tf.reshape(self._drawn(num_steps * self.size), (num_steps, self.size))

    def _noised(self, sums: list[Any], drawn: Any) -> list[Any]:
        """Adds one draw of noise to everything: no variable, and no row of one, goes without."""
        parts = tf.split(drawn, self._lengths)
        own = [tf.reshape(part[: math.prod(shape)], shape) for part, shape in zip(parts, self._shapes, strict=True)]
        return [total + part for total, part in zip(sums, own, strict=True)]

    def _adapt(self, adaptive: AdaptiveClip, within: Any, present: Any, clip: Any) -> None:
        # Counted from one half each, so one unit moves the count by one half (Andrew et al. 2021, Section 2.2).
        noise = self.noise.draw(1, adaptive.count_standard_deviation)[0]
        share = (within - 0.5 * present + noise) / self._divisor + 0.5
        self._share.assign(share)
        moved = clip * tf.exp(-adaptive.learning_rate * (share - adaptive.target_quantile))
        # A clip of zero or infinity could be neither used nor stated.
        self._clip.assign(tf.clip_by_value(moved, *self._clip_range))

    def _update(self, mean: list[Any]) -> None:
        def of_replica() -> None:
            with state.nothing_kept(self._model):
                regularization = regularization_gradients(self._model, self._variables)
            update = [
                tf.cast(of_data, variable.dtype)
                if of_weights is None
                else tf.cast(of_data, variable.dtype) + of_weights
                for of_data, of_weights, variable in zip(mean, regularization, self._variables, strict=True)
            ]
            keras_api.apply_gradients(self._model.optimizer, update, self._model)

        if self._strategy is None:
            of_replica()
            return
        with keras_api.without_aggregation(self._model.optimizer):
            self._strategy.run(of_replica)


def regularization_gradients(model: Any, variables: list[Any]) -> list[Any]:
    """Gradients of the weight regularizers, which depend on no record and need no noise; None where there is none."""
    with tf.GradientTape() as tape:
        losses = model.losses
        total = tf.add_n(losses) if losses else None
    if total is None:
        return [None] * len(variables)
    found = tape.gradient(total, variables)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]
