"""What the gradient rules share: privacy units in a chunk, a recorded call, and its bias."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients.contributions import (
    Contribution,
    Materialized,
)


class UnsupportedCallError(Exception):
    """A call whose records cannot be told apart; the whole model is then differentiated record by record."""


@dataclasses.dataclass(frozen=True)
class Units:
    """How the records of a chunk make up privacy units: each is `records_each` successive ones."""

    count: int
    records_each: int = 1

    @property
    def records(self) -> int:
        """Records of a chunk."""
        return self.count * self.records_each

    def summed(self, tensor: Any) -> Any:
        """Sums over each unit's records: (records, ...) to (units, ...)."""
        if self.records_each == 1:
            return tensor
        return tf.reduce_sum(tf.reshape(tensor, (self.count, self.records_each, *tensor.shape[1:])), axis=1)

    def positions(self, tensor: Any, width: int) -> Any:
        """Everything but the last `width` entries of a record becomes a position of its unit: (units, positions, width)."""
        return tf.reshape(tensor, (self.count, -1, width))


@dataclasses.dataclass
class Call:
    """One call of a layer with weights, as it was recorded."""

    layer: Any
    function: Callable[..., Any]
    """The layer's own `call`."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]
    """What the gradient is taken of: before the activation where there is one."""
    whole: bool = False
    """The layer and all inside it get one record at a time: no cheap form is used."""

    @property
    def inputs(self) -> Any:
        """The first argument."""
        return self.args[0] if self.args else next(iter(self.kwargs.values()))


Contributions = list[tuple[Any, Contribution]]

Rule = Callable[[Call, Any, Units], Contributions]


def is_opaque(layer: Any) -> bool:
    """Whether a layer calls layers inside it in loops or with other records than its own: it is taken as a whole."""
    return keras_api.is_kind_of(layer, "RNN", "Wrapper", "BaseWrapper")


class NoCheapFormError(Exception):
    """A setting of a known layer that its rule leaves to the general form."""


def bias_contribution(layer: Any, gradient: Any, units: Units, name: str = "bias") -> Contributions:
    """Returns the bias's contribution, or nothing if it is absent or frozen; `gradient` is (records, ..., size)."""
    bias = trained_variable(layer, name)
    if bias is None:
        return []
    return [(bias, Materialized(units.summed(sum_to(gradient, 1))))]


def sum_to(gradient: Any, width: int) -> Any:
    """Sums over a record's positions, leaving its last `width` axes."""
    axes = list(range(1, gradient.shape.rank - width))
    return tf.reduce_sum(gradient, axis=axes) if axes else gradient


def trained_variable(layer: Any, name: str) -> Any:
    """A variable of the layer, or None where there is none or it is frozen."""
    variable = getattr(layer, name, None)
    if variable is None:
        return None
    trained = {id(one): one for one in keras_api.weights_of(layer)}
    return trained.get(id(keras_api.raw(variable)))
