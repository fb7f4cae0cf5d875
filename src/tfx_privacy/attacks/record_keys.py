"""A number for every record, by which it is found again and assigned to halves, wherever its features are computed.

Equal records have equal keys, whatever batch they are read in. Keys are hashes with a public salt, not secrets: whoever
holds a record can compute its key, so a list of keys tells who is on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfx_privacy.errors import DataError, ParameterError

_SALT = b"tfx-privacy record keys v1"
_BITS = (1 << 64) - 1
# Increment and multipliers of SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2714064.2660195).
_INCREMENT = 0x9E3779B97F4A7C15
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
# Of the 52 bits of a float64's mantissa, the ones that are left out: 10 are kept.
_DROPPED_BITS = 42
# Where numbers are rounded up. Not the middle: short binary fractions, such as 2049, would lie exactly on an edge, and
# noise in the last bit would then decide. This edge is no short fraction.
_ROUNDING = np.uint64(0x278DDE6E5FD)
_KEPT = np.uint64(_BITS ^ ((1 << _DROPPED_BITS) - 1))
# Below float32's smallest normal number some kernels return zero.
_SMALLEST = 2.0**-126
_NAN = np.uint64(0x7FF8000000000000)
# Numbers that are mixed at once: temporaries stay in the processor's cache.
_BLOCK = 1 << 16


def record_keys(features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Keys of records, from all their features.

    Integers, booleans and texts count exactly. Of floats the first 10 bits of the mantissa count, because the same
    transformation run by Beam and by a SavedModel may differ in the last bits; a record of which a float lies that
    close to the edge of two roundings gets another key (of float32 features that are off by at most one in the last
    bit, about one in 12,000). Zeros are alike, and so are NaNs. The widths of types make no difference (int32 or int64,
    float32 or float64), nor do axes of length one.

    Args:
      features: By name, arrays of shape (num_records, ...) of numbers, booleans, texts or bytes.

    Returns:
      uint64 of shape (num_records,), uniformly distributed.

    Raises:
      DataError: If there is no feature, their numbers of records differ, or one holds something else.
    """
    columns = {name: np.asarray(column) for name, column in features.items()}
    sizes = {column.shape[0] if column.ndim else -1 for column in columns.values()}
    if len(sizes) != 1 or -1 in sizes:
        shapes = {name: column.shape for name, column in columns.items()}
        raise DataError(f"Expected features of one number of records to make keys of; their shapes are {shapes}.")
    keys: np.ndarray = np.zeros(sizes.pop(), np.uint64)
    for name in sorted(columns):
        column = columns[name]
        flat = column.reshape(len(column), -1) if column.size else np.zeros((len(column), 0), np.int64)
        keys = mixed(keys ^ _column_hashes(name, flat))
    return keys


def fold_bits(keys: np.ndarray, pair: int) -> np.ndarray:
    """The half that each record belongs to, in one of many independent divisions into halves.

    Args:
      keys: uint64 of shape (num_records,), from `record_keys`.
      pair: Number of the division, not negative.

    Returns:
      uint8 of shape (num_records,): 0 or 1.

    Raises:
      ParameterError: If `pair` is negative or no whole number.
    """
    if isinstance(pair, bool) or not isinstance(pair, int) or not 0 <= pair <= _BITS:
        raise ParameterError(f"Expected pair={pair!r} to be a whole number >= 0.")
    salt = np.uint64(_hash(b"pair", str(pair).encode()))
    return (mixed(keys.astype(np.uint64) ^ salt) >> np.uint64(63)).astype(np.uint8)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: a bijection in which every bit of the input changes about half of the output's.

    Args:
      numbers: uint64 of any shape.

    Returns:
      uint64 of the same shape.
    """
    found = (numbers + np.uint64(_INCREMENT)).astype(np.uint64)
    for shift, multiplier in zip(_SHIFTS[:2], _MULTIPLIERS, strict=True):
        found = (found ^ (found >> shift)) * multiplier
    return found ^ (found >> _SHIFTS[2])


def _column_hashes(name: str, column: np.ndarray) -> np.ndarray:
    """One number per row of (num_records, width): the sum of every value mixed with its feature and position."""
    start = _hash(b"feature", name.encode())
    positions = [(start + _INCREMENT * index) & _BITS for index in range(column.shape[1])]
    salts = mixed(np.array(positions, np.uint64))
    sums = np.empty(len(column), np.uint64)
    for rows in _blocks(column):
        sums[rows] = mixed(_numbers(name, column[rows]) ^ salts).sum(axis=1, dtype=np.uint64)
    return sums ^ np.uint64(start)


def _blocks(column: np.ndarray) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(1, column.shape[1]))
    return (slice(first, first + rows) for first in range(0, len(column), rows))


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Values as uint64 of the same shape; equal where they count as equal."""
    if values.dtype.kind in "iub":
        return values.astype(np.int64).view(np.uint64)
    if values.dtype.kind == "f":
        return _rounded(values.astype(np.float64))
    if values.dtype.kind in "OSU":
        return _texts(name, values)
    raise DataError(f"Feature {name!r} is of type {values.dtype}; expected numbers, booleans or texts.")


def _rounded(values: np.ndarray) -> np.ndarray:
    bits = (values.view(np.uint64) + _ROUNDING) & _KEPT
    bits = np.where(np.abs(values) < _SMALLEST, np.uint64(0), bits)
    return np.where(np.isnan(values), _NAN, bits)


def _texts(name: str, values: np.ndarray) -> np.ndarray:
    known: dict[Any, int] = {}
    hashes = np.empty(values.size, np.uint64)
    for index, value in enumerate(values.reshape(-1).tolist()):
        if value not in known:
            known[value] = _hash(b"text", _as_bytes(name, value))
        hashes[index] = known[value]
    return hashes.reshape(values.shape)


def _as_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise DataError(f"Feature {name!r} holds a {type(value).__name__}; expected numbers, booleans or texts.")


def _hash(purpose: bytes, content: bytes) -> int:
    digest = hashlib.blake2b(content, digest_size=8, key=_SALT, person=purpose)
    return int.from_bytes(digest.digest(), "little")
