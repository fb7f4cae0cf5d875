"""Models with tensorflow-privacy's classes: their numbers are read, they become plain Keras, and nothing has two sources."""

import importlib.util
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfx_privacy import DPParameters, compat
from tfx_privacy.errors import ModelError, ParameterError

pytestmark = pytest.mark.engine

needs_theirs = pytest.mark.skipif(importlib.util.find_spec("tensorflow_privacy") is None, reason="needs the extra")

LEFT_OUT = DPParameters(target_delta=1e-4, expected_batch_size=50, epochs=2)


def of(**changes: Any) -> DPParameters:
    return DPParameters(**{"target_delta": 1e-4, "expected_batch_size": 50, "epochs": 2, **changes})


def theirs(name: str) -> Any:
    compat.repair_tensorflow_privacy()
    import tensorflow_privacy

    return getattr(tensorflow_privacy, name)


def sparse(name: str) -> Any:
    return getattr(compat.tensorflow_privacy("privacy.optimizers.dp_optimizer_keras_sparse"), name)


def compiled(optimizer: Any, make: Any = None, **arguments: Any) -> Any:
    import tf_keras

    layers = [tf_keras.layers.Input((3,), name="x"), tf_keras.layers.Dense(1)]
    model = (make or tf_keras.Sequential)(layers=layers, **arguments)
    model.compile(optimizer, "mse")
    return model


def stated(**changes: Any) -> Any:
    from tfx_privacy.training.stated_privacy import Stated

    values = {"kind": "DPSequential", "l2_norm_clip": 0.5, "noise_multiplier": 1.1, "num_microbatches": None}
    return Stated(**{**values, **changes})


@needs_theirs
def test_the_package_can_be_imported_and_is_not_unless_asked_for() -> None:
    """Its own `__init__` fails beside this TensorFlow, so the names of the tutorials are found without it."""
    compat.repair_tensorflow_privacy()
    compat.repair_tensorflow_privacy()
    assert sum(type(finder).__name__ == "_PrivacyFinder" for finder in sys.meta_path) == 1
    import tensorflow_privacy
    from tensorflow_privacy import DPKerasSGDOptimizer

    assert tensorflow_privacy.privacy.optimizers.dp_optimizer_keras.DPKerasSGDOptimizer is DPKerasSGDOptimizer
    for name in ("v1", "restart_query"):  # modules among the names
        assert getattr(tensorflow_privacy, name).__name__.endswith(name)
    with pytest.raises(AttributeError, match="has no attribute 'DPNothing'"):
        _ = tensorflow_privacy.DPNothing


OPTIMIZERS: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "DPKerasSGDOptimizer": (
        lambda: theirs("DPKerasSGDOptimizer")(0.7, 1.1, learning_rate=0.3, momentum=0.9, nesterov=True),
        "SGD",
        {"learning_rate": 0.3, "momentum": 0.9, "nesterov": True},
    ),
    "DPKerasAdamOptimizer": (
        lambda: theirs("DPKerasAdamOptimizer")(0.7, 1.1, learning_rate=0.02, beta_1=0.8, clipnorm=3.0),
        "Adam",
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.999, "clipnorm": 3.0},
    ),
    "DPKerasAdagradOptimizer": (
        lambda: theirs("DPKerasAdagradOptimizer")(0.7, 1.1, initial_accumulator_value=0.2),
        "Adagrad",
        {"learning_rate": 0.001, "initial_accumulator_value": 0.2},
    ),
    "VectorizedDPKerasAdamOptimizer": (
        lambda: theirs("VectorizedDPKerasAdamOptimizer")(0.7, 1.1, learning_rate=0.02),
        "Adam",
        {"learning_rate": 0.02},
    ),
    "DPSparseKerasSGDOptimizer": (
        lambda: sparse("DPSparseKerasSGDOptimizer")(0.7, 1.1, learning_rate=0.02),
        "SGD",
        {"learning_rate": 0.02},
    ),
}


@needs_theirs
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_read_and_becomes_keras_own_with_its_hyperparameters(name: str) -> None:
    import tf_keras

    from tfx_privacy.training import stated_privacy, validation

    make, plain, settings = OPTIMIZERS[name]
    model = compiled(make())
    found = stated_privacy.take(model)
    assert found is not None
    assert (found.kind, found.l2_norm_clip, found.noise_multiplier, found.num_microbatches) == (name, 0.7, 1.1, None)
    assert type(model.optimizer) is getattr(tf_keras.optimizers, plain)
    config = model.optimizer.get_config()
    assert {key: config[key] for key in settings} == pytest.approx(settings, rel=1e-6)
    validation.check_structure(model)
    assert stated_privacy.take(model) is None  # nothing is left of it


