"""Who asks, for people who read the ledger's log: the names that the orchestrator gives an execution."""

from __future__ import annotations

from typing import Any

_MAX_LABEL = 200


def of(context: Any) -> dict[str, str]:
    """Labels of an executor's context; none without one."""
    if context is None:
        return {}
    found = {
        "pipeline": context.pipeline_info.id if context.pipeline_info else "",
        "pipeline_run_id": context.pipeline_run_id or "",
        "node": context.pipeline_node.node_info.id if context.pipeline_node else "",
        "execution_id": context._unique_id or "",
    }
    return {name: str(value)[:_MAX_LABEL] for name, value in found.items() if value}
