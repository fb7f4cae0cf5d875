import datetime
import json
import math
from typing import Any

import evidence
import pytest

from tfx_privacy.attacks.evaluation import Groups
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import RULES, Verdict
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import Audit, Population, ScopeItem

MISSING = EvidenceError("There is no file.")


def decide(policy: GatePolicy = evidence.POLICY, **changes: Any) -> Verdict:
    return gate.decide(evidence.make_evidence(**changes), policy, now=evidence.NOW)


def test_a_model_within_every_limit_is_blessed() -> None:
    verdict = decide()
    assert verdict.blessed, verdict.message
    assert [rule.rule for rule in verdict.rules] == list(RULES)


SCOPE = [ScopeItem(artifact="transform_graph", covered=False, detail="an analyzer ran")]
ATTACKS = {
    "epsilon too large": (
        {"guarantee": evidence.make_guarantee(evidence.mechanism(noise_multiplier=0.8))},
        "epsilon", "is above max_epsilon=3",
    ),
    "no privacy": (
        {"guarantee": evidence.make_guarantee(NoMechanism(steps=5))},
        "epsilon", "trained without differential privacy",
    ),
    "test noise": (
        {"guarantee": evidence.make_guarantee(evidence.mechanism(noise_source="deterministic_test"))},
        "epsilon", "deterministic test noise",
    ),
    "epsilon edited down": (
        {"guarantee": evidence.make_guarantee(evidence.mechanism(noise_multiplier=0.8)).model_copy(
            update={"epsilon_pld": 1.0, "epsilon_rdp": 1.0})},
        "epsilon", "its mechanism spends",
    ),
    "noise below the accountants' range": (
        {"guarantee": evidence.make_guarantee().model_copy(
            update={"mechanism": evidence.mechanism(noise_multiplier=0.01)})},
        "epsilon", "noise_multiplier=0.01",
    ),
    "delta too large": (
        {"guarantee": evidence.make_guarantee(target_delta=5e-5)}, "delta", "above max_delta=1e-05",
    ),
    "delta not below one record in all": (
        {"guarantee": evidence.make_guarantee(
            population=Population(records=200_000, source="declared"))},
        "delta", "not below 1 / 200000",
    ),
    "guarantee missing": ({"guarantee": MISSING}, "epsilon", "There is no file"),
    "evaluation missing": ({"evaluation": MISSING}, "attack_auc", "There is no file"),
    "model missing": ({"model_digest": MISSING}, "model_digest", "There is no file"),
    "slice leaks": (
        {"evaluation": evidence.make_evaluation(evidence.rows(auc=(0.79, 0.77, 0.81)))},
        "attack_auc", "payment=card has attack_auc=0.790",
    ),
    "upper bound just above": (
        {"evaluation": evidence.make_evaluation(evidence.rows(auc=(0.55, 0.49, 0.6000001)))},
        "attack_auc", "above max_attack_auc",
    ),
    "mirrored attack": (
        {"evaluation": evidence.make_evaluation(evidence.rows(auc=(0.2, 0.15, 0.25)))},
        "attack_auc", "above max_attack_auc",
    ),
    "no slice by class": (
        {"evaluation": evidence.make_evaluation(slice_features=["payment"])}, "attack_coverage", "by class",
    ),
    "required attack not run": (
        {"evaluation": evidence.make_evaluation([evidence.row(attack="entropy")], slice_features=["class"])},
        "attack_coverage", "not run",
    ),
    "whole set too small": (
        {"evaluation": evidence.make_evaluation([
            evidence.row(auc=None, status="INSUFFICIENT", reason="20 members"), *evidence.rows()[1:]])},
        "attack_coverage", "20 members",
    ),
    "sliced feature without rows": (
        {"evaluation": evidence.make_evaluation(slice_features=["class", "payment", "company"])},
        "attack_coverage", "0.0% of the members by company",
    ),
    "too much lies in small slices": (
        {"evaluation": evidence.make_evaluation([*evidence.rows()[:3],
            evidence.row(feature="payment", value="card", members=9_000)])},
        "attack_coverage", "90.0% of the members by payment",
    ),
    "unsupported row": (
        {"evaluation": evidence.make_evaluation([*evidence.rows(),
            evidence.row(attack="entropy", auc=None, status="UNSUPPORTED", reason="scores are constant")])},
        "attack_coverage", "scores are constant",
    ),
    "confounded row": (
        {"evaluation": evidence.make_evaluation([*evidence.rows(),
            evidence.row(feature="group", value="a", status="CONFOUNDED", reason="the splits differ")])},
        "attack_coverage", "the splits differ",
    ),
    "nothing judged at all": (
        {"evaluation": evidence.make_evaluation([
            evidence.row(auc=None, status="UNSUPPORTED", reason="regression")])},
        "attack_auc", "No attack could be judged",
    ),
    "members are not what was trained on": (
        {"evaluation": evidence.make_evaluation(member_splits=["eval"], nonmember_splits=["train"])},
        "attack_splits", "trained on ['train']",
    ),
    "a split on both sides": (
        {"evaluation": evidence.make_evaluation(nonmember_splits=["train", "eval"])},
        "attack_splits", "on both sides",
    ),
    "slices that hold records several times": (
        {"evaluation": evidence.make_evaluation([
            *evidence.rows(),
            *(evidence.row(feature="tag", value=str(value), members=6_000) for value in range(2)),
            evidence.row(feature="tag", value="<other>", members=9_000, auc=None, status="INSUFFICIENT", reason="few"),
        ], slice_features=["class", "payment", "tag"])},
        "attack_coverage", "loss could judge only 57.1% of the members by tag",
    ),
    "no control": (
        {"evaluation": evidence.make_evaluation([row for row in evidence.rows() if row.attack != "blind"])},
        "attack_coverage", "blind on all records gave no result: the attack was not run",
    ),
    "records on both sides": (
        {"evaluation": evidence.make_evaluation(num_overlapping=264)}, "attack_splits",
        "264 of 5264 non-members equal a member and were left out, more than 5%",
    ),
    "intervals too narrow to mean much": (
        {"evaluation": evidence.make_evaluation(confidence_level=0.9)}, "attack_coverage", "at 0.9 confidence",
    ),
    "large slices pooled": (
        {"evaluation": evidence.make_evaluation(min_slice_size=1001)}, "attack_coverage", "min_slice_size=1001",
    ),
    "other records than those trained on": (
        {"evaluation": evidence.make_evaluation(num_members=9_000)}, "attack_splits", "scored 9000 members",
    ),
    "guarantee of another model": (
        {"guarantee": evidence.make_guarantee(model_digest=evidence.OTHER_DIGEST)},
        "model_digest", "The guarantee is of another model",
    ),
    "evaluation of another model": (
        {"evaluation": evidence.make_evaluation(model_digest=evidence.OTHER_DIGEST)},
        "model_digest", "The evaluation is of another model",
    ),
    "model changed since": ({"model_digest": evidence.OTHER_DIGEST}, "model_digest", "of another model"),
    "from the future": (
        {"guarantee": evidence.make_guarantee(issued_at="2026-01-02T12:06:00+00:00")}, "issued_at", "in the future",
    ),
    "time without zone": (
        {"evaluation": evidence.make_evaluation(issued_at="2026-01-02T11:00:00")}, "issued_at", "no time zone",
    ),
    "analyzers": ({"guarantee": evidence.make_guarantee(scope=SCOPE)}, "guarantee_scope", "an analyzer ran"),
    "upstream refused": ({"upstream_blessing": "blessed=0"}, "model_blessing", "blessed=0"),
    "upstream missing": ({"upstream_blessing": MISSING}, "model_blessing", "There is no file"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "rule", "message"), ATTACKS.values(), ids=ATTACKS.keys())
