"""Lower bounds on epsilon: their coverage, their power, and closed forms. False alarms of the tests themselves are at most 1e-6."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from tfx_privacy.privacy import audit
from tfx_privacy.privacy.errors import ParameterError

DELTA = 1e-5
BOUNDS: dict[str, Callable[..., float]] = {
    "one run": audit.one_run_epsilon_lower_bound,
    "one run, f-DP": audit.one_run_f_dp_epsilon_lower_bound,
    "gaussian": audit.gaussian_epsilon_lower_bound,
}


def gaussian_scores(seed: int, mu: float, size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    is_member = random.random(size) < 0.5
    return random.normal(size=size) + mu * is_member, is_member


def slots(seed: int, noise: float = 1.0, clip: float = 1.0, size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Audit slots of a run with sigma=2, q=0.1, 150 steps, which claims epsilon 2.88 at 1e-5."""
    random = np.random.default_rng(seed)
    is_member = random.random(size) < 0.5
    drawn = np.where(is_member, random.binomial(150, 0.1, size), 0)
    return random.normal(size=size) * math.sqrt(150) * noise + drawn * clip / 2.0, is_member


def mean_bounds(make: Callable[..., tuple[np.ndarray, np.ndarray]], **options: Any) -> list[float]:
    found = [audit.audit_bounds(*make(seed, **options), delta=DELTA) for seed in range(8)]
    return [float(np.mean([getattr(one, name) for one in found])) for name in ("one_run", "one_run_f_dp", "gaussian")]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("mu", [0.0, 0.5, 2.0])
def test_a_bound_exceeds_the_truth_in_at_most_one_run_of_twenty(name: str, mu: float) -> None:
    """200 runs of a Gaussian mechanism whose epsilon is known: the count of failures is Binomial(200, 0.05) at worst."""
    truth = audit.gaussian_epsilon(mu, delta=DELTA)
    failures = sum(BOUNDS[name](*gaussian_scores(seed, mu, 300), delta=DELTA) > truth for seed in range(200))
    assert failures <= stats.binom.isf(1e-6, 200, 0.05)


def test_the_best_of_many_uncorrected_guesses_would_fail_that_test() -> None:
    def rejects(guesses: int, right: int, epsilon: float) -> bool:
        return audit.one_run_p_value(300, guesses, right, epsilon, DELTA) <= 0.05

    def uncorrected(scores: np.ndarray, is_member: np.ndarray) -> float:
        order = np.argsort(-scores)
        best = 0.0
        for half in range(5, 150, 3):
            right = int(is_member[order[:half]].sum() + (~is_member[order[-half:]]).sum())
            best = max(best, audit._largest(functools.partial(rejects, 2 * half, right)))
        return best

    failures = sum(uncorrected(*gaussian_scores(seed, 0.0, 300)) > 0 for seed in range(200))
    assert failures > stats.binom.isf(1e-6, 200, 0.05)


def test_audit_slots_of_an_honest_run_stay_below_its_claim() -> None:
    """What the formal bounds reach, within what eight runs leave open; the references are means of other estimators."""
    one_run, f_dp, gaussian = mean_bounds(slots)
    assert (one_run, f_dp, gaussian) == pytest.approx((0.64, 0.85, 1.48), abs=0.35)
    assert max(one_run, f_dp, gaussian) < 2.88


@pytest.mark.parametrize(
    ("fault", "found_by", "values"),
    [
        ({"noise": 0.5}, ["gaussian"], (1.81, 2.48, 4.36)),
        ({"noise": 0.25}, ["one_run_f_dp", "gaussian"], (3.43, 5.32, 10.3)),
        ({"clip": 3.0}, ["one_run_f_dp", "gaussian"], (2.46, 3.51, 6.83)),
    ],
)
def test_audit_slots_find_defects(fault: dict[str, float], found_by: list[str], values: tuple[float, ...]) -> None:
    found = mean_bounds(slots, **fault)
    by_name = dict(zip(("one_run", "one_run_f_dp", "gaussian"), found, strict=True))
    assert all(by_name[name] > 2.88 for name in found_by)
    # At least as sharp as the estimators those figures are from, and no miracle.
    for value, reference in zip(found, values, strict=True):
        assert 0.9 * reference < value < 1.4 * reference


def test_no_noise_at_all_gives_large_finite_bounds() -> None:
    found = audit.audit_bounds(*slots(0, noise=0.0), delta=DELTA)
    assert 4 < found.one_run < found.one_run_f_dp < found.gaussian < math.inf
    assert (found.num_canaries, found.num_members) == (1000, int(slots(0)[1].sum()))


@pytest.mark.parametrize("mu", [1e-3, 0.1, 1.0, 5.0, 50.0, 1000.0])
@pytest.mark.parametrize("delta", [1e-2, 1e-5, 1e-12, 1e-100])
def test_the_epsilon_of_a_gaussian_curve(mu: float, delta: float) -> None:
    """Put back into Balle and Wang's formula, in logarithms, it gives delta."""
    epsilon = audit.gaussian_epsilon(mu, delta=delta)
    if epsilon == 0.0:
        assert special.ndtr(mu / 2) - special.ndtr(-mu / 2) <= delta
        return
    first = float(special.log_ndtr(-epsilon / mu + mu / 2))
    second = epsilon + float(special.log_ndtr(-epsilon / mu - mu / 2))
    assert first + math.log1p(-math.exp(second - first)) == pytest.approx(math.log(delta), rel=1e-2)


def test_the_epsilon_of_a_gaussian_curve_is_dp_accounting_s() -> None:
    assert audit.gaussian_epsilon(1.0, delta=1e-5) == pytest.approx(4.377178, abs=1e-5)
    assert audit.gaussian_epsilon(0.0, delta=1e-5) == 0.0


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
        assert audit.one_run_p_value(*case) == pytest.approx(naive(*case), rel=1e-9)


def test_the_f_dp_test_knows_perfect_guesses() -> None:
    """Without any privacy loss (mu = 0) r right guesses of r have probability 2^-r: rejected just when that is below the level."""
    for guesses in range(2, 12):
        rejected = audit.gaussian_curve_is_rejected(1000, guesses, guesses, 0.0, 0.01)
        assert not rejected or 2.0**-guesses <= 0.01
    assert audit.gaussian_curve_is_rejected(1000, 11, 11, 0.0, 0.01)
    assert not audit.gaussian_curve_is_rejected(1000, 1000, 500, 0.0, 0.01)


def test_bounds_grow_with_the_scores_separation() -> None:
    found = [audit.audit_bounds(*gaussian_scores(3, mu), delta=DELTA) for mu in (0.5, 1.0, 2.0, 4.0)]
    for name in ("one_run", "one_run_f_dp", "gaussian"):
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
        (GOOD[0], GOOD[1].astype(int), {}, "type bool, not int64"),
        (GOOD[0], np.ones(200, bool), {}, "200 are members"),
        (GOOD[0], np.zeros(200, bool), {}, "0 are members"),
        (GOOD[0], GOOD[1], {"delta": 0.0}, "delta=0.0"),
        (GOOD[0], GOOD[1], {"delta": math.nan}, "delta=nan"),
        (GOOD[0], GOOD[1], {"confidence": 1.0}, "confidence=1.0"),
        (GOOD[0], GOOD[1], {"confidence": True}, "confidence=True"),
    ],
)
def test_bad_input_is_named(scores: Any, is_member: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        audit.audit_bounds(scores, is_member, **{"delta": DELTA, **options})
