"""tft's analyzers in a module: their calls become those of tfx_privacy.transform, with what only people know left to fill in.

`bounds=None` is what an analyzer refuses, before anything is charged, with a message that says what to give.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from tfx_privacy.migration import slicing
from tfx_privacy.migration.analyzers import PACKAGE, PRIVATE, Private, Use, uses
from tfx_privacy.migration.loops import Places
from tfx_privacy.migration.module import Module
from tfx_privacy.migration.notes import Notes
from tfx_privacy.migration.source import Edit

_HOME = "tfx_privacy.transform"
_TABLE = """\
# Fill in (lowest, highest) of each feature, known without the records.
# "private" in its place has them searched, for a part of the budget.
{name} = {{
{lines}
}}


"""
_COMMENTS = {
    "bounds": "# Fill in bounds=(lowest, highest), known without the records.",
    "keys": "# Fill in keys=[...]: the values that are counted, known without the records.",
    "max_values": "# Fill in max_values: how many values of one record count.",
}
# What those of tft's parameters are that ours lack, where they change nothing.
_HARMLESS = {
    "weights": (None,), "labels": (None,), "use_adjusted_mutual_info": (False,), "min_diff_from_avg": (None, 0),
    "coverage_top_k": (None,), "coverage_frequency_threshold": (None,), "key_fn": (None,), "fingerprint_shuffle": (False, None),
    "file_format": ("text",), "store_frequency": (False, None), "reserved_tokens": (None,), "reduce_instance_dims": (True,),
    "key_vocabulary_filename": (None,),
}  # fmt: skip
# Calls that make several values of a record's one.
_MANY = ("bag_of_words", "ngrams", "regex_split", "split", "string_split", "tokenize", "unicode_split")
# What leaves no record its own row, so that nothing would bound what one record changes; and what may do so.
_NO_ROWS = ("flat_values", "values")
_MIXING = (
    "boolean_mask", "concat", "cumsum", "gather", "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "reshape", "reverse",
    "sort", "transpose", "unique",
)  # fmt: skip
_VOCABULARY_SIZE = "get_vocabulary_size_by_name"


class _UnclearError(Exception):
    """Why a call is left as it is."""


def take_over(notes: Notes) -> set[int]:
    """Rewrites the calls of a module's analyzers, as far as its text decides how.

    Returns:
      Identities of the expressions that name an analyzer of tft no more.
    """
    return _Rewriting(notes).run()


class _Rewriting:
    def __init__(self, notes: Notes) -> None:
        self._notes, self._module = notes, notes.module
        self._places = Places(notes.module)
        self._alias, self._is_new = _alias(notes)
        self._bounds = notes.free_name("_BOUNDS")
        self._in_table: dict[str, None] = {}
        self._unseen: dict[str, None] = {}
        self._comments: dict[int, list[str]] = {}
        self._first_of_table: ast.stmt | None = None

    def run(self) -> set[int]:
        rewritten = set()
        for use in uses(self._module):
            if use.call is None or use.name not in PRIVATE:
                continue
            try:
                self._rewrite(use, use.call, PRIVATE[use.name])
            except _UnclearError as problem:
                self._notes.ask(use.node, f"tft.{use.name} was left as it is, and DPTransform refuses it: {problem}")
            else:
                rewritten.add(id(use.node))
        if rewritten:
            self._finish()
        return rewritten

    def _rewrite(self, use: Use, call: ast.Call, private: Private) -> None:
        given = _given(call, private)
        spans = self._notes.source.arguments(call)
        if len(spans) != len(given):
            raise _UnclearError("its arguments are not written out one by one.")
        edits = list(self._of_arguments(given, len(call.args), spans, private))
        of = given.get("x", given.get("key"))
        if of is None:
            raise _UnclearError("it is not given what it is of.")
        self._check_rows(use, of)
        needs = private.needs or (_needs_of_histogram(self._module, given) if private.name == "histogram" else "")
        if needs:
            edits.append(Edit(spans[-1][1], spans[-1][1], f", {needs}={self._value(use, of, needs)}"))
        self._several_values(use, of)
        self._notes.edits += [*edits, Edit(*self._notes.source.span(use.node), f"{self._alias}.{private.name}")]
        self._notes.decide(use.node, f"tft.{use.name} is {self._alias}.{private.name}: noisy, and part of epsilon")
        features = self._places.features(of)
        proposal = self._notes.proposal
        kind = proposal.texts if "vocabulary" in private.name or needs == "keys" else proposal.numbers
        kind += [name for name in features if name not in kind]

    def _of_arguments(
        self, given: dict[str, ast.expr], by_place: int, spans: list[tuple[int, int]], private: Private
    ) -> Iterable[Edit]:
        for place, (name, value) in enumerate(given.items()):
            start, end = spans[place]
            if name in private.refuses:
                if not (isinstance(value, ast.Constant) and value.value in _HARMLESS[name]):
                    raise _UnclearError(f"there is no {name} with noise. Leave it out, or do without this analyzer.")
                yield Edit(spans[place - 1][1], end, "") if place else Edit(start, spans[1][0], "")
            elif private.by_place <= place < by_place:
                yield Edit(start, start, f"{name}=")

    def _value(self, use: Use, of: ast.expr, needs: str) -> str:
        """What is written for `bounds` or `keys`: an entry of the table by the loop's variable, or None to be filled in."""
        shown = self._notes.say(of)
        key = self._places.key(of) if needs == "bounds" else None
        if key is None:
            function = self._places.function(use.node)
            helper = "" if function is None or function.name == "preprocessing_fn" else function.name
            what = (
                "the values that are counted" if needs == "keys" else '(lowest, highest); "private" has them searched'
            )
            self._notes.ask(
                use.node,
                f"fill in {needs} of {shown}: {what}. They must be known without the records."
                + (f" {helper} is called for several features perhaps: let it be given them." if helper else ""),
            )
            self._comment(use, needs)
            return "None"
        variable, names = key
        self._in_table.update(dict.fromkeys(names or ()))
        if names is None:
            self._unseen[variable] = None
        if self._first_of_table is None:
            self._first_of_table = self._places.top(use.node)
        said = ", ".join(names) if names else f"whatever {variable} is"
        self._notes.ask(
            use.node, f"fill in {self._bounds} of {said}: (lowest, highest), which must be known without the records."
        )
        return f"{self._bounds}[{variable}]"

    def _several_values(self, use: Use, of: ast.expr) -> None:
        parts = [part for each in self._places.needed(of) for part in slicing.calls(each)]
        if any(slicing.last(call.func) in _MANY for call in parts):
            self._notes.ask(
                use.node,
                f"a record has several values of {self._notes.say(of)}, and one of them counts: give max_values=... as well, "
                "at the price of more noise.",
            )
            self._comment(use, "max_values")

    def _check_rows(self, use: Use, of: ast.expr) -> None:
        """What an analyzer is of must have the records along its first dimension."""
        needed = [part for each in self._places.needed(of) for part in ast.walk(each)]
        called = {id(part.func) for part in needed if isinstance(part, ast.Call)}
        for part in needed:
            if isinstance(part, ast.Attribute) and part.attr in _NO_ROWS and id(part) not in called:
                raise _UnclearError(
                    f"{self._notes.say(part)} has no row for each record, so nothing bounds what one record changes. Give it the "
                    "sparse or ragged feature itself; join features along axis 1."
                )
        mixing = sorted({slicing.last(call.func) for call in needed if isinstance(call, ast.Call)} & set(_MIXING))
        if mixing:
            self._notes.ask(
                use.node,
                f"{self._notes.say(of)} is made by {', '.join(mixing)}: see that it still has one row for each record, made of "
                "that record alone. Noise hides no more than what one row changes.",
            )

    def _comment(self, use: Use, kind: str) -> None:
        statement = self._places.statement(use.node)
        lines = self._comments.setdefault(id(statement), [])
        if _COMMENTS[kind] in lines:
            return
        lines.append(_COMMENTS[kind])
        place = self._notes.source.line_of(statement)
        if place is not None:
            start, indent = place
            self._notes.edits.append(Edit(start, start, f"{indent}{_COMMENTS[kind]}\n"))

    def _finish(self) -> None:
        if self._is_new:
            self._notes.edits.append(_import(self._module, self._alias))
        if self._first_of_table is not None:
            lines = [f"    {name!r}: None," for name in self._in_table]
            lines += [f"    # of each value of {variable}: None," for variable in self._unseen]
            at = self._notes.source.above(self._first_of_table)
            table = _TABLE.format(name=self._bounds, lines="\n".join(lines))
            self._notes.edits.append(Edit(at, at, table))
        for call in slicing.calls(self._module.source.tree):
            dotted = self._module.dotted(call.func)
            if dotted.startswith(f"{PACKAGE}.") and slicing.last(call.func) == _VOCABULARY_SIZE:
                self._notes.ask(
                    call, f"{_VOCABULARY_SIZE} knows no private vocabulary: write top_k + num_oov_buckets in its place."
                )
        self._notes.proposal.releases = True


