"""The attack during training: with `model.fit` of both Keras generations, and step by step."""

import importlib
import logging
from typing import Any

import numpy as np
import pytest
from small_models import GENERATIONS, WIDTH, make_data, make_model

from tfx_privacy.attacks.evaluation import Checkpoint, Interval
from tfx_privacy.attacks.history import AttackHistory
from tfx_privacy.errors import EvidenceError, ModelError, ParameterError

pytestmark = pytest.mark.engine


def with_random_labels(num_records: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(num_records, WIDTH)).astype(np.float32), random.integers(0, 2, num_records)


def memorizing(generation: str) -> Any:
    keras = importlib.import_module(generation)
    wide = lambda layers, features: layers.Dense(1, "sigmoid")(layers.Dense(128, "relu")(features))
    return make_model(wide, optimizer=keras.optimizers.Adam(0.05), generation=generation)


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_fit_shows_how_a_model_learns_by_heart(generation: str) -> None:
    from tfx_privacy.training.over_training import MembershipCallback

    model = memorizing(generation)
    train, test = with_random_labels(150, 1), with_random_labels(150, 2)
    attack: Any = MembershipCallback(
        model, ({"features": train[0]}, train[1]), ({"features": test[0]}, test[1]), every=20
    )
    assert isinstance(attack, importlib.import_module(generation).callbacks.Callback)
    model.fit({"features": train[0]}, train[1], batch_size=50, epochs=50, verbose=0, callbacks=[attack])
    first, _, last = attack.checkpoints
    assert [one.step for one in attack.checkpoints] == [60, 120, 150]
    assert last.attack_auc.low > 0.7
    assert last.attack_auc.estimate > first.attack_auc.estimate
    assert last.train_accuracy > 0.9
    assert 0.35 < last.test_accuracy < 0.65
    for found, (features, labels) in ((last.train_loss, train), (last.test_loss, test)):
        evaluated = model.evaluate({"features": features}, labels, verbose=0)
        assert found == pytest.approx(evaluated, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("every", "expected"), [(4, [4, 8, 12, 15]), (100, [15])])
def test_fit_by_steps(every: int, expected: list[int]) -> None:
    from tfx_privacy.training.over_training import MembershipCallback

    model, data = make_model(), make_data(50)
    attack: Any = MembershipCallback(model, data, make_data(30, 1), every=every, unit="steps", max_sample=20)
    model.fit(data.features, data.labels, batch_size=10, epochs=3, verbose=0, callbacks=[attack])
    assert [one.step for one in attack.checkpoints] == expected


def test_a_model_that_was_not_trained_shows_nothing() -> None:
    """One fixed seed; the interval misses 1/2 in 5 % of seeds."""
    from tfx_privacy.training.over_training import LossAttack

    found = LossAttack(make_model(), make_data(2000), make_data(2000, 1)).measure(1)
    assert found is not None
    assert found.attack_auc.low < 0.5 < found.attack_auc.high
    assert found.attack_auc.high - found.attack_auc.low < 0.05


def logits(layers: Any, features: Any) -> Any:
    return layers.Dense(3)(features)


LOSSES: dict[str, Any] = {
    "sparse": (lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True), logits, "class"),
    "one-hot": (lambda k: k.losses.CategoricalCrossentropy(from_logits=True), logits, "one-hot"),
    "binary logits": (lambda k: k.losses.BinaryCrossentropy(from_logits=True), lambda ls, f: ls.Dense(1)(f), "binary"),
    "binary": (lambda k: "binary_crossentropy", lambda ls, f: ls.Dense(1, "sigmoid")(f), "binary"),
    "regression": (lambda k: "mse", lambda ls, f: ls.Dense(1)(f), "number"),
    "several labels": (lambda k: "binary_crossentropy", lambda ls, f: ls.Dense(3, "sigmoid")(f), "one-hot"),
    "a user's own": (lambda k: lambda y, p: (y - p) ** 2, lambda ls, f: ls.Dense(1)(f), "number"),
    "a sum": (lambda k: k.losses.MeanSquaredError(reduction="sum"), lambda ls, f: ls.Dense(1)(f), "number"),
}


def labels_of(kind: str, size: int) -> np.ndarray:
    random = np.random.default_rng(3)
    classes = random.integers(0, 3, size)
    made = {"class": classes, "one-hot": np.eye(3)[classes], "binary": classes % 2, "number": random.normal(size=size)}
    return np.asarray(made[kind]).astype(np.int64 if kind == "class" else np.float32)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_accuracy_are_those_of_one_record_at_a_time(name: str, generation: str) -> None:
    import tensorflow as tf

    from tfx_privacy import training
    from tfx_privacy.training import keras_api
    from tfx_privacy.training.over_training import LossAttack

    keras = importlib.import_module(generation)
    make_loss, body, kind = LOSSES[name]
    model = make_model(body, loss=make_loss(keras), generation=generation)
    features = np.random.default_rng(4).normal(size=(40, WIDTH)).astype(np.float32)
    data = training.ColumnarDataset({"features": features}, labels_of(kind, 40))
    found = LossAttack(model, data, make_like(data, 30)).measure(1)
    assert found is not None
    loss = keras_api.compiled_loss(model)
    outputs = np.asarray(model(data.features, training=False))
    one_by_one = [float(tf.reduce_mean(loss(data.labels[i : i + 1], outputs[i : i + 1]))) for i in range(40)]
    assert found.train_loss == pytest.approx(np.mean(one_by_one), rel=1e-5)
    right = {
        "sparse": outputs.argmax(axis=1) == data.labels[:, 0],
        "one-hot": outputs.argmax(axis=1) == data.labels.argmax(axis=-1),
        "binary logits": (outputs[:, 0] > 0) == data.labels[:, 0],
        "binary": (outputs[:, 0] > 0.5) == data.labels[:, 0],
    }
    assert found.train_accuracy == (pytest.approx(right[name].mean()) if name in right else None)


