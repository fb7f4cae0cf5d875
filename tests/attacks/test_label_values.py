"""Labels that a function gave are found among the features by their values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfx_privacy.attacks.label_values import has_values, keys_of, may_be_made_of

RANDOM = np.random.default_rng(0)
CLASSES = RANDOM.choice(4, 5000, p=[0.4, 0.3, 0.2, 0.1])
OTHER = RANDOM.choice(4, 5000, p=[0.4, 0.3, 0.2, 0.1])
NUMBERS = RANDOM.normal(size=5000)
ORDER = RANDOM.permutation(5000)
WIDE = RANDOM.integers(0, 2, (5000, 5))


def one_hot(classes: np.ndarray) -> np.ndarray:
    return np.eye(4, dtype=np.float32)[classes]


SAME: dict[str, tuple[Any, Any]] = {
    "class numbers in another order": (CLASSES, CLASSES[ORDER]),
    "of another type and shape": (CLASSES.astype(np.int32), CLASSES[ORDER].astype(np.float32)[:, np.newaxis]),
    "one-hot": (CLASSES, one_hot(CLASSES)[ORDER]),
    "from one-hot": (one_hot(CLASSES), CLASSES),
    "numbers": (NUMBERS, NUMBERS.astype(np.float32)[ORDER]),
    "several numbers": (WIDE, WIDE[ORDER].astype(np.float64)),
    "some of the records": (CLASSES, CLASSES[ORDER[:4960]]),
}
RENAMED: dict[str, tuple[Any, Any]] = {
    "class numbers from 1": (CLASSES + 1, CLASSES),
    "smoothed": (CLASSES, one_hot(CLASSES)[ORDER] * 0.9 + 0.025),
    "on another scale": (NUMBERS, (NUMBERS * 3 + 1)[ORDER]),
    "renamed, some of the records": (CLASSES, 3 - CLASSES[ORDER[:4960]]),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "another feature": (OTHER, CLASSES),
    "other columns": (WIDE, 1 - WIDE),
    "two classes of four": (CLASSES, (CLASSES > 1).astype(int)),
    "numbers made to classes": (NUMBERS, (NUMBERS > 0).astype(int)),
    "more labels than records": (CLASSES[:4000], CLASSES),
}


@pytest.mark.parametrize(("column", "labels"), SAME.values(), ids=SAME.keys())
def test_the_feature_is_found(column: np.ndarray, labels: np.ndarray) -> None:
    assert has_values(keys_of(column), keys_of(labels))
    assert may_be_made_of(keys_of(column), keys_of(labels))


@pytest.mark.parametrize(("column", "labels"), RENAMED.values(), ids=RENAMED.keys())
def test_labels_under_other_names_need_a_word(column: np.ndarray, labels: np.ndarray) -> None:
    assert not has_values(keys_of(column), keys_of(labels))
    assert may_be_made_of(keys_of(column), keys_of(labels))


@pytest.mark.parametrize(("column", "labels"), OTHERS.values(), ids=OTHERS.keys())
def test_no_word_helps_where_the_values_contradict_it(column: np.ndarray, labels: np.ndarray) -> None:
    assert not has_values(keys_of(column), keys_of(labels))
    assert column is WIDE or not may_be_made_of(keys_of(column), keys_of(labels))
