"""Lower bounds on epsilon: their coverage, their power, and closed forms.

Counts of failures may be wrong about a correct bound with a probability of at most 1e-6; seeds are fixed.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from tfx_privacy.accounting import auditing
from tfx_privacy.errors import ParameterError
from tfx_privacy.third_party.dp_accounting.pld import privacy_loss_distribution

DELTA = 1e-5
NAMES = ("one_run", "one_run_f_dp", "gaussian")
BOUNDS: dict[str, Callable[..., float]] = {
    "one_run": auditing.one_run_epsilon_lower_bound,
    "one_run_f_dp": auditing.one_run_f_dp_epsilon_lower_bound,
    "gaussian": auditing.gaussian_epsilon_lower_bound,
    "clopper_pearson": auditing.clopper_pearson_epsilon_lower_bound,
}
Scores = tuple[np.ndarray, np.ndarray]


def gaussian_scores(seed: int, mu: float, size: int = 1000) -> Scores:
    random = np.random.default_rng(seed)
    is_member = random.random(size) < 0.5
    return random.normal(size=size) + mu * is_member, is_member


def randomized_response(seed: int, epsilon: float, size: int = 1000) -> Scores:
    """Every bit is told with probability e^epsilon / (1 + e^epsilon): the worst case of Steinke et al."""
    random = np.random.default_rng(seed)
    is_member = random.random(size) < 0.5
    return np.where(is_member == (random.random(size) < special.expit(epsilon)), 1.0, -1.0), is_member


def slots(
    seed: int,
    noise: float = 1.0,
    clip: float = 1.0,
    size: int = 1000,
    sigma: float = 2.0,
    probability: float = 0.1,
    steps: int = 150,
) -> Scores:
    """Audit slots of a run that with these defaults claims epsilon 2.88 at 1e-5."""
    random = np.random.default_rng(seed)
    is_member = random.random(size) < 0.5
    drawn = np.where(is_member, random.binomial(steps, probability, size), 0)
    return random.normal(size=size) * math.sqrt(steps) * noise + drawn * clip / sigma, is_member


def means(make: Callable[..., Scores], *arguments: Any, **options: Any) -> dict[str, float]:
    """Of 8 runs."""
    found = [auditing.audit_bounds(*make(seed, *arguments, **options), delta=DELTA) for seed in range(8)]
    return {name: float(np.mean([getattr(one, name) for one in found])) for name in NAMES}


def mu_of(epsilon: float) -> float:
    return float(optimize.brentq(lambda mu: auditing.gaussian_epsilon(mu, delta=DELTA) - epsilon, 1e-3, 50.0))


def separation(sigma: float, probability: float, steps: int) -> float:
    return probability * math.sqrt(steps) / sigma


# The bound, the runs, the true epsilon; then whether the case is so tight that half the confidence must be noticed.
COVERAGE = {
    "one run, nothing learnt": ("one_run", functools.partial(gaussian_scores, mu=0.0, size=300), 0.0, True),
    "one run, randomized response": (
        "one_run",
        functools.partial(randomized_response, epsilon=1.0, size=300),
        1.0,
        True,
    ),
    "f-DP, nothing learnt": ("one_run_f_dp", functools.partial(gaussian_scores, mu=0.0, size=300), 0.0, True),
    "f-DP, Gaussian": (
        "one_run_f_dp",
        functools.partial(gaussian_scores, mu=0.3, size=300),
        auditing.gaussian_epsilon(0.3, delta=DELTA),
        False,
    ),
    "Clopper-Pearson, nothing learnt": (
        "clopper_pearson",
        functools.partial(gaussian_scores, mu=0.0, size=300),
        0.0,
        False,
    ),
    "Clopper-Pearson, Gaussian": (
        "clopper_pearson",
        functools.partial(gaussian_scores, mu=0.3, size=300),
        auditing.gaussian_epsilon(0.3, delta=DELTA),
        False,
    ),
    "Clopper-Pearson, randomized response": (
        "clopper_pearson",
        functools.partial(randomized_response, epsilon=1.0, size=300),
        1.0,
        True,
    ),
    "normal, nothing learnt": ("gaussian", functools.partial(gaussian_scores, mu=0.0, size=100), 0.0, True),
    "normal, Poisson sampling": (
        "gaussian",
        functools.partial(slots, size=300),
        auditing.gaussian_epsilon(separation(2.0, 0.1, 150), delta=DELTA),
        True,
    ),
    "normal, rarely sampled": (
        "gaussian",
        functools.partial(slots, size=300, sigma=0.3, probability=0.002, steps=100),
        auditing.gaussian_epsilon(separation(0.3, 0.002, 100), delta=DELTA),
        True,
    ),
}


@pytest.mark.parametrize("case", COVERAGE)
def test_a_bound_exceeds_the_truth_in_at_most_one_run_of_twenty(case: str) -> None:
    """Failures among 150 runs are at worst Binomial(150, 0.05); bounds of far less confidence do not pass."""
    name, make, truth, tight = COVERAGE[case]
    limit = stats.binom.isf(1e-6, 150, 0.05)

    def failures(confidence: float) -> int:
        runs = (make(seed) for seed in range(150))
        return sum(BOUNDS[name](*run, delta=DELTA, confidence=confidence) > truth + 1e-9 for run in runs)

    assert failures(0.95) <= limit
    if tight:
        assert failures(0.3) > limit


def test_the_best_of_many_uncorrected_guesses_would_fail_that_test() -> None:
    def rejects(guesses: int, right: int, epsilon: float) -> bool:
        return auditing.one_run_p_value(300, guesses, right, epsilon, DELTA) <= 0.05

    def exceeds_zero(scores: np.ndarray, is_member: np.ndarray) -> bool:
        order = np.argsort(-scores)
        right = [
            (2 * half, int(is_member[order[:half]].sum() + (~is_member[order[-half:]]).sum()))
            for half in range(5, 150, 3)
        ]
        return any(rejects(*counts, 0.01) for counts in right)

    failures = sum(exceeds_zero(*gaussian_scores(seed, 0.0, 300)) for seed in range(200))
    assert failures > stats.binom.isf(1e-6, 200, 0.05)


def test_the_best_of_all_thresholds_on_the_same_canaries_is_no_bound() -> None:
    """At a confidence of 70 % it is wrong in more than 30 % of runs; measured on the other half it is not."""

    def best(scores: np.ndarray, is_member: np.ndarray) -> float:
        return float(auditing._ratio_bounds(scores, is_member, np.unique(scores), 0.15, DELTA).max())

    def split(scores: np.ndarray, is_member: np.ndarray) -> float:
        return auditing.clopper_pearson_epsilon_lower_bound(scores, is_member, delta=DELTA, confidence=0.7)

    runs = [gaussian_scores(seed, 0.0, 300) for seed in range(200)]
    assert sum(best(*run) > 0.0 for run in runs) > stats.binom.isf(1e-6, 200, 0.3)
    assert sum(split(*run) > 0.0 for run in runs) < 60


def test_rates_at_a_threshold_against_scipy_s_intervals() -> None:
    random = np.random.default_rng(0)
    scores, is_member = random.normal(size=60).round(1), random.random(60) < 0.5
    thresholds = np.unique(scores)
    found = auditing._ratio_bounds(scores, is_member, thresholds, 0.025, 0.01)

    def bound(likely: np.ndarray, unlikely: np.ndarray) -> float:
        intervals = [
            stats.binomtest(int(side.sum()), len(side)).proportion_ci(0.95, method="exact")
            for side in (likely, unlikely)
        ]
        return math.log((intervals[0].low - 0.01) / intervals[1].high) if intervals[0].low > 0.01 else -math.inf

    for index, threshold in enumerate(thresholds):
        above = scores > threshold
        assert found[0, index] == pytest.approx(bound(above[is_member], above[~is_member]))
        assert found[1, index] == pytest.approx(bound(~above[~is_member], ~above[is_member]))


@pytest.mark.parametrize(("epsilon", "canaries", "least"), [(1.0, 1000, 0.5), (1.0, 5000, 0.8), (4.0, 5000, 3.4)])
def test_one_threshold_is_enough_for_randomized_response(epsilon: float, canaries: int, least: float) -> None:
    """Where the bounds of one run, which hold for dependent canaries too, show less."""
    runs = [randomized_response(seed, epsilon, canaries) for seed in range(8)]
    by_threshold, one_run = (
        float(np.mean([BOUNDS[name](*run, delta=DELTA) for run in runs])) for name in ("clopper_pearson", "one_run")
    )
    assert least < by_threshold < epsilon
    assert one_run < by_threshold + 0.2


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_threshold_finds_rare_canaries_that_give_themselves_away(mirrored: bool) -> None:
    """A tenth of the members score high; mirrored, a tenth of the others score low, which 1 - FPR over 1 - TPR shows."""

    def bound(seed: int) -> float:
        random = np.random.default_rng([1, seed])
        is_member = random.random(2000) < 0.5
        scores = random.random(2000) + np.where(is_member & (random.random(2000) < 0.1), 5.0, 0.0)
        scores, is_member = (-scores, ~is_member) if mirrored else (scores, is_member)
        return auditing.clopper_pearson_epsilon_lower_bound(scores, is_member, delta=DELTA)

    assert all(1.3 < bound(seed) < math.log(0.16 / 0.001) for seed in range(8))


def test_a_threshold_shows_nothing_where_there_is_nothing_to_show() -> None:
    scores, is_member = gaussian_scores(1, 2.0)
    for given in (-scores, np.zeros(1000)):
        assert auditing.clopper_pearson_epsilon_lower_bound(given, is_member, delta=DELTA) == 0.0
    # All members on one half: nothing can be compared there.
    first = np.random.default_rng(0).permutation(200)[:100]
    told = np.isin(np.arange(200), first[:50])
    assert auditing.clopper_pearson_epsilon_lower_bound(told.astype(float), told, delta=DELTA) == 0.0
    assert auditing.clopper_pearson_epsilon_lower_bound(scores * 1e300, is_member, delta=DELTA) > 1.0


def fewest_rejected(rejects: Callable[[int], bool], guesses: int) -> int:
    """The smallest number of correct guesses that is rejected."""
    low, high = 0, guesses + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rejects(middle) else (middle, high)
    return high


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("canaries", [100, 400, 2000])
def test_the_f_dp_test_holds_its_level_for_the_worst_mechanism(mu: float, canaries: int) -> None:
    """One that with probability t tells all bits, as accurately as mu-GDP allows, and nothing otherwise; exact."""

    def worst_size(correct: int) -> float:
        sizes = []
        for t in np.geomspace(0.01, 0.99, 100):
            accuracy = optimize.brentq(
                lambda a, t=t: special.ndtri(t * a) - special.ndtri(t * (1 - a)) - mu, 0.5, 1 - 1e-15
            )
            sizes.append(t * stats.binom.sf(correct - 1, canaries, accuracy))
        return float(max(sizes))

    def fewest(level: float) -> int:
        return fewest_rejected(
            lambda c: auditing.gaussian_curve_is_rejected(canaries, canaries, c, mu, level), canaries
        )

    assert worst_size(fewest(0.05)) <= 0.05
    # The test is not lax: nearly all of the level is used, and twice of it would be too much.
    if canaries == 2000:
        assert 0.025 < worst_size(fewest(0.05)) <= 0.05 < worst_size(fewest(0.1))


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
def test_the_f_dp_test_s_limit_for_many_canaries(mu: float) -> None:
    """The accuracy a that an event of probability t can have: t a = Phi(Phi^-1(t (1 - a)) + mu)."""
    t, canaries = 0.0125, 4000
    accuracy = optimize.brentq(lambda a: special.ndtri(t * a) - special.ndtri(t * (1 - a)) - mu, 0.5, 1 - 1e-15)
    found = fewest_rejected(lambda c: auditing.gaussian_curve_is_rejected(canaries, canaries, c, mu, t), canaries)
    assert found / canaries == pytest.approx(accuracy, abs=2e-3)


def test_the_one_run_test_needs_its_term_of_delta() -> None:
    """Randomized response that tells the truth with probability delta is falsely rejected without it; exact."""
    canaries, epsilon, delta = 500, 1.0, 0.02

    def size(tested_delta: float) -> float:
        correct = fewest_rejected(
            lambda c: auditing.one_run_p_value(canaries, canaries, c, epsilon, tested_delta) <= 0.05, canaries
        )
        chance = float(special.expit(epsilon))
        return float(stats.binom.sf(correct - 1, canaries, chance + delta * (1 - chance)))

    assert size(delta) <= 0.05 < size(0.0)


@pytest.mark.parametrize("delta", [1e-5, 1e-7])
@pytest.mark.parametrize(
    ("sigma", "probability", "steps"),
    [(2.0, 0.1, 150), (1.0, 0.01, 1000), (0.3, 0.05, 5), (1.0, 0.5, 3), (3.0, 0.2, 1), (4.0, 1.0, 100)],
)
def test_training_is_as_private_as_the_gaussian_mechanism_of_its_epsilon(
    sigma: float, probability: float, steps: int, delta: float
) -> None:
    """So that the f-DP bound, on Gaussian curves, is one on a run's epsilon; the scores' separation is too."""
    losses = privacy_loss_distribution.from_gaussian_mechanism(
        sigma, sampling_prob=probability, value_discretization_interval=1e-3
    ).self_compose(steps)
    epsilon = losses.get_epsilon_for_delta(delta)
    mu = optimize.brentq(lambda mu: auditing.gaussian_epsilon(mu, delta=delta) - epsilon, 1e-3, 50.0)
    below = np.linspace(0.0, epsilon, 100)
    curve = special.ndtr(-below / mu + mu / 2) - np.exp(below + special.log_ndtr(-below / mu - mu / 2))
    assert np.all(np.array(losses.get_delta_for_epsilon(list(below))) <= 1.002 * curve)
    assert auditing.gaussian_epsilon(separation(sigma, probability, steps), delta=delta) <= epsilon + 1e-3


@pytest.mark.parametrize(
    ("epsilon", "canaries", "values"),
    [
        (1.0, 1000, (0.16, 0.22, 0.18)),
        (1.0, 5000, (0.22, 0.38, 0.56)),
        (2.0, 1000, (0.50, 0.63, 0.93)),
        (2.0, 5000, (0.61, 0.91, 1.56)),
        (4.0, 1000, (0.97, 1.38, 2.48)),
        (4.0, 5000, (1.15, 1.98, 3.35)),
        (8.0, 1000, (2.33, 3.24, 6.33)),
        (8.0, 5000, (1.99, 3.67, 7.31)),
    ],
)
def test_perfect_canaries_of_a_gaussian_mechanism(
    epsilon: float, canaries: int, values: tuple[float, float, float]
) -> None:
    """References: means of jax_privacy's estimators at the same confidence, with other choices of thresholds."""
    found = means(gaussian_scores, mu_of(epsilon), canaries)
    for name, reference in zip(NAMES, values, strict=True):
        assert 0.9 * reference - 0.05 < found[name] < min(epsilon, 1.8 * reference + 0.2)


