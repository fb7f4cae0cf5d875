"""Records without a score are in no attack, so what they tell of membership is a rule of its own."""

from __future__ import annotations

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.rules.evaluation import UNSCORED_SIGNIFICANCE, check_unscored
from tfx_privacy.guarantee.record import Population


def unscored(members: int, others: int) -> PrivacyEvaluation:
    """Of 10,000 and 5,000 records with a score, and so many without one."""
    return evidence.make_evaluation(
        num_members=10_000 + members, num_nonmembers=5_000 + others, num_unusable_members=members,
        num_unusable_nonmembers=others,
    )  # fmt: skip


def failures(members: int, others: int) -> set[str]:
    whole = evidence.make_evidence(
        evaluation=unscored(members, others),
        guarantee=evidence.make_guarantee(population=Population(records=10_000 + members, source="counted")),
    )
    return {rule.rule for rule in decide(whole, evidence.POLICY, now=evidence.NOW).failures}


@pytest.mark.parametrize(
    ("members", "others"), [(0, 0), (1, 0), (3, 0), (0, 1), (2, 1), (100, 50), (110, 45), (400, 200)]
)
def test_as_many_on_both_sides_are_no_leak(members: int, others: int) -> None:
    assert failures(members, others) == set()


@pytest.mark.parametrize(("members", "others"), [(15, 0), (100, 0), (300, 50), (400, 0), (0, 20), (50, 100), (400, 80)])
def test_more_on_one_side_tell_who_is_a_member(members: int, others: int) -> None:
    assert failures(members, others) == {"unscored_records"}


def test_harmless_models_are_refused_at_most_as_often_as_is_said() -> None:
    """2,000 models whose outputs break alike on both sides: the exact test errs in at most 1 % of them, here within 4 sigma."""
    random = np.random.default_rng(7)
    refused = 0
    for share in (0.0005, 0.01):
        for members, others in zip(
            random.binomial(10_000, share, 1_000), random.binomial(5_000, share, 1_000), strict=True
        ):
            whole = evidence.make_evidence(guarantee=None, evaluation=unscored(int(members), int(others)))
            refused += not check_unscored(whole, evidence.POLICY, evidence.NOW).passed
    assert refused <= 2_000 * UNSCORED_SIGNIFICANCE + 4 * (2_000 * UNSCORED_SIGNIFICANCE) ** 0.5
