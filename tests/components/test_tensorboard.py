import pathlib

import evaluations
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation

pytestmark = pytest.mark.engine


def written(root: pathlib.Path, record: PrivacyEvaluation) -> dict[tuple[str, int], float]:
    """Every scalar of the event file, by tag and step; none is written twice."""
    import tensorflow as tf

    from tfx_privacy.components.privacy_evaluator import tensorboard

    tensorboard.write(str(root), record)
    (path,) = root.glob("events.out.tfevents.*")
    found: dict[tuple[str, int], float] = {}
    for serialized in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(serialized.numpy())
        for value in event.summary.value:
            assert (value.tag, event.step) not in found
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_every_row_with_numbers_is_there_with_its_bounds(tmp_path: pathlib.Path) -> None:
    record = evaluations.make()
    found = written(tmp_path, record)
    for row in (row for row in record.results if row.status == "OK"):
        name = f"attack/{row.attack}/{row.slice_name.replace('/', '%2F')}"
        assert row.auc is not None
        assert row.advantage is not None
        expected = {"auc": row.auc, "advantage": row.advantage, "tpr_at_fpr_0.1": row.tpr_at_fpr[1].tpr}
        for key, interval in expected.items():
            assert found[f"{name}/{key}", 0] == pytest.approx(interval.estimate)
            assert found[f"{name}/{key}_low", 0] == pytest.approx(interval.low)
            assert found[f"{name}/{key}_high", 0] == pytest.approx(interval.high)
    assert ("attack/loss/name=a%2Fb/auc", 0) in found
    assert not any("<other>" in tag for tag, _ in found)
    assert found["confounded/entropy/name=shifted/auc", 0] == pytest.approx(0.61)
    assert ("attack/entropy/name=shifted/auc", 0) not in found


def test_training_is_a_series_by_step(tmp_path: pathlib.Path) -> None:
    found = written(tmp_path, evaluations.make())
    series = {step: value for (tag, step), value in found.items() if tag == "over_training/attack_auc"}
    assert series == pytest.approx({100 * (index + 1): 0.5 + 0.02 * index for index in range(6)})
    assert found["over_training/attack_auc_low", 300] == pytest.approx(0.525)
    assert found["over_training/attack_auc_high", 300] == pytest.approx(0.555)
    assert found["over_training/train_accuracy", 600] == pytest.approx(0.85)
    assert found["over_training/test_loss", 600] == pytest.approx(0.75)


def test_a_task_without_classes_has_no_accuracy(tmp_path: pathlib.Path) -> None:
    plain = [
        checkpoint.model_copy(update={"train_accuracy": None, "test_accuracy": None})
        for checkpoint in evaluations.over_training()
    ]
    found = written(tmp_path, evaluations.make(over_training=plain))
    assert not any("accuracy" in tag for tag, _ in found)
    assert ("over_training/train_loss", 100) in found
