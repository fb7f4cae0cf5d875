"""From one call of a layer to what it adds to the gradients of its variables, for each layer that has a cheap form.

A layer that is not in the table (another class, a subclass, an unusual setting) gets the general form: its part of the
backward pass is run once per record, and the rest of the model is not touched by that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api, patches
from tfx_privacy.training.contributions import Contribution, Lookup, Materialized, Outer, Positions, Windows

# Where the number of positions is not known, a weight up to this size is materialized.
_SMALL_WEIGHT = 1 << 14
# In multiplications, as measured for matrices of a few dozen rows on a CPU.
_COST_OF_A_NUMBER = 8
# Times that Gram matrices of blocks, and gradients of single records, are written and read.
_PASSES_OF_GRAM, _PASSES_OF_GRADIENTS = 6, 3


class UnsupportedCallError(Exception):
    """A call whose records cannot be told apart; the whole model is then differentiated record by record."""


@dataclasses.dataclass(frozen=True)
class Units:
    """How the records of a chunk make up privacy units: each is `records_each` successive ones."""

    count: int
    records_each: int = 1

    @property
    def records(self) -> int:
        """Records of a chunk."""
        return self.count * self.records_each

    def summed(self, tensor: Any) -> Any:
        """Sums over each unit's records: (records, ...) to (units, ...)."""
        if self.records_each == 1:
            return tensor
        return tf.reduce_sum(tf.reshape(tensor, (self.count, self.records_each, *tensor.shape[1:])), axis=1)

    def positions(self, tensor: Any, width: int) -> Any:
        """Everything but the last `width` entries of a record becomes a position of its unit: (units, positions, width)."""
        return tf.reshape(tensor, (self.count, -1, width))


@dataclasses.dataclass
class Call:
    """One call of a layer with weights, as it was recorded."""

    layer: Any
    function: Callable[..., Any]
    """The layer's own `call`."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]
    """What the gradient is taken of: before the activation where there is one."""

    @property
    def inputs(self) -> Any:
        """The first argument."""
        return self.args[0] if self.args else next(iter(self.kwargs.values()))


_Contributions = list[tuple[Any, Contribution]]
_Rule = Callable[[Call, Any, Units], _Contributions]


def has_activation(layer: Any) -> bool:
    """Whether the layer's gradient is taken before its activation, which none of the rules has to know then."""
    return _rule(layer) in (_dense, _convolution, _depthwise, _einsum)


def is_opaque(layer: Any) -> bool:
    """Whether a layer calls layers inside it in loops or with other records than its own: it is taken as a whole."""
    return keras_api.is_kind_of(layer, "RNN", "Wrapper", "BaseWrapper")


def contributions(call: Call, gradients: list[Any], units: Units) -> _Contributions:
    """What a call adds to the gradient of each of its layer's variables.

    Args:
      call: The recorded call.
      gradients: Of the loss with respect to `call.outputs`.
      units: How records make up privacy units.

    Returns:
      Pairs of TensorFlow variable and contribution.

    Raises:
      UnsupportedCallError: If the leading axis of the outputs is not the records.
    """
    for output in call.outputs:
        if output.shape.rank in (None, 0) or output.shape[0] != units.records:
            raise UnsupportedCallError(
                f"Layer {call.layer.name!r} gives {output.shape} for {units.records} records: they cannot be told apart."
            )
    rule = _rule(call.layer)
    if rule is not None:
        try:
            return rule(call, gradients[0], units)
        except _NoCheapFormError:
            pass
    return _general(call, gradients, units)


class _NoCheapFormError(Exception):
    """A setting of a known layer that its rule leaves to the general form."""


def _rule(layer: Any) -> _Rule | None:
    if is_opaque(layer) or not keras_api.is_own(type(layer)):
        return None
    return _RULES.get(type(layer).__name__)


