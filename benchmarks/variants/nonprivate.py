"""Training without privacy: the divisors of every ratio.

* `np_step`: a `tf.function` written by hand; an embedding's gradient updates the rows it touches.
* `np_dense`: the same with every gradient made dense, as noise on every parameter requires of private training.
* `np_fit`: the step of Keras' own `fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.variants import PreparedStep, Setting
from benchmarks.variants.keras_case import KerasCase, keras_case, keras_train_step, repeated


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds `np_step`, `np_dense` or `np_fit`."""
    case = keras_case(setting)
    if variant == "np_fit":
        return case.prepared(keras_train_step(case))
    update = _update_dense if variant == "np_dense" else _update_sparse
    step = _sgd_step(case, setting.learning_rate, update)
    return case.prepared(repeated(lambda: step(case.features, case.labels)))


def _sgd_step(case: KerasCase, learning_rate: float, update: Callable[[tf.Variable, Any, float], None]) -> Any:
    variables = case.variables()

    # AutoGraph would rewrite the whole of tf_keras to find no Python control flow to convert: seconds of tracing.
    @tf.function(autograph=False)
    def step(features: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _mean_loss(case, features, labels)
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            update(variable, gradient, learning_rate)
        return loss

    return step


def _mean_loss(case: KerasCase, features: Any, labels: Any) -> Any:
    logits = case.model(features, training=True)
    if case.is_binary:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def _update_sparse(variable: tf.Variable, gradient: Any, learning_rate: float) -> None:
    if isinstance(gradient, tf.IndexedSlices):
        variable.scatter_sub(tf.IndexedSlices(learning_rate * gradient.values, gradient.indices, gradient.dense_shape))
    else:
        variable.assign_sub(learning_rate * gradient)


def _update_dense(variable: tf.Variable, gradient: Any, learning_rate: float) -> None:
    variable.assign_sub(learning_rate * tf.convert_to_tensor(gradient))
