"""A compiled loss as one number per record."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import tensorflow as tf

from tfx_privacy.guarantee.declarations import is_declared, name_of
from tfx_privacy.training import keras_api
from tfx_privacy.training.gradients import known_layers, separation

# Keras' own losses that give one value per record or position. Hinge and SquaredHinge are not among them: how they read
# labels depends on whether all of the batch are zeros and ones.
_POINTWISE = (
    "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError",
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalHinge", "Huber", "KLDivergence", "LogCosh", "Poisson", "CosineSimilarity",
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge", "huber", "kl_divergence", "log_cosh", "poisson", "cosine_similarity",
)  # fmt: skip
_OF_CLASS_NUMBERS = ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy")


class PerRecordLoss:
    """The compiled loss as one number per record, whatever it reduces: each record's loss is that of a batch of one.

    Of a model with several outputs it is the weighted sum of theirs, as in Keras' own `fit`.
    """

    def __init__(self, model: Any, num_records: int) -> None:
        """Args: the compiled model, and the records of a chunk."""
        self._model = model
        self._num_records = num_records

    def __call__(self, labels: Any, outputs: Any) -> Any:
        """Losses, float32 of shape (num_records,)."""
        heads = keras_api.heads(self._model, labels, outputs)
        return tf.add_n([head.weight * self._of_head(head.loss, head.labels, head.outputs) for head in heads])

    def _of_head(self, loss: Any, labels: Any, outputs: Any) -> Any:
        if _takes_batches(loss, labels, outputs):
            values = (getattr(loss, "call", None) or loss)(labels, outputs)
            if values.shape.rank and values.shape[0] == self._num_records:
                return tf.reduce_mean(tf.reshape(tf.cast(values, tf.float32), (self._num_records, -1)), axis=1)
        return self._one_by_one(loss, labels, outputs)

    def _one_by_one(self, loss: Any, labels: Any, outputs: Any) -> Any:
        def of_one(record: tuple[Any, Any]) -> Any:
            return tf.reshape(tf.cast(tf.reduce_mean(loss(*record)), tf.float32), (1,))

        return separation.mapped(of_one, (labels, outputs), self._num_records)


def is_known_loss(loss: Any) -> bool:
    """Whether a loss is one of Keras' own that give each record a loss of its own."""
    kind = _kind(loss)
    # Some of Keras' metrics have the names of losses.
    if not all(
        known_layers.is_genuine(each) and ".losses" in each.__module__ for each in (kind, getattr(loss, "fn", kind))
    ):
        return False
    if kind is not loss and known_layers.is_altered(loss):
        return False
    return kind.__name__ in (*_POINTWISE, *_OF_CLASS_NUMBERS)


def labels_taken(loss: Any) -> Literal["classes", "shares", "one_hot", "numbers"] | None:
    """What labels one of Keras' own losses is of: class numbers, numbers from 0 to 1, rows like the output, or any numbers.

    None where that is not known.
    """
    name = _kind(loss).__name__
    if not is_known_loss(loss):
        return None
    if takes_class_numbers(loss):
        return "classes"
    if name.lower().startswith("binary"):
        return "shares"
    return "one_hot" if name.lower().startswith("categorical") else "numbers"


def problem_of_shapes(loss: Any, labels: tuple[int, ...], outputs: tuple[int | None, ...]) -> str:
    """Why one of Keras' own losses takes no labels of this shape for such outputs; empty where it does, or nobody knows.

    Args:
      loss: As `compile` was given it.
      labels: The shape of a record's labels.
      outputs: The shape of a record's outputs, of at least one axis.
    """
    takes = labels_taken(loss)
    if not outputs or None in outputs or settings(loss).get("axis", -1) not in (-1, len(outputs)):
        return ""
    if takes == "one_hot" and labels != outputs:
        return (
            f"Its loss is of labels of the outputs' shape, {_shown(outputs)} for a record, and the labels have shape "
            f"{_shown(labels)}. For class numbers use sparse_categorical_crossentropy, or make them one-hot by tf.one_hot."
        )
    if takes == "classes" and labels not in (outputs[:-1], (*outputs[:-1], 1)):
        return (
            f"Its loss is of one class number for each {outputs[-1]} outputs, and the labels have shape {_shown(labels)} for "
            "a record. For one-hot labels use categorical_crossentropy."
        )
    return ""


def _shown(shape: tuple[int | None, ...]) -> str:
    return str(tuple(shape)) if shape else "()"


def settings(loss: Any) -> dict[str, Any]:
    """What a loss object was made with; nothing of a function."""
    return {} if inspect.isfunction(loss) else {**vars(loss), **getattr(loss, "_fn_kwargs", {})}


def takes_class_numbers(loss: Any) -> bool:
    """Whether a known loss is of labels that are class numbers."""
    return _kind(loss).__name__ in _OF_CLASS_NUMBERS


def reads_label(loss: Any, labels: Any, outputs: Any) -> bool:
    """Whether there is any way from the label to the loss in its graph; also true where no graph can be made.

    Args:
      loss: A function or an object of (labels, outputs).
      labels: A tensor like those that it gets.
      outputs: A tensor likewise.
    """

    def call(labels: Any, outputs: Any) -> Any:
        with keras_api.user_code():
            return loss(labels, outputs)

    try:
        graph = tf.function(call, autograph=False).get_concrete_function(labels, outputs).graph
    except Exception:  # noqa: BLE001 - whatever a user's loss does, one that may read the label counts as one that does
        return True
    reached: set[str] = set()
    waiting = [graph.inputs[0].op]
    while waiting:
        operation = waiting.pop()
        if operation.name not in reached:
            reached.add(operation.name)
            waiting += [user for output in operation.outputs for user in output.consumers()]
    # An operation with an effect may hand the label on unseen.
    has_effect = any(graph.get_operation_by_name(name).op_def.is_stateful for name in reached)
    return has_effect or any(output.op.name in reached for output in graph.outputs)


def declared_name(loss: Any) -> str | None:
    """How guarantees name a loss that was declared record-wise; None if it was not."""
    kind = _kind(loss)
    return name_of(kind) if is_declared(kind) else None


def declared_of(model: Any) -> set[str]:
    """How guarantees name the losses of a model that were declared record-wise."""
    return {name for loss in keras_api.compiled_losses(model) if (name := declared_name(loss)) is not None}


def _takes_batches(loss: Any, labels: Any, outputs: Any) -> bool:
    """Whether a loss may see a whole batch: it is known or declared to leave records apart, for such labels and outputs."""
    if keras_api.mask_of(outputs) is not None or getattr(loss, "reduction", None) == "sum":
        return False
    return declared_name(loss) is not None or (is_known_loss(loss) and _fits(loss, labels, outputs))


def _fits(loss: Any, labels: Any, outputs: Any) -> bool:
    """By ranks, because labels of shape (n, 1) and outputs of shape (n,) would be broadcast to all pairs."""
    given = settings(loss)
    rank, of_labels = outputs.shape.rank, tf.TensorShape(labels.shape).rank
    if rank is None or of_labels is None or rank < 2 or given.get("ignore_class") is not None:
        return False
    if not known_layers.keeps_first(given.get("axis", -1), rank):
        return False
    return of_labels == rank or (of_labels == rank - 1 and takes_class_numbers(loss))


def _kind(loss: Any) -> Any:
    """What a loss is by: its class, or a function itself."""
    return loss if inspect.isfunction(loss) else type(loss)
