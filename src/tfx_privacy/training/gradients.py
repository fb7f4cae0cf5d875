"""Gradients of single records, clipped, summed and noised.

Abadi et al. (2016), https://arxiv.org/abs/1607.00133, Algorithm 1. Every record is put through the
model as a batch of its own, by `tf.vectorized_map`: whatever the loss reduces and whatever a layer does across a
batch, one record's gradient depends on that record and the weights alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Below it dividing by the largest entry would divide by a denormal number.
_SMALLEST_SCALE = 1e-35
_PHILOX_STATE_WORDS = 3


def loss_function(model: Any) -> Callable[[Any, Any], Any]:
    """The compiled loss of a model as a function of labels and outputs to a scalar."""
    compiled = tf.keras.losses.get(model.loss)

    def loss(labels: Any, outputs: Any) -> Any:
        return tf.reduce_mean(compiled(labels, outputs))

    return loss


class ClippedGradientSum:
    """Sum over records of their gradients, each clipped to an L2 norm over all weights.

    The norm of one record's contribution is at most `l2_norm_clip` (up to float32 rounding); a record whose gradient is not
    finite contributes nothing, silently, because failing on it would tell that it is there.
    """

    def __init__(self, model: Any, *, l2_norm_clip: float) -> None:
        """Args: the compiled model, and the clip."""
        self._model = model
        self._variables = list(model.trainable_variables)
        self._loss = loss_function(model)
        self._clip = tf.constant(l2_norm_clip, tf.float32)
        self._compute = tf.function(self._sum)

    def __call__(self, features: Any, labels: Any, mask: Any) -> Any:
        """Sums over a padded chunk.

        Args:
          features: As the model takes them, of leading dimension `chunk_size`.
          labels: Of leading dimension `chunk_size`.
          mask: float32 of shape (chunk_size,), 1 for records and 0 for padding.

        Returns:
          float32 tensor of shape (num_weights,).
        """
        return self._compute(features, labels, mask)

    def _sum(self, features: Any, labels: Any, mask: Any) -> Any:
        gradients = tf.vectorized_map(self._of_one_record, (features, labels))
        return clipped_sum(gradients, mask, self._clip)

    def _of_one_record(self, record: tuple[Any, Any]) -> Any:
        features, label = tf.nest.map_structure(lambda column: column[tf.newaxis], record)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            loss = self._loss(label, self._model(features, training=True))
        gradients = tape.gradient(loss, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return flatten(gradients)


def clipped_sum(gradients: Any, mask: Any, l2_norm_clip: Any) -> Any:
    """Clips each row and sums the rows.

    The norm is taken of the row divided by its largest entry, so that neither 1e30 nor 1e-30 overflows or vanishes
    when squared.

    Args:
      gradients: float32 of shape (chunk_size, num_weights).
      mask: float32 of shape (chunk_size,).
      l2_norm_clip: Largest norm, a scalar.

    Returns:
      float32 of shape (num_weights,).
    """
    finite = tf.reduce_all(tf.math.is_finite(gradients), axis=1)
    gradients = tf.where(finite[:, tf.newaxis], gradients, 0.0)
    largest = tf.reduce_max(tf.abs(gradients), axis=1)
    scale = tf.where(largest > _SMALLEST_SCALE, largest, 1.0)
    scaled = gradients / scale[:, tf.newaxis]
    norm = tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=1))
    # scaled * scale is the gradient; its norm is scale * norm, which the second term caps at the clip.
    factor = tf.minimum(scale, l2_norm_clip / tf.maximum(norm, _SMALLEST_SCALE))
    return tf.linalg.matvec(scaled, factor * mask, transpose_a=True)


class GaussianNoise:
    """Dense Gaussian noise from a Philox generator whose whole state comes from the operating system.

    The state is never written anywhere, and `tf.random.set_seed` has no influence on it: with a seed from a pipeline's file
    anybody could subtract the noise.
    """

    def __init__(self, *, deterministic_seed: int | None = None) -> None:
        """With a `deterministic_seed` the run is stamped, and the gate refuses it: for tests only."""
        if deterministic_seed is None:
            state = np.frombuffer(os.urandom(8 * _PHILOX_STATE_WORDS), dtype=np.int64)
            self.source = "os_entropy"
        else:
            state = np.full(_PHILOX_STATE_WORDS, deterministic_seed, dtype=np.int64)
            self.source = "deterministic_test"
        self._generator = tf.random.Generator.from_state(state, alg="philox")

    def draw(self, size: int, standard_deviation: float) -> Any:
        """Independent normal numbers, float32 of shape (size,)."""
        return self._generator.normal((size,), stddev=standard_deviation, dtype=tf.float32)


def flatten(gradients: Sequence[Any]) -> Any:
    """One float32 vector of all gradients; sparse ones become dense, or noise would tell which rows were touched."""
    return tf.concat([tf.reshape(tf.cast(tf.convert_to_tensor(g), tf.float32), [-1]) for g in gradients], axis=0)


def unflatten(vector: Any, variables: Sequence[Any]) -> list[Any]:
    """The vector's parts in the shapes and types of the variables."""
    parts = tf.split(vector, [int(np.prod(variable.shape)) for variable in variables])
    return [
        tf.cast(tf.reshape(part, variable.shape), variable.dtype)
        for part, variable in zip(parts, variables, strict=True)
    ]
