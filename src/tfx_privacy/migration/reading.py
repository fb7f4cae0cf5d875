"""The function that reads the examples, made to read each record once."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.source import Edit

# Functions and options that cycle for ever unless they are told otherwise.
_CYCLING = ("TensorFlowDatasetOptions", "RecordBatchesOptions", "make_batched_features_dataset", "make_csv_dataset")
_READS = (
    "tf_dataset_factory",
    "record_batch_factory",
    "TFRecordDataset",
    "make_batched_features_dataset",
    "make_csv_dataset",
)
_DROPPING = {"drop_final_batch", "drop_remainder"}


@dataclasses.dataclass(frozen=True)
class OnePass:
    """What makes a piece of code read each record once.

    Attributes:
      edits: Changes to its text.
      changes: What was changed, for people.
      reads: Whether it reads files itself, so the changes are known to suffice.
      label_keys: Expressions of the label's name.
    """

    edits: list[Edit]
    changes: list[str]
    reads: bool
    label_keys: list[ast.expr]


def one_pass(module: Module, node: ast.AST) -> OnePass:
    """Finds out how a function, or a statement, is to be changed."""
    edits: list[Edit] = []
    changes: list[str] = []
    labels: list[ast.expr] = []
    reads = False
    for call in slicing.calls(node):
        name = slicing.last(call.func)
        reads = reads or name in _READS
        if name == "repeat" and isinstance(call.func, ast.Attribute) and not _is_of_a_library(module, call.func.value):
            edits.append(Edit(module.source.end(call.func.value), module.source.end(call), ""))
            changes.append(f"line {call.func.end_lineno}: repeat() is gone")
        elif name in _CYCLING:
            edits += _with_one_epoch(module, call)
            changes.append(f"line {call.lineno}: {name} has num_epochs=1, because it cycles for ever otherwise")
            labels += [keyword.value for keyword in call.keywords if keyword.arg == "label_key"]
        for keyword in call.keywords:
            if keyword.arg in _DROPPING and isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
                edits.append(Edit(*module.source.span(keyword.value), "False"))
                changes.append(f"line {keyword.value.lineno}: {keyword.arg}=False, so the last records count")
    return OnePass(edits, changes, reads, labels)


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


def _with_one_epoch(module: Module, call: ast.Call) -> Iterator[Edit]:
    for keyword in call.keywords:
        if keyword.arg == "num_epochs":
            yield Edit(*module.source.span(keyword.value), "1")
            return
    arguments = [*call.args, *call.keywords]
    # Behind the first of the keywords; behind the last positional argument otherwise.
    before = (call.args or call.keywords)[-1 if call.args else 0] if arguments else None
    end = module.source.end(before) if before is not None else module.source.end(call) - 1
    yield Edit(end, end, ", num_epochs=1" if arguments else "num_epochs=1")
