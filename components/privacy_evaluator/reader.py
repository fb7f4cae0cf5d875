"""Reads serialized examples and asks the saved model about them; used in Beam workers, and once before them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.utils import io_utils

from tfx_privacy import compat
from tfx_privacy.attacks import record_keys
from tfx_privacy.attacks.membership.slice_values import SliceColumn
from tfx_privacy.attacks.record_keys import Padded
from tfx_privacy.components import serving, text_labels
from tfx_privacy.components.privacy_evaluator import answers, grouping, slicing
from tfx_privacy.components.privacy_evaluator import columns as columns_of
from tfx_privacy.components.privacy_evaluator.equality import RecordHashes
from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec, SliceSpec
from tfx_privacy.errors import DataError, ModelError, ParameterError
from tfx_privacy.guarantee.record import FeatureKind
from tfx_privacy.training import without_values
from tfx_privacy.training.variable_length import of_value

BATCH_SIZE = 1024
_OUTPUT, _KEY = "output/", "key/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelReader:
    """What a worker needs to score examples; plain values, so it travels anywhere."""

    model_path: str
    model_digest: str
    signature_name: str
    heads: tuple[HeadSpec, ...]
    slices: tuple[SliceSpec, ...]
    transform_graph_path: str | None
    schema_path: str | None
    record_id_key: str | None = None
    group_key: str | None = None
    fused: bool = False
    """Ask the model's signature `from_features`, in one graph with the parsing of the label: a half of the cost."""
    key_features: tuple[str, ...] = ()
    """Features that the trainer made record keys of; none where it left no file of them."""
    keys_of_transformed: bool = False
    """Whether these are what the transform graph gives."""

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

    def label_spec(self) -> dict[str, Any]:
        """The features that labels are among: the transformed ones where there is a transform graph."""
        if self.transform_graph_path:
            return dict(tft.TFTransformOutput(self.transform_graph_path).transformed_feature_spec())
        return self.raw_feature_spec()

    def label_texts(self, name: str) -> list[str] | None:
        """What the classes of a label that is text are called, in their order: by the transform graph, or by the schema."""
        schemas = []
        if self.transform_graph_path:
            schemas.append(tft.TFTransformOutput(self.transform_graph_path).transformed_metadata.schema)
        if self.schema_path:
            schemas.append(io_utils.parse_pbtxt_file(self.schema_path, schema_pb2.Schema()))
        return next(filter(None, (text_labels.texts_of(schema, name) for schema in schemas)), None)

    @property
    def label_features(self) -> FeatureKind:
        """What `label_spec` is of."""
        return "transformed" if self.transform_graph_path else "examples"

    def check(self) -> None:
        """Checks names against the schema before any record is read.

        Raises:
          ParameterError: If a feature or a label is unknown.
        """
        labelled = self.label_spec()
        keyed = self.label_spec() if self.keys_of_transformed else self.raw_feature_spec()
        unknown = sorted(set(self.key_features) - set(keyed))
        if unknown or (self.keys_of_transformed and not self.transform_graph_path):
            raise ParameterError(
                f"The model was trained on records with feature {(unknown or sorted(self.key_features))[0]!r}, which the "
                "examples do not give, so it cannot be told whether they were trained on. Wire the schema or the "
                "transform_graph that DPTrainer had."
            )
        wanted = [name for spec in self.slices for name in spec.features]
        self.check_features([*wanted, *([self.record_id_key] if self.record_id_key else [])])
        if self.group_key:
            grouping.check_key(self.group_key, self.raw_feature_spec())
        for label in [label for head in self.heads for label in (head.label_key, head.mask_key)]:
            if label and label not in labelled:
                raise ParameterError(f"Unknown label_key={label!r}. There are: {', '.join(sorted(labelled))}.")

    def check_features(self, names: Sequence[str]) -> None:
        """Checks that the examples have raw features of these names.

        Raises:
          ParameterError: If one is unknown.
        """
        raw = self.raw_feature_spec()
        for name in names:
            if name not in raw:
                raise ParameterError(f"Unknown feature {name!r}. The examples have: {', '.join(sorted(raw))}.")


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some records, as the attacks need them.

    Attributes:
      hashes: uint64 of shape (num_records,).
      outputs: Of the model by name, one row per record.
      labels: By head, float64 of shape (num_records, ...), or None.
      masks: By head, or None.
      slices: By the specification's name.
      groups: Salted hash of the group that each record belongs to, uint64 of shape (num_records,); None without groups.
      keys: By which the trainer's records are found again, uint64 of shape (num_records,); None where it left none.
    """

    hashes: np.ndarray
    outputs: dict[str, np.ndarray]
    labels: list[np.ndarray | None]
    masks: list[np.ndarray | None]
    slices: dict[str, SliceColumn]
    groups: np.ndarray | None = None
    keys: np.ndarray | None = None


@functools.lru_cache(maxsize=2)
def load(reader: ModelReader) -> LoadedReader:
    """The loaded model, once per process."""
    return LoadedReader(reader)


class LoadedReader:
    """A `ModelReader` at work."""

    def __init__(self, reader: ModelReader) -> None:
        """Loads the model and the transform graph.

        Raises:
          ParameterError: If the model has no such signature, or several MetaGraphs and none to serve.
        """
        self.reader = reader
        try:
            graphs = compat.parse_saved_model(reader.model_path).meta_graphs
        except OSError:
            raise DataError(
                f"There is no SavedModel in {reader.model_path!r}. Give the model artifact as its trainer wrote it, with "
                "its properties: they say in which folder of it the SavedModel is."
            ) from None
        self.tags = answers.served_tags([sorted(graph.meta_info_def.tags) for graph in graphs])
        # A function of TensorFlow 1 does not say which variables it reads.
        self._says_variables = len(graphs) == 1 and graphs[0].HasField("object_graph_def")
        self._model = tf.saved_model.load(reader.model_path, tags=self.tags)
        signatures = self._model.signatures
        if reader.signature_name not in signatures:
            raise ParameterError(
                f"Unknown signature_name={reader.signature_name!r}. The model has: {', '.join(sorted(signatures))}."
            )
        self._signature = signatures[reader.signature_name]
        _require_records(reader.signature_name, signatures)
        self._raw_spec = reader.raw_feature_spec()
        self._hashes = RecordHashes(self._raw_spec)
        self._transform = None
        if reader.transform_graph_path:
            self._transform = tft.TFTransformOutput(reader.transform_graph_path).transform_features_layer()
        self._label_keys = [name for head in reader.heads for name in (head.label_key, head.mask_key) if name]
        spec = reader.label_spec() if self._label_keys else {}
        self.label_texts = {
            name: texts
            for name in self._label_keys
            if spec[name].dtype == tf.string and (texts := reader.label_texts(name))
        }
        # Converting the transform graph's Python for each trace would take longer than scoring a
        # hundred thousand records.
        on_records = {"input_signature": [tf.TensorSpec([None], tf.string)], "autograph": False}
        self._parse = tf.function(self._columns, **on_records)
        self.transformed = tf.function(self._all_transformed, **on_records)

    @property
    def signatures(self) -> Mapping[str, Any]:
        """All signatures of the model."""
        return dict(self._model.signatures)

    @property
    def output_names(self) -> list[str]:
        """The outputs of the signature that is attacked."""
        return sorted(self._signature.structured_outputs)

    def predict(self, records: Any) -> dict[str, np.ndarray]:
        """The outputs of the signature that is served, with one row per record.

        Raises:
          DataError: If the records do not fit the signature, or the model gives another number of outputs.
        """
        with named_errors(self.reader):
            outputs = self._signature(records)
        return answers.rows({name: columns_of.array(value) for name, value in outputs.items()}, len(records))

    def of_heads(self, outputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Of all outputs those of each head; NaN for one that holds no numbers.

        Raises:
          ParameterError: If an output is unknown, or one of several is not named.
        """
        found = [answers.output(outputs, head.output_key) for head in self.reader.heads]
        return [values if answers.holds_numbers(values) else np.full(len(values), np.nan) for values in found]

    def read(self, records: Any) -> Batch:
        """Outputs, labels, slices and hashes of some records.

        Raises:
          DataError: If they do not fit the schema or the signature.
        """
        with named_errors(self.reader):
            columns = self._parse(records)
        labels = {
            name: columns_of.number(columns[f"label/{name}"].numpy(), self.label_texts.get(name))
            for name in self._label_keys
        }
        fused = {
            key.removeprefix(_OUTPUT): columns_of.array(value)
            for key, value in columns.items()
            if key.startswith(_OUTPUT)
        }
        return Batch(
            hashes=self._hashes.of(columns, len(records)),
            outputs=answers.rows(fused, len(records)) if self.reader.fused else self.predict(records),
            labels=[labels.get(head.label_key or "") for head in self.reader.heads],
            masks=[labels.get(head.mask_key or "") for head in self.reader.heads],
            slices=slicing.columns(self.reader.slices, columns, len(records)),
            groups=grouping.hashes(self.reader.group_key, columns, len(records)) if self.reader.group_key else None,
            keys=self._keys(columns),
        )

    def check_fused(self, records: Any, served: Mapping[str, np.ndarray] | None = None) -> None:
        """Checks that `from_features` says of some records what the signature that is served does.

        Args:
          records: Serialized examples.
          served: What the signature that is served says of them, where that is known.

        Raises:
          ModelError: If they differ.
        """
        served, fused = self.predict(records) if served is None else served, self.read(records).outputs
        if not answers.agree(served, fused):
            raise ModelError(
                f"The model's signatures {self.reader.signature_name!r} and {serving.FROM_FEATURES!r} disagree on the "
                "same records. The model that is served must be the model that is attacked: export it again, or leave "
                "out the second signature."
            )

    def can_fuse(self, records: Any) -> bool:
        """Whether `from_features` takes what the examples give, and says of some records what the served signature does."""
        if serving.FROM_FEATURES not in self._model.signatures:
            return False
        outputs = self._answer(serving.FROM_FEATURES, records, self.transformed(records))
        return bool(outputs) and answers.agree(self.predict(records), outputs)

    def features(self, records: Any) -> dict[str, Any]:
        """The dense features of some records by name, the transformed ones in the place of raw ones of their name."""
        with named_errors(self.reader):
            found = {**tf.io.parse_example(records, self._raw_spec), **self.transformed(records)}
        return {name: value for name, value in found.items() if isinstance(value, tf.Tensor)}

    def answers(
        self, names: Sequence[str], records: Any, features: Mapping[str, Any]
    ) -> dict[str, dict[str, np.ndarray]]:
        """By signature: what it says of some records; of those alone that take serialized examples, or features."""
        found = {name: self._answer(name, records, features) for name in names}
        return {name: outputs for name, outputs in found.items() if outputs}

    def reads_no_variable(self, signature_name: str) -> bool:
        """Whether a signature can be computed without the model's weights, as far as they are variables."""
        function = self._model.signatures[signature_name]
        return self._says_variables and not (function.variables or function.graph.variables)

    def _answer(self, name: str, records: Any, features: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """One signature's outputs; none where it takes anything else, or refuses these records."""
        function = self._model.signatures[name]
        inputs = function.structured_input_signature[1]
        named = serving.by_input_name(features)
        # Features first: a text may be one, and is as much a string as a serialized example.
        if all(answers.fits(named.get(key), spec) for key, spec in inputs.items()):
            given = {key: named[key] for key in inputs}
        elif len(inputs) == 1 and all(answers.fits(records, spec) for spec in inputs.values()):
            given = dict.fromkeys(inputs, records)
        else:
            return {}
        try:
            with without_values.quiet():
                outputs = function(**given)
        except (*without_values.ERRORS, TypeError, ValueError):
            return {}
        return {key: columns_of.array(value) for key, value in outputs.items() if isinstance(value, tf.Tensor)}

    def first_texts(self, feature: str, records: Any) -> list[str]:
        """A raw feature's first value of each record as text; "" where it is missing."""
        with named_errors(self.reader):
            parsed = tf.io.parse_example(records, {feature: self._raw_spec[feature]})
        rows, texts = columns_of.entries(parsed[feature])
        found = [""] * len(records)
        for row, text in zip(rows.numpy()[::-1], texts.numpy()[::-1], strict=True):
            found[int(row)] = text.decode("utf-8", "replace")
        return found

    def raw_dtype(self, feature: str) -> Any:
        """A raw feature's type."""
        return self._raw_spec[feature].dtype

    def raw_integers(self, records: Any) -> dict[str, np.ndarray]:
        """Every raw feature as one int64 for each record, by `grouping.as_numbers`.

        Args:
          records: Serialized examples, a tensor.

        Returns:
          By feature, of shape (num_records,).
        """
        return {name: grouping.as_numbers(feature, records) for name, feature in self.parsed(records).items()}

    def parsed(self, records: Any) -> dict[str, Any]:
        """The raw features of serialized examples, by name."""
        with named_errors(self.reader):
            return dict(tf.io.parse_example(records, self._raw_spec))

    def blind_features(self, records: Any, *, without: str | None = None) -> np.ndarray:
        """Every raw feature as numbers, for the control: first values, buckets of text, numbers of values.

        Args:
          records: Serialized examples.
          without: A feature that is left out.

        Returns:
          float64 of shape (num_records, num_columns).
        """
        raw = self.parsed(records)
        columns = [columns_of.blind_columns(raw[name]) for name in sorted(raw) if name != without]
        return np.column_stack(columns) if columns else np.zeros((len(records), 0))

    def _all_transformed(self, records: Any) -> dict[str, Any]:
        raw = dict(tf.io.parse_example(records, self._raw_spec))
        return dict(self._transform(raw)) if self._transform else raw

    def _columns(self, records: Any) -> dict[str, Any]:
        """In the graph: what `read` needs of the records, as few tensors as possible."""
        raw = dict(tf.io.parse_example(records, self._raw_spec))
        found = self._hashes.tensors(raw, tf.shape(records)[0])
        features = dict(self._transform(dict(raw))) if self._transform else raw
        found |= {f"label/{name}": columns_of.dense(features[name]) for name in self._label_keys}
        keyed = features if self.reader.keys_of_transformed else raw
        found |= {f"{_KEY}{name}": keyed[name] for name in self.reader.key_features}
        if self.reader.fused:
            function = self._model.signatures[serving.FROM_FEATURES]
            named = serving.by_input_name(features)
            inputs = {name: named[name] for name in function.structured_input_signature[1]}
            found |= {f"{_OUTPUT}{name}": value for name, value in function(**inputs).items()}
        if self.reader.group_key:
            found |= grouping.tensors(raw[self.reader.group_key])
        return found | slicing.tensors(self.reader.slices, raw)

    def _keys(self, columns: Mapping[str, Any]) -> np.ndarray | None:
        if not self.reader.key_features:
            return None
        found = {name: of_value(columns[f"{_KEY}{name}"]) for name in self.reader.key_features}
        return record_keys.record_keys(
            {name: column if isinstance(column, np.ndarray) else Padded(*column) for name, column in found.items()}
        )


def _require_records(name: str, signatures: Mapping[str, Any]) -> None:
    """Checks that a signature takes serialized records.

    Raises:
      ParameterError: If it takes anything else.
    """
    inputs = signatures[name].structured_input_signature[1]
    if _takes_records(inputs):
        return
    others = [other for other, one in signatures.items() if _takes_records(one.structured_input_signature[1])]
    taken = ", ".join(f"{key} ({spec.dtype.name}, shape {spec.shape})" for key, spec in sorted(inputs.items()))
    remedy = (
        f"Set signature_name to one that takes them: {', '.join(sorted(others))}."
        if others
        else "Serve one that takes them: DPTrainer's own does, or let signatures_fn give a tf.function of one string tensor, "
        "tf.TensorSpec([None], tf.string)."
    )
    raise ParameterError(
        f"The signature {name!r} takes {taken or 'nothing'}; PrivacyEvaluator gives it serialized tf.Examples. {remedy}"
    )


def _takes_records(inputs: Mapping[str, Any]) -> bool:
    return len(inputs) == 1 and all(
        spec.dtype == tf.string and spec.shape.is_compatible_with([None]) for spec in inputs.values()
    )


def named_errors(reader: ModelReader) -> contextlib.AbstractContextManager[None]:
    """Puts a message in the place of TensorFlow's own, where a record does not fit."""
    return _without_records(
        f"A record does not fit signature {reader.signature_name!r} or the schema. PrivacyEvaluator takes the examples "
        "that the model serves, usually ExampleGen's."
    )


@contextlib.contextmanager
def _without_records(message: str) -> Iterator[None]:
    """Puts a message in the place of TensorFlow's own, which quotes the record."""
    try:
        with without_values.quiet():
            yield
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
        raise UnjudgedError(message) from None
    except tf.errors.OpError as error:
        raise ModelError(f"The model or its transform graph failed on some records: {type(error).__name__}.") from None
