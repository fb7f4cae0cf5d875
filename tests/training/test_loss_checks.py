"""A loss that would train on noise alone is refused before a record is read; one that is of single records never is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, WIDTH, make_data, make_model, resolved

from tfx_privacy.errors import ModelError

pytestmark = pytest.mark.engine


def tensorflow() -> Any:
    import tensorflow as tf

    return tf


def of_numbers(loss: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A loss of TensorFlow, labels as float32 and outputs."""

    def of_labels(labels: Any, outputs: Any) -> Any:
        tf = tensorflow()
        return loss(tf, tf.cast(labels, tf.float32), outputs)

    return of_labels


def _masked(tf: Any, y: Any, p: Any) -> Any:
    """The mean over the positions of a batch that have a label, as in tutorials on translation."""
    mask = tf.cast(y > 0, tf.float32)
    return tf.reduce_sum(mask * tf.square(1 - p)) / tf.maximum(tf.reduce_sum(mask), 1.0)


def _masked_without_guard(tf: Any, y: Any, p: Any) -> Any:
    mask = tf.cast(y > 0, tf.float32)
    return tf.reduce_sum(mask * tf.square(1 - p)) / tf.reduce_sum(mask)


def _focal(tf: Any, y: Any, p: Any) -> Any:
    q = tf.sigmoid(p)
    return -tf.reduce_mean(
        y * (1 - q) ** 2 * tf.math.log(q + 1e-7) + (1 - y) * q**2 * tf.math.log(1 - q + 1e-7), axis=-1
    )


def _dice_of_a_record(tf: Any, y: Any, p: Any) -> Any:
    p = tf.sigmoid(p)
    return 1 - (2 * tf.reduce_sum(y * p, axis=1) + 1) / (tf.reduce_sum(y + p, axis=1) + 1)


# Of one record each, however they are added up: none may be refused.
GOOD: dict[str, Any] = {
    "scalar mean": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.square(y - p))),
    "sum": of_numbers(lambda tf, y, p: tf.reduce_sum(tf.square(y - p))),
    "sum over a constant": of_numbers(lambda tf, y, p: tf.reduce_sum(tf.abs(y - p)) / 64.0),
    "hinge": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.maximum(0.0, 1 - (2 * y - 1) * p))),
    "hinge of labels -1 and 1": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.maximum(0.0, 1 - y * p))),
    "hinge far from its edge": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.maximum(0.0, 1 - 50.0 - (2 * y - 1) * p))),
    "quantile": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.maximum(0.9 * (y - p), -0.1 * (y - p)), -1)),
    "within a band": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.maximum(tf.abs(y - p) - 0.5, 0.0))),
    "focal": of_numbers(_focal),
    "weighted by class": of_numbers(
        lambda tf, y, p: tf.reduce_mean((1 + 9 * y) * tf.nn.sigmoid_cross_entropy_with_logits(y, p))
    ),
    "of positive labels alone": of_numbers(lambda tf, y, p: tf.reduce_mean(y * tf.square(1 - p), -1)),
    "of labels beyond 2": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.where(y > 2.0, tf.square(y - p), 0.0))),
    "masked mean": of_numbers(_masked),
    "masked mean of perhaps nothing": of_numbers(_masked_without_guard),
    "Poisson": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.exp(p) - y * p)),
    "dice of a record": of_numbers(_dice_of_a_record),
    "average loss": of_numbers(
        lambda tf, y, p: tf.nn.compute_average_loss(tf.reduce_mean(tf.square(y - p), -1), global_batch_size=64)
    ),
}
OF_KERAS = ("Hinge", "SquaredHinge", "LogCosh", "Huber", "Poisson", "KLDivergence", "MeanAbsolutePercentageError")


def _pairs(x: Any) -> Any:
    return x[:, :1] - tensorflow().transpose(x[:, :1])


def _balanced_in_batch(tf: Any, y: Any, p: Any) -> Any:
    share = tf.reduce_mean(y)
    weights = y * (1 - share) + (1 - y) * share
    return tf.reduce_sum(weights * tf.nn.sigmoid_cross_entropy_with_logits(y, p)) / (tf.reduce_sum(weights) + 1e-6)


