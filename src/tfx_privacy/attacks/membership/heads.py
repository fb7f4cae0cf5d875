"""Outputs and labels of any task as signals: one vector each of what the attacks need.

A model has one or several heads, each an output with its label. What cannot be read as its task is unusable, record by
record, and is counted; a head whose task cannot be told is "unsupported".
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_privacy import _validate
from tfx_privacy.attacks.evaluation import Task
from tfx_privacy.attacks.membership import scores
from tfx_privacy.errors import ParameterError

TASKS: tuple[Task, ...] = ("binary", "multiclass", "multilabel", "regression", "sequence", "loss")
OF_CLASSES: tuple[Task, ...] = ("binary", "multiclass", "multilabel", "sequence")
"""Tasks whose outputs are logits or probabilities."""
# Tokens that are predicted worst say most about a sequence (Shi et al. 2024,
# https://arxiv.org/abs/2310.16789, Section 3).
_LOWEST_TOKENS = 0.2
_MAX_FEATURE_CLASSES = 20
_MAX_FEATURE_LABELS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """What to compare: a task and how its outputs read.

    Attributes:
      task: One of `TASKS`.
      from_logits: Whether outputs are logits; for `OF_CLASSES` alone.
      reason: Why the task is "unsupported".
    """

    task: Task
    from_logits: bool | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        _validate.one_of((*TASKS, "unsupported"), task=self.task)
        if self.task in OF_CLASSES and self.from_logits is None:
            raise ParameterError(f"from_logits is not set, and task={self.task!r} needs it. Set it to True or False.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signals:
    """What one head says of each record; all arrays have num_records rows.

    Attributes:
      usable: Whether output and label are finite and fit the task; elsewhere the other arrays hold nothing of meaning.
      loss: Minus the loss, in an order that does not saturate: the rescaled logit where there are probabilities.
      log_likelihood: log p of the label; minus half the squared residual for a regression, minus
        the loss for task "loss".
      modified_entropy: Of tasks with classes.
      lowest_tokens: Of sequences: mean log p of the worst fifth of the tokens.
      correct: Whether the label was predicted, for tasks with one class per record.
      classes: The label, for tasks with one class per record.
      features: float64 of shape (num_records, num_features), for attacks that learn.
    """

    usable: np.ndarray
    loss: np.ndarray
    log_likelihood: np.ndarray
    features: np.ndarray
    modified_entropy: np.ndarray | None = None
    lowest_tokens: np.ndarray | None = None
    correct: np.ndarray | None = None
    classes: np.ndarray | None = None


def infer_task(outputs: np.ndarray, labels: np.ndarray | None, *, labels_are_float: bool) -> tuple[Task, str]:
    """The task that outputs and labels of some records look like.

    Args:
      outputs: Of shape (num_records, ...).
      labels: Of shape (num_records, ...), or None where there is none.
      labels_are_float: Whether labels are numbers by their type, not indices.

    Returns:
      The task, and why it is "unsupported" (else "").
    """
    shape = f"outputs of shape {_shape(outputs)} with labels of shape {_shape(labels)}"
    if labels is None:
        return (
            ("loss", "")
            if _flat(outputs).shape[1] == 1
            else ("unsupported", f"{shape}: a loss is one number per record")
        )
    if outputs.ndim == 3 and labels.ndim == 2 and outputs.shape[1] == labels.shape[1]:
        return "sequence", ""
    outputs, labels = _flat(outputs), _flat(labels)
    # What is missing is unusable, record by record, and says nothing of the task.
    labels = labels[_finite(labels)]
    if not len(labels):
        return "unsupported", f"{shape}: no label is finite, so set task to one of {', '.join(TASKS)}"
    width, columns = outputs.shape[1], labels.shape[1]
    whole = bool(np.all(labels == np.floor(labels)))
    zero_one = bool(np.all(np.isin(labels, (0.0, 1.0))))
    if width == 1 and columns == 1:
        if zero_one:
            return "binary", ""
        if labels_are_float:
            return "regression", ""
        return (
            "unsupported",
            "labels are whole numbers other than 0 and 1, and there is one output: set task='regression'",
        )
    if columns == 1 and whole and labels.min(initial=0) >= 0 and labels.max(initial=0) < width:
        return ("binary" if width == 2 else "multiclass"), ""
    if columns == width and zero_one:
        one_hot = bool(np.all(labels.sum(axis=1) == 1))
        return ("multiclass" if one_hot else "multilabel"), ""
    if columns == width and labels_are_float:
        return "regression", ""
    return "unsupported", f"{shape} are no task that is known: set task to one of {', '.join(TASKS)}"


def infer_from_logits(task: Task, outputs: np.ndarray) -> bool | None:
    """Whether outputs of some records are logits: they are taken for probabilities if none contradicts it."""
    if task not in OF_CLASSES:
        return None
    finite = outputs[np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)]
    values = finite if task == "sequence" else _flat(finite)
    return not scores.looks_like_probabilities(values, distribution=task != "multilabel")


def has_other_labels(head: Head, outputs: np.ndarray, labels: np.ndarray) -> bool:
    """Whether some labels are numbers, and none of the task's; a missing or infinite one says nothing."""
    labels = _flat(labels)
    labels = labels[_finite(labels)]
    if head.task in ("binary", "multiclass"):
        classes = max(2, _flat(outputs).shape[1])
        if labels.shape[1] > 1:
            return not bool(np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1).all())
        return not bool(((labels == np.floor(labels)) & (labels >= 0) & (labels < classes)).all())
    return head.task == "multilabel" and not bool(np.isin(labels, (0.0, 1.0)).all())


