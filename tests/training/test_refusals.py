"""What is refused before a record is seen, and errors about records that quote none."""

import math
import os
import pathlib
from typing import Any

import numpy as np
import pytest
from small_models import WIDTH, make_data, make_model, resolved

from tfx_privacy.errors import CheckpointError, DataError, ModelError, ParameterError

pytestmark = pytest.mark.engine


def train(model: Any = None, data: Any = None, noise: Any = 1.0, run: Any = None, **options: Any) -> Any:
    from tfx_privacy import training

    return training.train(
        model or make_model(), data or make_data(), run or resolved(40), noise_multiplier=noise, **options
    )


@pytest.mark.parametrize(
    "noise", [0, 0.0, -1.0, float("nan"), float("inf"), 1e-9, 1e9, True, "1", np.array([1.0])], ids=repr
)
def test_noise_that_cannot_be_accounted(noise: Any) -> None:
    with pytest.raises(ParameterError, match=r"Expected noise_multiplier="):
        train(noise=noise)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"progress_every": 0}, "progress_every=0"),
        ({"progress_every": -1}, "progress_every=-1"),
        ({"strategy": "mirrored"}, "strategy='mirrored' to be a tf.distribute.Strategy"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"Expected {message}"):
        train(**options)


def test_sizes_that_mean_nothing() -> None:
    from tfx_privacy import training

    with pytest.raises(ParameterError, match="steps_per_call=0"):
        training.Performance(steps_per_call=0)
    with pytest.raises(ParameterError, match="num_large=0"):
        training.Performance(layout=training.Layout(4, 0, 4))


def test_noise_that_protects_nothing_is_not_resumed_as_noise_that_does(tmp_path: pathlib.Path) -> None:
    from tfx_privacy import training

    class StoppedError(Exception):
        pass

    def stop(progress: Any) -> None:
        raise StoppedError

    run = resolved(40, steps=10)
    with training.Checkpoints(tmp_path, every=2) as checkpoints, pytest.raises(StoppedError):
        train(run=run, checkpoints=checkpoints, on_progress=stop, progress_every=4, deterministic_noise_for_tests=7)
    with training.Checkpoints(tmp_path) as checkpoints, pytest.raises(CheckpointError, match="its noise"):
        train(run=run, checkpoints=checkpoints)


SECRET = 86_243


def _labels() -> tuple[Any, Any]:
    """A label that a loss of the user's own has no class for."""
    import tensorflow as tf

    def loss(labels: Any, outputs: Any) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(labels, [-1]), outputs)

    data = make_data()
    data.labels[:] = SECRET
    return make_model(lambda layers, f: layers.Dense(3)(f), loss=loss), data


def _ids() -> tuple[Any, Any]:
    """An id that a table of the user's own has no row for."""
    import tensorflow as tf

    from tfx_privacy import training

    class Table(tf.keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(name="table", shape=(3, 2))

        def call(self, ids: Any) -> Any:
            return tf.gather(self.table, ids)

    features = tf.keras.Input((WIDTH,), name="features", dtype="int64")
    output = tf.keras.layers.Dense(1)(tf.keras.layers.Flatten()(Table()(features)))
    model = tf.keras.Model({"features": features}, output)
    model.compile("sgd", "mse")
    return model, training.ColumnarDataset({"features": np.full((40, WIDTH), SECRET)}, np.zeros((40, 1), np.float32))


def _assertion() -> tuple[Any, Any]:
    """An assertion of the user's own, whose message holds what it compares."""
    import tensorflow as tf

    def function(inputs: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(inputs, 10.0, message="too large")]):
            return tf.identity(inputs)

    data = make_data()
    data.features["features"][:] = SECRET
    return make_model(lambda layers, f: layers.Dense(1)(layers.Lambda(function, output_shape=(WIDTH,))(f))), data


