"""Nothing that a model or loss sees may be kept beside the noisy weights, under whatever name and condition."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, WIDTH, make_data, make_model, resolved

from tfx_privacy.errors import ModelError

pytestmark = pytest.mark.engine


def variable(**arguments: Any) -> Any:
    import tensorflow as tf

    return tf.Variable(1.0, trainable=False, **arguments)


def applied(make: Callable[[], Callable[[Any], Any]]) -> Callable[[Any, Any], Any]:
    """In a layer of the user's own."""

    def body(layers: Any, features: Any) -> Any:
        function = make()

        class Mine(layers.Layer):
            def call(self, inputs: Any) -> Any:
                return function(inputs)

            def compute_output_shape(self, shape: Any) -> Any:
                return shape

        return layers.Dense(1)(Mine()(features))

    return body


def running_mean() -> Callable[[Any], Any]:
    import tensorflow as tf

    mean = tf.Variable(tf.zeros(WIDTH), trainable=False)

    def function(inputs: Any) -> Any:
        mean.assign(0.9 * mean + 0.1 * tf.reduce_mean(inputs, axis=0))
        return inputs - mean

    return function


def under_a_condition() -> Callable[[Any], Any]:
    """Beyond what any made-up record meets."""
    import tensorflow as tf

    seen = variable()

    def function(inputs: Any) -> Any:
        most = tf.reduce_max(inputs)
        tf.cond(most > 1e30, lambda: seen.assign(most), lambda: tf.identity(seen))
        return inputs

    return function


def in_a_loop_of_a_function() -> Callable[[Any], Any]:
    import tensorflow as tf

    seen = variable()

    @tf.function(autograph=False)
    def inner(inputs: Any) -> Any:
        tf.while_loop(lambda i: i < 2, lambda i: i + tf.cast(seen.assign_add(inputs[0, 0]) * 0.0, tf.int32) + 1, [0])
        return inputs

    return inner


def slice_of_a_variable() -> Callable[[Any], Any]:
    import tensorflow as tf

    seen = tf.Variable(tf.zeros(3), trainable=False)

    def function(inputs: Any) -> Any:
        seen[:1].assign(inputs[0, :1])
        return inputs

    return function


def hash_table() -> Callable[[Any], Any]:
    import tensorflow as tf

    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 1.0)

    def function(inputs: Any) -> Any:
        with tf.control_dependencies([table.insert(tf.constant([0], tf.int64), inputs[0, :1])]):
            return tf.identity(inputs)

    return function


def printing() -> Callable[[Any], Any]:
    import tensorflow as tf

    def function(inputs: Any) -> Any:
        with tf.control_dependencies([tf.print(inputs)]):
            return tf.identity(inputs)

    return function


def python() -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda inputs: tf.ensure_shape(tf.numpy_function(lambda x: x, [inputs], tf.float32), inputs.shape)


def summaries() -> Callable[[Any], Any]:
    import tempfile

    import tensorflow as tf

    writer = tf.summary.create_file_writer(tempfile.mkdtemp())

    def function(inputs: Any) -> Any:
        with writer.as_default():
            tf.summary.scalar("mean", tf.reduce_mean(inputs), step=0)
        return inputs

    return function


def steered_generator() -> Callable[[Any], Any]:
    """Draws as many random numbers as a record says, so the generator's state tells."""
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(1)

    def function(inputs: Any) -> Any:
        generator.skip(tf.cast(inputs[0, 0] > 0.5, tf.int64))
        return inputs

    return function


def generator_under_a_condition() -> Callable[[Any], Any]:
    import tensorflow as tf

    generator = tf.random.Generator.from_seed(1)

    def function(inputs: Any) -> Any:
        drawn = tf.cond(inputs[0, 0] > 0.5, lambda: generator.normal(()), lambda: 0.0)
        return inputs + 0.0 * drawn

    return function


def learning_sampler() -> Callable[[Any], Any]:
    import tensorflow as tf

    def function(inputs: Any) -> Any:
        ids = tf.cast(tf.abs(inputs[:, :1]), tf.int64)
        tf.random.learned_unigram_candidate_sampler(ids, 1, 2, True, 100)
        return inputs

    return function


def joining() -> Callable[[Any], Any]:
    """Waits for other calls, those of other records as well, and takes all at once."""
    import tensorflow as tf

    def function(inputs: Any) -> Any:
        @tf.nondifferentiable_batch_function(1, 64, 1_000)
        def together(records: Any) -> Any:
            return records - tf.reduce_mean(records, axis=0, keepdims=True)

        return inputs + tf.stop_gradient(tf.ensure_shape(together(inputs), inputs.shape))

    return function


