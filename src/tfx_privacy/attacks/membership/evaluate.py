"""From counts and a sample to rows: every attack on every slice, the control, and what many tests at once mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import sparse

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.evaluation import (
    CLASS_FEATURE,
    CONTROL,
    CORRECTNESS_FEATURE,
    POOLED,
    UNJUDGED,
    WHOLE_SET,
    AttackResult,
    Curve,
    Status,
)
from tfx_privacy.attacks.membership import (
    clusters,
    control,
    curves,
    learned,
    multiplicity,
    slice_values,
    statistics,
    weighted,
)
from tfx_privacy.attacks.membership import counts as counting
from tfx_privacy.attacks.membership.coarseness import REMEDY
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import (
    MEMBERS,
    NO_SCORE,
    OTHERS,
    SliceKey,
    Tally,
)
from tfx_privacy.errors import EvidenceError

LOSS = "loss"
LABEL_ONLY = "label_only"
WITHIN_CLASS = "loss_within_class"
WEIGHTED = "loss_weighted"
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
    """Members that a value needs to be judged by itself; rarer values are pooled."""
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
      values: All values of the features, for the control, sparse; None where `blind` has all of them.
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
    values: sparse.csr_matrix | None = None


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
    controls = control.control_scores(sides)
    scored = [*_from_tally(tally, slices), *_from_sample(sides, slices, controls)]
    judged = [_judge(item, settings) for item in scored]
    rows = _with_control(judged)
    if any(row.attack == CONTROL and row.slice_feature == WHOLE_SET and _is_shift(row) for row in rows):
        rows += _weighted(sides, controls[control.clearest(judged)][OTHERS], settings)
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
        self._alone: dict[str, set[str]] = {}
        self._left_out: dict[str, set[str]] = {}
        members: dict[str, dict[str, int]] = {}
        for (attack, (feature, value)), found in tally.counts.items():
            if attack == LOSS and feature != WHOLE_SET:
                members.setdefault(feature, {})[value] = found.sizes[MEMBERS]
        for feature, of_value in members.items():
            large = [value for value, size in of_value.items() if size >= min_size and value not in (POOLED, UNJUDGED)]
            large.sort(key=lambda value: (-of_value[value], value))
            self._alone[feature] = set(large[: slice_values.MAX_JUDGED])
            self._left_out[feature] = {UNJUDGED, *large[slice_values.MAX_JUDGED :]}

    def key(self, feature: str, value: str) -> SliceKey:
        """The slice that a value belongs to."""
        if feature == WHOLE_SET or value in self._alone.get(feature, ()):
            return feature, value
        return feature, UNJUDGED if value in self._left_out.get(feature, ()) else POOLED


def _from_tally(tally: Tally, slices: _Slices) -> Iterator[_Scored]:
    grouped: dict[tuple[str, SliceKey], list[Counts]] = {}
    for (attack, (feature, value)), found in sorted(tally.counts.items()):
        if attack == NO_SCORE:
            if tally.unusable.any():
                yield _Scored(NO_SCORE, _WHOLE, found, (found,))
        elif not (attack == LABEL_ONLY and feature == CORRECTNESS_FEATURE):  # constant there by construction
            grouped.setdefault((attack, slices.key(feature, value)), []).append(found)
    for (attack, slice_key), parts in grouped.items():
        if attack == LOSS or slice_key[1] != UNJUDGED:
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
    sides: tuple[SampledSide, SampledSide], slices: _Slices, controls: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Iterator[_Scored]:
    members, others = sides
    folds = members.folds, others.folds
    attacks = {name: _learned(name, sides) for name in (learned.LOGISTIC, learned.BOOSTING)}
    if members.classes is not None and others.classes is not None:
        classes = members.classes, others.classes
        attacks["class_normalised"] = learned.class_normalised((members.loss, others.loss), classes, folds)
    attacks |= {name: (members.scores[name], others.scores[name]) for name in members.scores}
    attacks |= controls
    # A classifier's scores are compared within the fold that it did not see.
    within_folds = (learned.LOGISTIC, learned.BOOSTING, *controls)
    places = [_places(side, slices) for side in sides]
    for name, scores in attacks.items():
        for slice_key in sorted(set(places[MEMBERS]) | set(places[OTHERS])):
            chosen = [found.get(slice_key, np.zeros(0, np.int64)) for found in places]
            chosen = [rows[~np.isnan(values[rows])] for rows, values in zip(chosen, scores, strict=True)]
            picked = [values[rows] for values, rows in zip(scores, chosen, strict=True)]
            in_folds = [fold[rows] for fold, rows in zip(folds, chosen, strict=True)]
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


def _buckets(
    sides: tuple[SampledSide, SampledSide], chosen: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The buckets of the chosen records' groups; None where records stand for themselves."""
    members, others = (side.groups for side in sides)
    if members is None or others is None:
        return None
    return counting.buckets_of(members[chosen[MEMBERS]]), counting.buckets_of(others[chosen[OTHERS]])