def has_other_outputs(head: Head, outputs: np.ndarray) -> bool:
    """Whether some finite outputs are no probabilities, where they are taken for such."""
    if head.task not in OF_CLASSES or head.from_logits is not False:
        return False
    return not bool(_inside(_flat(outputs)[_finite(_flat(outputs))]).all())


def signals(head: Head, outputs: np.ndarray, labels: np.ndarray | None, mask: np.ndarray | None = None) -> Signals:
    """Reads outputs and labels as the head's task.

    Args:
      head: The task.
      outputs: Of shape (num_records, ...): one number or a distribution over classes per record
        ("sequence": per record and token).
      labels: Class indices of shape (num_records,), (num_records, 1) or one-hot; 0 or 1 per label; numbers; token
        indices of shape (num_records, num_tokens). None for task "loss".
      mask: Of shape (num_records, num_tokens), for sequences: which tokens count; without it those with a label >= 0.

    Returns:
      The signals.
    """
    if head.task == "unsupported":
        nothing = np.zeros(len(outputs))
        return Signals(
            usable=np.zeros(len(outputs), bool),
            loss=nothing,
            log_likelihood=nothing,
            features=np.zeros((len(outputs), 0)),
        )
    if head.task == "loss":
        return _of_loss(_flat(outputs)[:, 0])
    assert labels is not None
    if head.task == "regression":
        return _of_regression(_flat(outputs), _flat(labels))
    if head.task == "sequence":
        return _of_sequence(head, _without_rounding(outputs) if head.from_logits is False else outputs, labels, mask)
    if head.from_logits is False:
        outputs = _without_rounding(outputs)
    if head.task == "multilabel":
        return _of_labels(head, _flat(outputs), _flat(labels))
    return _of_class(head, _flat(outputs), _flat(labels))


def joint_loss(heads: list[Signals]) -> np.ndarray:
    """The score "loss" of all heads together: the sum of their log-likelihoods where there are several."""
    if len(heads) == 1:
        return heads[0].loss
    return np.asarray(np.sum([head.log_likelihood for head in heads], axis=0))


def _of_class(head: Head, outputs: np.ndarray, labels: np.ndarray) -> Signals:
    num_classes = max(2, outputs.shape[1])
    one_hot = labels.shape[1] == num_classes and labels.shape[1] > 1
    valid = _finite(outputs) & _finite(labels)
    if one_hot:
        valid &= np.isin(labels, (0.0, 1.0)).all(axis=1) & (labels.sum(axis=1) == 1)
        index = labels.argmax(axis=1)
    else:
        first = np.where(valid, labels[:, 0], 0.0)
        valid &= (labels.shape[1] == 1) & (first == np.floor(first)) & (first >= 0) & (first < num_classes)
        index = np.where(valid, first, 0.0).astype(np.int64)
    if not head.from_logits:
        valid &= _inside(outputs)
    rescaled = scores.rescaled_logits(np.where(valid[:, None], outputs, 0.5), from_logits=bool(head.from_logits))
    rows = np.arange(len(index))
    own = rescaled[rows, index]
    correct = rescaled.argmax(axis=1) == index
    entropy = scores.modified_entropy(rescaled, index)
    ordered = np.sort(rescaled, axis=1)[:, ::-1][:, :3]
    return Signals(
        usable=valid,
        loss=own,
        log_likelihood=scores.log_likelihoods(rescaled, index),
        modified_entropy=entropy,
        correct=correct,
        classes=index,
        features=np.column_stack([own, entropy, ordered, correct, _one_hot(index, num_classes)]),
    )


def _of_labels(head: Head, outputs: np.ndarray, labels: np.ndarray) -> Signals:
    valid = _finite(outputs) & _finite(labels) & np.isin(labels, (0.0, 1.0)).all(axis=1)
    valid &= outputs.shape[1] == labels.shape[1]
    if not head.from_logits:
        valid &= _inside(outputs)
    if outputs.shape[1] != labels.shape[1]:
        labels = np.zeros_like(outputs)
    logits = scores.rescaled_logits(
        np.where(valid[:, None], outputs, 0.5)[:, :, None], from_logits=bool(head.from_logits)
    )[:, :, 1]
    per_label = -np.logaddexp(0.0, np.where(labels > 0, -logits, logits))
    total = per_label.sum(axis=1)
    return Signals(
        usable=valid,
        loss=scores.rescaled_of_likelihood(total),
        log_likelihood=total,
        features=np.column_stack(
            [total, np.sort(per_label, axis=1)[:, :3], labels.sum(axis=1), per_label[:, :_MAX_FEATURE_LABELS]]
        ),
    )


