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
    Mutant(
        "a name that was imported is not followed", "migration.module:Module.neighbours",
        """
        found = [_beside(self.path, part) for origin in origins for part in (origin, origin.rpartition(".")[0]) if part]
        """,
        "found = [_beside(self.path, origin) for origin in origins]", "test_migrate_project",
    ),
    Mutant(
        "Transform's module is not read", "proposal:_scan",
        "transforming = {found.path.resolve(): found for module in preprocessing for found in module.project}",
        "transforming = {}", "test_migrate_project",
    ),
    Mutant(
        "a reader's passes are lost", "arguments:_epochs",
        "total = total * number if known and total is not None else None", "pass", "test_migrate_project",
    ),
    Mutant(
        "the noise of tensorflow-privacy's classes is lost", "privacy_classes:parameters",
        "draft.proposal.privacy += stated.values()", "pass", "test_migrate_privacy_classes",
    ),
    Mutant(
        "microbatches of several records are taken for records", "privacy_classes:_microbatches",
        "number is None or number != draft.batch_size", "False", "test_migrate_privacy_classes",
    ),
    Mutant(
        "tokens of one record are taken for records", "_Rewriting._check_rows",
        "isinstance(part, ast.Attribute) and part.attr in _NO_ROWS and id(part) not in called", "False",
        "test_migrate_analyzers",
    ),
    Mutant(
        "an argument without a private form vanishes", "_Rewriting._of_arguments",
        "isinstance(value, ast.Constant) and value.value in _HARMLESS[name]", "True", "test_migrate_analyzers",
    ),
    Mutant(
        "bounds are searched that nobody asked for", "_Rewriting._value",
        'return "None"', "return repr('private')", "test_migrate_analyzers",
    ),
    Mutant(
        "an analyzer that was left counts as private", "_Rewriting.run",
        """
        self._notes.ask(use.node, f"tft.{use.name} was left as it is, and DPTransform refuses it: {problem}")
        """,
        "rewritten.add(id(use.node))", "test_migrate_analyzers",
    ),
    Mutant(
        "an analyzer that is handed on is not named", "hazards:uncovered",
        "id(use.node) not in rewritten", "use.call is not None and id(use.node) not in rewritten", "test_migrate_analyzers",
    ),
]  # fmt: skip
