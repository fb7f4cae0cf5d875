"""Links of the documentation: pages link to files as they lie in the checkout, and the site has no such files."""

from __future__ import annotations

import os
import pathlib
import re
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_INCLUDED = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
# Which page shows a file that lies outside of docs/.
_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    **{
        f"components/{name}/README.md": f"components/{name}.md"
        for name in ("dp_trainer", "privacy_evaluator", "budget_validator", "canary_inserter", "verifying_pusher")
    },
}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Puts included files in, and makes their links ones of the site.

    Args:
      markdown: The page as it is written.
      page: MkDocs' page.

    Returns:
      The page, with links to what is no page as code.
    """
    included = _INCLUDED.fullmatch(markdown.strip())
    source = included.group(1) if included else f"docs/{page.file.src_uri}"
    text = (ROOT / source).read_text(encoding="utf-8") if included else markdown
    return _LINK.sub(lambda match: _relinked(match, source, page.file.src_uri), text)


def _relinked(match: re.Match[str], source: str, page: str) -> str:
    image, text, target, anchor = match.groups()
    file = os.path.normpath(os.path.join(os.path.dirname(source), target))
    if not (ROOT / file).exists():
        return match[0]  # MkDocs complains
    shown = _PAGES.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
    if shown is None:
        return f"{text} (`{file}`)" if text.strip("`") != file else f"`{file}`"
    return f"{image}[{text}]({os.path.relpath(shown, os.path.dirname(page) or '.')}{anchor or ''})"
