"""The Bayesian likelihood ratio for few reference models: against formulas, analytic truth, and itself without a prior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from tfx_privacy.attacks.membership import bayesian, statistics
from tfx_privacy.attacks.membership import counts as counting


def simulated(seed: int, size: int, num_pairs: int, *, effects: bool = False, spread: float = 0.0) -> Any:
    """Target, models with and without each record, and noise; the first half of the records are the target's members.

    Every model's score is difficulty + effect of having seen the record + noise of 0.7 times a log-normal number.
    """
    random = np.random.default_rng(seed)
    difficulty = random.normal(1.0, 2.0, size)
    noise = 0.7 * np.exp(spread * random.normal(size=size))
    effect = random.exponential(1.0, size) * (random.random(size) < 0.6) if effects else np.ones(size)
    target = difficulty + effect * (np.arange(size) < size // 2) + noise * random.normal(size=size)
    out = difficulty[:, None] + noise[:, None] * random.normal(size=(size, num_pairs))
    inside = (difficulty + effect)[:, None] + noise[:, None] * random.normal(size=(size, num_pairs))
    return target, inside, out, noise


def counts_of(found: np.ndarray) -> counting.Counts:
    half = len(found) // 2
    return counting.of_scores(found[:half], found[half:])


def auc(found: np.ndarray) -> float:
    return statistics.auc_and_variance(counts_of(found))[0]


@pytest.mark.parametrize("num_pairs", [1, 2, 8])
def test_with_one_effect_and_one_variance_it_has_the_analytic_curve(num_pairs: int) -> None:
    """The best score is the distance from the pairs' level: normal, with mean +-1/2 and variance 0.49 (1 + 1 / 2K).

    So AUC = Phi(mu / sqrt 2) and TPR = Phi(mu + Phi^-1(FPR)). 40,000 records: four standard errors of the AUC are below
    0.011, of the rate below 0.015; an attack that ignores the models with the record misses by 0.02 with one pair.
    """
    target, inside, out, _ = simulated(1, 40_000, num_pairs)
    found = bayesian.bavaria(target, inside, out)
    mu = 1 / (0.7 * math.sqrt(1 + 1 / (2 * num_pairs)))
    assert auc(found) == pytest.approx(stats.norm.cdf(mu / math.sqrt(2)), abs=0.011)
    rate = statistics.tpr_interval(counts_of(found), false_positive_rate=0.01, confidence_level=0.95)
    assert rate.estimate == pytest.approx(stats.norm.cdf(mu + stats.norm.ppf(0.01)), abs=0.02)
    assert auc(target - out.mean(axis=1)) < auc(found) - (0.02 if num_pairs == 1 else 0.0)


def test_the_predictive_densities_are_student_s() -> None:
    """Two pairs, by a loop over records, with the prior that the variances are given."""
    target, inside, out, _ = simulated(2, 400, 2, effects=True, spread=0.5)
    found = bayesian.bavaria(target, inside, out)
    residuals = [
        sum((side[record] - side[record].mean()) ** 2 for side in (inside, out)).sum() for record in range(400)
    ]
    prior = bayesian._variance_prior(np.array(residuals) / 2, 2)
    effects = inside.mean(axis=1) - out.mean(axis=1)
    spread = effects.var() - np.mean(residuals) / 2
    for record in range(400):
        variance = (prior.freedom * prior.variance + residuals[record]) / (prior.freedom + 2)
        weight = spread / (spread + variance)
        effect = effects.mean() + weight * (effects[record] - effects.mean())
        scale = math.sqrt(variance * 1.25 + weight * variance / 4)
        level = (inside[record].mean() + out[record].mean()) / 2
        with_it, without_it = (
            stats.t(prior.freedom + 2, level + sign * effect / 2, scale).logpdf(target[record]) for sign in (1, -1)
        )
        assert found[record] == pytest.approx(with_it - without_it, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("freedom", [2, 6])
def test_the_prior_of_the_variances_is_found_again(freedom: int) -> None:
    """Variances of an inverse chi-square with 5 degrees of freedom around 0.8, each seen by a sample."""
    random = np.random.default_rng(3)
    true = 0.8 * 5 / random.chisquare(5, 40_000)
    seen = true * random.chisquare(freedom, 40_000) / freedom
    prior = bayesian._variance_prior(seen, freedom)
    assert prior.freedom == pytest.approx(5, rel=0.1)
    assert prior.variance == pytest.approx(0.8, rel=0.05)
    alike = bayesian._variance_prior(0.8 * random.chisquare(freedom, 40_000) / freedom, freedom)
    assert alike.freedom > 50
    assert alike.variance == pytest.approx(0.8, rel=0.05)


def test_the_inverse_of_the_trigamma_function() -> None:
    for value in (0.01, 0.5, 3.0, 40.0):
        assert float(special.polygamma(1, bayesian._inverse_trigamma(value))) == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(("num_pairs", "gain"), [(2, 0.02), (4, 0.01)])
def test_the_prior_is_what_makes_few_models_enough(num_pairs: int, gain: float) -> None:
    """Where records differ in variance: against one variance for all, and against each record's own alone.

    10,000 members: a standard error of the rate at 1 % is below 0.004.
    """
    target, inside, out, _ = simulated(4, 20_000, num_pairs, spread=0.5)
    found = bayesian.bavaria(target, inside, out)
    with_it, without_it = inside.mean(axis=1), out.mean(axis=1)
    residuals = ((inside - with_it[:, None]) ** 2).sum(axis=1) + ((out - without_it[:, None]) ** 2).sum(axis=1)
    pooled = np.full(len(target), math.sqrt(residuals.mean() / (2 * num_pairs - 2)))
    own = np.sqrt(residuals / (2 * num_pairs - 2))
    rivals = [
        stats.norm.logpdf(target, with_it, deviation) - stats.norm.logpdf(target, without_it, deviation)
        for deviation in (pooled, own)
    ]
    rates = [
        statistics.tpr_interval(counts_of(scores), false_positive_rate=0.01, confidence_level=0.95).estimate
        for scores in (found, *rivals)
    ]
    assert rates[0] > max(rates[1:]) + gain
    assert auc(found) > max(auc(scores) for scores in rivals) + 0.01


def test_one_pair_tells_an_effect_that_differs_from_noise() -> None:
    """Records on which training has no effect score near zero, so they do not stand among the few that are called members."""
    target, inside, out, _ = simulated(5, 40_000, 1, effects=True)
    found = bayesian.bavaria(target, inside, out)
    same_for_all = target - (inside[:, 0] + out[:, 0]) / 2
    rates = [
        statistics.tpr_interval(counts_of(scores), false_positive_rate=0.001, confidence_level=0.95).estimate
        for scores in (found, same_for_all)
    ]
    assert rates[0] > 2 * rates[1]


@pytest.mark.parametrize("num_pairs", [1, 2])
def test_nothing_is_found_where_the_target_did_not_learn(num_pairs: int) -> None:
    """Of 1,000 runs the interval covers one half in 95 %: fewer than 923 have a chance of 1e-4."""
    covered = 0
    for seed in range(1000):
        target, inside, out, _ = simulated(1000 + seed, 600, num_pairs, spread=0.5)
        found = bayesian.bavaria(target - 1.0 * (np.arange(600) < 300), inside, out)
        interval = statistics.auc_interval(counts_of(found), confidence_level=0.95)
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= 923


def test_models_that_all_agree_say_nothing_and_break_nothing() -> None:
    for num_pairs in (1, 3):
        alike = np.zeros((4, num_pairs))
        assert np.isfinite(bayesian.bavaria(np.array([-50.0, 0.0, 0.0, 50.0]), alike, alike)).all()
