"""The picture of `tfx-privacy plan`: noise against epsilon."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfx_privacy.errors import ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tfx_privacy.budget.planning import PlannedTraining

FORMATS = (".svg", ".png", ".pdf")
"""By the ending of a file's name."""
# Okabe and Ito's colours without yellow; each line also has its own dash and marker.
_COLOURS = ("#0060a0", "#b34700", "#007a5a", "#7a3b69", "#555555", "#a8201a")
_DASHES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 4.0,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "tfx-privacy",
}


def draw(runs: Sequence[PlannedTraining], path: pathlib.Path) -> None:
    """Draws noise against epsilon, one line per batch size and epochs.

    Args:
      runs: At least one.
      path: File to write, whose ending says how.

    Raises:
      ParameterError: If the file cannot be written.
    """
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(9.0, 4.4), layout=ConstrainedLayoutEngine(wspace=0.08))
        FigureCanvasAgg(figure)
        _paint(figure, runs)
        try:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ParameterError(f"plot={str(path)!r} cannot be written: {error}. Choose another file.") from error


def _paint(figure: Figure, runs: Sequence[PlannedTraining]) -> None:
    lines: dict[tuple[int, float], list[PlannedTraining]] = {}
    for run in runs:
        lines.setdefault((run.expected_batch_size, run.epochs), []).append(run)
    multiplier, relative = figure.subplots(1, 2, sharex=True)
    for place, ((batch, epochs), members) in enumerate(lines.items()):
        members = sorted(members, key=lambda run: run.epsilon)
        style: dict[str, Any] = {
            "color": _COLOURS[place % len(_COLOURS)],
            "linestyle": _DASHES[place % len(_DASHES)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "label": f"batch {batch}, {epochs:g} epochs",
        }
        epsilons = [run.epsilon for run in members]
        multiplier.plot(epsilons, [run.noise_multiplier for run in members], **style)
        relative.plot(epsilons, [run.noise_of_mean_gradient for run in members], **style)
    _label(multiplier, "noise multiplier")
    _label(relative, "noise of the mean gradient\n(standard deviation per coordinate, in clips)")
    first = runs[0]
    figure.suptitle(
        f"What epsilon buys: {first.population:,} units, delta {first.target_delta:g}, {first.accountant.upper()}",
        fontsize=11,
    )
    handles, labels = multiplier.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))


def _label(axes: Axes, what: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("epsilon spent")
    axes.set_ylabel(what)
