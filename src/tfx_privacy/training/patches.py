"""The windows of a convolution, as the rows that its kernel multiplies."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

# Up to this size of a window a convolution with the identity as kernel is the fastest way to cut windows out.
_IDENTITY_WINDOW = 64
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


def unfold(inputs: Any, window: Window) -> Any:
    """Cuts the windows out.

    Args:
      inputs: float32 of shape (num_records, extent..., channels).
      window: The convolution's geometry.

    Returns:
      float32 of shape (num_records, num_windows, entries of a window), entries ordered as the kernel's.
    """
    padded, counts = _padded(inputs, window)
    return _unfolded(padded, window, counts)


def kernel_gradients(inputs: Any, gradients: Any, window: Window) -> Any:
    """Gradients of a convolution's kernel for every record.

    Args:
      inputs: float32 of shape (num_records, extent..., channels).
      gradients: Of the outputs, float32 of shape (num_records, extent..., filters).
      window: The convolution's geometry.

    Returns:
      float32 of shape (num_records, entries of a window, filters).
    """
    padded, counts = _padded(inputs, window)
    flat = tf.reshape(gradients, (inputs.shape[0], math.prod(counts), gradients.shape[-1]))
    sizes = [min(_CACHED_RECORDS, inputs.shape[0] - start) for start in range(0, inputs.shape[0], _CACHED_RECORDS)]
    parts = [
        tf.matmul(_unfolded(part, window, counts), of_part, transpose_a=True)
        for part, of_part in zip(tf.split(padded, sizes), tf.split(flat, sizes), strict=True)
    ]
    return tf.concat(parts, axis=0)


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
    padded, counts = _padded(inputs, window)
    channels = inputs.shape[-1]
    shape = (*gradients.shape[:-1], channels, gradients.shape[-1] // channels)
    gradients = tf.reshape(gradients, shape)
    axes = list(range(1, 1 + len(window.size)))
    found = [
        tf.reduce_sum(_shifted(padded, window, offset, counts)[..., tf.newaxis] * gradients, axis=axes)
        for offset in np.ndindex(*window.size)
    ]
    return tf.stack(found, axis=1)


def _padded(inputs: Any, window: Window) -> tuple[Any, list[int]]:
    extents = [int(extent) for extent in inputs.shape[1:-1]]
    pads = window.pads(extents)
    if any(before or after for before, after in pads):
        inputs = tf.pad(inputs, [(0, 0), *pads, (0, 0)])
    return inputs, window.counts([int(extent) for extent in inputs.shape[1:-1]])


def _shifted(padded: Any, window: Window, offset: tuple[int, ...], counts: list[int]) -> Any:
    """What the windows hold at one place in them."""
    slices = [slice(None)]
    for start, stride, dilation, count in zip(offset, window.strides, window.dilation, counts, strict=True):
        first = start * dilation
        slices.append(slice(first, first + (count - 1) * stride + 1, stride))
    return padded[tuple(slices)]
