"""The values that records are sliced by, from what the graph read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_privacy.attacks.membership.tally import SliceColumn
from tfx_privacy.components.privacy_evaluator.heads import SliceSpec

MISSING = ""


def column(texts: np.ndarray, codes: np.ndarray, rows: np.ndarray, size: int) -> SliceColumn:
    """One feature's values; a record without any has the value "".

    Args:
      texts: Distinct values as bytes.
      codes: Index into them for each entry.
      rows: Record of each entry.
      size: Number of records.

    Returns:
      The column.
    """
    values = [text.decode("utf-8", "replace") for text in texts]
    if len(rows) == size and np.array_equal(rows, np.arange(size)):
        return SliceColumn(values, codes)
    missing = np.setdiff1d(np.arange(size), rows)
    if len(missing):
        if MISSING not in values:
            values.append(MISSING)
        codes = np.r_[codes, np.full(len(missing), values.index(MISSING))]
        rows = np.r_[rows, missing]
    # A record with one value twice is in its slice once.
    entries = np.unique(np.stack([rows, codes]), axis=1)
    return SliceColumn(values, entries[1], entries[0])


def crossed(spec: SliceSpec, columns: Mapping[str, SliceColumn], size: int) -> SliceColumn:
    """Several features' (first) values together, of the records that have the given ones.

    Args:
      spec: Which features, and which values of others.
      columns: Of each feature.
      size: Number of records.

    Returns:
      The column; its value is "" where no feature is left to cross.
    """
    kept = np.ones(size, bool)
    for name, value in spec.values:
        kept &= _has(columns[name], value, size)
    rows = np.flatnonzero(kept)
    first = [np.array(columns[name].values, object)[_first_codes(columns[name], size)][rows] for name in spec.keys]
    texts = ["_X_".join(parts) for parts in zip(*first, strict=True)] if first else [MISSING] * len(rows)
    values, codes = np.unique(np.array(texts, object).astype(str), return_inverse=True)
    return SliceColumn([str(value) for value in values], codes.ravel(), rows)


def _first_codes(found: SliceColumn, size: int) -> np.ndarray:
    if found.rows is None:
        return found.codes
    codes = np.zeros(size, np.int64)
    codes[found.rows[::-1]] = found.codes[::-1]
    return codes


def _has(found: SliceColumn, value: str, size: int) -> np.ndarray:
    rows = np.arange(size) if found.rows is None else found.rows
    mask = np.zeros(size, bool)
    if value in found.values:
        mask[rows[found.codes == list(found.values).index(value)]] = True
    return mask
