"""The facts of a report: what a verdict rests on, gathered once. HTML, JSON, Markdown and the model card are renderings of them.

The JSON is the facts themselves, so that a report can be rendered anew from it. It is no evidence: nobody signs it, and what Pusher
relies on is the blessing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.privacy import (
    gate,
    gaussian_dp,
    rdp_filter,
    report_checklist,
    report_terms,
    spending,
    standing,
    strict_json,
)
from tfx_privacy.privacy._records import Count, Digest, PositiveCount, Record, Text
from tfx_privacy.privacy.errors import EvidenceError, TFXPrivacyError
from tfx_privacy.privacy.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.privacy.gaussian_dp import GaussianDP
from tfx_privacy.privacy.guarantee import DPMechanism, PrivacyGuarantee, write_statement
from tfx_privacy.privacy.ledger_record import LedgerRun
from tfx_privacy.privacy.policy import GatePolicy
from tfx_privacy.privacy.report_checklist import Answer, Coverage, Metric
from tfx_privacy.privacy.slice_limits import SliceLimits
from tfx_privacy.privacy.spending import Spent
from tfx_privacy.privacy.standing import Standing

SCHEMA_VERSION: Literal[3] = 3
JSON_NAME = "report.json"
# What is computed for the report is on a coarser grid than what is stated, and never below it.
_GRID = 1 + 1e-3
_MORE_THAN_THIS_RUN = (
    "The guarantee states more than this run's own mechanism comes to, because it is of other trainings as well, or no accountant takes "
    "the run. A mu of this run alone would be too small."
)


class Problem(Record):
    """Why a part of the evidence is not there."""

    error: str


class Rule(Record):
    """A rule of the gate, as its verdict has it."""

    rule: str
    status: Literal["passed", "failed", "unknown"]
    passed: bool
    excused: bool
    value: str
    limit: str
    explanation: str
    evidence: dict[str, str]

    @property
    def holds(self) -> bool:
        """Whether the rule does not stand in the way."""
        return self.status == "passed" or (self.status == "failed" and self.excused)


class ExceptionUsed(Record):
    """An exception of the policy that excused a failure."""

    rule: str
    approver: str
    reason: str
    expires: str
    model_digest: str | None
    value: str
    limit: str


class VerdictFacts(Record):
    """The gate's verdict as `gate.Verdict.to_json` writes it."""

    model_config = pydantic.ConfigDict(extra="allow")

    blessed: bool
    headline: str
    message: str
    decided_at: str
    model_digest: Digest | None
    policy_digest: str
    exceptions_used: list[ExceptionUsed]
    policy: GatePolicy
    rules: list[Rule]

    @pydantic.model_validator(mode="after")
    def _follows_from_the_rules(self) -> Self:
        if self.blessed is not (bool(self.rules) and all(rule.holds for rule in self.rules)):
            raise ValueError(f"blessed={self.blessed} does not follow from the rules: the report was changed")
        if self.blessed is self.headline.startswith("NOT"):
            raise ValueError(f"the headline {self.headline!r} is not that of blessed={self.blessed}")
        return self

    @property
    def failures(self) -> list[Rule]:
        """The rules that stand in the way."""
        return [rule for rule in self.rules if not rule.holds]

    def rule(self, name: str) -> Rule | None:
        """One rule by its name."""
        return next((rule for rule in self.rules if rule.rule == name), None)


class EvidenceFacts(Record):
    """What the gate looked at. A part that could not be read is the reason why."""

    model_digest: str | Problem
    guarantee: PrivacyGuarantee | Problem
    evaluation: PrivacyEvaluation | Problem
    upstream_blessing: str | Problem
    ledger: LedgerRun | Problem | None
    reference_runs: dict[str, LedgerRun | Problem]
    signatures: dict[str, str | Problem | None]
    statement: str | None = None
    """Written from the guarantee's numbers; the file's own prose is no evidence."""


