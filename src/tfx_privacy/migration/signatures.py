"""signatures_fn: what the model is saved with."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tfx_privacy.migration import slicing
from tfx_privacy.migration.draft import Draft
from tfx_privacy.migration.run_fn import Save


def signatures_fn(draft: Draft) -> str:
    """The proposed signatures_fn; empty where the model is saved without signatures."""
    saves = [save for save in draft.run_fn.saves if save.signatures is not None]
    for save in draft.run_fn.saves:
        draft.used.add(id(save.statement))
    if not draft.run_fn.saves:
        draft.ask(
            draft.run_fn.node, "no call that saves the model was found; DPTrainer saves it, with its own signatures."
        )
        return ""
    if not saves:
        draft.decide(draft.run_fn.node, "signatures_fn: no signatures were given; DPTrainer's own serve tf.Examples")
        return ""
    if len(saves) > 1:
        draft.ask(saves[1].call, "the model is saved more than once; the first signatures were taken.")
    save = saves[0]
    draft.decide(save.call, "signatures_fn: the model is saved by DPTrainer, with these signatures")
    lines = _lines(draft, save)
    model = draft.run_fn.model or save.model
    return draft.function(
        "signatures_fn", f"{model}, {draft.parameter()}", "Returns the signatures to save the model with.", lines
    )


def _lines(draft: Draft, save: Save) -> list[str]:
    assert save.signatures is not None
    indent = draft.run_fn.indent
    inner = slicing.backward(
        save.statements, slicing.loads(save.signatures) | {save.model}, given=[save.model], skip=slicing.is_call
    )
    inner = _with_attributes(draft, save.statements, inner, save.model)
    if not save.arguments:
        draft.used |= set(map(id, inner))
        return [*map(draft.render, inner), f"{indent}return {draft.source.of(save.signatures, draft.edits)}"]
    needed = set().union(*map(slicing.loads, inner), slicing.loads(save.signatures))
    given = {name: value for name, value in save.arguments.items() if name in needed}
    model = draft.run_fn.model
    wanted = set().union(*map(slicing.loads, given.values())) if given else set()
    at = draft.run_fn.statements.index(save.statement)
    outer = slicing.backward(
        draft.run_fn.statements[:at], wanted, given=[model, draft.run_fn.argument], skip=slicing.is_call
    )
    draft.used |= set(map(id, outer))
    named = [
        f"{indent}{name} = {text}"
        for name, value in given.items()
        if (text := draft.source.of(value, draft.edits)) != name
    ]
    return [
        *map(draft.render, outer),
        *named,
        *map(draft.render, inner),
        f"{indent}return {draft.source.of(save.signatures, draft.edits)}",
    ]


def _with_attributes(draft: Draft, statements: Sequence[ast.stmt], found: list[ast.stmt], model: str) -> list[ast.stmt]:
    """The statements, with those that hang something on the model for the signatures to use."""
    hung = [
        statement
        for statement in statements
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Attribute) and slicing.root(target) == model for target in statement.targets)
    ]
    names = set().union(*map(slicing.loads, hung)) if hung else set()
    needed = slicing.backward(statements, names, given=[model, draft.run_fn.argument], skip=slicing.is_call)
    wanted = {id(statement) for statement in [*found, *hung, *needed]}
    return [statement for statement in statements if id(statement) in wanted]
