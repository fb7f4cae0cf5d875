import pathlib
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import pytest

from tfx_privacy.privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.privacy.evaluation import FILE_NAME, AttackResult, PrivacyEvaluation

pytestmark = pytest.mark.slow

DEFAULTS: dict[str, Any] = {
    "label_key": "label",
    "slice_features": '["group"]',
    "member_splits": '["train"]',
    "nonmember_splits": '["eval"]',
    "signature_name": "serving_default",
    "min_records": 300,
    "min_slice_size": 100,
    "confidence_level": 0.95,
    "false_positive_rate": 0.01,
}

MEMBERS = disk.make_records(800, 1)
OTHERS = disk.make_records(600, 2)


def save_model(root: pathlib.Path, *, memorised: list[dict[str, Any]] | None = None, **options: Any) -> Any:
    """A SavedModel that is sure of the records it memorised, and half sure of all others."""
    import tensorflow as tf
    from tfx.types import standard_artifacts

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            first = [float(record["features"][0]) for record in memorised or []]
            self.known = tf.constant(first, tf.float32)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, examples: Any) -> Any:
            features = tf.io.parse_example(examples, {"features": tf.io.FixedLenFeature([4], tf.float32)})["features"]
            x = features[:, 0]
            seen = tf.reduce_any(tf.abs(x[:, None] - self.known[None, :]) < 1e-7, axis=1)
            logit = tf.where(seen, 6.0 * tf.sign(x) + x, features[:, 1])
            if options.get("nan"):
                logit = tf.where(x > 2.0, float("nan"), logit)
            outputs = {"outputs": tf.sigmoid(logit)[:, None]}
            return {**outputs, "more": outputs["outputs"]} if options.get("two_outputs") else outputs

    artifact = standard_artifacts.Model()
    artifact.uri = str(root / "model")
    model = Model()
    tf.saved_model.save(model, str(root / "model" / "Format-Serving"), signatures={"serving_default": model.serve})
    return artifact


class Bench:
    def __init__(self, root: pathlib.Path) -> None:
        from tfx_privacy.components import artifacts

        self.root = root
        self.inputs: dict[str, list[Any]] = {"schema": [disk.write_schema(root / "schema")]}
        self.outputs = disk.outputs(root, privacy_evaluation=artifacts.PrivacyEvaluation)
        self.examples({"train": MEMBERS, "eval": OTHERS})

    def examples(self, splits: dict[str, Any], shards: int = 1, name: str = "examples") -> None:
        self.inputs["examples"] = [disk.write_examples(self.root / name, splits, shards)]

    def model(self, **options: Any) -> None:
        self.inputs["model"] = [save_model(self.root, **options)]

    def run(self, **properties: Any) -> PrivacyEvaluation:
        from tfx_privacy.components.privacy_evaluator import executor

        executor.Executor().Do(self.inputs, self.outputs, {**DEFAULTS, **properties})
        return PrivacyEvaluation.from_json((self.root / "privacy_evaluation" / FILE_NAME).read_text())


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def by_slice(record: PrivacyEvaluation, attack: str = "rescaled_logit") -> dict[str, AttackResult]:
    return {row.slice_name: row for row in record.results if row.attack == attack}


def test_a_memorising_model_is_caught_in_every_slice(bench: Bench) -> None:
    from tfx_privacy.components import _files

    bench.model(memorised=MEMBERS)
    record = bench.run()
    rows = by_slice(record)
    assert set(rows) == {"all records", "class=0", "class=1", "group=common", "group=<other>"}
    for name in ("all records", "class=0", "class=1", "group=common"):
        auc = rows[name].auc
        assert auc is not None
        assert auc.low > 0.9
    assert rows["group=<other>"].status == "INSUFFICIENT"
    assert (record.num_members, record.num_nonmembers, record.num_overlapping) == (800, 600, 0)
    assert (record.task, record.from_logits) == ("binary", False)
    assert record.model_digest == _files.directory_digest(bench.inputs["model"][0].uri)
    shown = bench.outputs["privacy_evaluation"][0].get_string_custom_property("attack_auc_upper")
    assert float(shown) > 0.9


