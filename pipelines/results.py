"""What a run left behind, read from ML Metadata and the file system."""

from __future__ import annotations

import dataclasses
import os

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.components import _files, _tfma
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee import coverage, record
from tfx_privacy.records import statement, strict_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """The latest verdict of a pipeline and what Pusher made of it."""

    blessed: bool
    pushed: bool
    """Whether Pusher recorded a push in ML Metadata."""
    message: str
    epsilon: str
    """As the report states it, rounded up; "infinite" without a mechanism."""
    attack_auc: str
    """The strongest attack with its interval and slice."""
    report: str
    """Path of the HTML report."""
    metrics: dict[str, float]
    """The Evaluator's metrics over all records, by name; empty without an Evaluator."""
    transform_graph: str
    """URI of Transform's graph."""
    transformed_examples: str
    """URI of Transform's examples."""
    covers: str
    """What the one epsilon of the model covers, in a sentence; empty where nothing bounds it."""


def read(metadata_path: str, pipeline_name: str) -> RunResult:
    """Reads the latest run of a pipeline.

    Args:
      metadata_path: SQLite file of ML Metadata.
      pipeline_name: Name of the pipeline.

    Raises:
      EvidenceError: If a component has left no output.
    """
    store = metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(metadata_path))
    validated = latest_outputs(store, pipeline_name, "BudgetValidator")
    pushed = latest_outputs(store, pipeline_name, "Pusher")["pushed_model"]
    transformed = _transformed(store, pipeline_name)
    blessing = validated["blessing"]
    folder = validated["report"].uri
    with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
        verdict = strict_json.loads(file.read())["verdict"]
    found = {rule["rule"]: rule["value"] for rule in verdict["rules"]}
    return RunResult(
        blessed=blessing.custom_properties["blessed"].int_value == 1,
        pushed=pushed.custom_properties["pushed"].int_value == 1,
        message=verdict["message"],
        epsilon=found["epsilon"],
        attack_auc=found["attack_auc"],
        report=os.path.join(folder, "report.html"),
        metrics=_metrics(store, pipeline_name),
        transform_graph=transformed["transform_graph"].uri,
        transformed_examples=transformed["transformed_examples"].uri,
        covers=_covers(latest_outputs(store, pipeline_name, "DPTrainer")["privacy_guarantee"].uri),
    )


def latest_outputs(
    store: metadata_store.MetadataStore, pipeline_name: str, node_id: str
) -> dict[str, metadata_store_pb2.Artifact]:
    """The output artifacts, by key, of the latest finished execution of a node (a cached one counts).

    Raises:
      EvidenceError: If the node never finished in this pipeline.
    """
    node = store.get_context_by_type_and_name("node", f"{pipeline_name}.{node_id}")
    finished = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
    executions = [
        execution
        for execution in (store.get_executions_by_context(node.id) if node else [])
        if execution.last_known_state in finished
    ]
    if not executions:
        raise EvidenceError(f"{node_id} has not finished in pipeline {pipeline_name!r}.")
    latest = max(executions, key=lambda execution: execution.id)
    keys = {
        event.artifact_id: event.path.steps[0].key
        for event in store.get_events_by_execution_ids([latest.id])
        if event.type == metadata_store_pb2.Event.OUTPUT
    }
    return {keys[artifact.id]: artifact for artifact in store.get_artifacts_by_id(list(keys))}


def pushed_models(serving_model_dir: str) -> list[str]:
    """Paths of the models below Pusher's destination, oldest first."""
    if not os.path.isdir(serving_model_dir):
        return []
    versions = sorted(os.listdir(serving_model_dir), key=lambda name: (len(name), name))
    return [os.path.join(serving_model_dir, version) for version in versions]


def _transformed(store: metadata_store.MetadataStore, pipeline_name: str) -> dict[str, metadata_store_pb2.Artifact]:
    try:
        return latest_outputs(store, pipeline_name, "DPTransform")
    except EvidenceError:
        return latest_outputs(store, pipeline_name, "Transform")


def _covers(uri: str) -> str:
    text = _files.read_text(uri, record.FILE_NAME)
    guarantee = statement.from_json(record.PrivacyGuarantee, text)
    words = coverage.covered(guarantee)
    if not words:
        return ""
    epsilon = rounded_up(guarantee.stated_epsilon, trimmed=True)
    return f"epsilon = {epsilon} at delta = {guarantee.target_delta:g} covers {coverage.listed(words)}."


def _metrics(store: metadata_store.MetadataStore, pipeline_name: str) -> dict[str, float]:
    try:
        evaluation = latest_outputs(store, pipeline_name, "Evaluator")["evaluation"]
    except EvidenceError:
        return {}
    return _tfma.overall_metrics(evaluation.uri)
