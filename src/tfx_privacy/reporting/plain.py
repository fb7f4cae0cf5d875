"""The report in four plain sentences: what was promised, what attacks found, what was waived, and what is left.

Each number is of the function that the rest of the report has it from.
"""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.attacks import served
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee, ScopeItem
from tfx_privacy.reporting import wording
from tfx_privacy.reporting.facts import Sentence, leaks

_MAX_NAMES = 8


def sentences(
    verdict: Verdict,
    evidence: Evidence,
    record: PrivacyGuarantee | None,
    attacked: PrivacyEvaluation | None,
    run: LedgerRun | None,
) -> list[Sentence]:
    """Returns the four sentences in reading order; what is not known says so."""
    return [
        Sentence(about="Promise", text=_promised(verdict, record)),
        Sentence(about="Attacks", text=_attacks(verdict, attacked)),
        Sentence(about="Waived", text=_waived(verdict, record, attacked)),
        Sentence(about="Budget", text=_budget(evidence, run)),
    ]


def _promised(verdict: Verdict, record: PrivacyGuarantee | None) -> str:
    rule = verdict.rule("epsilon")
    if record is None or rule is None or rule.status == "unknown" or not is_established(verdict, record):
        return "Nothing is promised that the gate could establish."
    if rule.value == "infinite":
        return "Nothing is promised: epsilon is infinite, so nothing limits what the model reveals of its records."
    left_out = wording.left_out(record)
    return (
        f"epsilon = {rule.value} at delta = {record.target_delta:g} covers {wording.covers(record)}, with "
        f"{wording.unit(record)} as privacy unit{f'; {left_out}' if left_out else ''}."
    )


def is_established(verdict: Verdict, record: PrivacyGuarantee) -> bool:
    """Whether the guarantee is of this model, and neither forged nor disproved."""
    signature, proved = verdict.rule("signature"), verdict.rule("proved_epsilon")
    forged = signature is not None and signature.value == "invalid"
    disproved = proved is not None and proved.status == "failed"
    return record.model_digest == verdict.model_digest and not forged and not disproved


def _attacks(verdict: Verdict, attacked: PrivacyEvaluation | None) -> str:
    tested, beating = (0, []) if attacked is None else attack_limit.against_chance(attacked)
    if attacked is None or not tested:
        text = "Whether any attack beats chance is not known: none could be judged"
    elif beating:
        text = (
            f"{len(beating)} of {tested} attacks on slices beat{'s' if len(beating) == 1 else ''} chance after correction for "
            f"all of them{', most clearly' if len(beating) > 1 else ':'} {beating[0].attack} on {beating[0].slice_name} "
            f"({wording.sides(beating[0])})"
        )
    else:
        text = f"None of {tested} attacks on slices beats chance after correction for all of them"
    found = [] if attacked is None else [row for row in attacked.findings if row.status == "OK"]
    leaking = sum(map(leaks, found))
    if leaking:
        text += f"; {leaking} of {len(found)} estimates of other attacks show a leak"
    named = verdict.rule("attack_tpr")
    if named is not None and named.status == "failed":
        text += f"; an attack names single members: {named.value}"
    return f"{text}."


def _waived(verdict: Verdict, record: PrivacyGuarantee | None, attacked: PrivacyEvaluation | None) -> str:
    outside = [] if record is None else [_taken(item) for item in record.scope if not item.covered]
    found = [
        f"the rule {used.rule}, by {used.approver} until {used.expires}"
        + (f", for {', '.join(outside)}" if used.rule == "guarantee_scope" else "")
        for used in verdict.exceptions_used
    ]
    found += [f"{name}: {what}" for name, what in allowed(verdict.policy, record, attacked)]
    if found:
        return f"Waived: {'; '.join(found)}."
    if record is None or attacked is None:
        return "What was waived is not known, as a part of the evidence could not be read."
    return "Nothing was waived: no exception and no allowance of the policy was used."


def allowed(
    policy: GatePolicy, record: PrivacyGuarantee | None, attacked: PrivacyEvaluation | None
) -> Iterator[tuple[str, str]]:
    """What the policy's allowances let through in this very model: the name of each that was needed, and for what."""
    scope = [] if record is None else [item for item in record.scope if not item.covered]
    for name, artifacts in (
        ("allow_non_dp_preprocessing", ("transform_graph", "schema")),
        ("allow_non_dp_tuning", ("hyperparameters",)),
    ):
        items = [item for item in scope if item.artifact in artifacts]
        if items and getattr(policy, name):
            yield name, ", ".join(map(_taken, items))
    declared = [] if record is None else record.declared_record_wise
    if declared and policy.allow_declared_record_wise:
        yield "allow_declared_record_wise", f"the author's word for {_listed(declared)}"
    looser = _of_looser_limits(policy, attacked)
    if looser:
        yield "slice_limits", f"limits above max_attack_auc={policy.max_attack_auc:g} for {_listed(looser)}"
    losses = [] if attacked is None else [head.name for head in attacked.heads if head.task == "loss"]
    if losses and "loss" in policy.required_tasks:
        yield "required_tasks", f"outputs taken for losses on the author's word: {_listed(losses)}"
    unseen = [] if attacked is None else served.unattacked(attacked.served)
    accepted = [name for name in unseen if name in policy.unattacked_outputs]
    if accepted:
        yield "unattacked_outputs", f"{_listed(accepted)}, which no attack saw"


def _of_looser_limits(policy: GatePolicy, attacked: PrivacyEvaluation | None) -> list[str]:
    """Slices with a row above the general limit, which one of their own may let through."""
    features = {limit.feature for limit in policy.slice_limits if limit.max_attack_auc > policy.max_attack_auc}
    rows = [] if attacked is None else attacked.results
    judged = [row for row in rows if row.slice_feature in features and row.auc is not None]
    above = [row for row in judged if attack_limit.upper_bound(row) > policy.max_attack_auc]
    return list(dict.fromkeys(row.slice_name for row in above))


def _taken(item: ScopeItem) -> str:
    """What an upstream artifact took from the data without privacy."""
    if not item.held:
        return f"{item.artifact} ({item.detail.rstrip('.')})"
    names = f" ({_listed(item.vocabularies)})" if item.vocabularies else ""
    return f"{item.held}{names}, computed from the data without privacy"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def _budget(evidence: Evidence, run: LedgerRun | None) -> str:
    if run is not None:
        return renyi_filter.explained(
            run.charged, run.budget, spent_epsilon=run.spent_epsilon, budget_epsilon=run.budget_epsilon
        )
    if evidence.ledger is None:
        return "No ledger was read, so what other runs on the same data have spent is not known."
    return f"What is left of the budget is not known: {evidence.ledger}"
