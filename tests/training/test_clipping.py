"""Per-record gradients, clipped and summed, against one record at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import oracles
import pytest
from small_models import BODIES, GENERATIONS, make_data, make_model, naive_gradients, naive_sum, perceptron

pytestmark = pytest.mark.engine

# A chunk for each number of units is a graph of its own: these are traced once and shared.
NUM_RECORDS = 6


def summed(kind: str, model: Any, num_units: int, records_each: int = 1) -> Callable[..., np.ndarray]:
    """A traced gradient sum: (data, indices, present, clip) to one vector."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import clipping
    from tfx_privacy.training.gradients.units import Units

    units = Units(num_units, records_each)
    gradient_sum = getattr(clipping, kind)(model, units)

    @tf.function(autograph=False)
    def traced(features: Any, labels: Any, present: Any, clip: Any) -> Any:
        # Weights of padding are zero in a real run as well; here the mask alone has to keep it out.
        each = tf.ones_like(tf.repeat(present, records_each)) / records_each
        clipped = gradient_sum(clipping.Chunk(features, labels, each, present), clip)
        return tf.concat([tf.reshape(part, [-1]) for part in clipped.gradients], 0), clipped.within

    def run(data: Any, clip: float, present: Any = None) -> np.ndarray:
        features, labels = data.take(np.arange(units.records))
        present = np.ones(num_units) if present is None else np.array(present)
        vector, run.within = traced(features, labels, tf.constant(present, tf.float32), tf.constant(clip, tf.float32))  # type: ignore[attr-defined]
        return np.array(vector)

    return run


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", BODIES)
def test_every_layer_against_one_record_at_a_time(name: str, generation: str) -> None:
    """Clipped at the median norm, so some are shortened and some are not; some records are masked."""
    model, data = make_model(BODIES[name], generation=generation), make_data(NUM_RECORDS, seed=3)
    rows = naive_gradients(model, data)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    run = summed("ClippedSum", model, NUM_RECORDS)
    scale = clip / 100
    np.testing.assert_allclose(run(data, clip), naive_sum(rows, clip), rtol=2e-3, atol=scale)
    np.testing.assert_allclose(run(data, 1e6), rows.sum(axis=0), rtol=1e-4, atol=1e-4 * np.abs(rows).max())
    masked = run(data, clip, [1, 1, 0, 1, 0, 0])
    np.testing.assert_allclose(masked, naive_sum(rows[[0, 1, 3]], clip), rtol=2e-3, atol=scale)
    # Nobody's part is longer than the clip.
    for index in range(NUM_RECORDS):
        alone = run(data, clip / 2, np.eye(NUM_RECORDS)[index])
        assert np.linalg.norm(alone.astype(np.float64)) <= clip / 2 * (1 + 1e-6)
        np.testing.assert_allclose(alone, naive_sum(rows[[index]], clip / 2), rtol=2e-3, atol=scale)


