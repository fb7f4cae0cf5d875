"""Which records a model was trained on, so an evaluation can show that its members are among them.

The trainer keeps a sketch of what it read next to the model: of the keys of all records, hashed with a secret key of
this training, the smallest ones (bottom-k, Cohen and Kaplan 2007, https://doi.org/10.1145/1281100.1281133). Whoever
holds the file can hash his own records with the same key; those whose hash is below the largest one that was kept are a
sample of them, and each either was read by the trainer or was not.

The file is private: with it, anybody who holds a record can ask whether it was trained on, for the records of the
sample. Its digest is not: the secret key in it hides all the rest.
"""

from __future__ import annotations

import hmac
import itertools
import os
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pydantic
from typing_extensions import Self

from tfx_privacy.records import digest
from tfx_privacy.records.base import Count, Digest, PositiveCount, Record, Text, VersionedRecord

FILE_NAME = "trained_records.json"
SKETCH_SIZE = 4096
_KEY_BYTES = 32
_HASH_BYTES = 16

Hash = Annotated[str, pydantic.Field(pattern=rf"^[0-9a-f]{{{2 * _HASH_BYTES}}}$")]


class TrainedRecords(VersionedRecord):
    """What a trainer read: the file next to its model. Private, as the records are."""

    secret_key: Annotated[str, pydantic.Field(pattern=rf"^[0-9a-f]{{{2 * _KEY_BYTES}}}$")]
    """Of HMAC-SHA-256; fresh for each training."""
    features: Literal["examples", "transformed"]
    """Whether keys are made of the features as they stand in the examples, or as the transform graph gives them."""
    key_features: Annotated[list[Text], pydantic.Field(min_length=1)]
    """Features that keys are made of."""
    num_read: PositiveCount
    """Records in the files of the training splits."""
    num_distinct: PositiveCount
    """Keys among them, each counted once."""
    num_used: PositiveCount
    """Records that training could draw: without those that `input_fn` dropped, or that are beyond a user's bound."""
    num_units: PositiveCount
    """Privacy units among them."""
    reader: Literal["default", "input_fn"]
    """"input_fn": the user's function read the records, and may have read others than the files that it was given."""
    sketch: Annotated[list[Hash], pydantic.Field(min_length=1, max_length=SKETCH_SIZE)]
    """The smallest hashes of keys, each once, ascending; fewer than 4,096 are all of them."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(not low < high for low, high in itertools.pairwise(self.sketch)):
            raise ValueError("hashes are not ascending, each once")
        if len(set(self.key_features)) != len(self.key_features):
            raise ValueError("a feature is named twice")
        _check_numbers(self, len(self.sketch))
        return self

    @property
    def file_digest(self) -> str:
        """Digest of the file: what guarantee and evaluation name it by."""
        return digest.text_digest(self.to_json())


class SideFound(Record):
    """How many records of one side of an attack were trained on."""

    num_records: Count
    num_sampled: Count
    """Whose hash is not above the sketch's largest; all where the sketch is complete."""
    num_trained_on: Count
    """Of the sampled ones, those that are in the sketch."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.num_trained_on <= self.num_sampled <= self.num_records:
            raise ValueError(
                f"expected num_trained_on={self.num_trained_on} <= num_sampled={self.num_sampled} <= "
                f"num_records={self.num_records}"
            )
        return self


class TrainedRecordsFound(Record):
    """What an evaluation found out about its records with the trainer's file."""

    digest: Digest
    """Of the file."""
    reader: Literal["default", "input_fn"]
    num_read: PositiveCount
    num_distinct: PositiveCount
    num_used: PositiveCount
    num_units: PositiveCount
    sketch_size: Annotated[int, pydantic.Field(ge=1, le=SKETCH_SIZE)]
    num_seen: Count
    """Entries of the sketch that a member has."""
    members: SideFound
    nonmembers: SideFound

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.num_seen <= min(self.sketch_size, self.members.num_trained_on):
            raise ValueError(
                f"expected num_seen={self.num_seen} <= sketch_size={self.sketch_size}, and <= "
                f"num_trained_on={self.members.num_trained_on} of the members"
            )
        _check_numbers(self, self.sketch_size)
        for side in (self.members, self.nonmembers):
            if self.is_complete and side.num_sampled != side.num_records:
                raise ValueError(f"expected num_sampled={side.num_sampled} of all num_records={side.num_records}")
        return self

    @property
    def is_complete(self) -> bool:
        """Whether the sketch is of every record, so that shares are exact."""
        return is_complete(self.sketch_size)


