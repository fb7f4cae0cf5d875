"""Keras' own layers whose outputs for one record depend on that record alone, and the arguments that keep them so.

A layer is known only if its class is Keras' own, no subclass, and nothing was put over its methods or its class's. Whatever
is not in these tables is put through one record at a time (`separation`), so a layer that is missing costs time and nothing
else.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfx_privacy.training import keras_api


class Ranks(NamedTuple):
    """What a layer is called with: numbers of dimensions of its tensors, and whether it is for training."""

    inputs: list[int]
    masks: list[int]
    """Of those that the call names a mask."""
    training: Any = None
    """The argument of that name; None where there is none."""

    @property
    def least(self) -> int:
        """Of all inputs."""
        return min(self.inputs, default=0)

    @property
    def first(self) -> int:
        """Of the first input."""
        return self.inputs[0] if self.inputs else 0


Check = Callable[[Any, Ranks], bool]
"""Of a layer and what it is called with: whether it leaves the records apart."""

# Keras puts its own functions over these on each instance; none of them takes part in a call.
_REPLACED_BY_KERAS = ("build", "quantize", "reset_state", "loss")
# Decorators within one another.
_DEEPEST = 10


# Nothing that is called goes through these, and tools that log training put theirs over them.
_NOT_CALLED = ("fit", "evaluate", "predict", "save", "save_weights", "load_weights", "summary")


def is_genuine(kind: Any) -> bool:
    """Whether a class or function is Keras' own: found in the module of Keras that it names, and written there."""
    home = sys.modules.get(getattr(kind, "__module__", None) or "")
    if not keras_api.is_own(kind) or getattr(home, getattr(kind, "__name__", ""), None) is not kind:
        return False
    return not patched_methods(kind) if inspect.isclass(kind) else _is_of_keras(kind)


def is_genuine_layer(kind: Any) -> bool:
    """Whether a class is a layer of Keras' own: some of its operations have the names of layers."""
    return is_genuine(kind) and (".layers." in kind.__module__ or kind.__module__.endswith(".input_layer"))


def patched_methods(kind: Any) -> set[str]:
    """Names of methods that somebody put over those of a class of Keras', or of a class of Keras' that it is made of."""
    bases = [base for base in kind.__mro__ if keras_api.is_own(base)]
    return {
        name
        for base in bases
        for name, value in vars(base).items()
        if name not in _NOT_CALLED and not _is_of_keras(value)
    }


def wrapped_functions(function: Any) -> list[Any]:
    """A function, and what it wraps, down to the innermost."""
    found = [function]
    while len(found) < _DEEPEST and (inner := _inner(found[-1])) is not None:
        found.append(inner)
    return found


def home_of(function: Any) -> str:
    """The module that a function was written in: `functools.wraps` cannot change that."""
    return str(getattr(function, "__globals__", {}).get("__name__", ""))


def _inner(function: Any) -> Any:
    """What a method, property or decorated function calls."""
    names = ("__wrapped__", "__func__", "fget", "python_function")
    return next((inner for name in names if (inner := getattr(function, name, None)) is not None), None)


def _is_of_keras(value: Any) -> bool:
    """Whether an attribute of a class is no function, or one of Keras or TensorFlow."""
    if inspect.isclass(value) or not (callable(value) or isinstance(value, property | classmethod | staticmethod)):
        return True
    *_, innermost = found = wrapped_functions(value)
    functions = [each for each in found if inspect.isfunction(each)]
    written = all(f"{home_of(each)}.".startswith((*keras_api.OWN_MODULES, "tensorflow.")) for each in functions)
    return written and inspect.isfunction(innermost)


def is_altered(instance: Any) -> bool:
    """Whether somebody put an attribute over a method of an instance."""
    return any(
        inspect.isroutine(getattr(type(instance), name, None))
        and name not in _REPLACED_BY_KERAS
        and not keras_api.is_ours(value)
        for name, value in vars(instance).items()
    )


def check_of(layer: Any) -> Check | None:
    """The check of a known layer; None if it is not known, whatever it is called with."""
    if not is_genuine_layer(type(layer)) or is_altered(layer):
        return None
    if not all(is_known_activation(each) for each in _activations(layer)):
        return None
    return _CHECKS.get(type(layer).__name__)