def test_audit_slots_of_an_honest_run_stay_below_its_claim() -> None:
    found = means(slots)
    assert (found["one_run"], found["one_run_f_dp"]) == pytest.approx((0.64, 0.85), abs=0.35)
    assert 1.48 < found["gaussian"] < 2.2
    assert max(found.values()) < 2.88


@pytest.mark.parametrize(
    ("fault", "found_by", "values"),
    [
        ({"noise": 0.5}, ["gaussian"], (1.81, 2.48, 4.36)),
        ({"noise": 0.25}, ["one_run_f_dp", "gaussian"], (3.43, 5.32, 10.3)),
        ({"clip": 3.0}, ["one_run_f_dp", "gaussian"], (2.46, 3.51, 6.83)),
    ],
)
def test_audit_slots_find_defects(fault: dict[str, float], found_by: list[str], values: tuple[float, ...]) -> None:
    found = means(slots, **fault)
    assert all(found[name] > 2.88 for name in found_by)
    # At least as sharp as the estimators those figures are from, and no miracle.
    for name, reference in zip(NAMES, values, strict=True):
        assert 0.9 * reference < found[name] < 1.4 * reference


def test_no_noise_at_all_gives_large_finite_bounds() -> None:
    found = auditing.audit_bounds(*slots(0, noise=0.0), delta=DELTA)
    assert 4 < found.one_run < found.one_run_f_dp < found.gaussian < math.inf
    assert (found.num_canaries, found.num_members) == (1000, int(slots(0)[1].sum()))
    told = slots(0)[1]
    assert auditing.gaussian_epsilon_lower_bound(told.astype(float), told, delta=DELTA) == auditing.gaussian_epsilon(
        1000.0, delta=DELTA
    )


