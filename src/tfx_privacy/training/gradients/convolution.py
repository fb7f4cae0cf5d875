"""Contributions of convolutions."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfx_privacy.training.gradients import patches
from tfx_privacy.training.gradients.contributions import (
    Contribution,
    Materialized,
    Positions,
    Windows,
)
from tfx_privacy.training.gradients.dense import COST_OF_A_NUMBER, materializing_is_cheaper
from tfx_privacy.training.gradients.units import (
    Call,
    Contributions,
    NoCheapFormError,
    Units,
    bias_contribution,
    trained_variable,
)

# Times that Gram matrices of blocks, and gradients of single records, are written and read.
_PASSES_OF_GRAM, _PASSES_OF_GRADIENTS = 6, 3


def convolution(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions to kernel and bias of a Conv1D or Conv2D; `gradient` is (records, extent..., filters)."""
    layer = call.layer
    if layer.groups != 1 or getattr(layer, "lora_enabled", False):
        raise NoCheapFormError
    _require_known_extents(call)
    found: Contributions = []
    kernel = trained_variable(layer, "kernel")
    if kernel is not None:
        inputs, window = patches.padded(tf.cast(call.inputs, tf.float32), patches.Window.of(layer))
        rows, columns = math.prod(int(size) for size in kernel.shape[:-1]), int(kernel.shape[-1])
        found.append((kernel, _of_windows(inputs, gradient, window, units, rows, columns, tuple(kernel.shape))))
    return found + bias_contribution(layer, gradient, units)


def _of_windows(
    inputs: Any, gradient: Any, window: patches.Window, units: Units, rows: int, columns: int, shape: tuple[int, ...]
) -> Contribution:
    if units.records_each == 1 and _blocks_are_cheaper(inputs, gradient, window, rows):
        return Windows(inputs, gradient, shape, window)
    positions = math.prod(gradient.shape[1:-1]) * units.records_each
    if materializing_is_cheaper(positions, rows, columns):
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
    gram = count * count * (multiplied + COST_OF_A_NUMBER * _PASSES_OF_GRAM)
    numbers = _PASSES_OF_GRADIENTS * rows * gradient.shape[-1] + math.prod(gradient.shape[1:-1]) * rows
    return gram < COST_OF_A_NUMBER * numbers


def depthwise(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions of a DepthwiseConv2D; `gradient` is (records, rows, columns, channels * multiplier)."""
    layer = call.layer
    _require_known_extents(call)
    found: Contributions = []
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    kernel = trained_variable(layer, name)
    if kernel is not None:
        inputs, window = patches.padded(tf.cast(call.inputs, tf.float32), patches.Window.of(layer))
        of_records = patches.depthwise_gradients(inputs, gradient, window)
        of_records = tf.reshape(of_records, (units.records, *kernel.shape))
        found.append((kernel, Materialized(units.summed(of_records))))
    return found + bias_contribution(layer, gradient, units)


def _require_known_extents(call: Call) -> None:
    if call.layer.data_format != "channels_last" or call.inputs.shape.rank != call.layer.rank + 2:
        raise NoCheapFormError
    if None in call.inputs.shape[1:]:
        raise NoCheapFormError
