"""Compiles the pipeline for Kubeflow Pipelines (a .yaml file) or Vertex AI (.json): `python kubeflow_v2_runner.py`."""

from __future__ import annotations

from tfx.orchestration.pipeline import Pipeline

from pipeline import configs, pipeline
from tfx_privacy.pipelines import project_runner


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


def run() -> None:
    """Compiles the pipeline to the file that configs.py names."""
    project_runner.compile_for_kubeflow(
        create_kubeflow_pipeline(),
        configs.COMPILED_FILE,
        image=configs.PIPELINE_IMAGE,
        secrets=configs.KUBERNETES_SECRETS,
    )


if __name__ == "__main__":
    run()
