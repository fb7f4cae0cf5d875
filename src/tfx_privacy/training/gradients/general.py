"""Contributions of any other layer: its part of the backward pass, record by record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.contributions import (
    Materialized,
)
from tfx_privacy.training.gradients.separation import inside, is_of_records
from tfx_privacy.training.gradients.units import (
    Call,
    Contributions,
    Units,
    UnsupportedCallError,
    is_opaque,
)
from tfx_privacy.training.gradients.vectorization import over_records


def record_by_record(call: Call, gradients: list[Any], units: Units) -> Contributions:
    """The layer's part of the backward pass, record by record."""
    if keras_api.is_random(call.layer):
        raise UnsupportedCallError(
            f"Layer {call.layer.name!r} draws random numbers, and would draw others when it is called again."
        )
    of = keras_api.trainable_variables if call.whole or is_opaque(call.layer) else keras_api.weights_of
    variables = of(call.layer)
    flat = tf.nest.flatten((call.args, call.kwargs))
    of_records = [index for index, part in enumerate(flat) if is_of_records(part, units.records)]
    masks = {index: mask for index in of_records if (mask := keras_api.mask_of(flat[index])) is not None}

    def of_one(record: tuple[list[Any], dict[int, Any], list[Any]]) -> list[Any]:
        inputs, of_masks, cotangents = tf.nest.map_structure(lambda part: part[tf.newaxis], record)
        filled = list(flat)
        for index, part in zip(of_records, inputs, strict=True):
            if index in of_masks:
                part._keras_mask = of_masks[index]
            filled[index] = part
        args, kwargs = tf.nest.pack_sequence_as((call.args, call.kwargs), filled)
        with tf.GradientTape(watch_accessed_variables=False) as tape, inside():
            tape.watch(variables)
            outputs = float_outputs(keras_api.call_as_keras_does(call.layer, call.function, args, kwargs))
        cotangents = [tf.cast(each, output.dtype) for each, output in zip(cotangents, outputs, strict=True)]
        found = tape.gradient(outputs, variables, cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.cast(tf.convert_to_tensor(gradient), tf.float32) for gradient in found]

    records = ([flat[index] for index in of_records], masks, list(gradients))
    found = for_each_record(of_one, records, variables, units.records)
    return [(variable, Materialized(units.summed(each))) for variable, each in zip(variables, found, strict=True)]


def for_each_record(
    function: Callable[[Any], list[Any]], records: Any, variables: list[Any], count: int, *, in_loop: bool = False
) -> list[Any]:
    """Gradients of single records.

    Args:
      function: From one record to one gradient per variable.
      records: Tensors of leading dimension `count`.
      variables: The trainable variables.
      count: Number of records.
      in_loop: One after the other, even where all at once is known to be the same.

    Returns:
      Per variable, float32 of shape (count, *variable's shape).
    """
    found = over_records(function, records, in_loop=in_loop)
    return [tf.ensure_shape(each, (count, *variable.shape)) for each, variable in zip(found, variables, strict=True)]


def float_outputs(outputs: Any) -> list[Any]:
    """The differentiable tensors among a layer's outputs."""
    return [part for part in tf.nest.flatten(outputs) if isinstance(part, tf.Tensor) and part.dtype.is_floating]
