"""Keras 3 computes some layers by something else than `call`, or once more in the backward pass, where nobody sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from tfx_privacy.training.gradients import plan
from tfx_privacy.training.gradients.units import UnsupportedCallError

pytestmark = pytest.mark.engine


def dense() -> Any:
    import keras

    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(5, use_bias=False)(inputs))


def quantized() -> Any:
    model = dense()
    model.layers[-1].quantize("int8")
    return model


def computed_again() -> Any:
    import keras

    with keras.RematScope(mode="full"):
        return dense()


def converted() -> Any:
    import keras

    class Mixing(keras.DTypePolicy):
        pass

    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(5, dtype=Mixing("float32"))(inputs))


CASES = [(quantized, "is quantized"), (computed_again, "RematScope"), (converted, "Mixing")]


@pytest.mark.parametrize(("make", "reason"), CASES)
def test_what_is_not_computed_by_its_call_is_refused(make: Callable[[], Any], reason: str) -> None:
    plan.plan_of(dense())
    with pytest.raises(UnsupportedCallError, match=reason):
        plan.plan_of(make())
