"""A leak that names a few members for certain has the AUC of guessing; it shows at a low false-positive rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attack_data
import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import AttackResult, Interval, PrivacyEvaluation, TprAtFpr
from tfx_privacy.attacks.membership import statistics
from tfx_privacy.attacks.membership.counts import of_scores
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.rules import individuals
from tfx_privacy.guarantee.record import Population

Scores = Callable[[np.ndarray], np.ndarray]
SCORES: dict[str, Scores] = {
    "continuous": lambda scores: scores,
    "coarse": np.round,
    "two values, mostly the higher": lambda scores: (scores > -1.0).astype(float),
    "two values, rarely the higher": lambda scores: (scores > 2.0).astype(float),
}


def row_of(
    random: np.random.Generator,
    named: float,
    sizes: tuple[int, int] = (20_000, 12_000),
    scores: Scores = SCORES["continuous"],
) -> AttackResult:
    """The row of scores made of normal ones, of which a share of the members' is far above all others."""
    members, others = (scores(random.normal(size=size)) for size in sizes)
    members[: round(named * sizes[0])] += 20.0
    found = of_scores(members, others)
    return evidence.row(members=sizes[0]).model_copy(
        update={
            "num_nonmembers": sizes[1],
            "auc": statistics.auc_interval(found, confidence_level=0.95),
            "tpr_at_fpr": statistics.tpr_intervals(found, (0.001,), confidence_level=0.95),
        }
    )


def record_of(row: AttackResult) -> PrivacyEvaluation:
    sizes = {"num_members": row.num_members, "num_nonmembers": row.num_nonmembers}
    rows = [row, evidence.row("blind").model_copy(update=sizes)]
    rows += [evidence.row(feature="class", value="0").model_copy(update=sizes)]
    return evidence.make_evaluation(rows, slice_features=["class"], **sizes)


def failures(row: AttackResult, limit: float = 0.01) -> dict[str, str]:
    record = record_of(row)
    stated = evidence.make_guarantee(population=Population(records=row.num_members, source="counted"))
    policy = GatePolicy(**{**evidence.POLICY.model_dump(), "max_tpr_at_fpr": limit})
    verdict = decide(evidence.make_evidence(evaluation=record, guarantee=stated), policy, now=evidence.NOW)
    return {rule.rule: rule.explanation for rule in verdict.failures}


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("named", [0.01, 0.02, 0.03, 0.2])
def test_a_leak_that_names_single_members_refuses_whatever_the_auc(named: float, kind: str) -> None:
    row = row_of(np.random.default_rng(1), named, scores=SCORES[kind])
    assert row.auc is not None
    assert row.attack_auc_upper < evidence.POLICY.max_attack_auc or named > 0.1
    assert "names" in failures(row)["attack_tpr"]
    assert "attack_tpr" not in failures(row, limit=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCORES)
def test_harmless_models_are_refused_in_less_than_one_case_in_a_hundred(kind: str) -> None:
    """300 harmless models, none of which may be refused: a rate of 1 % would pass with probability 0.05."""
    random = np.random.default_rng(20261127)
    for sizes in ((20_000, 10_000), (3_000, 10_000), (300, 10_000)):
        for _ in range(100):
            row = row_of(random, 0.0, sizes, SCORES[kind])
            whole = evidence.make_evidence(guarantee=None, evaluation=record_of(row))
            found = individuals.check_individuals(whole, evidence.POLICY, evidence.NOW)
            assert found.passed, found.explanation
            assert found.value != "not judged"


def test_every_attack_on_a_harmless_model_keeps_the_limit() -> None:
    """Labels alone give two scores, of which most records have the higher one."""
    sizes = 20_000, 12_000
    rows = []
    for (attack, key), counts in attack_data.both_sides(*sizes, 3)[0].counts.items():
        if key == ("all", ""):
            told = statistics.tpr_intervals(counts, (0.001,), confidence_level=0.95)
            row = evidence.row(attack, members=sizes[0])
            rows.append(row.model_copy(update={"num_nonmembers": sizes[1], "tpr_at_fpr": told}))
    assert {"loss", "label_only"} < {row.attack for row in rows}
    record = evidence.make_evaluation(rows, num_members=sizes[0], num_nonmembers=sizes[1])
    found = individuals.check_individuals(evidence.make_evidence(evaluation=record), evidence.POLICY, evidence.NOW)
    assert found.passed, found.explanation
    assert found.value != "not judged"


