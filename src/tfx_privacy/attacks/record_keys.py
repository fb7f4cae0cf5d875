"""A number for every record, by which it is found again and assigned to halves, wherever its features are computed.

Equal records have equal keys, whatever batch they are read in. Keys are hashes with a public salt, not secrets: whoever
holds a record can compute its key, so a list of keys tells who is on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tfx_privacy.errors import DataError, ParameterError

_SALT = b"tfx-privacy record keys v1"
_BITS = (1 << 64) - 1
# Increment and multipliers of SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2714064.2660195).
_INCREMENT = 0x9E3779B97F4A7C15
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
# Bits that are kept of the 52 of a float64's mantissa, in records of at most _FEW_FLOATS floats.
_MANTISSA_BITS, _KEPT_BITS, _FEW_FLOATS = 52, 10, 8
# Where numbers are rounded up, as a share of 2^42. Not the middle: short binary fractions, such as 2049, would lie
# exactly on an edge, and noise in the last bit would then decide. This edge is no short fraction.
_ROUNDING, _ROUNDING_BITS = np.uint64(0x278DDE6E5FD), 42
# Below float32's smallest normal number some kernels return zero.
_SMALLEST = 2.0**-126
_NAN = np.uint64(0x7FF8000000000000)
# Numbers that are mixed at once: temporaries stay in the processor's cache.
_BLOCK = 1 << 16


class Padded(NamedTuple):
    """A feature of which records hold different numbers of values."""

    values: np.ndarray
    """(num_records, width, ...); what lies beyond a record's length does not count."""
    lengths: np.ndarray
    """int64, (num_records,)."""
    places: np.ndarray | None = None
    """int64, (num_records, width): place of each value in its record; None means one after the other."""


def record_keys(features: Mapping[str, np.ndarray | Padded]) -> np.ndarray:
    """Keys of records, from all their features.

    Integers, booleans and texts count exactly. Of floats the first 10 bits of the mantissa count, because the same
    transformation run by Beam and by a SavedModel may differ in the last bits; a record of which a float lies that
    close to the edge of two roundings gets another key (of float32 features that are off by at most one in the last
    bit, about one in 12,000). Records of more than 8 floats lose one of the 10 bits with each doubling of their number,
    so that no more of them get another key, and have as many more floats to be told apart by. Zeros are alike, and so
    are NaNs. The widths of types make no difference (int32 or int64, float32 or float64), nor do axes of length one,
    nor whether a feature is an array or padded.

    Args:
      features: By name, arrays of shape (num_records, ...) of numbers, booleans, texts or bytes; or padded ones.

    Returns:
      uint64 of shape (num_records,), uniformly distributed.

    Raises:
      DataError: If there is no feature, their numbers of records differ, or one holds something else.
    """
    columns = {name: column if isinstance(column, tuple) else np.asarray(column) for name, column in features.items()}
    shapes = {name: (column[0] if isinstance(column, tuple) else column).shape for name, column in columns.items()}
    sizes = {shape[0] if shape else -1 for shape in shapes.values()}
    if len(sizes) != 1 or -1 in sizes:
        raise DataError(f"Expected features of one number of records to make keys of; their shapes are {shapes}.")
    cells = {name: _Cells.of(column) for name, column in columns.items()}
    num_floats = sum((cell.number for cell in cells.values() if cell.values.dtype.kind == "f"), np.zeros(1, np.int64))
    keys: np.ndarray = np.zeros(sizes.pop(), np.uint64)
    dropped = np.broadcast_to(_dropped_bits(num_floats), keys.shape)[:, np.newaxis]
    for name in sorted(cells):
        keys = mixed(keys ^ _column_hashes(name, cells[name], dropped))
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


class _Cells(NamedTuple):
    """One feature's values, of shape (num_records, width)."""

    values: np.ndarray
    present: np.ndarray | None
    """Which of them are there; None means all."""
    places: np.ndarray
    """Of each value in its record, of shape (1, width) or (num_records, width)."""

    @classmethod
    def of(cls, column: np.ndarray | Padded) -> _Cells:
        if not isinstance(column, tuple):
            flat = column.reshape(len(column), -1) if column.size else np.zeros((len(column), 0), np.int64)
            return cls(flat, None, np.arange(flat.shape[1])[np.newaxis])
        values, lengths, places = Padded(*column)
        inner = int(np.prod(values.shape[2:], dtype=np.int64))
        flat = values.reshape(len(values), -1)
        first = np.arange(values.shape[1])[np.newaxis] if places is None else places
        present = np.arange(values.shape[1]) < lengths[:, np.newaxis]
        every = (first[:, :, np.newaxis] * inner + np.arange(inner)).reshape(len(first), -1)
        return cls(flat, np.repeat(present, inner, axis=1), every)

    @property
    def number(self) -> np.ndarray:
        """Values of each record; of shape (1,) where all have as many."""
        return np.array([self.values.shape[1]]) if self.present is None else self.present.sum(axis=1)


def _dropped_bits(num_floats: np.ndarray) -> np.ndarray:
    """How many bits of a mantissa do not count in a record of so many floats, uint64."""
    doublings = np.ceil(np.log2(np.maximum(num_floats, _FEW_FLOATS) / _FEW_FLOATS)).astype(np.int64)
    return (_MANTISSA_BITS - np.maximum(_KEPT_BITS - doublings, 0)).astype(np.uint64)


def _column_hashes(name: str, cells: _Cells, dropped: np.ndarray) -> np.ndarray:
    """One number per row of (num_records, width): the sum of every value mixed with its feature and position."""
    start = _hash(b"feature", name.encode())
    salts = mixed(np.uint64(start) + np.uint64(_INCREMENT) * cells.places.astype(np.uint64))
    sums = np.empty(len(cells.values), np.uint64)
    for rows in _blocks(cells.values):
        own = salts if len(salts) == 1 else salts[rows]
        hashes = mixed(_numbers(name, cells.values[rows], dropped[rows]) ^ own)
        if cells.present is not None:
            hashes = np.where(cells.present[rows], hashes, np.uint64(0))
        sums[rows] = hashes.sum(axis=1, dtype=np.uint64)
    return sums ^ np.uint64(start)


def _blocks(column: np.ndarray) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(1, column.shape[1]))
    return (slice(first, first + rows) for first in range(0, len(column), rows))


def _numbers(name: str, values: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """Values as uint64 of the same shape; equal where they count as equal."""
    if values.dtype.kind in "iub":
        return values.astype(np.int64).view(np.uint64)
    if values.dtype.kind == "f":
        return _rounded(values.astype(np.float64), dropped)
    if values.dtype.kind in "OSU":
        return _texts(name, values)
    raise DataError(f"Feature {name!r} is of type {values.dtype}; expected numbers, booleans or texts.")


def _rounded(values: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    one = np.uint64(1)
    bits = (values.view(np.uint64) + (_ROUNDING << (dropped - np.uint64(_ROUNDING_BITS)))) & ~((one << dropped) - one)
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
