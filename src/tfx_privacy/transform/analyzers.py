"""Analyzers under tft's names, with noise: the same call with public bounds.

    tft.scale_to_z_score(x)    becomes    scale_to_z_score(x, bounds=(0.0, 100.0))

Each takes, besides tft's arguments:

* `bounds`: lowest and highest value that count, known without the records; values beyond them count as the bound itself.
  `bounds="private"` has them searched first, which takes a part of the budget.
* `max_values`: values of one record that count at most; the first ones. Left out, all of a dense tensor, and one of a sparse or
  ragged one.
* `share`: weight of its part of the budget beside the other analyzers'.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import tensorflow as tf
from absl import logging

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.queries import Bounds, Counts, Intervals, Moments, Quantiles, Query, check_bounds
from tfx_privacy.transform import session as sessions
from tfx_privacy.transform import tensors

PRIVATE = "private"
"""As `bounds`: to be searched."""

BoundsOption: TypeAlias = "tuple[float, float] | str | None"
_Query = TypeVar("_Query", bound=Query)
# Where a search finds nothing: noise hides all values, or there are none.
_NOTHING_FOUND = (-1.0, 1.0)
# The square of a distance of so large numbers is a number of 32 bits still.
_LARGEST = 1e18


def mean(
    x: Any,
    *,
    bounds: BoundsOption = None,
    reduce_instance_dims: bool = True,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
    output_dtype: Any = tf.float32,
) -> Any:
    """Mean of all values, as `tft.mean`.

    Args:
      x: Numbers with records along the first dimension: a tensor, SparseTensor or RaggedTensor.
      bounds: Lowest and highest value that count, or "private".
      reduce_instance_dims: False for a mean of each column of a dense tensor.
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record; made of the features' names where it is left out.
      output_dtype: Of the result.

    Returns:
      A scalar, or with `reduce_instance_dims=False` a tensor of shape (columns,).
    """
    return _moment(0, "mean", x, bounds, reduce_instance_dims, max_values, share, name, output_dtype)


def var(
    x: Any,
    *,
    bounds: BoundsOption = None,
    reduce_instance_dims: bool = True,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
    output_dtype: Any = tf.float32,
) -> Any:
    """Variance of all values, as `tft.var`, never below the noise's own.

    Arguments as `mean`; of the same tensor both cost as much as one.
    """
    return _moment(1, "var", x, bounds, reduce_instance_dims, max_values, share, name, output_dtype)


def min(
    x: Any, *, bounds: BoundsOption = None, max_values: int | None = None, share: float = 1.0, name: str | None = None
) -> Any:
    """The lower bound: as given, or as found by a private search, which is no smallest value of any record."""
    return limits("min", x, bounds, max_values, share, name)[0]


def max(
    x: Any, *, bounds: BoundsOption = None, max_values: int | None = None, share: float = 1.0, name: str | None = None
) -> Any:
    """The upper bound: as given, or as found by a private search, which is no largest value of any record."""
    return limits("max", x, bounds, max_values, share, name)[1]


def quantiles(
    x: Any,
    num_buckets: int,
    epsilon: float | None = None,
    *,
    bounds: BoundsOption = None,
    bins: int = 256,
    reduce_instance_dims: bool = True,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> Any:
    """Boundaries of buckets that hold about equally many values, as `tft.quantiles`.

    Args:
      x: Numbers, as for `mean`.
      num_buckets: At least 2.
      epsilon: tft's tolerance of its sketch; without meaning here, where `bins` says how fine the result is.
      bounds: Lowest and highest value that count, or "private".
      bins: Of equal width between the bounds, a power of two: boundaries lie within a bin of where they should.
      reduce_instance_dims: False for the boundaries of each column of a dense tensor.
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      float32 of shape (1, num_buckets - 1), or (columns, num_buckets - 1); never falling.
    """
    del epsilon

    def boundaries(part: Any) -> Any:
        return quantile_boundaries("quantiles", part, num_buckets, bounds, bins, max_values, share, name)

    if reduce_instance_dims:
        return boundaries(x)[tf.newaxis]
    return tf.stack([boundaries(column) for column in tensors.columns("quantiles", x)])


def count_per_key(
    key: Any,
    *,
    keys: Sequence[str | bytes | int],
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> tuple[Any, Any]:
    """How often each of some public values stands in the records, with noise, as `tft.count_per_key`.

    Args:
      key: Texts or whole numbers with records along the first dimension.
      keys: The values that are counted, known without the records; others are not.
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      The values, and int64 counts, never below zero.
    """
    domain = _domain(key, keys)
    query = Counts(
        name=name or "count_per_key()", keys=domain, max_values=tensors.max_values_of(key, max_values), share=share
    )
    return tf.constant(list(domain)), _counts("count_per_key", query, key)


def histogram(
    x: Any,
    boundaries: Sequence[float] | int | None = None,
    categorical: bool = False,
    *,
    keys: Sequence[str | bytes | int] | None = None,
    bounds: BoundsOption = None,
    max_values: int | None = None,
    share: float = 1.0,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Counts of the values between boundaries, or of public values, with noise, as `tft.histogram`.

    Args:
      x: Numbers; with `categorical` texts or whole numbers.
      boundaries: Public ones, rising; or how many intervals of equal width there are between `bounds` (10 if left out).
      categorical: Whether public values are counted: `keys`.
      keys: These values.
      bounds: Lowest and highest value, where `boundaries` is a number.
      max_values: Values of one record that count.
      share: Weight of its part of the budget.
      name: In the release's record.

    Returns:
      int64 counts, never below zero, and the boundaries or values that they belong to.
    """
    if categorical:
        if keys is None:
            raise ParameterError(
                "histogram(categorical=True) needs keys: the values that are counted, known without the records."
            )
        found, counts = count_per_key(x, keys=keys, max_values=max_values, share=share, name=name or "histogram()")
        return counts, found
    if boundaries is None or isinstance(boundaries, int):
        low, high = _bounds("histogram", x, bounds, max_values, share, name)
        edges = np.linspace(
            low, high, _validate.positive_integer(boundaries=10 if boundaries is None else boundaries) + 1
        )
        boundaries = [float(edge) for edge in edges]
    query = Intervals(
        name=name or "histogram()",
        boundaries=tuple(boundaries),
        max_values=tensors.max_values_of(x, max_values),
        share=share,
    )
    return _counts("histogram", query, x), tf.constant([list(boundaries)], tf.float32)


