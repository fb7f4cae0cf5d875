"""Text from elsewhere, made safe to show: in terminals, logs, errors and reports.

Feature values, labels, approvers, reasons and paths are other people's text. A control sequence in one of them can
clear a terminal, rewrite a line that was printed before, or show a refusal as a blessing; a bidirectional mark reorders
the words around it; a zero-width character makes two names look like one.
"""

from __future__ import annotations

import unicodedata

# Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt, 15.1), which Python does not tell: nothing
# is drawn of these, whatever their category.
_IGNORABLE = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# Egyptian hieroglyphs by their category, whose only form is a gap.
_BLANK_LETTERS = "\U00013441\U00013442"


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text with everything that does not print written as an escape.

    >>> printable("\x1b[2Jcafé\u202e")
    '\\x1b[2Jcafé\\u202e'

    Args:
      text: Of any origin.
      lines: Whether line feeds and tabs stay: for whole messages, not for values inside of one.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(each if each in kept or _prints(each) else _escaped(each) for each in text)


def is_blank(text: str) -> bool:
    """Whether there is nothing to read: no letter, digit or punctuation that is drawn.

    Among symbols and marks are some that show nothing (an empty Braille cell, a note without a head), and more with
    each Unicode; nobody's name, and no reason, is of these alone.
    """
    return not any(_is_read(each) for each in text)


def is_ignorable(character: str) -> bool:
    """Whether nothing is drawn of a character, whatever its category."""
    return any(first <= ord(character) <= last for first, last in _IGNORABLE)


def _is_read(character: str) -> bool:
    is_letter = unicodedata.category(character)[0] in "LNP" and character not in _BLANK_LETTERS
    return is_letter and not is_ignorable(character)


def _prints(character: str) -> bool:
    # Python counts every space but U+0020 among what does not print.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
