"""The proposed module: run_fn's lines, moved into the functions that DPTrainer calls."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

from tfx_privacy.migration import hazards, reading, slicing
from tfx_privacy.migration.hazards import Finding
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.run_fn import RunFn, Save, bound, keyword
from tfx_privacy.migration.source import Edit
from tfx_privacy.privacy.errors import InternalError

_RESERVED = ("input_fn", "signatures_fn")
_LABEL_KEY = "LABEL_KEY"
_GAP = "\n\n\n"
_LOGGING = ("info", "debug", "warning", "print", "summary", "log")
# Callbacks of Keras, and what becomes of what they do.
_CALLBACKS = {
    "TensorBoard": "DPTrainer writes epsilon and the update's norm to model_run; losses and histograms of private batches are lost, "
    "because they would be released without noise.",
    "EarlyStopping": "refused: when to stop would follow from records, and epsilon does not cover that. Set steps or epochs beforehand.",
    "ReduceLROnPlateau": "refused: the learning rate would follow from records, and epsilon does not cover that. Use a schedule.",
    "ModelCheckpoint": "DPTrainer keeps no best model, whose choice would follow from records; checkpoint_dir resumes a killed run.",
    "BackupAndRestore": "DPTrainer(checkpoint_dir=...) resumes a killed run.",
    "LearningRateScheduler": "not run: give the optimizer a tf.keras.optimizers.schedules.LearningRateSchedule.",
    "LambdaCallback": "not run: whatever it writes of the batches would be released without noise.",
}  # fmt: skip
_UNUSED_ARGUMENTS = {
    "class_weight": "weights by class are not taken over: put them into the loss.",
    "sample_weight": "weights by record are not taken over: see docs/existing_pipelines.md.",
    "validation_split": "a share of the training data is held out; DPTrainer trains on all of it. Use a split of ExampleGen.",
    "initial_epoch": "DPTrainer begins at the first step.",
}


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
    """

    module: Module
    text: str = ""
    decisions: list[Finding] = dataclasses.field(default_factory=list)
    questions: list[Finding] = dataclasses.field(default_factory=list)
    left_out: list[Finding] = dataclasses.field(default_factory=list)
    uncovered: list[Finding] = dataclasses.field(default_factory=list)
    privacy: list[str] = dataclasses.field(default_factory=list)
    arguments: list[str] = dataclasses.field(default_factory=list)


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
    migration = _Migration(run_fn)
    proposal = migration.run()
    try:
        compile(proposal.text, str(module.path), "exec")
    except SyntaxError as error:
        raise InternalError(f"The proposal for {str(module.path)!r} does not compile: {error}.") from error
    return proposal