@pytest.mark.parametrize("make", [_labels, _ids, _assertion])
@pytest.mark.parametrize("enabled", [True, False])
def test_errors_about_records_quote_none(make: Any, enabled: bool, capfd: Any) -> None:
    model, data = make()
    run = resolved(40) if enabled else resolved(40, enabled=False, noise_multiplier=None)
    with pytest.raises(DataError, match=r"A training step failed with TensorFlow's InvalidArgumentError") as caught:
        train(model, data, run=run, noise=1.0 if enabled else None)
    assert str(SECRET) not in str(caught.value) + capfd.readouterr().err
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("prefix", ["2026-01-31 12:00:00.000000: W tensorflow/core/", "W0000 00:00:1769.1  17 "])
def test_a_log_loses_what_failed_computations_say(prefix: str) -> None:
    from tfx_privacy.training import without_values

    start = prefix.encode()
    log = (
        b"by a user\n"
        + start
        + b"a.cc:1] OP_REQUIRES failed at x.cc:1 : INVALID_ARGUMENT: Label values: 86243\n of 7\n"
    )
    log += start + b"b.cc:1] Compiled cluster\n and more\n"
    assert without_values._without_failures(log) == b"by a user\n" + start + b"b.cc:1] Compiled cluster\n and more\n"


def test_tensorflows_own_log_of_a_failed_computation_is_kept_back(capfd: Any) -> None:
    import tensorflow as tf

    from tfx_privacy.training import without_values

    def fail() -> None:
        os.write(2, b"by somebody else\n")
        tf.nn.sparse_softmax_cross_entropy_with_logits(tf.constant([86_243]), tf.zeros((1, 3)))

    with pytest.raises(DataError, match="InvalidArgumentError"):
        without_values.call(fail, "A step")
    log = capfd.readouterr().err
    assert "86243" not in log
    assert "by somebody else" in log


def test_the_operation_is_named_where_tensorflow_names_it() -> None:
    model, data = _labels()
    with pytest.raises(DataError, match=r"in operation '[\w/.]*SparseSoftmaxCrossEntropyWithLogits'"):
        train(model, data)


def of_texts(decode: Any, width: int = 4) -> Any:
    """A model of one column of texts, each of which becomes numbers."""
    import tensorflow as tf

    text = tf.keras.Input((), name="text", dtype="string")
    numbers = tf.keras.layers.Lambda(
        lambda texts: tf.map_fn(decode, texts, fn_output_signature=tf.TensorSpec((width,))), output_shape=(width,)
    )(text)
    model = tf.keras.Model({"text": text}, tf.keras.layers.Dense(1)(numbers))
    model.compile("sgd", "mse")
    return model


def texts(*values: bytes) -> Any:
    from tfx_privacy import training

    return training.ColumnarDataset({"text": np.array(values, object)}, np.zeros((len(values), 1), np.float32))


def test_a_model_that_takes_no_made_up_records_is_told_so() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    def decode(text: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(text, b"a password"), ["no entry"])]):
            return tf.zeros(4)

    with pytest.raises(ModelError, match="cannot be called with made-up records.*InvalidArgumentError"):
        training.check_model(of_texts(decode), texts(b"a password"))


@pytest.mark.parametrize("size", [(8, 8, 3), (5, 7, 1)])
@pytest.mark.parametrize("by_shape", [True, False])
def test_pictures_are_decoded_inside_the_model(size: tuple[int, int, int], by_shape: bool) -> None:
    """Padding is a picture as well, or the step would fail for its sake."""
    import tensorflow as tf

    def decode(text: Any) -> Any:
        pixels = tf.cast(tf.io.decode_jpeg(text, channels=size[2]), tf.float32) / 255.0
        return tf.reshape(tf.ensure_shape(pixels, size) if by_shape else pixels, (math.prod(size),))

    pictures = [tf.io.encode_png(np.full(size, value, np.uint8)).numpy() for value in range(40)]
    run = resolved(40, steps=2)
    assert train(of_texts(decode, math.prod(size)), texts(*pictures), run=run).mechanism.steps == 2


def test_raw_numbers_are_decoded_inside_the_model() -> None:
    """Padding keeps the NULs at its end."""
    import tensorflow as tf

    text = tf.keras.Input((), name="text", dtype="string")
    decode = tf.keras.layers.Lambda(lambda texts: tf.io.decode_raw(texts, tf.float32), output_shape=(None,))
    model = tf.keras.Model({"text": text}, tf.keras.layers.Dense(1)(tf.keras.layers.Reshape((4,))(decode(text))))
    model.compile("sgd", "mse")
    numbers = [np.full(4, value, np.float32).tobytes() for value in range(40)]
    assert train(model, texts(*numbers), run=resolved(40, steps=2)).mechanism.steps == 2


