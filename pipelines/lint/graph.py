"""A pipeline as a graph: which node's output a channel really is, and what it takes for a node to run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from tfx.dsl.components.base import base_component, base_node
from tfx.dsl.components.common import resolver
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.input_resolution import resolver_op
from tfx.dsl.placeholder import placeholder
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import artifact, channel_utils, resolved_channel
from tfx.types import channel as channels

Node: TypeAlias = base_node.BaseNode
Type: TypeAlias = type[artifact.Artifact]


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of one node, in the same run of the pipeline."""

    node: Node
    key: str


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """What a channel is that is no single output of the same run."""

    what: str


@dataclasses.dataclass(frozen=True)
class _Place:
    name: str
    pipelines: tuple[tfx_pipeline.Pipeline, ...]
    """Those that the node is in, from the outermost."""


class Graph:
    """All nodes of a pipeline, those of pipelines inside it as well."""

    def __init__(self, pipeline: tfx_pipeline.Pipeline) -> None:
        self._places: dict[Node, _Place] = {}
        self.pipelines: list[tfx_pipeline.Pipeline] = []
        self._enter(pipeline, (pipeline,), "")

    def _enter(
        self, pipeline: tfx_pipeline.Pipeline, enclosing: tuple[tfx_pipeline.Pipeline, ...], prefix: str
    ) -> None:
        self.pipelines.append(pipeline)
        for node in pipeline.components:
            if isinstance(node, tfx_pipeline.Pipeline):
                self._enter(node, (*enclosing, node), f"{prefix}{node.id}.")
            else:
                self._places[node] = _Place(prefix + node.id, enclosing)

    @property
    def nodes(self) -> list[Node]:
        """Every node that does something, in topological order within each pipeline."""
        return list(self._places)

    def __contains__(self, node: Node) -> bool:
        return node in self._places

    def name(self, node: Node) -> str:
        """The node's id, after those of the pipelines inside the outermost that it is in."""
        return self._places[node].name if node in self._places else node.id

    def caches(self, node: Node) -> bool:
        """Whether results of this node may be taken from an earlier run."""
        return any(pipeline.enable_cache for pipeline in self._places[node].pipelines)

    def contexts(self, node: Node) -> set[Any]:
        """Conditions and loops that the node is in."""
        found: set[Any] = set()
        enclosing = self._places[node].pipelines
        for pipeline, inside in zip(enclosing, (*enclosing[1:], node), strict=True):
            registry = pipeline.dsl_context_registry
            found.update(context for context in registry.all_contexts if inside in registry.get_nodes(context))
        return found

    def possible_producers(self, channel: channels.BaseChannel) -> set[Node]:
        """Every node of the pipeline that may have made what the channel holds, in this run or in an earlier one."""
        origin = origin_of(channel)
        if isinstance(origin, Output):
            return {origin.node}
        found: set[Node] = set()
        for part in _parts(channel):
            if part is not channel:
                found |= self.possible_producers(part)
            elif isinstance(part, channels.Channel):
                found.update(node for node in self.nodes if _may_be_asked_for(node, part))
        return found

    def conditions(self, node: Node) -> list[channels.BaseChannel]:
        """The channels that the conditions of a node ask about."""
        asked = [context.predicate for context in self.contexts(node) if isinstance(context, conditional.CondContext)]
        return [channel for predicate in asked for channel in channel_utils.get_dependent_channels(predicate)]

    def consumers(self, node: Node, type_: Type) -> Iterator[Node]:
        """Nodes that may take an output of this type from the node."""
        for other in self.nodes:
            taken = (channel for channel in all_inputs(other) if is_a(channel, type_))
            if any(node in self.possible_producers(channel) for channel in taken):
                yield other

    def required_ancestors(self, node: Node) -> list[Node]:
        """The node, and every node without whose output it does not run."""

        def origins(current: Node) -> list[Node]:
            found = (origin_of(channel) for channel in required_inputs(current).values())
            return [origin.node for origin in found if isinstance(origin, Output)]

        return reached(node, origins)


def reached(start: Node, neighbours: Callable[[Node], Iterable[Node]]) -> list[Node]:
    """The node and all that are reached from it, each once."""
    found: list[Node] = []
    waiting = [start]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.append(current)
            waiting.extend(neighbours(current))
    return found


