"""Finds code by its qualified name, in whatever module it is.

An address is `Class.method`, `function`, `function.inner`, `CONSTANT` or `Class.attribute`, or what a call outside of
functions calls (`os.register_at_fork`). If several modules have that name, the end of the module's name comes first:
`replay:_reserve`.
"""

from __future__ import annotations

import ast
import collections
import difflib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from syntax import SnippetError, Spot, change

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_WITH_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


class AddressError(ValueError):
    """No code has the address, or several places have."""


class Place(NamedTuple):
    """Code with a name."""

    module: str
    path: pathlib.Path
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.name} (line {self.line})"

    def changed(self, old: str, new: str) -> ast.Module:
        """The module's tree with `new` in the place of `old`.

        Raises:
          SnippetError: If `old` does not stand there once, or the module does not compile with `new`.
        """
        tree = ast.parse(self.path.read_bytes())
        scope = next(spot for name, spot in _named(tree) if name == self.name)
        try:
            change(scope, old, new)
            compile(tree, str(self.path), "exec", dont_inherit=True)
        except (SyntaxError, TypeError, ValueError) as error:
            raise SnippetError(f"{self}: {error}") from error
        return tree


class Package:
    """All named code of a package."""

    def __init__(self, folder: pathlib.Path, *, without: Sequence[str] = ()) -> None:
        self._places: dict[str, list[Place]] = collections.defaultdict(list)
        for path in _modules(folder, without):
            for place in _places(path, _dotted(path.relative_to(folder.parent))):
                self._places[place.name].append(place)

    def find(self, where: str) -> Place:
        """The one place with this address.

        Raises:
          AddressError: If there is none, or if there are several.
        """
        module, _, name = where.rpartition(":")
        places = self._places.get(name, [])
        found = [place for place in places if not module or f".{place.module}".endswith(f".{module}")]
        if len(found) == 1:
            return found[0]
        listed = "".join(f"\n  {place}" for place in found or places or self._similar(name))
        raise AddressError(f"{where} is the address of {len(found)} places; candidates:{listed or ' none'}")

    def _similar(self, name: str) -> list[Place]:
        last = name.rpartition(".")[2]
        names = [known for known in self._places if known.rpartition(".")[2] == last]
        names = names or difflib.get_close_matches(name, self._places, n=5)
        return [place for known in names for place in self._places[known]]


def _modules(folder: pathlib.Path, without: Sequence[str]) -> Iterator[pathlib.Path]:
    """Follows links, as the import system does."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        if pathlib.Path(parent) == folder:
            folders[:] = [name for name in folders if name not in without]
        folders.sort()
        yield from (pathlib.Path(parent, name) for name in sorted(files) if name.endswith(".py"))


def _dotted(path: pathlib.Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _places(path: pathlib.Path, module: str) -> Iterator[Place]:
    return (Place(module, path, name, spot.line) for name, spot in _named(ast.parse(path.read_bytes())))


def _named(parent: ast.AST, prefix: str = "", *, in_function: bool = False) -> Iterator[tuple[str, Spot]]:
    """Everything with a name, under its qualified name. Variables of functions have none."""
    for field, children in ast.iter_fields(parent):
        for position, child in enumerate(children if isinstance(children, list) else ()):
            if not isinstance(child, _WITH_STATEMENTS):
                continue
            inner = f"{prefix}{child.name}." if isinstance(child, _DEFINITIONS) else prefix
            for name in _names(child, in_function=in_function):
                yield prefix + name, Spot(parent, field, position)
            yield from _named(child, inner, in_function=in_function or isinstance(child, _FUNCTIONS))


def _names(node: ast.AST, *, in_function: bool) -> list[str]:
    """The names that a statement gives; a call outside of functions has the name of what it calls."""
    if isinstance(node, _DEFINITIONS):
        return [node.name]
    if in_function:
        return []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [ast.unparse(node.value.func)]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    parts = [part for target in targets for part in ast.walk(target)]
    return [part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
