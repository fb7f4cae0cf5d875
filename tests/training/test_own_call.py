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


def mixing() -> Any:
    import keras

    class Mixing(keras.DTypePolicy):
        pass

    return Mixing("float32")


def converted(policy: Any = None) -> Any:
    import keras

    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(5, dtype=policy or mixing())(inputs))


def converted_in_a_cell() -> Any:
    import keras

    inputs = keras.Input((4, 3))
    return keras.Model(inputs, keras.layers.RNN(keras.layers.SimpleRNNCell(2, dtype=mixing()))(inputs))


def converted_by_an_attribute() -> Any:
    import keras

    policy = keras.DTypePolicy("float32")
    policy.convert_input = lambda value, autocast, dtype: value
    return converted(policy)


CASES = [
    (quantized, "is quantized"),
    (computed_again, "RematScope"),
    (converted, "Mixing"),
    (converted_in_a_cell, "Mixing"),
    (converted_by_an_attribute, "the dtype policy DTypePolicy"),
]


@pytest.mark.parametrize(("make", "reason"), CASES)
def test_what_is_not_computed_by_its_call_is_refused(make: Callable[[], Any], reason: str) -> None:
    plan.plan_of(dense())
    with pytest.raises(UnsupportedCallError, match=reason):
        plan.plan_of(make())


def test_a_patch_of_keras_own_policy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.DTypePolicy, "convert_input", lambda self, value, autocast, dtype: value)
    with pytest.raises(UnsupportedCallError, match="the dtype policy DTypePolicy"):
        plan.plan_of(dense())


@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16"])
@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_keras_own_policies_are_taken(generation: str, policy: str) -> None:
    import importlib

    keras = importlib.import_module(generation)
    inputs = keras.Input((4, 3))
    outputs = keras.layers.Dense(2, dtype=policy)(keras.layers.LSTM(2, dtype=policy)(inputs))
    plan.plan_of(keras.Model(inputs, outputs))
