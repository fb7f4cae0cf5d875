"""model_fn: the statements that build the model."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tfx_privacy.migration import slicing
from tfx_privacy.migration.draft import Draft, lines
from tfx_privacy.migration.module import Module

LOGGING = ("info", "debug", "warning", "print", "summary", "log")


def model_fn(draft: Draft) -> str:
    """The proposed model_fn; where it cannot be decided one that raises, with the lines of run_fn as comments."""
    run_fn = draft.run_fn
    body = slicing.backward(
        run_fn.statements[: run_fn.boundary],
        [run_fn.model],
        given=[run_fn.argument],
        skip=lambda statement: _is_no_part(draft, statement),
    )
    defined = any(run_fn.model in slicing.binds(statement) for statement in body)
    if not defined or (run_fn.fits and not _is_plain(draft, run_fn.fits[0])):
        return _undecided(draft, defined)
    _inspect(draft, body)
    draft.decide(body[-1], f"model_fn: the model is built by {lines(body)} of run_fn")
    compiled = any(_calls_compile(draft.module, statement, set()) for statement in body)
    if not compiled:
        draft.ask(
            body[-1],
            "no compile() was seen for the model: it may stand in a module that was not found. DPTrainer takes loss "
            "and optimizer from it.",
        )
    moved = [draft.render(statement) for statement in body]
    return draft.function(
        "model_fn",
        draft.parameter(),
        "Builds and compiles the model.",
        [*moved, f"{run_fn.indent}return {run_fn.model}"],
    )


def _inspect(draft: Draft, body: Sequence[ast.stmt]) -> None:
    run_fn = draft.run_fn
    for statement in body:
        for read in run_fn.uses(statement, ("train_files", "eval_files", "data_accessor")):
            draft.ask(
                read,
                f"model_fn reads the examples itself ({read.attr}): what it takes from them is not covered by epsilon.",
            )
        for name in sorted(slicing.loads(statement) & run_fn.tainted):
            draft.ask(
                statement,
                f"model_fn uses {name}, which comes from the examples: epsilon does not cover what it takes from them.",
            )
        for read in run_fn.uses(statement, ("train_steps", "eval_steps")):
            draft.ask(
                read,
                f"fn_args.{read.attr} is None under DPTrainer, whose steps stand in DPParameters: write the number.",
            )
    for read in run_fn.uses(run_fn.node, ("hyperparameters",))[:1]:
        draft.ask(
            read,
            "hyperparameters come from a Tuner: each trial is a training on the same records, and this run's epsilon "
            "covers none of them. Tune on public data, train the trials privately, or write the values down as "
            "constants chosen beforehand.",
        )  # fmt: skip
    for read in run_fn.uses(run_fn.node, ("base_model",))[:1]:
        draft.ask(
            read,
            "base_model starts from another model: epsilon is true only if that was trained on public data, or carries "
            "a guarantee that is counted as well.",
        )  # fmt: skip


def _is_no_part(draft: Draft, statement: ast.stmt) -> bool:
    """Whether a call is a statement that logs, or that shows the data to a layer."""
    if not slicing.is_call(statement):
        return False
    last = slicing.last(statement.value.func)  # type: ignore[attr-defined]
    if last == "adapt":
        draft.used.add(id(statement))
        draft.leave_out(
            statement, "adapt() reads the examples without privacy. Give the layer its values as constants."
        )
    return last == "adapt" or last in LOGGING


def _is_plain(draft: Draft, fit: ast.Call) -> bool:
    """Whether fit() is a separate statement, rather than inside a loop or a condition."""
    return any(
        isinstance(statement, ast.Expr | ast.Assign) and statement.value is fit for statement in draft.run_fn.statements
    )


def _undecided(draft: Draft, defined: bool) -> str:
    run_fn = draft.run_fn
    where: ast.AST = run_fn.fits[0] if run_fn.fits else run_fn.node
    if run_fn.fits and defined:
        why = "fit() is inside a loop or a condition, so it cannot be seen what one training is"
    elif run_fn.fits:
        why = f"no statement of run_fn before fit() makes {run_fn.model!r} by itself"
    else:
        why = "run_fn calls no fit(): it trains in its own loop, or in another function"
    draft.ask(
        where,
        f"model_fn was not decided: {why}. Write it: it returns the compiled model. run_fn's lines stand in it as "
        "comments.",
    )
    draft.used |= set(map(id, run_fn.statements))
    kept = [f"{run_fn.indent}# {line}".rstrip() for line in draft.source.of(run_fn.node).split("\n")]
    raised = f"{run_fn.indent}raise NotImplementedError({'model_fn was not decided: ' + why + '.'!r})"
    return draft.function("model_fn", draft.parameter(), "Builds and compiles the model.", [*kept, raised])


def _calls_compile(module: Module, node: ast.AST, seen: set[int]) -> bool:
    """Whether code compiles a model, or calls a function that does."""
    if id(node) in seen:
        return False
    seen.add(id(node))
    for call in slicing.calls(node):
        helper = module.function(call.func)
        if module.compiles(call) or (helper and _calls_compile(helper[0], helper[1], seen)):
            return True
    return False
