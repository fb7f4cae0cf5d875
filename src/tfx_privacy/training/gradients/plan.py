"""Which calls of a model may see a whole batch: those that are known to leave records apart, and those declared to do so."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.guarantee.declarations import is_declared, name_of
from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients import known_layers, known_operations, separation
from tfx_privacy.training.gradients.units import UnsupportedCallError

_CONTAINERS = ("Functional", "Sequential")
# Known layers that treat each value by itself, so records may hold different numbers of them.
_OF_ANY_LENGTH = ("InputLayer", "CategoryEncoding", "Discretization", "Hashing", "IntegerLookup", "StringLookup")
# What a layer of the user's own may define: none of these takes part in a call beside `call` itself.
_FREE_METHODS = frozenset(
    (
        "__init__", "build", "call", "compute_output_shape", "compute_output_spec", "get_config", "from_config",
        "get_build_config", "build_from_config", "__annotate__",
    )
)  # fmt: skip


@dataclasses.dataclass
class Plan:
    """What becomes of the calls of a model's layers and operations.

    Attributes:
      checked: Those that see whole batches, after a look at what they are called with.
      separate: Those that get one record at a time, with everything inside them.
      declared: Names of classes and functions that see whole batches because their author says so.
    """

    checked: list[Any] = dataclasses.field(default_factory=list)
    separate: list[Any] = dataclasses.field(default_factory=list)
    declared: set[str] = dataclasses.field(default_factory=set)

    def is_separate(self, layer: Any) -> bool:
        """Whether a layer gets one record at a time."""
        return any(layer is each for each in self.separate)

    @property
    def slow_parts(self) -> list[str]:
        """What gets one record at a time, for people."""
        activations = [layer for layer in self.checked if separate_activation(layer)]
        return [
            *(f"layer {layer.name!r} ({type(layer).__name__})" for layer in self.separate),
            *(f"the activation of layer {layer.name!r}" for layer in activations),
        ]


def _require_own_call(part: Any) -> None:
    """Refuses what Keras 3 computes by something else than `call`, or once more in the backward pass: nobody sees it there."""
    if getattr(part, "quantization_mode", None) is not None:
        raise UnsupportedCallError(f"Layer {part.name!r} is quantized: it computes outside of its call().")
    policy = getattr(part, "dtype_policy", None)
    if policy is not None and (not known_layers.is_genuine(type(policy)) or known_layers.is_altered(policy)):
        raise UnsupportedCallError(
            f"Layer {part.name!r} has the dtype policy {type(policy).__name__}, not Keras' own: it computes too."
        )
    if getattr(part, "_remat_mode", None) is not None:
        raise UnsupportedCallError(
            f"Layer {part.name!r} was made in a RematScope: it is computed again in the backward pass."
        )


def _held(part: Any) -> list[Any]:
    """The layers in a layer, at every depth; operations hold none."""
    return [] if _operation_check(part) is not None else keras_api.layers(part)


def plan_of(model: Any) -> Plan:
    """Decides for every layer and operation that a model calls.

    Raises:
      UnsupportedCallError: If one of them computes outside its `call`, or the model is a class of the user's.
    """
    plan, seen = Plan(), set[int]()

    def visit(part: Any) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        _require_own_call(part)
        inside = _parts(part)
        if is_declared(type(part)):
            plan.declared.add(name_of(type(part)))
            inside = keras_api.layers(part)
        elif inside is None and _check_of(part) is not None:
            plan.checked.append(part)
            # What a known layer holds, e.g. the cell of an RNN, sees whole batches with it.
            for each in _held(part):
                _require_own_call(each)
            inside = keras_api.layers(part) if keras_api.is_exactly(part, "MultiHeadAttention") else []
            _note_activation(part, plan)
        elif inside is None:
            _require_separable(part, is_root=part is model)
            plan.separate.append(part)
            inside = []
        for each in inside:
            visit(each)

    visit(model)
    return plan


def require_records_apart(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> None:
    """Checks what a known layer or operation is called with.

    Raises:
      UnsupportedCallError: If with these arguments it may mix records.
    """
    if _is_apart(layer, args, kwargs, count):
        return
    raise UnsupportedCallError(f"Layer {layer.name!r} works along the records' axis, or takes records of other shapes.")


def require_rows(layer: Any, outputs: Any, count: int) -> None:
    """Checks that what a known layer or operation gives has one row per record.

    Raises:
      UnsupportedCallError: If it has not.
    """
    is_operation = _operation_check(layer) is not None
    for output in tf.nest.flatten(outputs):
        rows = output.shape[0] if getattr(output, "shape", None) is not None and output.shape.rank else 0
        # Some layers of Keras lose the number in a graph: it is checked where the next one takes it.
        if rows != count and (is_operation or rows is not None):
            raise UnsupportedCallError(f"Layer {layer.name!r} gives {rows} rows for {count} records.")


def separate_activation(layer: Any) -> bool:
    """Whether a layer's activation, which it applies last, gets one record at a time."""
    if not known_layers.has_activation_apart(layer):
        return False
    activation = layer.activation
    return not known_layers.is_known_activation(activation) and not is_declared(activation)


def _note_activation(layer: Any, plan: Plan) -> None:
    activation = getattr(layer, "activation", None)
    function = activation if activation is not None else getattr(layer, "function", None)
    if is_declared(function):
        plan.declared.add(name_of(function))


