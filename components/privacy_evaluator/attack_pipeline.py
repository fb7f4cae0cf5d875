"""The Beam pipeline: files to tallies, tallies to one, and from it the evaluation."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tfx.dsl.io import fileio

from tfx_privacy._version import __version__
from tfx_privacy.attacks import evaluation, trained_records
from tfx_privacy.attacks import history as attack_history
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.membership import coarseness, evaluate, unjudged
from tfx_privacy.attacks.membership.evaluate import Settings
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.attacks.membership.slice_values import Judged
from tfx_privacy.attacks.membership.tally import MEMBERS, OTHERS, Tally
from tfx_privacy.attacks.trained_records import Matcher, Matches, TrainedRecords
from tfx_privacy.components import _files
from tfx_privacy.components.privacy_evaluator import (
    calibration,
    failures,
    findings,
    grouping,
    overlap,
    publish,
    risks,
    sampled,
    scoring,
    served,
    slice_counts,
    suspected,
)
from tfx_privacy.components.privacy_evaluator import reader as reading
from tfx_privacy.components.privacy_evaluator.calibration import Calibrated
from tfx_privacy.components.privacy_evaluator.failures import Failure, UnjudgedError
from tfx_privacy.components.privacy_evaluator.findings import Wanted
from tfx_privacy.components.privacy_evaluator.reader import LoadedReader, ModelReader
from tfx_privacy.components.privacy_evaluator.sampled import SampledRecords
from tfx_privacy.errors import EvidenceError, TFXPrivacyError
from tfx_privacy.records import base

SATURATION = "saturation"
"""In the place of an attack's name, where a part of the outputs cannot be told from each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that the last step needs to write the evaluation; plain values.

    Attributes:
      uri: Where to write.
      reader: The model and how examples are read.
      heads: What is attacked, for the record.
      tasks: What is attacked, for the attacks.
      splits: Names of the members' and of the others' splits.
      settings: How to judge.
      max_overlap: Largest share of the non-members that may equal a member.
      references_uri: Of DPTrainer's reference models, or None.
      model_run_uri: Of DPTrainer's logs, which may hold attacks during training, or None.
      wanted: Attacks beyond membership.
      trained_on: What the trainer wrote down of the records that it read; None where it did not.
    """

    uri: str
    reader: ModelReader
    heads: tuple[evaluation.Head, ...]
    tasks: tuple[Head, ...]
    splits: tuple[tuple[str, ...], tuple[str, ...]]
    settings: Settings
    max_overlap: float
    references_uri: str | None = None
    model_run_uri: str | None = None
    wanted: Wanted = dataclasses.field(default_factory=Wanted)
    trained_on: TrainedRecords | None = None


def build(pipeline: beam.Pipeline, task: Task, files: tuple[tuple[str, ...], ...]) -> None:
    """Adds all steps to a pipeline; running it writes the evaluation, or why there is none."""
    size = task.settings.sample_size
    judged, uncounted = slice_counts.judged(pipeline, task.reader, files[MEMBERS], task.settings.min_slice_size)
    matcher = None if task.trained_on is None else Matcher(task.trained_on)
    score = scoring.ScoreFn(task.reader, task.tasks, size, matcher)
    members, others, unhashed = scored(pipeline, task.reader, score, files, judged)
    failed = [members[scoring.FAILURES], others[scoring.FAILURES], uncounted, unhashed]

    def both(tag: str, name: str) -> beam.PCollection:
        return (members[tag], others[tag]) | name >> beam.Flatten()

    total = both("tallies", "Tallies") | "Merge" >> beam.CombineGlobally(scoring.MergeTallies(size))
    matches = both(scoring.MATCHES, "Matches") | "MergeMatches" >> beam.CombineGlobally(scoring.MergeMatches())
    if task.reader.record_id_key is not None:
        failed.append(risks.write(pipeline, total, task.reader, task.tasks, files[MEMBERS], task.uri))
    groups = (
        both(scoring.GROUPS, "OfGroups")
        | "GroupsByPartition" >> beam.GroupByKey()
        | "NumGroups" >> beam.Map(grouping.numbers)
        | "Groups" >> beam.CombineGlobally(grouping.added)
    )
    found = [
        *map(beam.pvalue.AsSingleton, (total, groups, matches)),
        beam.pvalue.AsDict(judged),
        beam.pvalue.AsList(failed | "Failures" >> beam.Flatten()),
    ]
    _ = pipeline | "Once" >> beam.Create([task]) | "AttackAndWrite" >> beam.Map(attack_and_write, *found)


def scored(
    pipeline: beam.Pipeline,
    reader: ModelReader,
    score: scoring.ScoreFn,
    files: tuple[tuple[str, ...], ...],
    judged: beam.PCollection,
) -> tuple[Any, Any, beam.PCollection]:
    """Adds the steps that score both sides: the members, and then the non-members without those that equal one.

    Returns:
      Outputs of both sides, and why some non-members could not be held against members.
    """
    members = _scored(pipeline, "Members", score, (MEMBERS, files[MEMBERS]), judged)
    on_both_sides, unhashed = overlap.on_both_sides(pipeline, members[scoring.HASHES], reader, files[OTHERS])
    return members, _scored(pipeline, "Others", score, (OTHERS, files[OTHERS]), judged, on_both_sides), unhashed


def _scored(
    pipeline: beam.Pipeline,
    name: str,
    score: scoring.ScoreFn,
    files: tuple[int, tuple[str, ...]],
    judged: beam.PCollection,
    *on_both_sides: beam.PCollection,
) -> Any:
    """Adds the steps that score the files of one side."""
    side, paths = files
    given = [beam.pvalue.AsDict(each) for each in (judged, *on_both_sides)]
    return (
        pipeline
        | f"{name}ToScore" >> beam.Create([(side, path) for path in paths])
        | f"Spread{name}ToScore" >> beam.Reshuffle()
        | f"Score{name}"
        >> beam.ParDo(score, *given).with_outputs(
            scoring.HASHES, scoring.GROUPS, scoring.MATCHES, scoring.FAILURES, main="tallies"
        )
    )


def attack_and_write(
    task: Task,
    total: Tally,
    num_groups: tuple[int, int, int],
    matches: tuple[Matches, Matches],
    judged: Mapping[str, Judged],
    failed: Sequence[Failure] = (),
) -> None:
    """Attacks the counted records and the sample, and writes the record; or the error that keeps it from being written."""
    try:
        record = evaluate_task(task, total, num_groups, matches, judged, failed)
    except TFXPrivacyError as error:
        failures.write(task.uri, Failure.of(error))
        return
    publish.write(task.uri, record)


def evaluate_task(
    task: Task,
    total: Tally,
    num_groups: tuple[int, int, int],
    matches: tuple[Matches, Matches],
    judged: Mapping[str, Judged],
    failed: Sequence[Failure] = (),
) -> PrivacyEvaluation:
    """The record of what was found.

    Raises:
      TFXPrivacyError: If a file is broken, or evidence is foreign; data that cannot be judged are a record that says so.
    """
    loaded = reading.load(task.reader)
    row = unjudged.row(total, task.max_overlap, failures.reason(failed))
    if row is None:
        try:
            found = _attacked(task, loaded, total, judged)
        except UnjudgedError as error:
            row = unjudged.unsupported(total, str(error))
    if row is not None:
        found = _Found(results=[row])
    signatures, num_compared = served.compared(loaded, [head.output_key for head in task.heads], total.samples)
    has_classes = any(row.slice_feature == evaluation.CLASS_FEATURE for row in found.results)
    covering = [spec.name for spec in task.reader.slices if spec.covers_everything]
    return PrivacyEvaluation(
        issued_at=base.utc_now(),
        model_digest=task.reader.model_digest,
        member_splits=list(task.splits[MEMBERS]),
        nonmember_splits=list(task.splits[OTHERS]),
        num_members=int(total.records[MEMBERS]),
        num_nonmembers=int(total.records[OTHERS]),
        num_unusable_members=int(total.unusable[MEMBERS]),
        num_unusable_nonmembers=int(total.unusable[OTHERS]),
        num_overlapping=total.num_left_out,
        max_overlap=task.max_overlap,
        trained_records=None if task.trained_on is None else trained_records.found(task.trained_on, *matches),
        heads=list(task.heads),
        signature_name=task.reader.signature_name,
        served=signatures,
        num_compared=num_compared,
        slice_features=[*([evaluation.CLASS_FEATURE] if has_classes else []), *covering],
        confidence_level=task.settings.confidence_level,
        false_positive_rates=list(task.settings.false_positive_rates),
        min_records=task.settings.min_records,
        min_slice_size=task.settings.min_slice_size,
        sample_size=task.settings.sample_size,
        results=found.results,
        findings=found.findings,
        curves=found.curves,
        over_training=_history(task),
        references=found.references,
        groups=grouping.described(task.reader.group_key, num_groups),
        suspected_groups=found.suspected_groups,
        engine=f"tfx-privacy {__version__}",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Found:
    """What attacks on the records gave; names as in the evaluation."""

    results: list[evaluation.AttackResult]
    findings: list[evaluation.Finding] = dataclasses.field(default_factory=list)
    curves: list[evaluation.Curve] = dataclasses.field(default_factory=list)
    references: evaluation.References | None = None
    suspected_groups: list[evaluation.SuspectedGroups] = dataclasses.field(default_factory=list)


def _attacked(task: Task, loaded: LoadedReader, total: Tally, judged: Mapping[str, Judged]) -> _Found:
    found = sampled.score(loaded, task.tasks, total.samples[0]), sampled.score(loaded, task.tasks, total.samples[1])
    unsupported = _unsupported(task) or _about_outputs(coarseness.problem, task, loaded, found)
    calibrated, described = _calibrated(task, loaded, found) if not unsupported else (None, None)
    scores = [side.scores for side in calibrated] if calibrated else [{}, {}]
    sides = (
        sampled.side(found[MEMBERS], scores[MEMBERS], judged),
        sampled.side(found[OTHERS], scores[OTHERS], judged),
    )
    run = evaluate.run(total, sides, task.settings, unsupported=unsupported)
    saturated = "" if unsupported else _about_outputs(coarseness.saturation, task, loaded, found)
    suspicions = suspected.find(loaded, found, total, task.wanted.canaries_uri)
    beyond = findings.find(
        loaded,
        task.tasks,
        task.wanted,
        found,
        calibrated,
        member_splits=task.splits[MEMBERS],
        confidence_level=task.settings.confidence_level,
    )
    return _Found(
        results=[
            *suspected.with_notice(run.results, suspicions),
            *([evaluate.unsupported_row(SATURATION, total, saturated)] if saturated else []),
        ],
        findings=beyond,
        curves=run.curves,
        references=described,
        suspected_groups=suspicions,
    )


def _calibrated(
    task: Task, loaded: LoadedReader, found: tuple[SampledRecords, SampledRecords]
) -> tuple[tuple[Calibrated, Calibrated] | None, evaluation.References | None]:
    """What reference models say; nothing where there are none."""
    if task.references_uri is None:
        return None, None
    record = calibration.read_record(task.references_uri, task.reader.model_digest)
    if record is None:
        return None, None
    if len(task.tasks) != 1:
        raise EvidenceError(
            f"Reference models have one output, but {len(task.tasks)} heads are attacked. Attack one head."
        )
    return calibration.calibrate(loaded, task.tasks[0], task.references_uri, record, found)


def _history(task: Task) -> list[evaluation.Checkpoint]:
    """Attacks during training, where DPTrainer was asked for them and they are of this model."""
    path = None if task.model_run_uri is None else os.path.join(task.model_run_uri, attack_history.FILE_NAME)
    if path is None or task.model_run_uri is None or not fileio.exists(path):
        return []
    history = attack_history.AttackHistory.from_json(_files.read_text(task.model_run_uri, attack_history.FILE_NAME))
    if history.model_digest != task.reader.model_digest:
        raise EvidenceError(
            "model_run is of another model than the one that is attacked. Wire both from the same DPTrainer."
        )
    return list(history.checkpoints)


def _unsupported(task: Task) -> str:
    """Why a head cannot be attacked; empty if all can."""
    reasons = [
        f"output {head.output_key!r}: {known.reason}"
        for head, known in zip(task.heads, task.tasks, strict=True)
        if known.task == "unsupported"
    ]
    return "; ".join(reasons)


def _about_outputs(
    say: Callable[[Head, Sequence[np.ndarray]], str],
    task: Task,
    loaded: LoadedReader,
    found: tuple[SampledRecords, SampledRecords],
) -> str:
    """What `say` says of the sampled outputs of the heads; empty if nothing."""
    batches = [loaded.of_heads(part.batch.outputs) for side in found for part in side.parts]
    reasons = [
        f"output {head.output_key!r}: {reason}"
        for head, known, outputs in zip(task.heads, task.tasks, zip(*batches, strict=True), strict=True)
        if (reason := say(known, outputs))
    ]
    return "; ".join(reasons)
