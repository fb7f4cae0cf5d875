"""Beam's part: from files of examples to tallies, with a bounded memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import trained_records
from tfx_privacy.attacks.evaluation import CLASS_FEATURE, CORRECTNESS_FEATURE
from tfx_privacy.attacks.membership import (
    equal_records,
    evaluate,
    heads,
    sample,
    slice_values,
    tally,
)
from tfx_privacy.attacks.membership.heads import Head, Signals
from tfx_privacy.attacks.membership.sample import Sample
from tfx_privacy.attacks.membership.slice_values import Judged, SliceColumn
from tfx_privacy.attacks.membership.tally import Tally
from tfx_privacy.attacks.trained_records import Matcher, Matches
from tfx_privacy.components import example_files
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator import slicing
from tfx_privacy.components.privacy_evaluator.failures import Failure, UnjudgedError
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec
from tfx_privacy.components.privacy_evaluator.reader import Batch, LoadedReader, ModelReader
from tfx_privacy.errors import TFXPrivacyError

HASHES, GROUPS, MATCHES, FAILURES = "hashes", "groups", "matches", "failures"
_PARTITIONS = 64
# What is held before it is counted; counting many records at once is cheaper.
_FLUSH_RECORDS = 1 << 16
_FLUSH_BYTES = 64 << 20

File = tuple[int, str]
"""Side and path."""


class ScoreFn(beam.DoFn):
    """Reads files of examples, scores them with the model, and yields a tally of each file.

    The output `HASHES` has the hashes of the records in partitions, as (partition, (side, hashes)); `GROUPS` has those of
    the groups that they belong to, each once, where groups are known; `MATCHES` says which records were trained on, as
    (side, matches), where the trainer told; `FAILURES` why a file could not be scored, in the place of all else.
    """

    def __init__(
        self, reader: ModelReader, tasks: tuple[Head, ...], sample_size: int, matcher: Matcher | None = None
    ) -> None:
        """Keeps plain values; the model is loaded by the worker."""
        self._reader, self._tasks, self._sample_size, self._matcher = reader, tasks, sample_size, matcher

    def setup(self) -> None:
        """Loads the model, unless this process has it already."""
        reading.load(self._reader)

    def process(
        self, file: File, judged: Mapping[str, Judged], on_both_sides: Mapping[int, np.ndarray] | None = None
    ) -> Iterator[Any]:
        """Yields the file's tally, its hashes and its groups.

        Args:
          file: Side and path.
          judged: Values of slices that are counted by themselves; the others are pooled.
          on_both_sides: Hashes of records that are left out, by partition; of non-members alone.
        """
        try:
            yield from self._outputs(file, judged, list((on_both_sides or {}).values()))
        except TFXPrivacyError as error:
            yield beam.pvalue.TaggedOutput(FAILURES, Failure.of(error))

    def _outputs(self, file: File, judged: Mapping[str, Judged], left_out: list[np.ndarray]) -> Iterator[Any]:
        side, path = file
        # Once for each file, here where all of them are read: it costs a pass of its own.
        example_files.check_whole([path])
        loaded = reading.load(self._reader)
        pending, matches = _Pending(side, self._sample_size, judged), trained_records.merged([])
        for number, batch in enumerate(dataset(path)):
            if number == 0 and self._reader.fused:
                loaded.check_fused(batch)
            found = scored(loaded, self._tasks, batch)
            pending.add(found, batch, equal_records.compared(side, found.batch.hashes, left_out))
            # Of all that are read: this is about the splits, and shows that those left out were trained on.
            if self._matcher is not None and found.batch.keys is not None:
                matches = trained_records.merged([matches, self._matcher.match(found.batch.keys)])
        total, hashes = pending.finish()
        yield total
        yield beam.pvalue.TaggedOutput(MATCHES, (side, matches))
        for partition, part in partitioned(hashes):
            yield beam.pvalue.TaggedOutput(HASHES, (partition, (side, part)))
        for partition, part in partitioned(pending.groups):
            yield beam.pvalue.TaggedOutput(GROUPS, (partition, (side, part)))


@dataclasses.dataclass(frozen=True)
class Scored:
    """Scored records.

    Attributes:
      scores: By attack; NaN where a record has none.
      signals: Of each head.
      batch: Labels, hashes and slices.
      slices: By feature, class and correctness among them.
    """

    scores: dict[str, np.ndarray]
    signals: list[Signals]
    batch: Batch
    slices: dict[str, SliceColumn]


def dataset(path: str) -> Iterator[Any]:
    """The serialized records of a TFRecord file, in batches, each a tensor.

    Raises:
      DataError: If the file is damaged, or of another format.
    """
    example_files.check_beginnings([path])
    try:
        yield from example_files.records_of([path]).batch(reading.BATCH_SIZE).prefetch(2)
    except tf.errors.OpError:
        damaged = True
    else:
        damaged = False
    # Outside of the handler: TensorFlow's text may quote what is in the file.
    if damaged:
        raise example_files.damaged(path)


def scored(loaded: LoadedReader, tasks: tuple[Head, ...], records: Any) -> Scored:
    """Scores some serialized records, a tensor or an array, by every attack that needs nothing but the model."""
    batch = loaded.read(tf.convert_to_tensor(records))
    outputs = loaded.of_heads(batch.outputs)
    for spec, head, output, label in zip(loaded.reader.heads, tasks, outputs, batch.labels, strict=True):
        _check_guess(spec, head, output, label)
    found = [
        heads.signals(head, output, label, mask)
        for head, output, label, mask in zip(tasks, outputs, batch.labels, batch.masks, strict=True)
    ]
    names = [spec.name for spec in loaded.reader.heads]
    return Scored(threshold_scores(names, found), found, batch, {**_task_slices(found), **batch.slices})


def _check_guess(spec: HeadSpec, head: Head, outputs: np.ndarray, labels: np.ndarray | None) -> None:
    """Refuses records that contradict what the first ones looked like; what a user said himself is not questioned."""
    of = f" of output {spec.output_key!r}" if spec.output_key else ""
    if spec.task is None and labels is not None and heads.has_other_labels(head, outputs, labels):
        raise UnjudgedError(
            f"The labels {spec.label_key!r} of the first records look like task={head.task!r}, and others do not. Set "
            f"task{of} to what the model is for; labels that do not fit it are counted as unusable then."
        )
    if spec.from_logits is None and heads.has_other_outputs(head, outputs):
        raise UnjudgedError(
            f"The outputs{of} of the first records look like probabilities, and others do not. Set from_logits{of} to "
            "what the model gives; outputs that do not fit it are counted as unusable then."
        )


def threshold_scores(names: list[str], found: list[Signals]) -> dict[str, np.ndarray]:
    """Scores by attack: of all heads together, and of each where there are several.

    Args:
      names: Of the heads.
      found: Their signals.

    Returns:
      By attack, float64 of shape (num_records,), NaN where a record has none.
    """
    usable = np.all([signals.usable for signals in found], axis=0)
    scores = {evaluate.LOSS: np.where(usable, heads.joint_loss(found), np.nan)}
    for name, signals in zip(names, found, strict=True):
        suffix = f"[{name}]" if len(found) > 1 else ""
        own = {"modified_entropy": signals.modified_entropy, "lowest_tokens": signals.lowest_tokens}
        own |= {evaluate.LOSS: signals.loss} if suffix else {}
        own |= {evaluate.LABEL_ONLY: None if signals.correct is None else signals.correct.astype(np.float64)}
        for attack, values in own.items():
            if values is not None:
                scores[f"{attack}{suffix}"] = np.where(signals.usable, values, np.nan)
    return scores


def _task_slices(found: list[Signals]) -> dict[str, SliceColumn]:
    """Slices by label and by whether the model is right, of the first head; unusable records are in neither."""
    first = found[0]
    if first.classes is None or first.correct is None:
        return {}
    rows = np.flatnonzero(first.usable)
    values = [str(value) for value in range(int(first.classes.max(initial=0)) + 1)]
    return {
        CLASS_FEATURE: SliceColumn(values, first.classes[rows], rows),
        CORRECTNESS_FEATURE: SliceColumn(("no", "yes"), first.correct[rows].astype(np.int64), rows),
    }


class _Pending:
    """Scored records that are not counted yet, and the tally of those that are."""

    def __init__(self, side: int, sample_size: int, judged: Mapping[str, Judged]) -> None:
        self._side, self._sample_size, self._judged = side, sample_size, judged
        self._tally = tally.empty()
        self._hashes: list[np.ndarray] = []
        self.groups = np.zeros(0, np.uint64)
        self._waiting: list[Scored] = []
        self._candidates, self._left_out = [sample.empty()], [sample.empty()]
        self._size = self._bytes = self._num_left_out = 0

    def add(self, found: Scored, records: Any, compared: np.ndarray) -> None:
        """Takes scored records; those that are not `compared` are counted, and sampled apart."""
        if not compared.all():
            self._num_left_out += int((~compared).sum())
            self._sample(self._left_out, found.batch.hashes, records, ~compared)
        self._sample(self._candidates, found.batch.hashes, records, compared)
        found = _of_records(found, compared)
        self._waiting.append(found)
        self._hashes.append(found.batch.hashes)
        self._size += len(found.batch.hashes)
        if self._size >= _FLUSH_RECORDS or self._bytes >= _FLUSH_BYTES:
            self._flush()

    def _sample(self, candidates: list[Sample], hashes: np.ndarray, records: Any, among: np.ndarray) -> None:
        kept = candidates[0]
        full = len(kept.hashes) >= self._sample_size
        near = np.flatnonzero(among & (hashes <= kept.hashes[-1]) if full else among)
        # Most batches of a large file have no record near enough; their bytes never leave TensorFlow.
        chosen = tuple(records.numpy()[near].tolist()) if len(near) else ()
        candidates.append(Sample(hashes[near], chosen))
        self._bytes += sum(map(len, chosen))

    def finish(self) -> tuple[Tally, np.ndarray]:
        self._flush()
        total = dataclasses.replace(
            self._tally,
            samples=_on_side(self._side, self._candidates[0]),
            num_left_out=self._num_left_out,
            left_out=self._left_out[0],
        )
        return total, np.concatenate(self._hashes) if self._hashes else np.zeros(0, np.uint64)

    def _flush(self) -> None:
        if not self._waiting:
            return
        parts, self._waiting, self._size, self._bytes = self._waiting, [], 0, 0
        self._candidates = [sample.smallest(self._candidates, self._sample_size)]
        self._left_out = [sample.smallest(self._left_out, self._sample_size)]
        groups = joined_groups(parts)
        if groups is not None:
            self.groups = np.union1d(self.groups, groups)
        slices = {name: joined_slices([part.slices[name] for part in parts], _sizes(parts)) for name in parts[0].slices}
        counted = tally.of_records(
            self._side,
            {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
            np.concatenate([part.batch.hashes for part in parts]),
            slicing.pooled(slices, self._judged),
            groups,
        )
        self._tally = tally.merged([self._tally, counted], self._sample_size)


def _of_records(found: Scored, kept: np.ndarray) -> Scored:
    """What is counted of some of the records: scores, hashes, groups and slices."""
    if kept.all():
        return found
    groups = found.batch.groups
    return Scored(
        scores={name: values[kept] for name, values in found.scores.items()},
        signals=[],
        batch=dataclasses.replace(
            found.batch, hashes=found.batch.hashes[kept], groups=None if groups is None else groups[kept]
        ),
        slices={name: slice_values.restricted(column, kept) for name, column in found.slices.items()},
    )


def joined_groups(parts: list[Scored]) -> np.ndarray | None:
    """The groups of successive batches as one array; None without groups."""
    found = [part.batch.groups for part in parts if part.batch.groups is not None]
    return np.concatenate(found) if found else None


def joined_slices(columns: list[SliceColumn], sizes: list[int]) -> SliceColumn:
    """The columns of successive batches as one."""
    values = list(dict.fromkeys(value for column in columns for value in column.values))
    place = {value: index for index, value in enumerate(values)}
    codes = [np.array([place[value] for value in column.values], np.int64)[column.codes] for column in columns]
    if all(column.rows is None for column in columns):
        return SliceColumn(values, np.concatenate(codes))
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    rows = [
        start + (np.arange(size) if column.rows is None else column.rows)
        for column, start, size in zip(columns, starts, sizes, strict=True)
    ]
    return SliceColumn(values, np.concatenate(codes), np.concatenate(rows))


def _sizes(parts: list[Scored]) -> list[int]:
    return [len(part.batch.hashes) for part in parts]


def _on_side(side: int, found: Sample) -> tuple[Sample, Sample]:
    return (found, sample.empty()) if side == tally.MEMBERS else (sample.empty(), found)


def partitioned(hashes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Hashes by part, so no worker needs all of them."""
    partitions = hashes % np.uint64(_PARTITIONS)
    for partition in np.unique(partitions):
        yield int(partition), hashes[partitions == partition]


