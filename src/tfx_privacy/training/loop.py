"""The training loop: one object draws the batches, and what it drew is what is accounted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.privacy.errors import InternalError, ModelError
from tfx_privacy.privacy.guarantee import DPSGDMechanism, NoMechanism
from tfx_privacy.privacy.parameters import ResolvedParameters
from tfx_privacy.training import gradients, validation
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.sampling import PoissonSampler

# Memory for the gradients of one chunk of records.
CHUNK_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a callback is told after a step; nothing in it is a function of the records beyond the noisy weights."""

    step: int
    steps: int
    update_norm: float | None
    """L2 norm of the noisy mean gradient; None where it was not asked for, and without privacy."""


def train(
    model: Any,
    data: ColumnarDataset,
    resolved: ResolvedParameters,
    *,
    noise_multiplier: float | None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_every: int = 1,
    chunk_size: int | None = None,
    deterministic_noise_for_tests: int | None = None,
) -> DPSGDMechanism | NoMechanism:
    """Trains a model in place by DP-SGD with Poisson sampling.

    Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1, with the sum divided by a public constant.

    Args:
      model: A compiled Keras 2 model with one output.
      data: The training records.
      resolved: Sampling probability, steps and expected batch size.
      noise_multiplier: Noise standard deviation / l2_norm_clip; None only without privacy.
      on_progress: Called after every `progress_every`-th step and after the last one.
      progress_every: Steps between two calls.
      chunk_size: Records whose gradients are computed at once; a matter of memory, not of privacy.
      deterministic_noise_for_tests: Seed of a noise that protects nothing; the result is stamped with it.

    Returns:
      The mechanism that was executed.

    Raises:
      ModelError: If the model cannot be trained privately, or its weights are not finite at the end.
    """
    data = validation.relevant_features(model, data)
    validation.check_model(model, data)
    sampler = PoissonSampler(num_records=len(data), sampling_probability=resolved.sampling_probability)
    if resolved.parameters.enabled:
        if noise_multiplier is None or resolved.expected_batch_size is None:
            raise InternalError(
                f"Training with privacy needs noise_multiplier={noise_multiplier!r} and "
                f"expected_batch_size={resolved.expected_batch_size!r}."
            )
        noise = gradients.GaussianNoise(deterministic_seed=deterministic_noise_for_tests)
        step: _PrivateStep | _OrdinaryStep = _PrivateStep(model, data, resolved, noise_multiplier, noise, chunk_size)
    else:
        step = _OrdinaryStep(model)
    for number in range(1, resolved.steps + 1):
        step(data, sampler.draw())
        if on_progress and (number % progress_every == 0 or number == resolved.steps):
            on_progress(Progress(number, resolved.steps, step.update_norm()))
    _require_finite(model)
    if not resolved.parameters.enabled:
        return NoMechanism(steps=sampler.batches_drawn)
    assert noise_multiplier is not None
    assert resolved.expected_batch_size is not None
    return DPSGDMechanism(
        sampling_probability=sampler.sampling_probability,
        steps=sampler.batches_drawn,
        noise_multiplier=float(noise_multiplier),
        l2_norm_clip=resolved.parameters.l2_norm_clip,
        expected_batch_size=resolved.expected_batch_size,
        noise_source=noise.source,  # type: ignore[arg-type] # one of the two literals
    )


class _PrivateStep:
    """One logical step: clipped sum over the batch, noise once, one optimizer update."""

    def __init__(
        self,
        model: Any,
        data: ColumnarDataset,
        resolved: ResolvedParameters,
        noise_multiplier: float,
        noise: gradients.GaussianNoise,
        chunk_size: int | None,
    ) -> None:
        assert resolved.expected_batch_size is not None
        self._model = model
        self._variables = list(model.trainable_variables)
        self._size = sum(int(np.prod(variable.shape)) for variable in self._variables)
        self._noise = noise
        clip = resolved.parameters.l2_norm_clip
        self._standard_deviation = float(noise_multiplier) * clip
        self._divisor = resolved.expected_batch_size
        self._sum = gradients.ClippedGradientSum(model, l2_norm_clip=clip)
        self._chunk_size = chunk_size or _fitting_chunk(resolved.expected_batch_size, self._size)
        self._apply = tf.function(self._update)
        self._norm: Any = None

    def __call__(self, data: ColumnarDataset, indices: np.ndarray) -> None:
        total = tf.zeros((self._size,), tf.float32)
        for chunk, mask in _chunks(indices, self._chunk_size):
            total += self._sum(*data.take(chunk), mask)
        self._norm = self._apply(total)

    def update_norm(self) -> float | None:
        return None if self._norm is None else float(self._norm)

    def _update(self, total: Any) -> Any:
        noisy = total + self._noise.draw(self._size, self._standard_deviation)
        mean = noisy / self._divisor
        update = gradients.unflatten(mean, self._variables)
        regularization = _regularization_gradients(self._model, self._variables)
        if regularization:
            update = [of_data + of_weights for of_data, of_weights in zip(update, regularization, strict=True)]
        self._model.optimizer.apply_gradients(zip(update, self._variables, strict=True))
        return tf.norm(mean)


class _OrdinaryStep:
    """One step without privacy: the mean gradient of the batch."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables = list(model.trainable_variables)
        self._loss = gradients.loss_function(model)
        self._apply = tf.function(self._update, reduce_retracing=True)

    def __call__(self, data: ColumnarDataset, indices: np.ndarray) -> None:
        if len(indices):
            features, labels = data.take(indices)
            self._apply(tf.nest.map_structure(tf.constant, features), tf.constant(labels))

    def update_norm(self) -> float | None:
        return None

    def _update(self, features: Any, labels: Any) -> None:
        with tf.GradientTape() as tape:
            loss = self._loss(labels, self._model(features, training=True))
            if self._model.losses:
                loss += tf.add_n(self._model.losses)
        self._model.optimizer.minimize(loss, self._variables, tape=tape)


def _regularization_gradients(model: Any, variables: list[Any]) -> list[Any]:
    """Gradients of the weight regularizers, which depend on no record and need no noise."""
    with tf.GradientTape() as tape:
        losses = model.losses
        total = tf.add_n(losses) if losses else None
    if total is None:
        return []
    found = tape.gradient(total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in found]


def _fitting_chunk(expected_batch_size: float, num_weights: int) -> int:
    """A chunk that holds nearly every batch, if memory allows."""
    usual = math.ceil(expected_batch_size + 4 * math.sqrt(expected_batch_size))
    return max(1, min(usual, CHUNK_BYTES // (4 * num_weights)))


def _chunks(indices: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cuts a batch into chunks of one shape; the last is padded with record 0, masked out."""
    for start in range(0, len(indices), size):
        chunk = indices[start : start + size]
        mask = np.zeros(size, np.float32)
        mask[: len(chunk)] = 1.0
        yield np.concatenate([chunk, np.zeros(size - len(chunk), chunk.dtype)]), mask


def _require_finite(model: Any) -> None:
    for variable in model.variables:
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
            raise ModelError(
                f"Weight {variable.name!r} is not finite after training. Lower the learning rate; the run's budget is spent."
            )
