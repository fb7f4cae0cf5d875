"""The label that DPTrainer's own reader takes from a feature: numbers, or texts by the schema's string domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.utils import io_utils

from tfx_privacy.components import text_labels
from tfx_privacy.errors import DataError, ParameterError
from tfx_privacy.training.variable_length import Column, of_value


def schemas(fn_args: Any) -> list[schema_pb2.Schema]:
    """What is known of the features that the examples hold: by the transform graph, then by the schema that is wired."""
    return [*_of_graph(fn_args), *_wired(fn_args)]


def _of_graph(fn_args: Any) -> list[schema_pb2.Schema]:
    if not fn_args.transform_graph_path:
        return []
    return [tft.TFTransformOutput(fn_args.transform_graph_path).transformed_metadata.schema]


def _wired(fn_args: Any) -> list[schema_pb2.Schema]:
    return [io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())] if fn_args.schema_path else []


def check_feature(fn_args: Any, label_key: str, feature: Any) -> None:
    """Refuses, without a record, a label that could not become numbers.

    Args:
      fn_args: TFX's FnArgs.
      label_key: Its name.
      feature: How it is parsed.

    Raises:
      ParameterError: If it is text without a string domain, or of another kind than dense, or at most one value a record.
    """
    if isinstance(feature, tf.io.SparseFeature) or (isinstance(feature, tf.io.RaggedFeature) and feature.partitions):
        raise ParameterError(
            f"The label {label_key!r} is parsed as a {type(feature).__name__}. Make it dense in preprocessing_fn or input_fn."
        )
    if feature.dtype == tf.string and texts(fn_args, label_key) is None:
        raise ParameterError(
            f"The label {label_key!r} is text, and no schema says which class each text is. Give the feature a string_domain "
            "in the schema, whose values are the classes in their order (SchemaGen infers one; order it in an imported "
            "schema), or encode it in preprocessing_fn, e.g. by tft.compute_and_apply_vocabulary."
        )


def texts(fn_args: Any, label_key: str) -> list[str] | None:
    """The texts of a label's string domain, in the order of the classes; None where there is no domain."""
    return _first(schemas(fn_args), label_key)


def texts_of_wired_schema(fn_args: Any, label_key: str) -> list[str] | None:
    """The same where they come from the schema that is wired; None where the transform graph itself has them."""
    return None if _first(_of_graph(fn_args), label_key) else _first(_wired(fn_args), label_key)


def _first(found: Sequence[schema_pb2.Schema], label_key: str) -> list[str] | None:
    of_each = (text_labels.texts_of(schema, label_key) for schema in found)
    return next((each for each in of_each if each), None)


def of_column(label_key: str, column: Column, classes: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels of what was read.

    Args:
      label_key: The label's name.
      column: Of all records.
      classes: The texts that numbers stand for, where labels are texts.

    Returns:
      Labels of the records that have one, and which these are, bool of shape (num_records,); None where all have.

    Raises:
      DataError: If a record has several labels where one is expected, no record has any, or a text is unknown.
    """
    values, present = (column, None) if isinstance(column, np.ndarray) else _of_variable_length(label_key, column)
    if classes is None or values.dtype.kind in "fiub":
        return values, present
    numbers = text_labels.as_numbers(values, classes)
    if np.any(numbers < 0):
        raise DataError(
            f"A label {label_key!r} is none of the {len(classes)} values of its string domain. Correct the schema's domain, or "
            "the label in preprocessing_fn."
        )
    return numbers, present


def count(label: Any) -> int:
    """How many records of a parsed batch have a label."""
    column = of_value(label)
    return len(column) if isinstance(column, np.ndarray) else int(np.sum(column.lengths > 0))


def _of_variable_length(label_key: str, column: Any) -> tuple[np.ndarray, np.ndarray | None]:
    if np.any(column.lengths > 1):
        raise DataError(
            f"The label {label_key!r} has several values in a record. Make it dense in preprocessing_fn or input_fn."
        )
    present = column.lengths == 1
    if np.all(present):
        return column.values[:, :1], None
    if not np.any(present):
        raise DataError(f"No record has a label {label_key!r}. Check label_key, and the training splits.")
    logging.warning(
        "DPTrainer: records without a label %r are left out of training, and attacked as if they had been trained on. "
        "BudgetValidator refuses the model for them, unless population is declared and they are 1 %% at most: drop them "
        "upstream, or fill in the label.",
        label_key,
    )
    return column.values[present, :1], present
