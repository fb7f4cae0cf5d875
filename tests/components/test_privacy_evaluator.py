import gzip
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import numpy as np
import pytest
from evaluator_bench import MEMBERS, OTHERS, Bench, by_slice

from tfx_privacy.errors import ModelError, ParameterError, TFXPrivacyError
from tfx_privacy.gate import attack_limit

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def test_a_memorising_model_is_caught_in_every_slice(bench: Bench) -> None:
    from tfx_privacy.components import _files

    bench.model(memorised=MEMBERS)
    record = bench.run()
    rows = by_slice(record)
    assert {"all records", "class=0", "class=1", "correct=yes", "group=common", "group=<other>"} <= set(rows)
    for name in ("all records", "class=0", "class=1", "group=common"):
        auc = rows[name].auc
        assert auc is not None
        assert auc.low > 0.9
    assert rows["group=<other>"].status == "INSUFFICIENT"
    assert by_slice(record, "blind")["all records"].status == "OK"
    assert (record.num_members, record.num_nonmembers, record.num_overlapping) == (800, 600, 0)
    assert [(head.task, head.from_logits, head.label_key) for head in record.heads] == [("binary", False, "label")]
    assert record.slice_features == ["class", "group"]
    assert record.model_digest == _files.directory_digest(bench.inputs["model"][0].uri)
    strongest = attack_limit.strongest(record)
    assert strongest is not None
    shown = bench.outputs["privacy_evaluation"][0]
    assert shown.get_string_custom_property("attack_slice") == strongest.slice_name
    assert strongest.attack_auc_upper <= float(shown.get_string_custom_property("attack_auc_upper")) <= 1.0
    assert strongest.attack_auc_upper > 0.9
    assert 0.6 < float(shown.get_string_custom_property("smallest_attack_limit")) < 0.65
    folder = bench.root / "privacy_evaluation"
    assert {path.name for path in folder.iterdir()} == {"privacy_evaluation.json", "tfma", "tensorboard"}


def test_a_harmless_model_is_not_accused_and_neither_shards_nor_order_matter(bench: Bench) -> None:
    """One fixed data set; the interval of 95 % around one half is checked, and equality to the last bit."""
    bench.model()
    first = bench.run()
    auc = by_slice(first)["all records"].auc
    assert auc is not None
    assert auc.low < 0.5 < auc.high
    bench.examples({"train": MEMBERS[::-1], "eval": OTHERS}, shards=3, name="sharded")
    again = bench.run()
    assert again.results == first.results
    assert again.curves == first.curves


def test_two_worker_processes_find_the_same(bench: Bench) -> None:
    bench.model(memorised=MEMBERS[:400])
    bench.examples({"train": MEMBERS, "eval": OTHERS}, shards=2, name="sharded")
    first = bench.run()
    second = bench.run(["--direct_running_mode=multi_processing", "--direct_num_workers=2"])
    assert second.results == first.results


def test_records_with_broken_outputs_are_counted_and_the_others_judged(bench: Bench) -> None:
    bench.model(nan_above=2.0)
    record = bench.run()
    broken = sum(member["features"][0] > 2.0 for member in MEMBERS)
    assert 0 < record.num_unusable_members == broken < 40
    row = by_slice(record)["all records"]
    assert (row.status, row.num_members) == ("OK", 800 - broken)


def test_mostly_broken_outputs_are_unsupported(bench: Bench) -> None:
    bench.model(nan_above=-1.0)
    (row,) = bench.run().results
    assert row.status == "UNSUPPORTED"
    assert "NaN or infinite" in row.reason


def test_labels_that_are_no_classes_are_unsupported(bench: Bench) -> None:
    changed = [[{**record, "label": [index + 5]} for index, record in enumerate(side)] for side in (MEMBERS, OTHERS)]
    bench.examples({"train": changed[0], "eval": changed[1]}, name="regression")
    bench.model()
    record = bench.run()
    assert record.task == "unsupported"
    assert [row.status for row in record.results] == ["UNSUPPORTED"]
    assert "set task='regression'" in record.results[0].reason


