"""CsvExampleGen, DPStatisticsGen, SchemaGen, ExampleValidator and DPTransform on the taxi trips, as a user would wire them."""

import csv
import pathlib
from typing import Any

import numpy as np
import pytest

from tfx_privacy import DPPreprocessing, Number, Text

pytestmark = pytest.mark.slow

MODULE = """
import tensorflow as tf
import tfx_privacy.transform as dpt


def preprocessing_fn(inputs):
    fare = tf.sparse.to_dense(inputs['fare'])[:, 0]
    return {
        'fare': dpt.scale_to_z_score(fare, bounds=(0.0, 200.0)),
        'payment_type': dpt.compute_and_apply_vocabulary(inputs['payment_type']),
        'hour': inputs['trip_start_hour'],
    }
"""
PRIVACY = DPPreprocessing(target_epsilon=1.0, target_delta=1e-6)
FEATURES: dict[str, Any] = {
    "fare": Number(bounds=(0, 200)),
    "tips": Number(bounds=(0, 100)),
    "trip_start_hour": Number(bounds=(0, 24), integer=True, required=True),
    "payment_type": Text(),
    "company": Text(),
}


def wired(root: pathlib.Path) -> Any:
    from tfx.components import CsvExampleGen, ExampleValidator, SchemaGen
    from tfx.orchestration import pipeline

    from tfx_privacy import DPStatisticsGen, DPTransform
    from tfx_privacy.pipelines import local_runner, taxi

    (root / "module").mkdir(parents=True)
    (root / "module" / "trips_preprocessing.py").write_text(MODULE)
    example_gen = CsvExampleGen(input_base=taxi.data_root())
    examples = example_gen.outputs["examples"]
    statistics_gen = DPStatisticsGen(examples, FEATURES, PRIVACY)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = SchemaGen(statistics=statistics)
    validator = ExampleValidator(statistics=statistics, schema=schema_gen.outputs["schema"])
    transform = DPTransform(
        examples,
        schema_gen.outputs["schema"],
        PRIVACY,
        module_file=str(root / "module" / "trips_preprocessing.py"),
    )
    return pipeline.Pipeline(
        pipeline_name="private-statistics",
        pipeline_root=str(root / "artifacts"),
        components=[example_gen, statistics_gen, schema_gen, validator, transform],
        metadata_connection_config=local_runner.sqlite_metadata(str(root / "metadata.db")),
    )


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the pipeline wrote; a minute and more, so the tests below share it."""
    from tfx_privacy.pipelines import local_runner

    root = tmp_path_factory.mktemp("private_statistics")
    local_runner.run_locally(wired(root))
    return root / "artifacts"


def only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    (found,) = folder.glob(pattern)
    return found


def trips() -> list[dict[str, str]]:
    from tfx_privacy.pipelines import taxi

    with open(pathlib.Path(taxi.data_root()) / "data.csv", newline="") as file:
        return list(csv.DictReader(file))


def statistics(artifacts: pathlib.Path, split: str) -> Any:
    import tensorflow_data_validation as tfdv

    path = only(artifacts, f"DPStatisticsGen/statistics/*/Split-{split}/FeatureStats.pb")
    return tfdv.load_stats_binary(str(path)).datasets[0]


def test_the_statistics_are_near_those_of_all_trips(artifacts: pathlib.Path) -> None:
    """Splits differ from the whole by less than noise does: each limit is some six standard deviations of both."""
    everything = trips()
    sizes = [statistics(artifacts, split).num_examples for split in ("train", "eval")]
    assert sum(sizes) == pytest.approx(len(everything), abs=400)
    fares = np.array([float(trip["fare"]) for trip in everything if trip["fare"]])
    by_name = {feature.path.step[0]: feature for feature in statistics(artifacts, "train").features}
    assert sorted(by_name) == sorted(FEATURES)
    assert by_name["fare"].num_stats.median == pytest.approx(np.median(fares), abs=2.0)
    assert by_name["trip_start_hour"].num_stats.common_stats.num_missing == 0
    values = {value.value for value in by_name["payment_type"].string_stats.top_values}
    assert {"Cash", "Credit Card"} <= values <= {trip["payment_type"] for trip in everything}


def test_the_standard_schema_holds_what_was_asked_of_and_nothing_else(artifacts: pathlib.Path) -> None:
    import tensorflow_data_validation as tfdv
    from tensorflow_transform.tf_metadata import schema_utils

    schema = tfdv.load_schema_text(str(only(artifacts, "SchemaGen/schema/*/schema.pbtxt")))
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    kinds = {name: type(parsed).__name__ for name, parsed in spec.items()}
    assert kinds == dict.fromkeys(FEATURES, "VarLenFeature") | {"trip_start_hour": "FixedLenFeature"}
    assert {spec[name].dtype.name for name in ("fare", "tips")} == {"float32"}
    payment = next(domain.value for domain in schema.string_domain if domain.name == "payment_type")
    assert {"Cash", "Credit Card"} <= set(payment)


def test_the_standard_validator_reads_them(artifacts: pathlib.Path) -> None:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    for split in ("train", "eval"):
        path = only(artifacts, f"ExampleValidator/anomalies/*/Split-{split}/SchemaDiff.pb")
        found = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        assert list(found.anomaly_info) == []


def test_records_are_transformed_by_the_private_schema(artifacts: pathlib.Path) -> None:
    import tensorflow as tf
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(str(only(artifacts, "DPTransform/transform_graph/*")))
    files = [str(path) for path in artifacts.glob("DPTransform/transformed_examples/*/Split-*/*.gz")]
    read = tf.data.TFRecordDataset(files, "GZIP").batch(20_000)
    (transformed,) = [tf.io.parse_example(records, graph.transformed_feature_spec()) for records in read]
    assert len(transformed["fare"]) == len(trips())
    assert float(np.mean(transformed["fare"])) == pytest.approx(0.0, abs=0.2)


def test_each_release_is_recorded(artifacts: pathlib.Path) -> None:
    from tfx_privacy.records import statement
    from tfx_privacy.releases.record import Release

    for split in ("train", "eval"):
        path = only(artifacts, f"DPStatisticsGen/privacy_release/*/privacy_release-{split}.json")
        release = statement.from_json(Release, path.read_text())
        assert (release.component, release.splits, release.splits_disjoint_for) == ("statistics", [split], "example")
        assert release.examples[0].fingerprint
        assert release.is_private
