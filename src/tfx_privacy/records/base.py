"""What all JSON records have in common: a strict pydantic base, and types of fields."""

from __future__ import annotations

import datetime
import math
import re
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import strict_json

_DIGEST = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, pydantic.Field(pattern=_DIGEST)]
Probability = Annotated[float, pydantic.Field(ge=0.0, le=1.0, allow_inf_nan=False)]
OpenProbability = Annotated[float, pydantic.Field(gt=0.0, lt=1.0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, pydantic.Field(gt=0.0, allow_inf_nan=False)]
# No larger than canonical JSON can say.
Count = Annotated[int, pydantic.Field(ge=0, le=strict_json.MAX_INTEGER)]
PositiveCount = Annotated[int, pydantic.Field(ge=1, le=strict_json.MAX_INTEGER)]
Text = Annotated[str, pydantic.Field(max_length=4096)]


def _whole_number(value: Any) -> Any:
    # Pydantic takes `true` and `1.0` for the literal 1.
    if type(value) is not int:
        raise ValueError("it must be a whole number")
    return value


SchemaVersion = Annotated[Literal[1], pydantic.BeforeValidator(_whole_number)]


class Record(pydantic.BaseModel):
    """Immutable; no coercion (a bool is no number, an int no text), no unknown field."""

    model_config = pydantic.ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads a record.

        Raises:
          EvidenceError: If it is not strict JSON or does not fit the schema; the message names the fields.
        """
        return cls.from_value(strict_json.loads(text))

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Reads a record from what `strict_json.loads` returned.

        Raises:
          EvidenceError: If it does not fit the schema; the message names the fields.
        """
        name = cls.__name__.lstrip("_")
        try:
            return cls.model_validate_json(strict_json.dumps(value, indent=None))
        except pydantic.ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc']) or 'record'}: {problem['msg']}"
                for problem in error.errors(include_url=False)[:5]
            )
            raise EvidenceError(f"Not a valid {name}: {problems}.") from error
        except ValueError as error:
            raise EvidenceError(f"Not a valid {name}: {error}.") from error

    def to_json(self) -> str:
        """Writes the record with sorted keys."""
        return strict_json.dumps(self.model_dump(mode="json")) + "\n"


class GrownRecord(Record):
    """A record with fields that were not there when the first of its kind was written.

    They are left out of its text while they hold their defaults: what was written and hashed before is the same text.
    """

    added: ClassVar[frozenset[str]]
    """Their names; each has a default."""

    @pydantic.model_serializer(mode="wrap")
    def _as_before(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = write(self)
        unchanged = {name for name in self.added if getattr(self, name) == _default(type(self), name)}
        return {name: value for name, value in found.items() if name not in unchanged}


def _default(kind: type[Record], name: str) -> Any:
    return kind.model_fields[name].get_default(call_default_factory=True)


class VersionedRecord(Record):
    """A record whose JSON must say of which version it is."""

    schema_version: SchemaVersion = 1

    @pydantic.model_validator(mode="after")
    def _says_its_version(self, info: pydantic.ValidationInfo) -> Self:
        if info.mode == "json" and "schema_version" not in self.model_fields_set:
            raise ValueError("schema_version is missing")
        return self


def is_digest(value: object) -> bool:
    """Whether a value is a digest as records state it."""
    return isinstance(value, str) and re.fullmatch(_DIGEST, value) is not None


def utc_now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0).isoformat()


def parse_time(text: str) -> datetime.datetime:
    """Reads what `utc_now` wrote; a time without a zone is refused."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise EvidenceError(f"{text!r} is not an ISO 8601 time.") from error
    if time.tzinfo is None:
        raise EvidenceError(f"{text!r} has no time zone.")
    return time


def show(value: Any) -> str:
    """A number as people read it; epsilon and AUC are rounded up by the caller where that matters."""
    if isinstance(value, float):
        return "infinite" if math.isinf(value) else f"{value:.6g}"
    return str(value)
