"""What the reach of the noise takes from delta, shown with a reach that is short enough to matter."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from evidence import make_guarantee
from scipy import stats

from tfx_privacy import DPParameters, calibrate_noise_multiplier, epsilon
from tfx_privacy.accounting import gaussian_dp, noise_tails
from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds, rdp_epsilon
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon, stated_bounds

# Of uniform numbers of 31 bits and a half.
SHORT_REACH = math.sqrt(2 * 32 * math.log(2))


@pytest.fixture(autouse=True)
def _no_epsilon_of_another_reach() -> Iterator[None]:
    epsilon_bounds.cache_clear()
    yield
    epsilon_bounds.cache_clear()


@pytest.mark.parametrize(
    ("noise", "probability", "steps", "delta"),
    [(0.5, 1e-3, 10_000, 1e-7), (0.6, 1e-3, 20_000, 1e-7), (0.8, 0.004, 5000, 1e-8), (1.0, 0.004, 10_000, 1e-8)],
)
def test_a_short_reach_costs_at_least_what_it_shows(
    monkeypatch: pytest.MonkeyPatch, noise: float, probability: float, steps: int, delta: float
) -> None:
    """One coordinate alone shows a member at any epsilon: delta is at least the mass beyond the reach. No epsilon is stated."""
    event = dp_sgd_event(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    shown = -math.expm1(steps * math.log1p(-probability * stats.norm.sf(SHORT_REACH - 1 / noise)))
    assert shown > delta
    assert noise_tails.lost(event) < 1e-70
    monkeypatch.setattr(noise_tails, "REACH", SHORT_REACH)
    assert noise_tails.lost(event) > shown
    run = DPParameters(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    for accountant in ("pld", "rdp"):
        with pytest.raises(ParameterError, match="near the largest that can be drawn"):
            epsilon(run, target_delta=delta, accountant=accountant)


def test_every_run_that_is_accounted_keeps_its_delta() -> None:
    """The least noise in the most steps, a thousand times: nothing that a double or a ledger would notice."""
    worst = dp_sgd_event(noise_multiplier=0.3, sampling_probability=1.0, steps=10_000_000)
    assert noise_tails.lost(composed([worst] * 1000)) < 1e-66
    assert noise_tails.delta_left(worst, target_delta=1e-50) == 1e-50
    with pytest.raises(ParameterError, match="Expected target_delta=1e-80"):
        rdp_epsilon(worst, target_delta=1e-80)


def reach_that_loses(share: float, noise: float, steps: int) -> float:
    """The reach at which a run loses such a probability, by the formula of `docs/guarantee.md`."""
    return math.sqrt(2 * math.log(steps * 2**42 / share)) + math.sqrt(2) / noise


def test_both_accountants_get_what_is_left_of_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    event = dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=100)
    at_a_quarter = epsilon_bounds(event, target_delta=0.25e-5)
    at_all = epsilon_bounds(event, target_delta=1e-5)
    monkeypatch.setattr(noise_tails, "REACH", reach_that_loses(0.75e-5, 1.0, 100))
    epsilon_bounds.cache_clear()
    found = epsilon_bounds(event, target_delta=1e-5)
    assert found.pld is not None
    assert at_all.pld is not None
    assert found.rdp == pytest.approx(at_a_quarter.rdp, rel=1e-6)
    assert found.pld == pytest.approx(at_a_quarter.pld, rel=1e-6)
    assert found.pld > at_all.pld * 1.01


def test_several_runs_lose_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_tails, "REACH", 20.0)
    runs = [
        dp_sgd_event(noise_multiplier=noise, sampling_probability=0.1, steps=steps)
        for noise, steps in ((0.5, 3), (0.5, 40), (0.6, 100))
    ]
    assert noise_tails.lost(composed(runs)) == pytest.approx(sum(map(noise_tails.lost, runs)), rel=1e-9, abs=0.0)


def test_calibration_allows_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """To an epsilon that the least noise hardly misses, where the reach matters most."""
    least = DPParameters(noise_multiplier=0.3, sampling_probability=0.01, steps=100)
    target = 0.99 * epsilon(least, target_delta=1e-5, accountant="rdp")
    run = DPParameters(target_epsilon=target, sampling_probability=0.01, steps=100)
    ordinary = calibrate_noise_multiplier(run, target_epsilon=target, target_delta=1e-5, accountant="rdp")
    monkeypatch.setattr(noise_tails, "REACH", reach_that_loses(0.9e-5, 0.3, 100))
    careful = calibrate_noise_multiplier(run, target_epsilon=target, target_delta=1e-5, accountant="rdp")
    assert careful > ordinary * 1.001


def test_the_gate_s_recomputation_allows_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guarantee that states epsilon at all of delta is refused; the one that is made now is not."""
    guarantee = make_guarantee()
    assert recomputed_epsilon(guarantee) == guarantee.stated_epsilon
    executed = guarantee.mechanism
    assert isinstance(executed, DPMechanism)
    monkeypatch.setattr(
        noise_tails,
        "REACH",
        reach_that_loses(0.9 * guarantee.target_delta, executed.noise_multiplier, executed.steps),
    )
    epsilon_bounds.cache_clear()
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        recomputed_epsilon(guarantee)
    bounds = stated_bounds(executed, guarantee.target_delta)
    honest = guarantee.model_copy(update={"epsilon_pld": bounds.pld, "epsilon_rdp": bounds.rdp})
    assert recomputed_epsilon(honest) == honest.stated_epsilon > guarantee.stated_epsilon
    monkeypatch.setattr(noise_tails, "REACH", SHORT_REACH)
    epsilon_bounds.cache_clear()
    with pytest.raises(ParameterError, match="near the largest that can be drawn"):
        recomputed_epsilon(honest)


def test_a_trade_off_curve_allows_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    event = dp_sgd_event(noise_multiplier=2.0, sampling_probability=1.0, steps=1)
    ordinary = gaussian_dp.fit(event)
    monkeypatch.setattr(noise_tails, "REACH", reach_that_loses(0.9e-7, 2.0, 1))
    assert gaussian_dp.fit(event).mu > ordinary.mu * 1.001
