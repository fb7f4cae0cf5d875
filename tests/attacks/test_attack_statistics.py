"""Statistics of the attacks. Simulations use fixed seeds; their false-alarm rates are stated beside them."""

import math

import numpy as np
import pytest
from scipy import stats

from tfx_privacy.attacks.membership import counts as counting
from tfx_privacy.attacks.membership import curves, multiplicity, statistics
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.errors import EvidenceError

LEVEL = {"confidence_level": 0.95}


def of(members: np.ndarray, others: np.ndarray, *, folds: bool = False) -> Counts:
    if not folds:
        return counting.of_scores(members, others)
    return counting.of_scores(members, others, np.arange(len(members)) % 2, np.arange(len(others)) % 2)


def naive_auc(members: np.ndarray, others: np.ndarray) -> float:
    wins = sum((m > n) + 0.5 * (m == n) for m in members for n in others)
    return float(wins) / (len(members) * len(others))


def naive_delong_error(members: np.ndarray, others: np.ndarray) -> float:
    """From the definition: variances of each record's share of pairs won."""
    won = np.array([[(m > n) + 0.5 * (m == n) for n in others] for m in members], dtype=float)
    return math.sqrt(won.mean(1).var(ddof=1) / len(members) + won.mean(0).var(ddof=1) / len(others))


@pytest.mark.parametrize("ties", [False, True])
def test_auc_and_its_error_against_all_pairs(ties: bool) -> None:
    random = np.random.default_rng(1)
    members, others = random.normal(0.5, 1, 60), random.normal(0, 1, 45)
    if ties:
        members, others = members.round(), others.round()
    interval = statistics.auc_interval(of(members, others), **LEVEL)
    auc, error = naive_auc(members, others), naive_delong_error(members, others)
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
        interval = statistics.auc_interval(of(random.normal(shift, 1, 100), random.normal(0, 1, 100)), **LEVEL)
        covered += interval.low <= truth <= interval.high
        halved += abs(interval.estimate - truth) <= (interval.high - interval.low) / 4
    assert 0.91 <= covered / 1000 <= 0.99
    assert halved / 1000 < 0.80


@pytest.mark.parametrize(("right_members", "right_others"), [(0.8, 0.8), (0.99, 0.97), (1.0, 0.999)])
def test_the_interval_of_two_values_covers(right_members: float, right_others: float) -> None:
    """The label-only attack.

    Binomial(1000, 0.95) is below 0.91 with a chance of 1e-7; near certainty it covers more.
    """
    random = np.random.default_rng(3)
    truth = 0.5 + (right_members - right_others) / 2
    covered = 0
    for _ in range(1000):
        sides = [(random.random(300) < share).astype(float) for share in (right_members, right_others)]
        interval = statistics.auc_interval(of(*sides), **LEVEL)
        covered += interval.low <= truth <= interval.high
    assert covered >= 910


def test_constant_scores_of_an_attack_have_an_interval_around_one_half() -> None:
    interval = statistics.auc_interval(of(np.ones(100), np.ones(200)), **LEVEL)
    assert interval.estimate == 0.5
    assert 0.47 < interval.low < 0.5 < interval.high < 0.53
    assert statistics.p_value([of(np.ones(100), np.ones(200))]) == 1.0


def test_perfect_separation_has_an_honest_interval() -> None:
    interval = statistics.auc_interval(of(np.arange(10.0) + 100, np.arange(20.0)), **LEVEL)
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.025 ** (1 / 10))
    mirrored = statistics.auc_interval(of(-np.arange(10.0) - 100, np.arange(20.0)), **LEVEL)
    assert (mirrored.estimate, mirrored.low) == (0.0, 0.0)
    assert mirrored.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_a_side_without_records_is_an_error() -> None:
    with pytest.raises(EvidenceError, match="0 members and 3 non-members"):
        statistics.auc_interval(of(np.zeros(0), np.arange(3.0)), **LEVEL)


def test_strata_are_compared_within_themselves() -> None:
    """Two strata without a leak, whose levels and shares of members differ: pooled they look like one."""
    random = np.random.default_rng(4)
    strata = [
        of(random.normal(level, 1, n1), random.normal(level, 1, n0)) for level, n1, n0 in ((0, 400, 900), (3, 900, 400))
    ]
    pooled = statistics.auc_interval(counting.merged(strata), **LEVEL)
    within = statistics.stratified_auc_interval(strata, confidence_level=0.95)
    assert within is not None
    assert pooled.low > 0.6
    assert within.low < 0.5 < within.high
    pairs = [naive_auc_of(counts) * np.prod(counts.sizes, dtype=float) for counts in strata]
    assert within.estimate == pytest.approx(sum(pairs) / sum(np.prod(counts.sizes, dtype=float) for counts in strata))
    assert statistics.stratified_auc_interval([of(np.zeros(1), np.zeros(5))], confidence_level=0.95) is None


def naive_auc_of(counts: Counts) -> float:
    return naive_auc(np.repeat(counts.values, counts.members), np.repeat(counts.values, counts.others))


