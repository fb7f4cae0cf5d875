"""A dataset with its blocks and its runs, as the entries of its log leave them."""

from __future__ import annotations

import dataclasses

from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import PlannedRun, Purpose, RunState
from tfx_privacy.ledger import entries
from tfx_privacy.ledger.entries import Registered


@dataclasses.dataclass
class RunRow:
    """One run, as its entries leave it."""

    run_id: str
    dataset_id: str
    purpose: Purpose
    state: RunState
    planned: PlannedRun
    cost: int
    delta_spent: int
    """Of its thresholds, in units of `budget.thresholds`."""
    blocks: list[str]
    attempt: int = 0
    attempt_id: str | None = None
    model_digest: str | None = None
    guarantee_digest: str | None = None
    commit_sequence: int | None = None


@dataclasses.dataclass
class BlockRow:
    """What one block was charged."""

    charged: int = 0
    ceiling: int = 0
    """No charge may pass it: the budget, or what had been charged when the budget was lowered below that."""
    delta_charged: int = 0
    """Of thresholds, in units of `budget.thresholds`."""
    delta_ceiling: int = 0
    """What thresholds may be charged."""


@dataclasses.dataclass
class DatasetRow:
    """One dataset, as its entries leave it."""

    ledger_id: str
    dataset_id: str
    facts: Registered
    epsilon: float
    budget: int
    """Of divergence, in units of `budget.renyi_filter`."""
    threshold_delta: int
    """What of delta is set aside for thresholds, in units of `budget.thresholds`."""
    head_sequence: int
    head_hash: str
    blocks: dict[str, BlockRow]
    runs: dict[str, RunRow] = dataclasses.field(default_factory=dict)
    requests: set[str] = dataclasses.field(default_factory=set)

    @property
    def order(self) -> float:
        """Renyi order of the charges."""
        return float.fromhex(self.facts.order)

    @property
    def delta(self) -> float:
        """The budget's delta."""
        return float.fromhex(self.facts.delta)

    @property
    def conversion_delta(self) -> float:
        """The budget's delta without what is set aside for thresholds: at it divergence is converted to epsilon."""
        return thresholds.left(self.delta, self.threshold_delta)

    @property
    def declared_blocks(self) -> list[str]:
        """Names of the blocks; none for a dataset without."""
        return [name for name in self.blocks if name != entries.WHOLE]
