"""Writes down which records were read, in a private file next to the model, so an evaluation can show that it attacks them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from tfx_privacy import training
from tfx_privacy.attacks import label_values, record_keys, trained_records
from tfx_privacy.attacks.record_keys import Padded
from tfx_privacy.attacks.trained_records import TrainedRecords
from tfx_privacy.components import _files, example_files
from tfx_privacy.components.dp_trainer import data, labels
from tfx_privacy.components.dp_trainer.request import Request
from tfx_privacy.errors import CheckpointError, DataError
from tfx_privacy.guarantee.record import FeatureKind
from tfx_privacy.training import without_values
from tfx_privacy.training.variable_length import of_value

_NOTE = "trained_records.sha256"
# Of a file without a specification, the records whose features are taken for those of all.
_SEEN_FIRST = 1000
_NUMBERS = (tf.float32, tf.float64, tf.int64, tf.int32, tf.bool)

Named = tuple[FeatureKind, str]
"""A feature: as it stands in the examples, or as the transform graph gives it; and its name."""


@dataclasses.dataclass(frozen=True)
class Read:
    """The records that a run trains on, by their keys.

    Attributes:
      features: Whose features keys are made of.
      key_features: Their names.
      keys: Of every record in the files of the training splits, uint64 of shape (num_records,).
      num_used: Records that training can draw.
      num_units: Privacy units among them.
      by_user: Whether the user's `input_fn` read the records.
      names: Of all features, as they stand in the examples and as the transform graph gives them, for `by_user` alone.
      columns: Of those that may be labels, one number for each record (`label_values.keys_of`).
    """

    features: FeatureKind
    key_features: list[str]
    keys: np.ndarray
    num_used: int
    num_units: int
    by_user: bool
    names: list[Named] = dataclasses.field(default_factory=list)
    columns: dict[Named, np.ndarray] = dataclasses.field(default_factory=dict)

    def bind(self, checkpoints: training.Checkpoints | None) -> None:
        """Ties the attempts at a run to the same records: those of an earlier attempt are in the weights that go on.

        Raises:
          CheckpointError: If an earlier attempt trained on other records.
        """
        if checkpoints is None:
            return
        fingerprint = hashlib.sha256(np.sort(self.keys).tobytes()).hexdigest()
        if not checkpoints.has_journal:
            checkpoints.write_note(_NOTE, fingerprint)
        elif checkpoints.read_note(_NOTE) != fingerprint:
            raise CheckpointError(
                "An earlier attempt in checkpoint_dir trained on other records, and its weights are resumed: no "
                "evaluation could attack all that the model was trained on. Resume with the same examples, or use "
                "another folder; what the earlier attempt spent stays spent."
            )

    def write(self, uri: str) -> str:
        """Writes the file next to a model; returns its digest.

        Args:
          uri: Of the model's artifact.
        """
        secret_key = trained_records.new_secret_key()
        record = TrainedRecords(
            secret_key=secret_key,
            features=self.features,
            key_features=self.key_features,
            num_read=len(self.keys),
            num_distinct=len(np.unique(self.keys)),
            num_used=self.num_used,
            num_units=self.num_units,
            reader="input_fn" if self.by_user else "default",
            sketch=trained_records.sketch_of(self.keys, secret_key),
        )
        _files.write_text(uri, trained_records.FILE_NAME, record.to_json())
        return record.file_digest


def read(request: Request, records: training.ColumnarDataset) -> Read:
    """Reads the training files once more, for the keys of all their records.

    Not of `records`: a module's `input_fn` may have changed them, and the model may take a few of the features only.

    Args:
      request: What the run was asked for.
      records: What was read to train on.

    Raises:
      DataError: If a record does not fit the features, or the default reader read another number of records.
    """
    files = example_files.files_of(request.fn_args.train_files)
    features, spec = _parsing(request, files)
    label_columns = _LabelColumns(request, features, spec)
    parts, num_labelled = [], 0
    for batch in data.batches(files, spec):
        parts.append(_keys(label_columns.seen(batch)))
        if request.input_fn is None:
            assert request.label_key is not None
            num_labelled += labels.count(batch[request.label_key])
    keys = np.concatenate(parts)
    if request.input_fn is None and len(records) != num_labelled:
        raise DataError(
            f"The training files held {len(records)} records with a label, and then {num_labelled}. Do not write to them "
            "while they are read."
        )
    return Read(
        features=features,
        key_features=sorted(spec),
        keys=keys,
        num_used=_num_used(request, records),
        num_units=records.num_units(request.privacy.privacy_unit),
        by_user=request.input_fn is not None,
        names=label_columns.names,
        columns=label_columns.columns(),
    )


class _LabelColumns:
    """What an `input_fn` may have taken its labels from: the dense numbers in the files, and what the graph makes of them."""

    def __init__(self, request: Request, features: FeatureKind, spec: dict[str, Any]) -> None:
        graph = request.fn_args.transform_graph_path
        self._features = features
        self._transform: Any = None
        self._parts: dict[Named, list[np.ndarray]] = {}
        self._is_needed = request.input_fn is not None
        self.names: list[Named] = [(features, name) for name in sorted(spec)] if self._is_needed else []
        if self._is_needed and graph and features == "examples":
            output = tft.TFTransformOutput(graph)
            self.names += [("transformed", name) for name in sorted(output.transformed_feature_spec())]
            self._transform = output.transform_features_layer()

    def seen(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Keeps what is needed of a batch; returns it as it is."""
        if self._is_needed:
            made: dict[FeatureKind, dict[str, Any]] = {self._features: batch}
            if self._transform is not None:
                made["transformed"] = data.reading(functools.partial(self._transform, dict(batch)), ())
            for kind, columns in made.items():
                for name, value in columns.items():
                    if isinstance(value, tf.Tensor) and value.dtype in _NUMBERS:
                        self._parts.setdefault((kind, name), []).append(label_values.keys_of(value.numpy()))
        return batch

    def columns(self) -> dict[Named, np.ndarray]:
        """By feature, one number for each record."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def _num_used(request: Request, records: training.ColumnarDataset) -> int:
    bound = request.privacy.max_records_per_user
    if bound is None or records.user_ids is None:
        return len(records)
    _, numbers = np.unique(records.user_ids.reshape(-1), return_counts=True)
    return int(np.minimum(numbers, bound).sum())


def _parsing(request: Request, files: Sequence[str]) -> tuple[FeatureKind, dict[str, Any]]:
    """Whose features the files hold, and how they are parsed.

    An `input_fn` may read examples that Transform wrote, or others to which it applies the graph itself: the first
    record tells.
    """
    fn_args = request.fn_args
    if not fn_args.transform_graph_path:
        spec = data.feature_spec(fn_args) if fn_args.schema_path else _spec_of(files)
        return "examples", _with_keys(spec)
    transformed = data.feature_spec(fn_args)
    if request.input_fn is None or _are_all_of(files, transformed):
        return "transformed", _with_keys(transformed)
    return "examples", _with_keys(tft.TFTransformOutput(fn_args.transform_graph_path).raw_feature_spec())


def _with_keys(spec: dict[str, Any]) -> dict[str, Any]:
    """Without features that are ragged in several axes, or sparse in several: `of_value` takes none."""
    return {
        name: feature
        for name, feature in spec.items()
        if not (isinstance(feature, tf.io.RaggedFeature) and feature.partitions)
        and not (isinstance(feature, tf.io.SparseFeature) and not isinstance(feature.index_key, str))
    }


def _are_all_of(files: Sequence[str], spec: dict[str, Any]) -> bool:
    """Whether the first record has nothing but features of this specification, and fits it."""
    first = _first(files, 1)
    present = {name for one in first for name in data.example(one).features.feature}
    if not present <= {name for key, feature in spec.items() for name in _stored_names(key, feature)}:
        return False
    try:
        with without_values.quiet():
            tf.io.parse_example(first, spec)
    except without_values.ERRORS:
        return False
    return True


def _first(files: Sequence[str], number: int) -> list[bytes]:
    """The first serialized records of files."""
    return data.reading(lambda: list(example_files.records_of(files).take(number).as_numpy_iterator()), files)


def _stored_names(key: str, feature: Any) -> set[str]:
    """Under which names a feature's parts are in an example."""
    if isinstance(feature, tf.io.SparseFeature):
        indices = [feature.index_key] if isinstance(feature.index_key, str) else feature.index_key
        return {feature.value_key, *indices}
    if isinstance(feature, tf.io.RaggedFeature):
        partitions = {each.key for each in feature.partitions if hasattr(each, "key")}
        return {feature.value_key or key, *partitions}
    return {key}


def _spec_of(files: Sequence[str]) -> dict[str, Any]:
    """How to parse files that nothing is known of: every feature that the first records have, of any length."""
    kinds = {"bytes_list": tf.string, "float_list": tf.float32, "int64_list": tf.int64}
    found: dict[str, Any] = {}
    for serialized in _first(files, _SEEN_FIRST):
        for name, feature in data.example(serialized).features.feature.items():
            kind = feature.WhichOneof("kind")
            if kind is not None:
                found.setdefault(name, tf.io.VarLenFeature(kinds[kind]))
    if not found:
        raise DataError("The training files hold no tf.Example with a feature. Give examples of that format.")
    return found


def _keys(batch: dict[str, Any]) -> np.ndarray:
    return record_keys.record_keys({name: _column(value) for name, value in batch.items()})


def _column(value: Any) -> np.ndarray | Padded:
    column = of_value(value)
    return column if isinstance(column, np.ndarray) else Padded(*column)
