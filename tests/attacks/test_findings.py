"""Attacks other than membership inference. Simulations use fixed seeds; their false-alarm rates are stated beside them.

"A leak is shown" means that the interval of 95 % lies above what is harmless: at most 2.5 % of the runs without a leak.
Of 100 such runs more than 8 have a probability of 0.1 %, of 200 more than 12 one of 0.2 %.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tfx_privacy.accounting import auditing
from tfx_privacy.attacks import (
    _rows,
    attribute,
    exposure,
    inversion,
    properties,
)
from tfx_privacy.attacks.evaluation import Finding
from tfx_privacy.errors import ParameterError


def shows_a_leak(finding: Finding) -> bool:
    assert finding.status == "OK"
    assert finding.low is not None
    assert finding.harmless is not None
    return finding.low > finding.harmless


def interval(finding: Finding) -> tuple[float, float, float]:
    assert finding.estimate is not None
    assert finding.low is not None
    assert finding.high is not None
    return finding.estimate, finding.low, finding.high


# Attribute inference.


def people(seed: int, size: int, *, leak: float = 0.0, values: int = 3) -> attribute.AttributeRecords:
    """The value goes with the first feature, and the model's loss with the value, on both sides: imputation, no leak.

    With a leak the model fits the true value of so large a share of the records, by 2 nats.
    """
    random = np.random.default_rng(seed)
    features = random.normal(size=(size, 3))
    true = np.clip(np.round(features[:, 0] + random.normal(size=size) + 1), 0, values - 1).astype(int)
    losses = random.exponential(size=(size, values))
    losses[np.arange(size), true] *= 0.6
    losses[np.arange(size), true] -= 2.0 * (random.random(size) < leak)
    return attribute.AttributeRecords(losses, true, features, random.integers(0, 2, size))


def attacked(seed: int, leak: float, *, members: int = 250, nonmembers: int = 500) -> Finding:
    inside, outside = people(2 * seed, members, leak=leak), people(2 * seed + 1, nonmembers)
    return attribute.attribute_inference("income", inside, outside)


def test_imputation_without_a_leak_is_no_leak_though_the_model_does_help() -> None:
    """100 runs. Without the comparison with non-members the same gains would accuse nearly every one."""
    findings = [attacked(seed, 0.0) for seed in range(100)]
    assert sum(shows_a_leak(finding) for finding in findings) <= 8
    gains = [
        finding.details["posterior probability of the true value, members"]
        - finding.details["imputed probability of the true value, members"]
        for finding in findings
    ]
    assert np.mean(np.array(gains) > 0.02) > 0.9
    p_values = [finding.p_value for finding in findings if finding.p_value is not None]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_a_planted_leak_is_found() -> None:
    findings = [attacked(seed, 0.3) for seed in range(20)]
    assert sum(shows_a_leak(finding) for finding in findings) >= 18
    assert all(finding.p_value is not None and finding.p_value < 0.05 for finding in findings if shows_a_leak(finding))


def test_trees_find_the_leak_too_and_are_repeatable() -> None:
    inside, outside = people(1, 1500, leak=0.3), people(2, 3000)
    first = attribute.attribute_inference("income", inside, outside)
    assert shows_a_leak(first)
    assert first.details["non-members that imputation learnt from"] >= 500
    assert first == attribute.attribute_inference("income", inside, outside)
    assert first.num_records == 1500 + int(first.details["judged non-members"])


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_the_interval_of_a_difference_of_means_covers(share: float) -> None:
    """Gains of 0 with a few large ones, as leaks of rare values make them.

    Binomial(1000, 0.95) is above 0.92 but for 1e-4;
    the rare case is skewed, and below 0.90 would be no interval of 95 %.
    """
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        first = (random.random(200) < share) * 0.8 + random.normal(0, 0.05, 200)
        second = random.normal(0, 0.05, 150)
        _, low, high, _ = attribute.difference_of_means(first, second, confidence_level=0.95)
        covered += low <= 0.8 * share <= high
    assert covered / 1000 >= (0.90 if share < 0.1 else 0.92)


def test_gains_without_variance_leave_room_for_what_was_not_seen() -> None:
    same = attribute.difference_of_means(np.zeros(100), np.zeros(100), confidence_level=0.95)
    assert same[0] == 0.0
    assert same[3] == 1.0
    assert same[1] == -same[2] < -0.05
    perfect = attribute.difference_of_means(np.full(100, 0.5), np.zeros(100), confidence_level=0.95)
    assert perfect[0] == 0.5
    assert 0.0 < perfect[1] < 0.5 < perfect[2]
    assert 0.0 < perfect[3] < 1e-50


def test_a_model_that_ignores_the_feature_leaks_nothing() -> None:
    inside, outside = people(5, 300), people(6, 600)
    flat = [
        attribute.AttributeRecords(np.repeat(side.losses[:, :1], 3, axis=1), side.true, side.features, side.folds)
        for side in (inside, outside)
    ]
    finding = attribute.attribute_inference("income", *flat)
    assert interval(finding)[0] == 0.0
    assert finding.p_value == 1.0
    assert not shows_a_leak(finding)


def changed(records: attribute.AttributeRecords, **fields: Any) -> attribute.AttributeRecords:
    parts = {name: getattr(records, name) for name in ("losses", "true", "features", "folds")}
    return attribute.AttributeRecords(**{**parts, **fields})


def test_attribute_inference_says_why_it_cannot_judge() -> None:
    inside, outside = people(7, 300), people(8, 600)
    judge = attribute.attribute_inference

    few = judge("income", people(7, 99), outside)
    assert (few.status, few.estimate) == ("INSUFFICIENT", None)
    assert "99 members" in few.reason
    assert judge("income", inside, changed(outside, folds=np.zeros(600, int))).status == "INSUFFICIENT"
    constant = [changed(side, true=np.zeros(len(side.true), int)) for side in (inside, outside)]
    assert "one value only" in judge("income", *constant).reason
    for columns in (1, 21):
        wide = [
            changed(side, losses=np.ones((len(side.true), columns)), true=side.true * 0) for side in (inside, outside)
        ]
        assert f"{columns} candidate values" in judge("income", *wide).reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_losses_that_are_not_finite_are_counted_and_few_are_left_out(bad: float) -> None:
    inside, outside = people(7, 300), people(8, 600)
    losses = inside.losses.copy()
    losses[:3, 1] = bad
    finding = attribute.attribute_inference("income", changed(inside, losses=losses), outside)
    assert finding.status == "OK"
    assert (finding.details["members"], finding.details["records left out (not finite)"]) == (297.0, 3.0)
    losses[:4, 1] = bad
    finding = attribute.attribute_inference("income", changed(inside, losses=losses), outside)
    assert finding.status == "UNSUPPORTED"
    assert "4 of 300 members" in finding.reason


def test_missing_features_are_imputed_and_wrong_shapes_refused() -> None:
    inside, outside = people(7, 300), people(8, 600)
    holes = outside.features.copy()
    holes[::5, 1], holes[:, 2] = math.nan, math.nan
    assert attribute.attribute_inference("income", inside, changed(outside, features=holes)).status == "OK"
    for wrong in ({"true": inside.true + 3}, {"folds": inside.folds + 1}, {"features": inside.features[:9]}):
        with pytest.raises(ParameterError):
            attribute.attribute_inference("income", changed(inside, **wrong), outside)


# Canaries.


def test_exposures_keep_the_order_and_count_ties_against_exposure() -> None:
    random = np.random.default_rng(1)
    references = random.normal(size=200).round(1)
    losses = np.concatenate([random.normal(-1, 1, 20).round(1), references[:5]])
    naive = [math.log2(200) - math.log2(1 + sum(reference <= loss for reference in references)) for loss in losses]
    assert exposure.exposures(losses, references).tolist() == pytest.approx(naive)
    assert exposure.exposures([-99.0], references)[0] == math.log2(200)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_expected_exposure_is_that_of_all_ranks(size: int) -> None:
    ranks = np.arange(1, size + 2)
    assert exposure.expected_exposure(size) == pytest.approx(np.mean(math.log2(size) - np.log2(ranks)))


def test_the_p_value_of_one_canary_is_its_rank() -> None:
    references = np.arange(999.0)
    for rank in (1, 2, 500, 999, 1000):
        assert exposure.memorisation_p_value([rank - 1.5], references) == rank / 1000


def test_the_p_value_of_several_is_that_of_all_ways_to_choose_them() -> None:
    """Three canaries among seven records, all 35 ways. The standard error of 9,999 draws is at most 0.005."""
    records = np.array([0.1, 0.7, 1.1, 1.9, 2.5, 3.1, 4.5])
    everyone = {
        chosen: exposure.exposures(records[list(chosen)], np.delete(records, chosen)).mean()
        for chosen in itertools.combinations(range(7), 3)
    }
    for chosen in ((0, 1, 2), (0, 3, 4), (2, 5, 6)):
        exact = np.mean([value >= everyone[chosen] - 1e-12 for value in everyone.values()])
        found = exposure.memorisation_p_value(records[list(chosen)], np.delete(records, chosen))
        assert found == pytest.approx(exact, abs=0.025)


def canaries(seed: int, shift: float, size: int, references: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(-shift, 1, size), random.normal(size=references)


def test_canaries_that_were_not_memorised_are_no_leak() -> None:
    """100 runs. Exposures have a long tail to the right, so fewer than 2.5 % show a leak."""
    findings = []
    for seed in range(100):
        losses, references = canaries(seed, 0.0, 20, 300)
        findings += exposure.canary_exposure(losses, np.ones(20, int), references)
    assert sum(shows_a_leak(finding) for finding in findings) <= 8
    p_values = np.array([finding.p_value for finding in findings])
    assert np.mean(p_values <= 0.05) < 0.14  # of 100 at 5 %: five in ten thousand
    assert np.mean(p_values <= 0.5) > 0.36  # and it is not conservative either: of 100 at 50 %, three in a thousand


def test_memorisation_is_found_by_number_of_repetitions() -> None:
    random = np.random.default_rng(1)
    repetitions = np.repeat([16, 1, 4], 20)
    losses = random.normal(size=60) - np.select([repetitions == 16, repetitions == 4], [6.0, 1.5], 0.0)
    findings = exposure.canary_exposure(losses, repetitions, random.normal(size=2000))
    assert [finding.subject for finding in findings] == ["inserted 1 time", "inserted 4 times", "inserted 16 times"]
    assert [shows_a_leak(finding) for finding in findings] == [False, True, True]
    estimates = [interval(finding)[0] for finding in findings]
    assert estimates == sorted(estimates)
    assert findings[2].details["largest possible exposure (bits)"] == pytest.approx(math.log2(2000))
    assert findings[2].details["mean exposure by a skew-normal fit, model-based (bits)"] > math.log2(2000)
    assert findings[0].p_value is not None
    assert findings[0].p_value > 0.05
    assert findings[2].p_value == 1 / 10_000


@pytest.mark.parametrize("shift", [0.0, 1.5, 3.0])
def test_the_interval_of_the_exposure_covers(shift: float) -> None:
    """Of the mean over 20,000 canaries. Of 200 runs at 95 % fewer than 178 have a probability of 2e-4."""
    covered = halved = 0
    many = np.random.default_rng(77).normal(-shift, 1, 20_000)
    for seed in range(200):
        losses, references = canaries(seed, shift, 15, 400)
        truth = exposure.exposures(many, references).mean()
        estimate, low, high = exposure.mean_exposure_interval(losses, references, confidence_level=0.95)
        covered += low <= truth <= high
        halved += (low + estimate) / 2 <= truth <= (high + estimate) / 2
    assert covered >= 178
    assert halved < 165


def test_equal_exposures_are_not_taken_for_certain() -> None:
    (finding,) = exposure.canary_exposure(np.full(10, -9.0), np.full(10, 2), np.random.default_rng(1).normal(size=256))
    estimate, low, high = interval(finding)
    assert estimate == high == 8.0
    assert 4.0 < low < 7.0
    assert shows_a_leak(finding)


def test_too_few_canaries_or_references_have_a_p_value_and_no_verdict() -> None:
    references = np.random.default_rng(1).normal(size=300)
    for losses, others in ((np.full(9, -9.0), references), (np.full(20, -9.0), references[:99])):
        (finding,) = exposure.canary_exposure(losses, np.ones(len(losses), int), others)
        assert finding.status == "INSUFFICIENT"
        assert finding.p_value is not None
        assert finding.p_value < 0.01
    (finding,) = exposure.canary_exposure([0.0], [1], [])
    assert (finding.status, finding.p_value) == ("INSUFFICIENT", None)
    assert exposure.canary_exposure([], np.zeros(0, int), references) == []


def test_losses_of_canaries_that_are_not_finite_are_unsupported_or_refused() -> None:
    references = np.random.default_rng(1).normal(size=300)
    for losses, others in (([math.nan] * 20, references), ([0.0] * 20, np.append(references, math.inf))):
        (finding,) = exposure.canary_exposure(losses, np.ones(20, int), others)
        assert finding.status == "UNSUPPORTED"
        with pytest.raises(ParameterError, match="finite"):
            exposure.exposures(losses, others)
    with pytest.raises(ParameterError, match="repetitions=0"):
        exposure.canary_exposure([0.0], [0], references)


def test_the_bound_on_epsilon_has_no_upper_end_and_survives_json() -> None:
    random = np.random.default_rng(1)
    bits = random.random(1000) < 0.5
    finding = exposure.epsilon_finding(random.normal(size=1000) + 4.0 * bits, bits, delta=1e-5)
    bounds = auditing.audit_bounds(random.normal(size=1000) * 0 + 4.0 * bits, bits, delta=1e-5)
    estimate, low, high = interval(finding)
    assert estimate == low
    assert 1.0 < low <= bounds.one_run == finding.details["largest bound that could show (nats)"]
    assert high == exposure.NO_UPPER_END
    assert not high <= 1e300
    assert Finding.from_json(finding.to_json()) == finding
    assert shows_a_leak(finding)


def test_the_bound_on_epsilon_is_seldom_wrong_and_needs_a_hundred_canaries() -> None:
    """40 runs without a leak; more than 7 above zero have a probability of 1e-3 at the 5 % of a one-sided bound."""
    wrong = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        wrong += shows_a_leak(exposure.epsilon_finding(random.normal(size=200), random.random(200) < 0.5, delta=1e-5))
    assert wrong <= 7
    bits = np.arange(99) % 2 == 0
    assert exposure.epsilon_finding(np.zeros(99), bits, delta=1e-5).status == "INSUFFICIENT"
    assert exposure.epsilon_finding(np.zeros(200), np.ones(200, bool), delta=1e-5).status == "INSUFFICIENT"
    assert exposure.epsilon_finding(np.full(200, math.nan), np.arange(200) < 9, delta=1e-5).status == "UNSUPPORTED"
    with pytest.raises(ParameterError, match="type bool"):
        exposure.epsilon_finding(np.zeros(200), np.arange(200) % 2, delta=1e-5)


# Model inversion.


def distances(seed: int, *, nearer: float, classes: int = 40, restarts: int = 3) -> tuple[np.ndarray, ...]:
    """Restarts of one class share most of their distance."""
    random = np.random.default_rng(seed)
    names = np.repeat(np.arange(classes), restarts)
    sides = [random.lognormal(0, 0.3, classes)[names] + random.random(len(names)) * 0.01 for _ in range(2)]
    return names, sides[0] * (1 - nearer), sides[1]


def inverted(parts: tuple[np.ndarray, ...]) -> Finding:
    names, train, heldout = parts
    ones = np.ones(len(names), int)
    return inversion.inversion_finding(names, train, heldout, ones, ones)


def test_prototypes_are_no_leak_however_many_restarts() -> None:
    """100 runs. Each restart taken for evidence of its own would accuse many more."""
    findings = [inverted(distances(seed, nearer=0.0, restarts=10)) for seed in range(100)]
    assert sum(shows_a_leak(finding) for finding in findings) <= 8
    assert {finding.num_records for finding in findings} == {40}
    naive = 0
    for seed in range(100):
        _, train, heldout = distances(seed, nearer=0.0, restarts=10)
        naive += _rows.share_interval(int(np.sum(train < heldout)), len(train), confidence_level=0.95)[0] > 0.5
    assert naive > 15


def test_reconstructions_of_training_records_are_found_and_the_mirror_is_not() -> None:
    names, train, heldout = distances(1, nearer=0.5)
    finding = inverted((names, train, heldout))
    assert shows_a_leak(finding)
    assert finding.p_value is not None
    assert finding.p_value < 1e-4
    assert finding.details["p-value of Wilcoxon's signed-rank test"] < 1e-4
    mirror = inverted((names, heldout, train))
    assert not shows_a_leak(mirror)
    assert mirror.p_value is not None
    assert mirror.p_value > 0.9
    hits = round(interval(finding)[0] * 40)
    exact = stats.binomtest(hits, 40, 0.5).proportion_ci(0.95, method="exact")
    assert interval(finding)[1:] == pytest.approx((exact.low, exact.high))


def test_inversion_fails_closed() -> None:
    names, train, heldout = distances(1, nearer=0.5)
    ones = np.ones(len(names), int)
    assert inverted(distances(1, nearer=0.5, classes=9)).status == "INSUFFICIENT"
    same = inverted((names, train, train))
    assert (same.status, same.num_records) == ("INSUFFICIENT", 40)
    assert inverted((names, np.where(names == 3, math.nan, train), heldout)).status == "UNSUPPORTED"
    with pytest.raises(ParameterError, match="as many training as held-out"):
        inversion.inversion_finding(names, train, heldout, ones * 2, ones)
    with pytest.raises(ParameterError, match="negative"):
        inverted((names, -train, heldout))


# Property inference.


def models(seed: int, signal: float, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Shares of complementary halves; the first output goes with the share, five others do not."""
    random = np.random.default_rng(seed)
    first = random.normal(0.5, 0.03, count // 2)
    shares = np.stack([first, 1 - first], axis=1).ravel().clip(0, 1)
    behaviour = random.normal(size=(count, 6))
    behaviour[:, 0] += signal * (shares - 0.5) / 0.03
    return shares, behaviour


def test_models_that_tell_nothing_are_no_leak() -> None:
    """200 runs with 12 pairs, all 4,096 swaps of each."""
    findings = [properties.property_inference("share", *models(seed, 0.0)) for seed in range(200)]
    assert sum(shows_a_leak(finding) for finding in findings) <= 12
    p_values = np.array([finding.p_value for finding in findings])
    assert np.mean(p_values <= 0.05) < 0.11


@pytest.mark.parametrize("count", [16, 40])
def test_models_that_tell_the_property_are_found(count: int) -> None:
    findings = [properties.property_inference("share", *models(seed, 20.0, count)) for seed in range(10)]
    assert sum(shows_a_leak(finding) for finding in findings) >= 8
    assert all(finding.num_records == count for finding in findings)
    assert properties.NOT_PROTECTED in findings[0].reason


def test_left_out_guesses_are_those_of_regressions_without_the_pair() -> None:
    shares, behaviour = models(3, 1.0, 20)
    differences, wanted = behaviour[0::2] - behaviour[1::2], shares[0::2] - shares[1::2]
    penalty = np.square(differences).sum() / 10
    hits = 0
    for left_out in range(10):
        rest = np.arange(10) != left_out
        kept = differences[rest]
        weights = np.linalg.solve(kept.T @ kept + penalty * np.eye(6), kept.T @ wanted[rest])
        hits += (differences[left_out] @ weights) * wanted[left_out] > 0
    finding = properties.property_inference("share", shares, behaviour)
    assert interval(finding)[0] == hits / 10


def test_properties_fail_closed() -> None:
    shares, behaviour = models(1, 8.0, 16)
    judge = properties.property_inference
    few = judge("share", shares[:14], behaviour[:14])
    assert few.status == "INSUFFICIENT"
    assert "14 reference models" in few.reason
    assert properties.NOT_PROTECTED in few.reason
    assert judge("share", np.full(16, 0.5), behaviour).status == "INSUFFICIENT"
    assert judge("share", shares, np.ones((16, 3))).status == "UNSUPPORTED"
    assert judge("share", shares, np.where(behaviour > 2, math.nan, behaviour)).status == "UNSUPPORTED"
    with pytest.raises(ParameterError, match="even number"):
        judge("share", shares[:15], behaviour[:15])
    with pytest.raises(ParameterError, match="shares in"):
        judge("share", shares + 1, behaviour)
