"""Text from elsewhere as Markdown shows it."""

from __future__ import annotations

import re

from tfx_privacy._printable import printable


def escaped(text: str) -> str:
    r"""The text as one line, without markup, HTML, formulas, or a link that a reader could follow by mistake.

    >>> escaped("a *b*\n<c>")
    'a \\*b\\* &lt;c&gt;'
    """
    line = printable(" ".join(text.split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]#!|~$])", r"\\\1", line)
    return line.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
