"""The outcomes as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measurement import Outcome

_MILLI = 1e3
_MEGABYTE = 1e6


def render(outcomes: Sequence[Outcome], *, batch_size: int, divisors: Sequence[str], with_memory: bool) -> str:
    """Renders one row per variant.

    Args:
      outcomes: In the order of the rows.
      batch_size: For examples per processor second.
      divisors: Variants to give ratios to, a column each; "-" where the divisor has no number.
      with_memory: Whether there is a column for the peak.
    """
    header = ["variant", "CPU ms/step median (min-max)", "examples/CPU-s"]
    header += [f"x {divisor}" for divisor in divisors]
    header += ["peak MB"] if with_memory else []
    medians = {outcome.variant: outcome.median for outcome in outcomes}
    rows = []
    for outcome in outcomes:
        cells = [outcome.variant, _milliseconds(outcome), _examples_per_second(outcome, batch_size)]
        cells += [_ratio(outcome.median, medians.get(divisor)) for divisor in divisors]
        cells += [_megabytes(outcome)] if with_memory else []
        rows.append([*cells, outcome.problem or outcome.note])
    return _markdown([[*header, "note"], *rows])


def _milliseconds(outcome: Outcome) -> str:
    if outcome.median is None:
        return "-"
    low, high = min(outcome.cpu_seconds), max(outcome.cpu_seconds)
    return f"{_MILLI * outcome.median:.2f} ({_MILLI * low:.2f}-{_MILLI * high:.2f})"


def _examples_per_second(outcome: Outcome, batch_size: int) -> str:
    return f"{batch_size / outcome.median:.0f}" if outcome.median else "-"


def _ratio(seconds: float | None, divisor: float | None) -> str:
    return f"{seconds / divisor:.2f}" if seconds is not None and divisor else "-"


def _megabytes(outcome: Outcome) -> str:
    return "-" if outcome.peak_bytes is None else f"{outcome.peak_bytes / _MEGABYTE:.0f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)