REAL = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 2 } } }
feature { name: "y" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "k" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } } }
feature { name: "tokens" type: INT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 5 } } }
feature { name: "many" type: FLOAT presence { min_fraction: 1 min_count: 1 } shape { dim { size: 3 } } }
"""


def real_records(size: int, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [
        {
            "x": random.normal(size=2).tolist(),
            "y": [float(random.normal())],
            "k": [int(random.integers(0, 3))],
            "tokens": [int(token) for token in random.integers(0, 4, 5)],
            "many": [float(bit) for bit in random.integers(0, 2, 3)],
        }
        for _ in range(size)
    ]


def leaky_outputs(parsed: Any, known: Any) -> dict[str, Any]:
    """Every kind of output; right for records whose x was seen, noise else."""
    import tensorflow as tf

    x = parsed["x"]
    seen = tf.reduce_any(tf.abs(x[:, :1] - known[None, :]) < 1e-7, axis=1)
    noise = tf.stack([x[:, 0], x[:, 1], x[:, 0] - x[:, 1]], axis=1)

    def mixed(right: Any, wrong: Any) -> Any:
        return tf.where(tf.reshape(seen, [-1] + [1] * (len(right.shape) - 1)), right, wrong)

    classes, tokens = tf.one_hot(parsed["k"][:, 0], 3), tf.one_hot(parsed["tokens"], 4)
    return {
        "real": mixed(parsed["y"] + 0.01 * x[:, :1], x[:, :1]),
        "class": mixed(4.0 * classes, noise),
        "labels": mixed(6.0 * parsed["many"] - 3.0, noise),
        "text": mixed(3.0 * tokens, tf.tile(noise[:, None, :1], [1, 5, 4]) * tf.range(4.0)),
        "own_loss": mixed(0.1 * tf.abs(x[:, 0]), 2.0 + tf.abs(x[:, 0])),
    }


def test_every_task_is_attacked_and_several_heads_together(bench: Bench) -> None:
    import tensorflow as tf

    members, others = real_records(700, 3), real_records(500, 4)
    known = tf.constant([record["x"][0] for record in members[:350]], tf.float32)
    spec = {
        "x": tf.io.FixedLenFeature([2], tf.float32),
        "y": tf.io.FixedLenFeature([1], tf.float32),
        "k": tf.io.FixedLenFeature([1], tf.int64),
        "tokens": tf.io.FixedLenFeature([5], tf.int64),
        "many": tf.io.FixedLenFeature([3], tf.float32),
    }
    bench.schema(REAL)
    bench.examples({"train": members, "eval": others}, name="real")
    bench.save(spec, lambda parsed: leaky_outputs(parsed, known))
    heads = [
        {"name": "class", "output_key": "class", "label_key": "k"},
        {"name": "price", "output_key": "real", "label_key": "y"},
        {"name": "labels", "output_key": "labels", "label_key": "many"},
        {"name": "text", "output_key": "text", "label_key": "tokens"},
        {"name": "loss", "output_key": "own_loss", "task": "loss"},
    ]
    record = bench.run(heads=heads, slice_features=[])
    tasks = {head.name: (head.task, head.from_logits) for head in record.heads}
    assert tasks == {
        "class": ("multiclass", True),
        "price": ("regression", None),
        "labels": ("multilabel", True),
        "text": ("sequence", True),
        "loss": ("loss", None),
    }
    whole = {row.attack: row for row in record.results if row.slice_feature == "all"}
    for attack in ("loss", *(f"loss[{name}]" for name in tasks), "lowest_tokens[text]", "modified_entropy[class]"):
        assert whole[attack].status == "OK", attack
        auc = whole[attack].auc
        assert auc is not None
        assert auc.low > 0.55, attack  # half of the members are known to the model


def test_slices_are_tfmas_own_and_may_be_crossed(bench: Bench) -> None:
    from tensorflow_model_analysis.proto import config_pb2

    bench.model(memorised=MEMBERS)
    specs = [
        config_pb2.SlicingSpec(),
        config_pb2.SlicingSpec(feature_keys=["group", "label"]),
        config_pb2.SlicingSpec(feature_values={"group": "common"}, feature_keys=["label"]),
    ]
    record = bench.run(slice_features=[], slicing_specs=specs)
    rows = by_slice(record)
    common = [record for record in MEMBERS if record["group"] == [b"common"]]
    ones = sum(record["label"][0] for record in common)
    assert rows["group_X_label=common_X_1"].num_members == ones
    assert rows["group=common_X_label=1"].num_members == ones
    assert record.slice_features == ["class", "group_X_label"]  # the filtered one need not hold every record


def test_a_model_is_attacked_through_the_signature_that_is_served(bench: Bench) -> None:
    """DPTrainer's signature of features is used, because it is faster; where it says something else, that is an error."""
    import tensorflow as tf

    spec = {"features": tf.io.FixedLenFeature([4], tf.float32)}

    def from_features(factor: float) -> Any:
        return tf.function(
            lambda inputs: {"outputs": tf.sigmoid(factor * inputs["features"][:, :1])},
            input_signature=[{"features": tf.TensorSpec([None, 4], tf.float32, name="features")}],
        )

    def served(parsed: Any) -> Any:
        return tf.sigmoid(parsed["features"][:, :1])

    bench.save(spec, served)
    plain = bench.run()
    bench.save(spec, served, from_features=from_features(1.0))
    assert bench.run().results == plain.results
    bench.save(spec, served, from_features=from_features(2.0))
    assert bench.run().results == plain.results  # the second signature is not used


