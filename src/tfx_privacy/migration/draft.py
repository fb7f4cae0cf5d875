"""A proposal for a run_fn in the making: what the steps share, and how their lines are written down."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tfx_privacy.migration import reading
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.notes import Notes
from tfx_privacy.migration.run_fn import RunFn
from tfx_privacy.migration.source import Edit

_RESERVED = ("input_fn", "signatures_fn")


class Draft(Notes):
    """What the steps share; each step adds to it.

    Attributes:
      run_fn: What is taken apart.
      extra_functions: Functions that stand above run_fn.
      used: Identities of run_fn's statements that have been dealt with.
      label: The definition of LABEL_KEY; empty without.
      passes: How often the reader repeats the records, by expression and the module that it is of.
      batch_size: Of fit() or of the reader; None where it is not known.
    """

    def __init__(self, run_fn: RunFn) -> None:
        super().__init__(run_fn.module)
        self.run_fn = run_fn
        self.edits += self._renames()
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
