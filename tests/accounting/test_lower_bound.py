"""The lower bound that shares nothing with the accountants, and what it finds."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import optimize

from tfx_privacy.accounting import gaussian_dp, lower_bound
from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import EpsilonBounds, epsilon_bounds, rdp_epsilon
from tfx_privacy.errors import AccountingError

RUNS = [
    # sampling_probability, noise_multiplier, steps, delta, least share of epsilon that the attack shows
    (0.01, 4.0, 10_000, 1e-5, 0.85),
    (0.00426667, 1.1, 14_063, 1e-5, 0.6),
    (0.01, 1.0, 1, 1e-5, 0.999),
    (0.999999, 1.0, 10, 1e-5, 0.99),
    (1e-3, 2.0, 1_000_000, 1e-10, 0.85),
    (0.5, 100.0, 10_000_000, 1e-6, 0.9),
    (0.01, 20.0, 1_000_000, 1e-12, 0.6),
]


@pytest.mark.parametrize(("probability", "noise", "steps", "delta", "share"), RUNS)
def test_it_is_below_epsilon_and_not_far(
    probability: float, noise: float, steps: int, delta: float, share: float
) -> None:
    event = dp_sgd_event(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    # PLD takes seconds beyond epsilon 20, where Renyi DP is near it as well.
    bound = rdp_epsilon(event, target_delta=delta)
    if bound < 20:
        bound = epsilon_bounds(event, target_delta=delta).best
    found = lower_bound.epsilon_lower_bound(event, target_delta=delta)
    assert share * bound < found <= bound


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (3.0, 100)])
def test_without_sampling_it_is_exact(noise: float, steps: int) -> None:
    """Of all tests on a Gaussian mechanism a threshold is the best (Dong et al. 2022, Corollary 2.13), up to the grid's."""
    event = dp_sgd_event(noise_multiplier=noise, sampling_probability=1.0, steps=steps)
    mu = math.sqrt(steps) / noise
    exact = optimize.brentq(lambda e: gaussian_dp.profile(mu, np.array([e]))[0] - 1e-6, 0.1, 100.0)
    found = lower_bound.epsilon_lower_bound(event, target_delta=1e-6)
    assert 0.998 * exact < found <= exact * (1 + 1e-9)


def test_several_runs_are_as_hard_as_the_hardest() -> None:
    runs = [dp_sgd_event(noise_multiplier=noise, sampling_probability=0.1, steps=50) for noise in (1.0, 5.0)]
    single = [lower_bound.epsilon_lower_bound(run, target_delta=1e-5) for run in runs]
    assert lower_bound.epsilon_lower_bound(composed(runs), target_delta=1e-5) == max(single) > 0


def test_bounds_that_are_too_small_are_refused() -> None:
    """By Renyi DP epsilon is 27.1635 here, by PLD 25.2046; an accountant that answers 1.214 is found out."""
    event = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.1, steps=1000)
    right = EpsilonBounds(pld=25.2046, rdp=27.1635)
    lower_bound.check(event, right, target_delta=1e-5)
    lower_bound.check(event, dataclasses.replace(right, pld=None), target_delta=1e-5)
    for wrong in ({"rdp": 1.214}, {"pld": 1.214}, {"pld": math.nan}):
        with pytest.raises(AccountingError, match="an attack shows at least"):
            lower_bound.check(event, dataclasses.replace(right, **wrong), target_delta=1e-5)
