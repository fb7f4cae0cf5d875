"""What the first records say of heads that were left open: their task, and whether outputs are logits."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import evaluation
from tfx_privacy.attacks.evaluation import Task
from tfx_privacy.attacks.membership import heads
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.components.privacy_evaluator import answers, scoring
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec
from tfx_privacy.components.privacy_evaluator.reader import ModelReader
from tfx_privacy.errors import DataError

_TEXT = (
    "the output is text, such as the names of classes, which has no scores: export the logits, or unrounded "
    "probabilities, as an output or a signature that takes the same examples, and attack that (output_key, "
    "signature_name)"
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

    Outputs that turn out not to be what they were taken for are unusable records later, and counted;
    none is misread in silence.

    Args:
      reader: With heads that may be open.
      files: Of members and of others.

    Returns:
      The heads.

    Raises:
      DataError: If a split holds no record.
      ParameterError: If an output is unknown, or one of several is not named.
    """
    records = np.concatenate([_first_batch(side) for side in files])
    loaded = reading.load(reader)
    labels_are_float = {name: spec.dtype.is_floating for name, spec in reader.label_spec().items()}
    batch = loaded.read(tf.constant(records))
    described, tasks = [], []
    for spec, outputs, labels in zip(reader.heads, loaded.of_heads(batch.outputs), batch.labels, strict=True):
        task, reason = _task(spec, outputs, labels, labels_are_float.get(spec.label_key or "", False))
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
            )
        )
    fused = loaded.can_fuse(tf.constant(records))
    return Resolved(dataclasses.replace(reader, fused=fused), tuple(described), tuple(tasks))


def _task(spec: HeadSpec, outputs: np.ndarray, labels: np.ndarray | None, labels_are_float: bool) -> tuple[Task, str]:
    if spec.task is not None:
        return spec.task, ""  # type: ignore[return-value] # HeadSpec checks it
    return heads.infer_task(outputs, labels, labels_are_float=labels_are_float)


def _first_batch(files: tuple[str, ...]) -> np.ndarray:
    for path in files:
        for batch in scoring.dataset(path):
            return np.asarray(batch.numpy())
    raise DataError("A split holds no record.")
