"""What the report shows besides the gate's evidence: where the validator ran, and what was charged over time."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.components import _tfma, keys
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import BudgetPoint, Lineage

MAX_POINTS = 500
# Entries after which another amount is charged or allowed.
_CHANGES = ("register", "budget", "reserve", "abort")


def lineage(inputs: Mapping[str, list[types.Artifact]], context: base_executor.BaseExecutor.Context | None) -> Lineage:
    """Where the validator stood in its pipeline.

    Args:
      inputs: The component's inputs.
      context: The executor's; an orchestrator that gives none (Kubeflow) leaves the pipeline unnamed.
    """
    models = inputs.get(keys.MODEL) or []
    node, info = getattr(context, "pipeline_node", None), getattr(context, "pipeline_info", None)
    return Lineage(
        model_uri=models[0].uri if models else None,
        pipeline=None if info is None else info.id or None,
        pipeline_run=getattr(context, "pipeline_run_id", None) or None,
        producers={} if node is None else _producers(node),
    )


def utility(evaluations: Sequence[types.Artifact], baselines: Sequence[types.Artifact]) -> list[Metric]:
    """The task's metrics, for display: no rule looks at them, and whatever is in the way leaves them out.

    Args:
      evaluations: At most one, of the model.
      baselines: At most one, of a model that was trained without privacy.
    """
    values, without = _metrics(evaluations), _metrics(baselines)
    return [Metric(name=name, value=value, baseline=without.get(name)) for name, value in sorted(values.items())]


def _metrics(evaluations: Sequence[types.Artifact]) -> dict[str, float]:
    if len(evaluations) != 1:
        return {}
    try:
        return _tfma.overall_metrics(evaluations[0].uri)
    except Exception as error:  # noqa: BLE001 - a table that is missing is no reason to have no verdict
        logging.warning("The report has no metrics of %s: %s.", evaluations[0].uri, type(error).__name__)
        return {}


def budget_history(source: str | None, evidence: Evidence) -> list[BudgetPoint]:
    """What the run's dataset was charged, after each entry of its ledger that changed it; for a picture.

    No verdict rests on it: whatever is in the way, there is no answer.

    Args:
      source: `env:VARIABLE` with the ledger's address; None without a ledger.
      evidence: Names dataset and blocks.

    Returns:
      The last `MAX_POINTS` points, oldest first.
    """
    run = evidence.ledger
    if source is None or not isinstance(run, LedgerRun):
        return []
    try:
        return _history(source, run)
    except Exception as error:  # noqa: BLE001 - a picture that is missing is no reason to have no verdict
        # The driver's message may hold the address: its kind must do.
        logging.warning("The report has no history of the ledger: %s.", type(error).__name__)
        return []


def _history(source: str, run: LedgerRun) -> list[BudgetPoint]:
    # Database drivers are loaded only where a ledger is used.
    from tfx_privacy.ledger import Ledger, entries, replay

    with Ledger(source) as ledger:
        log = ledger.log(run.dataset_id)
    # What an epsilon costs to compute is spent on the points that are shown alone.
    changes: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=MAX_POINTS)
    datasets = {}  # type: ignore[var-annotated]
    for entry in log:
        dataset = replay.apply(entry, datasets)
        if entry.body.kind not in _CHANGES:
            continue
        known = [dataset.blocks[name].charged for name in entries.block_names(run.blocks) if name in dataset.blocks]
        changes.append((entry, max(known, default=0), dataset.order, dataset.conversion_delta, dataset.epsilon))
    return [
        BudgetPoint(
            sequence=entry.sequence,
            at=entry.at,
            kind=entry.body.kind,
            spent_epsilon=renyi_filter.epsilon_of(order, charged, delta=delta) if charged else 0.0,
            budget_epsilon=budget,
        )
        for entry, charged, order, delta, budget in changes
    ]


def _producers(node: Any) -> dict[str, str]:
    """By input: the nodes that the pipeline's definition says it comes from."""
    return {
        key: ", ".join(sorted({channel.producer_node_query.id for channel in spec.channels}))
        for key, spec in node.inputs.inputs.items()
        if any(channel.producer_node_query.id for channel in spec.channels)
    }
