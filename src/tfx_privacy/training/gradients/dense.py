"""Contributions of matrix products: Dense and EinsumDense."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfx_privacy.training.gradients.contributions import (
    Contribution,
    Materialized,
    Outer,
    Positions,
)
from tfx_privacy.training.gradients.units import (
    Call,
    Contributions,
    NoCheapFormError,
    Units,
    bias_contribution,
    sum_to,
    trained_variable,
)

# Where the number of positions is not known, a weight up to this size is materialized.
_SMALL_WEIGHT = 1 << 14

# In multiplications, as measured for matrices of a few dozen rows on a CPU.
COST_OF_A_NUMBER = 8


def dense(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions to kernel and bias of a Dense layer; `gradient` is (records, ..., columns)."""
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise NoCheapFormError
    found: Contributions = []
    kernel = trained_variable(layer, "kernel")
    if kernel is not None:
        found.append((kernel, _product(call.inputs, gradient, units, *kernel.shape, shape=tuple(kernel.shape))))
    return found + bias_contribution(layer, gradient, units)


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
    if weights <= _SMALL_WEIGHT if count is None else materializing_is_cheaper(count, rows, columns):
        return Materialized(positions.materialized())
    return positions


def materializing_is_cheaper(positions: int, rows: int, columns: int) -> bool:
    """Chooses between Gram matrices and the gradients themselves (Li et al. 2022, Section 4.1).

    Gram matrices cost positions^2 * (rows + columns) more multiplications; the gradients themselves are numbers to
    write and read, each of which costs about as much as eight.
    """
    return COST_OF_A_NUMBER * rows * columns < positions * positions * (rows + columns)


def einsum_dense(call: Call, gradient: Any, units: Units) -> Contributions:
    """EinsumDense, where no letter is in inputs, weight and outputs at once."""
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise NoCheapFormError
    inputs = tf.cast(call.inputs, tf.float32)
    source, weight, target = _letters(layer.equation, inputs.shape.rank, gradient.shape.rank)
    contracted = [letter for letter in weight if letter in source]
    made = [letter for letter in weight if letter in target]
    positions = [letter for letter in source[1:] if letter in target]
    if source[0] != target[0] or set(contracted) & set(made) or set(positions) & set(weight):
        raise NoCheapFormError
    if len(contracted) + len(made) != len(weight) or len(positions) + len(contracted) + 1 != len(source):
        raise NoCheapFormError
    found: Contributions = []
    kernel = trained_variable(layer, "kernel")
    if kernel is not None:
        if weight != contracted + made:
            raise NoCheapFormError
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
    bias = trained_variable(layer, "bias")
    if bias is not None:
        # The bias has the outputs' last axes, of size 1 where it is the same for all.
        width = len(bias.shape)
        of_records = sum_to(gradient, width)
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
        raise NoCheapFormError
    return list(spelled[0]), list(weight), list(spelled[1])


def _transposed(tensor: Any, order: list[str], wanted: list[str]) -> Any:
    if order == wanted:
        return tensor
    return tf.transpose(tensor, [order.index(letter) for letter in wanted])