class MergeTallies(beam.CombineFn):
    """Merges tallies; the result is the same in every order."""

    def __init__(self, sample_size: int) -> None:
        """Keeps the size of the sample."""
        self._sample_size = sample_size

    def create_accumulator(self) -> Tally:
        """The tally of no record."""
        return tally.empty()

    def add_input(self, accumulator: Tally, element: Tally) -> Tally:
        """Adds one tally."""
        return tally.merged([accumulator, element], self._sample_size)

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        """Adds several."""
        return tally.merged([tally.empty(), *accumulators], self._sample_size)

    def extract_output(self, accumulator: Tally) -> Tally:
        """The tally."""
        return accumulator


class MergeMatches(beam.CombineFn):
    """Merges matches of both sides; the result is the same in every order."""

    def create_accumulator(self) -> tuple[Matches, Matches]:
        """Of no record."""
        return trained_records.merged([]), trained_records.merged([])

    def add_input(self, accumulator: tuple[Matches, Matches], element: tuple[int, Matches]) -> tuple[Matches, Matches]:
        """Adds those of one file."""
        side, found = element
        return _replaced(accumulator, side, trained_records.merged([accumulator[side], found]))

    def merge_accumulators(self, accumulators: Iterable[tuple[Matches, Matches]]) -> tuple[Matches, Matches]:
        """Adds several."""
        members, others = zip(*accumulators, strict=True)
        return trained_records.merged(list(members)), trained_records.merged(list(others))

    def extract_output(self, accumulator: tuple[Matches, Matches]) -> tuple[Matches, Matches]:
        """Both sides."""
        return accumulator


def _replaced(both: tuple[Matches, Matches], side: int, found: Matches) -> tuple[Matches, Matches]:
    return (found, both[tally.OTHERS]) if side == tally.MEMBERS else (both[tally.MEMBERS], found)
