"""Refuses models whose guarantee would not be true; every problem names its layer and a way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.errors import ModelError
from tfx_privacy.training import keras_api
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.variable_length import Ragged, Sparse

_OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adagrad", "RMSprop")
# Their output for one record depends on the other records of the batch, or they keep statistics of them.
_MIXING = ("BatchNormalization", "SyncBatchNormalization", "MixUp", "CutMix", "RandomErasing")
# Called by Keras' own `fit`, and not by DPTrainer.
_TRAINING_METHODS = ("train_step", "compute_loss", "compute_gradients")
_NOT_FINITE = (
    "Its outputs for made-up records (small random numbers, then positive ones) are not finite, so nothing shows "
    "whether it mixes records. Make them finite for every input, e.g. by tf.maximum before a logarithm or a root."
)
_PROBE_SIZE = 4
_TOLERANCE = 1e-4


def check_model(model: Any, data: ColumnarDataset) -> None:
    """Checks a compiled model before it sees a record.

    Args:
      model: What `model_fn` returned, of Keras 2 or Keras 3.
      data: The training data; only its names, shapes and types are used.

    Raises:
      ModelError: With every problem that was found.
    """
    if not keras_api.is_model(model):
        raise ModelError(f"model_fn returned a {type(model).__name__}; expected a compiled tf.keras.Model.")
    problems = [*_structural_problems(model)]
    if not problems:
        problems = [*_behavioural_problems(model, data)]
    if problems:
        raise ModelError("This model cannot be trained with a true guarantee. " + " ".join(problems))


def finite_records(model: Any, data: ColumnarDataset, size: int) -> ColumnarDataset | None:
    """Made-up records whose outputs are finite, so comparing outputs shows something; None where there are none."""
    for positive in (False, True):
        made = data.synthetic(size, positive=positive)
        if _finite(keras_api.called(model, _tensors(made), training=False)):
            return made
    return None


def relevant_features(model: Any, data: ColumnarDataset) -> ColumnarDataset:
    """Leaves out features that a functional model has no input for.

    Raises:
      ModelError: If the model has an input that the data lacks, or a dense one for a feature of variable length.
    """
    names = keras_api.input_names(model) if keras_api.is_model(model) else []
    for name in names:
        if isinstance(data.features, dict) and isinstance(data.features.get(name), Ragged | Sparse):
            check_variable_length(model, name)
    if not names or not isinstance(data.features, dict):
        return data
    missing = sorted(set(names) - set(data.columns))
    if missing:
        raise ModelError(
            f"The model has an input {missing[0]!r}, but the features are: {', '.join(sorted(data.columns))}."
        )
    return data.only(set(names))


def check_variable_length(model: Any, name: str) -> None:
    """Checks a model's input for a feature of which records hold different numbers of values.

    Raises:
      ModelError: If it is dense.
    """
    if not keras_api.takes_variable_length(model, name):
        raise ModelError(
            f"Feature {name!r} has a variable number of values in each record, and the model's input of that name is "
            "dense. Declare the input as Input(shape=(None,), sparse=True) or, in Keras 2, ragged=True; or make the "
            "feature dense in preprocessing_fn or input_fn."
        )


def _structural_problems(model: Any) -> Iterator[str]:
    for method in _TRAINING_METHODS:
        if not keras_api.is_own(_defining_class(type(model), method)):
            yield f"It has its own {method}, which would not be run: move what it does into the loss."
    if not getattr(model, "optimizer", None) or not getattr(model, "loss", None):
        yield "It is not compiled with an optimizer and a loss: call model.compile(optimizer=..., loss=...)."
    else:
        yield from _optimizer_problems(model.optimizer)
    for layer in keras_api.layers(model):
        yield from _layer_problems(layer)


def _defining_class(kind: type, attribute: str) -> type:
    """The class of the hierarchy that an attribute comes from; `object` of Keras' own where it is new in one generation."""
    found = next((base for base in kind.__mro__ if attribute in vars(base)), None)
    return found or next(base for base in kind.__mro__ if keras_api.is_own(base))


