"""Beam's part before scoring: which values of each sliced feature have enough members to be judged by themselves.

Reads the members' sliced features and nothing else, without the model.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_privacy.attacks.membership import slice_values
from tfx_privacy.attacks.membership.slice_values import ValueCounts
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator import scoring, slicing
from tfx_privacy.components.privacy_evaluator.failures import Failure
from tfx_privacy.components.privacy_evaluator.reader import ModelReader
from tfx_privacy.errors import TFXPrivacyError

_PARTITIONS = 64
# What is held of a file's counts before they are passed on.
_FLUSH_VALUES = 1 << 20

Partition = tuple[str, int]
"""Name of a slice specification, and part of its values' hashes."""


class CountValuesFn(beam.DoFn):
    """Reads a file of members, and yields ((name, part), counts) of each slice specification's values."""

    def __init__(self, reader: ModelReader) -> None:
        """Keeps plain values."""
        self._reader = reader

    def process(self, path: str) -> Iterator[Any]:
        """Yields counts of the file's values, together those of all its records; or to `scoring.FAILURES` why not."""
        try:
            yield from self._counts(path)
        except TFXPrivacyError as error:
            yield beam.pvalue.TaggedOutput(scoring.FAILURES, Failure.of(error))

    def _counts(self, path: str) -> Iterator[tuple[Partition, ValueCounts]]:
        parse = _parser(self._reader)
        pending: dict[str, list[ValueCounts]] = {spec.name: [] for spec in self._reader.slices}
        size = 0
        for batch in scoring.dataset(path):
            with reading.named_errors(self._reader):
                found = parse(batch)
            for name, column in slicing.columns(self._reader.slices, found, len(batch)).items():
                pending[name].append(slice_values.counted(column))
                size += len(pending[name][-1].hashes)
            if size >= _FLUSH_VALUES:
                pending = {name: [slice_values.merged(parts)] for name, parts in pending.items()}
                size = sum(len(parts[0].hashes) for parts in pending.values())
                if 2 * size >= _FLUSH_VALUES:
                    yield from _partitioned(pending)
                    pending, size = {name: [] for name in pending}, 0
        yield from _partitioned(pending)


class MergeCounts(beam.CombineFn):
    """Adds up counts of values; the result is the same in every order."""

    def create_accumulator(self) -> ValueCounts:
        """No value."""
        return slice_values.merged([])

    def add_input(self, accumulator: ValueCounts, element: ValueCounts) -> ValueCounts:
        """Adds one file's counts."""
        return slice_values.merged([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[ValueCounts]) -> ValueCounts:
        """Adds several."""
        return slice_values.merged(list(accumulators))

    def extract_output(self, accumulator: ValueCounts) -> ValueCounts:
        """The counts."""
        return accumulator


def judged(
    pipeline: beam.Pipeline, reader: ModelReader, files: tuple[str, ...], min_size: int
) -> tuple[beam.PCollection, beam.PCollection]:
    """Adds the steps that find the values to judge.

    Args:
      pipeline: Of the evaluation.
      reader: How examples are read, and what they are sliced by.
      files: Of the members.
      min_size: Members that a value needs.

    Returns:
      One `Judged` for each slice specification that has a value, as (name, judged); and why files could not be read.
    """
    counted = (
        pipeline
        | "FilesToSlice" >> beam.Create(list(files) if reader.slices else [])
        | "SpreadToSlice" >> beam.Reshuffle()
        | "CountValues" >> beam.ParDo(CountValuesFn(reader)).with_outputs(scoring.FAILURES, main="counts")
    )
    found = (
        counted.counts
        | "AddUpValues" >> beam.CombinePerKey(MergeCounts())
        | "FrequentValues" >> beam.MapTuple(lambda key, counts: (key[0], slice_values.frequent(counts, min_size)))
        | "OfSlice" >> beam.CombinePerKey(MergeCounts())
        | "ToJudge" >> beam.MapTuple(lambda name, counts: (name, slice_values.chosen(counts)))
    )
    return found, counted[scoring.FAILURES]


@functools.lru_cache(maxsize=2)
def _parser(reader: ModelReader) -> Any:
    """Serialized records to what `slicing.columns` takes."""
    specification = reader.raw_feature_spec()
    wanted = {name: specification[name] for spec in reader.slices for name in spec.features}
    return tf.function(
        lambda records: slicing.tensors(reader.slices, tf.io.parse_example(records, wanted)),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def _partitioned(pending: Mapping[str, list[ValueCounts]]) -> Iterator[tuple[Partition, ValueCounts]]:
    for name, parts in pending.items():
        counts = slice_values.merged(parts)
        of_value = counts.hashes % np.uint64(_PARTITIONS)
        for partition in np.unique(of_value):
            kept = of_value == partition
            yield (name, int(partition)), ValueCounts(counts.hashes[kept], counts.members[kept])
