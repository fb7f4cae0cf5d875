"""The report in four plain sentences: each against the evidence that it is about."""

import re
from typing import Any

import evaluations
import evidence
import pytest

from tfx_privacy.attacks.served import ServedOutput, ServedSignature
from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import ScopeItem
from tfx_privacy.reporting import plain

NOTHING = EvidenceError("It is not there.")
GRAPH = ScopeItem(
    artifact="transform_graph",
    covered=False,
    detail="It holds results of analyzers.",
    vocabularies=["company", "dropoff", "pickup"],
    num_constants=34,
)


def said(whole: Evidence | None = None, policy: GatePolicy = evidence.CHARGED_POLICY, **parts: Any) -> dict[str, str]:
    whole = whole or evidence.charged_evidence(**parts)
    verdict = decide(whole, policy, now=evidence.NOW)
    known = [
        None if isinstance(part, EvidenceError) else part for part in (whole.guarantee, whole.evaluation, whole.ledger)
    ]
    found = plain.sentences(verdict, whole, *known)  # type: ignore[arg-type]
    return {sentence.about: sentence.text for sentence in found}


def test_four_sentences_say_promise_attacks_waivers_and_budget() -> None:
    found = said()
    assert list(found) == ["Promise", "Attacks", "Waived", "Budget"]
    assert found["Promise"] == (
        "epsilon = 2.5890 at delta = 1e-05 covers the training, with one example (record) as privacy unit."
    )
    assert found["Waived"] == "Nothing was waived: no exception and no allowance of the policy was used."
    assert found["Budget"] == renyi_filter.explained(2_000, 8_000, spent_epsilon=4.5, budget_epsilon=8.0)
    for text in found.values():
        assert text.endswith(".")
        # One sentence: a full stop inside it is of a number.
        assert not re.search(r"\. [A-Z]", text)


def test_nothing_is_promised_that_was_not_established_or_is_infinite() -> None:
    wrong = evidence.charged_guarantee().model_copy(update={"epsilon_pld": 0.125, "epsilon_rdp": 0.125})
    assert said(guarantee=wrong)["Promise"] == "Nothing is promised that the gate could establish."
    assert said(guarantee=NOTHING)["Promise"] == "Nothing is promised that the gate could establish."
    assert said(model_digest="sha256:" + "9" * 64)["Promise"] == "Nothing is promised that the gate could establish."
    forged = said(signatures={"guarantee": EvidenceError("forged"), "evaluation": EvidenceError("forged")})
    assert forged["Promise"] == "Nothing is promised that the gate could establish."
    without = evidence.make_guarantee(NoMechanism(steps=10))
    assert "0.125" not in " ".join(said(guarantee=wrong).values())
    assert said(guarantee=without)["Promise"].startswith("Nothing is promised: epsilon is infinite")


def attacked(*p_values: float | None, **changes: Any) -> str:
    rows = evidence.rows()
    judged = [index for index, row in enumerate(rows) if row.status == "OK" and row.attack != "blind"]
    for index, p_value in zip(judged, p_values, strict=False):
        rows[index] = rows[index].model_copy(update={"adjusted_p_value": p_value})
    return said(evaluation=evidence.make_evaluation(rows, **changes))["Attacks"]


def test_whether_an_attack_beats_chance_is_what_the_gate_says() -> None:
    assert attacked(0.5, 1.0, 0.06) == "None of 3 attacks on slices beats chance after correction for all of them."
    one = attacked(0.01, 1.0)
    assert one.startswith(
        "1 of 2 attacks on slices beats chance after correction for all of them: loss on all records ("
    )
    assert "10000 members, 5000 others" in one
    assert attacked(0.04, 0.001).startswith(
        "2 of 2 attacks on slices beat chance after correction for all of them, most"
    )
    for text in (attacked(), said(evaluation=NOTHING)["Attacks"]):
        assert text == "Whether any attack beats chance is not known: none could be judged."


def test_no_leak_is_hidden_by_an_auc_of_chance() -> None:
    leaking = attacked(1.0, findings=evaluations.findings())
    assert leaking.startswith("None of 1 attacks on slices beats chance")
    assert leaking.endswith("; 2 of 2 estimates of other attacks show a leak.")
    harmless = [row.model_copy(update={"low": row.harmless}) for row in evaluations.findings()[:2]]
    assert "leak" not in attacked(1.0, findings=harmless)


