"""Refuses calls that keep something: one record would reach all later ones, and the saved model, without noise.

The operations that may have a state are a list: reads of variables and tables, random ones, and calls of other functions,
which are looked into. Whatever writes, prints, summarizes or runs Python is not on it. Random generators count their
draws; they may, as long as the count is no function of the records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.errors import ModelError
from tfx_privacy.training import keras_api

_READS = frozenset(
    (
        "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp", "DisableCopyOnRead",
        "LookupTableFindV2", "LookupTableSizeV2", "LookupTableExportV2",
    )
)  # fmt: skip
# Their state is a seed of TensorFlow's own. Not among them: LearnedUnigramCandidateSampler, which learns from what it sees.
_RANDOM = frozenset(
    (
        "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "ParameterizedTruncatedNormal",
        "RandomGamma", "RandomPoisson", "RandomPoissonV2", "RandomShuffle", "RandomCrop", "Multinomial",
        "NonDeterministicInts", "SampleDistortedBoundingBox", "SampleDistortedBoundingBoxV2", "StatelessRandomGetAlg",
        "UniformCandidateSampler", "LogUniformCandidateSampler", "FixedUnigramCandidateSampler", "AllCandidateSampler",
        "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3", "CudnnRNNBackprop", "CudnnRNNBackpropV2", "CudnnRNNBackpropV3",
    )
)  # fmt: skip
# Checks: they may end the run, and keep nothing.
_CHECKS = frozenset(("Assert", "CheckNumerics", "CheckNumericsV2", "GuaranteeConst"))
_CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall"))
_LOOPS = frozenset(("While", "StatelessWhile"))
_BRANCHES = frozenset(("If", "StatelessIf", "Case", "StatelessCase"))
# Draws from a tf.random.Generator, and what Keras 3's seed generators do.
_DRAWS = frozenset(
    (
        "RngReadAndSkip", "RngSkip", "StatefulUniform", "StatefulUniformInt", "StatefulUniformFullInt",
        "StatefulStandardNormal", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulRandomBinomial",
    )
)  # fmt: skip
_ASSIGNMENTS = frozenset(("AssignVariableOp", "AssignAddVariableOp"))
# TensorFlow does not call these stateful, although they hand on what they see; those of a batch join what runs at once, and
# with it the records that a loop takes one after the other.
_HAND_ON = frozenset((
    "PyFuncStateless", "Copy", "CopyHost", "DebugIdentity", "DebugNanCount", "DebugNumericSummary",
    "BatchFunction", "Batch", "Unbatch",
))  # fmt: skip
# The number of records in a chunk is fixed, so shapes are no function of them.
_SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank"))
_PASS_ON = frozenset(("Identity", "IdentityN", "Enter", "Switch", "Merge"))
_REMEDIES = (
    (
        ("Py", "EagerPy"),
        "runs Python code in the graph (tf.py_function), which may keep what it saw: use TensorFlow's functions",
    ),
    (("Print",), "prints values of records: remove tf.print"),
    (
        ("WriteSummary", "WriteScalar", "WriteHistogram", "WriteImage", "WriteAudio", "WriteRaw"),
        "writes summaries of records: remove tf.summary",
    ),
    (("LookupTable", "InitializeTable"), "changes a lookup table: make tables of constants, before the call"),
    (tuple(_DRAWS), "draws random numbers as often as the records say: draw the same number for every record"),
    (
        ("Assign", "Resource"),
        "writes to a variable: remove what keeps statistics or counts (a seed generator is an attribute of its layer)",
    ),
)
_REMEDY = "may keep or hand on what it sees: leave it out, or move it into preprocessing_fn or input_fn"


@contextlib.contextmanager
def nothing_kept(model: Any) -> Iterator[None]:
    """Surrounds calls of a model while a graph is made of them, and looks at what was added to it.

    Raises:
      ModelError: If an operation keeps or hands on what it sees. Nothing has run then.
    """
    graph = tf.compat.v1.get_default_graph()
    before = {operation.name for operation in graph.get_operations()}
    yield
    problem = found_in(graph, model, before)
    if problem is not None:
        raise ModelError(problem)


def found_in(graph: Any, model: Any, before: set[str] = frozenset()) -> str | None:  # type: ignore[assignment]
    """What of a graph keeps or hands on what it sees; None where nothing does.

    Args:
      graph: A graph of calls of the model.
      model: Whose seed generators are known.
      before: Names of operations that were in it before.
    """
    message = graph.as_graph_def()
    known = {
        node.name: _CONSTANT if node.op == "Const" else _UNKNOWN
        for node in message.node
        if node.name in before or node.op == "Placeholder"
    } | _constants(graph)
    nodes = [node for node in message.node if node.name not in known]
    search = _Search({function.signature.name: function for function in message.library.function}, _generators(model))
    return search.problem(nodes, known)


class _Value(NamedTuple):
    """What is known of an operation's outputs."""

    of_records: bool
    """They may depend on the records."""
    handle: int | None = None
    """Of a variable that is handed on."""


