r"""Epsilon of a DP-SGD run, by two accountants that check each other.

>>> from tfx_privacy.privacy import DPParameters, epsilon
>>> round(epsilon(DPParameters(noise_multiplier=3.0, sampling_probability=0.1, steps=512), target_delta=1e-6), 2)
3.77

The accountants are dp-accounting's: privacy loss distributions (Koskela et al. 2020,
https://arxiv.org/abs/1906.03049; Doroshenko et al. 2022, https://arxiv.org/abs/2207.04380) and
Renyi DP (Mironov et al. 2019, https://arxiv.org/abs/1908.10530). This module is what stands
between them and the inputs for which they are wrong without saying so.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfx_privacy.privacy import _validate
from tfx_privacy.privacy.errors import AccountingError, ParameterError
from tfx_privacy.privacy.parameters import (
    ACCOUNTANTS,
    MAX_NOISE_MULTIPLIER,
    MAX_STEPS,
    MIN_NOISE_MULTIPLIER,
    DPParameters,
)

# PLD needs time and memory that grow with epsilon and gains little there; RDP is a valid bound as well.
MAX_EPSILON_FOR_PLD = 100.0
# Below it PLD truncates tails to delta's own size and answers infinity.
MIN_DELTA_FOR_PLD = 1e-12
# Both are upper bounds on the same number; PLD's discretisation may leave it this much above RDP.
_PLD_OVER_RDP = 1e-3
_CALIBRATION_TOLERANCE = 1e-3
_ROUGH_TOLERANCE = 2e-2
# Of the privacy losses' grid: what is stated, and what a search may use on its way.
_FINE_INTERVAL, _MEDIUM_INTERVAL, _COARSE_INTERVAL = 1e-4, 2e-4, 1e-3
_MAX_CALIBRATION_EVALUATIONS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsilonBounds:
    """Upper bounds on the epsilon of one run."""

    pld: float | None
    """By privacy loss distributions; None where they are not usable (epsilon > 100 or delta < 1e-12)."""
    rdp: float
    """By Renyi DP."""

    @property
    def best(self) -> float:
        """The bound that is stated: PLD where there is one."""
        return self.rdp if self.pld is None else self.pld


def dp_accounting_version() -> str:
    """Version of the accounting library, for the record."""
    return importlib.metadata.version("dp-accounting")


def epsilon(parameters: DPParameters, *, target_delta: float, accountant: str = "pld") -> float:
    r"""Returns the epsilon that a training run spends at `target_delta`.

    Composition of Poisson-subsampled Gaussian mechanisms, Abadi et al. (2016),
    https://arxiv.org/abs/1607.00133, Section 3.2; for data read in passes, of Gaussian mechanisms without amplification.

    >>> round(epsilon(DPParameters(noise_multiplier=1.0, sampling_probability=0.01, steps=1000), target_delta=1e-5,
    ...               accountant='rdp'), 4)
    2.1014

    Args:
      parameters: The mechanism. With `expected_batch_size` it must declare its `population`.
      target_delta: Probability, in (0, 1); usually below 1 / number of training records.
      accountant: "pld" (tight) or "rdp". Where PLD is not usable (epsilon above 100, delta
        below 1e-12) the RDP bound is returned, which is valid and larger.

    Returns:
      Epsilon in nats, an upper bound under `parameters.neighboring_relation`; `inf` if
      `parameters.enabled` is False.

    Raises:
      ParameterError: If `target_delta` is outside (0, 1), `accountant` is unknown, or the noise
        multiplier is still to be calibrated.
      AccountingError: If the accountants give no finite number or contradict each other.
    """
    _validate.one_of(ACCOUNTANTS, accountant=accountant)
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    if not parameters.enabled:
        return math.inf
    if parameters.noise_multiplier is None:
        raise ParameterError("noise_multiplier is not set. Call calibrate_noise_multiplier() or give noise_multiplier.")
    resolved = parameters.resolve()
    arguments: dict[str, Any] = {
        "noise_multiplier": parameters.noise_multiplier,
        **resolved.composition,
        "target_delta": target_delta,
    }
    if accountant == "rdp":
        return rdp_epsilon(**arguments)
    return epsilon_bounds(**arguments).best


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

    run: dict[str, Any] = {**resolved.composition, "target_delta": target_delta}
    # As a start for PLD a rough answer is enough.
    tolerance = _CALIBRATION_TOLERANCE / 10 if accountant == "rdp" else _ROUGH_TOLERANCE
    by_rdp = _bracket(lambda sigma: rdp_epsilon(noise_multiplier=sigma, **run), wished.target_epsilon, tolerance)
    if accountant == "rdp":
        return by_rdp

    def by_pld(interval: float) -> Callable[[float], float]:
        return lambda sigma: _epsilon_bounds(interval, noise_multiplier=sigma, **run).best

    # A coarser grid is faster. It never states less: its points are also on the finer one, and losses between them are accounted
    # by the chord, which is longer there (Doroshenko et al. 2022). So each answer is a valid start for the next search.
    nearly, slope = _descend(by_pld(_COARSE_INTERVAL), wished.target_epsilon, by_rdp, slope=-1.5)
    return _descend(by_pld(_MEDIUM_INTERVAL), wished.target_epsilon, nearly, slope=slope)[0]


@functools.lru_cache(maxsize=256)
def epsilon_bounds(
    *, noise_multiplier: float, sampling_probability: float, steps: int, target_delta: float
) -> EpsilonBounds:
    """Accounts one run by both accountants and refuses if they contradict each other.

    Args:
      noise_multiplier: Noise standard deviation / l2_norm_clip, in [0.3, 1e4].
      sampling_probability: In (0, 1].
      steps: Number of updates, 1 to 1e7.
      target_delta: In (0, 1).

    Returns:
      Both bounds, finite and not negative.

    Raises:
      ParameterError: If an argument is outside its range.
      AccountingError: If a result is not finite, negative, or PLD exceeds RDP.
    """
    return _epsilon_bounds(
        _FINE_INTERVAL,
        noise_multiplier=noise_multiplier,
        sampling_probability=sampling_probability,
        steps=steps,
        target_delta=target_delta,
    )


def _epsilon_bounds(interval: float, *, target_delta: float, **run: Any) -> EpsilonBounds:
    return _bounds_of_events(interval, [dp_sgd_event(**run)], target_delta)


def _bounds_of_events(interval: float, events: Sequence[Any], target_delta: float) -> EpsilonBounds:
    rdp = _account_events(_rdp_accountant, events, target_delta)
    if not (rdp <= MAX_EPSILON_FOR_PLD and target_delta >= MIN_DELTA_FOR_PLD):
        return EpsilonBounds(pld=None, rdp=rdp)
    pld = _account_events(functools.partial(_pld_accountant, interval), events, target_delta)
    if interval == _FINE_INTERVAL and not pld <= rdp * (1.0 + _PLD_OVER_RDP):
        raise AccountingError(
            f"The accountants contradict each other: PLD epsilon={pld!r} is above RDP epsilon={rdp!r} for {events} at "
            f"delta={target_delta:g}. Use other parameters, and please report these."
        )
    # A PLD of exactly zero is a truncation; RDP's small number is the honest one.
    return EpsilonBounds(pld=min(pld, rdp) if pld > 0.0 else rdp, rdp=rdp)


def bounds_of_runs(runs: Sequence[Mapping[str, Any]], *, target_delta: float) -> EpsilonBounds:
    """Epsilon of several runs together, as if all of them had been planned beforehand.

    Where later runs were chosen after earlier ones were seen this is no proven bound (Rogers et al. 2016,
    https://arxiv.org/abs/1605.08294): for information, beside what `rdp_filter` adds up.

    Args:
      runs: `noise_multiplier`, `sampling_probability` and `steps` of each; at least one.
      target_delta: In (0, 1).

    Returns:
      Both bounds.
    """
    return _bounds_of_events(_COARSE_INTERVAL, [dp_sgd_event(**run) for run in runs], target_delta)


def rdp_epsilon(*, noise_multiplier: float, sampling_probability: float, steps: int, target_delta: float) -> float:
    """Accounts one run by Renyi DP alone (fractions of a second); arguments as `epsilon_bounds`."""
    event = dp_sgd_event(noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps)
    return _account_events(_rdp_accountant, [event], target_delta)


def _account_events(make_accountant: Callable[[], Any], events: Sequence[Any], target_delta: float) -> float:
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    accountant = make_accountant()
    try:
        for event in events:
            accountant.compose(event)
        result = float(accountant.get_epsilon(target_delta))
    except (MemoryError, ArithmeticError, ValueError) as error:
        raise AccountingError(f"The accountant failed for {events} at delta={target_delta:g}: {error}.") from error
    if not (math.isfinite(result) and result >= 0.0):
        raise AccountingError(f"The accountant answered epsilon={result!r} for {events} at delta={target_delta:g}.")
    return result


def dp_sgd_event(*, noise_multiplier: float, sampling_probability: float, steps: int) -> Any:
    """The one shape of `dp_accounting.DpEvent` that this project accounts.

    All numbers are validated and coerced first: an int noise multiplier inside a nested event
    gives a 23 times too small epsilon, and NaN hangs the accountant or gives zero.
    """
    import dp_accounting

    noise_multiplier = _validate.closed_interval(
        MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=noise_multiplier
    )
    sampling_probability = _validate.half_open_interval(0.0, 1.0, sampling_probability=sampling_probability)
    steps = _validate.positive_integer(maximum=MAX_STEPS, steps=steps)
    gaussian = dp_accounting.GaussianDpEvent(noise_multiplier)
    step = (
        gaussian if sampling_probability == 1.0 else dp_accounting.PoissonSampledDpEvent(sampling_probability, gaussian)
    )
    return dp_accounting.SelfComposedDpEvent(step, steps)


def _pld_accountant(interval: float) -> Any:
    from dp_accounting import pld

    return pld.PLDAccountant(value_discretization_interval=interval)


def _rdp_accountant() -> Any:
    from dp_accounting import rdp

    return rdp.RdpAccountant()


def _bracket(epsilon_of: Callable[[float], float], target: float, tolerance: float) -> float:
    """A noise multiplier that meets the target, at most `tolerance` (relative) above one that does not.

    Epsilon is nearly a power of the noise multiplier: a guess between two points aims a little to one side and then to the other,
    so that the bracket closes from both.
    """
    low, high = MIN_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
    epsilon_low = epsilon_high = epsilon_of(low)
    while not epsilon_high <= target:
        low, epsilon_low = high, epsilon_high
        if low >= MAX_NOISE_MULTIPLIER:
            raise ParameterError(
                f"target_epsilon={target!r} cannot be reached: the largest noise_multiplier, {MAX_NOISE_MULTIPLIER:g}, still "
                f"spends epsilon={epsilon_low:.3g}. Lower steps or sampling_probability."
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

    One PLD evaluation costs seconds: epsilon is nearly a power of the noise multiplier, so that
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
        # Aims just inside the target, so that the answer lands on the private side.
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
