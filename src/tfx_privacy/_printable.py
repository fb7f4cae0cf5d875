"""Text from elsewhere, made safe to show: in terminals, logs, errors and reports.

Feature values, labels, approvers, reasons and paths are other people's text. A control sequence in one of them can
clear a terminal, rewrite a line that was printed before, or show a refusal as a blessing; a bidirectional mark reorders
the words around it; a zero-width character makes two names look like one.
"""

from __future__ import annotations

import unicodedata

# Letters and symbols by their category, and blank on every screen.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


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
    """Whether a reader sees nothing: spaces, controls, zero-width and combining characters alone, fillers of scripts."""
    return all(each in _BLANK or unicodedata.category(each)[0] not in "LNPS" for each in text)


def _prints(character: str) -> bool:
    # Python counts every space but U+0020 among what does not print.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
