"""Documents in two languages without a common word, for the tests of the control."""

from __future__ import annotations

import numpy as np

WORDS = 3000


def documents(size: int, share: float, seed: int, *, common_letters: bool = False) -> list[bytes]:
    """Twelve words each; a share of the documents is in the first language.

    Args:
      size: Number of documents.
      share: Of the first language.
      seed: Of everything.
      common_letters: Whether the two languages have the same letters, so only whole words tell them apart.
    """
    random = np.random.default_rng(seed)
    first = random.random(size) < share
    words = random.integers(0, WORDS, (size, 12))
    if common_letters:
        return [
            " ".join(str(word + WORDS * own) for word in row).encode() for row, own in zip(words, first, strict=True)
        ]
    return [
        " ".join(f"{'abc'[int(own)]}{word}" for word in row).encode() for row, own in zip(words, first, strict=True)
    ]