def _given(call: ast.Call, private: Private) -> dict[str, ast.expr]:
    """What a call gives, by tft's names of it, in the order of the text."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords):
        raise _UnclearError("its arguments are not written out.")
    if len(call.args) > len(private.parameters):
        raise _UnclearError("it has more arguments than tft takes by place.")
    given = dict(zip(private.parameters, call.args, strict=False))
    given.update({each.arg: each.value for each in call.keywords if each.arg is not None})
    if len(given) < len(call.args) + len(call.keywords):
        raise _UnclearError("an argument is given twice.")
    return given


def _needs_of_histogram(module: Module, given: dict[str, ast.expr]) -> str:
    categorical = given.get("categorical", ast.Constant(False))
    if not isinstance(categorical, ast.Constant):
        raise _UnclearError("it is not seen whether it is categorical.")
    if categorical.value:
        return "keys"
    boundaries = given.get("boundaries", ast.Constant(None))
    if isinstance(boundaries, ast.List | ast.Tuple):
        return ""
    number = module.constant(boundaries)
    if isinstance(number, int) or (isinstance(boundaries, ast.Constant) and boundaries.value is None):
        return "bounds"
    raise _UnclearError("its boundaries are not seen. Give a list of numbers, or how many, with bounds.")


def _alias(notes: Notes) -> tuple[str, bool]:
    """How tfx_privacy.transform is written in the module, and whether its import is still to be added."""
    for name, origin in notes.module.imports.items():
        if origin == _HOME:
            return name, False
    return notes.free_name("dpt"), True


def _import(module: Module, alias: str) -> Edit:
    """The import, on a line of its own: behind that of tft, or else behind the last one, or the module's docstring."""
    body = module.source.tree.body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    of_tft = [
        node
        for node in imports
        if any(f"{name}.".startswith(f"{PACKAGE}.") for name in [*(each.name for each in node.names), _home(node)])
    ]
    documented = [node for node in body[:1] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    behind = (of_tft or imports or documented)[-1:]
    line = f"import {_HOME} as {alias}\n"
    if not behind:
        return Edit(0, 0, line)
    at = module.source.next_line(behind[0])
    return Edit(at, at, line)


def _home(node: ast.Import | ast.ImportFrom) -> str:
    return node.module or "" if isinstance(node, ast.ImportFrom) else ""
