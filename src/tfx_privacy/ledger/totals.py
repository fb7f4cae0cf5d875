"""What a dataset's runs spend by the tightest accountant, for information."""

from __future__ import annotations

from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, EpsilonBounds, epsilon_bounds
from tfx_privacy.budget import thresholds
from tfx_privacy.ledger import entries
from tfx_privacy.ledger.state import DatasetRow

# Each kind of run is a separate privacy loss distribution, which costs seconds.
MAX_KINDS = 32


def bounds_if_planned(dataset: DatasetRow, block: str) -> EpsilonBounds | None:
    """Epsilon of the runs on a block, those that died included, as if all had been planned beforehand.

    Teams choose the next run after they saw the last, which these bounds do not cover: what is charged is not this.

    Args:
      dataset: As verified.
      block: One of its blocks.

    Returns:
      Both bounds, at the budget's delta without what thresholds spent of it; None without a run, or with more kinds of
      runs than are worth the wait.
    """
    kinds: dict[tuple[float, float], int] = {}
    for run in dataset.runs.values():
        if run.state != "ABORTED" and block in entries.block_names(run.blocks):
            plan = run.planned.terms
            key = plan.noise_multiplier, plan.sampling_probability
            kinds[key] = kinds.get(key, 0) + plan.steps
    if not 0 < len(kinds) <= MAX_KINDS:
        return None
    runs = [
        dp_sgd_event(noise_multiplier=noise, sampling_probability=share, steps=steps)
        for (noise, share), steps in kinds.items()
    ]
    rest = thresholds.left(dataset.delta, dataset.blocks[block].delta_charged)
    return epsilon_bounds(composed(runs), target_delta=rest, value_discretization_interval=COARSE_INTERVAL)
