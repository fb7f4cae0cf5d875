"""What the report takes from where the validator stands, and how a notebook shows it."""

import html
import json
import pathlib
import re
from typing import Any

import evidence
import pytest
import test_budget_validator
import test_charged_and_signed
from test_charged_and_signed import Case

from tfx_privacy.errors import EvidenceError

pytestmark = pytest.mark.slow

case = test_charged_and_signed.case
bench = test_budget_validator.bench


def written(root: pathlib.Path) -> dict[str, Any]:
    return dict(json.loads((root / "report" / "report.json").read_text()))


def test_the_budget_over_time_is_the_ledgers(case: Case) -> None:
    test_charged_and_signed.reserve(case.ledger, "5" * 32)
    case.ledger.abort("5" * 32, reason="not needed")
    assert case.run() == 1, case.bench.message
    found = written(case.bench.root)
    history = found["budget_history"]
    assert [point["kind"] for point in history] == ["register", "reserve", "reserve", "abort"]
    spent = [point["spent_epsilon"] for point in history]
    assert spent[0] == 0.0 < spent[1] == spent[3] < spent[2]
    assert spent[3] == pytest.approx(found["evidence"]["ledger"]["spent_epsilon"])
    assert {point["budget_epsilon"] for point in history} == {8.0}
    assert "What the dataset was charged over time" in (case.bench.root / "report/report.html").read_text()


def test_a_history_that_cannot_be_read_is_none_and_changes_no_verdict(case: Case) -> None:
    from tfx_privacy.components.budget_validator import report_context

    whole = evidence.charged_evidence()
    assert report_context.budget_history("env:NOT_SET", whole) == []
    assert report_context.budget_history(None, whole) == []
    assert report_context.budget_history(test_charged_and_signed.SOURCE, evidence.make_evidence()) == []
    case.ledger.register("other", epsilon=1.0, delta=1e-6, approver="Dana")
    assert case.run() == 1, case.bench.message


def test_an_evaluation_that_cannot_be_read_leaves_the_metrics_out(tmp_path: pathlib.Path) -> None:
    from tfx.types import standard_artifacts

    from tfx_privacy.components.budget_validator import report_context

    empty = standard_artifacts.ModelEvaluation()
    empty.uri = str(tmp_path)
    assert report_context.utility([empty], []) == []
    assert report_context.utility([], [empty]) == []
    assert report_context.utility([empty, empty], []) == []


def test_a_pipeline_run_by_tfx_is_named_with_the_nodes_that_made_the_evidence(
    bench: test_budget_validator.Bench, tmp_path: pathlib.Path
) -> None:
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    from tfx_privacy.components import BudgetValidator

    importers = {
        key: Importer(source_uri=artifact.uri, artifact_type=type(artifact)).with_id(f"the_{key}")
        for key, (artifact,) in bench.inputs.items()
    }
    channels = {key: importer.outputs["result"] for key, importer in importers.items()}
    validator = BudgetValidator(**channels, max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6)
    LocalDagRunner().run(
        pipeline.Pipeline(
            "judged",
            str(tmp_path / "out"),
            components=[*importers.values(), validator],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.db")),
        )
    )
    (path,) = (tmp_path / "out").glob("BudgetValidator/report/*/report.json")
    found = json.loads(path.read_text())
    assert found["verdict"]["blessed"]
    assert found["lineage"]["pipeline"] == "judged"
    assert found["lineage"]["pipeline_run"]
    assert found["lineage"]["model_uri"] == bench.model.uri
    assert found["lineage"]["producers"] == {key: f"the_{key}" for key in bench.inputs}


