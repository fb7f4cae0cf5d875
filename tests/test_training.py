"""The DP-SGD engine. False-alarm rates of the statistical tests are stated; each has a twin that must fail."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tfx_privacy.privacy import DPParameters
from tfx_privacy.privacy.errors import DataError, ModelError
from tfx_privacy.privacy.guarantee import DPSGDMechanism, NoMechanism

pytestmark = pytest.mark.slow

WIDTH = 6


@pytest.fixture(scope="module", autouse=True)
def _keras_2() -> None:
    from tfx_privacy import compat

    compat.select_keras_2()


def make_data(num_records: int = 40, seed: int = 0) -> Any:
    from tfx_privacy import training

    random = np.random.default_rng(seed)
    features = random.normal(size=(num_records, WIDTH)).astype(np.float32)
    return training.ColumnarDataset({"features": features}, (features[:, 0] > 0).astype(np.int64))


def make_model(
    body: Callable[[Any], Any] | None = None, loss: str = "binary_crossentropy", optimizer: Any = None
) -> Any:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers
    features = tf.keras.Input((WIDTH,), name="features")
    outputs = body(features) if body else layers.Dense(1, "sigmoid")(layers.Dense(5, "tanh")(features))
    model = tf.keras.Model({"features": features}, outputs)
    model.compile(optimizer or tf.keras.optimizers.SGD(1.0), loss)
    return model


def resolved(num_records: int, **changes: Any) -> Any:
    arguments = {"noise_multiplier": 1.0, "target_delta": 1e-6, "expected_batch_size": 10, "steps": 5, **changes}
    return DPParameters(**arguments).resolve(population=num_records)


def weights(model: Any) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in model.trainable_variables])


def naive_gradients(model: Any, data: Any) -> np.ndarray:
    """One record at a time, through Keras' own loss."""
    import tensorflow as tf

    loss = tf.keras.losses.get(model.loss)
    rows = []
    for index in range(len(data)):
        features, labels = data.take(np.array([index]))
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(labels, model(features, training=True)))
        found = tape.gradient(value, model.trainable_variables)
        rows.append(np.concatenate([tf.convert_to_tensor(gradient).numpy().ravel() for gradient in found]))
    return np.array(rows, dtype=np.float64)


def naive_sum(rows: np.ndarray, clip: float) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1)
    return np.asarray((rows * np.minimum(1.0, clip / norms)[:, np.newaxis]).sum(axis=0))


def embedding_body(features: Any) -> Any:
    import tensorflow as tf

    layers = tf.keras.layers
    tokens = tf.cast(tf.abs(features) * 3, tf.int32)
    mixed = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(tokens))
    return layers.Dense(1, "sigmoid")(layers.LayerNormalization()(mixed))


def shared_body(features: Any) -> Any:
    """One layer used twice: the norm of its gradient's sum is not the sum of two norms."""
    import tensorflow as tf

    dense = tf.keras.layers.Dense(WIDTH, "tanh")
    return tf.keras.layers.Dense(1, "sigmoid")(dense(dense(features)))


def convolution_body(features: Any) -> Any:
    import tensorflow as tf

    layers = tf.keras.layers
    convolved = layers.Conv1D(3, 2, activation="relu")(layers.Reshape((WIDTH, 1))(features))
    return layers.Dense(1, "sigmoid")(layers.Flatten()(convolved))


@pytest.mark.parametrize("body", [None, embedding_body, shared_body, convolution_body])
def test_the_clipped_sum_against_one_record_at_a_time(body: Callable[[Any], Any] | None) -> None:
    from tfx_privacy.training import gradients

    model, data = make_model(body), make_data(9)
    rows = naive_gradients(model, data)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    features, labels = data.take(np.arange(9))
    computed = gradients.ClippedGradientSum(model, l2_norm_clip=clip)
    everyone = computed(features, labels, np.ones(9, np.float32)).numpy()
    np.testing.assert_allclose(everyone, naive_sum(rows, clip), rtol=1e-5, atol=1e-6)
    masked = computed(features, labels, np.array([1] * 6 + [0] * 3, np.float32)).numpy()
    np.testing.assert_allclose(masked, naive_sum(rows[:6], clip), rtol=1e-5, atol=1e-6)


