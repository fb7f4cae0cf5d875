"""Puts records through a function one at a time, forward and backward, so they cannot mix, whatever the function does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.units import UnsupportedCallError
from tfx_privacy.training.gradients.vectorization import over_records

_INSIDE = threading.local()


def is_of_records(part: Any, count: int | None) -> bool:
    """Whether a tensor has one row per record; a constant of so many rows, which stays the same in any batch, has not."""
    if not isinstance(part, tf.Tensor) or not part.shape.rank or part.shape[0] != count:
        return False
    # Of an eager tensor nobody can say whether it is a constant; steps run in graphs.
    return tf.executing_eagerly() or tf.get_static_value(part) is None


def is_unclear(part: Any, count: int) -> bool:
    """Whether a tensor may hold values of the data, in rows that are not the records."""
    if not isinstance(part, tf.Tensor) or is_of_records(part, count):
        return False
    return not tf.executing_eagerly() and tf.get_static_value(part) is None


def is_inside() -> bool:
    """Whether the code that asks is called for one record."""
    return getattr(_INSIDE, "depth", 0) > 0


def one_by_one(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> Any:
    """Calls a function once for every record, as a batch by itself.

    Args:
      function: Of tensors whose leading dimension are the records; so are its outputs.
      args: What it would be called with for the whole batch.
      kwargs: As well, by name.
      count: Number of records.

    Returns:
      What it gives, of leading dimension `count`.

    Raises:
      UnsupportedCallError: If the records cannot be told apart in what it takes or gives.
    """
    flat = tf.nest.flatten((args, kwargs))
    if any(isinstance(part, tf.SparseTensor | tf.RaggedTensor) for part in flat):
        raise UnsupportedCallError(f"{_name(function)} takes records of different lengths.")
    places = [index for index, part in enumerate(flat) if is_of_records(part, count)]
    if not places or any(is_unclear(part, count) for part in flat):
        raise UnsupportedCallError(f"{_name(function)} takes something that is neither constant nor a row per record.")

    def of_one(record: list[Any]) -> Any:
        filled = list(flat)
        for index, part in zip(places, record, strict=True):
            filled[index] = part
        args, kwargs = tf.nest.pack_sequence_as((args_, kwargs_), filled)
        return function(*args, **kwargs)

    args_, kwargs_ = args, kwargs
    return mapped(of_one, [flat[index] for index in places], count)


def mapped(function: Callable[[Any], Any], records: Any, count: int | None) -> Any:
    """What a function gives for every record, stacked.

    Args:
      function: Of one record: a structure as `records`, each tensor of leading dimension 1, with its part of the mask.
      records: Tensors of leading dimension `count`.
      count: Number of records; None where it is not known yet.

    Returns:
      The function's outputs, of leading dimension `count`.
    """
    flat = tf.nest.flatten(records)
    masks = {index: mask for index, part in enumerate(flat) if (mask := keras_api.mask_of(part)) is not None}
    structure: list[Any] = []

    @tf.autograph.experimental.do_not_convert
    def of_row(rows: tuple[list[Any], dict[int, Any]]) -> list[Any]:
        parts, of_masks = tf.nest.map_structure(lambda row: row[tf.newaxis], rows)
        for index, mask in of_masks.items():
            parts[index]._keras_mask = mask
        with inside(), keras_api.user_code():
            outputs = function(tf.nest.pack_sequence_as(records, parts))
        structure[:] = [outputs]
        return [_only_row(output) for output in tf.nest.flatten(outputs)]

    found = over_records(of_row, (flat, masks))
    sized = [tf.ensure_shape(output, (count, *output.shape[1:])) for output in found]
    return tf.nest.pack_sequence_as(structure[0], sized)


def _only_row(output: Any) -> Any:
    if not isinstance(output, tf.Tensor) or not output.shape.rank or output.shape[0] not in (None, 1):
        shape = getattr(output, "shape", type(output).__name__)
        raise UnsupportedCallError(f"A function gives {shape} for one record: records cannot be told apart in that.")
    return (output if output.shape[0] == 1 else tf.ensure_shape(output, (1, *output.shape[1:])))[0]


@contextlib.contextmanager
def inside() -> Iterator[None]:
    """Surrounds what is called for one record: layers in it are called as they are."""
    _INSIDE.depth = getattr(_INSIDE, "depth", 0) + 1
    try:
        yield
    finally:
        _INSIDE.depth -= 1


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", "A function"))
