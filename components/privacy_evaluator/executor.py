"""PrivacyEvaluator's work: score both sides on Beam, attack, write what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from tfx_privacy import __version__
from tfx_privacy.components import _files
from tfx_privacy.components.privacy_evaluator import scoring
from tfx_privacy.privacy import _records, attack_run, evaluation, strict_json
from tfx_privacy.privacy.errors import DataError, ParameterError
from tfx_privacy.privacy.evaluation import PrivacyEvaluation

PRIVACY_EVALUATION_KEY = "privacy_evaluation"
# On the model artifact, by DPTrainer: so that the label need not be named twice.
LABEL_KEY_PROPERTY = "label_key"

_MIN_BATCH, _MAX_BATCH = 64, 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """Everything that the last Beam step needs to write the evaluation; plain values."""

    uri: str
    model_digest: str
    member_splits: tuple[str, ...]
    nonmember_splits: tuple[str, ...]
    slice_features: tuple[str, ...]
    from_logits: bool | None
    settings: attack_run.Settings


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of PrivacyEvaluator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Attacks the model.

        Args:
          input_dict: `examples`, `model`, and `transform_graph` or `schema`.
          output_dict: `privacy_evaluation`.
          exec_properties: As PrivacyEvaluatorSpec declares them.

        Raises:
          TFXPrivacyError: If a split, feature or label is unknown, the sides overlap, or an output is not finite.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        members, nonmembers = _splits(exec_properties)
        patterns = [_patterns(input_dict["examples"], splits) for splits in (members, nonmembers)]
        model = artifact_utils.get_single_instance(input_dict["model"])
        reader = _reader(input_dict, exec_properties, model)
        reader.check()
        target = artifact_utils.get_single_instance(output_dict[PRIVACY_EVALUATION_KEY])
        task = _Task(
            uri=target.uri,
            # Before scoring: what is attacked is what is named.
            model_digest=_files.directory_digest(model.uri),
            member_splits=tuple(members),
            nonmember_splits=tuple(nonmembers),
            slice_features=reader.slice_features,
            from_logits=_tristate(exec_properties.get("from_logits")),
            settings=_settings(exec_properties),
        )
        with self._make_beam_pipeline() as pipeline:
            sides = [
                _score(pipeline, name, side, reader) for name, side in zip(("members", "others"), patterns, strict=True)
            ]
            _ = (
                pipeline
                | "Once" >> beam.Create([task])
                | "AttackAndWrite"
                >> beam.Map(_attack_and_write, beam.pvalue.AsIter(sides[0]), beam.pvalue.AsIter(sides[1]))
            )
        record = PrivacyEvaluation.from_json(_files.read_text(target.uri, evaluation.FILE_NAME))
        _show(target, record)


def _score(pipeline: beam.Pipeline, name: str, patterns: list[str], reader: scoring.ModelReader) -> beam.PCollection:
    records = [
        pipeline | f"Read {name} {number}" >> beam.io.ReadFromTFRecord(pattern)
        for number, pattern in enumerate(patterns)
    ]
    return (
        records
        | f"Flatten {name}" >> beam.Flatten()
        | f"Batch {name}" >> beam.BatchElements(min_batch_size=_MIN_BATCH, max_batch_size=_MAX_BATCH)
        | f"Score {name}" >> beam.ParDo(scoring.ScoreFn(reader))
    )


def _attack_and_write(
    task: _Task, members: Iterable[attack_run.ScoredRecords], nonmembers: Iterable[attack_run.ScoredRecords]
) -> None:
    sides = scoring.joined(members), scoring.joined(nonmembers)
    run = attack_run.run(*sides, task.settings, from_logits=task.from_logits)
    record = PrivacyEvaluation(
        issued_at=_records.utc_now(),
        model_digest=task.model_digest,
        member_splits=list(task.member_splits),
        nonmember_splits=list(task.nonmember_splits),
        num_members=len(sides[0]),
        num_nonmembers=len(sides[1]),
        num_overlapping=run.num_overlapping,
        task=run.task,
        from_logits=run.from_logits,
        slice_features=[evaluation.CLASS_FEATURE, *task.slice_features],
        confidence_level=task.settings.confidence_level,
        false_positive_rate=task.settings.false_positive_rate,
        min_slice_size=task.settings.min_slice_size,
        results=run.results,
        engine=f"tfx-privacy {__version__}",
    )
    _files.write_text(task.uri, evaluation.FILE_NAME, record.to_json())


def _splits(exec_properties: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    members, nonmembers = (_list(exec_properties, key) for key in ("member_splits", "nonmember_splits"))
    for name, splits in (("member_splits", members), ("nonmember_splits", nonmembers)):
        if not splits or len(set(splits)) != len(splits):
            raise ParameterError(f"Expected {name}={splits} to name at least one split, and none twice.")
    common = set(members) & set(nonmembers)
    if common:
        raise ParameterError(
            f"Split {min(common)!r} is in member_splits and in nonmember_splits. An attack between equal records finds nothing."
        )
    return members, nonmembers


def _patterns(examples: list[types.Artifact], splits: list[str]) -> list[str]:
    """File patterns of the splits, each of which has a file."""
    patterns = []
    for artifact in examples:
        present = sorted(artifact_utils.decode_split_names(artifact.split_names))
        for split in splits:
            if split not in present:
                raise ParameterError(
                    f"Unknown split {split!r}. The examples artifact has splits: {', '.join(present)}."
                )
            (uri,) = artifact_utils.get_split_uris([artifact], split)
            pattern = io_utils.all_files_pattern(uri)
            if not fileio.glob(pattern):
                raise DataError(f"Split {split!r} holds no file.")
            patterns.append(pattern)
    return patterns


def _reader(
    input_dict: Mapping[str, list[types.Artifact]], exec_properties: Mapping[str, Any], model: types.Artifact
) -> scoring.ModelReader:
    label_key = exec_properties.get("label_key") or model.get_string_custom_property(LABEL_KEY_PROPERTY)
    if not label_key:
        raise ParameterError("label_key is not set, and the model does not name it. Set it to the name of the label.")
    transform_graph, schema = input_dict.get("transform_graph"), input_dict.get("schema")
    schema_uri = artifact_utils.get_single_uri(schema) if schema else None
    return scoring.ModelReader(
        model_path=path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)),
        signature_name=exec_properties["signature_name"],
        output_key=exec_properties.get("output_key") or None,
        label_key=label_key,
        slice_features=tuple(_list(exec_properties, "slice_features")),
        transform_graph_path=artifact_utils.get_single_uri(transform_graph) if transform_graph else None,
        schema_path=io_utils.get_only_uri_in_dir(schema_uri) if schema_uri else None,
    )


def _settings(exec_properties: Mapping[str, Any]) -> attack_run.Settings:
    return attack_run.Settings(
        confidence_level=float(exec_properties["confidence_level"]),
        false_positive_rate=float(exec_properties["false_positive_rate"]),
        min_records=int(exec_properties["min_records"]),
        min_slice_size=int(exec_properties["min_slice_size"]),
    )


def _list(exec_properties: Mapping[str, Any], key: str) -> list[str]:
    values = strict_json.loads(exec_properties[key])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ParameterError(f"Expected {key}={values!r} to be a list of names.")
    return values


def _tristate(value: float | None) -> bool | None:
    """Kubeflow knows no bool: 1 is True, 0 is False, and what is absent or negative says nothing."""
    return None if value is None or value < 0 else bool(value)


def _show(artifact: types.Artifact, record: PrivacyEvaluation) -> None:
    """Display copies for ML Metadata, as text."""
    judged = [row for row in record.results if row.status == "OK"]
    artifact.set_string_custom_property("model_digest", record.model_digest)
    if judged:
        worst = max(judged, key=lambda row: row.attack_auc_upper)
        artifact.set_string_custom_property("attack_auc_upper", f"{worst.attack_auc_upper:.4f}")
        artifact.set_string_custom_property("attack_slice", worst.slice_name)
        logging.info(
            "PrivacyEvaluator: the strongest attack is %s on %s, upper bound %.4f.",
            worst.attack,
            worst.slice_name,
            worst.attack_auc_upper,
        )
