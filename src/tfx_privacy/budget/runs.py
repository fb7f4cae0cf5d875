"""What a ledger says of a run: the position that a guarantee names, and the answer that the gate holds against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.accounting.composition import Terms, checked_terms, dp_sgd_event, terms
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import base, digest, strict_json
from tfx_privacy.records.base import (
    Count,
    Digest,
    GrownRecord,
    PositiveCount,
    Record,
    VersionedRecord,
)

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

Identifier = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?$")]
"""Of a dataset or a block: lower-case letters, digits, dots, dashes, underscores."""
RunId = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{32}$")]
HexFloat = Annotated[str, pydantic.Field(pattern=r"^0x1\.[0-9a-f]{13}p[+-][0-9]{1,4}$")]
"""As `float.hex` writes it: the number itself, without a decimal rounding."""

RunState = Literal["RESERVED", "STARTED", "COMMITTED", "ABORTED", "SETTLED"]
Purpose = Literal["model", "reference_models", "release"]
"""What a run gives: a model, models that attacks compare with, or what preprocessing, statistics and the like release."""
_WHOLE_DATASET: list[str] = []
_NONE: list[str] = []


def check_identifier(**kwargs: str) -> str:
    """Returns the name of a dataset or a block.

    Raises:
      ParameterError: If it is not a valid name.
    """
    ((name, value),) = kwargs.items()
    try:
        return pydantic.TypeAdapter(Identifier).validate_python(value, strict=True)
    except pydantic.ValidationError:
        raise ParameterError(
            f"Expected {name}={value!r} to be 1 to 128 lower-case letters, digits, dots, dashes and underscores, "
            "beginning and ending with a letter or digit."
        ) from None


class PlannedRun(VersionedRecord):
    """What is reserved: `steps` Gaussian mechanisms, Poisson-subsampled unless `sampling_probability` is one."""

    noise_multiplier: HexFloat
    sampling_probability: HexFloat
    steps: PositiveCount

    @pydantic.model_validator(mode="after")
    def _in_range(self) -> Self:
        checked_terms(**self.terms._asdict())
        return self

    @classmethod
    def of(cls, *, noise_multiplier: float, sampling_probability: float, steps: int) -> PlannedRun:
        """The run of these numbers.

        Raises:
          ParameterError: If a number is outside the accountants' range.
        """
        run = checked_terms(noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps)
        return cls(
            noise_multiplier=run.noise_multiplier.hex(),
            sampling_probability=run.sampling_probability.hex(),
            steps=run.steps,
        )

    @classmethod
    def of_event(cls, event: DpEvent) -> PlannedRun:
        """The run of an event that `composition.dp_sgd_event` made."""
        return cls.of(**terms(event)._asdict())

    def changed(self, **numbers: Any) -> PlannedRun:
        """The same run with other numbers.

        Raises:
          ParameterError: If a number is outside the accountants' range.
        """
        return self.of(**{**self.terms._asdict(), **numbers})

    @property
    def terms(self) -> Terms:
        """The numbers: noise multiplier, sampling probability and steps."""
        return Terms(float.fromhex(self.noise_multiplier), float.fromhex(self.sampling_probability), self.steps)

    @property
    def event(self) -> DpEvent:
        """The composition, for the accountants."""
        return dp_sgd_event(**self.terms._asdict())

    @property
    def canonical(self) -> str:
        """The one text of this run: sorted keys, no spaces, numbers in hexadecimal."""
        return strict_json.canonical(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """Digest of the canonical text."""
        return digest.text_digest(self.canonical)


class LedgerPosition(Record):
    """Where a guarantee's run is in a ledger."""

    ledger_id: RunId
    blocks: list[Identifier] = _WHOLE_DATASET
    """Blocks of the dataset that were charged; empty where the dataset has none."""
    sequence: PositiveCount
    """Of the entry that committed the run, among the dataset's entries."""
    entry_hash: Digest
    """Of that entry; it covers every earlier one of the dataset."""
    reference_run_ids: list[RunId] = _NONE
    """Reservations of reference models, those of killed attempts included."""


class LedgerRun(GrownRecord):
    """What a ledger, whose dataset was verified just now, says of one run and of its dataset."""

    added: ClassVar[frozenset[str]] = frozenset({"delta_spent", "delta_charged", "threshold_delta"})

    ledger_id: RunId
    dataset_id: Identifier
    privacy_unit: Literal["example", "user"]
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]
    blocks: list[Identifier] = _WHOLE_DATASET
    run_id: RunId
    purpose: Purpose
    state: RunState
    planned: PlannedRun
    model_digest: Digest | None
    """As committed; None before."""
    guarantee_digest: Digest | None
    """Of the guarantee's facts, `guarantee.guarantee_digest`, as committed."""
    sequence: PositiveCount | None
    """Of the entry that committed the run."""
    entry_hash: Digest | None
    budget_epsilon: base.PositiveFloat
    budget_delta: base.OpenProbability
    charged: Count
    """What the fullest of the run's blocks was charged, in units of 2**-40 of Renyi divergence at the dataset's
    order."""
    budget: Count
    """What a block may be charged, in the same units."""
    spent_epsilon: float
    """`charged` as epsilon at the budget's delta, without what of it is set aside for thresholds."""
    delta_spent: Count = 0
    """Probability that the run's thresholds spend beside the Gaussian, in units of `budget.thresholds`."""
    delta_charged: Count = 0
    """What thresholds of all runs spent in that one of the run's blocks where it is most, in the same units."""
    threshold_delta: Count = 0
    """What thresholds may spend in a block, in the same units."""
    head_sequence: PositiveCount
    head_hash: Digest
    """Of the dataset's last entry."""
