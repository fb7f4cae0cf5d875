"""PrivacyEvaluator's interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy import _validate
from tfx_privacy.attacks.evaluation import MAX_OVERLAP
from tfx_privacy.components import artifacts, keys
from tfx_privacy.components.privacy_evaluator import executor
from tfx_privacy.components.privacy_evaluator.heads import HeadSpec, parse_heads, parse_slices, slicing_json
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json


class PrivacyEvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, output and parameters; lists as JSON and flags as numbers, which is what Kubeflow passes."""

    PARAMETERS = {
        "heads": component_spec.ExecutionParameter(type=str),
        "slicing_specs": component_spec.ExecutionParameter(type=str),
        "member_splits": component_spec.ExecutionParameter(type=str),
        "nonmember_splits": component_spec.ExecutionParameter(type=str),
        "signature_name": component_spec.ExecutionParameter(type=str),
        "record_id_key": component_spec.ExecutionParameter(type=str, optional=True),
        keys.GROUP_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        "sensitive_features": component_spec.ExecutionParameter(type=str),
        "properties": component_spec.ExecutionParameter(type=str),
        "model_inversion": component_spec.ExecutionParameter(type=int),
        "canary_delta": component_spec.ExecutionParameter(type=float),
        "min_records": component_spec.ExecutionParameter(type=int),
        "min_slice_size": component_spec.ExecutionParameter(type=int),
        "sample_size": component_spec.ExecutionParameter(type=int),
        "max_overlap": component_spec.ExecutionParameter(type=float),
        "confidence_level": component_spec.ExecutionParameter(type=float),
        "false_positive_rates": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        keys.EXAMPLES: component_spec.ChannelParameter(type=standard_artifacts.Examples),
        keys.MODEL: component_spec.ChannelParameter(type=standard_artifacts.Model),
        keys.TRANSFORM_GRAPH: component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        keys.SCHEMA: component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
        keys.REFERENCE_MODELS: component_spec.ChannelParameter(type=artifacts.ReferenceModels, optional=True),
        keys.MODEL_RUN: component_spec.ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        keys.CANARIES: component_spec.ChannelParameter(type=artifacts.Canaries, optional=True),
    }
    OUTPUTS = {
        keys.PRIVACY_EVALUATION: component_spec.ChannelParameter(type=artifacts.PrivacyEvaluation),
    }


