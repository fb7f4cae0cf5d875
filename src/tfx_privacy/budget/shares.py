"""Why a budget's shares and its epsilons differ, in one place: for the ledger's table and for the report."""

from __future__ import annotations

import math

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import ParameterError


def explanation(*, charged: int, spent_epsilon: float, budget: int, budget_epsilon: float) -> str:
    """Two sentences on the order of the filter: why so much is left, and why what is spent exceeds a run's epsilon.

    The arguments are those of `runs.LedgerRun`. Canonne et al. (2020), https://arxiv.org/abs/2004.00010, Proposition 12:
    from a divergence to epsilon there is a constant of the order and delta, whatever the number of runs.

    Args:
      charged: What the runs cost together, in units of `renyi_filter`.
      spent_epsilon: The same as epsilon at the budget's delta (nats).
      budget: What they may cost, in the same units.
      budget_epsilon: The budget's epsilon (nats).

    Returns:
      The text; empty where nothing is charged, or the order's constant takes nothing.

    Raises:
      ParameterError: If the budget is not a positive number of units.
    """
    if not budget > 0:
        raise ParameterError(f"Expected budget={budget!r} to be a positive number of units.")
    constant = spent_epsilon - charged * renyi_filter.UNIT
    if not (charged > 0 and constant > 0):
        return ""
    spent = rounded_up(spent_epsilon, 2, trimmed=True)
    share = f"{math.ceil(1000 * charged / budget) / 10:g} %"
    return (
        "Runs add up as Renyi divergence at one order, fixed with the budget, and turning their sum into epsilon adds "
        f"{constant:.2f} once, not once per run: it is in the budget's {budget_epsilon:g} and in the spent {spent} alike, "
        f"so {spent} of {budget_epsilon:g} is a share of {share}. A single run's own epsilon is computed at the order that "
        "suits that run, and is lower."
    )