def test_ten_thousand_canaries_take_less_than_five_seconds() -> None:
    scores = gaussian_scores(0, 3.0, 10_000)
    start = time.process_time()
    auditing.audit_bounds(*scores, delta=DELTA)
    assert time.process_time() - start < 5.0


def test_equal_scores_show_nothing_even_if_members_come_first() -> None:
    found = auditing.audit_bounds(np.zeros(1000), np.arange(1000) < 500, delta=DELTA)
    assert (found.one_run, found.one_run_f_dp, found.gaussian) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("unit", [1e-300, 3.0, 1e300])
def test_the_unit_of_the_scores_does_not_matter(unit: float) -> None:
    scores, is_member = gaussian_scores(1, 2.0)
    one, other = (auditing.audit_bounds(scores * by, is_member, delta=DELTA) for by in (1.0, unit))
    assert (one.one_run, one.one_run_f_dp) == (other.one_run, other.one_run_f_dp)
    assert one.gaussian == pytest.approx(other.gaussian, rel=1e-9)


def test_guesses_depend_on_the_order_of_scores_only() -> None:
    scores, is_member = gaussian_scores(1, 2.0)
    for name in ("one_run", "one_run_f_dp"):
        found = [BOUNDS[name](values, is_member, delta=DELTA) for values in (scores, np.exp(scores), np.arctan(scores))]
        assert found[0] == found[1] == found[2] > 0


