"""What a policy file adds to the gate: ledger, signatures, freshness, required evidence, limits of slices, and exceptions."""

from __future__ import annotations

import json
import math
from typing import Any

import evidence
import pytest

from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.evidence import SIGNED_PARTS
from tfx_privacy.gate.policy import GatePolicy, PolicyException, SliceLimit
from tfx_privacy.gate.verdict import RuleResult, Verdict
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_with_references
from tfx_privacy.guarantee.record import PrivacyGuarantee, ReferenceTrainings, ScopeItem

MISSING = EvidenceError("It is not there.")


def adapted(policy: GatePolicy = evidence.CHARGED_POLICY, **changes: Any) -> GatePolicy:
    return GatePolicy(**{**policy.model_dump(), **changes})


def decide(policy: GatePolicy = evidence.CHARGED_POLICY, **changes: Any) -> Verdict:
    return gate.decide(evidence.charged_evidence(**changes), policy, now=evidence.NOW)


def failures(policy: GatePolicy = evidence.CHARGED_POLICY, **changes: Any) -> set[str]:
    verdict = decide(policy, **changes)
    assert verdict.blessed is not bool(verdict.failures)
    return {rule.rule for rule in verdict.failures}


def result(verdict: Verdict, rule: str) -> RuleResult:
    (found,) = (each for each in verdict.rules if each.rule == rule)
    return found


def run(**changes: Any) -> LedgerRun:
    return evidence.ledger_run(evidence.charged_guarantee(), **changes)


def test_a_charged_and_signed_model_is_blessed_under_everything_that_can_be_demanded() -> None:
    verdict = decide()
    assert verdict.blessed, verdict.message
    assert verdict.headline == "BLESSED"


PLANNED = evidence.planned(evidence.mechanism())
LEDGER: dict[str, tuple[dict[str, Any], str]] = {
    "reserved only": ({"state": "RESERVED"}, "RESERVED, not COMMITTED"),
    "broken off": ({"state": "STARTED"}, "STARTED, not COMMITTED"),
    "settled": ({"state": "SETTLED"}, "SETTLED, not COMMITTED"),
    "aborted": ({"state": "ABORTED"}, "ABORTED, not COMMITTED"),
    "not a model's": ({"purpose": "reference_models"}, "reserved for reference_models"),
    "of another run": ({"run_id": "9" * 32}, "run_id"),
    "of another ledger": ({"ledger_id": "9" * 32}, "ledger_id"),
    "of another dataset": ({"dataset_id": "census"}, "dataset_id is 'census' there"),
    "of other blocks": ({"blocks": ["2025"]}, "blocks"),
    "of no blocks": ({"blocks": []}, "blocks"),
    "at another place": ({"sequence": 8}, "sequence"),
    "at no place": ({"sequence": None}, "sequence"),
    "with another hash": ({"entry_hash": evidence.HEAD_HASH}, "entry_hash"),
    "without a hash": ({"entry_hash": None}, "entry_hash"),
    "of another model": ({"model_digest": evidence.OTHER_DIGEST}, "model_digest"),
    "of no model": ({"model_digest": None}, "model_digest"),
    "of another guarantee": ({"guarantee_digest": evidence.OTHER_DIGEST}, "guarantee_digest"),
    "of no guarantee": ({"guarantee_digest": None}, "guarantee_digest"),
    "of users": ({"privacy_unit": "user"}, "privacy_unit"),
    "of another relation": ({"neighboring_relation": "REPLACE_SPECIAL"}, "neighboring_relation"),
    "beyond the end": ({"head_sequence": 6}, "beyond the ledger's last one"),
    "the last one, with another hash": ({"head_sequence": 7}, "has another hash"),
    "for more noise": ({"planned": PLANNED.changed(noise_multiplier=1.9)}, "less than the 1.9"),
    "for fewer steps": ({"planned": PLANNED.changed(steps=399)}, "steps=400 are more than the 399"),
    "for rarer batches": ({"planned": PLANNED.changed(sampling_probability=0.04)}, "sampling_probability"),
    "for larger batches": ({"planned": PLANNED.changed(sampling_probability=0.06)}, "sampling_probability"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), LEDGER.values(), ids=LEDGER.keys())
