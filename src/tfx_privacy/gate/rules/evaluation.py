"""Rules of the gate on the evaluation as a record: it does not contradict itself, and no side lacks its scores."""

from __future__ import annotations

import datetime

import pydantic
from scipy import stats

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy

UNSCORED_SIGNIFICANCE = 0.01
"""Probability that records without a score refuse a model for which they have nothing to do with membership."""


def check_consistent(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """The evaluation fits its schema and says nothing that cannot be true together, also where it was never a file."""
    record = evidence.known_evaluation
    try:
        found = PrivacyEvaluation.model_validate(record.model_dump(), strict=True).contradictions
    except pydantic.ValidationError as error:
        found = [f"{problem['msg']}" for problem in error.errors(include_url=False)]
    if found:
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        return Finding(
            False,
            f"{len(found)} contradictions",
            f"The evaluation contradicts itself: {'; '.join(found[:5])}{more}. It was changed, or put together from others: run "
            "PrivacyEvaluator again.",
        )
    return Finding(True, "consistent", "The evaluation's rows, counts and intervals fit each other.")


def check_unscored(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Records without a finite score are as frequent among members as among others, by Fisher's exact test.

    A model that breaks on its members alone tells them, and they are in no other attack.
    """
    record = evidence.known_evaluation
    members = record.num_unusable_members, record.num_members
    others = record.num_unusable_nonmembers, record.num_nonmembers
    value = f"{members[0]} of {members[1]} members, {others[0]} of {others[1]} others"
    if members[0] == others[0] == 0:
        return Finding(True, value, "Every record has a score.")
    table = [[without, total - without] for without, total in (members, others)]
    p_value = float(stats.fisher_exact(table).pvalue)
    if p_value > UNSCORED_SIGNIFICANCE:
        return Finding(
            True, value, f"Records without a score do not tell members from others (p={p_value:.2g}): {value}."
        )
    return Finding(
        False,
        value,
        f"Whether a record has a score tells members from others (p={p_value:.2g}): {value} have none. A model that breaks on "
        "one side alone names its records. Find out which outputs are NaN or infinite, or which labels are none of the task's.",
    )