@needs_theirs
def test_learning_rates_that_change_stay() -> None:
    import tf_keras

    from tfx_privacy.training import stated_privacy

    class Own(tf_keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return 0.25

    schedule = Own()
    model = compiled(theirs("DPKerasSGDOptimizer")(1.0, 1.1, learning_rate=schedule))
    stated_privacy.take(model)
    assert model.optimizer._learning_rate is schedule

    decaying = theirs("DPKerasSGDOptimizer")(1.0, 1.1, learning_rate=0.4, decay=0.5)
    model = compiled(decaying)
    stated_privacy.take(model)
    rates = [float(model.optimizer._learning_rate(step)) for step in (0, 1, 6)]
    assert rates == pytest.approx(
        [0.4, 0.4 / 1.5, 0.4 / 4.0]
    )  # that of Keras' earlier optimizers: rate / (1 + decay step)


@needs_theirs
def test_a_model_is_read_and_becomes_keras_own_with_its_layers_and_weights() -> None:
    import tf_keras

    from tfx_privacy.training import stated_privacy, validation

    for xla in (True, False):
        arguments = {"l2_norm_clip": 0.7, "noise_multiplier": 1.1, "num_microbatches": 50, "use_xla": xla}
        model = compiled("sgd", theirs("DPSequential"), **arguments)
        before = model.get_weights()
        assert stated_privacy.take(model) == stated(kind="DPSequential", l2_norm_clip=0.7, num_microbatches=50)
        assert type(model) is tf_keras.Sequential
        assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
        validation.check_structure(model)


@needs_theirs
def test_a_users_own_subclass_keeps_its_methods() -> None:
    import tf_keras

    from tfx_privacy.training import stated_privacy, validation

    # Of a class of this test's alone: Keras changes DPModel itself once a functional one was made.
    dp_model: Any = compat.tensorflow_privacy("privacy.keras_models.dp_keras_model").make_dp_model_class(tf_keras.Model)

    class Own(dp_model):
        def __init__(self) -> None:
            super().__init__(l2_norm_clip=0.5, noise_multiplier=1.1)
            self.last = tf_keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, inputs: Any, training: Any = None) -> Any:
            return self.last(inputs)

        def get_config(self) -> Any:
            return {**super().get_config(), "mine": 1}

    for _ in range(2):  # reference models are made by the same module
        model = Own()
        model.compile("sgd", "mse")
        assert stated_privacy.take(model) == stated(kind="DPModel")
        validation.check_structure(model)
        assert isinstance(model, Own)
        assert float(model(np.ones((1, 3), np.float32))) == 3.0
        assert model.get_config()["mine"] == 1

    inputs = tf_keras.Input((3,), name="x")
    functional = dp_model(0.5, 1.1, inputs={"x": inputs}, outputs=tf_keras.layers.Dense(1)(inputs))
    functional.compile("sgd", "mse")
    assert stated_privacy.take(functional) == stated(kind="DPModel")
    validation.check_structure(functional)


def own_train_step() -> Any:
    class Own(theirs("DPSequential")):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            return {}

    return compiled("sgd", Own, l2_norm_clip=1.0, noise_multiplier=1.0)


@needs_theirs
def test_a_train_step_of_ones_own_stays_refused() -> None:
    from tfx_privacy.training import stated_privacy, validation

    model = own_train_step()
    stated_privacy.take(model)
    with pytest.raises(ModelError, match="own train_step"):
        validation.check_structure(model)


def accumulating() -> Any:
    return compiled(theirs("DPKerasSGDOptimizer")(1.0, 1.1, gradient_accumulation_steps=4))


def twice() -> Any:
    return compiled(
        theirs("DPKerasSGDOptimizer")(1.0, 1.1), theirs("DPSequential"), l2_norm_clip=1.0, noise_multiplier=1.1
    )


def tree() -> Any:
    return compiled(theirs("DPFTRLTreeAggregationOptimizer")(1.0, 1.1, compiled("sgd")))


def inside() -> Any:
    import tf_keras

    class Outer(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.part = theirs("DPSequential")(1.0, 1.1, layers=[tf_keras.layers.Dense(1)])

    model = Outer()
    model.compile("sgd", "mse")
    return model


def altered() -> Any:
    class Own(theirs("VectorizedDPKerasSGDOptimizer")):  # type: ignore[misc]
        pass

    return compiled(Own(1.0, 1.1))


def unknown_base() -> Any:
    import tf_keras

    return compiled(theirs("make_vectorized_keras_optimizer_class")(tf_keras.optimizers.legacy.Ftrl)(1.0, 1.1))


def another_noise() -> Any:
    class Own(theirs("DPSequential")):  # type: ignore[misc]
        def _reduce_per_example_grads(self, stacked_grads: Any) -> Any:
            return super()._reduce_per_example_grads(stacked_grads)

    return compiled("sgd", Own, l2_norm_clip=1.0, noise_multiplier=1.0)


def clipped_to_zero() -> Any:
    return compiled(theirs("DPKerasSGDOptimizer")(0.0, 1.1))


@needs_theirs
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (accumulating, "gradient_accumulation_steps=4"),
        (twice, "is a DPSequential and its optimizer a DPKerasSGDOptimizer"),
        (tree, "releases by a TreeResidualSumQuery.*algorithm='dp_ftrl'"),
        (inside, "is a DPSequential of tensorflow-privacy inside of another model"),
        (altered, "Its optimizer is Own, made from tensorflow-privacy's VectorizedDPKerasSGDOptimizer"),
        (another_noise, "Own changes _reduce_per_example_grads of tensorflow-privacy's DPSequential"),
        (unknown_base, "VectorizedDPKerasFtrlOptimizer; DPTrainer reads that class alone, over Keras' SGD"),
        (clipped_to_zero, "l2_norm_clip=0.0 and noise of standard deviation 0.0"),
    ],
)
def test_what_cannot_be_taken_for_what_it_says(make: Callable[[], Any], message: str) -> None:
    from tfx_privacy.training import stated_privacy

    with pytest.raises(ModelError, match=message):
        stated_privacy.take(make())


