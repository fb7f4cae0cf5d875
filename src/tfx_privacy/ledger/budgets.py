"""What a budget still allows, in words and numbers."""

from __future__ import annotations

import dataclasses
import math

from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER
from tfx_privacy.accounting.rounding import percent, rounded_up
from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.ledger import admission, entries
from tfx_privacy.ledger.state import DatasetRow

_NOISE_TOLERANCE = 1e-4
_NOTHING = "Nothing was charged, and no record was read."


def refusal(dataset: DatasetRow, blocks: list[str], planned: PlannedRun, cost: int, delta_spent: int) -> str:
    """Why a run does not fit, what is left, and what would fit."""
    where = f"dataset {dataset.dataset_id!r}" + (f", blocks {', '.join(blocks)}" if blocks else "")
    rest, delta_rest = admission.left(dataset, blocks), admission.left_for_thresholds(dataset, blocks)
    reasons = []
    if not cost <= rest:
        reasons.append(_too_much_divergence(dataset, where, planned, cost, rest))
    if not delta_spent <= delta_rest:
        reasons.append(_too_much_delta(dataset, where, delta_spent, delta_rest))
    return " ".join(reasons)


def _too_much_divergence(dataset: DatasetRow, where: str, planned: PlannedRun, cost: int, rest: int) -> str:
    spent = renyi_filter.epsilon_of(dataset.order, dataset.budget - rest, delta=dataset.conversion_delta)
    return (
        f"The budget of {where} does not suffice: this run would take {percent(cost / dataset.budget)} of "
        f"epsilon={dataset.epsilon:g} at delta={dataset.delta:g}, and {percent(rest / dataset.budget, down=True)} is left "
        f"(runs so far, those that died included, spent epsilon={rounded_up(spent, 3, trimmed=True)}). {_NOTHING} "
        f"{_fitting(dataset.order, planned, rest)}"
    )


def _too_much_delta(dataset: DatasetRow, where: str, delta_spent: int, rest: int) -> str:
    set_aside = thresholds.shown(dataset.threshold_delta, down=True)
    return (
        f"The delta of {where} does not suffice: this release's thresholds would spend {thresholds.shown(delta_spent)}, and "
        f"{thresholds.shown(rest, down=True)} is left of the {set_aside} that is set aside for thresholds (of "
        f"delta={dataset.delta:g}). {_NOTHING} Lower what the thresholds spend, or have more set aside by whoever owns the "
        "budget (`tfx-privacy ledger budget --threshold-delta`)."
    )


def _fitting(order: float, planned: PlannedRun, rest: int) -> str:
    found = []
    noise = fitting_noise_multiplier(order, planned, rest)
    if noise is not None:
        same = f" with the same {planned.steps} steps" if planned.steps > 1 else ""
        found.append(f"a noise_multiplier of at least {noise:g}{same}")
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
