"""The proposed module: run_fn's lines, moved into the functions that DPTrainer calls."""

from __future__ import annotations

from tfx_privacy.errors import InternalError
from tfx_privacy.migration import (
    arguments,
    hazards,
    inputs,
    model,
    privacy_classes,
    signatures,
    slicing,
    unused_imports,
)
from tfx_privacy.migration.draft import Draft, Proposal
from tfx_privacy.migration.module import Module
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
      ParameterError: If there is no run_fn, or it is migrated already.
      ModelError: If it does not train a Keras model.
    """
    run_fn = RunFn(module)
    hazards.check_kind(module)
    draft = Draft(run_fn)
    uses = privacy_classes.take_over(draft)
    functions = [model.model_fn(draft), inputs.input_fn(draft), signatures.signatures_fn(draft)]
    arguments.training_arguments(draft)
    privacy_classes.parameters(draft, uses)
    _name_the_rest(draft)
    _scan(draft)
    text, proposal = _assembled(draft, functions), draft.proposal
    try:
        compile(text, str(module.path), "exec")
    except SyntaxError as error:
        raise InternalError(f"The proposal for {str(module.path)!r} does not compile: {error}.") from error
    proposal.text, unused = unused_imports.without_unused(text, draft.source)
    if unused:
        draft.decide(run_fn.node, f"imports that nothing uses any more are gone: {', '.join(unused)}")
    return proposal


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


def _scan(draft: Draft) -> None:
    preprocessing, others, failed = draft.module.folder
    for module in draft.module.project:
        draft.proposal.uncovered += hazards.uncovered(module)
        draft.proposal.questions += hazards.refused(module)
    # What Transform runs is often not imported by what Trainer runs, and its statistics are in the model all the same.
    transforming = {found.path.resolve(): found for module in preprocessing for found in module.project}
    for path in [found.path.resolve() for found in draft.module.project]:
        transforming.pop(path, None)
    for module in transforming.values():
        draft.proposal.uncovered += hazards.uncovered(module)
    draft.proposal.read = [found.path.name for found in [*draft.module.project, *transforming.values()]]
    draft.proposal.only_seen = [path.name for path in others if path not in transforming]
    draft.proposal.not_read = [path.name for path in failed]
    draft.proposal.libraries = sorted(
        {origin.split(".")[0] for found in draft.module.project for origin in found.libraries}
    )
    for part in (draft.proposal.decisions, draft.proposal.questions, draft.proposal.left_out, draft.proposal.uncovered):
        unique = sorted(set(part), key=lambda found: (found.file != draft.module.path.name, found))
        part[:] = unique
