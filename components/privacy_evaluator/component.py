"""PrivacyEvaluator's interface."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy.components import artifacts
from tfx_privacy.components.privacy_evaluator import executor
from tfx_privacy.privacy import _validate, strict_json


class PrivacyEvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, output and parameters; lists as JSON and flags as numbers, which is what Kubeflow passes."""

    PARAMETERS = {
        "label_key": component_spec.ExecutionParameter(type=str, optional=True),
        "slice_features": component_spec.ExecutionParameter(type=str),
        "member_splits": component_spec.ExecutionParameter(type=str),
        "nonmember_splits": component_spec.ExecutionParameter(type=str),
        "signature_name": component_spec.ExecutionParameter(type=str),
        "output_key": component_spec.ExecutionParameter(type=str, optional=True),
        "from_logits": component_spec.ExecutionParameter(type=int, optional=True),
        "min_records": component_spec.ExecutionParameter(type=int),
        "min_slice_size": component_spec.ExecutionParameter(type=int),
        "confidence_level": component_spec.ExecutionParameter(type=float),
        "false_positive_rate": component_spec.ExecutionParameter(type=float),
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {
        executor.PRIVACY_EVALUATION_KEY: component_spec.ChannelParameter(type=artifacts.PrivacyEvaluation),
    }


class PrivacyEvaluator(base_beam_component.BaseBeamComponent):
    """Attacks a trained model: can one tell the records it was trained on from others?

    Scores the records of both sides with the exported model on Beam, and runs four membership attacks over all records, by
    class and by named features. Every row has a confidence interval, or says why it has none.

    ::

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
        label_key: str | None = None,
        slice_features: Sequence[str] = (),
        member_splits: Sequence[str] = ("train",),
        nonmember_splits: Sequence[str] = ("eval",),
        signature_name: str = "serving_default",
        output_key: str | None = None,
        from_logits: bool | None = None,
        min_records: int = 300,
        min_slice_size: int = 100,
        confidence_level: float = 0.95,
        false_positive_rate: float = 0.01,
    ) -> None:
        """Declares the component.

        Args:
          examples: Channel of `Examples` that the model's signature takes, usually ExampleGen's.
          model: Channel of `Model`, usually produced by DPTrainer.
          transform_graph: Channel of `TransformGraph`; the label is read from the transformed features then.
          schema: Channel of `Schema`; needed without a transform graph.
          label_key: Name of the label; DPTrainer's model names it by itself.
          slice_features: Raw features by whose values the attacks are repeated; rare values are pooled.
          member_splits: Splits that the model was trained on.
          nonmember_splits: Splits that it never saw, not even for early stopping.
          signature_name: Signature of the model that takes serialized tf.Examples.
          output_key: Which of the signature's outputs to attack; needed if there are several.
          from_logits: Whether the outputs are logits. None takes them for probabilities if all lie in [0, 1].
          min_records: Smallest side of the whole set that is judged.
          min_slice_size: Smallest side of a slice that is judged.
          confidence_level: Of the two-sided intervals.
          false_positive_rate: At which the true-positive rate is given.

        Raises:
          ParameterError: If a number is out of its range.
        """
        super().__init__(
            spec=PrivacyEvaluatorSpec(
                examples=examples,
                model=model,
                transform_graph=transform_graph,
                schema=schema,
                label_key=label_key,
                slice_features=strict_json.dumps(list(slice_features), indent=None),
                member_splits=strict_json.dumps(list(member_splits), indent=None),
                nonmember_splits=strict_json.dumps(list(nonmember_splits), indent=None),
                signature_name=signature_name,
                output_key=output_key,
                from_logits=None if from_logits is None else int(from_logits),
                min_records=_validate.positive_integer(min_records=min_records),
                min_slice_size=_validate.positive_integer(min_slice_size=min_slice_size),
                confidence_level=_validate.open_interval(0.5, 1.0, confidence_level=confidence_level),
                false_positive_rate=_validate.open_interval(0.0, 1.0, false_positive_rate=false_positive_rate),
                privacy_evaluation=channel_utils.as_channel([artifacts.PrivacyEvaluation()]),
            )
        )
