"""PLD's Fourier transforms round off: many steps at a small delta, against an integral and against more digits."""

import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
from exact_epsilon import exact_epsilon

from tfx_privacy.accounting import epsilon as accounting
from tfx_privacy.accounting import gaussian_dp, lower_bound
from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, FINE_INTERVAL, epsilon_bounds, pld_round_off
from tfx_privacy.errors import AccountingError


def test_the_integral_is_what_other_implementations_give() -> None:
    """Microsoft's PRV, whose bounds are 0.9418 and 0.9519 with the estimate 0.946868, and 2.381690."""
    assert exact_epsilon(noise=4.0, probability=0.01, steps=10_000, delta=1e-5) == pytest.approx(0.946868, abs=5e-6)
    found = exact_epsilon(noise=1.1, probability=0.00426667, steps=14_063, delta=1e-5)
    assert found == pytest.approx(2.381690, abs=5e-6)


SETTINGS = [
    (probability, noise, 1_000_000, delta)
    for probability, noise, delta in itertools.product(
        (1e-3, 1e-2), (2.0, 5.0, 20.0), (1e-12, 1e-11, 1e-10, 1.5e-9, 3e-9, 1e-7)
    )
    if (probability, noise) not in {(1e-2, 2.0), (1e-2, 5.0)}  # epsilon is 15 to 50 there
]


@pytest.mark.slow
@pytest.mark.parametrize(("probability", "noise", "steps", "delta"), SETTINGS)
def test_what_is_stated_of_a_million_steps_is_above_the_truth_and_near_it(
    probability: float, noise: float, steps: int, delta: float
) -> None:
    event = dp_sgd_event(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    stated = epsilon_bounds(event, target_delta=delta)
    exact = exact_epsilon(noise=noise, probability=probability, steps=steps, delta=delta)
    assert exact <= stated.best <= 1.15 * exact
    assert exact <= stated.rdp
    assert (stated.pld is not None) == (delta >= 2e-9)


def test_pld_is_asked_at_a_delta_that_is_smaller_by_its_round_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def spying(make: Any, event: Any, delta: float) -> float:
        asked.append(delta)
        return 1.0

    monkeypatch.setattr(accounting, "_account", spying)
    event = dp_sgd_event(noise_multiplier=2.0, sampling_probability=1e-3, steps=1_000_000)
    epsilon_bounds.__wrapped__(event, target_delta=3e-9)
    assert asked == [3e-9, pytest.approx(2e-9)]


def test_the_round_off_is_of_all_sampled_steps() -> None:
    sampled = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=5000)
    whole = dp_sgd_event(noise_multiplier=1.0, sampling_probability=1.0, steps=5000)
    assert pld_round_off(sampled) == pytest.approx(5e-12)
    assert pld_round_off(whole) == pytest.approx(1e-15)
    assert pld_round_off(composed([sampled, whole, sampled])) == pytest.approx(1.0001e-11)


def test_gaussian_dp_is_stated_no_further_down_than_the_round_off_allows() -> None:
    event = dp_sgd_event(noise_multiplier=20.0, sampling_probability=1e-3, steps=1_000_000)
    assert gaussian_dp.fit(event, target_delta=1e-12).smallest_delta == pytest.approx(2e-9)


@pytest.mark.parametrize("interval", [FINE_INTERVAL, COARSE_INTERVAL])
def test_the_smaller_of_two_valid_bounds_is_stated(interval: float) -> None:
    """10,000 steps that spend 0.02: the grid of the losses is coarse against each, and PLD comes out above Renyi DP."""
    event = dp_sgd_event(noise_multiplier=24.0, sampling_probability=1e-3, steps=10_000)
    alone = accounting._account(functools.partial(accounting._pld_accountant, interval), event, 1e-7)
    found = epsilon_bounds(event, target_delta=1e-7, value_discretization_interval=interval)
    assert alone > found.rdp * 1.001
    assert found.pld == found.best == found.rdp > exact_epsilon(noise=24.0, probability=1e-3, steps=10_000, delta=1e-7)


