"""Outputs that an attack cannot read a leak from: constant ones, labels, rounded and saturated numbers.

Whoever has the SavedModel has its logits, whatever a signature rounds. An attack on rounded answers would find less
than is there, so such outputs are no evidence; what to do is said with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.membership.heads import OF_CLASSES, Head

REMEDY = (
    "export the logits, or unrounded probabilities, as an output or a signature that takes the same examples, and attack "
    "that (output_key, signature_name): who has the SavedModel has them anyway"
)
_MAX_VALUES = 1 << 22
"""Values that are looked at; those of sequences may be too many."""
_DECIMALS = range(7)
_CHANCE = 1e-6
"""Probability that unrounded numbers all lie on a grid of decimals."""
_SATURATED_SHARE = 0.05
"""On both sides: however those are ordered, the AUC moves by at most 0.05**2 / 2, about 0.001."""
_MIN_SATURATED = 10
_CONSTANT_UNITS = 16
"""Outputs that differ by no more units in the last place are one."""


def problem(head: Head, batches: Sequence[np.ndarray]) -> str:
    """Why outputs of many records carry no attack at all, with what to do; empty if nothing speaks against them.

    Args:
      head: What they are attacked as.
      batches: As the model gives them, each of shape (num_records, ...), of a random sample.

    Returns:
      One clause.
    """
    rows = _rows(batches)
    if len(rows) < 2:
        return ""
    if _is_constant(rows):
        return f"it is constant, and a constant carries no attack: {REMEDY}"
    if rows.dtype.kind != "f":
        return f"it is of type {rows.dtype.name}, labels or whole numbers: {REMEDY}"
    decimals = _decimals(rows)
    if decimals is not None:
        what = "labels, or rounded to whole numbers" if decimals == 0 else f"rounded to {decimals} decimals"
        return f"its values are {what}: {REMEDY}"
    if head.task in OF_CLASSES and not head.from_logits and _is_even_grid(rows):
        return f"its probabilities are rounded to a grid: {REMEDY}"
    return ""


def saturation(head: Head, batches: Sequence[np.ndarray]) -> str:
    """Why attacks find too little because probabilities are saturated, with what to do; empty if few are.

    Args:
      head: As for `problem`.
      batches: As for `problem`.

    Returns:
      One clause.
    """
    if head.from_logits is not False or head.task not in OF_CLASSES or head.task == "sequence":
        return ""
    rows = _rows(batches)
    if not (len(rows) and rows.dtype.kind == "f"):
        return ""
    rows = np.clip(rows, 0.0, 1.0)
    if rows.shape[1] > 1 and head.task != "multilabel":
        saturated = (rows != 0.0).sum(axis=1) == 1
    else:
        low, high = float(rows.min()), float(rows.max())
        # Clipped on both sides alike, or to where float32 ends.
        clipped = abs(low + high - 1.0) <= 1e-6 and all(_is_many((rows == end).any(axis=1)) for end in (low, high))
        ends = (low, high) if clipped else (0.0, 1.0)
        saturated = np.isin(rows, np.array(ends, rows.dtype)).any(axis=1)
    if not _is_many(saturated):
        return ""
    return f"{saturated.mean():.1%} of its probabilities are saturated, and cannot be told from each other: {REMEDY}"


def _rows(batches: Sequence[np.ndarray]) -> np.ndarray:
    """Finite outputs as rows, the first ones where there are very many; those of sequences token by token."""
    found, size = [], 0
    for batch in batches:
        found.append(batch.reshape(-1, batch.shape[-1]) if batch.ndim > 1 else batch[:, None])
        size += batch.size
        if size >= _MAX_VALUES:
            break
    rows = np.concatenate(found) if found else np.zeros((0, 1))
    return rows[np.isfinite(rows).all(axis=1)] if rows.dtype.kind in "fiub" else rows[:0]


def _is_constant(rows: np.ndarray) -> bool:
    if rows.dtype.kind != "f":
        return bool((rows == rows[:1]).all())
    return bool((np.ptp(rows, axis=0) <= _CONSTANT_UNITS * np.spacing(np.abs(rows).max(axis=0))).all())


def _decimals(rows: np.ndarray) -> int | None:
    """To how many decimals numbers are rounded; None where numbers that are not rounded could be these.

    A number that is not rounded lies within its own precision of a grid's point with a probability of about three
    spacings per step. Zero is left out: it lies on every grid, and units that are off give it.
    """
    values = np.unique(rows)
    values = values[values != 0.0]
    if not len(values):
        return 0
    spacing = np.abs(np.spacing(values)).astype(np.float64)
    for decimals in _DECIMALS:
        step = 10.0**-decimals
        on_grid = np.abs(values.astype(np.float64) - np.round(values.astype(np.float64), decimals)) <= spacing
        if on_grid.all() and np.log(np.minimum(1.0, 3.0 * spacing / step)).sum() <= np.log(_CHANCE):
            return decimals
    return None


def _is_even_grid(rows: np.ndarray) -> bool:
    """Whether all probabilities lie on multiples of one step, as those that were a byte once do.

    Those that were not rounded, even of few different records, do not: they are no linear function of anything.
    """
    values = np.unique(rows).astype(np.float64)
    if len(values) < 3:
        return False
    spacing = float(np.spacing(rows.dtype.type(values[-1])))
    span = values[-1] - values[0]
    step = span / np.round(span / np.diff(values).min())
    places = (values - values[0]) / step
    even = bool((np.abs(places - np.round(places)) <= 2.0 * spacing / step).all())
    return even and (len(values) - 2) * np.log(min(1.0, 4.0 * spacing / step)) <= np.log(_CHANCE)


def _is_many(mask: np.ndarray) -> bool:
    return bool(mask.sum() >= max(_MIN_SATURATED, _SATURATED_SHARE * len(mask)))
