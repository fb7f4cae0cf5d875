"""Runs the converted examples of tfx as their owner would: files and data in a folder of their own, LocalDagRunner, a verdict.

tfx ships the taxi trips and 100 film reviews. It ships neither MNIST nor the penguins; here are data of the same
schema: scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 28x28, and penguins drawn at random around the published
mean and deviation of each species.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib
import json
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from absl import flags
from existing_examples import CONVERTED, finish_steps, tfx_folder

# Number of birds, and mean and standard deviation of culmen length and depth (mm), flipper length (mm), and body mass
# (g), of the Adelie, chinstrap and gentoo penguins of Gorman et al. (2014),
# https://doi.org/10.1371/journal.pone.0090081, as summed up by palmerpenguins.
PENGUINS = (
    (152, ((38.8, 2.7), (18.3, 1.2), (190.0, 6.5), (3701.0, 459.0))),
    (68, ((48.8, 3.3), (18.4, 1.1), (195.8, 7.1), (3733.0, 384.0))),
    (124, ((47.5, 3.1), (15.0, 1.0), (217.2, 6.5), (5076.0, 504.0))),
)
_BEAM = ["--direct_running_mode=in_memory"]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a run came to."""

    blessed: bool
    rules: dict[str, dict[str, Any]]
    """By name, each rule of the report."""
    pushed: list[str]
    """Paths of the models in the folder that Pusher writes to."""
    scope: dict[str, bool]
    """By upstream artifact, whether the guarantee covers it."""
    epsilon: float
    """At the guarantee's delta, by PLD."""
    accuracy: float
    """On the held-out records, as the Evaluator has it."""
    findings: list[str]
    """What the lint says of the pipeline."""

    @property
    def failed(self) -> set[str]:
        return {name for name, rule in self.rules.items() if not rule["passed"]}


def chicago_taxi_pipeline(root: pathlib.Path) -> Any:
    """15,002 trips that ship with tfx."""
    module = _example("chicago_taxi_pipeline", "taxi_pipeline_native_keras", root)
    shutil.copytree(tfx_folder() / "examples/chicago_taxi_pipeline/data/simple", root / "data")
    return module._create_pipeline(
        module_file=str(root / "taxi_utils_native_keras.py"), **_places("chicago_taxi_native_keras", root)
    )


def taxi_template(root: pathlib.Path) -> Any:
    """A copy by TFX's own command, with the converted files in place of its own; the first 6,000 of the same trips."""
    from tfx.tools.cli.handler import template_handler

    given = {"pipeline_name": "taxi_template", "model": "taxi", "destination_path": str(root)}
    template_handler.copy_template(given)
    trips = (tfx_folder() / "examples/chicago_taxi_pipeline/data/simple/data.csv").read_text().splitlines(keepends=True)
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "data.csv").write_text("".join(trips[:6001]))
    for file in (CONVERTED / "taxi_template").rglob("*.py"):
        text = finish_steps(file.read_text()).replace("tfx.experimental.templates.taxi.", "")
        text = text.replace("{{PIPELINE_NAME}}", "taxi_template")
        (root / file.relative_to(CONVERTED / "taxi_template")).write_text(text)
    sys.path.insert(0, str(root))
    module = importlib.import_module("pipeline.pipeline")
    configs = importlib.import_module("pipeline.configs")
    places = _places(configs.PIPELINE_NAME, root)
    return module.create_pipeline(
        pipeline_name=places["pipeline_name"],
        pipeline_root=places["pipeline_root"],
        data_path=places["data_root"],
        preprocessing_fn=configs.PREPROCESSING_FN,
        eval_accuracy_threshold=configs.EVAL_ACCURACY_THRESHOLD,
        serving_model_dir=places["serving_model_dir"],
        metadata_connection_config=_connection(places["metadata_path"]),
        beam_pipeline_args=_BEAM,
    )


def mnist(root: pathlib.Path) -> Any:
    """scikit-learn's digits, enlarged to MNIST's 28x28 pixels."""
    import tensorflow as tf
    from sklearn import datasets

    module = _example("mnist", "mnist_pipeline_native_keras", root)
    digits = datasets.load_digits()
    images = np.pad(
        np.kron(digits.images / 16.0 - 0.5, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)), constant_values=-0.5
    )
    (root / "data").mkdir()
    with tf.io.TFRecordWriter(str(root / "data" / "digits.tfrecord")) as writer:
        for image, digit in zip(images, digits.target, strict=True):
            pixels = tf.train.Feature(float_list=tf.train.FloatList(value=image.ravel()))
            label = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(digit)]))
            features = tf.train.Features(feature={"image_floats": pixels, "image_class": label})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return module._create_pipeline(
        module_file=str(root / "mnist_utils_native_keras.py"), **_places("mnist_native_keras", root)
    )


def imdb(root: pathlib.Path) -> Any:
    """The 100 reviews that ship with tfx; 50 words of each are read, not 400: the LSTM's graph takes long to build."""
    module = _example("imdb", "imdb_pipeline_native_keras", root)
    utils = root / "imdb_utils_native_keras.py"
    text = utils.read_text()
    assert text.count("_MAX_LEN = 400") == 1
    utils.write_text(text.replace("_MAX_LEN = 400", "_MAX_LEN = 50"))
    (root / "data").mkdir()
    shutil.copy(tfx_folder() / "examples/imdb/data/imdb_small_with_labels.txt", root / "data" / "imdb.csv")
    return module._create_pipeline(module_file=str(utils), **_places("imdb_native_keras", root))


