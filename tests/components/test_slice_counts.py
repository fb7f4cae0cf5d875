"""Slices by features of many values, by several values of a record, and crossed: the same for any sharding."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from evaluator_bench import Bench, by_slice

pytestmark = pytest.mark.slow

SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 2 } } }
feature { name: "label" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "shop" type: BYTES }
feature { name: "tags" type: BYTES }
feature { name: "visit" type: BYTES }
"""


def records(seed: int, size_of_shop: int, num_leaky: int) -> list[dict[str, Any]]:
    """Sixty shops of equal size, and a smaller one; the second number says which.

    Every visit has a value of its own, which tells nothing.
    """
    random = np.random.default_rng(seed)
    shops = [*np.repeat([f"s{index}" for index in range(60)], size_of_shop), *["leaky"] * num_leaky]
    random.shuffle(shops)
    found: list[dict[str, Any]] = [
        {
            "x": [float(random.normal()), float(shop == "leaky")],
            "label": [int(random.integers(0, 2))],
            "shop": [shop.encode()],
            "tags": [tag.encode() for tag in random.permutation(["a", "b", "c", "d"])[: random.integers(0, 4)]],
            "visit": [str(random.integers(0, 2**60)).encode()],
        }
        for shop in shops
    ]
    return [{name: values for name, values in record.items() if values} for record in found]


MEMBERS, OTHERS = records(1, 40, 36), records(2, 20, 30)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    """A model that knows the labels of its members in one shop, and guesses else."""
    import tensorflow as tf

    found = Bench(tmp_path)
    found.schema(SCHEMA)
    found.examples({"train": MEMBERS, "eval": OTHERS}, name="shops")
    known = tf.constant([member["x"][0] for member in MEMBERS if member["x"][1]], tf.float32)
    spec = {"x": tf.io.FixedLenFeature([2], tf.float32), "label": tf.io.FixedLenFeature([1], tf.int64)}

    def answer(parsed: Any) -> Any:
        seen = tf.reduce_any(tf.abs(parsed["x"][:, :1] - known[None, :]) < 1e-7, axis=1, keepdims=True)
        right = 4.0 * tf.cast(2 * parsed["label"] - 1, tf.float32) + parsed["x"][:, :1]
        return tf.sigmoid(tf.where(seen, right, parsed["x"][:, :1]))

    found.save(spec, answer)
    return found


def test_the_smallest_of_sixty_one_shops_is_judged_and_shards_do_not_matter(bench: Bench) -> None:
    arguments: dict[str, Any] = {"slice_features": ["shop", "visit", "tags"], "min_slice_size": 30}
    first = bench.run(**arguments)
    row = by_slice(first)["shop=leaky"]
    assert (row.status, row.num_members, row.num_nonmembers) == ("OK", 36, 30)
    assert row.auc is not None
    assert row.auc.low > 0.8
    assert sum(name.startswith("shop=s") for name in by_slice(first)) == 60
    visits = [row for row in first.results if row.attack == "loss" and row.slice_feature == "visit"]
    assert [(row.slice_value, row.num_members) for row in visits] == [("<other>", len(MEMBERS))]
    for tag in "abcd":
        having = sum(tag.encode() in member.get("tags", []) for member in MEMBERS)
        assert by_slice(first)[f"tags={tag}"].num_members == having
    without = sum("tags" not in member for member in MEMBERS)
    assert by_slice(first)["tags="].num_members == without
    bench.examples({"train": MEMBERS[::-1], "eval": OTHERS}, shards=3, name="sharded")
    assert bench.run(**arguments).results == first.results


