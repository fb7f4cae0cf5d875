"""Looks for ways past the gate in how a pipeline is wired, before it runs. docs/lint.md explains every rule.

What can be decided from the graph, no more: what a component does inside is not seen.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from tfx.components import BulkInferrer, Evaluator, InfraValidator
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.components.common import resolver
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import channel as channels
from tfx.types.standard_artifacts import (
    Examples,
    HyperParameters,
    Model,
    ModelBlessing,
)

from tfx_privacy.components import BudgetValidator
from tfx_privacy.components.artifacts import ReferenceModels
from tfx_privacy.pipelines import _graph, _roles
from tfx_privacy.pipelines._graph import Elsewhere, Graph, Node, Output, origin_of
from tfx_privacy.privacy import _validate
from tfx_privacy.privacy.errors import ParameterError

RUNNERS = ("local", "kubeflow")
ERROR, WARNING = "error", "warning"

_USUAL_ORDER = pipeline_pb2.NodeExecutionOptions.ALL_UPSTREAM_NODES_SUCCEEDED
# Operations of resolver functions that follow the lineage of any ModelBlessing.
_LINEAGE_OPERATION, _LINEAGE_POLICIES = "tfx.LatestPolicyModel", (2, 4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One way in which a pipeline gets past the gate, or around it."""

    rule: str
    severity: str
    """"error": a model can be deployed without a verdict on it, or none ever will be; "warning": look at it."""
    node: str
    """Id of the node, after those of the pipelines inside the outermost that it stands in."""
    problem: str
    """What is wrong, and why it matters."""
    remedy: str
    """How to mend it."""

    @property
    def message(self) -> str:
        """The problem and the remedy."""
        return f"{self.problem} {self.remedy}"

    def __str__(self) -> str:
        return f"{self.severity}: {self.node}: {self.message} [{self.rule}]"


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
        for rule in (_pusher, _validator, _trainer, _baseline, _replayed, _evaluator, _exit)
        for finding in rule(graph, node, runner)
    ]
    return sorted(dict.fromkeys([*_asynchronous(graph), *findings]), key=lambda finding: finding.severity != ERROR)


def require(pipeline: tfx_pipeline.Pipeline, *, runner: str = "local") -> None:
    """Raises if the lint finds an error.

    Raises:
      ParameterError: The errors, one a line.
    """
    errors = [str(finding) for finding in check(pipeline, runner=runner) if finding.severity == ERROR]
    if errors:
        raise ParameterError("The pipeline can get past the gate:\n" + "\n".join(errors))


# Pushers.


