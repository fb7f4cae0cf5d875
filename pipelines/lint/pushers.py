"""Rules on pushers: each pushes the model that a BudgetValidator judged, after the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import channel as channels
from tfx.types.standard_artifacts import (
    ModelBlessing,
)

from tfx_privacy.components.artifacts import ReferenceModels
from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import ERROR, Finder, Finding, describe, describe_origin
from tfx_privacy.pipelines.lint.graph import (
    Graph,
    Node,
    Output,
    inputs_of_type,
    is_optional,
    may_be_empty,
    origin_of,
    required_inputs,
)

_USUAL_ORDER = pipeline_pb2.NodeExecutionOptions.ALL_UPSTREAM_NODES_SUCCEEDED


def check_pusher(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a pusher that may push a model without a verdict on that model."""
    if not roles.is_pusher(node):
        return
    found = Finder(graph, node)
    yield from _other_executor(node, found)
    for key in inputs_of_type(node, ReferenceModels):
        yield found.error(
            "reference-models-leave",
            f"{key} is DPTrainer's reference_models: models trained next to the one that is judged, never to be "
            "published.",
            "Push the model alone.",
        )
    blessings = inputs_of_type(node, ModelBlessing)
    if not blessings:
        condition = (
            " The condition around it is no verdict here: it may ask for anything." if graph.conditions(node) else ""
        )
        yield found.error(
            "pusher-without-blessing",
            f"No model_blessing is wired: Pusher logs a warning and pushes every model.{condition}",
            "Wire model_blessing=budget_validator.outputs['blessing'].",
        )
        return
    ours = [channel for channel in blessings.values() if roles.validator_of(channel) is not None]
    if not ours:
        (channel, *_) = blessings.values()
        yield found.error(
            "pusher-blessing-not-ours",
            f"model_blessing is {describe(graph, channel)}, and not the verdict of a BudgetValidator of this run: "
            "epsilon and attacks are not looked at.",
            "Wire model_blessing=budget_validator.outputs['blessing'], and other blessings to "
            "BudgetValidator(model_blessing=...), which ANDs them.",
        )
        return
    validator = roles.validator_of(ours[0])
    assert validator is not None
    yield from _other_model(graph, node, validator, found)
    yield from _missing_verdict(graph, node, validator, ours[0], found)


def _other_executor(node: Node, found: Finder) -> Iterator[Finding]:
    if not roles.runs(node, pusher_executor.Executor):
        yield found.warning(
            "pusher-other-executor",
            "Its executor is not derived from that of TFX's Pusher, so it cannot be seen whether it reads the "
            "blessing.",
            "Derive it from tfx.components.pusher.executor.Executor and call CheckBlessing.",
        )
    elif not roles.is_usual(node):
        yield found.warning(
            "pusher-other-executor",
            f"Its executor, {node.executor_spec.executor_class.__name__}, is derived from that of TFX's Pusher: "
            "whether it still reads the blessing, and what it pushes, cannot be seen.",
            "Use TFX's Pusher or VerifyingPusher, or review the executor.",
        )


def _other_model(graph: Graph, node: Node, validator: Node, found: Finder) -> Iterator[Finding]:
    judged = roles.origin_of_input(validator, "model")
    models = roles.pushed_models(node)
    if not models:
        yield found.error(
            "pusher-other-model",
            f"It gives a PushedModel and takes no model, so what it pushes is not what {graph.name(validator)} judges.",
            "Give it the judged model as an input, or push with TFX's Pusher.",
        )
    for key, channel in models.items():
        pushed = origin_of(channel)
        if not (isinstance(pushed, Output) and pushed == judged):
            yield found.error(
                "pusher-other-model",
                f"{key} is {describe(graph, channel)}, but {graph.name(validator)} judges "
                f"{describe_origin(graph, judged)}: Pusher reads the verdict and does not look what it is on.",
                "Wire the same output of the same node to both.",
            )


def _missing_verdict(
    graph: Graph, node: Node, validator: Node, blessing: channels.BaseChannel, found: Finder
) -> Iterator[Finding]:
    def missing(why: str, remedy: str) -> Finding:
        return found.error(
            "verdict-may-be-missing",
            f"{why} Pusher's model_blessing is optional in TFX: where {graph.name(validator)} did not run it finds "
            "none, logs a warning, and pushes.",
            remedy,
        )

    if is_optional(blessing):
        yield missing("model_blessing is marked as optional.", "Leave out as_optional().")
    options = node.node_execution_options
    if options is not None and options.trigger_strategy != _USUAL_ORDER:
        yield missing("It is run whether or not the nodes before it succeeded.", "Leave the trigger strategy as it is.")
    # Where these did not run there is no model to push, and Pusher fails.
    before_model = [
        ancestor
        for channel in roles.pushed_models(node).values()
        if isinstance(origin := origin_of(channel), Output)
        for ancestor in graph.required_ancestors(origin.node)
    ]
    for ancestor in graph.required_ancestors(validator):
        if ancestor in before_model:
            continue
        name = graph.name(ancestor)
        if ancestor not in graph:
            yield missing(
                f"{name} is not among the pipeline's components.", f"Add {name} to the components of the pipeline."
            )
            continue
        if not _stands_in_all(graph.contexts(node), graph.contexts(ancestor)):
            yield missing(
                f"{name} is inside a condition or a loop that Pusher is not inside.",
                f"Put Pusher into the same condition, or take {name} out of it.",
            )
        ancestor_options = ancestor.node_execution_options
        if ancestor_options is not None and ancestor_options.success_optional:
            yield missing(f"{name} may fail without stopping the pipeline.", f"Leave out success_optional of {name}.")
        for key, channel in required_inputs(ancestor).items():
            if may_be_empty(channel):
                yield missing(
                    f"{name} does not run where its {key} is not found, which is {describe(graph, channel)}.",
                    f"Wire {key} of {name} to the output of a node of this pipeline that is no resolver.",
                )


def _stands_in_all(contexts: set[Any], others: set[Any]) -> bool:
    """Whether who is inside `contexts` is also inside `others`; conditions are the same if they ask the same."""

    def same(one: Any, other: Any) -> bool:
        if one is other:
            return True
        both = isinstance(one, conditional.CondContext) and isinstance(other, conditional.CondContext)
        return both and bool(one.predicate.internal_equals(other.predicate))

    return all(any(same(context, other) for context in contexts) for other in others)


def check_asynchronous(graph: Graph) -> Iterator[Finding]:
    """Yields a finding for each pipeline that has a pusher and does not run node after node."""
    pushers = [node for node in graph.nodes if roles.is_pusher(node)]
    for pipeline in graph.pipelines:
        if pushers and pipeline.execution_mode != tfx_pipeline.ExecutionMode.SYNC:
            yield Finding(
                rule="asynchronous-pipeline",
                severity=ERROR,
                node=pipeline.id,
                problem=(
                    "In an asynchronous pipeline an output is whatever was made last, so a verdict and a model need "
                    "not belong together."
                ),
                remedy="Use ExecutionMode.SYNC.",
            )
