"""The gate: the only place in the project that decides whether a model is blessed.

`decide` holds every rule against the evidence. It denies by default:

* the list of rules is fixed, a policy sets their limits; all are checked and all reasons are given, not the first one;
* a rule passes only if its check returns the object True; what cannot be checked is "unknown", which fails;
* comparisons are written `isfinite(x) and x <= limit`, so NaN fails them;
* epsilon is recomputed from the mechanism, never read;
* an exception of the policy excuses a rule only where the rule allows it, its failure is established, somebody is named
  and its time has not come. The rule still counts as failed, and the verdict says so.

What is demanded, and where it is checked:

====================  =================================================================================
default is a refusal  `Verdict.blessed`; the executor writes NOT_BLESSED before it reads anything
one of each artifact  the executor; whatever cannot be read is an `EvidenceError` in the evidence
epsilon               `epsilon`, `delta`: `rules.guarantee`; the dataset's, by all runs: `dataset_budget`; what audit
                      and canaries prove of it: `proved_epsilon`
attacks               `attack_auc`, `attack_tpr`, `attack_coverage`, `attack_splits`, `required_*`: `rules.attacks`; the record
                      itself: `evaluation`, `unscored_records`: `rules.evaluation`
what is served        `served_outputs`: `rules.served`
no privacy            `epsilon` is infinite, for deterministic test noise as well; `guarantee_scope`, `ledger`
what came before      `privacy_releases`: what preprocessing and statistics released is in epsilon, and of these records
nobody's word         `declared_record_wise`: that a layer leaves the records of a batch apart
binding               `model_digest`, `trained_records`, `trained_labels`, `guarantee_terms`, `ledger` (`rules.ledger`: the run,
                      and the releases that the guarantee names)
freshness             `issued_at`, `freshness`; the driver keeps a verdict from being replayed
signatures            `signature`
explanation           `RuleResult`; digests of the policy, of the evidence and of the ledger's head
====================  =================================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from tfx_privacy._printable import printable
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.gate.evidence import (
    EVALUATION,
    GUARANTEE,
    LEDGER,
    SIGNED_PARTS,
    UPSTREAM_BLESSED,
    UPSTREAM_NOT_WIRED,
    Evidence,
    Finding,
)
from tfx_privacy.gate.policy import FALSE_POSITIVE_RATE, ExcusableRule, GatePolicy, PolicyException
from tfx_privacy.gate.rules import (
    attacks,
    binding,
    evaluation,
    guarantee,
    individuals,
    ledger,
    proved,
    releases,
    served,
    trained_labels,
    trained_records,
)
from tfx_privacy.gate.rules.attacks import REQUIRED_ATTACKS
from tfx_privacy.gate.verdict import LedgerHead, RuleResult, Status, Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records import digest, statement
from tfx_privacy.records.base import is_digest

__all__ = [
    "EVALUATION",
    "GUARANTEE",
    "REQUIRED_ATTACKS",
    "SIGNED_PARTS",
    "UPSTREAM_BLESSED",
    "UPSTREAM_NOT_WIRED",
    "Evidence",
    "GatePolicy",
    "RuleResult",
    "Verdict",
    "decide",
]

_UNKNOWN: Literal["unknown"] = "unknown"

_Check = Callable[[Evidence, GatePolicy, datetime.datetime], Finding]


class _Rule(NamedTuple):
    name: str
    limit: Callable[[GatePolicy], str]
    check: _Check
    parts: tuple[str, ...]
    """What of the evidence the rule is held against."""


def decide(evidence: Evidence, policy: GatePolicy, *, now: datetime.datetime) -> Verdict:
    """Decides whether a model may be deployed.

    Args:
      evidence: What is known of the model.
      policy: The limits.
      now: The time, with its zone.

    Returns:
      The verdict; its `blessed` is True only if every rule passed, or failed and is excused by the policy.
    """
    with _without_collection():
        digests = _digests(evidence)
        rules = tuple(_apply(rule, evidence, policy, now, digests) for rule in _RULES)
    run = evidence.ledger
    return Verdict(
        rules=rules,
        policy=policy,
        decided_at=now.isoformat(),
        # What is no digest fails its rule, and names no model.
        model_digest=evidence.model_digest if is_digest(evidence.model_digest) else None,  # type: ignore[arg-type]
        evidence={part: text for part, text in digests.items() if part != LEDGER},
        ledger_head=_ledger_head(run) if isinstance(run, LedgerRun) else None,
    )


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Python's cyclic collector waits: it would walk through all of TensorFlow for each some thousand rows, and find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _apply(
    rule: _Rule, evidence: Evidence, policy: GatePolicy, now: datetime.datetime, digests: Mapping[str, str]
) -> RuleResult:
    limit: str = _UNKNOWN
    exception: PolicyException | None = None
    status: Status = _UNKNOWN
    try:
        limit = rule.limit(policy)
        finding = rule.check(evidence, policy, now)
        if finding.passed is not True:
            exception, remark = _exception_for(rule.name, finding, evidence, policy, now)
            finding = dataclasses.replace(finding, explanation=f"{finding.explanation}{remark}")
        status = "passed" if finding.passed is True else "failed"
    except TFXPrivacyError as error:
        finding = Finding(False, _UNKNOWN, str(error))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a rule, the model is not blessed by it
        finding = Finding(False, _UNKNOWN, f"The rule could not be checked: {type(error).__name__}: {error}.")
    return RuleResult(
        rule=rule.name,
        status=status,
        value=_text(finding.value),
        limit=_text(limit),
        explanation=_text(finding.explanation),
        exception=exception if status == "failed" else None,
        evidence={part: digests[part] for part in rule.parts if part in digests},
    )


def _text(text: str) -> str:
    """Printable text, which has a UTF-8 form too: it quotes the data's values, and goes to logs, terminals and reports."""
    return printable(text)