def _pusher(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    if not _roles.is_pusher(node):
        return
    found = _Finder(graph, node)
    if not _roles.runs(node, pusher_executor.Executor):
        yield found.warning(
            "pusher-other-executor",
            "Its executor is not derived from that of TFX's Pusher, so that it cannot be seen whether it reads the blessing.",
            "Derive it from tfx.components.pusher.executor.Executor and call CheckBlessing.",
        )
    for key in _graph.inputs_of_type(node, ReferenceModels):
        yield found.error(
            "reference-models-leave",
            f"{key} is DPTrainer's reference_models: models trained beside the one that is judged, never to be published.",
            "Push the model alone.",
        )
    blessings = _graph.inputs_of_type(node, ModelBlessing)
    if not blessings:
        condition = (
            " The condition that it stands in is no verdict here: it may ask for anything."
            if graph.conditions(node)
            else ""
        )
        yield found.error(
            "pusher-without-blessing",
            f"No model_blessing is wired: Pusher logs a warning and pushes every model.{condition}",
            "Wire model_blessing=budget_validator.outputs['blessing'].",
        )
        return
    ours = [channel for channel in blessings.values() if _roles.validator_of(channel) is not None]
    if not ours:
        (channel, *_) = blessings.values()
        yield found.error(
            "pusher-blessing-not-ours",
            f"model_blessing is {_describe(graph, channel)}, and not the verdict of a BudgetValidator of this run: epsilon and attacks "
            "are not looked at.",
            "Wire model_blessing=budget_validator.outputs['blessing'], and other blessings to BudgetValidator(model_blessing=...), "
            "which ANDs them.",
        )
        return
    validator = _roles.validator_of(ours[0])
    assert validator is not None
    yield from _other_model(graph, node, validator, found)
    yield from _missing_verdict(graph, node, validator, ours[0], found)


def _other_model(graph: Graph, node: Node, validator: Node, found: _Finder) -> Iterator[Finding]:
    judged = _roles.origin_of_input(validator, "model")
    for key, channel in _roles.pushed_models(node).items():
        pushed = origin_of(channel)
        if not (isinstance(pushed, Output) and pushed == judged):
            yield found.error(
                "pusher-other-model",
                f"{key} is {_describe(graph, channel)}, but {graph.name(validator)} judges {_describe_origin(graph, judged)}: Pusher "
                "reads the verdict and does not look what it is on.",
                "Wire the same output of the same node to both.",
            )


def _missing_verdict(
    graph: Graph, node: Node, validator: Node, blessing: channels.BaseChannel, found: _Finder
) -> Iterator[Finding]:
    def missing(why: str, remedy: str) -> Finding:
        return found.error(
            "verdict-may-be-missing",
            f"{why} Pusher's model_blessing is optional in TFX: where {graph.name(validator)} did not run it finds none, logs a "
            "warning, and pushes.",
            remedy,
        )

    if _graph.is_optional(blessing):
        yield missing("model_blessing is marked as optional.", "Leave out as_optional().")
    options = node.node_execution_options
    if options is not None and options.trigger_strategy != _USUAL_ORDER:
        yield missing("It is run whether or not the nodes before it succeeded.", "Leave the trigger strategy as it is.")
    # Where these did not run there is no model to push, and Pusher fails.
    before_model = [
        ancestor
        for channel in _roles.pushed_models(node).values()
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
                f"{name} stands in a condition or a loop that Pusher does not stand in.",
                f"Put Pusher into the same condition, or take {name} out of it.",
            )
        ancestor_options = ancestor.node_execution_options
        if ancestor_options is not None and ancestor_options.success_optional:
            yield missing(f"{name} may fail without stopping the pipeline.", f"Leave out success_optional of {name}.")
        for key, channel in _graph.required_inputs(ancestor).items():
            if _graph.may_be_empty(channel):
                yield missing(
                    f"{name} does not run where its {key} is not found, which is {_describe(graph, channel)}.",
                    f"Wire {key} of {name} to the output of a node of this pipeline that is no resolver.",
                )


def _stands_in_all(contexts: set[Any], others: set[Any]) -> bool:
    """Whether who stands in `contexts` also stands in `others`; conditions are the same if they ask the same."""

    def same(one: Any, other: Any) -> bool:
        if one is other:
            return True
        both = isinstance(one, conditional.CondContext) and isinstance(other, conditional.CondContext)
        return both and bool(one.predicate.internal_equals(other.predicate))

    return all(any(same(context, other) for context in contexts) for other in others)


def _asynchronous(graph: Graph) -> Iterator[Finding]:
    pushers = [node for node in graph.nodes if _roles.is_pusher(node)]
    for pipeline in graph.pipelines:
        if pushers and pipeline.execution_mode != tfx_pipeline.ExecutionMode.SYNC:
            yield Finding(
                rule="asynchronous-pipeline",
                severity=ERROR,
                node=pipeline.id,
                problem="In an asynchronous pipeline an output is whatever was made last, so that a verdict and a model need not "
                "belong together.",
                remedy="Use ExecutionMode.SYNC.",
            )


# The evidence.


def _validator(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    if not _roles.is_validator(node):
        if isinstance(node, BudgetValidator):
            yield _Finder(graph, node).error(
                "validator-other-executor",
                "This BudgetValidator has another executor, which may bless anything.",
                "Leave the executor as it is.",
            )
        return
    found = _Finder(graph, node)
    if node.executor_spec.executor_class is not BudgetValidator.EXECUTOR_SPEC.executor_class:
        yield found.warning(
            "validator-other-executor",
            f"Its executor, {node.executor_spec.executor_class.__name__}, is derived from BudgetValidator's: what it changes of the "
            "verdict cannot be seen.",
            "Leave the executor as it is, or review it.",
        )
    judged = _roles.origin_of_input(node, "model")
    yield from _same_trainer(graph, node, judged, found)
    yield from _same_evaluation(graph, node, judged, found)
    yield from _ledger(graph, node, found)


def _same_trainer(graph: Graph, node: Node, judged: Any, found: _Finder) -> Iterator[Finding]:
    guarantee = _roles.origin_of_input(node, "privacy_guarantee")
    if not (_roles.is_made_here(judged) and _roles.is_made_here(guarantee)):
        yield found.warning(
            "validator-mixed-evidence",
            f"It cannot be seen that model, {_describe_origin(graph, judged)}, and privacy_guarantee, "
            f"{_describe_origin(graph, guarantee)}, are of one training run. The gate refuses what does not belong together.",
            "Wire both to outputs of one DPTrainer.",
        )
    elif judged.node is not guarantee.node:
        yield found.error(
            "validator-mixed-evidence",
            f"model is {_describe_origin(graph, judged)}, and privacy_guarantee {_describe_origin(graph, guarantee)}: the guarantee is of "
            "another model, and every model will be refused.",
            "Wire both to outputs of one DPTrainer.",
        )


def _same_evaluation(graph: Graph, node: Node, judged: Any, found: _Finder) -> Iterator[Finding]:
    """Whatever judged a model (attacks, the Evaluator) must have judged this one."""
    for key in ("privacy_evaluation", "model_blessing"):
        origin = _roles.origin_of_input(node, key)
        if origin is None:
            continue
        evaluated = _roles.origin_of_input(origin.node, "model") if _roles.is_made_here(origin) else None
        if not (isinstance(evaluated, Output) and isinstance(judged, Output)):
            yield found.warning(
                "validator-mixed-evidence",
                f"It cannot be seen which model {key}, {_describe_origin(graph, origin)}, is of. The gate refuses what does not belong "
                "together.",
                f"Wire {key} to a node of this pipeline that evaluates the same model.",
            )
        elif evaluated != judged:
            yield found.error(
                "validator-mixed-evidence",
                f"model is {_describe_origin(graph, judged)}, but {key} is of {_describe_origin(graph, evaluated)}: every model will be "
                "refused.",
                f"Evaluate the model that is judged: wire the same model to {graph.name(origin.node)}.",
            )


def _ledger(graph: Graph, node: Node, found: _Finder) -> Iterator[Finding]:
    guarantee = _roles.origin_of_input(node, "privacy_guarantee")
    if not isinstance(guarantee, Output) or not _roles.is_dp_trainer(guarantee.node):
        return
    trainer = graph.name(guarantee.node)
    charged, checked = guarantee.node.exec_properties.get("ledger"), node.exec_properties.get("ledger")
    if charged == checked:
        return
    if not checked:
        problem = f"{trainer} charges the ledger {charged}, but no ledger is checked here: that the run was charged goes unseen."
    elif not charged:
        problem = f"The ledger {checked} is checked here, but {trainer} charges none: every model will be refused."
    else:
        problem = f"The ledger {checked} is checked here, but {trainer} charges {charged}: every model will be refused."
    yield found.error("ledger-mismatch", problem, "Give DPTrainer and BudgetValidator the same ledger.")


# Trainers.


def _trainer(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    if not _roles.is_other_trainer(node):
        return
    beside, behind = _reach(graph, node)
    used = [*beside, *behind]
    if not used:
        return
    shares = _shares_data(graph, node)
    pushed = any(_roles.is_pusher(other) for other in beside) or (
        shares and any(_roles.is_pusher(other) for other in behind)
    )
    data = "the same data as DPTrainer" if shares else "other data than DPTrainer"
    if not any(_roles.is_dp_trainer(other) for other in graph.nodes):
        data = "the pipeline's data"
    into = ", ".join(dict.fromkeys(graph.name(other) for other in used))
    yield _Finder(graph, node).finding(
        "trainer-bypasses-dp",
        ERROR if pushed else WARNING,
        f"It learns from {data} without differential privacy, and what it learned goes to {into}: no guarantee covers it"
        f"{', and it reaches a Pusher' if pushed else ''}.",
        "Train with DPTrainer." if shares else "Train with DPTrainer, unless these examples are public.",
    )


def _reach(graph: Graph, trainer: Node) -> tuple[list[Node], list[Node]]:
    """Who takes what a trainer made, and what was made of that: without a DPTrainer on the way, and behind one."""
    beside: list[Node] = []
    behind: list[Node] = []
    waiting = [(trainer, beside)]
    while waiting:
        current, group = waiting.pop()
        group = behind if _roles.is_dp_trainer(current) else group
        for name in (Model, HyperParameters):
            if not _graph.gives(current, name):
                continue
            for consumer in graph.consumers(current, name):
                if consumer is not trainer and consumer not in group:
                    group.append(consumer)
                    waiting.append((consumer, group))
    return beside, behind


def _shares_data(graph: Graph, node: Node) -> bool:
    """Whether a node reads what a DPTrainer reads as well; so it is taken to be where that cannot be seen."""
    sources = _data_sources(graph, node)
    private = [_data_sources(graph, other) for other in graph.nodes if _roles.is_dp_trainer(other)]
    return not private or None in sources or any(None in others or sources & others for others in private)


def _data_sources(graph: Graph, node: Node) -> set[Any]:
    """What a node's examples are made from: folders where these are known, else nodes; None where neither can be seen."""

    def producers(current: Node) -> list[list[Node]]:
        """Of each channel of examples that it takes."""
        return [
            list(graph.possible_producers(channel)) for channel in _graph.inputs_of_type(current, Examples).values()
        ]

    found: set[Any] = set()
    for current in _graph.reached(node, lambda reader: itertools.chain.from_iterable(producers(reader))):
        makers = producers(current)
        if not makers:
            folder = current.exec_properties.get("input_base")
            found.add(folder if isinstance(folder, str) else current)
        elif not all(makers):
            found.add(None)
    return found


# Verdicts of other runs.


def _baseline(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    found = _Finder(graph, node)
    asked = [channel for taken in node.inputs.values() for channel in _graph.resolved_from(taken)]
    if isinstance(node, resolver.Resolver):
        asked += [channel for channel in node.inputs.values() if not _graph.resolved_from(channel)]
    remedy = "Resolve from Channel(type=ModelBlessing, producer_component_id='{}', output_key='blessing')."
    validators = [other.id for other in graph.nodes if _roles.is_validator(other)]
    for channel in asked:
        if not _graph.is_a(channel, ModelBlessing):
            continue
        if not _asks_validator(channel, validators):
            yield found.error(
                "baseline-not-ours",
                f"It looks for a blessed model by {_describe(graph, channel)}: a model that the Evaluator blessed and BudgetValidator "
                "refused becomes the baseline of the next run.",
                remedy.format(validators[0] if validators else "BudgetValidator"),
            )
        elif runner == "kubeflow":
            yield found.warning(
                "baseline-not-ours",
                "Kubeflow's resolver ignores who gave a blessing: a model that the Evaluator blessed and BudgetValidator refused becomes "
                "the baseline of the next run.",
                "Compile without a baseline.",
            )
    for channel in node.inputs.values():
        for operation in _graph.resolver_operations(channel):
            if _follows_any_blessing(operation):
                yield found.error(
                    "baseline-not-ours",
                    "LatestPolicyModel takes any node's blessing: a model that the Evaluator blessed and BudgetValidator refused becomes "
                    "the baseline of the next run.",
                    "Use the policy LATEST_PUSHED, or LatestBlessedModelStrategy with BudgetValidator's blessing.",
                )


def _follows_any_blessing(operation: Any) -> bool:
    name = getattr(operation.op_type, "canonical_name", None)
    return name == _LINEAGE_OPERATION and operation.kwargs.get("policy") in _LINEAGE_POLICIES


def _asks_validator(channel: channels.BaseChannel, validators: list[str]) -> bool:
    if _roles.validator_of(channel) is not None:
        return True
    is_query = isinstance(channel, channels.Channel) and isinstance(origin_of(channel), Elsewhere)
    return is_query and channel.producer_component_id in validators and channel.output_key in (None, "", "blessing")


def _replayed(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    if not _roles.is_validator(node) or not graph.caches(node):
        return
    found = _Finder(graph, node)
    if runner == "kubeflow":
        yield found.error(
            "replayed-verdict",
            "enable_cache is on, and Kubeflow runs no driver that would keep an earlier verdict from being replayed: it sees neither "
            "the clock nor what others spend.",
            "Build the pipeline with enable_cache=False.",
        )
    elif not issubclass(node.driver_class, BudgetValidator.DRIVER_CLASS):
        yield found.error(
            "replayed-verdict",
            f"enable_cache is on, and its driver, {node.driver_class.__name__}, is not BudgetValidator's, which keeps an earlier verdict "
            "from being replayed.",
            "Derive the driver from BudgetValidator.DRIVER_CLASS, or build the pipeline with enable_cache=False.",
        )


# What goes nowhere, and what goes out another way.


def _evaluator(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """An Evaluator with thresholds, on a model that is judged, whose verdict nobody reads."""
    if not _roles.is_evaluator(node) or "threshold" not in str(node.exec_properties.get("eval_config", "")).lower():
        return
    evaluated = _roles.origin_of_input(node, "model")
    judges = [
        other
        for other in graph.nodes
        if _roles.is_validator(other) and _roles.origin_of_input(other, "model") == evaluated
    ]
    conditions = [channel for other in graph.nodes for channel in graph.conditions(other)]
    read = [
        *conditions,
        *(channel for other in judges for channel in _graph.inputs_of_type(other, ModelBlessing).values()),
    ]
    if judges and not any(node in graph.possible_producers(channel) for channel in read):
        yield _Finder(graph, node).warning(
            "evaluator-blessing-unused",
            f"It has thresholds, but {graph.name(judges[0])} does not read its blessing: a model that fails them is pushed.",
            "Wire it to BudgetValidator(model_blessing=...), which ANDs it.",
        )


def _exit(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Models that leave by something else than a pusher."""
    if _roles.is_pusher(node) or _roles.is_privacy_evaluator(node):
        return
    found = _Finder(graph, node)
    taken = _graph.all_inputs(node)
    if any(_graph.is_a(channel, ReferenceModels) for channel in taken):
        yield found.warning(
            "reference-models-leave",
            "It takes DPTrainer's reference_models, which are never to be published.",
            "Wire them to PrivacyEvaluator alone.",
        )
    usual = (*_roles.PASS_ON, Evaluator, InfraValidator, BudgetValidator)
    if (
        isinstance(node, usual)
        or _roles.is_evaluator(node)
        or _roles.is_validator(node)
        or _roles.is_other_trainer(node)
    ):
        return
    if _roles.is_dp_trainer(node) or any(
        _roles.validator_of(each) is not None for each in [*taken, *graph.conditions(node)]
    ):
        return
    makers = {maker for channel in taken if _graph.is_a(channel, Model) for maker in graph.possible_producers(channel)}
    if any(_roles.is_dp_trainer(maker) for maker in makers):
        what = "Its predictions" if isinstance(node, BulkInferrer) else "What it makes of the model"
        yield found.warning(
            "unjudged-exit",
            f"It takes a model without BudgetValidator's verdict. {what} may leave although the model is refused.",
            "Wire model_blessing=budget_validator.outputs['blessing'] if it takes one, or let it run on that condition.",
        )


# Words.


class _Finder:
    """Makes findings on one node."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._name = graph.name(node)
        self.error = self._with(ERROR)
        self.warning = self._with(WARNING)

    def finding(self, rule: str, severity: str, problem: str, remedy: str) -> Finding:
        return Finding(rule=rule, severity=severity, node=self._name, problem=problem, remedy=remedy)

    def _with(self, severity: str) -> Callable[[str, str, str], Finding]:
        return lambda rule, problem, remedy: self.finding(rule, severity, problem, remedy)


def _describe(graph: Graph, channel: channels.BaseChannel) -> str:
    return _describe_origin(graph, origin_of(channel))


def _describe_origin(graph: Graph, origin: Output | Elsewhere | None) -> str:
    if origin is None:
        return "not wired"
    return f"{graph.name(origin.node)}'s {origin.key}" if isinstance(origin, Output) else origin.what
