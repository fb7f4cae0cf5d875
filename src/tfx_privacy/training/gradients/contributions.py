r"""What one call of a layer adds to the gradient of one of its variables, for every privacy unit of a chunk.

The gradient of one unit is never wanted by itself: wanted are its norm, and the sum of all units' gradients with
weights that follow from the norms. Both come from the layer's input and the gradient of its output ("book-keeping": Bu
et al. 2023, https://arxiv.org/abs/2210.00038; "ghost norms": Li et al. 2022, https://arxiv.org/abs/2110.05679, Section
4), so one backward pass through the activations is enough.

A squared norm here is never below the true one, up to the rounding of sums of positive numbers. Where it comes from
Gram matrices, terms of either sign cancel, and what rounding leaves may be far below the truth: a record made for it
would be clipped too little. `CANCELLATION` times the square of the sum of the terms' norms is added there, which bounds
that error. Squares below the smallest float32 become zero: what that can take away is added everywhere, so a tiny
input with a huge gradient is not taken for nothing.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfx_privacy.training.gradients import patches

# float32 keeps 6e-8 of each term; this leaves room for sums over a few thousand of them.
CANCELLATION = 1e-5
# The smallest normal float32, and a little: at most this is lost where a product becomes zero.
_FLUSHED = 1.2e-38


class Contribution(abc.ABC):
    """Gradients of all units of a chunk with respect to one variable, in whatever form is cheapest."""

    @property
    @abc.abstractmethod
    def operands(self) -> list[Any]:
        """The tensors that `weighted_sum` reads."""

    def units_of_operands(self, of_units: Any) -> Any:
        """From one number per unit to one for each entry of the operands' first axis, which is the units."""
        return of_units

    @property
    def numbers_each(self) -> int:
        """How many numbers the operands have for each unit, for the size of chunks."""
        return sum(math.prod(part.shape[1:]) for part in self.operands)

    @abc.abstractmethod
    def squared_norms(self) -> Any:
        """At least the squared L2 norms, float32 of shape (num_units,)."""

    @abc.abstractmethod
    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        """Sum over units of weight times gradient, in the variable's shape.

        Args:
          weights: float32 of shape (num_units,).
          operands: `operands`, with those units set to zero whose gradient is not finite.
        """

    @abc.abstractmethod
    def materialized(self) -> Any:
        """The gradients themselves, of shape (num_units, *variable's shape)."""


@dataclasses.dataclass
class Materialized(Contribution):
    """The gradients themselves, of shape (num_units, *shape)."""

    gradients: Any

    @property
    def operands(self) -> list[Any]:
        return [self.gradients]

    def squared_norms(self) -> Any:
        return sum_of_squares(self.gradients)

    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        (gradients,) = operands
        shape = gradients.shape[1:]
        return tf.reshape(tf.linalg.matvec(_rows(gradients), weights, transpose_a=True), shape)

    def materialized(self) -> Any:
        return self.gradients


@dataclasses.dataclass
class _Products(Contribution):
    """Gradients that are products of a layer's inputs and the gradients of its outputs, both with the unit as first axis."""

    inputs: Any
    gradients: Any
    shape: tuple[int, ...]
    """Of the variable."""

    @property
    def operands(self) -> list[Any]:
        return [self.inputs, self.gradients]


@dataclasses.dataclass
class Outer(_Products):
    """Outer products: a matrix that multiplies one vector per unit; (num_units, rows) and (num_units, columns)."""

    def squared_norms(self) -> Any:
        return sum_of_squares(self.inputs) * sum_of_squares(self.gradients)

    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        inputs, gradients = operands
        return tf.reshape(tf.matmul(inputs, gradients * weights[:, tf.newaxis], transpose_a=True), self.shape)

    def materialized(self) -> Any:
        product = self.inputs[:, :, tf.newaxis] * self.gradients[:, tf.newaxis, :]
        return tf.reshape(product, (-1, *self.shape))


