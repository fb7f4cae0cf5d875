"""What an entry rests on: a report, or a guarantee alone; and whether either is of a private deployment at all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting import checklist, plain, uses
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import Problem, ReportFacts
from tfx_privacy.reporting.uses import Coverage

INFINITE = "Epsilon is infinite: nothing limits what the model reveals of its records."
NOT_ESTABLISHED = "No epsilon is established: nothing is promised."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Basis:
    """The evidence of one model."""

    guarantee: PrivacyGuarantee | None
    epsilon: float | None
    """Recomputed, and never below what is stated; None where none is established."""
    verdict: Verdict | None = None
    evaluation: PrivacyEvaluation | None = None
    ledger: LedgerRun | None = None
    signatures: dict[str, str | EvidenceError | None] = dataclasses.field(default_factory=dict)
    utility: Sequence[Metric] = ()

    @property
    def bounded(self) -> tuple[PrivacyGuarantee, float] | None:
        """The guarantee and its epsilon, where both are there and epsilon bounds anything."""
        if self.guarantee is None or self.epsilon is None or not math.isfinite(self.epsilon):
            return None
        return self.guarantee, self.epsilon

    @property
    def objections(self) -> dict[str, str]:
        """Why this is no private deployment, by the word that its name begins with; empty where it is one."""
        found = {}
        if self.verdict is not None and not self.verdict.blessed:
            rules = ", ".join([*(rule.rule for rule in self.verdict.failures), *self.verdict.missing])
            found["REFUSED"] = f"The privacy gate refused this model ({rules}), so it is not to be deployed."
        if self.bounded is None:
            found["NOT PRIVATE"] = NOT_ESTABLISHED if self.epsilon is None else INFINITE
        return found

    @property
    def coverage(self) -> list[Coverage]:
        """Each use of the data, and whether epsilon covers it."""
        return uses.coverage(self.guarantee, is_established=self.epsilon is not None)

    @property
    def answers(self) -> dict[str, str]:
        """What the records say, by the checklists' headings."""
        rows = checklist.answers(
            self.guarantee,
            self.evaluation,
            self.ledger,
            signatures=self.signatures,
            is_established=self.epsilon is not None,
            utility=self.utility,
        )
        return {row.heading: row.answer for row in rows}


def of_report(facts: ReportFacts) -> Basis:
    """A report's evidence.

    Raises:
      EvidenceError: If the report holds as established what its guarantee contradicts.
      AccountingError: If the accountants have no number.
    """
    record = facts.guarantee
    established = record is not None and facts.is_established and plain.is_established(facts.verdict, record)
    return Basis(
        guarantee=record,
        epsilon=recomputed_epsilon(record) if record is not None and established else None,
        verdict=facts.verdict,
        evaluation=facts.evaluation,
        ledger=facts.ledger,
        signatures={
            part: EvidenceError(found.error) if isinstance(found, Problem) else found
            for part, found in facts.evidence.signatures.items()
        },
        utility=facts.utility,
    )


def of_guarantee(record: PrivacyGuarantee) -> Basis:
    """A guarantee at which no gate looked; its epsilon is recomputed.

    Raises:
      EvidenceError: If it states less than its own mechanism spends.
      AccountingError: If the accountants have no number.
    """
    return Basis(guarantee=record, epsilon=recomputed_epsilon(record))
