"""PrivacyEvaluator on people with several records: folds and intervals by person, and people that nobody named."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from evaluator_bench import Bench, by_slice

from tfx_privacy.components.privacy_evaluator import grouping
from tfx_privacy.errors import ParameterError

pytestmark = pytest.mark.slow

SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 2 } } }
feature { name: "trait" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "y" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "user" type: BYTES }
"""


def people(num_records: int, per_user: int, seed: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Records of people, who are in one split each; a person has one trait, and the label follows from it."""
    random = np.random.default_rng(seed)
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "eval": []}
    for user in range(num_records // per_user):
        split, trait = ("eval", "train")[int(random.random() < 0.5)], float(random.normal())
        for _ in range(per_user):
            x = [float(value) for value in random.normal(size=2)]
            label = int(x[0] + trait > 0)
            splits[split].append({"x": x, "trait": [trait], "y": [label], "user": [f"user {user}".encode()]})
    return splits


def harmless(parsed: Any) -> Any:
    """A model of the trait and a feature that saw no record."""
    import tensorflow as tf

    return tf.sigmoid(parsed["trait"] + parsed["x"][:, :1])


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    import tensorflow as tf

    bench = Bench(tmp_path)
    bench.schema(SCHEMA)
    bench.save({"x": tf.io.FixedLenFeature([2], tf.float32), "trait": tf.io.FixedLenFeature([1], tf.float32)}, harmless)
    return bench


def _without_user(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "user"}


def run(bench: Bench, **arguments: Any) -> Any:
    return bench.run(label_key="y", slice_features=[], **arguments)


def test_people_who_were_not_named_are_noticed_and_named_ones_are_judged(bench: Bench) -> None:
    splits = people(3000, 3)
    # Ids that are missing here and there do not hide the others.
    some = {
        name: [_without_user(record) if index % 40 == 0 else record for index, record in enumerate(records)]
        for name, records in splits.items()
    }
    bench.examples(some, name="some")
    unnamed = run(bench)
    assert by_slice(unnamed)["all records"].status == "CONFOUNDED"
    assert unnamed.groups is None
    assert {one.feature for one in unnamed.suspected_groups} == {"trait", "user"}
    for one in unnamed.suspected_groups:
        assert one.num_on_both_sides == 0
        assert f"or to '{one.feature}'" in one.notice
    assert "Set group_key" in by_slice(unnamed)["all records"].reason
    bench.examples(splits, name="people")
    named = run(bench, group_key="user")
    row = by_slice(named)["all records"]
    assert (row.status, by_slice(named, "blind")["all records"].status) == ("OK", "OK")
    assert named.suspected_groups == []
    assert row.auc is not None
    assert row.auc.low <= 0.5 <= row.auc.high
    numbers = [len({record["user"][0] for record in splits[split]}) for split in ("train", "eval")]
    assert named.groups is not None
    assert [named.groups.num_member_groups, named.groups.num_nonmember_groups] == numbers
    assert (named.groups.group_key, named.groups.num_on_both_sides) == ("user", 0)


def test_neither_shards_nor_order_matter_to_groups(bench: Bench) -> None:
    splits = people(1500, 3)
    bench.examples(splits, name="people")
    first = run(bench, group_key="user")
    random = np.random.default_rng(0)
    shuffled = {
        name: [records[index] for index in random.permutation(len(records))] for name, records in splits.items()
    }
    bench.examples(shuffled, shards=3, name="shuffled")
    again = run(bench, group_key="user")
    assert again.results == first.results
    assert again.curves == first.curves
    assert again.groups == first.groups


def test_records_split_by_themselves_show_no_groups(bench: Bench) -> None:
    """The same people, but each record goes to a side of its own: the control finds nothing, and nothing is suspected."""
    both = [record for records in people(3000, 3).values() for record in records]
    random = np.random.default_rng(1)
    train = random.random(len(both)) < 0.5
    splits = {
        "train": [record for record, chosen in zip(both, train, strict=True) if chosen],
        "eval": [record for record, chosen in zip(both, train, strict=True) if not chosen],
    }
    bench.examples(splits, name="by_record")
    record = run(bench)
    assert by_slice(record)["all records"].status == "OK"
    assert record.suspected_groups == []
    by_user = run(bench, group_key="user")
    assert by_user.groups is not None
    assert by_user.groups.num_on_both_sides > 700


def test_the_trainer_s_model_names_the_users(bench: Bench) -> None:
    from tfx_privacy.components import keys

    bench.examples(people(1500, 3), name="people")
    bench.inputs["model"][0].set_string_custom_property(keys.GROUP_KEY, "user")
    found = run(bench).groups
    assert found is not None
    assert found.group_key == "user"


def test_groups_that_are_not_the_trainer_s_users_are_refused(bench: Bench) -> None:
    from tfx_privacy.components import keys

    bench.examples(people(300, 3), name="people")
    bench.inputs["model"][0].set_string_custom_property(keys.GROUP_KEY, "user")
    with pytest.raises(ParameterError, match="trained for the users that 'user' tells apart"):
        run(bench, group_key="y")


def test_users_that_transform_renamed_are_named_by_hand() -> None:
    grouping.check_same("user", "user_xf", {"user": None})
    grouping.check_same("user", "user", {"user": None})
    grouping.check_same("user", "", {"user": None})
    grouping.check_same(None, "user", {"user": None})


def test_a_record_of_nobody_is_refused(bench: Bench) -> None:
    splits = people(600, 3)
    del splits["eval"][7]["user"]
    bench.examples(splits, name="people")
    record = run(bench, group_key="user")
    assert {row.status for row in record.results} == {"UNSUPPORTED"}
    assert "no value of group_key='user'" in str(record.results[0].reason)


@pytest.mark.parametrize(
    ("group_key", "message"),
    [("person", "Unknown group_key='person'"), ("trait", "holds floats"), ("x", "holds floats")],
)
def test_a_feature_that_cannot_name_groups_is_refused(bench: Bench, group_key: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(bench, group_key=group_key)