def test_a_run_that_the_ledger_does_not_bear_out(changes: dict[str, Any], words: str) -> None:
    verdict = decide(ledger=run(**changes))
    assert {rule.rule for rule in verdict.failures} == {"ledger"}
    assert words in result(verdict, "ledger").explanation


def test_what_was_reserved_may_be_more_than_was_executed() -> None:
    """A run that ends early, or that was charged for less noise, spent no more than it was charged."""
    more = PLANNED.changed(steps=500, noise_multiplier=1.7)
    assert failures(ledger=run(planned=more)) == set()
    assert failures(ledger=run(head_sequence=7, head_hash=evidence.ENTRY_HASH)) == set()
    assert failures(ledger=run(blocks=["2026", "2025"])) == set()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"charged": 8_001}, "charged 8001 units of a budget of 8000"),
        ({"charged": 0}, "charged 0 units"),
        ({"budget": 0}, "of a budget of 0"),
        ({"spent_epsilon": 8.1}, "spent_epsilon=8.1"),
        ({"spent_epsilon": -0.1}, "spent_epsilon=-0.1"),
    ],
)
def test_a_dataset_that_is_overspent(changes: dict[str, Any], words: str) -> None:
    verdict = decide(ledger=run(**changes))
    assert {rule.rule for rule in verdict.failures} == {"dataset_budget"}
    assert words in result(verdict, "dataset_budget").explanation


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_spent_epsilon_that_is_no_number(bad: float) -> None:
    assert failures(ledger=run().model_copy(update={"spent_epsilon": bad})) == {"dataset_budget"}


def test_the_whole_budget_may_be_spent() -> None:
    assert failures(ledger=run(charged=8_000, spent_epsilon=8.0)) == set()


def test_a_ledger_that_is_named_and_not_asked_is_unknown_whatever_the_policy_demands() -> None:
    for policy in (evidence.CHARGED_POLICY, evidence.POLICY):
        verdict = decide(policy, ledger=None)
        assert {rule.rule for rule in verdict.failures} == {"ledger", "dataset_budget"}
        assert result(verdict, "ledger").status == "unknown"
        assert "Set BudgetValidator's ledger" in verdict.message


def test_a_ledger_that_cannot_be_read_is_unknown() -> None:
    verdict = decide(ledger=EvidenceError("The environment variable TFX_PRIVACY_LEDGER is not set."))
    assert {rule.rule for rule in verdict.failures} == {"ledger", "dataset_budget"}
    assert "TFX_PRIVACY_LEDGER is not set" in verdict.message


def test_a_model_without_a_ledger() -> None:
    bare = evidence.make_guarantee()
    demanding = adapted(evidence.POLICY, ledger="required")
    assert failures(evidence.POLICY, guarantee=bare) == set()
    verdict = decide(demanding, guarantee=bare)
    assert {rule.rule for rule in verdict.failures} == {"ledger"}
    assert result(verdict, "ledger").status == "failed"
    assert failures(evidence.POLICY, guarantee=bare, ledger=run()) == {"ledger"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("dataset_id", "census"), ("privacy_unit", "user"), ("neighboring_relation", "REPLACE_SPECIAL")],
)
def test_a_guarantee_on_other_terms_than_the_policy_names(name: str, value: str) -> None:
    verdict = decide(evidence.CHARGED_POLICY.model_copy(update={name: value}))
    assert {rule.rule for rule in verdict.failures} == {"guarantee_terms"}
    assert f"not {value!r}" in verdict.message


def references(record: PrivacyGuarantee, *runs: LedgerRun | EvidenceError) -> set[str]:
    assert record.ledger is not None
    asked = dict(zip(record.ledger.reference_run_ids, runs, strict=True))
    return failures(guarantee=record, reference_runs=asked)


