"""What makes a row of an attack trustworthy: folds that do not see each other, sizes, and the control's verdict.

Small and fast.
"""

from __future__ import annotations

import attack_data
import numpy as np
import pytest

from tfx_privacy.attacks import consistency
from tfx_privacy.attacks.evaluation import AttackResult
from tfx_privacy.attacks.membership import (
    control,
    evaluate,
    learned,
    statistics,
    tally,
)
from tfx_privacy.attacks.membership import counts as counting

SMALL = evaluate.Settings(min_records=50)


def small_run(members: int, others: int, seed: int, **changes: float) -> dict[tuple[str, str], AttackResult]:
    run = attack_data.run(members, others, seed, SMALL, **changes)
    return {(row.attack, row.slice_name): row for row in run.results}


def test_pooled_values_that_are_still_too_few_are_not_judged() -> None:
    rows = small_run(90, 400, 1)
    assert rows["loss", "all records"].status == "OK"
    for feature in ("class", "group", "correct"):
        for attack in ("loss", learned.BOOSTING):
            row = rows[attack, f"{feature}=<other>"]
            assert (row.status, row.num_members, row.auc) == ("INSUFFICIENT", 90, None)
            assert "90 members and 400 non-members, 100 and 20 are needed" in row.reason


def coin_attacker(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One fair coin for each record, known to an attacker that learns; and folds."""
    random = np.random.default_rng(seed)
    folds = [random.integers(0, 2, 200) for _ in range(2)]
    coins = [random.integers(0, 2, (200, 1)).astype(float) for _ in range(2)]
    return list(learned.cross_fitted(learned.LOGISTIC, *coins, *folds)), folds


def by_fold(scores: list[np.ndarray], folds: list[np.ndarray]) -> list[counting.Counts]:
    return [
        counting.of_scores(*(side[own == fold] for side, own in zip(scores, folds, strict=True))) for fold in (0, 1)
    ]


@pytest.mark.slow
def test_the_folds_of_a_classifier_are_not_taken_for_independent() -> None:
    """An accidental difference that both folds share is found in each by the classifier of the other: of 300 runs without a leak
    more than 8 % would be called one at 5 % (24 have a chance of 6e-3 at a true rate of 5 %, 34 one of 1e-5).
    """
    careful = careless = 0
    for seed in range(300):
        strata = by_fold(*coin_attacker(seed))
        careful += statistics.p_value(strata, independent=False) <= 0.05
        careless += statistics.p_value(strata) <= 0.05
    assert careful <= 24
    assert careless > 30


@pytest.mark.parametrize("attack", [learned.LOGISTIC, learned.BOOSTING, "blind"])
def test_rows_of_attackers_that_learn_allow_for_dependent_folds(attack: str) -> None:
    """The interval in the row is that of dependent folds, which is about 1.4 times as wide."""
    found, sides = attack_data.both_sides(400, 300, 2)
    row = next(
        row for row in evaluate.run(found, sides, evaluate.Settings()).results
        if row.attack == attack and row.slice_feature == "all"
    )  # fmt: skip
    scores = control.control_scores(sides)[attack] if attack == "blind" else evaluate._learned(attack, sides)
    strata = by_fold(list(scores), [side.folds for side in sides])
    dependent, independent = (
        statistics.stratified_auc_interval(strata, confidence_level=0.95, independent=value) for value in (False, True)
    )
    assert dependent is not None
    assert independent is not None
    assert row.auc is not None
    assert (row.auc.low, row.auc.high) == pytest.approx((dependent.low, dependent.high))
    assert row.auc.high - row.auc.low > 1.3 * (independent.high - independent.low)


def test_scores_are_normalised_by_others_of_the_same_class_and_the_other_fold() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=80), random.normal(size=120)
    classes, folds = (np.arange(80) % 2, np.arange(120) % 2), (random.integers(0, 2, 80), random.integers(0, 2, 120))
    found = learned.class_normalised(scores, classes, folds)
    for side in (0, 1):
        for record in range(len(scores[side])):
            same = (classes[1] == classes[side][record]) & (folds[1] != folds[side][record])
            mean, spread = scores[1][same].mean(), scores[1][same].std()
            assert found[side][record] == pytest.approx((scores[side][record] - mean) / spread)


def test_the_control_s_verdict_needs_significance_and_is_enough() -> None:
    shifted, alike = small_run(500, 400, 4, shift=1.0), small_run(500, 400, 4)
    assert shifted["loss", "all records"].status == "CONFOUNDED"
    assert alike["loss", "all records"].status == "OK"
    p_value = shifted["blind", "all records"].adjusted_p_value
    assert p_value is not None
    assert p_value <= consistency.CONTROL_SIGNIFICANCE


def test_records_without_a_score_are_no_part_of_a_count() -> None:
    """Not as the lowest score, which would hide members that the model says nothing about, nor as the highest."""
    scores = np.array([1.0, np.nan, 2.0, np.nan])
    found = tally.of_records(tally.MEMBERS, {"loss": scores}, np.arange(4).astype(np.uint64), {})
    counts = found.counts["loss", ("all", "")]
    assert counts.sizes == (2, 0)
    assert counting.scores_of(counts.values).tolist() == [1.0, 2.0]
    assert found.unusable.tolist() == [2, 0]
