"""PrivacyEvaluator's executor on real artifacts: examples, a schema, saved models of all kinds."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import artifacts_on_disk as disk

from tfx_privacy.attacks.evaluation import FILE_NAME, AttackResult, PrivacyEvaluation
from tfx_privacy.records import statement

MEMBERS = disk.make_records(800, 1)
OTHERS = disk.make_records(600, 2)


class Bench:
    """Inputs and outputs in a folder, and the executor."""

    def __init__(self, root: pathlib.Path) -> None:
        from tfx_privacy.components import artifacts

        self.root = root
        self.inputs: dict[str, list[Any]] = {"schema": [disk.write_schema(root / "schema")]}
        self.outputs = disk.outputs(root, privacy_evaluation=artifacts.PrivacyEvaluation)
        self.examples({"train": MEMBERS, "eval": OTHERS})

    def examples(self, splits: dict[str, Any], shards: int = 1, name: str = "examples") -> None:
        self.inputs["examples"] = [disk.write_examples(self.root / name, splits, shards)]

    def schema(self, text: str) -> None:
        self.inputs["schema"] = [disk.write_schema(self.root / "other_schema", text)]

    def save(self, spec: Mapping[str, Any], answer: Callable[[Any], Any], *, variable: Any = None, **more: Any) -> None:
        """A SavedModel whose served signature parses `spec` and answers `answer(features)`, with `more` signatures."""
        import tensorflow as tf
        from tfx.types import standard_artifacts

        module = tf.Module()
        module.variable = variable
        module.serve = tf.function(
            lambda examples: _named(answer(tf.io.parse_example(examples, dict(spec)))),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )
        signatures = {"serving_default": module.serve}
        for name, function in more.items():
            setattr(module, name, function)
            signatures[name] = function
        artifact = standard_artifacts.Model()
        artifact.uri = str(self.root / "model")
        tf.saved_model.save(module, str(self.root / "model" / "Format-Serving"), signatures=signatures)
        self.inputs["model"] = [artifact]

    def model(
        self, *, memorised: list[dict[str, Any]] | None = None, nan_above: float | None = None, outputs: int = 1
    ) -> None:
        """A binary classifier that is sure of the records it memorised, and half sure of all others."""
        import tensorflow as tf

        known = tf.constant([float(record["features"][0]) for record in memorised or []], tf.float32)

        def answer(parsed: Any) -> Any:
            features = parsed["features"]
            x = features[:, 0]
            seen = tf.reduce_any(tf.abs(x[:, None] - known[None, :]) < 1e-7, axis=1)
            logit = tf.where(seen, 6.0 * tf.sign(x) + x, features[:, 1])
            if nan_above is not None:
                logit = tf.where(x > nan_above, float("nan"), logit)
            probability = tf.sigmoid(logit)[:, None]
            return {"outputs": probability, "more": probability} if outputs == 2 else probability

        self.save({"features": tf.io.FixedLenFeature([4], tf.float32)}, answer)

    def run(self, beam_pipeline_args: list[str] | None = None, **arguments: Any) -> PrivacyEvaluation:
        """Runs the executor with the component's own execution properties."""
        from tfx.dsl.components.base import base_beam_executor
        from tfx.types import channel_utils, standard_artifacts

        from tfx_privacy.components import PrivacyEvaluator
        from tfx_privacy.components.privacy_evaluator import executor

        channels = {
            "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
            "model": channel_utils.as_channel([standard_artifacts.Model()]),
        }
        defaults = {"label_key": "label", "slice_features": ["group"]}
        if "heads" in arguments or arguments.get("task") == "loss":
            del defaults["label_key"]
        component = PrivacyEvaluator(**channels, **{**defaults, **arguments})
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=beam_pipeline_args or [], tmp_dir=str(self.root / "tmp"), unique_id="1"
        )
        executor.Executor(context).Do(self.inputs, self.outputs, dict(component.exec_properties))
        return self.record()

    def record(self) -> PrivacyEvaluation:
        return statement.from_json(PrivacyEvaluation, (self.root / "privacy_evaluation" / FILE_NAME).read_text())


def by_slice(record: PrivacyEvaluation, attack: str = "loss") -> dict[str, AttackResult]:
    return {row.slice_name: row for row in record.results if row.attack == attack}


def _named(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {"outputs": answer}
