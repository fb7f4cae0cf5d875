"""Proposals for modules of tfx itself are trained by DPTrainer, on what their own preprocessing_fn makes, and serve."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any, NamedTuple

import artifacts_on_disk as disk
import numpy as np
import pytest
from trainer_bench import Bench

from tfx_privacy import DPParameters
from tfx_privacy.errors import ParameterError
from tfx_privacy.migration import module as modules
from tfx_privacy.migration.proposal import propose

pytestmark = pytest.mark.slow

EXAMPLES = pathlib.Path(pytest.__file__).resolve().parent.parent / "tfx" / "examples"
NUM_RECORDS = 120


class Case(NamedTuple):
    module: str
    label: str
    outputs: int


CASES = {
    "taxi": Case("chicago_taxi_pipeline/taxi_utils.py", "tips", 1),
    "mnist": Case("mnist/mnist_utils_native_keras.py", "image_class", 10),
    "imdb": Case("imdb/imdb_utils_native_keras.py", "label", 1),
    "penguin": Case("penguin/penguin_utils_keras.py", "species", 3),
}


def taxi_records(random: np.random.Generator) -> list[dict[str, Any]]:
    floats = [
        "trip_miles",
        "fare",
        "tips",
        *(f"{end}_{axis}" for end in ("pickup", "dropoff") for axis in ("latitude", "longitude")),
    ]
    ints = [
        "trip_seconds",
        "pickup_census_tract",
        "dropoff_census_tract",
        "pickup_community_area",
        "dropoff_community_area",
    ]
    return [
        {name: [float(random.normal(10.0))] for name in floats}
        | {name: [int(random.integers(1, 20))] for name in ints}
        | {"trip_start_hour": [index % 24], "trip_start_day": [index % 7 + 1], "trip_start_month": [index % 12 + 1]}
        | {"payment_type": [b"Cash" if index % 3 else b"Credit Card"], "company": [b"company %d" % (index % 5)]}
        for index in range(NUM_RECORDS)
    ]  # fmt: skip


def mnist_records(random: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {"image_floats": random.uniform(-0.5, 0.5, 784).tolist(), "image_class": [index % 10]} for index in range(NUM_RECORDS)
    ]  # fmt: skip


def imdb_records(random: np.random.Generator) -> list[dict[str, Any]]:
    words = [f"word{index}" for index in range(50)]
    return [
        {"text": [" ".join(random.choice(words, 12)).encode()], "label": [index % 2]} for index in range(NUM_RECORDS)
    ]


def penguin_records(random: np.random.Generator) -> list[dict[str, Any]]:
    names = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")
    return [
        {name: [float(random.uniform())] for name in names} | {"species": [index % 3]} for index in range(NUM_RECORDS)
    ]


def spec_of(record: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    kinds = {float: tf.float32, int: tf.int64, bytes: tf.string}
    return {name: tf.io.FixedLenFeature([len(values)], kinds[type(values[0])]) for name, values in record.items()}


def transform(folder: pathlib.Path, preprocessing_fn: Any, raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs Transform; writes its graph, and returns its records."""
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec_of(raw[0])))
    with tft_beam.Context(temp_dir=str(folder / "scratch")):
        (transformed, _), transform_fn = (raw, metadata) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    metadata_io.write_metadata(metadata, str(folder / "graph" / tft.TFTransformOutput.RAW_METADATA_DIR))
    return [{name: np.ravel(value).tolist() for name, value in record.items()} for record in transformed]


def imported(path: pathlib.Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}".replace("-", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CASES)
def test_a_proposal_trains_and_serves(name: str, tmp_path: pathlib.Path) -> None:
    import tensorflow as tf
    from tfx.types import standard_artifacts

    case = CASES[name]
    proposal = propose(modules.read(EXAMPLES / case.module))
    text = proposal.text
    if name == "taxi":
        # What the report asks for, by hand: a layer that nothing adapts changes nothing.
        assert any("Normalization without mean" in question.text for question in proposal.questions)
        text = text.replace("tf.keras.layers.Normalization()(layer)", "layer")
    bench = Bench(tmp_path)
    bench.module(text)
    raw = globals()[f"{name}_records"](np.random.default_rng(0))
    # Its analyzers; those of the proposal have bounds to fill in, and run in DPTransform.
    records = transform(tmp_path, imported(EXAMPLES / case.module).preprocessing_fn, raw)
    bench.examples(records[20:], records[:20])
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(tmp_path / "graph")
    bench.inputs["transform_graph"] = [graph]
    del bench.inputs["schema"]

    privacy = DPParameters(noise_multiplier=1.0, target_delta=1e-4, expected_batch_size=20, steps=2)
    guarantee = bench.run(privacy)

    assert guarantee.population.records == 100
    model = tf.saved_model.load(str(next((tmp_path / "model").rglob("saved_model.pb")).parent))
    requests = [{key: value for key, value in record.items() if key != case.label} for record in raw[:7]]
    (answers,) = model.signatures["serving_default"](
        tf.constant([disk.serialize(request) for request in requests])
    ).values()
    assert answers.shape == (7, case.outputs)
    assert np.isfinite(answers).all()


PREPROCESSING = {
    "taxi": ("chicago_taxi_pipeline/taxi_utils.py", ["scale_to_z_score", "vocabulary", "bucketize"], True),
    "mnist": ("mnist/mnist_utils_native_keras_base.py", [], True),
    "imdb": ("imdb/imdb_utils_native_keras.py", ["vocabulary"], False),
    "penguin": ("penguin/penguin_utils_base.py", ["scale_to_z_score"], True),
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_a_proposed_preprocessing_fn_is_private_once_its_bounds_are_filled_in(
    name: str, tmp_path: pathlib.Path
) -> None:
    """Until then it is refused, by a message that says what to give."""
    import tensorflow as tf

    import tfx_privacy.transform as dpt

    file, expected, has_bounds = PREPROCESSING[name]
    raw = globals()[f"{name}_records"](np.random.default_rng(0))
    inputs = {key: tf.constant([record[key] for record in raw]) for key in raw[0]}
    text = propose(modules.read(EXAMPLES / file)).text
    path = tmp_path / f"proposed_{name}.py"
    if has_bounds:
        path.write_text(text)
        with pytest.raises(ParameterError, match=r"has bounds=None\. Give bounds=\(lowest, highest\)"):
            dpt.dry_run(imported(path).preprocessing_fn, inputs)
    path = tmp_path / f"filled_{name}.py"
    path.write_text(text.replace("': None,", "': (-100.0, 100.0),").replace("bounds=None", "bounds=(0.0, 255.0)"))
    found = dpt.dry_run(imported(path).preprocessing_fn, inputs)
    assert found.uncovered == []
    assert sorted({each.partition("(")[0] for each in found.analyzers}) == sorted(expected)
    original = imported(EXAMPLES / file).preprocessing_fn
    assert dpt.dry_run(original, inputs).uncovered != []
