"""What is noted while a proposal is made: findings, and changes to the text."""

from __future__ import annotations

import ast
import dataclasses

from tfx_privacy.migration.hazards import Finding, at
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.source import Edit


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
      trains: Whether the module has a run_fn, of which DPTrainer's functions were made.
      releases: Whether it calls private analyzers in the place of tft's.
      numbers: Features that these scale or cut into buckets, where names are seen.
      texts: Features that these make vocabularies of.
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
    trains: bool = True
    releases: bool = False
    numbers: list[str] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)


class Notes:
    """Findings on a module and changes to its text; each step adds to them.

    Attributes:
      module: What is read.
      source: Its text.
      proposal: What comes of it.
      edits: Changes to the text.
    """

    def __init__(self, module: Module) -> None:
        self.module, self.source = module, module.source
        self.proposal = Proposal(module)
        self.edits: list[Edit] = []

    def decide(self, node: ast.AST, text: str) -> None:
        """Notes what was decided."""
        self.proposal.decisions.append(at(self.module, node, text))

    def ask(self, node: ast.AST, text: str) -> None:
        """Notes what could not be."""
        self.proposal.questions.append(at(self.module, node, text))

    def leave_out(self, node: ast.AST, text: str) -> None:
        """Notes what has no place any more."""
        self.proposal.left_out.append(at(self.module, node, text))

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
