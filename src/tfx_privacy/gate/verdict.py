"""The gate's verdict: every rule with what was found, what is allowed, and what that means.

One model serves the decision, its file, the report and whoever checks the file. What follows from the rules is never
stored: it is computed, written next to them for people, and refused on reading where it is not what follows.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.records import statement, strict_json
from tfx_privacy.records.base import Digest, PositiveCount, Record, parse_time

Status = Literal["passed", "failed", "unknown"]

RULES: tuple[str, ...] = (
    "epsilon",
    "delta",
    "proved_epsilon",
    "evaluation",
    "unscored_records",
    "attack_auc",
    "attack_tpr",
    "attack_coverage",
    "attack_splits",
    "trained_records",
    "trained_labels",
    "required_attacks",
    "required_slices",
    "required_tasks",
    "served_outputs",
    "model_digest",
    "issued_at",
    "freshness",
    "guarantee_scope",
    "declared_record_wise",
    "guarantee_terms",
    "privacy_releases",
    "ledger",
    "dataset_budget",
    "signature",
    "model_blessing",
)
"""The gate's rules: a verdict in which one of them is not there blesses nothing."""

_NO_DIGESTS: dict[str, Digest] = {}


class _Concluding(Record, abc.ABC):
    """A record that is written together with what follows from it, and read only if that does follow."""

    @abc.abstractmethod
    def _conclusions(self) -> dict[str, Any]:
        """What follows, as JSON."""

    @pydantic.model_serializer(mode="wrap")
    def _written(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**handler(self), **self._conclusions()}

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _read(
        cls, value: Any, handler: pydantic.ModelWrapValidatorHandler[Self], info: pydantic.ValidationInfo
    ) -> Self:
        if info.mode != "json" or not isinstance(value, Mapping):
            return handler(value)
        made = handler({name: part for name, part in value.items() if name not in cls._concluded})
        for name, conclusion in made._conclusions().items():
            if name not in value:
                raise ValueError(f"{name} is missing")
            # As text: Python takes 1 for True.
            if strict_json.canonical(value[name]) != strict_json.canonical(conclusion):
                raise ValueError(f"{name}={repr(value[name])[:200]} does not follow from the rules: it was changed")
        return made

    _concluded: ClassVar[frozenset[str]]
    """Names of what follows."""


class RuleResult(_Concluding):
    """One rule: what was found, what is allowed, and what that means."""

    rule: str
    status: Status
    """What became of it; "unknown", where the rule could not be checked at all, counts as failed."""
    value: str
    limit: str
    explanation: str
    """One sentence; for a failure it says what to do."""
    exception: PolicyException | None = None
    """The policy's exception that excuses the failure."""
    evidence: dict[str, Digest] = _NO_DIGESTS
    """Digests of what the rule was held against, by "guarantee", "evaluation" and "ledger"."""

    _concluded: ClassVar[frozenset[str]] = frozenset({"passed", "excused"})

    @property
    def passed(self) -> bool:
        """Whether it holds without an exception."""
        return self.status == "passed"

    @property
    def holds(self) -> bool:
        """Whether the rule does not refuse: it passed, or its failure is known and excused."""
        return self.status == "passed" or (self.status == "failed" and self.exception is not None)

    def _conclusions(self) -> dict[str, Any]:
        return {"passed": self.passed, "excused": self.exception is not None}


class ExceptionUsed(Record):
    """An exception of the policy that excused a failure, with what it excused."""

    rule: str
    approver: str
    reason: str
    expires: str
    model_digest: str | None
    value: str
    limit: str


class LedgerHead(Record):
    """The last entry of a dataset in its ledger when the verdict was made; an anchor against older copies."""

    ledger_id: str
    dataset_id: str
    sequence: PositiveCount
    hash: Digest


