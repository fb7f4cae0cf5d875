"""Rule of the gate that the attack is on the records that the model was trained on, shown and not declared.

The trainer's file next to the model (`attacks.trained_records`) samples what it read. Members that were not trained on
dilute an attack: with a share s of them trained on, an AUC of A shows as 1/2 + s (A - 1/2). Trained records that are no
members were not attacked. So both shares are bounded from below, exactly where the sketch is of every record, else by
Clopper and Pearson (1934). Non-members that were trained on dilute it as well. Those that equal a member were left out,
which `attack_splits` limits, and a sketch of every record shows that they were trained on. After both shares hardly any
others can be; the limit here is on what the sample of all non-members that were read proves, because the model may see two
different records as one. Where it takes coarse features it sees many as one, on both sides: a record that nobody read is
like a trained one as often as a trained record is like another one. At most twice the share that is left out when each is
counted once are like another one, so the limit is higher by that.

How many different records there were tells how large a sample of each side had to be. A sketch of fewer is of them all; a
share of the non-members is bounded by their sample, and by the sample that they should have given.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator

import pydantic
from scipy import stats

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.trained_records import SideFound, TrainedRecordsFound
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.record import PrivacyGuarantee

MIN_SHARE = 0.99
"""Of the members that were trained on; of the trained records that are members; of the read records that were used."""
MAX_NONMEMBER_SHARE = 0.1
MAX_DECLARED_ERROR = 0.1
"""By how much a declared population may differ from what was read, as a share of it."""
CONFIDENCE = 0.95


def check_trained_records(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Members were trained on, and what was trained on are members, whoever counted or declared the population."""
    trained, record = evidence.known_guarantee, evidence.known_evaluation
    found = record.trained_records
    if trained.trained_records_digest is None:
        return Finding(
            False,
            "not stated",
            "The guarantee does not say which records the model was trained on, so nobody can show that these were "
            "attacked. Train with this version of DPTrainer.",
        )
    if found is None:
        return Finding(
            False,
            "not checked",
            "The evaluation does not say whether its members were trained on: it found no trained_records.json next to "
            "the model. Give PrivacyEvaluator the model artifact of DPTrainer as it is, and evaluate again.",
        )
    if found.digest != trained.trained_records_digest:
        return Finding(
            False,
            "of another training",
            "The trained_records.json that the evaluation used is not the one of the guarantee: it was changed, or is of "
            "another training. Wire model, privacy_guarantee and privacy_evaluation from the same run.",
        )
    _check_consistent(found)
    members = found.members
    value = f"{members.num_trained_on} of {members.num_sampled} sampled members"
    problems = [*_of_numbers(trained, record, found), *_of_shares(found)]
    if problems:
        return Finding(False, value, " ".join(problems))
    return Finding(True, value, _passed(found))


def _passed(found: TrainedRecordsFound) -> str:
    members, others = found.members, found.nonmembers
    text = (
        f"{members.num_trained_on} of {members.num_sampled} sampled members were trained on, of {members.num_records} in "
        f"all; {found.num_seen} of the {found.sketch_size} sampled records that were trained on are members; and "
        f"{others.num_trained_on} of {others.num_sampled} sampled non-members were trained on."
    )
    if found.reader == "input_fn":
        text += " The module's input_fn read them, and may have read others than the files that it was given."
    return text


def _check_consistent(found: TrainedRecordsFound) -> None:
    """The record's own rules once more: they hold for what was read from a file, not for every object."""
    try:
        TrainedRecordsFound.model_validate(found.model_dump())
    except pydantic.ValidationError as error:
        raise EvidenceError(f"The evaluation's trained_records contradict themselves: {error}.") from error


