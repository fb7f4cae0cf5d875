"""Labels and ids that a model cannot take are found before the first step, and none is quoted."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, WIDTH, make_data, make_model, resolved

from tfx_privacy.errors import DataError, ModelError, ParameterError

pytestmark = pytest.mark.engine

SECRET = 86_243
CLASSES = "sparse_categorical_crossentropy"


def with_labels(labels: Any, **changes: Any) -> Any:
    from tfx_privacy import training

    labels = np.asarray(labels)
    return training.ColumnarDataset({"features": make_data(len(labels)).features["features"]}, labels, **changes)


def three(layers: Any, features: Any) -> Any:
    return layers.Dense(3, "softmax")(features)


def one(layers: Any, features: Any) -> Any:
    return layers.Dense(1, "sigmoid")(features)


def check(model: Any, data: Any) -> None:
    from tfx_privacy.training import record_values

    record_values.check(model, data)


def _ignoring() -> Any:
    import tensorflow as tf

    return tf.keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)


LABELS: dict[str, tuple[Callable[..., Any], Any, Any, str]] = {
    "classes from 1": (three, CLASSES, [1, 2, 3], "none of the classes 0 to 2"),
    "a negative class": (three, CLASSES, [-1, 0, 2], "none of the classes 0 to 2"),
    "no class number": (three, CLASSES, [0.0, 1.5], "none of the classes 0 to 2"),
    "a class that is not a number": (three, CLASSES, [0.0, np.nan], "none of the classes 0 to 2"),
    "another ignored class": (three, _ignoring, [-2, 0], "none of the classes 0 to 2"),
    "three classes of two": (one, "binary_crossentropy", [0, 1, 2], "not between 0 and 1"),
    "signs": (one, "binary_crossentropy", [-1, 1], "not between 0 and 1"),
    "a share that is missing": (one, "binary_focal_crossentropy", [0.0, np.nan], "not between 0 and 1"),
    "a number that is missing": (one, "mse", [0.0, np.nan], "NaN or infinite"),
    "an endless number": (one, "mae", [0.0, np.inf], "NaN or infinite"),
}


@pytest.mark.parametrize(("body", "loss", "labels", "message"), LABELS.values(), ids=LABELS.keys())
def test_labels_that_the_loss_does_not_take(body: Any, loss: Any, labels: Any, message: str) -> None:
    from tfx_privacy import training

    model = make_model(body, loss=loss() if callable(loss) else loss)
    with pytest.raises(DataError, match=message):
        training.train(model, with_labels(labels), resolved(40), noise_multiplier=1.0)


@pytest.mark.parametrize(
    ("body", "loss", "labels", "changes"),
    [
        (three, CLASSES, [0, 1, 2], {}),
        (three, CLASSES, [0.0, 2.0], {}),
        (three, _ignoring, [-1, 2], {}),
        (one, "binary_crossentropy", [0.0, 0.3, 1.0], {}),
        (one, "mse", [-1e9, 1e9], {}),
        (one, "binary_crossentropy", [0.0, np.nan], {"weights": np.array([1.0, 0.0])}),
        (one, lambda: lambda labels, outputs: abs(labels - outputs), [0.0, np.nan], {}),
    ],
)
def test_labels_that_it_takes(body: Any, loss: Any, labels: Any, changes: dict[str, Any]) -> None:
    check(make_model(body, loss=loss() if callable(loss) else loss), with_labels(labels, **changes))


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        (CLASSES, np.zeros((4, 3), np.int64), r"labels have shape \(3,\).*categorical_crossentropy"),
        ("categorical_crossentropy", np.zeros((4, 1)), r"labels have shape \(1,\).*sparse_categorical_crossentropy"),
    ],
)
def test_labels_of_another_shape_are_refused_without_a_record(loss: Any, labels: Any, message: str) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match=message):
        training.check_model_beforehand(make_model(three, loss=loss), with_labels(labels), resolved(40))


def _looked_up(layers: Any, ids: Any) -> Any:
    return layers.Embedding(3, 2)(layers.IntegerLookup(vocabulary=[5, 6, 7])(ids))


def _nested(layers: Any, ids: Any) -> Any:
    keras = importlib.import_module(layers.__name__.split(".", 1)[0])
    inner = keras.Input((WIDTH,), dtype="int64")
    return keras.Model(inner, layers.Embedding(10, 2)(layers.Reshape((WIDTH,))(inner)))(ids)


IDS: dict[str, tuple[Callable[..., Any], int, bool]] = {
    "beyond the table": (lambda layers, ids: layers.Embedding(10, 2)(ids), 10, False),
    "negative": (lambda layers, ids: layers.Embedding(10, 2)(ids), -1, False),
    "the last row": (lambda layers, ids: layers.Embedding(10, 2)(ids), 9, True),
    "in a model inside": (_nested, SECRET, False),
    "after a lookup that has one row more": (_looked_up, 7, False),
    "after a lookup": (
        lambda layers, ids: layers.Embedding(4, 2)(layers.IntegerLookup(vocabulary=[5])(ids)),
        SECRET,
        True,
    ),
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("body", "value", "taken"), IDS.values(), ids=IDS.keys())
def test_ids_outside_of_a_table(generation: str, body: Any, value: int, taken: bool, capfd: Any) -> None:
    from tfx_privacy import training

    keras = importlib.import_module(generation)
    features = keras.Input((WIDTH,), name="features", dtype="int64")
    model = keras.Model(
        {"features": features}, keras.layers.Dense(1)(keras.layers.Flatten()(body(keras.layers, features)))
    )
    model.compile("sgd", "mse")
    # In the last record of the second chunk.
    ids = np.zeros((1100, WIDTH), np.int64)
    ids[-1, -1] = value
    data = training.ColumnarDataset({"features": ids}, np.zeros((1100, 1), np.float32))
    if taken:
        check(model, data)
        return
    with pytest.raises(DataError, match=r"layer 'embedding\w*' \(Embedding\) gets is not in 0 to") as caught:
        check(model, data)
    assert str(SECRET) not in str(caught.value) + capfd.readouterr().err
    assert caught.value.__context__ is None


def test_ids_of_variable_length_and_of_a_class_of_the_users_own() -> None:
    import tensorflow as tf

    from tfx_privacy import training
    from tfx_privacy.training.variable_length import Ragged

    class Bag(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.last = tf.keras.layers.Embedding(4, 2), tf.keras.layers.Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.last(tf.reduce_mean(self.table(inputs["ids"]), axis=1))

    model = Bag()
    model.compile("sgd", "mse")
    for last, taken in ((3, True), (4, False)):
        # What is behind a row's end is padding.
        ids = Ragged(np.array([[0, SECRET], [1, last]]), np.array([1, 2]))
        data = training.ColumnarDataset({"ids": ids}, np.zeros((2, 1), np.float32))
        if taken:
            check(model, data)
        else:
            with pytest.raises(DataError, match="not in 0 to 3"):
                check(model, data)


def test_what_a_schema_declares_is_checked_without_a_record() -> None:
    from tfx_privacy import training

    def declared(*labels: int) -> Any:
        return with_labels(labels)

    model, made_up = make_model(three, loss=CLASSES), with_labels([0])
    training.check_model_beforehand(model, made_up, resolved(40), declared(0, 2))
    with pytest.raises(ParameterError, match="By the domains in the schema: A label is none of the classes 0 to 2"):
        training.check_model_beforehand(model, made_up, resolved(40), declared(1, 3))


def test_a_domain_says_nothing_of_ids_that_the_model_shifts() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    features = tf.keras.Input((1,), name="features", dtype="int64")
    ids = tf.keras.layers.Lambda(lambda ids: ids - 1)(features)
    model = tf.keras.Model({"features": features}, tf.keras.layers.Flatten()(tf.keras.layers.Embedding(3, 1)(ids)))
    model.compile("sgd", "mse")

    def records(*values: int) -> Any:
        column = np.array(values)[:, np.newaxis]
        return training.ColumnarDataset({"features": column}, np.zeros((len(values), 1), np.float32))

    training.check_model_beforehand(model, records(0), resolved(40), records(1, 3))
    training.check_model_beforehand(model, records(0), resolved(40), records(0, 3))
    check(model, records(1, 3))
    with pytest.raises(DataError):
        check(model, records(0, 3))
