"""The gate's rule on single members: an attack may name a few of them for certain while its AUC is that of guessing.

Such a leak shows at a low false-positive rate (Carlini et al. 2022, https://arxiv.org/abs/2112.03570, Section IV-A): among
the records that score above nearly all non-members, hardly any should be a member. The upper confidence bound of the
true-positive rate is compared.
"""

from __future__ import annotations

import datetime
import functools
import math

from scipy import stats

from tfx_privacy.attacks.evaluation import WHOLE_SET, AttackResult, Interval
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import FALSE_POSITIVE_RATE, GatePolicy

WITHIN_CLASS = "loss_within_class"
"""The one attack without a threshold."""
MIN_NONMEMBERS = 10_000
"""Fewer leave fewer than ten above the threshold, and the evaluation states no rate."""

_AT_RATE = f"a false-positive rate of {FALSE_POSITIVE_RATE:.1%}"


def check_individuals(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """No attack names more members at a false-positive rate of 0.1 % than the policy allows, by its upper bound.

    On so few members that a harmless model would exceed the limit by chance, only a lower bound above it refuses.
    """
    record, limit = evidence.known_evaluation, policy.max_tpr_at_fpr
    judged = [(row, rate) for row in attack_limit.attacked(record) if (rate := _rate(row)) is not None]
    for row in attack_limit.attacked(record):
        is_exempt = (
            row.slice_feature != WHOLE_SET or row.attack == WITHIN_CLASS or row.independent_sizes[1] < MIN_NONMEMBERS
        )
        if limit < 1.0 and not is_exempt and _rate(row) is None:
            raise EvidenceError(
                f"The evaluation gives no true-positive rate of {row.attack} at a false-positive rate of "
                f"{FALSE_POSITIVE_RATE:g}. Add it to PrivacyEvaluator's false_positive_rates, or set max_tpr_at_fpr: 1 in the "
                "policy."
            )
    if not judged:
        return Finding(
            True,
            "not judged",
            f"With {record.num_nonmembers} non-members nothing can be said of {_AT_RATE}: {MIN_NONMEMBERS} are needed to see "
            "whether single members are named.",
        )
    strict = attack_limit.FALSE_REFUSALS / len(judged)
    worst, rate = max(judged, key=lambda found: _upper(found[1]))
    value = f"{rate.estimate:.4f} ({rate.low:.4f}-{rate.high:.4f}), {worst.slice_name}"
    refusing = [
        (row, rate)
        for row, rate in judged
        if not _upper(rate) <= limit
        and (not rate.low <= limit or harmless_upper(*row.independent_sizes, strict) <= limit)
    ]
    if not refusing:
        return Finding(True, value, f"At {_AT_RATE} no attack is shown to name more than {limit:.2%} of the members.")
    worst, rate = max(refusing, key=lambda found: _upper(found[1]))
    return Finding(
        False,
        value,
        f"{worst.attack} on {worst.slice_name} names {rate.estimate:.2%} of the members ({rate.low:.2%} to {rate.high:.2%}) "
        f"at {_AT_RATE}, above max_tpr_at_fpr={limit:g}, whatever its AUC is. Find out whose records these are, and train "
        "with more noise or less over-fitting.",
    )


@functools.lru_cache(maxsize=4096)
def harmless_upper(num_members: int, num_nonmembers: int, significance: float) -> float:
    """What the upper bound of a harmless model's rate exceeds with at most so much probability.

    As `statistics.tpr_interval` makes it, at 95 %: as many members above its threshold as their share of the non-members there.
    """
    share = (float(stats.binom.isf(0.0125, num_nonmembers, FALSE_POSITIVE_RATE)) + 1.0) / num_nonmembers
    hits = float(stats.binom.isf(significance, num_members, min(share, 1.0)))
    return 1.0 if hits >= num_members else float(stats.beta.ppf(0.9875, hits + 1, num_members - hits))


def _rate(row: AttackResult) -> Interval | None:
    return next((entry.tpr for entry in row.tpr_at_fpr if entry.false_positive_rate == FALSE_POSITIVE_RATE), None)


def _upper(rate: Interval) -> float:
    """What is no number counts as certainty."""
    return rate.high if all(map(math.isfinite, (rate.low, rate.estimate, rate.high))) else 1.0
