"""DPTrainer, PrivacyEvaluator and BudgetValidator on disk: an attack on other records than those trained on is refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import types
from collections.abc import Callable
from typing import Any

import artifacts_on_disk as disk
import evaluator_bench
import pytest
import trainer_bench

from tfx_privacy import DPParameters
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.trained_records import FILE_NAME, TrainedRecords
from tfx_privacy.errors import CheckpointError, EvidenceError, ParameterError
from tfx_privacy.guarantee.record import PrivacyGuarantee

pytestmark = pytest.mark.slow

RULE = "trained_records"
TRAINED, OTHERS, STRANGERS = (disk.make_records(size, seed) for size, seed in ((800, 1), (600, 2), (800, 3)))
PRIVACY = DPParameters(noise_multiplier=2.0, target_delta=1e-4, expected_batch_size=80, steps=10)
LIMITS = {
    "model_blessing_wired": 0,
    "max_epsilon": 100.0,
    "max_delta": 1e-3,
    "max_attack_auc": 0.99,
    "min_slice_coverage": 0.95,
    "allow_non_dp_preprocessing": 0,
}

Records = list[dict[str, Any]]


class Chain:
    """The three components on artifacts in a folder."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.trainer = trainer_bench.Bench(root / "trainer", new=False)
        (root / "trainer").mkdir(parents=True)
        self.trainer.inputs = {"schema": [disk.write_schema(root / "schema")]}
        self.trainer.module(trainer_bench.MODULE)
        self._number = 0

    @property
    def model(self) -> Any:
        return self.trainer.outputs["model"][0]

    @property
    def sidecar(self) -> pathlib.Path:
        return pathlib.Path(self.model.uri) / FILE_NAME

    def examples(self, splits: dict[str, Records], shards: int = 1) -> Any:
        self._number += 1
        return disk.write_examples(self.root / f"examples{self._number}", splits, shards)

    def train(self, records: Records, privacy: DPParameters = PRIVACY, **properties: Any) -> PrivacyGuarantee:
        self.trainer.inputs["examples"] = [self.examples({"train": records, "eval": OTHERS})]
        return self.trainer.run(privacy, **properties)

    def evaluate(
        self,
        members: Records,
        others: Records = OTHERS,
        shards: int = 1,
        wired: tuple[str, ...] = ("schema", "transform_graph"),
    ) -> PrivacyEvaluation:
        bench = evaluator_bench.Bench.__new__(evaluator_bench.Bench)
        bench.root = self.root
        bench.inputs = {
            "examples": [self.examples({"train": members, "eval": others}, shards)],
            "model": [self.model],
            **{key: channel for key, channel in self.trainer.inputs.items() if key in wired},
        }
        bench.outputs = disk.outputs(self.root, privacy_evaluation=_evaluation_artifact())
        return bench.run(slice_features=[])

    def judge(self) -> dict[str, Any]:
        """What the gate says of the rule, and whether the model is blessed."""
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts
        from tfx_privacy.components.budget_validator import executor

        inputs = {
            "model": [self.model],
            "privacy_guarantee": self.trainer.outputs["privacy_guarantee"],
            **disk.outputs(self.root, privacy_evaluation=_evaluation_artifact()),
        }
        outputs = disk.outputs(self.root, blessing=standard_artifacts.ModelBlessing, report=artifacts.PrivacyReport)
        executor.Executor().Do(inputs, outputs, LIMITS)
        report = json.loads((self.root / "report" / "report.json").read_text())
        (rule,) = (each for each in report["verdict"]["rules"] if each["rule"] == RULE)
        shutil.rmtree(self.root / "blessing")
        failed = {each["rule"] for each in report["verdict"]["rules"] if each["status"] != "passed"}
        return {**rule, "blessed": report["verdict"]["blessed"], "failed": failed}


def _evaluation_artifact() -> Any:
    from tfx_privacy.components import artifacts

    return artifacts.PrivacyEvaluation


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    chain = Chain(tmp_path_factory.mktemp("trained"))
    chain.train(TRAINED)
    return chain


@pytest.fixture
def restored(trained: Chain) -> Any:
    """The chain, whose sidecar is put back afterwards."""
    honest = trained.sidecar.read_text()
    yield trained
    trained.sidecar.write_text(honest)


