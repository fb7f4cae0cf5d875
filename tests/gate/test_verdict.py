"""The one model of a verdict: what follows from its rules is never believed, only recomputed."""

import collections
import datetime
import json
import sys
from collections.abc import Callable
from typing import Any

import evidence
import pydantic
import pytest

from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import verdict_file
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import PolicyException
from tfx_privacy.gate.verdict import RULES, RuleResult, Verdict
from tfx_privacy.records import statement, strict_json
from tfx_privacy.reporting.build import build

EXCEPTION = PolicyException(
    rule="epsilon", approver="Grace Hopper", reason="Pilot", expires="2026-01-31T00:00:00+00:00"
)
Document = dict[str, Any]


def verdict(max_epsilon: float = 3.0, *exceptions: PolicyException, **changes: Any) -> Verdict:
    policy = evidence.POLICY.model_copy(update={"max_epsilon": max_epsilon, "exceptions": list(exceptions)})
    return decide(evidence.make_evidence(**changes), policy, now=evidence.NOW)


VERDICTS = {
    "blessed": verdict(),
    "refused": verdict(0.1),
    "blessed with exception": verdict(0.1, EXCEPTION),
    "unknown": verdict(evaluation=EvidenceError("There is no file.")),
    "no model": verdict(model_digest=EvidenceError("There is no file to take a digest of.")),
}


@pytest.mark.parametrize("made", VERDICTS.values(), ids=VERDICTS.keys())
def test_a_verdict_is_read_as_it_was_written(made: Verdict) -> None:
    read = statement.from_json(Verdict, statement.to_json(made))
    assert read == made
    for name in ("blessed", "headline", "message", "failures", "excused", "exceptions_used", "policy_digest"):
        assert getattr(read, name) == getattr(made, name)
    with pytest.raises(pydantic.ValidationError):
        read.rules = ()


def test_the_headlines() -> None:
    assert [made.headline for made in VERDICTS.values()] == [
        "BLESSED", "NOT BLESSED", "BLESSED WITH EXCEPTION", "NOT BLESSED", "NOT BLESSED",
    ]  # fmt: skip
    assert [made.blessed for made in VERDICTS.values()] == [True, False, True, False, False]


def _rule(document: Document, name: str = "epsilon") -> Document:
    (found,) = [rule for rule in document["rules"] if rule["rule"] == name]
    return found


def _turned(document: Document) -> None:
    document.update(blessed=True, headline="BLESSED", message="Blessed: all is well.")


