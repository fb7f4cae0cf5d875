"""Contributions of layer, group and batch normalization."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.contributions import (
    Materialized,
)
from tfx_privacy.training.gradients.units import Call, Contributions, NoCheapFormError, Units, sum_to, trained_variable


def layer_normalization(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions to gamma and beta; `gradient` has the shape of the inputs, (records, ...)."""
    layer = call.layer
    if getattr(layer, "rms_scaling", False):
        raise NoCheapFormError
    inputs = tf.cast(call.inputs, tf.float32)
    rank = inputs.shape.rank
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    axes = sorted(axis % rank for axis in axes)
    if axes != list(range(rank - len(axes), rank)) or 0 in axes:
        raise NoCheapFormError
    return _scale_and_shift(layer, _normalized(inputs, axes, layer.epsilon), gradient, units, len(axes))


def group_normalization(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions to gamma and beta; `gradient` is (records, extent..., channels), as the inputs are."""
    layer = call.layer
    inputs = tf.cast(call.inputs, tf.float32)
    rank = inputs.shape.rank
    if layer.axis % rank != rank - 1 or call.kwargs.get("mask") is not None or None in inputs.shape[1:]:
        raise NoCheapFormError
    channels = inputs.shape[-1]
    groups = channels if layer.groups == -1 else layer.groups
    split = tf.reshape(inputs, (*inputs.shape[:-1], groups, channels // groups))
    axes = [axis for axis in range(1, rank + 1) if axis != rank - 1]
    normalized = tf.reshape(_normalized(split, axes, layer.epsilon), inputs.shape)
    return _scale_and_shift(layer, normalized, gradient, units, 1)


def batch_normalization(call: Call, gradient: Any, units: Units) -> Contributions:
    """Returns contributions to gamma and beta of a layer that uses its moving statistics; no other gets here (`plan`)."""
    layer = call.layer
    inputs = tf.cast(call.inputs, tf.float32)
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axes not in ([-1], [inputs.shape.rank - 1]):
        raise NoCheapFormError
    mean, variance = (tf.cast(keras_api.raw(part), tf.float32) for part in (layer.moving_mean, layer.moving_variance))
    normalized = (inputs - mean) * tf.math.rsqrt(variance + layer.epsilon)
    return _scale_and_shift(layer, normalized, gradient, units, 1)


def _normalized(inputs: Any, axes: list[int], epsilon: float) -> Any:
    mean, variance = tf.nn.moments(inputs, axes, keepdims=True)
    return (inputs - mean) * tf.math.rsqrt(variance + epsilon)


def _scale_and_shift(layer: Any, normalized: Any, gradient: Any, units: Units, width: int) -> Contributions:
    found: Contributions = []
    gamma, beta = trained_variable(layer, "gamma"), trained_variable(layer, "beta")
    if gamma is not None:
        found.append((gamma, Materialized(units.summed(sum_to(gradient * normalized, width)))))
    if beta is not None:
        found.append((beta, Materialized(units.summed(sum_to(gradient, width)))))
    return found
