"""Attacks a model while it trains: by its loss, on a fixed sample of training and of held-out records.

What comes out is a function of the records without any noise, for whoever may see the records. It must not be
published, nor decide when training ends: a guarantee covers neither.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from typing_extensions import Self

from tfx_privacy import _validate
from tfx_privacy.attacks import record_keys
from tfx_privacy.attacks.evaluation import Checkpoint
from tfx_privacy.attacks.membership import counts, statistics
from tfx_privacy.errors import ModelError
from tfx_privacy.training import keras_api, state, validation, without_values
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients.losses import PerRecordLoss

MAX_SAMPLE = 5000
CONFIDENCE_LEVEL = 0.95
UNITS = ("epochs", "steps")

_LOG = logging.getLogger(__name__)
_BATCH_SIZE = 500


def sample(records: ColumnarDataset, size: int = MAX_SAMPLE) -> ColumnarDataset:
    """The records with the smallest keys: the same ones in every run on these records, in whatever order they are.

    Args:
      records: Of one side.
      size: How many at most.
    """
    keys = record_keys.record_keys({**records.columns, "<labels>": records.labels})
    chosen = np.argsort(keys, kind="stable")[:size]
    features, labels = records.take(chosen)
    return ColumnarDataset(features, labels)


def check_model(model: Any) -> None:
    """Refuses a model that cannot be attacked while it trains.

    Raises:
      ModelError: If it has several losses or none.
    """
    if not getattr(model, "loss", None) or isinstance(model.loss, (list, tuple, dict)):
        raise ModelError(
            "The model has several losses, or none; an attack during training needs one output with one loss."
        )


class LossAttack:
    """Compares the losses of training records with those of held-out ones; the score is minus the loss.

    Yeom et al. (2018), https://arxiv.org/abs/1709.01604. The model is only called, and not changed.
    """

    def __init__(
        self, model: Any, members: ColumnarDataset, nonmembers: ColumnarDataset, *, max_sample: int = MAX_SAMPLE
    ) -> None:
        """Takes the samples.

        Args:
          model: A compiled Keras model (2 or 3) with one output and one loss.
          members: Its training data.
          nonmembers: Records that it does not see.
          max_sample: Records per side at most.

        Raises:
          ModelError: If the model has several losses or none, or an input that the data lacks.
        """
        check_model(model)
        self._model = model
        self.members, self.nonmembers = (
            validation.relevant_features(model, sample(side, max_sample)) for side in (members, nonmembers)
        )
        self._scored = tf.function(self._score, autograph=False, reduce_retracing=True)

    def measure(self, step: int) -> Checkpoint | None:
        """Attacks the model as it is now.

        Args:
          step: Training steps so far, at least 1.

        Returns:
          What came out; None where a loss is not finite.
        """
        (member_losses, member_right), (other_losses, other_right) = map(self._losses, (self.members, self.nonmembers))
        if not np.isfinite([member_losses.sum(), other_losses.sum()]).all():
            _LOG.warning("Step %d: a loss is not finite; there is no attack at this step.", step)
            return None
        return Checkpoint(
            step=step,
            attack_auc=statistics.auc_interval(
                counts.of_scores(-member_losses, -other_losses), confidence_level=CONFIDENCE_LEVEL
            ),
            train_accuracy=_share(member_right),
            test_accuracy=_share(other_right),
            train_loss=float(member_losses.mean()),
            test_loss=float(other_losses.mean()),
        )

    def _losses(self, side: ColumnarDataset) -> tuple[np.ndarray, np.ndarray]:
        """Losses in float64, and whether the model is right (NaN where that means nothing), of shape (num_records,)."""
        parts = []
        for first in range(0, len(side), _BATCH_SIZE):
            indices = np.arange(first, first + _BATCH_SIZE)
            # The last batch is padded by its side's first record, so one trace serves all.
            batch = tf.nest.map_structure(tf.constant, side.take(np.where(indices < len(side), indices, 0)))
            parts.append(without_values.call(functools.partial(self._scored, *batch), "An attack during training"))
        losses, right = (np.concatenate([part[index] for part in parts])[: len(side)] for index in (0, 1))
        return losses.astype(np.float64), right

    def _score(self, features: Any, labels: Any) -> tuple[Any, Any]:
        with state.nothing_kept(self._model), keras_api.user_code():
            outputs = keras_api.called(self._model, features, training=False)
            losses = PerRecordLoss(self._model, _BATCH_SIZE)(labels, outputs)
        return losses, _right(keras_api.compiled_loss(self._model), labels, outputs)


class MembershipCallback:
    """A Keras callback that attacks the model every so many epochs or steps of `model.fit`.

    Suits models of Keras 2 and of Keras 3: the instance is a `Callback` of the model's own generation. It slows
    training down by a prediction of both samples each time.

    For example:

        attack = MembershipCallback(model, (x_train, y_train), (x_test, y_test), every=5)
        model.fit(x_train, y_train, epochs=50, callbacks=[attack])
        attack.checkpoints[-1].attack_auc

    Attributes:
      checkpoints: What came out, in the order of training.
    """

    def __new__(cls, model: Any, *args: Any, **kwargs: Any) -> Self:
        """An instance that is a callback of the model's generation."""
        suited: type[Self] = _suited(cls, "keras" if keras_api.is_keras_3(model) else "tf_keras")
        return object.__new__(suited)

    def __init__(
        self,
        model: Any,
        train: ColumnarDataset | tuple[Any, np.ndarray],
        test: ColumnarDataset | tuple[Any, np.ndarray],
        *,
        every: int = 1,
        unit: str = "epochs",
        max_sample: int = MAX_SAMPLE,
    ) -> None:
        """Takes the samples.

        Args:
          model: A compiled Keras model with one output and one loss.
          train: Its training data: features (an array, or arrays by name) and labels.
          test: Held-out records.
          every: Epochs, or steps, between two attacks; there is one at the end in any case.
          unit: "epochs" or "steps".
          max_sample: Records per side at most.

        Raises:
          ParameterError: If `every` or `unit` breaks its rule.
          ModelError: If the model has several losses or none.
        """
        super().__init__()
        self._every = _validate.positive_integer(every=every)
        self._unit = _validate.one_of(UNITS, unit=unit)
        self._attack = LossAttack(model, _dataset(train), _dataset(test), max_sample=max_sample)
        self._step = self._before_epoch = self._measured = 0
        self.checkpoints: list[Checkpoint] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Keras calls this."""
        self._before_epoch = self._step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keras calls this, not for every batch where several are one execution."""
        self._step = self._before_epoch + batch + 1
        if self._unit == "steps" and self._step // self._every > self._measured // self._every:
            self._measure()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keras calls this."""
        if self._unit == "epochs" and (epoch + 1) % self._every == 0:
            self._measure()

    def on_train_end(self, logs: Any = None) -> None:
        """Keras calls this."""
        self._measure()

    def _measure(self) -> None:
        if self._step == self._measured:
            return
        self._measured = self._step
        found = self._attack.measure(self._step)
        if found is not None:
            self.checkpoints.append(found)


def at_checkpoints(attack: LossAttack, *, steps: int, times: int) -> tuple[Callable[[int], None], list[Checkpoint]]:
    """Attacks at about so many of a run's steps, evenly, and at the last one.

    Args:
      attack: What to measure.
      steps: Of the whole run.
      times: How often.

    Returns:
      A function to be called with the number of steps so far, as often as is convenient; and the
      list that it appends to.
    """
    found: list[Checkpoint] = []
    every = max(1, steps // times)
    last = 0

    def report(step: int) -> None:
        nonlocal last
        if step // every > last // every or step >= steps:
            last = step
            checkpoint = attack.measure(step)
            if checkpoint is not None:
                found.append(checkpoint)

    return report, found


def _suited(kind: type, keras: str) -> type:
    base = importlib.import_module(f"{keras}.callbacks").Callback
    return kind if issubclass(kind, base) else type(kind.__name__, (kind, base), {"__doc__": kind.__doc__})


def _dataset(records: ColumnarDataset | tuple[Any, np.ndarray]) -> ColumnarDataset:
    return records if isinstance(records, ColumnarDataset) else ColumnarDataset(*records)


def _share(right: np.ndarray) -> float | None:
    return None if np.isnan(right).any() else float(right.mean())


def _right(loss: Any, labels: Any, outputs: Any) -> Any:
    """Whether each output is of the label's class, 0 or 1; NaN where the loss is not one of classes."""
    name = getattr(loss, "__name__", type(loss).__name__).replace("_", "").lower() if keras_api.is_own(loss) else ""
    width = outputs.shape[-1] if outputs.shape.rank == 2 else 0
    columns = labels.shape[-1] if labels.shape.rank == 2 else 0
    if name == "binarycrossentropy" and width == columns == 1:
        threshold = 0.0 if _from_logits(loss) else 0.5
        hits = tf.equal(outputs[:, 0] > threshold, tf.cast(labels[:, 0], tf.float32) > 0.5)
    elif name == "sparsecategoricalcrossentropy" and width > 1 and columns == 1:
        hits = tf.equal(tf.argmax(outputs, axis=1), tf.cast(labels[:, 0], tf.int64))
    elif name == "categoricalcrossentropy" and width == columns > 1:
        hits = tf.equal(tf.argmax(outputs, axis=1), tf.argmax(labels, axis=1))
    else:
        return tf.fill((_BATCH_SIZE,), np.float32(np.nan))
    return tf.cast(hits, tf.float32)


def _from_logits(loss: Any) -> bool:
    return bool(getattr(loss, "from_logits", getattr(loss, "_fn_kwargs", {}).get("from_logits", False)))
