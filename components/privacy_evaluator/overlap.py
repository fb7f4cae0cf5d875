"""Beam's part before non-members are scored: which of them equal a member, feature by feature.

They are left out of everything that is compared with members, and counted (`attacks.membership.equal_records`). Reads the
non-members without the model; what goes to those who score them is eight bytes for each value of equal records.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_privacy.attacks.membership import equal_records, tally
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator import scoring
from tfx_privacy.components.privacy_evaluator.equality import RecordHashes
from tfx_privacy.components.privacy_evaluator.failures import Failure
from tfx_privacy.components.privacy_evaluator.reader import ModelReader
from tfx_privacy.errors import TFXPrivacyError


class HashFn(beam.DoFn):
    """Reads files of non-members, and yields (partition, (side, hashes)), each hash of a file once.

    The output `scoring.FAILURES` says why a file could not be read: without its hashes nothing may be judged.
    """

    def __init__(self, reader: ModelReader) -> None:
        """Keeps plain values."""
        self._reader = reader

    def process(self, path: str) -> Iterator[Any]:
        """Yields the hashes of one file."""
        found = [np.zeros(0, np.uint64)]
        try:
            for batch in scoring.dataset(path):
                with reading.named_errors(self._reader):
                    found.append(np.unique(_hashes(self._reader, batch)))
        except TFXPrivacyError as error:
            yield beam.pvalue.TaggedOutput(scoring.FAILURES, Failure.of(error))
            return
        for partition, part in scoring.partitioned(np.unique(np.concatenate(found))):
            yield partition, (tally.OTHERS, part)


def on_both_sides(
    pipeline: beam.Pipeline, members: beam.PCollection, reader: ModelReader, files: tuple[str, ...]
) -> tuple[beam.PCollection, beam.PCollection]:
    """Adds the steps that find the hashes of records on both sides.

    Args:
      pipeline: Of the evaluation.
      members: Hashes of the members, as (partition, (side, hashes)).
      reader: How examples are read.
      files: Of the non-members.

    Returns:
      The hashes, as (partition, hashes), and why some could not be read.
    """
    others = (
        pipeline
        | "FilesToHash" >> beam.Create(list(files))
        | "SpreadToHash" >> beam.Reshuffle()
        | "HashOthers" >> beam.ParDo(HashFn(reader)).with_outputs(scoring.FAILURES, main="hashes")
    )
    found = (
        (members, others.hashes)
        | "BothSides" >> beam.Flatten()
        | "ByPartition" >> beam.GroupByKey()
        | "OnBothSides" >> beam.MapTuple(lambda partition, found: (partition, equal_records.common(found)))
    )
    return found, others[scoring.FAILURES]


def _hashes(reader: ModelReader, batch: Any) -> np.ndarray:
    hashes, parse = _parser(reader)
    return hashes.of(parse(batch), len(batch))


@functools.lru_cache(maxsize=2)
def _parser(reader: ModelReader) -> tuple[RecordHashes, Any]:
    specification = reader.raw_feature_spec()
    hashes = RecordHashes(specification)
    parse = tf.function(
        lambda records: hashes.tensors(tf.io.parse_example(records, specification), tf.shape(records)[0]),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    return hashes, parse
