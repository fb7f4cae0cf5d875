"""Gaussian noise from a cryptographic generator that is keyed by the operating system.

Box and Muller (1958), https://doi.org/10.1214/aoms/1177706645: two normal numbers are the coordinates of a point whose
squared radius is 2 e, with e = -log(u) for a uniform u. A u of a few bits has a smallest value, and an output beyond
its radius would give a member away for certain. So where the leading bits of u are zero, e is drawn from 512 further
bits in float64: every radius up to `accounting.noise_tails.REACH` standard deviations has its probability.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import tensorflow as tf

from tfx_privacy.random_bits import RandomBits, places_of_few

NoiseSource = Literal["os_entropy", "os_entropy_secure", "deterministic_test"]

# A word that begins with so many zeros says only that u is below 2^-11.
_LEADING_ZEROS = 11
_TAIL_BITS = 32 - _LEADING_ZEROS
# Further words that then say what it is.
_FURTHER_WORDS = 16
_WEIGHTS = 2.0 ** (-32.0 * np.arange(1, _FURTHER_WORDS + 1))
_HALF_OF_LAST = 2.0 ** (-32.0 * _FURTHER_WORDS - 1)
# The other bits of such a word then hold e, in [7, 1792): the bits of a float32 above those of 7, without the last five.
_BITS_OF_SEVEN = 0x40E00000
_BITS_CUT = 5
# Words that are looked through at once: they stay in the processor's cache.
_SCANNED = 1 << 15
_TERMS = 4


class Noise(Protocol):
    """Something that gives the noise of one step after the other."""

    @property
    def source(self) -> NoiseSource:
        """How what it drew was drawn."""

    def draw(self, size: int, standard_deviation: Any) -> Any:
        """Noise of one step, float32 of shape (size,); may be called while tracing a tf.function."""

    def restart(self) -> None:
        """Called between two passes over the data."""


class _Method(Protocol):
    """A way to make normal numbers of random bits, which knows its own name."""

    source: ClassVar[NoiseSource]

    def draw(self, size: Any, standard_deviation: Any) -> Any:
        """Independent normal numbers, float32 of shape (size,)."""


class GaussianNoise:
    """Independent noise at every step."""

    def __init__(self, *, secure: bool = False, deterministic_seed: int | None = None) -> None:
        """Keys the generator.

        Args:
          secure: Computes in float64 and adds four normal numbers for each, against attacks on the
            last bits of the noise.
          deterministic_seed: For tests only: the run is stamped with it, and the gate refuses it.
        """
        self._bits = RandomBits.of_system() if deterministic_seed is None else RandomBits.of_seed(deterministic_seed)
        self._method: _Method = SumOfFour(self._bits) if secure else BoxMuller(self._bits)

    @property
    def source(self) -> NoiseSource:
        """Named by the bits and the method that draw, not by what was asked for."""
        return self._method.source if self._bits.secret else "deterministic_test"

    def draw(self, size: Any, standard_deviation: Any) -> Any:
        """Independent normal numbers.

        Args:
          size: How many; a number, or an integer tensor.
          standard_deviation: Of each, a scalar.

        Returns:
          float32 tensor of shape (size,).
        """
        return self._method.draw(size, standard_deviation)

    def restart(self) -> None:
        """Nothing to do: steps are independent."""


class BoxMuller:
    """In float32, by one XLA kernel."""

    source: ClassVar[NoiseSource] = "os_entropy"

    def __init__(self, bits: RandomBits) -> None:
        """Args: where the bits come from."""
        self._bits = bits

    def draw(self, size: Any, standard_deviation: Any) -> Any:
        """Independent normal numbers, float32 of shape (size,)."""
        known = size if isinstance(size, int) else None
        even = size + size % 2
        words = tf.numpy_function(lambda count: self._words(int(count)), [even], tf.uint32)
        scale = tf.cast(tf.convert_to_tensor(standard_deviation), tf.float32)
        drawn = tf.concat(_box_muller(tf.ensure_shape(words, (None if known is None else even,)), scale), axis=0)
        return drawn if known == even else drawn[:size]

    def _words(self, count: int) -> np.ndarray:
        """Words for so many numbers, as the kernel reads them: those of the tails hold e."""
        words = self._bits(count)
        first = words[: count // 2]
        tails = _tails(first)
        if len(tails):
            found = _further_exponentials(self._bits, len(tails)).astype(np.float32)
            first[tails] = (found.view(np.uint32) - _BITS_OF_SEVEN) >> _BITS_CUT
        return words


class SumOfFour:
    """In float64, (z1 + z2 + z3 + z4) / 2: Holohan and Braghin (2021), https://arxiv.org/abs/2107.10138, Section 4."""

    source: ClassVar[NoiseSource] = "os_entropy_secure"

    def __init__(self, bits: RandomBits) -> None:
        """Args: where the bits come from."""
        self._bits = bits

    def draw(self, size: Any, standard_deviation: Any) -> Any:
        """Independent normal numbers, float32 of shape (size,)."""
        drawn = tf.numpy_function(lambda count: self._sums(int(count)), [size], tf.float32)
        return tf.ensure_shape(drawn, (size if isinstance(size, int) else None,)) * standard_deviation

    def terms(self, size: int) -> np.ndarray:
        """Independent normal numbers before they are added up, float64 of shape (size,)."""
        radius = np.sqrt(2.0 * self._exponentials(size))
        angle = ((self._bits.long(size) >> 11).astype(np.float64) + 0.5) * 2.0**-53
        return np.asarray(radius * np.cos(2.0 * math.pi * angle))

    def _sums(self, size: int) -> np.ndarray:
        total = np.zeros(size)
        for _ in range(_TERMS):
            total += self.terms(size)
        return (total / math.sqrt(_TERMS)).astype(np.float32)

    def _exponentials(self, size: int) -> np.ndarray:
        """-log(u), float64 of shape (size,)."""
        words = self._bits.long(size).view(np.int64)
        near_one = words < 0
        from_end = ((words ^ (words >> 63)).astype(np.float64) + 0.5) * 2.0**-64
        found = -np.log(np.where(near_one, 1.0 - from_end, from_end))
        tails = np.flatnonzero(~near_one & (words < 1 << (64 - _LEADING_ZEROS)))
        found[tails] = _further_exponentials(self._bits, len(tails))
        return found