def test_the_cheap_forms_are_taken_where_there_is_one() -> None:
    """A general form that silently took their place would pass every other test, slowly."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import clipping, contributions
    from tfx_privacy.training.gradients.units import Units

    def kinds(name: str) -> list[str]:
        model, data = make_model(BODIES[name]), make_data(NUM_RECORDS)
        features, labels = data.take(np.arange(NUM_RECORDS))
        ones = tf.ones(NUM_RECORDS)
        chunk = clipping.Chunk(tf.nest.map_structure(tf.constant, features), tf.constant(labels), ones, ones)
        found = clipping.ClippedSum(model, Units(NUM_RECORDS)).contributions(chunk)
        return [type(one).__name__ for one in found]

    assert kinds("dense") == ["Outer", "Materialized", "Outer", "Materialized"]
    assert kinds("embedding")[0] == "Lookup"
    assert contributions.CANCELLATION > 0


@pytest.mark.parametrize("name", ["dense", "dense on many positions", "embedding", "conv2d", "lstm"])
def test_record_by_record_is_the_same_sum(name: str) -> None:
    model, data = make_model(BODIES[name]), make_data(NUM_RECORDS)
    rows = naive_gradients(model, data)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    found = summed("RecordByRecord", model, NUM_RECORDS)(data, clip)
    np.testing.assert_allclose(found, naive_sum(rows, clip), rtol=1e-4, atol=1e-4 * clip)


def test_tensorflow_privacy_clips_alike() -> None:
    """An oracle of others: its fast clipping, on a model for which that is right."""
    import tensorflow as tf

    clip_grads = oracles.tensorflow_privacy("privacy.fast_gradient_clipping.clip_grads")
    registry = oracles.tensorflow_privacy("privacy.fast_gradient_clipping.layer_registry")
    loss = tf.keras.losses.BinaryCrossentropy()
    features = tf.keras.Input((6,))
    model = tf.keras.Model(features, perceptron(tf.keras.layers, features))
    model.compile("sgd", loss)
    data = make_data(NUM_RECORDS)
    inputs, labels = tf.constant(data.features["features"]), tf.constant(data.labels.astype(np.float32))
    theirs, *_ = clip_grads.compute_clipped_gradients_and_outputs(
        model, 0.05, registry.make_default_layer_registry(), inputs, labels
    )
    same = make_model()
    same.set_weights(model.get_weights())
    ours = summed("ClippedSum", same, NUM_RECORDS)(data, 0.05)
    mean = np.concatenate([tf.convert_to_tensor(part).numpy().ravel() for part in theirs])
    np.testing.assert_allclose(ours / NUM_RECORDS, mean, rtol=1e-4, atol=1e-7)


def _hostile(random: np.random.Generator, data: Any, index: int) -> Any:
    """A record whose gradient is ordinary, huge, tiny, or not finite."""
    from tfx_privacy import training

    features, labels = data.features["features"].copy(), data.labels.copy()
    kind = index % 10
    scale = (
        float(np.float32(10.0) ** random.uniform(-37, 38)) if kind < 6 else (1.0, 3e38, math.inf, math.nan)[kind - 6]
    )
    with np.errstate(all="ignore"):
        features[0] = (random.normal(size=features.shape[1]) * scale).astype(np.float32)
    labels[0] = random.integers(0, 2)
    return training.ColumnarDataset({"features": features}, labels)


@pytest.mark.parametrize("name", ["dense", "dense on many positions", "embedding", "conv2d", "attention"])
def test_two_hundred_neighbours_of_each_model_differ_by_at_most_the_clip(name: str) -> None:
    """10^3 pairs in all: with and without one record, random and hostile. An embedding's ids stay in range."""
    random = np.random.default_rng(7)
    model, base = make_model(BODIES[name], loss="mse"), make_data(NUM_RECORDS, seed=5)
    run = summed("ClippedSum", model, NUM_RECORDS)
    longest = 0.0
    for index in range(200):
        data = make_data(NUM_RECORDS, seed=1000 + index) if name == "embedding" else _hostile(random, base, index)
        clip = float(10.0 ** random.uniform(-3, 1))
        others = [0] + [int(random.random() < 0.7) for _ in range(NUM_RECORDS - 1)]
        without = run(data, clip, others).astype(np.float64)
        difference = float(np.linalg.norm(run(data, clip, [1, *others[1:]]) - without))
        # The sums themselves are rounded to float32.
        assert difference <= clip * (1 + 1e-5) + 1e-6 * np.linalg.norm(without), (index, clip)
        longest = max(longest, difference / clip)
    # The bound is reached: without clipping or with a clip 5 % larger this test would fail.
    assert longest > 0.99


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 3e38])
def test_a_gradient_that_is_not_finite_counts_as_zero_and_harms_nobody(value: float) -> None:
    model, data = make_model(loss="mse"), make_data(NUM_RECORDS)
    run = summed("ClippedSum", model, NUM_RECORDS)
    without = run(data, 0.1, [1, 1, 0, 1, 1, 1])
    data.features["features"][2] = value
    if math.isfinite(value):
        data.features["features"][2] *= np.array([1, -1, 1, -1, 1, -1], np.float32)
        data.labels[2] = np.iinfo(np.int64).max
    together = run(data, 0.1)
    assert np.isfinite(together).all()
    assert np.linalg.norm(together - without) <= 0.1 * (1 + 1e-5)
    if not math.isfinite(value):
        np.testing.assert_array_equal(together, without)