def test_reference_models_that_were_charged() -> None:
    record = evidence.with_references()
    assert references(record, evidence.reference_run(record)) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "RESERVED"}, {"state": "STARTED"}, {"state": "ABORTED"}, {"state": "SETTLED"}, {"purpose": "model"},
        {"dataset_id": "census"},
        {"blocks": ["2025"]}, {"ledger_id": "9" * 32}, {"run_id": "9" * 32}, {"privacy_unit": "user"},
        {"planned": PLANNED.changed(steps=19)},
        {"planned": PLANNED.changed(steps=20, noise_multiplier=1.9)},
        {"planned": PLANNED.changed(steps=20, sampling_probability=0.04)},
    ],
    ids=str,
)  # fmt: skip
def test_reference_models_that_were_not_charged_as_trained(changes: dict[str, Any]) -> None:
    record = evidence.with_references()
    assert references(record, evidence.reference_run(record, **changes)) == {"ledger"}


def test_reference_runs_that_are_missing_unreadable_or_counted_twice() -> None:
    record = evidence.with_references()
    assert references(record, MISSING) == {"ledger"}
    assert failures(guarantee=record) == {"ledger"}
    assert references(evidence.with_references(ledger=evidence.position())) == {"ledger"}
    twice = evidence.with_references(ledger=evidence.position(reference_run_ids=[evidence.REFERENCE_RUN_ID] * 2))
    half = evidence.reference_run(twice, planned=PLANNED.changed(steps=10))
    assert references(twice, half, half) == {"ledger"}
    bare = evidence.charged_guarantee(ledger=evidence.position(reference_run_ids=[evidence.REFERENCE_RUN_ID]))
    assert references(bare, evidence.reference_run(bare)) == {"ledger"}


@pytest.mark.parametrize("state", ["RESERVED", "ABORTED"])
def test_an_attempt_that_came_to_nothing_counts_for_nothing(state: str) -> None:
    record = evidence.with_references(ledger=evidence.position(reference_run_ids=[evidence.REFERENCE_RUN_ID, "2" * 32]))
    other = evidence.reference_run(record, run_id="2" * 32, state=state)
    assert references(record, evidence.reference_run(record), other) == set()
    half = evidence.reference_run(record, planned=PLANNED.changed(steps=10))
    assert references(record, half, other) == {"ledger"}


def test_lost_trainings_are_covered_by_the_attempts_that_lost_them() -> None:
    """An attempt reserves what one unit takes part in, and begins twice as many trainings: halves are disjoint."""
    reference = evidence.mechanism(steps=10)
    runs = [evidence.REFERENCE_RUN_ID, "2" * 32]

    def found(lost: int, state: str = "STARTED") -> set[str]:
        per_record = 2 + lost
        together = epsilon_with_references(
            evidence.mechanism(), reference, trainings_per_record=per_record, target_delta=1e-5
        )
        made = ReferenceTrainings(
            num_models=4,
            lost_trainings=lost,
            trainings_per_record=per_record,
            mechanism=reference,
            epsilon_all=together,
        )
        record = evidence.with_references(references=made, ledger=evidence.position(reference_run_ids=runs))
        attempt = evidence.reference_run(
            record,
            run_id=runs[1],
            state=state,
            model_digest=None,
            guarantee_digest=None,
            sequence=None,
            entry_hash=None,
        )
        return references(record, evidence.reference_run(record), attempt)

    assert found(lost=4) == set()
    assert found(lost=4, state="SETTLED") == set()  # given up, and still charged
    assert found(lost=5) == {"ledger"}
    assert found(lost=4, state="ABORTED") == {"ledger"}


SIGNATURES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "Without a signature"),
    "of the guarantee alone": ({"guarantee": "key"}, "evaluation"),
    "of the evaluation alone": ({"guarantee": None, "evaluation": "key"}, "guarantee"),
    "true": ({"guarantee": True, "evaluation": "key"}, "not True"),
    "empty": ({"guarantee": "key", "evaluation": ""}, "not ''"),
}