def test_the_records_that_were_trained_on_are_blessed(trained: Chain) -> None:
    guarantee = trained.trainer.guarantee()
    record = TrainedRecords.from_json(trained.sidecar.read_text())
    assert guarantee.trained_records_digest == record.file_digest
    assert (record.num_read, record.num_used, record.num_units, record.reader) == (800, 800, 800, "default")
    assert (record.features, record.key_features) == ("examples", ["features", "group", "label"])
    found = trained.evaluate(TRAINED)
    assert found.model_digest == guarantee.model_digest
    assert found.trained_records is not None
    assert found.trained_records.members.num_trained_on == found.trained_records.num_seen == 800
    assert found.trained_records.nonmembers.num_trained_on == 0
    judged = trained.judge()
    assert judged["failed"] == set()
    assert judged["blessed"]
    assert judged["value"] == "800 of 800 sampled members"
    page = (trained.root / "report" / "report.html").read_text()
    assert "800 of 800 sampled members were trained on" in page
    assert record.secret_key not in page


CASES: dict[str, tuple[Records, Records, str]] = {
    "strangers": (STRANGERS, OTHERS, "Only 0 of 800 sampled members were trained on"),
    "half strangers": (TRAINED[:400] + STRANGERS[:400], OTHERS, "Only 400 of 800 sampled members were trained on"),
    "a part": (TRAINED[:600], OTHERS, "scored 600 members, but the trainer read 800"),
    "a part twice": (TRAINED[:400] * 2, OTHERS, "Only 400 of 800 sampled records that were trained on are members"),
    "others were trained on": (
        TRAINED[:400] + STRANGERS[:400], TRAINED[400:] + OTHERS[:200], "400 of 600 sampled non-members were trained on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_other_records_are_refused(trained: Chain, name: str) -> None:
    members, others, says = CASES[name]
    trained.evaluate(members, others)
    judged = trained.judge()
    assert not judged["blessed"]
    assert judged["status"] == "failed"
    assert says in judged["explanation"]


def test_shards_and_workers_make_no_difference(trained: Chain) -> None:
    one = trained.evaluate(TRAINED[:400] + STRANGERS[:400])
    many = trained.evaluate((TRAINED[:400] + STRANGERS[:400])[::-1], shards=7)
    assert one.trained_records == many.trained_records


def _deleted(chain: Chain) -> None:
    chain.sidecar.unlink()


def _of_another_run(chain: Chain) -> None:
    record = TrainedRecords.from_json(chain.sidecar.read_text())
    chain.sidecar.write_text(record.model_copy(update={"secret_key": "0" * 64}).to_json())


def _edited(chain: Chain) -> None:
    record = TrainedRecords.from_json(chain.sidecar.read_text())
    chain.sidecar.write_text(record.model_copy(update={"num_used": 799, "num_units": 799}).to_json())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_deleted, "found no trained_records.json next to the model"),
        (_of_another_run, "it was changed, or is of another training"),
        (_edited, "it was changed, or is of another training"),
    ],
)
def test_a_file_that_is_not_the_trainings_own_is_refused(
    restored: Chain, change: Callable[[Chain], None], says: str
) -> None:
    change(restored)
    restored.evaluate(TRAINED)
    judged = restored.judge()
    assert judged["failed"] == {RULE}
    assert says in judged["explanation"]


def test_a_file_that_is_none_is_an_error(restored: Chain) -> None:
    restored.sidecar.write_text("{}")
    with pytest.raises(EvidenceError, match="Not a valid TrainedRecords"):
        restored.evaluate(TRAINED)


def test_the_file_does_not_leave_with_the_model(trained: Chain, tmp_path: pathlib.Path) -> None:
    """What TFX's Pusher copies has no trace of it, and the model's digest does not depend on it."""
    from tfx.components.pusher import executor as pusher
    from tfx.types import standard_artifacts
    from tfx.utils import json_utils

    from tfx_privacy.components import _files

    blessing = standard_artifacts.ModelBlessing()
    blessing.uri = str(tmp_path / "blessing")
    blessing.set_int_custom_property("blessed", 1)
    pushed = disk.outputs(tmp_path, pushed_model=standard_artifacts.PushedModel)
    destination = json.dumps({"filesystem": {"base_directory": str(tmp_path / "push")}})
    pusher.Executor().Do(
        {"model": [trained.model], "model_blessing": [blessing]},
        pushed,
        {"push_destination": destination, "custom_config": json_utils.dumps(None)},
    )
    copied = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert "saved_model.pb" in copied
    assert FILE_NAME not in copied
    folder = shutil.copytree(trained.model.uri, tmp_path / "copy")
    (folder / FILE_NAME).unlink()
    assert _files.directory_digest(str(folder)) == _files.model_digest(trained.model.uri)
    # Of that name elsewhere, it is a file like others.
    (folder / "Format-Serving" / FILE_NAME).write_text("{}")
    assert _files.model_digest(str(folder)) != _files.model_digest(trained.model.uri)


