"""Gaussian noise from a cryptographic generator that is keyed by the operating system.

The random bits are AES-256 in counter mode under a key from `os.urandom`, which the processor computes faster than any
of TensorFlow's generators. The key is never written anywhere, and no seed of a pipeline reaches it: with the seed
anybody could subtract the noise.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import threading
from typing import Any, Literal, Protocol

import numpy as np
import tensorflow as tf
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

NoiseSource = Literal["os_entropy", "os_entropy_secure", "deterministic_test"]

_KEY_BYTES = 32
_ALIGNMENT = 64
_MAX_BLOCKS = 4
# The list, the loop's variable and the argument of getrefcount; a tensor that uses the memory would be a fourth.
_REFERENCES_OF_FREE = 3
# The cipher's input is zeros; so many of them stay in the processor's cache.
_BLOCK_BYTES = 1 << 16
_ZEROS = memoryview(bytes(_BLOCK_BYTES))
_TERMS = 4


class Noise(Protocol):
    """Something that gives the noise of one step after the other."""

    source: NoiseSource

    def draw(self, size: int, standard_deviation: Any) -> Any:
        """Noise of one step, float32 of shape (size,); may be called while tracing a tf.function."""

    def restart(self) -> None:
        """Called between two passes over the data."""


class RandomBits:
    """A stream of random 32-bit words that no one can continue or repeat without its key."""

    def __init__(self, key: bytes) -> None:
        """Args: 32 secret bytes."""
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self._lock = threading.Lock()
        self._memory: list[np.ndarray] = []

    def __call__(self, count: int) -> np.ndarray:
        """The next words, uint32 of shape (count,)."""
        with self._lock:
            words = self._room(count)
            target = memoryview(words.data).cast("B")
            for start in range(0, len(target), _BLOCK_BYTES):
                part = target[start : start + _BLOCK_BYTES]
                self._stream.update_into(_ZEROS[: len(part)], part)
        return words

    def _room(self, count: int) -> np.ndarray:
        """An array that TensorFlow takes over without copying it, in memory that nobody holds any more if there is some.

        Fresh memory costs more than the cipher: the system clears every page of it.
        """
        spare = _ALIGNMENT // 4
        size = count + spare
        self._memory = [block for block in self._memory if len(block) >= size][-_MAX_BLOCKS:]
        whole = next((block for block in self._memory if sys.getrefcount(block) == _REFERENCES_OF_FREE), None)
        if whole is None:
            whole = np.empty(size, np.uint32)
            self._memory.append(whole)
        start = -(whole.ctypes.data // 4) % spare
        return whole[start : start + count]


class GaussianNoise:
    """Independent noise at every step."""

    def __init__(self, *, secure: bool = False, deterministic_seed: int | None = None) -> None:
        """Keys the generator.

        Args:
          secure: Computes in float64 and adds four normal numbers for each, against attacks on the
            last bits of the noise.
          deterministic_seed: For tests only: the run is stamped with it, and the gate refuses it.
        """
        if deterministic_seed is None:
            self.source: NoiseSource = "os_entropy_secure" if secure else "os_entropy"
            self._bits = RandomBits(os.urandom(_KEY_BYTES))
        else:
            self.source = "deterministic_test"
            self._bits = RandomBits(hashlib.sha256(str(deterministic_seed).encode()).digest())
        self._secure = secure

    def draw(self, size: Any, standard_deviation: Any) -> Any:
        """Independent normal numbers.

        Args:
          size: How many; a number, or an integer tensor.
          standard_deviation: Of each, a scalar.

        Returns:
          float32 tensor of shape (size,).
        """
        known = size if isinstance(size, int) else None
        if self._secure:
            drawn = tf.numpy_function(lambda count: self._sum_of_four(int(count)), [size], tf.float32)
            return tf.ensure_shape(drawn, (known,)) * standard_deviation
        even = size + size % 2
        words = tf.numpy_function(lambda count: self._bits(int(count)), [even], tf.uint32)
        scale = tf.cast(tf.convert_to_tensor(standard_deviation), tf.float32)
        drawn = tf.concat(_box_muller(tf.ensure_shape(words, (None if known is None else even,)), scale), axis=0)
        return drawn if known == even else drawn[:size]

    def restart(self) -> None:
        """Nothing to do: steps are independent."""

    def _sum_of_four(self, size: int) -> np.ndarray:
        """Holohan and Braghin (2021), https://arxiv.org/abs/2107.10138, Section 4: (z1 + z2 + z3 + z4) / 2."""
        total = np.zeros(size)
        for _ in range(_TERMS):
            radius, angle = (_uniform_53(self._bits(2 * size)) for _ in range(2))
            total += np.sqrt(-2.0 * np.log(radius)) * np.cos(2.0 * math.pi * angle)
        return (total / math.sqrt(_TERMS)).astype(np.float32)


