"""From counts and a sample to rows: every attack on every slice, the control, and what many tests at once mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfx_privacy.attacks.consistency import CONTROL_SIGNIFICANCE
from tfx_privacy.attacks.evaluation import (
    CLASS_FEATURE,
    CONTROL,
    CORRECTNESS_FEATURE,
    POOLED,
    WHOLE_SET,
    AttackResult,
    Curve,
    Status,
)
from tfx_privacy.attacks.membership import (
    clusters,
    curves,
    learned,
    multiplicity,
    statistics,
    weighted,
)
from tfx_privacy.attacks.membership import counts as counting
from tfx_privacy.attacks.membership.coarseness import REMEDY
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.attacks.membership.tally import (
    MEMBERS,
    NO_SCORE,
    OTHERS,
    SliceColumn,
    SliceKey,
    Tally,
)
from tfx_privacy.errors import EvidenceError

LOSS = "loss"
LABEL_ONLY = "label_only"
WITHIN_CLASS = "loss_within_class"
WEIGHTED = "loss_weighted"
MAX_VALUES_PER_FEATURE = 50
_MIN_USABLE_SHARE = 0.5
# Constant scores of these mean that the model says nothing, or that something is broken; with others nothing was found.
_OF_OUTPUTS = (LOSS, "modified_entropy", "lowest_tokens")
_WHOLE: SliceKey = (WHOLE_SET, "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How the attacks are judged."""

    confidence_level: float = 0.95
    false_positive_rates: tuple[float, ...] = (0.01, 0.001)
    min_records: int = 300
    """Smallest side of the whole set that is judged."""
    min_slice_size: int = 100
    """Smallest side of a slice that is judged; rarer values are pooled."""
    sample_size: int = 20_000
    """Records per side for attacks that need a classifier or reference models."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledSide:
    """What is known of the sampled records of one side; arrays have num_records rows.

    Attributes:
      folds: 0 or 1.
      usable: Whether the model gave a finite score; the others are no part of any attack.
      features: Of the model's outputs and the label, for attackers that learn.
      blind: Of features and label, without the model: for the control.
      scores: Attacks whose score is known already, such as those with reference models; NaN where a record has none.
      loss: The attack "loss".
      classes: The label where it is one class, else None.
      slices: By feature.
      groups: Salted hash of each record's group, whose fold `folds` then is; None where every record stands for itself.
    """

    folds: np.ndarray
    usable: np.ndarray
    features: np.ndarray
    blind: np.ndarray
    scores: Mapping[str, np.ndarray]
    loss: np.ndarray
    classes: np.ndarray | None
    slices: Mapping[str, SliceColumn]
    groups: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class AttackRun:
    """The rows, and what pictures need."""

    results: list[AttackResult]
    curves: list[Curve]


@dataclasses.dataclass(frozen=True)
class _Scored:
    """One attack on one slice: all records' counts, and those of the strata that are compared within.

    `independent` says whether the strata's AUCs are; those of the folds of a classifier are not.
    """

    attack: str
    slice_key: SliceKey
    counts: Counts
    strata: tuple[Counts, ...]
    independent: bool = True


def run(
    tally: Tally, sides: tuple[SampledSide, SampledSide], settings: Settings, *, unsupported: str = ""
) -> AttackRun:
    """Judges every attack on the whole set, every class and every slice.

    Args:
      tally: Of all records; it holds the attack "loss".
      sides: The samples of members and of others.
      settings: How to judge.
      unsupported: Why the task cannot be attacked, if it cannot.

    Returns:
      A row for each attack and slice; those of attacks that learn are of the sample.

    Raises:
      EvidenceError: If a side is empty.
    """
    if not tally.records.min() > 0:
        raise EvidenceError(
            f"There are {tally.records[MEMBERS]} members and {tally.records[OTHERS]} non-members; both are needed."
        )
    unsupported = unsupported or _mostly_unusable(tally)
    if unsupported:
        return AttackRun([unsupported_row(LOSS, tally, unsupported)], [])
    slices = _Slices(tally, settings.min_slice_size)
    control = control_scores(sides)
    scored = [*_from_tally(tally, slices), *_from_sample(sides, slices, control)]
    rows = [_judge(item, settings) for item in scored]
    rows = _with_control(rows)
    if any(row.attack == CONTROL and row.slice_feature == WHOLE_SET and _is_shift(row) for row in rows):
        rows += _weighted(sides, control[OTHERS], settings)
    return AttackRun(
        _adjusted(rows, [index for index, row in enumerate(rows) if row.attack != CONTROL]),
        [curves.of_counts(item.attack, item.counts, settings.confidence_level) for item in _for_pictures(scored, rows)],
    )


def unsupported_row(attack: str, tally: Tally, reason: str) -> AttackResult:
    """The row of an attack on the whole set that could not be made; no gate passes it."""
    return _row(attack, _WHOLE, (int(tally.records[MEMBERS]), int(tally.records[OTHERS])), "UNSUPPORTED", reason)


def _mostly_unusable(tally: Tally) -> str:
    usable = 1.0 - tally.unusable / tally.records
    if usable.min() >= _MIN_USABLE_SHARE:
        return ""
    return (
        f"{tally.unusable.sum()} of {tally.records.sum()} records have a NaN or infinite output, or a label that is "
        "none of the task's. Set the heads' task and from_logits to what the model gives"
    )


class _Slices:
    """Which values of each feature are judged by themselves, and which are pooled."""

    def __init__(self, tally: Tally, min_size: int) -> None:
        self.frequent: dict[str, list[str]] = {}
        sizes: dict[str, dict[str, tuple[int, int]]] = {}
        for (attack, (feature, value)), found in tally.counts.items():
            if attack == LOSS and feature != WHOLE_SET:
                sizes.setdefault(feature, {})[value] = found.sizes
        for feature, of_value in sizes.items():
            large = [value for value, size in of_value.items() if min(size) >= min_size and value != POOLED]
            large = sorted(large, key=lambda value: (-of_value[value][MEMBERS], value))[:MAX_VALUES_PER_FEATURE]
            self.frequent[feature] = sorted(large)

    def key(self, feature: str, value: str) -> SliceKey:
        """The slice that a value belongs to."""
        if feature == WHOLE_SET or value in self.frequent.get(feature, ()):
            return feature, value
        return feature, POOLED


def _from_tally(tally: Tally, slices: _Slices) -> Iterator[_Scored]:
    grouped: dict[tuple[str, SliceKey], list[Counts]] = {}
    for (attack, (feature, value)), found in sorted(tally.counts.items()):
        if attack == NO_SCORE:
            if tally.unusable.any():
                yield _Scored(NO_SCORE, _WHOLE, found, (found,))
        elif not (attack == LABEL_ONLY and feature == CORRECTNESS_FEATURE):  # constant there by construction
            grouped.setdefault((attack, slices.key(feature, value)), []).append(found)
    for (attack, slice_key), parts in grouped.items():
        counts = counting.merged(parts)
        yield _Scored(attack, slice_key, counts, (counts,))
    by_class = tuple(
        found
        for (attack, (feature, _)), found in sorted(tally.counts.items())
        if attack == LOSS and feature == CLASS_FEATURE
    )
    if len(by_class) > 1:
        yield _Scored(WITHIN_CLASS, _WHOLE, tally.counts[LOSS, _WHOLE], by_class)


def _from_sample(
    sides: tuple[SampledSide, SampledSide], slices: _Slices, control: tuple[np.ndarray, np.ndarray]
) -> Iterator[_Scored]:
    members, others = sides
    folds = members.folds, others.folds
    attacks = {name: _learned(name, sides) for name in (learned.LOGISTIC, learned.BOOSTING)}
    if members.classes is not None and others.classes is not None:
        classes = members.classes, others.classes
        attacks["class_normalised"] = learned.class_normalised((members.loss, others.loss), classes, folds)
    attacks |= {name: (members.scores[name], others.scores[name]) for name in members.scores}
    attacks[CONTROL] = control
    # A classifier's scores are compared within the fold that it did not see.
    within_folds = (learned.LOGISTIC, learned.BOOSTING, CONTROL)
    masks = [_masks(side, slices) for side in sides]
    for name, scores in attacks.items():
        for slice_key in sorted(set(masks[MEMBERS]) | set(masks[OTHERS])):
            chosen = [
                found.get(slice_key, np.zeros(len(values), bool)) & ~np.isnan(values)
                for found, values in zip(masks, scores, strict=True)
            ]
            picked = [values[mask] for values, mask in zip(scores, chosen, strict=True)]
            in_folds = [fold[mask] for fold, mask in zip(folds, chosen, strict=True)]
            counts = counting.of_scores(picked[0], picked[1], in_folds[0], in_folds[1], buckets=_buckets(sides, chosen))
            fitted = name in within_folds
            strata = (counts.of_fold(0), counts.of_fold(1)) if fitted else (counts,)
            yield _Scored(name, slice_key, counts, strata, independent=not fitted)


def _learned(name: str, sides: tuple[SampledSide, SampledSide]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an attacker that learned from records with a score; NaN for the others."""
    usable = [side.usable for side in sides]
    found = learned.cross_fitted(
        name,
        *(side.features[mask] for side, mask in zip(sides, usable, strict=True)),
        *(side.folds[mask] for side, mask in zip(sides, usable, strict=True)),
    )
    scores = [np.full(len(mask), np.nan) for mask in usable]
    for values, mask, fitted in zip(scores, usable, found, strict=True):
        values[mask] = fitted
    return scores[MEMBERS], scores[OTHERS]


