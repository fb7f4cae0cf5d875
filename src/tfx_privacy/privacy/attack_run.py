"""Runs every attack on every slice of scored records."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfx_privacy.privacy import attack_statistics, attacks
from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.evaluation import CLASS_FEATURE, POOLED, WHOLE_SET, AttackResult, Status, Task

MAX_VALUES_PER_FEATURE = 50
MAX_OVERLAP = 0.001


@dataclasses.dataclass(frozen=True)
class ScoredRecords:
    """What the model said of one side's records.

    Attributes:
      hashes: Hash of each record, of shape (num_records,), 16 bytes each.
      labels: float64 of shape (num_records,) or (num_records, num_classes) if one-hot.
      outputs: float32 of shape (num_records, num_outputs).
      slices: By feature, each record's value as text, of shape (num_records,).
    """

    hashes: np.ndarray
    labels: np.ndarray
    outputs: np.ndarray
    slices: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Number of records."""
        return len(self.hashes)

    @property
    def folds(self) -> np.ndarray:
        """0 or 1 for each record, from its hash: no random numbers that could go with the data's."""
        return np.array([value[-1] & 1 for value in self.hashes], dtype=np.int8)

    def in_order(self) -> ScoredRecords:
        """The records sorted by hash, so that results do not depend on how they were distributed."""
        order = np.argsort(self.hashes, kind="stable")
        return ScoredRecords(
            self.hashes[order],
            self.labels[order],
            self.outputs[order],
            {name: values[order] for name, values in self.slices.items()},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How the attacks are judged."""

    confidence_level: float = 0.95
    false_positive_rate: float = 0.01
    min_records: int = 300
    """Smallest side of the whole set that is judged."""
    min_slice_size: int = 100
    """Smallest side of a slice that is judged; rarer values are pooled."""


@dataclasses.dataclass(frozen=True)
class AttackRun:
    """The rows, and what was found about the task on the way."""

    task: Task
    from_logits: bool
    num_overlapping: int
    results: list[AttackResult]


def run(
    members: ScoredRecords, nonmembers: ScoredRecords, settings: Settings, *, from_logits: bool | None = None
) -> AttackRun:
    """Attacks all records, every class and every slice.

    Args:
      members: Records that the model was trained on.
      nonmembers: Records that it never saw.
      settings: How to judge.
      from_logits: Whether outputs are logits. None takes them for probabilities if every one lies in [0, 1] (and rows sum to
        one); say it where you know it, because logits that happen to lie there would be attacked less well.

    Returns:
      One row per attack and slice.

    Raises:
      EvidenceError: If more than 0.1 % of the smaller side stands on both sides, or an output is not finite.
    """
    overlapping = _overlap(members, nonmembers)
    members, nonmembers = members.in_order(), nonmembers.in_order()
    if not (np.isfinite(members.outputs).all() and np.isfinite(nonmembers.outputs).all()):
        bad = int(
            (~np.isfinite(members.outputs)).any(axis=1).sum() + (~np.isfinite(nonmembers.outputs)).any(axis=1).sum()
        )
        raise EvidenceError(f"The model's output is NaN or infinite for {bad} records.")
    if from_logits is None:
        from_logits = not all(attacks.looks_like_probabilities(side.outputs) for side in (members, nonmembers))
    member_classes, nonmember_classes = _class_indices(members), _class_indices(nonmembers)
    if member_classes is None or nonmember_classes is None:
        reason = (
            f"labels of shape {members.labels.shape[1:]} with outputs of shape {members.outputs.shape[1:]} are neither binary "
            "nor multi-class: labels must be class indices or one-hot"
        )
        rows = [
            _row(attack, WHOLE_SET, "", len(members), len(nonmembers), "UNSUPPORTED", reason)
            for attack in attacks.ATTACKS
        ]
        return AttackRun("unsupported", from_logits, overlapping, rows)
    classes = member_classes, nonmember_classes
    scored = [
        attacks.scores(side.outputs, index, from_logits=from_logits)
        for side, index in zip((members, nonmembers), classes, strict=True)
    ]
    results = []
    for feature, value, inside, outside in _slices((members, nonmembers), classes, settings):
        for attack in attacks.ATTACKS:
            results.append(
                _attack(
                    attack,
                    feature,
                    value,
                    (scored[0][attack][inside], scored[1][attack][outside]),
                    (members.folds[inside], nonmembers.folds[outside]),
                    settings,
                )
            )
    task: Task = "binary" if members.outputs.shape[1] <= 2 else "multiclass"
    return AttackRun(task, from_logits, overlapping, results)


def _overlap(members: ScoredRecords, nonmembers: ScoredRecords) -> int:
    """Number of records on both sides; refused if it would drown the attack."""
    common = set(members.hashes.tolist()) & set(nonmembers.hashes.tolist())
    count = sum(1 for value in nonmembers.hashes.tolist() if value in common)
    smaller = min(len(members), len(nonmembers))
    if count > MAX_OVERLAP * smaller:
        raise EvidenceError(
            f"{count} records stand among members and non-members alike; at most {MAX_OVERLAP:.1%} of the smaller side "
            f"({smaller}) may. Attacks find nothing between equal records: split the data without duplicates."
        )
    return count


def _class_indices(side: ScoredRecords) -> np.ndarray | None:
    """Class of each record, or None if the labels name none."""
    labels, num_outputs = side.labels, side.outputs.shape[1]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        one_hot = (
            labels.shape[1] == num_outputs and np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all()
        )
        return labels.argmax(axis=1) if one_hot else None
    if labels.ndim != 1:
        return None
    num_classes = max(2, num_outputs)
    whole = np.isfinite(labels).all() and (labels == np.floor(labels)).all()
    if not whole or (len(labels) and not (labels.min() >= 0 and labels.max() < num_classes)):
        return None
    return labels.astype(np.int64)


def _slices(
    sides: tuple[ScoredRecords, ScoredRecords], classes: tuple[np.ndarray, np.ndarray], settings: Settings
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """The whole set, the classes, and the named features, with a mask for each side."""
    members, nonmembers = sides
    yield WHOLE_SET, "", np.ones(len(members), bool), np.ones(len(nonmembers), bool)
    by_class = tuple(np.array([str(value) for value in index], dtype=object) for index in classes)
    yield from _values_of(CLASS_FEATURE, by_class[0], by_class[1], settings.min_slice_size)
    for feature, values in members.slices.items():
        yield from _values_of(feature, values, nonmembers.slices[feature], settings.min_slice_size)


def _values_of(
    feature: str, members: np.ndarray, nonmembers: np.ndarray, min_size: int
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """One slice per frequent value; the others are pooled."""
    counts = [dict(zip(*np.unique(side, return_counts=True), strict=True)) for side in (members, nonmembers)]
    frequent = [
        value
        for value in sorted(set(counts[0]) | set(counts[1]))
        if min(counts[0].get(value, 0), counts[1].get(value, 0)) >= min_size and value != POOLED
    ]
    frequent = sorted(frequent, key=lambda value: (-counts[0][value], value))[:MAX_VALUES_PER_FEATURE]
    for value in sorted(frequent):
        yield feature, value, members == value, nonmembers == value
    rest = ~np.isin(members, frequent), ~np.isin(nonmembers, frequent)
    if rest[0].any() or rest[1].any():
        yield feature, POOLED, rest[0], rest[1]


def _attack(
    attack: str,
    feature: str,
    value: str,
    scored: tuple[np.ndarray, np.ndarray],
    folds: tuple[np.ndarray, np.ndarray],
    settings: Settings,
) -> AttackResult:
    inside, outside = scored
    smallest = settings.min_records if feature == WHOLE_SET else settings.min_slice_size
    if not min(len(inside), len(outside)) >= smallest:
        found = attack_statistics.minimum_detectable_auc(len(inside), len(outside))
        reason = (
            f"{len(inside)} members and {len(outside)} non-members, {smallest} of each are needed; an AUC below "
            f"{found:.2f} would go unnoticed"
        )
        return _row(attack, feature, value, len(inside), len(outside), "INSUFFICIENT", reason)
    together = np.concatenate(scored)
    if together.min() == together.max():
        return _row(attack, feature, value, len(inside), len(outside), "UNSUPPORTED", "the scores are constant")
    level = settings.confidence_level
    return AttackResult(
        attack=attack,
        slice_feature=feature,
        slice_value=value,
        num_members=len(inside),
        num_nonmembers=len(outside),
        status="OK",
        auc=attack_statistics.auc_interval(inside, outside, confidence_level=level),
        advantage=attack_statistics.advantage_interval(inside, outside, *folds, confidence_level=level),
        tpr_at_fpr=attack_statistics.tpr_interval(
            inside, outside, false_positive_rate=settings.false_positive_rate, confidence_level=level
        ),
    )


def _row(
    attack: str, feature: str, value: str, num_members: int, num_nonmembers: int, status: Status, reason: str
) -> AttackResult:
    return AttackResult(
        attack=attack,
        slice_feature=feature,
        slice_value=value,
        num_members=num_members,
        num_nonmembers=num_nonmembers,
        status=status,
        reason=reason,
    )
