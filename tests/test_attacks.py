"""Scores and statistics of the attacks. Simulations use fixed seeds; their false-alarm rates are stated beside them."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tfx_privacy.privacy import attack_run, attack_statistics, attacks
from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.evaluation import AttackResult

LEVEL = {"confidence_level": 0.95}


def naive_auc(members: np.ndarray, nonmembers: np.ndarray) -> float:
    wins = sum((m > n) + 0.5 * (m == n) for m in members for n in nonmembers)
    return float(wins) / (len(members) * len(nonmembers))


def naive_delong_error(members: np.ndarray, nonmembers: np.ndarray) -> float:
    """From the definition: variances of each record's share of pairs won."""
    won = np.array([[(m > n) + 0.5 * (m == n) for n in nonmembers] for m in members], dtype=float)
    return math.sqrt(won.mean(1).var(ddof=1) / len(members) + won.mean(0).var(ddof=1) / len(nonmembers))


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_its_error_against_all_pairs(ties: bool) -> None:
    random = np.random.default_rng(1)
    members, nonmembers = random.normal(0.5, 1, 60), random.normal(0, 1, 45)
    if ties:
        members, nonmembers = members.round(), nonmembers.round()
    interval = attack_statistics.auc_interval(members, nonmembers, **LEVEL)
    auc, error = naive_auc(members, nonmembers), naive_delong_error(members, nonmembers)
    assert interval.estimate == pytest.approx(auc, abs=1e-12)
    half = 1.959964 * error / (auc * (1 - auc))
    logit = math.log(auc / (1 - auc))
    assert interval.low == pytest.approx(1 / (1 + math.exp(half - logit)), abs=1e-6)
    assert interval.high == pytest.approx(1 / (1 + math.exp(-half - logit)), abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_of_the_auc_covers(shift: float) -> None:
    """Binomial(1000, 0.95) lies within 0.95 +- 0.04 but for a chance of 1e-8; half the width would cover only 67 %."""
    random = np.random.default_rng(2)
    truth = stats.norm.cdf(shift / math.sqrt(2))
    covered = halved = 0
    for _ in range(1000):
        interval = attack_statistics.auc_interval(random.normal(shift, 1, 100), random.normal(0, 1, 100), **LEVEL)
        covered += interval.low <= truth <= interval.high
        halved += abs(interval.estimate - truth) <= (interval.high - interval.low) / 4
    assert 0.91 <= covered / 1000 <= 0.99
    assert halved / 1000 < 0.80


def test_perfect_separation_has_an_honest_interval() -> None:
    interval = attack_statistics.auc_interval(np.arange(10.0) + 100, np.arange(20.0), **LEVEL)
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.025 ** (1 / 10))
    mirrored = attack_statistics.auc_interval(-np.arange(10.0) - 100, np.arange(20.0), **LEVEL)
    assert (mirrored.estimate, mirrored.low) == (0.0, 0.0)
    assert mirrored.high == pytest.approx(1 - 0.025 ** (1 / 10))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_an_error(bad: float) -> None:
    with pytest.raises(EvidenceError, match="1 scores are not finite"):
        attack_statistics.auc_interval(np.array([1.0, bad]), np.array([0.0, 2.0]), **LEVEL)


def test_closed_forms_of_a_gaussian_shift() -> None:
    """Standard errors at these sizes are 0.0016 and 0.0018; five of them are allowed (6e-7 each)."""
    random = np.random.default_rng(3)
    members, nonmembers = random.normal(1, 1, 40_000), random.normal(0, 1, 40_000)
    auc = attack_statistics.auc_interval(members, nonmembers, **LEVEL).estimate
    assert auc == pytest.approx(stats.norm.cdf(1 / math.sqrt(2)), abs=0.009)
    tpr = attack_statistics.tpr_interval(members, nonmembers, false_positive_rate=0.01, **LEVEL)
    assert tpr is not None
    assert tpr.estimate == pytest.approx(stats.norm.cdf(1 + stats.norm.ppf(0.01)), abs=0.013)
    folds = np.arange(40_000) % 2
    advantage = attack_statistics.advantage_interval(members, nonmembers, folds, folds, **LEVEL)
    assert advantage is not None
    assert advantage.estimate == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.02)