@pytest.mark.parametrize(("signatures", "words"), SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_signature_that_is_demanded_and_missing(signatures: dict[str, Any], words: str) -> None:
    verdict = decide(signatures=signatures)
    assert {rule.rule for rule in verdict.failures} == {"signature"}
    assert words in verdict.message


def test_without_a_demand_a_missing_signature_is_recorded() -> None:
    verdict = decide(adapted(signature="optional"), signatures={"guarantee": "key"})
    assert verdict.blessed
    assert result(verdict, "signature").value == "guarantee by key, evaluation unsigned"


@pytest.mark.parametrize("part", SIGNED_PARTS)
@pytest.mark.parametrize("signature", ["required", "optional"])
def test_a_signature_that_is_not_valid_is_refused_whatever_the_policy_demands(part: str, signature: str) -> None:
    bad = EvidenceError("The key is unknown.")
    verdict = decide(adapted(signature=signature), signatures={**evidence.SIGNED, part: bad})
    assert {rule.rule for rule in verdict.failures} == {"signature"}
    assert "The key is unknown" in verdict.message


def test_evidence_that_is_too_old() -> None:
    old, limit = "2025-12-03T12:00:00+00:00", "2025-12-03T11:59:59+00:00"
    record = evidence.charged_guarantee(issued_at=old)
    assert failures(guarantee=record) == set()
    assert failures(guarantee=evidence.charged_guarantee(issued_at=limit)) == {"freshness"}
    ages = {"guarantee": record, "evaluation": evidence.make_evaluation(issued_at=old)}
    assert failures(adapted(max_age_days=None), **ages) == set()
    assert failures(adapted(max_age_days=29.9), **ages) == {"freshness"}


def test_an_evaluation_before_the_guarantee_is_of_another_model() -> None:
    assert failures(evaluation=evidence.make_evaluation(issued_at="2026-01-02T10:55:00+00:00")) == set()
    verdict = decide(evaluation=evidence.make_evaluation(issued_at="2026-01-02T10:54:59+00:00"))
    assert {rule.rule for rule in verdict.failures} == {"issued_at"}
    assert "it cannot have attacked this model" in verdict.message


def test_a_time_without_a_zone_is_no_time_to_decide_at() -> None:
    verdict = gate.decide(evidence.charged_evidence(), evidence.CHARGED_POLICY, now=evidence.NOW.replace(tzinfo=None))
    assert {rule.rule for rule in verdict.failures} == {"issued_at", "freshness"}


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        (
            {"required_attacks": ["loss", "lira"]},
            "required_attacks",
            "lira on all records gave no result: the attack was not run",
        ),
        ({"required_slices": ["payment", "company"]}, "required_slices", "not run by company"),
        ({"required_tasks": ["multiclass"]}, "required_tasks", "attacked as binary"),
        ({"required_tasks": ["binary", "regression"]}, "required_tasks", "attacked as binary"),
    ],
)
def test_evidence_that_the_policy_demands_and_nobody_made(changes: dict[str, Any], rule: str, words: str) -> None:
    verdict = decide(adapted(**changes))
    assert [failure.rule for failure in verdict.failures] == [rule]
    assert words in verdict.message


def test_an_attack_that_is_demanded_must_have_been_judged() -> None:
    few = evidence.row(attack="lira", members=20, auc=None, status="INSUFFICIENT", reason="20 members")
    policy = adapted(required_attacks=["lira"])
    assert failures(policy, evaluation=evidence.make_evaluation([*evidence.rows(), few])) == {"required_attacks"}
    judged = evidence.make_evaluation([*evidence.rows(), evidence.row(attack="lira")])
    assert failures(policy, evaluation=judged) == set()
    of_a_slice = evidence.row(attack="lira", feature="payment", value="card", members=9_900)
    of_slices = failures(policy, evaluation=evidence.make_evaluation([*evidence.rows(), of_a_slice]))
    assert of_slices == {"required_attacks", "evaluation"}


def test_a_second_output_cannot_hide_behind_the_first() -> None:
    head = evidence.make_evaluation().heads[0]
    hidden = head.model_copy(update={"name": "second", "task": "loss"})
    rows = [*evidence.rows(), evidence.row("loss[]"), evidence.row("loss[second]")]
    record = evidence.make_evaluation(rows, heads=[head, hidden])
    assert failures(evaluation=record) == {"required_tasks", "trained_labels"}
    assert failures(adapted(required_tasks=["loss", "binary"]), evaluation=record) == set()


