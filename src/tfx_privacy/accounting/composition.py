"""What a run amounts to for the accountants: Gaussian mechanisms, Poisson-sampled or not, composed.

A composition is a `dp_accounting.DpEvent`, made and taken apart here alone.

>>> terms(dp_sgd_event(noise_multiplier=1.0, sampling_probability=0.01, steps=1000))
Terms(noise_multiplier=1.0, sampling_probability=0.01, steps=1000)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# Below this the accountants are slow or unreliable, and epsilon is in the tens or thousands.
MIN_NOISE_MULTIPLIER = 0.3
MAX_NOISE_MULTIPLIER = 1e4
MAX_STEPS = 10_000_000

# By sampling: adding a record shifts the others between the batches of a pass, so only replacing it
# by nothing is covered.
RELATION_OF_SAMPLING = {"poisson": "ADD_OR_REMOVE_ONE", "shuffled": "REPLACE_SPECIAL"}


class Terms(NamedTuple):
    """The numbers of a composition."""

    noise_multiplier: float
    """Noise standard deviation / l2_norm_clip."""
    sampling_probability: float
    """Of each unit to enter a batch; 1 where nothing is amplified."""
    steps: int
    """Gaussian mechanisms that are composed."""


def dp_sgd_event(*, noise_multiplier: float, sampling_probability: float, steps: int) -> DpEvent:
    """The one shape of event that this project accounts: `steps` Gaussian mechanisms, Poisson-sampled below probability 1.

    All numbers are validated and coerced first: for an int noise multiplier inside a nested event dp-accounting 0.4.3
    states an epsilon that is 23 times too small, and NaN hangs it or gives zero.

    Args:
      noise_multiplier: Noise standard deviation / l2_norm_clip, in [0.3, 1e4].
      sampling_probability: In (0, 1].
      steps: 1 to 1e7.

    Raises:
      ParameterError: If a number is outside its range.
    """
    from tfx_privacy.third_party import dp_accounting

    run = checked_terms(noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps)
    step = dp_accounting.GaussianDpEvent(run.noise_multiplier)
    if run.sampling_probability != 1.0:
        step = dp_accounting.PoissonSampledDpEvent(run.sampling_probability, step)
    return dp_accounting.SelfComposedDpEvent(step, run.steps)


def checked_terms(*, noise_multiplier: float, sampling_probability: float, steps: int) -> Terms:
    """The numbers of a composition, validated and coerced.

    Raises:
      ParameterError: If a number is outside the accountants' range.
    """
    return Terms(
        _validate.closed_interval(MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=noise_multiplier),
        _validate.half_open_interval(0.0, 1.0, sampling_probability=sampling_probability),
        _validate.positive_integer(maximum=MAX_STEPS, steps=steps),
    )


def training_event(
    *, noise_multiplier: float, sampling_probability: float, steps: int, passes: Sequence[int] | None, tree: bool
) -> DpEvent:
    """The composition of a planned or an executed training: one rule, so both are accounted alike.

    Batches of a pass are not Poisson samples, and nothing is amplified.

    Args:
      noise_multiplier: Noise standard deviation / l2_norm_clip.
      sampling_probability: Of each unit to enter a batch; without meaning where there are passes.
      steps: Number of updates; without meaning where there are passes.
      passes: Steps of each pass over the data; None with Poisson sampling.
      tree: Whether each pass has the noise of a binary tree.

    Raises:
      ParameterError: If a number is outside the range of the accountants.
    """
    if passes is not None:
        sampling_probability, steps = 1.0, compositions_of_passes(passes, tree=tree)
    return dp_sgd_event(noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps)


def compositions_of_passes(passes: Sequence[int], *, tree: bool) -> int:
    """Gaussian mechanisms that one unit is part of in passes of so many steps each.

    In a pass each unit takes part in one step. With tree aggregation that is one leaf of a binary tree, and the
    sums of at most floor(log2(steps)) + 1 of its nodes hold it (Kairouz et al. 2021,
    https://arxiv.org/abs/2103.00039, Theorem 4.1).
    """
    return sum(steps.bit_length() if tree else 1 for steps in passes)


def composed(events: Sequence[DpEvent]) -> DpEvent:
    """Several runs, one after the other.

    Raises:
      ParameterError: If there is none, or one that `dp_sgd_event` did not make.
    """
    from tfx_privacy.third_party import dp_accounting

    if not events:
        raise ParameterError(f"Expected events={list(events)!r} to hold at least one run.")
    return dp_accounting.ComposedDpEvent(tuple(dp_sgd_event(**terms(event)._asdict()) for event in events))


def terms(event: DpEvent) -> Terms:
    """The numbers of one run's composition.

    Raises:
      ParameterError: If `event` is not of the shape that `dp_sgd_event` makes.
    """
    from tfx_privacy.third_party import dp_accounting

    step: Any = event.event if isinstance(event, dp_accounting.SelfComposedDpEvent) else None
    share = 1.0
    if isinstance(step, dp_accounting.PoissonSampledDpEvent):
        share, step = step.sampling_probability, step.event
    if not isinstance(step, dp_accounting.GaussianDpEvent):
        raise ParameterError(f"Expected event={event!r} to be one that dp_sgd_event() makes. No other is accounted.")
    return Terms(step.noise_multiplier, share, event.count)


def parts(event: DpEvent) -> list[Terms]:
    """The numbers of each run of a composition, or of the only one.

    Raises:
      ParameterError: As `terms`.
    """
    from tfx_privacy.third_party import dp_accounting

    return [terms(each) for each in (event.events if isinstance(event, dp_accounting.ComposedDpEvent) else [event])]


def checked(event: DpEvent) -> DpEvent:
    """The same event made anew, with every number validated and coerced.

    Raises:
      ParameterError: If it is neither an event of `dp_sgd_event` nor one of `composed`, or a number
        is outside its range.
    """
    from tfx_privacy.third_party import dp_accounting

    if isinstance(event, dp_accounting.ComposedDpEvent):
        return composed(event.events)
    return dp_sgd_event(**terms(event)._asdict())
