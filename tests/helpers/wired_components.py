"""Components that the lint must judge by what they run, and by what they take and give. Imports TFX."""

from typing import Any, ClassVar

from tfx.components import Pusher
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_beam_executor, base_component, base_driver, base_executor, executor_spec
from tfx.types import channel_utils, component_spec
from tfx.types.standard_artifacts import Examples, ExampleStatistics, Model, ModelBlessing, PushedModel, Schema

from tfx_privacy.components import BudgetValidator, DPTrainer, DPTransform, PrivacyEvaluator
from tfx_privacy.components.artifacts import PrivacyEvaluation, PrivacyGuarantee, PrivacyRelease, ReferenceModels


class OtherExecutor(base_executor.BaseExecutor):
    """Derived from none of ours or of TFX's components; never run."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise NotImplementedError


class OtherPusher(Pusher):
    """Whether it reads the blessing cannot be seen."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(OtherExecutor)


class Generous(BudgetValidator):
    """May bless anything."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(OtherExecutor)


class _DerivedExecutor(BudgetValidator.EXECUTOR_SPEC.executor_class):
    """Might change the verdict."""


class Derived(BudgetValidator):
    """Ours, and perhaps not quite."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(_DerivedExecutor)


class Replayable(BudgetValidator):
    """Without the driver that gives every launch a nonce."""

    DRIVER_CLASS = base_driver.BaseDriver


class _WarmSpec(component_spec.ComponentSpec):
    PARAMETERS: ClassVar[dict[str, Any]] = {}
    INPUTS: ClassVar[dict[str, Any]] = {
        "examples": component_spec.ChannelParameter(type=Examples),
        "base_model": component_spec.ChannelParameter(type=Model),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {
        "model": component_spec.ChannelParameter(type=Model),
        "privacy_guarantee": component_spec.ChannelParameter(type=PrivacyGuarantee),
    }


class WarmTrainer(base_component.BaseComponent):
    """DPTrainer's executor with a model to start from, which DPTrainer itself does not take."""

    SPEC_CLASS = _WarmSpec
    EXECUTOR_SPEC = DPTrainer.EXECUTOR_SPEC

    def __init__(self, examples: Any, base_model: Any) -> None:
        super().__init__(
            _WarmSpec(
                examples=examples,
                base_model=base_model,
                model=channel_utils.as_channel([Model()]),
                privacy_guarantee=channel_utils.as_channel([PrivacyGuarantee()]),
            )
        )


@component
def ship(model: InputArtifact[Model], pushed: OutputArtifact[PushedModel]) -> None:
    """A pusher by what it takes and gives."""


@component
def fit(examples: InputArtifact[Examples], model: OutputArtifact[Model]) -> None:
    """A trainer by what it takes and gives."""


@component
def export(model: InputArtifact[Model]) -> None:
    """What it does with the model cannot be seen."""


@component
def upload(models: InputArtifact[ReferenceModels]) -> None:
    """What it does with the models cannot be seen."""


@component
def ship_what_it_likes(blessing: InputArtifact[ModelBlessing], pushed: OutputArtifact[PushedModel]) -> None:
    """A pusher that takes no model."""


@component
def quantize(model: InputArtifact[Model], smaller: OutputArtifact[Model]) -> None:
    """Makes another model."""


@component
def vouch(guarantee: OutputArtifact[PrivacyGuarantee]) -> None:
    """States what it likes."""


@component
def acquit(model: InputArtifact[Model], evaluation: OutputArtifact[PrivacyEvaluation]) -> None:
    """Attacks as it likes."""


@component
def train_elsewhere(model: OutputArtifact[Model], privacy_guarantee: OutputArtifact[PrivacyGuarantee]) -> None:
    """Reads records that no channel shows."""


class _DerivedPusherExecutor(Pusher.EXECUTOR_SPEC.executor_class):
    """Might not read the blessing."""


class DerivedPusher(Pusher):
    """TFX's, and perhaps not quite."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(_DerivedPusherExecutor)


class _DerivedTrainerExecutor(DPTrainer.EXECUTOR_SPEC.executor_class):
    """Might train otherwise."""


class DerivedTrainer(DPTrainer):
    """Ours, and perhaps not quite."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(_DerivedTrainerExecutor)


class _DerivedEvaluatorExecutor(PrivacyEvaluator.EXECUTOR_SPEC.executor_class):
    """Might attack otherwise."""


class DerivedEvaluator(PrivacyEvaluator):
    """Ours, and perhaps not quite."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(_DerivedEvaluatorExecutor)


class _DerivedTransformExecutor(DPTransform.EXECUTOR_SPEC.executor_class):
    """Might add no noise."""


class DerivedTransform(DPTransform):
    """Ours, and perhaps not quite."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(_DerivedTransformExecutor)


class _OtherBeamExecutor(base_beam_executor.BaseBeamExecutor):
    """Derived from none of ours or of TFX's components; never run."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        raise NotImplementedError


class OtherTransform(DPTransform):
    """May state any release."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(_OtherBeamExecutor)


@component
def show(statistics: InputArtifact[ExampleStatistics]) -> None:
    """What it does with the statistics cannot be seen."""


@component
def publish(schema: InputArtifact[Schema]) -> None:
    """What it does with the schema cannot be seen."""


@component
def infer(examples: InputArtifact[Examples], schema: OutputArtifact[Schema]) -> None:
    """Makes a schema of what it reads."""


@component
def forge(release: OutputArtifact[PrivacyRelease]) -> None:
    """States any release."""