class _Migration:
    """The work on one module; each step adds to the proposal."""

    def __init__(self, run_fn: RunFn) -> None:
        self.run_fn, self.module, self.source = run_fn, run_fn.module, run_fn.module.source
        self.proposal = Proposal(self.module)
        self.edits: list[Edit] = list(self._renames())
        self.extra_functions: list[str] = []
        self.used: set[int] = set()
        self.label = ""

    def run(self) -> Proposal:
        functions = [self.model_fn(), self.input_fn(), self.signatures_fn()]
        self.training_arguments()
        self.rest()
        self.scan()
        replacement = Edit(
            *self.source.span(self.run_fn.node), _GAP.join(function for function in functions if function)
        )
        before = "".join(block + _GAP for block in [self.label, *self.extra_functions] if block)
        # Above the comments of run_fn, which stay with the function that takes its place.
        above = self.source.above(self.run_fn.node)
        self.proposal.text = self.source.cut(
            0, len(self.source.text), [*self.edits, Edit(above, above, before), replacement]
        )
        return self.proposal

    # The three functions.

    def model_fn(self) -> str:
        run_fn = self.run_fn
        body = slicing.backward(
            run_fn.statements[: run_fn.boundary],
            [run_fn.model],
            given=[run_fn.argument],
            skip=self._is_no_part_of_a_model,
        )
        defined = any(run_fn.model in slicing.binds(statement) for statement in body)
        if not defined or (run_fn.fits and not self._is_plain(run_fn.fits[0])):
            return self._undecided_model(defined)
        self._inspect_model(body)
        self.decide(body[-1], f"model_fn: the model is built by {_lines(body)} of run_fn")
        compiled = any(self._compiles(statement) for statement in body)
        if not compiled:
            self.ask(
                body[-1],
                "no compile() was seen for the model: it may stand in a module that was not found. DPTrainer takes loss and optimizer from it.",
            )
        lines = [self.render(statement) for statement in body]
        return self.function(
            "model_fn", self.parameter(), "Builds and compiles the model.", [*lines, self.returned(run_fn.model)]
        )

    def input_fn(self) -> str:
        run_fn, fit = self.run_fn, self._fit()
        examples, labels = keyword(fit, "x", 0), keyword(fit, "y", 1)
        if examples is None or labels is not None:
            self.ask(
                run_fn.node,
                "input_fn was not proposed: " + ("no call of fit() shows the data." if examples is None else "fit() is given arrays.")
                + " DPTrainer's own reader takes dense features by the transform graph or the schema, and needs the label's name.",
            )  # fmt: skip
            return ""
        statements = run_fn.statements[: run_fn.boundary]
        body = slicing.backward(statements, slicing.loads(examples), given=[run_fn.argument], skip=_is_call_statement)
        code: list[ast.AST] = [*body, examples]
        files = [read for part in code for read in run_fn.uses(part, ("train_files",))]
        if not files:
            self.ask(examples, "input_fn was not proposed: what fit() is given does not come from fn_args.train_files.")
            return ""
        self.edits += [Edit(*self.source.span(read), "file_pattern") for read in files]
        self._read_once(code)
        self._inspect_reading(code)
        self.decide(body[-1] if body else examples, f"input_fn: the training data are read by {_lines(body)} of run_fn")
        self.decide(
            run_fn.node, "input_fn may be deleted if features are dense and LABEL_KEY is set: DPTrainer's reader does the same then, and "
            "DPTrainer(reference_models=...) goes only without input_fn",
        )  # fmt: skip
        lines = [self.render(statement) for statement in body]
        returned = f"{run_fn.indent}return {self.source.of(examples, self.edits)}"
        parameters = f"file_pattern, {self.parameter()}"
        return self.function("input_fn", parameters, "Reads each record of the files once.", [*lines, returned])

    def signatures_fn(self) -> str:
        saves = [save for save in self.run_fn.saves if save.signatures is not None]
        for save in self.run_fn.saves:
            self.used.add(id(save.statement))
        if not saves:
            self.decide(self.run_fn.node, "signatures_fn: no signatures were given; DPTrainer's own serve tf.Examples")
            return ""
        if len(saves) > 1:
            self.ask(saves[1].call, "the model is saved more than once; the first signatures were taken.")
        save = saves[0]
        self.decide(save.call, "signatures_fn: the model is saved by DPTrainer, with these signatures")
        lines = self._signature_lines(save)
        model = self.run_fn.model or save.model
        return self.function(
            "signatures_fn", f"{model}, {self.parameter()}", "Returns the signatures to save the model with.", lines
        )

    def _signature_lines(self, save: Save) -> list[str]:
        assert save.signatures is not None
        indent = self.run_fn.indent
        inner = slicing.backward(
            save.statements, slicing.loads(save.signatures) | {save.model}, given=[save.model], skip=_is_call_statement
        )
        inner = self._with_attributes(save.statements, inner, save.model)
        if not save.arguments:
            self.used |= set(map(id, inner))
            return [*map(self.render, inner), f"{indent}return {self.source.of(save.signatures, self.edits)}"]
        needed = set().union(*map(slicing.loads, inner), slicing.loads(save.signatures))
        given = {name: value for name, value in save.arguments.items() if name in needed}
        model = self.run_fn.model
        wanted = set().union(*map(slicing.loads, given.values())) if given else set()
        at = self.run_fn.statements.index(save.statement)
        outer = slicing.backward(
            self.run_fn.statements[:at], wanted, given=[model, self.run_fn.argument], skip=_is_call_statement
        )
        self.used |= set(map(id, outer))
        named = [
            f"{indent}{name} = {text}"
            for name, value in given.items()
            if (text := self.source.of(value, self.edits)) != name
        ]
        return [
            *map(self.render, outer),
            *named,
            *map(self.render, inner),
            f"{indent}return {self.source.of(save.signatures, self.edits)}",
        ]

    def _with_attributes(self, statements: Sequence[ast.stmt], found: list[ast.stmt], model: str) -> list[ast.stmt]:
        """The statements, with those that hang something on the model for the signatures to use."""
        hung = [
            statement
            for statement in statements
            if isinstance(statement, ast.Assign)
            and any(isinstance(target, ast.Attribute) and slicing.root(target) == model for target in statement.targets)
        ]
        names = set().union(*map(slicing.loads, hung)) if hung else set()
        needed = slicing.backward(statements, names, given=[model, self.run_fn.argument], skip=_is_call_statement)
        wanted = {id(statement) for statement in [*found, *hung, *needed]}
        return [statement for statement in statements if id(statement) in wanted]

    # What is looked at on the way.

    def _inspect_model(self, body: Sequence[ast.stmt]) -> None:
        run_fn = self.run_fn
        for statement in body:
            for read in run_fn.uses(statement, ("train_files", "eval_files", "data_accessor")):
                self.ask(
                    read,
                    f"model_fn reads the examples itself ({read.attr}): what it takes from them is not covered by epsilon.",
                )
            for name in sorted(slicing.loads(statement) & run_fn.tainted):
                self.ask(
                    statement,
                    f"model_fn uses {name}, which comes from the examples: epsilon does not cover what it takes from them.",
                )
            for read in run_fn.uses(statement, ("train_steps", "eval_steps")):
                self.ask(
                    read,
                    f"fn_args.{read.attr} is None under DPTrainer, whose steps stand in DPParameters: write the number.",
                )
        for read in run_fn.uses(run_fn.node, ("hyperparameters",))[:1]:
            self.ask(
                read,
                "hyperparameters come from a Tuner: each trial is a training on the same records, and this run's epsilon covers none of "
                "them. Tune on public data, train the trials privately, or write the values down as constants chosen beforehand.",
            )  # fmt: skip
        for read in run_fn.uses(run_fn.node, ("base_model",))[:1]:
            self.ask(
                read,
                "base_model starts from another model: epsilon is true only if that was trained on public data, or carries a guarantee "
                "that is counted as well.",
            )  # fmt: skip

    def _is_no_part_of_a_model(self, statement: ast.stmt) -> bool:
        """Whether a call is a statement that logs, or that shows the data to a layer."""
        if not _is_call_statement(statement):
            return False
        last = _last(statement.value.func)  # type: ignore[attr-defined]
        if last == "adapt":
            self.used.add(id(statement))
            self.leave_out(
                statement, "adapt() reads the examples without privacy. Give the layer its values as constants."
            )
        elif last in _LOGGING:
            self.used.add(id(statement))
        return last == "adapt" or last in _LOGGING

    def _compiles(self, statement: ast.stmt) -> bool:
        return _calls_compile(self.module, statement, set())

    def _is_plain(self, fit: ast.Call) -> bool:
        """Whether fit() is a statement of its own, rather than inside a loop or a condition."""
        return any(
            isinstance(statement, ast.Expr | ast.Assign) and statement.value is fit
            for statement in self.run_fn.statements
        )

    def _undecided_model(self, defined: bool) -> str:
        run_fn = self.run_fn
        where: ast.AST = run_fn.fits[0] if run_fn.fits else run_fn.node
        if run_fn.fits and defined:
            why = "fit() stands inside a loop or a condition, so that it cannot be seen what one training is"
        elif run_fn.fits:
            why = f"no statement of run_fn before fit() makes {run_fn.model!r} by itself"
        else:
            why = "run_fn calls no fit(): it trains in a loop of its own, or in another function"
        self.ask(
            where,
            f"model_fn was not decided: {why}. Write it: it returns the compiled model. run_fn's lines stand in it as comments.",
        )
        self.used |= set(map(id, run_fn.statements))
        kept = [f"{run_fn.indent}# {line}".rstrip() for line in self.source.of(run_fn.node).split("\n")]
        raised = f"{run_fn.indent}raise NotImplementedError({'model_fn was not decided: ' + why + '.'!r})"
        return self.function("model_fn", self.parameter(), "Builds and compiles the model.", [*kept, raised])

    def _read_once(self, code: Sequence[ast.AST]) -> None:
        """Edits what reads the files, here or in the function that is called for it."""
        found = [reading.one_pass(self.module, part) for part in code]
        self.edits += [edit for each in found for edit in each.edits]
        seen = any(each.reads for each in found)
        for each in found:
            for change in each.changes:
                self.decide(self.run_fn.node, f"input_fn: {change}")
            self._labels_from(each.label_keys, self.module, "")
        for call in (call for part in code for call in slicing.calls(part)):
            if self.run_fn.uses(call, ("train_files",)) and (helper := self.module.function(call.func)):
                seen = self._helper_reads_once(call, *helper) or seen
        if not seen:
            self.ask(
                code[-1], "what reads the files was not found: input_fn must give each record once. DPTrainer refuses an endless dataset; "
                "remove repeat(), set num_epochs=1.",
            )  # fmt: skip

    def _helper_reads_once(self, call: ast.Call, module: Module, helper: ast.FunctionDef, prefix: str) -> bool:
        found = reading.one_pass(module, helper)
        given = bound(helper, call)
        for expression in found.label_keys:
            if isinstance(expression, ast.Name) and expression.id in given:
                self._labels_from([given[expression.id]], self.module, "")
            else:
                self._labels_from([expression], module, prefix, set(given))
        if not found.edits:
            return found.reads
        changes = "; ".join(found.changes)
        if not prefix and self._only_run_fn_calls(helper.name):
            self.edits += found.edits
            self.decide(helper, f"{helper.name} reads each record once: {changes}")
            return found.reads
        name = self._free_name(f"_{helper.name.lstrip('_')}_once")
        edits = [*found.edits, reading.renamed(module, helper, name)]
        if prefix:
            edits += reading.qualified(module, helper, prefix, self.module)
        self.extra_functions.append(module.source.of(helper, edits))
        self.edits.append(Edit(*self.source.span(call.func), name))
        why = "stands in another module" if prefix else "is used elsewhere as well"
        self.decide(call, f"{name} is a copy of {helper.name}, which {why}: {module.path.name} {changes}")
        return found.reads

    def _labels_from(
        self,
        expressions: Sequence[ast.expr],
        module: Module,
        prefix: str,
        local: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        """Sets LABEL_KEY where the label's name can be written at the top level; asks otherwise."""
        for expression in expressions[:1]:
            names = slicing.loads(expression)
            edits = list(reading.qualified(module, expression, prefix, self.module)) if prefix else self.edits
            text = module.source.of(expression, edits)
            where = expression if module is self.module else self.run_fn.node
            if names & local or not all(self._defined_above(name, module, prefix) for name in names):
                self._ask_for_label(where, f"the label's name is {text!r}, known only at run time", text)
            elif _LABEL_KEY not in self.module.names:
                self.label = f"# The label, as the examples that DPTrainer reads name it.\n{_LABEL_KEY} = {text}"
                self.decide(where, f"LABEL_KEY: the examples' label is {text}")
            elif text != _LABEL_KEY:
                self._ask_for_label(
                    where, f"the label is {text}, and DPTrainer would take the module's own LABEL_KEY", text
                )

    def _ask_for_label(self, where: ast.AST, why: str, text: str) -> None:
        self.ask(where, f"{why}: give it as DPTrainer(label_key=...).")
        self.proposal.arguments.append(f"label_key=...,  # {' '.join(text.split())}")

    def _defined_above(self, name: str, module: Module, prefix: str) -> bool:
        if prefix or name in self.module.imports:
            return True
        return any(
            name in slicing.binds(statement) and statement.lineno < self.run_fn.node.lineno
            for statement in module.source.tree.body
            if not isinstance(statement, ast.ClassDef)
        )

    def _only_run_fn_calls(self, name: str) -> bool:
        inside = {id(part) for part in ast.walk(self.run_fn.node)}
        return not any(
            isinstance(part, ast.Name) and part.id == name and id(part) not in inside
            for part in ast.walk(self.source.tree)
        )

    def _inspect_reading(self, code: Sequence[ast.AST]) -> None:
        for part in code:
            for read in self.run_fn.uses(part, ("eval_files",)):
                self.ask(
                    read,
                    "input_fn reads the evaluation files as well: it is called once for each kind of files, with file_pattern.",
                )
            for read in self.run_fn.uses(part, ("train_steps", "eval_steps")):
                self.ask(
                    read,
                    f"fn_args.{read.attr} is None under DPTrainer: input_fn is one pass and needs no number of steps.",
                )
            for call in slicing.calls(part):
                if ".distribute." in self.module.dotted(call.func):
                    self.ask(
                        call,
                        "input_fn makes a distribution strategy for its batch size. The size of these batches means nothing: write a number.",
                    )

    # What is said of the rest.

    def training_arguments(self) -> None:
        fit = self._fit()
        if fit is None:
            return
        self.used |= {
            id(statement)
            for statement in self.run_fn.statements
            if any(call is fit for call in slicing.calls(statement))
        }
        if len(self.run_fn.fits) > 1:
            for other in self.run_fn.fits[1:]:
                self.ask(
                    other,
                    "fit() is called more than once; DPTrainer trains once. What follows the first call was left out.",
                )
        epochs, steps = keyword(fit, "epochs"), keyword(fit, "steps_per_epoch")
        self._batch_size(fit)
        times = self._number(epochs) if epochs is not None else 1
        if steps is None:
            self.proposal.privacy.append(f"epochs={times if times is not None else '...'},  # as fit() has it")
        elif self.run_fn.uses(steps, ("train_steps",)):
            factor = "" if times == 1 else f" times {self._say(epochs)}"
            self.proposal.privacy.append(
                f"steps=...,  # the pipeline's TrainArgs.num_steps{factor}; num_steps itself goes"
            )
        else:
            count, shown = self._number(steps), self._say(steps)
            total = count * times if isinstance(count, int) and isinstance(times, int) else "..."
            self.proposal.privacy.append(
                f"steps={total},  # {shown} in each of {self._say(epochs) if epochs is not None else 1} epochs"
            )
        for name, text in _UNUSED_ARGUMENTS.items():
            if (value := keyword(fit, name)) is not None:
                self.ask(value, f"fit({name}=...): {text}")
        self._callbacks(keyword(fit, "callbacks"))

    def _batch_size(self, fit: ast.Call) -> None:
        size = keyword(fit, "batch_size") or self._read_size(fit)
        number = self._number(size) if size is not None else None
        shown = "..." if number is None else str(number)
        origin = "not found" if size is None else f"{self._say(size)} in run_fn"
        self.proposal.privacy.append(
            f"expected_batch_size={shown},  # {origin}; larger batches bear the noise better (docs/planning.md)"
        )

    def _read_size(self, fit: ast.Call) -> ast.expr | None:
        """The batch size that the training data are read with."""
        examples = keyword(fit, "x", 0)
        if examples is None:
            return None
        statements = self.run_fn.statements[: self.run_fn.boundary]
        body = slicing.backward(
            statements, slicing.loads(examples), given=[self.run_fn.argument], skip=_is_call_statement
        )
        for call in (call for part in [*body, examples] for call in slicing.calls(part)):
            helper = self.module.function(call.func)
            arguments = bound(helper[1], call) if helper else {}
            arguments.update({given.arg: given.value for given in call.keywords if given.arg})
            sizes = [value for name, value in arguments.items() if "batch" in name]
            if sizes:
                return sizes[0]
            if _last(call.func) == "batch" and call.args:
                return call.args[0]
        return None

    def _callbacks(self, callbacks: ast.expr | None) -> None:
        if callbacks is None:
            return
        statements = self.run_fn.statements[: self.run_fn.boundary]
        made = slicing.backward(statements, slicing.loads(callbacks), given=[self.run_fn.argument])
        self.used |= set(map(id, made))
        found = []
        for part in [*made, callbacks]:
            for call in slicing.calls(part):
                name = _last(call.func)
                if name in _CALLBACKS:
                    found.append(name)
                    self.leave_out(call, f"{name}: {_CALLBACKS[name]}")
        number = len(callbacks.elts) if isinstance(callbacks, ast.List | ast.Tuple) else None
        if number is None or number > len(found):
            self.ask(
                callbacks,
                "callbacks of its own: DPTrainer runs none. What they write of batches or losses would be released without noise.",
            )

    def rest(self) -> None:
        """Names every statement of run_fn that went nowhere."""
        for statement in self.run_fn.statements:
            if id(statement) in self.used:
                continue
            if self.run_fn.uses(statement, ("eval_files",)) or (
                slicing.binds(statement) and slicing.binds(statement) <= self._evaluation()
            ):
                self.leave_out(
                    statement, "the evaluation data: DPTrainer evaluates nothing; Evaluator and PrivacyEvaluator do."
                )
            elif any(".distribute." in self.module.dotted(call.func) for call in slicing.calls(statement)):
                self.leave_out(statement, "DPTrainer(distribution='mirrored') trains on all local devices.")
            elif _is_call_statement(statement) and _last(statement.value.func) in _LOGGING:  # type: ignore[attr-defined]
                self.leave_out(statement, "logging.")
            else:
                first = self.source.of(statement).split("\n")[0]
                self.ask(statement, f"left out, because nothing that was moved needs it: {first}")

    def _evaluation(self) -> set[str]:
        """Names that only fit()'s validation needs."""
        fit = self._fit()
        wanted: set[str] = set()
        for name in ("validation_data", "validation_steps", "validation_batch_size"):
            value = keyword(fit, name)
            wanted |= slicing.loads(value) if value is not None else set()
        made = slicing.backward(self.run_fn.statements[: self.run_fn.boundary], wanted, given=[self.run_fn.argument])
        return set().union(*map(slicing.binds, made)) if made else set()

    def scan(self) -> None:
        for module in {id(found): found for found in [self.module, *self.module.neighbours.values()]}.values():
            self.proposal.uncovered += hazards.uncovered(module)
            self.proposal.questions += hazards.refused(module)
        for part in (self.proposal.decisions, self.proposal.questions, self.proposal.left_out, self.proposal.uncovered):
            unique = sorted(set(part), key=lambda found: (found.file != self.module.path.name, found))
            part[:] = unique

    # Text.

    def function(self, name: str, parameters: str, docstring: str, lines: Sequence[str]) -> str:
        return "\n".join([f"def {name}({parameters}):", f'{self.run_fn.indent}"""{docstring}"""', *lines])

    def parameter(self) -> str:
        arguments = self.run_fn.node.args
        return self.source.of([*arguments.posonlyargs, *arguments.args][0])

    def render(self, statement: ast.stmt) -> str:
        self.used.add(id(statement))
        return self.source.statement(statement, self.run_fn.indent, self.edits)

    def returned(self, name: str) -> str:
        return f"{self.run_fn.indent}return {name}"

    def decide(self, node: ast.AST, text: str) -> None:
        self.proposal.decisions.append(self._finding(node, text))

    def ask(self, node: ast.AST, text: str) -> None:
        self.proposal.questions.append(self._finding(node, text))

    def leave_out(self, node: ast.AST, text: str) -> None:
        self.proposal.left_out.append(self._finding(node, text))

    def _finding(self, node: ast.AST, text: str) -> Finding:
        return Finding(self.module.path.name, node.lineno, text)  # type: ignore[attr-defined]

    def _fit(self) -> ast.Call | None:
        return self.run_fn.fits[0] if self.run_fn.fits else None

    def _number(self, node: ast.expr | None) -> int | None:
        value = self.module.constant(node) if node is not None else None
        return value if isinstance(value, int) else None

    def _say(self, node: ast.expr | None) -> str:
        return " ".join(ast.unparse(node).split()) if node is not None else "1"

    def _free_name(self, name: str) -> str:
        while name in self.module.names:
            name += "_"
        return name

    def _renames(self) -> list[Edit]:
        """Edits that free the names input_fn and signatures_fn, which DPTrainer would call."""
        edits = []
        for name in _RESERVED:
            if name in self.module.functions:
                function, new = self.module.functions[name], self._free_name(f"_{name}")
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


def _calls_compile(module: Module, node: ast.AST, seen: set[int]) -> bool:
    """Whether code calls compile(), or a function that does."""
    if id(node) in seen:
        return False
    seen.add(id(node))
    for call in slicing.calls(node):
        helper = module.function(call.func)
        if _last(call.func) == "compile" or (helper and _calls_compile(helper[0], helper[1], seen)):
            return True
    return False


def _is_call_statement(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _lines(statements: Sequence[ast.stmt]) -> str:
    """`lines 3, 5-9`."""
    spans = [
        str(statement.lineno)
        if statement.lineno == statement.end_lineno
        else f"{statement.lineno}-{statement.end_lineno}"
        for statement in statements
    ]
    return f"line{'s' if len(spans) > 1 or '-' in ''.join(spans) else ''} {', '.join(spans)}"
