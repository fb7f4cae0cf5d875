"""Slices so small that a harmless model would exceed the limit by chance: each by itself, and all of a feature together."""

from __future__ import annotations

from collections.abc import Sequence

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import AttackResult
from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.gate import attack_limit, shift
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.rules import attacks
from tfx_privacy.gate.slice_limits import SliceLimits

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
    whole = [] if attack == "loss" else [evidence.row(attack)]
    assert failures(*rows, *whole) == {"attack_auc"}


@pytest.mark.parametrize(
    ("auc", "standing"), [(0.75, "ABOVE"), (0.25, "ABOVE"), (0.6, "INCONCLUSIVE"), (0.5, "WITHIN")]
)
def test_a_small_slice_by_itself(auc: float, standing: str) -> None:
    """Whatever the others find together."""
    (row,) = shops(auc)[:1]
    limit = attack_limit.AttackLimit(limit=0.6, quantile=1.96, strict=3.0)
    assert limit.is_small(row)
    assert limit.standing(row).name == standing


@pytest.mark.parametrize("mean", [0.597, 0.403])
def test_small_slices_must_keep_the_limit_together(mean: float) -> None:
    assert failures(*shops(*[mean] * 25)) == {"attack_auc", "attack_coverage"}
    assert failures(*shops(*[0.5 + (mean - 0.5) * 0.8] * 25)) == set()


def of_attack(estimates: Sequence[float], members: int, half: float) -> list[AttackResult]:
    """A large shop and small ones, on which only "modified_entropy" finds something."""
    large = 10_000 - members * len(estimates)
    rows = [evidence.row(feature="shop", value="large", members=large)]
    rows += [evidence.row("modified_entropy", feature, value, members=size)
             for feature, value, size in (("all", "", 10_000), ("shop", "large", large))]  # fmt: skip
    for index, value in enumerate(estimates):
        found = value, value - half, value + half
        rows += [evidence.row(feature="shop", value=str(index), members=members, auc=(0.5, 0.5 - half, 0.5 + half))]
        rows += [evidence.row("modified_entropy", "shop", str(index), found, members)]
    return rows


@pytest.mark.parametrize("leak", [0.16, -0.16])
def test_a_leak_on_small_slices_counts_whichever_attack_sees_it(leak: float) -> None:
    """Ten shops of 100 members, by an attack that is not the loss: each is too small to tell, all together are not."""
    assert failures(*of_attack([0.5 + leak] * 10, 100, 0.098)) == {"attack_auc"}
    assert failures(*of_attack([0.5 + leak, 0.5 - leak] * 5, 100, 0.098)) == {"attack_auc"}
    assert failures(*of_attack([0.5 + leak], 300, 0.058)) == {"attack_auc"}
    assert failures(*of_attack([0.5 + leak / 8] * 10, 100, 0.098)) == set()
    assert failures(*of_attack([0.5 + leak / 4], 100, 0.098)) == set()
    assert failures(*of_attack([0.5] * 10, 100, 0.098)) == set()


def test_the_verdict_names_the_slices_that_leak_together() -> None:
    rows = [*evidence.rows(), *of_attack([0.66] * 10, 100, 0.098)]
    record = evidence.make_evaluation(rows, slice_features=["class", "payment", "shop"])
    verdict = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
    rule = verdict.rule("attack_auc")
    assert rule is not None
    assert "modified_entropy on 10 small slices of shop together has a mean attack_auc=0.660" in rule.explanation
    assert "they do not keep max_attack_auc=0.6, and chance does not explain it" in rule.explanation


def test_slices_that_share_their_records_are_less_certain_together() -> None:
    rows = of_attack([0.58] * 10, 100, 0.098)
    small = [row for row in rows if row.attack == "modified_entropy" and row.slice_value.isdigit()]
    limit = attack_limit.AttackLimit(limit=0.6, quantile=1.96, strict=3.5)
    assert limit.jointly_above(small)
    assert not limit.jointly_above(small, slices_per_record=2.0)


