"""Runs the saved model over serialized examples, inside Beam workers."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.utils import io_utils

from tfx_privacy.privacy.attack_run import ScoredRecords
from tfx_privacy.privacy.errors import DataError, ParameterError

_SALT = b"tfx-privacy evaluation"
_HASH_BYTES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelReader:
    """What a worker needs to score examples; plain values, so that it travels anywhere."""

    model_path: str
    signature_name: str
    output_key: str | None
    label_key: str
    slice_features: tuple[str, ...]
    transform_graph_path: str | None
    schema_path: str | None

    def raw_feature_spec(self) -> dict[str, Any]:
        """How the examples are parsed.

        Raises:
          ParameterError: If there is neither a transform graph nor a schema.
        """
        if self.transform_graph_path:
            return dict(tft.TFTransformOutput(self.transform_graph_path).raw_feature_spec())
        if self.schema_path:
            schema = io_utils.parse_pbtxt_file(self.schema_path, schema_pb2.Schema())
            return dict(schema_utils.schema_as_feature_spec(schema).feature_spec)
        raise ParameterError("Neither transform_graph nor schema is wired: the label cannot be read. Wire one of them.")

    def check(self) -> None:
        """Checks names against the schema before any record is read.

        Raises:
          ParameterError: If a feature or the label is unknown.
        """
        raw = self.raw_feature_spec()
        for name in self.slice_features:
            if name not in raw:
                raise ParameterError(f"Unknown slice feature {name!r}. The examples have: {', '.join(sorted(raw))}.")
        labelled = raw
        if self.transform_graph_path:
            labelled = tft.TFTransformOutput(self.transform_graph_path).transformed_feature_spec()
        if self.label_key not in labelled:
            raise ParameterError(f"Unknown label_key={self.label_key!r}. There are: {', '.join(sorted(labelled))}.")


class ScoreFn(beam.DoFn):
    """Scores batches of serialized examples; the model is loaded once per worker."""

    def __init__(self, reader: ModelReader) -> None:
        """Keeps what is needed to load the model."""
        self._reader = reader

    def setup(self) -> None:
        """Loads the model, the transform graph and the parsing specification."""
        self._model = tf.saved_model.load(self._reader.model_path)
        signatures = self._model.signatures
        if self._reader.signature_name not in signatures:
            raise ParameterError(
                f"Unknown signature_name={self._reader.signature_name!r}. The model has: {', '.join(sorted(signatures))}."
            )
        self._predict = signatures[self._reader.signature_name]
        self._raw_spec = self._reader.raw_feature_spec()
        self._transform = None
        if self._reader.transform_graph_path:
            self._transform = tft.TFTransformOutput(self._reader.transform_graph_path).transform_features_layer()

    def process(self, batch: Sequence[bytes]) -> Iterator[ScoredRecords]:
        """Yields the scored batch."""
        try:
            raw = tf.io.parse_example(tf.constant(list(batch)), self._raw_spec)
            outputs = self._predict(tf.constant(list(batch)))
            features = self._transform(dict(raw)) if self._transform else raw
        except tf.errors.InvalidArgumentError:
            # TensorFlow's own text quotes the record.
            raise DataError(
                f"A record does not fit signature {self._reader.signature_name!r} or the schema. PrivacyEvaluator takes the "
                "examples that the model serves, usually ExampleGen's."
            ) from None
        yield ScoredRecords(
            hashes=_hashes(batch),
            labels=_column(features[self._reader.label_key]),
            outputs=_output(outputs, self._reader.output_key, len(batch)),
            slices={name: _as_text(raw[name]) for name in self._reader.slice_features},
        )


def joined(batches: Iterable[ScoredRecords]) -> ScoredRecords:
    """All batches of one side as one.

    Raises:
      DataError: If there is none.
    """
    parts = list(batches)
    if not parts:
        raise DataError("A split holds no record.")
    return ScoredRecords(
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.outputs for part in parts]),
        {name: np.concatenate([part.slices[name] for part in parts]) for name in parts[0].slices},
    )


def _hashes(batch: Sequence[bytes]) -> np.ndarray:
    """Hashes of the records' contents: the bytes of two equal records differ, because maps are serialized in any order."""
    digests = np.empty(len(batch), dtype=object)
    for index, serialized in enumerate(batch):
        canonical = tf.train.Example.FromString(serialized).SerializeToString(deterministic=True)
        digests[index] = hashlib.blake2b(canonical, key=_SALT, digest_size=_HASH_BYTES).digest()
    return digests


def _output(outputs: dict[str, Any], key: str | None, size: int) -> np.ndarray:
    """One row of outputs per record."""
    if key is None and len(outputs) != 1:
        raise ParameterError(f"The signature has several outputs: {', '.join(sorted(outputs))}. Set output_key.")
    name = next(iter(outputs)) if key is None else key
    if name not in outputs:
        raise ParameterError(f"Unknown output_key={name!r}. The signature has: {', '.join(sorted(outputs))}.")
    values = outputs[name].numpy()
    if not len(values) == size:
        raise DataError(f"The model gives {len(values)} outputs for {size} records.")
    if values.ndim > 2:
        # No task that is attacked here has such outputs; an output without columns says so.
        return np.zeros((size, 0), np.float32)
    return values.reshape(size, -1).astype(np.float32)


def _column(feature: Any) -> np.ndarray:
    """A label as numbers; what cannot be one becomes NaN, which no task accepts."""
    dense = _dense(feature)
    if dense.dtype.kind not in "fiub":
        return np.full(len(dense), np.nan)
    return dense.astype(np.float64).reshape(len(dense), -1) if dense.ndim > 1 else dense.astype(np.float64)


def _as_text(feature: Any) -> np.ndarray:
    """A feature's (first) value of each record as text; "" where it is missing."""
    dense = _dense(feature)
    first = dense.reshape(len(dense), -1)
    texts = np.empty(len(dense), dtype=object)
    for index, row in enumerate(first):
        value = row[0] if len(row) else ""
        texts[index] = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return texts


def _dense(feature: Any) -> np.ndarray:
    if isinstance(feature, tf.SparseTensor):
        default = b"" if feature.dtype == tf.string else 0
        feature = tf.sparse.to_dense(feature, default_value=default)
    elif isinstance(feature, tf.RaggedTensor):
        feature = feature.to_tensor()
    return np.asarray(feature.numpy())
