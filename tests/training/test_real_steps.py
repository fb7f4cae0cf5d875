"""Steps as the loop runs them: several in one call, passes one after the other, on two devices; whatever is seen was executed.

Statistical tests have a false alarm below 1e-6, and a twin that must fail.
"""

import contextlib
import functools
import itertools
import math
from typing import Any

import logical_devices
import normal_samples
import numpy as np
import pytest
from small_models import make_data, make_model, resolved, weights

pytestmark = pytest.mark.engine

FALSE_ALARM = 1e-6


scale_is = functools.partial(normal_samples.scale_is, false_alarm=FALSE_ALARM)


class OneWeightEach:
    """Records each of which moves one weight of its own by one clip: the weights tell who took part, and how often."""

    def __init__(self, num_records: int, strategy: Any = None) -> None:
        import tensorflow as tf

        from tfx_privacy.training import ColumnarDataset

        self.data = ColumnarDataset(
            {"x": np.eye(num_records, dtype=np.float32)}, np.zeros((num_records, 1), np.float32)
        )
        with strategy.scope() if strategy else contextlib.nullcontext():
            features = tf.keras.Input((num_records,), name="x")
            outputs = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(features)
            self.model = tf.keras.Model({"x": features}, outputs)
            # The gradient of the output itself: minus one in the record's own weight.
            self.model.compile(tf.keras.optimizers.SGD(1.0), loss=_minus_output)

    def moved(self) -> np.ndarray:
        return weights(self.model)


def _minus_output(labels: Any, outputs: Any) -> Any:
    return -outputs


