"""Functions of TensorFlow and Keras that functional models call between their layers, and leave the records apart.

In Keras 2 each is a layer around the function (`TFOpLambda`), in Keras 3 an `Operation`. As with `known_layers`, what
is not in these tables is put through one record at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.known_layers import (
    home_of,
    is_altered,
    is_genuine,
    keeps_first,
    wrapped_functions,
)


class Operands(NamedTuple):
    """What an operation is called with."""

    data: list[Any]
    """Tensors of one row per record."""
    constants: list[Any]
    """All other tensors, arrays and lists of numbers; they are the same for every batch."""
    arguments: dict[str, Any]
    """By name, those of the operation itself among them."""


Check = Callable[[Operands], bool]


def check_of(operation: Any) -> Check | None:
    """The check of a known operation; None if it is not known."""
    kind = type(operation)
    if not is_genuine(kind):
        return None
    if kind.__name__ in ("SlicingOpLambda", "TFOpLambda"):
        return _CHECKS.get(_CANONICAL.get(operation.symbol, "")) if _is_named(operation) else None
    if is_altered(operation):
        return None
    if kind.__module__.startswith("keras.src.ops."):
        check = _CHECKS.get(_OF_KERAS_3.get(kind.__name__, ""))
        return None if check is None else lambda operands: check(_with_own_arguments(operation, operands))
    return None


def _is_named(operation: Any) -> bool:
    """Whether the layer calls TensorFlow's function of the name that it states."""
    try:
        function = functools.reduce(getattr, operation.symbol.split("."), tf)
    except AttributeError:
        return False
    call = vars(operation).get("call")
    own_call = keras_api.is_ours(call) or home_of(call).startswith(("tf_keras.", "tensorflow."))
    chain = [*wrapped_functions(function), *wrapped_functions(operation.function)]
    return (
        own_call
        and wrapped_functions(function)[-1] is wrapped_functions(operation.function)[-1]
        and all(map(_is_tensorflows, chain))
    )


def _is_tensorflows(function: Any) -> bool:
    return home_of(function).startswith("tensorflow.")


def _with_own_arguments(operation: Any, operands: Operands) -> Operands:
    own = {name: value for name, value in vars(operation).items() if not name.startswith("_")}
    return operands._replace(arguments={**own, **operands.arguments})


def _elementwise(operands: Operands) -> bool:
    """Broadcasting goes from the last axis: only tensors of the same rank have their records at the same axis."""
    ranks = {tensor.shape.rank for tensor in operands.data}
    if len(ranks) != 1 or None in ranks:
        return False
    (rank,) = ranks
    shapes = [tf.TensorShape(np.shape(constant)) for constant in operands.constants]
    return all(
        shape.rank is not None and (shape.rank < rank or (shape.rank == rank and shape[0] == 1)) for shape in shapes
    )


def _along(name: str, default: Any = None, *, new_axes: int = 0) -> Check:
    """Works along axes that are given, or along the default; not along the records'."""

    def check(operands: Operands) -> bool:
        axis = operands.arguments.get(name, default)
        axis = list(axis) if isinstance(axis, list | tuple) else axis
        return not operands.constants and all(
            tensor.shape.rank is not None and keeps_first(axis, tensor.shape.rank + new_axes)
            for tensor in operands.data
        )

    return check


def _one_tensor(operands: Operands) -> bool:
    """A tensor in another shape: its rows stay whole if there are as many as records, which every call is checked for."""
    return len(operands.data) == 1


def _transpose(operands: Operands) -> bool:
    order = operands.arguments.get("perm", operands.arguments.get("axes"))
    (*rest,) = order if isinstance(order, list | tuple) else (None,)
    return _one_tensor(operands) and not operands.constants and type(rest[0]) is int and rest[0] == 0


def _product(operands: Operands) -> bool:
    """Matrices of each record with one another, or rows of records with one constant matrix."""
    turned = [operands.arguments.get(name) for name in ("transpose_a", "adjoint_a", "a_is_sparse", "b_is_sparse")]
    if any(turned):
        return False
    ranks = [tensor.shape.rank for tensor in operands.data]
    if None in ranks or not operands.data:
        return False
    if len(ranks) == 2:
        return ranks[0] == ranks[1] >= 3
    first = next(iter(operands.arguments.values()), None)
    return first is operands.data[0] and ranks[0] >= 2 and [np.ndim(one) for one in operands.constants] == [2]


def _get_item(operands: Operands) -> bool:
    return _slices(operands.arguments.get("key", operands.arguments.get("slice_spec")), operands)


