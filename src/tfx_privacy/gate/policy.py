"""The policy of the gate: every limit that a model must keep, from arguments or from a file (policy_file)."""

from __future__ import annotations

import collections
import datetime
import re
from typing import Annotated, Any, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy import _validate
from tfx_privacy._printable import is_blank
from tfx_privacy.attacks.evaluation import WHOLE_SET
from tfx_privacy.budget.runs import Identifier
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.records import digest, strict_json, visible
from tfx_privacy.records.base import Digest, Record, SchemaVersion, parse_time

MAX_ENTRIES = 1000

MAX_AGE_DAYS = 36_500.0

DEFAULT_MIN_SLICE_COVERAGE = 0.95

FALSE_POSITIVE_RATE = 0.001
"""At which `max_tpr_at_fpr` limits an attack's true-positive rate."""

DEFAULT_MAX_TPR_AT_FPR = 0.01
"""Ten times what guessing gives; no harmless model in a thousand has an upper bound above it (benchmarks/false_refusals.py)."""

MAX_EXCEPTION = datetime.timedelta(days=366)
"""Exceptions that last longer are ignored: approvals must be renewed."""

Name = Annotated[str, pydantic.Field(min_length=1, max_length=256)]

_C0_CONTROLS = "".join(map(chr, range(32)))


def _not_blank(text: str) -> str:
    if is_blank(text):
        raise ValueError(f"{text!a} is blank: a reader sees no character of it")
    return text


Words = Annotated[str, pydantic.Field(max_length=4096), pydantic.AfterValidator(_not_blank)]

ExcusableRule = Literal["epsilon", "delta", "attack_auc", "freshness", "guarantee_scope", "ledger", "signature"]
"""Rules whose failure can be a known risk that somebody answers for. No other can: an exception
never replaces evidence."""

RequiredTask = Literal["binary", "multiclass", "multilabel", "regression", "sequence", "loss"]


class _Checked(Record):
    """A record of the policy: what breaks a rule is a ParameterError that names the value."""

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise ParameterError(
                " ".join(_problem(problem) for problem in error.errors(include_url=False)[:5])
            ) from error

    @pydantic.model_validator(mode="after")
    def _shows_its_text(self) -> Self:
        """As of a file: what JSON writes as it is must be seen. Values of slices may hold control characters."""
        for name, value in self:
            for text in value if isinstance(value, list) else [value]:
                place = visible.hidden_character(text, allowed=_C0_CONTROLS) if isinstance(text, str) else None
                if place is not None:
                    raise ValueError(f"{name}={text!a} holds {visible.name_of(text[place])}, which no editor shows")
        return self


class SliceLimit(_Checked):
    """The limit on the attacks' AUC for the slices of one feature, or for one of them; stricter or looser than the general one.

    The most specific limit counts. A slice that is named with its value must keep its limit by
    itself, however small it is.
    """

    feature: Name
    value: Annotated[str, pydantic.Field(max_length=4096)] | None = None
    """One slice of the feature; None means each of them."""
    max_attack_auc: float

    @pydantic.field_validator("max_attack_auc", mode="before")
    @classmethod
    def _between_guessing_and_certainty(cls, value: Any) -> float:
        return _auc(value)

    @pydantic.field_validator("feature")
    @classmethod
    def _not_the_whole_set(cls, value: str) -> str:
        if value == WHOLE_SET:
            raise ValueError(f"{WHOLE_SET!r} is the whole set, whose limit is the policy's max_attack_auc")
        return value

    @property
    def slice_name(self) -> str:
        """What it is for, as people read it."""
        return f"{self.feature}={'each value' if self.value is None else self.value}"


