"""Non-members that equal a member: they are left out, members are not, and too many of them are judged by nobody."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import MAX_OVERLAP
from tfx_privacy.attacks.membership import equal_records, tally, unjudged
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.membership.slice_values import SliceColumn, restricted
from tfx_privacy.attacks.membership.tally import MEMBERS, OTHERS, Tally
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.verdict import RuleResult


def hashes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def total(members: int, others: int, left_out: int, unusable: tuple[int, int] = (0, 0)) -> Tally:
    found = dataclasses.replace(tally.empty(), records=np.array([members, others]), num_left_out=left_out)
    return dataclasses.replace(found, unusable=np.array(unusable))


def test_only_non_members_are_left_out() -> None:
    """A member that could be taken out by a copy of it would be a way not to be attacked."""
    parts = [(MEMBERS, hashes(5, 1)), (OTHERS, hashes(5, 9)), (OTHERS, hashes(1, 5)), (MEMBERS, hashes(7, 7))]
    both = equal_records.common(parts)
    assert both.tolist() == [1, 5]
    of_parts = [both[:1], both[1:]]
    assert equal_records.compared(OTHERS, hashes(9, 5, 1, 5), of_parts).tolist() == [True, False, False, False]
    assert equal_records.compared(MEMBERS, hashes(9, 5, 1, 5), of_parts).tolist() == [True] * 4
    assert equal_records.compared(OTHERS, hashes(9, 5), []).tolist() == [True, True]
    assert equal_records.common([(OTHERS, hashes(5))]).tolist() == []


def test_tallies_add_up_what_was_left_out() -> None:
    def part(number: int, value: int) -> Tally:
        return dataclasses.replace(tally.empty(), num_left_out=number, left_out=Sample(hashes(value), (b"record",)))

    merged = tally.merged([part(2, 9), part(3, 4)], sample_size=1)
    assert merged.num_left_out == 5
    assert merged.left_out.hashes.tolist() == [4]
    assert not len(merged.samples[OTHERS].hashes)


@pytest.mark.parametrize("rows", [None, np.array([0, 1, 1, 3])])
def test_the_rows_of_a_slice_follow_the_records_that_are_left(rows: np.ndarray | None) -> None:
    column = restricted(SliceColumn(("a", "b"), np.array([0, 1, 0, 1]), rows), np.array([False, True, False, True]))
    assert column.codes.tolist() == ([1, 1] if rows is None else [1, 0, 1])
    assert (column.rows is None) if rows is None else (column.rows is not None and column.rows.tolist() == [0, 0, 1])


@pytest.mark.parametrize("found", [total(800, 570, 30), total(300, 300, 0), total(1, 95, 5)])
def test_a_share_of_equal_records_is_judged_without_them(found: Tally) -> None:
    assert unjudged.row(found, MAX_OVERLAP, "") is None


@pytest.mark.parametrize(
    ("found", "allowed", "words"),
    [
        (total(800, 569, 31), MAX_OVERLAP, "31 of 600 non-members (5.2%) equal a member, feature by feature"),
        (total(800, 0, 600), 1.0, "800 members and 0 non-members"),
        (total(800, 0, 600), MAX_OVERLAP, "600 of 600 non-members"),
        (total(800, 599, 1), 0.0, "1 of 600 non-members"),
        (total(800, 569, 31), math.nan, "31 of 600 non-members"),
        (total(0, 600, 0), MAX_OVERLAP, "0 members and 600 non-members"),
    ],
)  # fmt: skip
def test_what_is_not_judged_says_why_and_is_a_consistent_record(found: Tally, allowed: float, words: str) -> None:
    found = dataclasses.replace(found, unusable=np.minimum(found.records, 2))
    row = unjudged.row(found, allowed, "")
    assert row is not None
    assert row.status == "INSUFFICIENT"
    assert words in row.reason
    members, others = (int(number) for number in found.records)
    record = evidence.make_evaluation(
        [row], num_members=members, num_nonmembers=others, num_overlapping=found.num_left_out, num_compared=0,
        num_unusable_members=int(found.unusable[0]), num_unusable_nonmembers=int(found.unusable[1]),
        max_overlap=0.0 if math.isnan(allowed) else allowed, trained_records=None, slice_features=[],
    )  # fmt: skip
    assert record.contradictions == []
    verdict = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
    assert row.reason in next(rule for rule in verdict.rules if rule.rule == "attack_coverage").explanation
    assert row.reason in next(rule for rule in verdict.rules if rule.rule == "attack_auc").explanation


def test_files_that_could_not_be_scored_come_first() -> None:
    row = unjudged.row(total(800, 0, 600), MAX_OVERLAP, "A record does not fit. Wire the schema.")
    assert row is not None
    assert (row.status, row.reason) == ("UNSUPPORTED", "A record does not fit. Wire the schema")


def rules(**changes: Any) -> dict[str, RuleResult]:
    """Of the gate, on a harmless evaluation of 10,000 members."""
    whole = evidence.make_evidence(evaluation=evidence.make_evaluation(**changes))
    return {rule.rule: rule for rule in decide(whole, evidence.POLICY, now=evidence.NOW).rules}


@pytest.mark.parametrize("left_out", [1, 263])
def test_the_gate_takes_few_and_says_how_many(left_out: int) -> None:
    found = rules(num_overlapping=left_out)
    assert not [rule for rule in found.values() if rule.status != "passed"]
    assert (
        f"{left_out} of {5_000 + left_out} non-members equal a member and were left out"
        in found["attack_splits"].explanation
    )


@pytest.mark.parametrize("declared", [0.05, 1.0])
def test_the_gate_has_its_own_limit_whatever_the_evaluation_was_allowed(declared: float) -> None:
    found = rules(num_overlapping=264, max_overlap=declared)["attack_splits"]
    assert found.status == "failed"
    assert "264 of 5264 non-members equal a member" in found.explanation
    assert "Drop duplicates before the data are split" in found.explanation


def test_how_many_were_left_out_is_held_against_what_was_read() -> None:
    """The matches with the trainer's file are of all that were read, so a number of its own gives it away."""
    read = evidence.trained_records(10_000, 5_000, 100)
    assert rules(num_overlapping=100, trained_records=read)["trained_records"].status == "passed"
    for other in (0, 99, 101):
        assert rules(num_overlapping=other, trained_records=read)["trained_records"].status == "failed"


def test_what_was_left_out_was_trained_on() -> None:
    """Records that nobody trained on are non-members: to leave them out would hide what the model says of them."""
    for shown, status in ((100, "passed"), (98, "passed"), (97, "failed"), (0, "failed")):
        read = evidence.trained_records(1_000, 5_000, 100)
        others = read.nonmembers.model_copy(update={"num_trained_on": shown})
        found = rules(
            num_members=1_000, num_overlapping=100, trained_records=read.model_copy(update={"nonmembers": others})
        )["trained_records"]
        assert ("have to be attacked" in found.explanation) is (status == "failed"), shown