def _dense(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise _NoCheapFormError
    found: _Contributions = []
    kernel = _trained(layer, "kernel")
    if kernel is not None:
        found.append((kernel, _product(call.inputs, gradient, units, *kernel.shape, shape=tuple(kernel.shape))))
    return found + _bias(layer, gradient, units)


def _product(
    inputs: Any, gradient: Any, units: Units, rows: int, columns: int, *, shape: tuple[int, ...]
) -> Contribution:
    """Of a matrix that multiplies one vector of `rows` per record and position."""
    if inputs.shape.rank == 2 and units.records_each == 1:
        return Outer(tf.cast(inputs, tf.float32), gradient, shape)
    positions = Positions(units.positions(tf.cast(inputs, tf.float32), rows), units.positions(gradient, columns), shape)
    return _cheaper(positions, rows * columns)


def _cheaper(positions: Positions, weights: int) -> Contribution:
    count, rows, columns = positions.inputs.shape[1], positions.inputs.shape[2], positions.gradients.shape[2]
    if weights <= _SMALL_WEIGHT if count is None else _materializing_is_cheaper(count, rows, columns):
        return Materialized(positions.materialized())
    return positions


def _materializing_is_cheaper(positions: int, rows: int, columns: int) -> bool:
    """Chooses between Gram matrices and the gradients themselves (Li et al. 2022, Section 4.1).

    Gram matrices cost positions^2 * (rows + columns) more multiplications; the gradients themselves are numbers to write and read,
    each of which costs about as much as eight.
    """
    return _COST_OF_A_NUMBER * rows * columns < positions * positions * (rows + columns)


def _bias(layer: Any, gradient: Any, units: Units, name: str = "bias") -> _Contributions:
    bias = _trained(layer, name)
    if bias is None:
        return []
    return [(bias, Materialized(units.summed(_sum_to(gradient, 1))))]


def _sum_to(gradient: Any, width: int) -> Any:
    """Sums over a record's positions, leaving its last `width` axes."""
    axes = list(range(1, gradient.shape.rank - width))
    return tf.reduce_sum(gradient, axis=axes) if axes else gradient


def _einsum(call: Call, gradient: Any, units: Units) -> _Contributions:
    """EinsumDense, where no letter stands in inputs, weight and outputs at once."""
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise _NoCheapFormError
    inputs = tf.cast(call.inputs, tf.float32)
    source, weight, target = _letters(layer.equation, inputs.shape.rank, gradient.shape.rank)
    contracted = [letter for letter in weight if letter in source]
    made = [letter for letter in weight if letter in target]
    positions = [letter for letter in source[1:] if letter in target]
    if source[0] != target[0] or set(contracted) & set(made) or set(positions) & set(weight):
        raise _NoCheapFormError
    if len(contracted) + len(made) != len(weight) or len(positions) + len(contracted) + 1 != len(source):
        raise _NoCheapFormError
    found: _Contributions = []
    kernel = _trained(layer, "kernel")
    if kernel is not None:
        if weight != contracted + made:
            raise _NoCheapFormError
        sizes = dict(zip(weight, (int(size) for size in kernel.shape), strict=True))
        rows = math.prod(sizes[letter] for letter in contracted)
        columns = math.prod(sizes[letter] for letter in made)
        ordered_inputs = _transposed(inputs, source, [source[0], *positions, *contracted])
        ordered_gradient = _transposed(gradient, target, [target[0], *positions, *made])
        both = Positions(
            units.positions(ordered_inputs, rows), units.positions(ordered_gradient, columns), tuple(kernel.shape)
        )
        if both.inputs.shape[1] == 1:
            product: Contribution = Outer(both.inputs[:, 0], both.gradients[:, 0], both.shape)
        else:
            product = _cheaper(both, rows * columns)
        found.append((kernel, product))
    bias = _trained(layer, "bias")
    if bias is not None:
        # The bias has the outputs' last axes, of size 1 where it is the same for all.
        width = len(bias.shape)
        of_records = _sum_to(gradient, width)
        ones = [axis + 1 for axis in range(width) if bias.shape[axis] == 1 and of_records.shape[axis + 1] != 1]
        of_records = tf.reduce_sum(of_records, axis=ones, keepdims=True) if ones else of_records
        found.append((bias, Materialized(units.summed(of_records))))
    return found


def _letters(equation: str, input_rank: int, output_rank: int) -> tuple[list[str], list[str], list[str]]:
    left, target = equation.replace(" ", "").split("->")
    source, weight = left.split(",")
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    spelled = []
    for part, rank in ((source, input_rank), (target, output_rank)):
        missing = rank - len(part.replace("...", ""))
        spelled.append(part.replace("...", "".join(free[:missing])))
    if len(spelled[0]) != input_rank or len(spelled[1]) != output_rank:
        raise _NoCheapFormError
    return list(spelled[0]), list(weight), list(spelled[1])


def _transposed(tensor: Any, order: list[str], wanted: list[str]) -> Any:
    if order == wanted:
        return tensor
    return tf.transpose(tensor, [order.index(letter) for letter in wanted])


def _convolution(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    if layer.groups != 1 or getattr(layer, "lora_enabled", False):
        raise _NoCheapFormError
    _require_known_extents(call)
    found: _Contributions = []
    kernel = _trained(layer, "kernel")
    if kernel is not None:
        inputs, window = patches.padded(tf.cast(call.inputs, tf.float32), patches.Window.of(layer))
        rows, columns = math.prod(int(size) for size in kernel.shape[:-1]), int(kernel.shape[-1])
        found.append((kernel, _of_windows(inputs, gradient, window, units, rows, columns, tuple(kernel.shape))))
    return found + _bias(layer, gradient, units)


def _of_windows(
    inputs: Any, gradient: Any, window: patches.Window, units: Units, rows: int, columns: int, shape: tuple[int, ...]
) -> Contribution:
    if units.records_each == 1 and _blocks_are_cheaper(inputs, gradient, window, rows):
        return Windows(inputs, gradient, shape, window)
    positions = math.prod(gradient.shape[1:-1]) * units.records_each
    if _materializing_is_cheaper(positions, rows, columns):
        of_records = patches.kernel_gradients(inputs, gradient, window)
        return Materialized(units.summed(tf.reshape(of_records, (units.records, *shape))))
    unfolded = units.positions(patches.unfold(inputs, window), rows)
    return Positions(unfolded, units.positions(gradient, columns), shape)


def _blocks_are_cheaper(inputs: Any, gradient: Any, window: patches.Window, rows: int) -> bool:
    """Compares Gram matrices of blocks with the gradients themselves; the products for the sum are in both."""
    geometry = list(zip(gradient.shape[1:-1], window.size, window.strides, window.dilation, strict=True))
    if any(size % stride or dilation != 1 for _, size, stride, dilation in geometry):
        return False
    count = math.prod(outputs - 1 + size // stride for outputs, size, stride, _ in geometry)
    multiplied = math.prod(window.strides) * inputs.shape[-1] + gradient.shape[-1]
    gram = count * count * (multiplied + _COST_OF_A_NUMBER * _PASSES_OF_GRAM)
    numbers = _PASSES_OF_GRADIENTS * rows * gradient.shape[-1] + math.prod(gradient.shape[1:-1]) * rows
    return gram < _COST_OF_A_NUMBER * numbers


def _depthwise(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    _require_known_extents(call)
    found: _Contributions = []
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    kernel = _trained(layer, name)
    if kernel is not None:
        inputs, window = patches.padded(tf.cast(call.inputs, tf.float32), patches.Window.of(layer))
        of_records = patches.depthwise_gradients(inputs, gradient, window)
        of_records = tf.reshape(of_records, (units.records, *kernel.shape))
        found.append((kernel, Materialized(units.summed(of_records))))
    return found + _bias(layer, gradient, units)


def _require_known_extents(call: Call) -> None:
    if call.layer.data_format != "channels_last" or call.inputs.shape.rank != call.layer.rank + 2:
        raise _NoCheapFormError
    if None in call.inputs.shape[1:]:
        raise _NoCheapFormError


def _embedding(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise _NoCheapFormError
    if not isinstance(call.inputs, tf.Tensor) or getattr(layer, "sparse", False):
        raise _NoCheapFormError
    table = _trained(layer, "embeddings")
    if table is None:
        return []
    rows, columns = (int(size) for size in table.shape)
    ids = tf.reshape(tf.cast(call.inputs, tf.int32), (units.count, -1))
    return [(table, Lookup(ids, units.positions(gradient, columns), rows))]


def _layer_normalization(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    if getattr(layer, "rms_scaling", False):
        raise _NoCheapFormError
    inputs = tf.cast(call.inputs, tf.float32)
    rank = inputs.shape.rank
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    axes = sorted(axis % rank for axis in axes)
    if axes != list(range(rank - len(axes), rank)) or 0 in axes:
        raise _NoCheapFormError
    return _scale_and_shift(layer, _normalized(inputs, axes, layer.epsilon), gradient, units, len(axes))


def _group_normalization(call: Call, gradient: Any, units: Units) -> _Contributions:
    layer = call.layer
    inputs = tf.cast(call.inputs, tf.float32)
    rank = inputs.shape.rank
    if layer.axis % rank != rank - 1 or call.kwargs.get("mask") is not None or None in inputs.shape[1:]:
        raise _NoCheapFormError
    channels = inputs.shape[-1]
    groups = channels if layer.groups == -1 else layer.groups
    split = tf.reshape(inputs, (*inputs.shape[:-1], groups, channels // groups))
    axes = [axis for axis in range(1, rank + 1) if axis != rank - 1]
    normalized = tf.reshape(_normalized(split, axes, layer.epsilon), inputs.shape)
    return _scale_and_shift(layer, normalized, gradient, units, 1)


def _normalized(inputs: Any, axes: list[int], epsilon: float) -> Any:
    mean, variance = tf.nn.moments(inputs, axes, keepdims=True)
    return (inputs - mean) * tf.math.rsqrt(variance + epsilon)


def _scale_and_shift(layer: Any, normalized: Any, gradient: Any, units: Units, width: int) -> _Contributions:
    found: _Contributions = []
    gamma, beta = _trained(layer, "gamma"), _trained(layer, "beta")
    if gamma is not None:
        found.append((gamma, Materialized(units.summed(_sum_to(gradient * normalized, width)))))
    if beta is not None:
        found.append((beta, Materialized(units.summed(_sum_to(gradient, width)))))
    return found


def _general(call: Call, gradients: list[Any], units: Units) -> _Contributions:
    """The layer's part of the backward pass, record by record."""
    if keras_api.is_random(call.layer):
        raise UnsupportedCallError(
            f"Layer {call.layer.name!r} draws random numbers, and would draw others when it is called again."
        )
    of = keras_api.trainable_variables if is_opaque(call.layer) else keras_api.weights_of
    variables = of(call.layer)
    flat = tf.nest.flatten((call.args, call.kwargs))
    of_records = [
        index
        for index, part in enumerate(flat)
        if isinstance(part, tf.Tensor) and part.shape.rank and part.shape[0] == units.records
    ]

    def of_one(record: tuple[list[Any], list[Any]]) -> list[Any]:
        inputs, cotangents = tf.nest.map_structure(lambda part: part[tf.newaxis], record)
        filled = list(flat)
        for index, part in zip(of_records, inputs, strict=True):
            filled[index] = part
        args, kwargs = tf.nest.pack_sequence_as((call.args, call.kwargs), filled)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = float_outputs(keras_api.call_as_keras_does(call.layer, call.function, args, kwargs))
        cotangents = [tf.cast(each, output.dtype) for each, output in zip(cotangents, outputs, strict=True)]
        found = tape.gradient(outputs, variables, cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.cast(tf.convert_to_tensor(gradient), tf.float32) for gradient in found]

    found = for_each_record(of_one, ([flat[index] for index in of_records], list(gradients)), variables, units.records)
    return [(variable, Materialized(units.summed(each))) for variable, each in zip(variables, found, strict=True)]


def for_each_record(function: Callable[[Any], list[Any]], records: Any, variables: list[Any], count: int) -> list[Any]:
    """Gradients of single records, one after the other.

    `tf.vectorized_map` would be faster, and corrupts the heap in TensorFlow 2.16 with oneDNN: it turns a product of a record's
    matrix with a weight into one of ranks 4 and 2.

    Args:
      function: From one record to one gradient per variable.
      records: Tensors of leading dimension `count`.
      variables: The trainable variables.
      count: Number of records.

    Returns:
      Per variable, float32 of shape (count, *variable's shape).
    """
    signature = [tf.TensorSpec(variable.shape, tf.float32) for variable in variables]
    unconverted = tf.autograph.experimental.do_not_convert(function)
    found = tf.map_fn(unconverted, records, fn_output_signature=signature)
    return [tf.ensure_shape(each, (count, *variable.shape)) for each, variable in zip(found, variables, strict=True)]


def float_outputs(outputs: Any) -> list[Any]:
    """The differentiable tensors among a layer's outputs."""
    return [part for part in tf.nest.flatten(outputs) if isinstance(part, tf.Tensor) and part.dtype.is_floating]


def _trained(layer: Any, name: str) -> Any:
    """A variable of the layer, or None where there is none or it is frozen."""
    variable = getattr(layer, name, None)
    if variable is None:
        return None
    trained = {id(one): one for one in keras_api.weights_of(layer)}
    return trained.get(id(keras_api.raw(variable)))


_RULES: dict[str, _Rule] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "EinsumDense": _einsum,
    "Embedding": _embedding,
    "LayerNormalization": _layer_normalization,
    "GroupNormalization": _group_normalization,
}
