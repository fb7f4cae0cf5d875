"""Compiles the pipeline for Kubeflow Pipelines (a .yaml file) or Vertex AI (.json): `python kubeflow_v2_runner.py`."""

from __future__ import annotations

import os

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline

from pipeline import configs, pipeline
from tfx_privacy.pipelines import lint


def create_kubeflow_pipeline() -> Pipeline:
    """The pipeline as containers run it: the image holds the module, and no verdict may come from a cache."""
    return pipeline.create_pipeline(
        pipeline_name=configs.PIPELINE_NAME,
        pipeline_root=configs.KUBEFLOW_ROOT,
        data_path=configs.KUBEFLOW_DATA_PATH,
        serving_model_dir=configs.KUBEFLOW_ROOT + "/serving_model",
        module_path=configs.MODULE_PATH,
        # Open-source Kubeflow Pipelines runs no resolvers, and Vertex AI's take any blessing for ours.
        with_baseline=False,
    )


def compile_pipeline(kubeflow_pipeline: Pipeline, output: str) -> None:
    """Writes the compiled pipeline."""
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=configs.PIPELINE_IMAGE, use_pipeline_spec_2_1=output.endswith(".yaml")
    )
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=config, output_dir=os.path.dirname(os.path.abspath(output)), output_filename=os.path.basename(output)
    ).run(kubeflow_pipeline, write_out=True)


def run() -> None:
    """Compiles the pipeline to the file that configs.py names."""
    kubeflow_pipeline = create_kubeflow_pipeline()
    lint.require(kubeflow_pipeline, runner="kubeflow")
    compile_pipeline(kubeflow_pipeline, configs.COMPILED_FILE)
    print(f"Wrote {configs.COMPILED_FILE}, for the image {configs.PIPELINE_IMAGE}.")


if __name__ == "__main__":
    run()
