"""Rules of the gate on the evaluation: what attacks found, on whom they were tried, and whether enough of them were.

Attacks are judged by the upper confidence bound of the worst slice. The largest of the per-slice 95 % upper bounds is
itself a 95 % upper bound on the largest true AUC (the slice with the largest true AUC exceeds its own bound in at most
5 % of cases), so the rule needs no correction for the number of slices to be safe. Refusals are what many slices make
more frequent: on a slice so small that a harmless model would exceed the limit by chance, a bound above it is no
refusal, unless the lower bound, corrected for the number of rows, is above it as well. Such slices of a feature must
keep the limit together, by their mean and by their mean square: of the loss for nearly all members (the rule on coverage),
of every attack unless chance alone explains that they do not.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from tfx_privacy.attacks.evaluation import (
    CLASS_FEATURE,
    CONTROL,
    CORRECTNESS_FEATURE,
    MAX_OVERLAP,
    POOLED,
    UNJUDGED,
    WHOLE_SET,
    AttackResult,
    PrivacyEvaluation,
)
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import attack_limit, shift
from tfx_privacy.gate.attack_limit import Standing
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.false_refusals import Design
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.rules import groups
from tfx_privacy.gate.slice_limits import SliceLimits

LOSS = "loss"
REQUIRED_ATTACKS = (LOSS, CONTROL)
"""What must have been run on the whole set: the attack that every task has, and the control for splits that differ."""
MIN_CONFIDENCE_LEVEL = 0.95
MAX_SLICE_SIZE_POOLED = 1000
"""Slices of more members must not be pooled, nor go without a judgement: what leaks in one of them would not be seen."""
MIN_CONTROL, MIN_CONTROL_OF_MANY = 300, 1000
"""Records a side that the control must have compared: with fewer it calls splits alike that differ. 300 see a shift of 0.6
standard deviations; who has more records can have it compare 1,000."""
MAX_SHOWN = 3
_TASKS_WITH_CLASSES = ("binary", "multiclass")

_Rows = Mapping[tuple[str, str], list[AttackResult]]
"""By attack and feature."""


def check_attack_auc(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The upper bound of every judged attack on every slice keeps the slice's limit, and so do small slices together."""
    record = evidence.known_evaluation
    judged = attack_limit.attacked(record)
    if not judged:
        differing = shift.confounded(record, (CONTROL, LOSS))
        if differing:
            raise EvidenceError(f"No attack could be judged on any slice. {shift.explained(differing)}")
        reasons = [row.reason for row in record.rows(attack=LOSS, feature=WHOLE_SET) if row.reason]
        why = f"{reasons[0]}." if reasons else "Give PrivacyEvaluator more records."
        raise EvidenceError(f"No attack could be judged on any slice. {why}")
    limits = SliceLimits(record, policy)
    by_standing: dict[Standing, list[AttackResult]] = {kind: [] for kind in Standing}
    for row in judged:
        by_standing[limits.standing(row)].append(row)
    refusing, inconclusive = by_standing[Standing.ABOVE], by_standing[Standing.INCONCLUSIVE]
    together = limits.jointly_above(record.rows_by_feature())
    strongest = limits.strongest()
    assert strongest is not None
    value = f"{_show_auc(strongest)}, {strongest.slice_name}"
    if not refusing and not together:
        return Finding(
            True, value, f"{_passed(record, limits, strongest, len(inconclusive))} {_against_chance(record)}"
        )
    return Finding(
        False,
        value,
        f"{_refused(record, limits, strongest, refusing, together)} {_against_chance(record)}",
        # A bound that is no number shows nothing that somebody could answer for.
        excusable=all(attack_limit.is_known(row) and row.attack_auc_upper > limits.limit(row) for row in refusing)
        and all(attack_limit.is_known(row) for rows in together for row in rows),
    )


def _against_chance(record: PrivacyEvaluation) -> str:
    """Whether any attack beats guessing after the correction for all of them, which a limit above one half does not say."""
    tested, beating = attack_limit.against_chance(record)
    if not tested:
        return "The evaluation does not say whether any attack beats chance."
    corrected = f"after correction for all of them (Holm, {attack_limit.SIGNIFICANCE:.0%})"
    if not beating:
        return f"None of {tested} attacks on slices beats chance {corrected}."
    beat = "beats" if len(beating) == 1 else "beat"
    return (
        f"{len(beating)} of {tested} attacks on slices {beat} chance {corrected}, most clearly {beating[0].attack} on "
        f"{beating[0].slice_name}: the model does leak, if no more than this."
    )


