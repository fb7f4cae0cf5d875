"""Whether a loss reads the label is seen in its graph: an output may be a loss by itself only if it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from tfx_privacy.training.gradients import losses

KEPT = tf.Variable(tf.zeros((2, 1)))


def _kept(labels: Any, outputs: Any) -> Any:
    KEPT.assign(labels)
    return outputs + KEPT.read_value()


def _conditional(labels: Any, outputs: Any) -> Any:
    return tf.cond(tf.reduce_max(labels) > 100.0, lambda: outputs * 0.0, lambda: outputs)


def _loop(labels: Any, outputs: Any) -> Any:
    return tf.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, x + labels), (0, outputs))[1]


READS: dict[str, Callable[[Any, Any], Any]] = {
    "a difference": lambda labels, outputs: labels - outputs,
    "beyond a threshold": lambda labels, outputs: outputs + tf.nn.relu(labels - 1e6),
    "in a condition": _conditional,
    "in a loop": _loop,
    "by a variable": _kept,
    "by Python": lambda labels, outputs: tf.py_function(lambda a, b: a + b, (labels, outputs), tf.float32),
    "one that fails": lambda labels, outputs: labels.nothing,
    "Keras' own": tf.keras.losses.MeanSquaredError(),
}
IGNORES: dict[str, Callable[[Any, Any], Any]] = {
    "the output": lambda labels, outputs: outputs,
    "its mean": lambda labels, outputs: tf.reduce_mean(outputs, axis=-1),
    "a label that is computed with and dropped": lambda labels, outputs: (labels * 2.0, outputs)[1],
}


@pytest.mark.parametrize("loss", READS.values(), ids=READS.keys())
def test_a_loss_that_reads_the_label(loss: Callable[[Any, Any], Any]) -> None:
    assert losses.reads_label(loss, tf.zeros((2, 1)), tf.ones((2, 1)))


@pytest.mark.parametrize("loss", IGNORES.values(), ids=IGNORES.keys())
def test_a_loss_that_ignores_the_label(loss: Callable[[Any, Any], Any]) -> None:
    assert not losses.reads_label(loss, tf.zeros((2, 1)), tf.ones((2, 1)))
