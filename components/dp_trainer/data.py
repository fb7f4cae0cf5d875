"""Reads the training examples into memory, by the transform graph, by the schema, or by the user's `input_fn`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.utils import io_utils

from tfx_privacy.privacy.errors import DataError, ParameterError
from tfx_privacy.training import ColumnarDataset

_BATCH_SIZE = 1024


def read(
    fn_args: Any, label_key: str | None, input_fn: Callable[..., Any] | None, patterns: Sequence[str] | None = None
) -> ColumnarDataset:
    """Reads all training records, or those of other files.

    Args:
      fn_args: TFX's FnArgs.
      label_key: Name of the label; needed without `input_fn`.
      input_fn: The user's function of (file patterns, fn_args) to a batched dataset of (features, label).
      patterns: Of the files to read; `fn_args.train_files` by default.

    Returns:
      The records in memory.

    Raises:
      DataError: If there is no record, or a feature cannot be held as an array.
      ParameterError: If `label_key` is missing or unknown, or `input_fn` breaks its contract.
    """
    patterns = fn_args.train_files if patterns is None else patterns
    files = _files(patterns)
    if input_fn is not None:
        return _from_user(input_fn(patterns, fn_args), _count(files))
    columns = _parse(files, feature_spec(fn_args))
    if label_key is None:
        raise ParameterError(
            f"label_key is not set. Set it to one of: {', '.join(sorted(columns))}; or give an input_fn in the module."
        )
    if label_key not in columns:
        raise ParameterError(f"Unknown label_key={label_key!r}. The examples have: {', '.join(sorted(columns))}.")
    labels = columns.pop(label_key)
    return ColumnarDataset(columns, labels)


def feature_spec(fn_args: Any) -> dict[str, Any]:
    """How the training examples are parsed; only features of a fixed shape can be.

    Raises:
      ParameterError: If there is neither a transform graph nor a schema, or a feature has no fixed shape.
    """
    spec = any_feature_spec(fn_args)
    for name, feature in spec.items():
        if not isinstance(feature, tf.io.FixedLenFeature):
            raise ParameterError(
                f"Feature {name!r} is a {type(feature).__name__}, without a fixed shape. Make it dense in preprocessing_fn, "
                "or give an input_fn in the module."
            )
    return spec


def any_feature_spec(fn_args: Any) -> dict[str, Any]:
    """How the training examples would be parsed, with features of any kind.

    Raises:
      ParameterError: If there is neither a transform graph nor a schema.
    """
    if fn_args.transform_graph_path:
        return dict(tft.TFTransformOutput(fn_args.transform_graph_path).transformed_feature_spec())
    if fn_args.schema_path:
        return raw_feature_spec(fn_args.schema_path)
    raise ParameterError("Neither transform_graph nor schema is wired. Wire one, or give an input_fn in the module.")


def raw_feature_spec(schema_path: str) -> dict[str, Any]:
    """The parsing specification of a schema."""
    schema = io_utils.parse_pbtxt_file(schema_path, schema_pb2.Schema())
    return dict(schema_utils.schema_as_feature_spec(schema).feature_spec)


def _files(patterns: Iterable[str]) -> list[str]:
    files = [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]
    if not files:
        raise DataError("The splits hold no file.")
    return files


def _records(files: list[str]) -> Any:
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def _count(files: list[str]) -> int:
    return int(_records(files).reduce(np.int64(0), lambda total, _: total + 1))


def _parse(files: list[str], spec: dict[str, Any]) -> dict[str, np.ndarray]:
    batches = _records(files).batch(_BATCH_SIZE).map(lambda serialized: tf.io.parse_example(serialized, spec))
    try:
        parsed = list(batches.as_numpy_iterator())
    except tf.errors.InvalidArgumentError:
        # TensorFlow's own text quotes the record.
        raise DataError(
            f"A record does not fit the features {', '.join(sorted(spec))}: one is missing or of another shape. "
            "Check the schema, or fill missing values in preprocessing_fn."
        ) from None
    if not parsed:
        raise DataError("There is no record to train on. Check the training splits.")
    return {name: np.concatenate([batch[name] for batch in parsed]) for name in spec}


def _from_user(dataset: Any, num_records: int) -> ColumnarDataset:
    """Reads what `input_fn` returned, and checks that it is one finite pass.

    A pass that repeats records would let one of them enter a batch twice, and epsilon would not hold.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ParameterError(f"input_fn returned a {type(dataset).__name__}; expected a batched tf.data.Dataset.")
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ParameterError(
            "input_fn returned an endless dataset; expected one pass. Remove repeat(), or set num_epochs=1."
        )
    features: list[Any] = []
    labels: list[np.ndarray] = []
    total = 0
    for element in dataset.as_numpy_iterator():
        if not isinstance(element, tuple) or len(element) != 2:
            raise ParameterError("input_fn's dataset must give pairs of (features, label), in batches.")
        if np.ndim(element[1]) == 0:
            raise ParameterError("input_fn's dataset gives single records; expected batches. Add batch().")
        total += len(element[1])
        if total > num_records:
            raise ParameterError(
                f"input_fn gives more records than the {num_records} in its files; expected one pass without repetition. "
                "Remove repeat(), or set num_epochs=1."
            )
        features.append(element[0])
        labels.append(np.asarray(element[1]))
    if not labels:
        raise DataError("input_fn gave no record.")
    if isinstance(features[0], dict):
        joined: Any = {name: np.concatenate([batch[name] for batch in features]) for name in features[0]}
    elif isinstance(features[0], np.ndarray):
        joined = np.concatenate(features)
    else:
        raise ParameterError(f"input_fn's features are a {type(features[0]).__name__}; expected a dict or one tensor.")
    return ColumnarDataset(joined, np.concatenate(labels))
