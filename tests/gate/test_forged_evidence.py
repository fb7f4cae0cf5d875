"""No forged, partial or malformed evidence is blessed, and each refusal names the rule that refuses."""

from __future__ import annotations

import functools

import evidence
import forgeries
import malformed
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import Record

SEED, COMBINATIONS = 20260102, 100
EXCUSABLE = ("epsilon", "delta", "attack_auc", "freshness", "guarantee_scope", "ledger", "signature")


@functools.cache
def made() -> list[forgeries.Forgery]:
    return forgeries.all_forgeries(SEED, COMBINATIONS)


def policy(expires: str) -> GatePolicy:
    exceptions = [PolicyException(rule=rule, approver="A", reason="R", expires=expires) for rule in EXCUSABLE]  # type: ignore[arg-type]
    return GatePolicy(**{**evidence.CHARGED_POLICY.model_dump(), "exceptions": exceptions})


def decide(forgery: forgeries.Forgery, limits: GatePolicy) -> Verdict:
    return gate.decide(forgery.evidence, limits, now=evidence.NOW)


def check_refused(forgery: forgeries.Forgery, limits: GatePolicy) -> None:
    verdict = decide(forgery, limits)
    assert verdict.blessed is False, forgery.name
    refusing = {rule.rule for rule in verdict.failures} & forgery.rules
    assert refusing, (forgery.name, verdict.message)
    assert all(f"{rule}: " in verdict.message for rule in refusing), forgery.name


def test_what_the_forgeries_are_made_of_is_blessed() -> None:
    """Otherwise nothing below could fail."""
    assert gate.decide(evidence.charged_evidence(), evidence.CHARGED_POLICY, now=evidence.NOW).headline == "BLESSED"


def test_there_are_at_least_500_different_ones() -> None:
    assert len({forgery.name for forgery in made()}) >= 500 + COMBINATIONS


def test_none_is_blessed_and_each_refusal_names_its_rule() -> None:
    for forgery in made():
        check_refused(forgery, evidence.CHARGED_POLICY)


# Every fourth one here, all of them in the long suite.
STEPS = [4, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("step", STEPS)
def test_exceptions_that_have_expired_bless_none(step: int) -> None:
    limits = policy("2026-01-01")
    for forgery in made()[::step]:
        check_refused(forgery, limits)


@pytest.mark.parametrize("step", STEPS)
def test_exceptions_that_hold_bless_only_what_an_exception_can_accept(step: int) -> None:
    limits = policy("2026-02-01")
    for forgery in made()[::step]:
        verdict = decide(forgery, limits)
        assert verdict.blessed is forgery.excusable, (forgery.name, verdict.message)
        assert verdict.headline == ("BLESSED WITH EXCEPTION" if forgery.excusable else "NOT BLESSED")
    assert any(forgery.excusable for forgery in made()[::step])


@pytest.mark.parametrize("part", ["guarantee", "evaluation"])
def test_malformed_records_are_refused(part: str) -> None:
    kinds: dict[str, type[Record]] = {"guarantee": PrivacyGuarantee, "evaluation": PrivacyEvaluation}
    kind, cases = kinds[part], malformed.GUARANTEES if part == "guarantee" else malformed.EVALUATIONS
    for name, (text, words) in cases.items():
        with pytest.raises((EvidenceError, ValueError)) as caught:
            kind.from_json(text)
        error = EvidenceError(str(caught.value))
        verdict = gate.decide(evidence.charged_evidence(**{part: error}), evidence.CHARGED_POLICY, now=evidence.NOW)
        assert not verdict.blessed, name
        assert words in verdict.message, (name, verdict.message)


def test_malformed_inputs_are_at_least_120() -> None:
    cases = (malformed.YAML, malformed.JSON, malformed.GUARANTEES, malformed.EVALUATIONS, malformed.LIMITS)
    assert sum(map(len, cases)) >= 120