def _check_numbers(record: TrainedRecords | TrainedRecordsFound, sketch_size: int) -> None:
    """What holds of the numbers of a file and of what was found with it."""
    if not record.num_units <= record.num_used <= record.num_read:
        raise ValueError(
            f"expected num_units={record.num_units} <= num_used={record.num_used} <= num_read={record.num_read}"
        )
    if not (sketch_size == min(record.num_distinct, SKETCH_SIZE) and record.num_distinct <= record.num_read):
        raise ValueError(
            f"expected sketch of {sketch_size} to hold the smallest {SKETCH_SIZE} of num_distinct={record.num_distinct} "
            f"hashes, of num_read={record.num_read} records"
        )


def is_complete(sketch_size: int) -> bool:
    """Whether a sketch of this size is of every record."""
    return sketch_size < SKETCH_SIZE


def new_secret_key() -> str:
    """A key from the operating system, as `TrainedRecords` holds it."""
    return os.urandom(_KEY_BYTES).hex()


def sketch_of(keys: np.ndarray, secret_key: str) -> list[str]:
    """The smallest hashes.

    Args:
      keys: Of all records, uint64 of shape (num_records,), from `record_keys`.
      secret_key: Of this training.

    Returns:
      At most 4,096, each once, ascending.
    """
    hashes = sorted(set(hashes_of(np.unique(keys), secret_key)))
    return [value.hex() for value in hashes[:SKETCH_SIZE]]


def hashes_of(keys: np.ndarray, secret_key: str) -> list[bytes]:
    """HMAC-SHA-256 of each key, cut to 128 bits.

    Args:
      keys: uint64 of shape (num_records,).
      secret_key: Of this training.

    Returns:
      One hash for each key.
    """
    secret = bytes.fromhex(secret_key)
    words = keys.astype(">u8").tobytes()
    return [hmac.digest(secret, words[start : start + 8], "sha256")[:_HASH_BYTES] for start in range(0, len(words), 8)]


class Matches(NamedTuple):
    """What was found of some records; matches of parts merge into those of the whole, in any order and grouping."""

    num_records: int
    num_sampled: int
    num_trained_on: int
    seen: np.ndarray
    """Which entries of the sketch a record has, bool of shape (sketch_size,)."""

    @property
    def found(self) -> SideFound:
        """The numbers."""
        return SideFound(num_records=self.num_records, num_sampled=self.num_sampled, num_trained_on=self.num_trained_on)


class Matcher:
    """Holds records against a trainer's sketch."""

    def __init__(self, record: TrainedRecords) -> None:
        """Takes the trainer's file."""
        self._record = record
        self._places = {bytes.fromhex(value): place for place, value in enumerate(record.sketch)}
        self._largest = None if is_complete(len(record.sketch)) else bytes.fromhex(record.sketch[-1])

    def match(self, keys: np.ndarray) -> Matches:
        """Matches of some records.

        Args:
          keys: uint64 of shape (num_records,), made of the record's `key_features`.
        """
        hashes = hashes_of(keys, self._record.secret_key)
        sampled = hashes if self._largest is None else [value for value in hashes if value <= self._largest]
        places = [self._places[value] for value in sampled if value in self._places]
        seen = np.zeros(len(self._places), bool)
        seen[places] = True
        return Matches(len(hashes), len(sampled), len(places), seen)


def merged(parts: list[Matches]) -> Matches:
    """Matches of all parts' records; of none where there is no part."""
    if not parts:
        return Matches(0, 0, 0, np.zeros(0, bool))
    seen = [part.seen for part in parts if len(part.seen)]
    return Matches(
        sum(part.num_records for part in parts),
        sum(part.num_sampled for part in parts),
        sum(part.num_trained_on for part in parts),
        np.logical_or.reduce(seen) if seen else np.zeros(0, bool),
    )


def found(record: TrainedRecords, members: Matches, nonmembers: Matches) -> TrainedRecordsFound:
    """What an evaluation states.

    Args:
      record: The trainer's file.
      members: Matches of all members.
      nonmembers: Of all others.
    """
    return TrainedRecordsFound(
        digest=record.file_digest,
        reader=record.reader,
        num_read=record.num_read,
        num_distinct=record.num_distinct,
        num_used=record.num_used,
        num_units=record.num_units,
        sketch_size=len(record.sketch),
        num_seen=int(members.seen.sum()),
        members=members.found,
        nonmembers=nonmembers.found,
    )