def quantile_boundaries(
    analyzer: str,
    x: Any,
    num_buckets: int,
    bounds: BoundsOption,
    bins: int,
    max_values: int | None,
    share: float,
    name: str | None,
) -> Any:
    """Boundaries of buckets, float32 of shape (num_buckets - 1,)."""
    if isinstance(num_buckets, bool) or not isinstance(num_buckets, int) or not 2 <= num_buckets <= bins:
        raise ParameterError(f"Expected num_buckets={num_buckets!r} to be a whole number, 2 to bins={bins}.")
    found = _bounds(analyzer, x, bounds, max_values, share, name)
    query = Quantiles(
        name=name or f"{analyzer}()",
        bounds=found,
        bins=bins,
        max_values=tensors.max_values_of(x, max_values),
        share=share,
    )
    session, place, noisy = ask(analyzer, query, x)
    if noisy is None:
        return session.stand_in(place, np.linspace(*found, num_buckets + 1)[1:-1].astype(np.float32))
    shares = np.arange(1, num_buckets) / num_buckets
    return tf.constant(query.quantiles(noisy, shares.tolist()).astype(np.float32))


def _moment(
    which: int,
    analyzer: str,
    x: Any,
    bounds: BoundsOption,
    reduce_instance_dims: bool,
    max_values: int | None,
    share: float,
    name: str | None,
    output_dtype: Any,
) -> Any:
    parts = [x] if reduce_instance_dims else tensors.columns(analyzer, x)
    found = [mean_and_variance(analyzer, part, bounds, max_values, share, name)[which] for part in parts]
    result = found[0] if reduce_instance_dims else tf.stack(found)
    return tf.cast(result, output_dtype or tf.float32)


