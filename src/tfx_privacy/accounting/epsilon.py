r"""Epsilon of a DP-SGD run, by two accountants that check each other.

>>> from tfx_privacy import DPParameters, epsilon
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
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfx_privacy import _validate
from tfx_privacy.accounting import noise_tails
from tfx_privacy.accounting.composition import checked
from tfx_privacy.accounting.parameters import ACCOUNTANTS, DPParameters
from tfx_privacy.errors import AccountingError, ParameterError

if TYPE_CHECKING:
    from dp_accounting import DpEvent

# PLD needs time and memory that grow with epsilon and gains little there; RDP is a valid bound as well.
MAX_EPSILON_FOR_PLD = 100.0

# Below it PLD truncates tails to delta's own size and answers infinity.
MIN_DELTA_FOR_PLD = 1e-12

# Both are upper bounds on the same number; PLD's discretisation may leave it this much above RDP.
_PLD_OVER_RDP = 1e-3

# Of the privacy losses' grid: what is stated, and what a search may use on its way.
FINE_INTERVAL, MEDIUM_INTERVAL, COARSE_INTERVAL = 1e-4, 2e-4, 1e-3


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

    Composition of Poisson-subsampled Gaussian mechanisms, Abadi et al. (2016), https://arxiv.org/abs/1607.00133,
    Section 3.2; for data read in passes, of Gaussian mechanisms without amplification.

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
    event = parameters.resolve().event(parameters.noise_multiplier)
    if accountant == "rdp":
        return rdp_epsilon(event, target_delta=target_delta)
    return epsilon_bounds(event, target_delta=target_delta).best


@functools.lru_cache(maxsize=256)
def epsilon_bounds(
    event: DpEvent, *, target_delta: float, value_discretization_interval: float = FINE_INTERVAL
) -> EpsilonBounds:
    """Accounts one run, or several, by both accountants.

    For several runs this is their epsilon as if all had been planned beforehand. Where later ones were chosen after
    earlier ones were seen it is no proven bound (Rogers et al. 2016, https://arxiv.org/abs/1605.08294): for
    information, next to what `budget.renyi_filter` adds up.

    Args:
      event: Of `composition.dp_sgd_event`, or of `composition.composed`.
      target_delta: In (0, 1).
      value_discretization_interval: Of the privacy losses' grid. A coarser one is faster, and never states less.

    Returns:
      Both bounds, finite and not negative.

    Raises:
      ParameterError: If an argument is outside its range.
      AccountingError: If a result is not finite, negative, or PLD exceeds RDP on the finest grid.
    """
    event = checked(event)
    rdp = _account(_rdp_accountant, event, target_delta)
    if not (rdp <= MAX_EPSILON_FOR_PLD and target_delta >= MIN_DELTA_FOR_PLD):
        return EpsilonBounds(pld=None, rdp=rdp)
    pld = _account(functools.partial(_pld_accountant, value_discretization_interval), event, target_delta)
    if value_discretization_interval == FINE_INTERVAL and not pld <= rdp * (1.0 + _PLD_OVER_RDP):
        raise AccountingError(
            f"The accountants contradict each other: PLD epsilon={pld!r} is above RDP epsilon={rdp!r} for {event} at "
            f"delta={target_delta:g}. Use other parameters, and please report these."
        )
    # A PLD of exactly zero is a truncation; RDP's small number is the honest one.
    return EpsilonBounds(pld=min(pld, rdp) if pld > 0.0 else rdp, rdp=rdp)


def rdp_epsilon(event: DpEvent, *, target_delta: float) -> float:
    """Accounts by Renyi DP alone (fractions of a second); arguments as `epsilon_bounds`."""
    return _account(_rdp_accountant, checked(event), target_delta)


def _account(make_accountant: Callable[[], Any], event: DpEvent, target_delta: float) -> float:
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    left = noise_tails.delta_left(event, target_delta=target_delta)
    try:
        result = float(make_accountant().compose(event).get_epsilon(left))
    except (MemoryError, ArithmeticError, ValueError) as error:
        raise AccountingError(f"The accountant failed for {event} at delta={target_delta:g}: {error}.") from error
    if not (math.isfinite(result) and result >= 0.0):
        raise AccountingError(f"The accountant answered epsilon={result!r} for {event} at delta={target_delta:g}.")
    return result


def _pld_accountant(interval: float) -> Any:
    from dp_accounting import pld

    return pld.PLDAccountant(value_discretization_interval=interval)


def _rdp_accountant() -> Any:
    from dp_accounting import rdp

    return rdp.RdpAccountant()
