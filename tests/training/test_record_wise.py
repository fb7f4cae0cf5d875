"""Records that mix only beyond a threshold: nobody moves the clipped sum by more than the clip, whatever a layer does.

The checks of a model look at made-up records, so they cannot find every threshold. What is tested here is the engine: a
call that is not known to leave records apart gets them one by one, unless its author declares it.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, WIDTH, make_data, make_model, resolved

import tfx_privacy
from tfx_privacy.errors import ModelError

pytestmark = pytest.mark.engine

NUM_RECORDS = 6
SCALES = (1e-3, 1.0, 30.0, 1e3, 1e6)


def by_norm(x: Any) -> Any:
    """Leaves the batch alone up to a norm of 20, and shortens all of it beyond."""
    import tensorflow as tf

    return tf.clip_by_norm(x, 20.0)


def by_largest(x: Any) -> Any:
    import tensorflow as tf

    return x / tf.maximum(tf.reduce_max(tf.abs(x)), 10.0)


def in_lambda(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda layers, f: layers.Dense(1)(
        layers.Lambda(function, output_shape=(5,))(layers.Dense(5, use_bias=False)(f))
    )


def in_layer(layers: Any, features: Any) -> Any:
    class Shorten(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return by_norm(inputs)

    return layers.Dense(1)(Shorten()(layers.Dense(5)(features)))


def in_layer_with_weights(layers: Any, features: Any) -> Any:
    class Shorten(layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return by_largest(inputs * self.scale)

    return layers.Dense(1)(Shorten()(layers.Dense(5)(features)))


def in_subclass(layers: Any, features: Any) -> Any:
    class Dense(layers.Dense):
        def call(self, inputs: Any) -> Any:
            return super().call(by_norm(inputs))

    return layers.Dense(1)(Dense(5)(features))


def in_activation(layers: Any, features: Any) -> Any:
    return layers.Dense(1)(layers.Dense(5, activation=by_largest)(features))


def in_frozen_activation(layers: Any, features: Any) -> Any:
    frozen = layers.Dense(5, activation=by_largest)
    frozen.trainable = False
    return layers.Dense(1)(frozen(features))


def in_activation_of_a_recurrent_layer(layers: Any, features: Any) -> Any:
    return layers.Dense(1)(layers.SimpleRNN(3, activation=by_largest)(layers.Reshape((3, 2))(features)))


def in_nested_model(layers: Any, features: Any) -> Any:
    keras = importlib.import_module(layers.__name__.split(".")[0])
    inner = keras.Sequential([layers.Dense(5), layers.Lambda(by_norm, output_shape=(5,))])
    return layers.Dense(1)(inner(features))


def in_subclassed_model(layers: Any, features: Any) -> Any:
    keras = importlib.import_module(layers.__name__.split(".")[0])

    class Inner(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(5)

        def call(self, inputs: Any) -> Any:
            return by_largest(self.dense(inputs))

    return layers.Dense(1)(Inner()(features))


def in_time_distributed(layers: Any, features: Any) -> Any:
    steps = layers.TimeDistributed(layers.Dense(4, activation=by_largest))(layers.Reshape((3, 2))(features))
    return layers.Dense(1)(layers.Flatten()(steps))


def in_altered_layer(layers: Any, features: Any) -> Any:
    """Keras' own class, and another call put over that of one instance."""
    dense = layers.Dense(5)
    own = dense.call
    object.__setattr__(dense, "call", lambda inputs, **kwargs: by_norm(own(inputs)))
    return layers.Dense(1)(dense(features))


def along_records(layers: Any, features: Any) -> Any:
    """An axis in an argument of Keras' own layer: the records'."""
    return layers.Dense(1)(layers.UnitNormalization(axis=0)(layers.Dense(5)(features)))


def of_all_pairs(layers: Any, features: Any) -> Any:
    """(n, 1) minus (n,) broadcasts to all pairs of records."""
    column = layers.Dense(1)(features)
    pairs = column - column[:, 0]
    if layers.__name__.startswith("tf_keras"):
        import tensorflow as tf

        return layers.Dense(1)(tf.reduce_max(pairs, axis=-1, keepdims=True) + column)
    return layers.Dense(1)(importlib.import_module("keras").ops.max(pairs, axis=-1, keepdims=True) + column)


