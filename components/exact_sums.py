"""Sums of whole numbers over records, on Beam: what a release adds its noise to, once, when they are complete.

A worker keeps one vector for each query and one count for each value of a vocabulary, and gives them on when its bundle
ends: sums of whole numbers are the same for any order, any number of workers and any bundle that is run again. They leave
Beam through a folder, which whoever adds the noise removes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_privacy.components import example_files
from tfx_privacy.errors import DataError, InternalError, TFXPrivacyError
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.queries import Query, VectorQuery, Vocabulary
from tfx_privacy.training import without_values

BATCH_SIZE = 2048
_MAX_VALUES_HELD = 200_000
"""Of vocabularies in one worker's memory, before it gives them on."""
_PARTS = 32
"""A vocabulary is merged in so many parts, by hash, so that no worker holds all of it."""
_FILE, _FAILURES = "sums", "failures"
_RECORD = struct.Struct("<IiBI")
_VECTOR, _VALUES = 0, 1
_NUM_USER_BYTES = 16

_Key: TypeAlias = "tuple[int, int]"
"""A query's place, and the part of a vocabulary; -1 for a vector."""


class Reader(Protocol):
    """What finds the queries' values in records: plain values, so it travels anywhere.

    What it finds in a record depends on no other record, or the queries' sensitivities do not hold.
    """

    def columns(self, records: Any) -> Sequence[Column]:
        """Of each query, its values in serialized records, a string tensor of shape (num_records,)."""

    def users(self, records: Any) -> Column:
        """Whom the records are of, where users are the unit."""


@dataclasses.dataclass(frozen=True)
class Questions:
    """What a worker needs to answer them; plain values, so it travels anywhere."""

    reader: Reader
    queries: Sequence[Query]
    max_records_per_user: int | None = None
    """Where users are the unit: of each, so many records with the smallest hashes count."""


Sums: TypeAlias = "list[np.ndarray | Counter[bytes]]"
"""By query: the sum of its vectors, or in how many records each value is."""


def build(pipeline: beam.Pipeline, questions: Questions, files: Sequence[str], folder: str) -> None:
    """Adds to a pipeline what sums up the records of files, and writes the sums to a folder.

    What a worker cannot read travels as data, and `read` raises it: nobody has to find it in Beam's traceback.
    """
    read = pipeline | "Files" >> beam.Create(list(files)) | "Spread" >> beam.Reshuffle()
    if questions.max_records_per_user is None:
        found = read | "SumFiles" >> beam.ParDo(_SumFiles(questions)).with_outputs(_FAILURES, main="sums")
        failures = [found[_FAILURES]]
    else:
        users = read | "Users" >> beam.ParDo(_Users(questions.reader)).with_outputs(_FAILURES, main="users")
        found = (
            users["users"]
            | "Bounded" >> beam.combiners.Top.SmallestPerKey(questions.max_records_per_user)
            | "Records" >> beam.FlatMap(_records)
            | "Batches" >> beam.BatchElements(min_batch_size=64, max_batch_size=BATCH_SIZE)
            | "SumBatches" >> beam.ParDo(_SumBatches(questions)).with_outputs(_FAILURES, main="sums")
        )
        failures = [users[_FAILURES], found[_FAILURES]]
    _ = (
        found["sums"]
        | "Sum" >> beam.CombinePerKey(_Sum())
        | "Written" >> beam.Map(_written)
        | "Write" >> beam.io.WriteToTFRecord(os.path.join(folder, _FILE))
    )
    _ = (
        failures
        | "Failures" >> beam.Flatten()
        | "OneOfEach" >> beam.Distinct()
        | "WriteFailures" >> beam.io.WriteToTFRecord(os.path.join(folder, _FAILURES))
    )


def read(folder: str, queries: Sequence[Query]) -> Sums:
    """What `build` wrote; of no record, zeros.

    Args:
      folder: Where it was written.
      queries: The same as there.

    Raises:
      DataError: If records could not be read: the first of the errors by their texts, whichever worker was first.
      InternalError: If a part is there twice, as after a run that was killed: added up, a record would count twice.
    """
    failures = sorted(_records_in(folder, _FAILURES))
    if failures:
        raise DataError(failures[0].decode())
    found: Sums = [
        Counter() if isinstance(query, Vocabulary) else np.zeros(_length(query), np.int64) for query in queries
    ]
    seen: set[tuple[int, int, int]] = set()
    for record in _records_in(folder, _FILE):
        place, part, kind, length = _RECORD.unpack_from(record)
        if (place, part, kind) in seen:
            raise InternalError(f"The sums in {folder} hold a part twice. Run the component again.")
        seen.add((place, part, kind))
        rest = record[_RECORD.size :]
        counts = np.frombuffer(rest, np.int64, length)
        if kind == _VECTOR:
            found[place] = counts.copy()
        else:
            keys = _split(rest[8 * length :], length)
            found[place].update(dict(zip(keys, counts.tolist(), strict=True)))
    return found


def _records_in(folder: str, name: str) -> Iterable[bytes]:
    files = sorted(tf.io.gfile.glob(os.path.join(folder, f"{name}-*")))
    return tf.data.TFRecordDataset(files).as_numpy_iterator() if files else ()


def _length(query: Query) -> int:
    assert isinstance(query, VectorQuery)
    return query.length


