"""BatchNormalization by its moving statistics is an affine map of each record; by a batch's own it never gets through."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, make_data, make_model, naive_gradients, naive_sum, resolved

from tfx_privacy.errors import ModelError

pytestmark = pytest.mark.engine
COUNT, CLIP = 4, 0.7


def backbone(layers: Any, *, trainable: bool = False) -> Any:
    keras = importlib.import_module(layers.__name__.split(".")[0])
    hidden = image = keras.Input((3, 2, 1))
    for name in ("first", "second"):
        hidden = layers.Conv2D(2, 2, padding="same")(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization(name=name)(hidden))
    model = keras.Model(image, layers.GlobalAveragePooling2D()(hidden))
    model.trainable = trainable
    return model


def on_backbone(layers: Any, features: Any, *, trainable: bool = False, **call: Any) -> Any:
    image = layers.Reshape((3, 2, 1))(features)
    return layers.Dense(1, "sigmoid")(backbone(layers, trainable=trainable)(image, **call))


def with_layer(layers: Any, features: Any, *, then: Any = None, **arguments: Any) -> Any:
    layer = layers.BatchNormalization(name="bn", **arguments)
    outputs = layers.Dense(1, "sigmoid")(layer(features))
    if then is not None:
        then(layer)
    return outputs


def thawed_in_frozen(layers: Any, features: Any) -> Any:
    """Keras 2 takes a batch's statistics here, and keeps none of them."""
    inner = backbone(layers)
    inner.get_layer("first").trainable = True
    return layers.Dense(1, "sigmoid")(inner(layers.Reshape((3, 2, 1))(features)))


