"""The sampled records, scored again for attacks that need more than counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfx_privacy.attacks.membership import bags, evaluate
from tfx_privacy.attacks.membership import sample as sample_of
from tfx_privacy.attacks.membership.evaluate import SampledSide
from tfx_privacy.attacks.membership.heads import Head, Signals
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.membership.slice_values import Judged
from tfx_privacy.components.privacy_evaluator import blind, scoring, slicing
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, LoadedReader
from tfx_privacy.components.privacy_evaluator.scoring import Scored

# Of wide records, whose values all become entries of a sparse matrix.
_RECORDS_AT_ONCE = 128


@dataclasses.dataclass(frozen=True)
class SampledRecords:
    """One side's sample with everything the model says of it.

    Attributes:
      sample: The records.
      parts: Their scores, batch by batch.
      blind: Features without the model, of shape (num_records, num_columns).
      integers: Raw features as numbers that are equal where their values are, each of shape (num_records,).
      values: All values of the features, hashed; None where `blind` has them all.
    """

    sample: Sample
    parts: list[Scored]
    blind: np.ndarray
    integers: dict[str, np.ndarray]
    values: sparse.csr_matrix | None

    @property
    def groups(self) -> np.ndarray | None:
        """Hash of each record's group; None where every record stands for itself."""
        return scoring.joined_groups(self.parts)

    @property
    def folds(self) -> np.ndarray:
        """0 or 1 for each record, the same for all records of a group."""
        return sample_of.folds_of(self.sample.hashes, self.groups)

    @property
    def classes(self) -> np.ndarray | None:
        """The first head's label where it is one class."""
        if any(part.signals[0].classes is None for part in self.parts):
            return None
        return np.concatenate([np.asarray(part.signals[0].classes) for part in self.parts])

    @property
    def first_labels(self) -> np.ndarray | None:
        """The first head's labels."""
        if any(part.batch.labels[0] is None for part in self.parts):
            return None
        return np.concatenate([np.asarray(part.batch.labels[0]) for part in self.parts])

    @property
    def first_signals(self) -> Signals:
        """The first head's usable, loss and log-likelihood; the rest is left out."""
        found = [part.signals[0] for part in self.parts]
        return Signals(
            usable=np.concatenate([signals.usable for signals in found]),
            loss=np.concatenate([signals.loss for signals in found]),
            log_likelihood=np.concatenate([signals.log_likelihood for signals in found]),
            features=np.zeros((0, 0)),
        )

    def labels(self) -> np.ndarray:
        """All labels as numbers, of shape (num_records, num_labels)."""
        return np.concatenate([_label_columns(part, len(part.batch.hashes)) for part in self.parts])

    def score(self, attack: str) -> np.ndarray:
        """One attack's scores."""
        return np.concatenate([part.scores[attack] for part in self.parts])


def score(loaded: LoadedReader, tasks: tuple[Head, ...], sample: Sample) -> SampledRecords:
    """Scores a sample.

    Args:
      loaded: The model.
      tasks: Of its heads.
      sample: Not empty.

    Returns:
      The scored sample.
    """
    parts, columns, integers = [], [], []
    for start in range(0, len(sample.records), BATCH_SIZE):
        records = np.array(sample.records[start : start + BATCH_SIZE], dtype=object)
        parts.append(scoring.scored(loaded, tasks, records))
        columns.append(loaded.blind_features(tf.constant(records)))
        integers.append(loaded.raw_integers(tf.constant(records)))
    joined = {name: np.concatenate([batch[name] for batch in integers]) for name in sorted(integers[0])}
    return SampledRecords(sample, parts, np.concatenate(columns), joined, _values(loaded, sample))


def _values(loaded: LoadedReader, sample: Sample) -> sparse.csr_matrix | None:
    """All values of the features, hashed."""
    found: list[sparse.csr_matrix] = []
    for start in range(0, len(sample.records), _RECORDS_AT_ONCE):
        records = tf.constant(np.array(sample.records[start : start + _RECORDS_AT_ONCE], dtype=object))
        # What names the record or its group says nothing of what it is like.
        names = loaded.reader.record_id_key, loaded.reader.group_key
        raw = {name: value for name, value in loaded.parsed(records).items() if name not in names}
        found.append(blind.values(raw, len(records)))
    return bags.stacked(found)


def side(found: SampledRecords, scores: dict[str, np.ndarray], judged: Mapping[str, Judged]) -> SampledSide:
    """A scored sample as the attacks take it.

    Args:
      found: The sample.
      scores: Of attacks with reference models.
      judged: Values of slices that are judged by themselves.

    Returns:
      One side.
    """
    parts = found.parts
    sizes = [len(part.batch.hashes) for part in parts]
    features = [np.column_stack([signals.features for signals in part.signals]) for part in parts]
    usable = ~np.isnan(found.score(evaluate.LOSS))
    return SampledSide(
        folds=found.folds,
        groups=found.groups,
        # What a classifier makes of a record that has no score is no attack on it.
        features=np.concatenate(features),
        usable=usable,
        blind=np.column_stack([found.blind, found.labels()]),
        values=found.values,
        scores=scores,
        loss=found.score(evaluate.LOSS),
        classes=found.classes,
        slices=slicing.pooled(
            {name: scoring.joined_slices([part.slices[name] for part in parts], sizes) for name in parts[0].slices},
            judged,
        ),
    )


def _label_columns(part: Scored, size: int) -> np.ndarray:
    labels = [label.reshape(size, -1) for label in part.batch.labels if label is not None]
    return np.nan_to_num(np.column_stack(labels), nan=-1.0) if labels else np.zeros((size, 0))