def _rigged(inputs: np.ndarray, gradients: np.ndarray) -> tuple[float, float]:
    """The squared norm that is used for a Gram-matrix gradient, and the true one in float64."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import contributions

    shape = (inputs.shape[-1], gradients.shape[-1])
    made = contributions.Positions(tf.constant(inputs[None]), tf.constant(gradients[None]), shape)
    exact = inputs.astype(np.float64).T @ gradients.astype(np.float64)
    return float(made.squared_norms()[0]), float(np.sum(exact**2))


GEOMETRIES = {
    "8 by 8, two apart": ((16, 15, 2), (8, 8), (2, 2), 3),
    "two apart and not square": ((13, 12, 2), (4, 2), (2, 1), 5),
    "next to each other": ((7, 6, 3), (3, 2), (1, 1), 4),
    "one axis": ((31, 2), (6,), (3,), 4),
}


def _windows(extent: tuple[int, ...], size: Any, strides: Any, filters: int, seed: int) -> tuple[Any, Any]:
    """A convolution's gradient by blocks, and the exact ones in float64, of shape (4, entries, filters)."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import contributions, patches

    random = np.random.default_rng(seed)
    window = patches.Window(size, strides, (1,) * len(size), "valid")
    counts = window.counts(list(extent[:-1]))
    inputs = random.normal(size=(4, *extent)).astype(np.float32)
    gradients = random.normal(size=(4, *counts, filters)).astype(np.float32)
    exact = np.zeros((4, *size, extent[-1], filters))
    for place in np.ndindex(*counts):
        where = [
            slice(at * stride, at * stride + length) for at, stride, length in zip(place, strides, size, strict=True)
        ]
        at_inputs: Any = (slice(None), *where)
        at_outputs: Any = (slice(None), *place)
        part, of_outputs = inputs[at_inputs].astype(np.float64), gradients[at_outputs]
        exact += part[..., np.newaxis] * of_outputs.reshape(4, *[1] * len(size), 1, filters)
    made = contributions.Windows(tf.constant(inputs), tf.constant(gradients), exact.shape[1:], window)
    return made, exact


