"""Looks for ways past the gate in how a pipeline is wired, before it runs. docs/lint.md explains every rule.

What can be decided from the graph, no more: what a component does inside is not seen.
"""

from __future__ import annotations

from tfx.orchestration import pipeline as tfx_pipeline

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines.lint.baselines import check_baseline
from tfx_privacy.pipelines.lint.evidence import check_evaluator, check_replayed, check_validator
from tfx_privacy.pipelines.lint.examples import check_attacked_examples, check_canaries
from tfx_privacy.pipelines.lint.exits import check_exit
from tfx_privacy.pipelines.lint.finding import ERROR, RUNNERS, Finding
from tfx_privacy.pipelines.lint.graph import (
    Graph,
)
from tfx_privacy.pipelines.lint.labels import check_label, check_sample
from tfx_privacy.pipelines.lint.makers import check_maker, check_references
from tfx_privacy.pipelines.lint.pushers import check_asynchronous, check_pusher
from tfx_privacy.pipelines.lint.releases import check_unused_release, check_wired_releases
from tfx_privacy.pipelines.lint.trainers import check_trainer
from tfx_privacy.pipelines.lint.unpaid import check_uncovered_analyzers, check_unpaid


def check(pipeline: tfx_pipeline.Pipeline, *, runner: str = "local") -> list[Finding]:
    """Looks for ways past the gate in a pipeline's graph.

    Args:
      pipeline: A pipeline as it is handed to a runner; pipelines inside it are looked into.
      runner: "local" (LocalDagRunner), or "kubeflow" (KubeflowV2DagRunner: Kubeflow Pipelines, Vertex AI).

    Returns:
      What was found, errors first; empty for a pipeline in which nothing is pushed but what a BudgetValidator blessed.

    Raises:
      ParameterError: If `pipeline` is no TFX pipeline, or the runner is unknown.
    """
    _validate.one_of(RUNNERS, runner=runner)
    if not isinstance(pipeline, tfx_pipeline.Pipeline):
        raise ParameterError(f"Expected pipeline={pipeline!r} to be a tfx.orchestration.pipeline.Pipeline.")
    graph = Graph(pipeline)
    findings = [
        finding
        for node in graph.nodes
        for rule in (
            check_pusher,
            check_validator,
            check_trainer,
            check_baseline,
            check_replayed,
            check_evaluator,
            check_attacked_examples,
            check_canaries,
            check_label,
            check_sample,
            check_exit,
            check_maker,
            check_references,
            check_wired_releases,
            check_unused_release,
            check_unpaid,
            check_uncovered_analyzers,
        )
        for finding in rule(graph, node, runner)
    ]
    return sorted(dict.fromkeys([*check_asynchronous(graph), *findings]), key=lambda finding: finding.severity != ERROR)


def require(pipeline: tfx_pipeline.Pipeline, *, runner: str = "local") -> None:
    """Raises if the lint finds an error.

    Raises:
      ParameterError: The errors, one a line.
    """
    errors = [str(finding) for finding in check(pipeline, runner=runner) if finding.severity == ERROR]
    if errors:
        raise ParameterError("The pipeline can get past the gate:\n" + "\n".join(errors))
