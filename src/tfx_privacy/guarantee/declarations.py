"""What the author of a model declares of its code, where nothing can show it."""

from __future__ import annotations

from typing import Any, TypeVar

from tfx_privacy.errors import ParameterError

_MARK = "_tfx_privacy_record_wise"

Target = TypeVar("Target")


def record_wise(target: Target) -> Target:
    """Declares that what a layer, an activation or a loss gives for one record depends on that record alone.

    DPTrainer then calls it on whole batches, instead of record by record. The guarantee names it, because the guarantee
    rests on this word, and a policy can forbid that. A subclass or a wrapper of it is not declared by that.

    For example:

        @tfx_privacy.record_wise
        class Gate(tf.keras.layers.Layer):
            def call(self, inputs):
                return inputs * tf.sigmoid(inputs)

    Args:
      target: A class of layers, models or losses, or a function that is given to a layer or to `compile`.

    Returns:
      The same object.

    Raises:
      ParameterError: If it cannot carry a declaration: an instance, a bound method, a function written in C.
    """
    if not (isinstance(target, type) or (callable(target) and hasattr(target, "__qualname__"))):
        raise ParameterError(f"record_wise takes a class or a function, not target={target!r}.")
    try:
        # The mark names its bearer: functools.wraps copies it, and a subclass inherits it.
        setattr(target, _MARK, target)
    except (AttributeError, TypeError) as error:
        raise ParameterError(
            f"target={target!r} cannot be declared record_wise: wrap it in a class or function of your own."
        ) from error
    return target


def is_declared(target: Any) -> bool:
    """Whether this very class or function was declared."""
    return _MARK in getattr(target, "__dict__", {}) and vars(target)[_MARK] is target


def name_of(target: Any) -> str:
    """How guarantees name a class or function."""
    return f"{target.__module__}.{target.__qualname__}"