def _of_regression(outputs: np.ndarray, labels: np.ndarray) -> Signals:
    valid = _finite(outputs) & _finite(labels)
    if outputs.shape[1] != labels.shape[1]:
        valid &= False
        labels = np.zeros_like(outputs)
    residual = np.where(valid[:, None], outputs - labels, 0.0)
    size = np.sqrt((residual**2).sum(axis=1))
    shown = slice(_MAX_FEATURE_LABELS)
    return Signals(
        usable=valid & np.isfinite(size),
        loss=-size,
        log_likelihood=-0.5 * size**2,
        features=np.column_stack(
            [
                -size,
                residual[:, shown],
                np.where(valid[:, None], outputs, 0.0)[:, shown],
                np.where(valid[:, None], labels, 0.0)[:, shown],
            ]
        ),
    )


def _of_sequence(head: Head, outputs: np.ndarray, labels: np.ndarray, mask: np.ndarray | None) -> Signals:
    size = len(outputs)
    if outputs.ndim != 3 or labels.shape != outputs.shape[:2] or (mask is not None and mask.shape != labels.shape):
        return _unusable(size, 4)
    counted = (labels >= 0) if mask is None else (mask > 0)
    known = np.isfinite(labels) & (labels == np.floor(labels)) & (labels >= 0) & (labels < outputs.shape[2])
    finite = np.isfinite(outputs).all(axis=2)
    if not head.from_logits:
        finite &= ((outputs >= 0.0) & (outputs <= 1.0)).all(axis=2)
    valid = np.all(~counted | (known & finite), axis=1) & counted.any(axis=1)
    index = np.where(counted & known, labels, 0).astype(np.int64)
    clean = np.where((counted & finite)[:, :, None], outputs, 1.0 / outputs.shape[2])
    rescaled = scores.rescaled_logits(clean, from_logits=bool(head.from_logits))
    tokens = -np.logaddexp(0.0, -np.take_along_axis(rescaled, index[:, :, None], 2)[:, :, 0])
    length = np.maximum(counted.sum(axis=1), 1)
    mean = np.where(counted, tokens, 0.0).sum(axis=1) / length
    lowest = _lowest_mean(np.where(counted, tokens, np.inf), length)
    deviation = np.sqrt(np.where(counted, (tokens - mean[:, None]) ** 2, 0.0).sum(axis=1) / length)
    return Signals(
        usable=valid,
        loss=scores.rescaled_of_likelihood(mean),
        log_likelihood=mean,
        lowest_tokens=lowest,
        features=np.column_stack([mean, lowest, deviation, length]),
    )


def _lowest_mean(tokens: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Mean of the lowest fifth (at least one) of each row's first `length` values in ascending order."""
    ordered = np.sort(tokens, axis=1)
    taken = np.maximum(1, np.ceil(_LOWEST_TOKENS * length - 1e-9)).astype(np.int64)
    inside = np.arange(ordered.shape[1])[None, :] < taken[:, None]
    return np.asarray(np.where(inside & np.isfinite(ordered), ordered, 0.0).sum(axis=1) / taken)


def _of_loss(values: np.ndarray) -> Signals:
    valid = np.isfinite(values)
    score = np.where(valid, -values, 0.0).astype(np.float64)
    return Signals(usable=valid, loss=score, log_likelihood=score, features=score[:, None])


def _unusable(size: int, width: int) -> Signals:
    nothing = np.zeros(size)
    return Signals(usable=np.zeros(size, bool), loss=nothing, log_likelihood=nothing, features=np.zeros((size, width)))


def _flat(values: np.ndarray) -> np.ndarray:
    # Not -1 for the width, which is unknown where there is no record.
    return np.asarray(values).reshape(len(values), int(np.prod(np.shape(values)[1:])))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(values).all(axis=1))


def _without_rounding(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities that are a rounding above 1 are 1; what is further off stays as it is."""
    with np.errstate(invalid="ignore"):
        above = (probabilities > 1.0) & (probabilities <= 1.0 + scores.ROUNDING)
    return np.where(above, 1.0, probabilities).astype(probabilities.dtype) if above.any() else probabilities


def _inside(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        inside = (probabilities >= 0.0) & (probabilities <= 1.0 + scores.ROUNDING)
    return np.asarray(inside.all(axis=1))


def _one_hot(index: np.ndarray, num_classes: int) -> np.ndarray:
    """Indicator columns, of a moderate number of classes; else nothing."""
    if num_classes > _MAX_FEATURE_CLASSES:
        return np.zeros((len(index), 0))
    return np.asarray(index[:, None] == np.arange(num_classes)[None, :], dtype=np.float64)


def _shape(values: np.ndarray | None) -> tuple[int, ...]:
    return () if values is None else tuple(values.shape[1:])
