"""One epsilon that preprocessing, statistics and training share: what is planned adds up, by accounting of another kind."""

import math
from typing import Any

import pytest
from scipy import optimize, stats

from tfx_privacy.accounting.calibration import calibrate_noise_multiplier
from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.budget import planning
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases import shares
from tfx_privacy.releases.record import least_threshold
from tfx_privacy.releases.shares import Share, SharedTraining
from tfx_privacy.third_party.dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, pld

ASKED: dict[str, Any] = {"population": 10_000, "target_delta": 1e-6, "expected_batch_sizes": [512], "epochs": [10.0]}
PREPROCESSING = Share(part="preprocessing", share=0.1, answers=9, vocabularies=2)
STATISTICS = Share(part="statistics", share=0.05, answers=20)


def planned(*parts: Share, target: float = 3.0, **changes: Any) -> SharedTraining:
    (found,) = shares.plan(parts, target_epsilons=[target], **{**ASKED, **changes})
    return found


def independent_epsilon(found: SharedTraining, delta: float) -> float:
    """Of all of it together, by an accountant that this package's code does not prepare."""
    training = found.training
    accountant = pld.PLDAccountant()
    for _, release in found.releases:
        accountant.compose(GaussianDpEvent(release.noise_multiplier))
    step = PoissonSampledDpEvent(training.sampling_probability, GaussianDpEvent(training.noise_multiplier))
    accountant.compose(SelfComposedDpEvent(step, training.steps))
    return float(accountant.get_epsilon(delta))


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Of one Gaussian mechanism: Balle and Wang (2018), https://arxiv.org/abs/1805.06530, Theorem 8."""
    half = 0.5 / noise_multiplier

    def excess(epsilon: float) -> float:
        middle = epsilon / (2 * half)
        return float(stats.norm.cdf(half - middle) - math.exp(epsilon) * stats.norm.cdf(-half - middle) - delta)

    return float(optimize.brentq(excess, 1e-4, 3.0))


@pytest.mark.parametrize("parts", [[PREPROCESSING], [STATISTICS], [PREPROCESSING, STATISTICS]], ids=["p", "s", "both"])
def test_all_of_it_together_is_within_the_target_by_an_independent_composition(parts: list[Share]) -> None:
    found = planned(*parts, accountant="pld")
    together = independent_epsilon(found, 1e-6 - 1e-8 * len(parts))
    assert together <= 3.0 * (1 + 1e-6)
    assert together == pytest.approx(found.training.epsilon, rel=1e-4)
    # And uses it: a hundredth is lost to rounding and search at most.
    assert together >= 3.0 * 0.99
    # At the whole delta it would be less: the thresholds' part is not spent twice.
    assert independent_epsilon(found, 1e-6) < together


def test_a_share_is_what_a_release_spends_by_itself() -> None:
    for share, release in planned(PREPROCESSING, STATISTICS).releases:
        # The release's own delta is what its thresholds leave: a hundredth of it is theirs.
        own = gaussian_epsilon(release.noise_multiplier, 0.99e-6)
        assert own <= 3.0 * share.share
        assert own >= 3.0 * share.share * 0.99
        assert release.delta_spent == pytest.approx(1e-8, rel=1e-9)
        assert release.privacy.noise_multiplier == release.noise_multiplier


def test_what_a_share_costs_the_training_is_little_and_seen() -> None:
    found = planned(PREPROCESSING, STATISTICS)
    assert found.alone == planning.plan(target_epsilons=[3.0], **ASKED)[0]
    assert 1.001 < found.training.noise_multiplier / found.alone.noise_multiplier < 1.05
    larger = planned(Share(part="preprocessing", share=0.5))
    assert larger.training.noise_multiplier > 1.1 * found.alone.noise_multiplier
    # Gaussians add by their squares: half of epsilon for a release leaves the training more than half.
    halved = planning.plan(target_epsilons=[1.5], **ASKED)[0]
    assert larger.training.noise_multiplier < 0.8 * halved.noise_multiplier


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_the_epsilon_shown_is_of_all_of_it_and_never_above_the_target(accountant: str) -> None:
    found = planned(PREPROCESSING, STATISTICS, accountant=accountant)
    event = composed([found.training.run.event, *(release.run.event for _, release in found.releases)])
    delta = 1e-6 - 2e-8 * (1 + 1e-12)
    bounds = epsilon_bounds(event, target_delta=delta)
    assert found.training.epsilon == pytest.approx(bounds.rdp if accountant == "rdp" else bounds.best, rel=1e-9)
    assert 0.99 * 3.0 < found.training.epsilon <= 3.0


