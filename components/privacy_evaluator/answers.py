"""What a SavedModel's signatures take and give."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import same_outputs
from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError
from tfx_privacy.errors import ParameterError


def served_tags(graphs: list[list[str]]) -> list[str]:
    """The tags of the MetaGraph that is attacked: the only one, or the one that servers take."""
    if len(graphs) == 1:
        return graphs[0]
    if graphs.count([tf.saved_model.SERVING]) != 1:
        raise ParameterError(
            f"The model has MetaGraphs with the tags {graphs}, and not exactly one has {tf.saved_model.SERVING!r} alone: "
            "nothing says which is served. Export one."
        )
    return [tf.saved_model.SERVING]


def fits(feature: Any, spec: Any) -> bool:
    """Whether a signature takes a feature as it is."""
    return (
        isinstance(feature, tf.Tensor) and feature.dtype == spec.dtype and spec.shape.is_compatible_with(feature.shape)
    )


def agree(served: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    """Whether two signatures give the same outputs, up to rounding."""
    return served.keys() == other.keys() and all(same_outputs.same(served[name], other[name]) for name in served)


def rows(found: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Outputs, of which each has a row per record."""
    for name, value in found.items():
        if not (value.ndim and len(value) == size):
            raise UnjudgedError(
                f"The model gives {value.shape} as output {name!r} for {size} records. Serve an output with a row per record."
            )
    return found


def holds_numbers(values: np.ndarray) -> bool:
    """Whether an output is no text."""
    return values.dtype.kind in "fiub"


def output(found: Mapping[str, np.ndarray], key: str | None) -> np.ndarray:
    """The output of this name, or the only one.

    Raises:
      ParameterError: If it is unknown, or one of several is not named.
    """
    return found[output_name(found, key)]


def output_name(found: Collection[str], key: str | None) -> str:
    """The name of the output to attack, among those of the signature.

    Raises:
      ParameterError: As `output`.
    """
    if key is None and len(found) != 1:
        raise ParameterError(f"The signature has several outputs: {', '.join(sorted(found))}. Set output_key.")
    name = next(iter(found)) if key is None else key
    if name not in found:
        raise ParameterError(f"Unknown output_key={name!r}. The signature has: {', '.join(sorted(found))}.")
    return name