def _passed(record: PrivacyEvaluation, limits: SliceLimits, strongest: AttackResult, num_inconclusive: int) -> str:
    text = f"The strongest attack, {_show_row(record, strongest)}, is within {_limit(limits, strongest)}."
    if limits.standing(strongest) is Standing.INCONCLUSIVE:
        text = (
            f"The strongest attack, {_show_row(record, strongest)}, is on too few records to tell at "
            f"{_limit(limits, strongest)}: it was judged together with other small slices."
        )
    if num_inconclusive:
        text += f" {num_inconclusive} rows are of slices too small to tell by themselves."
    return text


def _refused(
    record: PrivacyEvaluation,
    limits: SliceLimits,
    strongest: AttackResult,
    refusing: list[AttackResult],
    together: list[list[AttackResult]],
) -> str:
    text = _refused_rows(record, limits, strongest, refusing) if refusing else ""
    text += "".join(f" {_refused_together(limits, rows)}" for rows in together[:MAX_SHOWN])
    if len(together) > MAX_SHOWN:
        text += f" So do those of {len(together) - MAX_SHOWN} more attacks and features."
    if not refusing:
        text += f" The strongest attack, {_show_row(record, strongest)}, keeps its limit."
    text = text.strip()
    if shift.is_everywhere(record):
        return f"{text} {shift.explained(shift.confounded(record, (CONTROL,)))}"
    remedy = "Train with more noise or less over-fitting."
    if not refusing:
        return f"{text} {remedy} Or, if the intervals are wide, give PrivacyEvaluator more records of these slices."
    return f"{text} {remedy} {_records_needed(record, limits, strongest)}".rstrip()


def _refused_rows(
    record: PrivacyEvaluation, limits: SliceLimits, strongest: AttackResult, refusing: list[AttackResult]
) -> str:
    text = (
        f"The attack {_show_row(record, strongest)}: the upper bound {attack_limit.upper_bound(strongest):.4f} is above "
        f"{_limit(limits, strongest)}."
    )
    slices = sorted({row.slice_name for row in refusing})
    return text + (f" Slices above their limit: {', '.join(slices)}." if len(slices) > 1 else "")


def _refused_together(limits: SliceLimits, rows: list[AttackResult]) -> str:
    """Of slices that are too small by themselves."""
    mean, root = limits.attack_limit(rows[0]).together(rows)
    return (
        f"{rows[0].attack} on {len(rows)} small slices of {rows[0].slice_feature} together has a mean attack_auc={mean:.3f}, at "
        f"a distance from one half of {root:.3f} (root mean square): they do not keep {_limit(limits, rows[0])}, and chance "
        "does not explain it."
    )


def _records_needed(record: PrivacyEvaluation, limits: SliceLimits, worst: AttackResult) -> str:
    """What more records would change, if anything: how many are enough for a model that leaks nothing to pass."""
    if worst.slice_feature != WHOLE_SET:
        return "Or, if the interval is wide, give PrivacyEvaluator more records of the slice."
    design = Design.of(record)
    return "" if design is None else design.advice(limits.limit(worst))