def test_a_vocabularys_threshold_is_the_formulas() -> None:
    _, release = planned(PREPROCESSING).releases[0]
    # Nine answers share it evenly, and two vocabularies the delta of thresholds.
    deviation = release.noise_multiplier * 3.0
    assert release.answers[0].noise_standard_deviation == pytest.approx(deviation)
    assert release.answers[0].selection is not None
    assert release.answers[0].selection.threshold == math.ceil(1.5 + deviation * float(stats.norm.isf(0.5e-8)))
    several = Share(part="preprocessing", share=0.1, values_per_record=4, max_records_per_user=5)
    answer = planned(several).releases[0][1].answers[0]
    assert answer.selection is not None
    assert answer.noise_standard_deviation == pytest.approx(
        several.release(target_epsilon=3.0, target_delta=1e-6).noise_multiplier * 10
    )
    least = least_threshold(
        answer.noise_standard_deviation, delta=1e-8, max_keys=4, l2_sensitivity=2.0, records_of_unit=5
    )
    assert answer.selection.threshold == math.ceil(least)
    assert least == pytest.approx(5.5 + answer.noise_standard_deviation * float(stats.norm.isf(1e-8 / 20)))


def test_without_a_vocabulary_the_whole_delta_is_the_noises() -> None:
    found = planned(Share(part="preprocessing", share=0.1, vocabularies=0), accountant="pld")
    ((_, release),) = found.releases
    assert release.delta_spent == 0.0
    assert release.answers[0].selection is None
    assert independent_epsilon(found, 1e-6) == pytest.approx(found.training.epsilon, rel=1e-4)


def test_rows_stand_in_the_order_of_a_plan() -> None:
    several = {**ASKED, "expected_batch_sizes": [512, 128], "epochs": [5.0, 10.0]}
    found = shares.plan([PREPROCESSING], target_epsilons=[3.0, 1.0], **several)
    rows = [row.training for row in found]
    assert [(row.expected_batch_size, row.epochs, row.target_epsilon) for row in rows] == [
        (batch, epochs, target) for batch in (512, 128) for epochs in (5.0, 10.0) for target in (1.0, 3.0)
    ]
    for row in found:
        assert row.alone.target_epsilon == row.training.target_epsilon
        assert row.alone.steps == row.training.steps
        assert row.alone.noise_multiplier < row.training.noise_multiplier
    suggested = shares.plan([PREPROCESSING], target_epsilons=[3.0], population=10_000)
    assert {row.training.target_delta for row in suggested} == {planning.suggest_delta(10_000)}


def test_a_training_in_passes_shares_as_well() -> None:
    found = planned(PREPROCESSING, sampling="shuffled", algorithm="dp_ftrl", accountant="pld")
    ((_, release),) = found.releases
    event = composed([found.training.run.event, release.run.event])
    assert epsilon_bounds(event, target_delta=0.99e-6).best == pytest.approx(found.training.epsilon, rel=1e-6)
    assert found.training.epsilon <= 3.0


@pytest.mark.parametrize(
    ("parts", "changes", "message"),
    [
        ([{"share": 1.0}], {}, r"preprocessing_share=1\.0 in \(0, 1\)"),
        ([{"share": math.nan}], {}, "preprocessing_share=nan"),
        ([{"share": 0.1, "answers": 0}], {}, "preprocessing_answers=0"),
        ([{"share": 0.1, "vocabularies": 2}], {}, "vocabularies=2 to be at most preprocessing_answers=1"),
        ([{"share": 0.1, "vocabularies": -1}], {}, "vocabularies=-1"),
        ([{"share": 1e-4}], {"target": 1.0}, "below the least epsilon, 0.001"),
        ([{"share": 0.99}, {"share": 0.99, "part": "statistics"}], {}, "what was released beside the training spends"),
        ([{"share": 0.1}], {"population": 0}, "population=0"),
    ],
)
def test_what_leaves_nothing_or_makes_no_sense_is_refused(
    parts: list[dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        planned(*(Share(**{"part": "preprocessing", **part}) for part in parts), **changes)


@pytest.mark.parametrize("spent", [1e-6, 2e-6, math.nan, -1.0, -1e-9])
def test_thresholds_that_spend_all_of_delta_are_refused(spent: float) -> None:
    with pytest.raises(ParameterError, match="delta_spent"):
        planning.plan(target_epsilons=[3.0], delta_spent=spent, **ASKED)


@pytest.mark.parametrize("accountant", ["rdp", "pld"])
def test_a_training_is_calibrated_beside_what_is_released(accountant: str) -> None:
    run = DPParameters(target_epsilon=3.0, sampling_probability=0.05, steps=200)
    released = dp_sgd_event(noise_multiplier=2.0, sampling_probability=1.0, steps=1)
    asked: dict[str, Any] = {"target_epsilon": 3.0, "target_delta": 1e-6, "accountant": accountant}
    alone = calibrate_noise_multiplier(run, **asked)
    beside = calibrate_noise_multiplier(run, **asked, beside=[released])
    assert beside > 1.02 * alone
    event = composed([released, dp_sgd_event(noise_multiplier=beside, sampling_probability=0.05, steps=200)])
    bounds = epsilon_bounds(event, target_delta=1e-6)
    assert 0.995 * 3.0 <= (bounds.rdp if accountant == "rdp" else bounds.best) <= 3.0
