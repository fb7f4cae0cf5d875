"""Which values of a sliced feature are judged by themselves: every one with enough members, whatever their number.

Members are counted by a 64-bit hash of the value, exactly, before anything is scored. So what is kept while scoring is
bounded by the number of values that are judged, and not by how many there are. If two values have one hash, which has a
chance of 3e-8 among a million, a rare one may be judged by itself; none that is frequent is pooled.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from tfx_privacy.attacks.evaluation import POOLED, UNJUDGED

MAX_JUDGED = 1000
"""Values of one feature that are judged by themselves; further frequent ones are not judged, and the gate says so."""
MAX_NAME = 200
"""Characters of a value's name."""
_ESCAPE = "\\"


@dataclasses.dataclass(frozen=True)
class SliceColumn:
    """One feature's values of some records.

    Attributes:
      values: Distinct values as text.
      codes: Index into `values` for each entry.
      rows: Record of each entry; None if entry i belongs to record i. A record with several values has several entries.
    """

    values: Sequence[str]
    codes: np.ndarray
    rows: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ValueCounts:
    """Members by value of one feature.

    Attributes:
      hashes: Of the values, uint64 of shape (num_values,), ascending.
      members: int64 of the same shape.
    """

    hashes: np.ndarray
    members: np.ndarray


@dataclasses.dataclass(frozen=True)
class Judged:
    """The values of one feature with enough members, by hash.

    Attributes:
      alone: Those that are judged by themselves, uint64, ascending.
      left_out: Those beyond `MAX_JUDGED`, uint64, ascending.
    """

    alone: np.ndarray
    left_out: np.ndarray


def restricted(column: SliceColumn, kept: np.ndarray) -> SliceColumn:
    """The column of some of the records: `kept` is bool of shape (num_records,)."""
    if column.rows is None:
        return SliceColumn(column.values, column.codes[kept])
    inside = kept[column.rows]
    return SliceColumn(column.values, column.codes[inside], (np.cumsum(kept) - 1)[column.rows[inside]])


NONE_JUDGED = Judged(np.zeros(0, np.uint64), np.zeros(0, np.uint64))


def named(text: str) -> str:
    """A value's name among slices: as it is, but for the names that pools have, and for long ones."""
    return shortened(_ESCAPE + text if text.lstrip(_ESCAPE) in (POOLED, UNJUDGED) else text)


def shortened(text: str) -> str:
    """A name that a row can have: of a long one its beginning, and a hash that keeps it apart from others."""
    if len(text) <= MAX_NAME:
        return text
    return f"{text[:MAX_NAME]}... ({hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]})"


def hashes_of(values: Sequence[str]) -> np.ndarray:
    """A hash of each value, uint64 of shape (num_values,); the same everywhere."""
    digests = [hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest() for value in values]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def counted(column: SliceColumn) -> ValueCounts:
    """How many records have each value."""
    sizes = np.bincount(column.codes, minlength=len(column.values))
    return merged([ValueCounts(hashes_of(column.values), sizes.astype(np.int64))])


def merged(parts: Sequence[ValueCounts]) -> ValueCounts:
    """The counts of all parts together; the same for every order and grouping."""
    hashes = np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in parts)])
    members = np.concatenate([np.zeros(0, np.int64), *(part.members for part in parts)])
    distinct, where = np.unique(hashes, return_inverse=True)
    total = np.zeros(len(distinct), np.int64)
    np.add.at(total, where.ravel(), members)
    return ValueCounts(distinct, total)


def frequent(counts: ValueCounts, min_size: int) -> ValueCounts:
    """The values with at least `min_size` members."""
    kept = counts.members >= min_size
    return ValueCounts(counts.hashes[kept], counts.members[kept])


def chosen(counts: ValueCounts, max_values: int = MAX_JUDGED) -> Judged:
    """The values of most members; of equally many those with the smallest hashes.

    Args:
      counts: Of frequent values.
      max_values: How many to choose at most.

    Returns:
      The chosen ones, and the others.
    """
    order = np.lexsort([counts.hashes, -counts.members])
    return Judged(np.sort(counts.hashes[order[:max_values]]), np.sort(counts.hashes[order[max_values:]]))


def pooled(column: SliceColumn, judged: Judged) -> SliceColumn:
    """The column with rare values pooled as "<other>", and frequent ones that are left out as "<not judged>".

    A record with several values of a pool is in it once.
    """
    hashes = hashes_of(column.values)
    alone, left_out = np.isin(hashes, judged.alone), np.isin(hashes, judged.left_out)
    if alone.all():
        return column
    values = [value for value, kept in zip(column.values, alone, strict=True) if kept]
    codes = np.where(alone, np.cumsum(alone) - 1, np.where(left_out, len(values) + 1, len(values)))[column.codes]
    values += [POOLED, UNJUDGED]
    if column.rows is None:
        return SliceColumn(values, codes)
    entries = np.unique(np.stack([column.rows, codes]), axis=1)
    return SliceColumn(values, entries[1], entries[0])