def in_own_call(layers: Any, features: Any) -> Any:
    """A frozen layer of the user's own that calls a thawed one for training, whatever it is told."""

    class Forced(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.bn = layers.BatchNormalization(name="bn")

        def call(self, inputs: Any) -> Any:
            return self.bn(inputs, training=True)

    layer = Forced()
    outputs = layers.Dense(1, "sigmoid")(layer(features))
    layer.trainable = False
    layer.bn.trainable = True
    return outputs


def subclass(layers: Any, features: Any) -> Any:
    kind = type("Mine", (layers.BatchNormalization,), {})
    return layers.Dense(1, "sigmoid")(kind(name="bn", trainable=False)(features))


def in_time_distributed(layers: Any, features: Any, *, trainable: bool) -> Any:
    inner = layers.BatchNormalization(name="bn", trainable=trainable)
    steps = layers.TimeDistributed(inner)(layers.Reshape((3, 2))(features))
    return layers.Dense(1, "sigmoid")(layers.Flatten()(steps))


def of_tensorflow_1(layers: Any, features: Any) -> Any:
    """Has the name, and does not care that it is frozen."""
    old = importlib.import_module("tf_keras.src.layers.normalization.batch_normalization_v1")
    return layers.Dense(1, "sigmoid")(old.BatchNormalization(name="bn", trainable=False)(features))


def patched(layer: Any) -> None:
    object.__setattr__(layer, "call", type(layer).call.__get__(layer))


Body = Callable[[Any, Any], Any]
GOOD: dict[str, Body] = {
    "frozen backbone": on_backbone,
    "frozen backbone in inference": lambda layers, f: on_backbone(layers, f, training=False),
    "frozen layer": lambda layers, f: with_layer(layers, f, trainable=False),
    "frozen later": lambda layers, f: with_layer(layers, f, then=lambda layer: setattr(layer, "trainable", False)),
    "frozen and synchronized": lambda layers, f: with_layer(layers, f, trainable=False, synchronized=True),
    "frozen, time distributed": lambda layers, f: in_time_distributed(layers, f, trainable=False),
}
BAD: dict[str, tuple[Body, str]] = {
    "trainable": (with_layer, "'bn'"),
    "all layers at once": (lambda layers, f: on_backbone(layers, f, trainable=True), "'first'.*, 'second'"),
    "thawed in a frozen model": (thawed_in_frozen, "'first' .BatchNormalization. would"),
    "thawed in a call of the user's": (in_own_call, "'bn'"),
    "subclass": (subclass, "'bn' .Mine."),
    "patched": (lambda layers, f: with_layer(layers, f, trainable=False, then=patched), "'bn'"),
    "time distributed": (lambda layers, f: in_time_distributed(layers, f, trainable=True), "'bn'"),
}
OF_KERAS_2: dict[str, tuple[Body, str]] = {
    "TensorFlow 1": (of_tensorflow_1, "'bn'"),
    "renorm": (lambda layers, f: with_layer(layers, f, trainable=False, renorm=True), "'bn'"),
    "virtual batches": (lambda layers, f: with_layer(layers, f, trainable=False, virtual_batch_size=2), "'bn'"),
    "adjusted": (
        lambda layers, f: with_layer(layers, f, trainable=False, adjustment=lambda shape: (1.0, 0.0)),
        "'bn'",
    ),
}
# AutoGraph converts Keras 2's code where a layer of the user's calls it, which takes seconds.
SLOW = ("thawed in a call of the user's", "tf_keras")
REFUSED = [
    pytest.param(generation, *case, id=f"{name}, {generation}", marks=[pytest.mark.slow] * ((name, generation) == SLOW))
    for generation in GENERATIONS
    for name, case in {**BAD, **(OF_KERAS_2 if generation == "tf_keras" else {})}.items()
]


@pytest.mark.parametrize(("generation", "body", "named"), REFUSED)
def test_statistics_of_a_batch_are_refused_with_a_remedy(generation: str, body: Body, named: str) -> None:
    from tfx_privacy import training

    message = f"{named}.*mixes the records of a batch.*GroupNormalization or LayerNormalization instead, or freeze"
    with pytest.raises(ModelError, match=message):
        training.check_model(make_model(body, generation=generation), make_data())


def test_an_argument_of_the_call_counts_as_it_arrives() -> None:
    """Keras 3 hands its own `training=True` to every layer of a functional model, and so over the argument; Keras 2 does not."""
    from tfx_privacy import training

    def body(layers: Any, features: Any) -> Any:
        return layers.Dense(1, "sigmoid")(layers.BatchNormalization(name="bn")(features, training=False))

    model = make_model(body)
    layer = model.get_layer("bn")
    statistics_of_keras_2 = [np.array(part) for part in (layer.moving_mean, layer.moving_variance)]
    training.check_model_beforehand(model, make_data(), resolved(40))
    training.train(model, make_data(), resolved(40), noise_multiplier=1.0)
    for before, after in zip(statistics_of_keras_2, (layer.moving_mean, layer.moving_variance), strict=True):
        assert np.array_equal(before, np.array(after))
    keras_3 = make_model(body, generation="keras")
    statistics = keras_3.get_layer("bn").moving_mean
    before = np.array(statistics)
    keras_3({"features": np.ones((2, 6), np.float32)}, training=True)
    if np.array_equal(before, np.array(statistics)):
        training.check_model(keras_3, make_data())
    else:
        with pytest.raises(ModelError, match="'bn'"):
            training.check_model(keras_3, make_data())


def test_what_cannot_be_called_is_looked_at_as_it_stands() -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match="'bn'.*or freeze"):
        training.check_model_beforehand(make_model(with_layer), None, resolved(40))
    training.check_model_beforehand(make_model(GOOD["frozen layer"]), None, resolved(40))


def sums_of(model: Any, *, kind: str = "ClippedSum") -> Any:
    """In a graph as in training, and searched as there."""
    import tensorflow as tf

    from tfx_privacy.training import state
    from tfx_privacy.training.gradients import clipping
    from tfx_privacy.training.gradients.units import Units

    features, labels = make_data().take(np.arange(COUNT))
    gradient_sum = getattr(clipping, kind)(model, Units(COUNT))

    def run() -> Any:
        chunk = clipping.Chunk(
            {"features": tf.constant(features["features"])}, tf.constant(labels), tf.ones(COUNT), tf.ones(COUNT)
        )
        with state.nothing_kept(model):
            return gradient_sum(chunk, CLIP).gradients

    return np.concatenate([np.ravel(part) for part in tf.function(run, autograph=False)()])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_engine_looks_at_every_call_by_itself(generation: str) -> None:
    """A layer that is thawed after all checks: whole batches do not pass, and one record at a time keeps nothing."""
    from tfx_privacy.training.gradients.units import UnsupportedCallError

    model = make_model(GOOD["frozen layer"], generation=generation)
    sums_of(model)
    model.get_layer("bn").trainable = True
    with pytest.raises(UnsupportedCallError, match="'bn'"):
        sums_of(model)
    with pytest.raises(ModelError, match="keeps what it sees"):
        sums_of(model, kind="RecordByRecord")


