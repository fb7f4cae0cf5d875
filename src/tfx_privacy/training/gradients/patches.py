"""The windows of a convolution, as the rows that its kernel multiplies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

# Up to this size of a window a convolution with the identity as kernel is the fastest way to cut windows out.
_IDENTITY_WINDOW = 64
# Rows of windows are cut out at once, rather than windows, if a row has so many entries: matrices below that are slow.
_LONG_ROW = 16
# Records whose windows stay in the processor's cache until they are multiplied.
_CACHED_RECORDS = 64


@dataclasses.dataclass(frozen=True)
class Window:
    """Geometry of a convolution over one or two axes, channels last."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @classmethod
    def of(cls, layer: Any) -> Window:
        """The geometry of a Keras convolution."""
        return cls(tuple(layer.kernel_size), tuple(layer.strides), tuple(layer.dilation_rate), layer.padding)

    def pads(self, extents: list[int]) -> list[tuple[int, int]]:
        """Zeros before and after each axis, as TensorFlow pads."""
        found = []
        for extent, size, stride, dilation in zip(extents, self.size, self.strides, self.dilation, strict=True):
            reach = (size - 1) * dilation + 1
            if self.padding == "causal":
                found.append((reach - 1, 0))
            elif self.padding == "same":
                total = max((math.ceil(extent / stride) - 1) * stride + reach - extent, 0)
                found.append((total // 2, total - total // 2))
            else:
                found.append((0, 0))
        return found

    def counts(self, padded: list[int]) -> list[int]:
        """Number of windows along each padded axis."""
        return [
            (extent - (size - 1) * dilation - 1) // stride + 1
            for extent, size, stride, dilation in zip(padded, self.size, self.strides, self.dilation, strict=True)
        ]


def padded(inputs: Any, window: Window) -> tuple[Any, Window]:
    """Inputs with the padding's zeros, and the window that needs none: what all functions below take."""
    pads = window.pads([int(extent) for extent in inputs.shape[1:-1]])
    if any(before or after for before, after in pads):
        inputs = tf.pad(inputs, [(0, 0), *pads, (0, 0)])
    return inputs, dataclasses.replace(window, padding="valid")


def unfold(inputs: Any, window: Window) -> Any:
    """Cuts the windows out.

    Args:
      inputs: float32 of shape (num_records, extent..., channels), padded.
      window: The convolution's geometry.

    Returns:
      float32 of shape (num_records, num_windows, entries of a window), entries ordered as the kernel's.
    """
    return _unfolded(inputs, window, _counts(inputs, window))


def kernel_gradients(inputs: Any, gradients: Any, window: Window) -> Any:
    """Gradients of a convolution's kernel for every record.

    Args:
      inputs: float32 of shape (num_records, extent..., channels), padded.
      gradients: Of the outputs, float32 of shape (num_records, extent..., filters).
      window: The convolution's geometry.

    Returns:
      float32 of shape (num_records, entries of a window, filters).
    """
    counts = _counts(inputs, window)
    flat = tf.reshape(gradients, (inputs.shape[0], math.prod(counts), gradients.shape[-1]))
    sizes = [min(_CACHED_RECORDS, inputs.shape[0] - start) for start in range(0, inputs.shape[0], _CACHED_RECORDS)]
    row = math.prod(window.size[1:]) * window.strides[0] * inputs.shape[-1]
    by_rows = row >= _LONG_ROW and window.dilation[0] == 1 and window.strides[0] < window.size[0]
    of_part = _gradients_by_rows if by_rows else _gradients_by_windows
    parts = zip(tf.split(inputs, sizes), tf.split(flat, sizes), strict=True)
    return tf.concat([of_part(part, of_outputs, window, counts) for part, of_outputs in parts], axis=0)


def _gradients_by_windows(padded: Any, gradients: Any, window: Window, counts: list[int]) -> Any:
    return tf.matmul(_unfolded(padded, window, counts), gradients, transpose_a=True)


def _gradients_by_rows(padded: Any, gradients: Any, window: Window, counts: list[int]) -> Any:
    """Cuts out the windows' parts of one stride along the first axis: the others are those, some outputs further on."""
    number = math.ceil(window.size[0] / window.strides[0])
    wanted = (counts[0] - 1 + number) * window.strides[0]
    missing = max(0, wanted - padded.shape[1])
    padded = tf.pad(padded, [(0, 0), (0, missing), *[(0, 0)] * (padded.shape.rank - 2)]) if missing else padded
    of_row = dataclasses.replace(window, size=(window.strides[0], *window.size[1:]))
    rows = _unfolded(padded[:, :wanted], of_row, [counts[0] - 1 + number, *counts[1:]])
    each = math.prod(counts[1:])
    positions = counts[0] * each
    found = [
        tf.matmul(rows[:, place * each : place * each + positions], gradients, transpose_a=True)
        for place in range(number)
    ]
    # Where the stride does not divide the window, the last part reaches beyond it.
    return tf.concat(found, axis=1)[:, : math.prod(window.size) * padded.shape[-1]]


def kernel_gradient(inputs: Any, gradients: Any, window: Window, shape: tuple[int, ...]) -> Any:
    """The gradient of a convolution's kernel, of shape `shape`, summed over records; the window has no padding."""
    if len(window.size) == 1:
        wide = Window((1, *window.size), (1, *window.strides), (1, *window.dilation), window.padding)
        found = kernel_gradient(inputs[:, tf.newaxis], gradients[:, tf.newaxis], wide, (1, *shape))
        return tf.reshape(found, shape)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=inputs,
        filter_sizes=shape,
        out_backprop=gradients,
        strides=[1, *window.strides, 1],
        padding="VALID",
        dilations=[1, *window.dilation, 1],
    )


def blocks(inputs: Any, window: Window) -> Any:
    """Cuts padded inputs into blocks one stride long and wide: (num_records, number..., entries of a block)."""
    split, slices = [], [slice(None)]
    for count, size, stride in zip(_counts(inputs, window), window.size, window.strides, strict=True):
        number = count - 1 + size // stride
        split += [number, stride]
        slices.append(slice(0, number * stride))
    tensor = tf.reshape(inputs[tuple(slices)], (inputs.shape[0], *split, inputs.shape[-1]))
    axes = range(1, len(split) + 1)
    tensor = tf.transpose(tensor, [0, *axes[::2], *axes[1::2], len(split) + 1])
    return tf.reshape(tensor, (inputs.shape[0], *split[::2], -1))


def _unfolded(padded: Any, window: Window, counts: list[int]) -> Any:
    channels = padded.shape[-1]
    entries = math.prod(window.size) * channels
    if entries <= _IDENTITY_WINDOW:
        kernel = np.eye(entries, dtype=np.float32).reshape((*window.size, channels, entries))
        cut = tf.nn.convolution(padded, kernel, strides=window.strides, padding="VALID", dilations=window.dilation)
    else:
        one_axis = len(window.size) == 1
        size, strides, dilation = (
            (1, *each) if one_axis else each for each in (window.size, window.strides, window.dilation)
        )
        image = padded[:, tf.newaxis] if one_axis else padded
        cut = tf.image.extract_patches(image, [1, *size, 1], [1, *strides, 1], [1, *dilation, 1], "VALID")
    return tf.reshape(cut, (padded.shape[0], math.prod(counts), entries))


def depthwise_gradients(inputs: Any, gradients: Any, window: Window) -> Any:
    """Gradients of a depthwise kernel for every record, of shape (num_records, size..., channels * multiplier)."""
    counts = _counts(inputs, window)
    channels = inputs.shape[-1]
    shape = (*gradients.shape[:-1], channels, gradients.shape[-1] // channels)
    gradients = tf.reshape(gradients, shape)
    axes = list(range(1, 1 + len(window.size)))
    found = [
        tf.reduce_sum(_shifted(inputs, window, offset, counts)[..., tf.newaxis] * gradients, axis=axes)
        for offset in np.ndindex(*window.size)
    ]
    return tf.stack(found, axis=1)


def _counts(inputs: Any, window: Window) -> list[int]:
    return window.counts([int(extent) for extent in inputs.shape[1:-1]])


def _shifted(padded: Any, window: Window, offset: tuple[int, ...], counts: list[int]) -> Any:
    """What the windows hold at one place in them."""
    slices = [slice(None)]
    for start, stride, dilation, count in zip(offset, window.strides, window.dilation, counts, strict=True):
        first = start * dilation
        slices.append(slice(first, first + (count - 1) * stride + 1, stride))
    return padded[tuple(slices)]