def test_tensorflow_privacy_clips_alike() -> None:
    """An oracle of others: its fast clipping, on a model for which that is right."""
    import tensorflow as tf

    from tfx_privacy import compat
    from tfx_privacy.training import gradients

    clip_grads = compat.tensorflow_privacy("privacy.fast_gradient_clipping.clip_grads")
    registry = compat.tensorflow_privacy("privacy.fast_gradient_clipping.layer_registry")
    layers = tf.keras.layers
    features = tf.keras.Input((WIDTH,))
    model = tf.keras.Model(features, layers.Dense(1, "sigmoid")(layers.Dense(5, "tanh")(features)))
    model.compile("sgd", tf.keras.losses.BinaryCrossentropy())
    data = make_data(8)
    inputs, labels = tf.constant(data.features["features"]), tf.constant(data.labels.astype(np.float32))
    theirs, *_ = clip_grads.compute_clipped_gradients_and_outputs(
        model, 0.05, registry.make_default_layer_registry(), inputs, labels
    )
    ours = gradients.ClippedGradientSum(model, l2_norm_clip=0.05)(inputs, labels, np.ones(8, np.float32)).numpy()
    mean = np.concatenate([tf.convert_to_tensor(part).numpy().ravel() for part in theirs])
    np.testing.assert_allclose(ours / 8, mean, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-3, 1.0, 1e10, 1e30, 3e38, math.inf, math.nan])
def test_no_record_contributes_more_than_the_clip(scale: float) -> None:
    import tensorflow as tf

    from tfx_privacy.training import gradients

    random = np.random.default_rng(0)
    normal = random.normal(size=(3, 50)).astype(np.float32)
    hostile = normal.copy()
    with np.errstate(all="ignore"):
        hostile[1] = np.sign(normal[1]) * np.minimum(np.float32(1.0), np.abs(normal[1])) * np.float32(scale)
    clip, mask = 0.7, np.ones(3, np.float32)
    without = gradients.clipped_sum(tf.constant(normal), np.array([1, 0, 1], np.float32), clip).numpy()
    together = gradients.clipped_sum(tf.constant(hostile), mask, clip).numpy()
    contribution = np.linalg.norm((together - without).astype(np.float64))
    assert contribution <= clip * (1 + 1e-5)
    if 1.0 <= scale <= 3e38:
        assert contribution >= clip * (1 - 1e-5)
    if not math.isfinite(scale):
        assert contribution == 0.0


