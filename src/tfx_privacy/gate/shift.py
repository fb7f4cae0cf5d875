"""Splits that differ before any model is asked: what the gate says of them, which is nothing about the model.

A shift is no leak, and hides leaks and looks like one as well: its remedy is how the splits are drawn.
"""

from __future__ import annotations

from tfx_privacy.attacks.evaluation import CONTROL, WHOLE_SET, AttackResult, PrivacyEvaluation

REMEDY = (
    "Draw the training and the held-out split at random from the same records, such as by ExampleGen's hash buckets, and not "
    "by time, place, language or source; then train and evaluate again. More noise does not help."
)


def confounded(record: PrivacyEvaluation, attacks: tuple[str, ...]) -> list[AttackResult]:
    """The rows of some attacks that the control made doubtful, those of the whole set first."""
    rows = [row for row in record.results if row.status == "CONFOUNDED" and row.attack in attacks]
    return sorted(rows, key=lambda row: (row.slice_feature != WHOLE_SET, row.slice_name, row.attack))


def is_everywhere(record: PrivacyEvaluation) -> bool:
    """Whether the whole set's splits differ, so that any slice's may."""
    return any(row.status == "CONFOUNDED" for row in record.rows(attack=CONTROL, feature=WHOLE_SET))


def explained(rows: list[AttackResult]) -> str:
    """The sentences for rows of which at least one is CONFOUNDED."""
    slices = list(dict.fromkeys(row.slice_name for row in rows))
    shown = ", ".join(slices[:5]) + (f" and {len(slices) - 5} more slices" if len(slices) > 5 else "")
    return f"The splits differ: a shift, which is no leak, and could hide one. On {shown}: {rows[0].reason}. {REMEDY}"
