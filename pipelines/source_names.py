"""What a Python file binds at its top level, read without running it: TFX takes many seconds to import, a file does not.

Wherever the text does not tell, the answer is that it is not known; nothing here decides on a pipeline or a model.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib.machinery
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence

# None of them offers a finished pipeline to import.
_LIBRARIES = frozenset(
    {"absl", "apache_beam", "keras", "kfp", "ml_metadata", "numpy", "tensorflow", "tensorflow_model_analysis",
     "tensorflow_transform", "tf_keras", "tfx", "tfx_bsl", "tfx_privacy", "typing_extensions"}
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Names:
    """The names of a module."""

    functions: dict[str, ast.FunctionDef]
    """Defined once, without a decorator."""
    inert: frozenset[str]
    """Values of the standard library and of constants, modules and classes: no pipelines."""
    others: frozenset[str]
    """Anything else."""
    complete: bool
    """Whether there can be no further name."""

    def __contains__(self, name: str) -> bool:
        return name in self.functions or name in self.inert or name in self.others


def read(path: str | os.PathLike[str]) -> Names | None:
    """Reads a file; None if it is no Python, which an import then says better."""
    try:
        tree = ast.parse(pathlib.Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    reader = _Reader(pathlib.Path(path).parent)
    reader.block(tree.body)
    return reader.names()


def find(module: str, folders: Sequence[str] | None = None) -> pathlib.Path | None:
    """The file of a module by its dotted name, without importing its packages; None if it is not found as a file.

    Args:
      module: Dotted name.
      folders: Where to look; `sys.path` and the working directory if left out.
    """
    places: Sequence[str] | None = [*sys.path, os.getcwd()] if folders is None else folders
    spec = None
    for part in module.split("."):
        if places is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(part, list(places))
        if spec is None:
            return None
        places = spec.submodule_search_locations
    origin = spec.origin if spec is not None else None
    return pathlib.Path(origin) if origin is not None and origin.endswith(".py") else None


def requires_arguments(function: ast.FunctionDef) -> bool:
    """Whether a call without arguments fails."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    return len(positional) > len(arguments.defaults) or any(default is None for default in arguments.kw_defaults)


class _Reader:
    """Goes through the statements of a module, as they would be run."""

    def __init__(self, folder: pathlib.Path) -> None:
        # As a file of a package, or as one that is run.
        self._folders = [str(folder), str(folder.parent), os.getcwd()]
        self._functions: dict[str, ast.FunctionDef] = {}
        self._inert: set[str] = set()
        self._usable = set(dir(builtins)) - {"__import__", "eval", "exec", "globals", "vars", "locals"}
        self._others: set[str] = set()
        self._complete = True

    def names(self) -> Names:
        return Names(
            {name: node for name, node in self._functions.items() if name not in self._others},
            frozenset(self._inert - self._others),
            frozenset(self._others),
            self._complete and "__getattr__" not in self._functions,
        )

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.FunctionDef):
            plain = not statement.decorator_list and statement.name not in self.names()
            self._functions[statement.name] = statement
            if not plain:
                # A decorator makes a component of a function, or the like; only what is called a pipeline may be one.
                self._bind(statement.name, inert="pipeline" not in statement.name.lower())
                self._functions.pop(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(statement)
        elif isinstance(statement, ast.ClassDef):
            self._bind(statement.name, inert=not statement.decorator_list, usable=False)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            self._assign(statement)
        elif isinstance(statement, ast.If) and _is_main(statement.test):
            self.block(statement.orelse)
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            for name in _targets(statement):
                self._bind(name, inert=False)
            for field in ("body", "handlers", "orelse", "finalbody"):
                for part in getattr(statement, field, []):
                    if isinstance(part, ast.ExceptHandler):
                        self.block(part.body)
                    else:
                        self._statement(part)
        elif not isinstance(statement, ast.Expr | ast.Pass | ast.Assert | ast.Raise):
            self._complete = False
        if any(isinstance(node, ast.NamedExpr) for node in ast.walk(statement)) or _writes_globals(statement):
            self._complete = False

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for alias in statement.names:
            if alias.name == "*":
                self._complete = False
                continue
            if isinstance(statement, ast.Import):
                module = alias.name.partition(".")[0]
                self._bind(alias.asname or module, inert=True, usable=module in sys.stdlib_module_names)
                continue
            module = "" if statement.level else (statement.module or "")
            top = module.partition(".")[0]
            standard = top in sys.stdlib_module_names
            beside = bool(module) and any(find(f"{module}.{alias.name}", [place]) for place in self._folders)
            known = standard or top in _LIBRARIES or beside
            self._bind(alias.asname or alias.name, inert=known, usable=standard)

    def _assign(self, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        harmless = statement.value is None or all(
            node.id in self._usable for node in ast.walk(statement.value) if isinstance(node, ast.Name)
        )
        if isinstance(statement, ast.AnnAssign) and statement.value is None:
            return
        for name in _targets(statement):
            self._bind(name, inert=harmless and not isinstance(statement, ast.AugAssign), usable=harmless)

    def _bind(self, name: str, *, inert: bool, usable: bool = False) -> None:
        (self._inert if inert else self._others).add(name)
        if usable:
            self._usable.add(name)
        else:
            self._usable.discard(name)


def _targets(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement itself binds."""
    if isinstance(statement, ast.Assign):
        parts: list[ast.expr] = list(statement.targets)
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        parts = [statement.target]
    elif isinstance(statement, ast.With):
        parts = [item.optional_vars for item in statement.items if item.optional_vars is not None]
    else:
        parts = []
    for part in parts:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _writes_globals(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Global)
        or (isinstance(node, ast.Name) and node.id in ("exec", "eval", "globals", "vars", "locals", "setattr"))
        for node in ast.walk(statement)
    )


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"
