"""The least noise with which a run spends at most a given epsilon."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.accounting.epsilon import (
    COARSE_INTERVAL,
    MEDIUM_INTERVAL,
    epsilon_bounds,
    rdp_epsilon,
)
from tfx_privacy.accounting.parameters import ACCOUNTANTS, DPParameters
from tfx_privacy.errors import AccountingError, ParameterError

_CALIBRATION_TOLERANCE = 1e-3

_ROUGH_TOLERANCE = 2e-2

_MAX_CALIBRATION_EVALUATIONS = 12


def calibrate_noise_multiplier(
    parameters: DPParameters, *, target_epsilon: float, target_delta: float, accountant: str = "pld"
) -> float:
    """Returns a noise multiplier with which the run spends at most `target_epsilon`.

    Never less noise than asked for: the value returned was itself accounted, and its epsilon
    is at most `target_epsilon` (and within 0.1 % of it where the accountant allows).

    >>> run = DPParameters(target_epsilon=1.0, sampling_probability=0.01, steps=1000)
    >>> round(calibrate_noise_multiplier(run, target_epsilon=1.0, target_delta=1e-5, accountant='rdp'), 2)
    1.51

    Args:
      parameters: The run; its own noise_multiplier and target_epsilon are ignored.
      target_epsilon: Epsilon in nats, at least 1e-3.
      target_delta: Probability, in (0, 1).
      accountant: "pld" or "rdp".

    Returns:
      The noise multiplier (unitless), in [0.3, 1e4].

    Raises:
      ParameterError: If the target cannot be reached with a noise multiplier of at most 1e4;
        the message names the smallest reachable epsilon.
    """
    _validate.one_of(ACCOUNTANTS, accountant=accountant)
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    wished = dataclasses.replace(parameters, enabled=True, noise_multiplier=None, target_epsilon=target_epsilon)
    resolved = wished.resolve()
    assert wished.target_epsilon is not None

    # As a start for PLD a rough answer is enough.
    tolerance = _CALIBRATION_TOLERANCE / 10 if accountant == "rdp" else _ROUGH_TOLERANCE

    def epsilon_by_rdp(noise_multiplier: float) -> float:
        return rdp_epsilon(resolved.event(noise_multiplier), target_delta=target_delta)

    by_rdp = _bracket(epsilon_by_rdp, wished.target_epsilon, tolerance)
    if accountant == "rdp":
        return by_rdp

    def by_pld(interval: float) -> Callable[[float], float]:
        return lambda noise_multiplier: (
            epsilon_bounds(
                resolved.event(noise_multiplier), target_delta=target_delta, value_discretization_interval=interval
            ).best
        )

    # A coarser grid is faster. It never states less: its points are also on the finer one, and losses between them are
    # accounted by the chord, which is longer there (Doroshenko et al. 2022). So each answer is a valid start for the
    # next search.
    nearly, slope = _descend(by_pld(COARSE_INTERVAL), wished.target_epsilon, by_rdp, slope=-1.5)
    return _descend(by_pld(MEDIUM_INTERVAL), wished.target_epsilon, nearly, slope=slope)[0]


def _bracket(epsilon_of: Callable[[float], float], target: float, tolerance: float) -> float:
    """A noise multiplier that meets the target, at most `tolerance` (relative) above one that does not.

    Epsilon is nearly a power of the noise multiplier: a guess between two points aims a little to one side and then to
    the other, so the bracket closes from both.
    """
    low, high = MIN_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
    epsilon_low = epsilon_high = epsilon_of(low)
    while not epsilon_high <= target:
        low, epsilon_low = high, epsilon_high
        if low >= MAX_NOISE_MULTIPLIER:
            raise ParameterError(
                f"target_epsilon={target!r} cannot be reached: the largest noise_multiplier, {MAX_NOISE_MULTIPLIER:g}, "
                f"still spends epsilon={epsilon_low:.3g}. Lower steps or sampling_probability."
            )
        high = min(low * min(8.0, max(2.0, epsilon_low / target)), MAX_NOISE_MULTIPLIER)
        epsilon_high = epsilon_of(high)
    aim = tolerance / 3
    while high > low * (1 + tolerance):
        share = math.log(epsilon_low / target) / max(math.log(epsilon_low / epsilon_high), 1e-12)
        guess = low * (high / low) ** share * (1 + aim)
        margin = (high / low) ** 0.1
        guess = min(max(guess, low * margin), high / margin)
        result = epsilon_of(guess)
        if result <= target:
            high, epsilon_high, aim = guess, result, -tolerance / 3
        else:
            low, epsilon_low, aim = guess, result, tolerance / 3
    return high


def _descend(epsilon_of: Callable[[float], float], target: float, high: float, *, slope: float) -> tuple[float, float]:
    """Lowers `high`, which meets the target, as far as few evaluations allow; `slope` is of log epsilon in log noise.

    One PLD evaluation costs seconds: epsilon is nearly a power of the noise multiplier, so
    interpolating its logarithm needs three or four of them where bisection needs a dozen.
    """
    epsilon_high = epsilon_of(high)
    if not epsilon_high <= target:
        raise AccountingError(
            f"noise_multiplier={high!r} was calibrated by RDP, but PLD epsilon={epsilon_high!r} > {target!r}."
        )
    low = MIN_NOISE_MULTIPLIER
    for _ in range(_MAX_CALIBRATION_EVALUATIONS):
        if epsilon_high >= target * (1 - _CALIBRATION_TOLERANCE) or high <= MIN_NOISE_MULTIPLIER:
            break
        # Aims just inside the target, so the answer lands on the private side.
        guess = high * (target * (1 - _CALIBRATION_TOLERANCE / 3) / epsilon_high) ** (1 / slope)
        guess = min(max(guess, low + 0.02 * (high - low)), high * (1 - 1e-5))
        result = epsilon_of(guess)
        if result < math.inf and result != epsilon_high:
            slope = min(-0.1, math.log(epsilon_high / result) / math.log(high / guess))
        if result <= target:
            high, epsilon_high = guess, result
        else:
            low = guess
    return high, slope
