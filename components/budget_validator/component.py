"""BudgetValidator's interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration import data_types
from tfx.types import channel_utils, component_spec, standard_artifacts

from tfx_privacy.components import artifacts, keys
from tfx_privacy.components.budget_validator import driver, executor
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate import policy_file as policies
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.ledger import source
from tfx_privacy.records import strict_json

_Scalar: TypeAlias = float | data_types.RuntimeParameter
_Policy: TypeAlias = GatePolicy | str | os.PathLike[str]


class BudgetValidatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters: a policy's canonical JSON, or scalars, so RuntimeParameter works for each."""

    PARAMETERS = {
        executor.MAX_EPSILON_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        executor.MAX_DELTA_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        executor.MAX_ATTACK_AUC_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        executor.MIN_SLICE_COVERAGE_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        executor.MAX_TPR_AT_FPR_KEY: component_spec.ExecutionParameter(type=float, optional=True),
        executor.ALLOW_NON_DP_PREPROCESSING_KEY: component_spec.ExecutionParameter(type=int, optional=True),
        executor.UNATTACKED_OUTPUTS_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        executor.POLICY_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        keys.LEDGER: component_spec.ExecutionParameter(type=str, optional=True),
        executor.MODEL_BLESSING_WIRED_KEY: component_spec.ExecutionParameter(type=int),
        driver.NONCE_KEY: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        keys.MODEL: component_spec.ChannelParameter(type=standard_artifacts.Model),
        keys.PRIVACY_GUARANTEE: component_spec.ChannelParameter(type=artifacts.PrivacyGuarantee),
        keys.PRIVACY_EVALUATION: component_spec.ChannelParameter(type=artifacts.PrivacyEvaluation),
        keys.MODEL_BLESSING: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        executor.EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
        executor.BASELINE_EVALUATION_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.ModelEvaluation, optional=True
        ),
    }
    OUTPUTS = {
        keys.BLESSING: component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        keys.REPORT: component_spec.ChannelParameter(type=artifacts.PrivacyReport),
    }


class BudgetValidator(base_component.BaseComponent):
    """Blesses a model only if epsilon and the attacks' AUC keep their limits.

    Pusher has one `model_blessing` slot: wire it to this component, and the Evaluator's blessing
    to this component's `model_blessing`, which is ANDed. Everything that is missing, malformed,
    partial or of another model is a refusal, and the report says which and why.

    For example:

        validator = BudgetValidator(
            model=trainer.outputs['model'],
            privacy_guarantee=trainer.outputs['privacy_guarantee'],
            privacy_evaluation=privacy_evaluator.outputs['privacy_evaluation'],
            model_blessing=evaluator.outputs['blessing'],  # optional
            max_epsilon=3.0, max_delta=1e-6, max_attack_auc=0.60)
        pusher = Pusher(model=trainer.outputs['model'], model_blessing=validator.outputs['blessing'], ...)

    Or with a policy file, which holds all limits, and in which a budget ledger is demanded unless it says otherwise::

        validator = BudgetValidator(..., policy='privacy_policy.yaml', ledger='env:TFX_PRIVACY_LEDGER')

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
        max_epsilon: _Scalar | None = None,
        max_delta: _Scalar | None = None,
        max_attack_auc: _Scalar | None = None,
        model_blessing: types.BaseChannel | None = None,
        min_slice_coverage: _Scalar | None = None,
        allow_non_dp_preprocessing: bool = False,
        unattacked_outputs: Sequence[str] = (),
        policy: _Policy | None = None,
        ledger: str | None = None,
        evaluation: types.BaseChannel | None = None,
        baseline_evaluation: types.BaseChannel | None = None,
        max_tpr_at_fpr: _Scalar | None = None,
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
          min_slice_coverage: Share of the members that the attacks must be able to judge, in (0, 1]; left out, 0.95.
          allow_non_dp_preprocessing: Accept a transform graph with analyzers, whose results the
            guarantee does not cover.
          unattacked_outputs: Outputs, as "signature/output", that the model may serve although no attack looked at
            them; the report names them on its first screen.
          policy: In place of all the limits above: a GatePolicy, or the path of a YAML or JSON file, which is read now.
          ledger: The environment variable that holds the budget ledger's address, as 'env:NAME'. Where it is given, the
            model's run must be committed there.
          evaluation: Channel of `ModelEvaluation`, the Evaluator's: the report shows its metrics over all records. No
            rule looks at them.
          baseline_evaluation: The same of a model that was trained without privacy, for comparison.
          max_tpr_at_fpr: Largest upper confidence bound on the share of members that any attack names at a
            false-positive rate of 0.1 %, in (0.001, 1]; left out, 0.01.

        Raises:
          ParameterError: If a limit is out of its range, a policy is given with limits, or `ledger` is not what the
            policy demands; RuntimeParameters are checked when they are known.
        """
        limits: dict[str, Any] = {
            executor.MAX_EPSILON_KEY: max_epsilon,
            executor.MAX_DELTA_KEY: max_delta,
            executor.MAX_ATTACK_AUC_KEY: max_attack_auc,
            executor.MIN_SLICE_COVERAGE_KEY: min_slice_coverage,
            executor.MAX_TPR_AT_FPR_KEY: max_tpr_at_fpr,
        }
        if ledger is not None:
            source.check_name(ledger)
        if policy is None:
            properties = _limits(limits, allow_non_dp_preprocessing, list(unattacked_outputs))
        else:
            properties = _embedded(policy, limits, allow_non_dp_preprocessing, list(unattacked_outputs), ledger)
        super().__init__(
            spec=BudgetValidatorSpec(
                **properties,
                ledger=ledger,
                model_blessing_wired=int(model_blessing is not None),
                model=model,
                privacy_guarantee=privacy_guarantee,
                privacy_evaluation=privacy_evaluation,
                model_blessing=model_blessing,
                evaluation=evaluation,
                baseline_evaluation=baseline_evaluation,
                blessing=channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
                report=channel_utils.as_channel([artifacts.PrivacyReport()]),
            )
        )


