"""Models whose guarantee would not be true are refused, with the layer's name and a way out."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import BODIES, GENERATIONS, WIDTH, make_data, make_model, perceptron, resolved

from tfx_privacy.errors import DataError, ModelError

pytestmark = pytest.mark.engine


def centred(layers: Any, features: Any) -> Any:
    """Mixes the records of a batch, by itself or in a layer of the user's own."""
    import tensorflow as tf

    mixed = layers.Lambda(lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True), output_shape=(WIDTH,))(features)
    return layers.Dense(1)(mixed)


def centred_in_training(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Centre(layers.Layer):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return inputs - tf.reduce_mean(inputs, axis=0, keepdims=True) if training else inputs

    return layers.Dense(1)(Centre()(features))


def never_finite(layers: Any, features: Any) -> Any:
    """Mixes records, but the made-up ones are all NaN on the way: NaN equals NaN, alone and in a batch."""
    import tensorflow as tf

    root = layers.Lambda(lambda x: tf.sqrt(x - 10.0), output_shape=(WIDTH,))(features)
    return centred(layers, root)


def counting(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Count(layers.Layer):
        def build(self, shape: Any) -> None:
            self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)

        def call(self, inputs: Any) -> Any:
            self.seen.assign(self.seen + tf.reduce_sum(tf.abs(inputs)))
            return inputs

    return layers.Dense(1)(Count()(features))


def adapted(kind: str, **arguments: Any) -> Callable[[Any, Any], Any]:
    def body(layers: Any, features: Any) -> Any:
        layer = getattr(layers, kind)(name="shown", **arguments)
        layer.adapt(np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32))
        return layers.Dense(1)(layer(features))

    return body


def adding_loss(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Adds(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(tf.reduce_mean(inputs))
            return inputs

    return layers.Dense(1)(Adds()(features))


BAD: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "batch normalisation": (
        lambda layers, f: layers.Dense(1)(layers.BatchNormalization(name="bn")(f)), "'bn'.*LayerNormalization",
    ),
    "subclass of it": (
        lambda layers, f: layers.Dense(1)(type("Mine", (layers.BatchNormalization,), {})(name="bn")(f)), "'bn' .Mine.",
    ),
    "batch normalisation inside a model": (
        lambda layers, f: _inner(layers)(f), "'inner_bn'.*LayerNormalization",
    ),
    "spectral normalisation": (
        lambda layers, f: layers.Dense(1)(layers.SpectralNormalization(layers.Dense(3), name="sn")(f)), "'sn'",
    ),
    "stateful": (
        lambda layers, f: layers.Dense(1)(layers.LSTM(2, name="lstm", stateful=True)(layers.Reshape((3, 2))(f))),
        "'lstm'.*stateful=False",
    ),
    "adapted normalisation": (adapted("Normalization"), "'shown'.*adapt"),
    "adapted buckets": (adapted("Discretization", num_bins=3), "'shown'.*adapt"),
    "mixes records": (centred, "depends on the other records"),
    "mixes records in training": (centred_in_training, "depends on the other records.*training=True"),
    "mixes records where nothing shows it": (never_finite, "not finite, so nothing shows whether it mixes"),
    "keeps statistics": (counting, "'.*count.*/.*' .AssignVariableOp. writes to a variable: remove what keeps statistics"),
    "activity regularizer": (lambda layers, f: layers.Dense(1, activity_regularizer="l2")(f), "adds a loss"),
    "adds a loss": (adding_loss, "adds a loss"),
    "no weights": (lambda layers, f: layers.Reshape((WIDTH,))(f), "no trainable weights"),
    "half precision": (lambda layers, f: layers.Dense(1, dtype="mixed_float16", name="half")(f), "'half'.*float16"),
    "several outputs": (lambda layers, f: [layers.Dense(1)(f), layers.Dense(2)(f)], "every output with a loss needs labels"),
}  # fmt: skip


def _inner(layers: Any) -> Any:
    keras = importlib.import_module(layers.__name__.split(".")[0])
    return keras.Sequential([layers.BatchNormalization(name="inner_bn"), layers.Dense(1)])


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD.keys())
def test_models_whose_guarantee_would_not_be_true(
    body: Callable[[Any, Any], Any], message: str, generation: str
) -> None:
    from tfx_privacy import training

    if "stateful" in message:
        pytest.importorskip("tensorflow")
    try:
        model = make_model(body, generation=generation)
    except (ValueError, TypeError) as error:
        # Keras 3 builds a stateful layer for a fixed batch only.
        assert "stateful" in message, error  # noqa: PT017
        return
    with pytest.raises(ModelError, match=message):
        training.check_model(model, make_data())