def test_signatures_that_part_later_are_an_error(bench: Bench) -> None:
    """They agree on the first records, which decide whether the faster one is used, and not on those of another file."""
    import tensorflow as tf

    spec = {"features": tf.io.FixedLenFeature([4], tf.float32)}
    late = MEMBERS[-1]["features"][0]

    def from_features(inputs: Any) -> Any:
        x = inputs["features"][:, :1]
        return {"outputs": tf.sigmoid(tf.where(tf.abs(x - late) < 1e-5, -x, x))}

    signature = [{"features": tf.TensorSpec([None, 4], tf.float32, name="features")}]
    bench.save(
        spec,
        lambda parsed: tf.sigmoid(parsed["features"][:, :1]),
        from_features=tf.function(from_features, input_signature=signature),
    )
    folder = disk.write_examples(bench.root / "first", {"train": disk.make_records(1100, 7), "eval": OTHERS})
    extra = disk.write_examples(bench.root / "extra", {"train": [MEMBERS[-1]], "eval": OTHERS[:1]})
    later = next(pathlib.Path(extra.uri, "Split-train").iterdir())
    later.rename(pathlib.Path(folder.uri, "Split-train", "later_tfrecord.gz"))
    bench.inputs["examples"] = [folder]
    with pytest.raises(ModelError, match="disagree on the same records"):
        bench.run()


def test_risks_of_records_are_written_only_when_asked(bench: Bench) -> None:
    bench.model(memorised=MEMBERS[:100])
    named = [[{**record, "id": [f"{side}{index}".encode()]} for index, record in enumerate(records)]
             for side, records in (("m", MEMBERS), ("o", OTHERS))]  # fmt: skip
    bench.schema(
        disk.SCHEMA + 'feature { name: "id" type: BYTES presence { min_fraction: 1 } shape { dim { size: 1 } } }'
    )
    bench.examples({"train": named[0], "eval": named[1]}, name="named", shards=2)
    bench.run(record_id_key="id")
    lines = []
    for path in sorted((bench.root / "privacy_evaluation" / "record_risks").glob("members*.jsonl.gz")):
        lines += [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    risks = {line["record"]: line for line in lines}
    assert set(risks) == {f"m{index}" for index in range(800)}
    called = {name for name, line in risks.items() if line["q_value"] <= 0.2}
    leaking = {f"m{index}" for index in range(100)}
    assert len(called & leaking) > 60
    assert len(called - leaking) <= 0.35 * len(called)


def serve_tensors(bench: Bench) -> None:
    """As Keras exports a model by itself."""
    import tensorflow as tf

    model = tf.Module()
    model.function = tf.function(
        lambda x: {"outputs": tf.sigmoid(x[:, :1])}, input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")]
    )
    path = pathlib.Path(bench.inputs["model"][0].uri) / "Format-Serving"
    shutil.rmtree(path)
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.function})


