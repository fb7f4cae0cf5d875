"""What a base model and tuned hyperparameters add to a guarantee, and what the gate makes of it."""

import dataclasses
import math
from typing import Any

import evidence
import pytest

from tfx_privacy import DPParameters
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate import policy_file
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import RuleResult
from tfx_privacy.guarantee.base_model import (
    begin_from,
    check_composable,
    declared_public,
    scope_of,
)
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_of_this_run, recomputed_epsilon, stated_bounds
from tfx_privacy.guarantee.record import BaseModel, PrivacyGuarantee, ScopeItem, guarantee_digest
from tfx_privacy.guarantee.spending import Beside

OWN = evidence.mechanism()
BASE_DIGEST = evidence.OTHER_DIGEST
PRIVACY = DPParameters(noise_multiplier=1.8, target_delta=1e-5, sampling_probability=0.05, steps=400)
NOT_PRIVATE = {
    "no privacy": NoMechanism(steps=5),
    "test noise": evidence.mechanism(noise_source="deterministic_test"),
}


def events(*trainings: DPMechanism | NoMechanism) -> list[Any]:
    return [each.event for each in trainings if isinstance(each, DPMechanism)]


def base_guarantee(executed: DPMechanism | NoMechanism | None = None, **changes: Any) -> PrivacyGuarantee:
    executed = executed or evidence.mechanism(steps=100, noise_multiplier=2.0, sampling_probability=0.02)
    return evidence.make_guarantee(executed, **{"model_digest": BASE_DIGEST, "run_id": "2" * 32, **changes})


def base(record: PrivacyGuarantee | None = None, signed_by: str | None = None) -> BaseModel:
    return begin_from([(record or base_guarantee(), signed_by)], BASE_DIGEST)


def warm(base_model: BaseModel, **changes: Any) -> PrivacyGuarantee:
    """As DPTrainer states it."""
    bounds = stated_bounds(
        changes.pop("executed", OWN),
        1e-5,
        beside=Beside(base_model=base_model, neighboring_relation="ADD_OR_REMOVE_ONE", privacy_unit="example"),
    )
    stated = {"epsilon_pld": bounds.pld, "epsilon_rdp": bounds.rdp}
    return evidence.make_guarantee(OWN, **{"base_model": base_model, **stated, **changes})


def rule(name: str, record: PrivacyGuarantee, limits: GatePolicy = evidence.POLICY) -> RuleResult:
    verdict = decide(evidence.make_evidence(guarantee=record), limits, now=evidence.NOW)
    (found,) = (each for each in verdict.rules if each.rule == name)
    return found


def test_both_trainings_are_added_up() -> None:
    record = warm(base())
    together = evidence.bounds_together(events(*base().trainings, OWN), target_delta=1e-5)
    alone = recomputed_epsilon(evidence.make_guarantee())
    assert recomputed_epsilon(record) == record.stated_epsilon == together.best
    assert alone < together.best < alone + base_guarantee().stated_epsilon
    assert epsilon_of_this_run(record) == alone


def test_of_one_mechanism_twice_it_is_a_run_twice_as_long() -> None:
    """An oracle that knows nothing of base models."""
    record = warm(base(base_guarantee(OWN)))
    longer = epsilon_bounds(OWN.event_of(steps=800, passes=None), target_delta=1e-5)
    assert longer.best <= record.stated_epsilon <= longer.best * 1.002


def test_the_gate_holds_both_together_against_the_limit() -> None:
    record = warm(base())
    alone = recomputed_epsilon(evidence.make_guarantee())
    between = (alone + record.stated_epsilon) / 2
    limits = GatePolicy(max_epsilon=between, max_delta=1e-5, max_attack_auc=0.6)
    assert rule("epsilon", evidence.make_guarantee(), limits).passed
    assert not rule("epsilon", record, limits).passed
    assert decide(evidence.make_evidence(guarantee=record), evidence.POLICY, now=evidence.NOW).blessed


