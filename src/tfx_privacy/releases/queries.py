"""What may be asked of records: vectors of whole numbers that are summed, and by how much one record moves each.

A query turns the values of a feature into whole numbers on a fixed grid, so sums are the same for any order and any number of
workers, and their sensitivity holds in whole numbers (Casacuberta et al. 2022, https://arxiv.org/abs/2207.10635). Of a record
that has more values than `max_values` the first ones count; NaN counts as missing, and an infinity as the bound next to it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tfx_privacy import _validate
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.record import AnswerKind

GRID = 1 << 20
"""Whole numbers of a value in [-1, 1]: so fine that rounding to it is far below any noise."""

MAX_BINS = 1 << 16
MAX_VALUES = 1 << 16
MAX_KEY_BYTES = 4096
"""Longest value of a vocabulary; longer ones count as missing."""

# Of the search for bounds: powers of two, from 2^-64 to 2^64, of either sign, and zero.
_MIN_EXPONENT, _MAX_EXPONENT = -64, 64
_EXPONENTS = _MAX_EXPONENT - _MIN_EXPONENT
# tft leaves these out of a vocabulary, whose file has a line for each value.
_BREAKS = (b"\n", b"\r")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """Something to be asked of one feature."""

    name: str
    """Of the feature, or of what was made of one."""
    max_values: int = 1
    """Values of one record that count at most."""
    share: float = 1.0
    """Weight of its part of the budget, beside the others'."""

    kind: ClassVar[AnswerKind]

    def __post_init__(self) -> None:
        _validate.positive_integer(maximum=MAX_VALUES, max_values=self.max_values)
        _validate.positive(share=self.share)

    @property
    def numbers(self) -> int | None:
        """Length of the vector that is released; None where the values in it are not public."""
        raise NotImplementedError

    @property
    def l2_sensitivity(self) -> float:
        """By how much one record moves that vector at most."""
        raise NotImplementedError


class VectorQuery(Query):
    """A query whose answer is a vector of a length that is known before."""

    @property
    def length(self) -> int:
        """Of the vector that is summed; the one that is released may be made of it."""
        raise NotImplementedError

    @property
    def numbers(self) -> int:
        """Length of the vector that is released."""
        return self.length

    def sums(self, column: Column) -> np.ndarray:
        """The sum over some records, int64 of shape (length,)."""
        raise NotImplementedError

    def released(self, sums: np.ndarray) -> np.ndarray:
        """What noise is added to, int64 of shape (numbers,)."""
        return sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class Presence(VectorQuery):
    """How many records have the feature, or, with `everyone`, how many there are at all."""

    kind: ClassVar[AnswerKind] = "counts"
    everyone: bool = False

    @property
    def length(self) -> int:
        """One number."""
        return 1

    @property
    def l2_sensitivity(self) -> float:
        """A record is counted once."""
        return 1.0

    def sums(self, column: Column) -> np.ndarray:
        """The number of different records in it."""
        return np.array([len(np.unique(column.known().rows))], np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moments(VectorQuery):
    """Number of values, their sum, and that of their squares, each value scaled from its bounds to [-1, 1] first."""

    kind: ClassVar[AnswerKind] = "moments"
    bounds: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self.bounds)

    @property
    def length(self) -> int:
        """Three."""
        return 3

    @property
    def l2_sensitivity(self) -> float:
        """(1, u, u^2) with |u| <= 1 has an L2 norm of at most sqrt(3), for each value."""
        return math.sqrt(3.0) * GRID * self.max_values

    def sums(self, column: Column) -> np.ndarray:
        """In units of 1 / GRID."""
        values = column.numbers(self.max_values).values
        low, high = self.bounds
        scaled = (np.clip(values, low, high) - low) / (high - low) * 2.0 - 1.0
        on_grid = np.clip(np.rint(scaled * GRID), -GRID, GRID).astype(np.int64)
        squares = np.clip(np.rint(scaled * scaled * GRID), 0, GRID).astype(np.int64)
        return np.array([len(values) * GRID, on_grid.sum(), squares.sum()], np.int64)

    def mean_and_variance(self, noisy: np.ndarray, noise_standard_deviation: float = 0.0) -> tuple[float, float]:
        """Of the values, from the sums with noise; of no values, the middle of the bounds and their widest variance.

        A variance is never below what the noise alone makes of a mean of squares: where few records leave it to chance,
        it would be next to nothing in half of the runs, and what is divided by its root would saturate any model.

        Args:
          noisy: The three sums, in units of 1 / GRID.
          noise_standard_deviation: Of each, in the same units.
        """
        low, high = self.bounds
        middle, half = (low + high) / 2.0, (high - low) / 2.0
        count = float(noisy[0]) / GRID
        if not count >= 1.0:
            return middle, half * half / 3.0
        mean = min(1.0, max(-1.0, float(noisy[1]) / GRID / count))
        least = max(_LEAST_VARIANCE, noise_standard_deviation / GRID / count)
        variance = min(1.0, max(least, float(noisy[2]) / GRID / count - mean * mean))
        return middle + half * mean, variance * half * half

    def count(self, noisy: np.ndarray) -> float:
        """The number of values, from the sums with noise; never below zero."""
        return max(0.0, float(noisy[0]) / GRID)


