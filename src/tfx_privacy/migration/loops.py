"""Where an expression stands in a module, and over which names a loop around it goes, as far as literals show it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module

# What changes nothing of the names that it is given.
_SAME_NAMES = ("list", "tuple", "set", "sorted", "reversed", "keys")


class Places:
    """What stands around each expression of a module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._above = {id(child): node for node in ast.walk(module.source.tree) for child in ast.iter_child_nodes(node)}

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What contains a node, from the inside."""
        current = self._above.get(id(node))
        while current is not None:
            yield current
            current = self._above.get(id(current))

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that a node is part of."""
        return next(each for each in self.around(node) if isinstance(each, ast.stmt))

    def top(self, node: ast.AST) -> ast.stmt:
        """The statement of the module itself that a node is part of."""
        return [each for each in self.around(node) if isinstance(each, ast.stmt)][-1]

    def function(self, node: ast.AST) -> ast.FunctionDef | None:
        """The innermost function that a node is part of."""
        return next((each for each in self.around(node) if isinstance(each, ast.FunctionDef)), None)

    def needed(self, node: ast.expr) -> list[ast.AST]:
        """A node, and the statements before it, in its function, that its value depends on."""
        function = self.function(node)
        if function is None:
            return [node]
        before = [
            each
            for each in ast.walk(function)
            if isinstance(each, ast.Assign | ast.AugAssign | ast.AnnAssign)
            and each.end_lineno is not None
            and each.end_lineno < node.lineno
        ]
        return [node, *slicing.backward(sorted(before, key=lambda each: each.lineno), slicing.loads(node))]

    def key(self, node: ast.expr) -> tuple[str, list[str] | None] | None:
        """The variable of a loop around a node by which it takes a feature, and the names that it goes over.

        Returns:
          None if it is in no loop, or takes a feature otherwise; no names where literals do not show them.
        """
        used = {
            part.slice.id
            for each in self.needed(node)
            for part in ast.walk(each)
            if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Name)
        }
        for target, iterated in self._loops(node):
            for position, variable in enumerate(_variables(target)):
                if variable in used:
                    single = isinstance(target, ast.Name)
                    return variable, _names(self.module, iterated) if single else _at(self.module, iterated, position)
        return None

    def features(self, node: ast.expr) -> list[str]:
        """The features that an expression takes by name: literals, constants, or what a loop goes over."""
        function = self.function(node)
        given = {argument.arg for argument in function.args.args} if function is not None else set()
        found = []
        for each in self.needed(node):
            for part in ast.walk(each):
                if isinstance(part, ast.Subscript) and slicing.root(part.value) in given:
                    name = self.module.constant(part.slice)
                    found += [name] if isinstance(name, str) else []
        key = self.key(node)
        return [*found, *((key and key[1]) or [])]

    def _loops(self, node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
        """What each loop around a node assigns, and what it goes over."""
        for each in self.around(node):
            if isinstance(each, ast.For):
                yield each.target, each.iter
            elif isinstance(each, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                yield from ((part.target, part.iter) for part in each.generators)


def _variables(target: ast.expr) -> list[str]:
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return [part.id if isinstance(part, ast.Name) else "" for part in parts]


def _at(module: Module, iterated: ast.expr, position: int) -> list[str] | None:
    """What the variable at a position goes over, of several that a loop assigns at once."""
    if not isinstance(iterated, ast.Call):
        return None
    called = slicing.last(iterated.func)
    if called == "zip" and position < len(iterated.args):
        return _names(module, iterated.args[position])
    if called == "enumerate" and position == 1 and iterated.args:
        return _names(module, iterated.args[0])
    if called == "items" and position == 0 and isinstance(iterated.func, ast.Attribute):
        return _names(module, iterated.func.value)
    return None


def _names(module: Module, node: ast.expr | None, seen: frozenset[int] = frozenset()) -> list[str] | None:
    """The texts of a list, or the keys of a dict; None where they cannot be seen."""
    if id(node) in seen:
        return None
    seen |= {id(node)}
    if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
        parts = node.keys if isinstance(node, ast.Dict) else node.elts
        found = [module.constant(part) if part is not None else None for part in parts]
        return [name for name in found if isinstance(name, str)] if all(isinstance(x, str) for x in found) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _names(module, node.left, seen), _names(module, node.right, seen)
        return None if left is None or right is None else [*left, *right]
    if isinstance(node, ast.Call) and slicing.last(node.func) in _SAME_NAMES:
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        return _names(module, node.args[0] if node.args else receiver, seen)
    if isinstance(node, ast.Name | ast.Attribute):
        assigned = module.assigned(node)
        return _names(*assigned, seen) if assigned is not None else None
    return None
