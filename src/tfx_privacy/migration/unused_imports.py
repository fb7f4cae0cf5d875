"""Imports that nothing uses any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tfx_privacy.migration import slicing
from tfx_privacy.migration.source import Edit, Source


def without_unused(text: str, original: Source) -> tuple[str, list[str]]:
    """Removes from a proposed module what it imports, what the original used, and what the proposal does not.

    An import that the original did not use either stays: it may be there for its effect. One of tensorflow_privacy goes:
    whoever runs the proposal need not have it.

    Args:
      text: The proposal; it compiles.
      original: What it was made from.

    Returns:
      The text, and the names that went.
    """
    source = Source(text)
    used = _used(source.tree)
    gone = _used(original.tree) - used
    edits: list[Edit] = []
    removed: list[str] = []
    for node in source.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            home = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            unneeded = [
                alias
                for alias in node.names
                if _bound(alias) in gone
                or (_bound(alias) not in used and f"{home or alias.name}.".startswith("tensorflow_privacy."))
            ]
            removed += map(_bound, unneeded)
            edits += _line(source, node) if len(unneeded) == len(node.names) else _parts(source, node.names, unneeded)
    return source.cut(0, len(text), edits), removed


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _used(tree: ast.Module) -> set[str]:
    exported = {
        part.value
        for node in tree.body
        if isinstance(node, ast.Assign) and "__all__" in slicing.binds(node)
        for part in ast.walk(node.value)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }
    return slicing.loads(tree) | exported


def _line(source: Source, node: ast.stmt) -> Iterator[Edit]:
    start, end = source.span(node)
    if source.text[end : end + 1] == "\n" and source.text[start - 1 : start] in ("", "\n"):
        yield Edit(start, end + 1, "")
    elif source.text[end:].lstrip(" \t").startswith("#") and source.text[start - 1 : start] in ("", "\n"):
        yield Edit(start, source.text.index("\n", end) + 1, "")


def _parts(source: Source, names: list[ast.alias], unneeded: list[ast.alias]) -> Iterator[Edit]:
    kept_end = 0
    for place, alias in enumerate(names):
        if alias not in unneeded:
            kept_end = source.end(alias)
        elif any(later not in unneeded for later in names[place:]):
            yield Edit(source.span(alias)[0], source.span(names[place + 1])[0], "")
        else:
            yield Edit(kept_end, source.end(names[-1]), "")
            return
