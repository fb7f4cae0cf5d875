"""The proposed module: run_fn's lines, moved into the functions that DPTrainer calls, and private analyzers for tft's."""

from __future__ import annotations

import ast
from collections.abc import Collection

from tfx_privacy.errors import InternalError
from tfx_privacy.migration import (
    analyzers,
    arguments,
    hazards,
    inputs,
    model,
    privacy_classes,
    private_analyzers,
    signatures,
    slicing,
    unused_imports,
)
from tfx_privacy.migration.draft import Draft
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.notes import Notes, Proposal
from tfx_privacy.migration.run_fn import RunFn, keyword
from tfx_privacy.migration.source import Edit

_GAP = "\n\n\n"


def propose(module: Module) -> Proposal:
    """Proposes the module functions.

    Args:
      module: What was read.

    Returns:
      The proposal, whose text compiles.

    Raises:
      ParameterError: If there is no run_fn and no analyzer of tft, or the run_fn is migrated already.
      ModelError: If it does not train a Keras model.
    """
    if not {"run_fn", "trainer_fn"} & set(module.functions) and analyzers.uses(module):
        return _of_preprocessing(module)
    run_fn = RunFn(module)
    hazards.check_kind(module)
    draft = Draft(run_fn)
    uses = privacy_classes.take_over(draft)
    functions = [model.model_fn(draft), inputs.input_fn(draft), signatures.signatures_fn(draft)]
    arguments.training_arguments(draft)
    privacy_classes.parameters(draft, uses)
    _name_the_rest(draft)
    _scan(draft, private_analyzers.take_over(draft))
    return _finished(draft, _assembled(draft, functions), run_fn.node)


def _of_preprocessing(module: Module) -> Proposal:
    """For a module that Transform runs, or that was migrated before: private analyzers, and nothing else."""
    notes = Notes(module)
    notes.proposal.trains = False
    _scan(notes, private_analyzers.take_over(notes))
    return _finished(notes, module.source.cut(0, len(module.source.text), notes.edits), module.source.tree.body[0])


def _finished(notes: Notes, text: str, where: ast.AST) -> Proposal:
    """The proposal with its text, which compiles, and without imports that nothing uses any more."""
    path = str(notes.module.path)
    try:
        compile(text, path, "exec")
    except SyntaxError as error:
        raise InternalError(f"The proposal for {path!r} does not compile: {error}.") from error
    notes.proposal.text, unused = unused_imports.without_unused(text, notes.source)
    if unused:
        notes.decide(where, f"imports that nothing uses any more are gone: {', '.join(unused)}")
    return notes.proposal


def _assembled(draft: Draft, functions: list[str]) -> str:
    """The original with run_fn replaced, and everything else where it was."""
    node, source = draft.run_fn.node, draft.source
    replacement = Edit(*source.span(node), _GAP.join(function for function in functions if function))
    before = "".join(block + _GAP for block in [draft.label, *draft.extra_functions] if block)
    # Above the comments of run_fn, which stay with the function that takes its place.
    above = source.above(node)
    return source.cut(0, len(source.text), [*draft.edits, Edit(above, above, before), replacement])


def _name_the_rest(draft: Draft) -> None:
    """Names every statement of run_fn that went nowhere."""
    for statement in draft.run_fn.statements:
        if id(statement) in draft.used:
            continue
        if draft.run_fn.uses(statement, ("eval_files",)) or (
            slicing.binds(statement) and slicing.binds(statement) <= _evaluation(draft)
        ):
            draft.leave_out(
                statement, "the evaluation data: DPTrainer evaluates nothing; Evaluator and PrivacyEvaluator do."
            )
        elif any(".distribute." in draft.module.dotted(call.func) for call in slicing.calls(statement)):
            draft.leave_out(statement, "DPTrainer(distribution='mirrored') trains on all local devices.")
        elif slicing.is_call(statement) and slicing.last(statement.value.func) in model.LOGGING:  # type: ignore[attr-defined]
            draft.leave_out(statement, "logging.")
        else:
            first = draft.source.of(statement).split("\n")[0]
            draft.ask(statement, f"left out, because nothing that was moved needs it: {first}")


def _evaluation(draft: Draft) -> set[str]:
    """Names that only fit()'s validation needs."""
    fit = draft.fit
    wanted: set[str] = set()
    for name in ("validation_data", "validation_steps", "validation_batch_size"):
        value = keyword(fit, name)
        wanted |= slicing.loads(value) if value is not None else set()
    made = slicing.backward(draft.run_fn.statements[: draft.run_fn.boundary], wanted, given=[draft.run_fn.argument])
    return set().union(*map(slicing.binds, made)) if made else set()


def _scan(notes: Notes, rewritten: Collection[int]) -> None:
    preprocessing, others, failed = notes.module.folder
    for module in notes.module.project:
        notes.proposal.uncovered += hazards.uncovered(module, rewritten)
        notes.proposal.questions += hazards.refused(module) if notes.proposal.trains else ()
    # What Transform runs is often not imported by what Trainer runs, and its statistics are in the model all the same.
    transforming = {found.path.resolve(): found for module in preprocessing for found in module.project}
    for path in [found.path.resolve() for found in notes.module.project]:
        transforming.pop(path, None)
    for module in transforming.values():
        notes.proposal.uncovered += hazards.uncovered(module)
    notes.proposal.read = [found.path.name for found in [*notes.module.project, *transforming.values()]]
    notes.proposal.only_seen = [path.name for path in others if path not in transforming]
    notes.proposal.not_read = [path.name for path in failed]
    notes.proposal.libraries = sorted(
        {origin.split(".")[0] for found in notes.module.project for origin in found.libraries}
    )
    for part in (notes.proposal.decisions, notes.proposal.questions, notes.proposal.left_out, notes.proposal.uncovered):
        unique = sorted(set(part), key=lambda found: (found.file != notes.module.path.name, found))
        part[:] = unique
