"""input_fn: the statements that read the training data, changed to read each record once."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tfx_privacy.migration import reading, slicing
from tfx_privacy.migration.draft import Draft, lines
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.run_fn import bound, keyword
from tfx_privacy.migration.source import Edit

_LABEL_KEY = "LABEL_KEY"


def input_fn(draft: Draft) -> str:
    """The proposed input_fn; empty where none can be proposed."""
    run_fn, fit = draft.run_fn, draft.fit
    examples, labels = keyword(fit, "x", 0), keyword(fit, "y", 1)
    if examples is None or labels is not None:
        draft.ask(
            run_fn.node,
            "input_fn was not proposed: " + ("no call of fit() shows the data." if examples is None else "fit() is given arrays.")
            + " DPTrainer's own reader takes dense features by the transform graph or the schema, and needs the label's name.",
        )  # fmt: skip
        return ""
    statements = run_fn.statements[: run_fn.boundary]
    body = slicing.backward(statements, slicing.loads(examples), given=[run_fn.argument], skip=slicing.is_call)
    code: list[ast.AST] = [*body, examples]
    files = [read for part in code for read in run_fn.uses(part, ("train_files",))]
    if not files:
        draft.ask(examples, "input_fn was not proposed: what fit() is given does not come from fn_args.train_files.")
        return ""
    draft.edits += [Edit(*draft.source.span(read), "file_pattern") for read in files]
    _read_once(draft, code)
    _inspect(draft, code)
    draft.decide(body[-1] if body else examples, f"input_fn: the training data are read by {lines(body)} of run_fn")
    draft.decide(
        run_fn.node,
        "input_fn may be deleted if features are dense and LABEL_KEY is set: DPTrainer's reader does the same then, "
        "and DPTrainer(reference_models=...) goes only without input_fn",
    )  # fmt: skip
    moved = [draft.render(statement) for statement in body]
    returned = f"{run_fn.indent}return {draft.source.of(examples, draft.edits)}"
    parameters = f"file_pattern, {draft.parameter()}"
    return draft.function("input_fn", parameters, "Reads each record of the files once.", [*moved, returned])


def _read_once(draft: Draft, code: Sequence[ast.AST]) -> None:
    """Edits what reads the files, here or in the function that is called for it."""
    found = [reading.one_pass(draft.module, part) for part in code]
    draft.edits += [edit for each in found for edit in each.edits]
    seen = any(each.reads for each in found)
    for each in found:
        for change in each.changes:
            draft.decide(draft.run_fn.node, f"input_fn: {change}")
        _labels_from(draft, each.label_keys, draft.module, "")
        draft.passes += [(expression, draft.module) for expression in each.passes]
    for call in (call for part in code for call in slicing.calls(part)):
        if _is_given_files(draft, call) and (helper := draft.module.function(call.func)):
            seen = _helper_reads_once(draft, call, *helper) or seen
    if not seen:
        draft.ask(
            code[-1],
            "what reads the files was not found: input_fn must give each record once. DPTrainer refuses an endless "
            "dataset; remove repeat(), set num_epochs=1.",
        )  # fmt: skip


def _is_given_files(draft: Draft, call: ast.Call) -> bool:
    """Whether a call is given the training files, or what comes from them."""
    values = [*call.args, *(given.value for given in call.keywords)]
    return bool(draft.run_fn.uses(call, ("train_files",))) or any(
        slicing.loads(value) & draft.run_fn.tainted for value in values
    )


def _helper_reads_once(draft: Draft, call: ast.Call, module: Module, helper: ast.FunctionDef, prefix: str) -> bool:
    found = reading.one_pass(module, helper)
    given = bound(helper, call)
    draft.passes += [
        (given[expression.id], draft.module)
        if isinstance(expression, ast.Name) and expression.id in given
        else (expression, module)
        for expression in found.passes
    ]
    here = [*call.args, *(argument.value for argument in call.keywords)]
    # The reader goes over the records once, whatever it is told: the draft shall not say otherwise.
    draft.edits += [Edit(*draft.source.span(each), "1") for each, _ in draft.passes if each in here]
    inner_reads = _inner_helpers(draft, module, helper)
    for expression in found.label_keys:
        if isinstance(expression, ast.Name) and expression.id in given:
            _labels_from(draft, [given[expression.id]], draft.module, "")
        else:
            _labels_from(draft, [expression], module, prefix, set(given))
    if not found.edits:
        return found.reads or inner_reads
    if module is not draft.module and not prefix:
        prefix = draft.imported(slicing.root(call.func), module)
    changes = "; ".join(found.changes)
    if not prefix and _only_run_fn_calls(draft, helper.name):
        draft.edits += found.edits
        draft.decide(helper, f"{helper.name} reads each record once: {changes}")
        return found.reads or inner_reads
    name = draft.free_name(f"_{helper.name.lstrip('_')}_once")
    edits = [*found.edits, reading.renamed(module, helper, name)]
    if prefix:
        edits += reading.qualified(module, helper, prefix, draft.module)
    draft.extra_functions.append(module.source.of(helper, edits))
    draft.edits.append(Edit(*draft.source.span(call.func), name))
    why = "is in another module" if prefix else "is used elsewhere as well"
    draft.decide(call, f"{name} is a copy of {helper.name}, which {why}: {module.path.name} {changes}")
    return found.reads or inner_reads


def _inner_helpers(draft: Draft, module: Module, helper: ast.FunctionDef) -> bool:
    """Edits functions that a reader calls, where they are of the module itself and of the reader alone; asks otherwise."""
    reads, seen, waiting = False, {id(helper)}, [(module, helper)]
    while waiting:
        outer_module, outer = waiting.pop(0)
        for call in slicing.calls(outer):
            inner = outer_module.function(call.func)
            if inner is None or id(inner[1]) in seen:
                continue
            seen.add(id(inner[1]))
            waiting.append(inner[:2])
            found, given = reading.one_pass(*inner[:2]), bound(inner[1], call)
            reads = reads or found.reads
            draft.passes += [
                (given.get(getattr(expression, "id", ""), expression), outer_module) for expression in found.passes
            ]
            _labels_from(
                draft, [each for each in found.label_keys if not slicing.loads(each) & set(given)], inner[0], inner[2]
            )
            if not found.edits:
                continue
            changes = "; ".join(found.changes)
            if inner[0] is draft.module and _is_called_once(draft, inner[1].name):
                draft.edits += found.edits
                draft.decide(inner[1], f"{inner[1].name} reads each record once: {changes}")
            else:
                draft.ask(
                    draft.run_fn.node,
                    f"{inner[1].name} of {inner[0].path.name}, which the reader calls, is used elsewhere as well or stands in "
                    f"another module, so it was not changed. input_fn must give each record once, so that: {changes}.",
                )
    return reads


def _is_called_once(draft: Draft, name: str) -> bool:
    return sum(isinstance(part, ast.Name) and part.id == name for part in ast.walk(draft.source.tree)) == 1


def _labels_from(
    draft: Draft,
    expressions: Sequence[ast.expr],
    module: Module,
    prefix: str,
    local: set[str] = frozenset(),  # type: ignore[assignment]
) -> None:
    """Sets LABEL_KEY where the label's name can be written at the top level; asks otherwise."""
    for expression in expressions[:1]:
        names = slicing.loads(expression)
        edits = list(reading.qualified(module, expression, prefix, draft.module)) if prefix else draft.edits
        text = module.source.of(expression, edits)
        where = expression if module is draft.module else draft.run_fn.node
        if names & local or not all(_defined_above(draft, name, module, prefix) for name in names):
            _ask_for_label(draft, where, f"the label's name is {text!r}, known only at run time", text)
        elif _LABEL_KEY not in draft.module.names:
            draft.label = f"# The label, as the examples that DPTrainer reads name it.\n{_LABEL_KEY} = {text}"
            draft.decide(where, f"LABEL_KEY: the examples' label is {text}")
        elif text != _LABEL_KEY:
            _ask_for_label(
                draft, where, f"the label is {text}, and DPTrainer would take the module's own LABEL_KEY", text
            )


