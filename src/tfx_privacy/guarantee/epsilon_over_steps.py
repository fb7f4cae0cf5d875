"""How a run's epsilon grew while it trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tfx_privacy.accounting.composition import composition
from tfx_privacy.accounting.epsilon import bounds_of_runs
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.records.base import PositiveCount, Record

# Each costs a tenth of a second, or a few.
MAX_POINTS = 8


class Spent(Record):
    """What had been spent after so many steps."""

    step: PositiveCount
    epsilon: float
    """At the guarantee's delta: an upper bound, on a coarser grid than what is stated, and so a trace above it."""


def over_steps(mechanism: DPMechanism, *, target_delta: float) -> list[Spent]:
    """Epsilon after parts of a run, by privacy loss distributions where they are usable; the last point is the whole run.

    Args:
      mechanism: As executed; it must be private.
      target_delta: In (0, 1).

    Returns:
      At most `MAX_POINTS` points by ascending step; empty if the accountant takes no such run or has no number for a part of it.
    """
    try:
        return [
            Spent(step=step, epsilon=bounds_of_runs([part], target_delta=target_delta).best)
            for step, part in _parts(mechanism)
        ]
    except TFXPrivacyError:
        return []


def _parts(mechanism: DPMechanism) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers of steps, and what each comes to for the accountants; whole passes where the data were read in passes."""
    tree, share = mechanism.kind == "dp_ftrl", mechanism.sampling_probability
    noise = {"noise_multiplier": mechanism.noise_multiplier}
    if mechanism.passes is None:
        for step in _spread(mechanism.steps):
            yield step, {**noise, **composition(share, steps=step, passes=None, tree=tree)}
        return
    ends = list(itertools.accumulate(mechanism.passes))
    for num_passes in _spread(len(ends)):
        step, passes = ends[num_passes - 1], mechanism.passes[:num_passes]
        yield step, {**noise, **composition(share, steps=step, passes=passes, tree=tree)}


def _spread(last: int) -> list[int]:
    """Up to `MAX_POINTS` whole numbers from 1 to `last`, the first and the last among them."""
    if last <= MAX_POINTS:
        return list(range(1, last + 1))
    width = (last - 1) / (MAX_POINTS - 1)
    return [1 + round(index * width) for index in range(MAX_POINTS)]
