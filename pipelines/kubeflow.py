"""Compiles the taxi pipeline for Kubeflow Pipelines.

This is TFX's own KubeflowV2DagRunner: a `.json` file is a job for Vertex AI, a `.yaml` file a
pipeline of spec 2.1. What the open-source backend needs beyond that (artifact types, `minio://`
paths) is not here yet; README says what was tried.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from tfx_privacy.pipelines import lint, taxi
from tfx_privacy.privacy.errors import ParameterError


def compile_taxi(output: str, *, image: str, pipeline_root: str) -> None:
    """Writes the compiled taxi pipeline.

    Caching is off in what is compiled: the switch is per pipeline, Kubeflow knows no driver that
    would keep BudgetValidator's verdict from being replayed, and a stale BLESSED is worse than a repeated run.

    Args:
      output: Path that ends in `.yaml` (pipeline spec 2.1, without resolver) or `.json` (Vertex AI).
      image: Container image of every step.
      pipeline_root: Root of the artifacts; the user's module is packaged below it while compiling.

    Raises:
      ParameterError: If `output` has another ending, or the lint finds a way past the gate.
    """
    suffix = os.path.splitext(output)[1]
    if suffix not in (".json", ".yaml"):
        raise ParameterError(f"Expected output={output!r} to end in .yaml (Kubeflow Pipelines) or .json (Vertex AI).")
    open_source = suffix == ".yaml"
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = taxi.create_taxi_pipeline(
            output_root=scratch,
            pipeline_root=pipeline_root,
            data_root=taxi.data_root(),
            serving_model_dir=os.path.join(pipeline_root, taxi.SERVING_DIR),
            metadata_connection_config=None,
            # Open-source Kubeflow Pipelines runs no resolver.
            with_baseline=not open_source,
            enable_cache=False,
        )
        lint.require(pipeline, runner="kubeflow")
        config: dict[str, Any] = {"default_image": image, "use_pipeline_spec_2_1": open_source}
        kubeflow_v2_dag_runner.KubeflowV2DagRunner(
            config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(**config),
            output_dir=os.path.dirname(os.path.abspath(output)),
            output_filename=os.path.basename(output),
        ).run(pipeline, write_out=True)
