"""Rules on what reads the training's records without noise, beside a training whose epsilon is to cover all of it."""

from __future__ import annotations

from collections.abc import Iterator

from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics, Schema, TransformGraph

from tfx_privacy.components.artifacts import PrivacyRelease
from tfx_privacy.components.dp_transform import executor as dp_transform
from tfx_privacy.pipelines.lint import data, roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding
from tfx_privacy.pipelines.lint.graph import Graph, Node, gives, inputs_of_type, reached
from tfx_privacy.pipelines.lint.releases import made_with

_RULE = "unpaid-preprocessing"
# What is made of all records together.
_FOUND = (ExampleStatistics, Schema, TransformGraph, ExampleAnomalies)


def check_unpaid(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a node that learns from all records without noise, where a DPTrainer's epsilon counts releases."""
    trainers = [other for other in graph.nodes if roles.is_dp_trainer(other) and _claims(graph, other)]
    takes_without_noise = inputs_of_type(node, Examples) and any(gives(node, type_) for type_ in _FOUND)
    if not trainers or not takes_without_noise or roles.gives_release(node):
        return
    for trainer in trainers:
        if not data.share(data.sources(graph, node), data.sources(graph, trainer)):
            continue
        into = [f"{key} of {graph.name(trainer)}" for key in made_with(graph, trainer).get(node, [])]
        into += [graph.name(other) for other in _strangers(graph, node)]
        if into:
            yield Finder(graph, node).warning(
                _RULE,
                f"It reads the records that {graph.name(trainer)} is trained on, adds no noise, and what it finds goes into "
                f"{', '.join(into)}: the model's epsilon does not cover that.",
                _remedy(node),
            )
            return


def check_uncovered_analyzers(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a DPTransform that takes tft's own analyzers too."""
    allowed = roles.is_releasing(node) and node.exec_properties.get(dp_transform.ALLOW_UNCOVERED_KEY)
    if allowed and any(roles.is_dp_trainer(other) for other in graph.nodes):
        yield Finder(graph, node).warning(
            _RULE,
            "allow_uncovered_analyzers is set: what tft's own analyzers find has no noise, and the model's epsilon does not "
            "cover it.",
            "Take the analyzers of tfx_privacy.transform, and leave the argument out.",
        )


def _claims(graph: Graph, trainer: Node) -> bool:
    """Whether a DPTrainer's epsilon is to be of more than its training."""
    wired = inputs_of_type(trainer, PrivacyRelease)
    return bool(wired) or any(roles.gives_release(maker) for maker in made_with(graph, trainer))


def _strangers(graph: Graph, node: Node) -> list[Node]:
    """Nodes of neither TFX nor this package that take what was found of the records: it may leave by them."""

    def takers(current: Node) -> Iterator[Node]:
        if current is not node and (not roles.is_usual(current) or roles.is_dp_trainer(current)):
            return
        for type_ in _FOUND:
            if gives(current, type_):
                yield from graph.consumers(current, type_)

    return [taker for taker in reached(node, takers) if taker is not node and not roles.is_usual(taker)]


def _remedy(node: Node) -> str:
    if gives(node, TransformGraph):
        return (
            "Use DPTransform with the analyzers of tfx_privacy.transform, and wire its privacy_release; a preprocessing_fn that "
            "calls no analyzer may stay as it is."
        )
    return (
        "Use DPStatisticsGen, and wire its privacy_release; or a schema that was written without looking at the records "
        "(ImportSchemaGen)."
    )
