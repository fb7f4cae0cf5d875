"""The report's pictures of intervals, one row each: slices, and what attacks beyond membership found."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfx_privacy.attacks import exposure
from tfx_privacy.attacks.evaluation import AttackResult, Finding, PrivacyEvaluation
from tfx_privacy.reporting.facts import leaks
from tfx_privacy.reporting.figures import svg

MAX_SLICES = 30
_MAX_FINDINGS = 12
_LABEL = 20
_MAX_PANELS = 8


def forest(record: PrivacyEvaluation, attack: str, limit: float, *, prefix: str = "forest") -> str | None:
    """AUC with interval of one attack on every slice, by descending lower bound.

    Args:
      record: The evaluation.
      attack: Which attack.
      limit: Largest AUC that is allowed, in [0.5, 1].
      prefix: Begins the ids.

    Returns:
      The picture with at most `MAX_SLICES` slices, or None if no slice has numbers.
    """
    rows = [row for row in record.results if row.attack == attack and row.auc is not None]
    if not rows:
        return None
    rows.sort(key=lambda row: (-_interval(row)[1], row.slice_name))
    shown = rows[:MAX_SLICES]
    return svg.render(
        lambda figure: _paint_forest(figure, shown, len(rows), limit),
        height=1.37 + (0.34 if any(map(_is_long, shown)) else 0.22) * len(shown),
        prefix=prefix,
        title=f"AUC of the attack {attack} by slice",
        description=(
            f"{len(shown)} of {len(rows)} slices; {sum(_over(row, limit) for row in rows)} have a bound beyond "
            f"{limit:g}."
        ),
    )


def findings(record: PrivacyEvaluation, *, prefix: str = "findings") -> str | None:
    """Estimates of the attacks beyond membership, one panel per family and unit, with the value of a model that leaks nothing.

    Args:
      record: The evaluation.
      prefix: Begins the ids.

    Returns:
      The picture, or None if no finding has numbers.
    """
    rows = sorted((row for row in record.findings if row.status == "OK"), key=lambda row: (row.family, row.metric))
    panels = [list(group) for _, group in itertools.groupby(rows, key=lambda row: (row.family, row.metric))]
    if not panels:
        return None
    shown = [panel[:_MAX_FINDINGS] for panel in panels[:_MAX_PANELS]]
    num_leaks = sum(leaks(row) for row in rows)
    return svg.render(
        lambda figure: _paint_findings(figure, shown, len(rows)),
        height=_findings_height(shown),
        prefix=prefix,
        title="Attacks beyond membership",
        description=(
            f"{len(rows)} estimates in {len(panels)} panels; the interval of {num_leaks} of them lies above the "
            "harmless value."
        ),
    )


def _paint_forest(figure: Figure, rows: Sequence[AttackResult], num_all: int, limit: float) -> None:
    height = figure.get_figheight()
    axes = figure.add_axes((0.42, 0.97 / height, 0.54, 1.0 - 1.07 / height))
    for place, row in enumerate(rows):
        over, trusted = _over(row, limit), row.status == "OK"
        _point(axes, _interval(row), place, "s" if over else "o", svg.RED if over else svg.BLUE, filled=trusted)
    axes.axvline(0.5, color=svg.GREY, linestyle="--", linewidth=1.0, label="guessing (0.5)")
    axes.axvline(limit, color=svg.RED, linestyle="-.", linewidth=1.2, label=f"limit ({limit:g})")
    lows, highs = zip(*(_interval(row)[1:] for row in rows), strict=True)
    if min(lows) < 1.0 - limit + 0.02:
        axes.axvline(1.0 - limit, color=svg.RED, linestyle="-.", linewidth=0.8)
    margin = 0.03 * (max(*highs, limit) - min(*lows, 0.5)) + 1e-3
    axes.set_xlim(min(*lows, 0.5) - margin, max(*highs, limit) + margin)
    _rows_on_y(axes, [_slice_label(row) for row in rows])
    axes.set_xlabel("attack AUC")
    figure.legend(loc="lower center", ncol=2)
    if num_all > len(rows):
        figure.text(0.02, 0.35 / height, f"{num_all - len(rows)} slices with lower bounds are left out", fontsize=10)


def _findings_height(panels: Sequence[Sequence[Finding]]) -> float:
    return 0.45 + sum(_panel_height(panel) for panel in panels)


def _panel_height(panel: Sequence[Finding]) -> float:
    return 1.05 + 0.25 * len(panel)


def _paint_findings(figure: Figure, panels: Sequence[Sequence[Finding]], num_all: int) -> None:
    height = figure.get_figheight()
    top = height
    for panel in panels:
        bottom = top - _panel_height(panel) + 0.6
        axes = figure.add_axes((0.42, bottom / height, 0.54, (top - 0.35 - bottom) / height))
        top -= _panel_height(panel)
        _paint_panel(axes, panel)
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(handles=handles, loc="lower center", ncol=2)
    left_out = num_all - sum(len(panel) for panel in panels)
    if left_out:
        figure.text(0.02, 0.35 / height, f"{left_out} more are in the table", fontsize=10)


def _paint_panel(axes: Axes, panel: Sequence[Finding]) -> None:
    for place, row in enumerate(panel):
        values = _shown(row)
        marker, colour = ("s", svg.RED) if leaks(row) else ("o", svg.BLUE)
        _point(axes, values[:3], place, marker, colour, filled=True)
    harmless = [_values(row).harmless for row in panel]
    places = range(len(panel))
    axes.plot(
        harmless, places, color=svg.GREY, marker="|", markersize=14, linestyle="none", label="a model without a leak"
    )
    axes.margins(x=0.08)
    axes.set_title(panel[0].family.replace("_", " "), fontsize=11, loc="left")
    axes.set_xlabel(svg.label(panel[0].metric, 40), fontsize=10)
    _rows_on_y(axes, [svg.label(row.subject, 20) for row in panel])


def _point(
    axes: Axes, interval: tuple[float, float, float], place: int, marker: str, colour: str, *, filled: bool
) -> None:
    estimate, low, high = interval
    axes.plot((low, high), (place, place), color=colour, linewidth=1.4, linestyle="-" if filled else ":")
    face = colour if filled else "white"
    axes.plot((estimate,), (place,), color=colour, markerfacecolor=face, marker=marker, markersize=5)


def _rows_on_y(axes: Axes, labels: Sequence[str]) -> None:
    """The first row on top."""
    axes.set_yticks(range(len(labels)))
    axes.set_yticklabels(labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _slice_label(row: AttackResult) -> str:
    """A long one has its value below its feature, so neither is cut where most names end."""
    doubt = "" if row.status == "OK" else " ?"
    if not _is_long(row):
        return svg.label(row.slice_name, _LABEL) + doubt
    return f"{svg.label(row.slice_feature, _LABEL)}=\n{svg.label(row.slice_value, _LABEL)}{doubt}"


def _is_long(row: AttackResult) -> bool:
    return len(row.slice_name) > _LABEL


def _interval(row: AttackResult) -> tuple[float, float, float]:
    assert row.auc is not None
    return row.auc.estimate, row.auc.low, row.auc.high


def _over(row: AttackResult, limit: float) -> bool:
    return not row.attack_auc_upper <= limit


class _Values(NamedTuple):
    """The numbers of a finding that has them."""

    estimate: float
    low: float
    high: float
    harmless: float


def _shown(row: Finding) -> _Values:
    """A lower bound without an upper end is drawn as a point."""
    values = _values(row)
    return values._replace(high=values.estimate) if values.high >= exposure.NO_UPPER_END else values


def _values(row: Finding) -> _Values:
    assert row.estimate is not None
    assert row.low is not None
    assert row.high is not None
    assert row.harmless is not None
    return _Values(row.estimate, row.low, row.high, row.harmless)