def test_a_canary_that_looks_like_a_non_member_when_it_is_one_shows_nothing() -> None:
    scores, is_member = gaussian_scores(1, 2.0)
    found = auditing.audit_bounds(-scores, is_member, delta=DELTA)
    assert (found.one_run, found.one_run_f_dp, found.gaussian) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("mu", [1e-3, 0.1, 1.0, 5.0, 50.0, 1000.0])
@pytest.mark.parametrize("delta", [1e-2, 1e-5, 1e-12, 1e-100])
def test_the_epsilon_of_a_gaussian_curve(mu: float, delta: float) -> None:
    """Put back into Balle and Wang's formula, in logarithms, it gives delta."""
    epsilon = auditing.gaussian_epsilon(mu, delta=delta)
    if epsilon == 0.0:
        assert special.ndtr(mu / 2) - special.ndtr(-mu / 2) <= delta
        return
    first = float(special.log_ndtr(-epsilon / mu + mu / 2))
    second = epsilon + float(special.log_ndtr(-epsilon / mu - mu / 2))
    assert first + math.log1p(-math.exp(second - first)) == pytest.approx(math.log(delta), rel=1e-2)


@pytest.mark.parametrize("mu", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
def test_the_epsilon_of_a_gaussian_curve_by_integration(mu: float, delta: float) -> None:
    """delta is by definition the integral of the excess of one density over e^epsilon times the other."""
    epsilon = auditing.gaussian_epsilon(mu, delta=delta)
    start = epsilon / mu + mu / 2

    def excess(x: float) -> float:
        return (math.exp(-((x - mu) ** 2) / 2) - math.exp(epsilon - x * x / 2)) / math.sqrt(2 * math.pi)

    integral, _ = integrate.quad(excess, start, max(start, mu) + 12.0, epsabs=0.0, epsrel=1e-10)
    assert integral == pytest.approx(delta, rel=1e-7)


def test_known_epsilons_of_gaussian_curves() -> None:
    assert auditing.gaussian_epsilon(1.0, delta=1e-5) == pytest.approx(4.377178, abs=1e-5)
    assert auditing.gaussian_epsilon(0.0, delta=1e-5) == 0.0
    for mu in (-1.0, 1001.0, math.nan, True):
        with pytest.raises(ParameterError, match="mu="):
            auditing.gaussian_epsilon(mu, delta=1e-5)


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "published"),
    [(1000, 100, 75, 1e-4, 0.673), (100_000, 1510, 1439, 1e-5, 2.675)],
)
def test_the_published_bounds_of_one_run(
    canaries: int, guesses: int, correct: int, delta: float, published: float
) -> None:
    """Steinke et al. (2023), arXiv version 1, Appendix D and Section 7; the second is truncated there."""

    def rejects(epsilon: float) -> bool:
        return auditing.one_run_p_value(canaries, guesses, correct, epsilon, delta) <= 0.05

    assert auditing._largest(rejects) == pytest.approx(published, abs=1e-3)


