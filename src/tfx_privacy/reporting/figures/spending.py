"""The report's pictures of what was spent: by one run over its steps, and by all runs of a dataset over time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfx_privacy.guarantee.epsilon_over_steps import Spent
from tfx_privacy.reporting import wording
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
            f"From {wording.epsilon(points[0].epsilon)} after {points[0].step} steps to {wording.epsilon(last.epsilon)} after "
            f"{last.step}; {wording.epsilon(stated)} is stated for the whole, and {limit:g} allowed."
        ),
    )


def over_time(points: Sequence[BudgetPoint], *, last_entry: int = 0, prefix: str = "budget") -> str | None:
    """What a dataset was charged, entry by entry of its ledger, below its budget.

    Args:
      points: By ascending sequence: of the entries that changed it.
      last_entry: Of the ledger; those after the last point changed nothing.
      prefix: Begins the ids.

    Returns:
      The picture, or None if there is no point.
    """
    if not points:
        return None
    last, end = points[-1], max(points[-1].sequence, last_entry)
    return svg.render(
        lambda figure: _paint_budget(figure, points, end),
        height=3.4,
        prefix=prefix,
        title="What the dataset was charged over time",
        description=(
            f"{len(points)} of the entries up to {end} changed it, the last of them on {last.at}; since then epsilon "
            f"{wording.epsilon(last.spent_epsilon)} of {last.budget_epsilon:g} is spent."
        ),
    )


def _paint_steps(figure: Figure, points: Sequence[Spent], stated: float, limit: float) -> None:
    axes = figure.add_axes((0.14, 0.40, 0.80, 0.55))
    steps = [point.step for point in points]
    epsilons = [point.epsilon for point in points]
    axes.plot(steps, epsilons, color=svg.BLUE, marker="o", markersize=3.5, linewidth=1.6, label="spent")
    axes.plot(
        steps[-1:], [stated], color=svg.ORANGE, marker="D", markersize=6, linestyle="none",
        label=f"stated for the whole run: {wording.epsilon(stated)}",
    )  # fmt: skip
    axes.axhline(limit, color=svg.RED, linestyle="-.", linewidth=1.2, label=f"limit ({limit:g})")
    axes.set_ylim(0.0, 1.12 * max(*epsilons, stated, limit))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("step")
    axes.set_ylabel("epsilon")
    figure.legend(loc="lower center", ncol=1)


def _paint_budget(figure: Figure, points: Sequence[BudgetPoint], end: int) -> None:
    axes = figure.add_axes((0.14, 0.30, 0.80, 0.65))
    sequence = [point.sequence for point in points]
    spent = [point.spent_epsilon for point in points]
    budget = [point.budget_epsilon for point in points]
    # Beyond the last entry, until the next one, which does not exist yet: what holds after it must be seen.
    places = [*sequence, end + 0.5]
    axes.step(
        places, [*spent, spent[-1]], where="post", color=svg.BLUE, linewidth=1.6, marker="o", markersize=4,
        markevery=slice(len(spent)), label="charged to all runs",
    )  # fmt: skip
    axes.step(places, [*budget, budget[-1]], where="post", color=svg.RED, linestyle="-.", linewidth=1.4, label="budget")
    axes.set_ylim(0.0, 1.12 * max(*budget, *spent))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlim(right=end + 0.5)
    days = list(dict.fromkeys(svg.label(point.at[:10]) for point in (points[0], points[-1])))
    axes.set_xlabel(f"entry of the ledger, charged {' to '.join(days)}")
    axes.set_ylabel("epsilon")
    figure.legend(loc="lower center", ncol=2)
