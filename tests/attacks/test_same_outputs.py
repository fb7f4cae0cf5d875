from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfx_privacy.attacks.same_outputs import Answers, Comparison, Way, same

_RANDOM = np.random.default_rng(1)
LOGITS = np.asarray(_RANDOM.normal(size=(500, 3)) * 4, np.float32)
SURE = np.asarray(1 / (1 + np.exp(-9 * _RANDOM.normal(size=(500, 1)))), np.float32)
P = np.asarray(1 / (1 + np.exp(-3 * _RANDOM.normal(size=(500, 1)))), np.float32)


def f32(values: list[Any]) -> np.ndarray:
    return np.asarray(values, np.float32)


def answers(outputs: dict[str, dict[str, np.ndarray]], **changes: Any) -> Answers:
    values: dict[str, Any] = {
        "attacked": {"serving_default/scores": P},
        "features": {"x": LOGITS},
        "weightless": frozenset({"transform_features"}),
    }
    return Answers(outputs=outputs, **{**values, **changes})


def standings(batches: list[Answers]) -> dict[str, Way]:
    comparison = Comparison()
    for batch in batches:
        comparison.add(batch)
    return comparison.standings()


def test_a_signature_that_says_something_else_need_not_be_asked_again() -> None:
    comparison = Comparison()
    assert comparison.is_open("predict")
    comparison.add(answers({"predict": {"scores": P, "logits": LOGITS}, "predict_all": {"logits": LOGITS}}))
    assert comparison.is_open("predict")
    assert not comparison.is_open("predict_all")
    assert not comparison.is_open("pred")
    comparison.add(answers({"predict": {"scores": 1.0 - P}}))
    assert not comparison.is_open("predict")
    comparison.add(answers({"predict": {"scores": P}}))
    assert comparison.standings() == {}


def test_an_output_is_the_same_as_one_that_is_attacked_or_as_a_feature() -> None:
    found = standings([
        answers({
            "predict": {"scores": P.copy(), "logits": LOGITS, "x": LOGITS},
            "transform_features": {"x": LOGITS, "y": LOGITS, "z": P},
        })
    ])  # fmt: skip
    assert found == {
        "predict/scores": ("same", "serving_default/scores"),
        "transform_features/x": ("transformed", ""),
        "transform_features/z": ("same", "serving_default/scores"),
    }


def test_it_must_be_the_same_on_every_batch() -> None:
    one = answers({"predict": {"scores": P}, "transform_features": {"x": LOGITS}})
    late = P.copy()
    late[-1] = 1.0 - late[-1]
    other = answers({"predict": {"scores": late}, "transform_features": {"x": LOGITS + 1.0}})
    assert standings([one, one]).keys() == {"predict/scores", "transform_features/x"}
    for batches in ([one, other], [other, one], [one, answers({})], [answers({}), one], []):
        assert standings(batches) == {}


def test_weights_that_stand_in_a_graph_as_constants_are_no_feature() -> None:
    """No variable is read, and the output is named as a feature is; but it says something else."""
    frozen = np.tile(f32([[0.3, -0.2, 0.7]]), (500, 1))
    assert standings([answers({"transform_features": {"x": LOGITS @ np.diag(frozen[0])}})]) == {}
    assert standings([answers({"transform_features": {"x": frozen}})]) == {}


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "rounded to four decimals": (P, np.round(P, 4)),
    "rounded to six decimals": (SURE, np.round(SURE, 6)),
    "clipped": (P, np.clip(P, 0.001, 0.999)),
    "small probabilities apart": (f32([[1e-9], [0.5]]), f32([[1e-5], [0.5]])),
    "large probabilities apart": (f32([[1.0], [0.5]]), f32([[1.0 - 1e-6], [0.5]])),
    "rounded logits": (LOGITS, np.round(LOGITS, 2)),
    "another shape": (P, P[:, 0]),
    "another type": (f32([1.0]), np.array([1])),
    "one text": (np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)),
    "one integer": (np.array([10**6, 2]), np.array([10**6 + 1, 2])),
    "NaN for a number": (LOGITS, np.where(LOGITS > 3, np.float32(np.nan), LOGITS)),
    "a number for NaN": (np.where(LOGITS > 3, np.float32(np.nan), LOGITS), LOGITS),
    "infinity of the other sign": (f32([np.inf, 1.0]), f32([-np.inf, 1.0])),
    "infinity for a number": (f32([1e30, 1.0]), f32([np.inf, 1.0])),
    "a number for infinity": (f32([np.inf, 1.0]), f32([1e30, 1.0])),
}


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_tells_an_attacker_more_is_not_the_same(first: Any, second: Any) -> None:
    assert not same(first, second)
    assert not same(second, first)
    assert same(first, first.copy())
    assert same(second, second.copy())


def test_arithmetic_in_another_order_is_the_same() -> None:
    """A layer of 64 units in float32, summed forwards and backwards, with its sigmoid and its softmax."""
    x = np.asarray(_RANDOM.normal(size=(2000, 64)), np.float32)
    weights = np.asarray(_RANDOM.normal(size=(64, 3)), np.float32)
    forwards = np.cumsum(x[:, :, None] * weights[None], axis=1, dtype=np.float32)[:, -1]
    backwards = np.cumsum((x[:, :, None] * weights[None])[:, ::-1], axis=1, dtype=np.float32)[:, -1]
    assert not np.array_equal(forwards, backwards)
    assert same(forwards, backwards)

    def softmax(values: np.ndarray) -> np.ndarray:
        raised = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    assert same(1 / (1 + np.exp(-forwards)), 1 / (1 + np.exp(-backwards)))
    assert same(softmax(forwards), softmax(backwards))
