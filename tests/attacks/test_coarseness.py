from typing import Any

import numpy as np
import pytest

from tfx_privacy.attacks.membership import coarseness
from tfx_privacy.attacks.membership.heads import Head

BINARY = Head(task="binary", from_logits=False)
CLASSES = Head(task="multiclass", from_logits=False)
LOGITS = Head(task="binary", from_logits=True)
REGRESSION = Head(task="regression")
LOSS = Head(task="loss")
CLASS_LOGITS = Head(task="multiclass", from_logits=True)
LABELS = Head(task="multilabel", from_logits=False)
_RANDOM = np.random.default_rng(0)


def sigmoid(scale: float = 1.0, size: int = 4000) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-scale * _RANDOM.normal(size=(size, 1)))), np.float32)


def softmax(scale: float = 1.0) -> np.ndarray:
    logits = scale * _RANDOM.normal(size=(4000, 5))
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), np.float32)


def normal() -> np.ndarray:
    return np.asarray(_RANDOM.normal(size=(4000, 1)), np.float32)


COARSE: dict[str, tuple[Head, np.ndarray, str]] = {
    "constant probability": (BINARY, np.full((500, 1), 0.73, np.float32), "constant"),
    "constant distribution": (CLASSES, np.full((500, 3), 1 / 3, np.float32), "constant"),
    "constant but for noise": (BINARY, 0.73 + np.float32(6e-8) * (normal() > 0), "constant"),
    "constant logit": (LOGITS, np.full((500, 1), -1.25, np.float32), "constant"),
    "constant regression": (REGRESSION, np.full((500, 1), 40.5, np.float32), "constant"),
    "constant loss": (LOSS, np.full((500, 1), 0.1, np.float32), "constant"),
    "constant, without a width": (LOSS, np.full(500, 0.1, np.float32), "constant"),
    "integer labels": (BINARY, (sigmoid() > 0.5).astype(np.int64), "type int64"),
    "truth values": (BINARY, sigmoid() > 0.5, "type bool"),
    "labels as numbers": (BINARY, (sigmoid() > 0.5).astype(np.float32), "labels"),
    "one-hot labels": (CLASSES, np.eye(5, dtype=np.float32)[softmax().argmax(axis=1)], "labels"),
    "one-hot labels as logits": (CLASS_LOGITS, np.eye(5, dtype=np.float32)[softmax().argmax(1)], "labels"),
    "signs": (LOGITS, np.sign(normal()), "labels"),
    "two levels": (BINARY, np.where(sigmoid() > 0.5, np.float32(0.9), np.float32(0.1)), "rounded to 1 decimals"),
    "two decimals": (BINARY, np.round(sigmoid(), 2), "rounded to 2 decimals"),
    "two decimals of a distribution": (CLASSES, np.round(softmax(), 2), "rounded to 2 decimals"),
    "four decimals, float64": (BINARY, np.round(sigmoid().astype(np.float64), 4), "rounded to 4 decimals"),
    "five decimals": (BINARY, np.round(sigmoid(), 5), "rounded to 5 decimals"),
    "rounded logits": (LOGITS, np.round(normal(), 1), "rounded to 1 decimals"),
    "rounded regression": (REGRESSION, np.round(1000.0 * normal()), "whole numbers"),
    "rounded loss": (LOSS, np.round(np.abs(normal()), 3), "rounded to 3 decimals"),
    "a byte's 256 levels": (BINARY, np.round(255.0 * sigmoid()) / np.float32(255.0), "a grid"),
}  # fmt: skip


@pytest.mark.parametrize(("head", "outputs", "what"), COARSE.values(), ids=COARSE.keys())
def test_what_carries_no_attack_is_said_with_what_to_do(head: Head, outputs: np.ndarray, what: str) -> None:
    found = coarseness.problem(head, [outputs[:100], outputs[100:]])
    assert what in found
    assert "export the logits" in found


SATURATED: dict[str, tuple[Head, np.ndarray]] = {
    "saturated": (BINARY, sigmoid(30.0)),
    "clipped on both sides": (BINARY, np.clip(sigmoid(3.0), np.float32(0.013), np.float32(0.987))),
    "saturated distribution": (CLASSES, softmax(120.0)),
    "saturated labels": (LABELS, np.concatenate([sigmoid(30.0), sigmoid()], axis=1)),
}  # fmt: skip


@pytest.mark.parametrize(("head", "outputs"), SATURATED.values(), ids=SATURATED.keys())
def test_saturated_outputs_are_evidence_of_too_little(head: Head, outputs: np.ndarray) -> None:
    """The rows stay, for what they found; the gate refuses for what they could not."""
    found = coarseness.saturation(head, [outputs[:100], outputs[100:]])
    assert "probabilities are saturated" in found
    assert "export the logits" in found
    assert coarseness.problem(head, [outputs]) == ""


FINE: dict[str, tuple[Head, Any]] = {
    "probabilities": (BINARY, sigmoid()),
    "sure probabilities": (BINARY, sigmoid(4.0)),
    "a few saturated ones": (BINARY, np.where(np.arange(4000)[:, None] < 199, np.float32(1.0), sigmoid())),
    "distributions": (CLASSES, softmax()),
    "sure distributions, whose small parts tell": (CLASSES, softmax(20.0)),
    "logits": (LOGITS, normal()),
    "equal records at one end": (BINARY, np.concatenate([np.full((400, 1), 0.987654, np.float32), 0.9 * sigmoid()])),
    "few kinds of records": (BINARY, sigmoid(size=4)[_RANDOM.integers(0, 4, 4000)]),
    "two kinds of records": (BINARY, sigmoid(size=2)[_RANDOM.integers(0, 2, 4000)]),
    "counts predicted as zero or more": (REGRESSION, np.maximum(normal(), 0.0)),
    "large numbers, which float32 rounds": (REGRESSION, (3e7 + 1e6 * normal()).astype(np.float32)),
    "a whole number times a weight": (REGRESSION, 0.37719253 * _RANDOM.integers(0, 40, (4000, 1)).astype(np.float32)),
    "small numbers": (REGRESSION, 1e-9 * normal()),
    "losses": (LOSS, np.abs(normal())),
    "text": (BINARY, np.array([b"a", b"b"] * 50, object)[:, None]),
    "nothing finite": (BINARY, np.full((500, 1), np.nan, np.float32)),
    "one record": (BINARY, sigmoid(size=1)),
}  # fmt: skip


@pytest.mark.parametrize(("head", "outputs"), FINE.values(), ids=FINE.keys())
def test_what_can_be_attacked_is_not_accused(head: Head, outputs: np.ndarray) -> None:
    assert coarseness.problem(head, [outputs]) == coarseness.saturation(head, [outputs]) == ""


def test_unrounded_probabilities_of_few_kinds_of_records_are_not_accused() -> None:
    """2,000 models of 2 to 19 kinds of records; seeded. Each of 8 grids is hit by chance at 1e-6: any at 1.6 %."""
    for _ in range(2000):
        kinds = sigmoid(size=int(_RANDOM.integers(2, 20)))
        assert coarseness.problem(BINARY, [np.repeat(kinds, 20, axis=0)]) == ""


def test_tokens_are_looked_at_one_by_one_whatever_their_number() -> None:
    head = Head(task="sequence", from_logits=False)
    batches = [softmax().reshape(-1, length, 5) for length in (4, 8)]
    assert coarseness.problem(head, batches) == ""
    assert "rounded" in coarseness.problem(head, [np.round(batch, 1) for batch in batches])
