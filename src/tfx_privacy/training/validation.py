"""Refuses models whose guarantee would not be true; every problem names its layer and a way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.privacy.errors import ModelError
from tfx_privacy.training.data import ColumnarDataset

_OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop")
_PROBE_SIZE = 4
_TOLERANCE = 1e-4


def check_model(model: Any, data: ColumnarDataset) -> None:
    """Checks a compiled model before it sees a record.

    Args:
      model: What `model_fn` returned.
      data: The training data; only its names, shapes and types are used.

    Raises:
      ModelError: With every problem that was found.
    """
    if not isinstance(model, tf.keras.Model):
        raise ModelError(f"model_fn returned a {type(model).__name__}; expected a compiled tf.keras.Model.")
    problems = [*_structural_problems(model)]
    if not problems:
        problems = [*_behavioural_problems(model, data)]
    if problems:
        raise ModelError("This model cannot be trained with a true guarantee. " + " ".join(problems))


def relevant_features(model: Any, data: ColumnarDataset) -> ColumnarDataset:
    """Leaves out features that a functional model has no input for.

    Raises:
      ModelError: If the model has an input that the data lacks.
    """
    names = getattr(model, "input_names", None)
    if not names or not isinstance(data.features, dict):
        return data
    missing = sorted(set(names) - set(data.columns))
    if missing:
        raise ModelError(
            f"The model has an input {missing[0]!r}, but the features are: {', '.join(sorted(data.columns))}."
        )
    return data.only(set(names))


def _structural_problems(model: Any) -> Iterator[str]:
    if type(model).train_step is not tf.keras.Model.train_step:
        yield "It has a train_step of its own, which would not be run: move what it does into the loss."
    if not getattr(model, "optimizer", None) or not model.loss:
        yield "It is not compiled with an optimizer and a loss: call model.compile(optimizer=..., loss=...)."
    else:
        yield from _optimizer_problems(model.optimizer)
        if isinstance(model.loss, (list, tuple, dict)):
            yield "It has several losses; one output with one loss is supported."
    for layer in model._flatten_layers(include_self=False):
        yield from _layer_problems(layer)


def _optimizer_problems(optimizer: Any) -> Iterator[str]:
    kind = type(optimizer)
    ours = kind.__module__.startswith(("tf_keras.", "keras.", "tensorflow.python.keras."))
    if kind.__name__ not in _OPTIMIZERS or not ours:
        yield (
            f"Its optimizer is {kind.__module__}.{kind.__name__}; allowed are Keras' {', '.join(_OPTIMIZERS)}. "
            "DPTrainer clips and adds the noise itself."
        )


def _layer_problems(layer: Any) -> Iterator[str]:
    layers = tf.keras.layers
    name = f"Layer {layer.name!r} ({type(layer).__name__})"
    if isinstance(layer, layers.BatchNormalization) or "BatchNormalization" in type(layer).__name__:
        yield f"{name} mixes the records of a batch and keeps their statistics: use LayerNormalization or GroupNormalization."
    elif getattr(layer, "_is_adapted", False):
        yield f"{name} was adapted to data without privacy: give it a vocabulary or constants instead of calling adapt()."
    elif isinstance(layer, layers.Normalization) and layer.input_mean is None:
        yield f"{name} takes its mean and variance from data: give it mean and variance."
    policy = getattr(layer, "_dtype_policy", None)
    if policy is not None and getattr(policy, "compute_dtype", None) in ("float16", "bfloat16"):
        yield f"{name} computes in {policy.compute_dtype}: use float32, in which clipping is done."


def _behavioural_problems(model: Any, data: ColumnarDataset) -> Iterator[str]:
    """Runs the model on made-up records."""
    batch = tf.nest.map_structure(tf.constant, data.synthetic(_PROBE_SIZE))
    alone = tf.nest.map_structure(lambda column: column[1:2], batch)
    outputs = model(batch, training=False)
    if tf.nest.is_nested(outputs):
        yield "It has several outputs; one output with one loss is supported."
        return
    if not model.trainable_variables:
        yield "It has no trainable weights."
        return
    own = model(alone, training=False)
    if not np.allclose(outputs[1:2], own, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
        yield (
            "An output for one record depends on the other records of its batch. Remove the layer that mixes records "
            "(normalisation over the batch, in-batch attention or ranking)."
        )
    before = [np.array(weight) for weight in model.non_trainable_weights]
    model(batch, training=True)
    regularizers = sum(len(layer._callable_losses) for layer in model._flatten_layers(include_self=True))
    if len(model.losses) > regularizers:
        yield "A layer adds a loss that depends on the input (add_loss or an activity regularizer): put it into the loss."
    for weight, old in zip(model.non_trainable_weights, before, strict=True):
        if "seed_generator" in weight.name or "StateVar" in weight.name:
            continue
        if not np.array_equal(np.array(weight), old, equal_nan=old.dtype.kind == "f"):
            yield f"Weight {weight.name!r} is not trained but changes with the data: remove the layer that keeps statistics."
