"""Runs the pipeline on this machine: `python local_runner.py`, or `tfx run create --engine=local`."""

from __future__ import annotations

import os

import rich.console
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

import demo_data
from pipeline import configs, pipeline
from tfx_privacy.errors import EvidenceError
from tfx_privacy.ledger import Ledger
from tfx_privacy.pipelines import lint, progress, results


def create_local_pipeline(output_dir: str = configs.OUTPUT_DIR) -> Pipeline:
    """The pipeline with everything that it writes below `output_dir`."""
    metadata_path = _metadata_path(output_dir)
    os.makedirs(os.path.dirname(metadata_path), exist_ok=True)
    return pipeline.create_pipeline(
        pipeline_name=configs.PIPELINE_NAME,
        pipeline_root=os.path.join(output_dir, "tfx_pipeline_output", configs.PIPELINE_NAME),
        data_path=configs.DATA_PATH,
        serving_model_dir=_serving_model_dir(output_dir),
        module_file=configs.MODULE_FILE,
        # A training that did not change is not charged again.
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(metadata_path),
    )


def run(output_dir: str = configs.OUTPUT_DIR) -> results.RunResult | None:
    """Runs the pipeline and prints the verdict; returns None if nothing was run."""
    demo_data.write(configs.DATA_PATH)
    use_ledger(output_dir)
    before = _latest_result(output_dir)
    log = os.path.join(output_dir, "local_run.log")
    print(f"Logs of TFX, TensorFlow and Beam: {log}")
    with progress.output_in_file(log) as terminal, progress.component_times(rich.console.Console(file=terminal)):
        local_pipeline = create_local_pipeline(output_dir)
        lint.require(local_pipeline)
        LocalDagRunner().run(local_pipeline)
    result = _latest_result(output_dir)
    # Each run judges anew, in a folder of its own. `tfx pipeline create` puts a function that does nothing in the runner's place.
    if result is None or (before is not None and result.report == before.report):
        print("Nothing was run: the pipeline was only registered.")
        return None
    _show(result, output_dir)
    return result


def use_ledger(output_dir: str) -> None:
    """Without a ledger in the environment, keeps the demonstration's budget in a file."""
    variable = configs.LEDGER.removeprefix("env:")
    if os.environ.get(variable):
        return
    path = os.path.join(os.path.abspath(output_dir), "privacy_ledger.db")
    os.environ[variable] = f"sqlite:///{path}"
    with Ledger(configs.LEDGER) as ledger:
        ledger.initialise()
        ledger.register(
            configs.DATASET_ID,
            epsilon=configs.BUDGET_EPSILON,
            delta=configs.DELTA,
            population=configs.POPULATION,
            approver="local_runner.py",
        )


def _show(result: results.RunResult, output_dir: str) -> None:
    print(f"\n{'BLESSED' if result.blessed else 'NOT BLESSED'}. {result.message}")
    print(f"epsilon           {result.epsilon}")
    print(f"strongest attack  {result.attack_auc}")
    print(f"report            {result.report}")
    models = results.pushed_models(_serving_model_dir(output_dir))
    print(f"pushed            {models[-1] if result.pushed and models else 'nothing'}")
    print(f"budget            {configs.LEDGER.removeprefix('env:')}={_ledger_address()} tfx-privacy ledger show")


def _ledger_address() -> str:
    """The address of a file; that of a server may hold a password."""
    address = os.environ[configs.LEDGER.removeprefix("env:")]
    return address if address.startswith("sqlite:") else "..."


def _latest_result(output_dir: str) -> results.RunResult | None:
    if not os.path.exists(_metadata_path(output_dir)):
        return None
    try:
        return results.read(_metadata_path(output_dir), configs.PIPELINE_NAME)
    except EvidenceError:
        return None  # no run has ended yet


def _metadata_path(output_dir: str) -> str:
    return os.path.join(output_dir, "tfx_metadata", configs.PIPELINE_NAME, "metadata.db")


def _serving_model_dir(output_dir: str) -> str:
    return os.path.join(output_dir, "tfx_pipeline_output", configs.PIPELINE_NAME, "serving_model")


if __name__ == "__main__":
    run()
