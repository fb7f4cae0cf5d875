"""Runs a pipeline on this machine: LocalDagRunner, Beam's local runner, metadata and budget in SQLite files."""

from __future__ import annotations

import os

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner

from tfx_privacy import compat
from tfx_privacy.ledger import Ledger


def sqlite_metadata(path: str) -> metadata_store_pb2.ConnectionConfig:
    """Connection to an ML Metadata store in a SQLite file; its folder is created."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    return metadata.sqlite_metadata_connection_config(path)


def sqlite_ledger(
    path: str,
    variable: str,
    dataset_id: str,
    *,
    epsilon: float,
    delta: float,
    population: int,
    approver: str,
    threshold_delta: float = 0.0,
) -> None:
    """Keeps the budget of a demonstration in a SQLite file, for this process and its children.

    Whoever can delete the file has a new budget, so this is not for the data of real people.

    Args:
      path: The file; what is in it already stays.
      variable: Environment variable to set to the ledger's address.
      dataset_id: Name of the dataset in the ledger.
      epsilon: The budget of all trainings together.
      delta: The budget's delta.
      population: Declared number of training records.
      approver: What the ledger names as who decided.
      threshold_delta: What thresholds of private vocabularies may spend of delta.
    """
    os.environ[variable] = f"sqlite:///{os.path.abspath(path)}"
    with Ledger(f"env:{variable}") as ledger:
        ledger.initialise()
        ledger.register(
            dataset_id,
            epsilon=epsilon,
            delta=delta,
            population=population,
            approver=approver,
            threshold_delta=threshold_delta,
        )


def run_locally(tfx_pipeline: pipeline.Pipeline) -> None:
    """Runs a pipeline to its end.

    A refused model is not an error: Pusher ends well and pushes nothing.

    Args:
      tfx_pipeline: A pipeline with a `metadata_connection_config`, e.g. from `sqlite_metadata`.

    Raises:
      Exception: What a failed component raised.
    """
    compat.use_local_beam_runner()
    local_dag_runner.LocalDagRunner().run(tfx_pipeline)