# Of values in [-1, 1]: what is scaled by its root grows at most a thousandfold.
_LEAST_VARIANCE = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantiles(VectorQuery):
    """Counts in nested halves of the bounds' interval, from which any quantile follows.

    Hay et al. (2010), https://arxiv.org/abs/0904.0942, Section 4: a prefix of the bins is the union of at most log2(bins)
    nodes, one on each level.
    """

    kind: ClassVar[AnswerKind] = "quantiles"
    bounds: tuple[float, float]
    bins: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self.bounds)
        if not (isinstance(self.bins, int) and 2 <= self.bins <= MAX_BINS and self.bins & (self.bins - 1) == 0):
            raise ParameterError(f"Expected bins={self.bins!r} to be a power of two, 2 to {MAX_BINS}.")

    @property
    def levels(self) -> int:
        """Of the tree below its root: a value is counted once on each."""
        return self.bins.bit_length() - 1

    @property
    def length(self) -> int:
        """The bins."""
        return self.bins

    @property
    def numbers(self) -> int:
        """All nodes but the root."""
        return 2 * self.bins - 2

    @property
    def l2_sensitivity(self) -> float:
        """A value is in one node of each level, and a record's values may all be in the same ones."""
        return math.sqrt(self.levels) * self.max_values

    def sums(self, column: Column) -> np.ndarray:
        """Values in each bin."""
        values = column.numbers(self.max_values).values
        low, high = self.bounds
        places = (np.clip(values, low, high) - low) / (high - low) * self.bins
        return np.bincount(np.minimum(places.astype(np.int64), self.bins - 1), minlength=self.bins).astype(np.int64)

    def released(self, sums: np.ndarray) -> np.ndarray:
        """Counts of the nodes, from the level below the root down."""
        return np.concatenate([sums.reshape(1 << level, -1).sum(axis=1) for level in range(1, self.levels + 1)])

    def distribution(self, noisy: np.ndarray) -> np.ndarray:
        """Values below each of the bins' edges, float64 of shape (bins + 1,), never falling, from the nodes with noise."""
        below = np.zeros(self.bins + 1)
        edges = np.arange(1, self.bins + 1)
        start = 0
        for level in range(1, self.levels + 1):
            size = 1 << level
            nodes, width = noisy[start : start + size].astype(np.float64), self.bins >> level
            start += size
            if level == 1:
                below[self.bins] = nodes.sum()
            # An edge whose binary digit on this level is one has the node to the left of it in its prefix.
            place = edges // width
            used = (place % 2 == 1) & (edges < self.bins)
            below[1:] += np.where(used, nodes[np.minimum(place - 1, size - 1)], 0.0)
        return np.maximum.accumulate(np.maximum(below, 0.0))

    def quantiles(self, noisy: np.ndarray, shares: Sequence[float]) -> np.ndarray:
        """Where so large shares of the values lie below, float64 of shape (len(shares),), never falling.

        Of no values, evenly spread between the bounds.
        """
        below = self.distribution(noisy)
        low, high = self.bounds
        edges = np.linspace(low, high, self.bins + 1)
        if not below[-1] > 0.0:
            return np.asarray(low + (high - low) * np.asarray(shares, np.float64))
        # Ties (empty bins) are broken evenly, so that a quantile within them lies in their middle and not at one end.
        spread = np.arange(self.bins + 1) * (1e-9 * below[-1])
        return np.asarray(np.interp(np.asarray(shares) * (below[-1] + spread[-1]), below + spread, edges))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts(VectorQuery):
    """How often each of some public values stands there; others are not counted."""

    kind: ClassVar[AnswerKind] = "counts"
    keys: tuple[bytes, ...] | tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.keys or len(set(self.keys)) != len(self.keys):
            raise ParameterError(
                f"Expected keys={_validate.short(self.keys)} of {self.name!r} to be different values, at least one."
            )
        if not (all(isinstance(key, bytes) for key in self.keys) or all(_is_int64(key) for key in self.keys)):
            raise ParameterError(
                f"Expected keys={_validate.short(self.keys)} of {self.name!r} to be all texts, or all whole numbers of 64 bits."
            )

    @property
    def length(self) -> int:
        """One number for each value."""
        return len(self.keys)

    @property
    def l2_sensitivity(self) -> float:
        """All values of a record may be the same."""
        return float(self.max_values)

    def sums(self, column: Column) -> np.ndarray:
        """Of each value, in the order of `keys`."""
        known = column.known().first(self.max_values).values
        order = sorted(range(len(self.keys)), key=lambda place: self.keys[place])
        keys = np.array([self.keys[place] for place in order], known.dtype if known.dtype == object else None)
        places = np.minimum(np.searchsorted(keys, known), len(keys) - 1)
        counts = np.bincount(places[keys[places] == known], minlength=len(keys))
        result = np.empty(len(keys), np.int64)
        result[order] = counts
        return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class Intervals(VectorQuery):
    """How many values lie below the first of some public boundaries, between two of them, and above the last one."""

    kind: ClassVar[AnswerKind] = "counts"
    boundaries: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        edges = [_validate.real(boundaries=edge) for edge in self.boundaries]
        if not edges or not all(left < right for left, right in itertools.pairwise(edges)):
            raise ParameterError(
                f"Expected boundaries={_validate.short(list(self.boundaries))} of {self.name!r} to be numbers that rise, at "
                "least one."
            )

    @property
    def length(self) -> int:
        """One number for each interval."""
        return len(self.boundaries) + 1

    @property
    def l2_sensitivity(self) -> float:
        """All values of a record may lie in the same interval."""
        return float(self.max_values)

    def sums(self, column: Column) -> np.ndarray:
        """Of each interval; a value on a boundary lies above it."""
        values = column.numbers(self.max_values).values
        places = np.searchsorted(np.asarray(self.boundaries), values, side="right")
        return np.bincount(places, minlength=self.length).astype(np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds(VectorQuery):
    """Counts of the values by the power of two below them: where there are many, bounds can be put around them."""

    kind: ClassVar[AnswerKind] = "bounds"

    @property
    def length(self) -> int:
        """Powers of two of negative numbers, zero, powers of two of positive ones."""
        return 2 * _EXPONENTS + 1

    @property
    def l2_sensitivity(self) -> float:
        """All values of a record may be of one size."""
        return float(self.max_values)

    def sums(self, column: Column) -> np.ndarray:
        """From the most negative numbers to the most positive."""
        values = np.nan_to_num(
            column.numbers(self.max_values).values, posinf=2.0**_MAX_EXPONENT, neginf=-(2.0**_MAX_EXPONENT)
        )
        exponents = np.frexp(np.abs(values))[1] - 1
        sizes = np.clip(exponents - _MIN_EXPONENT, 0, _EXPONENTS - 1) + 1
        # What is nearer to zero than the least power of two counts as zero.
        sizes = np.where(np.abs(values) < 2.0**_MIN_EXPONENT, 0, sizes)
        return np.bincount(_EXPONENTS + np.sign(values).astype(np.int64) * sizes, minlength=self.length).astype(
            np.int64
        )

    def found(self, noisy: np.ndarray, noise_standard_deviation: float) -> tuple[float, float] | None:
        """Bounds around the values that are not alone; None where noise hides all.

        A bin counts if its noisy count is above what noise alone reaches in one bin of all with probability 1 %.
        """
        from scipy import stats

        least = noise_standard_deviation * float(stats.norm.isf(0.01 / self.length))
        full = np.flatnonzero(noisy > least)
        if not len(full):
            return None
        return self._edge(int(full[0]), upper=False), self._edge(int(full[-1]), upper=True)

    @staticmethod
    def _edge(place: int, *, upper: bool) -> float:
        size = abs(place - _EXPONENTS)
        sign = 1.0 if place > _EXPONENTS else -1.0
        if size == 0:
            return 2.0**_MIN_EXPONENT if upper else -(2.0**_MIN_EXPONENT)
        outer = upper == (sign > 0)
        return float(sign * 2.0 ** (_MIN_EXPONENT + size - (0 if outer else 1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary(Query):
    """The values themselves, where they are common enough, and in how many records they are."""

    kind: ClassVar[AnswerKind] = "vocabulary"

    @property
    def numbers(self) -> None:
        """Which values there are is not public."""
        return

    @property
    def l2_sensitivity(self) -> float:
        """A record is counted once for each of its first different values."""
        return math.sqrt(self.max_values)

    def counts(self, column: Column) -> Counter[bytes]:
        """In how many records each value is."""
        values, rows = column.values, column.rows
        if values.dtype.kind not in "iubO":
            raise ParameterError(f"Expected texts or whole numbers, not values of dtype {values.dtype}.")
        if bool(np.all(rows[1:] > rows[:-1])):
            return _words(Counter(values.tolist()))
        found: Counter[Any] = Counter()
        for _, pairs in itertools.groupby(zip(rows.tolist(), values.tolist(), strict=True), key=operator.itemgetter(0)):
            different = dict.fromkeys(value for _, value in pairs if _is_word(value))
            found.update(itertools.islice(different, self.max_values))
        return _words(found)


def check_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds as two floats.

    Raises:
      ParameterError: If they are not two finite numbers, the second larger, with a finite distance.
    """
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise ParameterError(
            f"Expected bounds={_validate.short(bounds)} to be two numbers, the lowest and the highest value that count."
        ) from None
    low, high = _validate.real(bounds=low), _validate.real(bounds=high)
    if not (low < high and math.isfinite(high - low)):
        raise ParameterError(
            f"Expected bounds={bounds!r} to be the lowest value that counts and a higher one. Give a range that the values "
            "have for reasons other than these records."
        )
    return low, high


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _words(counts: Counter[Any]) -> Counter[bytes]:
    """Counts by values as bytes, without those that a vocabulary's file cannot hold."""
    return Counter({_word(value): count for value, count in counts.items() if _is_word(value)})


def _word(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value


def _is_word(value: Any) -> bool:
    return not isinstance(value, bytes) or (
        0 < len(value) <= MAX_KEY_BYTES and not any(end in value for end in _BREAKS)
    )