@pytest.mark.parametrize(("extent", "size", "strides", "filters"), GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_a_convolution_by_blocks(extent: Any, size: Any, strides: Any, filters: int) -> None:
    made, exact = _windows(extent, size, strides, filters, seed=1)
    squares = (exact**2).reshape(4, -1).sum(axis=1)
    used = np.array(made.squared_norms())
    np.testing.assert_allclose(used, squares, rtol=5e-3)
    assert np.all(used >= squares * (1 - 1e-5))
    weights = np.array([0.5, 0.0, 1.0, 2.0], np.float32)
    wanted = (exact * weights.reshape(4, *[1] * (exact.ndim - 1))).sum(axis=0)
    np.testing.assert_allclose(made.weighted_sum(weights, made.operands), wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.array(made.materialized()).reshape(exact.shape), exact, rtol=1e-3, atol=1e-3)


def test_a_convolution_by_blocks_is_never_understated() -> None:
    """Inputs that repeat and gradients that cancel them nearly: the exact norm is far below that of the terms."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import contributions, patches

    random = np.random.default_rng(0)
    window = patches.Window((2, 2), (1, 1), (1, 1), "valid")
    for trial in range(100):
        inputs = np.full((1, 9, 9, 1), random.normal(), np.float32)
        gradients = random.normal(size=(1, 8, 8, 3)) * 10.0 ** random.uniform(-3, 3)
        gradients[:, 1::2] = -gradients[:, 0::2] * (1 + 10.0 ** random.uniform(-8, -2))
        gradients = gradients.astype(np.float32)
        each = inputs[0, 0, 0, 0].astype(np.float64) * gradients.astype(np.float64).sum(axis=(0, 1, 2))
        exact = 4 * float(np.sum(each**2))
        made = contributions.Windows(tf.constant(inputs), tf.constant(gradients), (2, 2, 1, 3), window)
        assert float(made.squared_norms()[0]) >= exact * (1 - 1e-5), trial


def test_a_norm_is_never_understated_when_terms_cancel() -> None:
    """Positions whose gradients cancel leave rounding errors in a Gram matrix that may be far below the truth."""
    random = np.random.default_rng(0)
    for trial in range(300):
        inputs = np.repeat(random.normal(size=(32, 1, 8)), 2, axis=1).reshape(64, 8).astype(np.float32)
        gradients = random.normal(size=(32, 1, 5)) * 10.0 ** random.uniform(-3, 3)
        gradients = np.concatenate([gradients, -gradients * (1 + 10.0 ** random.uniform(-8, -1))], axis=1)
        used, exact = _rigged(inputs, gradients.reshape(64, 5).astype(np.float32))
        assert used >= exact * (1 - 1e-5), trial


@pytest.mark.parametrize("size", [1.0, 1e6, 1e12, 1e18])
def test_a_row_read_twice_with_gradients_that_cancel_takes_nothing_from_others(size: float) -> None:
    """Added to the sum one after the other they would wipe out what the others' gradients gave before."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import clipping, contributions

    ids = np.full((65, 2), 3, np.int32)
    gradients = np.full((65, 2, 4), 0.25, np.float32)
    gradients[-1] = [[size] * 4, [-size] * 4]
    made = contributions.Lookup(tf.constant(ids), tf.constant(gradients), 5)
    present = np.ones(65, np.float32)
    together, without = (
        np.array(clipping._clip_and_sum([made], tf.constant(each), 1.0, None).gradients[0], np.float64)
        for each in (present, np.append(present[:-1], 0).astype(np.float32))
    )
    assert np.linalg.norm(together - without) <= 1.0 + 1e-4
    assert np.linalg.norm(without) > 60


def test_an_id_that_is_no_row_is_nobody_else_s() -> None:
    """Ids before the table's first row, and after its last, give nothing, and change no neighbour's norm."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import contributions

    ids = np.array([[4, 1], [-1, 1], [5, 1], [-6, 0]], np.int32)
    gradients = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    made = contributions.Lookup(tf.constant(ids), tf.constant(gradients), 5)
    exact = np.zeros((4, 5, 3), np.float32)
    for unit, position in np.argwhere((ids >= 0) & (ids < 5)):
        exact[unit, ids[unit, position]] += gradients[unit, position]
    np.testing.assert_allclose(made.materialized(), exact, rtol=1e-6)
    squares = np.array(made.squared_norms())
    assert np.all(squares >= (exact**2).sum(axis=(1, 2)) * (1 - 1e-6))
    assert np.all(squares <= (gradients**2).sum(axis=(1, 2)) * (1 + 1e-6))
    np.testing.assert_allclose(made.weighted_sum(tf.ones(4), made.operands), exact.sum(axis=0), rtol=1e-5, atol=1e-6)


def test_keras_3_counts_negative_ids_from_the_end() -> None:
    """-1 is the last row there, and what pipelines fill in for a value that is missing."""
    import keras

    from tfx_privacy import training

    ids = keras.Input((2,), name="features", dtype="int32")
    keras.utils.set_random_seed(1)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Embedding(5, 3)(ids)))
    model = keras.Model({"features": ids}, outputs)
    model.compile("sgd", "mse")
    features = np.array([[1, 2], [-1, -1], [-5, 4], [0, -2], [3, 3], [4, 4]], np.int32)
    data = training.ColumnarDataset({"features": features}, np.ones(NUM_RECORDS, np.float32))
    rows = naive_gradients(model, data)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    found = summed("ClippedSum", model, NUM_RECORDS)(data, clip)
    np.testing.assert_allclose(found, naive_sum(rows, clip), rtol=2e-3, atol=clip / 100)


@pytest.mark.parametrize("small", [1e-25, 1e-21, 1e-19])
def test_a_tiny_input_with_a_huge_gradient_is_not_taken_for_nothing(small: float) -> None:
    """Its square is zero in float32, its product with the gradient is not."""
    import tensorflow as tf

    from tfx_privacy.training.gradients import contributions

    inputs = np.full((1, 8, 50), small, np.float32)
    gradients = np.full((1, 8, 4), 1e18, np.float32)
    exact = float(np.sum((inputs[0].astype(np.float64).T @ gradients[0].astype(np.float64)) ** 2))
    used, _ = _rigged(inputs[0], gradients[0])
    assert used >= exact * (1 - 1e-5)
    outer = contributions.Outer(tf.constant(inputs[:, 0]), tf.constant(gradients[:, 0]), (50, 4))
    assert float(outer.squared_norms()[0]) >= exact / 64 * (1 - 1e-5)
    other_way, _ = _rigged(gradients[0], inputs[0])
    assert other_way >= exact * (1 - 1e-5)


def test_a_user_s_records_are_clipped_as_one() -> None:
    model, data = make_model(), make_data(NUM_RECORDS)
    of_records = naive_gradients(model, data)
    rows = of_records.reshape(3, 2, -1).mean(axis=1)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    for name in ("ClippedSum", "RecordByRecord"):
        found = summed(name, model, 3, records_each=2)(data, clip)
        np.testing.assert_allclose(found, naive_sum(rows, clip), rtol=1e-3, atol=clip / 1000)


@pytest.mark.parametrize("name", ["dense on many positions", "embedding", "conv1d", "layer normalisation", "attention"])
def test_users_of_every_kind_of_layer(name: str) -> None:
    model, data = make_model(BODIES[name]), make_data(NUM_RECORDS)
    rows = naive_gradients(model, data).reshape(3, 2, -1).mean(axis=1)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    found = summed("ClippedSum", model, 3, records_each=2)(data, clip)
    np.testing.assert_allclose(found, naive_sum(rows, clip), rtol=2e-3, atol=clip / 100)


def test_a_layer_of_the_user_s_with_python_conditions() -> None:
    """As in Keras' own `fit`, its loop and condition on tensors become those of the graph (Keras 3 refuses such layers)."""
    import tensorflow as tf

    class Mine(tf.keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones")

        def call(self, inputs: Any) -> Any:
            total = tf.zeros_like(inputs)
            for power in tf.range(3):
                if power > 0:
                    total += tf.tanh(inputs * self.scale)
            return total

    model = make_model(lambda layers, f: layers.Dense(1, "sigmoid")(Mine()(f)))
    data = make_data(NUM_RECORDS)
    rows = naive_gradients(model, data)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    found = summed("ClippedSum", model, NUM_RECORDS)(data, clip)
    np.testing.assert_allclose(found, naive_sum(rows, clip), rtol=1e-4, atol=1e-4 * clip)


def test_the_number_within_the_clip() -> None:
    model, data = make_model(), make_data(NUM_RECORDS)
    norms = np.sort(np.linalg.norm(naive_gradients(model, data), axis=1))
    run = summed("ClippedSum", model, NUM_RECORDS)
    run(data, float((norms[1] + norms[2]) / 2))
    assert float(run.within) == 2.0  # type: ignore[attr-defined]


def _position_loss(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tf.square(tf.cast(labels, tf.float32) - outputs)) * 3.0


def losses_of(generation: str) -> dict[str, Any]:
    import importlib

    losses = importlib.import_module(generation).losses
    return {
        "name": "mse",
        "object": losses.BinaryCrossentropy(),
        "summed": losses.BinaryCrossentropy(reduction="sum"),
        "unreduced": losses.BinaryCrossentropy(reduction="none"),
        "smoothed": losses.BinaryCrossentropy(label_smoothing=0.1),
        "scalar of the user's": _position_loss,
    }


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kind", ["name", "object", "summed", "unreduced", "smoothed", "scalar of the user's"])
def test_a_record_s_loss_is_that_of_a_batch_of_one(kind: str, generation: str) -> None:
    """Whatever the loss reduces: a scalar mean would hand out everybody's gradient over the batch size."""
    model = make_model(loss=losses_of(generation)[kind], generation=generation)
    data = make_data(NUM_RECORDS)
    rows = naive_gradients(model, data)
    found = summed("ClippedSum", model, NUM_RECORDS)(data, 1e6)
    np.testing.assert_allclose(found, rows.sum(axis=0), rtol=1e-4, atol=1e-5)
