"""Small models of both Keras generations, and one record at a time as the reference."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tfx_privacy import DPParameters

WIDTH = 6
GENERATIONS = ("tf_keras", "keras")

Body = Callable[[Any, Any], Any]
"""From a `layers` module and the input, of shape (batch, WIDTH), to the output."""


def make_data(num_records: int = 40, seed: int = 0, **changes: Any) -> Any:
    from tfx_privacy import training

    random = np.random.default_rng(seed)
    features = random.normal(size=(num_records, WIDTH)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int64)
    return training.ColumnarDataset({"features": features}, labels, **changes)


def make_model(
    body: Body | None = None, loss: Any = "binary_crossentropy", optimizer: Any = None, generation: str = "tf_keras"
) -> Any:
    keras = importlib.import_module(generation)
    keras.utils.set_random_seed(1)
    features = keras.Input((WIDTH,), name="features")
    model = keras.Model({"features": features}, (body or perceptron)(keras.layers, features))
    model.compile(optimizer or keras.optimizers.SGD(1.0), loss)
    return model


def resolved(num_records: int, **changes: Any) -> Any:
    arguments = {"noise_multiplier": 1.0, "target_delta": 1e-6, "expected_batch_size": 10, "steps": 5, **changes}
    return DPParameters(**arguments).resolve(population=num_records)


def weights(model: Any) -> np.ndarray:
    return np.concatenate([np.array(variable).ravel() for variable in model.trainable_variables])


def naive_gradients(model: Any, data: Any) -> np.ndarray:
    """One record at a time, through the model's own loss: float64 of shape (num_records, num_weights)."""
    import tensorflow as tf

    from tfx_privacy.training import keras_api

    loss = keras_api.compiled_loss(model)
    variables = keras_api.trainable_variables(model)
    rows = []
    for index in range(len(data)):
        features, labels = data.take(np.array([index]))
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(tf.constant(labels), model(tf.nest.map_structure(tf.constant, features))))
        found = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        rows.append(np.concatenate([tf.convert_to_tensor(gradient).numpy().ravel() for gradient in found]))
    return np.array(rows, dtype=np.float64)


def naive_sum(rows: np.ndarray, clip: float) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1)
    return np.asarray((rows * np.minimum(1.0, clip / norms)[:, np.newaxis]).sum(axis=0))


def perceptron(layers: Any, features: Any) -> Any:
    return layers.Dense(1, "sigmoid")(layers.Dense(5, "tanh")(features))


def _head(layers: Any, hidden: Any) -> Any:
    return layers.Dense(1, "sigmoid")(layers.Flatten()(hidden))


def _tokens(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    # Few ids, so one record reads some rows several times.
    return layers.Lambda(lambda x: tf.cast(tf.abs(x) * 3, tf.int32), output_shape=(WIDTH,))(features)


def _embedding(layers: Any, features: Any) -> Any:
    return _head(layers, layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(_tokens(layers, features))))


def _one_id(layers: Any, features: Any) -> Any:
    return _head(layers, layers.Embedding(20, 4)(_tokens(layers, features)[:, :1]))


def _shared(layers: Any, features: Any) -> Any:
    """One layer used twice: the norm of its gradient's sum is not the sum of two norms."""
    dense = layers.Dense(WIDTH, "tanh")
    return layers.Dense(1, "sigmoid")(dense(dense(features)))


def _shared_embedding(layers: Any, features: Any) -> Any:
    table, tokens = layers.Embedding(20, 4), _tokens(layers, features)
    return _head(layers, layers.Concatenate()([table(tokens[:, :3]), table(tokens[:, 2:5])]))


def _frozen(layers: Any, features: Any) -> Any:
    dense = layers.Dense(5, "tanh")
    dense.trainable = False
    return layers.Dense(1, "sigmoid")(dense(features))


def _attention(layers: Any, features: Any) -> Any:
    sequence = layers.Reshape((3, 2))(features)
    return _head(layers, layers.MultiHeadAttention(2, 3)(sequence, sequence))


def _transformer(layers: Any, features: Any) -> Any:
    sequence = layers.Embedding(20, 8)(_tokens(layers, features))
    attended = layers.LayerNormalization()(sequence + layers.MultiHeadAttention(2, 4)(sequence, sequence))
    return _head(layers, layers.LayerNormalization()(attended + layers.Dense(8)(layers.Dense(16, "relu")(attended))))


def _reshaped(shape: tuple[int, ...], make: Callable[[Any], Any]) -> Body:
    return lambda layers, features: _head(layers, make(layers)(layers.Reshape(shape)(features)))


# Every layer with a cheap form, and layers that take the general form.
BODIES: dict[str, Body] = {
    "dense": perceptron,
    "dense without bias": lambda layers, f: layers.Dense(1, "sigmoid")(layers.Dense(5, "tanh", use_bias=False)(f)),
    "dense on positions": _reshaped((3, 2), lambda layers: layers.Dense(4, "relu")),
    "dense on many positions": _reshaped((6, 1), lambda layers: layers.Dense(40, "relu")),
    "embedding": _embedding,
    "embedding of one id": _one_id,
    "shared dense": _shared,
    "shared embedding": _shared_embedding,
    "frozen": _frozen,
    "conv1d": _reshaped((6, 1), lambda layers: layers.Conv1D(3, 2, activation="relu")),
    "conv1d causal dilated": _reshaped((6, 1), lambda layers: layers.Conv1D(3, 2, padding="causal", dilation_rate=2)),
    "conv1d groups": _reshaped((3, 2), lambda layers: layers.Conv1D(4, 2, groups=2)),
    "conv2d": _reshaped((3, 2, 1), lambda layers: layers.Conv2D(3, 2, activation="relu")),
    "conv2d same strided": _reshaped((3, 2, 1), lambda layers: layers.Conv2D(3, 2, padding="same", strides=2)),
    "depthwise": _reshaped((3, 1, 2), lambda layers: layers.DepthwiseConv2D(2, padding="same", depth_multiplier=2)),
    "separable": _reshaped((3, 2), lambda layers: layers.SeparableConv1D(3, 2)),
    "transposed convolution": _reshaped((3, 2, 1), lambda layers: layers.Conv2DTranspose(3, 2)),
    "layer normalisation": _reshaped((3, 2), lambda layers: layers.LayerNormalization()),
    "group normalisation": _reshaped((3, 2), lambda layers: layers.GroupNormalization(2)),
    "einsum": _reshaped((3, 2), lambda layers: layers.EinsumDense("abc,cd->abd", (3, 4), bias_axes="d")),
    "einsum per position": _reshaped((3, 2), lambda layers: layers.EinsumDense("abc,bcd->abd", (3, 4), bias_axes="bd")),
    "attention": _attention,
    "transformer": _transformer,
    "lstm": _reshaped((3, 2), lambda layers: layers.LSTM(3)),
    "bidirectional gru": _reshaped((3, 2), lambda layers: layers.Bidirectional(layers.GRU(2))),
    "time distributed": _reshaped((3, 2), lambda layers: layers.TimeDistributed(layers.Dense(3))),
    "prelu": lambda layers, f: layers.Dense(1, "sigmoid")(layers.PReLU()(layers.Dense(4)(f))),
}