def test_a_model_may_look_up_numbers_from_one_on() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    features = tf.keras.Input((1,), name="features", dtype="int64")
    ids = tf.keras.layers.Lambda(lambda ids: ids - 1)(features)
    model = tf.keras.Model({"features": features}, tf.keras.layers.Flatten()(tf.keras.layers.Embedding(3, 1)(ids)))
    model.compile("sgd", "mse")
    data = training.ColumnarDataset({"features": 1 + np.arange(40)[:, np.newaxis] % 3}, np.zeros((40, 1), np.float32))
    assert train(model, data).mechanism.steps == 5


def test_bfloat16_is_read_as_the_same_numbers() -> None:
    import tensorflow as tf

    from tfx_privacy import training
    from tfx_privacy.training import variable_length

    values = tf.constant([[1.5, -2.0]], tf.bfloat16)
    data = training.ColumnarDataset({"features": values.numpy()}, values.numpy())
    columns: list[Any] = [data.columns["features"], data.labels, variable_length.of_value(values)]
    for column in columns:
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, [[1.5, -2.0]])
    ragged: Any = variable_length.of_value(tf.RaggedTensor.from_row_lengths(values[0], [2, 0]))
    assert ragged.values.dtype == np.float32


def test_one_of_two_outputs_has_a_loss() -> None:
    """Labels without a name are of it, as in Keras' own fit."""
    import tensorflow as tf

    features = tf.keras.Input((WIDTH,), name="features")
    outputs = {name: tf.keras.layers.Dense(1, "sigmoid", name=name)(features) for name in ("score", "other")}
    model = tf.keras.Model({"features": features}, outputs)
    model.compile("sgd", {"score": "binary_crossentropy"})
    before = [layer.get_weights()[0].copy() for layer in map(model.get_layer, ("score", "other"))]
    assert train(model).mechanism.steps == 5
    after = [layer.get_weights()[0] for layer in map(model.get_layer, ("score", "other"))]
    assert not np.array_equal(before[0], after[0])


def test_inputs_are_called_as_the_dict_of_them_says() -> None:
    """As in Keras' own fit: an Input layer's name may not be what a feature is called."""
    import tensorflow as tf

    features = tf.keras.Input((WIDTH,), name="another_name")
    model = tf.keras.Model({"features": features}, tf.keras.layers.Dense(1, "sigmoid")(features))
    model.compile("sgd", "binary_crossentropy")
    assert train(model).mechanism.steps == 5


def test_a_model_is_refused_before_there_are_records() -> None:
    from tfx_privacy import training

    made_up = training.ColumnarDataset({"features": np.zeros((1, WIDTH), np.float32)}, np.zeros(1, np.int64))
    training.check_model_beforehand(make_model(), made_up, resolved(40))
    training.check_model_beforehand(make_model(), None, resolved(40))
    for body, message in (
        (lambda layers, f: layers.Dense(1)(layers.BatchNormalization()(f)), "mixes the records"),
        (lambda layers, f: layers.Dense(1, trainable=False)(f), "no trainable weights"),
        (lambda layers, f: [layers.Dense(1)(f), layers.Dense(1)(f)], "needs labels"),
    ):
        with pytest.raises(ModelError, match=message):
            training.check_model_beforehand(make_model(body), made_up, resolved(40))
    with pytest.raises(ModelError, match="optimizer is"):
        training.check_model_beforehand(make_model(optimizer="nadam"), None, resolved(40))


def test_one_output_with_a_name_takes_labels_without() -> None:
    """As Keras' own fit does."""
    import tensorflow as tf

    class Named(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.keras.layers.Dense(1, "sigmoid")

        def call(self, inputs: Any, training: Any = None) -> Any:
            return {"score": self.dense(inputs["features"])}

    model = Named()
    model.compile("sgd", {"score": "binary_crossentropy"})
    assert train(model).mechanism.steps == 5
