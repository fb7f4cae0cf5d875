"""A user's module as it is written: its functions, imports and constants, and the modules next to it that it uses."""

from __future__ import annotations

import ast
import functools
import pathlib
import tokenize
from collections.abc import Iterator
from typing import Any

from tfx_privacy.errors import ParameterError
from tfx_privacy.migration.source import Source

_PARENTS = 2


class Module:
    """A parsed module.

    Attributes:
      path: Its file.
      source: Its text and syntax tree.
      imports: By name in the module, what it stands for, dotted.
    """

    def __init__(self, path: pathlib.Path, text: str) -> None:
        self.path = path
        self.source = Source(text)
        self.imports = dict(_imports(self.source.tree))

    @functools.cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """Functions at the top level."""
        return {node.name: node for node in self.source.tree.body if isinstance(node, ast.FunctionDef)}

    @functools.cached_property
    def names(self) -> set[str]:
        """Everything that the top level binds."""
        found = set(self.imports)
        for node in self.source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            else:
                found |= {
                    part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
                }
        return found

    def dotted(self, node: ast.AST) -> str:
        """What `a.b.c` stands for, by the imports; empty for other expressions."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            value = self.dotted(node.value)
            return f"{value}.{node.attr}" if value else ""
        return ""

    def compiles(self, call: ast.Call) -> bool:
        """Whether a call looks like a Keras model's compile()."""
        return (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "compile"
            and self.dotted(call.func) != "re.compile"
        )

    def beside(self, name: str) -> Module | None:
        """The module of the same project that an imported name stands for; None where its file is not found."""
        origin = self.imports.get(name)
        return _beside(self.path, origin) if origin else None

    @functools.cached_property
    def neighbours(self) -> dict[str, Module]:
        """Modules of the same project, by the names that they were imported as."""
        found = {name: self.beside(name) for name in self.imports}
        return {name: module for name, module in found.items() if module is not None}

    def function(self, node: ast.AST) -> tuple[Module, ast.FunctionDef, str] | None:
        """The function that `f` or `module.f` stands for, its module, and the name of that module here ('' for this one)."""
        if isinstance(node, ast.Name) and node.id in self.functions:
            return self, self.functions[node.id], ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self.neighbours.get(node.value.id)
            if module is not None and node.attr in module.functions:
                return module, module.functions[node.attr], node.value.id
        return None

    def constant(self, node: ast.AST) -> Any:
        """The value of a literal, or of a name that a literal was given to; None where it cannot be seen."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            values = [
                assignment.value
                for assignment in self.source.tree.body
                if isinstance(assignment, ast.Assign)
                and any(isinstance(target, ast.Name) and target.id == node.id for target in assignment.targets)
            ]
            return values[0].value if len(values) == 1 and isinstance(values[0], ast.Constant) else None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self.neighbours.get(node.value.id)
            return module.constant(ast.Name(node.attr)) if module else None
        return None


def read(path: pathlib.Path) -> Module:
    """Reads and parses a module.

    Args:
      path: The file; it is not imported.

    Returns:
      The module.

    Raises:
      ParameterError: If there is no such file, or it is no Python.
    """
    if path.suffix != ".py" or not path.is_file():
        what = "is a folder" if path.is_dir() else "is no Python file" if path.exists() else "does not exist"
        raise ParameterError(f"{str(path)!r} {what}. Give the file of the module that has run_fn, e.g. model.py.")
    try:
        with tokenize.open(path) as file:
            return Module(path, file.read())
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        line = f" at line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ParameterError(
            f"{str(path)!r} cannot be parsed by this Python{line}: {what}. Only modules that compile can be migrated."
        ) from None


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}" if node.module else alias.name


@functools.cache
def _beside(path: pathlib.Path, origin: str) -> Module | None:
    """The file of a dotted name, next to a module or in a folder above it that is named like the package."""
    *packages, name = origin.split(".")
    for folder in path.resolve().parents[: _PARENTS + 1]:
        file = folder / f"{name}.py"
        in_package = not packages or folder.name == packages[-1]
        if in_package and file.is_file() and file != path.resolve():
            try:
                return read(file)
            except ParameterError:
                return None  # it is only looked into for what it says of this module
    return None
