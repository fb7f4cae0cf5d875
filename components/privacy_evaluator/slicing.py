"""The values that records are sliced by, from what the graph read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks.evaluation import CLASS_FEATURE, CORRECTNESS_FEATURE
from tfx_privacy.attacks.membership import slice_values
from tfx_privacy.attacks.membership.slice_values import Judged, SliceColumn
from tfx_privacy.components.privacy_evaluator import columns as columns_of
from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError
from tfx_privacy.components.privacy_evaluator.heads import SliceSpec

MISSING = ""
_MAX_CROSSED = 1 << 22


def tensors(specs: Sequence[SliceSpec], raw: Mapping[str, Any]) -> dict[str, Any]:
    """In the graph: what `columns` needs of parsed records."""
    found = {}
    for name in sorted({name for spec in specs for name in spec.features}):
        rows, texts = columns_of.entries(raw[name])
        found[f"rows_of/{name}"] = rows
        found[f"text/{name}"], found[f"code/{name}"] = tf.unique(texts, out_idx=tf.int64)
    return found


def columns(specs: Sequence[SliceSpec], found: Mapping[str, Any], size: int) -> dict[str, SliceColumn]:
    """The values of each specification, by its name.

    Args:
      specs: What is sliced by.
      found: What `tensors` gave of the records.
      size: Number of records.

    Returns:
      One column for each.

    Raises:
      UnjudgedError: If features with many values are crossed.
    """
    features = {
        name: column(
            found[f"text/{name}"].numpy(), found[f"code/{name}"].numpy(), found[f"rows_of/{name}"].numpy(), size
        )
        for name in {name for spec in specs for name in spec.features}
    }
    return {
        spec.name: features[spec.keys[0]] if len(spec.keys) == 1 and not spec.values else crossed(spec, features, size)
        for spec in specs
    }


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
    # Different bytes stay different, whether or not they are text.
    names = [slice_values.named(text.decode("utf-8", "backslashreplace")) for text in texts]
    missing = np.setdiff1d(np.arange(size), rows)
    values = list(dict.fromkeys([*names, MISSING] if len(missing) else names))
    place = {value: index for index, value in enumerate(values)}
    codes = np.array([place[name] for name in names], np.int64)[codes]
    if len(rows) == size and np.array_equal(rows, np.arange(size)):
        return SliceColumn(values, codes)
    if len(missing):
        codes, rows = np.r_[codes, np.full(len(missing), place[MISSING])], np.r_[rows, missing]
    # A record with one value twice is in its slice once.
    entries = np.unique(np.stack([rows, codes]), axis=1)
    return SliceColumn(values, entries[1], entries[0])


def crossed(spec: SliceSpec, columns: Mapping[str, SliceColumn], size: int) -> SliceColumn:
    """Several features' values together, of the records that have the given ones.

    A record with several values of a feature is in the slice of each: every combination of its values, as in TFMA.

    Args:
      spec: Which features, and which values of others.
      columns: Of each feature.
      size: Number of records.

    Returns:
      The column; its value is "" where no feature is left to cross.

    Raises:
      UnjudgedError: If there are more than four million combinations in one batch of records.
    """
    kept = np.ones(size, bool)
    for name, value in spec.values:
        kept &= _has(columns[name], value, size)
    rows = np.flatnonzero(kept)
    parts: list[np.ndarray] = []
    for name in spec.keys:
        entries = _entries(columns[name], size)
        repeats = np.bincount(entries[0], minlength=size)
        if not repeats[rows].sum() <= _MAX_CROSSED:
            raise UnjudgedError(
                f"The values of {', '.join(spec.keys)} have more than {_MAX_CROSSED} combinations in {size} records. Cross "
                "features with fewer values."
            )
        parents = np.repeat(np.arange(len(rows)), repeats[rows])
        # The place of each new entry among those of its record.
        offsets = np.arange(len(parents)) - np.repeat(np.cumsum(repeats[rows]) - repeats[rows], repeats[rows])
        rows = rows[parents]
        first = np.cumsum(repeats) - repeats
        parts = [*(part[parents] for part in parts), entries[1][first[rows] + offsets]]
    texts = [np.array(columns[name].values, object)[codes] for name, codes in zip(spec.keys, parts, strict=True)]
    joined = (
        [slice_values.shortened("_X_".join(one)) for one in zip(*texts, strict=True)]
        if texts
        else [MISSING] * len(rows)
    )
    values = list(dict.fromkeys(joined))
    place = {value: index for index, value in enumerate(values)}
    entries = np.unique(np.stack([rows, np.array([place[one] for one in joined], np.int64)]), axis=1)
    return SliceColumn(values, entries[1], entries[0])


def pooled(found: Mapping[str, SliceColumn], judged: Mapping[str, Judged]) -> dict[str, SliceColumn]:
    """Slices with the values pooled that have too few members; those by class and by correctness stay as they are.

    Args:
      found: By name.
      judged: The values to judge, by name; of a name that is missing all are pooled.

    Returns:
      By name.
    """
    return {
        name: column
        if name in (CLASS_FEATURE, CORRECTNESS_FEATURE)
        else slice_values.pooled(column, judged.get(name, slice_values.NONE_JUDGED))
        for name, column in found.items()
    }


def _entries(found: SliceColumn, size: int) -> np.ndarray:
    """Rows and codes, in the order of the rows."""
    rows = np.arange(size) if found.rows is None else found.rows
    order = np.argsort(rows, kind="stable")
    return np.stack([rows[order], np.asarray(found.codes)[order]])


def _has(found: SliceColumn, value: str, size: int) -> np.ndarray:
    rows = np.arange(size) if found.rows is None else found.rows
    mask = np.zeros(size, bool)
    value = slice_values.shortened(value)
    if value in found.values:
        mask[rows[found.codes == list(found.values).index(value)]] = True
    return mask
