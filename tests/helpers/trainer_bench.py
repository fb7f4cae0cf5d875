"""Runs DPTrainer's executor on real artifacts in a folder."""

from __future__ import annotations

import pathlib
import textwrap
from typing import Any

import artifacts_on_disk as disk

from tfx_privacy import DPParameters
from tfx_privacy.attacks import reference_models
from tfx_privacy.guarantee.record import FILE_NAME, PrivacyGuarantee
from tfx_privacy.records import statement

NUM_RECORDS = 300
PRIVATE = DPParameters(noise_multiplier=1.0, target_delta=1e-4, expected_batch_size=50, epochs=2)

MODULE = """
import tensorflow as tf

LABEL_KEY = 'label'

def model_fn(fn_args):
    features = tf.keras.Input((4,), name='features')
    outputs = tf.keras.layers.Dense(1, 'sigmoid')(tf.keras.layers.Dense(8, 'relu')(features))
    model = tf.keras.Model({'features': features}, outputs)
    model.compile('adam', 'binary_crossentropy')
    return model
"""

INPUT_FN = """
def input_fn(file_pattern, fn_args):
    spec = {'features': tf.io.FixedLenFeature([4], tf.float32), 'label': tf.io.FixedLenFeature([1], tf.int64)}
    def parse(batch):
        parsed = tf.io.parse_example(batch, spec)
        label = parsed.pop('label')
        return RESULT
    files = tf.data.Dataset.list_files(file_pattern)
    return tf.data.TFRecordDataset(files, 'GZIP').batch(64).map(parse)SUFFIX
"""


class Bench:
    """Real examples and a user's module in a folder, and the executor."""

    def __init__(self, root: pathlib.Path, *, new: bool = True) -> None:
        from tfx.types import standard_artifacts

        from tfx_privacy.components import artifacts

        self.root = root
        self.outputs = disk.outputs(
            root,
            model=standard_artifacts.Model,
            model_run=standard_artifacts.ModelRun,
            privacy_guarantee=artifacts.PrivacyGuarantee,
            reference_models=artifacts.ReferenceModels,
        )
        if new:
            splits = {"train": disk.make_records(NUM_RECORDS, 1), "eval": disk.make_records(50, 2), "empty": []}
            disk.write_examples(root / "examples", splits)
            disk.write_schema(root / "schema")
            self.module(MODULE)
        self.inputs: dict[str, list[Any]] = {
            "examples": [disk.examples_at(root / "examples", ["train", "eval", "empty"])],
            "schema": [disk.schema_at(root / "schema")],
        }

    def module(self, text: str) -> None:
        (self.root / "user_module.py").write_text(textwrap.dedent(text))

    def run(self, privacy: DPParameters = PRIVATE, **properties: Any) -> PrivacyGuarantee:
        from tfx_privacy.components.dp_trainer import executor

        defaults = {
            "privacy": privacy.to_json(),
            "module_file": str(self.root / "user_module.py"),
            "train_args": "{}",
            "eval_args": "{}",
            "custom_config": "null",
        }
        executor.Executor().Do(self.inputs, self.outputs, {**defaults, **properties})
        return self.guarantee()

    def examples(self, records: list[dict[str, Any]], held_out: list[dict[str, Any]]) -> None:
        self.inputs["examples"] = [disk.write_examples(self.root / "other", {"train": records, "eval": held_out})]

    def references(self) -> reference_models.ReferenceSet:
        return reference_models.ReferenceSet.from_json(
            (self.root / "reference_models" / reference_models.FILE_NAME).read_text()
        )

    def guarantee(self) -> PrivacyGuarantee:
        path = self.root / "privacy_guarantee" / FILE_NAME
        return statement.from_json(PrivacyGuarantee, path.read_text())
