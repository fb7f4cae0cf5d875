"""Rule on examples: the attack is on the records that the model was trained on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from tfx.components import Transform
from tfx.components.transform import executor as transform_executor
from tfx.types.standard_artifacts import Examples

from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding
from tfx_privacy.pipelines.lint.graph import Graph, Node, Output, inputs_of_type, reached

_RULE = "attack-on-other-examples"


def check_attacked_examples(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a PrivacyEvaluator whose examples are not what the model's trainer reads."""
    if not roles.is_privacy_evaluator(node):
        return
    model = roles.origin_of_input(node, "model")
    if not isinstance(model, Output) or not roles.is_dp_trainer(model.node):
        return
    found, trainer = Finder(graph, node), graph.name(model.node)
    remedy = f"Wire examples to what {trainer} reads, or to what its Transform makes that from."
    attacked, trained = _makers(graph, node), _makers(graph, model.node)
    if None in attacked or None in trained:
        yield found.warning(
            _RULE,
            f"It cannot be seen whether its examples are what {trainer} reads. The gate refuses an attack on records "
            "that the model was not trained on.",
            remedy,
        )
    elif attacked != trained:
        yield found.error(
            _RULE,
            f"Its examples are not what {trainer} reads: the attack is on records that the model was not trained on, and "
            "every model will be refused.",
            remedy,
        )


def check_canaries(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a PrivacyEvaluator that looks for canaries in a model that never saw them."""
    if not roles.is_privacy_evaluator(node):
        return
    model, canaries = (roles.origin_of_input(node, key) for key in ("model", "canaries"))
    if not isinstance(model, Output) or not roles.is_dp_trainer(model.node) or not roles.is_made_here(canaries):
        return
    trained = _makers(graph, model.node)
    if None not in trained and canaries.node not in trained:
        trainer, inserter = graph.name(model.node), graph.name(canaries.node)
        yield Finder(graph, node).error(
            "canaries-not-trained-on",
            f"It looks for the canaries of {inserter}, but {trainer} does not read its examples_with_canaries: no model "
            "has seen them, and what is found of them shows nothing.",
            f"Wire {inserter}'s examples_with_canaries to what {trainer} reads, or leave out canaries.",
        )


def _makers(graph: Graph, node: Node) -> set[Hashable]:
    """What had a part in a node's examples, but Transform, whose graph the evaluator applies; None for what is not seen."""
    unseen: set[Hashable] = set()

    def makers(current: Node) -> Iterable[Node]:
        for channel in inputs_of_type(current, Examples).values():
            producers = graph.possible_producers(channel)
            if not producers:
                unseen.add(None)
            yield from producers

    return unseen | {
        _identity(maker) for maker in reached(node, makers) if maker is not node and not _transforms(maker)
    }


def _transforms(node: Node) -> bool:
    return isinstance(node, Transform) or roles.runs(node, transform_executor.Executor)


def _identity(node: Node) -> Hashable:
    """The node; of one without inputs what it runs and is given, as two that are alike in that read the same."""
    if node.inputs:
        return node
    executor = getattr(node.executor_spec, "executor_class", None) or str(node.executor_spec)
    return (type(node), executor, str(sorted((key, str(value)) for key, value in node.exec_properties.items())))