def test_a_harmless_model_is_not_accused_and_shards_do_not_matter(bench: Bench) -> None:
    """One fixed data set; the interval of 95 % around one half is checked, and equality to the last bit."""
    bench.model()
    first = bench.run()
    auc = by_slice(first)["all records"].auc
    assert auc is not None
    assert auc.low < 0.5 < auc.high
    bench.examples({"train": MEMBERS[::-1], "eval": OTHERS}, shards=3, name="sharded")
    assert bench.run().results == first.results


def test_labels_that_are_no_classes_are_unsupported(bench: Bench) -> None:
    regression = [[{**record, "label": [index + 5]} for index, record in enumerate(side)] for side in (MEMBERS, OTHERS)]
    bench.examples({"train": regression[0], "eval": regression[1]}, name="regression")
    bench.model()
    record = bench.run()
    assert record.task == "unsupported"
    assert {row.status for row in record.results} == {"UNSUPPORTED"}


def _identical(bench: Bench) -> None:
    bench.examples({"train": MEMBERS, "eval": MEMBERS}, name="identical")


def _unlabelled(bench: Bench) -> None:
    stripped = [{name: value for name, value in record.items() if name != "label"} for record in MEMBERS]
    bench.examples({"train": stripped, "eval": OTHERS}, name="unlabelled")


def _empty(bench: Bench) -> None:
    bench.examples({"train": MEMBERS, "eval": []}, name="empty")


FAULTS: dict[str, tuple[Callable[[Bench], object], dict[str, Any], dict[str, Any], str]] = {
    "unknown split": (lambda b: None, {}, {"nonmember_splits": '["holdout"]'}, "Unknown split 'holdout'.*eval, train"),
    "one split on both sides": (lambda b: None, {}, {"nonmember_splits": '["train"]'}, "'train' is in member_splits and"),
    "no split": (lambda b: None, {}, {"member_splits": "[]"}, "at least one split"),
    "equal records": (_identical, {}, {}, "800 records stand among members and non-members"),
    "empty split": (_empty, {}, {}, "holds no record"),
    "label missing in the records": (_unlabelled, {}, {}, "does not fit signature"),
    "unknown label": (lambda b: None, {}, {"label_key": "tips"}, "Unknown label_key='tips'"),
    "no label named": (lambda b: None, {}, {"label_key": None}, "label_key is not set"),
    "unknown slice feature": (lambda b: None, {}, {"slice_features": '["city"]'}, "Unknown slice feature 'city'"),
    "unknown signature": (lambda b: None, {}, {"signature_name": "other"}, "Unknown signature_name='other'"),
    "several outputs": (lambda b: None, {"two_outputs": True}, {}, "several outputs: more, outputs"),
    "NaN outputs": (lambda b: None, {"nan": True}, {}, "NaN or infinite for"),
    "no schema": (lambda b: b.inputs.pop("schema"), {}, {}, "Neither transform_graph nor schema"),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "options", "properties", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_input_is_an_error_and_leaves_no_evaluation(
    bench: Bench,
    break_it: Callable[[Bench], object],
    options: dict[str, Any],
    properties: dict[str, Any],
    message: str,
) -> None:
    """Beam wraps errors of its workers; the message is still there."""
    bench.model(**options)
    break_it(bench)
    with pytest.raises((TFXPrivacyError, RuntimeError), match=message):
        bench.run(**properties)
    assert not (bench.root / "privacy_evaluation").exists()


def test_the_component_checks_numbers() -> None:
    from tfx.types import channel_utils, standard_artifacts

    from tfx_privacy.components import PrivacyEvaluator

    channels = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "model": channel_utils.as_channel([standard_artifacts.Model()]),
    }
    component = PrivacyEvaluator(**channels, slice_features=["group"], from_logits=True)
    assert component.exec_properties["slice_features"] == '["group"]'
    assert component.exec_properties["from_logits"] == 1
    for bad in ({"confidence_level": 1.0}, {"false_positive_rate": 0.0}, {"min_records": 0}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            PrivacyEvaluator(**channels, **bad)
