"""Rules of the gate on what ties the evidence to the model: digests, times and signatures."""

from __future__ import annotations

import datetime

from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.evidence import SIGNED_PARTS, UPSTREAM_BLESSED, UPSTREAM_NOT_WIRED, Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records.base import parse_time

_CLOCK_SKEW = datetime.timedelta(minutes=5)


def check_digest(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Guarantee, evaluation and the model's directory are of one model."""
    digest = evidence.known_digest
    for name, stated in (
        ("guarantee", evidence.known_guarantee.model_digest),
        ("evaluation", evidence.known_evaluation.model_digest),
    ):
        if stated != digest:
            return Finding(
                False,
                _short(digest),
                f"The {name} is of another model ({_short(stated)}), not of this one ({_short(digest)}). "
                "Wire model, privacy_guarantee and privacy_evaluation from the same run.",
            )
    return Finding(True, _short(digest), "Guarantee, evaluation and model directory have one digest.")


def check_issued(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """No evidence is dated in the future, and no evaluation before the guarantee of the model that it attacked."""
    stated = _issued(evidence)
    value = ", ".join(f"{name} {time.isoformat()}" for name, time in stated.items())
    for name, time in stated.items():
        if not time <= now + _CLOCK_SKEW:
            return Finding(
                False,
                value,
                f"The {name} is dated {time.isoformat()}, in the future. Check the clocks of the machines.",
            )
    if not stated["guarantee"] <= stated["evaluation"] + _CLOCK_SKEW:
        return Finding(
            False,
            value,
            f"The evaluation is dated {stated['evaluation'].isoformat()}, before the guarantee of "
            f"{stated['guarantee'].isoformat()}: it cannot have attacked this model. Evaluate the model after "
            "training.",
        )
    return Finding(True, value, "The evaluation followed the guarantee, and neither is dated in the future.")


def check_freshness(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Guarantee and evaluation are not older than the policy allows."""
    stated = _issued(evidence)
    days = {name: (now - time) / datetime.timedelta(days=1) for name, time in stated.items()}
    oldest = max(days, key=lambda name: days[name])
    value = f"{max(days.values()):.3g} days"
    if policy.max_age_days is None:
        return Finding(True, value, "The policy sets no max_age_days.")
    if all(age <= policy.max_age_days for age in days.values()):
        return Finding(True, value, f"Guarantee and evaluation are within max_age_days={policy.max_age_days:g}.")
    return Finding(
        False,
        value,
        f"The {oldest} is {days[oldest]:.3g} days old, more than max_age_days={policy.max_age_days:g}. Train or "
        "evaluate again.",
        excusable=days[oldest] > policy.max_age_days,
    )


def check_signature(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """A signature that is there is valid; where the policy demands it, guarantee and evaluation have one."""
    keys, unsigned = {}, []
    for part in SIGNED_PARTS:
        found = evidence.signatures.get(part)
        if isinstance(found, EvidenceError):
            return Finding(False, "invalid", f"The {part}'s signature is not valid: {found}")
        if found is None:
            unsigned.append(part)
        elif isinstance(found, str) and found:
            keys[part] = found
        else:
            raise EvidenceError(f"Expected the key of the {part}'s signature, not {found!r}.")
    unsigned += _rests_on_unsigned(evidence.guarantee)
    value = ", ".join([*(f"{part} by {key}" for part, key in keys.items()), *(f"{part} unsigned" for part in unsigned)])
    if not unsigned:
        return Finding(True, value, "Guarantee and evaluation have valid signatures.")
    names = " and ".join(unsigned)
    if policy.signature == "optional":
        return Finding(
            True,
            value,
            f"Without a signature, which the policy does not demand: {names}. Whoever can write them can forge them.",
        )
    return Finding(
        False,
        value,
        f"Without a signature, which the policy demands: {names}. Give the components that write them a signing key.",
        excusable=True,
    )


def _rests_on_unsigned(record: PrivacyGuarantee | EvidenceError) -> list[str]:
    """What a guarantee was computed from, and nobody had signed: that of a base model, and records of releases."""
    if not isinstance(record, PrivacyGuarantee):
        return []
    base = record.base_model
    found = ["base model's guarantee"] if base is not None and base.is_private and not base.signed_by else []
    releases = [*record.releases, *(base.releases if base is not None else [])]
    return found + [f"release {release.run_id[:8]}" for release in releases if not release.signed_by]


def check_upstream(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Where another validator is wired, it blessed this model."""
    state = evidence.known_upstream
    if state == UPSTREAM_NOT_WIRED:
        return Finding(True, state, "No other validator is wired to model_blessing.")
    if state == UPSTREAM_BLESSED:
        return Finding(True, state, "The validator wired to model_blessing blessed this model.")
    return Finding(False, state, f"The validator wired to model_blessing did not bless this model: {state}.")


def _issued(evidence: Evidence) -> dict[str, datetime.datetime]:
    return {
        "guarantee": parse_time(evidence.known_guarantee.issued_at),
        "evaluation": parse_time(evidence.known_evaluation.issued_at),
    }


def _short(digest: str) -> str:
    return f"{digest[:19]}..."