class Verdict(_Concluding, statement.ModelRecord):
    """The gate's decision with every rule explained."""

    predicate_type: ClassVar[str] = f"{statement.PREDICATE_TYPES}/verdict/v1"

    rules: Annotated[tuple[RuleResult, ...], pydantic.Field(strict=False)]
    policy: GatePolicy
    decided_at: str
    model_digest: Digest | None = None
    """Of the model's directory; None if it could not be taken."""
    evidence: dict[str, Digest] = _NO_DIGESTS
    """Digests of guarantee and evaluation, as `sha256sum` of their files gives them."""
    ledger_head: LedgerHead | None = None

    _concluded: ClassVar[frozenset[str]] = frozenset(
        {"blessed", "headline", "message", "policy_digest", "exceptions_used"}
    )

    @pydantic.model_validator(mode="after")
    def _consistent(self, info: pydantic.ValidationInfo) -> Self:
        if info.mode == "json" and "schema_version" not in self.policy.model_fields_set:
            raise ValueError("policy.schema_version is missing")
        names = [rule.rule for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("a rule is there twice")
        foreign = sorted(set(names) - set(RULES))
        if foreign:
            raise ValueError(f"the gate has no rule {foreign[0]!r}")
        for rule in self.rules:
            if rule.exception is not None:
                self._check_excused(rule, rule.exception)
        if self.blessed and self.model_digest is None:
            raise ValueError("a model without a digest is blessed")
        return self

    def _check_excused(self, rule: RuleResult, exception: PolicyException) -> None:
        if exception not in self.policy.exceptions:
            raise ValueError(f"{rule.rule} is excused by an exception that the policy does not have")
        if rule.status != "failed":
            raise ValueError(f"{rule.rule} is {rule.status}, and only what failed can be excused")
        if exception.rule != rule.rule:
            raise ValueError(f"{rule.rule} is excused by an exception for {exception.rule}")
        reason = exception.why_not(self.model_digest, parse_time(self.decided_at))
        if reason is not None:
            raise ValueError(f"{rule.rule} is excused by an exception that does not apply: {reason}")

    @property
    def blessed(self) -> bool:
        """True only if every rule of the gate is there, and each passed or is excused."""
        return not self.missing and all(rule.holds is True for rule in self.rules)

    @property
    def missing(self) -> tuple[str, ...]:
        """The gate's rules that the verdict says nothing of."""
        found = {rule.rule for rule in self.rules}
        return tuple(name for name in RULES if name not in found)

    @property
    def failures(self) -> tuple[RuleResult, ...]:
        """The rules that refuse."""
        return tuple(rule for rule in self.rules if rule.holds is not True)

    @property
    def excused(self) -> tuple[RuleResult, ...]:
        """The rules that failed and do not refuse, because the policy has an exception."""
        return tuple(rule for rule in self.rules if rule.passed is not True and rule.holds is True)

    @property
    def exceptions_used(self) -> tuple[ExceptionUsed, ...]:
        """The exceptions behind `excused`."""
        return tuple(_used(rule, rule.exception) for rule in self.excused if rule.exception is not None)

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
            reasons = [f"{rule.rule}: {rule.explanation}" for rule in self.failures]
            reasons += [f"{name}: The verdict says nothing of this rule." for name in self.missing]
            return "Not blessed: " + " ".join(reasons)
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

    def rule(self, name: str) -> RuleResult | None:
        """One rule by its name; None where the verdict has none of that name."""
        return next((rule for rule in self.rules if rule.rule == name), None)

    def _conclusions(self) -> dict[str, Any]:
        return {
            "blessed": self.blessed,
            "headline": self.headline,
            "message": self.message,
            "policy_digest": self.policy_digest,
            "exceptions_used": [used.model_dump(mode="json") for used in self.exceptions_used],
        }


def _used(rule: RuleResult, exception: PolicyException) -> ExceptionUsed:
    return ExceptionUsed(**exception.model_dump(), value=rule.value, limit=rule.limit)
