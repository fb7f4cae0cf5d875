"""Characters that no editor shows, or that change what it shows of others."""

from __future__ import annotations

import unicodedata

from tfx_privacy._printable import is_ignorable

# Line breaks to some readers and not to others, bidirectional controls and other format characters, and what is no character.
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Zl", "Zp", "Cs", "Cn")
# Joiners, without which Persian, Indic scripts and emoji cannot be written; they break no line and turn no order.
_JOINERS = "\u200c\u200d"
# Nor can Mongolian, Japanese names and emoji without the selectors of a letter's form.
_SELECTORS = ((0x180B, 0x180D), (0x180F, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


def hidden_character(text: str, *, allowed: str = "\n\t") -> int | None:
    """Where the first character is that no editor shows, or that changes how others are shown.

    Args:
      text: Any text.
      allowed: Control characters that are no surprise.

    Returns:
      The index; None if there is none.
    """
    for index, letter in enumerate(text):
        if letter in allowed or letter in _JOINERS:
            continue
        if unicodedata.category(letter) in _HIDDEN_CATEGORIES or (is_ignorable(letter) and not _selects(letter)):
            return index
    return None


def _selects(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _SELECTORS)


def name_of(letter: str) -> str:
    """A character as messages show it: `U+2028 (LINE SEPARATOR)`."""
    name = unicodedata.name(letter, "")
    return f"U+{ord(letter):04X}" + (f" ({name})" if name else "")
