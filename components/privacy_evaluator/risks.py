"""Each member's risk, for whoever may see the records: written only when a feature that identifies them is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_privacy.attacks.evaluation import WHOLE_SET
from tfx_privacy.attacks.membership import counts, multiplicity
from tfx_privacy.attacks.membership.counts import Counts
from tfx_privacy.attacks.membership.evaluate import LOSS
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.attacks.membership.multiplicity import RecordRisks
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator import scoring
from tfx_privacy.components.privacy_evaluator.failures import Failure
from tfx_privacy.components.privacy_evaluator.reader import ModelReader
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.records import strict_json

FOLDER = "record_risks"


class RiskFn(beam.DoFn):
    """Scores files of members again, and yields a line of JSON for each record: record, p_value, q_value."""

    def __init__(self, reader: ModelReader, tasks: tuple[Head, ...]) -> None:
        """Keeps plain values; the model is loaded by the worker."""
        self._reader, self._tasks = reader, tasks

    def process(self, path: str, risks: RecordRisks) -> Iterator[Any]:
        """Yields a line for each record with a finite score, or to `scoring.FAILURES` why there is none.

        Args:
          path: Of a file of members.
          risks: By key of the score.
        """
        try:
            yield from self._lines(path, risks)
        except TFXPrivacyError as error:
            yield beam.pvalue.TaggedOutput(scoring.FAILURES, Failure.of(error))

    def _lines(self, path: str, risks: RecordRisks) -> Iterator[str]:
        loaded = reading.load(self._reader)
        key = self._reader.record_id_key
        assert key is not None
        for batch in scoring.dataset(path):
            scores = scoring.scored(loaded, self._tasks, batch).scores[LOSS]
            usable = ~np.isnan(scores)
            where = np.searchsorted(risks.values, counts.keys_of(np.where(usable, scores, 0.0)))
            identities = loaded.first_texts(key, batch)
            for index in np.flatnonzero(usable):
                line = {
                    "record": identities[index],
                    "p_value": float(risks.p_values[where[index]]),
                    "q_value": float(risks.q_values[where[index]]),
                }
                yield strict_json.dumps(line, indent=None)


def write(
    pipeline: beam.Pipeline,
    total: beam.PCollection,
    reader: ModelReader,
    tasks: tuple[Head, ...],
    files: tuple[str, ...],
    uri: str,
) -> beam.PCollection:
    """Adds the steps that write all members' risks below `uri`.

    Args:
      pipeline: Of the evaluation.
      total: The tally of all records.
      reader: The model.
      tasks: Of its heads.
      files: Of the members.
      uri: Of the evaluation's artifact.

    Returns:
      Why files could not be read.
    """
    risks = total | "Risks" >> beam.Map(of_tally)
    lines = (
        pipeline
        | "MemberFiles" >> beam.Create(list(files))
        | "SpreadMembers" >> beam.Reshuffle()
        | "Risk"
        >> beam.ParDo(RiskFn(reader, tasks), beam.pvalue.AsSingleton(risks)).with_outputs(
            scoring.FAILURES, main="lines"
        )
    )
    _ = lines.lines | "WriteRisks" >> beam.io.WriteToText(
        os.path.join(uri, FOLDER, "members"), file_name_suffix=".jsonl.gz"
    )
    return lines[scoring.FAILURES]


def of_tally(total: Tally) -> RecordRisks:
    """The risk of members by the key of their score, "loss" on the whole set."""
    found = total.counts.get((LOSS, (WHOLE_SET, "")))
    # No record has a score, or not one was read.
    return multiplicity.record_risks(
        Counts(np.zeros(0, np.int64), np.zeros((0, 2, 2), np.int64)) if found is None else found
    )