def test_the_p_value_against_the_sum_written_out() -> None:
    def naive(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
        chance = math.exp(epsilon) / (1 + math.exp(epsilon))
        mass = [math.comb(guesses, k) * chance**k * (1 - chance) ** (guesses - k) for k in range(guesses + 1)]
        slope = max((sum(mass[correct - i : correct]) / i for i in range(1, correct + 1)), default=0.0)
        return min(1.0, sum(mass[correct:]) + 2 * canaries * delta * slope)

    random = np.random.default_rng(0)
    for _ in range(200):
        guesses = int(random.integers(1, 40))
        case = (
            guesses + 10,
            guesses,
            int(random.integers(0, guesses + 1)),
            float(random.uniform(0, 3)),
            10.0 ** -random.uniform(2, 9),
        )
        assert auditing.one_run_p_value(*case) == pytest.approx(naive(*case), rel=1e-9)


def test_the_f_dp_test_against_its_pseudocode() -> None:
    """Mahloujifar et al. (2024), `audit_rh_with_cap`, with its arrays and for an alphabet of two."""

    def naive(canaries: int, guesses: int, correct: int, mu: float, level: float) -> bool:
        level *= guesses / canaries
        r, h = [0.0] * (correct + 1), [0.0] * (correct + 1)
        r[correct], h[correct] = level * correct / guesses, level * (guesses - correct) / guesses
        for i in range(correct - 1, -1, -1):
            h[i] = max(h[i + 1], float(stats.norm.cdf(stats.norm.ppf(min(1.0, r[i + 1])) - mu)))
            r[i] = r[i + 1] + i / (guesses - i) * (h[i] - h[i + 1])
        return r[0] + h[0] > guesses / canaries

    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(200):
        guesses = int(random.integers(1, 60))
        correct = int(random.integers(guesses // 2, guesses + 1))
        case = (guesses + 20, guesses, correct, float(random.uniform(0, 1)), float(random.choice([0.05, 0.0125])))
        verdicts.append(auditing.gaussian_curve_is_rejected(*case))
        assert verdicts[-1] == naive(*case)
    assert 20 < sum(verdicts) < 180


def test_the_f_dp_test_knows_perfect_guesses() -> None:
    """Without any privacy loss (mu = 0) r right guesses of r have probability 2^-r: more is not rejected."""
    for guesses in range(2, 12):
        rejected = auditing.gaussian_curve_is_rejected(1000, guesses, guesses, 0.0, 0.01)
        assert not rejected or 2.0**-guesses <= 0.01
    assert auditing.gaussian_curve_is_rejected(1000, 11, 11, 0.0, 0.01)
    assert not auditing.gaussian_curve_is_rejected(1000, 1000, 500, 0.0, 0.01)


def test_bounds_grow_with_the_scores_separation() -> None:
    found = [auditing.audit_bounds(*gaussian_scores(3, mu), delta=DELTA) for mu in (0.5, 1.0, 2.0, 4.0)]
    for name in NAMES:
        values = [getattr(one, name) for one in found]
        assert values == sorted(values)


GOOD = gaussian_scores(0, 1.0, 200)


@pytest.mark.parametrize(
    ("scores", "is_member", "options", "message"),
    [
        (GOOD[0][:50], GOOD[1][:50], {}, "50 canaries >= 100"),
        (GOOD[0][:150], GOOD[1], {}, r"\(150,\) and \(200,\)"),
        (GOOD[0].reshape(2, 100), GOOD[1].reshape(2, 100), {}, "one shape"),
        (np.where(np.arange(200) < 3, np.nan, GOOD[0]), GOOD[1], {}, "3 of 200 are not"),
        (np.where(np.arange(200) < 1, np.inf, GOOD[0]), GOOD[1], {}, "1 of 200 are not"),
        (["high"] * 200, GOOD[1], {}, "real numbers, not <U4"),
        (GOOD[1], GOOD[1], {}, "real numbers, not bool"),
        (GOOD[0] * 1j, GOOD[1], {}, "real numbers, not complex128"),
        (GOOD[0], GOOD[1].astype(int), {}, "type bool, not int64"),
        (GOOD[0], np.ones(200, bool), {}, "200 are members"),
        (GOOD[0], np.zeros(200, bool), {}, "0 are members"),
        (GOOD[0], np.arange(200) < 1, {}, "1 are members"),
        (GOOD[0], GOOD[1], {"delta": 0.0}, "delta=0.0"),
        (GOOD[0], GOOD[1], {"delta": math.nan}, "delta=nan"),
        (GOOD[0], GOOD[1], {"delta": False}, "delta=False"),
        (GOOD[0], GOOD[1], {"confidence": 1.0}, "confidence=1.0"),
        (GOOD[0], GOOD[1], {"confidence": math.nan}, "confidence=nan"),
        (GOOD[0], GOOD[1], {"confidence": True}, "confidence=True"),
    ],
)
@pytest.mark.parametrize("bound", [*BOUNDS.values(), auditing.audit_bounds], ids=[*BOUNDS, "all"])
def test_bad_input_is_named(
    bound: Callable[..., Any], scores: Any, is_member: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        bound(scores, is_member, **{"delta": DELTA, **options})
