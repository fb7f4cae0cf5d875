"""PrivacyEvaluator's work: score both sides on Beam, attack, write what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from tfx_privacy import compat
from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.attacks import evaluation, trained_records
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.attacks.membership.evaluate import Settings
from tfx_privacy.attacks.trained_records import TrainedRecords
from tfx_privacy.components import _files, _signatures, keys
from tfx_privacy.components.privacy_evaluator import attack_pipeline, failures, findings, grouping, heads, resolution
from tfx_privacy.components.privacy_evaluator.attack_pipeline import Task
from tfx_privacy.components.privacy_evaluator.findings import Wanted
from tfx_privacy.components.privacy_evaluator.reader import ModelReader
from tfx_privacy.errors import DataError, ParameterError
from tfx_privacy.gate import attack_limit, false_refusals
from tfx_privacy.gate.false_refusals import Design
from tfx_privacy.records import statement, strict_json


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of PrivacyEvaluator."""

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None) -> None:
        super().__init__(context)
        # Before those given, so that any other runner that is named there counts.
        self._beam_pipeline_args.insert(0, f"--runner={compat.LOCAL_BEAM_RUNNER}")

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Attacks the model.

        Args:
          input_dict: `examples`, `model`, and `transform_graph` or `schema`; optionally `reference_models`, `model_run`
            and `canaries`.
          output_dict: `privacy_evaluation`.
          exec_properties: As PrivacyEvaluatorSpec declares them.

        Raises:
          TFXPrivacyError: If a split, feature or label is unknown, a file is broken, or evidence is of another model. Data
            that no attack can be judged on are no error: the evaluation says so.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        _signatures.check_signing_key()
        splits = _splits(exec_properties)
        files = tuple(_files_of(input_dict[keys.EXAMPLES], names) for names in splits)
        model = artifact_utils.get_single_instance(input_dict[keys.MODEL])
        target = artifact_utils.get_single_instance(output_dict[keys.PRIVACY_EVALUATION])
        trained_on = _trained_on(model)
        # The digest before scoring: what is attacked is what is named.
        reader = _reader(input_dict, exec_properties, model, _files.model_digest(model.uri), trained_on)
        reader.check()
        trained_groups = model.get_string_custom_property(keys.GROUP_KEY)
        grouping.check_same(reader.group_key, trained_groups, reader.raw_feature_spec())
        wanted = _wanted(exec_properties, _optional_uri(input_dict, keys.CANARIES))
        reader.check_features([*wanted.sensitive_features, *(name for name, _ in wanted.properties)])
        resolved = resolution.resolve(reader, files)
        task = Task(
            uri=target.uri,
            reader=resolved.reader,
            heads=resolved.heads,
            tasks=resolved.tasks,
            splits=splits,
            settings=_settings(exec_properties),
            max_overlap=float(exec_properties["max_overlap"]),
            references_uri=_optional_uri(input_dict, keys.REFERENCE_MODELS),
            model_run_uri=_optional_uri(input_dict, keys.MODEL_RUN),
            wanted=wanted,
            trained_on=trained_on,
        )
        with self._make_beam_pipeline() as pipeline:
            attack_pipeline.build(pipeline, task, files)
        failures.raise_written(target.uri)
        record = statement.from_json(PrivacyEvaluation, _files.read_text(target.uri, evaluation.FILE_NAME))
        # Again, and signed: a worker of Beam, which wrote it, need not have the key.
        _signatures.write_signed_text(target.uri, evaluation.FILE_NAME, statement.to_json(record))
        for found in record.suspected_groups:
            logging.warning("PrivacyEvaluator: %s.", found.notice)
        _show(target, record)


def _splits(exec_properties: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    members, nonmembers = (_names(exec_properties, key) for key in ("member_splits", "nonmember_splits"))
    for name, splits in (("member_splits", members), ("nonmember_splits", nonmembers)):
        if not splits or len(set(splits)) != len(splits):
            raise ParameterError(f"Expected {name}={splits} to name at least one split, and none twice.")
    common = set(members) & set(nonmembers)
    if common:
        raise ParameterError(
            f"Split {min(common)!r} is in member_splits and in nonmember_splits. An attack between equal records finds "
            "nothing."
        )
    return tuple(members), tuple(nonmembers)


def _files_of(examples: list[types.Artifact], splits: tuple[str, ...]) -> tuple[str, ...]:
    """Files of the splits, each of which has one."""
    found: list[str] = []
    for artifact in examples:
        _files.check_payload_format(artifact, "PrivacyEvaluator")
        present = sorted(artifact_utils.decode_split_names(artifact.split_names))
        for split in splits:
            if split not in present:
                raise ParameterError(
                    f"Unknown split {split!r}. The examples artifact has splits: {', '.join(present)}."
                )
            (uri,) = artifact_utils.get_split_uris([artifact], split)
            files = sorted(fileio.glob(io_utils.all_files_pattern(uri)))
            if not files:
                raise DataError(f"Split {split!r} holds no file.")
            found += files
    return tuple(found)


def _reader(
    input_dict: Mapping[str, list[types.Artifact]],
    exec_properties: Mapping[str, Any],
    model: types.Artifact,
    model_digest: str,
    trained_on: TrainedRecords | None,
) -> ModelReader:
    transform_graph, schema = input_dict.get(keys.TRANSFORM_GRAPH), input_dict.get(keys.SCHEMA)
    schema_uri = artifact_utils.get_single_uri(schema) if schema else None
    return ModelReader(
        model_path=path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)),
        model_digest=model_digest,
        signature_name=exec_properties["signature_name"],
        heads=_heads(exec_properties, model.get_string_custom_property(keys.LABEL_KEY)),
        slices=heads.parse_slices(exec_properties["slicing_specs"]),
        transform_graph_path=artifact_utils.get_single_uri(transform_graph) if transform_graph else None,
        schema_path=io_utils.get_only_uri_in_dir(schema_uri) if schema_uri else None,
        record_id_key=exec_properties.get("record_id_key") or None,
        group_key=exec_properties.get(keys.GROUP_KEY) or model.get_string_custom_property(keys.GROUP_KEY) or None,
        key_features=tuple(trained_on.key_features) if trained_on else (),
        keys_of_transformed=trained_on is not None and trained_on.features == "transformed",
    )


