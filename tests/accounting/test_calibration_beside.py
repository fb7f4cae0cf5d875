"""Noise that is calibrated beside what was released of the same records."""

from __future__ import annotations

import math

import pytest

from tfx_privacy import DPParameters, calibrate_noise_multiplier
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.errors import ParameterError
from tfx_privacy.third_party import dp_accounting
from tfx_privacy.third_party.dp_accounting import pld, rdp

DELTA = 1e-6
RUNS = {"short": (0.0512, 400), "long": (0.01, 4000)}


def parameters(run: str) -> DPParameters:
    probability, steps = RUNS[run]
    return DPParameters(target_epsilon=1.0, sampling_probability=probability, steps=steps)


def released(*noise_multipliers: float) -> list[dp_accounting.DpEvent]:
    return [dp_sgd_event(noise_multiplier=noise, sampling_probability=1.0, steps=1) for noise in noise_multipliers]


def together(run: str, noise: float, beside: tuple[float, ...], *, by: str = "pld") -> float:
    """By dp_accounting's own accountants, which know nothing of this package."""
    probability, steps = RUNS[run]
    accountant = pld.PLDAccountant(value_discretization_interval=1e-4) if by == "pld" else rdp.RdpAccountant()
    for each in beside:
        accountant.compose(dp_accounting.GaussianDpEvent(each))
    accountant.compose(dp_accounting.PoissonSampledDpEvent(probability, dp_accounting.GaussianDpEvent(noise)), steps)
    return float(accountant.get_epsilon(DELTA))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("target", [0.5, 3.0])
@pytest.mark.parametrize("beside", [(42.0, 15.0), (200.0,)], ids=str)
def test_both_together_meet_the_target_and_use_it(run: str, target: float, beside: tuple[float, ...]) -> None:
    noise = calibrate_noise_multiplier(
        parameters(run), target_epsilon=target, target_delta=DELTA, beside=released(*beside)
    )
    found = together(run, noise, beside)
    assert target * 0.998 <= found <= target
    alone = calibrate_noise_multiplier(parameters(run), target_epsilon=target, target_delta=DELTA)
    assert noise > alone if beside == (42.0, 15.0) else noise >= alone * 0.999


def test_by_renyi_dp_as_well() -> None:
    noise = calibrate_noise_multiplier(
        parameters("short"), target_epsilon=1.0, target_delta=DELTA, accountant="rdp", beside=released(15.0)
    )
    assert 0.998 <= together("short", noise, (15.0,), by="rdp") <= 1.0


def test_where_renyi_dp_leaves_nothing_privacy_loss_distributions_may() -> None:
    """Of this release RDP says 0.30, and PLD 0.27."""
    beside = (42.0, 15.0)
    target = 0.28
    with pytest.raises(ParameterError, match="cannot be reached"):
        calibrate_noise_multiplier(
            parameters("short"), target_epsilon=target, target_delta=DELTA, accountant="rdp", beside=released(*beside)
        )
    noise = calibrate_noise_multiplier(
        parameters("short"), target_epsilon=target, target_delta=DELTA, beside=released(*beside)
    )
    assert noise > 50
    assert target * 0.998 <= together("short", noise, beside) <= target


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_a_target_that_is_spent_beside_the_run_names_what_spends_it(accountant: str) -> None:
    with pytest.raises(
        ParameterError, match=r"released beside the training spends epsilon=(\d\.\d+) by itself"
    ) as caught:
        calibrate_noise_multiplier(
            parameters("short"), target_epsilon=1.0, target_delta=DELTA, accountant=accountant, beside=released(2.0)
        )
    named = float(str(caught.value).split("epsilon=")[2].split()[0])
    accountants = {"pld": pld.PLDAccountant(value_discretization_interval=1e-3), "rdp": rdp.RdpAccountant()}
    by_itself = accountants[accountant].compose(dp_accounting.GaussianDpEvent(2.0)).get_epsilon(DELTA)
    assert named == pytest.approx(by_itself, rel=1e-3)


def test_a_target_just_above_what_is_spent_needs_more_noise_than_there_is() -> None:
    spent = pld.PLDAccountant(value_discretization_interval=1e-3).compose(dp_accounting.GaussianDpEvent(15.0))
    target = float(spent.get_epsilon(DELTA)) * (1 + 1e-9)
    with pytest.raises(ParameterError, match="both spend at least"):
        calibrate_noise_multiplier(parameters("long"), target_epsilon=target, target_delta=DELTA, beside=released(15.0))


def test_nothing_beside_it_is_what_it_was() -> None:
    plain = calibrate_noise_multiplier(parameters("short"), target_epsilon=1.0, target_delta=DELTA)
    assert calibrate_noise_multiplier(parameters("short"), target_epsilon=1.0, target_delta=DELTA, beside=[]) == plain
    assert math.isclose(plain, 4.4773, rel_tol=1e-3)