REFUSED: dict[str, tuple[Callable[[Document], object], str]] = {
    "blessed": (lambda d: d.update(blessed=True), "blessed=True does not follow"),
    "turned with its words": (_turned, "does not follow"),
    "blessed is 0": (lambda d: d.update(blessed=0), "blessed=0 does not follow"),
    "blessed is text": (lambda d: d.update(blessed="false"), "does not follow"),
    "blessed is gone": (lambda d: d.pop("blessed"), "blessed is missing"),
    "message is gone": (lambda d: d.pop("message"), "message is missing"),
    "message": (lambda d: d.update(message="Not blessed: nothing to see."), "message='Not blessed"),
    "headline": (lambda d: d.update(headline="BLESSED"), "headline='BLESSED' does not follow"),
    "a digest of another policy": (lambda d: d.update(policy_digest=evidence.DIGEST), "policy_digest="),
    "another policy": (lambda d: d["policy"].update(max_epsilon=99.0), "policy_digest="),
    "an exception that nobody used": (lambda d: d.update(exceptions_used=[{}]), "exceptions_used="),
    "a rule that passed": (lambda d: _rule(d).update(passed=True), "passed=True does not follow"),
    "a rule that is excused": (lambda d: _rule(d).update(excused=True), "excused=True does not follow"),
    "a status": (lambda d: _rule(d).update(status="passed"), "passed=False does not follow"),
    "an unknown status": (lambda d: _rule(d).update(status="fine", passed=True), "status"),
    "status and passed": (lambda d: _rule(d).update(status="passed", passed=True), "does not follow"),
    "the rule is gone": (lambda d: d["rules"].remove(_rule(d)), "does not follow"),
    "an exception at its side": (
        lambda d: _rule(d).update(exception=EXCEPTION.model_dump(mode="json"), excused=True), "does not follow",
    ),
    "another model digest": (lambda d: d.update(model_digest="sha256:"), "model_digest"),
    "no time": (lambda d: d.update(decided_at=None), "decided_at"),
    "an unknown field": (lambda d: d.update(note="trust me"), "note"),
    "an unknown field of a rule": (lambda d: _rule(d).update(note="trust me"), "note"),
    "no version": (lambda d: d.pop("schema_version"), "schema_version is missing"),
    "no version of the policy": (lambda d: d["policy"].pop("schema_version"), "policy.schema_version is missing"),
    "rules are gone": (lambda d: d.pop("rules"), "rules"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_verdict_is_held_against_its_rules(change: Callable[[Document], object], message: str) -> None:
    document = json.loads(verdict(0.1).to_json())
    change(document)
    with pytest.raises(EvidenceError, match=message):
        Verdict.from_json(json.dumps(document))


def test_no_rule_is_no_blessing() -> None:
    made = Verdict(rules=(), policy=evidence.POLICY, decided_at="", model_digest=evidence.DIGEST)
    assert made.blessed is False
    assert made.headline == "NOT BLESSED"
    document = json.loads(made.to_json()) | {"blessed": True, "headline": "BLESSED", "message": "Blessed: "}
    with pytest.raises(EvidenceError, match="blessed=True does not follow"):
        Verdict.from_json(json.dumps(document))


def test_a_model_without_a_digest_cannot_be_blessed() -> None:
    with pytest.raises(ValueError, match="a model without a digest is blessed"):
        Verdict(rules=evidence.rule_results(), policy=evidence.POLICY, decided_at="")


@pytest.mark.parametrize("name", RULES)
def test_a_verdict_that_lacks_a_rule_blesses_nothing(name: str) -> None:
    """Else whoever can write the file would take out the rule that refused."""
    document = json.loads(verdict().to_json())
    document["rules"] = [rule for rule in document["rules"] if rule["rule"] != name]
    with pytest.raises(EvidenceError, match="blessed=True does not follow"):
        Verdict.from_json(json.dumps(document))
    made = verdict().model_copy(update={"rules": [rule for rule in verdict().rules if rule.rule != name]})
    assert made.blessed is False
    assert f"{name}: The verdict says nothing of this rule." in made.message


def test_the_gate_holds_exactly_the_rules_that_a_verdict_must_have() -> None:
    assert tuple(rule.rule for rule in verdict().rules) == RULES


def test_a_rule_that_the_gate_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="the gate has no rule 'trust'"):
        Verdict(rules=evidence.rule_results(rule(rule="trust")), policy=evidence.POLICY, decided_at="")


def rule(**changes: Any) -> RuleResult:
    values: dict[str, Any] = {"rule": "epsilon", "status": "passed", "value": "", "limit": "", "explanation": "Fine."}
    return RuleResult(**{**values, **changes})


def test_a_rule_that_is_there_twice_is_refused() -> None:
    """The first one found would speak for both."""
    with pytest.raises(ValueError, match="a rule is there twice"):
        Verdict(
            rules=(rule(), rule(status="failed")), policy=evidence.POLICY, decided_at="", model_digest=evidence.DIGEST
        )


def test_an_exception_is_one_of_the_policy() -> None:
    """Else a verdict would be excused by what nobody wrote, and all that follows from its rules would follow."""
    excused = rule(status="failed", exception=EXCEPTION)
    values: dict[str, Any] = {
        "rules": evidence.rule_results(excused),
        "decided_at": evidence.NOW.isoformat(),
        "model_digest": evidence.DIGEST,
    }
    policy = evidence.POLICY.model_copy(update={"exceptions": [EXCEPTION]})
    assert Verdict(**values, policy=policy).headline == "BLESSED WITH EXCEPTION"
    with pytest.raises(ValueError, match="excused by an exception that the policy does not have"):
        Verdict(**values, policy=evidence.POLICY)


@pytest.mark.parametrize(
    ("result", "changes", "message"),
    [
        ({"status": "passed"}, {}, "only what failed"),
        ({"status": "unknown"}, {}, "only what failed"),
        ({"rule": "model_digest"}, {}, "model_digest is excused by an exception for epsilon"),
        ({}, {"expires": evidence.NOW.isoformat()}, "it expired"),
        ({}, {"expires": "2099-01-01"}, "more than 366 days"),
        ({}, {"model_digest": "sha256:" + "0" * 64}, "another model"),
    ],
)
def test_an_exception_excuses_what_it_is_for(result: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    exception = PolicyException(**{**EXCEPTION.model_dump(), **changes})
    policy = evidence.POLICY.model_copy(update={"exceptions": [exception]})
    with pytest.raises(ValueError, match=message):
        Verdict(
            rules=(rule(**{"status": "failed", "exception": exception, **result}),),
            policy=policy,
            decided_at=evidence.NOW.isoformat(),
            model_digest=evidence.DIGEST,
        )


@pytest.mark.parametrize("status", ["failed", "unknown"])
def test_what_is_not_known_to_pass_does_not_hold(status: Any) -> None:
    assert not rule(status=status).holds
    assert not rule(status=status).passed
    assert rule(status=status, exception=EXCEPTION).holds is (status == "failed")


def refusal(found: Verdict, hours: float = 1.0, digest: str = evidence.DIGEST) -> str | None:
    now = evidence.NOW + datetime.timedelta(hours=hours)
    return verdict_file.refusal(found, model_digest=digest, now=now, max_age=datetime.timedelta(hours=24))


def test_a_fresh_verdict_of_this_model_lets_it_pass() -> None:
    assert refusal(verdict()) is None
    assert refusal(verdict(), hours=24.0) is None
    assert refusal(verdict(), hours=-0.08) is None
    assert refusal(verdict(0.1, EXCEPTION)) is None


def test_an_old_verdict_and_one_of_the_future_are_refused() -> None:
    assert "older than 1 day" in (refusal(verdict(), hours=24.001) or "")
    assert "in the future" in (refusal(verdict(), hours=-0.09) or "")
    with pytest.raises(EvidenceError, match="no time zone"):
        refusal(verdict().model_copy(update={"decided_at": "2026-01-02T12:00:00"}))


def test_a_verdict_that_is_not_about_this_model_is_false_evidence() -> None:
    with pytest.raises(EvidenceError, match="another one"):
        refusal(verdict(), digest=evidence.OTHER_DIGEST)
    with pytest.raises(EvidenceError, match="another one"):
        refusal(verdict().model_copy(update={"model_digest": None}))
    for name in ("refused", "unknown", "no model"):
        with pytest.raises(EvidenceError, match="says yes, but its verdict.json does not"):
            refusal(VERDICTS[name])


def test_one_verdict_serves_the_gate_the_report_and_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parsed again, and nothing is worded twice, on the way through one process."""
    whole = evidence.charged_evidence()
    calls = collections.Counter[str]()

    def counted(module: Any, name: str) -> None:
        call = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kwargs: calls.update([name]) or call(*args, **kwargs))

    counted(strict_json, "loads")
    counted(sys.modules[build.__module__], "write_statement")
    made = decide(whole, evidence.CHARGED_POLICY, now=evidence.NOW)
    facts = build(made, whole)
    assert facts.verdict is made
    facts.to_json()
    statement.to_json(made)
    assert calls == {"write_statement": 1}


def refusal_under(made: Verdict, policy_digest: str | None) -> str | None:
    age = datetime.timedelta(hours=1)
    return verdict_file.refusal(
        made, model_digest=evidence.DIGEST, now=evidence.NOW, max_age=age, policy_digest=policy_digest
    )


def test_a_verdict_under_another_policy_than_was_agreed_on_lets_nothing_pass() -> None:
    agreed, other = verdict(), verdict(2.9)
    assert agreed.blessed
    assert other.blessed
    assert refusal_under(agreed, agreed.policy_digest) is None
    assert refusal_under(other, None) is None
    for wanted in (agreed.policy_digest, other.policy_digest.upper(), "", other.policy_digest[7:]):
        assert f"policy_digest demands {wanted}" in str(refusal_under(other, wanted))