def test_a_guarantee_that_leaves_the_base_model_out_of_epsilon_is_refused() -> None:
    alone = evidence.make_guarantee()
    forged = warm(base(), epsilon_pld=alone.epsilon_pld, epsilon_rdp=alone.epsilon_rdp)
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        recomputed_epsilon(forged)
    assert not rule("epsilon", forged).passed


@pytest.mark.parametrize("executed", NOT_PRIVATE.values(), ids=NOT_PRIVATE.keys())
def test_a_base_model_without_privacy_leaves_nothing(executed: Any) -> None:
    begun = base(base_guarantee(executed))
    assert begun.epsilon == "inf"
    record = warm(begun)
    assert record.epsilon_rdp == "inf"
    lowered = warm(begun, epsilon_pld=0.5, epsilon_rdp=0.5)
    assert recomputed_epsilon(record) == recomputed_epsilon(lowered) == math.inf
    assert not rule("epsilon", lowered).passed
    with pytest.raises(ParameterError, match="trained without differential privacy"):
        check_composable(begun, PRIVACY)
    # Whoever asks for no privacy gets none, and is told so by the guarantee.
    check_composable(begun, DPParameters(enabled=False, target_delta=1e-5, sampling_probability=0.1, steps=4))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"privacy_unit": "user", "max_records_per_user": 2}, "privacy_unit"),
        ({"neighboring_relation": "REPLACE_SPECIAL"}, "neighboring_relation"),
    ],
)
def test_trainings_on_other_terms_cannot_be_added_up(changes: dict[str, Any], name: str) -> None:
    executed = None
    if name == "neighboring_relation":
        executed = evidence.mechanism(sampling="shuffled", passes=[20] * 20, kind="dp_ftrl")
    begun = base(base_guarantee(executed, **changes))
    with pytest.raises(ParameterError, match=f"guarantee is for {name}"):
        check_composable(begun, PRIVACY)
    assert recomputed_epsilon(warm(begun, epsilon_pld=0.5, epsilon_rdp=0.5)) == math.inf


USERS: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 2}


@pytest.mark.parametrize("key", ["trip_id", None])
def test_trainings_for_other_users_cannot_be_added_up(key: str | None) -> None:
    """Nor for users of whom an older guarantee does not say how they were told apart."""
    asked = dataclasses.replace(PRIVACY, **USERS, user_id_key="taxi_id")
    begun = base(base_guarantee(**USERS, user_id_key=key))
    assert begun.user_id_key == key
    with pytest.raises(ParameterError, match=f"users by user_id_key={key!r}, this training for users by 'taxi_id'"):
        check_composable(begun, asked)
    own = {**USERS, "user_id_key": "taxi_id"}
    assert recomputed_epsilon(warm(begun, **own, epsilon_pld=0.5, epsilon_rdp=0.5)) == math.inf
    same = base(base_guarantee(**own))
    check_composable(same, asked)
    together = evidence.bounds_together(events(*same.trainings, OWN), target_delta=1e-5)
    assert recomputed_epsilon(warm(same, **own, epsilon_pld=together.pld, epsilon_rdp=together.rdp)) == together.best


def test_a_training_that_contradicts_its_stated_relation_counts_for_nothing() -> None:
    passes = evidence.mechanism(sampling="shuffled", passes=[20] * 20)
    forged = base().model_copy(update={"trainings": [passes]})
    assert recomputed_epsilon(warm(forged, epsilon_pld=0.5, epsilon_rdp=0.5)) == math.inf


def test_a_chain_of_base_models_counts_in_full() -> None:
    first = warm(base(), model_digest=BASE_DIGEST, run_id="3" * 32)
    second = base(first)
    assert second.trainings == [*base().trainings, OWN]
    assert second.epsilon == first.stated_epsilon
    three = evidence.bounds_together(events(*second.trainings, OWN), target_delta=1e-5)
    assert recomputed_epsilon(warm(second)) == three.best