def _exception_for(
    rule: str, finding: Finding, evidence: Evidence, policy: GatePolicy, now: datetime.datetime
) -> tuple[PolicyException | None, str]:
    """The policy's exception that excuses a failure, if one does; and what to say of it, or of those that do not."""
    reasons = []
    for exception in policy.exceptions:
        if exception.rule != rule:
            continue
        reason = _why_not(exception, finding, evidence, now)
        if reason is None:
            return exception, (
                f" Excepted by {exception.approver} until {exception.expires_at.isoformat()}: {exception.reason}"
            )
        reasons.append(f" The exception by {exception.approver} does not apply: {reason}.")
    return None, "".join(reasons)


def _why_not(exception: PolicyException, finding: Finding, evidence: Evidence, now: datetime.datetime) -> str | None:
    """Why an exception does not excuse a failure; None if it does."""
    if exception.rule not in get_args(ExcusableRule) or finding.excusable is not True:
        return "this failure cannot be waived"
    return exception.why_not(evidence.model_digest, now)


def _digests(evidence: Evidence) -> dict[str, str]:
    found = {}
    for name, part, kind in (
        (GUARANTEE, evidence.guarantee, PrivacyGuarantee),
        (EVALUATION, evidence.evaluation, PrivacyEvaluation),
    ):
        if isinstance(part, kind):
            try:
                found[name] = digest.text_digest(statement.to_json(part))
            except ValueError:
                continue  # NaN or infinity: the record cannot be serialised; the rules refuse it
    if isinstance(evidence.ledger, LedgerRun):
        found[LEDGER] = evidence.ledger.head_hash
    return found


def _ledger_head(run: LedgerRun) -> LedgerHead:
    return LedgerHead(
        ledger_id=run.ledger_id, dataset_id=run.dataset_id, sequence=run.head_sequence, hash=run.head_hash
    )


def _or_any(text: str) -> str:
    return text or "any"