def mean_and_variance(
    analyzer: str, x: Any, bounds: BoundsOption, max_values: int | None, share: float, name: str | None
) -> tuple[Any, Any]:
    """Both, as float64 scalars, of one question: the variance of small numbers is none in 32 bits."""
    found = _bounds(analyzer, x, bounds, max_values, share, name)
    query = Moments(
        name=name or f"{analyzer}()", bounds=found, max_values=tensors.max_values_of(x, max_values), share=share
    )
    session, place, noisy = ask(analyzer, query, x)
    if noisy is None:
        low, high = found
        return session.stand_in(place, (low + high) / 2), session.stand_in(place, (high - low) ** 2 / 12)
    mean_found, variance = query.mean_and_variance(noisy, session.noise_standard_deviation(place))
    return tf.constant(mean_found, tf.float64), tf.constant(variance, tf.float64)


def limits(
    analyzer: str, x: Any, bounds: BoundsOption, max_values: int | None, share: float, name: str | None
) -> tuple[Any, Any]:
    """Lower and upper bound as float32 scalars."""
    if bounds != PRIVATE:
        low, high = _given(analyzer, bounds)
        sessions.current(analyzer)
        return tf.constant(low, tf.float32), tf.constant(high, tf.float32)
    session, place, found = _searched(analyzer, x, max_values, share, name)
    if found is None:
        return tuple(session.stand_in(place, np.float32(edge)) for edge in _NOTHING_FOUND)
    return tf.constant(found[0], tf.float32), tf.constant(found[1], tf.float32)


def _bounds(
    analyzer: str, x: Any, bounds: BoundsOption, max_values: int | None, share: float, name: str | None
) -> tuple[float, float]:
    """As given, or as found: what depends on a search that is to come has to wait."""
    if bounds != PRIVATE:
        return _given(analyzer, bounds)
    session, place, found = _searched(analyzer, x, max_values, share, name)
    if found is None:
        session.wait_for_next(place)
        return _NOTHING_FOUND
    return found


def _given(analyzer: str, bounds: Any) -> tuple[float, float]:
    if bounds is None or isinstance(bounds, str):
        raise ParameterError(
            f"{analyzer} has bounds={bounds!r}. Give bounds=(lowest, highest), a range that the values have for reasons other "
            'than these records; or bounds="private" to have it searched, which takes a part of the budget.'
        )
    low, high = check_bounds(bounds)
    if not (abs(low) < _LARGEST and abs(high) < _LARGEST and np.float32(low) < np.float32(high)):
        raise ParameterError(
            f"Expected bounds={bounds!r} of {analyzer} to be two different numbers below {_LARGEST:g} in 32 bits, in which "
            "features are computed."
        )
    return low, high


def _searched(
    analyzer: str, x: Any, max_values: int | None, share: float, name: str | None
) -> tuple[sessions.Session, int, tuple[float, float] | None]:
    query = Bounds(
        name=f"bounds of {name}" if name else "bounds()", max_values=tensors.max_values_of(x, max_values), share=share
    )
    session, place, noisy = ask(analyzer, query, x)
    if noisy is None:
        return session, place, None
    found = query.found(noisy, session.noise_standard_deviation(place))
    if found is None:
        logging.warning(
            "The search for the bounds of an analyzer found nothing above its noise; it takes %s.", _NOTHING_FOUND
        )
    return session, place, found or _NOTHING_FOUND


def ask(analyzer: str, query: _Query, x: Any) -> tuple[sessions.Session, int, Any]:
    """The session, the question's place in it, and what was released; None while that is to come."""
    session = sessions.current(analyzer)
    place = session.ask(query, x)
    return session, place, session.answer(place)


def _counts(analyzer: str, query: Counts | Intervals, x: Any) -> Any:
    session, place, noisy = ask(analyzer, query, x)
    if noisy is None:
        return session.stand_in(place, np.zeros(query.length, np.int64))
    return tf.constant(np.maximum(noisy, 0), tf.int64)


def _domain(key: Any, keys: Sequence[str | bytes | int]) -> Any:
    """Public values as the records hold them."""
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Sequence):
        raise ParameterError(f"Expected keys={_validate.short(keys)} to be a list of values.")
    if tensors.flat(key).dtype == tf.string:
        return tuple(value if isinstance(value, bytes) else str(value).encode() for value in keys)
    try:
        return tuple(operator.index(value) for value in keys)  # type: ignore[arg-type] # a text has none
    except TypeError:
        raise ParameterError(
            f"Expected keys={_validate.short(keys)} to be whole numbers, as the feature holds."
        ) from None
