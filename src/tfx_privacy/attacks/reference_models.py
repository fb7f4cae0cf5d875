"""The reference models that calibrated attacks compare a model with: which records each was trained on, and for which model.

Models come in pairs. Model 2 * pair + side was trained on the records of the pool (training and evaluation
splits) whose bit `record_keys.fold_bits(keys, pair)` equals `side`. So each record, member of the model's
training data or not, is in the training data of one model of each pair and absent from the other's: members and
non-members are treated alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pydantic
from typing_extensions import Self

from tfx_privacy.errors import ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import MAX_REFERENCE_MODELS
from tfx_privacy.records import digest
from tfx_privacy.records.base import (
    Count,
    Digest,
    PositiveCount,
    Record,
    Text,
    VersionedRecord,
)

FILE_NAME = "reference_models.json"
SAMPLE_SIZE = 10_000

Key = Annotated[int, pydantic.Field(ge=0, lt=1 << 64)]


class SampleKeys(Record):
    """The smallest keys of each side, ascending and each once: by them readers notice that they hold other records.

    They tell who was in the training data. Whoever may not see that may not see this record.
    """

    members: Annotated[list[Key], pydantic.Field(max_length=SAMPLE_SIZE)]
    nonmembers: Annotated[list[Key], pydantic.Field(max_length=SAMPLE_SIZE)]

    @pydantic.model_validator(mode="after")
    def _ascending(self) -> Self:
        for side in (self.members, self.nonmembers):
            if any(not low < high for low, high in itertools.pairwise(side)):
                raise ValueError("keys are not ascending, each once")
        return self


class ReferenceSet(VersionedRecord):
    """The reference models of one model; none with `num_models=0`."""

    num_models: Annotated[int, pydantic.Field(ge=0, le=MAX_REFERENCE_MODELS)]
    model_digest: Digest
    """Of the model that they are compared with."""
    digests: list[Digest]
    """Of each reference model's folder, `<number>/` next to this file."""
    train_splits: Annotated[list[Text], pydantic.Field(min_length=1)]
    """Splits of the model's training data."""
    eval_splits: list[Text]
    """Splits whose records it did not see; pool of the reference models together with `train_splits`."""
    key_features: list[Text]
    """Features, as training parsed them, that keys are made of, the label among them; the user id alone where users are
    the privacy unit."""
    user_id_key: Text | None = None
    """Feature that keys are made of, where users are the privacy unit."""
    sample_keys: SampleKeys
    training_sizes: list[PositiveCount]
    """Records that each reference model was trained on."""
    num_pool_members: Count
    """Records of the pool that are the model's training data."""
    num_pool_nonmembers: Count
    mechanism: Annotated[DPMechanism | NoMechanism, pydantic.Field(discriminator="kind")] | None = None
    """One reference training as it was executed; all come to the same composition."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.num_models % 2:
            raise ValueError(f"num_models={self.num_models} is odd; reference models come in pairs")
        lengths = {len(self.digests), len(self.training_sizes)}
        if lengths != {self.num_models}:
            raise ValueError(f"expected digests and training_sizes of num_models={self.num_models}, not of {lengths}")
        if self.num_models and not (self.mechanism and self.key_features and self.eval_splits):
            raise ValueError("reference models need mechanism, key_features and eval_splits")
        if self.user_id_key is not None and self.key_features != [self.user_id_key]:
            raise ValueError("keys of users are made of user_id_key alone")
        return self

    @property
    def combined_digest(self) -> str:
        """One digest of all reference models together.

        Raises:
          EvidenceError: If there is none.
        """
        return combined_digest(self.digests)


def no_references(*, model_digest: str, train_splits: list[str]) -> ReferenceSet:
    """The record where no reference model was trained."""
    return ReferenceSet(
        num_models=0,
        model_digest=model_digest,
        digests=[],
        train_splits=train_splits,
        eval_splits=[],
        key_features=[],
        sample_keys=SampleKeys(members=[], nonmembers=[]),
        training_sizes=[],
        num_pool_members=0,
        num_pool_nonmembers=0,
    )


def combined_digest(digests: Sequence[str]) -> str:
    """One digest of several folders, in their order.

    Args:
      digests: Each folder's own digest.

    Raises:
      EvidenceError: If there is none.
    """
    folders = {f"{number:03d}": (number, of_folder) for number, of_folder in enumerate(digests)}
    return digest.merkle_digest(folders)


def check_num_models(**kwargs: Any) -> int:
    """Returns a number of reference models: 0, or an even number from 2 to 128.

    Raises:
      ParameterError: If it is something else; the message names the parameter.
    """
    ((name, value),) = kwargs.items()
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= MAX_REFERENCE_MODELS or value % 2:
        raise ParameterError(
            f"Expected {name}={value!r} to be 0, or an even number from 2 to {MAX_REFERENCE_MODELS}. Models come in "
            "pairs: each record is in the training data of one and absent from the other's."
        )
    return value


def sample_of(keys: np.ndarray) -> list[int]:
    """The 10,000 smallest keys, each once, ascending: a sample that is the same wherever it is taken.

    Args:
      keys: uint64 of shape (num_records,).
    """
    return [int(key) for key in np.unique(keys)[:SAMPLE_SIZE]]


def matched_share(stored: Sequence[int], keys: np.ndarray) -> float:
    """How many of a reader's records the stored sample knows.

    Args:
      stored: One side of `SampleKeys`.
      keys: uint64 of shape (num_records,): keys of the reader's records of that side, all of them or a part.

    Returns:
      Share of the given keys, up to the largest one that is stored, that are stored; 0 where there is nothing to
      compare. It is near 1 for the records that the reference models were trained on, and 0 for others.
    """
    found = np.unique(keys)
    if len(stored) >= SAMPLE_SIZE:
        found = found[found <= np.uint64(stored[-1])]
    if not len(found) or not len(stored):
        return 0.0
    return float(np.isin(found, np.array(stored, np.uint64)).mean())
