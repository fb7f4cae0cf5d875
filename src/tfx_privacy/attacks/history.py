"""The attack on a model as it was during training: the record that DPTrainer writes next to its logs when asked.

Its values are functions of the records without any noise. No guarantee covers them: whoever may not see the records may
not see these.
"""

from __future__ import annotations

import pydantic
from typing_extensions import Self

from tfx_privacy.attacks.evaluation import Checkpoint
from tfx_privacy.records.base import (
    Digest,
    OpenProbability,
    PositiveCount,
    Text,
    VersionedRecord,
)

FILE_NAME = "attack_history.json"


class AttackHistory(VersionedRecord):
    """Checkpoints in the order of training."""

    model_digest: Digest | None = None
    """Of the model that training ended with; None where it was not saved yet."""
    member_splits: list[Text]
    nonmember_splits: list[Text]
    num_members: PositiveCount
    """Training records that were attacked: always the same, a sample."""
    num_nonmembers: PositiveCount
    confidence_level: OpenProbability
    checkpoints: list[Checkpoint]

    @pydantic.model_validator(mode="after")
    def _ascending(self) -> Self:
        steps = [checkpoint.step for checkpoint in self.checkpoints]
        if steps != sorted(set(steps)):
            raise ValueError("checkpoints are not in the order of their steps, each once")
        return self