def _slices(spec: Any, operands: Operands) -> bool:
    """All records in their order, whatever is cut out of each."""
    parts = [_as_slice(part) for part in (spec if isinstance(spec, tuple | list) else (spec,))]
    if len(operands.data) != 1 or operands.data[0].shape.rank is None or not parts:
        return False
    if not all(part is None or part is Ellipsis or type(part) is int or _is_plain_slice(part) for part in parts):
        return False
    if parts[0] is Ellipsis:
        return sum(part is not None and part is not Ellipsis for part in parts) < operands.data[0].shape.rank
    return isinstance(parts[0], slice) and parts[0] == slice(None)


def _as_slice(part: Any) -> Any:
    """Keras 2 writes slices down as dictionaries."""
    return slice(part["start"], part["stop"], part["step"]) if isinstance(part, dict) else part


def _is_plain_slice(part: Any) -> bool:
    return isinstance(part, slice) and all(
        each is None or type(each) is int for each in (part.start, part.stop, part.step)
    )


_ELEMENTWISE = (
    "abs", "add", "ceil", "cos", "divide", "divide_no_nan", "elu", "equal", "erf", "exp", "expm1", "floor", "floordiv", "gelu",
    "greater", "greater_equal", "is_finite", "is_inf", "is_nan", "leaky_relu", "less", "less_equal", "log", "log1p",
    "log_sigmoid", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply", "multiply_no_nan",
    "negative", "not_equal", "pow", "reciprocal", "relu", "relu6", "round", "rsqrt", "selu", "sigmoid", "sign", "silu",
    "sin", "softplus", "softsign", "sqrt", "square", "squared_difference", "subtract", "tanh",
)  # fmt: skip
_REDUCTIONS = ("all", "any", "logsumexp", "max", "mean", "min", "prod", "sum")

_CHECKS: dict[str, Check] = {
    **dict.fromkeys((*_ELEMENTWISE, "cast", "clip_by_value", "identity", "stop_gradient"), _elementwise),
    **dict.fromkeys((f"reduce_{name}" for name in _REDUCTIONS), _along("axis")),
    **dict.fromkeys(("softmax", "log_softmax"), _along("axis", -1)),
    **dict.fromkeys(("squeeze", "concat"), _along("axis")),
    **dict.fromkeys(("argmax", "l2_normalize"), _along("axis")),
    **dict.fromkeys(("expand_dims", "stack"), _along("axis", new_axes=1)),
    "one_hot": _along("axis", -1, new_axes=1),
    "transpose": _transpose,
    "matmul": _product,
    "reshape": _one_tensor,
    "getitem": _get_item,
}

# TensorFlow's names for them, as Keras 2 writes them down.
_CANONICAL: dict[str, str] = {
    **{f"{home}{name}": name for name in _ELEMENTWISE for home in ("", "math.", "nn.")},
    **{f"math.reduce_{name}": f"reduce_{name}" for name in _REDUCTIONS},
    **{f"reduce_{name}": f"reduce_{name}" for name in _REDUCTIONS},
    **{f"__operators__.{name}": name for name in ("add", "getitem")},
    **{name: name for name in ("cast", "identity", "stop_gradient", "expand_dims", "squeeze", "concat", "reshape")},
    **{name: name for name in ("argmax", "stack", "one_hot", "transpose", "clip_by_value")},
    "compat.v1.squeeze": "squeeze", "compat.v1.transpose": "transpose", "linalg.matmul": "matmul", "math.argmax": "argmax",
    "linalg.l2_normalize": "l2_normalize", "math.l2_normalize": "l2_normalize", "nn.swish": "silu",
    "nn.softmax": "softmax", "nn.log_softmax": "log_softmax", "math.truediv": "divide", "math.floordiv": "floordiv",
    "math.scalar_mul": "multiply",
}  # fmt: skip
# Keras 3's classes for them.
_OF_KERAS_3: dict[str, str] = {
    **{"".join(part.capitalize() for part in name.split("_")): name for name in _ELEMENTWISE},
    **{name.capitalize(): f"reduce_{name}" for name in _REDUCTIONS},
    "Absolute": "abs", "TrueDivide": "divide", "FloorDivide": "floordiv", "Power": "pow", "Log1p": "log1p", "Isnan": "is_nan",
    "Isfinite": "is_finite", "Cast": "cast", "StopGradient": "stop_gradient", "Softmax": "softmax",
    "LogSoftmax": "log_softmax", "Squeeze": "squeeze", "Concatenate": "concat", "ExpandDims": "expand_dims",
    "Reshape": "reshape", "GetItem": "getitem", "Argmax": "argmax", "Stack": "stack", "OneHot": "one_hot",
    "Transpose": "transpose", "Clip": "clip_by_value",
}  # fmt: skip
