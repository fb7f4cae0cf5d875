"""Changes one place of a syntax tree, found by a snippet: layout, comments, quotes and parentheses do not count.

The tree is changed, not the text: every other line keeps the number that it has in the file, which is where tracebacks,
and whatever asks for a function's source, look it up.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class SnippetError(ValueError):
    """The snippet is no Python, or its place is not there, or is there several times."""


class Spot(NamedTuple):
    """Where nodes hang in a tree: several in a row of a list, or the one of a field."""

    parent: ast.AST
    field: str
    start: int | None = None
    """None: the field holds one node and no list."""
    length: int = 1

    @property
    def nodes(self) -> list[ast.AST]:
        """What hangs here."""
        value = getattr(self.parent, self.field)
        return [value] if self.start is None else value[self.start : self.start + self.length]

    @property
    def line(self) -> int:
        """The first line in the file."""
        return getattr(self.nodes[0], "lineno", 0)

    def put(self, nodes: Sequence[ast.AST]) -> None:
        """Hangs other nodes here."""
        if self.start is None:
            setattr(self.parent, self.field, nodes[0])
            return
        siblings = getattr(self.parent, self.field)
        siblings[self.start : self.start + self.length] = nodes
        if not siblings and self.field == "body":
            siblings.append(ast.copy_location(ast.Pass(), self.parent))


class _Form(NamedTuple):
    """One reading of the two snippets."""

    old: Sequence[ast.AST]
    new: Sequence[ast.AST]


class _Match(NamedTuple):
    """A place where a form's old nodes hang."""

    spot: Spot
    form: _Form
    left_open: list[list[ast.AST]]
    """What stands where the snippet has `...`."""


def change(scope: Spot, old: str, new: str) -> None:
    """Puts the snippet `new` in the place of `old`, which stands once in the scope or is the scope; nothing leaves it out.

    A snippet is an expression, statements in a row, or an argument `name=value`. A `...` in `old` stands for any
    expression, or alone in a block for any statements; `new` has all of them in the same order, or none.

    Raises:
      SnippetError: If the place is not there, or is there several times.
    """
    found = [match for form in _forms(old, new) for match in _matches(scope, form)]
    if len(found) != 1:
        lines = "".join(f", line {line}" for line in sorted(match.spot.line for match in found))
        raise SnippetError(f"stands {len(found)} times{lines}: {old}")
    spot, form, left_open = found[0]
    _move(form.new, spot.nodes[0])
    spot.put(_filled(form.new, left_open))


def _matches(scope: Spot, form: _Form) -> Iterator[_Match]:
    for spot in _spots(scope, len(form.old)):
        left_open: list[list[ast.AST]] = []
        if (form.new or spot.start is not None) and _agree(form.old, spot.nodes, left_open):
            yield _Match(spot, form, left_open)


def _forms(old: str, new: str) -> Iterator[_Form]:
    """Statements only where the snippets are no expressions, since those stand in statements too."""
    before, after = _parsed(old), _parsed(new) if new.strip() else []
    expression, other = _expression(before), _expression(after)
    if expression and (other or not after):
        yield _Form([expression], [other] if other else [])
    if not (expression and other):
        yield _Form(before, after)
    argument, other_argument = _argument(before), _argument(after)
    if argument and (other_argument or not after):
        yield _Form([argument], [other_argument] if other_argument else [])


def _parsed(snippet: str) -> list[ast.stmt]:
    text = textwrap.dedent(snippet).strip()
    try:
        return ast.parse(text).body
    except SyntaxError:
        return _parsed_over_lines(text)


def _parsed_over_lines(text: str) -> list[ast.stmt]:
    """An expression whose brackets stand outside of the snippet."""
    try:
        return ast.parse(f"(\n{text}\n)").body
    except SyntaxError as error:
        raise SnippetError(f"neither statements nor an expression: {text}") from error


def _expression(statements: Sequence[ast.stmt]) -> ast.expr | None:
    if len(statements) == 1 and isinstance(statements[0], ast.Expr):
        return statements[0].value
    return None


def _argument(statements: Sequence[ast.stmt]) -> ast.keyword | None:
    """`name=value`, which reads as an assignment by itself."""
    if len(statements) != 1 or not isinstance(statements[0], ast.Assign) or len(statements[0].targets) != 1:
        return None
    target = statements[0].targets[0]
    return ast.keyword(arg=target.id, value=statements[0].value) if isinstance(target, ast.Name) else None


def _spots(scope: Spot, length: int) -> Iterator[Spot]:
    """All places of so many nodes: the scope, and those inside it."""
    if length == 1:
        yield scope
    for parent in ast.walk(scope.nodes[0]):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                yield from (Spot(parent, field, start, length) for start in range(len(value) - length + 1))
            elif isinstance(value, ast.AST) and length == 1:
                yield Spot(parent, field)


def _agree(pattern: object, found: object, left_open: list[list[ast.AST]]) -> bool:
    """Compares without positions, and notes what stands where the pattern is open."""
    if isinstance(pattern, list) and isinstance(found, list):
        if len(pattern) == 1 and _is_open_block(pattern[0]) and found:
            left_open.append(found)
            return True
        return len(pattern) == len(found) and all(_agree(*pair, left_open) for pair in zip(pattern, found, strict=True))
    if _is_open(pattern) and isinstance(found, ast.expr):
        left_open.append([found])
        return True
    if type(pattern) is not type(found):
        return False
    if not isinstance(pattern, ast.AST):
        return pattern == found
    return all(_agree(getattr(pattern, field), getattr(found, field), left_open) for field in pattern._fields)


def _is_open(node: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_open_block(node: object) -> bool:
    return isinstance(node, ast.Expr) and _is_open(node.value)


def _filled(nodes: Sequence[ast.AST], left_open: list[list[ast.AST]]) -> list[ast.AST]:
    filler = _Filler(left_open)
    filled = [filler.visit(node) for node in nodes]
    if filler.taken not in (0, len(left_open)):
        counts = f"{len(left_open)} times in the old snippet, and {filler.taken} times in the new one"
        raise SnippetError(f"`...` stands {counts}")
    return [node for one in filled for node in (one if isinstance(one, list) else [one])]


class _Filler(ast.NodeTransformer):
    """Puts what was left open, in turn, where the nodes have `...`."""

    def __init__(self, left_open: list[list[ast.AST]]) -> None:
        self._left_open = left_open
        self.taken = 0

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.AST]:
        if not _is_open_block(node):
            return self.generic_visit(node)
        found = self._next() or [node]
        if isinstance(found[0], ast.expr):
            node.value = found[0]
            return node
        return found

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return (self._next() or [node])[0] if _is_open(node) else node

    def _next(self) -> list[ast.AST]:
        self.taken += 1
        return self._left_open[self.taken - 1] if self.taken <= len(self._left_open) else []


def _move(nodes: Sequence[ast.AST], place: ast.AST) -> None:
    for node in nodes:
        for inner in ast.walk(node):
            if "lineno" in inner._attributes:
                ast.copy_location(inner, place)