def test_p_values_against_scipy_and_uniform_under_permuted_membership() -> None:
    """Kolmogorov-Smirnov at 1e-4 over 400 permutations; with a leak nearly all p-values are tiny."""
    random = np.random.default_rng(5)
    members, others = random.normal(0.3, 1, 80).round(1), random.normal(0, 1, 120).round(1)
    expected = stats.mannwhitneyu(members, others, use_continuity=False, method="asymptotic").pvalue
    assert statistics.p_value([of(members, others)]) == pytest.approx(expected, rel=1e-9)
    scores = random.normal(size=300)
    found = []
    for _ in range(400):
        shuffled = random.permutation(scores)
        found.append(statistics.p_value([of(shuffled[:150], shuffled[150:])]))
    assert stats.kstest(found, "uniform").pvalue > 1e-4
    assert statistics.p_value([of(random.normal(1, 1, 150), scores)]) < 1e-6


def test_closed_forms_of_a_gaussian_shift() -> None:
    """Standard errors at these sizes are 0.0016 and 0.0018; five of them are allowed (6e-7 each)."""
    random = np.random.default_rng(6)
    counts = of(random.normal(1, 1, 40_000), random.normal(0, 1, 40_000), folds=True)
    assert statistics.auc_interval(counts, **LEVEL).estimate == pytest.approx(
        stats.norm.cdf(1 / math.sqrt(2)), abs=0.009
    )
    tpr = statistics.tpr_interval(counts, false_positive_rate=0.01, **LEVEL)
    assert tpr.estimate == pytest.approx(stats.norm.cdf(1 + stats.norm.ppf(0.01)), abs=0.013)
    advantage = statistics.advantage_interval(counts, **LEVEL)
    assert advantage is not None
    assert advantage.estimate == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_interval_of_the_tpr_covers_the_rate_in_the_population(rate: float) -> None:
    """Of 500 runs at least 0.95 are covered; fewer than 450 have a chance below 1e-6.

    A Clopper-Pearson interval with the
    threshold taken as given, as everybody else computes it, covers less than 0.85 at 1 %.
    """
    random = np.random.default_rng(7)
    truth = stats.norm.cdf(1 + stats.norm.ppf(rate))
    covered = naive = 0
    for _ in range(500):
        members, others = random.normal(1, 1, 2000), random.normal(0, 1, 1000)
        interval = statistics.tpr_interval(of(members, others), false_positive_rate=rate, **LEVEL)
        covered += interval.low <= truth <= interval.high
        threshold = np.sort(others)[-int(rate * 1000) - 1]
        plain = stats.binomtest(int((members > threshold).sum()), 2000).proportion_ci(0.95, method="exact")
        naive += plain.low <= truth <= plain.high
    assert covered >= 450
    if rate == 0.01:
        assert naive < 425


@pytest.mark.parametrize(
    ("member_shares", "other_shares"), [((0.4, 0.6), (0.5, 0.5)), ((0.7, 0.29, 0.01), (0.8, 0.195, 0.005))]
)
def test_equal_scores_are_ordered_by_lot(member_shares: tuple[float, ...], other_shares: tuple[float, ...]) -> None:
    """The rate in the population is on the straight line between two corners of the ROC curve; of 500 runs 450 are covered."""
    random, rate, values = np.random.default_rng(17), 0.02, len(member_shares)
    corners = [np.r_[0.0, np.cumsum(shares[::-1])] for shares in (other_shares, member_shares)]
    truth = float(np.interp(rate, *corners))
    covered, found = 0, []
    for _ in range(500):
        sides = random.choice(values, 2000, p=member_shares), random.choice(values, 1000, p=other_shares)
        interval = statistics.tpr_interval(of(*sides), false_positive_rate=rate, **LEVEL)
        covered += interval.low <= truth <= interval.high
        found.append(interval.estimate)
        assert interval.high < 0.08
        assert interval.low > 0.0
    assert covered >= 450
    assert np.mean(found) == pytest.approx(truth, rel=0.1)


def test_tpr_needs_ten_nonmembers_above_the_threshold() -> None:
    members = np.arange(500.0)
    assert statistics.tpr_intervals(of(members, np.arange(999.0)), (0.01,), **LEVEL) == []
    (found,) = statistics.tpr_intervals(of(members + 1000, np.arange(1000.0)), (0.01, 0.001), **LEVEL)
    assert (found.false_positive_rate, found.tpr.estimate, found.tpr.high) == (0.01, 1.0, 1.0)
    assert 0.98 < found.tpr.low < 1.0