def penguin(root: pathlib.Path) -> Any:
    """344 made-up penguins, each measure scaled to [0, 1] as in tfx's penguins_processed.csv."""
    module = _example("penguin", "penguin_pipeline_local", root)
    random = np.random.default_rng(0)
    species = np.repeat(np.arange(len(PENGUINS)), [number for number, _ in PENGUINS])
    measured = np.array([random.normal(*np.transpose(PENGUINS[which][1])) for which in species])
    lowest, highest = measured.min(axis=0), measured.max(axis=0)
    rows = [
        [int(which), *(round(float(value), 4) for value in values)]
        for which, values in zip(species, (measured - lowest) / (highest - lowest), strict=True)
    ]
    (root / "data" / "labelled").mkdir(parents=True)
    with open(root / "data" / "labelled" / "penguins.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["species", "culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g"])
        writer.writerows(rows)
    return module.create_pipeline(
        module_file=str(root / "penguin_utils_keras.py"),
        accuracy_threshold=0.6,
        user_provided_schema_path=None,
        enable_bulk_inferrer=False,
        enable_example_diff=False,
        examplegen_input_config=None,
        examplegen_range_config_date=None,
        resolver_range_config=None,
        enable_transform_input_cache=False,
        **_places("penguin_local_keras", root),
    )


BUILDERS: dict[str, Callable[[pathlib.Path], Any]] = {
    "chicago_taxi_pipeline": chicago_taxi_pipeline,
    "taxi_template": taxi_template,
    "mnist": mnist,
    "imdb": imdb,
    "penguin": penguin,
}


def run(name: str, root: pathlib.Path) -> Verdict:
    """Makes the pipeline in an empty folder and runs it."""
    from tfx_privacy.pipelines import local_runner

    with _import_state():
        pipeline = BUILDERS[name](root)
        local_runner.run_locally(pipeline)
    return _verdict(root, pipeline)


def _example(name: str, pipeline: str, root: pathlib.Path) -> Any:
    """Copies an example's files, and imports its pipeline."""
    shutil.copytree(CONVERTED / name, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    sys.path.insert(0, str(root))
    return importlib.import_module(pipeline)


def _places(name: str, root: pathlib.Path) -> dict[str, Any]:
    return {
        "pipeline_name": name,
        "pipeline_root": str(root / "pipeline_root"),
        "data_root": str(root / "data"),
        "serving_model_dir": str(root / "serving_model"),
        "metadata_path": str(root / "metadata.db"),
        "beam_pipeline_args": _BEAM,
    }


def _connection(path: str) -> Any:
    from tfx.orchestration import metadata

    return metadata.sqlite_metadata_connection_config(path)


@contextlib.contextmanager
def _import_state() -> Iterator[None]:
    """Forgets what the example's folder added: examples share module names, and TFX parses Beam's arguments by flags."""
    # Other tests load pipelines from files of the same names.
    for name in [name for name in sys.modules if _is_of_an_example(name)]:
        del sys.modules[name]
    path, modules, defined = list(sys.path), set(sys.modules), set(flags.FLAGS)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(flags.FLAGS) - defined:
            if _is_of_an_example(str(flags.FLAGS.find_module_defining_flag(name))):
                delattr(flags.FLAGS, name)
        for name in set(sys.modules) - modules:
            if _is_of_an_example(name):
                del sys.modules[name]


def _is_of_an_example(module: str) -> bool:
    own = ("taxi_", "mnist_", "imdb_", "penguin_")
    return module.split(".")[0] in ("pipeline", "models") or module.startswith(own)


def _verdict(root: pathlib.Path, pipeline: Any) -> Verdict:
    from ml_metadata.metadata_store import metadata_store

    from tfx_privacy.guarantee.recomputation import recomputed_epsilon
    from tfx_privacy.guarantee.record import FILE_NAME, PrivacyGuarantee
    from tfx_privacy.pipelines import lint, results
    from tfx_privacy.records import statement

    store = metadata_store.MetadataStore(_connection(str(root / "metadata.db")))
    validated = results.latest_outputs(store, pipeline.pipeline_info.pipeline_name, "BudgetValidator")
    report = json.loads(pathlib.Path(validated["report"].uri, "report.json").read_text())["verdict"]
    (found,) = root.glob(f"pipeline_root/*/privacy_guarantee/*/{FILE_NAME}")
    record = statement.from_json(PrivacyGuarantee, found.read_text())
    return Verdict(
        blessed=validated["blessing"].custom_properties["blessed"].int_value == 1,
        rules={rule["rule"]: rule for rule in report["rules"]},
        pushed=results.pushed_models(str(root / "serving_model")),
        scope={item.artifact: item.covered for item in record.scope},
        epsilon=recomputed_epsilon(record),
        accuracy=_accuracy(root),
        findings=[str(finding) for finding in lint.check(pipeline)],
    )


def _accuracy(root: pathlib.Path) -> float:
    import tensorflow_model_analysis as tfma

    (evaluation,) = root.glob("pipeline_root/Evaluator*/evaluation/*")
    metrics = tfma.load_eval_result(str(evaluation)).get_metrics_for_slice(())
    (accuracy,) = [value["doubleValue"] for name, value in metrics.items() if name.endswith("accuracy")]
    return float(accuracy)
