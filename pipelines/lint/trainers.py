"""Rules on other trainers that read the same records."""

from __future__ import annotations

from collections.abc import Iterator

from tfx.types.standard_artifacts import HyperParameters, Model

from tfx_privacy.pipelines.lint import data, roles
from tfx_privacy.pipelines.lint.finding import ERROR, WARNING, Finder, Finding
from tfx_privacy.pipelines.lint.graph import Graph, Node, gives


def check_trainer(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields a finding on a trainer without differential privacy whose model or hyperparameters are used."""
    if not roles.is_other_trainer(node):
        return
    beside, behind = _reach(graph, node)
    used = [*beside, *behind]
    if not used:
        return
    shares = _shares_data(graph, node)
    pushed = any(roles.is_pusher(other) for other in beside) or (
        shares and any(roles.is_pusher(other) for other in behind)
    )
    records = "the same data as DPTrainer" if shares else "other data than DPTrainer"
    if not any(roles.is_dp_trainer(other) for other in graph.nodes):
        records = "the pipeline's data"
    into = ", ".join(dict.fromkeys(graph.name(other) for other in used))
    yield Finder(graph, node).finding(
        "trainer-bypasses-dp",
        ERROR if pushed else WARNING,
        f"It learns from {records} without differential privacy, and what it learned goes to {into}: no guarantee covers "
        f"it{', and it reaches a Pusher' if pushed else ''}.",
        "Train with DPTrainer." if shares else "Train with DPTrainer, unless these examples are public.",
    )


def _reach(graph: Graph, trainer: Node) -> tuple[list[Node], list[Node]]:
    """Who takes what a trainer made, and what was made of that: without a DPTrainer on the way, and behind one."""
    beside: list[Node] = []
    behind: list[Node] = []
    waiting = [(trainer, beside)]
    while waiting:
        current, group = waiting.pop()
        group = behind if roles.is_dp_trainer(current) else group
        for name in (Model, HyperParameters):
            if not gives(current, name):
                continue
            for consumer in graph.consumers(current, name):
                if consumer is not trainer and consumer not in group:
                    group.append(consumer)
                    waiting.append((consumer, group))
    return beside, behind


def _shares_data(graph: Graph, node: Node) -> bool:
    """Whether a node reads what a DPTrainer reads as well; so it is taken to be where that cannot be seen."""
    sources = data.sources(graph, node)
    private = [data.sources(graph, other) for other in graph.nodes if roles.is_dp_trainer(other)]
    return not private or any(data.share(sources, others) for others in private)
