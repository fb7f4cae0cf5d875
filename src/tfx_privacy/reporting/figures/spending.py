"""The report's pictures of what was spent: by one run over its steps, and by all runs of a dataset over time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.guarantee.epsilon_over_steps import Spent
from tfx_privacy.reporting.facts import BudgetPoint
from tfx_privacy.reporting.figures import svg


def over_steps(points: Sequence[Spent], *, stated: float, limit: float, prefix: str = "steps") -> str | None:
    """Epsilon over the steps of a run, with what is stated at its end and what is allowed.

    Args:
      points: By ascending step.
      stated: Epsilon of the whole run, as the guarantee states it.
      limit: Largest epsilon that is allowed.
      prefix: Begins the ids.

    Returns:
      The picture, or None if there is no point.
    """
    if not points:
        return None
    last = points[-1]
    return svg.render(
        lambda figure: _paint_steps(figure, points, stated, limit),
        height=3.7,
        prefix=prefix,
        title="Epsilon over the steps of training",
        description=(
            f"From {rounded_up(points[0].epsilon)} after {points[0].step} steps to {rounded_up(last.epsilon)} after {last.step}; "
            f"{rounded_up(stated, 4)} is stated for the whole, and {limit:g} allowed."
        ),
    )


def over_time(points: Sequence[BudgetPoint], *, prefix: str = "budget") -> str | None:
    """What a dataset was charged, entry by entry of its ledger, below its budget.

    Args:
      points: By ascending sequence.
      prefix: Begins the ids.

    Returns:
      The picture, or None if there is no point.
    """
    if not points:
        return None
    last = points[-1]
    return svg.render(
        lambda figure: _paint_budget(figure, points),
        height=3.4,
        prefix=prefix,
        title="What the dataset was charged over time",
        description=(
            f"{len(points)} entries; after the last one, of {last.at}, epsilon {rounded_up(last.spent_epsilon, 4)} of "
            f"{last.budget_epsilon:g} was spent."
        ),
    )


def _paint_steps(figure: Figure, points: Sequence[Spent], stated: float, limit: float) -> None:
    axes = figure.add_axes((0.14, 0.40, 0.80, 0.55))
    steps = [point.step for point in points]
    epsilons = [point.epsilon for point in points]
    axes.plot(steps, epsilons, color=svg.BLUE, marker="o", markersize=3.5, linewidth=1.6, label="spent")
    axes.plot(
        steps[-1:], [stated], color=svg.ORANGE, marker="D", markersize=6, linestyle="none",
        label=f"stated for the whole run: {rounded_up(stated, 4)}",
    )  # fmt: skip
    axes.axhline(limit, color=svg.RED, linestyle="-.", linewidth=1.2, label=f"limit ({limit:g})")
    axes.set_ylim(0.0, 1.12 * max(*epsilons, stated, limit))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("epsilon")
    figure.legend(loc="lower center", ncol=1)


def _paint_budget(figure: Figure, points: Sequence[BudgetPoint]) -> None:
    axes = figure.add_axes((0.14, 0.30, 0.80, 0.65))
    sequence = [point.sequence for point in points]
    spent = [point.spent_epsilon for point in points]
    budget = [point.budget_epsilon for point in points]
    # Until the next entry, which does not exist yet: what holds after the last one must be seen.
    places = [*sequence, sequence[-1] + 0.5]
    axes.step(
        places, [*spent, spent[-1]], where="post", color=svg.BLUE, linewidth=1.6, marker="o", markersize=4,
        markevery=slice(len(spent)), label="charged to all runs",
    )  # fmt: skip
    axes.step(places, [*budget, budget[-1]], where="post", color=svg.RED, linestyle="-.", linewidth=1.4, label="budget")
    axes.set_ylim(0.0, 1.12 * max(*budget, *spent))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel(f"entry of the ledger, {svg.label(points[0].at[:10])} to {svg.label(points[-1].at[:10])}")
    axes.set_ylabel("epsilon")
    figure.legend(loc="lower center", ncol=2)
