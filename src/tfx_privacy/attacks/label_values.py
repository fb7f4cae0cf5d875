"""Labels as numbers of records, by which the feature is found that they were taken from, in whatever order."""

from __future__ import annotations

import numpy as np

from tfx_privacy.attacks import record_keys

# Labels of more different values than this share of the records are measurements, hardly any of which is there twice.
_MEASURED = 0.1
# Computed once more, so many of these may differ in the last bit.
_ROUNDED = 0.001


def keys_of(labels: np.ndarray) -> np.ndarray:
    """One number per record, equal where the labels are; of a vector with a single one among zeros, that of its place.

    Args:
      labels: Numbers of shape (num_records, ...).

    Returns:
      uint64 of shape (num_records,).
    """
    flat = labels.reshape(len(labels), -1).astype(np.float32)
    keys = _keys(flat)
    if flat.shape[1] < 2:
        return keys
    one_hot = np.isin(flat, (0.0, 1.0)).all(axis=1) & (flat.sum(axis=1) == 1)
    return np.where(one_hot, _keys(flat.argmax(axis=1).astype(np.float32)[:, np.newaxis]), keys)


def has_values(column: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a feature has the values of labels, or all of it but records that were dropped has.

    Args:
      column: The feature's `keys_of`.
      labels: The labels' `keys_of`.
    """
    values, counts = np.unique(labels, return_counts=True)
    own, others = np.unique(column, return_counts=True)
    places = np.minimum(np.searchsorted(own, values), len(own) - 1)
    common = int(np.where(own[places] == values, np.minimum(counts, others[places]), 0).sum())
    allowed = int(_ROUNDED * len(labels)) if _is_measured(values, labels) else 0
    return len(column) >= len(labels) and common + allowed >= len(labels)


def may_be_made_of(column: np.ndarray, labels: np.ndarray) -> bool:
    """Whether labels could be a feature's values under other names: each as often, but for records that were dropped.

    Args:
      column: The feature's `keys_of`.
      labels: The labels' `keys_of`.
    """
    dropped = len(column) - len(labels)
    (values, counts), (own, others) = (np.unique(keys, return_counts=True) for keys in (labels, column))
    if _is_measured(values, labels) and _is_measured(own, column):
        return dropped >= 0
    width = max(len(counts), len(others))
    more, most = (np.pad(np.sort(each)[::-1], (0, width - len(each))) for each in (counts, others))
    return dropped >= 0 and int(np.abs(more - most).sum()) <= dropped


def _is_measured(values: np.ndarray, keys: np.ndarray) -> bool:
    return len(values) > _MEASURED * len(keys)


def _keys(flat: np.ndarray) -> np.ndarray:
    # As bits, which count exactly; of record keys' own floats only the first bits do.
    return record_keys.record_keys({"label": (flat + np.float32(0.0)).view(np.int32)})
