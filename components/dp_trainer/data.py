"""Reads the training examples into memory, by the transform graph, by the schema, or by the user's `input_fn`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from google.protobuf import message
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.utils import io_utils

from tfx_privacy.components import example_files
from tfx_privacy.components.dp_trainer import labels
from tfx_privacy.errors import DataError, ParameterError, TFXPrivacyError
from tfx_privacy.training import ColumnarDataset, without_values
from tfx_privacy.training.variable_length import Column, Ragged, Sparse, joined, map_arrays, of_value

_Result = TypeVar("_Result")

_BATCH_SIZE = 1024
# A domain that goes further is nobody's count of classes or rows.
_NO_LIMIT = 2**31 - 1
# Of a made-up record's features of variable length, at most.
_MADE_UP_VALUES = 3


def read(
    fn_args: Any,
    label_key: str | None,
    input_fn: Callable[..., Any] | None,
    patterns: Sequence[str] | None = None,
    needed: Collection[str] | None = None,
) -> ColumnarDataset:
    """Reads all training records, or those of other files.

    Args:
      fn_args: TFX's FnArgs.
      label_key: Name of the label; needed without `input_fn`.
      input_fn: The user's function of (file patterns, fn_args) to a batched dataset of (features, label) or (features,
        label, weight).
      patterns: Of the files to read; `fn_args.train_files` by default.
      needed: Names of the features to read, besides the label; all by default.

    Returns:
      The records in memory.

    Raises:
      DataError: If there is no record, or a feature cannot be held as an array.
      ParameterError: If `label_key` is missing or unknown, or `input_fn` breaks its contract.
    """
    patterns = fn_args.train_files if patterns is None else patterns
    files = example_files.files_of(patterns)
    example_files.check_whole(files)
    if input_fn is not None:
        return _from_user(reading(lambda: input_fn(patterns, fn_args), files), files)
    spec, label_key = check_columns(fn_args, label_key, None)
    if needed is not None:
        spec = {name: feature for name, feature in spec.items() if name in needed or name == label_key}
    columns = _parse(files, spec)
    values, present = labels.of_column(label_key, columns.pop(label_key), labels.texts(fn_args, label_key))
    if present is not None:
        columns = map_arrays(lambda column: column[present], columns)
    return ColumnarDataset(columns, values)


def check_columns(fn_args: Any, label_key: str | None, user_id_key: str | None) -> tuple[dict[str, Any], str]:
    """Refuses names that the examples do not have; reads none of them.

    Returns:
      How the examples are parsed, and the label's name.

    Raises:
      ParameterError: If `label_key` is missing or unknown, or is text without a domain, `user_id_key` is unknown, or
        nothing says what the examples have.
    """
    spec = feature_spec(fn_args)
    if label_key is None:
        raise ParameterError(
            f"label_key is not set. Set it to one of: {', '.join(sorted(spec))}; or give an input_fn in the module."
        )
    for name, key in (("label_key", label_key), ("user_id_key", user_id_key)):
        if key is not None and key not in spec:
            raise ParameterError(f"Unknown {name}={key!r}. The examples have: {', '.join(sorted(spec))}.")
    labels.check_feature(fn_args, label_key, spec[label_key])
    return spec, label_key


def texts_of_classes(fn_args: Any, label_key: str | None) -> list[str] | None:
    """What the classes of a label that is text are called, in their order; None where it is none."""
    spec, label_key = check_columns(fn_args, label_key, None)
    return labels.texts(fn_args, label_key) if spec[label_key].dtype == tf.string else None


def names_classes_by_schema(fn_args: Any, spec: Mapping[str, Any], label_key: str) -> bool:
    """Whether the served model holds texts of the schema that is wired: what the classes of its label are called.

    Args:
      fn_args: TFX's FnArgs.
      spec: As `check_columns` gives it.
      label_key: Likewise.
    """
    return spec[label_key].dtype == tf.string and labels.texts_of_wired_schema(fn_args, label_key) is not None


def feature_spec(fn_args: Any) -> dict[str, Any]:
    """How the training examples are parsed: by the transform graph, or by the schema with its tensor representations.

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
    try:
        return dict(schema_utils.schema_as_feature_spec(schema).feature_spec)
    except ValueError as error:
        raise ParameterError(f"The schema in {schema_path} does not say how to parse the examples: {error}") from error


