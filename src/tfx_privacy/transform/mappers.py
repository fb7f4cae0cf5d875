"""Mappers under tft's names: analyzers of `analyzers`, applied at once. Arguments besides tft's are explained there."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfx_privacy.errors import ParameterError
from tfx_privacy.transform import analyzers, tensors
from tfx_privacy.transform.analyzers import BoundsOption

apply_buckets = tft.apply_buckets
"""tft's own: it takes nothing from the records, and the boundaries of `quantiles` fit."""


def scale_to_z_score(
    x: Any,
    elementwise: bool = False,
    *,
    bounds: BoundsOption = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
    output_dtype: Any = tf.float32,
) -> Any:
    """Values less their private mean, over the root of their private variance, as `tft.scale_to_z_score`.

    Values beyond the bounds are scaled as the bounds themselves. Mean and variance are of one question.

    Args:
      x: Numbers with records along the first dimension: a tensor, SparseTensor or RaggedTensor.
      elementwise: Whether each column of a dense tensor is scaled by itself.
      bounds: Lowest and highest value that count, or "private".
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.
      output_dtype: Of the result.

    Returns:
      A tensor of x's shape and kind.
    """

    def scaled(part: Any) -> Any:
        mean, variance = analyzers.mean_and_variance("scale_to_z_score", part, bounds, max_values, share, name)
        values = _clipped(tf.cast(tensors.flat(part), tf.float32), bounds)
        scaled_values = (values - tf.cast(mean, tf.float32)) / tf.cast(tf.sqrt(variance), tf.float32)
        return tensors.like(part, tf.cast(scaled_values, output_dtype or tf.float32))

    return _elementwise(x, scaled, "scale_to_z_score") if elementwise else scaled(x)


def scale_by_min_max(
    x: Any,
    output_min: float = 0.0,
    output_max: float = 1.0,
    elementwise: bool = False,
    *,
    bounds: BoundsOption = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> Any:
    """Values moved from their bounds to [output_min, output_max], as `tft.scale_by_min_max`.

    Public bounds take the place of smallest and largest value, which no noise could hide: then this costs nothing.

    Args:
      x: Numbers, as for `scale_to_z_score`.
      output_min: Of the result, where a value is at the lower bound or below it.
      output_max: Where it is at the upper bound or above it.
      elementwise: Whether bounds are searched for each column by itself.
      bounds: Lowest and highest value, or "private".
      max_values: Values of one record that count in a search.
      share: Weight of a search's part of the budget.
      name: In the release's record.

    Returns:
      A float32 tensor of x's shape and kind.
    """
    if not output_min < output_max:
        raise ParameterError(f"Expected output_min={output_min!r} < output_max={output_max!r}.")
    return _scaled_between("scale_by_min_max", x, output_min, output_max, elementwise, bounds, max_values, share, name)


def _scaled_between(
    analyzer: str,
    x: Any,
    output_min: float,
    output_max: float,
    elementwise: bool,
    bounds: BoundsOption,
    max_values: int | None,
    share: float,
    name: str | None,
) -> Any:
    def scaled(part: Any) -> Any:
        low, high = analyzers.limits(analyzer, part, bounds, max_values, share, name)
        values = tf.clip_by_value(tf.cast(tensors.flat(part), tf.float32), low, high)
        return tensors.like(part, (values - low) / (high - low) * (output_max - output_min) + output_min)

    return _elementwise(x, scaled, analyzer) if elementwise else scaled(x)


def scale_to_0_1(
    x: Any,
    elementwise: bool = False,
    *,
    bounds: BoundsOption = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> Any:
    """Values moved from their bounds to [0, 1], as `tft.scale_to_0_1`: `scale_by_min_max` with these outputs."""
    return _scaled_between("scale_to_0_1", x, 0.0, 1.0, elementwise, bounds, max_values, share, name)


def bucketize(
    x: Any,
    num_buckets: int,
    epsilon: float | None = None,
    elementwise: bool = False,
    *,
    bounds: BoundsOption = None,
    bins: int = 256,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> Any:
    """Each value's bucket, by private quantiles, as `tft.bucketize`.

    Args:
      x: Numbers, as for `scale_to_z_score`.
      num_buckets: How many buckets, which hold about equally many values.
      epsilon: tft's tolerance; without meaning here.
      elementwise: Whether each column of a dense tensor has its own buckets.
      bounds: Lowest and highest value that count, or "private".
      bins: Of equal width between the bounds, a power of two.
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      int64 in [0, num_buckets), of x's shape and kind.
    """
    del epsilon

    def placed(part: Any) -> Any:
        boundaries = analyzers.quantile_boundaries(
            "bucketize", part, num_buckets, bounds, bins, max_values, share, name
        )[tf.newaxis]
        return apply_buckets(part, boundaries)

    return _elementwise(x, placed, "bucketize") if elementwise else placed(x)


def _elementwise(x: Any, mapper: Any, analyzer: str) -> Any:
    return tf.stack([mapper(column) for column in tensors.columns(analyzer, x)], axis=1)


def _clipped(values: Any, bounds: BoundsOption) -> Any:
    """Public bounds hold for what is scaled as well; found ones are powers of two, and no limit of what a value may be."""
    if bounds is None or isinstance(bounds, str):
        return values
    return tf.clip_by_value(values, bounds[0], bounds[1])
