"""The Chicago Taxi pipeline: settings of the example that `make demo` runs."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import os
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.proto import config_pb2
from tfx.orchestration import data_types, pipeline

from tfx_privacy import training
from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components.dp_trainer import data
from tfx_privacy.pipelines import factory, local_runner
from tfx_privacy.pipelines.taxi.module import taxi_model
from tfx_privacy.releases.features import Feature, Number, Text
from tfx_privacy.releases.parameters import DPPreprocessing

PIPELINE_NAME = "tfx-privacy-taxi"
SERVING_DIR = "serving_model"
METADATA_NAME = "metadata.db"
SLICE_FEATURES = ("payment_type",)
TARGET_EPSILON = 3.0
TARGET_DELTA = 1e-5
MAX_ATTACK_AUC = 0.65
"""Trips that the model gets wrong are few, the interval there takes 0.03, and it varies from training to training
(`python -m benchmarks.bounds`)."""
LEDGER_NAME = "ledger.db"
DATASET_ID = "chicago-taxi-trips"
BUDGET: dict[str, Any] = {
    "epsilon": 8.0,
    "delta": TARGET_DELTA,
    "threshold_delta": TARGET_DELTA / 2,
    "population": 10_000,
}
"""Of all private trainings and releases on the trips together; the population is the training split's, in round
numbers, and declared."""

STATISTICS = DPPreprocessing(target_epsilon=0.1, target_delta=TARGET_DELTA)
"""What the statistics of each split, and so the schema, may spend by themselves."""

PREPROCESSING = DPPreprocessing(target_epsilon=0.3, target_delta=TARGET_DELTA)
"""What vocabularies, scales and quantiles may spend by themselves."""

FEATURES: dict[str, Feature] = {
    **{name: Text() for name, _ in taxi_model.WORDS},
    **{name: Number(bounds=(0, size), integer=True) for name, size in taxi_model.CALENDAR},
    **{
        name: Number(bounds=(0, taxi_model.COMMUNITY_AREAS + 1), integer=True)
        for name in ("pickup_community_area", "dropoff_community_area")
    },
    **{name: Number(bounds=bounds, integer=name == "trip_seconds") for name, bounds in taxi_model.AMOUNTS},
    **{name: Number(bounds=bounds) for name, bounds in taxi_model.COORDINATES},
    "tips": Number(bounds=(0.0, 100.0)),
}
"""The raw features, with ranges that are known without looking at the trips."""

PRIVATE = DPParameters(
    target_epsilon=TARGET_EPSILON, target_delta=TARGET_DELTA, l2_norm_clip=1.0, expected_batch_size=512, epochs=20
)
"""A private training within the budget; its epsilon is of statistics, preprocessing and training together."""

NOT_PRIVATE = DPParameters(enabled=False, target_delta=TARGET_DELTA, expected_batch_size=128, epochs=60)
"""Training without privacy, long enough to learn its records by heart."""

OVERFITTED = {"hidden_units": [256, 128], "learning_rate": 0.002}

_TEXT_COLUMNS = ("company", "payment_type")
_FLOAT_COLUMNS = (
    "fare", "tips", "trip_miles", "pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude",
)  # fmt: skip

CITY_NOTICE = (
    "This site provides applications using data that has been modified for use from its original source, "
    "www.cityofchicago.org, the official website of the City of Chicago. The City of Chicago makes no claims as to the "
    "content, accuracy, timeliness, or completeness of any of the data provided at this site. The data provided at "
    "this site is subject to change at any time. It is understood that the data provided at this site is being used at "
    "one's own risk."
)
"""The City's notice on the data, to be shown with it."""


def data_root() -> str:
    """Folder of the Chicago Taxi CSV (15,002 trips) inside the installed tfx package."""
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return os.path.join(spec.submodule_search_locations[0], "examples", "chicago_taxi_pipeline", "data", "simple")


def eval_config() -> config_pb2.EvalConfig:
    """What the Evaluator asks of a model: an AUC above 0.8, and not much below the last blessed one's."""
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": 0.8}),
        change_threshold=config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -0.1}
        ),
    )
    # Over all trips only: cash tips are not recorded, so hardly anything can be predicted within a payment type.
    over_all = config_pb2.PerSliceMetricThreshold(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name="serving_default",
                label_key=taxi_model.LABEL_KEY,
                preprocessing_function_names=["transform_features"],
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=list(SLICE_FEATURES))],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    config_pb2.MetricConfig(class_name="BinaryAccuracy"),
                    config_pb2.MetricConfig(class_name="AUC", per_slice_thresholds=[over_all]),
                ]
            )
        ],
    )


