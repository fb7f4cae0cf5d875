"""Entries of the ledger: what happened to a dataset, each tied to all earlier ones by its hash."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import pydantic
from typing_extensions import Self

from tfx_privacy._printable import is_blank
from tfx_privacy.budget.runs import (
    HexFloat,
    Identifier,
    PlannedRun,
    Purpose,
    RunId,
)
from tfx_privacy.records import digest, strict_json
from tfx_privacy.records.base import Count, Digest, GrownRecord, PositiveCount, Record, VersionedRecord

MAX_BODY_BYTES = 1 << 20
"""Of an entry that is written; what is read may be eight times as large (`strict_json`), so no entry can be too large to read."""
Name = Annotated[str, pydantic.Field(min_length=1, max_length=200)]


def _named(name: str) -> str:
    if is_blank(name):
        raise ValueError("nobody is named: a reader sees no character of it")
    return name


Approver = Annotated[Name, pydantic.AfterValidator(_named)]
Reason = Annotated[str, pydantic.Field(max_length=1000)]
Units = PositiveCount
_NONE: list[str] = []
_NO_LABELS: dict[str, str] = {}


class Registered(GrownRecord):
    """A dataset and its budget; always the first entry."""

    added: ClassVar[frozenset[str]] = frozenset({"threshold_delta"})

    kind: Literal["register"] = "register"
    privacy_unit: Literal["example", "user"]
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]
    epsilon: HexFloat
    delta: HexFloat
    order: HexFloat
    """Renyi order of all of the dataset's charges, for ever."""
    budget: Units
    """What divergence may come to, at delta without `threshold_delta`."""
    threshold_delta: PositiveCount | None = None
    """What of delta is set aside for thresholds, in units of `budget.thresholds`; None for nothing."""
    population: PositiveCount | None = None
    """Declared number of privacy units, for runs that declare none."""
    blocks: list[Identifier] = _NONE
    approver: Approver


class BlocksAdded(Record):
    """Further blocks, of persons that are in no other one."""

    kind: Literal["blocks"] = "blocks"
    blocks: Annotated[list[Identifier], pydantic.Field(min_length=1)]
    approver: Approver


class BudgetChanged(GrownRecord):
    """Another budget, for every block; what was charged stays."""

    added: ClassVar[frozenset[str]] = frozenset({"threshold_delta"})

    kind: Literal["budget"] = "budget"
    epsilon: HexFloat
    budget: Units
    threshold_delta: Count | None = None
    """What of delta is set aside for thresholds from now on, in units of `budget.thresholds`; None for what was before."""
    approver: Approver
    reason: Reason


class Reserved(GrownRecord):
    """A run's charge, made before it reads a record."""

    added: ClassVar[frozenset[str]] = frozenset({"delta_spent"})

    kind: Literal["reserve"] = "reserve"
    run_id: RunId
    purpose: Purpose
    planned: PlannedRun
    cost: Units
    delta_spent: PositiveCount | None = None
    """What a release's thresholds spend beside the Gaussian, in units of `budget.thresholds`; None for nothing."""
    blocks: list[Identifier] = _NONE
    accountant: Name
    """Library that the cost was computed with, and its version."""
    labels: dict[Name, Reason] = _NO_LABELS
    """Who asked: pipeline, node, execution; no key of anything."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.delta_spent is not None and self.purpose != "release":
            raise ValueError(f"delta_spent belongs to purpose='release', not to {self.purpose!r}")
        return self


class Started(Record):
    """From here on the run may have read records, and its charge stays."""

    kind: Literal["start"] = "start"
    run_id: RunId
    attempt: Annotated[int, pydantic.Field(ge=1, lt=2**31)]
    """1, and one more for each attempt that resumes from checkpoints."""
    attempt_id: RunId


class Committed(Record):
    """The run ended, and this is its model."""

    kind: Literal["commit"] = "commit"
    run_id: RunId
    executed: PlannedRun
    """What was executed: no more than what was planned. The charge stays the planned one."""
    model_digest: Digest
    guarantee_digest: Digest


class Aborted(Record):
    """The run ended before it read a record; its charge is given back."""

    kind: Literal["abort"] = "abort"
    run_id: RunId
    reason: Reason


class Settled(Record):
    """A run that had started is given up; its charge stays."""

    kind: Literal["settle"] = "settle"
    run_id: RunId
    approver: Approver
    reason: Reason


Body: TypeAlias = Annotated[
    Registered | BlocksAdded | BudgetChanged | Reserved | Started | Committed | Aborted | Settled,
    pydantic.Field(discriminator="kind"),
]


class Entry(VersionedRecord):
    """One row of a dataset's log."""

    ledger_id: RunId
    dataset_id: Identifier
    sequence: PositiveCount
    at: Annotated[str, pydantic.Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    """The database's time, UTC; informative only, order is by `sequence`."""
    request_id: Annotated[str, pydantic.Field(pattern=r"^[a-z]+:[0-9a-f]{32}(?::[0-9a-f]{32})?$")]
    """Unique among the dataset's entries, so a request that is repeated is not carried out twice."""
    body: Body
    previous_hash: Digest
    hash: Digest

    @property
    def expected_hash(self) -> str:
        """The hash that follows from all the other fields."""
        return entry_hash(self.model_dump(mode="json", exclude={"hash"}))


def make_entry(**fields: Any) -> Entry:
    """An entry with its hash."""
    draft = Entry(**fields, hash=digest.text_digest(""))
    return draft.model_copy(update={"hash": draft.expected_hash})


def entry_hash(fields: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of an entry's fields, the previous hash among them."""
    return digest.text_digest(strict_json.canonical(fields))


def genesis_hash(ledger_id: str, dataset_id: str) -> str:
    """What a dataset's first entry has for a previous hash."""
    return digest.text_digest(f"tfx-privacy ledger entries v1 {ledger_id} {dataset_id}")


def body_text(body: Record) -> str:
    """The body as it is stored."""
    return strict_json.canonical(body.model_dump(mode="json"))


WHOLE = ""
"""Name of the one block of a dataset that has no declared ones."""


def block_names(blocks: list[str]) -> list[str]:
    """The rows that a charge goes to."""
    return sorted(blocks) if blocks else [WHOLE]