class PolicyException(_Checked):
    """Somebody answers, until a day, for a rule that a model is known to break."""

    rule: ExcusableRule
    approver: Words
    reason: Words
    expires: str
    """A date, which ends it at 00:00 UTC of that day, or a time with its zone."""
    model_digest: Digest | None = None
    """The only model that it is for; None means any."""

    @pydantic.model_validator(mode="after")
    def _ends(self) -> Self:
        try:
            _ = self.expires_at
        except (EvidenceError, OverflowError) as error:
            raise ValueError(
                f"expires={self.expires!r} is no date such as 2026-03-01, and no time with its zone"
            ) from error
        return self

    @property
    def expires_at(self) -> datetime.datetime:
        """When it ends.

        Raises:
          EvidenceError: If `expires` is no date, and no time with its zone.
        """
        text = self.expires
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            text += "T00:00:00+00:00"
        return parse_time(re.sub(r"[Zz]$", "+00:00", text)).astimezone(datetime.timezone.utc)

    def why_not(self, model_digest: object, now: datetime.datetime) -> str | None:
        """Why it excuses nothing of this model at this time; None if nothing speaks against it."""
        if is_blank(self.approver) or is_blank(self.reason):
            return "it names no approver or no reason"
        ends = self.expires_at
        if not now < ends:
            return f"it expired at {ends.isoformat()}"
        if not ends - now <= MAX_EXCEPTION:
            return f"it ends at {ends.isoformat()}, more than {MAX_EXCEPTION.days} days from now"
        if self.model_digest is not None and self.model_digest != model_digest:
            return f"it is for another model, {self.model_digest}"
        return None


class GatePolicy(_Checked):
    """The limits that a model must keep; all of them are checked, there is no empty policy."""

    schema_version: SchemaVersion = 1
    max_epsilon: float
    """Largest epsilon (nats) at the guarantee's delta; compared without tolerance."""
    max_delta: float
    """Largest delta at which epsilon may be stated."""
    max_attack_auc: float
    """Largest upper confidence bound on the AUC of any attack on any slice, in [0.5, 1]."""
    max_tpr_at_fpr: float = DEFAULT_MAX_TPR_AT_FPR
    """Largest upper confidence bound on the share of members that any attack names at a false-positive rate of 0.1 %, in
    (0.001, 1]; compared where 10,000 non-members or more show it. 1 allows any."""
    min_slice_coverage: float = DEFAULT_MIN_SLICE_COVERAGE
    """Share of the members that must lie in slices large enough to judge, for every sliced feature."""
    allow_non_dp_preprocessing: bool = False
    """Accept a transform graph that holds results of analyzers, which the guarantee does not cover."""
    allow_non_dp_tuning: bool = False
    """Accept hyperparameters that were chosen by trials on the data, which the guarantee does not cover."""
    allow_declared_record_wise: bool = False
    """Accept layers and losses that leave the records of a batch apart on their author's word alone. False by default:
    where the word is wrong epsilon is wrong too, and nothing in the evidence would show it."""
    slice_limits: list[SliceLimit] = pydantic.Field(default_factory=list, max_length=MAX_ENTRIES)
    """Limits of single features or slices, in place of `max_attack_auc`."""
    required_attacks: list[Name] = pydantic.Field(default_factory=list, max_length=MAX_ENTRIES)
    """Attacks that must have been judged on the whole set, besides those that always must."""
    required_slices: list[Name] = pydantic.Field(default_factory=list, max_length=MAX_ENTRIES)
    """Features that must have been sliced by."""
    required_tasks: list[RequiredTask] = pydantic.Field(default_factory=list)
    """The tasks of the model's outputs: each must be there, and no other. Empty means any."""
    unattacked_outputs: list[Name] = pydantic.Field(default_factory=list, max_length=MAX_ENTRIES)
    """Outputs, as `signature/output`, that may be served although no attack looked at them."""
    dataset_id: Identifier | None = None
    """The ledger's dataset that the model must have been charged to."""
    privacy_unit: Literal["example", "user"] | None = None
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"] | None = None
    ledger: Literal["required", "none"] = "none"
    """Whether the run must be committed in a budget ledger. In a file "required" is the default."""
    signature: Literal["required", "optional"] = "optional"
    """Whether guarantee and evaluation must be signed. A signature that is there and not valid never passes."""
    max_age_days: float | None = None
    """Largest age of guarantee and evaluation; None means any."""
    exceptions: list[PolicyException] = pydantic.Field(default_factory=list, max_length=MAX_ENTRIES)

    @pydantic.field_validator(
        "max_epsilon",
        "max_delta",
        "max_attack_auc",
        "max_tpr_at_fpr",
        "min_slice_coverage",
        "max_age_days",
        mode="before",
    )
    @classmethod
    def _a_limit(cls, value: Any, field: pydantic.ValidationInfo) -> float | None:
        if field.field_name == "max_epsilon":
            return _validate.positive(max_epsilon=value)
        if field.field_name == "max_delta":
            return _validate.open_interval(0.0, 1.0, max_delta=value)
        if field.field_name == "max_attack_auc":
            return _auc(value)
        if field.field_name == "max_tpr_at_fpr":
            hint = "Guessing gives 0.001, at a false-positive rate of 0.001."
            return _validate.half_open_interval(FALSE_POSITIVE_RATE, 1.0, hint, max_tpr_at_fpr=value)
        if field.field_name == "min_slice_coverage":
            return _validate.half_open_interval(0.0, 1.0, min_slice_coverage=value)
        return None if value is None else _validate.half_open_interval(0.0, MAX_AGE_DAYS, max_age_days=value)

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dataset_id is not None and self.ledger != "required":
            raise ValueError(f"dataset_id={self.dataset_id!r} can be checked with ledger: required only")
        for name in ("required_attacks", "required_slices", "required_tasks", "unattacked_outputs"):
            _each_once(name, getattr(self, name))
        for name in self.unattacked_outputs:
            if "/" not in name.strip("/"):
                raise ValueError(f"unattacked_outputs names {name!r}, which is no output: write signature/output")
        _each_once("slice_limits", [limit.slice_name for limit in self.slice_limits])
        return self

    @property
    def canonical(self) -> str:
        """The one JSON text of this policy."""
        return strict_json.canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """Digest of the canonical text, which verdicts record."""
        return digest.text_digest(self.canonical)