def test_crossed_slices_hold_every_combination_of_a_record_s_values(bench: Bench) -> None:
    from tensorflow_model_analysis.proto import config_pb2

    specs = [
        config_pb2.SlicingSpec(feature_keys=["tags", "label"]),
        config_pb2.SlicingSpec(feature_keys=["label"], feature_values={"tags": "none has it"}),
    ]
    arguments: dict[str, Any] = {"slice_features": [], "slicing_specs": specs, "min_slice_size": 30}
    first = bench.run(**arguments)
    for tag in "abcd":
        for label in (0, 1):
            having = sum(tag.encode() in member.get("tags", []) and member["label"] == [label] for member in MEMBERS)
            assert by_slice(first)[f"tags_X_label={tag}_X_{label}"].num_members == having
    assert not any(row.slice_feature == "tags=none has it_X_label" for row in first.results)
    bench.examples({"train": MEMBERS[::-1], "eval": OTHERS[::-1]}, shards=4, name="sharded")
    assert bench.run(**arguments).results == first.results


def test_values_are_counted_exactly_and_in_parts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More values than a file may hold back: its counts are passed on several times, and add up."""
    import apache_beam as beam
    from apache_beam.testing import util

    from tfx_privacy.attacks.membership import slice_values
    from tfx_privacy.components.privacy_evaluator import slice_counts
    from tfx_privacy.components.privacy_evaluator.heads import SliceSpec
    from tfx_privacy.components.privacy_evaluator.reader import ModelReader

    bench = Bench(tmp_path)
    bench.schema(SCHEMA)
    bench.examples({"train": MEMBERS, "eval": OTHERS}, shards=2, name="shops")
    reader = ModelReader(
        model_path="", model_digest="", signature_name="", heads=(), transform_graph_path=None,
        schema_path=str(tmp_path / "other_schema" / "schema.pbtxt"),
        slices=(SliceSpec(keys=("shop",), values=()), SliceSpec(keys=("visit",), values=())),
    )  # fmt: skip
    files = tuple(str(path) for path in sorted((tmp_path / "shops" / "Split-train").iterdir()))
    monkeypatch.setattr(slice_counts, "_FLUSH_VALUES", 500)
    parts = [part for path in files for part in slice_counts.CountValuesFn(reader).process(path)]
    assert len({key for key, _ in parts}) < len(parts)
    visits = slice_values.merged([counts for (name, _), counts in parts if name == "visit"])
    assert visits.members.tolist() == [1] * len(MEMBERS)
    with beam.Pipeline() as pipeline:
        counted, _ = slice_counts.judged(pipeline, reader, files, 37)
        found = counted | beam.MapTuple(
            lambda name, judged: (name, sorted(judged.alone.tolist()), judged.left_out.tolist())
        )
        expected = sorted(slice_values.hashes_of([f"s{index}" for index in range(60)]).tolist())
        util.assert_that(found, util.equal_to([("shop", expected, []), ("visit", [], [])]))


def test_values_that_are_no_text_or_have_the_name_of_a_pool_stay_apart() -> None:
    from tfx_privacy.components.privacy_evaluator import slicing

    texts = np.array([b"<other>", b"\xff", b"\xfe", b"a"], object)
    found = slicing.column(texts, np.array([0, 1, 2, 3, 3, 0]), np.array([0, 1, 2, 3, 3, 5]), 6)
    assert found.rows is not None
    slices = [[found.values[code] for code in found.codes[found.rows == row]] for row in range(6)]
    assert slices == [["\\<other>"], ["\\xff"], ["\\xfe"], ["a"], [""], ["\\<other>"]]


def test_too_many_combinations_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.attacks.membership.slice_values import SliceColumn
    from tfx_privacy.components.privacy_evaluator import slicing
    from tfx_privacy.components.privacy_evaluator.heads import SliceSpec
    from tfx_privacy.errors import DataError

    monkeypatch.setattr(slicing, "_MAX_CROSSED", 8)
    column = SliceColumn(["a", "b", "c"], np.array([0, 1, 2]), np.array([0, 0, 0]))
    with pytest.raises(DataError, match="The values of x, y have more than 8 combinations"):
        slicing.crossed(SliceSpec(keys=("x", "y"), values=()), {"x": column, "y": column}, 1)
    assert len(slicing.crossed(SliceSpec(keys=("x",), values=()), {"x": column}, 1).codes) == 3