def noise_of_one_step(size: int, noise_multiplier: float, **options: Any) -> np.ndarray:
    """The update of a model whose loss has no gradient, i.e. noise alone, as a standard normal."""
    import tensorflow as tf

    from tfx_privacy import training

    model = make_model(
        lambda features: tf.keras.layers.Dense(size // (WIDTH + 1))(features) * 0.0 + features[:, :1] * 0.0
    )
    data = make_data()
    before = weights(model)
    run = resolved(len(data), steps=1, l2_norm_clip=0.5, noise_multiplier=noise_multiplier)
    training.train(model, data, run, noise_multiplier=noise_multiplier, **options)
    # SGD at rate 1: the step is minus noise / expected_batch_size.
    return (weights(model) - before) * 10 / (0.5 * noise_multiplier)


def test_the_noise_is_normal_of_the_right_scale() -> None:
    """With 140,000 numbers, sd within 1 % has a false alarm of 1e-7; 2 % too much is found with certainty (10 sigma)."""
    noise = noise_of_one_step(140_000, 3.0)
    assert len(noise) >= 139_000
    assert abs(noise.std() - 1) < 0.01
    assert abs((noise * 1.02).std() - 1) > 0.01
    assert stats.kstest(noise, "norm").pvalue > 1e-6
    assert stats.kstest(noise * 1.05, "norm").pvalue < 1e-6
    # Every weight moves: noise on touched rows alone would tell which rows were touched.
    assert np.all(noise != 0)


def test_no_seed_of_anybody_repeats_the_noise() -> None:
    import tensorflow as tf

    draws = []
    for _ in range(2):
        tf.random.set_seed(42)
        np.random.seed(42)
        draws.append(noise_of_one_step(700, 1.0))
    assert abs(np.corrcoef(draws)[0, 1]) < 0.25
    same = [noise_of_one_step(700, 1.0, deterministic_noise_for_tests=5) for _ in range(2)]
    np.testing.assert_array_equal(same[0], same[1])


def test_test_noise_is_stamped() -> None:
    from tfx_privacy import training

    data = make_data()
    executed = training.train(make_model(), data, resolved(40), noise_multiplier=1.0, deterministic_noise_for_tests=1)
    assert isinstance(executed, DPSGDMechanism)
    assert executed.noise_source == "deterministic_test"


def test_poisson_batches() -> None:
    """Counts and sizes of 1,000 records over 2,000 batches; each bound has a false alarm below 1e-6."""
    from tfx_privacy.training.sampling import PoissonSampler

    num_records, steps, probability = 1000, 2000, 0.05

    def verdict(batches: list[np.ndarray]) -> bool:
        counts = np.bincount(np.concatenate(batches), minlength=num_records)
        variance = steps * probability * (1 - probability)
        chi_square = float(((counts - steps * probability) ** 2 / variance).sum())
        sizes = np.array([len(batch) for batch in batches])
        expected = num_records * probability * (1 - probability)
        normalised = (steps - 1) * sizes.var(ddof=1) / expected
        together = np.mean([0 in batch and 1 in batch for batch in batches])
        return (
            2.5e-7 < stats.chi2.sf(chi_square, num_records) < 1 - 2.5e-7
            and 2.5e-7 < stats.chi2.sf(normalised, steps - 1) < 1 - 2.5e-7
            and together < stats.binom.isf(2.5e-7, steps, probability**2) / steps
        )

    sampler = PoissonSampler(num_records=num_records, sampling_probability=probability)
    drawn = [sampler.draw() for _ in range(steps)]
    assert verdict(drawn)
    assert all(len(np.unique(batch)) == len(batch) for batch in drawn)
    assert sampler.batches_drawn == steps
    random = np.random.default_rng(0)
    shuffled = [part for _ in range(100) for part in np.array_split(random.permutation(num_records), 20)]
    assert not verdict(shuffled)
    fixed_size = [random.choice(num_records, 50, replace=False) for _ in range(steps)]
    assert not verdict(fixed_size)


def test_an_empty_batch_is_a_step_of_noise() -> None:
    from tfx_privacy import training
    from tfx_privacy.privacy.parameters import ResolvedParameters

    model, data = make_model(), make_data()
    before = weights(model)
    parameters = DPParameters(noise_multiplier=1.0, target_delta=1e-6, sampling_probability=1e-12, steps=3)
    run = ResolvedParameters(
        parameters=parameters,
        sampling_probability=1e-12,
        steps=3,
        expected_batch_size=1.0,
        population=len(data),
        population_is_declared=True,
    )
    executed = training.train(model, data, run, noise_multiplier=1.0)
    assert executed.steps == 3
    assert np.all(weights(model) != before)


@pytest.mark.parametrize("chunk_size", [1, 7, 64])
def test_the_chunk_size_changes_nothing(chunk_size: int) -> None:
    """The sampler cannot be seeded, so every record is drawn (probability one) and the noise is the tests'."""
    from tfx_privacy import training

    model, data = make_model(), make_data()
    run = resolved(40, expected_batch_size=40, steps=2)
    training.train(model, data, run, noise_multiplier=1.0, chunk_size=chunk_size, deterministic_noise_for_tests=3)
    reference = make_model()
    training.train(reference, data, run, noise_multiplier=1.0, chunk_size=40, deterministic_noise_for_tests=3)
    np.testing.assert_allclose(weights(model), weights(reference), rtol=1e-5, atol=1e-6)


def test_the_sum_is_divided_by_a_public_constant() -> None:
    """The batch has 40 records, the divisor is the declared 20."""
    from tfx_privacy import training

    model, data = make_model(), make_data()
    rows = naive_gradients(model, data)
    before = weights(model)
    run = DPParameters(
        noise_multiplier=1.0, target_delta=1e-6, sampling_probability=1.0, steps=1, population=20, l2_norm_clip=1e-3
    ).resolve()
    training.train(model, data, run, noise_multiplier=1e-6)
    expected = before - naive_sum(rows, 1e-3) / 20
    np.testing.assert_allclose(weights(model), expected, atol=1e-8 * 20)


def test_a_record_that_is_not_finite_does_no_harm() -> None:
    from tfx_privacy import training

    data = make_data()
    data.features["features"][3] = np.nan
    data.features["features"][4] = 3e38
    model = make_model()
    training.train(model, data, resolved(40, expected_batch_size=40), noise_multiplier=1.0)
    assert np.isfinite(weights(model)).all()


def test_weights_that_are_not_finite_end_the_run() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    model = make_model(optimizer=tf.keras.optimizers.SGD(1e38))
    with pytest.raises(ModelError, match="not finite after training"):
        training.train(model, make_data(), resolved(40, l2_norm_clip=1e3), noise_multiplier=1.0)


def test_the_mechanism_is_what_was_executed() -> None:
    from tfx_privacy import training

    told: list[Any] = []
    run = resolved(40, l2_norm_clip=0.3, steps=4)
    executed = training.train(make_model(), make_data(), run, noise_multiplier=1.5, on_progress=told.append)
    assert executed == DPSGDMechanism(
        sampling_probability=0.25,
        steps=4,
        noise_multiplier=1.5,
        l2_norm_clip=0.3,
        expected_batch_size=10.0,
        noise_source="os_entropy",
    )
    assert [progress.step for progress in told] == [1, 2, 3, 4]
    assert all(progress.update_norm > 0 for progress in told)


def test_without_privacy_the_model_just_learns() -> None:
    from tfx_privacy import training

    model, data = make_model(), make_data(400)
    run = DPParameters(enabled=False, expected_batch_size=50, steps=100).resolve(population=400)
    assert training.train(model, data, run, noise_multiplier=None) == NoMechanism(steps=100)
    predicted = model(data.features).numpy()[:, 0] > 0.5
    assert (predicted == data.labels[:, 0]).mean() > 0.9


def test_with_privacy_it_learns_too() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    model, data = make_model(optimizer=tf.keras.optimizers.Adam(0.05)), make_data(2000)
    run = resolved(2000, expected_batch_size=200, steps=60, target_delta=1e-6)
    training.train(model, data, run, noise_multiplier=1.0)
    assert ((model(data.features).numpy()[:, 0] > 0.5) == data.labels[:, 0]).mean() > 0.85


def _layers() -> Any:
    import tensorflow as tf

    return tf.keras.layers


def _adapted(features: Any) -> Any:
    layer = _layers().Normalization()
    layer.adapt(np.random.default_rng(0).normal(size=(10, WIDTH)).astype(np.float32))
    return _layers().Dense(1)(layer(features))


def _centred(features: Any) -> Any:
    import tensorflow as tf

    return _layers().Dense(1)(features - tf.reduce_mean(features, axis=0, keepdims=True))


BAD_MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "batch normalisation": (
        lambda: make_model(lambda f: _layers().Dense(1)(_layers().BatchNormalization(name="bn")(f))), "'bn'.*LayerNormalization",
    ),
    "adapted layer": (lambda: make_model(_adapted), "adapted to data"),
    "mixes records": (lambda: make_model(_centred), "depends on the other records"),
    "activity regularizer": (
        lambda: make_model(lambda f: _layers().Dense(1, activity_regularizer="l2")(f)), "adds a loss",
    ),
    "no weights": (lambda: make_model(lambda f: _layers().Lambda(lambda x: x[:, :1])(f)), "no trainable weights"),
    "foreign optimizer": (lambda: make_model(optimizer="ftrl"), "optimizer is .*Ftrl"),
    "several outputs": (lambda: make_model(lambda f: [_layers().Dense(1)(f), _layers().Dense(2)(f)]), "several"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_models_whose_guarantee_would_not_be_true_are_refused(make: Callable[[], Any], message: str) -> None:
    from tfx_privacy import training

    with pytest.raises(ModelError, match=message):
        training.check_model(make(), make_data())


def test_models_that_are_not_ready_are_refused() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    with pytest.raises(ModelError, match="returned a NoneType"):
        training.check_model(None, make_data())
    features = tf.keras.Input((WIDTH,), name="features")
    uncompiled = tf.keras.Model({"features": features}, tf.keras.layers.Dense(1)(features))
    with pytest.raises(ModelError, match="not compiled"):
        training.check_model(uncompiled, make_data())

    class Custom(tf.keras.Model):
        def train_step(self, data: Any) -> Any:
            return {}

    custom = Custom({"features": features}, tf.keras.layers.Dense(1)(features))
    custom.compile("sgd", "mse")
    with pytest.raises(ModelError, match="train_step of its own"):
        training.check_model(custom, make_data())


@pytest.mark.parametrize(
    "body",
    [
        lambda f: _layers().Dense(1)(_layers().Dropout(0.5)(f)),
        lambda f: _layers().Dense(1, kernel_regularizer="l2")(f),
        lambda f: _layers().Dense(1)(_layers().Normalization(mean=0.0, variance=1.0)(f)),
        lambda f: _layers().Dense(1)(_layers().LayerNormalization()(f)),
    ],
    ids=["dropout", "weight regularizer", "constant normalisation", "layer normalisation"],
)
def test_models_that_are_fine_train(body: Callable[[Any], Any]) -> None:
    from tfx_privacy import training

    model = make_model(body, loss="mse")
    before = weights(model)
    training.train(model, make_data(), resolved(40), noise_multiplier=1.0)
    assert np.any(weights(model) != before)


def test_a_missing_input_is_named() -> None:
    from tfx_privacy import training

    data = training.ColumnarDataset({"other": np.zeros((40, 2), np.float32)}, np.zeros(40))
    with pytest.raises(ModelError, match="input 'features', but the features are: other"):
        training.train(make_model(), data, resolved(40), noise_multiplier=1.0)


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
