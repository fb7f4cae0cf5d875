"""Rules on the evidence: a verdict rests on guarantee and evaluation of one model of this run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfx.types.standard_artifacts import (
    ModelBlessing,
)

from tfx_privacy.components import BudgetValidator
from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding, describe_origin
from tfx_privacy.pipelines.lint.graph import (
    Graph,
    Node,
    Output,
    inputs_of_type,
)


def check_validator(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a BudgetValidator whose executor or inputs make its verdict worthless."""
    if not roles.is_validator(node):
        if isinstance(node, BudgetValidator):
            yield Finder(graph, node).error(
                "validator-other-executor",
                "This BudgetValidator has another executor, which may bless anything.",
                "Leave the executor as it is.",
            )
        return
    found = Finder(graph, node)
    if node.executor_spec.executor_class is not BudgetValidator.EXECUTOR_SPEC.executor_class:
        yield found.warning(
            "validator-other-executor",
            f"Its executor, {node.executor_spec.executor_class.__name__}, is derived from BudgetValidator's: what it "
            "changes of the verdict cannot be seen.",
            "Leave the executor as it is, or review it.",
        )
    judged = roles.origin_of_input(node, "model")
    yield from _same_trainer(graph, node, judged, found)
    yield from _same_evaluation(graph, node, judged, found)
    yield from _ledger(graph, node, found)


def _same_trainer(graph: Graph, node: Node, judged: Any, found: Finder) -> Iterator[Finding]:
    guarantee = roles.origin_of_input(node, "privacy_guarantee")
    if not (roles.is_made_here(judged) and roles.is_made_here(guarantee)):
        yield found.warning(
            "validator-mixed-evidence",
            f"It cannot be seen that model, {describe_origin(graph, judged)}, and privacy_guarantee, "
            f"{describe_origin(graph, guarantee)}, are of one training run. The gate refuses what does not belong "
            "together.",
            "Wire both to outputs of one DPTrainer.",
        )
    elif judged.node is not guarantee.node:
        yield found.error(
            "validator-mixed-evidence",
            f"model is {describe_origin(graph, judged)}, and privacy_guarantee {describe_origin(graph, guarantee)}: "
            "the guarantee is of another model, and every model will be refused.",
            "Wire both to outputs of one DPTrainer.",
        )


def _same_evaluation(graph: Graph, node: Node, judged: Any, found: Finder) -> Iterator[Finding]:
    """Whatever judged a model (attacks, the Evaluator) must have judged this one."""
    for key in ("privacy_evaluation", "model_blessing"):
        origin = roles.origin_of_input(node, key)
        if origin is None:
            continue
        evaluated = roles.origin_of_input(origin.node, "model") if roles.is_made_here(origin) else None
        if not (isinstance(evaluated, Output) and isinstance(judged, Output)):
            yield found.warning(
                "validator-mixed-evidence",
                f"It cannot be seen which model {key}, {describe_origin(graph, origin)}, is of. The gate refuses what "
                "does not belong together.",
                f"Wire {key} to a node of this pipeline that evaluates the same model.",
            )
        elif evaluated != judged:
            yield found.error(
                "validator-mixed-evidence",
                f"model is {describe_origin(graph, judged)}, but {key} is of {describe_origin(graph, evaluated)}: "
                "every model will be refused.",
                f"Evaluate the model that is judged: wire the same model to {graph.name(origin.node)}.",
            )


def _ledger(graph: Graph, node: Node, found: Finder) -> Iterator[Finding]:
    guarantee = roles.origin_of_input(node, "privacy_guarantee")
    if not isinstance(guarantee, Output) or not roles.is_dp_trainer(guarantee.node):
        return
    trainer = graph.name(guarantee.node)
    charged, checked = guarantee.node.exec_properties.get("ledger"), node.exec_properties.get("ledger")
    if charged == checked:
        return
    if not checked:
        problem = (
            f"{trainer} charges the ledger {charged}, but no ledger is checked here: that the run was charged goes "
            "unseen."
        )
    elif not charged:
        problem = f"The ledger {checked} is checked here, but {trainer} charges none: every model will be refused."
    else:
        problem = f"The ledger {checked} is checked here, but {trainer} charges {charged}: every model will be refused."
    yield found.error("ledger-mismatch", problem, "Give DPTrainer and BudgetValidator the same ledger.")


def check_replayed(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a BudgetValidator whose earlier verdict the cache may return again."""
    if not roles.is_validator(node) or not graph.caches(node):
        return
    found = Finder(graph, node)
    if runner == "kubeflow":
        yield found.error(
            "replayed-verdict",
            "enable_cache is on, and Kubeflow runs no driver that would keep an earlier verdict from being replayed: "
            "it sees neither the clock nor what others spend.",
            "Build the pipeline with enable_cache=False.",
        )
    elif not issubclass(node.driver_class, BudgetValidator.DRIVER_CLASS):
        yield found.error(
            "replayed-verdict",
            f"enable_cache is on, and its driver, {node.driver_class.__name__}, is not BudgetValidator's, which keeps "
            "an earlier verdict from being replayed.",
            "Derive the driver from BudgetValidator.DRIVER_CLASS, or build the pipeline with enable_cache=False.",
        )


def check_evaluator(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """An Evaluator with thresholds, on a model that is judged, whose verdict nobody reads."""
    if not roles.is_evaluator(node) or "threshold" not in str(node.exec_properties.get("eval_config", "")).lower():
        return
    evaluated = roles.origin_of_input(node, "model")
    judges = [
        other
        for other in graph.nodes
        if roles.is_validator(other) and roles.origin_of_input(other, "model") == evaluated
    ]
    conditions = [channel for other in graph.nodes for channel in graph.conditions(other)]
    read = [
        *conditions,
        *(channel for other in judges for channel in inputs_of_type(other, ModelBlessing).values()),
    ]
    if judges and not any(node in graph.possible_producers(channel) for channel in read):
        yield Finder(graph, node).warning(
            "evaluator-blessing-unused",
            f"It has thresholds, but {graph.name(judges[0])} does not read its blessing: a model that fails them is "
            "pushed.",
            "Wire it to BudgetValidator(model_blessing=...), which ANDs it.",
        )
