"""What a pipeline shows, when it is built, of the examples that a component is given: whose they are, and how they were split."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from tfx import types
from tfx.proto import example_gen_pb2
from tfx.types import channel as tfx_channel
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from tfx_privacy.components import keys
from tfx_privacy.errors import ParameterError

# Nodes that give examples of the same split for examples of a split, by the output that holds them. By name, because
# components do not import each other; an author's own class is none of these.
_TRANSFORM = ("tfx.components.transform.component", "Transform")
_DP_TRANSFORM = ("tfx_privacy.components.dp_transform.component", "DPTransform")
_PASSING_ON = {
    _TRANSFORM: "transformed_examples",
    _DP_TRANSFORM: "transformed_examples",
    ("tfx_privacy.components.canary_inserter.component", "CanaryInserter"): "examples_with_canaries",
}
_MAX_NODES = 100
_ALLOW_UNCOVERED = "allow_uncovered_analyzers"


def disjoint_for(
    channel: types.BaseChannel, user_id_key: str | None = None, *, beside: Sequence[types.BaseChannel] = ()
) -> Literal["example", "user"] | None:
    """For which privacy unit the splits of some examples are shown to be disjoint.

    TFX's ExampleGen puts a record into a split by a hash: of the record itself, so one record is in one split, or of one
    feature (`partition_feature_name`), so all records with the same value are. Input files of their own for each split
    show nothing, and neither does a node that is not known to leave each record in its split.

    Args:
      channel: Of examples, as a component is given them.
      user_id_key: The feature by which users are told apart, where they are the privacy unit.
      beside: Channels of what was released; they must be of the same ExampleGen, or its splits say nothing of theirs.

    Returns:
      "user" if all records of a user are in one split, "example" if each record is; None where nothing shows either.
    """
    source = _example_gen_of(channel)
    if source is None or any(_example_gen_of(_examples_of(each)) is not source for each in beside):
        return None
    return _drawn_for(source, user_id_key)


def check_transform_graph(channel: types.BaseChannel, transform_graph: types.BaseChannel | None) -> None:
    """Refuses examples that a graph made of which the training would know nothing: what its analyzers took is in each record.

    Args:
      channel: Of examples, as a component is given them.
      transform_graph: As it is given it.

    Raises:
      ParameterError: If they are of different nodes, or the examples went through more than one graph.
    """
    for part in _parts(channel):
        made = list(_transforms_of(part))
        if made and getattr(transform_graph, "producer_component", None) is not made[0]:
            raise ParameterError(
                f"The examples are made by {made[0].id}, and transform_graph is {'not its' if transform_graph else 'not given'}. "
                f"Give {made[0].id}'s transform_graph, or what it took from the records is not accounted for."
            )
        _check_released(
            made[1:], "before they came to another Transform, whose graph does not hold what it took from them"
        )


def check_released(channel: types.BaseChannel) -> None:
    """Refuses examples whose records hold what was taken from others without noise: one record moves all of them.

    Raises:
      ParameterError: If any node but a DPTransform made them.
    """
    for part in _parts(channel):
        _check_released(list(_transforms_of(part)), "so one record moves all others and no noise is enough")


def _check_released(nodes: Sequence[Any], reason: str) -> None:
    for node in nodes:
        if kind(node) != _DP_TRANSFORM or node.exec_properties.get(_ALLOW_UNCOVERED):
            raise ParameterError(
                f"The examples were made by {node.id}, whose analyzers add no noise, {reason}. Give the examples that "
                f"{node.id} was given, or put DPTransform in its place."
            )


def _parts(channel: types.BaseChannel) -> Sequence[types.BaseChannel]:
    """The channels that one is joined of; itself where it is one."""
    return list(channel.channels) if isinstance(channel, tfx_channel.UnionChannel) else [channel]


def _transforms_of(channel: Any) -> Iterator[Any]:
    """The nodes that made examples by a graph, the last first; by their outputs, so an author's own class is one too."""
    for made in _back(channel):
        node = made.producer_component
        if made.output_key == _PASSING_ON[_TRANSFORM] and keys.TRANSFORM_GRAPH in node.outputs:
            yield node
        elif _PASSING_ON.get(kind(node)) != made.output_key:
            return


def transformed_from(channel: types.BaseChannel) -> types.BaseChannel | None:
    """The examples that TFX's own Transform made some examples of, which themselves do not say it.

    Transform hands on neither span nor fingerprint. A run of a pipeline gives it and whoever is wired beside it the same ones.

    Args:
      channel: Of examples, as a component is given them.

    Returns:
      What the first of the Transforms was given; None if no Transform made them.
    """
    source = None
    for made in _back(channel):
        if kind(made.producer_component) != _TRANSFORM or made.output_key != _PASSING_ON[_TRANSFORM]:
            break
        source = _examples_input(made.producer_component)
    return source


def _drawn_for(example_gen: Any, user_id_key: str | None) -> Literal["example", "user"] | None:
    input_config = _config(example_gen, standard_component_specs.INPUT_CONFIG_KEY, example_gen_pb2.Input())
    output_config = _config(example_gen, standard_component_specs.OUTPUT_CONFIG_KEY, example_gen_pb2.Output())
    if input_config is None or output_config is None:
        return None
    # Without splits of the output those of the input are kept, of which each has files of its own.
    if len(input_config.splits) != 1 or not output_config.split_config.splits:
        return None
    feature = output_config.split_config.partition_feature_name
    return "user" if feature and feature == user_id_key else "example"


def _config(example_gen: Any, key: str, config: Any) -> Any:
    """A configuration; None where it is not known before the pipeline runs."""
    found = example_gen.exec_properties.get(key)
    if not isinstance(found, str):
        return None
    try:
        proto_utils.json_to_proto(found, config)
    except Exception:  # noqa: BLE001 - a placeholder, or what TFX itself will refuse
        return None
    return config


def _example_gen_of(channel: Any) -> Any:
    """The ExampleGen that examples come from, through nodes that leave each record in its split; None if there is none."""
    for made in _back(channel):
        if _draws_by_hash(made.producer_component):
            return made.producer_component
        if _PASSING_ON.get(kind(made.producer_component)) != made.output_key:
            return None
    return None


def _back(channel: Any) -> Iterator[Any]:
    """A channel of examples, that of the examples which these were made of, and so on, as far as nodes are known."""
    for _ in range(_MAX_NODES):
        if getattr(channel, "producer_component", None) is None:
            return
        yield channel
        channel = _examples_input(channel.producer_component)


def _examples_of(release: Any) -> Any:
    """The examples that a component was given which gave a release."""
    node = getattr(release, "producer_component", None)
    return None if node is None else _examples_input(node)


def kind(node: Any) -> tuple[str, str]:
    """Module and name of a node's class: components do not import each other."""
    return type(node).__module__, type(node).__name__


def _examples_input(node: Any) -> Any:
    return node.inputs.get(keys.EXAMPLES)


def _draws_by_hash(node: Any) -> bool:
    """Whether a node is an ExampleGen whose executor splits as TFX's does."""
    from tfx.components.example_gen import base_example_gen_executor

    executor = getattr(getattr(node, "executor_spec", None), "executor_class", None)
    if not inspect.isclass(executor):
        return False
    base = base_example_gen_executor.BaseExampleGenExecutor
    # One that overrides either may write a record to several splits.
    return issubclass(executor, base) and all(
        getattr(executor, name, None) is getattr(base, name) for name in ("Do", "GenerateExamplesByBeam")
    )
