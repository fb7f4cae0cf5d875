"""From one call of a layer to what it adds to the gradients of its variables, for each layer that has a cheap form.

A layer that is not in the table (another class, a subclass, an unusual setting) gets the general form: its part of the
backward pass is run once per record, and the rest of the model is not touched by that.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.contributions import (
    Lookup,
)
from tfx_privacy.training.gradients.convolution import convolution, depthwise
from tfx_privacy.training.gradients.dense import dense, einsum_dense
from tfx_privacy.training.gradients.general import record_by_record
from tfx_privacy.training.gradients.normalization import batch_normalization, group_normalization, layer_normalization
from tfx_privacy.training.gradients.units import (
    Call,
    Contributions,
    NoCheapFormError,
    Rule,
    Units,
    UnsupportedCallError,
    is_opaque,
    trained_variable,
)


def has_activation(layer: Any) -> bool:
    """Whether the layer's gradient is taken before its activation, which none of the rules has to know then."""
    return _rule(layer) in (dense, convolution, depthwise, einsum_dense)


def contributions(call: Call, gradients: list[Any], units: Units) -> Contributions:
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
                f"Layer {call.layer.name!r} gives {output.shape} for {units.records} records: they cannot be told "
                "apart."
            )
    rule = None if call.whole else _rule(call.layer)
    if rule is not None:
        try:
            return rule(call, gradients[0], units)
        except NoCheapFormError:
            pass
    return record_by_record(call, gradients, units)


def _rule(layer: Any) -> Rule | None:
    if is_opaque(layer) or not keras_api.is_own(type(layer)):
        return None
    return _RULES.get(type(layer).__name__)


def _embedding(call: Call, gradient: Any, units: Units) -> Contributions:
    layer = call.layer
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise NoCheapFormError
    if not isinstance(call.inputs, tf.Tensor) or getattr(layer, "sparse", False):
        raise NoCheapFormError
    table = trained_variable(layer, "embeddings")
    if table is None:
        return []
    rows, columns = (int(size) for size in table.shape)
    ids = tf.reshape(tf.cast(call.inputs, tf.int32), (units.count, -1))
    if keras_api.is_keras_3(layer):
        # It counts negative ids from the table's end.
        ids = tf.where(ids < 0, ids + rows, ids)
    return [(table, Lookup(ids, units.positions(gradient, columns), rows))]


_RULES: dict[str, Rule] = {
    "Dense": dense,
    "Conv1D": convolution,
    "Conv2D": convolution,
    "DepthwiseConv2D": depthwise,
    "EinsumDense": einsum_dense,
    "Embedding": _embedding,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "BatchNormalization": batch_normalization,
}
