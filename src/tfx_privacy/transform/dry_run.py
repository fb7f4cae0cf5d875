"""Calls a `preprocessing_fn` outside of a pipeline: for a project's tests."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.transform.session import Session


@dataclasses.dataclass(frozen=True)
class DryRun:
    """What came of it."""

    outputs: dict[str, Any]
    """Of the function, by name, with made-up answers of its private analyzers: the middle of the bounds, empty vocabularies."""
    analyzers: list[str]
    """What it asks of the records privately."""
    uncovered: list[str]
    """tft's own analyzers in it, which add no noise; what is made of their results is not among the outputs' values."""


def dry_run(preprocessing_fn: Callable[[dict[str, Any]], dict[str, Any]], inputs: Mapping[str, Any]) -> DryRun:
    """Calls the function on some records, of which nothing is asked.

    Args:
      preprocessing_fn: The user's.
      inputs: Features by name: tensors, SparseTensors or RaggedTensors with records along the first dimension.

    Raises:
      ParameterError: If an analyzer is called wrongly.
    """
    with tempfile.TemporaryDirectory() as folder:
        session, module = Session(folder), tf.Module()
        names, parts = list(inputs), tf.nest.flatten(dict(inputs), expand_composites=True)

        def outputs(*given: Any) -> dict[str, Any]:
            features = tf.nest.pack_sequence_as({name: inputs[name] for name in names}, given, expand_composites=True)
            return session.call_in_draft(preprocessing_fn, features)

        signature = [tf.TensorSpec([None, *part.shape[1:]] if part.shape.rank else [], part.dtype) for part in parts]
        compat.trace_transform(module, outputs=tf.function(outputs, input_signature=signature, autograph=False))
        return DryRun(dict(module.outputs.traced(*parts)), [query.name for query in session.queries], session.uncovered)
