"""Tensors of the three kinds that a feature may be: dense, sparse, ragged."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.transform import session as sessions


def max_values_of(x: Any, max_values: int | None) -> int:
    """As given; else all values of a dense record, and one of another."""
    if max_values is not None:
        return _validate.positive_integer(max_values=max_values)
    if isinstance(x, (tf.SparseTensor, tf.RaggedTensor)) or not tf.is_tensor(x):
        return 1
    if x.shape.rank is None or None in x.shape[1:]:
        return 1
    return max(1, math.prod(x.shape[1:]))


def columns(analyzer: str, x: Any) -> list[Any]:
    """The columns of a dense tensor, each of shape (num_records,)."""
    if isinstance(x, (tf.SparseTensor, tf.RaggedTensor)) or x.shape.rank != 2 or x.shape[1] is None:
        raise ParameterError(
            f"{analyzer} of each column needs a dense tensor of shape (num_records, columns), with columns known."
        )
    return sessions.current(analyzer).columns(x, lambda tensor: tf.unstack(tensor, axis=1))


def flat(x: Any) -> Any:
    """The values of a tensor of any kind."""
    if isinstance(x, tf.SparseTensor):
        return x.values
    return x.flat_values if isinstance(x, tf.RaggedTensor) else x


def like(x: Any, values: Any) -> Any:
    """A tensor of x's kind with other values."""
    if isinstance(x, tf.SparseTensor):
        return tf.SparseTensor(x.indices, values, x.dense_shape)
    return x.with_flat_values(values) if isinstance(x, tf.RaggedTensor) else values