def test_layers_that_only_look_frozen_see_no_whole_batch() -> None:
    """Without the checks of the model, by the engine alone."""
    from tfx_privacy.training.gradients.units import UnsupportedCallError

    for name in ("TensorFlow 1", "renorm", "virtual batches", "adjusted"):
        with pytest.raises(UnsupportedCallError, match="'bn'"):
            sums_of(make_model(OF_KERAS_2[name][0]))
    model = make_model(lambda layers, f: with_layer(layers, f, axis=-1, trainable=False))
    object.__setattr__(model.get_layer("bn"), "axis", [0])
    with pytest.raises(UnsupportedCallError, match="'bn'"):
        sums_of(model)


@pytest.mark.parametrize("trained", [False, True])
def test_gradients_are_those_of_single_records(trained: bool) -> None:
    """Also of gamma and beta, where a layer is trained and called for inference; with moving statistics that matter."""

    def body(layers: Any, features: Any) -> Any:
        layer = layers.BatchNormalization(name="bn", trainable=trained)
        hidden = layer(layers.Reshape((3, 2))(features), training=False)
        return layers.Dense(1, "sigmoid")(layers.Flatten()(hidden))

    model = make_model(body)
    layer = model.get_layer("bn")
    layer.moving_mean.assign([0.3, -0.2])
    layer.moving_variance.assign([2.0, 0.1])
    rows = naive_gradients(model, make_data())[:COUNT]
    np.testing.assert_allclose(sums_of(model), naive_sum(rows, CLIP), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", GOOD)
def test_frozen_layers_are_trained_through_and_stay_as_they_are(name: str, generation: str) -> None:
    from tfx_privacy import training
    from tfx_privacy.training import keras_api, probe

    model, data = make_model(GOOD[name], generation=generation), make_data()
    training.check_model(model, data)
    examined = probe.examine(model, data, resolved(40))
    assert (examined.record_by_record, examined.notes) == (False, ())
    trained = {id(variable) for variable in keras_api.trainable_variables(model)}
    before = {id(variable): variable.numpy() for variable in keras_api.all_variables(model)}
    training.train(model, data, resolved(40), noise_multiplier=1.0)
    for variable in keras_api.all_variables(model):
        assert np.array_equal(variable.numpy(), before[id(variable)]) == (id(variable) not in trained)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "generation"), [("MobileNetV2", "tf_keras"), ("MobileNetV2", "keras"), ("ResNet50", "tf_keras")]
)
def test_backbones_of_keras_applications(name: str, generation: str) -> None:
    """The usual way to train on few images; no layer of them is called for one record at a time."""
    from tfx_privacy import training
    from tfx_privacy.training import probe

    keras = importlib.import_module(generation)
    features = keras.Input((32, 32, 3), name="features")
    frozen = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3))
    frozen.trainable = False
    model = keras.Model({"features": features}, keras.layers.Dense(1, "sigmoid")(frozen(features, training=False)))
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    random = np.random.default_rng(0)
    data = training.ColumnarDataset(
        {"features": random.random((12, 32, 32, 3), dtype=np.float32)}, random.integers(0, 2, 12)
    )
    run = resolved(12, expected_batch_size=4, steps=2)
    examined = probe.examine(model, data, run)
    assert (examined.record_by_record, examined.notes) == (False, ())
    before = [np.array(part) for part in frozen.get_weights()]
    training.train(model, data, run, noise_multiplier=1.0)
    for one, other in zip(before, frozen.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
