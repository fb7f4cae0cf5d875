"""What a budget still allows, in words and numbers."""

from __future__ import annotations

import dataclasses
import math

from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER
from tfx_privacy.accounting.rounding import percent, rounded_up, significant_down, significant_up
from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.ledger import admission, entries
from tfx_privacy.ledger.state import DatasetRow

_NOISE_TOLERANCE = 1e-4
_DIGITS = 3
_NOTHING = "Nothing was charged, and no record was read."


def refusal(dataset: DatasetRow, blocks: list[str], planned: PlannedRun, cost: int, delta_spent: int) -> str:
    """Why a run does not fit, what is left, and what would fit."""
    where = f"dataset {dataset.dataset_id!r}" + (f", blocks {', '.join(blocks)}" if blocks else "")
    rest = admission.left(dataset, blocks)
    reasons = []
    if not cost <= rest:
        spent = renyi_filter.epsilon_of(dataset.order, dataset.budget - rest, delta=dataset.conversion_delta)
        reasons.append(
            f"The budget of {where} does not suffice: this run would take "
            f"{percent(cost / dataset.budget)} of epsilon={dataset.epsilon:g} at delta={dataset.delta:g}, and "
            f"{percent(rest / dataset.budget, down=True)} is left (runs so far, those that died included, spent "
            f"epsilon={rounded_up(spent, 3, trimmed=True)}). {_NOTHING} {_fitting(dataset.order, planned, rest)}"
        )
    delta_rest = admission.delta_left(dataset, blocks)
    if not delta_spent <= delta_rest:
        reasons.append(
            f"The delta of {where} does not suffice: this release's thresholds would spend {delta(delta_spent)}, and "
            f"{delta(delta_rest, down=True)} is left of the {delta(dataset.threshold_delta, down=True)} that is set aside for "
            f"thresholds (of delta={dataset.delta:g}). {_NOTHING} Lower what the thresholds spend, or have more set aside by "
            "whoever owns the budget (`tfx-privacy ledger budget --threshold-delta`)."
        )
    return " ".join(reasons)


def delta(units: int, *, down: bool = False) -> str:
    """What thresholds spend, as a probability of a few digits: rounded up, or down as what is left is."""
    rounded = significant_down if down else significant_up
    return f"{rounded(thresholds.delta_of(units), _DIGITS):g}"


def _fitting(order: float, planned: PlannedRun, rest: int) -> str:
    found = []
    noise = fitting_noise_multiplier(order, planned, rest)
    if noise is not None:
        found.append(f"a noise_multiplier of at least {noise:g} with the same {planned.steps} steps")
    steps = fitting_steps(order, planned, rest)
    if steps:
        found.append(f"at most {steps} steps with the same noise")
    if not found:
        return (
            "No run of this kind fits any more: the budget must be raised by whoever owns it (`tfx-privacy ledger "
            "budget`)."
        )
    return f"What would fit: {', or '.join(found)}."


def fitting_noise_multiplier(order: float, planned: PlannedRun, rest: int) -> float | None:
    """The least noise with which the run would cost at most `rest` units, to four digits, rounded up; None for none."""

    def fits(noise_multiplier: float) -> bool:
        try:
            return renyi_filter.cost(order, planned.changed(noise_multiplier=noise_multiplier).event) <= rest
        except TFXPrivacyError:
            return False

    low = high = planned.terms.noise_multiplier
    while not fits(high):
        if high >= MAX_NOISE_MULTIPLIER:
            return None
        low, high = high, min(2 * high, MAX_NOISE_MULTIPLIER)
    while high > low * (1 + _NOISE_TOLERANCE):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    rounded = math.ceil(high * 1e4) / 1e4
    return rounded if rounded <= MAX_NOISE_MULTIPLIER and fits(rounded) else high


def fitting_steps(order: float, planned: PlannedRun, rest: int) -> int:
    """The most steps with which the run would cost at most `rest` units; 0 for none."""
    low, high = 0, planned.steps
    while low < high:
        middle = (low + high + 1) // 2
        if renyi_filter.cost(order, planned.changed(steps=middle).event) <= rest:
            low = middle
        else:
            high = middle - 1
    return low


@dataclasses.dataclass(frozen=True)
class BlockStatus:
    """What was charged to one block."""

    name: str
    """Empty for a dataset without blocks."""
    committed: int
    """Units of runs that ended with a model."""
    pending: int
    """Units of runs that were reserved or have started, and of those that died."""
    left: int
    spent_epsilon: float
    """Committed and pending together, at the budget's delta without what is set aside for thresholds."""
    delta_charged: int
    """What thresholds of all these runs spend, in units of `budget.thresholds`."""


def status(dataset: DatasetRow) -> list[BlockStatus]:
    """Every block of a replayed dataset."""
    found = []
    for name, block in dataset.blocks.items():
        runs = [run for run in dataset.runs.values() if name in entries.block_names(run.blocks)]
        committed = sum(run.cost for run in runs if run.state == "COMMITTED")
        found.append(
            BlockStatus(
                name=name,
                committed=committed,
                pending=block.charged - committed,
                left=admission.left(dataset, [name]),
                spent_epsilon=renyi_filter.epsilon_of(dataset.order, block.charged, delta=dataset.conversion_delta),
                delta_charged=block.delta_charged,
            )
        )
    return found


def runs_left(dataset: DatasetRow, block: str) -> int | None:
    """How many runs like the last one that was charged fit into what is left of a block; None without any run."""
    charged = [run for run in dataset.runs.values() if run.state != "ABORTED" and run.purpose == "model"]
    if not charged:
        return None
    return admission.left(dataset, [block]) // charged[-1].cost