def check_coverage(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The attacks that always must be were judged on the whole set, by class, and by each sliced feature for enough members."""
    record = evidence.known_evaluation
    limits, rows = SliceLimits(record, policy), record.rows_by_feature()
    problems, smallest, too_few = [], 1.0, ""
    if not record.confidence_level >= MIN_CONFIDENCE_LEVEL:
        problems.append(f"intervals are at {record.confidence_level:g} confidence, below {MIN_CONFIDENCE_LEVEL:g}")
    if not record.min_slice_size <= MAX_SLICE_SIZE_POOLED:
        problems.append(
            f"slices of fewer than min_slice_size={record.min_slice_size} records were pooled; at most "
            f"{MAX_SLICE_SIZE_POOLED} may be"
        )
    if record.task in _TASKS_WITH_CLASSES and CLASS_FEATURE not in record.slice_features:
        problems.append("the attacks were not run by class")
    problems += filter(None, (_not_judged(rows, attack) for attack in REQUIRED_ATTACKS))
    for feature in (WHOLE_SET, *record.slice_features):
        share = _coverage(record, rows[LOSS, feature], limits)
        smallest = min(smallest, share)
        if not share >= policy.min_slice_coverage:
            problems.append(f"{LOSS} could judge only {share:.1%} of the members by {feature}")
            design = Design.of(record)
            too_few = "" if design is None else design.advice(policy.max_attack_auc)
    problems += _values_left_out(record)
    problems += _control_without_power(record)
    problems += [
        f"{row.attack} on {row.slice_name} is {row.status}: {row.reason}"
        for row in record.results
        if row.status == "UNSUPPORTED"
    ]
    problems += groups.unreckoned(record)
    problems += [f"slice_limits name {name}, which {LOSS} could not judge by itself" for name in limits.unjudged()]
    differing = shift.confounded(record, REQUIRED_ATTACKS)
    if problems or differing:
        reasons = [shift.explained(differing)] if differing else []
        reasons += [f"The evidence is partial: {'; '.join(dict.fromkeys(problems))}."] if problems else []
        reasons += [too_few] if too_few and not differing else []
        return Finding(False, f"{smallest:.1%}", " ".join(reasons))
    return Finding(
        True, f"{smallest:.1%}", f"Every sliced feature is judged for at least {smallest:.1%} of the members."
    )


def check_required_attacks(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """What the policy demands, besides the attacks that always must be there, was judged on the whole set."""
    record = evidence.known_evaluation
    rows = record.rows_by_feature()
    missing = list(filter(None, (_not_judged(rows, attack) for attack in policy.required_attacks)))
    remedy = "Run these attacks in PrivacyEvaluator, on enough records."
    if shift.is_everywhere(record):
        remedy = f"The splits differ: a shift, which is no leak. {shift.REMEDY}"
    return _demanded(policy.required_attacks, missing, remedy)


def check_required_slices(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The features that the policy demands were sliced by."""
    sliced = set(evidence.known_evaluation.slice_features)
    missing = [f"the attacks were not run by {feature}" for feature in policy.required_slices if feature not in sliced]
    return _demanded(policy.required_slices, missing, "Name them in PrivacyEvaluator's slice_features.")


def check_required_tasks(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The model's outputs have the tasks that the policy names, and no other."""
    found = {head.task for head in evidence.known_evaluation.heads}
    if not policy.required_tasks:
        return Finding(True, ", ".join(sorted(found)), "The policy demands no task.")
    wanted = set(policy.required_tasks)
    if found == wanted:
        return Finding(True, ", ".join(sorted(found)), "The outputs were attacked as the tasks that the policy names.")
    return Finding(
        False,
        ", ".join(sorted(found)),
        f"The outputs were attacked as {', '.join(sorted(found))}, but the policy's required_tasks are "
        f"{', '.join(sorted(wanted))}. Wire PrivacyEvaluator's heads to the outputs that the model is for.",
    )


def check_splits(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The attack's members are the records that the model was trained on, and its non-members are others."""
    trained, record = evidence.known_guarantee, evidence.known_evaluation
    members, others = set(record.member_splits), set(record.nonmember_splits)
    value = f"members {sorted(members)}, others {sorted(others)}"
    if members != set(trained.train_splits):
        return Finding(
            False,
            value,
            f"The attack took {sorted(members)} for members, but the model was trained on "
            f"{sorted(trained.train_splits)}. Set PrivacyEvaluator's member_splits.",
        )
    if members & others:
        return Finding(False, value, f"Split {min(members & others)!r} is on both sides of the attack.")
    read = record.num_nonmembers + record.num_overlapping
    if not record.num_overlapping <= MAX_OVERLAP * read:
        return Finding(
            False,
            f"{record.num_overlapping} on both sides",
            f"{record.num_overlapping} of {read} non-members equal a member and were left out, more than {MAX_OVERLAP:.0%}: "
            "the others may be unlike them. Drop duplicates before the data are split, and train again; or give "
            "PrivacyEvaluator nonmember_splits of records that were not trained on.",
        )
    size, of_users = trained.population, groups.problem_of_users(trained, record)
    if of_users:
        return Finding(False, value, of_users)
    if trained.privacy_unit == "user":
        if not record.num_members >= size.records:
            return Finding(
                False,
                f"{record.num_members} members",
                f"The attack scored {record.num_members} members, but the model was trained on {size.records} users. "
                "Give PrivacyEvaluator the examples that the trainer read.",
            )
    elif size.source == "counted" and record.num_members != size.records:
        return Finding(
            False,
            f"{record.num_members} members",
            f"The attack scored {record.num_members} members, but the model was trained on {size.records} records. "
            "Give PrivacyEvaluator the examples that the trainer read; where input_fn drops records, drop them before "
            "either reads.",
        )
    left_out = f" {record.num_overlapping} of {read} non-members equal a member and were left out." * (
        record.num_overlapping > 0
    )
    return Finding(True, value, f"The attack's members are the splits that the model was trained on.{left_out}")


def _not_judged(rows: _Rows, attack: str) -> str:
    """Why an attack gave no result on the whole set; empty if it did."""
    whole = rows[attack, WHOLE_SET]
    if len(whole) == 1 and whole[0].status == "OK":
        return ""
    reason = f"{whole[0].status}, {whole[0].reason}" if whole else "the attack was not run"
    return f"{attack} on all records gave no result: {reason}"


def _control_without_power(record: PrivacyEvaluation) -> list[str]:
    """Why the control would not have seen a shift that hides a leak; its own interval does not say so."""
    # Records so large that a sample of them is cut by its bytes are no reason: the sample's size is what can be set.
    too_small = not record.sample_size >= min(MIN_CONTROL_OF_MANY, max(record.num_members, record.num_nonmembers))
    return [
        f"the control compared {row.num_members} members and {row.num_nonmembers} non-members of samples of at most "
        f"{record.sample_size}, and {MIN_CONTROL} of each (of samples of {MIN_CONTROL_OF_MANY}, where there are as many) are "
        "needed to see a shift: raise PrivacyEvaluator's sample_size, or give it more records"
        for row in record.rows(attack=CONTROL, feature=WHOLE_SET)
        if row.status == "OK" and (too_small or not min(row.num_members, row.num_nonmembers) >= MIN_CONTROL)
    ]


def _values_left_out(record: PrivacyEvaluation) -> list[str]:
    """Values with many members that the loss was not judged on, whatever their share: no pool says anything of them."""
    return [
        f"{row.attack} on {row.slice_name}, {row.num_members} members, is {row.status}: {row.reason}"
        for row in record.results
        if row.attack == LOSS
        and row.status == "INSUFFICIENT"
        and row.slice_feature not in (WHOLE_SET, CORRECTNESS_FEATURE)
        and (row.slice_value == UNJUDGED or (row.slice_value != POOLED and row.num_members > MAX_SLICE_SIZE_POOLED))
    ]


def _demanded(names: list[str], missing: list[str], remedy: str) -> Finding:
    if not names:
        return Finding(True, "not demanded", "The policy demands none.")
    if missing:
        return Finding(
            False, f"{len(missing)} missing", f"What the policy demands is missing: {'; '.join(missing)}. {remedy}"
        )
    return Finding(True, ", ".join(names), f"What the policy demands was done: {', '.join(names)}.")


def _coverage(record: PrivacyEvaluation, rows: list[AttackResult], limits: SliceLimits) -> float:
    """Share of the members in slices of a feature that the loss was judged on, small ones together.

    A record with several values is in several slices: the share then is of all that are in any, or judged slices that
    hold records several times would make up for others that were not judged.
    """
    total = max(record.num_members, sum(row.num_members for row in rows))
    found = [row for row in rows if row.status == "OK"]
    if not (total > 0 and found):
        return 0.0
    small = limits.small(found)
    judged = sum(row.num_members for row in found) - sum(row.num_members for row in small)
    if small and limits.attack_limit(small[0]).jointly_within(small):
        judged += sum(row.num_members for row in small)
    return judged / total


def _limit(limits: SliceLimits, row: AttackResult) -> str:
    own = limits.limit(row)
    return f"max_attack_auc={own:g}" + (" of its slice_limits" if limits.has_own(row) else "")


def _show_row(record: PrivacyEvaluation, row: AttackResult) -> str:
    return (
        f"{row.attack} on {row.slice_name} has attack_auc={_show_auc(row)}, {record.confidence_level:.0%} confidence, "
        f"{row.num_members} members and {row.num_nonmembers} others"
    )


def _show_auc(row: AttackResult) -> str:
    assert row.auc is not None
    return f"{row.auc.estimate:.3f} ({row.auc.low:.3f}-{row.auc.high:.3f})"