class Lineage(Record):
    """Where the validator stood, as far as its executor can see it."""

    model_uri: str | None = None
    pipeline: str | None = None
    pipeline_run: str | None = None
    producers: dict[str, str] = pydantic.Field(default_factory=dict)
    """By input of the validator: the node that made it."""


class BudgetPoint(Record):
    """What the dataset's fullest block had been charged after one entry of the ledger."""

    sequence: PositiveCount
    at: Text
    kind: Text
    spent_epsilon: float
    budget_epsilon: float


class Tile(Record):
    """One fact of the first screen."""

    label: str
    value: str
    detail: str


class Strongest(Record):
    """The attack that the gate's verdict names: the largest upper bound among those that count."""

    row: AttackResult
    upper: float
    """Upper confidence bound on the AUC of the attack or its mirror image."""
    limit: float


class ReportFacts(Record):
    """Everything that a report says."""

    schema_version: Literal[3] = SCHEMA_VERSION
    software: Text
    verdict: VerdictFacts
    summary: list[Tile]
    strongest_attack: Strongest | None
    budget_left: float | None
    """Share of the dataset's budget that is left, in the ledger's units; None without a ledger."""
    is_established: bool
    """Whether the gate could recompute the guarantee's epsilon."""
    gaussian_dp: GaussianDP | Problem | None
    """None without a mechanism whose privacy could be described."""
    epsilon_over_steps: list[Spent]
    coverage: list[Coverage]
    disclosure: list[Answer]
    utility: list[Metric]
    budget_history: list[BudgetPoint]
    lineage: Lineage
    num_judged: Count
    evidence: EvidenceFacts

    @property
    def guarantee(self) -> PrivacyGuarantee | None:
        """The guarantee, where it could be read."""
        return self.evidence.guarantee if isinstance(self.evidence.guarantee, PrivacyGuarantee) else None

    @property
    def evaluation(self) -> PrivacyEvaluation | None:
        """The evaluation, where it could be read."""
        return self.evidence.evaluation if isinstance(self.evidence.evaluation, PrivacyEvaluation) else None

    @property
    def ledger(self) -> LedgerRun | None:
        """What the ledger says, where it could be read."""
        return self.evidence.ledger if isinstance(self.evidence.ledger, LedgerRun) else None


def build(
    verdict: gate.Verdict,
    evidence: gate.Evidence,
    *,
    lineage: Lineage | None = None,
    history: Sequence[BudgetPoint] = (),
    utility: Sequence[Metric] = (),
    software: str = "tfx-privacy",
) -> ReportFacts:
    """Gathers what a report says.

    Args:
      verdict: The gate's.
      evidence: What it was made from.
      lineage: Where the validator stood.
      history: What the dataset was charged over time, oldest first.
      utility: Metrics of the task; for display, no rule looks at them.
      software: Name and version of what writes the report.
    """
    facts = VerdictFacts.from_json(verdict.to_json())
    record = evidence.guarantee if isinstance(evidence.guarantee, PrivacyGuarantee) else None
    attacked = evidence.evaluation if isinstance(evidence.evaluation, PrivacyEvaluation) else None
    run = evidence.ledger if isinstance(evidence.ledger, LedgerRun) else None
    lineage = lineage or Lineage()
    strongest = _strongest(attacked, verdict.policy)
    epsilon = facts.rule("epsilon")
    is_established = epsilon is not None and epsilon.status != "unknown"
    spent = _over_steps(record) if is_established else []
    return ReportFacts(
        software=software,
        verdict=facts,
        summary=_summary(facts, evidence, record, attacked, run, strongest, lineage),
        strongest_attack=strongest,
        budget_left=None if run is None else _left(run),
        is_established=is_established,
        gaussian_dp=_gaussian_dp(record, spent) if is_established else None,
        epsilon_over_steps=spent,
        coverage=report_checklist.coverage(record, is_established=is_established),
        disclosure=report_checklist.answers(
            record, attacked, run, signatures=evidence.signatures, is_established=is_established, utility=utility
        ),
        utility=list(utility),
        budget_history=list(history),
        lineage=lineage,
        num_judged=0 if attacked is None else len(standing.attacked(attacked)),
        evidence=_evidence(evidence, record),
    )