def _smoothly_balanced(tf: Any, y: Any, p: Any) -> Any:
    """Of one record it is the plain loss, so only the weights' proportion tells."""
    share = tf.reduce_mean(y)
    weights = y / (share + 0.1) + (1 - y) / (1.1 - share)
    return tf.reduce_sum(weights * tf.nn.sigmoid_cross_entropy_with_logits(y, p)) / tf.reduce_sum(weights)


def _contrastive(tf: Any, y: Any, p: Any) -> Any:
    rows = tf.math.l2_normalize(p, -1)
    scores = tf.matmul(rows, rows, transpose_b=True) / 0.1
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(tf.shape(p)[0]), scores))


def _dice(tf: Any, y: Any, p: Any) -> Any:
    p = tf.sigmoid(p)
    return 1 - (2 * tf.reduce_sum(y * p) + 1) / (tf.reduce_sum(y + p) + 1)


def _auc(tf: Any, y: Any, p: Any) -> Any:
    pairs = tf.cast(_pairs(y) > 0, tf.float32)
    return tf.reduce_sum(pairs * tf.square(1 - _pairs(p))) / (tf.reduce_sum(pairs) + 1e-6)


def _correlation(tf: Any, y: Any, p: Any) -> Any:
    y, p = y - tf.reduce_mean(y), p - tf.reduce_mean(p)
    return 1 - tf.reduce_sum(y * p) / tf.sqrt(tf.reduce_sum(y * y) * tf.reduce_sum(p * p) + 1e-8)


COMPARES: dict[str, Any] = {
    "ranking": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.nn.relu(1.0 - _pairs(y) * _pairs(p)))),
    "contrastive": of_numbers(_contrastive),
    "AUC": of_numbers(_auc),
    "dice of the batch": of_numbers(_dice),
    "mean of predictions": of_numbers(lambda tf, y, p: tf.square(tf.reduce_mean(p) - tf.reduce_mean(y))),
    "correlation": of_numbers(_correlation),
    "explained variance": of_numbers(
        lambda tf, y, p: tf.reduce_sum(tf.square(y - p)) / (tf.math.reduce_variance(y) + 1e-7)
    ),
    "list": of_numbers(lambda tf, y, p: -tf.reduce_sum(tf.nn.softmax(y, 0) * tf.nn.log_softmax(p, 0))),
    "balanced in the batch": of_numbers(_balanced_in_batch),
    "smoothly balanced in the batch": of_numbers(_smoothly_balanced),
    "weighted by outputs": of_numbers(
        lambda tf, y, p: tf.reduce_sum(tf.exp(-tf.abs(p)) * tf.square(y - p)) / tf.reduce_sum(tf.exp(-tf.abs(p)))
    ),
}


def _own_correlation(tf: Any, y: Any, p: Any) -> Any:
    """Not finite for one record."""
    y, p = y - tf.reduce_mean(y), p - tf.reduce_mean(p)
    return 1 - tf.reduce_sum(y * p) / tf.sqrt(tf.reduce_sum(y * y) * tf.reduce_sum(p * p))


WITHOUT_GRADIENT: dict[str, Any] = {
    "accuracy": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.cast(tf.not_equal(p > 0.5, y > 0.5), tf.float32), -1)),
    "rounded": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.square(tf.round(tf.sigmoid(p)) - y), -1)),
    "stopped": of_numbers(lambda tf, y, p: tf.reduce_mean(tf.square(tf.stop_gradient(p) - y), -1)),
    "never finite": of_numbers(_own_correlation),
}


def problems_of(loss: Any, width: int = 3, generation: str = "tf_keras") -> list[str]:
    """For outputs and labels of shape (records, width); no model runs."""
    import tensorflow as tf

    from tfx_privacy.training import ColumnarDataset, loss_checks

    random = np.random.default_rng(3)
    made = ColumnarDataset(
        {"features": random.normal(size=(4, WIDTH)).astype(np.float32)}, random.integers(0, 2, (4, width))
    )
    model = make_model(loss=loss, generation=generation)
    outputs = tf.constant(random.normal(size=(4, width)), tf.float32)
    return [*loss_checks.problems(model, made, lambda records: outputs)]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("loss", GOOD.values(), ids=GOOD.keys())
