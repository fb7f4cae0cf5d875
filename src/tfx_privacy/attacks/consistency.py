"""What cannot be true together in an evaluation's rows, whatever the model and the data.

Nothing here judges a leak. Each rule follows from how rows are made (`attacks.membership`): counts are of the same
records, an interval is not narrower than its numbers of records allow, slices are parts of the whole set, p-values
follow from AUC and counts, and a control that finds a difference confounds. A record that breaks one was changed, or put
together from others. Comparisons are written so that NaN breaks them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from scipy import special, stats

from tfx_privacy.attacks.result import (
    CLASS_FEATURE,
    CONTROL,
    CORRECTNESS_FEATURE,
    UNJUDGED,
    WHOLE_SET,
    AttackResult,
    Interval,
)

FEWEST_OTHERS = 20
"""Non-members that a slice needs: with fewer, the bound that shows a leak on a small slice is wrong too often."""
FEWEST_GROUPS = 30
"""Groups of each side that a variance is estimated from: with fewer it is too low too often (Cameron and Miller 2015,
"A practitioner's guide to cluster-robust inference", Section VI)."""
CONTROL_SIGNIFICANCE = 0.01
"""Probability that the control calls any slice confounded that is not."""
_LOSS = "loss"
_NO_SCORE = "no_score"
# Of records with a usable score of the only head.
_OF_USABLE = (_LOSS, "loss_within_class", "modified_entropy", "lowest_tokens", "label_only")
_LEARNED = ("logistic_regression", "gradient_boosting", CONTROL)
_OF_REFERENCES = ("difference", "rmia", "bavaria", "lira_online")
_OF_SAMPLE = (*_LEARNED, *_OF_REFERENCES, "class_normalised", "loss_weighted")
# Whose AUC is no count over all pairs of a member and another.
_WEIGHTED = "loss_weighted"
_STRATIFIED = (*_LEARNED, "loss_within_class", _WEIGHTED)
# The effective number of groups is estimated from buckets, and may be too high; by twice it is not.
_GROUPS_OVERESTIMATED = 2.0
# The folds of a classifier are correlated, at most fully, and not quite of one size.
_FOLDS = math.sqrt(2.0) * 1.25
# Of the half width of an interval at any usual level, which is at least one standard deviation.
_GROUPED = 1.5
_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Totals:
    """What an evaluation states besides its rows; names as in its record."""

    members: int
    others: int
    """Without those that equal a member."""
    unusable_members: int
    unusable_others: int
    overlapping: int
    max_overlap: float
    min_records: int
    min_slice_size: int
    sample_size: int
    confidence_level: float
    false_positive_rates: tuple[float, ...]
    heads: tuple[str, ...]
    is_supported: bool
    has_references: bool
    groups: tuple[int, int, int] | None = None
    """Of members, of others, and on both sides."""

    @property
    def sizes(self) -> tuple[int, int]:
        """All records of both sides."""
        return self.members, self.others

    @property
    def overlaps(self) -> bool:
        """Whether too many non-members were left out because they equal a member, for anything to be judged."""
        return not self.overlapping <= self.max_overlap * (self.others + self.overlapping)

    @property
    def usable(self) -> tuple[int, int]:
        """Those with a score."""
        return self.members - self.unusable_members, self.others - self.unusable_others


def contradictions(rows: Sequence[AttackResult], totals: Totals) -> list[str]:
    """All that cannot be true together, each as a phrase that names the row."""
    return [
        *_of_totals(totals),
        *_of_rows(rows, totals),
        *_of_attacks(rows, totals),
        *_of_statuses(rows),
        *_of_slices(rows, totals),
        *_of_tests(rows),
    ]


def of_curves(curves: Sequence[Curve], rows: Sequence[AttackResult]) -> list[str]:
    """What cannot be true of the pictures of attacks on the whole set."""
    whole = {row.attack: row.auc.estimate for row in rows if row.slice_feature == WHOLE_SET and row.auc is not None}
    found = []
    for curve in curves:
        rates = list(zip(curve.false_positive_rate, curve.true_positive_rate, strict=True))
        if curve.attack not in whole:
            found.append(f"the curve of {curve.attack} is of an attack without an AUC on all records")
        elif curve.attack not in _STRATIFIED and not all(
            whole[curve.attack] >= true * (1 - false) - _TOLERANCE for false, true in rates
        ):
            found.append(f"the curve of {curve.attack} does not go with its AUC of {whole[curve.attack]:.3g}")
    return found


class Curve(Protocol):
    """What a picture shows."""

    @property
    def attack(self) -> str:
        """Its name."""

    @property
    def false_positive_rate(self) -> list[float]:
        """Ascending."""

    @property
    def true_positive_rate(self) -> list[float]:
        """At each of them."""


def _of_totals(totals: Totals) -> Iterator[str]:
    if not min(totals.usable) >= 0:
        yield "more records are unusable than were read"
    if len(set(totals.heads)) != len(totals.heads):
        yield "two heads have one name"
    if totals.groups is not None:
        *sides, both = totals.groups
        if not (_within((sides[0], sides[1]), totals.sizes) and both <= min(sides)):
            yield f"{_show(totals.groups)} groups on either side and on both do not go with {_show(totals.sizes)} records"


def _of_rows(rows: Sequence[AttackResult], totals: Totals) -> Iterator[str]:
    """Each row by itself."""
    quantile = float(stats.norm.isf((1.0 - totals.confidence_level) / 2))
    for row in rows:
        problems = [
            *_of_counts(row, totals),
            *_of_groups(row, totals),
            *_of_kind(row, totals),
            *_of_numbers(row, totals, quantile),
            *_of_rates(row, totals),
        ]
        yield from (f"{row.attack} on {row.slice_name}: {problem}" for problem in problems)


def _of_counts(row: AttackResult, totals: Totals) -> Iterator[str]:
    sizes, name = _sizes(row), row.attack
    if not _within(sizes, totals.sizes):
        yield f"it compared {_show(sizes)} records, of {_show(totals.sizes)} that were read"
    if name in _OF_USABLE and row.status != "UNSUPPORTED" and not _within(sizes, totals.usable):
        yield f"it compared {_show(sizes)} records, of which {_show(totals.usable)} have a score"
    if name in _OF_SAMPLE and not max(sizes) <= totals.sample_size:
        yield f"it compared {_show(sizes)} records of a sample of {totals.sample_size}"
    if row.slice_feature == WHOLE_SET:
        expected = {_LOSS: totals.usable, _NO_SCORE: totals.sizes}.get(name)
        if expected is not None and row.status != "UNSUPPORTED" and sizes != expected:
            yield f"it compared {_show(sizes)} records, and not all {_show(expected)}"
    smallest = fewest(row.slice_feature, min_records=totals.min_records, min_slice_size=totals.min_slice_size)
    if row.status == "OK" and not _within(smallest, sizes):
        needed = f"{smallest[0]} of each" if smallest[0] == smallest[1] else _show(smallest)
        yield f"it was judged on {_show(sizes)} records, and {needed} are needed"
    # A classifier's folds, and classes, may each lack a side.
    is_excused = name in _STRATIFIED or row.slice_value == UNJUDGED or _has_few_groups(row)
    if row.status == "INSUFFICIENT" and not (is_excused or totals.overlaps) and _within(smallest, sizes):
        yield f"it is INSUFFICIENT, and {_show(sizes)} records are enough"


def fewest(slice_feature: str, *, min_records: int, min_slice_size: int) -> tuple[int, int]:
    """Members and non-members that a row needs to be judged: of the whole set, or of a slice."""
    if slice_feature == WHOLE_SET:
        return min_records, min_records
    return min_slice_size, min(min_slice_size, FEWEST_OTHERS)


def _of_groups(row: AttackResult, totals: Totals) -> Iterator[str]:
    """The groups of a row whose interval reckons with them."""
    if totals.groups is None or row.status != "OK" or row.attack == _WEIGHTED:
        return
    if row.num_member_groups is None or row.num_nonmember_groups is None:
        yield "it does not say how many groups its records are of"
        return
    found = row.independent_sizes
    if not min(found) >= FEWEST_GROUPS:
        yield f"it was judged on {_show(found)} groups, and {FEWEST_GROUPS} of each are needed"
    for of_row, of_side in zip(found, totals.groups[:2], strict=True):
        if not of_row <= _GROUPS_OVERESTIMATED * of_side:
            yield f"it compared records of {_show(found)} groups, of {_show(totals.groups[:2])}"
            return


def _has_few_groups(row: AttackResult) -> bool:
    return row.independent_sizes != _sizes(row) and min(row.independent_sizes) < FEWEST_GROUPS


def _of_kind(row: AttackResult, totals: Totals) -> Iterator[str]:
    """What the row says of itself."""
    head = re.fullmatch(r".+\[(.*)\]", row.attack, re.DOTALL)
    if head is not None and (len(totals.heads) < 2 or head[1] not in totals.heads):
        yield f"there is no head {head[1]!r}"
    if row.slice_feature == WHOLE_SET and row.slice_value:
        yield "the whole set has no value"
    if row.status == "OK" and not totals.is_supported:
        yield "it was judged, though the output of a head is unsupported"
    if row.auc is not None and totals.overlaps:
        yield f"it was judged, though {totals.overlapping} non-members are on both sides, besides {totals.others} others"
    if row.status == "OK" and row.attack in _OF_REFERENCES and not totals.has_references:
        yield "it was judged without reference models"


def _of_numbers(row: AttackResult, totals: Totals, quantile: float) -> Iterator[str]:
    if row.auc is None:
        if row.tpr_at_fpr or row.advantage is not None or row.adjusted_p_value is not None:
            yield "it has numbers, and no auc"
        return
    if not row.auc.low <= row.auc.estimate <= row.auc.high:
        yield "its estimate is outside its interval"
    width = smallest_width(row, quantile)
    if not row.auc.high - row.auc.low >= width * (1 - _TOLERANCE):
        yield f"an interval of width {row.auc.high - row.auc.low:.3g} is narrower than {_show(_sizes(row))} records allow"
    if row.advantage is not None:
        yield from _of_advantage(row, row.auc, row.advantage, quantile)


def _of_advantage(row: AttackResult, auc: Interval, advantage: Interval, quantile: float) -> Iterator[str]:
    # An attack that names a share of the members for certain has at least that AUC; so has its mirror image.
    if not (advantage.low <= auc.high + _TOLERANCE and advantage.high >= auc.low - 1.0 - _TOLERANCE):
        yield f"an advantage of {advantage.estimate:.3g} does not go with its AUC"
    # Of the mean over two folds, each of at most all records; an end at -1 or 1 was cut off there.
    least = 2.0 * quantile * math.sqrt(least_variance(*_sizes(row)) / 2.0)
    least /= 2.0 if advantage.low <= -1.0 or advantage.high >= 1.0 else 1.0
    if not advantage.high - advantage.low >= least * (1 - _TOLERANCE):
        yield f"its advantage is surer than {_show(_sizes(row))} records allow"


def _of_rates(row: AttackResult, totals: Totals) -> Iterator[str]:
    """True-positive rates against each other, the AUC and the number of members."""
    if row.auc is None:
        return
    rates = [entry.false_positive_rate for entry in row.tpr_at_fpr]
    if len(set(rates)) != len(rates) or not set(rates) <= set(totals.false_positive_rates):
        yield "a true-positive rate is there twice, or at a rate that was not asked for"
    ordered = [entry.tpr.estimate for entry in sorted(row.tpr_at_fpr, key=lambda entry: entry.false_positive_rate)]
    if ordered != sorted(ordered):
        yield "its true-positive rate falls where more false positives are allowed"
    if row.attack not in _STRATIFIED:
        for entry in row.tpr_at_fpr:
            if not row.auc.estimate >= entry.tpr.estimate * (1 - entry.false_positive_rate) - _TOLERANCE:
                yield f"a true-positive rate of {entry.tpr.estimate:.3g} does not go with its AUC"
    tail = (1.0 - totals.confidence_level) / 2
    for entry in row.tpr_at_fpr:
        # At least that of Clopper and Pearson (1934) for a threshold that is known.
        hits = entry.tpr.estimate * row.num_members
        upper = float(special.betaincinv(hits + 1, row.num_members - hits, 1 - tail)) if hits < row.num_members else 1.0
        if not entry.tpr.high >= upper - _TOLERANCE:
            yield f"a true-positive rate of at most {entry.tpr.high:.3g} is surer than {row.num_members} members allow"


def smallest_width(row: AttackResult, quantile: float) -> float:
    """The least that an interval of the AUC can span on so many records, whatever their scores.

    Even where scores hardly differ, n records do not show a share more precisely than about 1 / n: the variance is at least
    that of `statistics.least_variance`, on the logit scale or as a difference of two shares, whichever is narrower.

    Args:
      row: With an AUC.
      quantile: How many standard deviations the ends are away.
    """
    assert row.auc is not None
    estimate = row.auc.estimate
    spread = estimate * (1.0 - estimate)
    if not (spread > 0.0 and min(_sizes(row)) > 0):
        return 0.0
    half = quantile * math.sqrt(least_variance(*_sizes(row)) / spread)
    center = special.logit(estimate)
    width = min(float(special.expit(center + half) - special.expit(center - half)), 2.0 * half * spread)
    # An end at 0 or 1 was cut off there.
    return width / 2 if row.auc.low <= 0.0 or row.auc.high >= 1.0 else width


def least_variance(num_members: int, num_nonmembers: int) -> float:
    """Of an AUC, in units of AUC (1 - AUC): as if one more record of each side had been different (Agresti and Caffo 2000)."""
    return sum((size + 1) / (size + 2) ** 3 for size in (num_members, num_nonmembers))


def _of_attacks(rows: Sequence[AttackResult], totals: Totals) -> Iterator[str]:
    """Every attack on a slice was run on the whole set, and the loss of every head was attacked."""
    whole = {row.attack for row in rows if row.slice_feature == WHOLE_SET}
    for attack in dict.fromkeys(row.attack for row in rows if row.attack not in whole):
        yield f"{attack} has rows of slices, and none of all records"
    if len(totals.heads) > 1 and any(row.status == "OK" for row in rows):
        for head in totals.heads:
            if f"{_LOSS}[{head}]" not in whole:
                yield f"the loss of head {head!r} was not attacked"


def _of_statuses(rows: Sequence[AttackResult]) -> Iterator[str]:
    """The control's verdict on a slice against the status of the slice's other rows."""
    controls = {(row.slice_feature, row.slice_value): row.status for row in rows if row.attack == CONTROL}
    for row in rows:
        if row.attack == CONTROL:
            continue
        control = controls.get((row.slice_feature, row.slice_value))
        if row.status == "CONFOUNDED" and control != "CONFOUNDED":
            yield f"{row.attack} on {row.slice_name}: it is CONFOUNDED, and the control is {control or 'missing'} there"
        if row.status == "OK" and control == "CONFOUNDED":
            yield f"{row.attack} on {row.slice_name}: it is OK, and the control is CONFOUNDED there"


def _of_slices(rows: Sequence[AttackResult], totals: Totals) -> Iterator[str]:
    """Slices against the whole set of the same attack."""
    whole = {row.attack: row for row in rows if row.slice_feature == WHOLE_SET}
    parts: dict[tuple[str, str], list[AttackResult]] = {}
    for row in rows:
        if row.slice_feature != WHOLE_SET and row.attack in whole:
            parts.setdefault((row.attack, row.slice_feature), []).append(row)
            yield from _of_part(row, whole[row.attack])
    control = whole.get(CONTROL)
    for attack in _OF_SAMPLE:
        # A sample is bounded in bytes too; but the control sees all of it.
        if control is not None and attack in whole and not _within(_sizes(whole[attack]), _sizes(control)):
            yield f"{CONTROL} compared {_show(_sizes(control))} records of a sample, of which {attack} compared more"
    for (attack, feature), found in parts.items():
        if (
            attack == _LOSS
            and feature in (CLASS_FEATURE, CORRECTNESS_FEATURE)
            and whole[attack].status != "UNSUPPORTED"
        ):
            added = sum(row.num_members for row in found), sum(row.num_nonmembers for row in found)
            if added != _sizes(whole[attack]):
                yield f"{attack} by {feature}: slices of {_show(added)} records do not add up to {_show(_sizes(whole[attack]))}"


def _of_part(row: AttackResult, whole: AttackResult) -> Iterator[str]:
    if not _within(_sizes(row), _sizes(whole)):
        yield f"{row.attack} on {row.slice_name}: {_show(_sizes(row))} records are more than {_show(_sizes(whole))} in all"
    if row.auc is None or whole.auc is None or row.attack in _STRATIFIED or not min(_sizes(whole)) > 0:
        return
    # Pairs within a slice are pairs of the whole set.
    share = math.prod(_sizes(row)) / math.prod(_sizes(whole))
    within, all_pairs = row.auc.estimate, whole.auc.estimate
    if not (all_pairs >= share * within - _TOLERANCE and 1.0 - all_pairs >= share * (1.0 - within) - _TOLERANCE):
        yield (
            f"{row.attack} on {row.slice_name}: an AUC of {within:.3g} does not go with {all_pairs:.3g} on all records, of whose "
            f"pairs it has {share:.0%}"
        )


def _of_tests(rows: Sequence[AttackResult]) -> Iterator[str]:
    """p-values against AUCs, and the control against its own verdict."""
    for is_control in (False, True):
        family = [row for row in rows if (row.attack == CONTROL) is is_control and row.auc is not None]
        for row in family:
            if row.attack in ("loss_within_class", _WEIGHTED) or not min(_sizes(row)) > 0:
                continue
            largest = min(1.0, _num_tests(row, family, is_control=is_control) * _largest_p_value(row))
            name = f"{row.attack} on {row.slice_name}"
            if is_control and row.status == "OK" and not largest > CONTROL_SIGNIFICANCE:
                assert row.auc is not None
                yield f"{name}: it tells members from others with an AUC of {row.auc.estimate:.3g}, and its status is OK"
            if row.adjusted_p_value is not None and not row.adjusted_p_value <= largest + _TOLERANCE:
                yield f"{name}: p={row.adjusted_p_value:.3g} does not go with its AUC; it is at most {largest:.3g}"
            smallest = 0.0 if row.attack in _LEARNED else _smallest_p_value(row)
            if row.adjusted_p_value is not None and not row.adjusted_p_value >= smallest * (1 - _TOLERANCE):
                yield f"{name}: p={row.adjusted_p_value:.3g} does not go with its AUC; it is at least {smallest:.3g}"
            if (
                is_control
                and row.status == "OK"
                and row.adjusted_p_value is not None
                and not row.adjusted_p_value > CONTROL_SIGNIFICANCE
            ):
                yield f"{name}: p={row.adjusted_p_value:.3g}, and its status is OK"


def _num_tests(row: AttackResult, family: Sequence[AttackResult], *, is_control: bool) -> int:
    """What its p-value was multiplied by, at most: two controls look at the whole set and, for themselves, at all slices."""
    if not is_control:
        return len(family)
    return 4 * (1 if row.slice_feature == WHOLE_SET else sum(other.slice_feature != WHOLE_SET for other in family))


def _largest_p_value(row: AttackResult) -> float:
    """Of AUC = 1/2 by the test of Mann and Whitney (1947), before any correction: equal scores only make it smaller."""
    assert row.auc is not None
    deviation = math.sqrt((row.num_members + row.num_nonmembers + 1) / (12.0 * row.num_members * row.num_nonmembers))
    deviation *= _FOLDS if row.attack in _LEARNED else 1.0
    if row.independent_sizes != _sizes(row):
        # How alike the records of a group are is not known here: the row's own interval says how sure it is.
        half = max(row.auc.estimate - row.auc.low, row.auc.high - row.auc.estimate)
        deviation = max(deviation, _GROUPED * half)
    return float(special.erfc(abs(row.auc.estimate - 0.5) / deviation / math.sqrt(2.0)))


def _smallest_p_value(row: AttackResult) -> float:
    """Of the same test, however many scores are equal.

    If a share f of the records does not have the most frequent score, the AUC is at most f N / (2 min(n, m)) from one half, and
    the ranks' variance at least about f (1 - f)^2 N^2 / 4; with f above one half it is near that of different scores.
    """
    assert row.auc is not None
    excess, smaller, larger = abs(row.auc.estimate - 0.5), min(_sizes(row)), max(_sizes(row))
    square = max(8.0 * excess * larger, 14.0 * excess**2 * smaller * larger / (smaller + larger))
    return float(special.erfc(math.sqrt(square / 2.0)))


def _sizes(row: AttackResult) -> tuple[int, int]:
    return row.num_members, row.num_nonmembers


def _within(part: tuple[int, int], whole: tuple[int, int]) -> bool:
    return part[0] <= whole[0] and part[1] <= whole[1]


def _show(sizes: tuple[int, ...]) -> str:
    return " and ".join(map(str, sizes))
