"""The gate's verdict: every rule with what was found, what is allowed, and what that means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.records import strict_json

Status = Literal["passed", "failed", "unknown"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleResult:
    """One rule: what was found, what is allowed, and what that means."""

    rule: str
    passed: bool
    value: str
    limit: str
    explanation: str
    """One sentence; for a failure it says what to do."""
    known: bool = True
    """Whether the rule could be checked at all; what is not known did not pass."""
    exception: PolicyException | None = None
    """The policy's exception that excuses the failure."""
    evidence: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Digests of what the rule was held against, by "guarantee", "evaluation" and "ledger"."""

    @property
    def status(self) -> Status:
        """What became of it: "passed", "failed", or "unknown", which counts as failed."""
        if self.known is not True:
            return "unknown"
        return "passed" if self.passed is True else "failed"

    @property
    def holds(self) -> bool:
        """Whether the rule does not stand in the way: it passed, or its failure is known and excused."""
        return self.status == "passed" or (self.status == "failed" and self.exception is not None)


class LedgerHead(NamedTuple):
    """The last entry of a dataset in its ledger when the verdict was made; an anchor against older copies."""

    ledger_id: str
    dataset_id: str
    sequence: int
    hash: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's decision with every rule explained."""

    rules: tuple[RuleResult, ...]
    policy: GatePolicy
    decided_at: str
    model_digest: str | None = None
    """Of the model's directory; None if it could not be taken."""
    evidence: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Digests of guarantee and evaluation, as `sha256sum` of their files gives them."""
    ledger_head: LedgerHead | None = None

    @property
    def blessed(self) -> bool:
        """True only if there are rules, and every one of them passed or is excused."""
        return bool(self.rules) and all(rule.holds is True for rule in self.rules)

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """The rules that stand in the way."""
        return tuple(rule for rule in self.rules if rule.holds is not True)

    @property
    def excused(self) -> tuple[RuleResult, ...]:
        """The rules that failed and stand in no one's way, because the policy has an exception."""
        return tuple(rule for rule in self.rules if rule.passed is not True and rule.holds is True)

    @property
    def headline(self) -> str:
        """The decision in capitals."""
        if not self.blessed:
            return "NOT BLESSED"
        return "BLESSED WITH EXCEPTION" if self.excused else "BLESSED"

    @property
    def message(self) -> str:
        """One line: what the blessing says."""
        if not self.blessed:
            return "Not blessed: " + " ".join(f"{rule.rule}: {rule.explanation}" for rule in self.failures)
        found = " ".join(
            rule.explanation for rule in self.rules if rule.passed and rule.rule in ("epsilon", "attack_auc")
        )
        if self.excused:
            excused = " ".join(f"{rule.rule}: {rule.explanation}" for rule in self.excused)
            return f"{self.headline}: {excused} {found}".rstrip()
        return f"Blessed: {found}"

    @property
    def policy_digest(self) -> str:
        """Digest of the policy's canonical JSON."""
        return self.policy.digest

    def to_json(self) -> str:
        """The verdict as strict JSON."""
        return strict_json.dumps(
            {
                "schema_version": 2,
                "blessed": self.blessed,
                "headline": self.headline,
                "message": self.message,
                "decided_at": self.decided_at,
                "model_digest": self.model_digest,
                "policy_digest": self.policy_digest,
                "evidence": dict(self.evidence),
                "ledger_head": None if self.ledger_head is None else self.ledger_head._asdict(),
                "exceptions_used": [_used(rule) for rule in self.excused],
                "policy": self.policy.model_dump(mode="json"),
                "rules": [_result(rule) for rule in self.rules],
            }
        )


def _result(rule: RuleResult) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "status": rule.status,
        "passed": rule.passed,
        "excused": rule.exception is not None,
        "value": rule.value,
        "limit": rule.limit,
        "explanation": rule.explanation,
        "evidence": dict(rule.evidence),
    }


def _used(rule: RuleResult) -> dict[str, Any]:
    assert rule.exception is not None
    return {**rule.exception.model_dump(mode="json"), "value": rule.value, "limit": rule.limit}
