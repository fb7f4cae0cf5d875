"""Features of variable length, sample weights and several outputs, up to the clipped sum."""

import numpy as np
import pytest
from small_models import WIDTH

from tfx_privacy.errors import DataError
from tfx_privacy.training import ColumnarDataset
from tfx_privacy.training.variable_length import Ragged, Sparse, joined, of_rows

pytestmark = pytest.mark.engine


def rows_of(column: Ragged | Sparse) -> list[list[int]]:
    return [list(row[:length]) for row, length in zip(column.values, column.lengths, strict=True)]


def test_rows_are_padded_and_come_back() -> None:
    first = of_rows(np.array([1, 2, 3]), np.array([2, 0, 1]))
    second = of_rows(np.array([4, 5, 6, 7]), np.array([1, 3]))
    both = joined([first, second])
    assert isinstance(both, Ragged)
    assert both.values.shape == (5, 3)
    assert rows_of(both) == [[1, 2], [], [3], [4], [5, 6, 7]]
    features, labels = ColumnarDataset({"ids": both}, np.arange(5)).take(np.array([4, 1]))
    assert rows_of(features["ids"]) == [[5, 6, 7], []]
    assert labels[:, 0].tolist() == [4, 1]


def test_the_model_gets_no_padding() -> None:
    import tensorflow as tf

    from tfx_privacy.training import keras_api
    from tfx_privacy.training.variable_length import of_value

    sparse = tf.SparseTensor([[0, 4], [2, 1], [2, 3]], [7.0, 8.0, 9.0], (3, 6))
    ragged = tf.RaggedTensor.from_row_lengths(tf.constant([b"a", b"b", b"c"]), [0, 2, 1])
    features = {"sparse": of_value(sparse), "ragged": of_value(ragged)}
    assert isinstance(features["sparse"], Sparse)
    seen = keras_api.called(lambda inputs, training: inputs, features, training=False)
    np.testing.assert_array_equal(seen["sparse"].indices, sparse.indices)
    np.testing.assert_array_equal(seen["sparse"].values, sparse.values)
    assert seen["ragged"].to_list() == ragged.to_list()


@pytest.mark.parametrize(
    "weights", [np.array([1.0, -1.0]), np.array([1.0, np.nan]), np.array([1.0]), np.array([b"1", b"2"])], ids=str
)
def test_weights_that_are_none(weights: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"[Ww]eight"):
        ColumnarDataset({"features": np.zeros((2, WIDTH), np.float32)}, np.zeros(2), weights=weights)


def test_a_weight_lengthens_nobodys_part_beyond_the_clip() -> None:
    """It multiplies the loss, whose gradient is clipped afterwards."""
    import tensorflow as tf
    import tf_keras
    from small_models import naive_gradients

    from tfx_privacy.training.batches import ResidentData
    from tfx_privacy.training.gradients.clipping import ClippedSum
    from tfx_privacy.training.gradients.units import Units

    features = tf_keras.Input((WIDTH,), name="features")
    model = tf_keras.Model({"features": features}, tf_keras.layers.Dense(1)(features))
    model.compile(tf_keras.optimizers.SGD(1.0), "mse")
    random = np.random.default_rng(0)
    columns = {"features": random.normal(size=(3, WIDTH)).astype(np.float32)}
    weights = np.array([0.0, 0.5, 1e6])
    weighted = ColumnarDataset(columns, np.ones(3, np.float32), weights=weights)
    resident = ResidentData(weighted)
    plain = naive_gradients(model, ColumnarDataset(columns, np.ones(3, np.float32)))
    clip = float(np.linalg.norm(plain[1]))
    gradients = ClippedSum(model, Units(1))
    for index, expected in enumerate([0.0 * plain[0], 0.5 * plain[1], plain[2] * clip / np.linalg.norm(plain[2])]):
        chunk = resident.chunk(tf.constant([[index]]), tf.ones(1))
        found = np.concatenate([np.ravel(part) for part in gradients(chunk, clip).gradients])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_several_outputs_are_one_weighted_loss() -> None:
    import tensorflow as tf
    import tf_keras

    from tfx_privacy.training.gradients.losses import PerRecordLoss

    features = tf_keras.Input((2,), name="features")
    outputs = {"first": tf_keras.layers.Dense(1)(features), "second": tf_keras.layers.Dense(1)(features)}
    model = tf_keras.Model({"features": features}, outputs)
    model.compile("sgd", {"first": "mse", "second": "mae"}, loss_weights={"first": 2.0, "second": 0.5})
    given = {"first": tf.constant([[1.0], [2.0]]), "second": tf.constant([[3.0], [-1.0]])}
    labels = {"first": tf.zeros((2, 1)), "second": tf.zeros((2, 1))}
    np.testing.assert_allclose(PerRecordLoss(model, 2)(labels, given), [2.0 + 1.5, 8.0 + 0.5])
