"""CanaryInserter's work: learn what records look like, draw canaries, copy the examples, add those that are in."""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from tfx_privacy import _validate
from tfx_privacy._version import __version__
from tfx_privacy.attacks import canaries
from tfx_privacy.components import _files, examples_read, keys
from tfx_privacy.components.canary_inserter import drawing
from tfx_privacy.errors import DataError, ParameterError
from tfx_privacy.records import base, strict_json

# Not "examples": TFX wants one name for one channel of a component.
OUTPUT_EXAMPLES_KEY = "examples_with_canaries"

_SHARD = "canaries_tfrecord-00000-of-00001.gz"
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """CanaryInserterSpec's parameters, checked."""

    mode: canaries.Mode
    split: str
    label_key: str | None
    num_canaries: int
    repetitions: tuple[int, ...]
    canaries_per_repetition: int
    num_references: int
    max_share: float
    text: drawing.Text | None

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Settings:
        """Checks execution properties.

        Raises:
          ParameterError: If one is out of its range, or the text's parameters do not go with the mode.
        """
        mode: canaries.Mode = (
            "text" if _validate.one_of(("tabular", "text"), mode=properties["mode"]) == "text" else "tabular"
        )
        repetitions = tuple(_list(properties, "repetitions"))
        for count in repetitions:
            _validate.positive_integer(repetitions=count)
        if len(set(repetitions)) != len(repetitions):
            raise ParameterError(f"Expected repetitions={list(repetitions)} to name no number twice.")
        return cls(
            mode=mode,
            split=properties["split"],
            label_key=properties.get("label_key"),
            num_canaries=_count(num_canaries=properties["num_canaries"]),
            repetitions=repetitions,
            canaries_per_repetition=_validate.positive_integer(
                canaries_per_repetition=properties["canaries_per_repetition"]
            ),
            num_references=_count(num_references=properties["num_references"]),
            max_share=_validate.half_open_interval(0.0, 1.0, max_share=properties["max_share"]),
            text=_text(mode, properties),
        )

    @property
    def most_inserted(self) -> int:
        """Records that may be inserted, were every coin to say so."""
        return self.num_canaries + sum(self.repetitions) * self.canaries_per_repetition


