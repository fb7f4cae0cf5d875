"""What epsilon buys, before anything is trained: a table of possible runs, and how many of them a budget allows.

>>> (run,) = plan(population=10_000, target_epsilons=[3.0], expected_batch_sizes=[512], epochs=[10])
>>> run.noise_multiplier, run.epsilon <= 3.0, run.steps, run.target_delta
(1.386, True, 196, 1e-05)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfx_privacy import _validate
from tfx_privacy.accounting import epsilon as accounting
from tfx_privacy.accounting.calibration import calibrate_noise_multiplier
from tfx_privacy.accounting.composition import composed, dp_sgd_event, terms
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.accounting.rounding import significant_up
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import ParameterError

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

DEFAULT_TARGET_EPSILONS = (1.0, 3.0, 8.0)
DEFAULT_EPOCHS = (10.0,)
FEW = 100
"""Records below which sampling a hundredth of them has no meaning."""
# Of a noise multiplier; 0.1 % at most is lost by rounding up to so many digits.
NOISE_DIGITS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedTraining:
    """One possible run, and what it would spend."""

    population: int
    """Number of privacy units."""
    target_epsilon: float | None
    """Epsilon (nats) that the noise was calibrated to; None where the noise was given."""
    target_delta: float
    expected_batch_size: int
    sampling_probability: float
    """Share of the units in a batch; a probability only with Poisson sampling."""
    epochs: float
    steps: int
    noise_multiplier: float
    """Noise standard deviation / `l2_norm_clip`. Where it was calibrated, rounded up to four digits before it was
    accounted: what a table shows is what the epsilon belongs to."""
    epsilon: float
    """What the run spends at `target_delta` (nats), with all that was planned beside it: an upper bound; at most
    `target_epsilon` where there is one."""
    accountant: str
    sampling: str
    algorithm: str
    run: PlannedRun
    """What is accounted, as a ledger reserves it."""

    @property
    def noise_of_mean_gradient(self) -> float:
        """Standard deviation of the noise on each coordinate of a step's mean gradient, in clips.

        A record's gradient is at most one clip long, and so is the mean: this is the noise that the signal is up
        against. With tree aggregation it is the noise of one node of the tree.
        """
        return self.noise_multiplier / self.expected_batch_size


def plan(
    *,
    population: int,
    target_delta: float | None = None,
    target_epsilons: Sequence[float] = (),
    noise_multipliers: Sequence[float] = (),
    expected_batch_sizes: Sequence[int] = (),
    epochs: Sequence[float] = DEFAULT_EPOCHS,
    accountant: str = "rdp",
    sampling: str = "poisson",
    algorithm: str = "dp_sgd",
    beside: Sequence[DpEvent] = (),
    delta_spent: float = 0.0,
) -> list[PlannedTraining]:
    """Accounts every combination of the arguments.

    Calibration and epsilon are those of training (`accounting`): Poisson-subsampled Gaussian mechanisms, Abadi et al.
    (2016), https://arxiv.org/abs/1607.00133; in passes, Gaussian mechanisms without amplification. With Poisson
    sampling, neighbours are datasets with one unit more or less.

    Args:
      population: Number of records; of users, if a user is the privacy unit.
      target_delta: In (0, 1 / population); `suggest_delta` if left out.
      target_epsilons: Each has its noise calibrated (nats).
      noise_multipliers: Each has its epsilon accounted. Without these and targets, `DEFAULT_TARGET_EPSILONS`.
      expected_batch_sizes: `suggest_batch_sizes` if left out.
      epochs: Expected number of times that a record is drawn.
      accountant: "rdp" (half a second a run), or "pld" (two), which calls for less noise and is
        what a guarantee states.
      sampling: As in `DPParameters`.
      algorithm: As in `DPParameters`.
      beside: What is released of the same records besides, as events of `composition.dp_sgd_event`: targets and epsilons are
        of each run and all of it together.
      delta_spent: Part of `target_delta` that thresholds spend besides, in [0, target_delta).

    Returns:
      The runs: batch sizes and epochs as they were given, and within them by falling noise.

    Raises:
      ParameterError: If a number breaks a rule of `DPParameters`, such as a batch that is larger than the data.
      AccountingError: If the accountants give no usable number.
    """
    population = _validate.positive_integer(population=population)
    target_delta = suggest_delta(population) if target_delta is None else target_delta
    if not (target_epsilons or noise_multipliers):
        target_epsilons = DEFAULT_TARGET_EPSILONS
    wishes: list[dict[str, Any]] = [
        *({"target_epsilon": value} for value in target_epsilons),
        *({"noise_multiplier": value} for value in noise_multipliers),
    ]
    common: dict[str, Any] = {
        "population": population,
        "target_delta": target_delta,
        "accountant": accountant,
        "sampling": sampling,
        "algorithm": algorithm,
    }
    batches = expected_batch_sizes or suggest_batch_sizes(population)
    asked = [
        DPParameters(expected_batch_size=batch, epochs=duration, **wish, **common)
        for batch, duration, wish in itertools.product(batches, epochs, wishes)
    ]
    # All are checked before the first is calibrated, which takes seconds.
    for parameters in asked:
        parameters.resolve()
    left = target_delta - _validate.real(delta_spent=delta_spent)
    if not 0.0 < left <= target_delta:
        raise ParameterError(
            f"Expected delta_spent={delta_spent!r} in [0, {target_delta:g}): it is a part of target_delta, of which the noise "
            "needs the rest."
        )
    found = [_planned(parameters, beside, left) for parameters in asked]
    groups = [found[start : start + len(wishes)] for start in range(0, len(found), len(wishes))]
    return [run for group in groups for run in sorted(group, key=lambda run: -run.noise_multiplier)]


def suggest_delta(population: int) -> float:
    """The largest power of ten that is at most a tenth of 1 / population.

    >>> suggest_delta(10_000), suggest_delta(10_036)
    (1e-05, 1e-06)
    """
    population = _validate.positive_integer(population=population)
    return float(f"1e-{len(str(10 * population - 1))}")


def suggest_batch_sizes(population: int) -> tuple[int, ...]:
    """Powers of two near one and five percent of the data; all of them where there are fewer than `FEW`.

    One percent of a few records is none: a step on all of them has the least noise for its epsilon.

    >>> suggest_batch_sizes(10_000), suggest_batch_sizes(10)
    ((128, 512), (10,))
    """
    population = _validate.positive_integer(population=population)
    if population < FEW:
        return (population,)
    sizes = {min(population, 2 ** max(0, round(math.log2(population * share)))) for share in (0.01, 0.05)}
    return tuple(sorted(sizes))


def runs_allowed(left_units: int, order: float, run: PlannedRun) -> int:
    """How many such runs, one after the other or at once, fit into what is left of a budget.

    A filter at one Renyi order that was fixed beforehand (`renyi_filter`; Feldman and Zrnic 2021,
    https://arxiv.org/abs/2008.11193): it stays true when each run is chosen after seeing the last.

    Args:
      left_units: What may still be charged, in units of `renyi_filter`; zero or less is nothing.
      order: The budget's Renyi order.
      run: The run.

    Raises:
      ParameterError: If `left_units` is no whole number, or the order is not one of `renyi_filter`.
      AccountingError: If the run's cost is not finite.
    """
    if isinstance(left_units, bool) or not isinstance(left_units, int):
        raise ParameterError(f"Expected left_units={left_units!r} to be a whole number.")
    return max(0, left_units) // renyi_filter.cost(order, run.event)


def runs_in_budget(run: PlannedRun, *, epsilon: float, delta: float) -> int:
    """How many such runs fit into a whole budget, at the Renyi order that suits the budget best.

    A single run whose PLD epsilon is the budget's need not fit: the filter pays for letting the
    runs be chosen as one goes.

    Args:
      run: The run.
      epsilon: The budget's, in nats.
      delta: The budget's, in (0, 1).

    Raises:
      ParameterError: If the budget is too small for anything.
      AccountingError: If the run's cost is not finite.
    """
    order = renyi_filter.best_order(epsilon=epsilon, delta=delta)
    return runs_allowed(renyi_filter.budget(order, epsilon=epsilon, delta=delta), order, run)


def epsilon_with_reference_models(run: PlannedTraining, num_models: int) -> float:
    """Epsilon of a model and all its reference models together, for one record, which half of these are trained on.

    As `guarantee.recomputation.epsilon_with_references` states it of trainings that were executed: one longer run.

    Args:
      run: The model's training.
      num_models: Of `DPTrainer(reference_models=)`, an even number.

    Returns:
      Epsilon in nats, by the run's accountant.
    """
    alone = terms(run.run.event)
    together = dp_sgd_event(**alone._replace(steps=alone.steps * (1 + num_models // 2))._asdict())
    return _epsilon([together], run.target_delta, run.accountant)


def _planned(parameters: DPParameters, beside: Sequence[DpEvent], delta: float) -> PlannedTraining:
    """One run beside what is released; `delta` is what thresholds leave of its own."""
    noise = parameters.noise_multiplier
    if parameters.target_epsilon is not None:
        calibrated = calibrate_noise_multiplier(
            parameters,
            target_epsilon=parameters.target_epsilon,
            target_delta=delta,
            accountant=parameters.accountant,
            beside=beside,
        )
        noise = significant_up(calibrated, NOISE_DIGITS)
    assert noise is not None
    executed = dataclasses.replace(parameters, target_epsilon=None, noise_multiplier=noise)
    resolved = executed.resolve()
    assert resolved.population is not None
    assert parameters.expected_batch_size is not None
    assert parameters.epochs is not None
    assert parameters.target_delta is not None
    event = resolved.event(noise)
    return PlannedTraining(
        population=resolved.population,
        target_epsilon=parameters.target_epsilon,
        target_delta=parameters.target_delta,
        expected_batch_size=parameters.expected_batch_size,
        sampling_probability=resolved.sampling_probability,
        epochs=parameters.epochs,
        steps=resolved.steps,
        noise_multiplier=noise,
        epsilon=_epsilon([*beside, event], delta, parameters.accountant),
        accountant=parameters.accountant,
        sampling=parameters.sampling,
        algorithm=parameters.algorithm,
        run=PlannedRun.of_event(event),
    )


def _epsilon(events: Sequence[DpEvent], target_delta: float, accountant: str) -> float:
    event = events[0] if len(events) == 1 else composed(events)
    if accountant == "rdp":
        return accounting.rdp_epsilon(event, target_delta=target_delta)
    return accounting.epsilon_bounds(event, target_delta=target_delta).best