FAULTS: dict[str, tuple[Callable[[Bench], object], dict[str, Any], dict[str, Any], str]] = {
    "unknown split": (lambda b: None, {}, {"nonmember_splits": ["holdout"]}, "Unknown split 'holdout'.*eval, train"),
    "one split on both sides": (lambda b: None, {}, {"nonmember_splits": ["train"]}, "'train' is in member_splits and"),
    "no split": (lambda b: None, {}, {"member_splits": []}, "at least one split"),
    "another payload": (
        lambda b: b.inputs["examples"][0].set_string_custom_property("payload_format", "FORMAT_TF_SEQUENCE_EXAMPLE"), {}, {},
        "payload_format='FORMAT_TF_SEQUENCE_EXAMPLE'",
    ),
    "another file format": (
        lambda b: b.inputs["examples"][0].set_string_custom_property("file_format", "parquet"), {}, {}, "file_format='parquet'",
    ),
    "unknown label": (lambda b: None, {}, {"label_key": "tips"}, "Unknown label_key='tips'"),
    "another label than the model's": (
        lambda b: b.inputs["model"][0].set_string_custom_property("label_key", "features"), {}, {},
        "label_key='label', but the model was trained on the label 'features'",
    ),
    "no label named": (lambda b: None, {}, {"label_key": None}, "label_key is not set"),
    "unknown slice feature": (lambda b: None, {}, {"slice_features": ["city"]}, "Unknown feature 'city'"),
    "unknown sensitive feature": (lambda b: None, {}, {"sensitive_features": ["age"]}, "Unknown feature 'age'"),
    "unknown signature": (lambda b: None, {}, {"signature_name": "other"}, "Unknown signature_name='other'"),
    "a signature of tensors": (lambda b: serve_tensors(b), {}, {}, r"takes x \(float32, shape \(None, 4\)\)"),
    "several outputs": (lambda b: None, {"outputs": 2}, {}, "several outputs: more, outputs"),
    "unknown output": (lambda b: None, {}, {"output_key": "scores"}, "Unknown output_key='scores'"),
    "no schema": (lambda b: b.inputs.pop("schema"), {}, {}, "Neither transform_graph nor schema"),
    "wired but empty": (lambda b: b.inputs.update(canaries=[]), {}, {}, "Input 'canaries' has no artifact"),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "options", "arguments", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_input_is_an_error_and_leaves_no_evaluation(
    bench: Bench,
    break_it: Callable[[Bench], object],
    options: dict[str, Any],
    arguments: dict[str, Any],
    message: str,
) -> None:
    bench.model(**options)
    break_it(bench)
    with pytest.raises(TFXPrivacyError, match=message):
        bench.run(**arguments)
    assert not (bench.root / "privacy_evaluation" / "privacy_evaluation.json").exists()


def test_the_component_checks_what_it_is_given() -> None:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import PrivacyEvaluator

    channels = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "model": channel_utils.as_channel([standard_artifacts.Model()]),
    }
    component = PrivacyEvaluator(**channels, slice_features=["group"], from_logits=True)
    assert json.loads(component.exec_properties["slicing_specs"]) == [{"feature_keys": ["group"]}]
    assert json.loads(component.exec_properties["heads"])[0]["from_logits"] is True
    faults: list[dict[str, Any]] = [
        {"confidence_level": 1.0}, {"false_positive_rates": [0.0]}, {"min_records": 0}, {"task": "ranking"}, {"max_overlap": 2.0},
        {"slice_features": ["class"]},
        {"slice_features": ["all"]},
        {"properties": ["payment"]}, {"heads": [{"label": "x"}]}, {"heads": [{"name": "a"}, {"name": "a"}]}, {"heads": []},
    ]  # fmt: skip
    for bad in faults:
        with pytest.raises(ParameterError, match=next(iter(bad)).rstrip("s")):
            PrivacyEvaluator(**channels, **bad)
