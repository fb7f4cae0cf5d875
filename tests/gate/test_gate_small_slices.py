"""Slices so small that a harmless model would exceed the limit by chance: each by itself, and all of a feature together."""

from __future__ import annotations

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import AttackResult
from tfx_privacy.gate import shift
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.rules import attacks

# 25 shops of 400 members and 200 others: an AUC has a standard deviation of 0.025, their mean one of 0.005.
HALF_WIDTH = 0.049
Auc = tuple[float, float, float]


def around(estimate: float) -> Auc:
    return estimate, estimate - HALF_WIDTH, estimate + HALF_WIDTH


def shops(*estimates: float) -> list[AttackResult]:
    """One row for each shop; those not named have an AUC of one half."""
    values = [*estimates, *([0.5] * (25 - len(estimates)))]
    return [
        evidence.row(feature="shop", value=str(index), members=400, auc=around(value))
        for index, value in enumerate(values)
    ]


def failures(*rows: AttackResult, features: tuple[str, ...] = ("class", "payment", "shop")) -> set[str]:
    evaluation = evidence.make_evaluation([*evidence.rows(), *rows], slice_features=list(features))
    verdict = decide(evidence.make_evidence(evaluation=evaluation), evidence.POLICY, now=evidence.NOW)
    return {rule.rule for rule in verdict.failures}


@pytest.mark.parametrize("chance", [0.58, 0.42])
def test_one_small_slice_above_the_limit_by_chance_is_no_refusal(chance: float) -> None:
    rows = shops(chance)
    assert rows[0].attack_auc_upper > evidence.POLICY.max_attack_auc
    assert failures(*rows) == set()


@pytest.mark.parametrize("leak", [0.75, 0.25])
@pytest.mark.parametrize("attack", ["loss", "logistic_regression"])
def test_a_leak_that_is_clear_on_a_small_slice_is_refused_in_either_direction(attack: str, leak: float) -> None:
    rows = [*shops(), evidence.row(attack=attack, feature="group", value="a", members=400, auc=around(leak))]
    assert failures(*rows) == {"attack_auc"}


@pytest.mark.parametrize("mean", [0.597, 0.403])
def test_small_slices_must_keep_the_limit_together(mean: float) -> None:
    assert failures(*shops(*[mean] * 25)) == {"attack_coverage"}
    assert failures(*shops(*[0.5 + (mean - 0.5) * 0.8] * 25)) == set()


@pytest.mark.parametrize("leak", [0.12, 0.2, 0.3])
def test_leaks_in_both_directions_do_not_cancel_out(leak: float) -> None:
    """An AUC of 0.3 is an attack of 0.7: a mean of one half hides neither."""
    around_half = [0.5 + leak, 0.5 - leak] * 12
    assert failures(*shops(*around_half)) >= {"attack_coverage"}
    assert failures(*shops(*[0.53, 0.47] * 12)) == set()


def test_small_slices_of_harmless_models_keep_the_limit_together() -> None:
    """Of 1,000 harmless evaluations with 25 shops at most one in 100 is refused for their joint spread."""
    random = np.random.default_rng(20261127)
    refused = sum(
        "attack_coverage" in joint(shops(*np.clip(random.normal(0.5, HALF_WIDTH / 1.96, 25), 0.3, 0.7)))
        for _ in range(1_000)
    )
    assert refused <= 10


def joint(rows: list[AttackResult]) -> set[str]:
    """Which of the two rules on slices a feature's rows break; quicker than a verdict."""
    record = evidence.make_evaluation([*evidence.rows(), *rows], slice_features=["class", "payment", "shop"])
    whole = evidence.make_evidence(evaluation=record)
    checks = {"attack_auc": attacks.check_attack_auc, "attack_coverage": attacks.check_coverage}
    return {name for name, check in checks.items() if not check(whole, evidence.POLICY, evidence.NOW).passed}


def test_the_whole_set_is_never_small() -> None:
    few = evidence.row(members=300, auc=(0.55, 0.49, 0.61))
    results = [few, *evidence.rows()[1:]]
    verdict = decide(
        evidence.make_evidence(evaluation=evidence.make_evaluation(results)), evidence.POLICY, now=evidence.NOW
    )
    assert "attack_auc" in {rule.rule for rule in verdict.failures}


def test_a_wide_interval_does_not_make_a_large_slice_small() -> None:
    row = evidence.row(attack="boosting", feature="group", value="a", members=9_000, auc=(0.5, 0.3, 0.7))
    assert failures(row, features=("class", "payment")) == {"attack_auc"}


def test_a_shift_is_called_a_shift_and_has_its_own_remedy() -> None:
    reason = "without the model, features and label alone tell these members from the non-members, AUC 0.750"
    rows = [evidence.row(attack=attack, status="CONFOUNDED", reason=reason) for attack in attacks.REQUIRED_ATTACKS]
    evaluation = evidence.make_evaluation(
        [*rows, *evidence.rows()[2:], evidence.row(feature="shop", value="a", members=2_000, auc=(0.7, 0.68, 0.72))]
    )
    policy = evidence.POLICY.model_copy(update={"required_attacks": ["loss"]})
    verdict = decide(evidence.make_evidence(evaluation=evaluation), policy, now=evidence.NOW)
    found = {rule.rule: rule.explanation for rule in verdict.failures}
    assert set(found) == {"attack_auc", "attack_coverage", "required_attacks"}
    assert found["attack_coverage"].startswith(
        f"The splits differ: a shift, which is no leak, and could hide one. On all records: {reason}. {shift.REMEDY}"
    )
    assert shift.REMEDY in found["required_attacks"]
    assert shift.REMEDY in found["attack_auc"]
    assert "Train with more noise" not in found["attack_auc"]
    assert "on enough records" not in found["required_attacks"]
    assert "at random" in shift.REMEDY
    everywhere = evidence.make_evidence(evaluation=evidence.make_evaluation(rows, slice_features=["class"]))
    of_rule = {rule.rule: rule.explanation for rule in decide(everywhere, policy, now=evidence.NOW).failures}
    assert "No attack could be judged on any slice. The splits differ" in of_rule["attack_auc"]
    assert "more records" not in of_rule["attack_auc"]


@pytest.mark.parametrize("attack", attacks.REQUIRED_ATTACKS)
def test_a_confounded_slice_is_refused_although_all_members_are_judged(attack: str) -> None:
    confounded = evidence.row(
        attack=attack, feature="group", value="a", status="CONFOUNDED", reason="the splits differ"
    )
    assert failures(confounded, features=("class", "payment")) == {"attack_coverage"}


def test_more_rows_make_a_single_slice_less_suspicious() -> None:
    """At 0.69 a shop stands out among 31 rows, and not among 4,000: the error is divided by the rows."""
    suspicious = evidence.row(feature="group", value="a", members=400, auc=(0.69, 0.645, 0.735))
    assert failures(suspicious, features=("class", "payment")) == {"attack_auc"}
    many = [evidence.row(attack=f"attack {index}", members=10_000) for index in range(4_000)]
    assert failures(suspicious, *many, features=("class", "payment")) == set()
