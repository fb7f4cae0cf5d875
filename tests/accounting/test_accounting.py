"""Golden values: dp-accounting 0.4.3, which agrees with Opacus' RDP to 1e-13 and with Microsoft's PRV to 6e-4."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_privacy import DPParameters, calibrate_noise_multiplier, epsilon
from tfx_privacy.accounting.composition import checked, dp_sgd_event, parts
from tfx_privacy.accounting.epsilon import epsilon_bounds, rdp_epsilon
from tfx_privacy.errors import ParameterError
from tfx_privacy.third_party import dp_accounting
from tfx_privacy.third_party.dp_accounting.dp_event import LaplaceDpEvent

GOLDEN = [
    # sampling_probability, noise_multiplier, steps, delta, RDP, PLD, lower and upper bound by PRV
    (0.01, 4.0, 10_000, 1e-5, 1.035490, 0.946999, 0.9418, 0.9519),
    (0.00426667, 1.1, 14_063, 1e-5, 2.596656, 2.381779, 2.3765, 2.3868),
    (0.004, 1.3, 3_750, 1e-5, 0.922049, 0.833589, 0.8285, 0.8386),
    (0.01, 1.0, 1_000, 1e-5, 2.101365, 1.828244, 1.8231, 1.8334),
    (1.0, 1.0, 1, 1e-5, 4.728507, 4.377178, 4.3719, 4.3824),
    (0.01, 1.0, 1, 1e-5, 0.955549, 0.199450, 0.1944, 0.2045),
]


def run(**changes: Any) -> DPParameters:
    return DPParameters(**{"noise_multiplier": 1.0, "sampling_probability": 0.01, "steps": 1000, **changes})


@pytest.mark.parametrize(("probability", "noise", "steps", "delta", "rdp", "pld", "low", "high"), GOLDEN)
def test_golden_values(
    probability: float, noise: float, steps: int, delta: float, rdp: float, pld: float, low: float, high: float
) -> None:
    parameters = run(noise_multiplier=noise, sampling_probability=probability, steps=steps)
    assert epsilon(parameters, target_delta=delta, accountant="rdp") == pytest.approx(rdp, abs=2e-6)
    result = epsilon(parameters, target_delta=delta)
    # PRV's figures are for 0.00426667 rounded to 8 digits; PLD errs upwards.
    assert result == pytest.approx(pld, abs=6e-4)
    assert low <= result <= high


@pytest.mark.parametrize("noise", [1, np.float32(1.0), np.int64(1)])
def test_integer_noise_is_accounted_like_the_float(noise: Any) -> None:
    """dp-accounting 0.4.3 answers 1.214 instead of 27.995 for an int inside a nested event."""
    parameters = run(noise_multiplier=noise, sampling_probability=0.1)
    assert epsilon(parameters, target_delta=1e-5, accountant="rdp") == pytest.approx(27.1635, abs=1e-3)


@pytest.mark.parametrize("delta", [0.0, 1.0, 2.0, -1e-5, math.nan, "1e-5", None, True])
def test_delta_outside_the_open_interval(delta: Any) -> None:
    """The accountants answer 0 for NaN and for a delta of one and more."""
    with pytest.raises(ParameterError, match="target_delta"):
        epsilon(run(), target_delta=delta)


@pytest.mark.parametrize(
    "arguments",
    [
        {"noise_multiplier": math.nan},
        {"noise_multiplier": math.inf},
        {"noise_multiplier": -1.0},
        {"sampling_probability": math.nan},
        {"sampling_probability": 1.5},
        {"steps": 0},
        {"steps": 10.5},
    ],
)
def test_events_with_impossible_numbers_are_not_built(arguments: dict[str, Any]) -> None:
    """Some of them hang the accountant."""
    with pytest.raises(ParameterError):
        dp_sgd_event(**{"noise_multiplier": 1.0, "sampling_probability": 0.1, "steps": 10, **arguments})


@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: dp_accounting.ComposedDpEvent((event,))])
def test_a_whole_number_as_noise_costs_what_the_double_does(wrap: Callable[[Any], Any]) -> None:
    """dp-accounting 0.4.3 alone states an epsilon that is many times too small for it."""
    step = dp_accounting.PoissonSampledDpEvent(0.0173, dp_accounting.GaussianDpEvent(2))
    by_hand = wrap(dp_accounting.SelfComposedDpEvent(step, 317))
    ours = dp_sgd_event(noise_multiplier=2.0, sampling_probability=0.0173, steps=317)
    assert all(type(part.noise_multiplier) is float for part in parts(checked(by_hand)))
    # By hand first: results are kept by event, and these are equal.
    found = epsilon_bounds(by_hand, target_delta=1e-5), rdp_epsilon(by_hand, target_delta=1e-5)
    epsilon_bounds.cache_clear()
    assert found == (epsilon_bounds(ours, target_delta=1e-5), rdp_epsilon(ours, target_delta=1e-5))


@pytest.mark.parametrize(
    "event",
    [
        dp_accounting.GaussianDpEvent(1.0),
        dp_accounting.SelfComposedDpEvent(LaplaceDpEvent(1.0), 3),
        dp_accounting.ComposedDpEvent(()),
        dp_accounting.NoOpDpEvent(),
    ],
    ids=["bare", "Laplace", "nothing composed", "nothing at all"],
)
def test_no_other_event_is_accounted(event: Any) -> None:
    with pytest.raises(ParameterError, match="Expected event"):
        epsilon_bounds(event, target_delta=1e-5)


def test_no_mechanism_is_infinite() -> None:
    parameters = DPParameters(enabled=False, sampling_probability=0.1, steps=10)
    assert epsilon(parameters, target_delta=1e-5) == math.inf


def test_noise_still_to_be_calibrated() -> None:
    parameters = DPParameters(target_epsilon=1.0, sampling_probability=0.1, steps=10)
    with pytest.raises(ParameterError, match="noise_multiplier is not set"):
        epsilon(parameters, target_delta=1e-5)


@pytest.mark.parametrize(("noise", "delta"), [(0.35, 1e-5), (1.0, 1e-15)], ids=["large epsilon", "tiny delta"])
def test_where_pld_is_not_usable_the_rdp_bound_stands(noise: float, delta: float) -> None:
    """PLD takes gigabytes for large epsilon and answers infinity for a delta of 1e-15."""
    bounds = epsilon_bounds(
        dp_sgd_event(noise_multiplier=noise, sampling_probability=0.1, steps=1000), target_delta=delta
    )
    assert bounds.pld is None
    assert math.isfinite(bounds.rdp)
    assert bounds.best == bounds.rdp


@pytest.mark.parametrize(
    ("probability", "steps", "target", "delta", "by_rdp", "by_pld"),
    [(0.01, 1000, 1.0, 1e-5, 1.51321, 1.41563), (256 / 6e4, 14063, 3.0, 1e-5, 1.01404, 0.96852)],
)
def test_calibration(probability: float, steps: int, target: float, delta: float, by_rdp: float, by_pld: float) -> None:
    parameters = DPParameters(target_epsilon=target, sampling_probability=probability, steps=steps)
    for accountant, expected in (("rdp", by_rdp), ("pld", by_pld)):
        noise = calibrate_noise_multiplier(parameters, target_epsilon=target, target_delta=delta, accountant=accountant)
        spent = epsilon(
            dataclasses.replace(parameters, noise_multiplier=noise, target_epsilon=None),
            target_delta=delta,
            accountant=accountant,
        )
        assert noise == pytest.approx(expected, rel=2e-3)
        assert target * 0.998 <= spent <= target


def test_an_unreachable_target_names_what_is_reachable() -> None:
    parameters = DPParameters(target_epsilon=0.001, sampling_probability=1.0, steps=10_000_000)
    with pytest.raises(ParameterError, match="still spends epsilon="):
        calibrate_noise_multiplier(parameters, target_epsilon=0.001, target_delta=1e-9)


@settings(max_examples=8, deadline=None)
@given(
    noise=st.floats(0.5, 20.0),
    probability=st.floats(1e-4, 0.5),
    steps=st.integers(1, 20_000),
    delta=st.floats(1e-9, 1e-3),
)
def test_epsilon_falls_with_noise_and_grows_with_steps_and_probability(
    noise: float, probability: float, steps: int, delta: float
) -> None:
    def spent(**changes: Any) -> float:
        numbers = {"noise_multiplier": noise, "sampling_probability": probability, "steps": steps, **changes}
        return rdp_epsilon(dp_sgd_event(**numbers), target_delta=delta)

    base = spent()
    assert math.isfinite(base)
    slack = 1e-9 * (1 + base)
    assert spent(noise_multiplier=noise * 1.1) <= base + slack
    assert spent(steps=steps + 1) >= base - slack
    assert spent(sampling_probability=min(1.0, probability * 1.1)) >= base - slack