def is_known_activation(function: Any) -> bool:
    """Whether an activation leaves records apart: a listed function of Keras or TensorFlow, or a listed layer."""
    if function is None or id(function) in _OF_TENSORFLOW:
        return True
    if inspect.isfunction(function):
        return is_genuine(function) and function.__name__ in _OF_KERAS and ".activations" in function.__module__
    kind = type(function)
    return is_genuine_layer(kind) and not is_altered(function) and kind.__name__ in _ACTIVATION_LAYERS


def has_activation_apart(layer: Any) -> bool:
    """Whether a layer applies its activation last, so that one can be put through record by record."""
    return type(layer).__name__ in _ACTIVATION_LAST


def _activations(layer: Any) -> list[Any]:
    if has_activation_apart(layer):
        return []
    holders = [layer, *([layer.cell] if hasattr(layer, "cell") else [])]
    return [getattr(each, name, None) for each in holders for name in ("activation", "recurrent_activation")]


def _always(layer: Any, ranks: Ranks) -> bool:
    return True


def _of_rank(least: int) -> Check:
    """With one dimension less Keras takes the records for something else, e.g. for the rows of one image."""
    return lambda layer, ranks: ranks.least >= least


def keeps_first(axis: Any, rank: int) -> bool:
    """Whether an axis, or several, of a tensor are surely not that of the records."""
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    return bool(axes) and all(type(each) is int and -rank < each < rank and each != 0 for each in axes)


def _by_axis(layer: Any, ranks: Ranks) -> bool:
    return keeps_first(_plain(layer.axis), ranks.first)


def _plain(axis: Any) -> Any:
    """Keras keeps lists in wrappers of its own."""
    return list(axis) if not isinstance(axis, int) and axis is not None else axis


def _merge(layer: Any, ranks: Ranks) -> bool:
    """Of one rank, so broadcasting aligns the records; a merge that was built for one rank may be called with two."""
    return len(set(ranks.inputs)) == 1


def _concatenate(layer: Any, ranks: Ranks) -> bool:
    return all(keeps_first(layer.axis, rank) for rank in ranks.inputs)


def _dot(layer: Any, ranks: Ranks) -> bool:
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    return len(ranks.inputs) == len(axes) and all(map(keeps_first, axes, ranks.inputs))


def _multi_head(layer: Any, ranks: Ranks) -> bool:
    axes = getattr(layer, "_attention_axes", None)
    return _attention(layer, ranks) and (axes is None or keeps_first(list(axes), ranks.first))


def _attention(layer: Any, ranks: Ranks) -> bool:
    """Of matrices it would be attention between records."""
    return ranks.least >= 3


def _softmax(layer: Any, ranks: Ranks) -> bool:
    """A mask of fewer dimensions would be broadcast from the wrong end."""
    return _by_axis(layer, ranks) and all(rank == ranks.first for rank in ranks.masks)


def _normalization(layer: Any, ranks: Ranks) -> bool:
    return not _plain(layer.axis) or _by_axis(layer, ranks)


def is_batch_normalization(layer: Any) -> bool:
    """Whether a layer is one of Keras' that normalise by the batch in training, or a subclass of one."""
    return any("BatchNorm" in base.__name__ for base in type(layer).__mro__ if keras_api.is_own(base))


def by_moving_statistics(layer: Any, training: Any) -> bool:
    """Whether Keras' own BatchNormalization, called so, uses its moving statistics and leaves them as they are.

    A layer that is not trainable does so in training as well, in both generations; TensorFlow 1's does not. Anything but a
    plain False may be true when the layer looks at it.

    Args:
      layer: Of any class.
      training: What it is called with.
    """
    if check_of(layer) is None or any(getattr(layer, name, None) for name in _OF_SUB_BATCHES):
        return False
    frozen = layer.trainable is False and getattr(layer, "_USE_V2_BEHAVIOR", True) is True
    return frozen or training is False


def _batch_normalization(layer: Any, ranks: Ranks) -> bool:
    return by_moving_statistics(layer, ranks.training) and _by_axis(layer, ranks)


def _einsum(layer: Any, ranks: Ranks) -> bool:
    """The records' letter comes first in inputs and outputs, and nowhere else."""
    left, _, target = layer.equation.replace(" ", "").partition("->")
    source, _, weight = left.partition(",")
    if source.startswith("..."):
        return target.startswith("...") and ranks.first >= len(source) - 2
    first = source[:1]
    return first.isalpha() and target[:1] == first and (source + target).count(first) == 2 and first not in weight


def _recurrent(layer: Any, ranks: Ranks) -> bool:
    kind = type(layer.cell)
    own_cell = is_genuine_layer(kind) and not is_altered(layer.cell) and kind.__name__ in _CELLS
    by_batch = not getattr(layer, "time_major", False) and not getattr(layer, "stateful", False)
    return own_cell and by_batch and ranks.first >= 3