def made_up(fn_args: Any, label_key: str | None, input_fn: Callable[..., Any] | None) -> ColumnarDataset | None:
    """One record of zeros and empty texts, as `read` would give records, made without a look at any.

    Args:
      fn_args: TFX's FnArgs, without the records' files.
      label_key: As `read` takes it.
      input_fn: As `read` takes it. It is called for a file without a record, and only what its dataset says of its
        elements is used.

    Returns:
      The record; None where shapes or types are not known without records.
    """
    if input_fn is not None:
        return _made_up_by(input_fn, fn_args)
    spec, label_key = check_columns(fn_args, label_key, None)
    columns = {name: _blank(feature) for name, feature in spec.items() if name != label_key}
    of_label = spec[label_key]
    shape, dtype = getattr(of_label, "shape", [1]), of_label.dtype
    values = _zeros(shape, tf.int64 if dtype == tf.string else dtype)
    if any(column is None for column in columns.values()):
        return None
    return ColumnarDataset({name: column for name, column in columns.items() if column is not None}, values)


def declared(fn_args: Any, label_key: str | None) -> ColumnarDataset | None:
    """Records with the lowest and the highest value of every domain that the schema declares, in the place of zeros.

    A transform graph's domain begins at -1 where a vocabulary has no place for what is not in it, whether there is any or
    not; so of these only the highest values count.

    Args:
      fn_args: TFX's FnArgs, without the records' files.
      label_key: As `read` takes it without an `input_fn`.

    Returns:
      Two records; None where nothing is declared, or shapes are not known.
    """
    blank = made_up(fn_args, label_key, None)
    schema = labels.schemas(fn_args)[0]
    bounds = {feature.name: found for feature in schema.feature if (found := _bounds(feature)) is not None}
    texts = labels.texts(fn_args, label_key) if label_key else None
    if texts and label_key:
        bounds[label_key] = 0, len(texts) - 1
    if blank is None or not bounds or not isinstance(blank.features, dict):
        return None

    def ends(name: str | None, column: np.ndarray) -> np.ndarray:
        both = np.repeat(column, 2, axis=0)
        if name in bounds and both.dtype.kind in "iuf":
            low, high = bounds[name]
            both[0], both[1] = max(low, 0) if fn_args.transform_graph_path else low, high
        return both

    def of_feature(name: str, column: Column) -> Column:
        if isinstance(column, np.ndarray):
            return ends(name, column)
        return type(column)(ends(name, column[0]), *(np.repeat(part, 2, axis=0) for part in column[1:]))

    features = {name: of_feature(name, column) for name, column in blank.features.items()}
    return ColumnarDataset(features, ends(label_key, blank.labels))


def _bounds(feature: Any) -> tuple[float, float] | None:
    """The domain that a schema declares for a feature's numbers; None without one, or where it is no limit in earnest."""
    kind = feature.WhichOneof("domain_info")
    if kind not in ("int_domain", "float_domain"):
        return None
    domain = getattr(feature, kind)
    if not (domain.HasField("min") and domain.HasField("max")) or not -_NO_LIMIT < domain.min <= domain.max < _NO_LIMIT:
        return None
    return domain.min, domain.max


def _made_up_by(input_fn: Callable[..., Any], fn_args: Any) -> ColumnarDataset | None:
    try:
        with tempfile.TemporaryDirectory() as folder:
            empty = os.path.join(folder, "none.gz")
            tf.io.TFRecordWriter(empty, "GZIP").close()
            element = input_fn([empty], fn_args).element_spec
        return ColumnarDataset(*(tf.nest.map_structure(_blank_row, part) for part in element[:2]))
    except Exception as error:  # noqa: BLE001 - with real files it may work; then the model is looked at when they are read
        logging.info("DPTrainer: input_fn does not tell without records what it gives (%s)", type(error).__name__)
        return None