# --- limits of slices
# -------------------------------------------------------------------------------------------------------------


def limited(*limits: tuple[str, str | None, float], **changes: Any) -> GatePolicy:
    made = [SliceLimit(feature=feature, value=value, max_attack_auc=limit) for feature, value, limit in limits]
    return adapted(evidence.POLICY, slice_limits=made, **changes)


def attacked(policy: GatePolicy, *rows: Any, features: tuple[str, ...] = ("class", "payment")) -> set[str]:
    record = evidence.make_evaluation([*evidence.rows(), *rows], slice_features=list(features))
    verdict = gate.decide(evidence.make_evidence(evaluation=record), policy, now=evidence.NOW)
    return {rule.rule for rule in verdict.failures}


CARD = (0.55, 0.53, 0.57)


def test_the_most_specific_limit_counts() -> None:
    def with_card(*limits: tuple[str, str | None, float]) -> set[str]:
        record = evidence.make_evaluation(evidence.rows(auc=CARD))
        verdict = gate.decide(evidence.make_evidence(evaluation=record), limited(*limits), now=evidence.NOW)
        return {rule.rule for rule in verdict.failures}

    assert with_card() == set()
    assert with_card(("payment", None, 0.56)) == {"attack_auc"}
    assert with_card(("payment", "card", 0.56)) == {"attack_auc"}
    assert with_card(("payment", None, 0.56), ("payment", "card", 0.58)) == set()
    assert with_card(("payment", None, 0.58), ("payment", "card", 0.56)) == {"attack_auc"}
    assert with_card(("class", None, 0.56)) == set()


def test_a_looser_limit_is_for_its_slices_alone() -> None:
    leak = evidence.row(attack="boosting", feature="payment", value="card", members=4_900, auc=(0.7, 0.68, 0.72))
    whole = evidence.row(attack="boosting")
    assert attacked(limited(), leak, whole) == {"attack_auc"}
    assert attacked(limited(("payment", "card", 0.75)), leak, whole) == set()
    assert attacked(limited(("payment", "cash", 0.75)), leak, whole) == {"attack_auc"}
    everywhere = evidence.row(attack="boosting", auc=(0.7, 0.68, 0.72))
    assert attacked(limited(("payment", "card", 0.75), ("class", None, 0.9)), everywhere) == {"attack_auc"}


def shops(count: int, auc: tuple[float, float, float]) -> list[Any]:
    return [evidence.row(feature="shop", value=str(index), members=400, auc=auc) for index in range(count)]


SHOPS = ("class", "payment", "shop")


def test_a_named_small_slice_is_judged_by_itself_and_not_in_a_mean() -> None:
    """One shop of 25 leaks: too small to tell by itself, and hidden in the mean of all; unless the policy names it."""
    rows = [
        *shops(24, (0.5, 0.451, 0.549)),
        evidence.row(feature="shop", value="24", members=400, auc=(0.58, 0.531, 0.629)),
    ]
    assert attacked(limited(), *rows, features=SHOPS) == set()
    assert attacked(limited(("shop", "24", 0.6)), *rows, features=SHOPS) == {"attack_auc"}
    assert attacked(limited(("shop", "24", 0.65)), *rows, features=SHOPS) == set()
    assert attacked(limited(("shop", "3", 0.55)), *rows, features=SHOPS) == set()


def test_a_limit_of_a_feature_holds_for_its_small_slices_together() -> None:
    rows = shops(25, (0.53, 0.481, 0.579))
    assert attacked(limited(), *rows, features=SHOPS) == set()
    assert attacked(limited(("shop", None, 0.535)), *rows, features=SHOPS) == {"attack_auc", "attack_coverage"}


def test_slices_with_a_looser_limit_do_not_help_others_in_the_mean() -> None:
    leaking = shops(10, (0.597, 0.548, 0.646))
    harmless = [row.model_copy(update={"slice_value": f"h{row.slice_value}"}) for row in shops(15, (0.5, 0.451, 0.549))]
    assert attacked(limited(), *leaking, *harmless, features=SHOPS) == set()
    alone = limited(*[("shop", row.slice_value, 0.6) for row in harmless])
    assert attacked(alone, *leaking, *harmless, features=SHOPS) == {"attack_auc", "attack_coverage"}


