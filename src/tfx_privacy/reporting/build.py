"""Gathers the facts of a report from the verdict and the evidence."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfx_privacy.accounting import gaussian_dp
from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError, TFXPrivacyError
from tfx_privacy.gate import attack_limit
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.slice_limits import SliceLimits
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee import epsilon_over_steps
from tfx_privacy.guarantee.epsilon_over_steps import Spent
from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.guarantee.spending import Beside
from tfx_privacy.guarantee.statement import write_statement
from tfx_privacy.reporting import checklist, uses
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import (
    BudgetPoint,
    EvidenceFacts,
    Lineage,
    Problem,
    ReportFacts,
    Strongest,
    TheirStatement,
)
from tfx_privacy.reporting.plain import sentences
from tfx_privacy.reporting.summary import first_screen

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# What is computed for the report is on a coarser grid than what is stated, and never below it.
_GRID = 1 + 1e-3

_MORE_THAN_THIS_RUN = (
    "The guarantee states more than this run's own mechanism spends, because it is of other trainings as well, or no "
    "accountant takes the run. A mu of this run alone would be too small."
)


_RELEASED_BESIDES = (
    "Epsilon is of what was released besides as well, and what thresholds spend of delta is no part of a mu. A mu of the "
    "training alone would be too small."
)


def build(
    verdict: Verdict,
    evidence: Evidence,
    *,
    lineage: Lineage | None = None,
    history: Sequence[BudgetPoint] = (),
    utility: Sequence[Metric] = (),
    software: str = "tfx-privacy",
    theirs: TheirStatement | None = None,
) -> ReportFacts:
    """Gathers what a report says.

    Args:
      verdict: The gate's.
      evidence: What it was made from.
      lineage: Where the validator stood.
      history: What the dataset was charged over time, oldest first.
      utility: Metrics of the task; for display, no rule looks at them.
      software: Name and version of what writes the report.
      theirs: What tensorflow-privacy says of the same run.
    """
    record = evidence.guarantee if isinstance(evidence.guarantee, PrivacyGuarantee) else None
    attacked = evidence.evaluation if isinstance(evidence.evaluation, PrivacyEvaluation) else None
    run = evidence.ledger if isinstance(evidence.ledger, LedgerRun) else None
    lineage = lineage or Lineage()
    strongest = _strongest(attacked, verdict.policy)
    epsilon = verdict.rule("epsilon")
    is_established = epsilon is not None and epsilon.status != "unknown"
    spent = _over_steps(record) if is_established else []
    return ReportFacts(
        software=software,
        verdict=verdict,
        plain=sentences(verdict, evidence, record, attacked, run),
        summary=first_screen(verdict, evidence, record, attacked, run, strongest, lineage),
        strongest_attack=strongest,
        budget_left=None if run is None else renyi_filter.share_left(run.charged, run.budget),
        is_established=is_established,
        gaussian_dp=_gaussian_dp(record, spent) if is_established else None,
        epsilon_over_steps=spent,
        coverage=uses.coverage(record, is_established=is_established),
        disclosure=checklist.answers(
            record, attacked, run, signatures=evidence.signatures, is_established=is_established, utility=utility
        ),
        utility=list(utility),
        budget_history=list(history),
        lineage=lineage,
        num_judged=0 if attacked is None else len(attack_limit.attacked(attacked)),
        their_statement=theirs if is_established else None,
        evidence=_evidence(evidence, record),
    )


def _evidence(evidence: Evidence, record: PrivacyGuarantee | None) -> EvidenceFacts:
    parts: dict[str, Any] = {
        field.name: _readable(getattr(evidence, field.name)) for field in dataclasses.fields(evidence)
    }
    return EvidenceFacts(**parts, statement=None if record is None else write_statement(record))


def _readable(part: object) -> object:
    if isinstance(part, EvidenceError):
        return Problem(error=str(part))
    if isinstance(part, Mapping):
        return {name: _readable(value) for name, value in part.items()}
    return part


def _strongest(attacked: PrivacyEvaluation | None, policy: GatePolicy) -> Strongest | None:
    if attacked is None:
        return None
    limits = SliceLimits(attacked, policy)
    row = limits.strongest()
    return None if row is None else Strongest(row=row, upper=attack_limit.upper_bound(row), limit=limits.limit(row))


def _gaussian_dp(record: PrivacyGuarantee | None, spent: Sequence[Spent]) -> GaussianDP | Problem | None:
    mechanism = None if record is None else record.mechanism
    if record is None or not isinstance(mechanism, DPMechanism) or not mechanism.is_private:
        return None
    if not spent:
        return Problem(error=_MORE_THAN_THIS_RUN)
    if record.releases:
        return Problem(error=_RELEASED_BESIDES)
    return _fitted(mechanism.event, record.target_delta)


@functools.lru_cache(maxsize=32)
def _fitted(event: DpEvent, target_delta: float) -> GaussianDP | Problem:
    try:
        return gaussian_dp.fit(event, target_delta=target_delta)
    except TFXPrivacyError as error:
        return Problem(error=str(error))


def _over_steps(record: PrivacyGuarantee | None) -> list[Spent]:
    """Empty where the guarantee states more than its own run spends: that run alone would be taken for all of it."""
    mechanism = None if record is None else record.mechanism
    if record is None or not isinstance(mechanism, DPMechanism) or not mechanism.is_private:
        return []
    try:
        spent = list(_spent(_run_of(record, mechanism)))
    except TFXPrivacyError:
        return []
    return spent if spent and record.stated_epsilon <= spent[-1].epsilon * _GRID else []


@dataclasses.dataclass(frozen=True)
class _Run:
    """A mechanism and its releases that are compared by their texts, because records with lists have no hash."""

    texts: tuple[str, ...]
    target_delta: float
    mechanism: DPMechanism = dataclasses.field(compare=False)
    beside: Beside = dataclasses.field(compare=False)


def _run_of(record: PrivacyGuarantee, mechanism: DPMechanism) -> _Run:
    """With releases, which cost no time; without a base model, whose trainings would."""
    beside = dataclasses.replace(Beside.of(record), base_model=None)
    examples = [*record.examples, *record.releases]
    texts = (
        mechanism.to_json(),
        str(record.splits_disjoint_for),
        *record.train_splits,
        *(each.to_json() for each in examples),
    )
    return _Run(texts, record.target_delta, mechanism, beside)


# Three reports of one model are common.
@functools.lru_cache(maxsize=32)
def _spent(run: _Run) -> tuple[Spent, ...]:
    return tuple(epsilon_over_steps.over_steps(run.mechanism, target_delta=run.target_delta, beside=run.beside))