_CONSTANT, _UNKNOWN = _Value(False), _Value(True)


class _Search:
    """Follows values through a graph and the functions that it calls."""

    def __init__(self, functions: Mapping[str, Any], generators: set[int]) -> None:
        self._functions = functions
        self._generators = generators
        self._values: dict[Any, dict[str, _Value]] = {}
        self._seen: set[Any] = set()

    def problem(self, nodes: Sequence[Any], known: dict[str, _Value], *, may_count: bool = True) -> str | None:
        """The first one.

        Args:
          nodes: Of the graph, or of a function.
          known: Values that come from outside of it.
          may_count: Whether it runs as often as it does whatever the records are.
        """
        values = self._followed(nodes, known)
        for node in nodes:
            inputs = [values.get(name, _UNKNOWN) for name in _inputs(node)]
            if not self._is_allowed(node, inputs, may_count=may_count):
                return _told(node)
            for function, arguments in self._called(node, inputs):
                counts = may_count and not self._depends(node, inputs, arguments)
                key = (function.signature.name, tuple(arguments), counts)
                if key in self._seen:
                    continue
                self._seen.add(key)
                inside = self.problem(function.node_def, _named(function, arguments), may_count=counts)
                if inside is not None:
                    return inside
        return None

    def _is_allowed(self, node: Any, inputs: Sequence[_Value], *, may_count: bool) -> bool:
        if node.op in _HAND_ON:
            return False
        if node.op in _DRAWS:
            return may_count and not any(value.of_records for value in inputs)
        if node.op in _ASSIGNMENTS:
            is_generator = bool(inputs) and inputs[0].handle in self._generators
            return is_generator and may_count and not any(value.of_records for value in inputs)
        if node.op in self._functions or node.op in _READS | _RANDOM | _CHECKS | _CALLS | _LOOPS | _BRANCHES:
            return True
        return compat.is_stateless(node.op)

    def _depends(self, node: Any, inputs: Sequence[_Value], arguments: Sequence[_Value]) -> bool:
        """Whether the records decide how often a node calls its functions."""
        if node.op in _LOOPS:
            condition = self._functions[node.attr["cond"].func.name]
            return any(value.of_records for value in self._outputs(condition, arguments))
        if node.op in _BRANCHES:
            return inputs[0].of_records
        return node.op not in _CALLS and node.op not in self._functions

    def _called(self, node: Any, inputs: Sequence[_Value]) -> list[tuple[Any, list[_Value]]]:
        """The functions that a node may call, with what is known of their arguments."""
        if node.op in self._functions:
            return [(self._functions[node.op], list(inputs))]
        functions = [self._functions[name] for name in _function_names(node) if name in self._functions]
        if node.op in _CALLS:
            return [(function, list(inputs)) for function in functions]
        if node.op in _LOOPS:
            arguments = self._of_loop(node, inputs)
            return [(function, arguments) for function in functions]
        if node.op in _BRANCHES:
            return [(function, list(inputs[1:])) for function in functions]
        return [(function, [_UNKNOWN] * len(function.signature.input_arg)) for function in functions]

    def _of_loop(self, node: Any, inputs: Sequence[_Value]) -> list[_Value]:
        """What a loop's variables are before any of its rounds."""
        body, arguments = self._functions[node.attr["body"].func.name], list(inputs)
        while True:
            outputs = self._outputs(body, arguments)
            after = [
                _Value(one.of_records or other.of_records, one.handle)
                for one, other in zip(arguments, outputs, strict=True)
            ]
            if after == arguments:
                return arguments
            arguments = after

    def _outputs(self, function: Any, arguments: Sequence[_Value]) -> list[_Value]:
        key = (function.signature.name, tuple(arguments))
        if key not in self._values:
            self._values[key] = self._followed(function.node_def, _named(function, arguments))
        values = self._values[key]
        return [values.get(_source(function.ret[output.name]), _UNKNOWN) for output in function.signature.output_arg]

    def _followed(self, nodes: Sequence[Any], known: dict[str, _Value]) -> dict[str, _Value]:
        """The values of all nodes: those that may depend on records only grow, so it ends."""
        values = dict(known)
        while True:
            changed = False
            for node in nodes:
                value = self._value(node, [values.get(name, _CONSTANT) for name in _inputs(node)])
                changed |= values.get(node.name) != value
                values[node.name] = value
            if not changed:
                return values

    def _value(self, node: Any, inputs: Sequence[_Value]) -> _Value:
        if node.op == "Placeholder":
            return _UNKNOWN
        if node.op in _SHAPES or node.op == "ReadVariableOp":
            return _CONSTANT
        of_records = any(value.of_records for value in inputs)
        called = self._called(node, inputs)
        if node.op in _CALLS | _BRANCHES | _LOOPS or node.op in self._functions:
            of_records = any(value.of_records for each in called for value in self._outputs(*each))
            of_records |= self._depends(node, inputs, called[0][1]) if called else False
        return _Value(of_records, inputs[0].handle if inputs and node.op in _PASS_ON else None)