KEEPS: dict[str, tuple[Callable[[], Callable[[Any], Any]], str]] = {
    "running mean": (running_mean, "writes to a variable"),
    "condition": (under_a_condition, "writes to a variable"),
    "loop in a function": (in_a_loop_of_a_function, "writes to a variable"),
    "slice": (slice_of_a_variable, "writes to a variable"),
    "hash table": (hash_table, "changes a lookup table"),
    "print": (printing, "prints values of records"),
    "python": (python, "runs Python code in the graph"),
    "summary": (summaries, "writes summaries of records"),
    "steered generator": (steered_generator, "draws random numbers as often as the records say"),
    "generator under a condition": (generator_under_a_condition, "draws random numbers as often as the records say"),
    "joins what runs at once": (joining, "BatchFunction.*may keep or hand on"),
    "sampler that learns": (learning_sampler, "LearnedUnigramCandidateSampler.*may keep or hand on"),
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("make", "message"), KEEPS.values(), ids=KEEPS.keys())
def test_layers_that_keep_what_they_see(
    make: Callable[[], Callable[[Any], Any]], message: str, generation: str
) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match=message):
        training.check_model(make_model(applied(make), loss="mse", generation=generation), make_data())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_losses_activations_and_regularizers_that_keep_what_they_see(generation: str) -> None:
    import tensorflow as tf

    from tfx_privacy import training

    seen = variable()

    def loss(labels: Any, outputs: Any) -> Any:
        error = tf.square(tf.cast(labels, tf.float32) - outputs)
        seen.assign(0.9999 * seen + 0.0001 * tf.reduce_mean(error))
        return tf.reduce_mean(error, axis=-1) / seen

    def activation(inputs: Any) -> Any:
        seen.assign(tf.maximum(seen, tf.reduce_max(inputs)))
        return inputs

    base: Any = importlib.import_module(generation).regularizers.Regularizer

    class Regularizer(base):
        def __call__(self, weights: Any) -> Any:
            seen.assign_add(1.0)
            return tf.reduce_sum(tf.square(weights))

    models = [
        make_model(loss=loss, generation=generation),
        make_model(lambda layers, f: layers.Dense(1)(layers.Dense(3, activation=activation)(f)), generation=generation),
        make_model(lambda layers, f: layers.Dense(1, kernel_regularizer=Regularizer())(f), generation=generation),
    ]
    for model in models:
        with pytest.raises(ModelError, match="writes to a variable"):
            training.check_model(model, make_data())


