"""Source text with its syntax tree: pieces are cut out and edited, never printed anew, so comments and formatting stay."""

from __future__ import annotations

import ast
import dataclasses
import io
import itertools
import tokenize
from collections.abc import Iterable, Iterator

_NO_TEXT = (
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """Replaces the characters from `start` to `end` of a text."""

    start: int
    end: int
    text: str


class Source:
    """The text of a module, addressed by the nodes of its syntax tree.

    Attributes:
      text: The text.
      tree: Its syntax tree.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._in_strings = _lines_in_strings(text)

    def offset(self, line: int, column: int) -> int:
        """Index of a character; `column` counts bytes of UTF-8, as syntax trees do."""
        prefix = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(prefix)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a statement or an expression begins and ends, decorators included."""
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda part: part.lineno)
        start = self.offset(first.lineno, first.col_offset) - (1 if first is not node else 0)  # the @
        return start, self.end(node)

    def end(self, node: ast.AST) -> int:
        """Index behind a node's last character."""
        return self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def arguments(self, call: ast.Call) -> list[tuple[int, int]]:
        """Where each argument of a call begins and ends, parentheses around it included, in the order of the text."""
        begin = self.text.index("(", self.end(call.func))
        piece = self.text[begin : self.end(call)]
        starts = list(itertools.accumulate((len(line) + 1 for line in piece.split("\n")), initial=begin))
        found: list[tuple[int, int]] = []
        span: tuple[int, int] | None = None
        depth = 0
        for token in tokenize.generate_tokens(io.StringIO(piece).readline):
            if token.type in _NO_TEXT:
                continue
            depth -= token.string in (")", "]", "}")
            if depth == 0 or (depth == 1 and token.string == ","):
                found += [span] if span else []
                span = None
            else:
                first, last = (starts[line - 1] + column for line, column in (token.start, token.end))
                span = (span[0] if span else first, last)
            depth += token.string in ("(", "[", "{")
        return found

    def above(self, node: ast.stmt) -> int:
        """Where the comments directly above a statement begin; where its line begins if there are none."""
        line = self._first_line(node)
        return self._starts[line - 1 - len(self._comments_above(node))]

    def next_line(self, node: ast.stmt) -> int:
        """Where the line behind a statement begins."""
        return min(self._starts[node.end_lineno], len(self.text))  # type: ignore[index]

    def line_of(self, node: ast.stmt) -> tuple[int, str] | None:
        """Where the line of a statement begins, and its indentation; None if another statement stands before it there."""
        if self._shares_line(node):
            return None
        line = self._first_line(node)
        text = self._lines[line - 1]
        return self._starts[line - 1], text[: len(text) - len(text.lstrip())]

    def of(self, node: ast.AST, edits: Iterable[Edit] = ()) -> str:
        """A node's text, edited."""
        return self.cut(*self.span(node), edits)

    def cut(self, start: int, end: int, edits: Iterable[Edit] = ()) -> str:
        """The text between two places, with those edits that lie between them."""
        between = {edit for edit in edits if start <= edit.start and edit.end <= end}
        inside = sorted(between, key=lambda edit: (edit.start, edit.end))
        pieces, at = [], start
        for edit in inside:
            if edit.start < at:
                continue  # inside another edit
            pieces += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*pieces, self.text[at:end]])

    def statement(self, node: ast.stmt, indent: str, edits: Iterable[Edit] = ()) -> str:
        """A statement with the comments above and behind it, moved to another indentation.

        Args:
          node: The statement.
          indent: White space before it.
          edits: Changes to what is inside it.

        Returns:
          Its lines, without a newline at the end.
        """
        start, end = self.span(node)
        rest = self._lines[node.end_lineno - 1][self._column(end) :]  # type: ignore[operator]
        if rest.lstrip().startswith("#"):
            end += len(rest)
        old = self._lines[node.lineno - 1][: self._column(start)] if not self._shares_line(node) else ""
        moved = [*edits, *self._reindented(node, old, indent)] if old != indent else edits
        comments = [indent + line.strip() for line in self._comments_above(node)]
        return "\n".join([*comments, indent + self.cut(start, end, moved)])

    def _first_line(self, node: ast.stmt) -> int:
        return min(part.lineno for part in [node, *getattr(node, "decorator_list", [])])

    def _column(self, offset: int) -> int:
        return offset - max(start for start in self._starts if start <= offset)

    def _shares_line(self, node: ast.stmt) -> bool:
        return bool(self._lines[node.lineno - 1].encode()[: node.col_offset].strip())

    def _reindented(self, node: ast.stmt, old: str, new: str) -> Iterator[Edit]:
        for line in range(self._first_line(node) + 1, node.end_lineno + 1):  # type: ignore[operator]
            text = self._lines[line - 1]
            if line not in self._in_strings and text.strip() and text.startswith(old):
                start = self._starts[line - 1]
                yield Edit(start, start + len(old), new)

    def _comments_above(self, node: ast.stmt) -> list[str]:
        line = self._first_line(node) - 1
        found: list[str] = []
        while line > 0 and self._lines[line - 1].lstrip().startswith("#") and line not in self._in_strings:
            found.insert(0, self._lines[line - 1])
            line -= 1
        return found


def _lines_in_strings(text: str) -> set[int]:
    """Lines that begin inside a string, whose leading white space is part of its value."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        line
        for token in tokens
        if token.type == tokenize.STRING
        for line in range(token.start[0] + 1, token.end[0] + 1)
    }