def test_a_stricter_limit_on_what_nobody_judged_is_refused() -> None:
    assert attacked(limited(("payment", "cheque", 0.55))) == {"attack_coverage"}
    assert attacked(limited(("payment", "<other>", 0.55))) == {"attack_coverage"}
    assert attacked(limited(("company", None, 0.55))) == {"attack_coverage"}
    assert attacked(limited(("payment", "cheque", 0.65), ("payment", None, 0.7))) == {"attack_coverage"}
    assert attacked(limited(("payment", "cheque", 0.7))) == set()
    unsliced = evidence.row(feature="company", value="a", members=10_000)
    assert attacked(limited(("company", None, 0.55)), unsliced) == {"attack_coverage"}
    assert attacked(limited(("correct", None, 0.55)), evidence.row(feature="correct", value="true")) == set()


# --- exceptions
# -------------------------------------------------------------------------------------------------------------------

EXCUSED: dict[str, dict[str, Any]] = {
    "epsilon": {"guarantee": evidence.make_guarantee(evidence.mechanism(noise_multiplier=0.8))},
    "delta": {"guarantee": evidence.make_guarantee(target_delta=5e-5)},
    "attack_auc": {"evaluation": evidence.make_evaluation(evidence.rows(auc=(0.79, 0.77, 0.81)))},
    "freshness": {"guarantee": evidence.make_guarantee(issued_at="2025-01-02T11:00:00+00:00")},
    "guarantee_scope": {
        "guarantee": evidence.make_guarantee(
            scope=[ScopeItem(artifact="transform_graph", covered=False, detail="an analyzer")]
        )
    },
    "ledger": {},
    "signature": {"signatures": {}},
}
TOO_STRICT: dict[str, dict[str, Any]] = {
    "freshness": {"max_age_days": 30.0},
    "ledger": {"ledger": "required"},
    "signature": {"signature": "required"},
}


def exception(rule: str, **changes: Any) -> PolicyException:
    values: dict[str, Any] = {"rule": rule, "approver": "Grace Hopper", "reason": "ticket 12", "expires": "2026-02-01"}
    return PolicyException(**{**values, **changes})


def excused(rule: str, *exceptions: PolicyException) -> Verdict:
    policy = adapted(evidence.POLICY, exceptions=list(exceptions), **TOO_STRICT.get(rule, {}))
    parts: dict[str, Any] = {"guarantee": evidence.make_guarantee(), **EXCUSED[rule]}
    return decide(policy, **parts)


@pytest.mark.parametrize("rule", EXCUSED)
def test_an_exception_excuses_its_rule_and_the_verdict_says_so(rule: str) -> None:
    assert [failure.rule for failure in excused(rule).failures] == [rule]
    verdict = excused(rule, exception(rule))
    assert verdict.blessed
    assert verdict.headline == "BLESSED WITH EXCEPTION"
    assert f"BLESSED WITH EXCEPTION: {rule}: " in verdict.message
    assert "Excepted by Grace Hopper until 2026-02-01T00:00:00+00:00: ticket 12" in verdict.message
    document = json.loads(verdict.to_json())
    (used,) = document["exceptions_used"]
    assert (used["rule"], used["approver"], used["reason"]) == (rule, "Grace Hopper", "ticket 12")
    (written,) = (each for each in document["rules"] if each["excused"])
    assert (written["rule"], written["status"], written["passed"]) == (rule, "failed", False)


@pytest.mark.parametrize("rule", EXCUSED)
def test_an_exception_for_another_rule_does_not_help(rule: str) -> None:
    others = [exception(other) for other in EXCUSED if other != rule]
    assert [failure.rule for failure in excused(rule, *others).failures] == [rule]


