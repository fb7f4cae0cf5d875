"""Rules on what an attack compares: the label, and the records' features, must be those that were trained on."""

from __future__ import annotations

from collections.abc import Iterator

from tfx_privacy.components.privacy_evaluator.heads import HeadSpec, parse_heads
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate.rules.attacks import MIN_CONTROL, MIN_CONTROL_OF_MANY
from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding, describe_origin
from tfx_privacy.pipelines.lint.graph import Graph, Node, Output

_RULE = "attack-on-other-label"


def check_label(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a PrivacyEvaluator that compares the model's outputs with something else than it was trained on."""
    if not roles.is_privacy_evaluator(node):
        return
    model = roles.origin_of_input(node, "model")
    if not isinstance(model, Output) or not roles.is_dp_trainer(model.node):
        return
    found = Finder(graph, node)
    yield from _label(graph, node, model.node, found)
    yield from _features(graph, node, model.node, found)


def check_sample(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a PrivacyEvaluator whose sample is too small to show anything."""
    if not roles.is_privacy_evaluator(node):
        return
    size = node.exec_properties.get("sample_size")
    if isinstance(size, int) and size < MIN_CONTROL:
        yield Finder(graph, node).warning(
            "attack-on-few-records",
            f"sample_size={size} records per side are too few for attacks that learn, and for the control that tells a "
            "leak from splits that differ.",
            f"Leave out sample_size, or set it to at least {MIN_CONTROL_OF_MANY}: the gate demands that where a side has as "
            "many records.",
        )


def _label(graph: Graph, node: Node, trainer: Node, found: Finder) -> Iterator[Finding]:
    trained, name = trainer.exec_properties.get("label_key"), graph.name(trainer)
    heads = _heads(node)
    if any(head.task == "loss" for head in heads):
        yield found.warning(
            _RULE,
            f"task='loss' takes an output for a loss, and compares it with no label. If {name}'s loss reads a label, the "
            "gate refuses, unless its policy names 'loss' in required_tasks.",
            "Leave out task, unless the output is each record's loss.",
        )
    others = sorted({head.label_key for head in heads if head.label_key} - {trained})
    # One name says nothing of several outputs, whose labels come from an input_fn.
    if isinstance(trained, str) and trained and len(heads) == 1 and others:
        yield found.error(
            _RULE,
            f"It compares the model's output with the label {others[0]!r}, but {name} has label_key={trained!r}: an attack "
            "with another label finds nothing, and every model will be refused.",
            f"Leave out label_key: {name}'s model names it.",
        )


def _heads(node: Node) -> tuple[HeadSpec, ...]:
    try:
        return parse_heads(node.exec_properties.get("heads", ""))
    except (ParameterError, TypeError):
        return ()  # known at run time alone


def _features(graph: Graph, node: Node, trainer: Node, found: Finder) -> Iterator[Finding]:
    name = graph.name(trainer)
    own, theirs = (roles.origin_of_input(each, "transform_graph") for each in (node, trainer))
    if own is not None and theirs is not None:
        if own != theirs:
            make = found.error if isinstance(own, Output) and isinstance(theirs, Output) else found.warning
            yield make(
                _RULE,
                f"Its transform_graph is {describe_origin(graph, own)}, and {name}'s is {describe_origin(graph, theirs)}: "
                "its labels may be others than those trained on.",
                f"Wire the transform_graph that {name} has.",
            )
    elif own is not None or theirs is not None:
        has, lacks = (graph.name(node), name) if theirs is None else (name, graph.name(node))
        yield found.warning(
            _RULE,
            f"{has} has a transform_graph, and {lacks} has none: a label of the transformed features and one of the "
            "examples are two labels, whatever their names.",
            "Wire the same transform_graph to both, or to none.",
        )
    else:
        own, theirs = (roles.origin_of_input(each, "schema") for each in (node, trainer))
        if own is not None and theirs is not None and own != theirs:
            yield found.warning(
                _RULE,
                f"Its schema is {describe_origin(graph, own)}, and {name}'s is {describe_origin(graph, theirs)}: the "
                "examples may be read in another way than they were trained on.",
                f"Wire the schema that {name} has.",
            )