@pytest.mark.parametrize("failure", [MemoryError("38 GiB"), ValueError("no"), OverflowError("no")])
def test_where_pld_fails_the_other_bound_stands(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fails(interval: float) -> Any:
        raise failure

    monkeypatch.setattr(accounting, "_pld_accountant", fails)
    event = dp_sgd_event(noise_multiplier=1.3, sampling_probability=0.01, steps=123)
    found = epsilon_bounds(event, target_delta=1e-5)
    assert found.pld is None
    assert math.isfinite(found.best)


def test_where_renyi_dp_fails_there_is_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise ValueError("no")

    monkeypatch.setattr(accounting, "_rdp_accountant", fails)
    with pytest.raises(AccountingError, match="failed"):
        epsilon_bounds(dp_sgd_event(noise_multiplier=1.3, sampling_probability=0.01, steps=124), target_delta=1e-5)


@pytest.mark.parametrize(
    ("noise", "probability", "steps", "delta"),
    [
        (30.0, 1e-6, 10**6, 1e-8),
        (30.0, 1e-6, 10**7, 1e-8),
        (100.0, 1e-5, 10**6, 3e-9),
        (25.0, 1e-5, 10**6, 1e-13),
        (1e4, 1e-3, 10**7, 1e-9),
    ],
)
def test_steps_that_are_lost_in_renyi_dps_round_off_cost_something(
    noise: float, probability: float, steps: int, delta: float
) -> None:
    """For (q / noise)^2 below 1e-12 dp-accounting's divergence of a step is zero, and so was epsilon."""
    event = dp_sgd_event(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    stated = epsilon_bounds(event, target_delta=delta)
    lower_bound.check(event, stated, target_delta=delta)
    assert stated.best >= lower_bound.epsilon_lower_bound(event, target_delta=delta) > 0.0


@pytest.mark.slow
@pytest.mark.parametrize("steps", [10**5, 10**6, 10**7])
def test_the_round_off_is_within_a_quarter_of_its_bound(steps: int) -> None:
    """The same transform in extended precision, whose own round-off is 2,000 times smaller, at every epsilon at once."""
    from tfx_privacy.third_party.dp_accounting.pld import common, privacy_loss_distribution

    for noise, probability, interval in itertools.product((1.0, 2.0, 5.0), (1e-4, 1e-3), (1e-4, 1e-3)):
        step = privacy_loss_distribution.from_gaussian_mechanism(
            noise, value_discretization_interval=interval, sampling_prob=probability
        )
        for pmf in (step._pmf_remove.to_dense_pmf(), step._pmf_add.to_dense_pmf()):
            low, found = common.self_convolve(list(pmf._probs), steps, 1e-15)
            difference = np.asarray(found - _in_extended_precision(pmf._probs, steps, low, len(found)), np.float64)
            losses = (np.arange(len(found)) + low + pmf._lower_loss * steps) * interval
            # delta(e) = sum over losses above e of p (1 - exp(e - loss)).
            upper = np.cumsum(difference[::-1])
            lower = np.cumsum((difference * np.exp(-np.clip(losses, -300, 300)))[::-1])
            seen = (losses[::-1] >= 0) & (losses[::-1] <= 100)
            errors = (upper - np.exp(np.clip(losses[::-1], 0, 100)) * lower)[seen]
            assert np.abs(errors).max(initial=0.0) < accounting._ROUND_OFF * steps / 4


def _in_extended_precision(probs: np.ndarray, steps: int, low: int, size: int) -> np.ndarray:
    assert np.finfo(np.longdouble).eps < 1e-18
    transform = scipy.fft.fft(probs.astype(np.longdouble), scipy.fft.next_fast_len(max(size, len(probs))))
    power, square = np.ones_like(transform), transform
    while steps:
        if steps & 1:
            power = power * square
        square, steps = square * square, steps >> 1
    return np.asarray(np.roll(np.real(scipy.fft.ifft(power)), -low)[:size])
