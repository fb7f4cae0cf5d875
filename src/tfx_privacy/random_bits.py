"""Random bits of everything secret in a training run: AES-256 in counter mode under a key from the operating system.

The processor computes it faster than any of TensorFlow's generators. The key is never written anywhere, and no seed of
a pipeline reaches it: with the seed anybody could subtract the noise, or tell who was in a batch.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from typing_extensions import Self

_KEY_BYTES = 32
_ALIGNMENT = 64
_MAX_BLOCKS = 4
# The list, the loop's variable and the argument of getrefcount; a tensor that uses the memory would be a fourth.
_REFERENCES_OF_FREE = 3
# The cipher's input is zeros; so many of them stay in the processor's cache.
_BLOCK_BYTES = 1 << 16
_ZEROS = memoryview(bytes(_BLOCK_BYTES))


class RandomBits:
    """A stream of random words that no one can continue or repeat without its key."""

    def __init__(self, key: bytes, *, secret: bool = False) -> None:
        """Args: 32 bytes, and whether nobody else knows them."""
        self.secret = secret
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self._lock = threading.Lock()
        self._memory: list[np.ndarray] = []

    @classmethod
    def of_system(cls) -> Self:
        """Keyed by the operating system; the key is not kept."""
        return cls(os.urandom(_KEY_BYTES), secret=True)

    @classmethod
    def of_seed(cls, seed: int) -> Self:
        """The same stream for the same seed: for tests, and secret from nobody."""
        return cls(hashlib.sha256(str(seed).encode()).digest())

    def __call__(self, count: int) -> np.ndarray:
        """The next words, uint32 of shape (count,)."""
        with self._lock:
            words = self._room(count)
            target = memoryview(words.data).cast("B")
            for start in range(0, len(target), _BLOCK_BYTES):
                part = target[start : start + _BLOCK_BYTES]
                self._stream.update_into(_ZEROS[: len(part)], part)
        return words

    def bytes(self, count: int) -> np.ndarray:
        """The next bytes, uint8 of shape (count,)."""
        return self(-(-count // 4)).view(np.uint8)[:count]

    def long(self, count: int) -> np.ndarray:
        """The next double words, uint64 of shape (count,)."""
        return self(2 * count).view(np.uint64)

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


def places_of_few(mask: np.ndarray) -> np.ndarray:
    """Places of what is true in a mask of shape (any,), of which that is little: by eights, which is faster then."""
    whole = len(mask) // 8 * 8
    rows = np.flatnonzero(mask[:whole].view(np.uint64) != 0)
    found = np.flatnonzero(mask[:whole].reshape(-1, 8)[rows])
    return np.concatenate([rows[found // 8] * 8 + found % 8, whole + np.flatnonzero(mask[whole:])])
