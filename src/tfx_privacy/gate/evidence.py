"""What the gate's rules work on: the evidence, and what a rule finds in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.record import PrivacyGuarantee

# What the Evaluator (or another validator before the gate) said of the model.
UPSTREAM_NOT_WIRED = "not wired"
UPSTREAM_BLESSED = "blessed"

GUARANTEE = "guarantee"
EVALUATION = "evaluation"
LEDGER = "ledger"
SIGNED_PARTS = (GUARANTEE, EVALUATION)

_Part = TypeVar("_Part")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known of one model. A part that could not be read is the error that says why."""

    model_digest: str | EvidenceError
    """Digest of the model's directory, taken now."""
    guarantee: PrivacyGuarantee | EvidenceError
    evaluation: PrivacyEvaluation | EvidenceError
    upstream_blessing: str | EvidenceError = UPSTREAM_NOT_WIRED
    """"not wired", "blessed", or what else the blessing says."""
    ledger: LedgerRun | EvidenceError | None = None
    """What the ledger says of the guarantee's run, read now; None if no ledger was asked."""
    reference_runs: Mapping[str, LedgerRun | EvidenceError] = dataclasses.field(default_factory=dict)
    """What it says of the reservations of reference models that the guarantee names, by run id."""
    release_runs: Mapping[str, LedgerRun | EvidenceError] = dataclasses.field(default_factory=dict)
    """What it says of the releases that the guarantee names in it, by run id."""
    signatures: Mapping[str, str | EvidenceError | None] = dataclasses.field(default_factory=dict)
    """Of "guarantee" and "evaluation": the key of a valid signature, None without one, or why it is not valid."""

    @property
    def known_digest(self) -> str:
        """The model's digest.

        Raises:
          EvidenceError: If it could not be taken.
        """
        return _known(self.model_digest, str)

    @property
    def known_guarantee(self) -> PrivacyGuarantee:
        """The guarantee.

        Raises:
          EvidenceError: If it could not be read.
        """
        return _known(self.guarantee, PrivacyGuarantee)

    @property
    def known_evaluation(self) -> PrivacyEvaluation:
        """The evaluation.

        Raises:
          EvidenceError: If it could not be read.
        """
        return _known(self.evaluation, PrivacyEvaluation)

    @property
    def known_upstream(self) -> str:
        """What the validator before the gate said.

        Raises:
          EvidenceError: If its blessing could not be read.
        """
        return _known(self.upstream_blessing, str)

    @property
    def known_ledger(self) -> LedgerRun:
        """What the ledger says of the run.

        Raises:
          EvidenceError: If no ledger was asked, or it could not be read.
        """
        if self.ledger is None:
            raise EvidenceError(
                "The guarantee names a position in a budget ledger, but no ledger was given to hold it against. "
                "Set BudgetValidator's ledger."
            )
        return _known(self.ledger, LedgerRun)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a rule found. A rule that cannot say raises an EvidenceError, which is "unknown" and never passes."""

    passed: bool
    value: str
    explanation: str
    excusable: bool = False
    """The failure is known to be one, and is no more than a risk that a policy's exception may accept."""


def _known(part: object, kind: type[_Part]) -> _Part:
    if isinstance(part, EvidenceError):
        raise part
    if not isinstance(part, kind):
        raise EvidenceError(f"Expected {kind.__name__} as evidence, not {type(part).__name__}.")
    return part
