r"""What the noise's finite reach adds to delta.

A generator of finitely many bits draws no noise beyond some radius. Where one dataset's output would need such noise
and its neighbor's would not, the output gives the difference away, whatever epsilon. `docs/guarantee.md`, "Noise",
proves that this adds to delta at most the probability that some pair of numbers comes within the neighbors' distance of
the reach; the accountants take that from delta before they compute epsilon.

>>> from tfx_privacy.accounting.composition import dp_sgd_event
>>> 1e-125 < lost(dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)) < 1e-100
True
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfx_privacy.accounting.composition import parts
from tfx_privacy.errors import ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

REACH = 25.0
"""Radius, in standard deviations, up to which every source of noise draws pairs of normal numbers."""

NUMBERS_PER_STEP = 2**40
"""Numbers of noise in a step, at most: no machine holds a model of as many weights."""

# Each number of `secure_noise` is a sum of so many.
_PAIRS_PER_NUMBER = 4


def lost(event: DpEvent) -> float:
    """Probability that some noise of a run falls where its reach may show.

    Two numbers of a pair may be of two coordinates, each of which one unit moves by at most 1 / noise_multiplier
    standard deviations: so neighbors are at most sqrt(2) / noise_multiplier apart. The radius of a pair is beyond r
    with probability exp(-r^2 / 2).

    Args:
      event: Of `composition.dp_sgd_event`, or of `composition.composed`.

    Returns:
      An upper bound, in [0, inf).
    """
    pairs = NUMBERS_PER_STEP * _PAIRS_PER_NUMBER
    return sum(run.steps * pairs * _beyond(run.noise_multiplier) for run in parts(event))


def delta_left(event: DpEvent, *, target_delta: float) -> float:
    """What is left of delta for the accountants.

    Raises:
      ParameterError: If nothing is.
    """
    taken = lost(event)
    if not taken < target_delta:
        raise ParameterError(
            f"Expected target_delta={target_delta:g} > {taken:.3g}, the probability that some noise of {event} falls "
            "near the largest that can be drawn. Raise target_delta or the noise multiplier."
        )
    return target_delta - taken


def _beyond(noise_multiplier: float) -> float:
    margin = max(0.0, REACH - math.sqrt(2.0) / noise_multiplier)
    return math.exp(-(margin**2) / 2.0)
