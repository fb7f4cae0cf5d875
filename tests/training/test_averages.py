"""`use_ema=True`: training ends with the averaged weights, as Keras' own `fit` does."""

import contextlib
import importlib
import pathlib
from typing import Any

import logical_devices
import numpy as np
import pytest
from small_models import GENERATIONS, make_data, make_model, resolved, weights

from tfx_privacy import DPParameters
from tfx_privacy.errors import ModelError

pytestmark = pytest.mark.engine

MOMENTUM = 0.8


def averaging(generation: str = "tf_keras", **options: Any) -> Any:
    """A model without gradient, whose weights move by noise alone."""
    optimizers = importlib.import_module(generation).optimizers
    optimizer = optimizers.SGD(1.0, **options)
    return make_model(lambda layers, f: layers.Dense(30)(f) * 0.0, "mse", optimizer=optimizer, generation=generation)


def averages(model: Any) -> np.ndarray:
    return np.concatenate([np.array(average).ravel() for average in model.optimizer._model_variables_moving_average])


def train(model: Any, steps: int = 9, **options: Any) -> list[np.ndarray]:
    """The weights before the first step, and as they were told of after each."""
    from tfx_privacy import training

    seen = [weights(model)]
    run = resolved(40, steps=steps)
    options = {"on_progress": lambda _: seen.append(weights(model)), **options}
    training.train(model, make_data(), run, noise_multiplier=1.0, deterministic_noise_for_tests=1, **options)
    return seen


def by_hand(plain: list[np.ndarray], generation: str, overwritten_every: int | None) -> np.ndarray:
    """Keras' formula on the same noisy moves: Keras 2 averages from the first weights on, Keras 3 from the second."""
    now, average = plain[0], plain[0]
    for step, moved in enumerate(np.diff(plain, axis=0), start=1):
        now = now + moved
        momentum = 0.0 if step == 1 and generation == "keras" else MOMENTUM
        average = momentum * average + (1 - momentum) * now
        if overwritten_every and step % overwritten_every == 0:
            now = average
    return average


@pytest.mark.slow
@pytest.mark.parametrize("overwritten_every", [None, 4])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_weights_end_as_their_averages(generation: str, overwritten_every: int | None) -> None:
    """The last report, by which an attack during training goes, is of the averaged weights too."""
    plain = train(averaging(generation))
    options = {"use_ema": True, "ema_momentum": MOMENTUM, "ema_overwrite_frequency": overwritten_every}
    model = averaging(generation, **options)
    seen = train(model)
    np.testing.assert_array_equal(weights(model), averages(model))
    np.testing.assert_array_equal(seen[-1], weights(model))
    np.testing.assert_allclose(weights(model), by_hand(plain, generation, overwritten_every), rtol=1e-4, atol=1e-5)
    assert not np.allclose(weights(model), plain[-1])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_without_averages_nothing_changes(generation: str) -> None:
    one, other = averaging(generation), averaging(generation, ema_momentum=0.5)
    np.testing.assert_array_equal(train(one)[-1], train(other)[-1])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_without_privacy_they_are_averaged_as_well(generation: str) -> None:
    from tfx_privacy import training

    optimizers = importlib.import_module(generation).optimizers
    model = make_model(optimizer=optimizers.Adam(0.1, use_ema=True), generation=generation)
    run = DPParameters(enabled=False, expected_batch_size=10, steps=8).resolve(population=40)
    training.train(model, make_data(), run, noise_multiplier=None)
    np.testing.assert_array_equal(weights(model), averages(model))


class KilledError(Exception):
    """Stands for what ends a process."""


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [4, 8])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_resumed_run_goes_on_averaging(tmp_path: pathlib.Path, generation: str, kill_at: int) -> None:
    """Killed half way, or after its last step: the average of all eight steps comes out, not that of the last four."""
    from tfx_privacy import training

    def kill(progress: Any) -> None:
        if progress.step == kill_at:
            raise KilledError

    options = {"use_ema": True, "ema_momentum": 0.999}
    first, second = averaging(generation, **options), averaging(generation, **options)
    for model, report in ((first, kill), (second, None)):
        with (
            contextlib.suppress(KilledError),
            training.Checkpoints(tmp_path, every=4) as checkpoints,
        ):
            training.train(
                model,
                make_data(),
                resolved(40, steps=8),
                noise_multiplier=1.0,
                checkpoints=checkpoints,
                on_progress=report,
                progress_every=4,
            )
    np.testing.assert_array_equal(weights(second), averages(second))
    # With such a momentum the average has hardly left where the first attempt's was.
    far = np.abs(averages(first) - averages(second)).max()
    assert far < 0.1 if kill_at == 4 else far == 0.0
    assert int(np.array(second.optimizer.iterations)) == 8


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_warm_start_is_averaged_from_its_own_weights(tmp_path: pathlib.Path, generation: str) -> None:
    import tensorflow as tf

    from tfx_privacy import training

    base = averaging(generation)
    for variable in base.trainable_variables:
        variable.assign(tf.fill(variable.shape, 100.0))
    module = tf.Module()
    module.model_weights = [
        variable if isinstance(variable, tf.Variable) else variable._value for variable in base.trainable_variables
    ]
    tf.saved_model.save(module, str(tmp_path))
    model = averaging(generation, use_ema=True, ema_momentum=0.99)
    training.load_weights(model, tmp_path)
    train(model)
    np.testing.assert_allclose(weights(model), 100.0, atol=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("overwritten_every", [None, 4])
def test_two_devices_end_with_averages(overwritten_every: int | None) -> None:
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(logical_devices.NAMES)
    with strategy.scope():
        model = averaging(use_ema=True, ema_momentum=MOMENTUM, ema_overwrite_frequency=overwritten_every)
    train(model, strategy=strategy)
    np.testing.assert_array_equal(weights(model), averages(model))
    for variable in model.trainable_variables:
        first, second = (np.array(copy) for copy in variable.values)
        np.testing.assert_array_equal(first, second)


def test_what_keras_3_cannot_do_on_two_devices_is_refused() -> None:
    import tensorflow as tf

    from tfx_privacy import training

    strategy = tf.distribute.MirroredStrategy(logical_devices.NAMES)
    run = resolved(40)
    model = averaging("keras", use_ema=True, ema_overwrite_frequency=4)
    with pytest.raises(ModelError, match="ema_overwrite_frequency=4"):
        training.check_run(model, run, 1.0, strategy=strategy)
    training.check_run(model, run, 1.0)
    training.check_run(averaging("keras", use_ema=True), run, 1.0, strategy=strategy)