def test_a_public_base_model_costs_nothing_and_is_named() -> None:
    begun = declared_public(BASE_DIGEST)
    record = warm(begun, scope=scope_of(begun, None))
    assert recomputed_epsilon(record) == recomputed_epsilon(evidence.make_guarantee())
    assert "declared public" in record.statement
    found = rule("guarantee_scope", record)
    assert found.passed
    assert "base_model_is_public" in found.explanation


def test_the_statement_says_what_came_from_where() -> None:
    statement = warm(base()).statement
    own = epsilon_of_this_run(warm(base()))
    assert f"guarantee states epsilon={math.ceil(base_guarantee().stated_epsilon * 1e4) / 1e4:.4f}" in statement
    assert f"of this one alone it would be {math.ceil(own * 1e4) / 1e4:.4f}" in statement
    assert BASE_DIGEST[:19] in statement


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "0 of 0"),
        ([evidence.make_guarantee()], "0 of 1"),
        ([base_guarantee(), base_guarantee(run_id="4" * 32)], "2 of 2"),
    ],
    ids=["none", "another model's", "two"],
)
def test_exactly_one_guarantee_is_of_the_base_model(records: list[PrivacyGuarantee], message: str) -> None:
    with pytest.raises(EvidenceError, match=f"Expected exactly one guarantee.*{message}"):
        begin_from([(record, None) for record in records], BASE_DIGEST)


def test_of_several_guarantees_the_one_of_the_model_counts() -> None:
    begun = begin_from([(evidence.make_guarantee(), None), (base_guarantee(), "key")], BASE_DIGEST)
    assert (begun.run_id, begun.signed_by) == ("2" * 32, "key")


def test_a_base_guarantee_that_states_too_little_is_refused() -> None:
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        base(base_guarantee(epsilon_pld=0.01))


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "public"},
        {"trainings": []},
        {"epsilon": None},
        {"guarantee_digest": None},
        {"privacy_unit": None},
        {"surprise": 1},
    ],
    ids=str,
)
def test_base_models_that_do_not_fit_the_schema(changes: dict[str, Any]) -> None:
    fields = base().model_dump()
    BaseModel(**fields)
    with pytest.raises(ValueError, match=r"base model|surprise"):
        BaseModel(**{**fields, **changes})


def test_reference_models_do_not_begin_from_private_records() -> None:
    fields = evidence.with_references().model_dump(exclude={"ledger", "dataset_id"})
    PrivacyGuarantee(**{**fields, "base_model": declared_public(BASE_DIGEST)})
    with pytest.raises(ValueError, match="reference models must not have seen"):
        PrivacyGuarantee(**{**fields, "base_model": base()})


def test_the_ledger_keeps_what_training_began_from() -> None:
    """Taking the base model out of the file changes what the ledger has a digest of; guarantees without one keep theirs."""
    record = warm(base())
    assert guarantee_digest(record) != guarantee_digest(record.model_copy(update={"base_model": None}))
    assert guarantee_digest(evidence.make_guarantee()) == guarantee_digest(
        PrivacyGuarantee.from_json(evidence.make_guarantee().to_json())
    )
    charged = evidence.charged_guarantee(**_charged_parts())
    run = evidence.ledger_run(charged)
    stripped = charged.model_copy(update={"base_model": None})
    found = decide(evidence.charged_evidence(guarantee=stripped, ledger=run), evidence.CHARGED_POLICY, now=evidence.NOW)
    assert "guarantee_digest" in found.message


def _charged_parts(**changes: Any) -> dict[str, Any]:
    """Of a charged guarantee that began from a private base model, in the same ledger and signed."""
    fields = {**base().model_dump(), "ledger_id": evidence.LEDGER_ID, "signed_by": "team-key", **changes}
    record = warm(BaseModel(**fields))
    return {"base_model": record.base_model, "epsilon_pld": record.epsilon_pld, "epsilon_rdp": record.epsilon_rdp}


