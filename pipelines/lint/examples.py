"""Rule on examples: the attack is on the records that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.pipelines.lint import data, roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding
from tfx_privacy.pipelines.lint.graph import Graph, Node, Output

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
    attacked, trained = data.makers(graph, node), data.makers(graph, model.node)
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
    trained = data.makers(graph, model.node)
    if None not in trained and canaries.node not in trained:
        trainer, inserter = graph.name(model.node), graph.name(canaries.node)
        yield Finder(graph, node).error(
            "canaries-not-trained-on",
            f"It looks for the canaries of {inserter}, but {trainer} does not read its examples_with_canaries: no model "
            "has seen them, and what is found of them shows nothing.",
            f"Wire {inserter}'s examples_with_canaries to what {trainer} reads, or leave out canaries.",
        )
