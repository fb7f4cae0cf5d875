"""Rules on who makes models, guarantees and attacks: what the gate believes must come from who it believes."""

from __future__ import annotations

from collections.abc import Iterator

from tfx.types.standard_artifacts import Model

from tfx_privacy.components.artifacts import PrivacyEvaluation, PrivacyGuarantee, PrivacyRelease
from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import ERROR, WARNING, Finder, Finding, describe_origin
from tfx_privacy.pipelines.lint.graph import Graph, Node, gives


def check_maker(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a node that makes what only a component of this package can truly make."""
    if isinstance(node, roles.PASS_ON):
        return
    found = Finder(graph, node)
    for type_, is_ours, whose in (
        (PrivacyGuarantee, roles.is_dp_trainer(node), "DPTrainer"),
        (PrivacyEvaluation, roles.is_privacy_evaluator(node), "PrivacyEvaluator"),
        (PrivacyRelease, roles.is_releasing(node), "DPTransform or DPStatisticsGen"),
    ):
        if not gives(node, type_):
            continue
        if not is_ours:
            yield found.error(
                "evidence-not-ours",
                f"It makes a {type_.__name__}, and its executor is not that of {whose}: it may state anything, and the gate "
                "believes what fits together.",
                f"Use {whose}, with the executor that it has.",
            )
        elif not roles.is_usual(node):
            yield found.warning(
                "evidence-not-ours",
                f"Its executor, {node.executor_spec.executor_class.__name__}, is derived from that of {whose}: whether what it "
                "states is still what it did cannot be seen.",
                "Leave the executor as it is, or review it.",
            )
    yield from _own_model(graph, node, found)


def _own_model(graph: Graph, node: Node, found: Finder) -> Iterator[Finding]:
    """A model that DPTrainer did not make; one that was trained on examples is a matter of `trainers`."""
    if not gives(node, Model) or roles.is_dp_trainer(node) or roles.is_other_trainer(node):
        return
    judges = [other for other in graph.nodes if roles.is_validator(other) and _judges(other, node)]
    pushers = [other for other in graph.consumers(node, Model) if roles.is_pusher(other)]
    where = ", ".join(dict.fromkeys(graph.name(other) for other in [*judges, *pushers]))
    yield found.finding(
        "model-not-ours",
        ERROR if where else WARNING,
        "It makes a model without DPTrainer: no guarantee can cover what it did"
        + (f", and the model goes to {where}." if where else "."),
        "Judge and push DPTrainer's own model, and put what is done to it into its module.",
    )


def _judges(validator: Node, node: Node) -> bool:
    origin = roles.origin_of_input(validator, "model")
    return roles.is_made_here(origin) and origin.node is node


def check_references(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on attacks that are calibrated with the reference models of another training run."""
    if not roles.is_privacy_evaluator(node):
        return
    references = roles.origin_of_input(node, "reference_models")
    attacked = roles.origin_of_input(node, "model")
    if references is None or (
        roles.is_made_here(references) and roles.is_made_here(attacked) and references.node is attacked.node
    ):
        return
    found = Finder(graph, node)
    yield found.error(
        "reference-models-of-another",
        f"model is {describe_origin(graph, attacked)}, and reference_models {describe_origin(graph, references)}: they "
        "say nothing of how this model treats records that it has not seen, and make its attacks look weak.",
        "Wire both to outputs of one DPTrainer.",
    )
