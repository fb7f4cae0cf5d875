"""Takes over the weights of a saved model, for a training that begins from it."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from tfx_privacy.errors import ParameterError
from tfx_privacy.training import keras_api


def load_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Sets a model's weights to those of a SavedModel, in their order.

    For example:

        def model_fn(fn_args):
            model = ...
            if fn_args.base_model:
                load_weights(model, fn_args.base_model)

    Args:
      model: A built Keras model of either generation.
      path: A SavedModel of the same architecture, as DPTrainer or `tf.saved_model.save(model)` wrote it.

    Raises:
      ParameterError: If the SavedModel's weights differ in number or shape from the model's.
    """
    loaded = tf.saved_model.load(os.fspath(path))
    saved = getattr(loaded, "model_weights", None)
    saved = list(loaded.variables if saved is None else saved)
    own = keras_api.all_variables(model)
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (saved, own)]
    if shapes[0] != shapes[1]:
        place = next((i for i, pair in enumerate(zip(*shapes, strict=False)) if pair[0] != pair[1]), None)
        differs = f"{len(saved)} weights" if place is None else f"weight {place} of shape {shapes[0][place]}"
        expected = f"{len(own)}" if place is None else f"one of shape {shapes[1][place]}"
        raise ParameterError(
            f"The SavedModel has {differs}, the model {expected}. Make a model of the base model's architecture, and "
            "give it new layers after its weights are set."
        )
    for variable, weight in zip(own, saved, strict=True):
        variable.assign(tf.cast(tf.convert_to_tensor(weight), variable.dtype))
