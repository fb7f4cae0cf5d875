"""The trainer's sketch of what it read: what it finds of other records, however they are cut, and what it keeps to itself."""

import hashlib
import hmac
import itertools
import json
from typing import Any

import numpy as np
import pydantic
import pytest

from tfx_privacy.attacks import trained_records
from tfx_privacy.attacks.trained_records import SKETCH_SIZE, Matcher, SideFound, TrainedRecords, TrainedRecordsFound
from tfx_privacy.errors import EvidenceError

SECRET = "0f" * 32


def keys(first: int, last: int) -> np.ndarray:
    """Keys of the records of these numbers; SplitMix's multiplier spreads them."""
    return np.arange(first, last).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def make(read: np.ndarray, secret: str = SECRET, **changes: Any) -> TrainedRecords:
    values: dict[str, Any] = {
        "secret_key": secret,
        "features": "examples",
        "key_features": ["amount", "label"],
        "num_read": len(read),
        "num_distinct": len(np.unique(read)),
        "num_used": len(read),
        "num_units": len(read),
        "reader": "default",
        "sketch": trained_records.sketch_of(read, secret),
    }
    return TrainedRecords(**{**values, **changes})


def test_hashes_are_hmac_of_the_key_by_the_letter() -> None:
    found = trained_records.hashes_of(np.array([7, 2**63 + 1], np.uint64), SECRET)
    secret = bytes.fromhex(SECRET)
    assert found == [
        hmac.new(secret, number.to_bytes(8, "big"), hashlib.sha256).digest()[:16] for number in (7, 2**63 + 1)
    ]


def test_a_small_training_is_sketched_as_a_whole() -> None:
    record = make(keys(0, 300))
    assert len(record.sketch) == 300
    same = Matcher(record).match(keys(0, 300))
    assert same[:3] == (300, 300, 300)
    assert same.seen.all()
    mixed = Matcher(record).match(keys(200, 500))
    assert mixed[:3] == (300, 300, 100)
    assert mixed.seen.sum() == 100


def test_of_a_large_training_the_smallest_hashes_are_a_sample_of_both_sides() -> None:
    """Of 40,000 records 4,096 are kept; other records fall below the threshold as often as these, and none is found."""
    read = keys(0, 40_000)
    record = make(read)
    everything = sorted(trained_records.hashes_of(read, SECRET))
    assert record.sketch == [value.hex() for value in everything[:SKETCH_SIZE]]
    matcher = Matcher(record)
    assert matcher.match(read)[:3] == (40_000, SKETCH_SIZE, SKETCH_SIZE)
    strangers = matcher.match(keys(50_000, 90_000))
    # A binomial of mean 4,096 and standard deviation 61: off by 5 of these in fewer than 1 of a million; seeded by SECRET.
    assert abs(strangers.num_sampled - SKETCH_SIZE) < 5 * 61
    assert (strangers.num_trained_on, strangers.seen.sum()) == (0, 0)
    half = matcher.match(keys(20_000, 60_000))
    assert 0.45 < half.num_trained_on / half.num_sampled < 0.55
    assert half.seen.sum() == half.num_trained_on


def test_records_that_stand_several_times_count_as_often_and_are_seen_once() -> None:
    record = make(np.repeat(keys(0, 100), 3))
    assert len(record.sketch) == 100
    found = Matcher(record).match(np.repeat(keys(0, 50), 4))
    assert found[:3] == (200, 200, 200)
    assert found.seen.sum() == 50


@pytest.mark.parametrize("cuts", [[1], [100, 100, 7000], list(range(500, 9000, 500))])
def test_parts_merge_into_the_whole_in_every_order(cuts: list[int]) -> None:
    read = keys(0, 9_000)
    matcher = Matcher(make(read[:8_000]))
    whole = matcher.match(read)
    parts = [matcher.match(part) for part in np.split(read, cuts)]
    for order in itertools.islice(itertools.permutations(parts), 3):
        merged = trained_records.merged([trained_records.merged([]), *order])
        assert merged[:3] == whole[:3]
        assert np.array_equal(merged.seen, whole.seen)


def test_another_secret_key_is_another_sketch_of_the_same_records() -> None:
    """So the digest tells nobody who lacks the file anything: not even that two trainings read the same."""
    read = keys(0, 5_000)
    one, other = make(read), make(read, secret="1f" * 32)
    assert not set(one.sketch) & set(other.sketch)
    assert one.file_digest != other.file_digest
    assert one.file_digest == TrainedRecords.from_json(one.to_json()).file_digest
    assert len({trained_records.new_secret_key() for _ in range(100)}) == 100
    assert len(bytes.fromhex(trained_records.new_secret_key())) == 32


BROKEN: dict[str, dict[str, Any]] = {
    "order": {"sketch": ["02" * 16, "01" * 16]},
    "twice": {"sketch": ["01" * 16, "01" * 16]},
    "none": {"sketch": []},
    "too many": {"sketch": [f"{number:032x}" for number in range(SKETCH_SIZE + 1)], "num_read": 9_000},
    "more than were read": {"num_read": 2, "num_used": 2, "num_units": 2},
    "a part of the sketch": {"num_distinct": 4},
    "more in the sketch than different ones": {"num_distinct": 2},
    "more different ones than were read": {"num_distinct": 4, "sketch": [f"{number:032x}" for number in range(4)]},
    "more used than read": {"num_used": 4},
    "more units than used": {"num_used": 2},
    "a feature twice": {"key_features": ["a", "a"]},
    "a short secret": {"secret_key": "0f" * 31},
    "no feature": {"key_features": []},
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_file_that_contradicts_itself_is_not_read(name: str) -> None:
    honest = json.loads(make(keys(0, 3)).to_json())
    with pytest.raises(EvidenceError, match="Not a valid TrainedRecords"):
        TrainedRecords.from_json(json.dumps({**honest, **BROKEN[name]}))


def found(**changes: Any) -> TrainedRecordsFound:
    matcher = Matcher(make(keys(0, 300)))
    record = trained_records.found(make(keys(0, 300)), matcher.match(keys(0, 300)), matcher.match(keys(300, 400)))
    return TrainedRecordsFound(**{**dict(record), **changes})


def test_what_an_evaluation_states() -> None:
    record = found()
    assert (record.num_read, record.sketch_size, record.num_seen, record.is_complete) == (300, 300, 300, True)
    assert record.members == SideFound(num_records=300, num_sampled=300, num_trained_on=300)
    assert record.nonmembers == SideFound(num_records=100, num_sampled=100, num_trained_on=0)
    assert record.digest == make(keys(0, 300)).file_digest
    assert SECRET not in record.to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"num_seen": 301},
        {"members": SideFound(num_records=300, num_sampled=300, num_trained_on=299)},
        {"members": SideFound(num_records=301, num_sampled=300, num_trained_on=300)},
        {"nonmembers": SideFound(num_records=100, num_sampled=99, num_trained_on=0)},
        {"num_used": 301},
        {"num_units": 301},
        {"sketch_size": 0},
        {"sketch_size": 299, "num_seen": 299},
        {"num_distinct": 299},
        {"num_distinct": 301},
        {"sketch_size": SKETCH_SIZE + 1},
    ],
)
def test_what_contradicts_itself_is_no_finding(changes: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        found(**changes)


@pytest.mark.parametrize("numbers", [(1, 2, 0), (2, 1, 2)])
def test_a_side_has_no_more_sampled_than_records(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(pydantic.ValidationError):
        SideFound(num_records=numbers[0], num_sampled=numbers[1], num_trained_on=numbers[2])