class _Sums:
    """A worker's sums so far."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._clear()

    def _clear(self) -> None:
        self._vectors: dict[int, np.ndarray] = {}
        self._values: dict[int, Counter[bytes]] = {}

    def add(self, records: Any) -> bool:
        """Adds a batch of serialized records; whether there is so much that it should be given on."""
        columns = self._questions.reader.columns(records)
        for place, (query, column) in enumerate(zip(self._questions.queries, columns, strict=True)):
            if isinstance(query, Vocabulary):
                self._values.setdefault(place, Counter()).update(query.counts(column))
            else:
                assert isinstance(query, VectorQuery)
                before = self._vectors.get(place)
                sums = query.sums(column)
                self._vectors[place] = sums if before is None else before + sums
        return sum(map(len, self._values.values())) > _MAX_VALUES_HELD

    def give(self) -> Iterator[tuple[_Key, Any]]:
        """All of them, and begins anew."""
        for place, vector in self._vectors.items():
            yield (place, -1), vector
        for place, counts in self._values.items():
            parts: list[dict[bytes, int]] = [{} for _ in range(_PARTS)]
            for value, count in counts.items():
                parts[zlib.crc32(value) % _PARTS][value] = count
            for number, part in enumerate(parts):
                if part:
                    yield (place, number), part
        self._clear()


class _SumFiles(beam.DoFn):
    """Sums up whole files, read by TensorFlow: a record costs no Python."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def process(self, file: str) -> Iterator[tuple[_Key, Any]]:
        sums = _Sums(self._questions)
        try:
            for records in _batches(file):
                if sums.add(records):
                    yield from sums.give()
            yield from sums.give()
        except TFXPrivacyError as error:
            yield _failure(error)


class _SumBatches(beam.DoFn):
    """Sums up batches of records."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def process(self, records: list[bytes]) -> Iterator[tuple[_Key, Any]]:
        sums = _Sums(self._questions)
        try:
            sums.add(tf.constant(records, tf.string))
            yield from sums.give()
        except TFXPrivacyError as error:
            yield _failure(error)


class _Users(beam.DoFn):
    """Gives each record under its user, with a hash that orders the user's records.

    Left out are records of nobody, and of several: ExampleGen tells users apart by all that the feature holds, so a user who
    is one of two there may be in both splits.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def process(self, file: str) -> Iterator[Any]:
        try:
            yield from self._of(file)
        except TFXPrivacyError as error:
            yield _failure(error)

    def _of(self, file: str) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
        for records in _batches(file):
            yield from self._named(records)

    def _named(self, records: Any) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
        found = self._reader.users(records)
        kept = found.of(np.bincount(found.rows, minlength=len(records))[found.rows] == 1)
        serialized = records.numpy()
        for user, row in zip(kept.values.tolist(), kept.rows.tolist(), strict=True):
            record = serialized[row]
            # A number and the text of its digits are two, as they are for ExampleGen.
            name = b"t" + user if isinstance(user, bytes) else b"n" + str(user).encode()
            yield name, (hashlib.blake2b(record, digest_size=_NUM_USER_BYTES).digest(), record)


def _failure(error: TFXPrivacyError) -> Any:
    """An error, whose text quotes no record."""
    return beam.pvalue.TaggedOutput(_FAILURES, str(error).encode())


def _records(user: tuple[bytes, list[tuple[bytes, bytes]]]) -> list[bytes]:
    return [record for _, record in user[1]]


class _Sum(beam.CombineFn):
    """Adds vectors, or counts of values."""

    def create_accumulator(self) -> Any:
        return None

    def add_input(self, accumulator: Any, element: Any) -> Any:
        if accumulator is None:
            return Counter(element) if isinstance(element, dict) else np.array(element)
        if isinstance(accumulator, Counter):
            accumulator.update(element)
            return accumulator
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        merged = None
        for accumulator in accumulators:
            if accumulator is not None:
                merged = self.add_input(merged, accumulator)
        return merged

    def extract_output(self, accumulator: Any) -> Any:
        return accumulator


def _written(sums: tuple[_Key, Any]) -> bytes:
    (place, part), found = sums
    if isinstance(found, Counter):
        counts = np.fromiter(found.values(), np.int64, len(found))
        keys = b"".join(struct.pack("<I", len(key)) + key for key in found)
        return _RECORD.pack(place, part, _VALUES, len(found)) + counts.tobytes() + keys
    return _RECORD.pack(place, part, _VECTOR, len(found)) + np.asarray(found, np.int64).tobytes()


def _split(text: bytes, count: int) -> list[bytes]:
    keys, start = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", text, start)
        keys.append(text[start + 4 : start + 4 + length])
        start += 4 + length
    return keys


def _batches(file: str) -> Iterator[Any]:
    """The records of a file, string tensors of shape (at most BATCH_SIZE,)."""
    example_files.check_whole([file])
    try:
        yield from example_files.records_of([file]).batch(BATCH_SIZE)
    except without_values.ERRORS:
        broken = True
    else:
        broken = False
    if broken:
        raise example_files.damaged(file)


def check_files(files: Sequence[str]) -> None:
    """Refuses files that are no examples, by how they begin, before anything is charged.

    Raises:
      DataError: If there is none, or one is of another format.
    """
    if not files:
        raise DataError("The splits hold no file.")
    example_files.check_beginnings(files)