def test_whatever_is_wrong_is_refused_by_its_rule(changes: dict[str, Any], rule: str, message: str) -> None:
    verdict = decide(**changes)
    assert not verdict.blessed
    explanations = {failure.rule: failure.explanation for failure in verdict.failures}
    assert rule in explanations
    assert message in explanations[rule]
    assert "Not blessed" in verdict.message


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_slipped_past_the_schema_are_refused(bad: float) -> None:
    """`model_copy` and `model_construct` do not validate: the gate's own comparisons must hold."""
    rows = evidence.rows()
    poisoned = rows[3].auc.model_copy(update={"high": bad, "low": bad})  # type: ignore[union-attr]
    rows[3] = rows[3].model_copy(update={"auc": poisoned})
    verdict = decide(evaluation=evidence.make_evaluation().model_copy(update={"results": rows}))
    assert not verdict.blessed
    assert "attack_auc" in {rule.rule for rule in verdict.failures}
    assert not decide(guarantee=evidence.make_guarantee().model_copy(update={"target_delta": bad})).blessed
    stated = evidence.make_guarantee().model_copy(update={"epsilon_pld": bad})
    assert not decide(guarantee=stated).blessed


def test_an_error_inside_a_rule_is_a_refusal() -> None:
    broken = evidence.make_evaluation().model_copy(update={"results": [None]})
    verdict = decide(evaluation=broken)
    assert not verdict.blessed
    assert "could not be checked" in verdict.message