def test_layers_that_mix_images() -> None:
    from tfx_privacy import training

    layers = importlib.import_module("keras").layers
    for kind in ("MixUp", "CutMix"):
        body = lambda layers, f, kind=kind: layers.Dense(1)(
            layers.Flatten()(getattr(layers, kind)(name="mixes")(layers.Reshape((3, 2, 1))(f)))
        )
        if hasattr(layers, kind):
            with pytest.raises(ModelError, match=f"'mixes' .{kind}. mixes the records"):
                training.check_model(make_model(body, generation="keras"), make_data())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_optimizers(generation: str) -> None:
    from tfx_privacy import training

    optimizers = importlib.import_module(generation).optimizers
    for name in ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop"):
        training.check_model(make_model(optimizer=getattr(optimizers, name)(), generation=generation), make_data())
    with pytest.raises(ModelError, match=r"optimizer is .*Ftrl; allowed are"):
        training.check_model(make_model(optimizer="ftrl", generation=generation), make_data())
    with pytest.raises(ModelError, match=r"optimizer is .*Nadam; allowed are .*Compile with Adam\."):
        training.check_model(make_model(optimizer="nadam", generation=generation), make_data())
    scaled = (
        getattr(optimizers, "LossScaleOptimizer", None)
        or importlib.import_module(generation).mixed_precision.LossScaleOptimizer
    )
    with pytest.raises(ModelError, match=r"LossScale.*compute in float32, and compile with AdamW itself\."):
        training.check_model(make_model(optimizer=scaled(optimizers.AdamW()), generation=generation), make_data())
    mine = type("Adam", (optimizers.Adam,), {"__module__": "mine"})()
    with pytest.raises(ModelError, match=r"optimizer is mine.Adam"):
        training.check_model(make_model(optimizer=mine, generation=generation), make_data())
    if generation == "tf_keras":
        with pytest.raises(
            ModelError, match=r"optimizer is .*legacy.*Compile with tf.keras.optimizers.SGD, without legacy"
        ):
            training.check_model(make_model(optimizer=optimizers.legacy.SGD()), make_data())


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_half_precision_has_one_remedy_for_all_layers_and_ends_with_the_run(policy: str, generation: str) -> None:
    from tfx_privacy import training
    from tfx_privacy.training import precision

    keras = importlib.import_module(generation)

    def module(data: Any) -> None:
        keras.mixed_precision.set_global_policy(policy)
        keras.backend.set_floatx("float64")
        training.check_model(make_model(generation=generation), data)

    before = keras.mixed_precision.global_policy().name, keras.backend.floatx()
    message = (
        f"'dense.*', 'dense.*' compute in {policy.removeprefix('mixed_')}: use float32.* Leave out the mixed-precision"
    )
    with pytest.raises(ModelError, match=message), precision.restored():
        module(make_data())
    assert (keras.mixed_precision.global_policy().name, keras.backend.floatx()) == before == ("float32", "float32")


@pytest.mark.parametrize("method", ["train_step", "compute_loss"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_methods_that_fit_would_call(generation: str, method: str) -> None:
    from tfx_privacy import training

    keras = importlib.import_module(generation)
    custom = type("Custom", (keras.Model,), {method: lambda self, *args, **kwargs: {}})
    features = keras.Input((WIDTH,), name="features")
    model = custom({"features": features}, perceptron(keras.layers, features))
    model.compile("sgd", "mse")
    with pytest.raises(ModelError, match=f"its own {method}"):
        training.check_model(model, make_data())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_models_that_are_not_ready(generation: str) -> None:
    from tfx_privacy import training

    keras = importlib.import_module(generation)
    with pytest.raises(ModelError, match="returned a NoneType"):
        training.check_model(None, make_data())
    features = keras.Input((WIDTH,), name="features")
    uncompiled = keras.Model({"features": features}, keras.layers.Dense(1)(features))
    with pytest.raises(ModelError, match="not compiled"):
        training.check_model(uncompiled, make_data())


def constants(kind: str, **arguments: Any) -> Callable[[Any, Any], Any]:
    return lambda layers, f: layers.Dense(1)(getattr(layers, kind)(**arguments)(f))


def _logarithm(layers: Any, features: Any) -> Any:
    """Not finite for half of the made-up numbers, and fine for positive ones."""
    import tensorflow as tf

    return layers.Lambda(lambda x: tf.math.log(x), output_shape=(WIDTH,))(features)


GOOD: dict[str, Callable[[Any, Any], Any]] = {
    **BODIES,
    "dropout": lambda layers, f: layers.Dense(1)(layers.Dropout(0.5)(layers.Dense(5)(f))),
    "gaussian noise": constants("GaussianNoise", stddev=0.5),
    "weight regularizer": lambda layers, f: layers.Dense(1, kernel_regularizer="l2")(f),
    "constant normalisation": constants("Normalization", mean=0.0, variance=1.0),
    "constant buckets": lambda layers, f: layers.Dense(1)(
        layers.Flatten()(layers.Embedding(4, 2)(layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])(f)))
    ),
    "unit normalisation": constants("UnitNormalization"),
    "logarithm": lambda layers, f: layers.Dense(1)(_logarithm(layers, f)),
}


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_models_that_are_fine(generation: str) -> None:
    """Every one of them is also found to have per-record gradients that add up, by cheap forms."""
    from tfx_privacy import training
    from tfx_privacy.training import probe

    for name, body in GOOD.items():
        model, data = make_model(body, loss="mse", generation=generation), make_data()
        training.check_model(model, data)
        assert not probe.examine(model, data, resolved(40)).record_by_record, name


