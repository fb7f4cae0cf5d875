"""The control: do members differ from non-members before a model is asked? Then the splits differ, and no attack can be judged.

Classifiers that see features and label, and no model (Das et al. 2024, https://arxiv.org/abs/2406.16201): trees on some
numbers of each feature, and a linear one on all values, hashed. What either finds is a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import sparse

from tfx_privacy.attacks.consistency import CONTROL_SIGNIFICANCE
from tfx_privacy.attacks.evaluation import CONTROL, WHOLE_SET, AttackResult
from tfx_privacy.attacks.membership import learned

VALUES = f"{CONTROL}[values]"
"""The control on all values; a record has one row of the control, the clearer one of a slice."""


class Side(Protocol):
    """What the control takes of one side's sample."""

    @property
    def folds(self) -> np.ndarray:
        """0 or 1 of each record."""

    @property
    def blind(self) -> np.ndarray:
        """Numbers, of shape (num_records, num_columns)."""

    @property
    def values(self) -> sparse.csr_matrix | None:
        """All values; None where `blind` has them."""


def control_scores(sides: tuple[Side, Side]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Log-odds of membership by features and label alone.

    Args:
      sides: The samples of members and of others.

    Returns:
      By `CONTROL` and, where all values are known, `VALUES`: one array for each side, with num_records scores; NaN where
      the other fold lacks a side.
    """
    members, others = sides
    features = learned.compact(np.concatenate([members.blind, others.blind]))
    size = len(members.folds)
    found = {
        CONTROL: learned.cross_fitted(learned.BOOSTING, features[:size], features[size:], members.folds, others.folds)
    }
    if members.values is not None and others.values is not None:
        found[VALUES] = learned.cross_fitted(learned.LINEAR, members.values, others.values, members.folds, others.folds)
    return found


def merged(rows: Sequence[AttackResult]) -> list[AttackResult]:
    """The rows with one of the control for each slice: of two the one with the smaller p-value, times two (Bonferroni).

    Args:
      rows: Of attacks and of the control, their p-values not adjusted yet.
    """
    of_values = {(row.slice_feature, row.slice_value): row for row in rows if row.attack == VALUES}
    return [
        _clearer(row, of_values.get((row.slice_feature, row.slice_value))) if row.attack == CONTROL else row
        for row in rows
        if row.attack != VALUES
    ]


def families(rows: Sequence[AttackResult]) -> list[list[int]]:
    """Indices of the control's rows: of the whole set and of slices, so many slices do not hide a shift of the whole."""
    own = [index for index, row in enumerate(rows) if row.attack == CONTROL]
    whole = [index for index in own if rows[index].slice_feature == WHOLE_SET]
    return [family for family in (whole, [index for index in own if index not in whole]) if family]


def clearest(rows: Sequence[AttackResult]) -> str:
    """`CONTROL` or `VALUES`: which tells more on the whole set, by p-values that are not adjusted yet."""
    found = [row for row in rows if row.attack in (CONTROL, VALUES) and row.slice_feature == WHOLE_SET]
    return min((row for row in found if row.adjusted_p_value is not None), key=p_value_of).attack


def _clearer(one: AttackResult, other: AttackResult | None) -> AttackResult:
    judged = [row for row in (one, other) if row is not None and row.adjusted_p_value is not None]
    if not judged:
        return one
    best = min(judged, key=p_value_of)
    return best.model_copy(update={"attack": CONTROL, "adjusted_p_value": min(1.0, len(judged) * p_value_of(best))})


def p_value_of(row: AttackResult) -> float:
    """Of a row that was tested."""
    assert row.adjusted_p_value is not None
    return row.adjusted_p_value


def confounded(rows: Sequence[AttackResult]) -> list[AttackResult]:
    """Marks what the control makes doubtful.

    Args:
      rows: Of attacks and of the control, whose p-values are adjusted for each other.
    """
    shifted = {
        (row.slice_feature, row.slice_value): row
        for row in rows
        if row.attack == CONTROL and row.status == "OK" and not p_value_of(row) > CONTROL_SIGNIFICANCE
    }
    return [
        _marked(row, shifted[row.slice_feature, row.slice_value])
        if row.status == "OK" and (row.slice_feature, row.slice_value) in shifted
        else row
        for row in rows
    ]


def _marked(row: AttackResult, control: AttackResult) -> AttackResult:
    assert control.auc is not None
    reason = (
        "without the model, features and label alone tell these members from the non-members, AUC "
        f"{control.auc.estimate:.3f} ({control.auc.low:.3f}-{control.auc.high:.3f}): the splits differ, and no attack "
        "can be judged"
    )
    return row.model_copy(update={"status": "CONFOUNDED", "reason": reason})
