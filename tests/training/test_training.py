"""Whole training runs: what was executed, what was learned, and what is said of it."""

import functools
import importlib
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from small_models import (
    GENERATIONS,
    make_data,
    make_model,
    naive_gradients,
    naive_sum,
    resolved,
    weights,
)

from tfx_privacy import DPParameters
from tfx_privacy.accounting.composition import dp_sgd_event, terms
from tfx_privacy.accounting.epsilon import epsilon_bounds, rdp_epsilon
from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism

pytestmark = pytest.mark.engine


def train(model: Any, data: Any, run: Any, **options: Any) -> Any:
    from tfx_privacy import training

    return training.train(model, data, run, noise_multiplier=run.parameters.noise_multiplier, **options)


def accuracy(model: Any, data: Any) -> float:
    return float(((np.array(model(data.features))[:, 0] > 0.5) == data.labels[:, 0]).mean())


def test_the_mechanism_is_what_was_executed() -> None:
    told: list[Any] = []
    run = resolved(40, l2_norm_clip=0.3, steps=7, noise_multiplier=1.5)
    outcome = train(make_model(), make_data(), run, on_progress=told.append, progress_every=3)
    assert outcome.audit is None
    assert outcome.mechanism == DPMechanism(
        sampling_probability=0.25,
        steps=7,
        noise_multiplier=1.5,
        l2_norm_clip=0.3,
        expected_batch_size=10.0,
        noise_source="os_entropy",
    )
    assert [progress.step for progress in told] == [3, 6, 7]
    assert all(progress.update_norm > 0 for progress in told)