def test_few_members_are_judged_by_the_lower_bound() -> None:
    """Of 300 members none above the threshold has an upper bound of 1.5 %."""
    random = np.random.default_rng(2)
    assert "attack_tpr" not in failures(row_of(random, 0.0, (300, 12_000)))
    assert "attack_tpr" in failures(row_of(random, 0.1, (300, 12_000)))


def test_without_enough_non_members_nothing_is_judged_and_the_verdict_says_so() -> None:
    whole = evidence.make_evidence()
    found = individuals.check_individuals(whole, evidence.POLICY, evidence.NOW)
    assert found.passed
    assert found.value == "not judged"
    assert "10000 are needed" in found.explanation


def test_a_rate_that_could_be_there_and_is_not_is_unknown() -> None:
    row = row_of(np.random.default_rng(3), 0.0).model_copy(update={"tpr_at_fpr": []})
    assert "Add it to PrivacyEvaluator's false_positive_rates" in failures(row)["attack_tpr"]
    assert "attack_tpr" not in failures(row, limit=1.0)
    told = row_of(np.random.default_rng(3), 0.0)
    for attack, refused in (("entropy", True), ("loss_within_class", False)):
        other = evidence.row(attack).model_copy(update={"num_nonmembers": 12_000})
        record = record_of(told).model_copy(update={"results": [told, other]})
        rules = decide(evidence.make_evidence(evaluation=record), evidence.POLICY, now=evidence.NOW).failures
        assert ("attack_tpr" in {rule.rule for rule in rules}) is refused


@pytest.mark.parametrize("field", ["low", "estimate", "high"])
def test_a_rate_that_is_no_number_refuses(field: str) -> None:
    row = row_of(np.random.default_rng(4), 0.0)
    rate = Interval(estimate=0.001, low=0.0, high=0.002).model_copy(update={field: math.nan})
    entry = TprAtFpr.model_construct(false_positive_rate=0.001, tpr=rate)
    whole = evidence.make_evidence(guarantee=None, evaluation=record_of(row))
    record = record_of(row).model_copy(update={"results": [row.model_copy(update={"tpr_at_fpr": [entry]})]})
    assert individuals.check_individuals(whole, evidence.POLICY, evidence.NOW).passed
    whole = evidence.make_evidence(guarantee=None, evaluation=record)
    assert not individuals.check_individuals(whole, evidence.POLICY, evidence.NOW).passed


@pytest.mark.parametrize("value", [0.0, 0.001, -1.0, 1.1, math.nan, math.inf, "0.01", True, None])
def test_a_limit_below_guessing_is_none(value: Any) -> None:
    with pytest.raises(ParameterError, match="max_tpr_at_fpr"):
        GatePolicy(**{**evidence.POLICY.model_dump(), "max_tpr_at_fpr": value})


def test_the_verdict_says_whether_an_attack_beats_chance() -> None:
    def sentence(*p_values: float) -> str:
        rows = evidence.rows()
        for index, p_value in zip((0, 2, 3), p_values, strict=False):
            auc = 0.5 if p_value == 1.0 else 0.505 if p_value > 0.05 else 0.53
            found = Interval(estimate=auc, low=auc - 0.01, high=auc + 0.01)
            rows[index] = rows[index].model_copy(update={"adjusted_p_value": p_value, "auc": found})
        verdict = decide(
            evidence.make_evidence(evaluation=evidence.make_evaluation(rows)), evidence.POLICY, now=evidence.NOW
        )
        rule = verdict.rule("attack_auc")
        assert rule is not None
        assert rule.explanation in verdict.message
        return rule.explanation

    assert "does not say whether any attack beats chance" in sentence()
    assert "None of 3 attacks on slices beats chance after correction" in sentence(0.06, 1.0, 0.5)
    assert "1 of 3 attacks on slices beats chance after correction" in sentence(5e-9, 1.0, 1.0)
    assert "most clearly loss on all records: the model does leak" in sentence(5e-9, 1.0, 1.0)
