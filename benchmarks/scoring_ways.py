"""The ways of scoring that `benchmarks.scoring` compares; each loads the model and counts the examples it scored.

Imported once, before any process that measures; nothing here runs TensorFlow while it is imported.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from benchmarks.usage import Meter, Usage
from tfx_privacy.attacks.membership import tally
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.components.privacy_evaluator import attack_pipeline, scoring
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec, SliceSpec
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, ModelReader

DEMO = pathlib.Path("demo_output/artifacts")
LABEL, SLICE, SIGNATURE = "big_tipper", "payment_type", "serving_default"
SAMPLE = 20_000
TASKS = (Head(task="binary", from_logits=False),)
# The DirectRunner works in this process: what a pipeline counted is put here.
_results: list[int] = []
_models: list[Any] = []
# Of five shards, those that are scored as members.
_MEMBER_SHARDS = 3


def measure(way: str, files: Sequence[str]) -> Usage:
    """Scores the files one way; loading the model is part of it."""
    meter = Meter()
    with meter.part("all"):
        count = WAYS[way](files)
    return meter.usage(str(count))


def model_path() -> str:
    """The model that the demo trained with less noise."""
    return str(_newest("DPTrainer/model") / "Format-Serving")


def reader(*, fused: bool) -> ModelReader:
    """As PrivacyEvaluator reads the demo's examples."""
    return ModelReader(
        model_path=model_path(),
        model_digest="",
        signature_name=SIGNATURE,
        heads=(HeadSpec(label_key=LABEL),),
        slices=(SliceSpec(keys=(SLICE,)),),
        transform_graph_path=str(_newest("DPTransform/transform_graph")),
        schema_path=None,
        fused=fused,
    )


def examples() -> list[str]:
    """The demo's examples."""
    return sorted(str(path) for path in _newest("CsvExampleGen/examples").glob("Split-*/*.gz"))


def _newest(channel: str) -> pathlib.Path:
    return max((DEMO / channel).iterdir(), key=lambda path: int(path.name))


def _plain(files: Sequence[str]) -> int:
    signature = _signature()
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP", buffer_size=1 << 20)
    return sum(len(_outputs(signature, batch)) for batch in records.batch(BATCH_SIZE).prefetch(2))


def _signature() -> Any:
    model = tf.saved_model.load(model_path())
    _models.append(model)  # a signature does not keep its model alive
    return model.signatures[SIGNATURE]


def _outputs(signature: Any, batch: Any) -> np.ndarray:
    (output,) = signature(batch).values()
    return output.numpy()


def _ours(files: Sequence[str], *, fused: bool) -> int:
    """`attack_pipeline.build` without its last step: the merged tally, after non-members were held against members."""
    sides: tuple[list[str], list[str]] = ([], [])
    for number, path in enumerate(files):
        sides[tally.MEMBERS if number % 5 < _MEMBER_SHARDS else tally.OTHERS].append(path)
    own = reader(fused=fused)
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        judged = pipeline | "NoSlices" >> beam.Create([])
        scored = attack_pipeline.scored(
            pipeline, own, scoring.ScoreFn(own, TASKS, SAMPLE), (tuple(sides[0]), tuple(sides[1])), judged
        )
        total = (
            [side.tallies for side in scored[:2]] | beam.Flatten() | beam.CombineGlobally(scoring.MergeTallies(SAMPLE))
        )
        _ = total | beam.Map(_num_scored) | beam.Map(_keep)
    return max(_results)


def _keep(count: int) -> None:
    _results.append(count)


def _num_scored(total: Tally) -> int:
    return int(total.records.sum())


def _ours_fused(files: Sequence[str]) -> int:
    return _ours(files, fused=True)


def _ours_unfused(files: Sequence[str]) -> int:
    return _ours(files, fused=False)


class _PredictFn(beam.DoFn):
    def setup(self) -> None:
        self._signature = _signature()

    def process(self, batch: list[bytes]) -> Iterable[int]:
        yield len(_outputs(self._signature, tf.constant(batch)))


def _plain_beam(files: Sequence[str]) -> int:
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        counts = (
            _records(pipeline, files)
            | "Batch" >> beam.BatchElements(min_batch_size=BATCH_SIZE, max_batch_size=BATCH_SIZE)
            | "Predict" >> beam.ParDo(_PredictFn())
        )
        _keep_sum(counts)
    return _results[0]


def _records(pipeline: beam.Pipeline, files: Sequence[str]) -> Any:
    return pipeline | "Files" >> beam.Create(list(files)) | "Read" >> beam.io.ReadAllFromTFRecord()


def _keep_sum(counts: Any) -> None:
    _ = counts | "Sum" >> beam.CombineGlobally(sum) | "Keep" >> beam.Map(_keep)


def _run_inference(files: Sequence[str]) -> int:
    """tfx_bsl's, which BulkInferrer uses: it gives a PredictionLog of each example."""
    saved_model = model_spec_pb2.SavedModelSpec(model_path=model_path(), signature_name=[SIGNATURE])
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        logs = _records(pipeline, files) | RunInference(model_spec_pb2.InferenceSpecType(saved_model_spec=saved_model))
        _keep_sum(logs | "One" >> beam.Map(_one))
    return _results[0]


def _one(_: Any) -> int:
    return 1


def _tfma(files: Sequence[str]) -> int:
    """TFMA's default extractors up to the predictions: also features, labels and weights."""
    spec = config_pb2.ModelSpec(
        signature_name=SIGNATURE, label_key=LABEL, preprocessing_function_names=["transform_features"]
    )
    config = config_pb2.EvalConfig(model_specs=[spec], slicing_specs=[config_pb2.SlicingSpec()])
    shared = tfma.default_eval_shared_model(eval_saved_model_path=model_path(), eval_config=config)
    schema = tft.TFTransformOutput(str(_newest("DPTransform/transform_graph"))).raw_metadata.schema
    source = tf_example_record.TFExampleRecord(
        file_pattern=list(files),
        schema=schema,
        raw_record_column_name=tfma.ARROW_INPUT_COLUMN,
        telemetry_descriptors=["x"],
    )
    extractors = tfma.default_extractors(
        eval_shared_model=shared, eval_config=config, tensor_adapter_config=_adapter(source)
    )
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        found = pipeline | "Read" >> source.BeamSource() | "Inputs" >> tfma.BatchedInputsToExtracts()
        for extractor in extractors:
            found = found | extractor.stage_name >> extractor.ptransform
            if extractor.stage_name == "ExtractPredictions":
                break
        _keep_sum(found | "Count" >> beam.Map(_num_predictions))
    return _results[0]


def _adapter(source: Any) -> Any:
    return tensor_adapter.TensorAdapterConfig(
        arrow_schema=source.ArrowSchema(), tensor_representations=source.TensorRepresentations()
    )


def _num_predictions(extracts: Any) -> int:
    return len(extracts[tfma.PREDICTIONS_KEY])


WAYS: dict[str, Callable[[Sequence[str]], int]] = {
    "tf.data": _plain,
    "ours, fused": _ours_fused,
    "ours, not fused": _ours_unfused,
    "Beam DoFn": _plain_beam,
    "TFMA": _tfma,
    "RunInference": _run_inference,
}