def _parts(layer: Any) -> list[Any] | None:
    """What a functional or sequential model of Keras' own calls; None for anything else."""
    kind = type(layer)
    if kind.__name__ not in _CONTAINERS or not known_layers.is_genuine(kind) or known_layers.is_altered(layer):
        return None
    if kind.__name__ == "Sequential":
        return list(layer.layers)
    nodes = [node for of_depth in layer._nodes_by_depth.values() for node in of_depth]
    return [getattr(node, "operation", None) or node.layer for node in nodes]


def _check_of(layer: Any) -> Any:
    return known_layers.check_of(layer) or _operation_check(layer) or _lambda_check(layer)


def _operation_check(layer: Any) -> known_operations.Check | None:
    return known_operations.check_of(layer)


def _lambda_check(layer: Any) -> known_layers.Check | None:
    """Of a Lambda or Activation whose function is declared, or known as an activation is."""
    if not known_layers.is_genuine_layer(type(layer)) or known_layers.is_altered(layer):
        return None
    function = {"Lambda": "function", "Activation": "activation"}.get(type(layer).__name__)
    of_layer = getattr(layer, function, None) if function else None
    if of_layer is None or callable(getattr(layer, "mask", None)):
        return None
    known = is_declared(of_layer) or known_layers.is_known_activation(of_layer)
    return (lambda layer, ranks: True) if known else None


def _is_apart(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> bool:
    of_operation = _operation_check(layer)
    if of_operation is not None:
        operands = _operands(layer, args, kwargs, count)
        return operands is not None and bool(operands.data) and of_operation(operands)
    check = known_layers.check_of(layer) or _lambda_check(layer)
    of_one_length = not any(
        isinstance(part, tf.SparseTensor | tf.RaggedTensor) for part in tf.nest.flatten((args, kwargs))
    )
    if not of_one_length and type(layer).__name__ not in _OF_ANY_LENGTH:
        return False
    return check is not None and check(layer, _ranks(layer, args, kwargs))


def training_of(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The argument `training` of a layer's call; None where it has none."""
    try:
        # The engine's wrapper is over the instance's call, so the signature is the class's.
        return inspect.signature(type(layer).call).bind(layer, *args, **kwargs).arguments.get("training")
    except TypeError:
        return None


def _ranks(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> known_layers.Ranks:
    masks = {name for name in kwargs if name.endswith("mask") and name != "attention_mask"}
    inputs = tf.nest.flatten((args, {name: part for name, part in kwargs.items() if name not in masks}))
    of_masks = tf.nest.flatten({name: kwargs[name] for name in masks})
    of_inputs, masked = ([_rank(part) for part in parts if _is_tensor(part)] for parts in (inputs, of_masks))
    return known_layers.Ranks(of_inputs, masked, training_of(layer, args, kwargs))


def _is_tensor(part: Any) -> bool:
    return isinstance(part, tf.Tensor | tf.SparseTensor | tf.RaggedTensor)


def _rank(part: Any) -> int:
    return part.shape.rank or 0


def _operands(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int
) -> known_operations.Operands | None:
    """None where an argument is neither a row per record nor a constant."""
    function = getattr(layer, "function", None)
    try:
        # The engine's wrapper is over the instance's call, so the signature is the class's.
        bound = (
            inspect.signature(type(layer).call).bind(layer, *args, **kwargs)
            if function is None
            else inspect.signature(function).bind(*args, **kwargs)
        )
    except (TypeError, ValueError):
        return None
    named = {name: value for name, value in bound.arguments.items() if value is not layer}
    data: list[Any] = []
    constants: list[Any] = []
    for value in named.values():
        parts = tf.nest.flatten(value)
        if any(isinstance(part, tf.SparseTensor | tf.RaggedTensor) for part in parts):
            return None
        tensors = [part for part in parts if isinstance(part, tf.Tensor)]
        of_records = [part for part in tensors if separation.is_of_records(part, count)]
        data += of_records
        if len(of_records) == len(parts):
            continue
        if of_records or any(separation.is_unclear(part, count) for part in tensors):
            return None
        if tensors or isinstance(value, np.ndarray | list | tuple | tf.Variable):
            constants.append(value)
    return known_operations.Operands(data, constants, named)


def _require_separable(part: Any, *, is_root: bool) -> None:
    """A layer can be given one record at a time only if all that it computes is in its `call`."""
    kind = f"{type(part).__name__}"
    if is_root:
        raise UnsupportedCallError(f"The model is a {kind}, whose own call is not known to leave records apart.")
    own = next((base for base in type(part).__mro__ if keras_api.is_own(base)), None)
    mine = [base for base in type(part).__mro__ if own is None or not issubclass(own, base)]
    defined = {name for base in mine for name, value in vars(base).items() if callable(value) or name[:2] != "__"}
    overridden = {name for name in defined - _FREE_METHODS if own is None or hasattr(own, name)}
    overridden |= known_layers.patched_methods(type(part)) - _FREE_METHODS
    put_over = known_layers.is_altered(part) and "compute_mask" in vars(part)
    if overridden or put_over or callable(getattr(part, "mask", None)):
        named = ", ".join(sorted(overridden)) or "a mask"
        raise UnsupportedCallError(f"Layer {part.name!r} ({kind}) computes outside its call, in {named}.")
