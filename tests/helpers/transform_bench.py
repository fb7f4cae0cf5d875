"""Runs DPTransform's executor on real artifacts in a folder."""

from __future__ import annotations

import pathlib
from typing import Any

import artifacts_on_disk as disk
import private_transform

from tfx_privacy.records import statement
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.record import Release, file_name

SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 } shape { } }
feature { name: "pair" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 2 } } }
feature { name: "n" type: INT presence { min_fraction: 1 } shape { } }
feature { name: "word" type: BYTES presence { min_fraction: 1 } shape { } }
feature { name: "user" type: BYTES presence { min_fraction: 1 } shape { } }
feature { name: "words" type: BYTES }
feature { name: "numbers" type: FLOAT }
"""
PRIVACY = DPPreprocessing(noise_multiplier=2.0, target_delta=1e-5)
TRAIN, EVAL = private_transform.make_records(2000, seed=1), private_transform.make_records(500, seed=2)
WORK = ".work-"


class Bench:
    """Inputs, outputs and the executor; `new=False` for a folder that another one has filled."""

    def __init__(self, root: pathlib.Path, *, new: bool = True) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts

        self.root = root
        if new:
            splits = {
                name: [{key: values for key, values in record.items() if values} for record in records]
                for name, records in (("train", TRAIN), ("eval", EVAL))
            }
            disk.write_examples(root / "examples", splits, shards=2)
            disk.write_schema(root / "schema", SCHEMA)
        examples = disk.examples_at(root / "examples", ["train", "eval"])
        for name, value in (("span", "4"), ("version", "2"), ("input_fingerprint", "files:2"), ("other", "x")):
            examples.set_string_custom_property(name, value)
        self.inputs: dict[str, list[Any]] = {"examples": [examples], "schema": [disk.schema_at(root / "schema")]}
        self.outputs = disk.outputs(
            root / "out",
            transform_graph=standard_artifacts.TransformGraph,
            transformed_examples=standard_artifacts.Examples,
            privacy_release=artifacts.PrivacyRelease,
        )

    def run(self, function: str = "two_rounds", privacy: DPPreprocessing | str = PRIVACY, **properties: Any) -> None:
        """Runs it with a function of `preprocessing_functions`, or a module's file."""
        from tfx_privacy.components.dp_transform import executor

        if "module_file" not in properties:
            properties["preprocessing_fn"] = f"preprocessing_functions.{function}"
        text = privacy if isinstance(privacy, str) else privacy.to_json()
        chosen = {"privacy": text, "disable_statistics": 1, "custom_config": "null", **properties}
        executor.Executor().Do(self.inputs, self.outputs, chosen)

    @property
    def graph(self) -> pathlib.Path:
        return self.root / "out" / "transform_graph"

    def release(self) -> Release:
        text = (self.root / "out" / "privacy_release" / file_name()).read_text()
        return statement.from_json(Release, text)

    def files(self) -> list[str]:
        """All that was written, and is still there."""
        out = self.root / "out"
        return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())

    def transformed(self, split: str = "train") -> list[Any]:
        import tensorflow as tf

        files = sorted((self.root / "out" / "transformed_examples" / f"Split-{split}").glob("*"))
        records = tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP")
        return [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]
