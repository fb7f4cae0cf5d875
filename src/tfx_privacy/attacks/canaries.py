"""Which canaries there are, and which of them stand in the training data: CanaryInserter's record.

The records themselves are `canaries.tfrecord.gz` next to it, in the same order. Three groups (see
`tfx_privacy.attacks.exposure`):

* `inserted`: a fixed number of times, for exposure by number of repetitions (Carlini et al. 2019,
  https://arxiv.org/abs/1802.08232);
* `reference`: never, to rank the inserted ones among;
* `coin`: once or not at all, by a fair coin each, for a lower bound on epsilon (Steinke et al. 2023,
  https://arxiv.org/abs/2305.08846). Who guesses must not see the bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pydantic

from tfx_privacy.errors import ParameterError
from tfx_privacy.records.base import (
    Count,
    Digest,
    PositiveCount,
    Record,
    Text,
    VersionedRecord,
)

FILE_NAME = "canaries.json"
RECORDS_FILE_NAME = "canaries.tfrecord.gz"
MAX_CANARIES = 50_000
"""What the JSON's limit of size has room for."""

Group = Literal["reference", "inserted", "coin"]
Mode = Literal["tabular", "text"]


class Canary(Record):
    """One canary; which record it is follows from its index."""

    index: Count
    group: Group
    repetitions: Count
    """How often it is in the training split."""
    inserted: bool

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Canary:
        allowed = {"reference": self.repetitions == 0, "inserted": self.repetitions >= 1, "coin": self.repetitions <= 1}
        if self.inserted != (self.repetitions > 0) or not allowed[self.group]:
            raise ValueError(
                f"a {self.group} canary cannot have inserted={self.inserted}, repetitions={self.repetitions}"
            )
        return self


class CanarySet(VersionedRecord):
    """All canaries of one run of CanaryInserter."""

    issued_at: Text
    mode: Mode
    split: Text
    """Where they were inserted."""
    label_key: Text = ""
    """Empty where records have no label."""
    text_feature: Text = ""
    """The feature that holds the secret; empty for mode "tabular"."""
    records_digest: Digest
    """SHA-256 of `canaries.tfrecord.gz`."""
    num_split_records: PositiveCount
    """Without canaries."""
    canaries: Annotated[list[Canary], pydantic.Field(min_length=1, max_length=MAX_CANARIES)]
    engine: Text

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> CanarySet:
        if [canary.index for canary in self.canaries] != list(range(len(self.canaries))):
            raise ValueError("canaries are not numbered from 0 in order")
        return self

    @property
    def num_inserted_records(self) -> int:
        """Records that were added to the split, repetitions counted."""
        return sum(canary.repetitions for canary in self.canaries)

    def indices(self, group: Group) -> np.ndarray:
        """Positions of a group's canaries in `canaries.tfrecord.gz`, of shape (number of them,), ascending."""
        return np.array([canary.index for canary in self.canaries if canary.group == group], dtype=np.int64)

    def repetitions(self, group: Group) -> np.ndarray:
        """How often each canary of a group was inserted, in the order of `indices`."""
        return np.array([canary.repetitions for canary in self.canaries if canary.group == group], dtype=np.int64)

    def bits(self) -> np.ndarray:
        """Which of the `coin` canaries are in, booleans in the order of `indices("coin")`."""
        return np.array([canary.inserted for canary in self.canaries if canary.group == "coin"], dtype=bool)


def assign(
    bits: Sequence[bool], repetitions: Sequence[int], canaries_per_repetition: int, num_references: int
) -> list[Canary]:
    """Numbers the canaries: those of each number of repetitions, the coins', the references.

    Args:
      bits: Of fair coins, one for each canary of group `coin`.
      repetitions: Numbers of repetitions of group `inserted`, each at least 1.
      canaries_per_repetition: How many of each.
      num_references: How many that are never inserted.

    Raises:
      ParameterError: If there are more than 50,000, or none.
    """
    total = len(bits) + len(repetitions) * canaries_per_repetition + num_references
    if not 1 <= total <= MAX_CANARIES:
        raise ParameterError(f"Expected 1 to {MAX_CANARIES} canaries, not {total}. Change num_references.")
    groups: list[tuple[Group, int]] = [
        ("inserted", count) for count in repetitions for _ in range(canaries_per_repetition)
    ]
    groups += [("coin", int(bit)) for bit in bits]
    groups += [("reference", 0)] * num_references
    return [
        Canary(index=index, group=group, repetitions=count, inserted=count > 0)
        for index, (group, count) in enumerate(groups)
    ]