def _blank_row(spec: Any) -> np.ndarray:
    if not isinstance(spec, tf.TensorSpec):
        raise DataError("It is of variable length.")
    return _zeros(spec.shape.as_list()[1:], spec.dtype)


def _blank(feature: Any) -> Column | None:
    if isinstance(feature, tf.io.FixedLenFeature):
        return _zeros(feature.shape, feature.dtype)
    values, lengths = _zeros([_MADE_UP_VALUES], feature.dtype), np.ones(1, np.int64)
    if isinstance(feature, tf.io.VarLenFeature):
        return Sparse(values, lengths, np.arange(_MADE_UP_VALUES)[np.newaxis])
    if isinstance(feature, tf.io.RaggedFeature) and not feature.partitions:
        return Ragged(values, lengths)
    return None


def _zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    if dtype == tf.string:
        return np.full((1, *shape), b"", object)
    return np.zeros((1, *shape), dtype.as_numpy_dtype)


def _count(files: Sequence[str]) -> int:
    return reading(lambda: int(example_files.records_of(files).reduce(np.int64(0), lambda total, _: total + 1)), files)


def reading(function: Callable[[], _Result], files: Sequence[str]) -> _Result:
    """Calls what reads records; the text of TensorFlow's errors, and of a user's input_fn, may quote them.

    Args:
      function: Of no arguments.
      files: That it reads.

    Raises:
      DataError: If it cannot; the message names the file where that is at fault.
    """
    try:
        with without_values.quiet():
            return function()
    except TFXPrivacyError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it may quote a record
        failed = (
            f"The records could not be read or parsed ({without_values.described(error)}; the text is left out, because it "
            "may quote them). Check what input_fn, the schema or the transform graph expects of a record."
        )
    # Outside of the handler, so that no error is chained to one that quotes records.
    example_files.require_readable(files)
    raise DataError(failed)


