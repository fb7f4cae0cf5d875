"""The record of one release: what was taken from which records, with how much noise, and what came of it.

A release is ONE Gaussian mechanism: all its answers are vectors of sums over the same records, each with its own noise.
With sensitivities D_j and standard deviations s_j, noise multipliers z_j = s_j / D_j compose to (sum of z_j^-2)^(-1/2)
(Dong et al. 2022, https://arxiv.org/abs/1905.02383, Corollary 3.3), also where later answers were chosen after earlier ones
were seen.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.budget.runs import Identifier, LedgerPosition, RunId
from tfx_privacy.records import digest, statement, strict_json
from tfx_privacy.records.base import (
    Count,
    Digest,
    GrownRecord,
    OpenProbability,
    PositiveCount,
    PositiveFloat,
    Record,
    Text,
)
from tfx_privacy.records.statement import SubjectRecord

FILE_NAME = "privacy_release.json"
"""In a PrivacyRelease artifact; one of several splits that were released apart is `file_name(split)`."""

MAX_ANSWERS = 20_000
"""Of one release."""
_ROUNDING = 1e-9

Component = Literal["transform", "statistics", "evaluation", "synthetic"]
AnswerKind = Literal["moments", "quantiles", "counts", "vocabulary", "bounds"]
"""What is released of a feature: count, mean and variance; counts of nested intervals; counts of public values; values that
are common enough, and how common; the range of the values."""
Name = Annotated[Text, pydantic.Field(min_length=1)]


def file_name(split: str | None = None) -> str:
    """Of the record of one split's release, or of a release of all that were read."""
    return FILE_NAME if split is None else f"privacy_release-{split}.json"


class ExamplesRead(GrownRecord):
    """Which examples were read, as ExampleGen names them; None where they do not say."""

    added: ClassVar[frozenset[str]] = frozenset({"inserted_canary_records"})

    span: Text | None = None
    version: Text | None = None
    fingerprint: Text | None = None
    """ExampleGen's `input_fingerprint`: names, sizes and times of the files that it read."""
    inserted_canary_records: Count = 0
    """Records that CanaryInserter added, of values of the others: what is released of them, or trained on them, may be made of
    one person's value many times over, so no epsilon of one record is true of that person."""

    @property
    def original(self) -> ExamplesRead:
        """Which examples these are, or are a copy of."""
        return self.model_copy(update={"inserted_canary_records": 0})


class Selection(Record):
    """A threshold, below which no value is released: who is alone with a value has it released with probability `delta`.

    Wilson et al. (2020), https://arxiv.org/abs/1909.01917, Section 3.3; with Gaussian noise Swanberg et al. (2023),
    https://arxiv.org/abs/2306.04921.
    """

    threshold: PositiveCount
    """Least noisy count, in the answer's units, that is released."""
    delta: OpenProbability
    """Probability that any value of one unit alone is released."""
    max_keys: PositiveCount
    """Values that one record is counted for at most."""


class Answer(Record):
    """One vector of sums that was released."""

    kind: AnswerKind
    features: Annotated[list[Name], pydantic.Field(min_length=1)]
    """What it is of, as the analyzer's author calls it: a feature of the examples, or what was made of one."""
    numbers: PositiveCount | None = None
    """Length of the vector; None where the values in it are not public."""
    l2_sensitivity: PositiveFloat
    """By how much one record moves the sums at most (L2), in units of their grid."""
    noise_standard_deviation: PositiveFloat
    """In the same units."""
    selection: Selection | None = None

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "vocabulary") != (self.selection is not None):
            raise ValueError("a selection belongs to a vocabulary, and only there")
        if (self.kind == "vocabulary") != (self.numbers is None):
            raise ValueError("only of a vocabulary the number of values is not public")
        return self

    @property
    def noise_multiplier(self) -> float:
        """Noise standard deviation / what one record moves."""
        return self.noise_standard_deviation / self.l2_sensitivity


