r"""Epsilon of a DP-SGD run: the smaller of two accountants' upper bounds.

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
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfx_privacy import _validate
from tfx_privacy.accounting import noise_tails
from tfx_privacy.accounting.composition import checked, parts
from tfx_privacy.accounting.parameters import ACCOUNTANTS, DPParameters
from tfx_privacy.errors import AccountingError, ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

_LOG = logging.getLogger(__name__)

# PLD needs time and memory that grow with epsilon and gains little there; RDP is a valid bound as well.
MAX_EPSILON_FOR_PLD = 100.0

# Below it PLD truncates tails to delta's own size and answers infinity.
MIN_DELTA_FOR_PLD = 1e-12

# By so much of each composed step the round-off of PLD's Fourier transforms may be off in delta; the largest seen is
# 2.1e-16, in 10^5 to 10^7 steps (tests/accounting/test_round_off.py measures it against extended precision).
_ROUND_OFF = 1e-15

SERIES_ERROR = 2.0**-39
"""Of a sampled step's exp((order - 1) * Renyi divergence): dp-accounting ends its series at terms of exp(-30), and rounds; such
an error, measured against numerical integration, is below 1e-12."""

# Of the privacy losses' grid: what is stated, and what a search may use on its way.
FINE_INTERVAL, MEDIUM_INTERVAL, COARSE_INTERVAL = 1e-4, 2e-4, 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsilonBounds:
    """Upper bounds on the epsilon of one run."""

    pld: float | None
    """By privacy loss distributions, and never above `rdp`; None where they are not usable (epsilon > 100, delta < 1e-12
    or within their round-off)."""
    rdp: float
    """By Renyi DP."""

    @property
    def best(self) -> float:
        """The bound that is stated: the smaller of two valid ones."""
        return self.rdp if self.pld is None else self.pld


def dp_accounting_version() -> str:
    """Version of the accounting library, for the record."""
    from tfx_privacy.third_party import dp_accounting

    return dp_accounting.__version__


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
        below 1e-12 or within its round-off) the RDP bound is returned, which is valid and larger.

    Returns:
      Epsilon in nats, an upper bound under `parameters.neighboring_relation`; `inf` if
      `parameters.enabled` is False.

    Raises:
      ParameterError: If `target_delta` is outside (0, 1), `accountant` is unknown, or the noise
        multiplier is still to be calibrated.
      AccountingError: If the accountants give no finite number.
    """
    _validate.one_of(ACCOUNTANTS, accountant=accountant)
    target_delta = _validate.open_interval(0.0, 1.0, target_delta=target_delta)
    if not parameters.enabled:
        return math.inf
    parameters.check_noise_is_known()
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

    Both are valid bounds, so the smaller one is: on a coarse grid, or in many small steps, PLD may be above RDP. PLD is
    asked at a delta that is smaller by its own round-off, and not at all where that is more than half of delta.

    Args:
      event: Of `composition.dp_sgd_event`, or of `composition.composed`.
      target_delta: In (0, 1).
      value_discretization_interval: Of the privacy losses' grid. A coarser one is faster, and never states less.

    Returns:
      Both bounds, finite and not negative.

    Raises:
      ParameterError: If an argument is outside its range.
      AccountingError: If the bound by Renyi DP is not finite, or negative.
    """
    event = checked(event)
    rdp = _account(_rdp_accountant, event, target_delta)
    reliable = target_delta - pld_round_off(event)
    if not (rdp <= MAX_EPSILON_FOR_PLD and target_delta >= MIN_DELTA_FOR_PLD and reliable >= target_delta / 2):
        return EpsilonBounds(pld=None, rdp=rdp)
    try:
        pld = _account(functools.partial(_pld_accountant, value_discretization_interval), event, reliable)
    except AccountingError as error:
        # A run that was trained is never left without its statement: the other bound is as valid.
        _LOG.warning("Epsilon is stated by Renyi DP alone. %s", error)
        return EpsilonBounds(pld=None, rdp=rdp)
    # A PLD of exactly zero is a truncation; RDP's small number is the honest one.
    return EpsilonBounds(pld=min(pld, rdp) if pld > 0.0 else rdp, rdp=rdp)


def pld_round_off(event: DpEvent) -> float:
    """How far PLD's delta of a composition may be off, in either direction, by the round-off of its Fourier transforms.

    The transform of one step's distribution is raised to the number of steps, and so is its relative error. Gaussian
    mechanisms without sampling are composed in closed form instead.
    """
    return _ROUND_OFF * sum(part.steps if part.sampling_probability < 1.0 else 1 for part in parts(event))


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
    from tfx_privacy.third_party.dp_accounting import pld

    return pld.PLDAccountant(value_discretization_interval=interval)


class _RdpAccountant:
    """dp-accounting's, with what its series for sampled steps may lose added: without it, rare steps cost nothing at all."""

    def compose(self, event: DpEvent) -> _RdpAccountant:
        import numpy as np

        from tfx_privacy.third_party.dp_accounting import rdp

        self._orders = np.array(rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS)
        sampled = sum(part.steps for part in parts(event) if part.sampling_probability < 1.0)
        found = rdp.RdpAccountant(self._orders).compose(event).rdp
        self._divergences = np.maximum(found, 0.0) + sampled * SERIES_ERROR / (self._orders - 1.0)
        return self

    def get_epsilon(self, target_delta: float) -> float:
        from tfx_privacy.third_party.dp_accounting import rdp

        return float(rdp.compute_epsilon(self._orders, self._divergences, target_delta)[0])


def _rdp_accountant() -> Any:
    return _RdpAccountant()