def _limits(limits: dict[str, Any], allow_non_dp_preprocessing: bool, unattacked_outputs: list[str]) -> dict[str, Any]:
    """The limits as execution properties; those that are known are checked."""
    known = {
        name: value
        for name, value in limits.items()
        if not isinstance(value, data_types.RuntimeParameter) and (value is not None or name not in executor.DEFAULTS)
    }
    defaults = {executor.MAX_EPSILON_KEY: 1.0, executor.MAX_DELTA_KEY: 1e-9, executor.MAX_ATTACK_AUC_KEY: 1.0}
    accepted = {"allow_non_dp_preprocessing": allow_non_dp_preprocessing, "unattacked_outputs": unattacked_outputs}
    policy = GatePolicy(**{**defaults, **known, **accepted})
    return {
        **limits,
        **executor.DEFAULTS,
        **{name: getattr(policy, name) for name in known},
        **{name: value for name, value in limits.items() if isinstance(value, data_types.RuntimeParameter)},
        executor.ALLOW_NON_DP_PREPROCESSING_KEY: int(allow_non_dp_preprocessing),
        executor.UNATTACKED_OUTPUTS_KEY: strict_json.dumps(policy.unattacked_outputs, indent=None)
        if policy.unattacked_outputs
        else None,
    }


def _embedded(
    policy: _Policy,
    limits: dict[str, Any],
    allow_non_dp_preprocessing: bool,
    unattacked_outputs: list[str],
    ledger: str | None,
) -> dict[str, Any]:
    """The policy's canonical JSON as execution property."""
    given = [name for name, value in limits.items() if value is not None]
    given += [executor.ALLOW_NON_DP_PREPROCESSING_KEY] * (allow_non_dp_preprocessing is not False)
    given += [executor.UNATTACKED_OUTPUTS_KEY] * bool(unattacked_outputs)
    if given:
        raise ParameterError(
            f"BudgetValidator got both a policy and {', '.join(given)}. Give either a policy or limits: "
            "of two limits nobody would know which one counts."
        )
    read = policy if isinstance(policy, GatePolicy) else policies.load(policy)
    if read.ledger == "required" and ledger is None:
        raise ParameterError(
            "The policy demands a budget ledger (ledger: required), but BudgetValidator was given none to read. "
            "Set ledger='env:TFX_PRIVACY_LEDGER', or write ledger: none into the policy."
        )
    if read.ledger == "none" and ledger is not None:
        raise ParameterError(
            f"The policy says ledger: none, but BudgetValidator was given ledger={ledger!r}. Write ledger: required, "
            "or leave it out."
        )
    return {executor.POLICY_KEY: read.canonical}
