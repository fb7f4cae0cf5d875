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
_MAX_FILES = 100
_PREPROCESSING = "preprocessing_fn"


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

    @functools.cached_property
    def libraries(self) -> set[str]:
        """What it imports that is no module of the same project."""
        return {
            origin
            for origin in self.imports.values()
            if not any(_beside(self.path, part) for part in (origin, origin.rpartition(".")[0]) if part)
        }

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

    def named(self, node: ast.AST) -> tuple[Module, str] | None:
        """The module of the same project that `module.x`, or an `x` that was imported from it, is of; and x's name there."""
        if isinstance(node, ast.Name | ast.Attribute) and _root(node) in self.imports:
            parent, _, name = self.dotted(node).rpartition(".")
            module = _beside(self.path, parent) if parent else None
            return (module, name) if module is not None else None
        return None

    @functools.cached_property
    def neighbours(self) -> list[Module]:
        """Modules of the same project that it imports, or imports something from, each once."""
        origins = [*self.imports.values(), *_dotted_imports(self.source.tree)]
        found = [_beside(self.path, part) for origin in origins for part in (origin, origin.rpartition(".")[0]) if part]
        return list({module.path: module for module in found if module is not None}.values())

    @functools.cached_property
    def project(self) -> list[Module]:
        """The module, and those of the same project that it, or one of these, imports; each once, by file."""
        found = {self.path.resolve(): self}
        waiting = [self]
        while waiting and len(found) < _MAX_FILES:
            for module in waiting.pop(0).neighbours:
                if module.path.resolve() not in found:
                    found[module.path.resolve()] = module
                    waiting.append(module)
        return list(found.values())

    @functools.cached_property
    def folder(self) -> tuple[list[Module], list[pathlib.Path], list[pathlib.Path]]:
        """Files next to it that the project does not import: with preprocessing_fn, without, and those that cannot be parsed."""
        known = {module.path.resolve() for module in self.project}
        files = [path for path in sorted(self.path.resolve().parent.glob("*.py")) if path not in known]
        preprocessing, others, failed = [], [], files[_MAX_FILES:]
        for path in files[:_MAX_FILES]:
            module = _read_or_none(path)
            if module is None:
                failed.append(path)
            elif _PREPROCESSING in module.functions:
                preprocessing.append(module)
            else:
                others.append(path)
        return preprocessing, others, failed

    def function(self, node: ast.AST) -> tuple[Module, ast.FunctionDef, str] | None:
        """The function that `f` or `module.f` stands for, its module, and how that module is written here.

        That is '' for this one, and also for one that only `f` was imported from.
        """
        if isinstance(node, ast.Name) and node.id in self.functions:
            return self, self.functions[node.id], ""
        found = self.named(node)
        if found is not None and found[1] in found[0].functions:
            prefix = ast.unparse(node.value) if isinstance(node, ast.Attribute) else ""
            return found[0], found[0].functions[found[1]], prefix
        return None

    def constant(self, node: ast.AST) -> Any:
        """The value of a literal, or of a name that a literal was given to; None where it cannot be seen."""
        if isinstance(node, ast.Constant):
            return node.value
        assigned = self.assigned(node)
        if assigned is None:
            return None
        _, value = assigned
        return value.value if isinstance(value, ast.Constant) else None

    def assigned(self, node: ast.AST) -> tuple[Module, ast.expr] | None:
        """What the top level gives to a name, here or in the module of the project that it is of; None unless it is once."""
        if isinstance(node, ast.Name):
            values = [
                assignment.value
                for assignment in self.source.tree.body
                if isinstance(assignment, ast.Assign | ast.AnnAssign)
                and any(
                    isinstance(target, ast.Name) and target.id == node.id
                    for target in (assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target])
                )
            ]
            if values:
                return (self, values[0]) if len(values) == 1 and values[0] is not None else None
        found = self.named(node)
        return found[0].assigned(ast.Name(found[1])) if found else None


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
        raise ParameterError(
            f"{str(path)!r} {what}. Give the file of the module that has run_fn or preprocessing_fn, e.g. model.py."
        )
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


def _dotted_imports(tree: ast.Module) -> Iterator[str]:
    """Modules that `import a.b` names in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@functools.cache
def _beside(path: pathlib.Path, origin: str) -> Module | None:
    """The file of a dotted name: next to a module, in a package there, or in a folder above it that is named like the package."""
    *packages, name = origin.split(".")
    for folder in path.resolve().parents[: _PARENTS + 1]:
        files = [folder.joinpath(*packages, f"{name}.py"), folder.joinpath(*packages, name, "__init__.py")]
        if packages and folder.name == packages[-1]:
            files.append(folder / f"{name}.py")
        for file in files:
            if file.is_file() and file != path.resolve():
                return _read_or_none(file)
    return None


@functools.cache
def _read_or_none(path: pathlib.Path) -> Module | None:
    """A module that is only looked into for what it says of another; None where it cannot be read."""
    try:
        return read(path)
    except (ParameterError, OSError):
        return None
