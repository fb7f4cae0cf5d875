"""BudgetValidator's interface."""

from __future__ import annotations

from typing import TypeAlias

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy.components import artifacts
from tfx_privacy.components.budget_validator import driver, executor
from tfx_privacy.privacy.gate import GatePolicy

_Scalar: TypeAlias = float | data_types.RuntimeParameter


class BudgetValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters; scalars only, so that RuntimeParameter works for each."""

    PARAMETERS = {
        executor.MAX_EPSILON_KEY: component_spec.ExecutionParameter(type=float),
        executor.MAX_DELTA_KEY: component_spec.ExecutionParameter(type=float),
        executor.MAX_ATTACK_AUC_KEY: component_spec.ExecutionParameter(type=float),
        executor.MIN_SLICE_COVERAGE_KEY: component_spec.ExecutionParameter(type=float),
        executor.ALLOW_NON_DP_PREPROCESSING_KEY: component_spec.ExecutionParameter(type=int),
        executor.MODEL_BLESSING_WIRED_KEY: component_spec.ExecutionParameter(type=int),
        driver.NONCE_KEY: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        executor.MODEL_KEY: component_spec.ChannelParameter(type=standard_artifacts.Model),
        executor.PRIVACY_GUARANTEE_KEY: component_spec.ChannelParameter(type=artifacts.PrivacyGuarantee),
        executor.PRIVACY_EVALUATION_KEY: component_spec.ChannelParameter(type=artifacts.PrivacyEvaluation),
        executor.MODEL_BLESSING_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelBlessing, optional=True
        ),
    }
    OUTPUTS = {
        executor.BLESSING_KEY: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        executor.REPORT_KEY: component_spec.ChannelParameter(type=artifacts.PrivacyReport),
    }


class BudgetValidator(base_component.BaseComponent):
    """Blesses a model only if epsilon and the attacks' AUC keep their limits.

    Pusher has one `model_blessing` slot: wire it to this component, and the Evaluator's blessing
    to this component's `model_blessing`, which is ANDed. Everything that is missing, malformed,
    partial or of another model is a refusal, and the report says which and why.

    ::

        validator = BudgetValidator(
            model=trainer.outputs['model'],
            privacy_guarantee=trainer.outputs['privacy_guarantee'],
            privacy_evaluation=privacy_evaluator.outputs['privacy_evaluation'],
            model_blessing=evaluator.outputs['blessing'],  # optional
            max_epsilon=3.0, max_delta=1e-6, max_attack_auc=0.60)
        pusher = Pusher(model=trainer.outputs['model'], model_blessing=validator.outputs['blessing'], ...)

    Component `outputs` contains:

    - `blessing`: standard `ModelBlessing`; `blessed` is 1 or 0 in every run.
    - `report`: `PrivacyReport`, every rule with its value, limit and explanation.

    A verdict is never taken from TFX's cache.
    """

    SPEC_CLASS = BudgetValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self,
        model: types.BaseChannel,
        privacy_guarantee: types.BaseChannel,
        privacy_evaluation: types.BaseChannel,
        max_epsilon: _Scalar,
        max_delta: _Scalar,
        max_attack_auc: _Scalar,
        model_blessing: types.BaseChannel | None = None,
        min_slice_coverage: _Scalar = 0.95,
        allow_non_dp_preprocessing: bool = False,
    ) -> None:
        """Declares the component.

        Args:
          model: Channel of `Model`, usually produced by DPTrainer.
          privacy_guarantee: Channel of `PrivacyGuarantee`, produced by DPTrainer.
          privacy_evaluation: Channel of `PrivacyEvaluation`, produced by PrivacyEvaluator.
          max_epsilon: Largest epsilon (nats), as float or RuntimeParameter.
          max_delta: Largest delta at which epsilon may be stated.
          max_attack_auc: Largest upper confidence bound on any attack's AUC, in [0.5, 1].
          model_blessing: Channel of `ModelBlessing`, usually the Evaluator's; ANDed where wired.
          min_slice_coverage: Share of the members that the attacks must be able to judge, in (0, 1].
          allow_non_dp_preprocessing: Accept a transform graph with analyzers, whose results the
            guarantee does not cover.

        Raises:
          ParameterError: If a limit is out of its range; RuntimeParameters are checked when they are known.
        """
        limits = {
            executor.MAX_EPSILON_KEY: max_epsilon,
            executor.MAX_DELTA_KEY: max_delta,
            executor.MAX_ATTACK_AUC_KEY: max_attack_auc,
            executor.MIN_SLICE_COVERAGE_KEY: min_slice_coverage,
        }
        known = {name: value for name, value in limits.items() if not isinstance(value, data_types.RuntimeParameter)}
        defaults = {executor.MAX_EPSILON_KEY: 1.0, executor.MAX_DELTA_KEY: 1e-9, executor.MAX_ATTACK_AUC_KEY: 1.0}
        policy = GatePolicy(**{**defaults, **known}, allow_non_dp_preprocessing=allow_non_dp_preprocessing)
        limits.update({name: getattr(policy, name) for name in known})
        super().__init__(
            spec=BudgetValidatorSpec(
                **limits,
                allow_non_dp_preprocessing=int(allow_non_dp_preprocessing),
                model_blessing_wired=int(model_blessing is not None),
                model=model,
                privacy_guarantee=privacy_guarantee,
                privacy_evaluation=privacy_evaluation,
                model_blessing=model_blessing,
                blessing=channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
                report=channel_utils.as_channel([artifacts.PrivacyReport()]),
            )
        )
