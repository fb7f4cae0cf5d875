"""The function that reads the examples, made to read each record once."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.source import Edit

# Functions and options that cycle for ever unless they are told otherwise, and the place of num_epochs.
_CYCLING = {
    "TensorFlowDatasetOptions": 2, "RecordBatchesOptions": 2, "make_batched_features_dataset": 6, "make_csv_dataset": 10,
}  # fmt: skip
_READS = (
    "tf_dataset_factory",
    "record_batch_factory",
    "TFRecordDataset",
    "make_batched_features_dataset",
    "make_csv_dataset",
)
_DROPPING = ("drop_final_batch", "drop_remainder")
_DROPPING_SECOND = {
    "TensorFlowDatasetOptions": "drop_final_batch", "RecordBatchesOptions": "drop_final_batch", "batch": "drop_remainder",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class OnePass:
    """What makes a piece of code read each record once.

    Attributes:
      edits: Changes to its text.
      changes: What was changed, for people.
      reads: Whether it reads files itself, so the changes are known to suffice.
      label_keys: Expressions of the label's name.
      passes: Expressions of how often the records were to be read.
    """

    edits: list[Edit]
    changes: list[str]
    reads: bool
    label_keys: list[ast.expr]
    passes: list[ast.expr]


def one_pass(module: Module, node: ast.AST) -> OnePass:
    """Finds out how a function, or a statement, is to be changed."""
    edits: list[Edit] = []
    changes: list[str] = []
    labels: list[ast.expr] = []
    passes: list[ast.expr] = []
    reads = False
    for call in slicing.calls(node):
        name = slicing.last(call.func)
        reads = reads or name in _READS
        if name == "repeat" and isinstance(call.func, ast.Attribute) and not _is_of_a_library(module, call.func.value):
            edits.append(Edit(module.source.end(call.func.value), module.source.end(call), ""))
            changes.append(f"line {call.func.end_lineno}: repeat() is gone")
            passes += [*call.args, *(keyword.value for keyword in call.keywords)][:1]
        elif name in _CYCLING:
            edits += _with_one_epoch(module, call)
            changes.append(f"line {call.lineno}: {name} has num_epochs=1, because it cycles for ever otherwise")
            times = _num_epochs(call)
            passes += [] if times is None else [times]
            labels += [keyword.value for keyword in call.keywords if keyword.arg == "label_key"]
        for argument, value in _dropping(call):
            if isinstance(value, ast.Constant) and value.value is True:
                edits.append(Edit(*module.source.span(value), "False"))
                changes.append(f"line {value.lineno}: {argument}=False, so the last records count")
    return OnePass(edits, changes, reads, labels, passes)


def qualified(module: Module, code: ast.AST, prefix: str, here: Module) -> Iterator[Edit]:
    """Edits that let code of another module stand here: its module's names get a prefix, unless they mean the same here."""
    own = {argument.arg for argument in ast.walk(code) if isinstance(argument, ast.arg)} | slicing.binds(code)
    for node in ast.walk(code):
        if isinstance(node, ast.Name) and node.id in module.names - own:
            origin = module.imports.get(node.id)
            if origin is None or here.imports.get(node.id) != origin:
                start = module.source.span(node)[0]
                yield Edit(start, start, f"{prefix}.")


def renamed(module: Module, function: ast.FunctionDef, name: str) -> Edit:
    """The edit that gives a function another name."""
    start = module.source.text.index(function.name, module.source.offset(function.lineno, function.col_offset) + 4)
    return Edit(start, start + len(function.name), name)


def _is_of_a_library(module: Module, node: ast.expr) -> bool:
    """Whether an expression is an imported module, as in `tf.repeat`, rather than a dataset."""
    return bool(module.dotted(node)) and slicing.root(node) in module.imports


def _dropping(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Arguments that say whether the last batch is dropped, by name or by place."""
    yield from ((given.arg, given.value) for given in call.keywords if given.arg in _DROPPING)
    argument = _DROPPING_SECOND.get(slicing.last(call.func))
    if argument is not None and len(call.args) > 1:
        yield argument, call.args[1]


def _num_epochs(call: ast.Call) -> ast.expr | None:
    place = _CYCLING[slicing.last(call.func)]
    if len(call.args) > place and not any(isinstance(given, ast.Starred) for given in call.args):
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "num_epochs"), None)


def _with_one_epoch(module: Module, call: ast.Call) -> Iterator[Edit]:
    given = _num_epochs(call)
    if given is not None:
        yield Edit(*module.source.span(given), "1")
        return
    arguments = [*call.args, *call.keywords]
    # Behind the first of the keywords; behind the last positional argument otherwise.
    before = (call.args or call.keywords)[-1 if call.args else 0] if arguments else None
    end = module.source.end(before) if before is not None else module.source.end(call) - 1
    yield Edit(end, end, ", num_epochs=1" if arguments else "num_epochs=1")
