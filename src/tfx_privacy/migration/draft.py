"""A proposal in the making: what the steps share, and how their findings and lines are written down."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

from tfx_privacy.migration import reading
from tfx_privacy.migration.hazards import Finding
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.run_fn import RunFn
from tfx_privacy.migration.source import Edit

_RESERVED = ("input_fn", "signatures_fn")


@dataclasses.dataclass
class Proposal:
    """A proposed module, and what is to be said of it.

    Attributes:
      module: The original.
      text: The proposed module.
      decisions: What was moved where, and changed on the way.
      questions: What could not be decided, or must be looked at.
      left_out: What of run_fn has no place any more, and why.
      uncovered: What takes something from the records outside training.
      privacy: Arguments of DPParameters, as source lines.
      arguments: Further arguments of DPTrainer, as source lines.
      states_noise: Whether `privacy` has the module's own noise.
      read: Files that were read.
      only_seen: Files next to the module in which only a preprocessing_fn was looked for.
      not_read: Files next to it that could not be parsed, or were too many.
      libraries: What is imported and was not looked into.
    """

    module: Module
    text: str = ""
    decisions: list[Finding] = dataclasses.field(default_factory=list)
    questions: list[Finding] = dataclasses.field(default_factory=list)
    left_out: list[Finding] = dataclasses.field(default_factory=list)
    uncovered: list[Finding] = dataclasses.field(default_factory=list)
    privacy: list[str] = dataclasses.field(default_factory=list)
    arguments: list[str] = dataclasses.field(default_factory=list)
    states_noise: bool = False
    read: list[str] = dataclasses.field(default_factory=list)
    only_seen: list[str] = dataclasses.field(default_factory=list)
    not_read: list[str] = dataclasses.field(default_factory=list)
    libraries: list[str] = dataclasses.field(default_factory=list)


class Draft:
    """What the steps share; each step adds to it.

    Attributes:
      run_fn: What is taken apart.
      proposal: What comes of it.
      edits: Changes to the original's text.
      extra_functions: Functions that stand above run_fn.
      used: Identities of run_fn's statements that have been dealt with.
      label: The definition of LABEL_KEY; empty without.
      passes: How often the reader repeats the records, by expression and the module that it is of.
      batch_size: Of fit() or of the reader; None where it is not known.
    """

    def __init__(self, run_fn: RunFn) -> None:
        self.run_fn, self.module, self.source = run_fn, run_fn.module, run_fn.module.source
        self.proposal = Proposal(self.module)
        self.edits: list[Edit] = list(self._renames())
        self.extra_functions: list[str] = []
        self.used: set[int] = set()
        self.label = ""
        self.passes: list[tuple[ast.expr, Module]] = []
        self.batch_size: int | None = None

    @property
    def fit(self) -> ast.Call | None:
        """The call that trains; None where none can be seen."""
        return self.run_fn.fits[0] if self.run_fn.fits else None

    def function(self, name: str, parameters: str, docstring: str, lines: Sequence[str]) -> str:
        """A function of the proposal."""
        return "\n".join([f"def {name}({parameters}):", f'{self.run_fn.indent}"""{docstring}"""', *lines])

    def parameter(self) -> str:
        """run_fn's parameter, as it is written."""
        arguments = self.run_fn.node.args
        return self.source.of([*arguments.posonlyargs, *arguments.args][0])

    def render(self, statement: ast.stmt) -> str:
        """A statement of run_fn, edited, as part of a function."""
        self.used.add(id(statement))
        return self.source.statement(statement, self.run_fn.indent, self.edits)

    def decide(self, node: ast.AST, text: str) -> None:
        """Notes what was decided."""
        self.proposal.decisions.append(self._finding(node, text))

    def ask(self, node: ast.AST, text: str) -> None:
        """Notes what could not be."""
        self.proposal.questions.append(self._finding(node, text))

    def leave_out(self, node: ast.AST, text: str) -> None:
        """Notes what has no place any more."""
        self.proposal.left_out.append(self._finding(node, text))

    def _finding(self, node: ast.AST, text: str) -> Finding:
        return Finding(self.module.path.name, node.lineno, text)  # type: ignore[attr-defined]

    def imported(self, name: str, module: Module) -> str:
        """How a module is written here that only a name was imported from: another import is added for it."""
        node = next(
            part
            for part in ast.walk(self.source.tree)
            if isinstance(part, ast.ImportFrom) and name in [alias.asname or alias.name for alias in part.names]
        )
        parent, _, stem = (node.module or "").rpartition(".")
        bound = self.free_name(stem)
        alias = stem if bound == stem else f"{stem} as {bound}"
        package = "." * node.level + parent
        line = f"from {package} import {alias}" if package else f"import {alias}"
        if node in self.source.tree.body:
            self.edits.append(Edit(self.source.end(node), self.source.end(node), f"\n{line}"))
        else:
            self.extra_functions.append(line)
        self.decide(node, f"{line} was added: {module.path.name} is needed as a whole")
        return bound

    def number(self, node: ast.expr | None) -> int | None:
        """A whole number, where it can be seen."""
        value = self.module.constant(node) if node is not None else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def say(self, node: ast.expr | None) -> str:
        """An expression in one line."""
        return " ".join(ast.unparse(node).split()) if node is not None else "1"

    def free_name(self, name: str) -> str:
        """A name that the module does not use."""
        while name in self.module.names:
            name += "_"
        return name

    def _renames(self) -> list[Edit]:
        """Edits that free the names input_fn and signatures_fn, which DPTrainer would call."""
        edits = []
        for name in _RESERVED:
            if name in self.module.functions:
                function, new = self.module.functions[name], self.free_name(f"_{name}")
                edits.append(reading.renamed(self.module, function, new))
                edits += [
                    Edit(*self.source.span(part), new)
                    for part in ast.walk(self.source.tree)
                    if isinstance(part, ast.Name) and part.id == name
                ]
                self.decide(
                    function, f"{name} is called {new} now, because DPTrainer calls {name} with other arguments"
                )
        return edits


def lines(statements: Sequence[ast.stmt]) -> str:
    """`lines 3, 5-9`."""
    spans = [
        str(statement.lineno)
        if statement.lineno == statement.end_lineno
        else f"{statement.lineno}-{statement.end_lineno}"
        for statement in statements
    ]
    return f"line{'s' if len(spans) > 1 or '-' in ''.join(spans) else ''} {', '.join(spans)}"
