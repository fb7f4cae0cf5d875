"""Who takes part in a step: the object that draws the batches is the one that says what was drawn.

Everything is drawn from a cryptographic generator, as the noise is: the amplification by sampling is worth what the
secrecy of the batches is.
"""

from __future__ import annotations

import hashlib
import math
import os
from typing import Protocol

import numpy as np

from tfx_privacy import _validate
from tfx_privacy.random_bits import RandomBits, places_of_few


class Sampler(Protocol):
    """Draws the privacy units of one step after the other."""

    num_units: int
    batches_drawn: int

    def draw(self) -> np.ndarray:
        """Indices of the next step's units, without repetition."""

    @property
    def pass_ended(self) -> bool:
        """Whether the last draw was the last of a pass over the data."""


class PoissonSampler:
    """Draws batches into which each unit enters independently with one probability.

    One comparison of a 64-bit number for each unit, the first eight bits of which decide nearly all: exactly independent,
    and with a probability that is `sampling_probability` rounded down to a multiple of 2^-64. Batches are never
    truncated and may be empty. Shuffling is not a substitute: its epsilon is up to 19 times
    larger for the same noise (Chua et al. 2024, https://arxiv.org/abs/2403.17673).
    """

    pass_ended = False

    def __init__(self, *, num_units: int, sampling_probability: float) -> None:
        """Prepares the draw.

        Args:
          num_units: Number of privacy units to draw from.
          sampling_probability: Probability of each unit to enter each batch, in (0, 1].
        """
        self.num_units = _validate.positive_integer(num_units=num_units)
        self.sampling_probability = _validate.half_open_interval(0.0, 1.0, sampling_probability=sampling_probability)
        self.batches_drawn = 0
        # Scaling by a power of two is exact; the conversion to a whole number rounds down.
        self._limit = int(math.ldexp(self.sampling_probability, 64))
        self._bits = RandomBits.of_system()

    def draw(self) -> np.ndarray:
        """Indices of the next batch, of shape (batch_size,), without repetition and in ascending order."""
        self.batches_drawn += 1
        if self._limit == 1 << 64:
            return np.arange(self.num_units)
        leading, rest = divmod(self._limit, 1 << 56)
        first = self._bits.bytes(self.num_units)
        drawn = places_of_few(first <= np.uint8(leading))
        undecided = np.flatnonzero(first[drawn] == leading)
        above = (self._bits.long(len(undecided)) >> np.uint64(8)) >= np.uint64(rest)
        return np.delete(drawn, undecided[above])


class ShuffledPasses:
    """Draws batches of one size, each unit once in every pass over the data, in a fresh order.

    For data that cannot be Poisson-sampled, or as users know it. Nothing is claimed for the order: what is accounted is
    that each unit takes part once in a pass.
    """

    def __init__(self, *, num_units: int, batch_size: int, steps_per_pass: int) -> None:
        """Prepares the draw.

        Args:
          num_units: Number of privacy units to draw from.
          batch_size: Units in a batch; the last batches of a pass may be smaller.
          steps_per_pass: Length of a pass, fixed without looking at the data. Units for which it
            has no room sit it out.
        """
        self.num_units = _validate.positive_integer(num_units=num_units)
        self._batch_size = _validate.positive_integer(batch_size=batch_size)
        self.steps_per_pass = _validate.positive_integer(steps_per_pass=steps_per_pass)
        self.batches_drawn = 0
        self._bits = RandomBits.of_system()
        self._order = np.arange(num_units)

    @property
    def pass_ended(self) -> bool:
        """Whether the last draw was the last of a pass."""
        return self.batches_drawn > 0 and self.batches_drawn % self.steps_per_pass == 0

    def draw(self) -> np.ndarray:
        """Indices of the next batch, of shape (batch_size,)."""
        place = self.batches_drawn % self.steps_per_pass
        if place == 0:
            self._order = np.argsort(self._bits.long(self.num_units))
        self.batches_drawn += 1
        return self._order[place * self._batch_size : (place + 1) * self._batch_size].copy()


def records_of_users(user_ids: np.ndarray, *, max_records_per_user: int) -> np.ndarray:
    """Groups records by user and bounds each user's number of them.

    Which records of a user are kept depends on a fresh secret key, the user's id and the order among that user's own
    records, and on nobody else: adding or removing a user changes nothing for the others.

    Args:
      user_ids: Text, bytes or integers, of shape (num_records,) or (num_records, 1).
      max_records_per_user: Records that are kept of a user at most.

    Returns:
      int32 of shape (num_users, max_records_per_user): indices of records, -1 where a user has fewer.
    """
    limit = _validate.positive_integer(max_records_per_user=max_records_per_user)
    key = os.urandom(32)
    users, user_of_record = np.unique(user_ids.reshape(-1), return_inverse=True)
    by_user = np.argsort(user_of_record, kind="stable")
    starts = np.searchsorted(user_of_record[by_user], np.arange(len(users) + 1))
    kept = np.full((len(users), limit), -1, np.int32)
    for number, user in enumerate(users):
        own = by_user[starts[number] : starts[number + 1]]
        if len(own) > limit:
            own = own[_choice_of_user(key, user, len(own), limit)]
        kept[number, : len(own)] = own
    return kept


def _choice_of_user(key: bytes, user: object, count: int, limit: int) -> list[int]:
    """Places of the records that are kept, in ascending order: those with the smallest keyed hashes."""
    name = user if isinstance(user, bytes) else str(user).encode()

    def hashed(place: int) -> bytes:
        return hashlib.blake2b(name, key=key, salt=place.to_bytes(hashlib.blake2b.SALT_SIZE, "little")).digest()

    return sorted(sorted(range(count), key=hashed)[:limit])