NO_HELP: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"expires": "2026-01-02"}, "it expired at 2026-01-02T00:00:00+00:00"),
    "expired this second": ({"expires": "2026-01-02T12:00:00Z"}, "it expired"),
    "for ever": ({"expires": "2027-01-04"}, "more than 366 days"),
    "for another model": ({"model_digest": evidence.OTHER_DIGEST}, "for another model"),
}


@pytest.mark.parametrize(("changes", "words"), NO_HELP.values(), ids=NO_HELP.keys())
def test_exceptions_that_do_not_help_say_why(changes: dict[str, Any], words: str) -> None:
    verdict = excused("epsilon", exception("epsilon", **changes))
    assert not verdict.blessed
    assert "The exception by Grace Hopper does not apply" in verdict.message
    assert words in verdict.message


def test_of_several_exceptions_one_is_enough() -> None:
    past = exception("epsilon", expires="2025-12-31")
    this_model = exception("epsilon", model_digest=evidence.DIGEST, expires="2026-01-02T12:00:01Z")
    assert excused("epsilon", past, this_model).blessed


@pytest.mark.parametrize(
    "changes", [{"approver": " "}, {"reason": ""}, {"expires": "soon"}, {"rule": "model_digest"}], ids=str
)
def test_exceptions_that_slipped_past_the_schema_do_not_help(changes: dict[str, Any]) -> None:
    """`model_copy` does not validate: the gate must."""
    broken = exception("epsilon").model_copy(update=changes)
    policy = evidence.POLICY.model_copy(update={"exceptions": [broken]})
    parts = {**EXCUSED["epsilon"], "model_digest": evidence.OTHER_DIGEST}
    verdict = decide(policy, **parts)
    assert {"epsilon", "model_digest"} <= {failure.rule for failure in verdict.failures}


@pytest.mark.parametrize(
    "mechanism",
    [NoMechanism(steps=5), evidence.mechanism(noise_source="deterministic_test")],
    ids=["no privacy", "test noise"],
)
def test_a_model_without_privacy_may_pass_with_an_exception_and_epsilon_stays_infinite(mechanism: Any) -> None:
    record = evidence.make_guarantee(mechanism)
    assert failures(evidence.POLICY, guarantee=record) == {"epsilon"}
    verdict = decide(adapted(evidence.POLICY, exceptions=[exception("epsilon")]), guarantee=record)
    assert verdict.headline == "BLESSED WITH EXCEPTION"
    assert result(verdict, "epsilon").value == "infinite"
    assert result(verdict, "epsilon").status == "failed"


UNKNOWN: dict[str, dict[str, Any]] = {
    "no guarantee": {"guarantee": MISSING},
    "no evaluation": {"evaluation": MISSING},
    "no model": {"model_digest": MISSING},
    "no ledger": {"ledger": MISSING},
    "invalid signature": {"signatures": {**evidence.SIGNED, "evaluation": MISSING}},
    "aborted": {"ledger": run(state="ABORTED")},
    "overspent": {"ledger": run(charged=9_000)},
    "another model's guarantee": {"guarantee": evidence.charged_guarantee(model_digest=evidence.OTHER_DIGEST)},
    "other splits": {"evaluation": evidence.make_evaluation(member_splits=["eval"], nonmember_splits=["train"])},
    "the future": {"evaluation": evidence.make_evaluation(issued_at="2026-02-02T11:00:00+00:00")},
    "refused upstream": {"upstream_blessing": "blessed=0"},
    "partial": {"evaluation": evidence.make_evaluation(slice_features=["payment"])},
    "another dataset": {"guarantee": evidence.charged_guarantee(dataset_id="census")},
}  # fmt: skip


