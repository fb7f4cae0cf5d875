"""tensorflow_transform's analyzers: which there are, where a module uses them, and what takes their place."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping

from tfx_privacy.migration import slicing
from tfx_privacy.migration.module import Module

PACKAGE = "tensorflow_transform"
_VOCABULARY = (
    "weights", "labels", "use_adjusted_mutual_info", "min_diff_from_avg", "coverage_top_k", "coverage_frequency_threshold",
    "key_fn", "fingerprint_shuffle", "file_format", "store_frequency", "reserved_tokens",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Private:
    """A function of tfx_privacy.transform, and how it is called in the place of one of tft's.

    Attributes:
      name: Its name.
      parameters: tft's parameters, in the order in which they may be given by place.
      by_place: How many of them it takes by place itself; the others by name.
      refuses: tft's parameters that it does not have.
      needs: What it must be given besides: "bounds", "keys", or nothing.
    """

    name: str
    parameters: tuple[str, ...]
    by_place: int = 1
    refuses: tuple[str, ...] = ()
    needs: str = ""


# By name of tft's function (tests compare both sides with their sources).
PRIVATE: Mapping[str, Private] = {
    "bucketize": Private(
        "bucketize", ("x", "num_buckets", "epsilon", "weights", "elementwise", "name"), 3, ("weights",), "bounds"
    ),
    "approximate_vocabulary": Private("vocabulary", ("x", "top_k"), 1, _VOCABULARY),
    "compute_and_apply_approximate_vocabulary": Private("compute_and_apply_vocabulary", ("x",), 1, _VOCABULARY),
    "compute_and_apply_vocabulary": Private("compute_and_apply_vocabulary", ("x",), 1, _VOCABULARY),
    "count_per_key": Private(
        "count_per_key", ("key", "key_vocabulary_filename", "name"), 1, ("key_vocabulary_filename",), "keys"
    ),
    "histogram": Private("histogram", ("x", "boundaries", "categorical", "name"), 3),
    "max": Private("max", ("x", "reduce_instance_dims", "name"), 1, ("reduce_instance_dims",), "bounds"),
    "mean": Private("mean", ("x", "reduce_instance_dims", "name", "output_dtype"), 1, (), "bounds"),
    "min": Private("min", ("x", "reduce_instance_dims", "name"), 1, ("reduce_instance_dims",), "bounds"),
    "quantiles": Private(
        "quantiles",
        ("x", "num_buckets", "epsilon", "weights", "reduce_instance_dims", "name"),
        3,
        ("weights",),
        "bounds",
    ),
    "scale_by_min_max": Private(
        "scale_by_min_max", ("x", "output_min", "output_max", "elementwise", "name"), 4, (), "bounds"
    ),
    "scale_to_0_1": Private("scale_to_0_1", ("x", "elementwise", "name"), 2, (), "bounds"),
    "scale_to_z_score": Private("scale_to_z_score", ("x", "elementwise", "name", "output_dtype"), 2, (), "bounds"),
    "var": Private("var", ("x", "reduce_instance_dims", "name", "output_dtype"), 1, (), "bounds"),
    "vocabulary": Private("vocabulary", ("x",), 1, _VOCABULARY),
}
_ONE_SCALE = "Scale all keys alike with tfx_privacy.transform, or call it once for each of a few keys that are public."
_FIXED = "Leave it out, or take a matrix that was made without these records."
_GAUSSIAN = "Use scale_to_z_score of tfx_privacy.transform, of a logarithm or another fixed function of the values."
# What to do where there is no private one.
INSTEAD: Mapping[str, str] = {
    "bucketize_per_key": "Use bucketize of tfx_privacy.transform for all keys together, or once for each of a few public ones.",
    "covariance": _FIXED,
    "estimated_probability_density": "Use histogram of tfx_privacy.transform with public boundaries.",
    "idf": "Weight words by how common they are in public text, or let the model learn it.",
    "pca": _FIXED,
    "ptransform_analyzer": "No noise is added to what it computes: use the analyzers of tfx_privacy.transform.",
    "scale_by_min_max_per_key": _ONE_SCALE,
    "scale_to_0_1_per_key": _ONE_SCALE,
    "scale_to_gaussian": _GAUSSIAN,
    "scale_to_z_score_per_key": _ONE_SCALE,
    "size": "Write the number of records down, if it is public: DPParameters(population=...) declares it.",
    "sum": "Use mean of tfx_privacy.transform, times a public number of records.",
    "tfidf": "Weight words by how common they are in public text, or let the model learn it.",
    "tukey_h_params": _GAUSSIAN,
    "tukey_location": _GAUSSIAN,
    "tukey_scale": _GAUSSIAN,
}
ANALYZERS = frozenset((*PRIVATE, *INSTEAD))
"""tft's functions that look at all records."""


@dataclasses.dataclass(frozen=True)
class Use:
    """One place where a module names an analyzer of tft.

    Attributes:
      node: The expression that names it, or tft itself where that is handed on.
      name: Of the analyzer; empty for tft itself.
      call: The call, if it is called there.
    """

    node: ast.expr
    name: str
    call: ast.Call | None


def uses(module: Module) -> list[Use]:
    """Every use of an analyzer, called or not, in the order of the text; and of tft itself, by which one may be called."""
    tree = module.source.tree
    calls = {id(call.func): call for call in slicing.calls(tree)}
    found = []
    for node in _outermost(tree):
        name = _analyzer(module, node)
        if name is not None:
            found.append(Use(node, name, calls.get(id(node))))
    return sorted(found, key=lambda use: (use.node.lineno, use.node.col_offset))


def _outermost(node: ast.AST) -> Iterator[ast.Name | ast.Attribute]:
    """Names and dotted names that are read, none of them a part of another."""
    if isinstance(node, ast.Name | ast.Attribute):
        if isinstance(node.ctx, ast.Load):
            yield node
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            inner = inner.value
        if not isinstance(inner, ast.Name):
            yield from _outermost(inner)
        return
    for child in ast.iter_child_nodes(node):
        yield from _outermost(child)


def _analyzer(module: Module, node: ast.expr) -> str | None:
    """Name of the analyzer that a name stands for, "" for tft itself or a module of it; None for anything else."""
    dotted = module.dotted(node)
    if isinstance(node, ast.Name) and node.id == dotted and node.id in ANALYZERS - module.names:
        return node.id if _is_starred(module) else None
    if dotted in _MODULES and slicing.root(node) in module.imports:
        return ""
    last = dotted.rpartition(".")[2]
    return last if dotted.startswith(f"{PACKAGE}.") and last in ANALYZERS else None


def _is_starred(module: Module) -> bool:
    """Whether a module has `from tensorflow_transform import *`."""
    return any(
        isinstance(node, ast.ImportFrom)
        and f"{node.module}.".startswith(f"{PACKAGE}.")
        and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(module.source.tree)
    )


_MODULES = {PACKAGE, *(f"{PACKAGE}.{part}" for part in ("analyzers", "mappers", "experimental"))}
