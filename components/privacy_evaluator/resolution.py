"""What the first records say of heads that were left open: their task, and whether outputs are logits."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import evaluation
from tfx_privacy.attacks.evaluation import Task
from tfx_privacy.attacks.membership import heads
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.components import text_labels
from tfx_privacy.components.privacy_evaluator import answers, scoring
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec
from tfx_privacy.components.privacy_evaluator.reader import LoadedReader, ModelReader

_TEXT = (
    "the output is text, such as the names of classes, which has no scores: export the logits, or unrounded "
    "probabilities, as an output or a signature that takes the same examples, and attack that (output_key, "
    "signature_name)"
)
_TEXT_LABEL = (
    "the label {!r} is text, and no schema says which class each text is: give the feature a string_domain in the schema, "
    "whose values are the classes in the order that the model was trained with, or encode it in preprocessing_fn, wire "
    "transform_graph, and name that feature as label_key"
)


@dataclasses.dataclass(frozen=True)
class Resolved:
    """The heads as they are attacked.

    Attributes:
      reader: Which also says whether parsing and model go in one graph.
      heads: For the record.
      tasks: For the attacks.
    """

    reader: ModelReader
    heads: tuple[evaluation.Head, ...]
    tasks: tuple[Head, ...]


def resolve(reader: ModelReader, files: tuple[tuple[str, ...], ...]) -> Resolved:
    """Looks at the first batch of each side.

    It decides nothing for good: records that contradict it make the evaluation UNSUPPORTED (`scoring`).

    Args:
      reader: With heads that may be open.
      files: Of members and of others.

    Returns:
      The heads; "unsupported" where no record can be read, which is then found again and stated by the evaluation.

    Raises:
      DataError: If a file is damaged.
      ParameterError: If an output is unknown, or one of several is not named.
    """
    records = np.concatenate([_first_batch(side) for side in files])
    loaded = reading.load(reader)
    if not len(records):
        return _unresolved(loaded, "the splits hold no record")
    try:
        batch = loaded.read(tf.constant(records))
    except UnjudgedError as error:
        return _unresolved(loaded, str(error).rstrip("."))
    label_spec = reader.label_spec()
    labels_are_float = {name: spec.dtype.is_floating for name, spec in label_spec.items()}
    described, tasks = [], []
    for spec, outputs, labels in zip(reader.heads, loaded.of_heads(batch.outputs), batch.labels, strict=True):
        task, reason = _task(spec, outputs, labels, labels_are_float.get(spec.label_key or "", False))
        texts = loaded.label_texts.get(spec.label_key or "")
        if spec.label_key and label_spec[spec.label_key].dtype == tf.string and texts is None:
            task, reason = "unsupported", _TEXT_LABEL.format(spec.label_key)
        if not answers.holds_numbers(answers.output(batch.outputs, spec.output_key)):
            task, reason = "unsupported", _TEXT
        from_logits = spec.from_logits if task in heads.OF_CLASSES else None
        if from_logits is None:
            from_logits = heads.infer_from_logits(task, outputs)
        tasks.append(Head(task=task, from_logits=from_logits, reason=reason))
        described.append(
            evaluation.Head(
                name=spec.name,
                task=task,
                output_key=spec.output_key or next(iter(batch.outputs)),
                label_key=spec.label_key or "",
                label_features=reader.label_features if spec.label_key else None,
                from_logits=from_logits,
                label_texts_digest=None if texts is None else text_labels.digest_of(texts),
            )
        )
    fused = loaded.can_fuse(tf.constant(records))
    return Resolved(dataclasses.replace(reader, fused=fused), tuple(described), tuple(tasks))


def _task(spec: HeadSpec, outputs: np.ndarray, labels: np.ndarray | None, labels_are_float: bool) -> tuple[Task, str]:
    if spec.task is not None:
        return spec.task, ""  # type: ignore[return-value] # HeadSpec checks it
    return heads.infer_task(outputs, labels, labels_are_float=labels_are_float)


def _unresolved(loaded: LoadedReader, reason: str) -> Resolved:
    """Heads of which nothing is known but their names."""
    described = [
        evaluation.Head(
            name=spec.name,
            task="unsupported",
            output_key=answers.output_name(loaded.output_names, spec.output_key),
            label_key=spec.label_key or "",
            label_features=loaded.reader.label_features if spec.label_key else None,
        )
        for spec in loaded.reader.heads
    ]
    return Resolved(loaded.reader, tuple(described), tuple(Head(task="unsupported", reason=reason) for _ in described))


def _first_batch(files: tuple[str, ...]) -> np.ndarray:
    """The first records of a side; none where it has none."""
    for path in files:
        for batch in scoring.dataset(path):
            return np.asarray(batch.numpy())
    return np.zeros(0, object)
