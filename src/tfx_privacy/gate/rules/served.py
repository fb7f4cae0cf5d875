"""Rule of the gate on what is served: every output of every signature was attacked, or the policy names it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from tfx_privacy.attacks import served
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.served import ServedOutput
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy

MIN_COMPARED = 1000
"""Records on which outputs must have been compared to count as the same: a difference on 1 % of the records
is found in all but 0.005 % of cases."""
_REMEDY = (
    "Attack it with PrivacyEvaluator's heads or signature_name, leave it out of the model's signatures, or accept it by "
    "name in the policy's unattacked_outputs."
)


def check_served(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Every output of every signature was attacked, is the same as one that was, or is named by the policy."""
    record = evidence.known_evaluation
    outputs = dict(served.outputs_of(record.served))
    if not outputs:
        raise EvidenceError("The evaluation does not say what the model serves. Run PrivacyEvaluator again.")
    attacked = set(record.attacked_outputs)
    problems = [
        f"{name} is said to be attacked, but it is not among what the model serves"
        for name in sorted(attacked)
        if name not in outputs or outputs[name].standing != "attacked"
    ]
    unseen = {name: reason for name in sorted(outputs) if (reason := _unseen(record, attacked, name, outputs[name]))}
    refused = {name: reason for name, reason in unseen.items() if name not in policy.unattacked_outputs}
    value = _value(outputs, unseen)
    if problems or refused:
        text = "; ".join([*problems, *(f"{name} {reason}" for name, reason in refused.items())])
        return Finding(False, value, f"What is served is not what was attacked: {text}. {_REMEDY}")
    accepted = f"Served, not attacked, accepted by the policy: {', '.join(unseen)}. Every other" if unseen else "Every"
    return Finding(
        True,
        value,
        f"{accepted} output that is served was attacked, or is the same as one that was, or as a transformed feature.",
    )


def _unseen(record: PrivacyEvaluation, attacked: set[str], name: str, output: ServedOutput) -> str:
    """Why no attack saw an output; empty if one did."""
    if output.standing == "attacked" and name in attacked:
        return ""
    known_same = output.standing == "transformed" or (output.standing == "same" and output.same_as in attacked)
    if not known_same:
        return "was not attacked"
    needed = min(MIN_COMPARED, record.num_members + record.num_nonmembers)
    if record.num_compared >= needed > 0:
        return ""
    return f"was compared on {record.num_compared} records alone, and {needed} are needed: raise sample_size"


def _value(outputs: Mapping[str, ServedOutput], unseen: Mapping[str, str]) -> str:
    return f"{len(outputs) - len(unseen)} of {len(outputs)} outputs"
