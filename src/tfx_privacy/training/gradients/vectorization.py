"""Computes a function of one record for all: at once where every operation is known to keep records apart, else in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfx_privacy import compat


def over_records(function: Callable[[Any], list[Any]], records: Any, *, in_loop: bool = False) -> list[Any]:
    """What a function gives for each record, stacked.

    Args:
      function: From a structure as `records`, without the leading axis, to tensors.
      records: Tensors whose leading axis are the records.
      in_loop: Takes no shortcut: for what the shortcut is compared with.
    """
    function = tf.autograph.experimental.do_not_convert(function)
    specs = tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape[1:], part.dtype), records)
    traced = tf.function(function, autograph=False).get_concrete_function(specs)
    if not in_loop and can_be_vectorized(traced.graph):
        with compat.products_of_stacked_matrices():
            return list(tf.vectorized_map(function, records, fallback_to_while_loop=False))
    signature = [tf.TensorSpec(output.shape, output.dtype) for output in traced.outputs]
    return list(tf.map_fn(function, records, fn_output_signature=signature))


def can_be_vectorized(graph: Any) -> bool:
    """Whether `tf.vectorized_map` surely keeps records apart in a function of one record, and in its gradients."""
    arguments = graph.inputs[: len(graph.inputs) - len(graph.internal_captures)]
    of_record = {tensor.op.name for tensor in arguments}
    needed = _needed(graph)
    for operation in graph.get_operations():
        if operation.name not in needed:
            continue
        stacked = [tensor.op.name in of_record for tensor in operation.inputs]
        if any(stacked):
            of_record.add(operation.name)
        if not _is_kept_apart(operation, stacked):
            return False
    return True


def _needed(graph: Any) -> set[str]:
    """Names of the operations that the outputs come from, and of those with a state: gradients leave some that nobody reads."""
    found: set[str] = set()
    pending = [tensor.op for tensor in graph.outputs]
    pending += [operation for operation in graph.get_operations() if operation.op_def.is_stateful]
    while pending:
        operation = pending.pop()
        if operation.name not in found:
            found.add(operation.name)
            pending += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return found


def _is_kept_apart(operation: Any, stacked: list[bool]) -> bool:
    # Converted, an operation would lose a gradient that somebody gave to it.
    if "_gradient_op_type" in operation.node_def.attr:
        return False
    if not any(stacked) and not operation.op_def.is_stateful:
        return True
    if operation.type in ("BatchMatMulV2", "BatchMatMulV3"):
        return _is_safe_product(operation, stacked)
    if operation.type == "GatherV2":
        # Rows of a table that is the same for all records; of tables of their own it would be one table of all of them.
        return not stacked[0] and not stacked[2]
    return operation.type in _VECTORIZED


def _is_safe_product(operation: Any, stacked: list[bool]) -> bool:
    """Products of matrices of ranks 4 and 2, or 4 and 3, corrupt the heap in TensorFlow 2.16 with oneDNN."""
    left, right = operation.inputs
    if stacked == [True, False]:
        # `compat.products_of_stacked_matrices` makes one product of matrices of these.
        return right.shape.rank == 2 and not operation.get_attr("adj_x")
    return stacked == [True, True] and left.shape.rank is not None and left.shape.rank == right.shape.rank


# For each of these TensorFlow's conversion adds an axis for the records and computes along the others. Left out are
# those that it makes of one axis for all records: segments, for instance, where a negative number would be counted as
# the last segment of the record before; and whatever keeps a state.
_VECTORIZED = frozenset(
    (
        "Placeholder", "Const", "Identity", "NoOp", "StopGradient", "Cast", "Shape", "ShapeN", "Size", "Rank", "ExpandDims",
        "Squeeze", "Reshape", "StridedSlice", "StridedSliceGrad", "Pack", "Unpack", "ConcatV2", "Split", "SplitV", "Slice",
        "Pad", "Tile", "Fill", "BroadcastTo", "Transpose", "ReadVariableOp", "EnsureShape", "OneHot", "AddN",
        "Abs", "Add", "AddV2", "BiasAdd", "Ceil", "ClipByValue", "Cos", "DivNoNan", "Elu", "Equal", "Erf", "Exp", "Expm1",
        "Floor", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "IsFinite", "IsInf", "IsNan", "LeakyRelu", "Less",
        "LessEqual", "Log", "Log1p", "LogSoftmax", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mul",
        "MulNoNan", "Neg", "NotEqual", "OnesLike", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6", "Round", "Rsqrt", "Selu",
        "Select", "SelectV2", "Sigmoid", "Sign", "Sin", "Softmax", "Softplus", "Softsign", "Sqrt", "Square",
        "SquaredDifference", "Sub", "Tanh", "Xdivy", "Xlogy", "ZerosLike",
        "All", "Any", "ArgMax", "Max", "Mean", "Min", "Prod", "Sum",
        "BiasAddGrad", "EluGrad", "LeakyReluGrad", "ReciprocalGrad", "Relu6Grad", "ReluGrad", "RsqrtGrad", "SeluGrad",
        "SigmoidGrad", "SoftsignGrad", "SqrtGrad", "TanhGrad",
        "MatMul", "Einsum", "FusedBatchNormV3", "FusedBatchNormGradV3", "Conv2D", "Conv2DBackpropInput", "MaxPool",
        "MaxPoolGrad", "RandomUniform", "RandomStandardNormal", "TruncatedNormal",
    )
)  # fmt: skip