@pytest.mark.parametrize("parts", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_no_exception_stands_in_for_evidence_or_binds_it(parts: dict[str, Any]) -> None:
    policy = adapted(exceptions=[exception(rule) for rule in EXCUSED])
    assert not decide(policy, **parts).blessed


def poisoned(**bound: float) -> Any:
    rows = [
        row.model_copy(update={"auc": row.auc.model_copy(update=bound)}) if row.auc else row for row in evidence.rows()
    ]
    return evidence.make_evaluation().model_copy(update={"results": rows})


def edited(**changes: Any) -> Any:
    return evidence.make_guarantee().model_copy(update=changes)


NO_NUMBER: dict[str, tuple[str, dict[str, Any]]] = {
    "epsilon that is none": ("epsilon", {"guarantee": edited(epsilon_pld=math.nan)}),
    "epsilon that is infinite": (
        "epsilon",
        {"guarantee": edited(mechanism=evidence.mechanism().model_copy(update={"noise_multiplier": 0.0}))},
    ),
    "epsilon edited down": ("epsilon", {"guarantee": edited(epsilon_pld=0.1)}),
    "delta": ("delta", {"guarantee": edited(target_delta=math.nan)}),
    "time": ("freshness", {"guarantee": edited(issued_at="yesterday")}),
    "upper bound": ("attack_auc", {"evaluation": poisoned(high=math.nan)}),
    "both bounds": ("attack_auc", {"evaluation": poisoned(high=math.nan, low=math.nan)}),
    "an infinite bound": ("attack_auc", {"evaluation": poisoned(high=math.inf)}),
}


@pytest.mark.parametrize(("rule", "parts"), NO_NUMBER.values(), ids=NO_NUMBER.keys())
def test_an_exception_accepts_a_number_above_a_limit_and_not_one_that_nobody_knows(
    rule: str, parts: dict[str, Any]
) -> None:
    policy = adapted(evidence.POLICY, max_age_days=30.0, exceptions=[exception(name) for name in EXCUSED])
    verdict = gate.decide(evidence.make_evidence(**parts), policy, now=evidence.NOW)
    assert rule in {failure.rule for failure in verdict.failures}
    assert result(verdict, rule).exception is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("max_epsilon", "epsilon"),
        ("max_delta", "delta"),
        ("max_age_days", "freshness"),
        ("max_attack_auc", "attack_auc"),
    ],
)
def test_a_limit_that_is_no_number_refuses_and_excuses_nothing(name: str, rule: str) -> None:
    policy = adapted(evidence.POLICY, exceptions=[exception(each) for each in EXCUSED]).model_copy(
        update={name: math.nan}
    )
    assert rule in {failure.rule for failure in decide(policy).failures}


# --- the verdict
# ------------------------------------------------------------------------------------------------------------------


def test_a_verdict_names_what_it_rests_on_by_digest() -> None:
    document = json.loads(decide().to_json())
    assert document["model_digest"] == evidence.DIGEST
    assert document["policy_digest"] == evidence.CHARGED_POLICY.digest
    assert document["ledger_head"] == {
        "ledger_id": evidence.LEDGER_ID, "dataset_id": "taxi", "sequence": 9, "hash": evidence.HEAD_HASH,
    }  # fmt: skip
    rules = {rule["rule"]: rule["evidence"] for rule in document["rules"]}
    assert rules["ledger"] == {"guarantee": document["evidence"]["guarantee"], "ledger": evidence.HEAD_HASH}
    assert rules["attack_auc"] == {"evaluation": document["evidence"]["evaluation"]}
    assert rules["model_blessing"] == {}


def test_what_is_not_known_has_no_digest() -> None:
    document = json.loads(decide(guarantee=MISSING, model_digest=MISSING, ledger=MISSING).to_json())
    assert document["model_digest"] is None
    assert document["ledger_head"] is None
    assert set(document["evidence"]) == {"evaluation"}
    statuses = {rule["rule"]: rule["status"] for rule in document["rules"]}
    assert statuses["epsilon"] == statuses["model_digest"] == statuses["ledger"] == "unknown"
    assert statuses["attack_auc"] == "passed"


def test_an_unknown_rule_is_not_excused_by_an_exception_at_its_side() -> None:
    result = RuleResult(
        rule="epsilon", status="unknown", value="", limit="", explanation="", exception=exception("epsilon")
    )
    policy = evidence.POLICY.model_copy(update={"exceptions": [exception("epsilon")]})
    assert not result.holds
    with pytest.raises(ValueError, match="only what failed can be excused"):
        Verdict(rules=(result,), policy=policy, decided_at=evidence.NOW.isoformat(), model_digest=evidence.DIGEST)
