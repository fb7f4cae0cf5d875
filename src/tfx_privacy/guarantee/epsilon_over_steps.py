"""How a run's epsilon grew while it trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfx_privacy.accounting.epsilon import COARSE_INTERVAL
from tfx_privacy.errors import AccountingError, TFXPrivacyError
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.spending import Beside, largest, spendings_of
from tfx_privacy.records.base import PositiveCount, Record

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# Each costs a tenth of a second, or a few.
MAX_POINTS = 8


class Spent(Record):
    """What had been spent after so many steps."""

    step: PositiveCount
    epsilon: float
    """At the guarantee's delta: an upper bound, on a coarser grid than what is stated, and so a trace above it."""


_ALONE = Beside()


def over_steps(mechanism: DPMechanism, *, target_delta: float, beside: Beside = _ALONE) -> list[Spent]:
    """Epsilon after parts of a run, by privacy loss distributions where they are usable; the last point is the whole run.

    Args:
      mechanism: As executed; it must be private.
      target_delta: In (0, 1).
      beside: What else epsilon is of; all of it is in every point.

    Returns:
      At most `MAX_POINTS` points by ascending step; empty if the accountant takes no such run or has
      no number for a part of it.
    """
    try:
        return [Spent(step=step, epsilon=_coarse(part, target_delta, beside)) for step, part in _parts(mechanism)]
    except TFXPrivacyError:
        return []


def _coarse(event: DpEvent, target_delta: float, beside: Beside) -> float:
    bounds = largest(spendings_of(event, beside), target_delta, interval=COARSE_INTERVAL)
    if bounds is None:
        raise AccountingError(f"Nothing bounds epsilon of {event} with what is beside it.")
    return bounds.best


def _parts(mechanism: DPMechanism) -> Iterator[tuple[int, DpEvent]]:
    """Numbers of steps, each with its composition; whole passes where the data were read in passes."""
    if mechanism.passes is None:
        for step in _spread(mechanism.steps):
            yield step, mechanism.event_of(steps=step, passes=None)
        return
    ends = list(itertools.accumulate(mechanism.passes))
    for num_passes in _spread(len(ends)):
        step = ends[num_passes - 1]
        yield step, mechanism.event_of(steps=step, passes=mechanism.passes[:num_passes])


def _spread(last: int) -> list[int]:
    """Up to `MAX_POINTS` whole numbers from 1 to `last`, the first and the last among them."""
    if last <= MAX_POINTS:
        return list(range(1, last + 1))
    width = (last - 1) / (MAX_POINTS - 1)
    return [1 + round(index * width) for index in range(MAX_POINTS)]