def _charged(rule_name: str, **changes: Any) -> RuleResult:
    record = evidence.charged_guarantee(**_charged_parts(**changes))
    verdict = decide(evidence.charged_evidence(guarantee=record), evidence.CHARGED_POLICY, now=evidence.NOW)
    (found,) = (each for each in verdict.rules if each.rule == rule_name)
    assert verdict.blessed == (found.passed is True)
    return found


def test_a_charged_and_signed_chain_is_blessed() -> None:
    assert _charged("ledger").passed
    assert _charged("signature").passed


@pytest.mark.parametrize("ledger_id", [None, "f" * 32], ids=["no ledger", "another one"])
def test_a_base_model_whose_training_this_ledger_does_not_know(ledger_id: str | None) -> None:
    found = _charged("ledger", ledger_id=ledger_id)
    assert found.passed is False
    assert "the dataset has spent does not count it" in found.explanation


def test_an_unsigned_base_guarantee_is_no_signed_evidence() -> None:
    found = _charged("signature", signed_by=None)
    assert found.passed is False
    assert "base model's guarantee" in found.explanation


UNCOVERED = {
    name: ScopeItem(artifact=name, covered=False, detail=f"{name} read the data")
    for name in ("transform_graph", "schema", "hyperparameters", "base_model")
}
ALLOWANCES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "preprocessing": ({"allow_non_dp_preprocessing": True}, {"transform_graph", "schema"}),
    "tuning": ({"allow_non_dp_tuning": True}, {"hyperparameters"}),
    "both": (
        {"allow_non_dp_preprocessing": True, "allow_non_dp_tuning": True},
        {"transform_graph", "schema", "hyperparameters"},
    ),
}


@pytest.mark.parametrize(("allowances", "allowed"), ALLOWANCES.values(), ids=ALLOWANCES.keys())
@pytest.mark.parametrize("name", UNCOVERED)
def test_each_allowance_is_for_its_own_kind(allowances: dict[str, Any], allowed: set[str], name: str) -> None:
    limits = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, **allowances)
    found = rule("guarantee_scope", evidence.make_guarantee(scope=[UNCOVERED[name]]), limits)
    assert found.passed is (name in allowed)
    assert name in found.value
    other = evidence.make_guarantee(scope=[UNCOVERED[name], UNCOVERED["base_model"]])
    assert not rule("guarantee_scope", other, limits).passed


def test_refused_hyperparameters_name_the_ways_out() -> None:
    found = rule("guarantee_scope", evidence.make_guarantee(scope=[UNCOVERED["hyperparameters"]]))
    assert "hyperparameters_are_public" in found.explanation
    assert "allow_non_dp_tuning" in found.explanation
    assert "preprocessing_fn" not in found.explanation


def test_what_a_base_model_was_not_covered_for_is_inherited() -> None:
    record = base_guarantee(
        scope=[UNCOVERED["transform_graph"], ScopeItem(artifact="schema", covered=True, detail="x")]
    )
    items = scope_of(base(record), record)
    assert [(item.artifact, item.covered) for item in items] == [("base_model", True), ("transform_graph", False)]
    assert items[1].detail == "Of the base model: transform_graph read the data"


@pytest.mark.parametrize("value", ["yes", 1, 0.0, None])
def test_the_allowance_is_a_boolean(value: Any) -> None:
    with pytest.raises(ParameterError, match="allow_non_dp_tuning"):
        GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, allow_non_dp_tuning=value)


def test_a_policy_file_can_allow_tuning() -> None:
    text = "schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-6\nmax_attack_auc: 0.6\nallow_non_dp_tuning: true\n"
    assert policy_file.loads(text, kind="yaml").allow_non_dp_tuning is True