def _bidirectional(layer: Any, ranks: Ranks) -> bool:
    parts = [layer.forward_layer, layer.backward_layer]
    checks = [check_of(part) if type(part).__name__ in _RECURRENT else None for part in parts]
    return all(check is not None and check(part, ranks) for check, part in zip(checks, parts, strict=True))


def _time_distributed(layer: Any, ranks: Ranks) -> bool:
    inner = layer.layer
    check = check_of(inner)
    return (
        ranks.least >= 3
        and check is not None
        and is_known_activation(getattr(inner, "activation", None))
        and check(inner, Ranks([rank - 1 for rank in ranks.inputs], [rank - 1 for rank in ranks.masks]))
    )


def _multi_hot(layer: Any, ranks: Ranks) -> bool:
    """Counts are of the last axis: of a vector they would be counts of the batch."""
    return getattr(layer, "output_mode", "int") == "int" or ranks.least >= 2


def _text(layer: Any, ranks: Ranks) -> bool:
    """Without a fixed length a text's row is as long as the longest of the batch."""
    own_functions = isinstance(layer._standardize, str | None) and isinstance(layer._split, str | None)
    of_fixed_width = layer._output_mode != "int" or layer._output_sequence_length is not None
    return own_functions and of_fixed_width and not layer._ragged


# Settings of Keras 2's BatchNormalization that change what it does with a batch.
_OF_SUB_BATCHES = ("renorm", "virtual_batch_size", "adjustment")
_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell", "ConvLSTMCell")
_ACTIVATION_LAST = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "EinsumDense")
_ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU")

_CHECKS: dict[str, Check] = {
    **dict.fromkeys(
        (
            "InputLayer", "Identity", "Flatten", "Reshape", "Permute", "RepeatVector", "Activation",
            *_ACTIVATION_LAYERS, "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise",
            "GaussianDropout", "AlphaDropout", "Rescaling", "Embedding",
        ),
        _always,
    ),
    **dict.fromkeys(("Dense", "Masking", "HashedCrossing"), _of_rank(2)),
    **dict.fromkeys(
        (
            *(f"{kind}{axes}D" for axes in (1, 2, 3) for kind in (
                "Conv", "MaxPooling", "AveragePooling", "UpSampling", "ZeroPadding", "Cropping",
            )),
            *(f"{kind}{axes}D" for axes in (1, 2) for kind in ("DepthwiseConv", "SeparableConv")),
            *(f"Global{kind}Pooling{axes}D" for axes in (1, 2, 3) for kind in ("Average", "Max")),
            *(f"Conv{axes}DTranspose" for axes in (1, 2, 3)),
        ),
        _of_rank(3),
    ),
    **dict.fromkeys(
        (
            "Resizing", "CenterCrop", "RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop",
            "RandomContrast", "RandomBrightness",
        ),
        _of_rank(4),
    ),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization"), _by_axis),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _merge),
    "BatchNormalization": _batch_normalization,
    "Softmax": _softmax,
    "Normalization": _normalization,
    "Concatenate": _concatenate,
    "Dot": _dot,
    **dict.fromkeys(("Attention", "AdditiveAttention", "GroupedQueryAttention"), _attention),
    "MultiHeadAttention": _multi_head,
    "EinsumDense": _einsum,
    **dict.fromkeys(_RECURRENT, _recurrent),
    "RNN": _recurrent,
    "Bidirectional": _bidirectional,
    "TimeDistributed": _time_distributed,
    **dict.fromkeys(("CategoryEncoding", "StringLookup", "IntegerLookup", "Discretization", "Hashing"), _multi_hot),
    "TextVectorization": _text,
}  # fmt: skip

# Functions of Keras' `activations` that look at nothing beyond the last axis.
_OF_KERAS = (
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "log_sigmoid", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "swish", "tanh", "softmax", "log_softmax",
)  # fmt: skip
_OF_TENSORFLOW = {
    id(function)
    for function in (
        tf.nn.elu, tf.nn.gelu, tf.nn.leaky_relu, tf.nn.relu, tf.nn.relu6, tf.nn.selu, tf.nn.sigmoid, tf.nn.silu,
        tf.nn.softplus, tf.nn.softsign, tf.nn.swish, tf.nn.tanh, tf.identity, tf.math.softplus,
    )
}  # fmt: skip