class TreeNoise:
    """Noise whose running sums have the noise of few nodes of a binary tree.

    Kairouz et al. (2021), https://arxiv.org/abs/2103.00039 (DP-FTRL), with the tree aggregation of Dwork et al. (2010)
    and Chan et al. (2011): the sum of the first t steps' noise is that of the nodes that make up [1, t], at most
    log2(t) + 1 of them. What `draw` gives is the difference to the sum before. The nodes are in memory only: who knew
    them could subtract the noise.
    """

    def __init__(self, gaussian: GaussianNoise, *, size: int, max_steps: int) -> None:
        """Args: where the nodes' noise comes from, the size of a draw, and the longest pass in steps."""
        self.source: NoiseSource = gaussian.source
        self._gaussian = gaussian
        self._levels = max_steps.bit_length()
        self._nodes = tf.Variable(tf.zeros((self._levels, size)), trainable=False, name="tree_nodes")
        self._step = tf.Variable(0, dtype=tf.int32, trainable=False, name="tree_step")

    def draw(self, size: int, standard_deviation: Any) -> Any:
        """The noise of the next step, float32 of shape (size,)."""
        step = self._step.assign_add(1)
        powers = tf.constant([1 << level for level in range(self._levels)], tf.int32)
        # The lowest set bit: that node is new, and the ones below it were in the sum before.
        lowest = tf.bitwise.bitwise_and(step, -step)
        fresh = self._gaussian.draw(size, standard_deviation)
        before = tf.cast(powers < lowest, tf.float32)
        residual = fresh - tf.linalg.matvec(self._nodes, before, transpose_a=True)
        level = tf.argmax(tf.cast(tf.equal(powers, lowest), tf.int32), output_type=tf.int32)
        with tf.control_dependencies([residual]):
            self._nodes.scatter_nd_update([[level]], [fresh])
        return residual

    def restart(self) -> None:
        """Starts a new tree: nothing of the old one is used again."""
        self._step.assign(0)


@tf.function(jit_compile=True, autograph=False)
def _box_muller(words: Any, scale: Any) -> tuple[Any, Any]:
    """As many normal numbers as there are words, in two halves: Box and Muller (1958), https://doi.org/10.1214/aoms/1177706645.

    The radius is made of 31 bits, the angle in a half circle of 31 others, and one more says which half.

    One XLA kernel; sine and cosine are Taylor polynomials with an error below 1e-9 there, because
    XLA has no vectorised ones.
    """
    half = tf.size(words) // 2
    first, second = words[:half], words[half:]
    radius = scale * tf.sqrt(-2.0 * tf.math.log(_uniform_31(first)))
    low_bit = tf.bitcast(tf.bitwise.bitwise_and(second, tf.constant(1, tf.uint32)), tf.int32)
    radius = radius * (1.0 - 2.0 * tf.cast(low_bit, tf.float32))
    angle = (_uniform_31(second) - 0.5) * math.pi
    square = angle * angle
    sine, cosine = tf.ones_like(square), tf.ones_like(square)
    for order in (14, 12, 10, 8, 6, 4, 2):
        sine = 1.0 - square * sine * (1.0 / (order * (order + 1)))
        cosine = 1.0 - square * cosine * (1.0 / (order * (order - 1)))
    return radius * cosine, radius * angle * sine


def _uniform_31(words: Any) -> Any:
    """Uniform in (0, 1] from the upper 31 bits."""
    shifted = tf.bitcast(tf.bitwise.right_shift(words, tf.constant(1, tf.uint32)), tf.int32)
    return (tf.cast(shifted, tf.float32) + 0.5) * 2.0**-31


def _uniform_53(words: np.ndarray) -> np.ndarray:
    """Uniform in (0, 1) from pairs of words."""
    wide = words.view(np.uint64) >> np.uint64(11)
    return (wide.astype(np.float64) + 0.5) * 2.0**-53
