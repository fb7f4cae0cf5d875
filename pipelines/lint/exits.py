"""Rules on models that leave by something else than a pusher."""

from __future__ import annotations

from collections.abc import Iterator

from tfx.components import BulkInferrer, Evaluator, InfraValidator
from tfx.dsl.experimental.conditionals import conditional
from tfx.types import channel as channels
from tfx.types.standard_artifacts import Model

from tfx_privacy.components import BudgetValidator
from tfx_privacy.components.artifacts import ReferenceModels
from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding, describe
from tfx_privacy.pipelines.lint.graph import Graph, Node, all_inputs, is_a, origin_of


def check_exit(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a node through which a model, or what it learned, leaves without its verdict."""
    if roles.is_pusher(node) or roles.is_privacy_evaluator(node):
        return
    found = Finder(graph, node)
    taken = all_inputs(node)
    if any(is_a(channel, ReferenceModels) for channel in taken):
        yield found.warning(
            "reference-models-leave",
            "It takes DPTrainer's reference_models, which are never to be published.",
            "Wire them to PrivacyEvaluator alone.",
        )
    usual = (*roles.PASS_ON, Evaluator, InfraValidator, BudgetValidator)
    if isinstance(node, usual) or roles.is_evaluator(node) or roles.is_validator(node) or roles.is_other_trainer(node):
        return
    if not roles.is_dp_trainer(node):
        yield from _unjudged(graph, node, taken, found)


def _unjudged(graph: Graph, node: Node, taken: list[channels.BaseChannel], found: Finder) -> Iterator[Finding]:
    verdicts = {
        validator
        for channel in [*taken, *graph.conditions(node)]
        if (validator := roles.validator_of(channel)) is not None
    }
    what = "Its predictions" if isinstance(node, BulkInferrer) else "What it makes of the model"
    for channel in taken:
        makers = graph.possible_producers(channel) if is_a(channel, Model) else set()
        if not any(roles.is_dp_trainer(maker) for maker in makers):
            continue
        on_it = [one for one in verdicts if roles.origin_of_input(one, "model") == origin_of(channel)]
        if not verdicts:
            yield found.warning(
                "unjudged-exit",
                f"It takes a model without BudgetValidator's verdict. {what} may leave although the model is refused.",
                "Wire model_blessing=budget_validator.outputs['blessing'] if it takes one, or let it run on that "
                "condition.",
            )
        elif not on_it:
            judged = ", ".join(sorted(graph.name(one) for one in verdicts))
            yield found.error(
                "exit-other-verdict",
                f"It takes {describe(graph, channel)}, and the verdict that it waits for, of {judged}, is on another "
                f"model. {what} may leave although the model is refused.",
                "Use the verdict of the BudgetValidator that judges this very model.",
            )
        elif not any(_waits_for(graph, node, taken, one) for one in on_it):
            yield found.warning(
                "unjudged-exit",
                f"Its condition is about {graph.name(on_it[0])}'s blessing, and is not blessed == 1 as far as can be "
                f"seen. {what} may leave although the model is refused.",
                "Use Cond(blessing.future()[0].custom_property('blessed') == 1), and nest further conditions.",
            )


def _waits_for(graph: Graph, node: Node, taken: list[channels.BaseChannel], validator: Node) -> bool:
    """Whether a node takes a verdict, which it then reads itself, or runs only if the verdict is yes."""
    if any(roles.validator_of(channel) is validator for channel in taken):
        return True
    contexts = [context for context in graph.contexts(node) if isinstance(context, conditional.CondContext)]
    asked = [channel for channel in graph.conditions(node) if roles.validator_of(channel) is validator]
    return any(_asks_for_yes(context, channel) for context in contexts for channel in asked)


def _asks_for_yes(context: conditional.CondContext, blessing: channels.BaseChannel) -> bool:
    future = blessing.future()
    yes = [future[0].custom_property("blessed") == 1, future.custom_property("blessed") == 1]
    return any(context.predicate.internal_equals(each) for each in yes)