def _ask_for_label(draft: Draft, where: ast.AST, why: str, text: str) -> None:
    draft.ask(where, f"{why}: give it as DPTrainer(label_key=...).")
    draft.proposal.arguments.append(f"label_key=...,  # {' '.join(text.split())}")


def _defined_above(draft: Draft, name: str, module: Module, prefix: str) -> bool:
    if prefix or name in draft.module.imports:
        return True
    return any(
        name in slicing.binds(statement) and statement.lineno < draft.run_fn.node.lineno
        for statement in module.source.tree.body
        if not isinstance(statement, ast.ClassDef)
    )


def _only_run_fn_calls(draft: Draft, name: str) -> bool:
    inside = {id(part) for part in ast.walk(draft.run_fn.node)}
    return not any(
        isinstance(part, ast.Name) and part.id == name and id(part) not in inside
        for part in ast.walk(draft.source.tree)
    )


def _inspect(draft: Draft, code: Sequence[ast.AST]) -> None:
    for part in code:
        for read in draft.run_fn.uses(part, ("eval_files",)):
            draft.ask(
                read,
                "input_fn reads the evaluation files as well: it is called once for each kind of files, with "
                "file_pattern.",
            )
        for read in draft.run_fn.uses(part, ("train_steps", "eval_steps")):
            draft.ask(
                read,
                f"fn_args.{read.attr} is None under DPTrainer: input_fn is one pass and needs no number of steps.",
            )
        for call in slicing.calls(part):
            if ".distribute." in draft.module.dotted(call.func):
                draft.ask(
                    call,
                    "input_fn makes a distribution strategy for its batch size. The size of these batches means "
                    "nothing: write a number.",
                )
