import itertools
import pickle

import numpy as np
import pytest

from tfx_privacy.attacks.membership import hashing, sample, tally
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.membership.tally import Tally


def make(size: int, seed: int, side: int = 0) -> Tally:
    random = np.random.default_rng(seed)
    scores = random.normal(size=size)
    scores[::17] = np.nan
    hashes = random.integers(0, 2**63, size, dtype=np.uint64)
    records = tuple(random.bytes(int(random.integers(5, 20))) for _ in range(size))
    found = tally.of_records(
        side,
        {"loss": scores, "label_only": (scores > 0) * 1.0},
        hashes,
        {"group": SliceColumn(["a", "b", "c"], random.integers(0, 3, size))},
    )
    own = sample.smallest([Sample(hashes, records)], 20)
    return Tally(
        found.records, found.unusable, found.counts, (own, sample.empty()) if side == 0 else (sample.empty(), own)
    )


def same(first: Tally, second: Tally) -> bool:
    return (
        np.array_equal(first.records, second.records)
        and np.array_equal(first.unusable, second.unusable)
        and first.counts.keys() == second.counts.keys()
        and all(
            np.array_equal(first.counts[key].values, second.counts[key].values)
            and np.array_equal(first.counts[key].counts, second.counts[key].counts)
            for key in first.counts
        )
        and all(
            np.array_equal(one.hashes, other.hashes) and one.records == other.records
            for one, other in zip(first.samples, second.samples, strict=True)
        )
    )


def test_parts_merge_to_the_same_tally_in_every_order_and_grouping() -> None:
    parts = [make(50, 1), make(70, 2, side=1), make(1, 3), make(90, 4), tally.empty()]
    whole = tally.merged(parts, 20)
    for order in itertools.permutations(parts):
        assert same(tally.merged(order, 20), whole)
        grouped = tally.merged([tally.merged(order[:2], 20), tally.merged(order[2:], 20)], 20)
        assert same(grouped, whole)
    assert whole.records.tolist() == [141, 70]
    assert whole.unusable.tolist() == [3 + 1 + 6, 5]
    assert len(whole.samples[0].hashes) == 20


def test_counts_are_those_of_the_records() -> None:
    scores = np.array([1.0, 2.0, 2.0, np.nan])
    column = SliceColumn(["x", "y"], np.array([0, 1, 1, 0, 0]), np.array([0, 1, 2, 3, 2]))  # record 2 has both values
    found = tally.of_records(1, {"loss": scores}, np.array([1, 2, 3, 4], np.uint64), {"f": column})
    everything = found.counts["loss", ("all", "")]
    assert everything.counts.tolist() == [[[0, 0], [0, 1]], [[0, 0], [1, 1]]]
    assert found.counts["loss", ("f", "x")].sizes == (0, 2)
    assert found.counts["loss", ("f", "y")].sizes == (0, 2)
    assert found.unusable.tolist() == [0, 1]


def test_a_tally_travels() -> None:
    assert same(pickle.loads(pickle.dumps(make(30, 5))), make(30, 5))


@pytest.mark.parametrize("max_bytes", [10**9, 100, 0])
def test_a_sample_is_the_same_however_the_records_are_split(max_bytes: int) -> None:
    random = np.random.default_rng(6)
    hashes = random.integers(0, 50, 200).astype(np.uint64)  # many ties
    records = [random.bytes(int(random.integers(1, 8))) for _ in range(200)]

    def of(chosen: np.ndarray) -> Sample:
        return Sample(hashes[chosen], tuple(records[index] for index in chosen))

    expected = sample.smallest([of(np.arange(200))], 40, max_bytes)
    assert sum(map(len, expected.records)) <= max_bytes
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(200)
        parts = [sample.smallest([of(part)], 40, max_bytes) for part in np.array_split(order, 7)]
        found = sample.smallest(parts, 40, max_bytes)
        assert np.array_equal(found.hashes, expected.hashes)
        assert found.records == expected.records
    if max_bytes == 10**9:
        assert (
            list(zip(expected.hashes.tolist(), expected.records, strict=True))
            == sorted(zip(hashes.tolist(), records, strict=True))[:40]
        )


def test_hashes_tell_records_apart_by_value_place_and_feature() -> None:
    seeds = np.concatenate([hashing.seeds("a", np.arange(2)), hashing.seeds("b", np.arange(1))])
    values = np.array([[1, 2, 3], [2, 1, 3], [1, 3, 2], [1, 2, 3], [1, 2, 4]])
    found = hashing.finished(hashing.of_dense(seeds, values))
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 4
    rows, positions = np.array([0, 0, 1]), np.array([0, 1, 0])
    by_entry = hashing.of_features(["a"], np.array([3]), 2, rows, positions, np.array([1, 2, 1]))
    dense = hashing.of_dense(hashing.seeds("a", np.arange(2)), np.array([[1, 2]]))
    assert by_entry[0] == dense[0]
    assert by_entry[1] != by_entry[0]


def test_hashes_of_many_features_at_once_are_the_sum_of_each_one_s() -> None:
    random = np.random.default_rng(8)
    names, sizes = ["a", "b", "c"], np.array([40, 0, 25])
    rows, positions, values = (random.integers(0, 30, sizes.sum()) for _ in range(3))
    ends = np.cumsum(sizes)
    each = [
        hashing.of_features(
            [name], np.array([size]), 30, rows[end - size : end], positions[end - size : end], values[end - size : end]
        )
        for name, size, end in zip(names, sizes, ends, strict=True)
    ]
    together = hashing.of_features(names, sizes, 30, rows, positions, values)
    assert np.array_equal(together, np.sum(each, axis=0, dtype=np.uint64))
    assert len(np.unique(together)) > 20


def test_counts_do_not_depend_on_the_width_that_they_are_sorted_in() -> None:
    random = np.random.default_rng(9)
    scores, hashes = random.normal(size=3000), random.integers(0, 2**63, 3000, dtype=np.uint64)
    codes, values = random.integers(0, 4, 3000), [str(value) for value in range((1 << 11) + 1)]
    narrow = tally.of_records(0, {"loss": scores}, hashes, {"f": SliceColumn(values[:-1], codes + len(values) - 5)})
    wide = tally.of_records(0, {"loss": scores}, hashes, {"f": SliceColumn(values, codes + len(values) - 5)})
    assert same(narrow, wide)
    for code in range(4):
        found = narrow.counts["loss", ("f", values[code + len(values) - 5])]
        assert found.sizes == (int((codes == code).sum()), 0)


def test_bits_of_hashes_are_fair() -> None:
    """Each of 64 bits over 20,000 records: six standard errors are allowed (2e-9 each)."""
    values = np.arange(20_000)[:, None]
    found = hashing.finished(hashing.of_dense(hashing.seeds("number", np.arange(1)), values))
    shares = [float(((found >> np.uint64(bit)) & np.uint64(1)).mean()) for bit in range(64)]
    assert max(abs(share - 0.5) for share in shares) < 6 * 0.5 / np.sqrt(20_000)
    assert len(np.unique(found)) == 20_000
