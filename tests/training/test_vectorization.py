"""Functions of one record that are computed for all at once: as one after the other, forward and backward."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, make_data, make_model, naive_gradients

pytestmark = pytest.mark.engine

NUM_RECORDS = 5
SHAPE = (1, 4, 6)


def _elementwise(t: Any) -> Any:
    import tensorflow as tf

    near = tf.raw_ops.ClipByValue(t=t, clip_value_min=-3.0, clip_value_max=3.0)
    above = tf.abs(near) + 0.5
    parts = [
        tf.math.ceil(t), tf.cos(t), tf.math.divide_no_nan(t, above), tf.nn.elu(t), tf.math.erf(t), tf.exp(near),
        tf.math.expm1(near), tf.floor(t), tf.math.floordiv(t, above), tf.math.floormod(t, above), tf.nn.leaky_relu(t),
        tf.math.log(above), tf.math.log1p(above), tf.maximum(t, 0.1), tf.minimum(t, 0.1), tf.math.multiply_no_nan(t, above),
        -t, tf.pow(above, 1.5), 1.0 / above, tf.math.reciprocal(above), tf.nn.relu(t), tf.nn.relu6(t), tf.round(t),
        tf.math.rsqrt(above), tf.nn.selu(t), tf.sigmoid(t), tf.sign(t), tf.sin(t), tf.nn.softplus(t), tf.nn.softsign(t),
        tf.sqrt(above), tf.square(t), tf.math.squared_difference(t, 0.3), tf.tanh(t), tf.math.xdivy(t, above),
        tf.math.xlogy(t, above), tf.raw_ops.Add(x=t, y=above),
    ]  # fmt: skip
    is_large = (t > 0.5) & (t >= 0.1) | ~((t < 0.2) | (t <= -0.2)) | (t == 0.0) | tf.not_equal(t, t)
    odd = tf.math.is_finite(t) & ~tf.math.is_inf(t) & ~tf.math.is_nan(t)
    chosen = tf.where(is_large & odd, t, 2.0 * t) + tf.raw_ops.Select(
        condition=is_large, x=t, y=tf.raw_ops.OnesLike(x=t)
    )
    return (
        tf.stop_gradient(t) + tf.zeros_like(t) + tf.cast(tf.cast(t, tf.float64), tf.float32) + chosen + tf.add_n(parts)
    )


def _reductions(t: Any) -> Any:
    import tensorflow as tf

    flags = tf.cast(tf.reduce_all(t > -9.0, axis=-1) & tf.reduce_any(t > 0.0, axis=-1), tf.float32)
    largest = tf.one_hot(tf.argmax(t, axis=-1), 6)
    parts = [tf.reduce_sum(t), tf.reduce_mean(t, axis=1), tf.reduce_max(t, axis=[1, 2]), tf.reduce_min(t, axis=-1)]
    parts += [tf.stop_gradient(tf.reduce_prod(t, axis=-1)), tf.reduce_sum(largest * t, axis=-1), flags]
    return tf.concat([tf.reshape(part, (1, -1)) for part in parts], axis=1)


def _shapes(t: Any) -> Any:
    import tensorflow as tf

    first, second = tf.split(t, 2, axis=1)
    left, right = tf.split(t, [2, 4], axis=2)
    top = tf.unstack(t, axis=1)[0]
    filled = tf.fill(tf.shape(t), 0.5) + tf.broadcast_to(top[:, tf.newaxis], tf.shape(t))
    sizes = tf.raw_ops.Size(input=t) + tf.raw_ops.Rank(input=t) + tf.raw_ops.Shape(input=t)[1] + tf.shape_n([t])[0][1]
    filled += tf.cast(sizes, tf.float32)
    parts = [
        tf.transpose(first, [0, 2, 1]), tf.tile(second, [1, 2, 1]), tf.pad(left, [(0, 0), (1, 0), (0, 2)]),
        tf.squeeze(tf.expand_dims(right, -1), -1), tf.stack([top, -top], axis=1), tf.slice(t, [0, 1, 0], [1, 2, 3]),
        tf.ensure_shape(t[:, ::2, 1:-1], (1, 2, 4)), filled, tf.identity(t),
    ]  # fmt: skip
    return tf.concat([tf.reshape(part, (1, -1)) for part in parts], axis=1)


def _products(t: Any) -> Any:
    import tensorflow as tf

    weight = tf.constant(np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32))
    flat = tf.nn.bias_add(tf.matmul(t[0], weight), [0.1, 0.2, 0.3])[tf.newaxis]
    shared = tf.matmul(t, weight) + tf.matmul(t, tf.transpose(weight), transpose_b=True)
    own = tf.matmul(tf.matmul(t, t, transpose_b=True), shared)
    return flat + shared + own + tf.einsum("btk,km->btm", t, weight) + tf.einsum("btk,bsk,bsm->btm", t, t, flat)


def _softmax(t: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(t) + tf.nn.log_softmax(t) * tf.gather(tf.constant([0.5, 2.0, 3.0]), [[0], [1], [2], [1]])


def _images(t: Any) -> Any:
    import tensorflow as tf

    kernel = tf.constant(np.random.default_rng(2).normal(size=(2, 2, 1, 3)).astype(np.float32))
    convolved = tf.nn.conv2d(t[..., tf.newaxis], kernel, 1, "SAME")
    return tf.nn.max_pool2d(convolved, 2, 1, "VALID")


def _normalized(t: Any) -> Any:
    """As Keras 2 normalizes layers: each vector is a channel of its own to TensorFlow's batch normalization."""
    import tensorflow as tf

    each = tf.reshape(t, (1, 4, 6, 1))
    found, *_ = tf.compat.v1.nn.fused_batch_norm(each, tf.ones(4), tf.zeros(4), epsilon=1e-3, data_format="NCHW")
    return tf.reshape(found, SHAPE)