def create_taxi_pipeline(
    *,
    output_root: str,
    privacy: DPParameters = PRIVATE,
    max_epsilon: float | data_types.RuntimeParameter = TARGET_EPSILON,
    max_delta: float | data_types.RuntimeParameter = TARGET_DELTA,
    max_attack_auc: float | data_types.RuntimeParameter = MAX_ATTACK_AUC,
    custom_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> pipeline.Pipeline:
    """The taxi pipeline below `output_root`: `artifacts/`, `metadata.db` and `serving_model/`.

    Args:
      output_root: Folder for everything that the pipeline writes.
      privacy: Parameters of the training.
      max_epsilon: Limit of the gate.
      max_delta: Limit of the gate.
      max_attack_auc: Limit of the gate.
      custom_config: `hidden_units` and `learning_rate` of the model.
      **options: Anything else that `create_pipeline` takes.

    Returns:
      The pipeline.
    """
    defaults: dict[str, Any] = {
        "pipeline_name": PIPELINE_NAME,
        "pipeline_root": os.path.join(output_root, "artifacts"),
        "data_root": data_root(),
        "module_file": taxi_model.__file__,
        "serving_model_dir": os.path.join(output_root, SERVING_DIR),
        "label_key": taxi_model.LABEL_KEY,
        "eval_config": eval_config(),
        "slice_features": SLICE_FEATURES,
        "preprocessing": PREPROCESSING,
        "statistics": STATISTICS,
        "features": FEATURES,
    }
    if "metadata_connection_config" not in options:
        options["metadata_connection_config"] = local_runner.sqlite_metadata(os.path.join(output_root, METADATA_NAME))
    return factory.create_pipeline(
        privacy=privacy,
        max_epsilon=max_epsilon,
        max_delta=max_delta,
        max_attack_auc=max_attack_auc,
        custom_config=custom_config,
        **{**defaults, **options},
    )


def raw_examples(count: int) -> list[bytes]:
    """The first records of the CSV as serialized tf.Examples, the way CsvExampleGen types them."""
    with open(os.path.join(data_root(), "data.csv"), newline="", encoding="utf-8") as file:
        return [_example(row).SerializeToString() for row in itertools.islice(csv.DictReader(file), count)]


def predict(model_dir: str, examples: Sequence[bytes]) -> list[float]:
    """Asks a pushed model about raw records.

    Args:
      model_dir: A SavedModel below Pusher's destination.
      examples: Serialized tf.Examples.

    Returns:
      The probability of a big tip for each.
    """
    model = tf.saved_model.load(model_dir)
    outputs = model.signatures["serving_default"](tf.constant(list(examples)))
    return [float(value) for value in tf.reshape(next(iter(outputs.values())), [-1])]


def ordinary_accuracy(transform_graph: str, transformed_examples: str) -> float:
    """Test accuracy of the private run's model trained without privacy, for comparison; nothing of it is kept.

    Args:
      transform_graph: URI of the TransformGraph artifact.
      transformed_examples: URI of Transform's examples.

    Returns:
      Share of the `eval` split that is classified correctly.
    """

    def read(split: str) -> training.ColumnarDataset:
        files = [os.path.join(transformed_examples, f"Split-{split}", "*")]
        arguments = types.SimpleNamespace(train_files=files, transform_graph_path=transform_graph, schema_path=None)
        return data.read(arguments, taxi_model.LABEL_KEY, None)

    model = taxi_model.model_fn(types.SimpleNamespace(custom_config={}, transform_graph_path=transform_graph))
    records, test = read("train"), read("eval")
    same_but_ordinary = DPParameters(
        enabled=False, expected_batch_size=PRIVATE.expected_batch_size, epochs=PRIVATE.epochs
    ).resolve(population=len(records))
    training.train(model, records, same_but_ordinary, noise_multiplier=None)
    return float(np.mean((model(test.features).numpy() > 0.5) == (test.labels > 0)))


def _example(row: Mapping[str, str]) -> tf.train.Example:
    features = {}
    for name, text in row.items():
        if text == "":
            features[name] = tf.train.Feature()
        elif name in _TEXT_COLUMNS:
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        elif name in _FLOAT_COLUMNS:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[float(text)]))
        else:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(float(text))]))
    return tf.train.Example(features=tf.train.Features(feature=features))