def batches(files: Sequence[str], spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of files as parsed tensors, batch by batch.

    Raises:
      DataError: If a record does not fit, or there is none.
    """
    any_record = False
    for serialized in _batches_of(example_files.records_of(files).batch(_BATCH_SIZE), files):
        any_record = True
        yield _parsed(serialized, spec)
    if not any_record:
        raise DataError("There is no record to train on. Check the training splits.")


def _parsed(serialized: Any, spec: dict[str, Any]) -> dict[str, Any]:
    _require_examples(serialized)
    try:
        with without_values.quiet():
            return dict(tf.io.parse_example(serialized, spec))
    except without_values.ERRORS:
        failed = (
            f"A record does not fit the features {', '.join(sorted(spec))}: one is missing or of another shape. "
            "Check the schema, or fill missing values in preprocessing_fn."
        )
    # Outside of the handler: TensorFlow's own text quotes the record, and would be the error's context.
    raise DataError(failed)


def example(serialized: bytes) -> Any:
    """A serialized record as a tf.Example.

    Raises:
      DataError: If it is none.
    """
    try:
        return tf.train.Example.FromString(serialized)
    except message.DecodeError:
        raise DataError("A record is no tf.Example. Give examples of that format.") from None


def _require_examples(serialized: Any) -> None:
    """A tf.SequenceExample parses as an Example, and loses its sequences.

    Raises:
      DataError: If the first record of a batch is one.
    """
    try:
        sequences = tf.train.SequenceExample.FromString(serialized[0].numpy()).feature_lists.feature_list
    except message.DecodeError:
        return
    if sequences:
        raise DataError(
            "The files hold tf.SequenceExamples, whose sequences would not be read. Write tf.Examples, with sequences as "
            "features of variable length."
        )


def _batches_of(dataset: Any, files: Sequence[str]) -> Iterator[Any]:
    """The elements of a dataset that reads files."""
    iterator, end = reading(lambda: iter(dataset), files), object()
    while (element := reading(lambda: next(iterator, end), files)) is not end:
        yield element


def _parse(files: list[str], spec: dict[str, Any]) -> dict[str, Column]:
    parsed = [{name: of_value(batch[name]) for name in spec} for batch in batches(files, spec)]
    return {name: joined([batch[name] for batch in parsed]) for name in spec}


def _from_user(dataset: Any, files: Sequence[str]) -> ColumnarDataset:
    """Reads what `input_fn` returned, and checks that it is one finite pass.

    A pass that repeats records would let one of them enter a batch twice, and epsilon would not hold.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ParameterError(f"input_fn returned a {type(dataset).__name__}; expected a batched tf.data.Dataset.")
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ParameterError(
            "input_fn returned an endless dataset; expected one pass. Remove repeat(), or set num_epochs=1."
        )
    parts: list[tuple[Any, ...]] = []
    total, num_records = 0, _count(files)
    for element in _batches_of(dataset, files):
        if not isinstance(element, tuple) or len(element) not in (2, 3):
            raise ParameterError(
                "input_fn's dataset must give pairs of (features, label), or (features, label, weight), in batches."
            )
        part = tuple(_map_values(of_value, each) for each in element)
        total += _batch_size(part[1])
        if total > num_records:
            raise ParameterError(
                f"input_fn gives more records than the {num_records} in its files; expected one pass without "
                "repetition. Remove repeat(), or set num_epochs=1."
            )
        parts.append(part)
    if not parts:
        raise DataError("input_fn gave no record.")
    features, of_outputs, *weights = (
        _joined(name, list(each)) for name, each in zip(_ELEMENT, zip(*parts, strict=True), strict=False)
    )
    if weights and isinstance(weights[0], dict):
        raise ParameterError(
            "input_fn's weights are a dict; expected one weight a record. Set loss_weights in compile instead."
        )
    return ColumnarDataset(features, of_outputs, weights=weights[0] if weights else None)


_ELEMENT = ("features", "labels", "weights")


def _map_values(function: Callable[[Any], Any], values: Any) -> Any:
    """Applies a function to each value of a dict, or to a value by itself; other structures stay as they are."""
    if isinstance(values, dict):
        return {name: function(value) for name, value in values.items()}
    return values if isinstance(values, tuple | list) and not hasattr(values, "_fields") else function(values)


def _batch_size(given: Any) -> int:
    first: Any = next(iter(given.values()), None) if isinstance(given, dict) else given
    if first is None:
        raise ParameterError(
            "input_fn's labels are an empty dict; expected labels by the names of the model's outputs."
        )
    if isinstance(first, np.ndarray) and first.ndim == 0:
        raise ParameterError("input_fn's dataset gives single records; expected batches. Add batch().")
    return len(first[0]) if isinstance(first, Ragged | Sparse) else len(first)


def _joined(name: str, parts: list[Any]) -> Any:
    """One part of `input_fn`'s elements, of all batches."""
    first = parts[0]
    if isinstance(first, dict):
        found: Any = {key: joined([part[key] for part in parts]) for key in first}
    elif isinstance(first, np.ndarray):
        found = joined(parts)
    else:
        raise ParameterError(
            f"input_fn's {name} are a {type(first).__name__}; expected a dict by name or one dense tensor. Name them "
            f"as the model's {'outputs' if name == 'labels' else 'inputs'} are named."
        )
    of_variable_length = (
        [key for key, column in found.items() if not isinstance(column, np.ndarray)] if isinstance(found, dict) else []
    )
    if name != "features" and of_variable_length:
        raise ParameterError(f"input_fn's {name} {of_variable_length[0]!r} are sparse or ragged; expected dense ones.")
    return found
