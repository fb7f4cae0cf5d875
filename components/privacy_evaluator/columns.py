"""Parsed features as plain columns: integers to hash, text to slice by, numbers for labels and for the control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.components import text_labels

_HASH_BUCKETS = 1 << 62
# Text as one number for trees: they can take apart this many values.
_BLIND_BUCKETS = 251


def dense(feature: Any) -> Any:
    """A label or a mask as a dense tensor; a missing number is NaN, which is no label and no token."""
    if isinstance(feature, tf.Tensor):
        return feature
    if feature.dtype == tf.string:
        texts = tf.sparse.to_dense(sparse(feature), default_value="")
        return tf.pad(texts, [[0, 0], [0, tf.maximum(0, 1 - tf.shape(texts)[1])]], constant_values="")
    values = tf.sparse.to_dense(tf.cast(sparse(feature), tf.float64), default_value=float("nan"))
    # A batch in which no record has one: its records have a missing label, not none.
    missing = tf.maximum(0, 1 - tf.shape(values)[1])
    return tf.pad(values, [[0, 0], [0, missing]], constant_values=float("nan"))


def array(values: Any) -> np.ndarray:
    """A tensor's values; numbers of a type that NumPy does not know, such as bfloat16, as float32."""
    if values.dtype.is_floating and values.dtype not in (tf.float16, tf.float32, tf.float64):
        values = tf.cast(values, tf.float32)
    return np.asarray(values.numpy())


def number(values: np.ndarray, texts: Sequence[str] | None = None) -> np.ndarray:
    """A label as numbers; what cannot be one becomes NaN, which no task accepts.

    Args:
      values: Of shape (num_records, ...).
      texts: What the classes are called, where labels are texts and that is known.
    """
    if texts is not None and values.dtype.kind not in "fiub":
        places = text_labels.as_numbers(values, texts)
        return np.where(places < 0, np.nan, places.astype(np.float64))
    return values.astype(np.float64) if values.dtype.kind in "fiub" else np.full(len(values), np.nan)


def as_integers(values: Any) -> Any:
    """Values as int64, different ones (all but for chance) as different numbers."""
    if values.dtype == tf.string:
        return tf.strings.to_hash_bucket_fast(values, _HASH_BUCKETS)
    if values.dtype.is_floating:
        return tf.cast(tf.bitcast(tf.cast(values, tf.float32) + 0.0, tf.int32), tf.int64)
    return tf.cast(values, tf.int64)


def sparse(feature: Any) -> Any:
    """A sparse or ragged feature as a sparse one."""
    return feature if isinstance(feature, tf.SparseTensor) else feature.to_sparse()


def entries(feature: Any) -> tuple[Any, Any]:
    """Every value of a feature as text, with its record."""
    if not isinstance(feature, tf.Tensor):
        found = sparse(feature)
        return found.indices[:, 0], _text(found.values)
    size = tf.shape(feature, out_type=tf.int64)[0]
    flat = tf.reshape(feature, [size, -1])
    return tf.repeat(tf.range(size), tf.shape(flat)[1]), _text(tf.reshape(flat, [-1]))


def _text(values: Any) -> Any:
    if values.dtype == tf.string:
        return values
    return tf.strings.as_string(values, shortest=True) if values.dtype.is_floating else tf.strings.as_string(values)


def blind_columns(feature: Any) -> np.ndarray:
    """One feature as numbers: dense ones flattened, of others the first value and how many there are."""
    if isinstance(feature, tf.Tensor):
        values = _blind_numbers(feature).numpy()
        return np.asarray(values.reshape(len(values), -1))
    feature = sparse(feature)
    rows, values = feature.indices.numpy()[:, 0], _blind_numbers(feature.values).numpy()
    size = int(feature.dense_shape[0])
    first = np.full(size, np.nan)
    first[rows[::-1]] = values[::-1]
    return np.column_stack([np.nan_to_num(first, nan=-1.0), np.bincount(rows, minlength=size)])


def _blind_numbers(values: Any) -> Any:
    if values.dtype == tf.string:
        return tf.cast(tf.strings.to_hash_bucket_fast(values, _BLIND_BUCKETS), tf.float64)
    return tf.cast(values, tf.float64)
