"""What the gate demands where people have several records: intervals by person, and sides that share nobody."""

from __future__ import annotations

from typing import Any, Literal

import evidence
import pytest

from tfx_privacy.attacks.evaluation import Groups, SuspectedGroups
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import Population

USERS: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 5}


def groups(**changes: Any) -> Groups:
    numbers = {"num_member_groups": 3000, "num_nonmember_groups": 1000, "num_on_both_sides": 0}
    return Groups(group_key="user", **{**numbers, **changes})


def verdict(source: Literal["counted", "declared"] = "counted", **of_evaluation: Any) -> Verdict:
    population = Population(records=3000, source=source)
    guarantee = evidence.make_guarantee(**USERS, population=population)
    attacked = evidence.make_evaluation(
        **{"trained_records": evidence.trained_records(num_units=3000), **of_evaluation}
    )
    found = evidence.make_evidence(guarantee=guarantee, evaluation=attacked)
    return gate.decide(found, evidence.POLICY, now=evidence.NOW)


def test_a_guarantee_for_users_needs_intervals_by_user() -> None:
    assert verdict(groups=groups()).blessed
    (failure,) = verdict().failures
    assert failure.rule == "attack_splits"
    assert "Set PrivacyEvaluator's group_key" in failure.explanation


@pytest.mark.parametrize("source", ["counted", "declared"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_on_both_sides": 11}, "11 users have records on both sides"),
        ({"num_member_groups": 2999}, "2999 groups by 'user'"),
        ({"num_member_groups": 9000}, "9000 groups by 'user'"),
    ],
)
def test_other_groups_than_the_trainer_s_users_are_refused(
    source: Literal["counted", "declared"], changes: dict[str, int], message: str
) -> None:
    (failure,) = verdict(source, groups=groups(**changes)).failures
    assert failure.rule == "attack_splits"
    assert message in failure.explanation


def test_a_few_users_on_both_sides_and_a_declared_population_pass() -> None:
    assert verdict(groups=groups(num_on_both_sides=10)).blessed
    found = evidence.trained_records(num_units=2900)
    assert verdict("declared", groups=groups(num_member_groups=2900), trained_records=found).blessed


@pytest.mark.parametrize(("num_groups", "blessed"), [(2999, False), (3000, True), (3100, True), (3101, False)])
def test_a_user_may_have_had_no_other_record_than_one_that_training_dropped(num_groups: int, blessed: bool) -> None:
    found = evidence.trained_records(num_units=3000, num_used=9_900)
    assert verdict(groups=groups(num_member_groups=num_groups), trained_records=found).blessed == blessed


@pytest.mark.parametrize(("source", "told"), [("counted", True), ("declared", False)])
def test_without_the_trainer_s_records_a_counted_population_tells(
    source: Literal["counted", "declared"], told: bool
) -> None:
    failures = verdict(source, groups=groups(num_member_groups=10_000), trained_records=None).failures
    assert {failure.rule for failure in failures} == {"trained_records"} | ({"attack_splits"} if told else set())


def test_a_slice_of_few_people_is_small_however_many_records_they_have() -> None:
    """A harmless model breaks the limit there by chance, as on a slice of as many records of people with one each."""
    wide = evidence.row(feature="payment", value="cash", auc=(0.5, 0.38, 0.62), members=6000)
    limit = attack_limit.AttackLimit(limit=0.6, quantile=1.96, strict=3.0)
    assert limit.standing(wide) is attack_limit.Standing.ABOVE
    few = wide.model_copy(update={"num_member_groups": 60, "num_nonmember_groups": 60})
    assert limit.standing(few) is attack_limit.Standing.INCONCLUSIVE
    none = wide.model_copy(update={"num_member_groups": 0, "num_nonmember_groups": 0})
    assert limit.standing(none) is attack_limit.Standing.ABOVE


def test_groups_that_the_data_show_and_nobody_named_are_refused() -> None:
    """For records as for users: intervals that take groups for records are too narrow, so an upper bound says nothing."""
    found = SuspectedGroups(
        feature="trait", num_repeated=500, num_on_both_sides=0, notice="Equal values of 'trait' repeat"
    )
    attacked = evidence.make_evaluation(suspected_groups=[found])
    (failure,) = gate.decide(evidence.make_evidence(evaluation=attacked), evidence.POLICY, now=evidence.NOW).failures
    assert failure.rule == "attack_coverage"
    assert "Equal values of 'trait' repeat" in failure.explanation