def test_advantage_has_no_upward_bias_where_the_maximum_has_one() -> None:
    """On data without a leak. The mean of 200 has a standard error of 0.006; six of them are allowed."""
    random = np.random.default_rng(4)
    ours, maxima = [], []
    folds = np.arange(100) % 2
    for _ in range(200):
        members, nonmembers = random.normal(size=100), random.normal(size=100)
        interval = attack_statistics.advantage_interval(members, nonmembers, folds, folds, **LEVEL)
        assert interval is not None
        ours.append(interval.estimate)
        maxima.append(stats.ks_2samp(nonmembers, members, alternative="greater").statistic)
    assert abs(np.mean(ours)) < 0.036
    assert np.mean(maxima) > 0.08


def test_tpr_needs_ten_nonmembers_above_the_threshold() -> None:
    members = np.arange(500.0)
    assert attack_statistics.tpr_interval(members, np.arange(999.0), false_positive_rate=0.01, **LEVEL) is None
    interval = attack_statistics.tpr_interval(members + 1000, np.arange(1000.0), false_positive_rate=0.01, **LEVEL)
    assert interval is not None
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    exact = stats.binomtest(500, 500).proportion_ci(0.95, method="exact")
    assert interval.low == pytest.approx(exact.low)


def test_stable_scores_keep_their_order_where_probabilities_saturate() -> None:
    logits = np.array([[30.0], [60.0], [90.0]])
    labels = np.array([1, 1, 1])
    scored = attacks.scores(logits, labels, from_logits=True)
    assert scored["rescaled_logit"].tolist() == [30.0, 60.0, 90.0]
    assert len(set(scored["loss"])) == 3
    saturated = attacks.scores((1 / (1 + np.exp(-logits))).astype(np.float32), labels, from_logits=False)
    assert all(np.isfinite(values).all() for values in saturated.values())


def test_scores_against_their_definitions() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, (50, 4))
    labels = random.integers(0, 4, 50)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = p[np.arange(50), labels]
    expected: dict[str, Any] = {
        "rescaled_logit": np.log(own / (1 - own)),
        "loss": np.log(own),
        "entropy": (p * np.log(p)).sum(1),
        "modified_entropy": (1 - own) * np.log(own) + (p * np.log(1 - p)).sum(1) - own * np.log(1 - own),
    }
    for outputs, from_logits in ((logits, True), (p, False)):
        scored = attacks.scores(outputs, labels, from_logits=from_logits)
        assert set(scored) == set(attacks.ATTACKS)
        for name, values in expected.items():
            np.testing.assert_allclose(scored[name], values, rtol=1e-6, atol=1e-9)


def test_one_output_and_two_classes_agree() -> None:
    logit = np.random.default_rng(6).normal(0, 3, (40, 1))
    labels = (np.arange(40) % 2).astype(np.int64)
    one = attacks.scores(logit, labels, from_logits=True)
    two = attacks.scores(np.concatenate([np.zeros_like(logit), logit], axis=1), labels, from_logits=True)
    for name in attacks.ATTACKS:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-9, atol=1e-12)