_RULES: tuple[_Rule, ...] = (
    _Rule("epsilon", lambda policy: f"at most {policy.max_epsilon:g}", guarantee.check_epsilon, (GUARANTEE,)),
    _Rule("delta", lambda policy: f"at most {policy.max_delta:g}", guarantee.check_delta, (GUARANTEE,)),
    _Rule("proved_epsilon", lambda policy: "at most the guarantee's", proved.check_proved, (GUARANTEE, EVALUATION)),
    _Rule("evaluation", lambda policy: "no contradiction", evaluation.check_consistent, (EVALUATION,)),
    _Rule("unscored_records", lambda policy: "as many on both sides", evaluation.check_unscored, (EVALUATION,)),
    _Rule(
        "attack_auc",
        lambda policy: (
            f"upper bound at most {policy.max_attack_auc:g}" + (", or slice_limits" if policy.slice_limits else "")
        ),
        attacks.check_attack_auc,
        (EVALUATION,),
    ),
    _Rule(
        "attack_tpr",
        lambda policy: f"at most {policy.max_tpr_at_fpr:g} at a false-positive rate of {FALSE_POSITIVE_RATE:g}",
        individuals.check_individuals,
        (EVALUATION,),
    ),
    _Rule(
        "attack_coverage",
        lambda policy: f"at least {policy.min_slice_coverage:.0%}",
        attacks.check_coverage,
        (EVALUATION,),
    ),
    _Rule("attack_splits", lambda policy: "the splits trained on", attacks.check_splits, (GUARANTEE, EVALUATION)),
    _Rule(
        "trained_records",
        lambda policy: f"at least {trained_records.MIN_SHARE:.0%} of the members",
        trained_records.check_trained_records,
        (GUARANTEE, EVALUATION),
    ),
    _Rule(
        "trained_labels",
        lambda policy: "the labels trained on" + (", or a loss" if trained_labels.allows_losses(policy) else ""),
        trained_labels.check_labels,
        (GUARANTEE, EVALUATION),
    ),
    _Rule(
        "required_attacks",
        lambda policy: _or_any(", ".join(policy.required_attacks)),
        attacks.check_required_attacks,
        (EVALUATION,),
    ),
    _Rule(
        "required_slices",
        lambda policy: _or_any(", ".join(policy.required_slices)),
        attacks.check_required_slices,
        (EVALUATION,),
    ),
    _Rule(
        "required_tasks",
        lambda policy: _or_any(", ".join(policy.required_tasks)),
        attacks.check_required_tasks,
        (EVALUATION,),
    ),
    _Rule(
        "served_outputs",
        lambda policy: " but ".join(["all attacked", *filter(None, [", ".join(policy.unattacked_outputs)])]),
        served.check_served,
        (EVALUATION,),
    ),
    _Rule("model_digest", lambda policy: "one model", binding.check_digest, (GUARANTEE, EVALUATION)),
    _Rule("issued_at", lambda policy: "in order, not in the future", binding.check_issued, (GUARANTEE, EVALUATION)),
    _Rule(
        "freshness",
        lambda policy: "any age" if policy.max_age_days is None else f"at most {policy.max_age_days:g} days",
        binding.check_freshness,
        (GUARANTEE, EVALUATION),
    ),
    _Rule(
        "guarantee_scope",
        lambda policy: " but ".join(
            ["all covered", *filter(None, [", ".join(sorted(guarantee.allowed_outside(policy)))])]
        ),
        guarantee.check_scope,
        (GUARANTEE,),
    ),
    _Rule(
        "declared_record_wise",
        lambda policy: "any" if policy.allow_declared_record_wise is True else "none",
        guarantee.check_record_wise,
        (GUARANTEE,),
    ),
    _Rule(
        "guarantee_terms",
        lambda policy: _or_any(
            ", ".join(
                str(term) for term in (policy.dataset_id, policy.privacy_unit, policy.neighboring_relation) if term
            )
        ),
        guarantee.check_terms,
        (GUARANTEE,),
    ),
    _Rule(
        "privacy_releases", lambda policy: "of the training's records and terms", releases.check_releases, (GUARANTEE,)
    ),
    _Rule("ledger", lambda policy: policy.ledger, ledger.check_ledger, (GUARANTEE, LEDGER)),
    _Rule("dataset_budget", lambda policy: "within the dataset's", ledger.check_dataset_budget, (LEDGER,)),
    _Rule("signature", lambda policy: policy.signature, binding.check_signature, (GUARANTEE, EVALUATION)),
    _Rule("model_blessing", lambda policy: "blessed, where wired", binding.check_upstream, ()),
)