def in_operation(layers: Any, features: Any) -> Any:
    """Keras 2 makes a layer of TensorFlow's function, Keras 3 an operation of its own."""
    hidden = layers.Dense(5)(features)
    if layers.__name__.startswith("tf_keras"):
        return layers.Dense(1)(by_norm(hidden))
    ops = importlib.import_module("keras").ops
    return layers.Dense(1)(hidden / ops.maximum(ops.max(ops.abs(hidden)), 10.0))


def in_call_of_the_model(layers: Any, features: Any) -> Any:
    raise NotImplementedError  # `model_of` makes it


BODIES = {
    "clip_by_norm": in_lambda(by_norm),
    "largest": in_lambda(by_largest),
    "layer": in_layer,
    "layer with weights": in_layer_with_weights,
    "subclass of Dense": in_subclass,
    "activation": in_activation,
    "activation of a frozen layer": in_frozen_activation,
    "activation of a recurrent layer": in_activation_of_a_recurrent_layer,
    "nested model": in_nested_model,
    "subclassed model inside": in_subclassed_model,
    "time distributed": in_time_distributed,
    "altered layer": in_altered_layer,
    "axis of the records": along_records,
    "all pairs": of_all_pairs,
    "operation": in_operation,
    "subclassed model": in_call_of_the_model,
}


def model_of(name: str, generation: str) -> Any:
    if name != "subclassed model":
        return make_model(BODIES[name], loss="mse", generation=generation)
    keras = importlib.import_module(generation)

    class Mine(keras.Model):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = keras.layers.Dense(5), keras.layers.Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.head(by_norm(self.hidden(inputs["features"])))

    keras.utils.set_random_seed(1)
    model = Mine()
    model({"features": np.zeros((2, WIDTH), np.float32)})
    model.compile(keras.optimizers.SGD(1.0), "mse")
    return model


def sums_of(model: Any, kind: str | None = None) -> Callable[[Any, Any], np.ndarray]:
    """The clipped sum as a real step takes it: by the path that the probe chooses, in a graph."""
    import tensorflow as tf

    from tfx_privacy.training import probe
    from tfx_privacy.training.gradients import clipping
    from tfx_privacy.training.gradients.units import Units

    if kind is None:
        found = probe.examine(model, make_data(), resolved(40))
        kind = "RecordByRecord" if found.record_by_record else "ClippedSum"
    gradient_sum = getattr(clipping, kind)(model, Units(NUM_RECORDS))

    @tf.function(autograph=False)
    def traced(features: Any, labels: Any, present: Any) -> Any:
        clipped = gradient_sum(clipping.Chunk(features, labels, tf.ones(NUM_RECORDS), present), 1.0)
        return tf.concat([tf.reshape(part, [-1]) for part in clipped.gradients], 0)

    def run(features: Any, present: Any) -> np.ndarray:
        labels = np.linspace(-1, 1, NUM_RECORDS, dtype=np.float32)[:, np.newaxis]
        return np.array(
            traced({"features": tf.constant(features)}, labels, tf.constant(present, tf.float32)), np.float64
        )

    return run


def furthest(run: Callable[[Any, Any], np.ndarray]) -> float:
    """How far one record of each scale moves the sum, in clips, when it goes and an empty one takes its place."""
    moved = []
    for scale in SCALES:
        features = make_data(NUM_RECORDS, seed=4).features["features"].copy()
        features[0] *= scale
        gone = features.copy()
        gone[0] = 0.0
        moved.append(np.linalg.norm(run(features, [1] * NUM_RECORDS) - run(gone, [0] + [1] * (NUM_RECORDS - 1))))
    return float(max(moved))


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", BODIES)
def test_one_record_moves_the_sum_by_at_most_the_clip(name: str, generation: str) -> None:
    assert furthest(sums_of(model_of(name, generation))) <= 1.0 + 1e-4


def test_the_same_layer_on_whole_batches_moves_it_further() -> None:
    """The test above can fail: declared, the layer sees the batch, and one record changes what all others give."""
    declared = tfx_privacy.record_wise(lambda x: by_norm(x))
    assert furthest(sums_of(make_model(in_lambda(declared), loss="mse"), "ClippedSum")) > 1.1


