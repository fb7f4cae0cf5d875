"""The evaluation as scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from tfx_privacy.attacks.evaluation import (
    AttackResult,
    Checkpoint,
    Interval,
    PrivacyEvaluation,
)

_FINAL_STEP = 0


def write(log_dir: str, record: PrivacyEvaluation) -> None:
    """Writes an event file below `log_dir`.

    Tags are `attack/<attack>/<slice>/auc`, `.../advantage` and `.../tpr_at_fpr_<rate>`, each with its `_low`
    and `_high`, at step 0; rows whose status is CONFOUNDED are under `confounded/` instead. What was measured
    during training is under `over_training/`, by step. A "/" in a name from the data becomes "%2F", because
    TensorBoard groups by it.

    Args:
      log_dir: Folder to write to; any file system that TensorFlow knows.
      record: The evaluation. Rows without numbers are left out.
    """
    with tf.summary.create_file_writer(log_dir).as_default():
        for row in record.results:
            for tag, value in _row_scalars(row):
                tf.summary.scalar(tag, value, step=_FINAL_STEP)
        for checkpoint in record.over_training:
            for tag, value in _checkpoint_scalars(checkpoint):
                tf.summary.scalar(tag, value, step=checkpoint.step)


def _row_scalars(row: AttackResult) -> Iterator[tuple[str, float]]:
    if row.auc is None:
        return
    group = "attack" if row.status == "OK" else "confounded"
    prefix = f"{group}/{_name(row.attack)}/{_name(row.slice_name)}"
    yield from _interval(f"{prefix}/auc", row.auc)
    yield from _interval(f"{prefix}/advantage", row.advantage)
    for point in row.tpr_at_fpr:
        yield from _interval(f"{prefix}/tpr_at_fpr_{point.false_positive_rate:g}", point.tpr)


def _checkpoint_scalars(checkpoint: Checkpoint) -> Iterator[tuple[str, float]]:
    yield from _interval("over_training/attack_auc", checkpoint.attack_auc)
    for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
        value = getattr(checkpoint, name)
        if value is not None:
            yield f"over_training/{name}", value


def _interval(tag: str, interval: Interval | None) -> Iterator[tuple[str, float]]:
    if interval is not None:
        yield tag, interval.estimate
        yield f"{tag}_low", interval.low
        yield f"{tag}_high", interval.high


def _name(text: str) -> str:
    """One part of a tag, however it is spelled in the data."""
    return text.replace("%", "%25").replace("/", "%2F")
