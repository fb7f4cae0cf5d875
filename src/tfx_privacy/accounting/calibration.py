"""The least noise with which a run spends at most a given epsilon."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER, composed
from tfx_privacy.accounting.epsilon import (
    COARSE_INTERVAL,
    MEDIUM_INTERVAL,
    epsilon_bounds,
    rdp_epsilon,
)
from tfx_privacy.accounting.parameters import ACCOUNTANTS, DPParameters
from tfx_privacy.errors import AccountingError, ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

_CALIBRATION_TOLERANCE = 1e-3

_ROUGH_TOLERANCE = 2e-2

_MAX_CALIBRATION_EVALUATIONS = 12


def calibrate_noise_multiplier(
    parameters: DPParameters,
    *,
    target_epsilon: float,
    target_delta: float,
    accountant: str = "pld",
    beside: Sequence[DpEvent] = (),
) -> float:
    """Returns a noise multiplier with which the run spends at most `target_epsilon`, with all that is beside it.

    Never less noise than asked for: the value returned was itself accounted, and its epsilon
    is at most `target_epsilon` (and within 0.1 % of it where the accountant allows).

    >>> run = DPParameters(target_epsilon=1.0, sampling_probability=0.01, steps=1000)
    >>> round(calibrate_noise_multiplier(run, target_epsilon=1.0, target_delta=1e-5, accountant='rdp'), 2)
    1.51

    Args:
      parameters: The run; its own noise_multiplier and target_epsilon are ignored.
      target_epsilon: Epsilon in nats, at least 1e-3.
      target_delta: Probability, in (0, 1); less what is spent of it otherwise.
      accountant: "pld" or "rdp".
      beside: What else is taken from the same records, as events of `composition.dp_sgd_event`: the run and all of it
        together spend at most the target.

    Returns:
      The noise multiplier (unitless), in [0.3, 1e4].

    Raises:
      ParameterError: If the target cannot be reached with a noise multiplier of at most 1e4;
        the message names the smallest reachable epsilon, and that of what is beside the run.
    """
    _validate.one_of(ACCOUNTANTS, accountant=accountant)
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    wished = dataclasses.replace(parameters, enabled=True, noise_multiplier=None, target_epsilon=target_epsilon)
    resolved = wished.resolve()
    assert wished.target_epsilon is not None

    def by_rdp(event: DpEvent) -> float:
        return rdp_epsilon(event, target_delta=target_delta)

    def by_pld(interval: float) -> Callable[[DpEvent], float]:
        return lambda event: (
            epsilon_bounds(event, target_delta=target_delta, value_discretization_interval=interval).best
        )

    def search(epsilon_of: Callable[[DpEvent], float]) -> _Search:
        assert wished.target_epsilon is not None
        if not beside:
            return _Search(lambda noise: epsilon_of(resolved.event(noise)), wished.target_epsilon)
        return _Search(
            lambda noise: epsilon_of(composed([*beside, resolved.event(noise)])),
            wished.target_epsilon,
            epsilon_of(composed(beside)),
        )

    if accountant == "rdp":
        return search(by_rdp).bracket(_CALIBRATION_TOLERANCE / 10)
    # A coarser grid is faster. It never states less: its points are also on the finer one, and losses between them are
    # accounted by the chord, which is longer there (Doroshenko et al. 2022). So each answer is a valid start for the
    # next search. As a start for PLD a rough answer by RDP is enough, but of what is beside the run RDP may leave nothing.
    coarse, medium = search(by_pld(COARSE_INTERVAL)), search(by_pld(MEDIUM_INTERVAL))
    start = coarse.bracket(_ROUGH_TOLERANCE) if beside else search(by_rdp).bracket(_ROUGH_TOLERANCE)
    nearly, slope = coarse.descend(start, slope=-1.5)
    return medium.descend(nearly, slope=slope)[0]


@dataclasses.dataclass(frozen=True)
class _Search:
    """For the noise multiplier at which epsilon is the target.

    What the run adds to the rest, `epsilon_of(noise) - fixed`, is nearly a power of the noise multiplier.
    """

    epsilon_of: Callable[[float], float]
    """By noise multiplier: of the run and what is beside it."""
    target: float
    fixed: float = 0.0
    """Epsilon of what is beside the run alone; it only guides the search."""

    def bracket(self, tolerance: float) -> float:
        """A noise multiplier that meets the target, at most `tolerance` (relative) above one that does not.

        A guess between two points aims a little to one side and then to the other, so the bracket closes from both.

        Raises:
          ParameterError: If none does.
        """
        if not self.fixed < self.target:
            raise self._unreachable(self.fixed)
        low, high = MIN_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
        epsilon_low = epsilon_high = self.epsilon_of(low)
        while not epsilon_high <= self.target:
            low, epsilon_low = high, epsilon_high
            if low >= MAX_NOISE_MULTIPLIER:
                raise self._unreachable(epsilon_low)
            high = min(low * min(8.0, max(2.0, self._excess(epsilon_low))), MAX_NOISE_MULTIPLIER)
            epsilon_high = self.epsilon_of(high)
        aim = tolerance / 3
        while high > low * (1 + tolerance):
            share = math.log(self._excess(epsilon_low)) / max(
                math.log(self._excess(epsilon_low) / self._excess(epsilon_high)), 1e-12
            )
            guess = low * (high / low) ** share * (1 + aim)
            margin = (high / low) ** 0.1
            guess = min(max(guess, low * margin), high / margin)
            result = self.epsilon_of(guess)
            if result <= self.target:
                high, epsilon_high, aim = guess, result, -tolerance / 3
            else:
                low, epsilon_low, aim = guess, result, tolerance / 3
        return high

    def descend(self, high: float, *, slope: float) -> tuple[float, float]:
        """Lowers `high`, which meets the target, as far as few evaluations allow; `slope` is of log epsilon in log noise.

        One PLD evaluation costs a second: interpolating the logarithm needs three or four of them where bisection needs a
        dozen.
        """
        epsilon_high = self.epsilon_of(high)
        if not epsilon_high <= self.target:
            raise AccountingError(
                f"noise_multiplier={high!r} was calibrated, but PLD epsilon={epsilon_high!r} > {self.target!r}."
            )
        low = MIN_NOISE_MULTIPLIER
        for _ in range(_MAX_CALIBRATION_EVALUATIONS):
            if epsilon_high >= self.target * (1 - _CALIBRATION_TOLERANCE) or high <= MIN_NOISE_MULTIPLIER:
                break
            # Aims just inside the target, so the answer lands on the private side.
            inside = self._excess(self.target * (1 - _CALIBRATION_TOLERANCE / 3))
            guess = high * (inside / self._excess(epsilon_high)) ** (1 / slope)
            guess = min(max(guess, low + 0.02 * (high - low)), high * (1 - 1e-5))
            result = self.epsilon_of(guess)
            if result < math.inf and result != epsilon_high:
                slope = min(-0.1, math.log(self._excess(epsilon_high) / self._excess(result)) / math.log(high / guess))
            if result <= self.target:
                high, epsilon_high = guess, result
            else:
                low = guess
        return high, slope

    def _excess(self, epsilon: float) -> float:
        """What the run adds, in units of what it may add; above zero, also where rounding says otherwise."""
        return max((epsilon - self.fixed) / (self.target - self.fixed), 1e-9)

    def _unreachable(self, least: float) -> ParameterError:
        if self.fixed:
            return ParameterError(
                f"target_epsilon={self.target!r} cannot be reached: what was released beside the training spends "
                f"epsilon={self.fixed:.4g} by itself, and with noise_multiplier={MAX_NOISE_MULTIPLIER:g} both spend at least "
                f"{max(least, self.fixed):.4g}. Raise target_epsilon, or release it with more noise."
            )
        return ParameterError(
            f"target_epsilon={self.target!r} cannot be reached: the largest noise_multiplier, {MAX_NOISE_MULTIPLIER:g}, "
            f"still spends epsilon={least:.3g}. Lower steps or sampling_probability."
        )