def test_the_pipeline_and_its_nodes_are_named_where_the_executor_is_told(bench: test_budget_validator.Bench) -> None:
    from tfx.dsl.components.base import base_executor
    from tfx.proto.orchestration import pipeline_pb2

    from tfx_privacy.components.budget_validator import executor

    node = pipeline_pb2.PipelineNode()
    for key, producer in (("model", "DPTrainer"), ("privacy_evaluation", "PrivacyEvaluator")):
        node.inputs.inputs[key].channels.add().producer_node_query.id = producer
    context = base_executor.BaseExecutor.Context(
        pipeline_node=node, pipeline_info=pipeline_pb2.PipelineInfo(id="taxi"), pipeline_run_id="run-7"
    )
    outputs = {"blessing": [bench.blessing], "report": [bench.report]}
    executor.Executor(context).Do(bench.inputs, outputs, test_budget_validator.LIMITS)
    assert bench.verdict() == 1
    assert written(bench.root)["lineage"] == {
        "model_uri": bench.model.uri,
        "pipeline": "taxi",
        "pipeline_run": "run-7",
        "producers": {"model": "DPTrainer", "privacy_evaluation": "PrivacyEvaluator"},
    }


def test_without_a_context_the_pipeline_is_not_stated(bench: test_budget_validator.Bench) -> None:
    assert bench.run() == 1
    assert written(bench.root)["lineage"]["pipeline"] is None
    assert "not stated" in (bench.root / "report/report.html").read_text()


def frames(outputs: list[Any]) -> list[str]:
    """The pages in the frames that a notebook's cell shows."""
    shown = [output.data["text/html"] for output in outputs if "text/html" in output.data]
    found = [re.fullmatch(r"<iframe [^>]*\bsandbox srcdoc=\"([^\"]*)\"[^>]*></iframe>", text) for text in shown]
    return [html.unescape(match[1]) for match in found if match]


def test_a_notebook_runs_the_validator_and_shows_its_report(
    bench: test_budget_validator.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFX's own InteractiveContext, in an IPython shell: the page stands in a frame in which no script may run."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from tfx.orchestration import metadata
    from tfx.orchestration.experimental.interactive.interactive_context import InteractiveContext
    from tfx.types import channel_utils

    from tfx_privacy.components import BudgetValidator
    from tfx_privacy.components.budget_validator import visualization

    shell = InteractiveShell.instance()
    monkeypatch.setattr("builtins.__IPYTHON__", True, raising=False)
    try:
        with capture_output():
            context = InteractiveContext(pipeline_root=str(bench.root / "interactive"))
        with metadata.Metadata(context.metadata_connection_config) as store:
            for (artifact,) in bench.inputs.values():
                artifact.mlmd_artifact.ClearField("id")
                store.publish_artifacts([artifact])
        channels = {key: channel_utils.as_channel(artifacts) for key, artifacts in bench.inputs.items()}
        validator = BudgetValidator(**channels, max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6)
        with capture_output():
            context.run(validator)
        with capture_output() as before:
            context.show(validator.outputs["report"])
        visualization.register()
        visualization.register()
        with capture_output() as captured:
            context.show(validator.outputs["report"])
    finally:
        shell.clear_instance()
    assert frames(before.outputs) == []
    (page,) = frames(captured.outputs)
    (report,) = validator.outputs["report"].get()
    assert page == (pathlib.Path(report.uri) / "report.html").read_text()
    assert "BLESSED" in page


def test_the_command_reads_reports_from_remote_file_systems(bench: test_budget_validator.Bench) -> None:
    """TensorFlow's file system in memory stands for gs://: both are read through TFX's file systems."""
    from click.testing import CliRunner
    from tfx.dsl.io import fileio

    from tfx_privacy.cli import cli

    assert bench.run() == 1
    fileio.makedirs("ram://bucket/report/10")
    with fileio.open("ram://bucket/report/10/report.json", "w") as file:
        file.write((bench.root / "report" / "report.json").read_text())
    result = CliRunner().invoke(cli, ["report", "ram://bucket/report/10"])
    assert result.output.startswith("BLESSED\n")
    assert result.output.endswith("ram://bucket/report/10/report.json\n")
    missing = CliRunner().invoke(cli, ["report", "ram://bucket/report/11"])
    assert isinstance(missing.exception, EvidenceError)
    assert "ram://bucket/report/11/report.json" in str(missing.exception)


def test_a_report_that_was_not_written_is_said_to_be_absent(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.budget_validator import visualization

    shown = visualization.frame(f"{tmp_path}/<b>")
    assert shown.startswith("<p>There is no file")
    assert "<b>" not in shown
