"""Parsed features of every kind as columns."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def test_a_missing_label_is_no_number_whatever_its_type() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import columns

    missing = tf.sparse.SparseTensor([[0, 0], [2, 0]], tf.constant([3, 4], tf.int64), [3, 1])
    found = columns.number(columns.dense(missing).numpy())
    assert found[[0, 2], 0].tolist() == [3.0, 4.0]
    assert np.isnan(found[1, 0])
    tokens = columns.dense(tf.ragged.constant([[1, 2], [5]])).numpy()
    assert tokens[0].tolist() == [1.0, 2.0]
    assert tokens[1, 0] == 5.0
    assert np.isnan(tokens[1, 1])
    texts = columns.dense(tf.sparse.from_dense(tf.constant([["a"], [""]])))
    assert np.isnan(columns.number(texts.numpy())).all()
    assert columns.number(columns.dense(tf.constant([[1.5]])).numpy()).tolist() == [[1.5]]


def test_values_of_every_kind_are_found_with_their_records() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import columns

    for feature, expected in (
        (tf.constant([[b"a", b"b"], [b"c", b"d"]]), [(0, b"a"), (0, b"b"), (1, b"c"), (1, b"d")]),
        (tf.constant([7, -2], tf.int64), [(0, b"7"), (1, b"-2")]),
        (tf.ragged.constant([[0.5], [], [1.5, 2.5]]), [(0, b"0.5"), (2, b"1.5"), (2, b"2.5")]),
    ):
        rows, texts = columns.entries(feature)
        assert list(zip(rows.numpy().tolist(), texts.numpy().tolist(), strict=True)) == expected


def test_the_control_sees_the_first_value_and_how_many_there_are() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import columns

    found = columns.blind_columns(tf.ragged.constant([[3.0, 9.0], [], [4.0]]))
    assert found.tolist() == [[3.0, 2.0], [-1.0, 0.0], [4.0, 1.0]]
    assert columns.blind_columns(tf.constant([[1, 2], [3, 4]])).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    texts = columns.blind_columns(tf.constant([["x"], ["y"], ["x"]]))
    assert texts[0] == texts[2] != texts[1]