class TreeNoise:
    """Noise whose running sums have the noise of few nodes of a binary tree.

    Kairouz et al. (2021), https://arxiv.org/abs/2103.00039 (DP-FTRL), with the tree aggregation of Dwork et al. (2010)
    and Chan et al. (2011): the sum of the first t steps' noise is that of the nodes that make up [1, t], at most
    log2(t) + 1 of them. What `draw` gives is the difference to the sum before. The nodes are in memory only: who knew
    them could subtract the noise.
    """

    def __init__(self, gaussian: GaussianNoise, *, size: int, max_steps: int) -> None:
        """Args: where the nodes' noise comes from, the size of a draw, and the longest pass in steps."""
        self._gaussian = gaussian
        self._levels = max_steps.bit_length()
        self._nodes = tf.Variable(tf.zeros((self._levels, size)), trainable=False, name="tree_nodes")
        self._step = tf.Variable(0, dtype=tf.int32, trainable=False, name="tree_step")

    @property
    def source(self) -> NoiseSource:
        """That of its nodes."""
        return self._gaussian.source

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


def _tails(words: np.ndarray) -> np.ndarray:
    """Places of the words that begin with zeros, int64 of shape (any,)."""
    limit = np.uint32(1 << _TAIL_BITS)
    begins = np.empty(min(_SCANNED, len(words)), bool)
    found = []
    for start in range(0, len(words), _SCANNED):
        part = words[start : start + _SCANNED]
        found.append(start + places_of_few(np.less(part, limit, out=begins[: len(part)])))
    return np.concatenate(found or [np.zeros(0, np.int64)])


def _further_exponentials(bits: RandomBits, count: int) -> np.ndarray:
    """-log(u) for u uniform in (0, 2^-11); float64 of shape (count,).

    u is an odd multiple of 2^-524. Above 2^-503, a radius of 26.4, it has at least 20 significant bits.
    """
    words = bits(_FURTHER_WORDS * count).reshape(count, _FURTHER_WORDS)
    return np.asarray(_LEADING_ZEROS * math.log(2.0) - np.log((words * _WEIGHTS).sum(axis=1) + _HALF_OF_LAST))


@tf.function(jit_compile=True, autograph=False)
def _box_muller(words: Any, scale: Any) -> tuple[Any, Any]:
    """As many normal numbers as there are words, in two halves.

    The radius is made of 32 bits and, in the tails, of more; the angle in a half circle of 31 others, and one more
    says which half. Of u and 1 - u the one below a half is a float32 of full precision. It and the angle are made of
    whole numbers around zero: the conversion to float32 rounds no leading bits away.

    One XLA kernel; sine and cosine are Taylor polynomials with an error below 1e-9 there, because
    XLA has no vectorised ones.
    """
    half = tf.size(words) // 2
    first, second = tf.bitcast(words[:half], tf.int32), tf.bitcast(words[half:], tf.int32)
    radius = scale * tf.sqrt(2.0 * _exponential(first))
    low_bit = tf.bitwise.bitwise_and(second, tf.constant(1))
    radius = radius * (1.0 - 2.0 * tf.cast(low_bit, tf.float32))
    angle = (tf.cast(tf.bitwise.right_shift(second, tf.constant(1)), tf.float32) + 0.5) * (math.pi * 2.0**-31)
    square = angle * angle
    sine, cosine = tf.ones_like(square), tf.ones_like(square)
    for order in (14, 12, 10, 8, 6, 4, 2):
        sine = 1.0 - square * sine * (1.0 / (order * (order + 1)))
        cosine = 1.0 - square * cosine * (1.0 / (order * (order - 1)))
    return radius * cosine, radius * angle * sine


def _exponential(words: Any) -> Any:
    """-log(u) for u = (word + 1/2) / 2^32; what the word holds, where it is of a tail."""
    near_one = words < 0
    from_zero = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, tf.constant(31)))
    from_end = (tf.cast(from_zero, tf.float32) + 0.5) * 2.0**-32
    uniform = tf.where(near_one, 1.0 - from_end, from_end)
    # What rounding took from 1 - from_end, to first order.
    rest = tf.where(near_one, from_end - (1.0 - uniform), 0.0)
    in_middle_of_cut = _BITS_OF_SEVEN + (1 << (_BITS_CUT - 1))
    held = tf.bitcast(words * (1 << _BITS_CUT) + in_middle_of_cut, tf.float32)
    in_tail = tf.bitcast(words, tf.uint32) < tf.constant(1 << _TAIL_BITS, tf.uint32)
    return tf.where(in_tail, held, rest - tf.math.log(uniform))