def side(size: int, *, seed: int, memorised: bool = False, payment: str = "card") -> attack_run.ScoredRecords:
    """Records whose model is sure of the label if they are memorised, and guesses else."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, size)
    logit = random.normal(0, 1, size)
    if memorised:
        logit = np.where(labels == 1, 1.0, -1.0) * (np.abs(logit) + 0.5)
    hashes = np.empty(size, dtype=object)
    hashes[:] = [random.bytes(16) for _ in range(size)]
    slices = np.array([payment if index % 20 else f"rare {index}" for index in range(size)], dtype=object)
    return attack_run.ScoredRecords(
        hashes,
        labels.astype(np.float64),
        (1 / (1 + np.exp(-logit)))[:, np.newaxis].astype(np.float32),
        {"payment": slices},
    )


def rows(run: attack_run.AttackRun, attack: str = "rescaled_logit") -> dict[str, AttackResult]:
    return {row.slice_name: row for row in run.results if row.attack == attack}


SETTINGS = attack_run.Settings()


def test_a_memorising_model_is_caught_and_another_is_not() -> None:
    leaky = rows(attack_run.run(side(2000, seed=1, memorised=True), side(2000, seed=2), SETTINGS))
    for name in ("all records", "class=0", "class=1", "payment=card", "payment=<other>"):
        auc = leaky[name].auc
        assert auc is not None
        assert auc.low > 0.8
    harmless = attack_run.run(side(2000, seed=3), side(2000, seed=4), SETTINGS)
    for row in rows(harmless).values():
        assert row.auc is not None
        assert row.auc.low < 0.53
        assert row.auc.high > 0.47
    assert (harmless.task, harmless.from_logits) == ("binary", False)


def test_rare_values_are_pooled_and_small_slices_say_so() -> None:
    run = attack_run.run(side(2000, seed=1), side(400, seed=2), SETTINGS)
    pooled = rows(run)["payment=<other>"]
    assert pooled.status == "INSUFFICIENT"
    assert "100 members and 20 non-members, 100 of each are needed" in pooled.reason
    assert pooled.auc is None
    small = rows(attack_run.run(side(299, seed=1), side(5000, seed=2), SETTINGS))["all records"]
    assert small.status == "INSUFFICIENT"


def test_a_constant_model_is_no_evidence() -> None:
    def constant(records: attack_run.ScoredRecords) -> attack_run.ScoredRecords:
        flat = np.full_like(records.outputs, 0.5)
        return attack_run.ScoredRecords(records.hashes, records.labels, flat, records.slices)

    run = attack_run.run(constant(side(400, seed=1)), constant(side(400, seed=2)), SETTINGS)
    assert {row.status for row in run.results if row.slice_feature == "all" and row.attack == "entropy"} == {
        "UNSUPPORTED"
    }


def test_shared_records_are_refused() -> None:
    members = side(1000, seed=1)
    with pytest.raises(EvidenceError, match="1000 records stand among members and non-members"):
        attack_run.run(members, members, SETTINGS)


def test_outputs_that_are_not_finite_are_refused() -> None:
    broken = side(400, seed=1)
    broken.outputs[7] = np.nan
    with pytest.raises(EvidenceError, match="NaN or infinite for 1 records"):
        attack_run.run(broken, side(400, seed=2), SETTINGS)


@pytest.mark.parametrize(
    "labels", [np.linspace(0, 1, 400), np.full(400, np.nan), np.full(400, 2.0), np.full(400, -1.0)]
)
def test_labels_that_are_no_classes_are_unsupported(labels: np.ndarray) -> None:
    odd = side(400, seed=1)
    odd = attack_run.ScoredRecords(odd.hashes, labels, odd.outputs, odd.slices)
    run = attack_run.run(odd, side(400, seed=2), SETTINGS)
    assert run.task == "unsupported"
    assert {row.status for row in run.results} == {"UNSUPPORTED"}


def test_the_order_of_the_records_does_not_matter() -> None:
    members, nonmembers = side(700, seed=1, memorised=True), side(600, seed=2)
    shuffled = np.random.default_rng(9).permutation(700)
    again = attack_run.ScoredRecords(
        members.hashes[shuffled],
        members.labels[shuffled],
        members.outputs[shuffled],
        {"payment": members.slices["payment"][shuffled]},
    )
    first = attack_run.run(members, nonmembers, SETTINGS)
    assert attack_run.run(again, nonmembers, SETTINGS) == first


def test_logits_are_told_from_probabilities() -> None:
    records = side(400, seed=1)
    logits = attack_run.ScoredRecords(records.hashes, records.labels, records.outputs * 10 - 5, records.slices)
    assert attack_run.run(logits, side(400, seed=2), SETTINGS).from_logits
    assert not attack_run.run(logits, side(400, seed=2), SETTINGS, from_logits=False).from_logits