def test_losses_of_single_records_are_fine(loss: Any, width: int) -> None:
    assert problems_of(loss, width) == []


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("reduction", ["none", "sum", "sum_over_batch_size"])
def test_losses_of_keras_are_fine_however_they_are_reduced(generation: str, reduction: str) -> None:
    of_keras = importlib.import_module(generation).losses
    for name in OF_KERAS:
        assert problems_of(getattr(of_keras, name)(reduction=reduction), generation=generation) == [], name


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("loss", COMPARES.values(), ids=COMPARES.keys())
def test_losses_that_compare_records_are_refused(loss: Any, width: int) -> None:
    (problem,) = problems_of(loss, width)
    assert "compares the records of a batch" in problem
    assert "make the loss a function of one record" in problem


def linear(layers: Any, features: Any) -> Any:
    return layers.Dense(1)(features)


@pytest.mark.parametrize("loss", WITHOUT_GRADIENT.values(), ids=WITHOUT_GRADIENT.keys())
def test_losses_without_a_gradient_are_refused(loss: Any) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match=r"trained by noise alone.*argmax.*softmax over a single output"):
        training.check_model_beforehand(make_model(linear, loss=loss), make_data(), resolved(40))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_softmax_over_one_output_is_refused(generation: str) -> None:
    """A constant: nothing but noise would be learned."""
    from tfx_privacy.training import probe

    body = lambda layers, f: layers.Dense(1, "softmax")(f)
    # Cross-entropies of Keras would go back to what the softmax was taken of.
    model = make_model(body, loss="mse", generation=generation)
    before = model.get_weights()
    with pytest.raises(ModelError, match="trained by noise alone"):
        probe.examine(model, make_data(), resolved(40))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_way_that_is_slow_is_looked_at_too() -> None:
    from tfx_privacy.training import probe

    keras = importlib.import_module("tf_keras")

    class Mine(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.head = keras.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return tensorflow().round(self.head(inputs["features"]))

    model = Mine()
    model({"features": np.zeros((1, WIDTH), np.float32)})
    model.compile("sgd", "mse")
    with pytest.raises(ModelError, match="trained by noise alone"):
        probe.examine(model, make_data(), resolved(40))


def _dead(layers: Any, features: Any) -> Any:
    """No made-up record gets through with the weights that it has."""
    return layers.Dense(1, "relu", bias_initializer=lambda shape, dtype=None: -1e4 * tensorflow().ones(shape))(features)


def _dead_of_few_values(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    ids = layers.Lambda(lambda x: tf.zeros_like(x[:, :1], tf.int32), output_shape=(1,))(features)
    table = layers.Embedding(5, 3, embeddings_initializer=lambda shape, dtype=None: -tf.ones(shape))
    return layers.Flatten()(layers.Activation("relu")(table(ids)))


def _zeros(layers: Any, features: Any) -> Any:
    hidden = layers.Dense(4, "relu", kernel_initializer="zeros")(features)
    return layers.Dense(1, kernel_initializer="zeros", use_bias=False)(hidden)


@pytest.mark.parametrize("body", [_dead, _dead_of_few_values, _zeros])
def test_a_model_that_is_dead_for_made_up_records_is_not_refused(body: Any) -> None:
    """With other weights it has gradients, and those it came with are put back."""
    from tfx_privacy.training import probe

    model = make_model(body, loss="mse")
    before = model.get_weights()
    probe.examine(model, make_data(), resolved(40))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["hinge far from its edge", "of labels beyond 2", "masked mean of perhaps nothing"])
def test_a_loss_that_is_flat_for_some_records_is_not_refused(name: str) -> None:
    from tfx_privacy.training import probe

    probe.examine(make_model(linear, loss=GOOD[name]), make_data(), resolved(40))
