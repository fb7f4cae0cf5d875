"""Rules of the gate on the guarantee, on what binds the evidence to the model, and on how it was issued.

Comparisons are written so that NaN fails them, and a failure is `excusable` only where the number itself shows it.
"""

from __future__ import annotations

import datetime
import math

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.coverage import covered, listed
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.guarantee.spending import Beside

# Upstream artifacts that count as covered on somebody's word: what was said is part of the explanation.
_DECLARED = ("base_model", "hyperparameters")

_PREPROCESSING = (
    "Use public constants in preprocessing_fn, or DPTransform, whose release is wired to DPTrainer's privacy_releases; or set "
    "allow_non_dp_preprocessing."
)

_REMEDIES = {
    "transform_graph": _PREPROCESSING,
    "schema": (
        "Make the schema of DPStatisticsGen's statistics, and wire their privacy_release to DPTrainer's privacy_releases; or "
        "write the label's domain without looking at the records and import it (ImportSchemaGen, or DPTrainer's "
        "schema_is_public); or set allow_non_dp_preprocessing."
    ),
    "hyperparameters": (
        "Fix the hyperparameters or tune on public data, and declare it with DPTrainer's hyperparameters_are_public; "
        "or set allow_non_dp_tuning in the policy."
    ),
    "examples": (
        "A model that was trained with canaries is for measuring what it remembers: train the one to serve on the examples that "
        "CanaryInserter copied."
    ),
    "base_model": "Begin from a model whose guarantee covers it, or from fresh weights.",
}


def check_epsilon(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Recomputed from the mechanism, finite, and at most the limit; without tolerance, and never rounded before."""
    record = evidence.known_guarantee
    epsilon = recomputed_epsilon(record)
    if math.isfinite(epsilon) and epsilon <= policy.max_epsilon:
        return Finding(
            True,
            rounded_up(epsilon),
            f"epsilon={rounded_up(epsilon)} at delta={record.target_delta:g} is within "
            f"max_epsilon={policy.max_epsilon:g}."
            + (f" It covers {listed(covered(record))}." if record.releases else ""),
        )
    is_above = epsilon > policy.max_epsilon
    if not math.isfinite(epsilon):
        return Finding(
            False,
            "infinite",
            f"epsilon is infinite, and max_epsilon={policy.max_epsilon:g}: {_why_infinite(record)}",
            excusable=is_above,
        )
    released = " Preprocessing and statistics are part of it, beside the training." if record.releases else ""
    return Finding(
        False,
        rounded_up(epsilon),
        f"epsilon={rounded_up(epsilon)} at delta={record.target_delta:g} is above max_epsilon={policy.max_epsilon:g}."
        f"{released} Train with a lower target_epsilon: more noise, or fewer steps.",
        excusable=is_above,
    )


def _why_infinite(record: PrivacyGuarantee) -> str:
    mechanism = record.mechanism
    if isinstance(mechanism, NoMechanism) or not mechanism.is_private:
        how = "without differential privacy" if isinstance(mechanism, NoMechanism) else "with deterministic test noise"
        return f"the model was trained {how}. Train with DPParameters that give a noise_multiplier or a target_epsilon."
    groups = Beside.of(record).groups()
    if groups is None:
        return (
            "a base model or a release that it is of as well has no privacy, or is for another privacy unit, users by another "
            "user_id_key, or another neighbouring relation. Begin from a model, and release, on the terms of this training."
        )
    spent = max(group.delta_spent for group in groups)
    return (
        f"the thresholds of its releases have spent delta={spent:g} of {record.target_delta:g}. Release with a smaller delta, or "
        "state epsilon at a larger one."
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
        words = covered(record) if record.releases else []
        named = f" Epsilon covers {listed(words)}." if words else ""
        return Finding(
            True, "covered", f"The guarantee covers what the model takes from upstream components.{named}{declared}"
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
        f"The model contains results that were computed from the data without differential privacy. {details} "
        f"{' '.join(remedies)}",
        # Beside canaries epsilon itself is false, of which nobody can approve.
        excusable=all(item.artifact != "examples" for item in refused),
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


def check_record_wise(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Clipping rests on no author's word, unless the policy accepts it."""
    declared = evidence.known_guarantee.declared_record_wise
    names = ", ".join(declared)
    if not declared:
        return Finding(True, "none", "That records are clipped one by one rests on nobody's word.")
    if policy.allow_declared_record_wise is True:
        return Finding(
            True,
            names,
            f"On their author's word, which the policy accepts, these treat each record by itself: {names}.",
        )
    return Finding(
        False,
        names,
        f"Epsilon rests on the word of the model's author that these treat each record by itself: {names}. Train without "
        "the declaration, so each record goes through them by itself, or set allow_declared_record_wise in the policy.",
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
            f"The guarantee is for {'; '.join(wrong)}, which the policy names. Train on that dataset and on those "
            "terms.",
        )
    value = ", ".join(f"{name}={wanted}" for name, (wanted, _) in named.items())
    if not named:
        return Finding(True, "not demanded", "The policy names no dataset, privacy unit or neighbouring relation.")
    return Finding(True, value, f"The guarantee is for what the policy names: {value}.")
