"""What is kept of any number of scored records: counts by attack, slice, side and fold, and a sample of each side.

Tallies of parts merge into the tally of the whole, to the last bit, in any order and grouping. Their size does not grow
with the number of records where rare values are pooled (`slice_values`).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_privacy.attacks.evaluation import WHOLE_SET
from tfx_privacy.attacks.membership import counts as counting
from tfx_privacy.attacks.membership import sample
from tfx_privacy.attacks.membership.counts import KEY_BITS, Counts
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.membership.slice_values import SliceColumn

MEMBERS, OTHERS = 0, 1
NO_SCORE = "no_score"
"""Whether a record has no finite score: a model that breaks on its members alone tells them."""
_KEY_MASK = (1 << KEY_BITS) - 1

SliceKey = tuple[str, str]
"""Feature and value; ("all", "") is the whole set."""


@dataclasses.dataclass
class Tally:
    """Counts and samples of the records so far.

    Attributes:
      records: Number of records by side, of shape (2,).
      unusable: Those among them without a finite score, of shape (2,).
      counts: By attack, feature and value.
      samples: Of each side.
      num_left_out: Non-members that equal a member: they are in nothing of the above.
      left_out: A sample of them.
    """

    records: np.ndarray
    unusable: np.ndarray
    counts: dict[tuple[str, SliceKey], Counts]
    samples: tuple[Sample, Sample]
    num_left_out: int = 0
    left_out: Sample = dataclasses.field(default_factory=sample.empty)


def empty() -> Tally:
    """The tally of no record."""
    return Tally(np.zeros(2, np.int64), np.zeros(2, np.int64), {}, (sample.empty(), sample.empty()))


def of_records(
    side: int,
    scores: Mapping[str, np.ndarray],
    hashes: np.ndarray,
    slices: Mapping[str, SliceColumn],
    groups: np.ndarray | None = None,
) -> Tally:
    """The tally of some records of one side, without a sample.

    Args:
      side: `MEMBERS` or `OTHERS`.
      scores: By attack, float64 of shape (num_records,), higher for members; NaN where a record has
        none. "loss" is there.
      hashes: Salted hash of each record, uint64 of shape (num_records,).
      slices: By feature.
      groups: Salted hash of each record's group, uint64 of shape (num_records,): its records are in one fold, and
        counted by bucket. None where every record stands for itself.

    Returns:
      The tally.
    """
    parts = _Parts(sample.folds_of(hashes), False) if groups is None else _Parts(counting.buckets_of(groups), True)
    everything = SliceColumn(("",), np.zeros(len(hashes), np.int64))
    counts = {}
    for feature, column in {WHOLE_SET: everything, **slices}.items():
        for attack, values in scores.items():
            for value, found in _counts(side, values, parts, column).items():
                counts[attack, (feature, value)] = found
    broken = np.isnan(scores["loss"]).astype(np.float64)
    for value, found in _counts(side, broken, parts, everything).items():
        counts[NO_SCORE, (WHOLE_SET, value)] = found
    sizes, unusable = np.zeros(2, np.int64), np.zeros(2, np.int64)
    sizes[side] = len(hashes)
    unusable[side] = int(np.isnan(scores["loss"]).sum())
    return Tally(sizes, unusable, counts, (sample.empty(), sample.empty()))


def merged(tallies: Sequence[Tally], sample_size: int) -> Tally:
    """The tally of all parts' records."""
    if not tallies:
        return empty()
    parts: dict[tuple[str, SliceKey], list[Counts]] = {}
    for tally in tallies:
        for key, found in tally.counts.items():
            parts.setdefault(key, []).append(found)
    return Tally(
        np.sum([tally.records for tally in tallies], axis=0),
        np.sum([tally.unusable for tally in tallies], axis=0),
        {key: counting.merged(found) for key, found in parts.items()},
        (
            sample.smallest([tally.samples[MEMBERS] for tally in tallies], sample_size),
            sample.smallest([tally.samples[OTHERS] for tally in tallies], sample_size),
        ),
        sum(tally.num_left_out for tally in tallies),
        sample.smallest([tally.left_out for tally in tallies], sample_size),
    )


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What records are counted by, besides score and slice: folds, or buckets of groups, which give the folds."""

    of_record: np.ndarray
    are_buckets: bool

    @property
    def bits(self) -> int:
        return (counting.NUM_BUCKETS if self.are_buckets else 2).bit_length() - 1


def _counts(side: int, scores: np.ndarray, parts: _Parts, column: SliceColumn) -> dict[str, Counts]:
    """Counts of one attack's scores for each value of one feature, by one sort of slice, part and score together."""
    of_record, bits = parts.of_record, parts.bits
    if column.rows is not None:
        scores, of_record = scores[column.rows], of_record[column.rows]
    usable = ~np.isnan(scores)
    slots = (column.codes[usable].astype(np.int64) << bits) | of_record[usable]
    places = (slots << KEY_BITS) | counting.keys_of(scores[usable])
    # Half as wide, they are sorted a quarter faster.
    narrow = np.uint32 if len(column.values) <= 1 << (32 - KEY_BITS - bits) else np.int64
    found, numbers = np.unique(places.astype(narrow), return_counts=True)
    found = found.astype(np.int64)
    by_slice = {}
    codes = found >> (KEY_BITS + bits)
    edges = np.r_[np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]), len(found)] if len(found) else np.zeros(1, int)
    for start, end in itertools.pairwise(edges):
        keys, part = found[start:end] & _KEY_MASK, (found[start:end] >> KEY_BITS) & ((1 << bits) - 1)
        values, where = np.unique(keys, return_inverse=True)
        if parts.are_buckets:
            counts = counting.of_buckets(values, where.ravel(), np.full(len(part), side), part, numbers[start:end])
        else:
            table = np.zeros((len(values), 2, 2), np.int64)
            table[where.ravel(), side, part] = numbers[start:end]
            counts = Counts(values, table)
        by_slice[column.values[int(codes[start])]] = counts
    return by_slice