def counts(num_records: int, steps: int, **options: Any) -> np.ndarray:
    """How often each record took part, plus noise of standard deviation 0.3 sqrt(steps), by a whole run."""
    from tfx_privacy import training

    case = OneWeightEach(num_records)
    run = resolved(num_records, steps=steps, noise_multiplier=0.3, expected_batch_size=num_records // 2)
    training.train(case.model, case.data, run, noise_multiplier=0.3, **options)
    return case.moved() * (num_records // 2)


def test_every_step_of_a_call_has_a_batch_of_its_own() -> None:
    """16 steps in one call: each record is drawn Binomial(16, 1/2) times, not 16 times or never.

    2,000 records; the mean and the variance are within five and a half standard deviations of what they should be.
    """
    found = counts(2000, 16)
    mean, variance = 16 * 0.5, 16 * 0.25 + 16 * 0.09
    assert abs(found.mean() - mean) < 5.5 * math.sqrt(variance / len(found))
    assert abs(found.var() - variance) < 5.5 * variance * math.sqrt(2 / len(found))
    # One batch for all steps has a variance of 64 and a bit, one for each half of them of 32.
    assert 32 - variance > 5.5 * variance * math.sqrt(2 / len(found))


def test_a_call_adds_up_exactly_the_batches_that_it_is_given() -> None:
    """Batches of sizes that take the large chunk, small ones, or nothing; the tests' noise is taken off again."""
    from tfx_privacy.training.batches import Layout, ResidentData
    from tfx_privacy.training.noise import GaussianNoise
    from tfx_privacy.training.private_step import Execution, Performance, PrivateStep, StepSettings

    batches = [np.array([0, 1, 2]), np.array([3]), np.array([], np.int64), np.arange(4, 17), np.array([0, 5])]

    def moved(drawn: list[np.ndarray]) -> np.ndarray:
        case = OneWeightEach(20)
        settings = StepSettings(l2_norm_clip=1.0, noise_multiplier=0.3, expected_batch_size=4.0)
        execution = Execution(performance=Performance(layout=Layout(large=4, num_large=1, small=2)))
        step = PrivateStep(
            case.model,
            ResidentData(case.data),
            settings,
            execution,
            make_noise=lambda size: GaussianNoise(deterministic_seed=1),
        )
        step.run(drawn)
        return case.moved() * 4

    nothing = moved([np.array([], np.int64)] * len(batches))
    expected = sum(np.isin(np.arange(20), batch) * 1.0 for batch in batches)
    # The clip is shortened by 1e-5 for rounding.
    np.testing.assert_allclose(moved(batches) - nothing, expected, atol=1e-4)


def test_a_step_multiplies_in_full_precision() -> None:
    """Rounded to 10 bits, as GPUs do by default, a sum may be longer than the norm that its factor comes from."""
    import tensorflow as tf

    from tfx_privacy.training.batches import ResidentData
    from tfx_privacy.training.private_step import PrivateStep, StepSettings

    is_rounded = tf.config.experimental.tensor_float_32_execution_enabled
    settings = StepSettings(l2_norm_clip=1.0, noise_multiplier=0.3, expected_batch_size=4.0)
    case, during = OneWeightEach(20), []
    step = PrivateStep(case.model, ResidentData(case.data), settings)

    def steps(*arguments: Any) -> float:
        during.append(is_rounded())
        return 0.0

    step._run = steps
    before = is_rounded()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        step.run([np.array([0])])
        assert during == [False]
        assert is_rounded()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.parametrize("changes", [{}, {"audit_canaries": 100}, {"clipping": "adaptive"}], ids=str)
def test_the_norm_that_is_told_is_that_of_the_noisy_update(changes: dict[str, Any]) -> None:
    """At learning rate one it is how far the weights moved: nothing of the sum before the noise is told."""
    from tfx_privacy import training

    model, told = make_model(), []
    before = [weights(model)]

    def report(progress: Any) -> None:
        told.append(progress.update_norm)
        before.append(weights(model))

    run = resolved(40, steps=3, **changes)
    training.train(model, make_data(), run, noise_multiplier=1.0, on_progress=report)
    moved = [float(np.linalg.norm(new - old)) for old, new in itertools.pairwise(before)]
    np.testing.assert_allclose(told, moved, rtol=1e-4)


def test_a_tree_begins_anew_with_each_pass_of_the_real_loop() -> None:
    """A model without gradient, four steps a pass: each pass adds the noise of one node.

    A tree that went on would add, in its second pass, node [1, 8] less node [1, 4]: twice the variance.
    """
    from tfx_privacy import training

    model = make_model(lambda layers, f: layers.Dense(3000)(f) * 0.0)
    seen = [weights(model)]
    run = resolved(40, steps=12, sampling="shuffled", algorithm="dp_ftrl", l2_norm_clip=0.5)
    assert run.steps_per_pass == 4
    training.train(
        model,
        make_data(),
        run,
        noise_multiplier=1.0,
        on_progress=lambda _: seen.append(weights(model)),
        progress_every=4,
    )
    passes = np.diff(np.array(seen, np.float64), axis=0) * 10 / 0.5
    for number, moved in enumerate(passes):
        assert scale_is(moved, 1.0), number
        assert not scale_is(moved, math.sqrt(2.0))
    assert abs(np.corrcoef(passes[0], passes[1])[0, 1]) < 5 / math.sqrt(passes.shape[1])


def test_two_passes_that_were_broken_off_are_two() -> None:
    """Four steps a pass, and two attempts killed after six steps each: four passes were begun, not three."""
    from tfx_privacy.training.mechanism import History, PrivateMechanism

    run = resolved(40, steps=16, sampling="shuffled")
    assert run.compositions_of([6, 6]) == 4
    assert run.compositions_of([6, 6, 4]) == 5
    mechanism = PrivateMechanism(make_model(), make_data(), run, noise_multiplier=1.0)
    mechanism.resume_from(History((6, 6), completed=4))
    mechanism.advance(3)
    executed = mechanism.executed()
    assert executed.passes == [4, 2, 4, 2, 3]
    assert (executed.steps, executed.lost_steps) == (15, 8)


def test_the_coins_of_an_audit_are_fresh_and_fair() -> None:
    """Nobody who reads the code knows who takes part: two runs agree on half of the canaries (5 sigma)."""
    import random

    from tfx_privacy.training.mechanism import PrivateMechanism

    members = []
    for _ in range(2):
        np.random.seed(1)
        random.seed(1)
        mechanism = PrivateMechanism(make_model(), make_data(), resolved(40, audit_canaries=4000), noise_multiplier=1.0)
        found = mechanism.canaries()
        assert found is not None
        members.append(found.is_member)
    for one in members:
        assert abs(one.mean() - 0.5) < 5 * math.sqrt(0.25 / 4000)
    assert abs((members[0] == members[1]).mean() - 0.5) < 5 * math.sqrt(0.25 / 4000)


@pytest.fixture
def mirrored() -> Any:
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(logical_devices.NAMES)
    assert strategy.num_replicas_in_sync == 2
    return strategy


@pytest.mark.slow
def test_two_devices_count_every_record_once(mirrored: Any) -> None:
    """All 20 records in one step, without noise but the tests', which is taken off."""
    from tfx_privacy import training

    def moved(strategy: Any) -> np.ndarray:
        case = OneWeightEach(20, strategy)
        run = resolved(20, steps=1, noise_multiplier=0.3, expected_batch_size=20)
        options: dict[str, Any] = {"noise_multiplier": 0.3, "deterministic_noise_for_tests": 1}
        training.train(case.model, case.data, run, strategy=strategy, **options)
        copies = case.model.trainable_variables[0]
        if strategy:
            first, second = (np.array(copy) for copy in copies.values)
            np.testing.assert_array_equal(first, second)
        return case.moved() * 20

    np.testing.assert_allclose(moved(mirrored), moved(None), atol=1e-5)


def test_two_devices_add_the_noise_of_one(mirrored: Any) -> None:
    """A model without gradient: once per device would double the variance, half of it would halve it."""
    from tfx_privacy import training

    with mirrored.scope():
        model = make_model(lambda layers, f: layers.Dense(3000)(f) * 0.0)
    before = weights(model)
    training.train(model, make_data(), resolved(40, steps=1), noise_multiplier=1.0, strategy=mirrored)
    noise = (weights(model) - before) * 10
    assert scale_is(noise, 1.0)
    assert not scale_is(noise, math.sqrt(2.0))
    assert not scale_is(noise, math.sqrt(0.5))


@pytest.mark.slow
def test_an_adaptive_clip_on_two_devices_counts_every_unit_once(mirrored: Any) -> None:
    """All units are within the clip: the share that moves it is one, up to its small noise."""
    from tfx_privacy import training

    told: list[Any] = []
    with mirrored.scope():
        model = make_model(lambda layers, f: layers.Dense(1)(f) * 0.0)
    run = resolved(40, steps=1, clipping="adaptive", expected_batch_size=40, clip_count_noise=0.6)
    training.train(
        model,
        make_data(),
        run,
        noise_multiplier=1.0,
        strategy=mirrored,
        on_progress=lambda progress: told.append(progress.clipped_fraction),
    )
    assert abs(told[0]) < 6 * 0.6 / 40


def test_an_adaptive_clip_stays_a_number() -> None:
    """Every unit is within whatever clip, and 120 steps of a factor exp(-2.5) would take float32 to zero."""
    from tfx_privacy import training

    model = make_model(lambda layers, f: layers.Dense(1)(f) * 0.0)
    run = resolved(
        40, steps=120, clipping="adaptive", expected_batch_size=40, clip_count_noise=0.6, clip_learning_rate=5.0
    )
    executed: Any = training.train(model, make_data(), run, noise_multiplier=1.0).mechanism
    assert executed.adaptive_clipping.final_l2_norm_clip == pytest.approx(1e-9, rel=1e-3)
