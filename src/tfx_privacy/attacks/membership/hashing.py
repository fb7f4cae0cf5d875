"""A 64-bit hash of each record by its features, so equal records are found wherever they are.

The serialized bytes of two equal tf.Examples differ, because maps are serialized in any order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.record_keys import mixed

_SALT = b"tfx-privacy evaluation"


def seeds(name: str, positions: np.ndarray) -> np.ndarray:
    """The seed of each value of a feature by its place in the record; salted, so hashes have nothing to do with other ones.

    Args:
      name: The feature's.
      positions: int64 of any shape.

    Returns:
      uint64 of the same shape.
    """
    return _seeds(_of_name(name), positions)


def of_dense(column_seeds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the hashes of each row's values.

    Args:
      column_seeds: `seeds` of each column, uint64 of shape (num_columns,).
      values: int64 of shape (num_records, num_columns).

    Returns:
      uint64 of shape (num_records,).
    """
    return np.asarray(_of_values(column_seeds, values).sum(axis=1, dtype=np.uint64))


def of_features(
    names: Sequence[str],
    sizes: np.ndarray,
    num_records: int,
    rows: np.ndarray,
    positions: np.ndarray,
    values: np.ndarray,
) -> np.ndarray:
    """The same for features with any number of values per record, given entry by entry, feature after feature.

    Args:
      names: Of the features.
      sizes: Number of entries of each feature, of shape (num_features,).
      num_records: Number of records.
      rows: Record of each entry, int64 of shape (num_entries,).
      positions: Its place among the record's values, of the same shape.
      values: int64 of the same shape.

    Returns:
      uint64 of shape (num_records,).
    """
    own = np.repeat(np.array([_of_name(name) for name in names], np.uint64), sizes)
    total = np.zeros(num_records, np.uint64)
    np.add.at(total, rows, _of_values(_seeds(own, positions), values))
    return total


def finished(total: np.ndarray) -> np.ndarray:
    """The hash of each record, from the sum over its features."""
    return mixed(total)


def _seeds(names: np.ndarray | np.uint64, positions: np.ndarray) -> np.ndarray:
    return mixed(names ^ mixed(positions.astype(np.uint64)))


@functools.cache
def _of_name(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), key=_SALT, digest_size=8).digest(), "little"))


def _of_values(value_seeds: np.ndarray, values: np.ndarray) -> np.ndarray:
    return mixed(mixed(values.view(np.uint64)) ^ value_seeds)