def _places(side: SampledSide, slices: _Slices) -> dict[SliceKey, np.ndarray]:
    """The sampled records of each slice that is judged, each record once."""
    found: dict[SliceKey, list[np.ndarray]] = {_WHOLE: [np.arange(len(side.folds))]}
    for feature, column in side.slices.items():
        rows = np.arange(len(side.folds)) if column.rows is None else column.rows
        order = np.argsort(column.codes, kind="stable")
        ends = np.cumsum(np.bincount(column.codes, minlength=len(column.values)))
        for value, part in zip(column.values, np.split(rows[order], ends)[:-1], strict=True):
            slice_key = slices.key(feature, value)
            if len(part) and slice_key[1] != UNJUDGED:
                found.setdefault(slice_key, []).append(part)
    return {slice_key: np.unique(np.concatenate(parts)) for slice_key, parts in found.items()}


def _too_few(slice_key: SliceKey, sizes: tuple[int, int], settings: Settings) -> str:
    """Why a slice is not judged; empty if it is."""
    if slice_key[1] == UNJUDGED:
        return (
            f"more than {slice_values.MAX_JUDGED} values have {settings.min_slice_size} members or more, and those "
            f"with most members are judged. Slice by a feature with fewer values, or raise min_slice_size, which pools "
            "the rarer ones"
        )
    smallest = consistency.fewest(
        slice_key[0], min_records=settings.min_records, min_slice_size=settings.min_slice_size
    )
    if sizes[MEMBERS] >= smallest[MEMBERS] and sizes[OTHERS] >= smallest[OTHERS]:
        return ""
    found = statistics.minimum_detectable_auc(*sizes)
    return (
        f"{sizes[MEMBERS]} members and {sizes[OTHERS]} non-members, {smallest[MEMBERS]} and {smallest[OTHERS]} are "
        f"needed; an AUC below {found:.2f} would go unnoticed"
    )


def _judge(item: _Scored, settings: Settings) -> AttackResult:
    n1, n0 = sizes = item.counts.sizes
    reason = _too_few(item.slice_key, sizes, settings)
    if reason:
        return _row(item.attack, item.slice_key, sizes, "INSUFFICIENT", reason)
    if not clusters.has_enough_groups(item.counts):
        found_groups = [f"{clusters.num_groups(item.counts, side):.0f}" for side in (MEMBERS, OTHERS)]
        reason = (
            f"the {n1} members are of about {found_groups[MEMBERS]} groups, the {n0} non-members of about "
            f"{found_groups[OTHERS]}; {clusters.MIN_GROUPS} of each are needed for an interval"
        )
        counted = {
            "num_member_groups": _groups(item.counts, MEMBERS),
            "num_nonmember_groups": _groups(item.counts, OTHERS),
        }
        return _row(item.attack, item.slice_key, sizes, "INSUFFICIENT", reason).model_copy(update=counted)
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
    """One row of the control for each slice; what it makes doubtful is marked."""
    rows = control.merged(rows)
    families = control.families(rows)
    for family in families:
        rows = _adjusted(rows, family, times=len(families))
    return control.confounded(rows)


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


def _adjusted(rows: Sequence[AttackResult], family: Sequence[int], *, times: int = 1) -> list[AttackResult]:
    """The rows, with the p-values of those of a family adjusted for each other, and for the number of families."""
    tested = [index for index in family if rows[index].adjusted_p_value is not None]
    adjusted = dict(zip(tested, multiplicity.holm([control.p_value_of(rows[index]) for index in tested]), strict=True))
    return [
        row.model_copy(update={"adjusted_p_value": min(1.0, times * float(adjusted[index]))})
        if index in adjusted
        else row
        for index, row in enumerate(rows)
    ]


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
