"""Adds the noise: once, to sums that are complete, where nothing can run a second time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_privacy.errors import InternalError
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases.queries import Query, VectorQuery, Vocabulary
from tfx_privacy.releases.record import Answer
from tfx_privacy.releases.rounded_gaussian import rounded_gaussian

_DRAWN_AT_ONCE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Values:
    """Values that are common enough, the most common first, and how many records each is in, with noise."""

    keys: Sequence[bytes]
    counts: Sequence[int]


def noisy_vector(query: VectorQuery, answer: Answer, sums: np.ndarray, bits: RandomBits) -> np.ndarray:
    """The query's vector with its noise, int64 of shape (numbers,)."""
    exact = query.released(sums)
    if exact.dtype != np.int64 or exact.shape != (query.numbers,):
        raise InternalError(f"The sums of {query.name!r} are {exact.dtype} of shape {exact.shape}.")
    return np.asarray(exact + rounded_gaussian(np.full(len(exact), answer.noise_standard_deviation), bits))


def noisy_values(
    query: Query,
    answer: Answer,
    keys: Sequence[bytes],
    counts: np.ndarray,
    bits: RandomBits,
    *,
    top_k: int | None = None,
) -> Values:
    """The values whose noisy count reaches the threshold.

    Args:
      query: The vocabulary that was asked for.
      answer: Its noise and threshold.
      keys: Every value that stands in the records, in any order.
      counts: In how many records each is, int64 of shape (len(keys),).
      bits: Where the randomness comes from.
      top_k: How many of the most common are kept; None for all.

    Returns:
      The values by their noisy counts, falling, and equal ones by the values themselves: their order says nothing else.
    """
    if not isinstance(query, Vocabulary) or answer.selection is None:
        raise InternalError(f"{query.name!r} has no threshold.")
    found: list[tuple[int, bytes]] = []
    for start in range(0, len(keys), _DRAWN_AT_ONCE):
        part = counts[start : start + _DRAWN_AT_ONCE]
        noisy = part + rounded_gaussian(np.full(len(part), answer.noise_standard_deviation), bits)
        passed = np.flatnonzero(noisy >= answer.selection.threshold)
        found += [(int(noisy[place]), bytes(keys[start + int(place)])) for place in passed]
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    kept = found[:top_k]
    return Values([key for _, key in kept], [count for count, _ in kept])


def noise_source(bits: RandomBits) -> str:
    """How the noise was keyed, as records state it."""
    return "os_entropy" if bits.secret else "deterministic_test"


Answers = Mapping[int, "np.ndarray | Values"]
"""What was released, by the place of its query."""