def _optimizer_problems(optimizer: Any) -> Iterator[str]:
    kind = type(optimizer)
    if not keras_api.is_exactly(optimizer, *_OPTIMIZERS) or ".legacy." in f"{kind.__module__}.":
        yield (
            f"Its optimizer is {kind.__module__}.{kind.__name__}; allowed are Keras' {', '.join(_OPTIMIZERS)}. "
            "DPTrainer clips and adds the noise itself."
        )


def _layer_problems(layer: Any) -> Iterator[str]:
    name = f"Layer {layer.name!r} ({type(layer).__name__})"
    if keras_api.is_kind_of(layer, *_MIXING) or "BatchNorm" in type(layer).__name__:
        yield (
            f"{name} mixes the records of a batch or keeps their statistics: use LayerNormalization or "
            "GroupNormalization, and augment records one by one."
        )
    elif keras_api.is_kind_of(layer, "SpectralNormalization"):
        yield f"{name} keeps a vector that follows the weights: use a kernel constraint or regularizer instead."
    elif getattr(layer, "stateful", False) and keras_api.is_kind_of(layer, "RNN"):
        yield f"{name} carries its state from batch to batch: set stateful=False."
    elif keras_api.takes_from_data(layer):
        yield (
            f"{name} takes its mean, vocabulary or boundaries from data, by adapt() without privacy: give them to it "
            "as constants."
        )
    policy: Any = getattr(layer, "dtype_policy", None) or getattr(layer, "_dtype_policy", None)
    if getattr(policy, "compute_dtype", None) in ("float16", "bfloat16"):
        yield f"{name} computes in {policy.compute_dtype}: use float32, in which clipping is done."


def _behavioural_problems(model: Any, data: ColumnarDataset) -> Iterator[str]:
    """Runs the model on made-up records."""
    made = data.synthetic(_PROBE_SIZE)
    try:
        keras_api.heads(model, made.labels, keras_api.called(model, _tensors(made), training=False))
    except ModelError as error:
        yield str(error)
        return
    if not model.trainable_variables:
        yield "It has no trainable weights."
        return
    finite = finite_records(model, data, _PROBE_SIZE)
    if finite is None:
        yield _NOT_FINITE
        return
    yield from _mixing_problems(model, _tensors(finite))
    yield from _state_problems(model, _tensors(finite))


def _mixing_problems(model: Any, batch: Any) -> Iterator[str]:
    with keras_api.without_randomness(model):
        for training in (False, True):
            together = keras_api.called(model, batch, training=training)
            if not _finite(together):
                yield _NOT_FINITE
                return
            if not _same(together, keras_api.called(model, batch, training=training)):
                # A layer of the user's own that draws random numbers: no two calls can be compared.
                continue
            for index in range(_PROBE_SIZE):
                of_one, alone = tf.nest.map_structure(lambda column, at=index: column[at : at + 1], (together, batch))
                if not _same(of_one, keras_api.called(model, alone, training=training)):
                    yield (
                        f"An output for one record depends on the other records of its batch (training={training}). "
                        "Remove the layer that mixes records (normalisation over the batch, in-batch attention, "
                        "negatives or ranking)."
                    )
                    return


def _state_problems(model: Any, batch: Any) -> Iterator[str]:
    trained = {id(variable) for variable in keras_api.trainable_variables(model)}
    kept = [variable for variable in keras_api.all_variables(model) if id(variable) not in trained]
    before = [np.array(tf.convert_to_tensor(variable)) for variable in kept]
    keras_api.called(model, batch, training=True)
    if keras_api.has_data_losses(model):
        yield (
            "A layer adds a loss that depends on the input (add_loss or an activity regularizer): put it into the loss."
        )
    for variable, old in zip(kept, before, strict=True):
        if not np.array_equal(np.array(tf.convert_to_tensor(variable)), old, equal_nan=old.dtype.kind == "f"):
            yield (
                f"Weight {variable.name!r} is not trained but changes with the data: remove the layer that keeps "
                "statistics."
            )


def _tensors(made: ColumnarDataset) -> Any:
    return tf.nest.map_structure(tf.constant, made.features)


def _finite(outputs: Any) -> bool:
    return all(bool(np.all(np.isfinite(output))) for output in tf.nest.flatten(outputs))


def _same(one: Any, other: Any) -> bool:
    return all(
        np.allclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE)
        for first, second in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    )