@dataclasses.dataclass
class Positions(_Products):
    """Sums of outer products over a unit's positions, with the norm from two Gram matrices.

    Inputs are (num_units, num_positions, rows), gradients (num_units, num_positions, columns).
    """

    def squared_norms(self) -> Any:
        of_inputs = tf.matmul(self.inputs, self.inputs, transpose_b=True)
        of_gradients = tf.matmul(self.gradients, self.gradients, transpose_b=True)
        squares = tf.maximum(tf.reduce_sum(of_inputs * of_gradients, axis=[1, 2]), 0.0)
        rows, columns = self.inputs.shape[-1], self.gradients.shape[-1]
        return squares + _lost_at_most(_norms(self.inputs), _norms(self.gradients), rows, columns)

    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        inputs, gradients = operands
        weighted = gradients * weights[:, tf.newaxis, tf.newaxis]
        return tf.reshape(tf.matmul(_columns(inputs), _columns(weighted), transpose_a=True), self.shape)

    def materialized(self) -> Any:
        return tf.reshape(tf.matmul(self.inputs, self.gradients, transpose_a=True), (-1, *self.shape))


@dataclasses.dataclass
class Windows(_Products):
    """Gradients of a convolution's kernel, with the norm from two Gram matrices and no window cut out of the input.

    Two windows' product is the sum of those of the blocks that they are made of, one stride long and wide. So the Gram
    matrix of the windows is that of the blocks, of which those are summed that lie alike in both windows.

    Inputs are (num_units, extent..., channels), padded; gradients (num_units, extent..., filters).
    """

    window: patches.Window
    """Without padding, of a size that is a multiple of the strides."""

    def squared_norms(self) -> Any:
        blocks = patches.blocks(self.inputs, self.window)
        grid, channels, filters = blocks.shape[1:-1], blocks.shape[-1], self.gradients.shape[-1]
        gradients = tf.pad(self.gradients, [(0, 0), *self._missing(grid), (0, 0)])
        blocks, gradients = (tf.reshape(each, (each.shape[0], -1, each.shape[-1])) for each in (blocks, gradients))
        count = blocks.shape[1]
        of_blocks, of_gradients = (_rows(tf.matmul(each, each, transpose_b=True)) for each in (blocks, gradients))
        # One block on in both windows is `count + 1` on in the matrix. Where a window would leave the grid, its
        # gradient is zero.
        of_windows = self._over_windows(of_blocks, grid, count + 1)
        squares = tf.reduce_sum(of_windows * of_gradients[:, : of_windows.shape[1]], axis=1)
        of_windows = tf.sqrt(self._over_windows(tf.square(_norms(blocks)), grid, 1))
        of_gradients = _norms(gradients)[:, : of_windows.shape[1]]
        rows = channels * math.prod(self._blocks_each())
        return tf.maximum(squares, 0.0) + _lost_at_most(of_windows, of_gradients, rows, filters)

    def _blocks_each(self) -> list[int]:
        return [size // stride for size, stride in zip(self.window.size, self.window.strides, strict=True)]

    def _missing(self, grid: Sequence[int]) -> list[tuple[int, int]]:
        return [(0, blocks - count) for blocks, count in zip(grid, self.gradients.shape[1:-1], strict=True)]

    def _over_windows(self, values: Any, grid: Sequence[int], step: int) -> Any:
        """Sums over the blocks of each window; `step` leads from one block to its right neighbour."""
        for axis, number in enumerate(self._blocks_each()):
            on = step * math.prod(grid[axis + 1 :])
            length = values.shape[1] - on * (number - 1)
            values = tf.add_n([values[:, on * place : on * place + length] for place in range(number)])
        return values

    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        inputs, gradients = operands
        weighted = gradients * tf.reshape(weights, (-1, *[1] * (gradients.shape.rank - 1)))
        return patches.kernel_gradient(inputs, weighted, self.window, self.shape)

    def materialized(self) -> Any:
        return tf.reshape(patches.kernel_gradients(self.inputs, self.gradients, self.window), (-1, *self.shape))


@dataclasses.dataclass
class Lookup(Contribution):
    """Gradients of a table of which each position of a unit read one row.

    A unit's positions that read the same row are added up before anything else, and norm and sum are taken of what that
    gives. If the sum took them one by one, huge gradients that cancel would wipe out the other units' part of the row.
    """

    ids: Any
    """int, (num_units, num_positions); one that is no row of the table gives nothing."""
    gradients: Any
    """(num_units, num_positions, columns)"""
    num_rows: int

    @property
    def operands(self) -> list[Any]:
        return [self._read.sums]

    def units_of_operands(self, of_units: Any) -> Any:
        return tf.gather(of_units, self._read.units)

    @property
    def numbers_each(self) -> int:
        return math.prod(self.gradients.shape[1:])

    def squared_norms(self) -> Any:
        squares = sum_of_squares(self._read.sums)
        return tf.math.unsorted_segment_sum(squares, self._read.units, self.ids.shape[0])

    def weighted_sum(self, weights: Any, operands: Sequence[Any]) -> Any:
        (sums,) = operands
        weighted = sums * self.units_of_operands(weights)[:, tf.newaxis]
        return tf.math.unsorted_segment_sum(weighted, self._read.rows, self.num_rows)

    def materialized(self) -> Any:
        units, columns = self.ids.shape[0], self.gradients.shape[-1]
        places = tf.cast(self._rows_or_none, tf.int64) + self.num_rows * self._units_of_positions
        places = tf.where(self._rows_or_none < self.num_rows, places, -1)
        summed = tf.math.unsorted_segment_sum(_columns(self.gradients), tf.reshape(places, [-1]), units * self.num_rows)
        return tf.reshape(summed, (units, self.num_rows, columns))

    @functools.cached_property
    def _read(self) -> _RowsRead:
        if self.ids.shape[1] == 1:
            units, rows, sums = self._units_of_positions[:, 0], self._rows_or_none[:, 0], _columns(self.gradients)
        else:
            # With one more row for what is none, no unit's row is taken for one of its neighbour.
            keys = tf.cast(self._rows_or_none, tf.int64) + (self.num_rows + 1) * self._units_of_positions
            keys, key_of_position = tf.unique(tf.reshape(keys, [-1]))
            sums = tf.math.unsorted_segment_sum(_columns(self.gradients), key_of_position, tf.size(keys))
            units, rows = keys // (self.num_rows + 1), keys % (self.num_rows + 1)
        return _RowsRead(units, tf.where(rows < self.num_rows, rows, -tf.ones_like(rows)), sums)

    @functools.cached_property
    def _rows_or_none(self) -> Any:
        is_row = (self.ids >= 0) & (self.ids < self.num_rows)
        return tf.where(is_row, self.ids, self.num_rows)

    @property
    def _units_of_positions(self) -> Any:
        return tf.range(self.ids.shape[0], dtype=tf.int64)[:, tf.newaxis]


class _RowsRead(NamedTuple):
    """Each row that each unit read, once."""

    units: Any
    rows: Any
    """-1 for what is no row, which no sum takes up."""
    sums: Any
    """(number, columns): over the unit's positions that read the row."""


def combined(contributions: Sequence[Contribution]) -> Contribution:
    """The sum of what several calls add to one variable: a norm of a sum needs the summands themselves."""
    if len(contributions) == 1:
        return contributions[0]
    return Materialized(tf.add_n([contribution.materialized() for contribution in contributions]))


def sum_of_squares(tensor: Any) -> Any:
    """Squared L2 norm of each unit's part, and what may have become zero in it."""
    rows = _rows(tensor)
    return tf.reduce_sum(tf.square(rows), axis=1) + _FLUSHED * rows.shape[1]


def _lost_at_most(inputs: Any, gradients: Any, rows: int, columns: int) -> Any:
    """By cancellation, and by products that become zero, in Gram matrices of vectors with these norms and lengths."""
    terms = [
        math.sqrt(CANCELLATION) * inputs * gradients,
        math.sqrt(_FLUSHED * rows) * gradients,
        math.sqrt(_FLUSHED * columns) * inputs,
    ]
    return tf.add_n([tf.square(tf.reduce_sum(term, axis=1)) for term in terms])


def _norms(tensor: Any) -> Any:
    return tf.sqrt(tf.reduce_sum(tf.square(tensor), axis=-1) + _FLUSHED * tensor.shape[-1])


def _rows(tensor: Any) -> Any:
    return tf.reshape(tensor, (tensor.shape[0], -1)) if tensor.shape.rank != 2 else tensor


def _columns(tensor: Any) -> Any:
    return tf.reshape(tensor, (-1, tensor.shape[-1]))