class Release(GrownRecord, SubjectRecord):
    """What one component released of the records, as one Gaussian mechanism without sampling."""

    predicate_type: ClassVar[str] = f"{statement.PREDICATE_TYPES}/release/v1"
    added: ClassVar[frozenset[str]] = frozenset({"user_id_key"})
    subject_name: ClassVar[str] = statement.RELEASE_NAME

    run_id: RunId
    issued_at: Text
    component: Component
    examples: Annotated[list[ExamplesRead], pydantic.Field(min_length=1)]
    splits: Annotated[list[Name], pydantic.Field(min_length=1)]
    """Whose records were read, all in one sum."""
    splits_disjoint_for: Literal["example", "user"] | None = None
    """Unit of which nobody is in two splits, as the pipeline's ExampleGen draws them; None where nothing shows it."""
    privacy_unit: Literal["example", "user"]
    max_records_per_user: PositiveCount | None = None
    user_id_key: Name | None = None
    """With users as unit: the feature of the examples that tells them apart; None in a record that does not say."""
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]
    """A sum moves by the same whether a unit is left out or has nothing in its place."""
    answers: Annotated[list[Answer], pydantic.Field(min_length=1, max_length=MAX_ANSWERS)]
    noise_multiplier: PositiveFloat
    """Of all answers together, for one unit."""
    noise_source: Literal["os_entropy", "deterministic_test"]
    artifact_digest: Digest
    """Of the directory that holds all that came of it: the transform graph, or a split's statistics."""
    files_read: list[Text] = pydantic.Field(default_factory=list)
    """Files that the preprocessing function opened while it was traced: what is in them is not covered."""
    uncovered_analyzers: list[Text] = pydantic.Field(default_factory=list)
    """tft's own analyzers, which take from the records without noise."""
    engine: Text
    dataset_id: Identifier | None = None
    ledger: LedgerPosition | None = None

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.privacy_unit == "user") != (self.max_records_per_user is not None):
            raise ValueError("max_records_per_user belongs to privacy_unit='user', and only there")
        check_user_id_key(self.privacy_unit, self.user_id_key)
        if len(set(self.splits)) != len(self.splits):
            raise ValueError(f"splits={self.splits} names one twice")
        if (self.ledger is None) != (self.dataset_id is None):
            raise ValueError("ledger and dataset_id belong together")
        if not MIN_NOISE_MULTIPLIER <= self.noise_multiplier <= MAX_NOISE_MULTIPLIER:
            raise ValueError(
                f"noise_multiplier={self.noise_multiplier:g} is outside [{MIN_NOISE_MULTIPLIER:g}, {MAX_NOISE_MULTIPLIER:g}]"
            )
        found = together(self.answers) / self.records_of_unit
        if not self.noise_multiplier <= found * (1 + _ROUNDING):
            raise ValueError(f"noise_multiplier={self.noise_multiplier:g} is more than the answers come to, {found:g}")
        for answer in self.answers:
            if answer.selection is not None:
                self._check_selection(answer, answer.selection)
        return self

    def _check_selection(self, answer: Answer, selection: Selection) -> None:
        least = least_threshold(
            answer.noise_standard_deviation,
            delta=selection.delta,
            max_keys=selection.max_keys,
            l2_sensitivity=answer.l2_sensitivity,
            records_of_unit=self.records_of_unit,
        )
        if not selection.threshold >= least * (1 - _ROUNDING):
            raise ValueError(
                f"threshold={selection.threshold} of {answer.features} is below {least:.6g}, "
                f"which delta={selection.delta:g} needs"
            )

    @property
    def subject_digest(self) -> str:
        """Digest of what was released."""
        return self.artifact_digest

    @property
    def records_of_unit(self) -> int:
        """Records of one unit that may have been summed."""
        return self.max_records_per_user or 1

    @property
    def is_private(self) -> bool:
        """Whether nobody can know the noise."""
        return self.noise_source == "os_entropy"

    @property
    def delta_spent(self) -> float:
        """Of all thresholds together; never less than their exact sum."""
        return math.fsum(answer.selection.delta for answer in self.answers if answer.selection) * (1 + 2.0**-50)


def check_user_id_key(privacy_unit: str | None, user_id_key: str | None) -> None:
    """Refuses users' ids of records whose privacy unit is another.

    Raises:
      ValueError: If there is a key and users are not the unit.
    """
    if user_id_key is not None and privacy_unit != "user":
        raise ValueError("user_id_key belongs to privacy_unit='user'")


def are_same_users(privacy_unit: str | None, one: str | None, other: str | None) -> bool:
    """Whether two parts of one epsilon have the same privacy units, as far as whose records a unit has.

    Users who are told apart by two features are two kinds of people: all trips of a driver are of many passengers. A record
    that does not name the feature may be of either.

    Args:
      privacy_unit: Of both.
      one: Feature that tells the users of the one apart; None where it is not said.
      other: Likewise.
    """
    return privacy_unit != "user" or (one is not None and one == other)


def together(answers: list[Answer]) -> float:
    """Noise multiplier of several answers about the same records, for one record; 0 where doubles do not hold it."""
    try:
        return float(math.fsum(answer.noise_multiplier**-2 for answer in answers) ** -0.5)
    except ArithmeticError:
        return 0.0


def least_threshold(
    noise_standard_deviation: float, *, delta: float, max_keys: int, l2_sensitivity: float, records_of_unit: int
) -> float:
    """Least threshold at which a unit that is alone with its values has one of them released with probability `delta`.

    A unit has at most `max_keys * records_of_unit` values of its own, and a noisy count of each that is at most
    `records_of_unit` times what one record adds to a value.

    Args:
      noise_standard_deviation: Of each count, in its units.
      delta: In (0, 1).
      max_keys: Values that one record is counted for at most.
      l2_sensitivity: Of one record: what it adds to one value times the root of `max_keys`.
      records_of_unit: Records of one unit at most.
    """
    from scipy import stats

    most = l2_sensitivity / math.sqrt(max_keys) * records_of_unit
    # Noise is rounded to the grid, so a count passes if its noise is above the threshold less one half.
    return most + 0.5 + noise_standard_deviation * float(stats.norm.isf(delta / (max_keys * records_of_unit)))


def release_digest(release: Release) -> str:
    """Digest of what a release states, without dataset and ledger position: what a ledger keeps."""
    facts = release.model_dump(mode="json") | {"dataset_id": None, "ledger": None}
    return digest.text_digest(strict_json.canonical(facts))
