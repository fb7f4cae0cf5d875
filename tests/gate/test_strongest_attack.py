"""The strongest attack is one choice, which the gate, the report and ML Metadata quote."""

from __future__ import annotations

import evidence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_privacy.attacks.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate.attack_limit import Standing
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy, SliceLimit
from tfx_privacy.gate.slice_limits import SliceLimits
from tfx_privacy.reporting.build import build

RARE = evidence.row(feature="payment", value="rare", auc=(0.55, 0.40, 0.69), members=120)
LEAKING_RARE = evidence.row(feature="payment", value="rare", auc=(0.93, 0.88, 0.97), members=120)
LARGE = evidence.row(feature="payment", value="cash", auc=(0.56, 0.54, 0.58), members=4_000)
# Its estimate is below that of LARGE, its upper bound above.
WIDER = evidence.row(feature="payment", value="cheque", auc=(0.555, 0.525, 0.585), members=4_000)


def quoted(record: PrivacyEvaluation, policy: GatePolicy = evidence.POLICY) -> tuple[str, str]:
    """What the gate and the report quote."""
    whole = evidence.make_evidence(evaluation=record)
    verdict = decide(whole, policy, now=evidence.NOW)
    facts = build(verdict, whole)
    assert facts.strongest_attack is not None
    value = next(rule.value for rule in verdict.rules if rule.rule == "attack_auc")
    return value.partition("), ")[2], facts.strongest_attack.row.slice_name


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([RARE], "all records"),
        ([LEAKING_RARE], "payment=rare"),
        ([RARE, LARGE], "payment=cash"),
        ([LARGE, WIDER], "payment=cheque"),
    ],
    ids=[
        "a small slice that tells nothing",
        "a small slice that leaks for certain",
        "a large slice",
        "a wider interval",
    ],
)
def test_a_small_slice_is_the_strongest_only_where_its_leak_is_certain(rows: list[AttackResult], expected: str) -> None:
    record = evidence.make_evaluation([*evidence.rows(), *rows])
    assert quoted(record) == (expected, expected)


@pytest.mark.parametrize("max_attack_auc", [0.525, 0.6, 0.7])
@pytest.mark.parametrize(("limit", "expected"), [(None, "payment=cash"), (0.53, "payment=cash"), (0.9, "all records")])
def test_it_is_the_one_nearest_to_its_own_limit_or_beyond_it(
    max_attack_auc: float, limit: float | None, expected: str
) -> None:
    limits = [] if limit is None else [SliceLimit(feature="payment", value="cash", max_attack_auc=limit)]
    policy = evidence.POLICY.model_copy(update={"max_attack_auc": max_attack_auc, "slice_limits": limits})
    record = evidence.make_evaluation([*evidence.rows(), RARE, LARGE])
    assert quoted(record, policy) == (expected, expected)


def test_a_small_slice_that_makes_the_policy_refuse_is_the_strongest() -> None:
    """By itself it tells little at the limit of reference; at this limit it is what the gate refuses for."""
    leaking = evidence.row(feature="payment", value="rare", auc=(0.60, 0.565, 0.63), members=1_000)
    policy = evidence.POLICY.model_copy(
        update={"slice_limits": [SliceLimit(feature="payment", value="rare", max_attack_auc=0.62)]}
    )
    tiny = evidence.row(feature="payment", value="rare", auc=(0.55, 0.40, 0.69), members=120)
    for row in (leaking, tiny):
        record = evidence.make_evaluation([*evidence.rows(), LARGE, row])
        assert quoted(record, policy) == ("payment=rare", "payment=rare")
    (failure,) = decide(evidence.make_evidence(evaluation=record), policy, now=evidence.NOW).failures
    assert "95% confidence, 120 members and " in failure.explanation


def test_a_refusal_names_the_row_that_refuses_as_the_strongest() -> None:
    policy = evidence.POLICY.model_copy(
        update={"slice_limits": [SliceLimit(feature="payment", value="card", max_attack_auc=0.51)]}
    )
    record = evidence.make_evaluation([*evidence.rows(), LARGE])
    verdict = decide(evidence.make_evidence(evaluation=record), policy, now=evidence.NOW)
    (failure,) = verdict.failures
    assert "loss on payment=card" in failure.explanation
    assert "above max_attack_auc=0.51 of its slice_limits" in failure.explanation
    assert "4900 members and 2450 others" in failure.explanation
    assert "payment=cash" not in failure.explanation
    assert quoted(record, policy) == ("payment=card", "payment=card")


@st.composite
def rows(draw: st.DrawFn) -> list[AttackResult]:
    found = []
    for value in range(draw(st.integers(0, 5))):
        estimate = draw(st.floats(0.3, 0.9))
        half = draw(st.floats(0.005, 0.25))
        auc = (estimate, max(0.0, estimate - half), min(1.0, estimate + half))
        found.append(evidence.row(feature="shop", value=str(value), auc=auc, members=draw(st.integers(50, 9_000))))
    return found


@settings(max_examples=60, deadline=None)
@given(rows(), st.sampled_from([0.55, 0.6, 0.65]), st.sampled_from([None, 0.55, 0.7]))
def test_gate_and_report_quote_one_row_and_it_refuses_where_any_does(
    more: list[AttackResult], limit: float, own: float | None
) -> None:
    record = evidence.make_evaluation([*evidence.rows(), *more], slice_features=["class", "payment", "shop"])
    of_slices = [] if own is None else [SliceLimit(feature="shop", value="0", max_attack_auc=own)]
    policy = evidence.POLICY.model_copy(update={"max_attack_auc": limit, "slice_limits": of_slices})
    limits = SliceLimits(record, policy)
    strongest = limits.strongest()
    assert strongest is not None
    assert quoted(record, policy) == (strongest.slice_name, strongest.slice_name)
    if any(limits.standing(row) is Standing.ABOVE for row in attack_limit.attacked(record)):
        assert limits.standing(strongest) is Standing.ABOVE


@settings(max_examples=30, deadline=None)
@given(rows())
def test_ml_metadata_quotes_it_with_one_limit_for_all(more: list[AttackResult]) -> None:
    record = evidence.make_evaluation([*evidence.rows(), *more], slice_features=["class", "payment", "shop"])
    policy = evidence.POLICY.model_copy(update={"max_attack_auc": attack_limit.REFERENCE_LIMIT})
    assert attack_limit.strongest(record) == SliceLimits(record, policy).strongest()


def test_nothing_judged_has_no_strongest_attack() -> None:
    record = evidence.make_evaluation([evidence.row(attack="blind")])
    assert attack_limit.strongest(record) is None