def test_no_private_record_is_looked_at() -> None:
    """Checks run on made-up records: with hostile data in its place, nothing changes."""
    from tfx_privacy import training
    from tfx_privacy.training import probe

    data = make_data()
    data.features["features"][:] = np.nan
    model = make_model()
    training.check_model(model, data)
    assert probe.examine(model, data, resolved(40)) == probe.examine(model, make_data(), resolved(40))


def test_a_layer_that_hides_a_use_of_a_weight_is_found() -> None:
    """On whole batches its second use would be missing from the gradient: the probe compares, and goes the slow way."""
    import tensorflow as tf

    import tfx_privacy
    from tfx_privacy.training import probe

    class Tied(tf.keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(WIDTH)

        def call(self, inputs: Any) -> Any:
            return tf.matmul(self.dense(inputs), self.dense.kernel)

    def examined() -> Any:
        model = make_model(lambda layers, f: layers.Dense(1, "sigmoid")(Tied()(f)))
        return probe.examine(model, make_data(), resolved(40))

    # A layer that is not known gets one record at a time with all its weights, so nothing is missing.
    assert not examined().record_by_record
    tfx_privacy.record_wise(Tied)
    found = examined()
    assert found.record_by_record
    assert "could not be shown to add up" in found.notes[0]
    assert found.declared_record_wise == ()


def test_a_gradient_that_is_not_finite_shows_nothing() -> None:
    """The outputs are finite, the gradient of a root at zero is not: the way that is right whatever happens is taken.

    Where it is finite for no record at all, nothing but noise would be learned.
    """
    import tensorflow as tf

    from tfx_privacy.training import probe

    def body(layers: Any, features: Any) -> Any:
        return layers.Dense(1, "sigmoid")(tf.sqrt(tf.nn.relu(layers.Dense(3)(features))))

    def never(layers: Any, features: Any) -> Any:
        zero = tf.nn.relu(-tf.abs(layers.Dense(3)(features)) - 1.0)
        return layers.Dense(1, "sigmoid")(tf.sqrt(zero))

    assert probe.examine(make_model(body), make_data(), resolved(40)).record_by_record
    with pytest.raises(ModelError, match="trained by noise alone"):
        probe.examine(make_model(never), make_data(), resolved(40))


def test_a_wide_model_gets_small_chunks() -> None:
    """What a chunk's units need at once stays within a quarter of a gigabyte, whatever the batch."""
    from tfx_privacy import training
    from tfx_privacy.training import probe

    data = make_data(4000)
    run = resolved(4000, expected_batch_size=3000)
    assert probe.examine(make_model(), data, run).layout == training.Layout(964, 3, 55)
    wide = make_model(lambda layers, f: layers.Dense(1, "sigmoid")(layers.LSTM(500)(layers.Reshape((3, 2))(f))))
    found = probe.examine(wide, data, run)
    assert 1 <= found.layout.large * wide.count_params() * 4 <= 256 << 20
    assert found.layout.large * found.layout.num_large >= 2890


def test_a_missing_input_is_named() -> None:
    from tfx_privacy import training

    data = training.ColumnarDataset({"other": np.zeros((40, 2), np.float32)}, np.zeros(40))
    for generation in GENERATIONS:
        with pytest.raises(ModelError, match="input 'features', but the features are: other"):
            training.train(make_model(generation=generation), data, resolved(40), noise_multiplier=1.0)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), "differ in their number"),
        (np.zeros((0, 2)), np.zeros(0), "no record"),
        (np.zeros((2, 2)), np.array([b"a", b"b"], dtype=object), "expected numbers"),
    ],
)
def test_data_that_cannot_be_used(features: np.ndarray, labels: np.ndarray, message: str) -> None:
    from tfx_privacy import training

    with pytest.raises(DataError, match=message):
        training.ColumnarDataset({"features": features}, labels)


def test_users_need_ids() -> None:
    with pytest.raises(DataError, match="Unknown user_id_key='id'. The features are: features"):
        make_data().with_users("id")
    with pytest.raises(DataError, match="needs the records' user ids"):
        make_data().num_units("user")
    with pytest.raises(DataError, match="for 40 records; expected one id"):
        make_data(user_ids=np.zeros(3))
    assert make_data(user_ids=np.arange(40) // 4).num_units("user") == 10
