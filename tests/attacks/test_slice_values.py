"""Which values of a feature are judged by themselves: all with enough members, however many there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import POOLED, UNJUDGED
from tfx_privacy.attacks.membership import slice_values
from tfx_privacy.attacks.membership.slice_values import SliceColumn


def column(*of_records: tuple[str, ...]) -> SliceColumn:
    """Each record's values."""
    values = sorted({value for record in of_records for value in record})
    rows = [row for row, record in enumerate(of_records) for _ in record]
    codes = [values.index(value) for record in of_records for value in record]
    return SliceColumn(values, np.array(codes, np.int64), np.array(rows, np.int64))


def slices(found: SliceColumn, size: int) -> list[list[str]]:
    """Each record's slices."""
    rows = np.arange(size) if found.rows is None else found.rows
    return [[found.values[code] for code in found.codes[rows == row]] for row in range(size)]


def chosen(found: SliceColumn, min_size: int, max_values: int = slice_values.MAX_JUDGED) -> slice_values.Judged:
    return slice_values.chosen(slice_values.frequent(slice_values.counted(found), min_size), max_values)


def test_rare_values_are_pooled_and_a_record_is_in_a_pool_once() -> None:
    found = column(("a",), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "e", "f"), ())
    judged = chosen(found, 2)
    expected = [["a"], ["a", "b"], ["b", "c"], ["c", "d"], ["d", POOLED], []]
    assert slices(slice_values.pooled(found, judged), 6) == expected
    assert slices(slice_values.pooled(found, slice_values.NONE_JUDGED), 6) == [[POOLED]] * 5 + [[]]


def test_of_too_many_frequent_values_those_with_most_members_are_judged_and_the_others_are_not_pooled() -> None:
    found = column(("a",), ("a",), ("a",), ("b",), ("b",), ("c",))
    assert slices(slice_values.pooled(found, chosen(found, 1, 2)), 6) == [["a"]] * 3 + [["b"]] * 2 + [[UNJUDGED]]
    assert slices(slice_values.pooled(found, chosen(found, 2, 1)), 6) == [["a"]] * 3 + [[UNJUDGED]] * 2 + [[POOLED]]


def test_a_record_for_each_entry_needs_no_rows() -> None:
    found = slice_values.pooled(SliceColumn(["x", "y"], np.array([0, 1, 0])), chosen(column(("x",), ("x",)), 2))
    assert slices(found, 3) == [["x"], [POOLED], ["x"]]


def test_counts_of_parts_add_up_to_those_of_the_whole_in_every_order_and_grouping() -> None:
    random = np.random.default_rng(1)
    codes = random.zipf(1.3, 5000) % 700
    whole = slice_values.counted(SliceColumn([f"v{code}" for code in range(700)], codes))
    assert whole.members.sum() == 5000
    parts = []
    for part in np.array_split(codes, 4):
        distinct, where = np.unique(part, return_inverse=True)
        parts.append(slice_values.counted(SliceColumn([f"v{code}" for code in distinct], where.ravel())))
    for order in itertools.permutations(parts):
        for found in (
            slice_values.merged(order),
            slice_values.merged([slice_values.merged(order[:1]), slice_values.merged(order[1:])]),
        ):
            kept = whole.members > 0
            assert np.array_equal(found.hashes[found.members > 0], whole.hashes[kept])
            assert np.array_equal(found.members[found.members > 0], whole.members[kept])
    of_value = dict(zip(slice_values.hashes_of([f"v{code}" for code in range(700)]).tolist(), range(700), strict=True))
    assert all(
        size == (codes == of_value[value]).sum()
        for value, size in zip(whole.hashes.tolist(), whole.members.tolist(), strict=True)
    )


def test_a_million_values_are_counted_in_16_bytes_each() -> None:
    size = 1_000_000
    codes = np.r_[np.arange(size), np.zeros(99, np.int64)]
    hashes = np.random.default_rng(2).integers(0, 2**64, size, dtype=np.uint64)
    counts = slice_values.merged(
        [slice_values.ValueCounts(hashes[part], np.ones(len(part), np.int64)) for part in np.array_split(codes, 7)]
    )
    assert counts.hashes.nbytes + counts.members.nbytes == 16 * size
    judged = slice_values.chosen(slice_values.frequent(counts, 100))
    assert judged.alone.tolist() == [int(hashes[0])]
    assert judged.left_out.tolist() == []


@pytest.mark.parametrize("name", [POOLED, UNJUDGED])
def test_a_value_with_the_name_of_a_pool_is_none(name: str) -> None:
    names = [slice_values.named(text) for text in (name, "\\" + name, "\\\\" + name, "other", "")]
    assert len(set(names)) == 5
    assert not {POOLED, UNJUDGED} & set(names)
    assert names[3:] == ["other", ""]


def test_long_values_have_short_names_of_their_own() -> None:
    long = "z" * 5000
    names = {slice_values.named(text) for text in (long, long + "z", long[:200])}
    assert len(names) == 3
    assert max(map(len, names)) < 250
    assert slice_values.named("short") == "short"
