"""States what each output was trained on, so an evaluation can show that it compares with the same.

DPTrainer's own reader takes the label from a feature. What a module's `input_fn` gives as labels may come from anywhere, so
their values are looked for among the features of the training files; what the author says is believed only where no
feature has them and the values do not contradict it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import tensorflow as tf
from absl import logging

from tfx_privacy import training
from tfx_privacy.attacks import label_values
from tfx_privacy.components import text_labels
from tfx_privacy.components.dp_trainer import data
from tfx_privacy.components.dp_trainer.request import Request
from tfx_privacy.components.dp_trainer.trained_records import Read
from tfx_privacy.guarantee.record import FeatureKind, LabelFeature, TrainedLabel
from tfx_privacy.training import keras_api, validation
from tfx_privacy.training.gradients import losses

_Loss = Literal["classes", "keras", "own", "without_label"]


def planned(request: Request) -> list[TrainedLabel]:
    """What is known before a record is read: what DPTrainer's own reader will take; nothing of an `input_fn`."""
    if request.input_fn is not None or request.label_key is None:
        return []
    return [_of_reader(request, request.label_key, "keras")]


def found(request: Request, model: Any, records: training.ColumnarDataset, read: Read) -> list[TrainedLabel]:
    """Of every output with a loss, what it was trained on.

    Args:
      request: What the run was asked for.
      model: The compiled model.
      records: What it was trained on.
      read: The same records as the files hold them.
    """
    kinds = _losses(model, records)
    if request.input_fn is None:
        assert request.label_key is not None
        return [_of_reader(request, request.label_key, next(iter(kinds.values())))]
    given = records.labels_by_name
    only = next(iter(given.values())) if len(given) == 1 else None
    made = [_by_values(request, output, loss, given.get(output, only), read) for output, loss in kinds.items()]
    for label in made:
        if not label.features and label.loss != "without_label":
            logging.warning(
                "DPTrainer: no feature of the examples has the labels%s that input_fn gave, and label_key names none that "
                "could: no attack can compare with them, and BudgetValidator will not bless the model. Make the label in "
                "preprocessing_fn, or set label_key to the feature that it is made of by renaming or scaling alone.",
                f" of output {label.output!r}" if label.output else "",
            )
    return made


def name_of(trained: list[TrainedLabel]) -> str:
    """The label that PrivacyEvaluator takes by itself; empty where there are several, or none."""
    names = {each.name for label in trained for each in label.features}
    return names.pop() if len(trained) == len(names) == 1 else ""


def _of_reader(request: Request, label_key: str, loss: _Loss) -> TrainedLabel:
    kind: FeatureKind = "transformed" if request.fn_args.transform_graph_path else "examples"
    texts = data.texts_of_classes(request.fn_args, label_key)
    return TrainedLabel(
        output="",
        features=[LabelFeature(name=label_key, features=kind)],
        source="read",
        loss=loss,
        texts_digest=None if texts is None else text_labels.digest_of(texts),
    )


def _by_values(request: Request, output: str, loss: _Loss, values: np.ndarray | None, read: Read) -> TrainedLabel:
    # One name says nothing of several outputs.
    declared = request.label_keys.get(output) or (None if output else request.label_key)
    keys = None if values is None else label_values.keys_of(values)
    alike = (
        [] if keys is None else [name for name, column in read.columns.items() if label_values.has_values(column, keys)]
    )
    named = [(kind, name) for kind, name in read.names if name == declared]
    chosen = [each for each in named if each in alike] or alike
    if len({read.columns[each].tobytes() for each in chosen}) == 1:
        return TrainedLabel(output=output, features=_features(chosen), source="compared", loss=loss)
    # No feature has the values; or several have as many of each, in other records, and nobody says which is meant.
    possible = [
        each
        for each in named
        if keys is None or each not in read.columns or label_values.may_be_made_of(read.columns[each], keys)
    ]
    return TrainedLabel(
        output=output, features=_features(possible), source="declared" if possible else "compared", loss=loss
    )


def _features(names: list[tuple[FeatureKind, str]]) -> list[LabelFeature]:
    return [LabelFeature(name=name, features=kind) for kind, name in names]


def _losses(model: Any, records: training.ColumnarDataset) -> dict[str, _Loss]:
    """By output with a loss: of what kind it is."""
    made = validation.taken(model, validation.relevant_features(model, records)).synthetic(2)
    of_outputs, features = (tf.nest.map_structure(tf.constant, each) for each in (made.labels, made.features))
    with keras_api.user_code():
        outputs = keras_api.called(model, features, training=False)
    return {head.name: _kind_of(head) for head in keras_api.heads(model, of_outputs, outputs)}


def _kind_of(head: keras_api.Head) -> _Loss:
    if losses.is_known_loss(head.loss):
        return "classes" if losses.takes_class_numbers(head.loss) else "keras"
    return "own" if losses.reads_label(head.loss, head.labels, head.outputs) else "without_label"
