"""Rules of the gate on the guarantee, on what binds the evidence to the model, and on how it was issued.

Comparisons are written so that NaN fails them, and a failure is `excusable` only where the number itself shows it.
"""

from __future__ import annotations

import datetime
import math

from tfx_privacy.privacy import gate_evidence, guarantee
from tfx_privacy.privacy._records import parse_time
from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.gate_evidence import Evidence, Finding, rounded_up
from tfx_privacy.privacy.policy import GatePolicy

_CLOCK_SKEW = datetime.timedelta(minutes=5)
# Upstream artifacts that count as covered on somebody's word: what was said is part of the explanation.
_DECLARED = ("base_model", "hyperparameters")
_PREPROCESSING = "Use public constants in preprocessing_fn, or set allow_non_dp_preprocessing."
_REMEDIES = {
    "transform_graph": _PREPROCESSING,
    "schema": _PREPROCESSING,
    "hyperparameters": "Fix the hyperparameters or tune on public data, and declare it with DPTrainer's hyperparameters_are_public; or set "
    "allow_non_dp_tuning in the policy.",
    "base_model": "Begin from a model whose guarantee covers it, or from fresh weights.",
}


def check_epsilon(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Recomputed from the mechanism, finite, and at most the limit; without tolerance, and never rounded before."""
    record = evidence.known_guarantee
    epsilon = guarantee.recomputed_epsilon(record)
    if math.isfinite(epsilon) and epsilon <= policy.max_epsilon:
        return Finding(
            True,
            rounded_up(epsilon),
            f"epsilon={rounded_up(epsilon)} at delta={record.target_delta:g} is within max_epsilon={policy.max_epsilon:g}.",
        )
    is_above = epsilon > policy.max_epsilon
    if not math.isfinite(epsilon):
        reason = (
            "was trained without differential privacy"
            if record.mechanism.kind == "none"
            else "was trained with a test's noise"
        )
        return Finding(
            False,
            "infinite",
            f"epsilon is infinite, because the model {reason}; max_epsilon={policy.max_epsilon:g}. "
            "Train with DPParameters that give a noise_multiplier or a target_epsilon.",
            excusable=is_above,
        )
    return Finding(
        False,
        rounded_up(epsilon),
        f"epsilon={rounded_up(epsilon)} at delta={record.target_delta:g} is above max_epsilon={policy.max_epsilon:g}. "
        "Train with a lower target_epsilon: more noise, or fewer steps.",
        excusable=is_above,
    )


def check_delta(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """At most the limit, and below one in as many records as there are."""
    record = evidence.known_guarantee
    delta, size = record.target_delta, record.population.records
    if not (math.isfinite(delta) and delta <= policy.max_delta):
        return Finding(
            False,
            f"{delta:g}",
            f"delta={delta:g} is above max_delta={policy.max_delta:g}. State epsilon at a smaller target_delta.",
            excusable=delta > policy.max_delta,
        )
    if not delta < 1.0 / size:
        return Finding(
            False,
            f"{delta:g}",
            f"delta={delta:g} is not below 1 / {size} records. State epsilon at a smaller target_delta.",
            excusable=delta >= 1.0 / size,
        )
    return Finding(True, f"{delta:g}", f"delta={delta:g} is within max_delta={policy.max_delta:g}.")


def check_scope(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Nothing inside the model was computed from the data outside the guarantee, unless the policy allows it."""
    record = evidence.known_guarantee
    uncovered = [item for item in record.scope if not item.covered]
    names = ", ".join(item.artifact for item in uncovered)
    declared = "".join(f" {item.artifact}: {item.detail}" for item in record.scope if item.artifact in _DECLARED)
    if not uncovered:
        return Finding(
            True, "covered", f"The guarantee covers what the model takes from upstream components.{declared}"
        )
    allowed = allowed_outside(policy)
    if all(item.artifact in allowed for item in uncovered):
        return Finding(
            True, f"not covered: {names}", f"Not covered by the guarantee, and allowed by the policy: {names}."
        )
    refused = [item for item in uncovered if item.artifact not in allowed]
    details = " ".join(f"{item.artifact}: {item.detail}" for item in refused)
    remedies = {_REMEDIES[item.artifact]: None for item in refused}
    return Finding(
        False,
        f"not covered: {names}",
        f"The model contains results that were computed from the data without differential privacy. {details} {' '.join(remedies)}",
        excusable=True,
    )


def allowed_outside(policy: GatePolicy) -> frozenset[str]:
    """The upstream artifacts of whose uncovered results a policy approves; never a base model."""
    return frozenset(
        artifact
        for allowed, artifacts in (
            (policy.allow_non_dp_preprocessing, ("transform_graph", "schema")),
            (policy.allow_non_dp_tuning, ("hyperparameters",)),
        )
        for artifact in artifacts
        if allowed is True
    )


def check_terms(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Dataset, privacy unit and neighbouring relation are those that the policy names."""
    record = evidence.known_guarantee
    named = {
        name: (getattr(policy, name), getattr(record, name))
        for name in ("dataset_id", "privacy_unit", "neighboring_relation")
        if getattr(policy, name) is not None
    }
    wrong = [f"{name}={found!r}, not {wanted!r}" for name, (wanted, found) in named.items() if found != wanted]
    if wrong:
        return Finding(
            False,
            ", ".join(str(found) for _, found in named.values()),
            f"The guarantee is for {'; '.join(wrong)}, which the policy names. Train on that dataset and on those terms.",
        )
    value = ", ".join(f"{name}={wanted}" for name, (wanted, _) in named.items())
    if not named:
        return Finding(True, "not demanded", "The policy names no dataset, privacy unit or neighbouring relation.")
    return Finding(True, value, f"The guarantee is for what the policy names: {value}.")


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
            f"The evaluation is dated {stated['evaluation'].isoformat()}, before the guarantee of {stated['guarantee'].isoformat()}: "
            "it cannot have attacked this model. Evaluate the model after training.",
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
        f"The {oldest} is {days[oldest]:.3g} days old, more than max_age_days={policy.max_age_days:g}. Train or evaluate again.",
        excusable=days[oldest] > policy.max_age_days,
    )


def check_signature(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """A signature that is there is valid; where the policy demands it, guarantee and evaluation have one."""
    keys, unsigned = {}, []
    for part in gate_evidence.SIGNED_PARTS:
        found = evidence.signatures.get(part)
        if isinstance(found, EvidenceError):
            return Finding(False, "invalid", f"The {part}'s signature is not valid: {found}")
        if found is None:
            unsigned.append(part)
        elif isinstance(found, str) and found:
            keys[part] = found
        else:
            raise EvidenceError(f"Expected the key of the {part}'s signature, not {found!r}.")
    if _rests_on_unsigned(evidence.guarantee):
        unsigned.append("base model's guarantee")
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


def _rests_on_unsigned(record: guarantee.PrivacyGuarantee | EvidenceError) -> bool:
    """Whether a guarantee was computed from that of a base model which nobody had signed."""
    if not isinstance(record, guarantee.PrivacyGuarantee) or record.base_model is None:
        return False
    return record.base_model.is_private and not record.base_model.signed_by


def check_upstream(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Where another validator is wired, it blessed this model."""
    state = evidence.known_upstream
    if state == gate_evidence.UPSTREAM_NOT_WIRED:
        return Finding(True, state, "No other validator is wired to model_blessing.")
    if state == gate_evidence.UPSTREAM_BLESSED:
        return Finding(True, state, "The validator wired to model_blessing blessed this model.")
    return Finding(False, state, f"The validator wired to model_blessing did not bless this model: {state}.")


def _issued(evidence: Evidence) -> dict[str, datetime.datetime]:
    return {
        "guarantee": parse_time(evidence.known_guarantee.issued_at),
        "evaluation": parse_time(evidence.known_evaluation.issued_at),
    }


def _short(digest: str) -> str:
    return f"{digest[:19]}..."