@pytest.mark.parametrize("name", ["clip_by_norm", "largest", "layer", "activation", "operation", "nested model"])
def test_only_the_unknown_call_is_slow(name: str) -> None:
    from tfx_privacy.training import probe

    found = probe.examine(model_of(name, "tf_keras"), make_data(), resolved(40))
    assert not found.record_by_record
    assert "one record at a time" in found.notes[0]
    assert "record_wise" in found.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_models_of_known_layers_get_whole_batches(generation: str) -> None:
    """The common path: nothing in these goes record by record, arguments with axes included."""
    from tfx_privacy.training import probe

    keras = importlib.import_module(generation)

    def body(layers: Any, features: Any) -> Any:
        hidden = layers.Dense(8, "gelu")(features)
        image = layers.Reshape((4, 2, 1))(hidden)
        image = layers.MaxPooling2D((2, 1))(layers.Conv2D(2, 2, padding="same", activation="relu")(image))
        sequence = layers.Reshape((4, 2))(layers.LeakyReLU()(image))
        attended = layers.Add()([sequence, layers.MultiHeadAttention(2, 2)(sequence, sequence)])
        attended = layers.LayerNormalization(axis=-1)(attended * 2.0 + 1.0)
        recurrent = layers.Bidirectional(layers.LSTM(3))(layers.TimeDistributed(layers.Dense(3))(attended))
        both = layers.Concatenate(axis=-1)([recurrent, layers.Flatten()(attended)[:, :3], layers.Softmax()(hidden)])
        return layers.Dense(1, activation=layers.ELU() if generation == "tf_keras" else "elu")(
            layers.Dropout(0.1)(both)
        )

    model = make_model(body, loss=keras.losses.BinaryCrossentropy(from_logits=True), generation=generation)
    found = probe.examine(model, make_data(), resolved(40))
    assert (found.record_by_record, found.notes, found.declared_record_wise) == (False, (), ())


