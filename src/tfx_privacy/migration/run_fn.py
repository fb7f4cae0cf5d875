"""What a `run_fn` does, as far as its text shows it: what is trained, on what, for how long, and what is saved."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Iterator

from tfx_privacy.errors import ModelError, ParameterError
from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module

NAME = "run_fn"
_FITS = ("fit", "fit_generator")
_SAVES = ("save", "save_model", "export")
_FILES = ("train_files", "eval_files")


@dataclasses.dataclass(frozen=True)
class Save:
    """One call that saves the model.

    Attributes:
      call: The call.
      statements: Those before it, of the function that it is in.
      signatures: What it is given as signatures; None without.
      model: Name of the model in that function.
      arguments: By name, what that function is given; empty where it is run_fn itself.
      statement: The statement of run_fn that reaches it.
    """

    call: ast.Call
    statements: list[ast.stmt]
    signatures: ast.expr | None
    model: str
    arguments: dict[str, ast.expr]
    statement: ast.stmt


class RunFn:
    """The parts of a run_fn.

    Attributes:
      module: Where it is.
      node: Its definition.
      argument: Name of its parameter.
      statements: Its statements, those in a strategy's scope included.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.node = _definition(module)
        self.argument = _argument(module, self.node)
        self.statements = slicing.flattened(self.node.body)

    @property
    def indent(self) -> str:
        """White space before its statements."""
        return " " * self.node.body[0].col_offset

    @functools.cached_property
    def fits(self) -> list[ast.Call]:
        """Calls of `model.fit`; of what is saved, where several things are fitted."""
        saved = {
            save.model if not save.arguments else slicing.root(save.arguments.get(save.model, ast.Constant(None)))
            for save in self.saves
        }
        of_saved = [call for call in self._all_fits if slicing.root(call.func) in saved]
        return of_saved or self._all_fits

    @property
    def other_fits(self) -> list[ast.Call]:
        """Calls of `fit` of something else than the model."""
        return [call for call in self._all_fits if call not in self.fits]

    @functools.cached_property
    def _all_fits(self) -> list[ast.Call]:
        return [
            call
            for statement in self.statements
            for call in slicing.calls(statement)
            if isinstance(call.func, ast.Attribute) and call.func.attr in _FITS and slicing.root(call.func)
        ]

    @functools.cached_property
    def model(self) -> str:
        """Name of the model: what is fitted, or else what is saved; empty where neither can be seen."""
        if self.fits:
            return slicing.root(self.fits[0].func)
        saved = [save.model for save in self._direct_saves()]
        return saved[0] if saved else ""

    @functools.cached_property
    def boundary(self) -> int:
        """Index of the first statement that trains or, where none can be seen, saves."""
        for index, statement in enumerate(self.statements):
            here = set(map(id, slicing.calls(statement)))
            trains = any(id(call) in here for call in self.fits[:1])
            saves = not self.fits and any(self._saved(call) for call in slicing.calls(statement))
            if trains or saves or (not self.fits and _differentiates(statement)):
                return index
        return len(self.statements)

    @functools.cached_property
    def tainted(self) -> set[str]:
        """Names whose values come from the examples."""
        found: set[str] = set()
        for statement in self.statements[: self.boundary]:
            if self.uses(statement, _FILES) or slicing.loads(statement) & found:
                found |= slicing.binds(statement)
        return found - {self.model}

    @functools.cached_property
    def saves(self) -> list[Save]:
        """Where the model is saved, in run_fn or in a function of the module that it calls."""
        return [*self._direct_saves(), *self._saves_in_helpers()]

    def uses(self, node: ast.AST, attributes: tuple[str, ...]) -> list[ast.Attribute]:
        """Reads of `fn_args.<attribute>`."""
        return [
            part
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute)
            and part.attr in attributes
            and isinstance(part.value, ast.Name)
            and part.value.id == self.argument
        ]

    def _direct_saves(self) -> Iterator[Save]:
        for index, statement in enumerate(self.statements):
            for call in slicing.calls(statement):
                if name := self._saved(call):
                    yield Save(call, self.statements[:index], _signatures(call), name, {}, statement)

    def _saves_in_helpers(self) -> Iterator[Save]:
        for statement in self.statements:
            for call in slicing.calls(statement):
                helper = self.module.functions.get(call.func.id) if isinstance(call.func, ast.Name) else None
                if helper is not None and self.uses(call, ("serving_model_dir",)):
                    yield from self._saves_in(helper, call, statement)

    def _saves_in(self, helper: ast.FunctionDef, outer: ast.Call, statement: ast.stmt) -> Iterator[Save]:
        arguments = bound(helper, outer)
        body = slicing.flattened(helper.body)
        for index, inner in enumerate(body):
            for call in slicing.calls(inner):
                if name := self._saved(call):
                    yield Save(call, body[:index], _signatures(call), name, arguments, statement)

    def _saved(self, call: ast.Call) -> str:
        """Name of the model that a call saves; empty if it saves none."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in _SAVES:
            return ""
        receiver = self.module.dotted(call.func.value)
        library = receiver.split(".")[0] in ("tensorflow", "keras", "tf_keras")
        if library:
            return slicing.root(call.args[0]) if call.args else ""
        return call.func.value.id if isinstance(call.func.value, ast.Name) else ""


def bound(helper: ast.FunctionDef, call: ast.Call) -> dict[str, ast.expr]:
    """By name of the parameter, what a call gives a function; defaults included."""
    names = [argument.arg for argument in [*helper.args.posonlyargs, *helper.args.args]]
    defaults = helper.args.defaults
    found = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    found.update(zip(names, call.args, strict=False))
    found.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg})
    return found


def keyword(call: ast.Call | None, name: str, position: int | None = None) -> ast.expr | None:
    """An argument by its name, or by its position."""
    if call is None:
        return None
    if position is not None and position < len(call.args):
        return call.args[position]
    return next((given.value for given in call.keywords if given.arg == name), None)


def _signatures(call: ast.Call) -> ast.expr | None:
    is_library = isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Name)
    return keyword(call, "signatures", 2 if is_library else None)


def _differentiates(statement: ast.stmt) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "GradientTape" for part in ast.walk(statement))


def _definition(module: Module) -> ast.FunctionDef:
    name, functions = module.path.name, module.functions
    if "model_fn" in functions:
        raise ParameterError(
            f"{name}:{functions['model_fn'].lineno} already has a model_fn, which is what DPTrainer calls: nothing to "
            "migrate. If it is another function, rename it first."
        )
    if NAME in functions:
        return functions[NAME]
    if "trainer_fn" in functions:
        raise ModelError(
            f"{name}:{functions['trainer_fn'].lineno} has trainer_fn, of Trainer's Estimator executor, and no run_fn. "
            "DPTrainer trains Keras models: rewrite the model in Keras first."
        )
    if NAME in module.names:
        origin = module.imports.get(NAME)
        where = f"imports it from {origin.rpartition('.')[0]!r}" if origin else "takes it from elsewhere"
        raise ParameterError(f"{name} defines no run_fn but {where}. Give the file that defines it.")
    raise ParameterError(
        f"{name} has no function run_fn at its top level, and calls no analyzer of tft. Give the module that Trainer's "
        "module_file or run_fn names, or Transform's."
    )


def _argument(module: Module, node: ast.FunctionDef) -> str:
    arguments = [*node.args.posonlyargs, *node.args.args]
    if len(arguments) != 1 or node.args.vararg or node.args.kwonlyargs or node.args.kwarg:
        raise ParameterError(
            f"{module.path.name}:{node.lineno}: expected run_fn to take one argument, fn_args; it takes "
            f"{ast.unparse(node.args)!r}. Give the run_fn that Trainer calls."
        )
    return arguments[0].arg