def test_advantage_has_no_upward_bias_where_the_maximum_has_one() -> None:
    """On data without a leak. The mean of 200 has a standard error of 0.006; six of them are allowed."""
    random = np.random.default_rng(8)
    ours, maxima = [], []
    for _ in range(200):
        members, others = random.normal(size=100), random.normal(size=100)
        interval = statistics.advantage_interval(of(members, others, folds=True), **LEVEL)
        assert interval is not None
        ours.append(interval.estimate)
        maxima.append(stats.ks_2samp(others, members, alternative="greater").statistic)
    assert abs(np.mean(ours)) < 0.036
    assert np.mean(maxima) > 0.06
    assert statistics.advantage_interval(of(members, others), **LEVEL) is None  # everything in one fold


def test_keys_keep_the_order_and_eleven_bits() -> None:
    random = np.random.default_rng(9)
    scores = np.sort(np.concatenate([random.normal(0, 10.0**power, 200) for power in range(-6, 7)] + [np.zeros(3)]))
    keys = counting.keys_of(scores)
    assert np.all(np.diff(keys) >= 0)
    assert keys.min() >= 0
    assert keys.max() < 1 << counting.KEY_BITS
    back = counting.scores_of(keys)
    np.testing.assert_allclose(back, scores, rtol=2.0**-11, atol=0)
    assert np.array_equal(counting.keys_of(back), keys)
    assert counting.keys_of(np.array([0.0])) == counting.keys_of(np.array([-0.0]))
    assert np.all(np.diff(counting.keys_of(np.array([-1e300, -1.0, 1.0, 1e300]))) > 0)


def test_rounded_scores_have_the_same_auc_to_five_digits() -> None:
    random = np.random.default_rng(10)
    members, others = random.normal(0.2, 3, 20_000), random.normal(0, 3, 20_000)
    exact = statistics.auc_interval(of(members, others), **LEVEL)
    rounded = statistics.auc_interval(of(counting.keys_of(members), counting.keys_of(others)), **LEVEL)
    assert rounded.estimate == pytest.approx(exact.estimate, abs=1e-5)
    assert rounded.low == pytest.approx(exact.low, abs=1e-5)


def test_a_monotone_transformation_changes_nothing() -> None:
    random = np.random.default_rng(11)
    members, others = random.normal(0.5, 1, 300), random.normal(0, 1, 300)
    plain, bent = of(members, others, folds=True), of(np.exp(members), np.exp(others), folds=True)
    assert statistics.auc_interval(plain, **LEVEL) == statistics.auc_interval(bent, **LEVEL)
    assert statistics.advantage_interval(plain, **LEVEL) == statistics.advantage_interval(bent, **LEVEL)


def test_holm_against_its_definition_and_the_chance_of_any_false_alarm() -> None:
    """1000 runs of 50 true hypotheses: at most 5 % with a rejection (80 of 1000 are passed with a chance below 1e-4)."""
    assert multiplicity.holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert multiplicity.holm([]).tolist() == []
    random = np.random.default_rng(12)
    alarms = sum(bool((multiplicity.holm(random.random(50).tolist()) <= 0.05).any()) for _ in range(1000))
    assert alarms <= 80
    assert (random.random((1000, 50)).min(axis=1) <= 0.05).mean() > 0.8  # what it is for


def test_risks_of_records_against_their_definition_and_false_discoveries_are_bounded() -> None:
    """Mean share of false discoveries at 10 %: over 200 runs of 300 members, 100 of them leaking, its error is below 0.01."""
    random = np.random.default_rng(13)
    shares = []
    for _ in range(200):
        leaking, harmless, others = random.normal(3, 1, 100), random.normal(0, 1, 200), random.normal(0, 1, 2000)
        risks = multiplicity.record_risks(of(np.concatenate([leaking, harmless]), others))
        place = np.searchsorted(risks.values, harmless)
        false = int((risks.q_values[place] <= 0.1).sum())
        true = int((risks.q_values[np.searchsorted(risks.values, leaking)] <= 0.1).sum())
        shares.append(false / max(1, false + true))
    assert np.mean(shares) < 0.1 + 0.03
    assert true > 50
    score = leaking[0]
    assert risks.p_values[np.searchsorted(risks.values, score)] == pytest.approx((1 + (others >= score).sum()) / 2001)


def test_curves_end_where_they_must_and_hold_the_truth() -> None:
    random = np.random.default_rng(14)
    curve = curves.of_counts("loss", of(random.normal(1, 1, 5000), random.normal(0, 1, 5000)), 0.95)
    rates = np.array(curve.false_positive_rate)
    truth = stats.norm.cdf(1 + stats.norm.ppf(rates))
    inside = (np.array(curve.true_positive_rate_low) <= truth) & (truth <= np.array(curve.true_positive_rate_high))
    assert inside.mean() > 0.9
    assert np.all(np.diff(rates) > 0)
    assert np.all(np.diff(curve.true_positive_rate) >= 0)
    assert sum(curve.member_share) == pytest.approx(1.0)
    assert sum(curve.nonmember_share) == pytest.approx(1.0)


def test_what_goes_unnoticed() -> None:
    assert statistics.minimum_detectable_auc(100, 100) == pytest.approx(0.6015, abs=1e-3)
    assert statistics.minimum_detectable_auc(0, 100) == 1.0