@pytest.mark.parametrize(
    "path",
    [
        "templates/image/models/model.py",
        *(pytest.param(path, marks=pytest.mark.slow) for path in (
            "templates/tabular/models/model.py", "templates/text/models/model.py",
        )),
    ],
)  # fmt: skip
def test_the_project_s_own_models_get_whole_batches(path: str) -> None:
    import types

    from places import ROOT

    from tfx_privacy.training.gradients import losses, plan

    spec = importlib.util.spec_from_file_location("model_of_a_template", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.model_fn(types.SimpleNamespace(custom_config={}))
    assert plan.plan_of(model).slow_parts == []
    assert losses.is_known_loss(model.loss)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", ["call", "__call__"])
def test_a_method_put_over_one_of_keras_own_class(name: str, generation: str, monkeypatch: Any) -> None:
    """The class is still the one that Keras' module names."""
    layers = importlib.import_module(generation).layers
    own = getattr(layers.Dense, name)
    model = make_model(lambda layers, f: layers.Dense(1)(layers.Dense(5)(f)), loss="mse", generation=generation)

    @functools.wraps(own)
    def mixing(self: Any, inputs: Any, **kwargs: Any) -> Any:
        return own(self, by_largest(inputs))

    monkeypatch.setattr(layers.Dense, name, mixing)
    assert furthest(sums_of(model)) <= 1.0 + 1e-4


def test_a_patch_of_what_is_outside_a_call_takes_the_model_along(monkeypatch: Any) -> None:
    """Keras computes a mask of the whole batch after each call; one record's call would not show it."""
    import tf_keras

    from tfx_privacy.training.gradients import plan
    from tfx_privacy.training.gradients.units import UnsupportedCallError

    model = make_model(lambda layers, f: layers.Dense(1)(layers.Dense(5)(f)), loss="mse")
    monkeypatch.setattr(tf_keras.layers.Dense, "compute_mask", lambda self, inputs, mask=None: by_largest(inputs) > 0.5)
    with pytest.raises(UnsupportedCallError, match="outside its call, in compute_mask"):
        plan.plan_of(model)


@pytest.mark.parametrize("kind", ["activation", "loss"])
def test_a_function_put_over_one_of_keras_own(kind: str, monkeypatch: Any) -> None:
    import tf_keras

    from tfx_privacy.training.gradients import known_layers, losses

    name, check = {
        "activation": ("activations.relu", known_layers.is_known_activation),
        "loss": ("losses.mean_squared_error", losses.is_known_loss),
    }[kind]
    own = functools.reduce(getattr, name.split("."), tf_keras)
    assert check(own)
    mine = functools.wraps(own)(lambda *args: own(*map(by_largest, args)))
    monkeypatch.setattr(importlib.import_module(own.__module__), own.__name__, mine)
    assert not check(mine)
    assert not check(own)


def test_axes_and_arguments_and_models_are_looked_at_before_any_record_is() -> None:
    """The check on made-up records would find these as well, so it is left out here."""
    import tf_keras

    from tfx_privacy.training.gradients import known_layers, plan
    from tfx_privacy.training.gradients.units import UnsupportedCallError

    class Own(tf_keras.Model):
        def call(self, inputs: Any) -> Any:
            return by_norm(inputs)

    assert [known_layers.keeps_first(axis, 2) for axis in (0, -2, [0, 1], 1, -1)] == [False, False, False, True, True]
    run = sums_of(make_model(along_records, loss="mse"), "ClippedSum")
    with pytest.raises(UnsupportedCallError, match="works along the records' axis"):
        run(np.ones((NUM_RECORDS, WIDTH), np.float32), np.ones(NUM_RECORDS))
    with pytest.raises(UnsupportedCallError, match="whose own call is not known"):
        plan.plan_of(Own())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_losses_along_records_and_of_outputs_without_an_axis_get_one_at_a_time(generation: str) -> None:
    import tensorflow as tf

    from tfx_privacy.training.gradients import losses

    of_keras = importlib.import_module(generation).losses
    flat, square = tf.zeros(4), tf.zeros((4, 3))
    assert losses._takes_batches(of_keras.CosineSimilarity(axis=-1), square, square)
    assert not losses._takes_batches(of_keras.CosineSimilarity(axis=0), square, square)
    assert losses._takes_batches(of_keras.MeanSquaredError(), square, square)
    assert not losses._takes_batches(of_keras.MeanSquaredError(), flat, flat)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_method_put_over_that_of_one_layer(generation: str) -> None:
    from tfx_privacy.training.gradients import known_layers

    layer = importlib.import_module(generation).layers.Dense(3)
    assert known_layers.check_of(layer) is not None
    own = layer.call
    layer.call = lambda inputs: own(by_largest(inputs))
    assert known_layers.check_of(layer) is None


def test_what_logs_a_training_is_no_part_of_a_call(monkeypatch: Any) -> None:
    """Trackers of experiments put theirs over `fit` of Keras' classes: nothing becomes slower by that."""
    import tf_keras

    from tfx_privacy.training import probe

    monkeypatch.setattr(tf_keras.Model, "fit", lambda self: None)
    found = probe.examine(make_model(generation="tf_keras"), make_data(), resolved(40))
    assert (found.record_by_record, found.notes) == (False, ())


def test_operations_are_not_taken_for_layers_of_their_names() -> None:
    """Keras 3 has an operation for each of these layers' names, with other arguments and none of their checks."""
    import keras

    from tfx_privacy.training import probe
    from tfx_privacy.training.gradients import known_layers

    def body(layers: Any, features: Any) -> Any:
        ops = keras.ops
        hidden = layers.Dense(WIDTH)(features)
        mean = ops.expand_dims(ops.average(hidden, axis=1), 1)
        return layers.Dense(1)(ops.dot(hidden, np.ones((WIDTH, 1), np.float32)) + mean)

    model = make_model(body, loss="mse", generation="keras")
    operations = [layer for layer in model.operations if type(layer).__name__ in ("Dot", "Average")]
    assert len(operations) == 2
    assert [known_layers.check_of(each) for each in operations] == [None, None]
    assert not probe.examine(model, make_data(), resolved(40)).record_by_record
    assert furthest(sums_of(model)) <= 1.0 + 1e-4


@pytest.mark.parametrize("generation", GENERATIONS)
def test_metrics_are_not_taken_for_losses_of_their_names(generation: str) -> None:
    from tfx_privacy.training.gradients import losses

    keras = importlib.import_module(generation)
    assert losses.is_known_loss(keras.losses.MeanSquaredError())
    assert not losses.is_known_loss(keras.metrics.MeanSquaredError())


def test_a_constant_of_as_many_rows_as_records_is_not_cut() -> None:
    """Cut by rows it would make what a record gives depend on its place in the batch."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import separation

    table = np.arange(NUM_RECORDS * WIDTH, dtype=np.float32).reshape(NUM_RECORDS, WIDTH)

    @tf.function(autograph=False)
    def traced(features: Any) -> Any:
        return separation.one_by_one(
            lambda x, y: tf.matmul(x, y, transpose_b=True), (features, tf.constant(table)), {}, 6
        )

    features = make_data(NUM_RECORDS).features["features"]
    np.testing.assert_allclose(traced(features), features @ table.T, rtol=1e-4)


def test_gradients_of_separate_calls_are_those_of_single_records() -> None:
    from small_models import naive_gradients

    from tfx_privacy.training.gradients import clipping
    from tfx_privacy.training.gradients.units import Units

    for name in ("layer with weights", "activation", "nested model", "subclassed model inside"):
        model, data = model_of(name, "tf_keras"), make_data(NUM_RECORDS)
        features, labels = data.take(np.arange(NUM_RECORDS))
        ones = np.ones(NUM_RECORDS, np.float32)
        chunk = clipping.Chunk(features, labels, ones, ones)
        found = clipping.ClippedSum(model, Units(NUM_RECORDS))(chunk, 1e6).gradients
        expected = naive_gradients(model, data).sum(axis=0)
        np.testing.assert_allclose(np.concatenate([np.ravel(part) for part in found]), expected, rtol=1e-3, atol=1e-4)


def test_a_layer_that_computes_outside_its_call_takes_the_model_along() -> None:
    import tf_keras

    from tfx_privacy.training import probe

    class Outside(tf_keras.layers.Layer):
        def __call__(self, inputs: Any) -> Any:
            return by_norm(super().__call__(inputs))

        def call(self, inputs: Any) -> Any:
            return inputs * 1.0

    model = make_model(lambda layers, f: layers.Dense(1)(Outside()(f)), loss="mse")
    found = probe.examine(model, make_data(), resolved(40))
    assert found.record_by_record
    assert furthest(sums_of(model)) <= 1.0 + 1e-4


# The second line: what made-up records of several sizes show.


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", ["clip_by_norm", "largest", "layer", "activation"])
def test_thresholds_within_reach_of_the_made_up_records_are_refused(name: str, generation: str) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match="depends on the other records"):
        training.check_model(model_of(name, generation), make_data())


def test_a_layer_that_overflows_for_large_records_alone_is_fine() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    exponential = lambda layers, f: layers.Dense(1)(layers.Lambda(lambda x: tf.exp(x), output_shape=(WIDTH,))(f))
    training.check_model(make_model(exponential, loss="mse"), make_data())


def keeps_beyond_a_threshold(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Largest(layers.Layer):
        def build(self, shape: Any) -> None:
            self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)

        def call(self, inputs: Any) -> Any:
            self.seen.assign(tf.maximum(self.seen, tf.nn.relu(tf.reduce_max(inputs) - 1e9)))
            return inputs

    return layers.Dense(1)(Largest()(features))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_weight_that_is_written_to_beyond_a_threshold(generation: str) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match="writes to a variable"):
        training.check_model(make_model(keeps_beyond_a_threshold, loss="mse", generation=generation), make_data())


# Losses.


def ranking(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    labels = tf.cast(labels, tf.float32)
    return tf.reduce_mean(tf.nn.relu(1.0 - (labels - tf.transpose(labels)) * (outputs - tf.transpose(outputs))), axis=1)


def contrastive(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    scores = tf.matmul(outputs, outputs, transpose_b=True)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.range(tf.shape(scores)[0]), logits=scores)


def beyond_a_threshold(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    errors = tf.square(tf.cast(labels, tf.float32) - outputs)
    return tf.reduce_mean(errors, axis=-1) / tf.maximum(tf.reduce_max(errors), 400.0)


def weighted_by_the_batch(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    weights = tf.exp(-tf.abs(outputs))
    return tf.reduce_sum(weights * tf.square(tf.cast(labels, tf.float32) - outputs)) / tf.reduce_sum(weights)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("loss", [ranking, contrastive, beyond_a_threshold, weighted_by_the_batch])
def test_a_loss_that_compares_records_is_refused(loss: Any, generation: str) -> None:
    from tfx_privacy import training

    body = lambda layers, f: layers.Dense(1)(f)
    with pytest.raises(ModelError, match="loss compares the records of a batch"):
        training.check_model(make_model(body, loss=loss, generation=generation), make_data())


def mean(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tf.square(tf.cast(labels, tf.float32) - outputs))


def total(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(tf.math.log(outputs)) / 64.0


@pytest.mark.parametrize("loss", [mean, total])
def test_losses_that_are_means_or_sums_over_records_are_fine(loss: Any) -> None:
    from tfx_privacy import training

    body = lambda layers, f: layers.Dense(1, "sigmoid")(f)
    training.check_model(make_model(body, loss=loss), make_data())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_keras_own_losses_with_arguments_that_mix(generation: str) -> None:
    """An axis that is the records', labels of another rank, and a reading of labels that depends on all of them."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import losses

    own = importlib.import_module(generation).losses
    labels, outputs = tf.constant([[0.0], [1.0], [-1.0]]), tf.constant([[0.2], [0.7], [0.4]])
    cases = [
        (own.BinaryCrossentropy(axis=0), labels, outputs),
        (own.CosineSimilarity(axis=0), labels, outputs),
        (own.MeanSquaredError(), labels, outputs[:, 0]),
        (own.get("mse"), labels, outputs[:, 0]),
        (own.Hinge(), labels, outputs),
    ]
    for loss, these, given in cases:
        model = make_model(loss=loss, generation=generation)
        found = losses.PerRecordLoss(model, 3)(these, given)
        one_by_one = [
            float(tf.reduce_mean(loss(these[index : index + 1], given[index : index + 1]))) for index in range(3)
        ]
        np.testing.assert_allclose(found, one_by_one, rtol=1e-5)


# What the author declares.


def declared_layer() -> Any:
    import tf_keras

    @tfx_privacy.record_wise
    class Gate(tf_keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            import tensorflow as tf

            return inputs * tf.sigmoid(inputs)

    return Gate


def test_a_declared_layer_gets_whole_batches_and_the_outcome_says_so() -> None:
    from tfx_privacy import training
    from tfx_privacy.training import probe

    gate = declared_layer()
    model = make_model(lambda layers, f: layers.Dense(1, "sigmoid")(gate()(layers.Dense(5)(f))))
    found = probe.examine(model, make_data(), resolved(40))
    assert (found.record_by_record, found.notes) == (False, ())
    (name,) = found.declared_record_wise
    assert name.endswith("Gate")
    outcome = training.train(model, make_data(), resolved(40), noise_multiplier=1.0)
    assert outcome.declared_record_wise == (name,)


def test_declared_activations_functions_and_losses_are_named() -> None:
    from tfx_privacy.training import probe

    @tfx_privacy.record_wise
    def bend(x: Any) -> Any:
        return x * x

    @tfx_privacy.record_wise
    def error(labels: Any, outputs: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_mean(tf.square(tf.cast(labels, tf.float32) - outputs), axis=-1)

    model = make_model(
        lambda layers, f: layers.Dense(1)(layers.Lambda(bend)(layers.Dense(3, activation=bend)(f))), loss=error
    )
    found = probe.examine(model, make_data(), resolved(40))
    assert found.notes == ()
    assert [name.rpartition(".")[2] for name in found.declared_record_wise] == ["bend", "error"]


def test_a_declared_layer_that_mixes_where_made_up_records_show_it_is_refused() -> None:
    from tfx_privacy import training

    declared = tfx_privacy.record_wise(lambda x: by_norm(x))
    with pytest.raises(ModelError, match="depends on the other records"):
        training.check_model(make_model(in_lambda(declared), loss="mse"), make_data())


def test_nothing_is_declared_by_a_run_that_relied_on_no_word() -> None:
    from tfx_privacy.training import probe

    gate = declared_layer()
    subclass = type("Mine", (gate,), {"call": lambda self, inputs: by_norm(inputs)})
    model = make_model(lambda layers, f: layers.Dense(1)(subclass()(f)), loss="mse")
    found = probe.examine(model, make_data(), resolved(40))
    assert found.declared_record_wise == ()
    assert "Mine" in found.notes[0]
    assert furthest(sums_of(model)) <= 1.0 + 1e-4