def test_a_variable_that_calls_itself_a_seed_generator() -> None:
    """Names and types prove nothing; and a true generator may be advanced, but not by what a record says."""
    import keras
    import tensorflow as tf

    from tfx_privacy import training

    def writing(make: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def body(layers: Any, features: Any) -> Any:
            class Mine(layers.Layer):
                def build(self, shape: Any) -> None:
                    self.kept = make(self)

                def call(self, inputs: Any) -> Any:
                    self.kept.assign(self.kept + tf.cast(inputs[0, :2] * 1e6, tf.uint32))
                    return inputs

            return layers.Dense(1)(Mine()(features))

        return body

    def mine(layer: Any) -> Any:
        return layer.add_weight(
            name="seed_generator_state", shape=(2,), dtype="uint32", initializer="zeros", trainable=False
        )

    def true(layer: Any) -> Any:
        layer.seed_generator = keras.random.SeedGenerator(1)
        return layer.seed_generator.state

    for make in (mine, true):
        with pytest.raises(ModelError, match="writes to a variable"):
            training.check_model(make_model(writing(make), loss="mse", generation="keras"), make_data())


def test_what_runs_is_looked_at_as_well() -> None:
    """A layer that behaves itself as long as it sees few records is refused before a step has run."""
    import tensorflow as tf

    from tfx_privacy import training

    seen = tf.Variable(tf.zeros(WIDTH), trainable=False)
    activation: Any = tf.keras.activations.relu

    def sly(inputs: Any) -> Any:
        if inputs.shape[0] is not None and inputs.shape[0] > 8:
            seen.assign(inputs[0])
        return activation(inputs)

    import tfx_privacy

    tfx_privacy.record_wise(sly)
    model = make_model(lambda layers, f: layers.Dense(1)(layers.Lambda(sly, output_shape=(WIDTH,))(f)), loss="mse")
    data = make_data()
    training.check_model(model, data)
    with pytest.raises(ModelError, match="writes to a variable"):
        training.train(model, data, resolved(40), noise_multiplier=1.0)
    assert not np.array(seen).any()


def _random_crop(layers: Any, features: Any) -> Any:
    image = layers.Reshape((3, 2, 1))(features)
    return layers.Dense(1)(
        layers.Flatten()(layers.RandomFlip(seed=1)(layers.RandomTranslation(0.1, 0.1, seed=2)(image)))
    )


def _words(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    texts = layers.Lambda(lambda x: tf.strings.as_string(tf.cast(x, tf.int32)), output_shape=(WIDTH,), autocast=False)
    ids = layers.StringLookup(vocabulary=["0", "1", "-1"])(texts(features))
    return layers.Dense(1)(layers.Flatten()(layers.Embedding(5, 2)(ids)))


def _texts(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    first = layers.Lambda(
        lambda x: tf.strings.as_string(tf.cast(x[:, :1], tf.int32)), output_shape=(1,), autocast=False
    )
    ids = layers.TextVectorization(vocabulary=["0", "1"], output_sequence_length=3)(first(features))
    return layers.Dense(1)(layers.Flatten()(layers.Embedding(5, 2)(ids)))


def _noise_of_ones_own(layers: Any, features: Any) -> Any:
    keras = importlib.import_module(layers.__name__.split(".")[0])

    class Noise(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator(3) if hasattr(keras, "random") else None

        def call(self, inputs: Any, training: Any = None) -> Any:
            import tensorflow as tf

            if not training:
                return inputs
            if self.seeds is None:
                return inputs + tf.random.normal((WIDTH,))
            return inputs + keras.random.normal((WIDTH,), seed=self.seeds) + keras.random.normal((WIDTH,))

    return layers.Dense(1)(Noise()(features))


def _asserting(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    def function(inputs: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(inputs, 1e20)]):
            return tf.identity(inputs)

    return layers.Dense(1)(layers.Lambda(function, output_shape=(WIDTH,))(features))


def _generator_of_ones_own(layers: Any, features: Any) -> Any:
    import tensorflow as tf

    class Noise(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = tf.random.Generator.from_seed(3)

        def call(self, inputs: Any) -> Any:
            return inputs + self.numbers.normal(tf.shape(inputs))

    return layers.Dense(1)(Noise()(features))


HONEST: dict[str, Callable[[Any, Any], Any]] = {
    "dropout": lambda layers, f: layers.Dense(1)(layers.Dropout(0.5)(layers.Dense(5)(f))),
    "alpha dropout and noise": lambda layers, f: layers.Dense(1)(layers.AlphaDropout(0.2)(layers.GaussianNoise(0.1)(f))),
    "recurrent dropout": lambda layers, f: layers.Dense(1)(
        layers.LSTM(3, dropout=0.2, recurrent_dropout=0.2)(layers.Reshape((3, 2))(f))
    ),
    "augmentation": _random_crop,
    "words": _words,
    "texts": _texts,
    "noise": _noise_of_ones_own,
    "generator": _generator_of_ones_own,
    "assertion": _asserting,
    "constants": lambda layers, f: layers.Dense(1)(layers.Normalization(mean=0.0, variance=2.0)(f)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("body", HONEST.values(), ids=HONEST.keys())
def test_honest_models(body: Callable[[Any, Any], Any], generation: str) -> None:
    """Random numbers, tables of constants, assertions and stateful metrics."""
    from tfx_privacy import training

    keras = importlib.import_module(generation)
    model = make_model(body, loss="mse", generation=generation)
    model.compile("sgd", "mse", metrics=["mae", keras.metrics.AUC()])
    training.train(model, make_data(), resolved(40, steps=2), noise_multiplier=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_random_generators_do_not_tell_how_often_they_drew(generation: str) -> None:
    """A generator draws for every chunk, and the number of chunks depends on the batches."""
    from tfx_privacy import training
    from tfx_privacy.training import keras_api

    def after(body: Callable[[Any, Any], Any], steps: int) -> list[np.ndarray]:
        model = make_model(body, loss="mse", generation=generation)
        training.train(model, make_data(), resolved(40, steps=steps), noise_multiplier=1.0)
        return [np.array(variable) for variable in keras_api.random_states(model)]

    # Keras 2 does not save the generators of its own layers.
    for name in ("generator", "augmentation") if generation == "keras" else ("generator",):
        states = after(HONEST[name], 1)
        assert states
        for one, other in zip(states, after(HONEST[name], 5), strict=True):
            np.testing.assert_array_equal(one, other)