def test_the_steps_that_are_counted_are_those_of_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampler, noise and account are one object: whoever draws is counted, with the probability that was drawn with."""
    from tfx_privacy.training import mechanism, sampling

    draws: list[int] = []

    class Counting(sampling.PoissonSampler):
        def __init__(self, *, num_units: int, sampling_probability: float) -> None:
            super().__init__(num_units=num_units, sampling_probability=2 * sampling_probability)

        def draw(self) -> np.ndarray:
            draws.append(self.num_units)
            return super().draw()

    monkeypatch.setattr(mechanism, "PoissonSampler", Counting)
    outcome = train(make_model(), make_data(), resolved(40, steps=23))
    assert outcome.mechanism.steps == len(draws) == 23
    assert outcome.mechanism.sampling_probability == 0.5


def test_a_run_that_lacks_a_number_is_refused_by_name() -> None:
    """Before anything is traced, and not by an assertion."""
    alone = DPParameters(noise_multiplier=1.0, sampling_probability=0.1, steps=3).resolve()
    with pytest.raises(ParameterError, match=r"sampling_probability=0\.1 .* Declare population"):
        train(make_model(), make_data(), alone)
    target = DPParameters(target_epsilon=1.0, sampling_probability=0.1, steps=3).resolve(population=40)
    with pytest.raises(ParameterError, match="noise_multiplier is not set"):
        train(make_model(), make_data(), target)
    users = resolved(40, privacy_unit="user", user_id_key="id", max_records_per_user=2)
    with pytest.raises(ParameterError, match=r"with_users\('id'\)"):
        train(make_model(), make_data(), users)


def test_test_noise_is_stamped() -> None:
    outcome = train(make_model(), make_data(), resolved(40), deterministic_noise_for_tests=1)
    assert outcome.mechanism.noise_source == "deterministic_test"
    assert not outcome.mechanism.is_private


def test_an_empty_batch_is_a_step_of_noise() -> None:
    from tfx_privacy.accounting.parameters import ResolvedParameters

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
    assert train(model, data, run).mechanism.steps == 3
    assert np.all(weights(model) != before)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 7, 64])
def test_the_chunk_size_changes_nothing(chunk_size: int) -> None:
    """Every record is drawn (probability one), and the noise is the tests': 40 records in chunks of 1, 7 and 64."""
    from tfx_privacy import training

    run = resolved(40, expected_batch_size=40, steps=2, l2_norm_clip=0.1)
    found = []
    for size in (chunk_size, 40):
        model = make_model()
        performance = training.Performance(layout=training.Layout.of_chunks(40, size))
        train(model, make_data(), run, performance=performance, deterministic_noise_for_tests=3)
        found.append(weights(model))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_one_step_against_the_formula(generation: str) -> None:
    """All 40 records are clipped and summed, and the sum is divided by the declared 20, not by the private 40."""
    model, data = make_model(generation=generation), make_data()
    rows, before = naive_gradients(model, data), weights(model)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    run = DPParameters(
        noise_multiplier=0.3, target_delta=1e-6, sampling_probability=1.0, steps=1, population=20, l2_norm_clip=clip
    ).resolve()
    moved = [before - weights(_trained(generation, data, run, seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(moved[0], moved[1])
    # Noise apart, the mean of many runs is the formula; the tests' noise of seed 1 is known from a run without records.
    empty = make_data()
    empty.features["features"][:] = np.nan
    noise = before - weights(_trained(generation, empty, run, 1))
    np.testing.assert_allclose(moved[0] - noise, naive_sum(rows, clip) / 20, rtol=1e-3, atol=1e-6)
    assert noise.std() == pytest.approx(0.3 * clip / 20, rel=0.5)


def _trained(generation: str, data: Any, run: Any, seed: int) -> Any:
    model = make_model(generation=generation)
    train(model, data, run, deterministic_noise_for_tests=seed)
    return model


def test_two_sizes_of_data_have_the_same_divisor() -> None:
    """With a declared population nothing in the graph depends on the number of records."""
    for count in (40, 39):
        run = resolved(count, population=50)
        assert (run.sampling_probability, run.expected_batch_size, run.steps) == (0.2, 10.0, 5)


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_optimizers_and_schedules_act_on_the_noisy_mean(generation: str) -> None:
    """Each learns, and SGD with momentum and a schedule moves as Keras' own does on the same (tests') gradients."""
    keras = importlib.import_module(generation)
    optimizers = keras.optimizers
    data, run = make_data(2000), resolved(2000, expected_batch_size=200, steps=60)
    for optimizer in (
        optimizers.SGD(2.0),
        optimizers.SGD(0.5, momentum=0.9),
        optimizers.Adam(0.05),
        optimizers.AdamW(0.05, weight_decay=1e-4),
        optimizers.Adagrad(0.2),
        optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
    ):
        model = make_model(optimizer=optimizer, generation=generation)
        assert train(model, data, run).mechanism.steps == 60
        assert accuracy(model, data) > 0.85, optimizer.name
        assert int(np.array(optimizer.iterations)) == 60


def test_a_schedule_of_learning_rates_is_followed_step_by_step() -> None:
    """At rate zero after two steps nothing moves any more."""
    import tensorflow as tf

    schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.0])
    # Noise is drawn for all steps of a call: with one step a call both runs get the same.
    options: dict[str, Any] = {"deterministic_noise_for_tests": 4, "on_progress": lambda progress: None}
    long, short = (make_model(optimizer=tf.keras.optimizers.SGD(rate)) for rate in (schedule, 1.0))
    # Every record takes part, so batches do not differ between the two.
    run = resolved(40, expected_batch_size=40, steps=9)
    train(long, make_data(), run, **options)
    train(short, make_data(), resolved(40, expected_batch_size=40, steps=2), **options)
    np.testing.assert_allclose(weights(long), weights(short), rtol=1e-5)


def _regularized(kind: str | None, layers: Any, features: Any) -> Any:
    return layers.Dense(1, "sigmoid", kernel_regularizer=kind)(features)


def test_weight_regularizers_need_no_noise() -> None:
    """Their gradient depends on no record: it is added after the noise, whole and not clipped."""
    moved = []
    for regularizer in (None, "l2"):
        model = make_model(functools.partial(_regularized, regularizer))
        kernel = np.array(model.trainable_variables[0])
        run = resolved(40, expected_batch_size=40, steps=1)
        train(model, make_data(), run, deterministic_noise_for_tests=1)
        moved.append(np.array(model.trainable_variables[0]) - kernel)
    np.testing.assert_allclose(moved[1] - moved[0], -2 * 0.01 * kernel, rtol=1e-3, atol=1e-6)


def test_the_untouched_rows_of_a_table_get_noise_too() -> None:
    """All rows move, those no record reads with the noise's scale: else the model would tell which ids occur."""
    import tensorflow as tf

    def body(layers: Any, features: Any) -> Any:
        ids = layers.Lambda(lambda x: tf.zeros_like(x, tf.int32))(features)
        return layers.Dense(1, "sigmoid")(layers.Flatten()(layers.Embedding(4000, 8)(ids)))

    model = make_model(body)
    before = np.array(model.trainable_variables[0])
    train(model, make_data(), resolved(40, steps=1, noise_multiplier=2.0, l2_norm_clip=0.1))
    moved = (np.array(model.trainable_variables[0]) - before)[1:].ravel()
    assert np.all(moved != 0)
    statistic = np.sum((moved.astype(np.float64) / (2.0 * 0.1 / 10)) ** 2)
    assert stats.chi2.ppf(5e-7, len(moved)) < statistic < stats.chi2.ppf(1 - 5e-7, len(moved))


def test_a_record_that_is_not_finite_does_no_harm() -> None:
    data = make_data()
    data.features["features"][3] = np.nan
    data.features["features"][4] = 3e38
    model = make_model()
    train(model, data, resolved(40, expected_batch_size=40))
    assert np.isfinite(weights(model)).all()


def test_weights_that_are_not_finite_end_the_run() -> None:
    import tensorflow as tf

    model = make_model(optimizer=tf.keras.optimizers.SGD(1e38))
    with pytest.raises(ModelError, match="not finite after training"):
        train(model, make_data(), resolved(40, l2_norm_clip=1e3))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_without_privacy_the_model_just_learns(generation: str) -> None:
    model, data = make_model(generation=generation), make_data(400)
    run = DPParameters(enabled=False, expected_batch_size=50, steps=100).resolve(population=400)
    assert train(model, data, run).mechanism == NoMechanism(steps=100)
    assert accuracy(model, data) > 0.9


def test_adaptive_clipping_finds_the_quantile_and_pays_for_it() -> None:
    """The clip ends near the median of the norms, from far above and below; the model hardly moves."""
    import tensorflow as tf

    for start in (5.0, 0.05):
        model, data = make_model(optimizer=tf.keras.optimizers.SGD(1e-6)), make_data(4000)
        run = resolved(
            4000,
            clipping="adaptive",
            l2_norm_clip=start,
            expected_batch_size=1000,
            steps=80,
        )
        executed = train(model, data, run).mechanism
        adaptive = executed.adaptive_clipping
        median = float(np.median(np.linalg.norm(naive_gradients(model, make_data(300)), axis=1)))
        assert adaptive.final_l2_norm_clip == pytest.approx(median, rel=0.1)
        assert executed.l2_norm_clip == start
        assert adaptive.noise_multiplier == pytest.approx(1.0)
        assert adaptive.sum_noise_multiplier > 1.0


def test_the_noise_of_an_adaptive_clip_is_of_the_clip_in_force() -> None:
    """A model without gradient: every unit is within the clip, which shrinks by exp(-0.2 (1 - 0.5)) a step."""
    import tensorflow as tf

    from tfx_privacy.training.mechanism import PrivateMechanism

    model = make_model(lambda layers, f: layers.Dense(3000)(f) * 0.0)
    data = make_data(400)
    run = resolved(400, clipping="adaptive", expected_batch_size=400, steps=3, clip_count_noise=2.0)
    mechanism = PrivateMechanism(model, data, run, noise_multiplier=1.0)
    clips, moved = [], []
    for _ in range(3):
        clips.append(mechanism.state["l2_norm_clip"].numpy())
        before = weights(model)
        mechanism.advance(1)
        moved.append((weights(model) - before).std() * 400)
    assert clips[1] / clips[0] == pytest.approx(math.exp(-0.1), rel=0.02)
    sum_noise = run.sum_noise_multiplier(1.0)
    np.testing.assert_allclose(moved, np.array(clips) * sum_noise, rtol=0.05)
    assert tf.executing_eagerly()


def test_the_count_within_an_adaptive_clip_is_noised() -> None:
    """All 400 units are within: what moves the clip's logarithm beyond that is noise of the count, in 100 steps (1e-6)."""
    from tfx_privacy.training.mechanism import PrivateMechanism

    model = make_model(lambda layers, f: layers.Dense(1)(f) * 0.0)
    run = resolved(400, clipping="adaptive", expected_batch_size=400, steps=100, clip_count_noise=30.0)
    mechanism = PrivateMechanism(model, make_data(400), run, noise_multiplier=1.0)
    logarithms, told = [0.0], []
    for _ in range(100):
        mechanism.advance(1)
        logarithms.append(math.log(float(mechanism.state["l2_norm_clip"])))
        told.append(mechanism.clipped_fraction)
    shares = 0.5 - np.diff(logarithms) / 0.2
    # What is told of a step is the noisy count that moved the clip, not the true one, which is 0.
    np.testing.assert_allclose(np.array(told, float), 1.0 - shares, atol=1e-4)
    noise = (shares - 1.0) * 400
    statistic = float(np.sum((noise / 30.0) ** 2))
    assert stats.chi2.ppf(5e-7, 100) < statistic < stats.chi2.ppf(1 - 5e-7, 100)


def test_passes_are_accounted_without_amplification() -> None:
    data = make_data(100)
    run = resolved(100, sampling="shuffled", expected_batch_size=30, steps=10)
    executed = train(make_model(), data, run).mechanism
    assert (executed.passes, executed.sampling) == ([4, 4, 2], "shuffled")
    assert terms(executed.event) == (1.0, 1.0, 3)


def test_dp_ftrl_is_accounted_as_the_tree_that_it_is() -> None:
    """dp-accounting's own event for one tree a pass gives the same Renyi epsilon."""
    from tfx_privacy.third_party.dp_accounting import dp_event, privacy_accountant, rdp

    model, data = make_model(), make_data(2000)
    run = resolved(2000, algorithm="dp_ftrl", sampling="shuffled", expected_batch_size=200, epochs=3, steps=None)
    executed = train(model, data, run).mechanism
    assert (executed.kind, executed.passes) == ("dp_ftrl", [10, 10, 10])
    assert accuracy(model, data) > 0.8
    ours = rdp_epsilon(executed.event, target_delta=1e-6)
    tree = dp_event.SingleEpochTreeAggregationDpEvent(1.0, 10)
    accountant = rdp.RdpAccountant(neighboring_relation=privacy_accountant.NeighboringRelation.REPLACE_SPECIAL)
    theirs = accountant.compose(tree, 3).get_epsilon(1e-6)
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_dp_ftrl_sums_have_the_tree_s_noise_in_the_real_loop() -> None:
    """A model without gradient, SGD at rate one: after 8 of 8 steps the weights hold the noise of one node, after 7 of three."""
    for steps, nodes in ((8, 1), (7, 3)):
        model = make_model(lambda layers, f: layers.Dense(3000)(f) * 0.0)
        before = weights(model)
        run = resolved(
            80, algorithm="dp_ftrl", sampling="shuffled", expected_batch_size=10, steps=steps, l2_norm_clip=0.5
        )
        train(model, make_data(80), run)
        moved = (weights(model) - before).astype(np.float64) * 10 / 0.5
        statistic = np.sum(moved**2) / nodes
        assert stats.chi2.ppf(5e-7, len(moved)) < statistic < stats.chi2.ppf(1 - 5e-7, len(moved)), steps


def test_users_are_drawn_and_clipped_as_one() -> None:
    """Ten users of four records, three of which are used: one step moves no further than ten clips."""
    data = make_data(40, user_ids=np.repeat(np.arange(10), 4))
    run = DPParameters(
        noise_multiplier=0.3, target_delta=1e-6, sampling_probability=1.0, steps=1, l2_norm_clip=0.05,
        privacy_unit="user", user_id_key="id", max_records_per_user=3,
    ).resolve(population=data.num_units("user"))  # fmt: skip
    assert run.expected_batch_size == 10.0
    model, noisy = make_model(), make_model()
    before = weights(model)
    outcome = train(model, data, run, deterministic_noise_for_tests=1)
    assert outcome.mechanism.sampling_probability == 1.0
    empty = make_data(40, user_ids=data.user_ids)
    empty.features["features"][:] = np.nan
    train(noisy, empty, run, deterministic_noise_for_tests=1)
    moved = np.linalg.norm((weights(model) - weights(noisy)).astype(np.float64)) * 10 / 0.05
    assert 5 < moved <= 10 * (1 + 1e-5)
    assert np.any(weights(noisy) != before)


def canary_scores(changes: dict[str, Any], wrong_noise: float = 1.0) -> Any:
    from tfx_privacy.training.mechanism import PrivateMechanism

    run = resolved(200, audit_canaries=2000, **changes)
    mechanism = PrivateMechanism(make_model(), make_data(200), run, noise_multiplier=run.parameters.noise_multiplier)
    mechanism._step._noise_multiplier *= wrong_noise
    for _ in range(run.steps):
        mechanism.advance(1)
    return mechanism.canaries()


def test_canaries_are_drawn_clipped_and_noised_like_records() -> None:
    """Members' scores are Binomial(steps, q) / sigma plus normal of variance steps; others' are noise alone (5 sigma each)."""
    found = canary_scores({"steps": 40, "noise_multiplier": 2.0, "expected_batch_size": 40})
    inside, outside = found.scores[found.is_member], found.scores[~found.is_member]
    assert 2000 * 0.5 - 5 * math.sqrt(500) < len(inside) < 2000 * 0.5 + 5 * math.sqrt(500)
    mean, variance = 40 * 0.2 / 2.0, 40 + 40 * 0.2 * 0.8 / 4.0
    assert abs(inside.mean() - mean) < 5 * math.sqrt(variance / len(inside))
    assert abs(outside.mean()) < 5 * math.sqrt(40 / len(outside))
    assert inside.var() == pytest.approx(variance, rel=0.25)
    assert outside.var() == pytest.approx(40, rel=0.25)


def test_the_audit_of_a_run_is_below_what_it_claims_and_finds_missing_noise() -> None:
    from tfx_privacy.accounting.auditing import audit_bounds

    changes = {"steps": 60, "noise_multiplier": 2.0, "expected_batch_size": 40}
    claimed = epsilon_bounds(dp_sgd_event(noise_multiplier=2.0, sampling_probability=0.2, steps=60), target_delta=1e-5)
    honest, broken = canary_scores(changes), canary_scores(changes, wrong_noise=0.125)
    # The scores are in units of the noise that should have been there.
    assert audit_bounds(honest.scores, honest.is_member, delta=1e-5).one_run_f_dp <= claimed.best
    scores = broken.scores * 0.125
    assert audit_bounds(scores, broken.is_member, delta=1e-5).one_run_f_dp > claimed.best


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_audit_costs_the_model_nothing(generation: str) -> None:
    data = make_data(2000)
    optimizers = importlib.import_module(generation).optimizers
    model = make_model(optimizer=optimizers.Adam(0.05), generation=generation)
    outcome = train(model, data, resolved(2000, expected_batch_size=200, steps=60, audit_canaries=300))
    assert accuracy(model, data) > 0.85
    assert outcome.audit.num_canaries == 300
    assert 0 <= outcome.audit.epsilon_lower_bound < math.inf
    assert outcome.mechanism.sampling_probability == 0.1


def test_a_model_that_needs_it_is_trained_record_by_record(caplog: pytest.LogCaptureFixture) -> None:
    import tensorflow as tf

    class Mine(tf.keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.head = tf.keras.layers.Dense(6, "tanh"), tf.keras.layers.Dense(1, "sigmoid")

        def call(self, inputs: Any) -> Any:
            return self.head(self.dense(inputs["features"]))

    data = make_data(1000)
    tf.keras.utils.set_random_seed(1)
    model = Mine()
    model(data.take(np.arange(2))[0])
    model.compile(tf.keras.optimizers.SGD(1.0), "binary_crossentropy")
    train(model, data, resolved(1000, expected_batch_size=100, steps=20))
    assert "put through the model by itself" in caplog.text
    assert accuracy(model, data) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("generation", GENERATIONS)
def test_weights_in_double_precision_are_trained(generation: str) -> None:
    """Clipping, sums and noise are in float32 all the same; a general form and a regularizer are among the layers."""

    def body(layers: Any, features: Any) -> Any:
        hidden = layers.LSTM(3, dtype="float64")(layers.Reshape((3, 2), dtype="float64")(features))
        return layers.Dense(1, "sigmoid", dtype="float64", kernel_regularizer="l2")(hidden)

    optimizers = importlib.import_module(generation).optimizers
    model, data = make_model(body, optimizer=optimizers.Adam(0.05), generation=generation), make_data(2000)
    train(model, data, resolved(2000, expected_batch_size=200, steps=60))
    assert accuracy(model, data) > 0.8


def test_a_large_batch_is_summed_in_chunks() -> None:
    """4,096 records in one logical step: the peak is that of a chunk, the result that of the whole."""
    from tfx_privacy import training

    data = make_data(4096)
    run = resolved(4096, expected_batch_size=4096, steps=1, l2_norm_clip=0.1)
    found = []
    for size in (None, 4096):
        model = make_model()
        performance = training.Performance(layout=None if size is None else training.Layout.of_chunks(4096, size))
        train(model, data, run, performance=performance, deterministic_noise_for_tests=3)
        found.append(weights(model))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)
