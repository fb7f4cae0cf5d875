"""What a guarantee says of a release that is in its epsilon."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic
from typing_extensions import Self

from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.budget.runs import Identifier, LedgerPosition, RunId
from tfx_privacy.records.base import Digest, GrownRecord, PositiveCount, PositiveFloat, Text
from tfx_privacy.releases.record import AnswerKind, Component, ExamplesRead, Release, check_user_id_key, release_digest


class CoveredRelease(GrownRecord):
    """What preprocessing or statistics released of the records, as far as the one epsilon of a guarantee needs it.

    One Gaussian mechanism without sampling, and the delta of its thresholds (`releases.record.Release`).
    """

    added: ClassVar[frozenset[str]] = frozenset({"user_id_key"})

    run_id: RunId
    release_digest: Digest
    """Of all that the release states, as a ledger keeps it."""
    component: Component
    splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    """Whose records were read."""
    splits_disjoint_for: Literal["example", "user"] | None = None
    """Unit of which nobody is in two splits; None where nothing shows it."""
    privacy_unit: Literal["example", "user"]
    max_records_per_user: PositiveCount | None = None
    user_id_key: Annotated[Text, pydantic.Field(min_length=1)] | None = None
    """With users as unit: the feature that tells them apart; None in a record that does not say."""
    neighboring_relation: Literal["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]
    examples: Annotated[list[ExamplesRead], pydantic.Field(min_length=1)]
    kinds: Annotated[list[AnswerKind], pydantic.Field(min_length=1)]
    """Of its answers, sorted, each once."""
    noise_multiplier: PositiveFloat
    """Of all its answers together, for one unit."""
    delta_spent: Annotated[float, pydantic.Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
    """By its thresholds: no accountant knows of it, so it is taken from the guarantee's delta."""
    noise_source: Literal["os_entropy", "deterministic_test"]
    artifact_digest: Digest
    """Of what came of it: the transform graph, or a split's statistics."""
    files_read: list[Text] = pydantic.Field(default_factory=list)
    uncovered_analyzers: list[Text] = pydantic.Field(default_factory=list)
    dataset_id: Identifier | None = None
    ledger: LedgerPosition | None = None
    signed_by: Text | None = None
    """Key of the release's signature; None without one."""

    @classmethod
    def of(cls, release: Release, *, signed_by: str | None) -> CoveredRelease:
        """What a guarantee says of a release.

        Args:
          release: As its component wrote it.
          signed_by: Key of its signature; None without one.
        """
        return cls(
            run_id=release.run_id,
            release_digest=release_digest(release),
            component=release.component,
            splits=release.splits,
            splits_disjoint_for=release.splits_disjoint_for,
            privacy_unit=release.privacy_unit,
            max_records_per_user=release.max_records_per_user,
            user_id_key=release.user_id_key,
            neighboring_relation=release.neighboring_relation,
            examples=release.examples,
            kinds=sorted({answer.kind for answer in release.answers}),
            noise_multiplier=release.noise_multiplier,
            delta_spent=release.delta_spent,
            noise_source=release.noise_source,
            artifact_digest=release.artifact_digest,
            files_read=release.files_read,
            uncovered_analyzers=release.uncovered_analyzers,
            dataset_id=release.dataset_id,
            ledger=release.ledger,
            signed_by=signed_by,
        )

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if not MIN_NOISE_MULTIPLIER <= self.noise_multiplier <= MAX_NOISE_MULTIPLIER:
            raise ValueError(f"no accountant takes noise_multiplier={self.noise_multiplier:g}")
        if (self.privacy_unit == "user") != (self.max_records_per_user is not None):
            raise ValueError("max_records_per_user belongs to privacy_unit='user', and only there")
        check_user_id_key(self.privacy_unit, self.user_id_key)
        if (self.ledger is None) != (self.dataset_id is None):
            raise ValueError("ledger and dataset_id belong together")
        if self.kinds != sorted(set(self.kinds)):
            raise ValueError(f"kinds={self.kinds} are not sorted, each once")
        if len(set(self.splits)) != len(self.splits):
            raise ValueError(f"splits={self.splits} names one twice")
        return self

    @property
    def is_private(self) -> bool:
        """Whether nobody can know the noise."""
        return self.noise_source == "os_entropy"

    @property
    def is_complete(self) -> bool:
        """Whether nothing beside its answers was taken from the data for the same artifact."""
        return not self.files_read and not self.uncovered_analyzers
