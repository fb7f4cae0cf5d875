"""The gate's rule on what is proved of epsilon: a lower bound above what the guarantee implies shows that it is not kept."""

from __future__ import annotations

import datetime

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.attacks.evaluation import EpsilonBound, Finding, PrivacyEvaluation
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import evidence as found
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.recomputation import is_disproved
from tfx_privacy.guarantee.record import PrivacyGuarantee


def check_proved(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> found.Finding:
    """No formal lower bound on epsilon from canaries is above what the guarantee implies.

    The bounds of the run's own audit are a part of the guarantee, which `epsilon` recomputes with them.
    """
    stated, record = evidence.known_guarantee, evidence.known_evaluation
    bounds = _bounds(record)
    for finding, bound in bounds:
        if is_disproved(stated, bound.epsilon, delta=bound.delta, records=bound.records):
            return found.Finding(False, f"at least {bound.epsilon:.4g}", _refusal(record, finding, bound, stated))
    shown = [bound.epsilon for _, bound in bounds]
    if stated.audit is not None:
        shown += [stated.audit.epsilon_lower_bound, stated.audit.epsilon_lower_bound_one_run]
    if not shown:
        return found.Finding(
            True, "nothing", "Neither an audit nor canaries bound epsilon from below: nothing was tried."
        )
    return found.Finding(
        True,
        f"at least {max(shown):.4g}",
        f"The largest lower bound that was proved, epsilon >= {max(shown):.4g}, does not contradict the guarantee; a bound "
        "below it shows nothing.",
    )


def _bounds(record: PrivacyEvaluation) -> list[tuple[Finding, EpsilonBound]]:
    """What the evaluation's findings prove, whatever their status: a number that is there counts."""
    read = []
    for finding in record.findings:
        try:
            bound = finding.epsilon_bound
        except ValueError as error:
            raise EvidenceError(f"The finding on {finding.subject!r} cannot be read: {error}.") from error
        if bound is not None:
            read.append((finding, bound))
    return read


def _refusal(record: PrivacyEvaluation, finding: Finding, bound: EpsilonBound, stated: PrivacyGuarantee) -> str:
    together = f" of {bound.records} records together" if bound.records != 1 else ""
    return (
        f"{finding.family} on {finding.subject} proves epsilon >= {bound.epsilon:.4g}{together} at delta={bound.delta:g}, "
        f"with {record.confidence_level:.0%} confidence, but the guarantee states "
        f"epsilon={rounded_up(stated.stated_epsilon)}: the mechanism did not do what it should, or the canaries are not of "
        "this model. Do not deploy it, and report this."
    )
