"""What made-up records hold: a model is looked at with them before it sees a record, and may not take every value.

Numbers are small and texts are 'a' and 'b', unless the model refuses these: then whole numbers begin at one, and texts are
numbers, dates or pictures. None of it comes from a record.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

Texts = tuple[bytes, bytes]
Size = tuple[int, int, int]
"""Height, width and channels of a picture."""

_PLAIN: Texts = (b"a", b"b")
_WRITTEN: tuple[Texts, ...] = (
    (b"0", b"1"),
    (b"1.5", b"2.5"),
    (b"2024-01-31", b"2024-02-29"),
    (b"1,2", b"2,1"),
    (b"{}", b"[]"),
)
# Raw numbers, and nothing at all.
_RAW: tuple[Texts, ...] = ((b"\0" * 8, b"\x01" * 8), (b"", b""))
_SIZES = (32, 28, 224, 64, 128, 256)
# In TensorFlow's text of a refusal: a picture's shape, or the number of values that it should have had.
_SHAPE = re.compile(r"\[(?:\d+,\s?)?(\d+),\s?(\d+),\s?([134])\]")
_NUMBER = re.compile(r"(?:requested shape (?:has|requires a multiple of) |(?:list shape:|expected shape) \[)(\d+)")
_CHANNELS = (3, 1, 4)
_MOST_VALUES = 1 << 22
# Bytes of a number, where texts are raw numbers.
_WIDTHS = (4, 1, 8, 2)


@dataclasses.dataclass(frozen=True)
class MadeUp:
    """Of which values made-up records are."""

    lowest: int = 0
    """Whole numbers are this and the next one."""
    texts: Texts = _PLAIN
    column: str | None = None
    """The only column with these texts, others being 'a' and 'b'; None for all."""

    def blank(self, column: str) -> bytes:
        """A text of a column for a record that is there for its shape alone."""
        texts = self.texts_of(column)
        return b"" if texts == _PLAIN else texts[0]

    def texts_of(self, column: str) -> Texts:
        """The two texts of a column."""
        return self.texts if self.column in (None, column) else _PLAIN


PLAIN = MadeUp()
"""What comes first."""


def attempts(columns: Sequence[str], *, whole_numbers: bool) -> Iterator[MadeUp]:
    """What to try where a model refuses the values that come first.

    Args:
      columns: Names of the columns of texts.
      whole_numbers: Whether there are columns of whole numbers.
    """
    lowest = (0, 1) if whole_numbers else (0,)
    if whole_numbers:
        yield MadeUp(lowest=1)
    if not columns:
        return
    of_columns = [None, *columns] if len(columns) > 1 else [None]
    for first in lowest:
        for size in _SIZES:
            for column in of_columns:
                yield MadeUp(first, picture((size, size, 3)), column)
        for texts in (*_WRITTEN, *_RAW):
            for column in of_columns:
                yield MadeUp(first, texts, column)


def hinted(refusal: str, refused: MadeUp, batch_size: int) -> Iterator[MadeUp]:
    """Pictures, and raw numbers, of the sizes that TensorFlow names where it refused some of another size.

    Args:
      refusal: TensorFlow's text.
      refused: What it refused.
      batch_size: Number of records that it refused.
    """
    sizes = [(int(height), int(width), int(channels)) for height, width, channels in _SHAPE.findall(refusal)]
    numbers = [number for number in map(int, _NUMBER.findall(refusal)) if 0 < number <= _MOST_VALUES]
    sizes += [
        (1, number // channels, channels) for number in numbers for channels in _CHANNELS if number % channels == 0
    ]
    for size in sizes:
        if 0 < size[0] * size[1] <= _MOST_VALUES:
            yield dataclasses.replace(refused, texts=picture(size))
    for number in numbers:
        # Of one record, or of the whole batch.
        for values in (number, number // batch_size):
            for width in _WIDTHS:
                yield dataclasses.replace(refused, texts=(b"\0" * values * width, b"\x01" * values * width))


@functools.lru_cache(maxsize=32)
def picture(size: Size) -> Texts:
    """Two pictures of noise, as PNG files, which TensorFlow's decoders of PNG, JPEG and GIF take alike."""
    random = np.random.default_rng(0)
    first, second = (tf.io.encode_png(random.integers(0, 256, size, np.uint8)).numpy() for _ in range(2))
    return first, second