def test_what_was_left_out_is_the_models() -> None:
    from tfx_privacy.training.stated_privacy import merged, sources

    run = merged(LEFT_OUT, stated())
    assert (run.noise_multiplier, run.l2_norm_clip, run.leaves_out_clip) == (1.1, 0.5, False)
    assert [(source.source, source.model_class) for source in sources(LEFT_OUT, stated())] == [
        ("model", "DPSequential")
    ] * 2
    agreed = of(noise_multiplier=1.1, l2_norm_clip=0.5)
    assert merged(agreed, stated()) == agreed
    assert [source.source for source in sources(agreed, stated())] == ["privacy", "privacy"]
    # The round-off of the product that tensorflow-privacy keeps is no difference.
    assert merged(of(noise_multiplier=1.1), stated(noise_multiplier=math.nextafter(1.1, 2))).noise_multiplier == 1.1


def test_without_a_class_of_theirs_the_argument_says_it_all() -> None:
    from tfx_privacy.training.stated_privacy import merged, sources

    asked = of(target_epsilon=2.0)
    assert merged(asked, None) is asked
    assert [source.source for source in sources(asked, None)] == ["calibrated", "default"]
    assert sources(of(enabled=False), None) == []
    with pytest.raises(ParameterError, match="Neither noise_multiplier nor target_epsilon"):
        merged(LEFT_OUT, None)


@pytest.mark.parametrize(
    ("privacy", "message"),
    [
        ({"noise_multiplier": 1.2}, "states noise_multiplier=1.1, and privacy= has noise_multiplier=1.2"),
        ({"noise_multiplier": 1.0}, "states noise_multiplier=1.1, and privacy= has noise_multiplier=1.0"),
        ({"l2_norm_clip": 1.0}, "states l2_norm_clip=0.5, and privacy= has l2_norm_clip=1.0"),
        ({"target_epsilon": 3.0}, "states noise_multiplier=1.1, and privacy= has target_epsilon=3"),
        ({"enabled": False}, "states noise_multiplier=1.1, and privacy= has enabled=False"),
        ({"clipping": "adaptive"}, "is clipping='flat', and privacy= has clipping='adaptive'"),
        (
            {"algorithm": "dp_ftrl", "sampling": "shuffled"},
            "is algorithm='dp_sgd', and privacy= has algorithm='dp_ftrl'",
        ),
        (
            {"privacy_unit": "user", "user_id_key": "id", "max_records_per_user": 2},
            "is privacy_unit='example', and privacy= has privacy_unit='user'",
        ),
    ],
)
def test_two_sources_that_differ_are_an_error(privacy: dict[str, Any], message: str) -> None:
    from tfx_privacy.training.stated_privacy import merged

    with pytest.raises(ParameterError, match=message):
        merged(of(**privacy), stated())


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"noise_multiplier": 0.0}, r"noise_multiplier=0.0 in \[0.3"),
        ({"noise_multiplier": math.nan}, "noise_multiplier=nan to be a finite number"),
        ({"noise_multiplier": None}, "noise_multiplier=None to be a finite number"),
        ({"l2_norm_clip": 0.0}, "l2_norm_clip=0.0 > 0"),
        ({"l2_norm_clip": math.inf}, "l2_norm_clip=inf"),
    ],
)
def test_numbers_that_promise_nothing(numbers: dict[str, Any], message: str) -> None:
    from tfx_privacy.training.stated_privacy import merged

    with pytest.raises(ParameterError, match=f"The model's DPSequential.*{message}"):
        merged(LEFT_OUT, stated(**numbers))


@pytest.mark.parametrize("number", [1, 5, 49, 100])
def test_microbatches_of_several_records_are_another_unit(number: int) -> None:
    from tfx_privacy.training.stated_privacy import merged

    with pytest.raises(ParameterError, match=f"num_microbatches={number}.*another privacy unit"):
        merged(LEFT_OUT, stated(num_microbatches=number))


def test_microbatches_of_one_record() -> None:
    from tfx_privacy.training.stated_privacy import check_microbatches, merged

    for number in (None, 50):
        assert merged(LEFT_OUT, stated(num_microbatches=number)).noise_multiplier == 1.1
    check_microbatches(None, None)
    check_microbatches(stated(), None)
    check_microbatches(stated(num_microbatches=30), 0.1 * 300)
    with pytest.raises(ParameterError, match="num_microbatches=30"):
        check_microbatches(stated(num_microbatches=30), None)
    with pytest.raises(ParameterError, match="num_microbatches=0"):
        check_microbatches(stated(num_microbatches=0), 50)