class Executor(base_executor.BaseExecutor):
    """Executor of CanaryInserter."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Inserts canaries.

        Args:
          input_dict: `examples` and `schema`.
          output_dict: `examples_with_canaries` and `canaries`.
          exec_properties: As CanaryInserterSpec declares them.

        Raises:
          TFXPrivacyError: If the examples are of another format, a name is unknown, more than `max_share` would be
            inserted, or so many different canaries cannot be drawn.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = Settings.from_properties(exec_properties)
        examples = _files.single(input_dict, keys.EXAMPLES)
        files = _split_files(examples, settings.split)
        domains, num_records = drawing.observe(_read(files), _schema(input_dict))
        _check(settings, domains, num_records)
        assigned = canaries.assign(
            # A coin that the data or a seed could foretell would prove nothing.
            [bool(secrets.randbits(1)) for _ in range(settings.num_canaries)],
            settings.repetitions,
            settings.canaries_per_repetition,
            settings.num_references,
        )
        random = np.random.default_rng(secrets.randbits(128))
        records = drawing.draw_canaries(domains, len(assigned), random, settings.text)
        _refuse_known(files, records)
        inserted = [records[canary.index] for canary in assigned for _ in range(canary.repetitions)]
        copy = artifact_utils.get_single_instance(output_dict[OUTPUT_EXAMPLES_KEY])
        _copy(examples, copy)
        _write(
            os.path.join(artifact_utils.get_split_uris([copy], settings.split)[0], _SHARD),
            [inserted[int(index)] for index in random.permutation(len(inserted))],
        )
        copy.set_int_custom_property(examples_read.INSERTED, len(inserted))
        target = artifact_utils.get_single_instance(output_dict[keys.CANARIES])
        _write_canaries(target, settings, num_records, assigned, records)
        logging.info("%d canary records are among %d of split %r.", len(inserted), num_records, settings.split)


def _write_canaries(
    target: types.Artifact,
    settings: Settings,
    num_records: int,
    assigned: list[canaries.Canary],
    records: list[bytes],
) -> None:
    fileio.makedirs(target.uri)
    path = os.path.join(target.uri, canaries.RECORDS_FILE_NAME)
    _write(path, records)
    record = canaries.CanarySet(
        issued_at=base.utc_now(),
        mode=settings.mode,
        split=settings.split,
        label_key=settings.label_key or "",
        text_feature=settings.text.feature if settings.text else "",
        records_digest=_files.file_digest(path),
        num_split_records=num_records,
        canaries=assigned,
        engine=f"tfx-privacy {__version__}",
    )
    _files.write_text(target.uri, canaries.FILE_NAME, record.to_json())
    target.set_int_custom_property(examples_read.INSERTED, record.num_inserted_records)


def _check(settings: Settings, domains: Mapping[str, drawing.Domain], num_records: int) -> None:
    """Names and numbers that only the data can judge."""
    label, text = settings.label_key, settings.text
    if label is not None and label not in domains:
        raise ParameterError(f"Unknown label_key={label!r}. The examples have: {', '.join(sorted(domains))}.")
    if text is not None and (text.feature not in domains or domains[text.feature].kind != "bytes_list"):
        names = ", ".join(name for name, domain in sorted(domains.items()) if domain.kind == "bytes_list")
        raise ParameterError(
            f"text_feature={text.feature!r} is no feature of text. The examples have: {names or 'none'}."
        )
    # By the most that the coins may say: a refusal must not depend on how they fell.
    most = settings.most_inserted
    if not most <= settings.max_share * num_records:
        raise ParameterError(
            f"Up to {most} canary records would be inserted: {settings.num_canaries} by coins and "
            f"{most - settings.num_canaries} by repetitions={list(settings.repetitions)}, "
            f"{settings.canaries_per_repetition} canaries each. That is {most / num_records:.2%} of the {num_records} "
            f"records of split {settings.split!r}, above max_share={settings.max_share:g}. Insert fewer, or raise "
            "max_share: canaries cost accuracy."
        )


def _refuse_known(files: list[str], records: list[bytes]) -> None:
    """A canary that is a record of the split would be trained on, whatever its coin said."""
    made_up = set(records)
    known = sum(drawing.canonical(record) in made_up for record in _read(files))
    if known:
        raise DataError(
            f"{known} records of the split are equal to canaries: the features have too few combinations of values to "
            "make up records that are not there. Use features with more values, or mode 'text'."
        )


def _split_files(examples: types.Artifact, split: str) -> list[str]:
    """The files of the split, each of gzipped TFRecords of tf.Examples."""
    if problem := _files.problem_of_format(examples, "CanaryInserter"):
        raise DataError(problem)
    present = sorted(artifact_utils.decode_split_names(examples.split_names))
    if split not in present:
        raise ParameterError(f"Unknown split {split!r}. The examples artifact has splits: {', '.join(present)}.")
    (uri,) = artifact_utils.get_split_uris([examples], split)
    files = sorted(fileio.glob(io_utils.all_files_pattern(uri)))
    if not files:
        raise DataError(f"Split {split!r} holds no file.")
    if examples.has_custom_property(examples_read.INSERTED) or any(
        file.endswith(_SHARD) for file in map(os.fsdecode, files)
    ):
        raise DataError("The examples hold canaries already. Wire ExampleGen's examples, and insert canaries once.")
    return [os.fsdecode(file) for file in files]


def _copy(examples: types.Artifact, copy: types.Artifact) -> None:
    """Every file of every split, and what the artifact says of itself."""
    copy.split_names = examples.split_names
    for name in ("span", "version"):
        if examples.has_property(name):
            setattr(copy, name, getattr(examples, name))
    examples_read.copy([examples], copy)
    examples_utils.set_payload_format(copy, examples_utils.get_payload_format(examples))
    for split in artifact_utils.decode_split_names(examples.split_names):
        (source,), (target,) = (artifact_utils.get_split_uris([side], split) for side in (examples, copy))
        fileio.makedirs(target)
        for path in sorted(fileio.glob(io_utils.all_files_pattern(source))):
            path = os.fsdecode(path)
            # A retry writes to the folder of the attempt that failed.
            fileio.copy(path, os.path.join(target, os.path.basename(path)), overwrite=True)


def _schema(input_dict: Mapping[str, list[types.Artifact]]) -> schema_pb2.Schema:
    return io_utils.parse_pbtxt_file(
        io_utils.get_only_uri_in_dir(_files.single(input_dict, keys.SCHEMA).uri), schema_pb2.Schema()
    )


def _read(files: list[str]) -> Iterator[bytes]:
    try:
        for path in files:
            _require_whole(path)
        yield from tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    except (EOFError, OSError, zlib.error, tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        raise DataError("A file of the split is no gzipped TFRecord file, or it is cut short.") from None


def _require_whole(path: str) -> None:
    """Raises EOFError if the compressed stream has no end: TensorFlow may take what is left for the whole file."""
    with fileio.open(path, "rb") as file, gzip.GzipFile(fileobj=io.BytesIO(file.read())) as stream:
        while stream.read(_CHUNK_BYTES):
            pass


def _write(path: str, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for record in records:
            writer.write(record)


def _text(mode: str, properties: Mapping[str, Any]) -> drawing.Text | None:
    feature = properties.get("text_feature")
    if (mode == "text") != (feature is not None):
        raise ParameterError(
            f"Expected text_feature={feature!r} to be set in mode 'text', and there only, not in {mode!r}."
        )
    if feature is None:
        return None
    words = _list(properties, "secret_vocabulary")
    if len(set(words)) < 2 or not all(isinstance(word, str) and word for word in words):
        raise ParameterError(f"Expected secret_vocabulary={words} of at least two different characters or words.")
    length = _validate.positive_integer(secret_length=properties["secret_length"])
    return drawing.Text(feature=feature, prefix=properties["text_prefix"], vocabulary=tuple(words), length=length)


def _list(properties: Mapping[str, Any], key: str) -> list[Any]:
    value = strict_json.parameter(**{key: properties[key]})
    if not isinstance(value, list):
        raise ParameterError(f"Expected {key}={properties[key]} to be a JSON list.")
    return value


def _count(**kwargs: Any) -> int:
    """A whole number >= 0."""
    ((name, value),) = kwargs.items()
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    return _validate.positive_integer("Or 0 for none.", **{name: value})