ALLOWED: dict[str, tuple[dict[str, Any], str]] = {
    "allow_non_dp_preprocessing": (
        {"scope": [GRAPH]},
        "3 vocabularies and 34 constants (company, dropoff, pickup), computed from the data without privacy",
    ),
    "allow_non_dp_tuning": (
        {"scope": [ScopeItem(artifact="hyperparameters", covered=False, detail="A Tuner chose them.")]},
        "hyperparameters (A Tuner chose them)",
    ),
    "allow_declared_record_wise": ({"declared_record_wise": ["model.Gate"]}, "the author's word for model.Gate"),
}


def test_every_allowance_of_the_policy_is_told_by_name() -> None:
    """A new one must be told as well, or the page says that nothing was waived."""
    assert {name for name in GatePolicy.model_fields if name.startswith("allow_")} == set(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_an_allowance_let_through_is_named_and_counted(name: str) -> None:
    changes, expected = ALLOWED[name]
    record = evidence.charged_guarantee(**changes)
    policy = evidence.CHARGED_POLICY.model_copy(update={name: True})
    text = said(policy=policy, guarantee=record)["Waived"]
    assert text.startswith(f"Waived: {name}: ")
    assert expected in text
    # What was refused was not waived, and what was not needed neither.
    assert said(guarantee=record)["Waived"].startswith("Nothing was waived")
    assert said(policy=policy)["Waived"].startswith("Nothing was waived")


def test_a_few_vocabularies_and_constants_are_counted_as_people_count() -> None:
    assert GRAPH.held == "3 vocabularies and 34 constants"
    assert GRAPH.model_copy(update={"vocabularies": ["a"], "num_constants": 1}).held == "1 vocabulary and 1 constant"
    assert GRAPH.model_copy(update={"vocabularies": []}).held == "34 constants"
    many = GRAPH.model_copy(update={"vocabularies": [f"v{index}" for index in range(20)]})
    policy = evidence.CHARGED_POLICY.model_copy(update={"allow_non_dp_preprocessing": True})
    text = said(policy=policy, guarantee=evidence.charged_guarantee(scope=[many]))["Waived"]
    assert "20 vocabularies and 34 constants (v0, v1, v2, v3, v4, v5, v6, v7 and 12 more)" in text


def test_outputs_and_exceptions_that_were_accepted_are_waived() -> None:
    unseen = ServedSignature(
        name="embed", inputs=[], outputs=[ServedOutput(name="vector", dtype="float32", shape="(None, 8)", standing="unattacked")]
    )  # fmt: skip
    found = evidence.make_evaluation(served=[*evaluations.served_signatures("outputs"), unseen])
    policy = evidence.CHARGED_POLICY.model_copy(update={"unattacked_outputs": ["embed/vector"]})
    assert said(policy=policy, evaluation=found)["Waived"] == (
        "Waived: unattacked_outputs: embed/vector, which no attack saw."
    )
    assert said(evaluation=found)["Waived"].startswith("Nothing was waived")
    exception = PolicyException(rule="guarantee_scope", approver="Ada", reason="known", expires="2026-02-01")
    excusing = evidence.CHARGED_POLICY.model_copy(update={"exceptions": [exception]})
    text = said(policy=excusing, guarantee=evidence.charged_guarantee(scope=[GRAPH]))["Waived"]
    assert text.startswith(
        "Waived: the rule guarantee_scope, by Ada until 2026-02-01, for 3 vocabularies and 34 constants"
    )
    assert said(evaluation=NOTHING)["Waived"] == (
        "What was waived is not known, as a part of the evidence could not be read."
    )


def test_a_budget_that_was_not_read_is_not_known() -> None:
    assert said(ledger=None)["Budget"].startswith("No ledger was read")
    assert said(ledger=NOTHING)["Budget"] == "What is left of the budget is not known: It is not there."


def test_a_looser_limit_of_a_slice_is_a_waiver_where_it_is_needed() -> None:
    loose = {"slice_limits": [{"feature": "class", "max_attack_auc": 1.0}]}
    policy = GatePolicy.from_value({**evidence.CHARGED_POLICY.model_dump(mode="json"), **loose, "max_attack_auc": 0.51})
    assert "slice_limits: limits above max_attack_auc=0.51 for class=" in said(policy=policy)["Waived"]
    few = evidence.row(feature="class", value="few", status="INSUFFICIENT", reason="Too few records.", auc=None)
    with_few = evidence.make_evaluation([*evidence.rows(), few])
    assert "class=few" not in said(policy=policy, evaluation=with_few)["Waived"]
    high = GatePolicy.from_value({**evidence.CHARGED_POLICY.model_dump(mode="json"), **loose, "max_attack_auc": 0.99})
    assert "slice_limits" not in said(policy=high)["Waived"]