def origin_of(channel: channels.BaseChannel) -> Output | Elsewhere:
    """The one output that a channel is, through the borders of inner pipelines."""
    if isinstance(channel, channels.PipelineInputChannel | channels.PipelineOutputChannel):
        return origin_of(channel.wrapped)
    if isinstance(channel, channels.OutputChannel):
        if channel.is_async:
            return Elsewhere(f"whatever {channel.producer_component_id} made last, in any run")
        return Output(channel.producer_component, channel.output_key)
    if isinstance(channel, channels.UnionChannel):
        return Elsewhere(f"a union of {len(channel.channels)} channels")
    if isinstance(channel, resolved_channel.ResolvedChannel):
        return Elsewhere("what a resolver finds when the pipeline runs")
    if isinstance(channel, channels.ExternalPipelineChannel):
        return Elsewhere(f"an output of the other pipeline {channel.pipeline_name!r}")
    if isinstance(channel, channels.Channel):
        whose = f"of {channel.producer_component_id!r}" if channel.producer_component_id else "of any node"
        return Elsewhere(f"a query for a {channel.type_name} {whose}, of any run")
    return Elsewhere(f"a {type(channel).__name__}, which is not known here")


def is_optional(channel: channels.BaseChannel) -> bool:
    """Whether the channel is marked as one that may be empty, at whatever border."""
    if channel.is_optional:
        return True
    wraps = isinstance(channel, channels.PipelineInputChannel | channels.PipelineOutputChannel)
    return wraps and is_optional(channel.wrapped)


def may_be_empty(channel: channels.BaseChannel) -> bool:
    """Whether nothing may be found although every node of the pipeline did its work."""
    origin = origin_of(channel)
    return isinstance(origin, Elsewhere) or isinstance(origin.node, resolver.Resolver)


def is_a(channel: channels.BaseChannel, type_: Type) -> bool:
    """Whether a channel holds artifacts of a type; types that were rebuilt from their name are the same."""
    return issubclass(channel.type, type_) or channel.type_name == type_.TYPE_NAME


def inputs_of_type(node: Node, type_: Type) -> dict[str, channels.BaseChannel]:
    """A node's inputs of one artifact type."""
    return {key: channel for key, channel in node.inputs.items() if is_a(channel, type_)}


def gives(node: Node, type_: Type) -> bool:
    """Whether one of the node's outputs is of this artifact type."""
    return any(is_a(channel, type_) for channel in node.outputs.values())


def properties_from(node: Node) -> dict[str, channels.BaseChannel]:
    """The channels whose artifacts a node's execution properties are made of."""
    return {
        key: channel
        for key, value in node.exec_properties.items()
        if isinstance(value, placeholder.Placeholder)
        for channel in channel_utils.get_dependent_channels(value)
    }


def all_inputs(node: Node) -> list[channels.BaseChannel]:
    """A node's inputs, and the channels whose artifacts its execution properties are made of."""
    return [*node.inputs.values(), *properties_from(node).values()]


def required_inputs(node: Node) -> dict[str, channels.BaseChannel]:
    """The channels without which TFX does not run a node. The pipeline goes on without it then, and does not stop."""
    if isinstance(node, resolver.Resolver):
        return {}
    declared = node.spec.INPUTS if isinstance(node, base_component.BaseComponent) else {}
    needed = {
        key: channel
        for key, channel in node.inputs.items()
        if not (channel.is_optional or (key in declared and declared[key].allow_empty))
    }
    return {**needed, **properties_from(node)}


def resolved_from(channel: channels.BaseChannel) -> list[channels.BaseChannel]:
    """The channels that a resolver chooses from; none if this is no resolver's channel."""
    return _parts(channel) if isinstance(channel, resolved_channel.ResolvedChannel) else []


def resolver_operations(channel: channels.BaseChannel) -> Iterator[resolver_op.OpNode]:
    """The operations of a resolver's channel."""
    waiting = [channel.output_node] if isinstance(channel, resolved_channel.ResolvedChannel) else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, resolver_op.OpNode):
            yield node
            waiting.extend(node.args)
        elif isinstance(node, resolver_op.DictNode):
            waiting.extend(node.nodes.values())


def _parts(channel: channels.BaseChannel) -> list[channels.BaseChannel]:
    if isinstance(channel, channels.PipelineInputChannel | channels.PipelineOutputChannel):
        return _parts(channel.wrapped)
    if isinstance(channel, channels.UnionChannel):
        return [part for inner in channel.channels for part in _parts(inner)]
    if isinstance(channel, resolved_channel.ResolvedChannel):
        found: list[channels.BaseChannel] = []
        for node in resolver_op.get_input_nodes(channel.output_node):
            wrapped = node.wrapped
            found.extend(wrapped.values() if isinstance(wrapped, Mapping) else [wrapped])
        return [part for part in found if isinstance(part, channels.BaseChannel)]
    return [channel]


def _may_be_asked_for(node: Node, query: channels.Channel) -> bool:
    """Whether an artifact of the node may answer a query of ML Metadata."""
    named = query.producer_component_id
    return gives(node, query.type) and named in (None, "", node.id)
