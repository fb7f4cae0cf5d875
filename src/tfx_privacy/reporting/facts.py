"""The facts of a report: what a verdict rests on, gathered once.

HTML, JSON, Markdown and the model card are renderings of them.

The JSON is the facts themselves, so a report can be rendered anew from it. It is no evidence: nobody signs it, and what
Pusher relies on is the blessing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import pydantic

from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.attacks.evaluation import AttackResult, Finding, PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.epsilon_over_steps import Spent
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records import strict_json
from tfx_privacy.records.base import (
    Count,
    GrownRecord,
    PositiveCount,
    Record,
    Text,
    VersionedRecord,
)
from tfx_privacy.reporting.checklist import Answer, Metric
from tfx_privacy.reporting.uses import Coverage

JSON_NAME = "report.json"


class Problem(Record):
    """Why a part of the evidence is not there."""

    error: str


class EvidenceFacts(GrownRecord):
    """What the gate looked at. A part that could not be read is the reason why."""

    added: ClassVar[frozenset[str]] = frozenset({"release_runs"})

    model_digest: str | Problem
    guarantee: PrivacyGuarantee | Problem
    evaluation: PrivacyEvaluation | Problem
    upstream_blessing: str | Problem
    ledger: LedgerRun | Problem | None
    reference_runs: dict[str, LedgerRun | Problem]
    release_runs: dict[str, LedgerRun | Problem] = pydantic.Field(default_factory=dict)
    signatures: dict[str, str | Problem | None]
    statement: str | None = None
    """Written from the guarantee's numbers; the file's own prose is no evidence."""


class TheirStatement(Record):
    """What tensorflow-privacy itself says of the run, beside ours."""

    version: Text
    text: str
    why: str
    """Why the numbers differ from ours."""


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


class Sentence(Record):
    """One of the four that say it plainly."""

    about: Literal["Promise", "Attacks", "Waived", "Budget"]
    text: str


class Tile(Record):
    """One fact of the first screen."""

    label: str
    value: str
    detail: str


class Strongest(Record):
    """The strongest attack, `gate.slice_limits.SliceLimits.strongest`, and its limit."""

    row: AttackResult
    upper: float
    """Upper confidence bound on the AUC of the attack or its mirror image."""
    limit: float


class ReportFacts(VersionedRecord):
    """Everything that a report says."""

    software: Text
    verdict: Verdict
    plain: list[Sentence]
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
    their_statement: TheirStatement | None = None
    """None where tensorflow-privacy is not installed, or knows no such run."""
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


def read(text: str | bytes) -> ReportFacts:
    """Reads the facts from a report's JSON.

    Raises:
      EvidenceError: If it is no report, is of another version, or contradicts itself.
    """
    found = strict_json.loads(text)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != 1:
        raise EvidenceError(
            f"Expected the report of schema_version=1, not {version!r}. "
            "Give a report.json that BudgetValidator of this release wrote, or read the report.html next to it."
        )
    return ReportFacts.from_value(found)


def rows_by_risk(rows: Iterable[AttackResult]) -> list[AttackResult]:
    """Rows of attacks, the highest upper bound first, and those without numbers last."""
    return sorted(
        rows, key=lambda row: (-row.attack_auc_upper if row.status == "OK" else 1.0, row.slice_name, row.attack)
    )


def leaks(finding: Finding) -> bool:
    """Whether the interval of a finding with numbers lies above what a model that leaks nothing has; NaN counts as a leak."""
    assert finding.low is not None
    assert finding.harmless is not None
    return not finding.low <= finding.harmless
