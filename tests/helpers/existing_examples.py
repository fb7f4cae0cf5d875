"""tfx's own examples next to their converted versions: `python existing_examples.py` counts the lines that differ.

What counts are lines of code: no comments, docstrings or blank lines, and no indentation. A line of the converted files
that tfx's do not have is changed, whether it is new or an old one rewritten; but if the same line was taken out
elsewhere in the example it is moved. What was taken out and not put in again is removed: a rewritten line's old
version, and the machinery of `run_fn`.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import difflib
import importlib.util
import io
import pathlib
import re
import tokenize

import generations
import places

CONVERTED = places.ROOT / "docs" / "existing"
# The files were converted from tfx 1.16's; those of 1.21 differ from these in a few lines.
MOST_CHANGED_LINES = {"1.16": 25, "1.21": 28}[generations.INSTALLED]
# Where preprocessing and statistics are private as well: bounds and features have to be said.
MOST_FOR_RELEASES = 30

_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def tfx_folder() -> pathlib.Path:
    """Where the tfx package is installed; it is not imported."""
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.origin is not None
    return pathlib.Path(spec.origin).parent


@dataclasses.dataclass(frozen=True)
class Example:
    """One example of tfx and its converted version, whose files have the same names."""

    name: str
    folder: str
    """In the tfx package."""
    pipeline: tuple[str, ...]
    modules: tuple[str, ...]

    @property
    def most_changed(self) -> int:
        """Lines that may be changed."""
        releases = any("DPTransform(" in self.converted(file) for file in self.pipeline)
        return MOST_CHANGED_LINES + (MOST_FOR_RELEASES if releases else 0)

    @property
    def files(self) -> tuple[str, ...]:
        return self.pipeline + self.modules

    def original(self, file: str) -> str:
        return (tfx_folder() / self.folder / file).read_text()

    def converted(self, file: str) -> str:
        return (CONVERTED / self.name / file).read_text()


EXAMPLES = (
    Example(
        "chicago_taxi_pipeline",
        "examples/chicago_taxi_pipeline",
        ("taxi_pipeline_native_keras.py",),
        ("taxi_utils_native_keras.py",),
    ),
    Example(
        "taxi_template",
        "experimental/templates/taxi",
        ("pipeline/pipeline.py", "pipeline/configs.py", "local_runner.py", "kubeflow_v2_runner.py"),
        ("models/keras_model/model.py", "models/preprocessing.py"),
    ),
    Example(
        "mnist",
        "examples/mnist",
        ("mnist_pipeline_native_keras.py",),
        ("mnist_utils_native_keras.py", "mnist_utils_native_keras_base.py"),
    ),
    Example("imdb", "examples/imdb", ("imdb_pipeline_native_keras.py",), ("imdb_utils_native_keras.py",)),
    Example("penguin", "examples/penguin", ("penguin_pipeline_local.py",), ("penguin_utils_keras.py",)),
)


@dataclasses.dataclass(frozen=True)
class Count:
    """How many lines of code differ."""

    pipeline: int
    """Changed in the pipeline's files."""
    modules: int
    """Changed in the module's files."""
    moved: int
    removed: int

    @property
    def changed(self) -> int:
        return self.pipeline + self.modules


def count(example: Example) -> Count:
    """Compares an example with its converted version."""
    changes = {file: _changes(example.original(file), example.converted(file)) for file in example.files}
    removed: collections.Counter[str] = collections.Counter()
    for went, _ in changes.values():
        removed += went
    moved, changed = 0, {}
    for file, (_, came) in changes.items():
        here = came & removed
        removed -= here
        moved += here.total()
        changed[file] = (came - here).total()
    return Count(
        pipeline=sum(changed[file] for file in example.pipeline),
        modules=sum(changed[file] for file in example.modules),
        moved=moved,
        removed=removed.total(),
    )


def table() -> str:
    """The counts of all examples against the installed tfx, as the guide shows them."""
    rows = [
        f"| tfx {generations.INSTALLED} | changed in the pipeline | changed in the module | changed | moved | removed |",
        "|---|---|---|---|---|---|",
    ]
    for example in EXAMPLES:
        lines = count(example)
        rows.append(
            f"| `{example.name}` | {lines.pipeline} | {lines.modules} | **{lines.changed}** | {lines.moved} | "
            f"{lines.removed} |"
        )
    return "\n".join(rows)


def finish_steps(text: str) -> str:
    """The template with its steps 5 and 6 done, by which its user adds the components; TFX's own test does the same."""
    return re.sub(r"# (components\.append\()", r"\1", text)


def code_lines(text: str) -> dict[int, str]:
    """The lines that hold code, by their number, without indentation and comments."""
    lines, ends = text.splitlines(), {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            for row in range(token.start[0], token.end[0]):
                ends[row] = len(lines[row - 1])
            ends[token.end[0]] = token.end[1]
    docstrings = _docstring_rows(text)
    return {row: lines[row - 1][: ends[row]].strip() for row in sorted(ends) if row not in docstrings}


def _changes(before: str, after: str) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """The lines that went and those that came; `run_fn` went as a whole, and the functions in its place came."""
    old, out_of_run_fn = _split(finish_steps(before), {"run_fn"})
    new, into_functions = _split(finish_steps(after), {"model_fn", "input_fn", "signatures_fn"})
    went, came = collections.Counter(out_of_run_fn), collections.Counter(into_functions)
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind != "equal":
            went.update(old[start:end])
            came.update(new[new_start:new_end])
    return went, came


def _split(text: str, functions: set[str]) -> tuple[list[str], list[str]]:
    """The lines of code outside and inside some functions."""
    inside = {
        row
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name in functions
        for row in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = code_lines(text)
    return [lines[row] for row in lines if row not in inside], [lines[row] for row in lines if row in inside]


def _docstring_rows(text: str) -> set[int]:
    rows: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            rows.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return rows


if __name__ == "__main__":
    print(table())