def test_harmless_models_are_refused_for_small_slices_by_all_attacks_together_in_at_most_4_percent() -> None:
    """Six attacks, one of two values, on six shops of 100 members and 30 others: 300 models.

    At a true rate of 4 % more than 22 refusals have a chance of 2e-3. Power: an AUC of 0.6 in each is found.
    """
    random = np.random.default_rng(20261127)
    refused = sum(bool(found_together(random, 0.0)) for _ in range(300))
    assert refused <= 22
    assert sum(bool(found_together(random, 0.4)) for _ in range(20)) >= 18


def found_together(random: np.random.Generator, leak: float) -> list[list[AttackResult]]:
    rows = [evidence.row(), evidence.row("blind")]
    for shop in range(6):
        common = random.normal(size=100) + leak, random.normal(size=30)
        for attack in range(6):
            scores = [(part + random.normal(size=len(part)) * 0.5) for part in common]
            scores = [(part > -1.0).astype(float) for part in scores] if attack == 0 else scores
            auc = statistics.auc_interval(of_scores(*scores), confidence_level=0.95)
            row = evidence.row(f"attack {attack}", "shop", str(shop), members=100)
            rows.append(row.model_copy(update={"num_nonmembers": 30, "auc": auc}))
    record = evidence.make_evaluation(rows)
    return SliceLimits(record, evidence.POLICY).jointly_above(record.rows_by_feature())


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
    assert failures(row, evidence.row("boosting"), features=("class", "payment")) == {"attack_auc"}


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
    assert of_rule["attack_coverage"].startswith(
        "The splits differ: a shift, which is no leak, and could hide one. On all"
    )


def test_an_evaluation_of_which_nothing_was_judged_gets_reasons_and_no_crash() -> None:
    """An ordinary split by time, and a newcomer's 50 records."""
    shifted = [
        row.model_copy(update={"status": "CONFOUNDED", "reason": "a shift"}) for row in evidence.rows() if row.auc
    ]
    few = [
        evidence.row(attack, members=100, auc=None, status="INSUFFICIENT", reason="100 members and 50 non-members")
        for attack in attacks.REQUIRED_ATTACKS
    ]
    for rows, reason in ((shifted, "The splits differ: a shift"), (few, "100 members and 50 non-members")):
        record = evidence.make_evaluation(rows, slice_features=["class"])
        verdict = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW)
        found = {rule.rule: rule for rule in verdict.failures}
        assert reason in found["attack_coverage"].explanation
        assert found["attack_coverage"].status == "failed"
        assert "attack_auc" in found
        assert "could not be checked" not in verdict.message


@pytest.mark.parametrize("attack", attacks.REQUIRED_ATTACKS)
def test_a_confounded_slice_is_refused_although_all_members_are_judged(attack: str) -> None:
    confounded = [
        evidence.row(attack=name, feature="group", value="a", status="CONFOUNDED", reason="the splits differ")
        for name in {attack, "blind"}
    ]
    assert failures(*confounded, features=("class", "payment")) == {"attack_coverage"}


def test_more_rows_make_a_single_slice_less_suspicious() -> None:
    """At 0.59 a shop stands out among 8 rows, and not among 4,000: the error is divided by the rows."""
    suspicious = evidence.row(feature="group", value="a", members=400, auc=(0.59, 0.545, 0.635))
    assert failures(suspicious, features=("class", "payment")) == {"attack_auc"}
    many = [evidence.row(attack=f"attack {index}", members=10_000) for index in range(4_000)]
    assert failures(suspicious, *many, features=("class", "payment")) == set()


@pytest.mark.parametrize(("compared", "sample_size"), [((299, 300), 20_000), ((1_000, 60), 20_000), ((999, 999), 999)])
def test_a_control_of_too_few_records_to_see_a_shift_is_none(compared: tuple[int, int], sample_size: int) -> None:
    def explanation(members: int, others: int, size: int) -> str:
        rows = evidence.rows()
        rows[1] = rows[1].model_copy(update={"num_members": members, "num_nonmembers": others})
        whole = evidence.make_evidence(evaluation=evidence.make_evaluation(rows, sample_size=size))
        return attacks.check_coverage(whole, evidence.POLICY, evidence.NOW).explanation

    assert f"the control compared {compared[0]} members and {compared[1]} non-members" in explanation(
        *compared, sample_size
    )
    assert "raise PrivacyEvaluator's sample_size" in explanation(*compared, sample_size)
    assert "the control compared" not in explanation(300, 300, 1_000)
