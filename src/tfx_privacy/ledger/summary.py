"""Budgets as people read them: one row for each block, and a table of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rich.box
import rich.table

from tfx_privacy.accounting.rounding import percent, rounded_up
from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.ledger import budgets, totals
from tfx_privacy.ledger.state import DatasetRow

EXPLANATION = (
    "spent: runs that ended with a model. reserved: runs at work, and runs that died. epsilon: of both together, by "
    "Renyi DP at the dataset's order, which holds however runs were chosen. by PLD: tighter, and true only if all runs "
    "had been planned beforehand. runs left: like the last one."
)
# The name of a dataset or block alone is longer; it is folded, and the numbers are not.
_MAX_WIDTH = 24
_OF_A_RUN = (
    "A single run's own epsilon is computed at the order that suits that run, and is lower than what it shows as spent."
)
_HEADINGS = ("dataset", "budget", "spent", "reserved", "left", "epsilon", "by PLD", "runs left")


def rows(dataset: DatasetRow) -> list[dict[str, Any]]:
    """What is spent, reserved and left of each block of a verified dataset: as shares of its budget and as epsilons."""
    return [_row(dataset, block) for block in budgets.status(dataset)]


def explanation(dataset: DatasetRow) -> str:
    """Why what is left of a dataset's fullest block is not the share of its epsilon, and what thresholds spent.

    Empty where nothing is charged, and nothing set aside for thresholds.
    """
    block = max(budgets.status(dataset), key=lambda block: block.committed + block.pending)
    charged = block.committed + block.pending
    if not charged:
        return _of_thresholds(dataset)
    why = renyi_filter.explained(
        charged, dataset.budget, spent_epsilon=block.spent_epsilon, budget_epsilon=dataset.epsilon
    )
    return " ".join(filter(None, (why, _OF_A_RUN, _of_thresholds(dataset))))


def table(found: Sequence[dict[str, Any]]) -> rich.table.Table:
    """A table of rows."""
    made = rich.table.Table(
        title="Privacy budgets", title_justify="left", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    for heading in _HEADINGS:
        made.add_column(heading, overflow="fold", max_width=_MAX_WIDTH)
    for row in found:
        pld = row["pld_epsilon_if_planned"]
        made.add_row(
            row["dataset_id"] + (f" / {row['block']}" if row["block"] else ""),
            f"{row['budget_epsilon']:g} at {row['budget_delta']:g}",
            percent(row["spent_share"]),
            percent(row["reserved_share"]),
            percent(row["left_share"], down=True),
            rounded_up(row["charged_epsilon"], 3, trimmed=True),
            "-" if pld is None else rounded_up(pld, 3, trimmed=True),
            "-" if row["runs_left"] is None else str(row["runs_left"]),
        )
    return made


def _of_thresholds(dataset: DatasetRow) -> str:
    if not dataset.threshold_delta:
        return ""
    spent = max(block.delta_charged for block in dataset.blocks.values())
    where = ", in the block where it is most" if dataset.declared_blocks else ""
    return (
        f"Thresholds of releases have spent delta {thresholds.shown(spent)} of the "
        f"{thresholds.shown(dataset.threshold_delta, down=True)} that is set aside for them{where}."
    )


def _row(dataset: DatasetRow, block: budgets.BlockStatus) -> dict[str, Any]:
    bounds = totals.bounds_if_planned(dataset, block.name)
    return {
        "dataset_id": dataset.dataset_id,
        "block": block.name,
        "privacy_unit": dataset.facts.privacy_unit,
        "neighboring_relation": dataset.facts.neighboring_relation,
        "population": dataset.facts.population,
        "budget_epsilon": dataset.epsilon,
        "budget_delta": dataset.delta,
        "rdp_order": dataset.order,
        "spent_share": block.committed / dataset.budget,
        "reserved_share": block.pending / dataset.budget,
        "left_share": block.left / dataset.budget,
        "spent_epsilon": renyi_filter.epsilon_of(dataset.order, block.committed, delta=dataset.conversion_delta),
        "charged_epsilon": block.spent_epsilon,
        "threshold_delta": thresholds.delta_of(dataset.threshold_delta),
        "delta_spent": thresholds.delta_of(block.delta_charged),
        "pld_epsilon_if_planned": None if bounds is None else bounds.best,
        "runs_left": budgets.runs_left(dataset, block.name),
        "num_runs": sum(run.state == "COMMITTED" for run in dataset.runs.values()),
        "head_sequence": dataset.head_sequence,
        "head_hash": dataset.head_hash,
    }
