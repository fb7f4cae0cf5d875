"""Operations of a traced function that no noise hides: what keeps a state under a question, and what reads files.

A question's sensitivity is that of one record alone, so nothing under it may hand a record's value on to another one. What
may have a state there is a list, as of a model's calls (`training.state`); all else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfx_privacy import compat

# They read what was there before the records, or end the run.
_READS = frozenset(
    (
        "HashTable", "HashTableV2", "VarHandleOp", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape",
        "LookupTableFind", "LookupTableFindV2", "LookupTableSizeV2", "LookupTableExportV2", "Assert", "CheckNumerics",
        "CheckNumericsV2", "InitializeTableV2", "InitializeTableFromTextFileV2",
    )
)  # fmt: skip
# Of those, what they read may change where something else in the graph writes.
_CHANGING = frozenset(
    (
        "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "LookupTableFind", "LookupTableFindV2", "LookupTableSizeV2",
        "LookupTableExportV2",
    )
)  # fmt: skip
# Their functions are looked into.
_CALLS = frozenset(
    (
        "PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase",
    )
)  # fmt: skip
# TensorFlow calls these stateless.
_HAND_ON = frozenset(("PyFuncStateless", "BatchFunction", "Batch", "Unbatch"))
_FILES = ("ReadFile", "MatchingFiles", "Restore", "ImmutableConst", "PyFunc", "EagerPyFunc", "InfeedDequeue")
_FILES_WITHIN = ("Dataset", "Reader", "IteratorGetNext")


def with_a_state(operations: Iterable[Any], graph: Any) -> list[str]:
    """Types of the operations that may hand a record's value on to another record, each once.

    Args:
      operations: TensorFlow's, of a graph.
      graph: It; its functions are looked into where an operation calls them.
    """
    functions = _functions(graph)
    return sorted(
        {
            node.op
            for node in _nodes(operations, functions)
            if node.op in _HAND_ON
            or not (node.op in _READS | _CALLS or node.op in functions or compat.is_stateless(node.op))
        }
    )


def read_what_changes(operations: Iterable[Any], graph: Any) -> bool:
    """Whether one of the operations, or of the functions that they call, reads a variable or a table."""
    return any(node.op in _CHANGING for node in _nodes(operations, _functions(graph)))


def _functions(graph: Any) -> dict[str, Any]:
    """Messages of a graph's functions, by name; all of the graph is written down for it."""
    return {function.signature.name: function for function in graph.as_graph_def().library.function}


def _nodes(operations: Iterable[Any], functions: Mapping[str, Any]) -> Iterator[Any]:
    """Messages of the operations, and of all in the functions that they call."""
    seen: set[str] = set()
    waiting = [operation.node_def for operation in operations]
    while waiting:
        node = waiting.pop()
        yield node
        for name in _called(node):
            if name in functions and name not in seen:
                seen.add(name)
                waiting += functions[name].node_def


def that_read_files(graph: Any) -> list[str]:
    """Types of the operations, anywhere in a graph and its functions, that read files while it runs, or run Python."""
    message = graph.as_graph_def()
    types = {node.op for node in message.node} | {
        node.op for function in message.library.function for node in function.node_def
    }
    return sorted(name for name in types if name.startswith(_FILES) or any(part in name for part in _FILES_WITHIN))


def _called(node: Any) -> Iterator[str]:
    yield node.op
    for part in node.attr.values():
        if part.WhichOneof("value") == "func":
            yield part.func.name
        yield from (function.name for function in part.list.func)