def _trained_on(model: types.Artifact) -> TrainedRecords | None:
    """What DPTrainer wrote down of the records that it read; None next to a model that it did not make."""
    if not fileio.exists(os.path.join(model.uri, trained_records.FILE_NAME)):
        return None
    return TrainedRecords.from_json(_files.read_text(model.uri, trained_records.FILE_NAME))


def _heads(exec_properties: Mapping[str, Any], label_of_model: str) -> tuple[heads.HeadSpec, ...]:
    """The heads as given; a single one without a label has the model's, and none has another."""
    given = heads.parse_heads(exec_properties["heads"])
    for head in given:
        if label_of_model and head.label_key not in (None, label_of_model):
            raise ParameterError(
                f"label_key={head.label_key!r}, but the model was trained on the label {label_of_model!r}, and an attack "
                "with another one finds nothing. Leave out label_key."
            )
    if len(given) == 1 and given[0].label_key is None and given[0].task != "loss":
        if not label_of_model:
            raise ParameterError(
                "label_key is not set, and the model does not name it. Set it to the name of the label, or task='loss'."
            )
        return (given[0].with_label(label_of_model),)
    for head in given:
        if head.label_key is None and head.task != "loss":
            raise ParameterError(f"Head {head.name!r} has no label_key. Set it to the name of its label.")
    return given


def _settings(exec_properties: Mapping[str, Any]) -> Settings:
    rates = strict_json.parameter(false_positive_rates=exec_properties["false_positive_rates"])
    return Settings(
        confidence_level=float(exec_properties["confidence_level"]),
        false_positive_rates=tuple(float(rate) for rate in rates),
        min_records=int(exec_properties["min_records"]),
        min_slice_size=int(exec_properties["min_slice_size"]),
        sample_size=int(exec_properties["sample_size"]),
    )


def _wanted(exec_properties: Mapping[str, Any], canaries_uri: str | None) -> Wanted:
    return Wanted(
        sensitive_features=tuple(_names(exec_properties, "sensitive_features")),
        properties=tuple(findings.parse_property(text) for text in _names(exec_properties, "properties")),
        model_inversion=exec_properties.get("model_inversion") == 1,
        canaries_uri=canaries_uri,
        canary_delta=float(exec_properties["canary_delta"]),
    )


def _optional_uri(input_dict: Mapping[str, list[types.Artifact]], key: str) -> str | None:
    """The URI of an optional input; one that is wired must be there."""
    if key not in input_dict:
        return None
    return str(_files.single(input_dict, key).uri)


def _names(exec_properties: Mapping[str, Any], key: str) -> list[str]:
    values = strict_json.parameter(**{key: exec_properties[key]})
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ParameterError(f"Expected {key}={values!r} to be a list of names.")
    return values


def _show(artifact: types.Artifact, record: PrivacyEvaluation) -> None:
    """Display copies for ML Metadata, as text."""
    artifact.set_string_custom_property(keys.MODEL_DIGEST, record.model_digest)
    strongest = attack_limit.strongest(record)
    if strongest is None:
        return
    upper = rounded_up(attack_limit.upper_bound(strongest))
    artifact.set_string_custom_property("attack_auc_upper", upper)
    artifact.set_string_custom_property("attack_slice", strongest.slice_name)
    logging.info(
        "PrivacyEvaluator: the strongest attack is %s on %s, upper bound %s.",
        strongest.attack,
        strongest.slice_name,
        upper,
    )
    design = Design.of(record)
    if design is not None:
        smallest = f"{design.smallest_limit():g}"
        artifact.set_string_custom_property("smallest_attack_limit", smallest)
        logging.info(
            "PrivacyEvaluator: so many records support max_attack_auc=%s or more, which refuses at most %g %% of models "
            "that leak nothing.",
            smallest,
            100 * false_refusals.MOST,
        )