def _of_numbers(trained: PrivacyGuarantee, record: PrivacyEvaluation, found: TrainedRecordsFound) -> Iterator[str]:
    """What the numbers of records contradict."""
    attacked = (record.num_members, record.num_nonmembers + record.num_overlapping)
    if (found.members.num_records, found.nonmembers.num_records) != attacked:
        yield (
            f"The attack read {attacked[0]} members and {attacked[1]} others, but {found.members.num_records} and "
            f"{found.nonmembers.num_records} were held against the records trained on. Evaluate again."
        )
    if record.num_members != found.num_read:
        yield (
            f"The attack scored {record.num_members} members, but the trainer read {found.num_read} records. Give "
            "PrivacyEvaluator the examples that the trainer read."
        )
    if not found.num_used >= MIN_SHARE * found.num_read:
        yield (
            f"Training used {found.num_used} of the {found.num_read} records that the trainer read, less than "
            f"{MIN_SHARE:.0%}: the others are members by name only. Drop them before the trainer and PrivacyEvaluator "
            "read them, not in input_fn; or raise max_records_per_user."
        )
    # Of fewer records than the minimum nothing is judged, whether or not they repeat.
    if found.num_read >= record.min_records and not found.num_distinct >= record.min_records:
        yield (
            f"Only {found.num_distinct} of the {found.num_read} records that the trainer read are different, fewer than "
            f"the min_records={record.min_records} that an attack needs: intervals take the others for independent of "
            "them. Train on different records."
        )
    # The key of one may lie at an edge of two roundings.
    if found.is_complete and not found.nonmembers.num_trained_on >= MIN_SHARE * record.num_overlapping - 1:
        yield (
            f"{record.num_overlapping} non-members were left out because they equal a member, but only "
            f"{found.nonmembers.num_trained_on} non-members were trained on: the others would have to be attacked. Evaluate "
            "again."
        )
    yield from _of_population(trained, found.num_units)


def _of_population(trained: PrivacyGuarantee, num_units: int) -> Iterator[str]:
    size = trained.population
    units = "records" if trained.privacy_unit == "example" else "users"
    error = MAX_DECLARED_ERROR if size.source == "declared" else 0.0
    if not abs(num_units - size.records) <= error * size.records:
        rule = f", and may differ by {error:.0%}" if error else ""
        yield (
            f"The model was trained on {num_units} {units}, but the guarantee's population is {size.records}, "
            f"{size.source}{rule}. State the population that is trained on."
        )
    if not trained.target_delta < 1.0 / num_units:
        yield (
            f"delta={trained.target_delta:g} is not below 1 / {num_units}, the number of {units} trained on. State "
            "epsilon at a smaller target_delta."
        )


def _of_shares(found: TrainedRecordsFound) -> Iterator[str]:
    """Which shares break their limits."""
    members, others = found.members, found.nonmembers
    exact = "" if found.is_complete else f", with {CONFIDENCE:.0%} confidence"
    share = _at_least(members.num_trained_on, members.num_sampled, found)
    if not share >= MIN_SHARE:
        yield (
            f"Only {members.num_trained_on} of {members.num_sampled} sampled members were trained on, which is at least "
            f"{share:.1%}{exact}; at least {MIN_SHARE:.0%} must be. Give PrivacyEvaluator the examples that the trainer "
            "read."
        )
    share = _at_least(found.num_seen, found.sketch_size, found)
    if not share >= MIN_SHARE:
        yield (
            f"Only {found.num_seen} of {found.sketch_size} sampled records that were trained on are members, which is "
            f"at least {share:.1%}{exact}; at least {MIN_SHARE:.0%} must be. Give PrivacyEvaluator all examples that the "
            "trainer read."
        )
    share, limit = _nonmember_share(others, found), _max_nonmember_share(found)
    if not share <= limit:
        yield (
            f"{others.num_trained_on} of {others.num_sampled} sampled non-members were trained on, or are to the model "
            f"like records that were: at least {share:.1%}{exact}, where at most {limit:.1%} may be. Give "
            "PrivacyEvaluator records that the trainer did not read."
        )


def _max_nonmember_share(found: TrainedRecordsFound) -> float:
    """The limit, higher by what records that the model sees as one explain."""
    return MAX_NONMEMBER_SHARE + 2.0 * (1.0 - found.num_distinct / found.num_read)


def _nonmember_share(others: SideFound, found: TrainedRecordsFound) -> float:
    # The sample of a small side may be empty, which shows nothing either way.
    sampled = others.num_sampled
    if found.is_complete or not sampled:
        return _at_least(others.num_trained_on, sampled, found)
    # More than were due are repeated ones, or made up: they must not thin out what was found.
    due = math.ceil(others.num_records * found.sketch_size / found.num_distinct)
    return max(_at_least(min(others.num_trained_on, total), total, found) for total in (sampled, due))


def _at_least(hits: int, total: int, found: TrainedRecordsFound) -> float:
    """Lower bound on a share; the share itself where the sketch is of every record."""
    if not (0 < hits <= total):
        return 0.0
    return hits / total if found.is_complete else float(stats.beta.ppf(1.0 - CONFIDENCE, hits, total - hits + 1))