def test_records_of_variable_length_that_a_function_of_the_module_reads(tmp_path: pathlib.Path) -> None:
    """The schema says of no feature how many values it has; `input_fn` makes them dense and drops 100 records."""
    chain = Chain(tmp_path)
    schema = disk.SCHEMA.replace("presence { min_fraction: 1 min_count: 1 } shape { dim { size: 1 } }", "")
    chain.trainer.inputs["schema"] = [disk.write_schema(tmp_path / "sparse", schema)]
    input_fn = trainer_bench.INPUT_FN.replace("RESULT", "parsed, label")
    chain.trainer.module(trainer_bench.MODULE + input_fn.replace("SUFFIX", ""))
    chain.train(TRAINED)
    chain.evaluate(TRAINED)
    judged = chain.judge()
    assert judged["failed"] == set()
    assert "input_fn read them, and may have read others" in judged["explanation"]
    chain.trainer.module(trainer_bench.MODULE + input_fn.replace("SUFFIX", ".unbatch().take(700).batch(64)"))
    chain.train(TRAINED, dataclasses.replace(PRIVACY, population=800))
    chain.evaluate(TRAINED)
    assert "used 700 of the 800 records that the trainer read" in chain.judge()["explanation"]


def test_files_without_a_schema_are_read_as_they_are(tmp_path: pathlib.Path) -> None:
    """DPTrainer has an `input_fn` and nothing that says what examples hold; PrivacyEvaluator has the schema."""
    chain = Chain(tmp_path)
    input_fn = trainer_bench.INPUT_FN.replace("RESULT", "parsed, label").replace("SUFFIX", "")
    signatures = """
def signatures_fn(model, fn_args):
    spec = {'features': tf.io.FixedLenFeature([4], tf.float32)}
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(examples):
        return {'outputs': model(tf.io.parse_example(examples, spec))}
    return {'serving_default': serve}
"""
    chain.trainer.module(trainer_bench.MODULE + input_fn + signatures)
    schema = chain.trainer.inputs.pop("schema")
    chain.train(TRAINED)
    chain.trainer.inputs["schema"] = schema
    record = TrainedRecords.from_json(chain.sidecar.read_text())
    assert (record.features, record.key_features) == ("examples", ["features", "group", "label"])
    chain.evaluate(TRAINED)
    assert chain.judge()["failed"] == set()
    chain.evaluate(STRANGERS)
    assert "Only 0 of 800 sampled members" in chain.judge()["explanation"]
    # A feature that the schema does not have cannot be held against the file.
    chain.trainer.inputs["schema"] = [disk.write_schema(tmp_path / "less", "\n".join(disk.SCHEMA.splitlines()[:3]))]
    with pytest.raises(ParameterError, match="was trained on records with feature 'group'"):
        chain.evaluate(TRAINED)


def test_users_whose_records_are_dropped_dilute_the_attack(tmp_path: pathlib.Path) -> None:
    """Twenty users of forty records each; of at most 30 of theirs, and of all, the model learns."""
    chain = Chain(tmp_path)
    records, others = (
        [{**record, "group": [b"%d" % (index % 20)]} for index, record in enumerate(side)] for side in (TRAINED, OTHERS)
    )
    users: dict[str, Any] = {
        "privacy_unit": "user",
        "user_id_key": "group",
        "target_delta": 1e-3,
        "expected_batch_size": 5,
    }
    for bound, used in ((40, 800), (30, 600)):
        guarantee = chain.train(records, dataclasses.replace(PRIVACY, **users, max_records_per_user=bound))
        assert guarantee.population.records == 20
        found = chain.evaluate(records, others).trained_records
        assert found is not None
        assert (found.num_read, found.num_used, found.num_units) == (800, used, 20)
        judged = chain.judge()
        assert (judged["status"] == "passed") is (used == 800)
    assert "used 600 of the 800 records" in judged["explanation"]