class PrivacyEvaluator(base_beam_component.BaseBeamComponent):
    """Attacks a trained model: can one tell the records it was trained on from others?

    Scores the records of both sides with the exported model on Beam, each once, and runs membership attacks over all
    records, by class, by whether the model is right, and by named features. Every row has a confidence interval, or
    says why it has none; a control that sees no model tells a leak from splits that differ.

    For example:

        privacy_evaluator = PrivacyEvaluator(
            examples=example_gen.outputs['examples'], model=trainer.outputs['model'],
            transform_graph=transform.outputs['transform_graph'], schema=schema_gen.outputs['schema'],
            slice_features=['payment_type'])

    Component `outputs` contains:

    - `privacy_evaluation`: `PrivacyEvaluation`, the rows, bound to the model by digest.
    """

    SPEC_CLASS = PrivacyEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        transform_graph: types.BaseChannel | None = None,
        schema: types.BaseChannel | None = None,
        reference_models: types.BaseChannel | None = None,
        model_run: types.BaseChannel | None = None,
        canaries: types.BaseChannel | None = None,
        label_key: str | None = None,
        slice_features: Sequence[str] = (),
        slicing_specs: Sequence[Any] = (),
        member_splits: Sequence[str] = ("train",),
        nonmember_splits: Sequence[str] = ("eval",),
        signature_name: str = "serving_default",
        output_key: str | None = None,
        task: str | None = None,
        from_logits: bool | None = None,
        mask_key: str | None = None,
        heads: Sequence[Mapping[str, Any]] | None = None,
        record_id_key: str | None = None,
        group_key: str | None = None,
        sensitive_features: Sequence[str] = (),
        properties: Sequence[str] = (),
        model_inversion: bool = False,
        canary_delta: float = 1e-5,
        min_records: int = 300,
        min_slice_size: int = 100,
        sample_size: int = 20_000,
        max_overlap: float = MAX_OVERLAP,
        confidence_level: float = 0.95,
        false_positive_rates: Sequence[float] = (0.01, 0.001),
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples` that the model's signature takes, usually ExampleGen's.
          model: Channel of `Model`, usually produced by DPTrainer.
          transform_graph: Channel of `TransformGraph`; the label is read from the transformed features then.
          schema: Channel of `Schema`; needed without a transform graph.
          reference_models: Channel of `ReferenceModels` of DPTrainer(reference_models=...): calibrated attacks, which
            are much stronger where few records leak.
          model_run: Channel of `ModelRun` of DPTrainer(attacks_during_training=...): the report
            shows how the leak grew.
          canaries: Channel of `Canaries` of CanaryInserter; `examples` then are its `examples_with_canaries`.
          label_key: Name of the label; DPTrainer's model names it by itself, and the gate refuses another one.
          slice_features: Raw features by whose values the attacks are repeated: every value with at least `min_slice_size`
            members, at most 1,000 of a feature; rarer ones are pooled.
          slicing_specs: TFMA's `SlicingSpec` messages: crossed features, and records with given values.
          member_splits: Splits that the model was trained on.
          nonmember_splits: Splits that it never saw, not even for early stopping.
          signature_name: Signature of the model that takes serialized tf.Examples.
          output_key: Which of the signature's outputs to attack; needed if there are several.
          task: "binary", "multiclass", "multilabel", "regression", "sequence", or "loss" if the output is each record's
            loss itself, which the gate accepts only if the model's loss reads no label, or the policy's
            `required_tasks` name it. None looks at the first records.
          from_logits: Whether the outputs are logits. None looks at the first records.
          mask_key: For sequences: the feature that says which tokens count; without it those whose
            label is not negative.
          heads: For a model with several outputs, one mapping for each, with the keys name, output_key, label_key,
            task, from_logits and mask_key; they take the place of the arguments of these names.
          record_id_key: Raw feature that identifies a record. If it is given, every member's p-value is written beside
            the evaluation, which then is as private as the data.
          group_key: Raw feature of one integer or text that says whom a record is of, such as a user id: all records of
            a group are in one fold, and intervals and p-values take groups for independent of each other, not records.
            Needed wherever people have several records; split them by it as well. DPTrainer's model names its
            `user_id_key` by itself.
          sensitive_features: Raw features of at most 20 values: does the model tell them of its training records better
            than of others?
          properties: "feature=value" each: do reference models tell how frequent it was in their training data?
          model_inversion: Whether to reconstruct records of each class and compare them with training and held-out
            ones; takes long.
          canary_delta: At which the canaries' lower bound on epsilon is stated.
          min_records: Smallest side of the whole set that is judged.
          min_slice_size: Members that a value needs to be judged by itself; it also needs 20 non-members.
          sample_size: Records per side for attacks that need a classifier or reference models.
          max_overlap: Largest share of the non-members that may equal a member. They are left out of the comparison and
            counted; with more of them no attack is judged. The gate refuses more than 5 %, whatever is set here.
          confidence_level: Of the two-sided intervals.
          false_positive_rates: At which the true-positive rate is given.

        Raises:
          ParameterError: If a number is out of its range, or a head is described wrongly.
        """
        single = HeadSpec(
            output_key=output_key, label_key=label_key, task=task, from_logits=from_logits, mask_key=mask_key
        )
        described = list(heads) if heads is not None else [dataclasses.asdict(single)]
        heads_json = strict_json.dumps(described, indent=None)
        parse_heads(heads_json)
        slices_json = slicing_json(slice_features, slicing_specs)
        parse_slices(slices_json)
        rates = [_validate.open_interval(0.0, 1.0, false_positive_rate=rate) for rate in false_positive_rates]
        super().__init__(
            spec=PrivacyEvaluatorSpec(
                examples=examples,
                model=model,
                transform_graph=transform_graph,
                schema=schema,
                reference_models=reference_models,
                model_run=model_run,
                canaries=canaries,
                heads=heads_json,
                slicing_specs=slices_json,
                member_splits=strict_json.dumps(list(member_splits), indent=None),
                nonmember_splits=strict_json.dumps(list(nonmember_splits), indent=None),
                signature_name=signature_name,
                record_id_key=record_id_key,
                group_key=group_key,
                sensitive_features=strict_json.dumps(list(sensitive_features), indent=None),
                properties=strict_json.dumps([_property(text) for text in properties], indent=None),
                model_inversion=int(bool(model_inversion)),
                canary_delta=_validate.open_interval(0.0, 1.0, canary_delta=canary_delta),
                min_records=_validate.positive_integer(min_records=min_records),
                min_slice_size=_validate.positive_integer(min_slice_size=min_slice_size),
                sample_size=_validate.positive_integer(sample_size=sample_size),
                max_overlap=_validate.closed_interval(0.0, 1.0, max_overlap=max_overlap),
                confidence_level=_validate.open_interval(0.5, 1.0, confidence_level=confidence_level),
                false_positive_rates=strict_json.dumps(rates, indent=None),
                privacy_evaluation=channel_utils.as_channel([artifacts.PrivacyEvaluation()]),
            )
        )


def _property(text: str) -> str:
    name, separator, _ = text.partition("=")
    if not (name and separator):
        raise ParameterError(
            f"Expected properties={text!r} to read feature=value. Name a feature and one of its values."
        )
    return text
