"""Which statements of a function something depends on: a backward slice over names.

Names stand for values: what is reached through two names, or changed by a function that was given it in an expression,
is not followed. A statement that consists of a call counts as changing its receiver and its arguments.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence


def flattened(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """A function's statements, with those inside `with strategy.scope():` in its place, and without the docstring."""
    found: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.With) and all(_is_scope(item.context_expr) for item in statement.items):
            found += flattened(statement.body)
        elif not isinstance(statement, ast.Pass):
            found.append(statement)
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        found.remove(first)
    return found


def _is_scope(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "scope"


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """All calls inside, in the order of the text."""
    found = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    return iter(sorted(found, key=lambda call: (call.lineno, call.col_offset)))


def loads(node: ast.AST) -> set[str]:
    """Names that are read."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Store)}


def binds(node: ast.AST) -> set[str]:
    """Names that a statement gives a value."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            found.add(part.id)
        elif isinstance(part, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(part.name)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.split(".")[0] for alias in part.names}
    return found


def changes(node: ast.AST) -> set[str]:
    """Names whose values a statement changes in place: by attribute, by item, or by a call that is a statement."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            found.add(root(part))
        elif isinstance(part, ast.AugAssign):
            found.add(root(part.target))
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            call = part.value
            found.add(root(call.func))
            found |= {root(value) for value in [*call.args, *(keyword.value for keyword in call.keywords)]}
    return found - {""}


def root(node: ast.AST) -> str:
    """The name that `a.b[0].c` begins with; empty for other expressions."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def backward(
    statements: Sequence[ast.stmt],
    wanted: Iterable[str],
    *,
    given: Iterable[str] = (),
    skip: Callable[[ast.stmt], bool] = lambda _: False,
) -> list[ast.stmt]:
    """Statements that the values of some names depend on, in their order.

    Args:
      statements: Of the function, up to the place where the names are read.
      wanted: The names.
      given: Names that have their values already.
      skip: Statements that are left out.

    Returns:
      The slice.
    """
    given, needed = set(given), set(wanted) - set(given)
    taken: list[ast.stmt] = []
    for statement in reversed(statements):
        if not (binds(statement) | changes(statement)) & needed or skip(statement):
            continue
        taken.insert(0, statement)
        if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
            needed -= binds(statement)
        needed |= loads(statement) - given
    return taken


def is_call(statement: ast.stmt) -> bool:
    """Whether a statement is a call, whose result is not kept."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def last(node: ast.AST) -> str:
    """The last name of `a.b.c`; empty for other expressions."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