def _told(node: Any) -> str:
    remedy = next((text for beginnings, text in _REMEDIES if node.op.startswith(beginnings)), _REMEDY)
    return (
        f"A call of the model or its loss keeps what it sees, so one record would reach all later ones without noise: "
        f"operation {node.name!r} ({node.op}) {remedy}."
    )


def _inputs(node: Any) -> list[str]:
    return [_source(name) for name in node.input if not name.startswith("^")]


def _source(name: str) -> str:
    return name.split(":", 1)[0]


def _named(function: Any, arguments: Sequence[_Value]) -> dict[str, _Value]:
    return {argument.name: value for argument, value in zip(function.signature.input_arg, arguments, strict=True)}


def _function_names(node: Any) -> list[str]:
    parts = [node.attr[name] for name in sorted(node.attr)]
    single = [part.func.name for part in parts if part.WhichOneof("value") == "func"]
    return single + [function.name for part in parts for function in part.list.func]


def _constants(graph: Any) -> dict[str, _Value]:
    """By name, what stands for a value that was known before the graph was made."""
    found = {}
    for outer, inner in getattr(graph, "captures", ()):
        if hasattr(outer, "numpy") or inner.dtype == tf.resource:
            found[inner.op.name] = _Value(False, _origin(outer))
    return found


def _origin(tensor: Any) -> int:
    """The handle that a tensor was captured from, through the graphs around it."""
    while hasattr(tensor, "graph") and not hasattr(tensor, "numpy"):
        outer = next((outer for outer, inner in getattr(tensor.graph, "captures", ()) if inner is tensor), None)
        if outer is None:
            break
        tensor = outer
    return id(tensor)


def _generators(model: Any) -> set[int]:
    return {id(variable.handle) for variable in keras_api.seed_variables(model)}