def test_training_without_privacy_writes_the_file_too(tmp_path: pathlib.Path) -> None:
    chain = Chain(tmp_path)
    guarantee = chain.train(TRAINED, dataclasses.replace(PRIVACY, enabled=False, noise_multiplier=None))
    assert guarantee.trained_records_digest is not None
    chain.evaluate(TRAINED)
    assert chain.judge()["failed"] == {"epsilon"}


def test_a_run_is_not_resumed_on_other_records(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx_privacy.components.dp_trainer import export

    chain = Chain(tmp_path)
    folder = str(tmp_path / "checkpoints")
    with monkeypatch.context() as patch:
        patch.setattr(export, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chain.train(TRAINED, checkpoint_dir=folder)
    with pytest.raises(CheckpointError, match="trained on other records"):
        chain.train(STRANGERS, checkpoint_dir=folder)
    chain.train(TRAINED[::-1], checkpoint_dir=folder)
    chain.evaluate(TRAINED)
    assert chain.judge()["status"] == "passed"


def test_a_transform_graph_gives_both_sides_the_same_keys(tmp_path: pathlib.Path) -> None:
    """The trainer reads what Beam transformed, the evaluator applies the graph: z-scores, and texts of any length."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
    from tfx.types import standard_artifacts

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
        scaled = tft.scale_to_z_score(tf.math.log1p(tf.abs(inputs["features"])))
        return {
            "features": tf.sigmoid(scaled),
            "words": tf.compat.v1.strings.split(inputs["group"][:, 0]),
            "label": inputs["label"],
        }

    texts = [b"a", b"b c d", b"e f"]
    raw = [{**record, "group": [texts[index % 3]]} for index, record in enumerate(TRAINED)]
    kinds = {"features": tf.float32, "label": tf.int64, "group": tf.string}
    spec = {name: tf.io.FixedLenFeature([len(raw[0][name])], kind) for name, kind in kinds.items()}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with tft_beam.Context(temp_dir=str(tmp_path / "scratch")):
        (transformed, _), transform_fn = (raw, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    metadata_io.write_metadata(metadata, str(tmp_path / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR))
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(tmp_path / "graph")
    chain = Chain(tmp_path)
    chain.trainer.inputs["transform_graph"] = [graph]
    chain.train([{name: np.ravel(value).tolist() for name, value in record.items()} for record in transformed])
    record = TrainedRecords.from_json(chain.sidecar.read_text())
    assert (record.features, record.key_features) == ("transformed", ["features", "label", "words"])
    assert record.num_read == record.num_used == 800
    for examples, expected in (
        (chain.trainer.inputs["examples"][0], "transformed"),
        (chain.examples({"train": raw}), "examples"),
    ):
        assert _features_of(examples, str(tmp_path / "graph")) == expected
    with pytest.raises(ParameterError, match="Wire the schema or the transform_graph that DPTrainer had"):
        chain.evaluate(raw, wired=("schema",))
    others = [{**record, "group": [texts[index % 3]]} for index, record in enumerate(OTHERS)]
    found = chain.evaluate(raw, others)
    assert found.trained_records is not None
    assert found.trained_records.members.num_trained_on >= 799
    assert found.trained_records.num_seen >= 799
    assert chain.judge()["status"] == "passed"
    strangers = [{**record, "group": [texts[index % 3]]} for index, record in enumerate(STRANGERS)]
    chain.evaluate(strangers, others)
    assert "of 800 sampled members were trained on" in chain.judge()["explanation"]


def _features_of(examples: Any, graph: str) -> str:
    """What a trainer whose `input_fn` reads these examples takes them for."""
    from tfx_privacy.components.dp_trainer import trained_records

    fn_args = types.SimpleNamespace(transform_graph_path=graph, schema_path=None)
    request: Any = types.SimpleNamespace(fn_args=fn_args, input_fn=print)
    files = [str(path) for path in pathlib.Path(examples.uri).glob("Split-train/*")]
    return trained_records._parsing(request, files)[0]