def test_no_rules_never_bless() -> None:
    assert not Verdict(rules=(), policy=evidence.POLICY, decided_at="").blessed


def test_the_policy_may_allow_analyzers() -> None:
    policy = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, allow_non_dp_preprocessing=True)
    assert decide(policy, guarantee=evidence.make_guarantee(scope=SCOPE)).blessed


def test_epsilon_is_compared_without_rounding() -> None:
    exact = recomputed_epsilon(evidence.make_guarantee())
    at_limit = GatePolicy(max_epsilon=exact, max_delta=1e-5, max_attack_auc=0.6)
    below = GatePolicy(max_epsilon=math.nextafter(exact, 0), max_delta=1e-5, max_attack_auc=0.6)
    assert decide(at_limit).blessed
    assert not decide(below).blessed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("max_epsilon", value) for value in (None, 0.0, -1.0, math.nan, math.inf, "3", True)],
        *[("max_delta", value) for value in (None, 0.0, 1.0, math.nan, "1e-5")],
        *[("max_attack_auc", value) for value in (None, 0.49, 1.01, math.nan, "0.6", True)],
        *[("min_slice_coverage", value) for value in (None, 0.0, 1.5, math.nan)],
        ("allow_non_dp_preprocessing", "yes"),
    ],
)
def test_policies_that_are_refused(name: str, value: Any) -> None:
    limits: dict[str, Any] = {"max_epsilon": 3.0, "max_delta": 1e-5, "max_attack_auc": 0.6, name: value}
    with pytest.raises(ParameterError, match=name):
        GatePolicy(**limits)


def test_the_verdict_is_strict_json_with_every_rule() -> None:
    document = json.loads(decide(upstream_blessing="blessed=0").to_json())
    assert document["blessed"] is False
    assert [rule["rule"] for rule in document["rules"] if not rule["passed"]] == ["model_blessing"]
    assert datetime.datetime.fromisoformat(document["decided_at"]) == evidence.NOW


def test_users_are_fewer_than_their_records() -> None:
    """With users as privacy unit the population counts users, of whom each has at least one record among the members."""
    users: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 5}

    def verdict(count: int) -> Verdict:
        population = Population(records=count, source="counted")
        record = evidence.make_guarantee(**users, population=population)
        groups = Groups(group_key="user", num_member_groups=count, num_nonmember_groups=900, num_on_both_sides=0)
        read = evidence.trained_records(num_units=min(count, 10_000))
        attacked = evidence.make_evaluation(groups=groups, trained_records=read)
        found = evidence.make_evidence(guarantee=record, evaluation=attacked)
        return gate.decide(found, evidence.POLICY, now=evidence.NOW)

    assert verdict(3_000).blessed
    assert [rule.rule for rule in verdict(10_001).failures] == ["evaluation", "attack_splits", "trained_records"]


def test_an_audit_above_the_claim_is_a_defect() -> None:
    def verdict(bound: float) -> Verdict:
        found = Audit(
            num_canaries=1000,
            num_members=500,
            confidence=0.95,
            epsilon_lower_bound=bound,
            epsilon_lower_bound_one_run=0.1,
            epsilon_lower_bound_gaussian=0.1,
        )
        record = evidence.make_guarantee(audit=found)
        return gate.decide(evidence.make_evidence(guarantee=record), evidence.POLICY, now=evidence.NOW)

    assert verdict(0.5).blessed
    (failure,) = verdict(2.9).failures
    assert failure.rule == "epsilon"
    assert "The audit shows epsilon >= 2.9" in failure.explanation


def test_an_attack_on_a_slice_has_one_row() -> None:
    """Two rows of a slice that was judged would make up for one that was not."""
    with pytest.raises(ValueError, match="several rows"):
        evidence.make_evaluation([*evidence.rows(), evidence.row()])