FUNCTIONS = {
    function.__name__.strip("_"): function
    for function in (_elementwise, _reductions, _shapes, _products, _softmax, _images, _normalized)
}


def of_all(function: Callable[[Any], Any], *, in_loop: bool) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Values, gradients through them, and gradients of each record by itself."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import separation, vectorization

    def of_row(row: Any) -> list[Any]:
        return [separation._only_row(function(row[tf.newaxis]))]

    def gradient_of_row(row: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(row)
            total = tf.reduce_sum(tf.sin(function(row[tf.newaxis])))
        return [tape.gradient(total, row)]

    @tf.function(autograph=False)
    def run(rows: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            (values,) = vectorization.over_records(of_row, rows, in_loop=in_loop)
            total = tf.reduce_sum(tf.sin(values))
        through = tape.gradient(total, rows)
        return [values, through, *vectorization.over_records(gradient_of_row, rows, in_loop=in_loop)]

    return lambda rows: [np.array(part) for part in run(tf.constant(rows))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_at_once_is_one_after_the_other(name: str, monkeypatch: Any) -> None:
    """To the bit where others of the batch change: nothing of them gets in, finite or not."""
    import tensorflow as tf

    rows = np.random.default_rng(0).normal(size=(NUM_RECORDS, *SHAPE[1:])).astype(np.float32)
    expected = of_all(FUNCTIONS[name], in_loop=True)(rows)
    monkeypatch.setattr(tf, "map_fn", None)
    at_once = of_all(FUNCTIONS[name], in_loop=False)
    found = at_once(rows)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
    for value in (0.0, 1e30, np.inf, np.nan):
        changed = rows.copy()
        changed[2] = value
        for one, other in zip(at_once(changed), found, strict=True):
            np.testing.assert_array_equal(np.delete(one, 2, axis=0), np.delete(other, 2, axis=0))


def _graph(function: Callable[[Any], Any]) -> Any:
    import tensorflow as tf

    spec = tf.TensorSpec(SHAPE[1:], tf.float32)
    return tf.function(lambda row: function(row[tf.newaxis])[0], autograph=False).get_concrete_function(spec).graph


def _gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import tensorflow as tf

    def gradient(t: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(t)
            value = function(t)
        return tape.gradient(value, t)

    return gradient


def test_every_operation_of_the_list_is_tried_above() -> None:
    """What no test computes may be converted in a way that mixes records."""
    from tfx_privacy.training.gradients import vectorization

    tried = {
        operation.type
        for function in FUNCTIONS.values()
        for each in (function, _gradient(function))
        for operation in _graph(each).get_operations()
    }
    # Random numbers differ each time; a variable is read, and gradients of biases taken, in the layers below.
    elsewhere = {"RandomUniform", "RandomStandardNormal", "TruncatedNormal", "ReadVariableOp", "NoOp", "BiasAddGrad"}
    assert vectorization._VECTORIZED - tried - elsewhere == set()


def _segments(t: Any) -> Any:
    """-1 drops a value; for all records at once it would be the last segment of the record before."""
    import tensorflow as tf

    ids = tf.where(t[0, :, 0] > 0.0, 0, -1)
    return tf.math.unsorted_segment_sum(t[0], ids, 3)[tf.newaxis]


def _own_table(t: Any) -> Any:
    import tensorflow as tf

    return tf.gather(t, [1, 0], axis=1)


def _of_rank_3(t: Any) -> Any:
    import tensorflow as tf

    return tf.matmul(t, tf.ones((1, 6, 2)))


def _own_gradient(t: Any) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def reversed_gradient(x: Any) -> Any:
        return tf.identity(x), lambda upstream: -upstream

    return reversed_gradient(t)


def _overridden_gradient(t: Any) -> Any:
    import tensorflow as tf

    with tf.compat.v1.get_default_graph().gradient_override_map({"Tanh": "Identity"}):
        return tf.tanh(t)


def _condition(t: Any) -> Any:
    import tensorflow as tf

    return tf.cond(tf.reduce_sum(t) > 0.0, lambda: t, lambda: 2.0 * t)


@pytest.mark.parametrize(
    "function", [_segments, _own_table, _of_rank_3, _own_gradient, _overridden_gradient, _condition]
)
def test_anything_else_goes_one_after_the_other(function: Any) -> None:
    from tfx_privacy.training.gradients import vectorization

    assert not vectorization.can_be_vectorized(_graph(function))
    rows = np.random.default_rng(0).normal(size=(NUM_RECORDS, *SHAPE[1:])).astype(np.float32)
    found = of_all(function, in_loop=False)(rows)
    for one, other in zip(found, of_all(function, in_loop=True)(rows), strict=True):
        np.testing.assert_array_equal(one, other)


def in_gate(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Gate(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * tf.sigmoid(inputs)

    return layers.Dense(1)(Gate()(layers.Dense(5)(features)))


def in_block(layers: Any, features: Any) -> Any:
    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.first = layers.MultiHeadAttention(2, 2), layers.LayerNormalization()
            self.hidden, self.dense, self.second = layers.Dense(5, "relu"), layers.Dense(2), layers.LayerNormalization()

        def call(self, inputs: Any) -> Any:
            attended = self.first(inputs + self.attention(inputs, inputs))
            return self.second(attended + self.dense(self.hidden(attended)))

    return layers.Dense(1)(layers.Flatten()(Block()(layers.Reshape((3, 2))(features))))


def squares(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tf.square(tf.cast(labels, tf.float32) - outputs), axis=-1)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("body", [in_gate, in_block])
@pytest.mark.parametrize("kind", ["ClippedSum", "RecordByRecord"])
def test_ordinary_layers_and_losses_of_one_s_own_need_no_loop(
    kind: str, body: Any, generation: str, monkeypatch: Any
) -> None:
    import tensorflow as tf

    from tfx_privacy.training.gradients import clipping
    from tfx_privacy.training.gradients.units import Units

    model, data = make_model(body, loss=squares, generation=generation), make_data(NUM_RECORDS)
    expected = naive_gradients(model, data).sum(axis=0)
    monkeypatch.setattr(tf, "map_fn", None)
    gradient_sum = getattr(clipping, kind)(model, Units(NUM_RECORDS))
    ones = tf.ones(NUM_RECORDS)

    @tf.function(autograph=False)
    def run(features: Any, labels: Any) -> Any:
        return gradient_sum(clipping.Chunk(features, labels, ones, ones), 1e6).gradients

    features, labels = data.take(np.arange(NUM_RECORDS))
    found = run(tf.nest.map_structure(tf.constant, features), tf.constant(labels))
    found = np.concatenate([np.ravel(part) for part in found])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_tensorflow_s_conversions_are_put_back() -> None:
    from tensorflow.python.ops.parallel_for import pfor

    from tfx_privacy import compat

    before = dict(pfor._pfor_converter_registry)
    with compat.products_of_stacked_matrices():
        assert pfor._pfor_converter_registry != before
    assert pfor._pfor_converter_registry == before
