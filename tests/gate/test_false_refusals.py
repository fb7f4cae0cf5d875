"""How often a model that leaks nothing is refused: the formula against the attacks themselves, seeded."""

from __future__ import annotations

import math

import attack_data
import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import CONTROL, Interval
from tfx_privacy.attacks.membership import counts, learned, statistics
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate import attack_limit, false_refusals
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.false_refusals import MOST, Design


def alone(size: int, *, cross_fitted: bool) -> Design:
    """One attack on the whole set, without slices."""
    return Design.planned(
        size, size, num_plain=0 if cross_fitted else 1, num_cross_fitted=int(cross_fitted), num_features=0, num_slices=1
    )


def of_row(design: Design, limit: float) -> float:
    """The row's part of the probability."""
    allowed = attack_limit.FALSE_REFUSALS * design.slice_share + 0.01
    return design.probability(limit) - allowed


def upper(interval: Interval) -> float:
    return max(interval.high, 1.0 - interval.low)


@pytest.mark.parametrize("limit", [0.575, 0.6])
def test_the_probability_of_one_row_is_that_of_its_simulation(limit: float) -> None:
    """2,000 harmless attacks on 300 a side: the share is within five standard errors (6e-7) and two points of the formula."""
    random = np.random.default_rng(1)
    refused = [
        upper(statistics.auc_interval(counts.of_scores(*random.normal(size=(2, 300))), confidence_level=0.95)) > limit
        for _ in range(2000)
    ]
    expected = of_row(alone(300, cross_fitted=False), limit)
    assert abs(np.mean(refused) - expected) < 5 * math.sqrt(expected * (1 - expected) / 2000) + 0.02
    assert np.mean(refused) > 0.7 * expected


@pytest.mark.slow
def test_a_classifier_is_refused_as_often_as_the_formula_says_at_most() -> None:
    """150 cross-fitted attacks on one coin for each record, 300 a side: more than expected + 3.1 standard errors has a
    chance of 1e-3. Power: if folds cost nothing the formula would say 2 %, and the simulation is above 10 %.
    """
    refused = 0
    for seed in range(150):
        random = np.random.default_rng([2, seed])
        folds = [random.integers(0, 2, 300) for _ in range(2)]
        features = [random.normal(size=(300, 1)) for _ in range(2)]
        scores = learned.cross_fitted(learned.LOGISTIC, features[0], features[1], folds[0], folds[1])
        strata = [
            counts.of_scores(*(side[own == fold] for side, own in zip(scores, folds, strict=True))) for fold in (0, 1)
        ]
        found = statistics.stratified_auc_interval(strata, confidence_level=0.95, independent=False)
        assert found is not None
        refused += upper(found) > 0.6
    expected = of_row(alone(300, cross_fitted=True), 0.6)
    assert 0.1 < refused / 150 < expected + 3.1 * math.sqrt(expected * (1 - expected) / 150)


@pytest.mark.parametrize(
    ("runs", "allowed"), [pytest.param(20, 4, id="few"), pytest.param(150, 17, id="many", marks=pytest.mark.slow)]
)
def test_the_smallest_limit_of_300_records_refuses_at_most_5_percent_of_harmless_models(
    runs: int, allowed: int
) -> None:
    """At a true rate of 5 % more refusals than allowed have a chance of 3e-3 and 1e-3. Power: nearly all at 0.55."""
    limit = Design.planned(300, 300).smallest_limit()
    assert 0.6 < limit < 0.67
    refused = at_55 = 0
    for seed in range(runs):
        found = attack_data.run(300, 300, 9000 + seed, num_groups=1)
        worst = max(
            row.attack_auc_upper
            for row in found.results
            if row.auc is not None and row.slice_feature == "all" and row.attack != CONTROL
        )
        refused += worst > limit
        at_55 += worst > 0.55
    assert refused <= allowed
    assert at_55 > 0.9 * runs
    assert Design.planned(300, 300).probability(0.55) > 0.9


@pytest.mark.parametrize("limit", [0.55, 0.6, 0.65])
def test_what_is_enough_is_enough_and_no_more(limit: float) -> None:
    found = Design.planned(600, 200).enough(limit)
    assert found is not None
    assert found[0] == pytest.approx(3 * found[1], abs=3)
    assert Design.planned(*found).probability(limit) <= MOST
    assert Design.planned(int(0.98 * found[0]), int(0.98 * found[1])).probability(limit) > MOST
    assert Design.planned(*found).smallest_limit() <= limit + 0.001
    assert Design.planned(*found).advice(limit) == ""


def test_no_number_of_records_is_enough_for_guessing() -> None:
    design = Design.planned(10**6, 10**6)
    assert design.enough(0.5) is None
    assert [design.probability(limit) for limit in (0.5, 0.3, math.nan, 1.5, -math.inf)] == [1.0] * 5
    assert design.probability(1.0) == 0.0
    assert "None" not in Design.planned(300, 300).advice(0.5)
    with pytest.raises(ParameterError, match="num_nonmembers=0"):
        Design.planned(300, 0)


def test_more_attacks_and_wider_intervals_need_more_records() -> None:
    few, many = Design.planned(500, 500), Design.planned(500, 500, num_plain=9, num_features=5)
    assert many.probability(0.6) > few.probability(0.6)
    narrow = Design.of(evidence.make_evaluation())
    wide = Design.of(evidence.make_evaluation([evidence.row(auc=(0.5, 0.4, 0.6)), *evidence.rows()[1:]]))
    assert narrow is not None
    assert wide is not None
    assert narrow.probability(0.6) <= MOST < wide.probability(0.6)
    leak = Design.of(evidence.make_evaluation([evidence.row(auc=(0.99, 0.0, 1.0)), *evidence.rows()[1:]]))
    assert leak is not None
    assert leak.probability(0.6) <= MOST
    nothing = [evidence.row(status="INSUFFICIENT", auc=None, reason="few"), *evidence.rows()[1:]]
    assert Design.of(evidence.make_evaluation(nothing)) is None


def explanation(members: int, auc: tuple[float, float, float]) -> str:
    few = evidence.row(auc=auc, members=members)
    evaluation = evidence.make_evaluation([few, *evidence.rows()[1:]], num_members=members, num_nonmembers=members // 2)
    verdict = decide(evidence.make_evidence(evaluation=evaluation), evidence.POLICY, now=evidence.NOW)
    (found,) = (rule.explanation for rule in verdict.failures if rule.rule == "attack_auc")
    return found


def test_a_refusal_names_how_many_records_would_be_enough() -> None:
    text = explanation(400, (0.55, 0.49, 0.61))
    assert "With 400 members and 200 non-members, up to " in text
    assert "of models that leak nothing are refused at max_attack_auc=0.6; " in text
    assert "would be enough for this limit, and 0.6" in text
    assert "leak nothing" not in explanation(10_000, (0.65, 0.63, 0.67))
    assert false_refusals.MOST == 0.05
