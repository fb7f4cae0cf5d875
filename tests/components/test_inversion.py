"""Model inversion on TensorFlow: of saved models that memorised one record of each class, and of one that did not."""

import pathlib
from typing import Any

import numpy as np
import pytest

from tfx_privacy.attacks.evaluation import Finding
from tfx_privacy.errors import ModelError, ParameterError

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CLASSES, WIDTH = 30, 6
SEARCH: dict[str, Any] = {"steps": 120, "num_restarts": 2}


def records() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each person's center, and one training and one held-out record around it."""
    random = np.random.default_rng(1)
    centers = random.normal(size=(CLASSES, WIDTH))
    sides = [centers + random.normal(size=centers.shape) * 0.4 for _ in range(2)]
    return centers, sides[0].astype(np.float32), sides[1].astype(np.float32)


def save_and_load(root: pathlib.Path, anchors: np.ndarray, *, logits: bool = True) -> Any:
    """A saved model that is the surer of a class the nearer a record is to the class's anchor."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.anchors = tf.Variable(anchors.astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32), tf.TensorSpec([None, 1], tf.int64)])
        def serve(self, x: Any, group: Any) -> Any:
            distances = tf.reduce_sum(tf.square(x[:, None, :] - self.anchors[None]), axis=2)
            scores = -2.0 * distances + 0.0 * tf.cast(group, tf.float32)
            return {"outputs": scores if logits else tf.nn.softmax(scores)}

    model = Model()
    tf.saved_model.save(model, str(root / "model"), signatures={"features": model.serve})
    loaded = tf.saved_model.load(str(root / "model"))
    signature = loaded.signatures["features"]

    def predict(features: dict[str, Any]) -> Any:
        return signature(**features)

    predict.keep = loaded  # type: ignore[attr-defined]
    return predict


def features(values: np.ndarray) -> dict[str, np.ndarray]:
    return {"x": values, "group": np.ones((len(values), 1), np.int64)}


def inverted(predict: Any, train: np.ndarray, heldout: np.ndarray, *, from_logits: bool = True) -> Finding:
    from tfx_privacy.components.privacy_evaluator import inversion

    names = np.arange(CLASSES)
    search = inversion.Search(**SEARCH)
    return inversion.invert(
        predict, features(train), names, features(heldout), names, from_logits=from_logits, search=search
    )


@pytest.mark.parametrize("logits", [True, False])
def test_records_that_the_model_memorised_are_found(tmp_path: pathlib.Path, logits: bool) -> None:
    _, train, heldout = records()
    finding = inverted(save_and_load(tmp_path, train, logits=logits), train, heldout, from_logits=logits)
    assert finding.status == "OK"
    assert finding.num_records == CLASSES
    assert finding.low is not None
    assert finding.low > 0.5
    nearest = [finding.details[f"mean distance to the nearest {side} record"] for side in ("training", "held-out")]
    assert nearest[0] < nearest[1]


def test_a_model_of_the_classes_centers_is_not_accused(tmp_path: pathlib.Path) -> None:
    """It reconstructs every center, which is a prototype; one fixed data set, inside the interval of 95 %."""
    centers, train, heldout = records()
    predict = save_and_load(tmp_path, centers)
    finding = inverted(predict, train, heldout)
    assert finding.low is not None
    assert finding.high is not None
    assert finding.low < 0.5 < finding.high
    assert finding == inverted(predict, train, heldout)


def test_each_start_climbs_and_other_features_stay(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.privacy_evaluator import inversion

    _, train, _ = records()
    predict = save_and_load(tmp_path, train)
    start = features(np.random.default_rng(2).normal(size=(4, WIDTH)).astype(np.float32))
    found = inversion.reconstruct(predict, start, 3, steps=60, learning_rate=0.1, from_logits=True)
    logs = [np.log(softmax(predict(side)["outputs"].numpy()))[:, 3] for side in (start, found)]
    assert (logs[1] > logs[0]).all()
    assert (logs[1] > np.log(0.9)).all()
    assert (found["group"] == start["group"]).all()
    assert found["x"].shape == start["x"].shape
    # No step is longer than it says.
    assert np.linalg.norm(found["x"] - start["x"], axis=1).max() <= 60 * 0.1 + 1e-4


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def test_a_binary_model_is_climbed_both_ways() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import inversion

    start = {"x": np.zeros((2, 1), np.float32)}
    for from_logits, predict in (
        (True, lambda parts: parts["x"] * 2.0),
        (False, lambda parts: tf.sigmoid(parts["x"] * 2.0)),
    ):
        ends = [
            inversion.reconstruct(predict, start, index, steps=5, learning_rate=0.5, from_logits=from_logits)["x"]
            for index in (0, 1)
        ]
        assert ends[0].ravel().tolist() == pytest.approx([-2.5, -2.5])
        assert ends[1].ravel().tolist() == pytest.approx([2.5, 2.5])
    scaled = inversion.reconstruct(
        lambda parts: parts["x"], start, 1, steps=2, learning_rate=0.5, from_logits=True, scale={"x": np.array([10.0])}
    )
    assert scaled["x"].ravel().tolist() == pytest.approx([10.0, 10.0])


def test_points_where_the_model_gives_up_are_not_kept() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import inversion

    def cliff(parts: dict[str, Any]) -> Any:
        return tf.where(parts["x"] > 1.05, float("nan"), parts["x"])

    found = inversion.reconstruct(
        cliff, {"x": np.array([[0.0], [0.5]], np.float32)}, 1, steps=50, learning_rate=0.1, from_logits=True
    )
    assert found["x"].ravel().tolist() == pytest.approx([1.0, 1.0], abs=0.051)


def test_nearest_distances_are_in_standard_deviations() -> None:
    from tfx_privacy.components.privacy_evaluator import inversion

    scale = {"a": np.array([2.0, 1.0]), "b": np.array(10.0)}
    found = {"a": np.array([[0.0, 0.0], [4.0, 0.0]]), "b": np.array([0.0, 0.0])}
    others = {"a": np.array([[4.0, 1.0], [40.0, 0.0]]), "b": np.array([20.0, 0.0])}
    distances = inversion.nearest_distances(found, others, scale)
    assert distances.tolist() == pytest.approx([np.sqrt(4 + 1 + 4), np.sqrt(1 + 4)])


def test_too_few_classes_are_insufficient(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components.privacy_evaluator import inversion

    _, train, heldout = records()
    predict, search = save_and_load(tmp_path, train), inversion.Search(**SEARCH)
    for names in (np.arange(9), np.zeros(9, int)):
        finding = inversion.invert(
            predict, features(train[:9]), names, features(heldout[:9]), names, from_logits=True, search=search
        )
        assert finding.status == "INSUFFICIENT"


def test_models_that_cannot_be_inverted_are_named() -> None:
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import inversion

    numbers: dict[str, Any] = {"steps": 2, "learning_rate": 0.1, "from_logits": True}
    start = {"x": np.zeros((2, 1), np.float32)}
    with pytest.raises(ModelError, match="no gradient with respect to x"):
        inversion.reconstruct(
            lambda parts: tf.round(parts["x"]) * 0.0 + tf.stop_gradient(parts["x"]), start, 1, **numbers
        )
    with pytest.raises(ModelError, match="not finite"):
        inversion.reconstruct(lambda parts: parts["x"] * float("nan"), start, 1, **numbers)
    with pytest.raises(ModelError, match="several outputs: a, b"):
        inversion.reconstruct(lambda parts: {"a": parts["x"], "b": parts["x"]}, start, 1, **numbers)
    with pytest.raises(ModelError, match="num_classes"):
        inversion.reconstruct(lambda parts: parts["x"][:, 0], start, 1, **numbers)
    with pytest.raises(ParameterError, match="class_index=2 of 2"):
        inversion.reconstruct(lambda parts: parts["x"], start, 2, **numbers)
    with pytest.raises(ParameterError, match="floating point"):
        inversion.reconstruct(lambda parts: parts["x"], {"x": np.zeros((2, 1), np.int64)}, 1, **numbers)
    with pytest.raises(ParameterError, match="steps=20000"):
        inversion.reconstruct(lambda parts: parts["x"], start, 1, **{**numbers, "steps": 20_000})
