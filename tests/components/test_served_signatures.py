"""What PrivacyEvaluator says of everything that a SavedModel serves, on real SavedModels."""

from __future__ import annotations

import pathlib
from typing import Any

import artifacts_on_disk as disk
import evidence
import pytest
from evaluator_bench import MEMBERS, OTHERS, Bench, by_slice

from tfx_privacy.attacks import served
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.gate.decide import decide

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def standings(record: PrivacyEvaluation) -> dict[str, str]:
    return {name: output.same_as or output.standing for name, output in served.outputs_of(record.served)}


def spec() -> dict[str, Any]:
    import tensorflow as tf

    return {"features": tf.io.FixedLenFeature([4], tf.float32)}


def on_examples(answer: Any) -> Any:
    """A signature of serialized examples."""
    import tensorflow as tf

    return tf.function(
        lambda examples: answer(tf.io.parse_example(examples, spec())["features"]),
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
    )


def on_features(answer: Any, name: str = "features") -> Any:
    import tensorflow as tf

    return tf.function(
        lambda inputs: answer(inputs[name]), input_signature=[{name: tf.TensorSpec([None, 4], tf.float32, name=name)}]
    )


def test_every_output_of_every_signature_is_told_apart(bench: Bench) -> None:
    import tensorflow as tf

    weights = tf.Variable([[1.0], [0.5], [0.0], [0.0]])
    frozen = tf.constant([[1.0, 0.0, 0.0, 0.0], [0.5, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])

    def score(x: Any) -> Any:
        return tf.sigmoid(x @ weights)

    def all_outputs(x: Any) -> dict[str, Any]:
        text = tf.where(score(x) > 0.5, "yes", "no")
        return {"outputs": score(x), "copy": score(x) + 0.0, "embedding": 2.0 * x, "classes": text}

    more = {
        "predict": on_examples(lambda x: {"scores": score(x), "logits": x @ weights, "rounded": tf.round(score(x) * 1e4) / 1e4}),
        "from_features": on_features(all_outputs),
        "by_another_name": on_features(lambda x: {"outputs": score(x)}, name="x"),
        "transform_features": on_examples(lambda x: {"features": x, "label": x[:, :1]}),
        "with_weights": on_examples(lambda x: {"features": x + 0.0 * weights[0, 0]}),
        "frozen": on_examples(lambda x: {"features": x @ frozen}),
        "weights": tf.function(lambda examples: {"outputs": weights + 0.0}, input_signature=[tf.TensorSpec([None], tf.string)]),
    }  # fmt: skip
    bench.save(spec(), lambda parsed: all_outputs(parsed["features"]), variable=weights, **more)
    record = bench.run(output_key="outputs")
    same = "serving_default/outputs"
    assert standings(record) == {
        "serving_default/outputs": "attacked",
        "serving_default/copy": same,
        "serving_default/embedding": "unattacked",
        "serving_default/classes": "unattacked",
        "predict/scores": same,
        "predict/logits": "unattacked",
        "predict/rounded": "unattacked",
        "from_features/outputs": same,
        "from_features/copy": same,
        "from_features/embedding": "unattacked",
        "from_features/classes": "unattacked",
        "by_another_name/outputs": "unattacked",
        "transform_features/features": "transformed",
        "transform_features/label": "unattacked",
        "with_weights/features": "unattacked",
        "frozen/features": "unattacked",
        "weights/outputs": "unattacked",
    }
    assert (record.signature_name, record.num_compared) == ("serving_default", 1400)
    described = {signature.name: signature for signature in record.served}
    (features,) = described["from_features"].inputs
    assert (features.name, features.dtype, features.shape) == ("features", "float32", "(None, 4)")
    assert {(found.name, found.dtype, found.shape) for found in described["serving_default"].outputs} >= {
        ("classes", "string", "(None, 1)"), ("embedding", "float32", "(None, 4)"),
    }  # fmt: skip


def test_several_heads_leave_nothing_unattacked(bench: Bench) -> None:
    bench.save(spec(), lambda parsed: {"a": parsed["features"][:, :1], "b": parsed["features"][:, 1:2]})
    heads = [{"name": key, "output_key": key, "label_key": "label"} for key in ("a", "b")]
    assert served.unattacked(bench.run(heads=heads).served) == []
    assert served.unattacked(bench.run(heads=heads[:1]).served) == ["serving_default/b"]


def test_signatures_that_part_in_the_middle_of_a_file_are_an_error(bench: Bench) -> None:
    """They agree on the first batch of every file, which decides whether the faster one is used."""
    import tensorflow as tf

    late = MEMBERS[-1]["features"][0]

    def from_features(x: Any) -> dict[str, Any]:
        return {"outputs": tf.sigmoid(tf.where(tf.abs(x[:, :1] - late) < 1e-5, -x[:, :1], x[:, :1]))}

    bench.save(spec(), lambda parsed: tf.sigmoid(parsed["features"][:, :1]), from_features=on_features(from_features))
    bench.examples({"train": [*disk.make_records(1100, 7), MEMBERS[-1]], "eval": OTHERS}, name="late")
    with pytest.raises((TFXPrivacyError, RuntimeError), match="disagree on the same records"):
        bench.run()


def test_what_is_served_does_not_depend_on_how_files_are_cut(bench: Bench) -> None:
    bench.model(outputs=2)
    first = bench.run(output_key="outputs")
    assert standings(first) == {
        "serving_default/outputs": "attacked",
        "serving_default/more": "serving_default/outputs",
    }
    bench.examples({"train": MEMBERS[::-1], "eval": OTHERS}, shards=3, name="sharded")
    again = bench.run(output_key="outputs", sample_size=400)
    assert (again.served, again.num_compared) == (first.served, 800)


def other_graph(bench: Bench, *tags: str) -> None:
    """Adds a second MetaGraph to the saved model, the same under other tags."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = bench.root / "model" / "Format-Serving" / "saved_model.pb"
    found = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    second = found.meta_graphs.add()
    second.CopyFrom(found.meta_graphs[0])
    del second.meta_info_def.tags[:]
    second.meta_info_def.tags.extend(tags)
    path.write_bytes(found.SerializeToString())


def test_a_second_graph_is_served_and_not_attacked(bench: Bench) -> None:
    bench.model()
    other_graph(bench, "train", "gpu")
    assert standings(bench.run()) == {
        "serving_default/outputs": "attacked",
        "gpu,train:serving_default/outputs": "unattacked",
    }


def test_of_several_graphs_one_must_be_the_one_to_serve(bench: Bench) -> None:
    bench.model()
    other_graph(bench, "serve")
    with pytest.raises(ParameterError, match="nothing says which is served"):
        bench.run()


COARSE: dict[str, tuple[str, str]] = {
    "constant": ("constant", "it is constant"),
    "labels": ("labels", "its values are labels"),
    "rounded": ("rounded", "its values are rounded to 2 decimals"),
    "truth values": ("truth", "it is of type bool"),
}


@pytest.mark.parametrize(("kind", "words"), COARSE.values(), ids=COARSE.keys())
def test_coarse_outputs_are_no_evidence_and_get_a_remedy(bench: Bench, kind: str, words: str) -> None:
    """A constant probability has two losses, one for each label: its AUC would be one half, and OK."""
    import tensorflow as tf

    def answer(x: Any) -> Any:
        probability = tf.sigmoid(x)
        return {
            "constant": 0.0 * x + 0.7,
            "labels": tf.round(probability),
            "rounded": tf.round(100.0 * probability) / 100.0,
            "truth": x > 0.0,
        }[kind]

    def outputs(x: Any) -> dict[str, Any]:
        return {"outputs": answer(x), "logits": x} if kind == "rounded" else {"outputs": answer(x)}

    bench.save(spec(), lambda parsed: outputs(parsed["features"][:, 1:2]))
    record = bench.run(output_key="outputs")
    (row,) = record.results
    assert row.status == "UNSUPPORTED"
    assert f"output 'outputs': {words}" in row.reason
    assert "export the logits" in row.reason
    if kind == "rounded":  # what the remedy says
        remedied = bench.run(output_key="logits")
        assert by_slice(remedied)["all records"].status == "OK"
        assert served.unattacked(remedied.served) == ["serving_default/outputs"]


def test_saturated_outputs_keep_their_rows_and_are_no_evidence(bench: Bench) -> None:
    import tensorflow as tf

    bench.save(spec(), lambda parsed: tf.sigmoid(40.0 * parsed["features"][:, 1:2]))
    record = bench.run()
    assert by_slice(record)["all records"].status == "OK"
    row = by_slice(record, "saturation")["all records"]
    assert row.status == "UNSUPPORTED"
    assert "are saturated" in row.reason
    assert "export the logits" in row.reason
    found = evidence.make_evidence(model_digest=record.model_digest, evaluation=record)
    coverage = decide(found, evidence.POLICY, now=evidence.NOW).rule("attack_coverage")
    assert coverage is not None
    assert coverage.status == "failed"
    assert row.reason in coverage.explanation