def _evidence(evidence: gate.Evidence, record: PrivacyGuarantee | None) -> EvidenceFacts:
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
    """As `gate_attacks.check_attack_auc` chooses it: among those above their limit, else those within, else all."""
    rows = [] if attacked is None else standing.attacked(attacked)
    if attacked is None or not rows:
        return None
    limits = SliceLimits(attacked, policy)
    by_standing = {kind: [row for row in rows if limits.standing(row) is kind] for kind in Standing}
    worst = max(by_standing[Standing.ABOVE] or by_standing[Standing.WITHIN] or rows, key=standing.upper_bound)
    return Strongest(row=worst, upper=standing.upper_bound(worst), limit=limits.limit(worst))


def _gaussian_dp(record: PrivacyGuarantee | None, spent: Sequence[Spent]) -> GaussianDP | Problem | None:
    mechanism = None if record is None else record.mechanism
    if record is None or not isinstance(mechanism, DPMechanism) or not mechanism.is_private:
        return None
    if not spent:
        return Problem(error=_MORE_THAN_THIS_RUN)
    run = mechanism.composition
    return _fitted(
        float(run["noise_multiplier"]), float(run["sampling_probability"]), int(run["steps"]), record.target_delta
    )


@functools.lru_cache(maxsize=32)
def _fitted(noise: float, probability: float, steps: int, delta: float) -> GaussianDP | Problem:
    try:
        return gaussian_dp.fit(
            noise_multiplier=noise, sampling_probability=probability, steps=steps, target_delta=delta
        )
    except TFXPrivacyError as error:
        return Problem(error=str(error))


def _over_steps(record: PrivacyGuarantee | None) -> list[Spent]:
    """Empty where the guarantee states more than its own run comes to: what is shown of the run alone would be taken for all of it."""
    mechanism = None if record is None else record.mechanism
    if record is None or not isinstance(mechanism, DPMechanism) or not mechanism.is_private:
        return []
    try:
        spent = list(_spent(mechanism.to_json(), record.target_delta))
    except TFXPrivacyError:
        return []
    return spent if spent and record.stated_epsilon <= spent[-1].epsilon * _GRID else []


@functools.lru_cache(maxsize=32)
def _spent(mechanism: str, target_delta: float) -> tuple[Spent, ...]:
    """By the mechanism's text, because a record with lists has no hash: three reports of one model are common."""
    return tuple(spending.over_steps(DPMechanism.from_json(mechanism), target_delta=target_delta))


def _left(run: LedgerRun) -> float:
    return max(0.0, 1.0 - run.charged / run.budget) if run.budget else 0.0


def _summary(
    verdict: VerdictFacts,
    evidence: gate.Evidence,
    record: PrivacyGuarantee | None,
    attacked: PrivacyEvaluation | None,
    run: LedgerRun | None,
    strongest: Strongest | None,
    lineage: Lineage,
) -> list[Tile]:
    return [
        _epsilon_tile(verdict, record),
        _attack_tile(verdict, attacked, strongest),
        _budget_tile(evidence, run),
        _model_tile(evidence, lineage),
        _dataset_tile(record),
        _terms_tile(record),
    ]


def _epsilon_tile(verdict: VerdictFacts, record: PrivacyGuarantee | None) -> Tile:
    """As the gate recomputed it, never as the file states it."""
    rule = verdict.rule("epsilon")
    delta = "no readable guarantee" if record is None else f"at delta {record.target_delta:g}"
    if rule is None or rule.status == "unknown":
        return Tile(label="Epsilon", value="not established", detail=f"{delta}; the limit is {_limit(rule)}")
    return Tile(label="Epsilon", value=rule.value, detail=f"{delta}; the limit is {_limit(rule)}")


