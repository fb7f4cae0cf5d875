"""Bugs in the proposal for a trainer that is to be migrated."""

from __future__ import annotations

from mutants.mutant import Mutant

MIGRATION = [
    Mutant(
        "the proposed reader repeats records", "one_pass",
        'edits.append(Edit(module.source.end(call.func.value), module.source.end(call), ""))', "pass", "test_migrate",
    ),
    Mutant(
        "the proposed reader cycles for ever", "one_pass",
        "edits += _with_one_epoch(module, call)", "pass", "test_migrate",
    ),
    Mutant(
        "adapt() is moved into model_fn", "_is_no_part",
        'return last == "adapt" or last in LOGGING', "return last in LOGGING", "test_migrate",
    ),
    Mutant(
        "what comes from the examples is not named", "RunFn.tainted",
        """
        for statement in self.statements[: self.boundary]:
            if self.uses(statement, _FILES) or slicing.loads(statement) & found:
                found |= slicing.binds(statement)
        return found - {self.model}
        """,
        """
        for statement in self.statements[: self.boundary]:
            if self.uses(statement, _FILES) or slicing.loads(statement) & found:
                pass
        return found
        """,
        "test_migrate",
    ),
    Mutant(
        "a statement vanishes in silence", "_name_the_rest",
        "draft.ask(statement, ...)", "print(...)", "test_migrate",
    ),
]  # fmt: skip
