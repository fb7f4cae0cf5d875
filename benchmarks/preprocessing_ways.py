"""The ways that `benchmarks.preprocessing` compares, each as TFX runs its executor."""

from __future__ import annotations

import csv
import itertools
import pathlib
import tempfile
import types
from typing import Any
from unittest import mock

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.tf_metadata import schema_utils
from tfx.components.statistics_gen import executor as statistics_executor
from tfx.components.transform import executor as transform_executor
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils

from benchmarks.usage import Meter, Usage
from tfx_privacy import compat
from tfx_privacy.components.artifacts import PrivacyRelease
from tfx_privacy.components.dp_statistics_gen import executor as private_statistics
from tfx_privacy.components.dp_statistics_gen.component import DPStatisticsGen
from tfx_privacy.components.dp_transform import executor as private_transform
from tfx_privacy.pipelines.taxi import pipeline
from tfx_privacy.pipelines.taxi.module import taxi_model

_SHARDS = 10
_WITHOUT_NOISE = types.SimpleNamespace(
    compute_and_apply_vocabulary=tft.compute_and_apply_vocabulary,
    scale_to_z_score=lambda x, bounds: tft.scale_to_z_score(x),
    bucketize=lambda x, num_buckets, bounds: tft.bucketize(x, num_buckets),
)


def without_noise(inputs: dict[str, Any]) -> dict[str, Any]:
    """The taxi pipeline's `preprocessing_fn` with tft's analyzers."""
    with mock.patch.object(taxi_model, "dpt", _WITHOUT_NOISE):
        return taxi_model.preprocessing_fn(inputs)


def with_noise(inputs: dict[str, Any]) -> dict[str, Any]:
    """As it is."""
    return taxi_model.preprocessing_fn(inputs)


def write(folder: pathlib.Path, size: int) -> Usage:
    """Writes so many trips, in ten files, and their schema, if they are not there."""
    split = folder / str(size) / "examples" / "Split-train"
    files = [split / f"data_tfrecord-{number:05d}-of-{_SHARDS:05d}.gz" for number in range(_SHARDS)]
    if all(path.exists() for path in files):
        return Meter().usage("")
    split.mkdir(parents=True, exist_ok=True)
    with (pathlib.Path(pipeline.data_root()) / "data.csv").open(encoding="utf-8") as lines:
        distinct = [_example(row) for row in csv.DictReader(lines)]
    trips = itertools.cycle(distinct)
    for number, path in enumerate(files):
        count = size * (number + 1) // _SHARDS - size * number // _SHARDS
        part = path.with_suffix(".part")
        with tf.io.TFRecordWriter(str(part), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for trip in itertools.islice(trips, count):
                writer.write(trip)
        part.rename(path)
    schema = folder / str(size) / "schema"
    schema.mkdir(exist_ok=True)
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in _dtypes().items()}
    io_utils.write_pbtxt_file(str(schema / "schema.pbtxt"), schema_utils.schema_from_feature_spec(spec))
    return Meter().usage("")


def measure(folder: pathlib.Path, way: str, size: int) -> Usage:
    """Runs one way on so many trips, and measures it."""
    root = folder / str(size)
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(root / "examples"), artifact_utils.encode_split_names(["train"])
    schema = standard_artifacts.Schema()
    schema.uri = str(root / "schema")
    inputs = {"examples": [examples], "schema": [schema]}
    with tempfile.TemporaryDirectory() as made:
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[f"--runner={compat.LOCAL_BEAM_RUNNER}"], tmp_dir=f"{made}/tmp", unique_id="1"
        )
        executor, kinds, properties = _way(way, context)
        outputs: dict[str, list[Any]] = {}
        for name, kind in kinds.items():
            outputs[name] = [kind()]
            outputs[name][0].uri = f"{made}/{name}"
            pathlib.Path(made, name).mkdir()
        inputs = inputs if "Transform" in way else {"examples": [examples]}
        meter = Meter()
        with meter.part(way):
            executor.Do(inputs, outputs, properties)
        return meter.usage("")


def _way(way: str, context: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Executor, kinds of outputs, and properties."""
    if way == "StatisticsGen":
        return statistics_executor.Executor(context), {"statistics": standard_artifacts.ExampleStatistics}, {}
    if way == "DPStatisticsGen":
        node = DPStatisticsGen(examples=_channel(), features=pipeline.FEATURES, privacy=pipeline.STATISTICS)
        kinds = {"statistics": standard_artifacts.ExampleStatistics, "privacy_release": PrivacyRelease}
        return private_statistics.Executor(context), kinds, dict(node.exec_properties)
    kinds = {"transform_graph": standard_artifacts.TransformGraph}
    if not way.endswith("analysis"):
        kinds["transformed_examples"] = standard_artifacts.Examples
    ours = way.startswith("DP")
    properties: dict[str, Any] = {
        "preprocessing_fn": f"benchmarks.preprocessing_ways.{'with_noise' if ours else 'without_noise'}",
        "disable_statistics": 1,
        "custom_config": "null",
    }
    if not ours:
        return transform_executor.Executor(context), kinds, properties
    kinds["privacy_release"] = PrivacyRelease
    properties["privacy"] = pipeline.PREPROCESSING.to_json()
    return private_transform.Executor(context), kinds, properties


def _channel() -> Any:
    from tfx.types import channel_utils

    return channel_utils.as_channel([standard_artifacts.Examples()])


def _dtypes() -> dict[str, Any]:
    """Of the features, as CsvExampleGen finds them in the file."""
    texts = {name for name, _ in taxi_model.WORDS}
    numbers = {
        *(name for name, _ in (*taxi_model.CALENDAR, *taxi_model.AMOUNTS, *taxi_model.COORDINATES)),
        "pickup_community_area",
        "dropoff_community_area",
        "tips",
    }
    reals = {"fare", "trip_miles", "tips", *(name for name, _ in taxi_model.COORDINATES)}
    kinds = {name: tf.float32 if name in reals else tf.int64 for name in numbers}
    return kinds | dict.fromkeys(texts, tf.string)


def _example(row: dict[str, str]) -> bytes:
    feature = {}
    for name, dtype in _dtypes().items():
        text = row[name]
        if text == "":
            continue
        if dtype == tf.string:
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        elif dtype == tf.float32:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[float(text)]))
        else:
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(float(text))]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