def make_like(data: Any, size: int) -> Any:
    features, labels = data.take(np.arange(size))
    return type(data)(features, labels)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_model_is_not_changed(generation: str) -> None:
    from tfx_privacy.training import keras_api
    from tfx_privacy.training.over_training import LossAttack

    def body(layers: Any, features: Any) -> Any:
        hidden = layers.Dropout(0.5)(layers.BatchNormalization()(features))
        return layers.Dense(1, "sigmoid", activity_regularizer="l2")(hidden)

    model = make_model(body, generation=generation)
    loss, optimizer = model.loss, model.optimizer
    before = [np.array(variable) for variable in keras_api.all_variables(model)]
    attack = LossAttack(model, make_data(60), make_data(60, 1))
    assert attack.measure(1) == attack.measure(1)
    for old, new in zip(before, keras_api.all_variables(model), strict=True):
        assert np.array_equal(old, np.array(new))
    assert model.loss is loss
    assert model.optimizer is optimizer
    assert int(optimizer.iterations.numpy()) == 0


def test_the_sample_is_that_of_the_smallest_keys_in_any_order() -> None:
    from tfx_privacy import training
    from tfx_privacy.training.over_training import sample

    data = make_data(200)
    chosen = sample(data, 20)
    assert len(chosen) == 20
    order = np.random.default_rng(0).permutation(200)
    features, labels = data.take(order)
    again = sample(training.ColumnarDataset(features, labels), 20)
    assert np.array_equal(chosen.columns["features"], again.columns["features"])
    assert np.array_equal(chosen.labels, again.labels)
    assert len(sample(data, 500)) == 200


def test_a_loss_that_is_not_finite_gives_no_checkpoint(caplog: pytest.LogCaptureFixture) -> None:
    from tfx_privacy.training.over_training import LossAttack

    model = make_model()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with caplog.at_level(logging.WARNING, logger="tfx_privacy"):
        assert LossAttack(model, make_data(20), make_data(20, 1)).measure(7) is None
    assert "Step 7: a loss is not finite" in caplog.text


def test_what_cannot_be_attacked() -> None:
    from tfx_privacy.training.over_training import LossAttack, MembershipCallback

    data = make_data(20)
    several = make_model(loss=["mse"])
    with pytest.raises(ModelError, match="one output with one loss"):
        LossAttack(several, data, data)
    with pytest.raises(ParameterError, match="every=0"):
        MembershipCallback(make_model(), data, data, every=0)
    with pytest.raises(ParameterError, match="unit='batches' to be one of epochs, steps"):
        MembershipCallback(make_model(), data, data, unit="batches")


@pytest.mark.parametrize(
    ("steps", "times", "calls", "expected"),
    [
        (100, 4, range(1, 101), [25, 50, 75, 100]),
        (100, 4, range(10, 101, 10), [30, 50, 80, 100]),
        (10, 3, range(1, 11), [3, 6, 9, 10]),
        (3, 20, range(1, 4), [1, 2, 3]),
        (50, 1, range(1, 51), [50]),
    ],
)
def test_when_it_attacks(steps: int, times: int, calls: range, expected: list[int]) -> None:
    from tfx_privacy.training.over_training import LossAttack, at_checkpoints

    attack = LossAttack(make_model(), make_data(20), make_data(20, 1))
    report, found = at_checkpoints(attack, steps=steps, times=times)
    for step in calls:
        report(step)
    assert [one.step for one in found] == expected


def make_history(*steps: int) -> AttackHistory:
    half = Interval(estimate=0.5, low=0.4, high=0.6)
    checkpoints = [Checkpoint(step=step, attack_auc=half, train_loss=1.0, test_loss=1.5) for step in steps]
    return AttackHistory(
        member_splits=["train"],
        nonmember_splits=["eval"],
        num_members=5,
        num_nonmembers=4,
        confidence_level=0.95,
        checkpoints=checkpoints,
    )


def test_the_history_survives_the_round_trip_and_is_in_order() -> None:
    record = make_history(1, 5)
    assert AttackHistory.from_json(record.to_json()) == record
    for text in (
        record.to_json().replace('"step": 5', '"step": 1'),
        record.to_json().replace('"step": 1', '"step": 7'),
    ):
        with pytest.raises(EvidenceError, match="not in the order of their steps"):
            AttackHistory.from_json(text)
