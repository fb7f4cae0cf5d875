"""Signals of every task against their definitions, written out record by record."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from scipy import special

from tfx_privacy.attacks.membership import heads, scores
from tfx_privacy.attacks.membership.heads import Head, Signals
from tfx_privacy.errors import ParameterError

SIZE = 40
BINARY = Head(task="binary", from_logits=True)
FIELDS = ("loss", "log_likelihood", "modified_entropy", "lowest_tokens", "correct", "classes", "features")


def naive_entropy(p: np.ndarray, label: int) -> float:
    """Minus Mentr, Song and Mittal (2021), equation 8."""
    others = sum(p[j] * math.log(1 - p[j]) for j in range(len(p)) if j != label)
    return float((1 - p[label]) * math.log(p[label]) + others)


def check_of_classes(found: Signals, probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Against probabilities of every class and class indices."""
    assert found.usable.all()
    assert found.modified_entropy is not None
    assert found.correct is not None
    assert found.classes is not None
    assert found.features.shape[0] == len(labels)
    assert np.isfinite(found.features).all()
    for row, (p, label) in enumerate(zip(probabilities, labels, strict=True)):
        assert found.log_likelihood[row] == pytest.approx(math.log(p[label]), rel=1e-6)
        assert found.loss[row] == pytest.approx(math.log(p[label] / (1 - p[label])), rel=1e-6, abs=1e-9)
        assert found.modified_entropy[row] == pytest.approx(naive_entropy(p, label), rel=1e-6)
        assert found.correct[row] == (p[label] == max(p))
        assert found.classes[row] == label


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("outputs", ["one logit", "one probability", "two logits", "two probabilities"])
def test_binary(outputs: str, flat: bool) -> None:
    random = np.random.default_rng(1)
    logit, labels = random.normal(0, 2, SIZE), random.integers(0, 2, SIZE)
    p = special.expit(logit)
    given = {
        "one logit": logit if flat else logit[:, None],
        "one probability": p if flat else p[:, None],
        "two logits": np.column_stack([np.full(SIZE, 3.0), 3.0 + logit]),
        "two probabilities": np.column_stack([1 - p, p]),
    }[outputs]
    head = Head(task="binary", from_logits="logit" in outputs)
    found = heads.signals(head, given, labels if flat else labels[:, None])
    check_of_classes(found, np.column_stack([1 - p, p]), labels)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("one_hot", [False, True])
def test_multiclass(one_hot: bool, from_logits: bool) -> None:
    random = np.random.default_rng(2)
    logits, labels = random.normal(0, 2, (SIZE, 5)), random.integers(0, 5, SIZE)
    p = special.softmax(logits, axis=1)
    given = np.eye(5)[labels] if one_hot else labels
    found = heads.signals(Head(task="multiclass", from_logits=from_logits), logits if from_logits else p, given)
    check_of_classes(found, p, labels)


def test_one_hot_labels_of_two_classes_are_indices_of_one_logit() -> None:
    logit, labels = np.array([-1.0, 0.5, 2.0]), np.array([0, 1, 0])
    by_index, one_hot = (heads.signals(BINARY, logit, given) for given in (labels, np.eye(2)[labels]))
    assert np.array_equal(by_index.loss, one_hot.loss)


