"""Runs a pipeline on this machine: LocalDagRunner, Beam's DirectRunner, SQLite metadata."""

from __future__ import annotations

import os

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner


def sqlite_metadata(path: str) -> metadata_store_pb2.ConnectionConfig:
    """Connection to an ML Metadata store in a SQLite file; its folder is created."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    return metadata.sqlite_metadata_connection_config(path)


def run_locally(tfx_pipeline: pipeline.Pipeline) -> None:
    """Runs a pipeline to its end.

    A refused model is not an error: Pusher ends well and pushes nothing.

    Args:
      tfx_pipeline: A pipeline with a `metadata_connection_config`, e.g. from `sqlite_metadata`.

    Raises:
      Exception: What a failed component raised.
    """
    local_dag_runner.LocalDagRunner().run(tfx_pipeline)