def control_scores(sides: tuple[SampledSide, SampledSide]) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of membership by features and label alone (Das et al. 2024, https://arxiv.org/abs/2406.16201)."""
    features = learned.compact(np.concatenate([side.blind for side in sides]))
    size = len(sides[MEMBERS].folds)
    return learned.cross_fitted(
        learned.BOOSTING, features[:size], features[size:], sides[MEMBERS].folds, sides[OTHERS].folds
    )


def _buckets(
    sides: tuple[SampledSide, SampledSide], chosen: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The buckets of the chosen records' groups; None where records stand for themselves."""
    members, others = (side.groups for side in sides)
    if members is None or others is None:
        return None
    return counting.buckets_of(members[chosen[MEMBERS]]), counting.buckets_of(others[chosen[OTHERS]])


def _masks(side: SampledSide, slices: _Slices) -> dict[SliceKey, np.ndarray]:
    """The sampled records of each slice."""
    masks = {_WHOLE: np.ones(len(side.folds), bool)}
    for feature, column in side.slices.items():
        rows = np.arange(len(side.folds)) if column.rows is None else column.rows
        for code, value in enumerate(column.values):
            mask = masks.setdefault(slices.key(feature, value), np.zeros(len(side.folds), bool))
            mask[rows[column.codes == code]] = True
    return masks


def _judge(item: _Scored, settings: Settings) -> AttackResult:
    n1, n0 = sizes = item.counts.sizes
    smallest = settings.min_records if item.slice_key == _WHOLE else settings.min_slice_size
    if not min(sizes) >= smallest:
        found = statistics.minimum_detectable_auc(n1, n0)
        reason = (
            f"{n1} members and {n0} non-members, {smallest} of each are needed; an AUC below {found:.2f} would go "
            "unnoticed"
        )
        return _row(item.attack, item.slice_key, sizes, "INSUFFICIENT", reason)
    if not clusters.has_enough_groups(item.counts):
        found_groups = [f"{clusters.num_groups(item.counts, side):.0f}" for side in (MEMBERS, OTHERS)]
        reason = (
            f"the {n1} members are of about {found_groups[MEMBERS]} groups, the {n0} non-members of about "
            f"{found_groups[OTHERS]}; {clusters.MIN_GROUPS} of each are needed for an interval"
        )
        return _row(item.attack, item.slice_key, sizes, "INSUFFICIENT", reason)
    if len(item.counts.values) == 1 and item.attack.split("[")[0] in _OF_OUTPUTS:
        return _row(item.attack, item.slice_key, sizes, "UNSUPPORTED", f"the scores are constant: {REMEDY}")
    level = settings.confidence_level
    if len(item.strata) == 1:
        auc = statistics.auc_interval(item.counts, confidence_level=level)
    else:
        stratified = statistics.stratified_auc_interval(
            item.strata, confidence_level=level, independent=item.independent
        )
        if stratified is None:
            return _row(item.attack, item.slice_key, sizes, "INSUFFICIENT", "no stratum has two records on each side")
        auc = stratified
    whole = item.attack != WITHIN_CLASS
    return AttackResult(
        attack=item.attack,
        slice_feature=item.slice_key[0],
        slice_value=item.slice_key[1],
        num_members=n1,
        num_nonmembers=n0,
        num_member_groups=_groups(item.counts, MEMBERS),
        num_nonmember_groups=_groups(item.counts, OTHERS),
        status="OK",
        auc=auc,
        advantage=statistics.advantage_interval(item.counts, confidence_level=level) if whole else None,
        tpr_at_fpr=statistics.tpr_intervals(item.counts, settings.false_positive_rates, confidence_level=level)
        if whole
        else [],
        adjusted_p_value=statistics.p_value(item.strata, independent=item.independent),
    )


def _groups(counts: Counts, side: int) -> int | None:
    return None if counts.cells is None else int(clusters.num_groups(counts, side))


def _with_control(rows: Sequence[AttackResult]) -> list[AttackResult]:
    """Marks what the control makes doubtful: there, members differ from non-members before a model is asked."""
    rows = _adjusted(rows, [index for index, row in enumerate(rows) if row.attack == CONTROL])
    shifted = {
        (row.slice_feature, row.slice_value): row
        for row in rows
        if row.attack == CONTROL and row.status == "OK" and not _p_value(row) > CONTROL_SIGNIFICANCE
    }
    return [
        _confounded(row, shifted[row.slice_feature, row.slice_value])
        if row.status == "OK" and (row.slice_feature, row.slice_value) in shifted
        else row
        for row in rows
    ]


def _confounded(row: AttackResult, control: AttackResult) -> AttackResult:
    assert control.auc is not None
    reason = (
        "without the model, features and label alone tell these members from the non-members, AUC "
        f"{control.auc.estimate:.3f} ({control.auc.low:.3f}-{control.auc.high:.3f}): the splits differ, and no attack "
        "can be judged"
    )
    return row.model_copy(update={"status": "CONFOUNDED", "reason": reason})


def _is_shift(row: AttackResult) -> bool:
    return row.status == "CONFOUNDED"


def _weighted(sides: tuple[SampledSide, SampledSide], odds: np.ndarray, settings: Settings) -> list[AttackResult]:
    """The loss against non-members weighted to look like members; it helps to understand a shift, and is not trusted."""
    members, others = sides
    usable = np.isfinite(members.loss), np.isfinite(others.loss) & np.isfinite(odds)
    sizes = int(usable[0].sum()), int(usable[1].sum())
    if not min(sizes) >= settings.min_records:
        return []
    auc = weighted.auc_interval(
        (members.loss[usable[0]], others.loss[usable[1]]),
        odds[usable[1]],
        _buckets(sides, usable),
        confidence_level=settings.confidence_level,
    )
    row = _row(
        WEIGHTED, _WHOLE, sizes, "CONFOUNDED", "the splits differ: non-members are weighted to look like members"
    )
    return [row.model_copy(update={"auc": auc})]


def _adjusted(rows: Sequence[AttackResult], family: Sequence[int]) -> list[AttackResult]:
    """The rows, with the p-values of those of a family adjusted for each other."""
    tested = [index for index in family if rows[index].adjusted_p_value is not None]
    adjusted = dict(zip(tested, multiplicity.holm([_p_value(rows[index]) for index in tested]), strict=True))
    return [
        row.model_copy(update={"adjusted_p_value": float(adjusted[index])}) if index in adjusted else row
        for index, row in enumerate(rows)
    ]


def _p_value(row: AttackResult) -> float:
    assert row.adjusted_p_value is not None
    return row.adjusted_p_value


def _for_pictures(scored: Sequence[_Scored], rows: Sequence[AttackResult]) -> list[_Scored]:
    judged = {row.attack for row in rows if row.slice_feature == WHOLE_SET and row.auc is not None}
    left_out = (CONTROL, WITHIN_CLASS, LABEL_ONLY, NO_SCORE)
    return [
        item for item in scored if item.slice_key == _WHOLE and item.attack in judged and item.attack not in left_out
    ]


def _row(attack: str, slice_key: SliceKey, sizes: tuple[int, int], status: Status, reason: str) -> AttackResult:
    return AttackResult(
        attack=attack,
        slice_feature=slice_key[0],
        slice_value=slice_key[1],
        num_members=sizes[0],
        num_nonmembers=sizes[1],
        status=status,
        reason=reason,
    )