@pytest.mark.parametrize("from_logits", [False, True])
def test_multilabel(from_logits: bool) -> None:
    random = np.random.default_rng(3)
    logits, labels = random.normal(0, 2, (SIZE, 4)), random.integers(0, 2, (SIZE, 4))
    p = special.expit(logits)
    found = heads.signals(Head(task="multilabel", from_logits=from_logits), logits if from_logits else p, labels)
    assert found.usable.all()
    assert (found.modified_entropy, found.correct, found.classes, found.lowest_tokens) == (None, None, None, None)
    for row in range(SIZE):
        likelihood = math.prod(p[row, j] if labels[row, j] else 1 - p[row, j] for j in range(4))
        assert found.log_likelihood[row] == pytest.approx(math.log(likelihood), rel=1e-6)
        assert found.loss[row] == pytest.approx(math.log(likelihood / (1 - likelihood)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("shape", [(SIZE,), (SIZE, 1), (SIZE, 3), (SIZE, 2, 2)])
def test_regression(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(4)
    outputs, labels = random.normal(size=shape), random.normal(size=shape)
    found = heads.signals(Head(task="regression"), outputs, labels)
    assert found.usable.all()
    for row in range(SIZE):
        squared = sum((a - b) ** 2 for a, b in zip(outputs[row].ravel(), labels[row].ravel(), strict=True))
        assert found.loss[row] == pytest.approx(-math.sqrt(squared))
        assert found.log_likelihood[row] == pytest.approx(-squared / 2)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("mask_by", ["labels", "mask"])
def test_sequences_of_different_lengths(mask_by: str, from_logits: bool) -> None:
    """Lengths 1 to 11; padding, in front or behind, holds NaN outputs that must not matter."""
    random = np.random.default_rng(5)
    logits, labels = random.normal(0, 2, (SIZE, 11, 6)), random.integers(0, 6, (SIZE, 11))
    lengths = 1 + np.arange(SIZE) % 11
    counted = np.arange(11)[None, :] < lengths[:, None]
    counted[::2] = counted[::2, ::-1]
    p = special.softmax(logits, axis=2)
    given = np.where(counted[:, :, None], logits if from_logits else p, np.nan)
    head = Head(task="sequence", from_logits=from_logits)
    if mask_by == "mask":
        found = heads.signals(head, given, labels, counted.astype(int))
    else:
        found = heads.signals(head, given, np.where(counted, labels, -1))
    assert found.usable.all()
    assert np.isfinite(found.features).all()
    assert found.lowest_tokens is not None
    for row in range(SIZE):
        tokens = sorted(math.log(p[row, t, labels[row, t]]) for t in range(11) if counted[row, t])
        mean, worst = sum(tokens) / len(tokens), tokens[: max(1, -(-len(tokens) // 5))]
        assert found.log_likelihood[row] == pytest.approx(mean, rel=1e-6)
        assert found.loss[row] == pytest.approx(mean - math.log(1 - math.exp(mean)), rel=1e-6, abs=1e-9)
        assert found.lowest_tokens[row] == pytest.approx(sum(worst) / len(worst), rel=1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_loss_is_turned(shape: tuple[int, ...]) -> None:
    found = heads.signals(Head(task="loss"), np.array([0.5, 2.0, np.inf, np.nan]).reshape(shape), None)
    assert found.usable.tolist() == [True, True, False, False]
    assert found.loss[:2].tolist() == found.log_likelihood[:2].tolist() == [-0.5, -2.0]


@pytest.mark.parametrize("outputs", ["one logit", "two logits", "many logits", "multilabel", "sequence"])
def test_saturated_logits_keep_their_order(outputs: str) -> None:
    """Their probabilities are 1 in float64 from 37 on. Right by ever more, and wrong by ever more."""
    values = np.array([-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0], np.float32)
    zero, ones = np.zeros_like(values), np.ones(7, int)
    head, given, labels = {
        "one logit": (BINARY, values[:, None], ones),
        "two logits": (BINARY, np.column_stack([zero, values]), ones),
        "many logits": (Head(task="multiclass", from_logits=True), np.column_stack([zero, values, zero - 1]), ones),
        "multilabel": (
            Head(task="multilabel", from_logits=True), np.column_stack([values, -values]),
            np.column_stack([ones, 0 * ones]),
        ),
        "sequence": (
            Head(task="sequence", from_logits=True),
            np.stack([np.column_stack([zero, values])] * 3, axis=1), np.ones((7, 3), int),
        ),
    }[outputs]  # fmt: skip
    found = heads.signals(head, given, labels)
    assert found.usable.all()
    assert np.all(np.diff(found.loss) > 1)
    assert np.all(np.diff(found.log_likelihood) > 0)
    assert np.isfinite(found.features).all()


@pytest.mark.parametrize("width", [1, 2, 3])
def test_saturated_float32_probabilities_are_finite(width: int) -> None:
    p = np.array([0.0, 1e-45, 0.5, 1.0 - 2.0**-24, 1.0], np.float32)
    outputs = {1: p[:, None], 2: np.column_stack([1 - p, p]), 3: np.column_stack([1 - p, p, 0 * p])}[width]
    head = Head(task="multiclass" if width == 3 else "binary", from_logits=False)
    found = heads.signals(head, outputs.astype(np.float32), np.ones(5, int))
    for name in FIELDS:
        values = getattr(found, name)
        assert values is None or np.isfinite(values).all(), name
    assert np.all(np.diff(found.loss) >= 0)
    assert found.loss[0] < -10 < 10 < found.loss[-1]
    # The largest number below one is told from one.
    assert found.loss[3] < found.loss[4]


def test_one_output_and_two_classes_agree_also_where_they_saturate() -> None:
    p = np.array([0.0, 1e-3, 0.3, 0.9, 1.0])
    for labels in (np.zeros(5, int), np.ones(5, int)):
        one, two = (
            heads.signals(Head(task="binary", from_logits=False), outputs, labels)
            for outputs in (p[:, None], np.column_stack([1 - p, p]))
        )
        for name in FIELDS[:3]:
            # Where one output is 1, only two of them say how small the other probability is.
            np.testing.assert_allclose(getattr(one, name)[:4], getattr(two, name)[:4], rtol=1e-6, atol=1e-12)
        assert np.array_equal(np.argsort(one.loss), np.argsort(two.loss))
        assert np.array_equal(one.correct, two.correct)  # type: ignore[arg-type]


def test_small_probabilities_are_told_apart_as_far_as_float32_goes() -> None:
    p = np.array([1e-30, 1e-20, 1e-10, 1e-3], np.float32)
    found = heads.signals(Head(task="binary", from_logits=False), p[:, None], np.zeros(4, int))
    np.testing.assert_allclose(found.loss, -np.log(p.astype(float)) + np.log1p(-p.astype(float)), rtol=1e-6)


def softmax(size: int, *width: int) -> np.ndarray:
    return np.asarray(special.softmax(np.random.default_rng(6).normal(size=(size, *width)), axis=-1))


def broken(array: np.ndarray, changes: dict[int, Any]) -> np.ndarray:
    array = array.astype(float)
    for row, value in changes.items():
        array.reshape(len(array), -1)[row, -1] = value
    return array


CLASSES = np.arange(9) % 3
UNUSABLE = {
    "binary": (Head(task="binary", from_logits=True), np.arange(9.0)[:, None], np.arange(9) % 2,
        {0: np.nan, 1: np.inf, 2: -np.inf}, {4: 2, 5: -1, 6: 0.5, 7: np.nan, 8: np.inf}),
    "probability": (Head(task="binary", from_logits=False), np.linspace(0, 1, 9)[:, None], np.arange(9) % 2,
        {0: np.nan, 1: 1.01, 2: -0.01}, {4: 2, 5: -1, 6: 0.5, 7: np.nan}),
    "multiclass": (Head(task="multiclass", from_logits=False), softmax(9, 3), CLASSES,
        {0: np.nan, 1: 1.5, 2: -0.5}, {4: 3, 5: -1, 6: 0.5, 7: np.nan}),
    "one-hot": (Head(task="multiclass", from_logits=True), softmax(9, 3), np.eye(3)[CLASSES],
        {0: np.nan, 1: np.inf}, {3: 1, 4: 2, 5: -1, 6: 0.5, 7: np.nan, 8: 0}),
    "multilabel": (Head(task="multilabel", from_logits=False), softmax(9, 3), np.eye(3)[CLASSES],
        {0: np.nan, 1: 1.5}, {3: 2, 4: 0.5, 5: np.nan}),
    "regression": (Head(task="regression"), softmax(9, 2), softmax(9, 2), {0: np.nan, 1: np.inf}, {2: np.nan, 3: -np.inf}),
    "sequence": (Head(task="sequence", from_logits=False), softmax(9, 4, 3), np.arange(36).reshape(9, 4) % 3,
        {0: np.nan, 1: 1.5, 2: -0.5}, {3: 3, 4: 0.5}),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_read_is_unusable_record_by_record_and_changes_nothing_else(case: str) -> None:
    head, outputs, labels, bad_outputs, bad_labels = UNUSABLE[case]
    whole = heads.signals(head, outputs, labels)
    assert whole.usable.all()
    found = heads.signals(head, broken(outputs, bad_outputs), broken(labels, bad_labels))
    assert np.flatnonzero(~found.usable).tolist() == sorted({*bad_outputs, *bad_labels})
    for name in FIELDS:
        if getattr(whole, name) is not None:
            assert np.array_equal(getattr(found, name)[found.usable], getattr(whole, name)[found.usable]), name


def test_a_sequence_with_a_bad_label_under_an_explicit_mask_or_no_token_is_unusable() -> None:
    head, outputs, labels = Head(task="sequence", from_logits=False), softmax(4, 3, 3), np.zeros((4, 3))
    labels[1, 0], labels[2, 0] = -1, np.nan
    mask = np.ones((4, 3))
    mask[3] = 0
    assert heads.signals(head, outputs, labels, mask).usable.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("head", "outputs", "labels", "mask"),
    [
        (Head(task="multilabel", from_logits=True), softmax(4, 3), np.zeros((4, 2)), None),
        (Head(task="regression"), softmax(4, 3), np.zeros((4, 2)), None),
        (Head(task="multiclass", from_logits=True), softmax(4, 3), np.zeros((4, 2)), None),
        (Head(task="sequence", from_logits=True), softmax(4, 3), np.zeros((4, 3)), None),
        (Head(task="sequence", from_logits=True), softmax(4, 3, 2), np.zeros((4, 2)), None),
        (Head(task="sequence", from_logits=True), softmax(4, 3, 2), np.zeros((4, 3)), np.ones((4, 2))),
        (Head(task="unsupported"), softmax(4, 3), np.zeros(4), None),
    ],
)
def test_shapes_that_do_not_fit_are_unusable_not_fatal(
    head: Head, outputs: np.ndarray, labels: np.ndarray, mask: np.ndarray | None
) -> None:
    found = heads.signals(head, outputs, labels, mask)
    assert not found.usable.any()
    assert len(found.loss) == len(found.features) == 4


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression", "sequence", "loss"])
def test_no_record_has_no_signal(task: Any) -> None:
    head = Head(task=task, from_logits=True if task in heads.OF_CLASSES else None)
    outputs = np.zeros((0, 4, 3) if task == "sequence" else (0, 3))
    labels = None if task == "loss" else np.zeros((0, 4) if task == "sequence" else (0, 3))
    assert len(heads.signals(head, outputs, labels).loss) == 0


def test_a_head_of_classes_needs_to_know_what_its_outputs_are() -> None:
    for task in heads.OF_CLASSES:
        with pytest.raises(ParameterError, match="from_logits is not set"):
            Head(task=task)
    with pytest.raises(ParameterError, match="task="):
        Head(task="ranking")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outputs", "labels", "labels_are_float", "task"),
    [
        (softmax(6, 1), np.array([0, 1, 0, 1, 1, 0]), False, "binary"),
        (softmax(6, 1), np.array([[0.0], [1], [0], [1], [1], [0]]), True, "binary"),
        (softmax(6, 2), np.array([0, 1, 0, 1, 1, 0]), False, "binary"),
        (softmax(6, 1), np.array([0, 1, 0, np.nan, 1, 0]), True, "binary"),
        (softmax(6, 3), np.array([0, 1, 2, 1, 1, np.nan]), True, "multiclass"),
        (softmax(6, 3), np.array([0, 1, 2, 1, 1, 0]), False, "multiclass"),
        (softmax(6, 3), np.eye(3)[[0, 1, 2, 1, 1, 0]], True, "multiclass"),
        (softmax(6, 3), np.array([[0, 1, 1]] * 6), False, "multilabel"),
        (softmax(6, 3), np.zeros((6, 3)), False, "multilabel"),
        (softmax(6, 1), np.arange(6) / 2, True, "regression"),
        (softmax(6, 1), np.arange(6.0), True, "regression"),
        (softmax(6, 3), np.random.default_rng(0).normal(size=(6, 3)), True, "regression"),
        (softmax(6, 4, 3), np.zeros((6, 4), int), False, "sequence"),
        (softmax(6, 1), None, False, "loss"),
        (np.zeros(6), None, False, "loss"),
    ],
)
def test_the_task_is_told_from_outputs_and_labels(
    outputs: np.ndarray, labels: np.ndarray | None, labels_are_float: bool, task: str
) -> None:
    assert heads.infer_task(outputs, labels, labels_are_float=labels_are_float) == (task, "")


@pytest.mark.parametrize(
    ("outputs", "labels", "labels_are_float", "reason"),
    [
        (softmax(6, 1), np.arange(6), False, "set task='regression'"),
        (softmax(6, 3), np.arange(6), False, "set task to one of binary, multiclass"),
        (softmax(6, 3), np.array([0, 1, 2, 0, 1, -1]), False, "set task to one of"),
        (softmax(6, 3), np.arange(6) / 2, True, "set task to one of"),
        (softmax(6, 3), np.full((6, 3), 2), False, r"shape \(3,\) with labels of shape \(3,\).* set task to one of"),
        (softmax(6, 3), np.zeros((6, 2)), True, "set task to one of"),
        (softmax(6, 1), np.full(6, np.nan), True, "no label is finite, so set task to one of"),
        (softmax(6, 3), None, False, "a loss is one number per record"),
        (softmax(6, 4, 3), np.zeros((6, 5), int), False, "set task to one of"),
    ],
)
def test_what_cannot_be_told_says_what_to_set(
    outputs: np.ndarray, labels: np.ndarray | None, labels_are_float: bool, reason: str
) -> None:
    task, why = heads.infer_task(outputs, labels, labels_are_float=labels_are_float)
    assert task == "unsupported"
    assert re.search(reason, why)


@pytest.mark.parametrize(
    ("task", "outputs", "expected"),
    [
        ("binary", np.array([0.0, 0.4, 1.0]), False),
        ("binary", np.array([0.0, 0.4, 1.1]), True),
        ("binary", np.array([0.0, 0.4, -1e-9]), True),
        ("binary", np.array([[0.4, 0.5]]), True),
        ("multiclass", softmax(5, 3), False),
        ("multiclass", softmax(5, 3).astype(np.float32), False),
        ("multiclass", np.array([[0.2, 0.2, 0.2]]), True),
        ("multilabel", np.array([[0.2, 0.2, 0.2]]), False),
        ("multilabel", np.array([[0.2, 0.2, -3.0]]), True),
        ("sequence", softmax(5, 4, 3), False),
        ("sequence", softmax(5, 4, 3) / 2, True),
        ("regression", softmax(5, 3), None),
        ("loss", softmax(5, 1), None),
        ("unsupported", softmax(5, 1), None),
        # Records without a finite output say nothing.
        ("binary", np.array([0.5, np.nan, np.inf]), False),
        ("multiclass", np.array([[3.0, -1.0], [np.nan, 0.5]]), True),
        ("multiclass", np.full((3, 2), np.nan), False),
    ],
)
def test_logits_are_told_from_probabilities(task: Any, outputs: np.ndarray, expected: bool | None) -> None:
    assert heads.infer_from_logits(task, outputs) is expected


def test_heads_together_are_the_sum_of_their_likelihoods() -> None:
    random = np.random.default_rng(7)
    logit, labels, target = random.normal(size=SIZE), random.integers(0, 2, SIZE), random.normal(size=SIZE)
    binary = heads.signals(BINARY, logit, labels)
    regression = heads.signals(Head(task="regression"), target, 0 * target)
    joint = heads.joint_loss([binary, regression])
    for row in range(SIZE):
        p = special.expit(logit[row] if labels[row] else -logit[row])
        assert joint[row] == pytest.approx(math.log(p) - target[row] ** 2 / 2)
    assert np.array_equal(heads.joint_loss([binary]), binary.loss)
    confident = heads.signals(BINARY, np.array([30.0, 60, 90]), np.ones(3, int))
    assert np.all(np.diff(heads.joint_loss([confident, confident])) > 0)


def test_a_likelihood_near_one_and_near_zero_is_rescaled() -> None:
    found = scores.rescaled_of_likelihood(np.array([-1000.0, -20.0, math.log(0.5), -1e-9, -1e-300, 0.0]))
    assert np.isfinite(found).all()
    assert np.all(np.diff(found) > 0)
    assert found[0] == -1000.0
    assert found[1] == pytest.approx(-20 - math.log1p(-math.exp(-20)), abs=1e-12)
    assert found[2] == pytest.approx(0.0, abs=1e-12)
    assert found[3] == pytest.approx(9 * math.log(10))
    assert found[4] == pytest.approx(300 * math.log(10))


def test_rescaled_logits_of_a_hundred_classes_in_any_level() -> None:
    """A logit of all classes added, of 1e6, changes nothing but the last digits."""
    logits = np.random.default_rng(8).normal(0, 5, (SIZE, 100))
    rescaled = scores.rescaled_logits(logits, from_logits=True)
    p = special.softmax(logits, axis=1)
    np.testing.assert_allclose(rescaled, np.log(p) - np.log1p(-p), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scores.rescaled_logits(logits + 1e6, from_logits=True), rescaled, atol=1e-8)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_labels_that_contradict_a_guess_are_found(task: Any) -> None:
    head = heads.Head(task=task, from_logits=True)
    outputs, labels = np.zeros((3, 1 if task == "binary" else 4)), np.array([[0.0], [1.0], [np.nan]])
    if task == "multilabel":
        labels = np.repeat(labels, 4, axis=1)
    assert not heads.has_other_labels(head, outputs, labels)
    for wrong in (3.5, -1.0, 7.0):
        other = labels.copy()
        other[1] = wrong
        assert heads.has_other_labels(head, outputs, other)


def test_a_probability_that_is_rounded_above_one_is_one() -> None:
    rounded = np.array([[1.0000002], [0.0], [0.3]], np.float32)
    assert heads.infer_from_logits("binary", rounded) is False
    head = heads.Head(task="binary", from_logits=False)
    assert not heads.has_other_outputs(head, rounded)
    found = heads.signals(head, rounded, np.array([1.0, 0.0, 1.0]))
    assert found.usable.all()
    assert np.array_equal(found.loss, heads.signals(head, np.minimum(rounded, 1), np.array([1.0, 0.0, 1.0])).loss)
    for wrong in (1.001, -1e-9, 7.0):
        assert heads.infer_from_logits("binary", np.array([[wrong]])) is True
        assert heads.has_other_outputs(head, np.array([[wrong]]))
        assert not heads.signals(head, np.array([[wrong]]), np.array([1.0])).usable.any()
