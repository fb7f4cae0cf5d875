"""One way past the gate, and how a rule reports it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tfx.types import channel as channels

from tfx_privacy.pipelines.lint.graph import (
    Elsewhere,
    Graph,
    Node,
    Output,
    origin_of,
)

RUNNERS = ("local", "kubeflow")

ERROR, WARNING = "error", "warning"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One way in which a pipeline gets past the gate, or around it."""

    rule: str
    severity: str
    """"error": a model can be deployed without a verdict on it, or none ever will be; "warning": look at it."""
    node: str
    """Id of the node, after those of the pipelines inside the outermost that it is in."""
    problem: str
    """What is wrong, and why it matters."""
    remedy: str
    """How to mend it."""

    @property
    def message(self) -> str:
        """The problem and the remedy."""
        return f"{self.problem} {self.remedy}"

    def __str__(self) -> str:
        return f"{self.severity}: {self.node}: {self.message} [{self.rule}]"


class Finder:
    """Makes findings on one node."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self._name = graph.name(node)
        self.error = self._with(ERROR)
        self.warning = self._with(WARNING)

    def finding(self, rule: str, severity: str, problem: str, remedy: str) -> Finding:
        """Returns a finding on this node, with a severity that is only known at run time."""
        return Finding(rule=rule, severity=severity, node=self._name, problem=problem, remedy=remedy)

    def _with(self, severity: str) -> Callable[[str, str, str], Finding]:
        return lambda rule, problem, remedy: self.finding(rule, severity, problem, remedy)


def describe(graph: Graph, channel: channels.BaseChannel) -> str:
    """Returns the words for where a channel comes from, as a message names it."""
    return describe_origin(graph, origin_of(channel))


def describe_origin(graph: Graph, origin: Output | Elsewhere | None) -> str:
    """Returns the words for an origin: a node's output, somewhere else, or "not wired"."""
    if origin is None:
        return "not wired"
    return f"{graph.name(origin.node)}'s {origin.key}" if isinstance(origin, Output) else origin.what
