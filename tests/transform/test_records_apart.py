"""What is asked about a record depends on that record alone, or the sensitivity of no query holds."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf

import tfx_privacy.transform as dpt
from tfx_privacy.errors import ParameterError
from tfx_privacy.transform.session import Session

pytestmark = pytest.mark.engine

BOUNDS: dict[str, Any] = {"bounds": (-100.0, 100.0)}


def draft(make: Any, folder: pathlib.Path, spec: Any = None) -> Any:
    """Of a function that asks one question, of a tensor that is made of the features."""
    return Session(str(folder)).draft(lambda inputs: {"it": make(inputs)}, bench.SPEC if spec is None else spec)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: dpt.mean(tf.reshape(i["pair"], [-1]), **BOUNDS),
        lambda i: dpt.compute_vocabulary(i["words"].values),
        lambda i: dpt.compute_and_apply_vocabulary(tf.strings.split(i["word"]).flat_values),
        lambda i: dpt.mean(i["ragged"].flat_values, **BOUNDS),
        lambda i: dpt.mean(tf.concat([i["x"], i["x"]], axis=0), **BOUNDS),
        lambda i: dpt.mean(tf.transpose(i["pair"]), **BOUNDS),
        lambda i: dpt.mean(i["x"][tf.newaxis], **BOUNDS),
        lambda i: dpt.mean(tf.boolean_mask(i["x"], i["x"] > 1.0), **BOUNDS),
        lambda i: dpt.mean(tf.constant([1.0, 2.0]), **BOUNDS),
        lambda i: dpt.compute_vocabulary(tf.sparse.transpose(i["words"])),
    ],
    ids=[
        "reshape", "values", "tokens", "flat_values", "concat", "transpose", "newaxis", "boolean_mask", "constant",
        "sparse transpose",
    ],
)  # fmt: skip
def test_a_tensor_has_one_row_for_each_record(tmp_path: pathlib.Path, make: Any) -> None:
    """A record of five values that are five rows would move a sum five times as far as is accounted."""
    with pytest.raises(
        ParameterError, match=r"not one row for each record.*Give it the SparseTensor or RaggedTensor itself"
    ):
        draft(make, tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x - tf.reduce_mean(x),
        lambda x: x / tf.reduce_max(x),
        tf.cumsum,
        lambda x: tf.sort(x, direction="DESCENDING"),
        lambda x: tf.reverse(x, [0]),
        lambda x: tf.cast(tf.unique(x).idx, tf.float32),
        lambda x: tf.fill(tf.shape(x), tf.cast(tf.size(x), tf.float32)),
        lambda x: tf.roll(x, 1, 0),
        lambda x: tf.cast(tf.range(tf.size(x)), tf.float32),
        lambda x: tf.function(lambda values: values - tf.reduce_mean(values))(x),
        lambda x: x + x[0],
    ],
    ids=["mean", "max", "cumsum", "sort", "reverse", "unique", "size", "roll", "range", "function", "first"],
)
def test_what_mixes_records_is_refused_before_anything_is_charged(tmp_path: pathlib.Path, make: Any) -> None:
    with pytest.raises(ParameterError, match=r"'mean\(x\)' gets something else of a record alone than .* among others"):
        draft(lambda inputs: dpt.mean(make(inputs["x"]), **BOUNDS), tmp_path)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        (lambda x: x + tf.random.normal(tf.shape(x)), "RandomStandardNormal"),
        (lambda x: tf.random.shuffle(x), "RandomShuffle"),
        (lambda x: tf.py_function(lambda values: values, [x], tf.float32), "EagerPyFunc"),
        (lambda x: tf.numpy_function(lambda values: values, [x], tf.float32), "PyFunc"),
        (lambda x: tf.function(lambda values: values + tf.random.uniform(tf.shape(values)))(x), "RandomUniform"),
        (lambda x: tf.cond(x[0] > 0, lambda: tf.random.shuffle(x), lambda: x), "RandomShuffle"),
        (lambda x: x + tf.cast(tf.timestamp(), tf.float32), "Timestamp"),
    ],
    ids=["normal", "shuffle", "py_function", "numpy_function", "in a function", "in a branch", "timestamp"],
)
def test_what_has_a_state_is_refused(tmp_path: pathlib.Path, make: Any, operation: str) -> None:
    def shaped(inputs: Any) -> Any:
        values = make(inputs["x"])
        values.set_shape([None])
        return dpt.mean(values, **BOUNDS)

    with pytest.raises(ParameterError, match=rf"'mean\(x\)' is asked of what .*{operation}.* gives"):
        draft(shaped, tmp_path)


def test_a_variable_that_counts_is_refused(tmp_path: pathlib.Path) -> None:
    total = tf.Variable(0.0)
    with pytest.raises(ParameterError, match="AssignAddVariableOp"):
        draft(lambda inputs: dpt.mean(inputs["x"] + total.assign_add(tf.reduce_sum(inputs["x"])), **BOUNDS), tmp_path)


def test_a_table_that_learns_is_refused(tmp_path: pathlib.Path) -> None:
    def learned(inputs: Any) -> Any:
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)
        with tf.control_dependencies([table.insert(inputs["word"], inputs["x"])]):
            return dpt.mean(table.lookup(inputs["word"]), **BOUNDS)

    with pytest.raises(ParameterError, match="LookupTableInsertV2"):
        draft(learned, tmp_path)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: dpt.mean(tf.math.log1p(tf.maximum(i["x"], 0.0)) * 2.0, **BOUNDS),
        lambda i: dpt.compute_and_apply_vocabulary(tf.strings.lower(tf.strings.join([i["word"], "_x"]))),
        lambda i: dpt.compute_and_apply_vocabulary(tf.strings.split(i["word"]), max_values=4),
        lambda i: dpt.compute_and_apply_vocabulary(tf.strings.split(i["word"]).to_sparse(), max_values=4),
        lambda i: dpt.mean(tf.strings.to_number(i["word"]), **BOUNDS),
        lambda i: dpt.mean(tf.strings.to_number(tf.strings.substr(i["word"], 0, 4), tf.int32), **BOUNDS),
        lambda i: dpt.mean(tf.reduce_sum(i["pair"], axis=1), **BOUNDS),
        lambda i: dpt.mean(tf.reduce_max(i["ragged"], axis=1), **BOUNDS),
        lambda i: dpt.mean(
            tf.sparse.to_dense(
                tf.SparseTensor(i["numbers"].indices, i["numbers"].values, [i["numbers"].dense_shape[0], 9])
            ),
            **BOUNDS,
        ),
        lambda i: dpt.mean(tf.gather(tf.constant([1.0, 2.0, 3.0]), i["n"] % 3), **BOUNDS),
        lambda i: dpt.mean(tf.cond(tf.size(i["x"]) > 0, lambda: i["x"] * 2.0, lambda: i["x"]), **BOUNDS),
        lambda i: dpt.mean(tf.map_fn(lambda value: value * 2.0, i["x"]), **BOUNDS),
        lambda i: dpt.mean(i["x"] / 0.0, **BOUNDS),
        lambda i: dpt.mean(tf.sparse.slice(i["numbers"], [0, 0], [100, 2]), **BOUNDS),
    ],
    ids=[
        "log", "join", "ragged tokens", "sparse tokens", "to_number", "year", "sum", "max", "to_dense", "gather", "cond",
        "map_fn", "nan", "slice",
    ],
)  # fmt: skip
def test_what_leaves_records_apart_is_taken(tmp_path: pathlib.Path, make: Any) -> None:
    draft(make, tmp_path)


def test_values_that_fill_up_to_the_longest_record_are_refused(tmp_path: pathlib.Path) -> None:
    """They are there or not as another record is long or short."""
    with pytest.raises(ParameterError, match="no to_dense without a fixed width"):
        draft(lambda i: dpt.mean(tf.sparse.to_dense(i["numbers"]), **BOUNDS), tmp_path)


def test_a_function_that_takes_no_made_up_record_is_its_author_s_word(tmp_path: pathlib.Path) -> None:
    made = draft(lambda i: dpt.mean(tf.strings.to_number(tf.strings.substr(i["word"], 20, 3)), **BOUNDS), tmp_path)
    assert len(made.asked) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda i: tf.where(i["x"] < 0, tf.reduce_mean(i["x"]), i["x"]),
        lambda i: tf.where(tf.math.is_nan(i["x"]), tf.reduce_max(i["x"][:1]), i["x"]),
        lambda i: tf.minimum(i["x"], tf.reduce_mean(i["x"]) + 100.0),
        lambda i: tf.reduce_mean(tf.strings.length(tf.strings.split(i["word"], ";").to_tensor()), axis=1),
        lambda i: tf.where(
            tf.sparse.to_dense(
                tf.SparseTensor(i["numbers"].indices, i["numbers"].values, [i["numbers"].dense_shape[0], 1])
            )[:, 0]
            == 0.0,
            tf.reduce_mean(i["x"]),
            i["x"],
        ),
    ],
    ids=["negative", "nan", "far away", "list", "missing"],
)
def test_what_mixes_records_where_they_are_unusual_is_refused(tmp_path: pathlib.Path, make: Any) -> None:
    """As functions do that fill up what is missing."""
    with pytest.raises(ParameterError, match="gets something else of a record alone"):
        draft(lambda inputs: dpt.mean(make(inputs), **BOUNDS), tmp_path)


@pytest.mark.parametrize("make", [lambda x: x - tf.reduce_mean(x, 0), tf.cumsum, lambda x: tf.sort(x, axis=0)])
def test_what_the_function_returns_is_made_of_each_record_too(tmp_path: pathlib.Path, make: Any) -> None:
    """Or one record moves many of those that a model is trained on."""
    with pytest.raises(ParameterError, match="The output 'other' gets something else of a record alone"):
        Session(str(tmp_path)).draft(
            lambda inputs: {"it": dpt.mean(inputs["x"], **BOUNDS) + inputs["x"], "other": make(inputs["x"])}, bench.SPEC
        )


def test_a_variable_that_the_function_writes_elsewhere_is_refused(tmp_path: pathlib.Path) -> None:
    """TensorFlow orders reads and writes when the graph is complete, so an earlier look shows no write."""
    total = tf.Variable(0.0)

    def remembers(inputs: Any) -> Any:
        x = inputs["x"]
        total.assign_add(tf.reduce_sum(tf.where(x > 1e6, x, tf.zeros_like(x))))
        return dpt.mean(x + total.read_value(), **BOUNDS)

    with pytest.raises(ParameterError, match=r"'mean\(x\)'.*AssignAddVariableOp may change it"):
        draft(remembers, tmp_path)


def test_a_variable_that_stays_is_taken(tmp_path: pathlib.Path) -> None:
    factor = tf.Variable(2.0)
    draft(lambda inputs: dpt.mean(inputs["x"] * factor, **BOUNDS), tmp_path)


def test_one_by_one_gives_what_a_batch_gives_of_exact_operations(tmp_path: pathlib.Path) -> None:
    def everything(inputs: Any) -> Any:
        for name in ("x", "pair", "numbers", "ragged"):
            dpt.mean(inputs[name], bounds=(0.0, 1.0), max_values=3)
        dpt.compute_vocabulary(inputs["words"], max_values=2)
        return {"it": inputs["x"]}

    columns = Session(str(tmp_path)).draft(everything, bench.SPEC).module.columns
    for size in (0, 1, 50):
        records = bench.serialized(bench.make_records(size))
        for alone, together in zip(columns.one_by_one(records), columns.traced(records), strict=True):
            assert alone[1].dtype == together[1].dtype
            for ours, theirs in zip(alone, together, strict=True):
                np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize(
    "spec",
    [
        {"it": tf.io.SparseFeature("index", "value", tf.float32, 10)},
        {"it": tf.io.SparseFeature(["one", "two"], "value", tf.float32, [10, 10])},
        {"it": tf.io.RaggedFeature(tf.float32, "value", [tf.io.RaggedFeature.RowLengths("lengths")])},
        {"it": tf.io.VarLenFeature(tf.int64)},
        {"it": tf.io.FixedLenFeature([2, 3], tf.float32, default_value=[[0.0] * 3] * 2)},
    ],
    ids=["sparse", "sparse of two indices", "nested ragged", "variable", "matrix"],
)
def test_records_of_every_kind_of_feature(tmp_path: pathlib.Path, spec: Any) -> None:
    made = draft(lambda inputs: dpt.mean(inputs["it"], **BOUNDS), tmp_path, spec)
    assert [asked.query.max_values for asked in made.asked] == [6 if "default_value" in str(spec) else 1]


def test_an_assertion_of_rows_holds_for_real_records_too(tmp_path: pathlib.Path) -> None:
    """Where no made-up record could be tried, a batch of several rows a record fails."""

    def make(inputs: Any) -> Any:
        number = tf.strings.to_number(tf.strings.substr(inputs["word"], 20, 3))
        return dpt.mean(tf.concat([number, number], axis=0), **BOUNDS)

    made = draft(make, tmp_path)
    records = bench.serialized([{**record, "word": [b"a number of 23 chars 123"]} for record in bench.make_records(3)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="one_row_for_each_record"):
        made.module.columns.traced(records)
