"""Which records a node reads, as far as the graph shows it."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from typing import Any

from tfx.types.standard_artifacts import Examples

from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.graph import Graph, Node, inputs_of_type, reached


def makers(graph: Graph, node: Node) -> set[Hashable]:
    """What had a part in a node's examples, but Transform and DPTransform, which leave each record what it is.

    Returns:
      Nodes, those without inputs by what they run and are given; None for what is not seen.
    """
    found, unseen = _readers(graph, node)
    return unseen | {_identity(maker) for maker in found if not roles.is_transform(maker)}


def example_gens(graph: Graph, node: Node) -> set[Hashable]:
    """Of these makers, those that have the records from outside of the pipeline."""
    found, unseen = _readers(graph, node)
    return unseen | {_identity(maker) for maker in found if not inputs_of_type(maker, Examples)}


def sources(graph: Graph, node: Node) -> set[Any]:
    """What a node's examples are made from: folders where these are known, else nodes; None where neither can be seen."""

    def producers(current: Node) -> list[list[Node]]:
        """Of each channel of examples that it takes."""
        return [list(graph.possible_producers(channel)) for channel in inputs_of_type(current, Examples).values()]

    found: set[Any] = set()
    for current in reached(node, lambda reader: itertools.chain.from_iterable(producers(reader))):
        known = producers(current)
        if not known:
            folder = current.exec_properties.get("input_base")
            found.add(folder if isinstance(folder, str) else current)
        elif not all(known):
            found.add(None)
    return found


def share(one: set[Any], other: set[Any]) -> bool:
    """Whether two nodes read the same, by their `sources`; so it is taken to be where that cannot be seen."""
    return None in one or None in other or bool(one & other)


def _readers(graph: Graph, node: Node) -> tuple[list[Node], set[Hashable]]:
    """All that examples of a node went through, and None in a set where something of it is not seen."""
    unseen: set[Hashable] = set()

    def producers(current: Node) -> Iterable[Node]:
        for channel in inputs_of_type(current, Examples).values():
            known = graph.possible_producers(channel)
            if not known:
                unseen.add(None)
            yield from known

    return [maker for maker in reached(node, producers) if maker is not node], unseen


def _identity(node: Node) -> Hashable:
    """The node; of one without inputs what it runs and is given, as two that are alike in that read the same."""
    if node.inputs:
        return node
    executor = getattr(node.executor_spec, "executor_class", None) or str(node.executor_spec)
    return (type(node), executor, str(sorted((key, str(value)) for key, value in node.exec_properties.items())))
