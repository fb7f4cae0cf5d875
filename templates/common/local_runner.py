"""Runs the pipeline on this machine: `python local_runner.py`, or `tfx run create --engine=local`."""

from __future__ import annotations

from tfx.orchestration.pipeline import Pipeline

import demo_data
from pipeline import configs, pipeline
from tfx_privacy.pipelines.project_runner import LocalProject
from tfx_privacy.pipelines.results import RunResult


def create_local_pipeline(output_dir: str = configs.OUTPUT_DIR) -> Pipeline:
    """The pipeline with everything that it writes below `output_dir`."""
    project = _project(output_dir)
    return pipeline.create_pipeline(
        pipeline_name=configs.PIPELINE_NAME,
        pipeline_root=project.pipeline_root,
        data_path=configs.DATA_PATH,
        serving_model_dir=project.serving_model_dir,
        module_file=configs.MODULE_FILE,
        # A training that did not change is not charged again.
        enable_cache=True,
        metadata_connection_config=project.metadata(),
    )


def run(output_dir: str = configs.OUTPUT_DIR) -> RunResult | None:
    """Runs the pipeline and prints the verdict; returns None if nothing was run."""
    # TODO: not for your own data. It does nothing where DATA_PATH is there; it goes with its import and demo_data.py.
    demo_data.write(configs.DATA_PATH)
    project = _project(output_dir)
    # Only where the environment names no ledger.
    project.provide_ledger(
        configs.DATASET_ID,
        epsilon=configs.BUDGET_EPSILON,
        delta=configs.DELTA,
        threshold_delta=configs.BUDGET_THRESHOLD_DELTA,
        population=configs.POPULATION,
    )
    return project.run(create_local_pipeline)


def _project(output_dir: str) -> LocalProject:
    return LocalProject(configs.PIPELINE_NAME, output_dir, configs.LEDGER)


if __name__ == "__main__":
    run()