def _limit(rule: Rule | None) -> str:
    return "unknown" if rule is None else rule.limit


def _attack_tile(verdict: VerdictFacts, attacked: PrivacyEvaluation | None, strongest: Strongest | None) -> Tile:
    label = "Strongest attack, AUC"
    if attacked is None or strongest is None:
        return Tile(label=label, value="not established", detail="No attack could be judged.")
    row = strongest.row
    assert row.auc is not None
    return Tile(
        label=label,
        value=f"{row.auc.estimate:.3f} ({row.auc.low:.3f} to {row.auc.high:.3f})",
        detail=f"{row.attack} on {row.slice_name}, at {100 * attacked.confidence_level:g} % confidence; upper bound "
        f"{report_terms.rounded_up(strongest.upper, 3)}, the limit is {strongest.limit:g}; 0.5 is guessing",
    )


def _budget_tile(evidence: gate.Evidence, run: LedgerRun | None) -> Tile:
    if run is not None:
        of = f"epsilon {run.budget_epsilon:g} at delta {run.budget_delta:g}"
        spent = report_terms.rounded_up(run.spent_epsilon, 4)
        return Tile(
            label="Budget left",
            value=f"{math.floor(1000 * _left(run)) / 10:g} %",
            detail=f"of {run.dataset_id}'s {of}, counted in Renyi divergence; all runs together have spent epsilon {spent}",
        )
    if evidence.ledger is None:
        return Tile(label="Budget left", value="not known", detail="No ledger: other runs on the same data add to it.")
    return Tile(label="Budget left", value="not known", detail=str(evidence.ledger))


def _model_tile(evidence: gate.Evidence, lineage: Lineage) -> Tile:
    origin = [text for text in (lineage.model_uri, lineage.pipeline and f"pipeline {lineage.pipeline}") if text]
    if not isinstance(evidence.model_digest, str):
        return Tile(label="Model", value="not identified", detail=str(evidence.model_digest))
    return Tile(
        label="Model",
        value=report_terms.short(evidence.model_digest),
        detail=", ".join(origin) or "location not stated",
    )


def _dataset_tile(record: PrivacyGuarantee | None) -> Tile:
    if record is None:
        return Tile(label="Dataset", value="not known", detail="no readable guarantee")
    units = "records" if record.privacy_unit == "example" else "users"
    size = f"{record.population.records} {units}, {record.population.source}; splits {', '.join(record.train_splits)}"
    return Tile(label="Dataset", value=record.dataset_id or "not named", detail=size)


def _terms_tile(record: PrivacyGuarantee | None) -> Tile:
    if record is None:
        return Tile(label="Privacy unit", value="not known", detail="no readable guarantee")
    return Tile(
        label="Privacy unit",
        value=report_terms.unit(record),
        detail=f"neighbouring relation: {report_terms.relation(record)}",
    )


def read(text: str | bytes) -> ReportFacts:
    """Reads the facts from a report's JSON.

    Raises:
      EvidenceError: If it is none, is of another version, or contradicts itself.
    """
    found = strict_json.loads(text)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise EvidenceError(
            f"Expected the report of schema_version={SCHEMA_VERSION}, not {version!r}. "
            "Give a report.json that BudgetValidator of this release wrote, or read the report.html beside it."
        )
    return ReportFacts.from_json(text)


def rows_by_risk(rows: Iterable[AttackResult]) -> list[AttackResult]:
    """Rows of attacks, the highest upper bound first, and those without numbers last."""
    return sorted(
        rows, key=lambda row: (-row.attack_auc_upper if row.status == "OK" else 1.0, row.slice_name, row.attack)
    )


def units(amount: int) -> str:
    """An amount of a ledger in nats of Renyi divergence."""
    return f"{amount * rdp_filter.UNIT:.4g}"
