"""Looks at records before the first step: labels that the loss cannot take, and ids that a table has no row for.

TensorFlow finds them in the step that draws such a record, after hours perhaps, and its error quotes all labels of the batch.
What is raised here quotes none and counts none.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.errors import DataError, ParameterError, TFXPrivacyError
from tfx_privacy.training import keras_api, state, without_values
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import losses

_LOG = logging.getLogger(__name__)
_CHUNK = 1024


def check(model: Any, data: ColumnarDataset) -> None:
    """Checks the values of labels and ids.

    Args:
      model: A compiled model that `validation` accepts.
      data: The records, with the features that the model takes.

    Raises:
      DataError: If a label is none that its loss takes, or an id is outside of a layer's table.
    """
    _check_labels(model, data)
    _check_ids(model, data)


def check_declared(model: Any, made_up: ColumnarDataset, declared: ColumnarDataset) -> None:
    """Checks, without a record, the values that a schema says records may have.

    Args:
      model: As `check` takes it.
      made_up: A record of zeros and empty texts.
      declared: Records with the ends of the schema's domains in the place of zeros.

    Raises:
      ParameterError: As `check`, where zeros are no problem.
    """
    for one in (_check_labels, _check_ids):
        # A layer may shift ids: nobody says that zero occurs.
        with contextlib.suppress(DataError):
            one(model, made_up)
            _of_schema(one, model, declared)


def _of_schema(check_one: Callable[[Any, ColumnarDataset], None], model: Any, declared: ColumnarDataset) -> None:
    try:
        check_one(model, declared)
    except DataError as error:
        problem = str(error)
    else:
        return
    raise ParameterError(
        f"By the domains in the schema: {problem} Or narrow the domain, if no record has such a value."
    )


def _check_labels(model: Any, data: ColumnarDataset) -> None:
    """Checks the labels of every output with one of Keras' own losses; what others take is not known.

    Their shapes are `validation`'s to check, which needs no record. Records of weight 0 need no label that means anything,
    but one that the loss can be computed for.

    Raises:
      DataError: If a label is none that its loss takes.
    """
    made = data.synthetic(2)
    features = tf.nest.map_structure(tf.constant, made.features)
    with keras_api.user_code():
        outputs = keras_api.called(model, features, training=False)
    counts = None if data.weights is None else data.weights > 0
    for head in keras_api.heads(model, data.labels, outputs):
        problem = _problem(head, counts)
        if problem:
            raise DataError(f"{problem}{f' This is about output {head.name!r}.' if head.name else ''}")


def _problem(head: keras_api.Head, counts: np.ndarray | None) -> str:
    takes = losses.labels_taken(head.loss)
    labels, shape = np.asarray(head.labels), tuple(head.outputs.shape)
    if takes is None or len(shape) < 2:
        return ""
    if takes == "classes":
        return _problem_of_classes(labels, shape, losses.settings(head.loss))
    used = labels if counts is None else labels[counts]
    if takes == "shares" and not np.all((used >= 0) & (used <= 1)):
        return (
            "A label is not between 0 and 1, and the loss is a binary cross-entropy. Make labels 0 and 1 in "
            "preprocessing_fn or input_fn; for more than two classes use sparse_categorical_crossentropy."
        )
    if not np.all(np.isfinite(used)):
        return "A label is NaN or infinite. Fill in what is missing, or drop such records, in preprocessing_fn or input_fn."
    return ""


def _problem_of_classes(labels: np.ndarray, shape: tuple[int, ...], settings: dict[str, Any]) -> str:
    if settings.get("axis", -1) not in (-1, len(shape) - 1) or shape[-1] is None:
        return ""
    classes = int(shape[-1])
    known = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if settings.get("ignore_class") is not None:
        known |= labels == settings["ignore_class"]
    if np.all(known):
        return ""
    return (
        f"A label is none of the classes 0 to {classes - 1} that the model's output has. Count classes from 0, in "
        "preprocessing_fn or input_fn, or give the output one value for each class."
    )


def _check_ids(model: Any, data: ColumnarDataset) -> None:
    """Calls the model on all records as far as ids need it: TensorFlow leaves out of a graph what no result needs."""
    tables = [layer for layer in keras_api.layers(model) if keras_api.is_exactly(layer, "Embedding")]
    if not tables:
        return
    run = tf.function(functools.partial(_ids_within, model, tables), autograph=False)
    for first in range(0, len(data), _CHUNK):
        indices = np.arange(first, first + _CHUNK)
        # The last chunk is filled up with the first record, so one trace serves all.
        features, _ = data.take(np.where(indices < len(data), indices, 0))
        try:
            within = without_values.call(
                functools.partial(run, tf.nest.map_structure(tf.constant, features)), "A look at the records"
            )
        except TFXPrivacyError:
            raise
        except Exception as error:  # noqa: BLE001 - a layer in a loop of the user's, for instance; the steps will tell
            _LOG.info("Ids are not looked at before the first step (%s).", type(error).__name__)
            return
        for layer, inside in zip(tables, within, strict=True):
            if not bool(inside):
                raise DataError(
                    f"An id that layer {layer.name!r} (Embedding) gets is not in 0 to {layer.input_dim - 1}, the rows of its "
                    "table. Set input_dim to the largest id + 1, or map other ids to one row, e.g. by IntegerLookup, "
                    "StringLookup or compute_and_apply_vocabulary(num_oov_buckets=1)."
                )


def _ids_within(model: Any, tables: list[Any], features: Any) -> list[Any]:
    """For each table, whether all ids that it gets have a row; they are brought into it, so that nothing fails."""
    found: dict[int, list[Any]] = {id(layer): [] for layer in tables}
    with contextlib.ExitStack() as stack:
        for layer in tables:
            stack.enter_context(keras_api.replaced(layer, "call", _noting(layer, found[id(layer)])))
        stack.enter_context(state.nothing_kept(model))
        stack.enter_context(keras_api.user_code())
        keras_api.called(model, features, training=False)
    return [tf.reduce_all(tf.stack(within)) if within else tf.constant(True) for within in found.values()]


def _noting(layer: Any, within: list[Any]) -> Callable[[Any], Any]:
    call, rows = layer.call, layer.input_dim

    @tf.autograph.experimental.do_not_convert
    def noting(inputs: Any) -> Any:
        def noted(ids: Any) -> Any:
            ids = tf.cast(ids, tf.int64)
            within.append(tf.reduce_all((ids >= 0) & (ids < rows)))
            return tf.clip_by_value(ids, 0, rows - 1)

        return call(_mapped(noted, inputs))

    return keras_api.ours(noting)


def _mapped(function: Callable[[Any], Any], ids: Any) -> Any:
    if isinstance(ids, tf.RaggedTensor):
        return ids.with_flat_values(function(ids.flat_values))
    if isinstance(ids, tf.SparseTensor):
        return ids.with_values(function(ids.values))
    return function(ids)
