"""Rules on baselines: no refused model becomes the one to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfx.dsl.components.common import resolver
from tfx.types import channel as channels
from tfx.types.standard_artifacts import (
    ModelBlessing,
)

from tfx_privacy.pipelines.lint import roles
from tfx_privacy.pipelines.lint.finding import Finder, Finding, describe
from tfx_privacy.pipelines.lint.graph import (
    Elsewhere,
    Graph,
    Node,
    is_a,
    origin_of,
    resolved_from,
    resolver_operations,
)

# Operations of resolver functions that follow the lineage of any ModelBlessing.
_LINEAGE_OPERATION, _LINEAGE_POLICIES = "tfx.LatestPolicyModel", (2, 4)


def check_baseline(graph: Graph, node: Node, runner: str) -> Iterator[Finding]:
    """Yields findings on a node that may take a model as baseline though BudgetValidator refused it."""
    found = Finder(graph, node)
    asked = [channel for taken in node.inputs.values() for channel in resolved_from(taken)]
    if isinstance(node, resolver.Resolver):
        asked += [channel for channel in node.inputs.values() if not resolved_from(channel)]
    remedy = "Resolve from Channel(type=ModelBlessing, producer_component_id='{}', output_key='blessing')."
    validators = [other.id for other in graph.nodes if roles.is_validator(other)]
    for channel in asked:
        if not is_a(channel, ModelBlessing):
            continue
        if not _asks_validator(channel, validators):
            yield found.error(
                "baseline-not-ours",
                f"It looks for a blessed model by {describe(graph, channel)}: a model that the Evaluator blessed and "
                "BudgetValidator refused becomes the baseline of the next run.",
                remedy.format(validators[0] if validators else "BudgetValidator"),
            )
        elif runner == "kubeflow":
            yield found.warning(
                "baseline-not-ours",
                "Kubeflow's resolver ignores who gave a blessing: a model that the Evaluator blessed and "
                "BudgetValidator refused becomes the baseline of the next run.",
                "Compile without a baseline.",
            )
    for channel in node.inputs.values():
        for operation in resolver_operations(channel):
            if _follows_any_blessing(operation):
                yield found.error(
                    "baseline-not-ours",
                    "LatestPolicyModel takes any node's blessing: a model that the Evaluator blessed and "
                    "BudgetValidator refused becomes the baseline of the next run.",
                    "Use the policy LATEST_PUSHED, or LatestBlessedModelStrategy with BudgetValidator's blessing.",
                )


def _follows_any_blessing(operation: Any) -> bool:
    name = getattr(operation.op_type, "canonical_name", None)
    return name == _LINEAGE_OPERATION and operation.kwargs.get("policy") in _LINEAGE_POLICIES


def _asks_validator(channel: channels.BaseChannel, validators: list[str]) -> bool:
    if roles.validator_of(channel) is not None:
        return True
    is_query = isinstance(channel, channels.Channel) and isinstance(origin_of(channel), Elsewhere)
    return is_query and channel.producer_component_id in validators and channel.output_key in (None, "", "blessing")
