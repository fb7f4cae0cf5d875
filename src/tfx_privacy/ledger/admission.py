"""The admission rule: a run is charged if its cost fits into what is left of the budget, in every block that it reads.

Costs and budgets are Renyi divergences at the one order that the dataset was registered with (`budget.renyi_filter`).
Their sum bounds what all runs reveal together, although each was chosen after the earlier ones were seen: Feldman and
Zrnic (2021), https://arxiv.org/abs/2008.11193, Theorem 4.3. The rule is asked before a run is charged, while its
dataset is locked (`requests.reservation`), and for every charge in a log that is verified (`replay`).

What thresholds spend of delta has a sum and a bound of its own (`budget.thresholds`).
"""

from __future__ import annotations

from tfx_privacy.ledger import entries
from tfx_privacy.ledger.state import DatasetRow


def fits(dataset: DatasetRow, blocks: list[str], cost: int, delta_spent: int) -> bool:
    """Whether one more run on these blocks may be charged so many units of both kinds; the last units may be spent."""
    return cost <= left(dataset, blocks) and delta_spent <= left_for_thresholds(dataset, blocks)


def left(dataset: DatasetRow, blocks: list[str]) -> int:
    """Units that one more run on these blocks may cost; 0 where the budget was lowered below what is charged."""
    fullest = max(dataset.blocks[name].charged for name in entries.block_names(blocks))
    return max(0, dataset.budget - fullest)


def left_for_thresholds(dataset: DatasetRow, blocks: list[str]) -> int:
    """Units of delta that the thresholds of one more run on these blocks may spend."""
    fullest = max(dataset.blocks[name].delta_charged for name in entries.block_names(blocks))
    return max(0, dataset.threshold_delta - fullest)
