"""Evidence as in-toto Statements: a record is the predicate, and what it is about, mostly a model, is the subject.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. Tools that check supply chains read this form,
and the predicate's type is what tells a guarantee from an evaluation and a verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import pydantic

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import strict_json
from tfx_privacy.records.base import Record, VersionedRecord

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPES = "https://tfx-privacy.dev"
"""What the types of all our predicates begin with."""
SUBJECT_NAME: Literal["model"] = "model"
RELEASE_NAME: Literal["release"] = "release"
"""Of the subject where it is what preprocessing or statistics took from records."""

_Kind = TypeVar("_Kind", bound="SubjectRecord")


class SubjectRecord(VersionedRecord):
    """A record about one thing that has a digest, which is written as a Statement."""

    predicate_type: ClassVar[str]
    """Of the Statement; ends in the schema's version."""
    subject_name: ClassVar[str]

    @property
    def subject_digest(self) -> str | None:
        """Of what it is about; None where there is nothing to be about."""
        raise NotImplementedError


class ModelRecord(SubjectRecord):
    """A record about one model."""

    subject_name: ClassVar[str] = SUBJECT_NAME

    if TYPE_CHECKING:

        @property
        def model_digest(self) -> str | None:
            """Digest of the model's directory: a field of each record. None where there is no model to be about."""

    @property
    def subject_digest(self) -> str | None:
        """Digest of the model."""
        return self.model_digest


class _Digests(Record):
    sha256: Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class _Subject(Record):
    name: Literal["model", "release"]
    digest: _Digests


class _Statement(Record):
    statement_type: Literal["https://in-toto.io/Statement/v1"] = pydantic.Field(alias="_type")
    subject: list[_Subject]
    predicate_type: str = pydantic.Field(alias="predicateType")
    predicate: dict[str, Any]


def to_json(record: SubjectRecord) -> str:
    """Writes a record as a Statement about its subject; without a digest it has no subject, and no tool takes it."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(record),
        "predicateType": record.predicate_type,
        "predicate": record.model_dump(mode="json"),
    }
    return strict_json.dumps(statement) + "\n"


def from_json(kind: type[_Kind], text: str | bytes) -> _Kind:
    """Reads the record of a Statement.

    Args:
      kind: What the caller takes it for.
      text: The file.

    Raises:
      EvidenceError: If it is no strict JSON, no Statement, of another type, or about something else than its predicate.
    """
    found = _Statement.from_value(strict_json.loads(text))
    if found.predicate_type != kind.predicate_type:
        raise EvidenceError(
            f"Expected a statement of predicateType={kind.predicate_type!r}, not {found.predicate_type[:200]!r}. Wire "
            "the artifact of that kind."
        )
    record = kind.from_value(found.predicate)
    subjects = [subject.model_dump() for subject in found.subject]
    if subjects != _subjects(record):
        digests = ", ".join(f"sha256:{subject.digest.sha256}" for subject in found.subject[:5]) or "none"
        raise EvidenceError(
            f"The statement's subject must be the one {record.subject_name} that its predicate is about, "
            f"{record.subject_digest}. It "
            f"names {len(subjects)}: {digests}. The file was changed, or put together from others."
        )
    return record


def _subjects(record: SubjectRecord) -> list[dict[str, Any]]:
    if record.subject_digest is None:
        return []
    return [{"name": record.subject_name, "digest": {"sha256": record.subject_digest.removeprefix("sha256:")}}]
