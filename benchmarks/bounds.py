"""How much the attacks' bounds vary from one private training to the next: what a limit must leave room for.

`python -m benchmarks.bounds`, from the root of the repository, after `make demo` (it reads demo_output/). Each round
trains the taxi model anew and attacks it, by DPTrainer's and PrivacyEvaluator's executors; about half a minute of
processor time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_DEMO = pathlib.Path("demo_output/artifacts")
# Their intervals are so wide on small slices that the gate looks at the lower end there.
_LEARNED = ("logistic_regression", "gradient_boosting", "blind")


def main() -> None:
    """Trains, attacks, and prints the strongest row of each round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--target-epsilon", type=float, default=3.0)
    options = parser.parse_args()
    if not _DEMO.is_dir():
        parser.error(f"{_DEMO} is not there. Run `make demo` first.")
    highest = []
    for number in range(options.rounds):
        rows = _round(options.target_epsilon)
        worst = max(rows, key=lambda row: row["auc"]["high"])
        highest.append(worst["auc"]["high"])
        place = f"{worst['slice_feature']}={worst['slice_value']}" if worst["slice_feature"] else "all records"
        print(
            f"{number}: {worst['attack']} on {place}: {worst['auc']['estimate']:.4f}, bound {highest[-1]:.4f}",
            flush=True,
        )
    spread = statistics.stdev(highest) if len(highest) > 1 else 0.0
    print(
        f"bounds: {min(highest):.4f} to {max(highest):.4f}, mean {statistics.mean(highest):.4f}, deviation {spread:.4f}"
    )


def _round(target_epsilon: float) -> list[dict[str, Any]]:
    """Rows of the attacks on one new model, without those of learned attackers and the control."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from tfx_privacy.components.dp_trainer import executor as dp_trainer
    from tfx_privacy.components.privacy_evaluator import executor as privacy_evaluator
    from tfx_privacy.pipelines import taxi

    schema = _found(standard_artifacts.Schema(), "SchemaGen/schema")
    graph = _found(standard_artifacts.TransformGraph(), "DPTransform/transform_graph")
    transformed = _found(standard_artifacts.Examples(), "DPTransform/transformed_examples")
    raw = _found(standard_artifacts.Examples(), "CsvExampleGen/examples")
    with tempfile.TemporaryDirectory() as folder:
        privacy = dataclasses.replace(taxi.PRIVATE, target_epsilon=target_epsilon)
        pipeline = taxi.create_taxi_pipeline(output_root=folder, privacy=privacy)
        nodes = {node.id: node for node in pipeline.components}
        context = base_beam_executor.BaseBeamExecutor.Context(beam_pipeline_args=[], tmp_dir=folder, unique_id="1")
        trained = _outputs(nodes["DPTrainer"], folder)
        module = {"module_file": None, "module_path": taxi.taxi_model.__name__}
        dp_trainer.Executor(context).Do(
            {"examples": [transformed], "transform_graph": [graph], "schema": [schema]},
            trained,
            {**nodes["DPTrainer"].exec_properties, **module},
        )
        attacked = _outputs(nodes["PrivacyEvaluator"], folder)
        privacy_evaluator.Executor(context).Do(
            {"examples": [raw], "model": trained["model"], "transform_graph": [graph], "schema": [schema]},
            attacked,
            dict(nodes["PrivacyEvaluator"].exec_properties),
        )
        (record,) = pathlib.Path(attacked["privacy_evaluation"][0].uri).glob("privacy_evaluation.json")
        rows = json.loads(record.read_text())["predicate"]["results"]
    return [row for row in rows if row["auc"] and row["attack"] not in _LEARNED]


def _found(artifact: Any, place: str) -> Any:
    """The first artifact that the demonstration left there."""
    artifact.uri = str(min((_DEMO / place).iterdir()))
    if hasattr(artifact, "split_names"):
        artifact.split_names = json.dumps(["train", "eval"])
    return artifact


def _outputs(node: Any, folder: str) -> dict[str, list[Any]]:
    outputs = {key: [channel.type()] for key, channel in node.outputs.items()}
    for key, (artifact,) in outputs.items():
        artifact.uri = os.path.join(folder, node.id, key)
        os.makedirs(artifact.uri)
    return outputs


if __name__ == "__main__":
    main()