def _auc(value: Any) -> float:
    return _validate.closed_interval(0.5, 1.0, "An AUC of 0.5 is guessing, 1 is certainty.", max_attack_auc=value)


def _each_once(name: str, values: list[Any]) -> None:
    twice = [value for value, count in collections.Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{name} names {min(twice)!r} twice")


def _problem(problem: Any) -> str:
    """One of pydantic's problems as a sentence: the place, the value, the rule."""
    place = ".".join(str(part) for part in problem["loc"])
    value = problem["input"]
    cause = problem.get("ctx", {}).get("error")
    if problem["type"] == "extra_forbidden":
        return (
            f"Unknown key {place!r}. Known are {', '.join(sorted(GatePolicy.model_fields))}, and those of their parts."
        )
    if problem["type"] == "missing":
        return f"The key {place!r} is missing."
    if isinstance(cause, ParameterError):
        # A part of a list has said its own problem already, and names its own key.
        is_part = isinstance(problem["loc"][-1], int)
        # A number that a rule on numbers refuses is not meant as text.
        hint = "" if isinstance(value, int | float) else _hint(value)
        return f"In {place}: {cause}" if is_part else f"{cause}{hint}"
    if cause is not None:
        return f"{place + ': ' if place else ''}{cause}."
    return f"{place}={_validate.short(value)}: {problem['msg']}.{_hint(value)}"


def _hint(value: Any) -> str:
    """How to write what was nearly right."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return f" If it is meant as text, write it in quotes: '{value}'."
    match = re.fullmatch(r"([-+]?[0-9]+)(\.[0-9]*)?(?:[eE]([-+]?)([0-9]+))?", value) if isinstance(value, str) else None
    if match is None:
        return ""
    whole, fraction, sign, exponent = match.groups()
    if exponent is None:
        return f" It is text; write the number without quotes: {value}."
    number = f"{whole}{fraction if fraction and fraction != '.' else '.0'}e{sign or '+'}{exponent}"
    return f" It is text: numbers with an exponent need a dot and a sign, and no quotes. Write {number}."
