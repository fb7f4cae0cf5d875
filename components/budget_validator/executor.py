"""BudgetValidator's work: read the evidence, ask the gate, write the verdict."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from tfx_privacy.components import _files
from tfx_privacy.components.budget_validator import blessing, report
from tfx_privacy.privacy import evaluation, gate, guarantee
from tfx_privacy.privacy.errors import EvidenceError

MODEL_KEY = "model"
PRIVACY_GUARANTEE_KEY = "privacy_guarantee"
PRIVACY_EVALUATION_KEY = "privacy_evaluation"
MODEL_BLESSING_KEY = "model_blessing"
BLESSING_KEY = "blessing"
REPORT_KEY = "report"

MAX_EPSILON_KEY = "max_epsilon"
MAX_DELTA_KEY = "max_delta"
MAX_ATTACK_AUC_KEY = "max_attack_auc"
MIN_SLICE_COVERAGE_KEY = "min_slice_coverage"
ALLOW_NON_DP_PREPROCESSING_KEY = "allow_non_dp_preprocessing"
MODEL_BLESSING_WIRED_KEY = "model_blessing_wired"

_Inputs = Mapping[str, list[types.Artifact]]
_Part = TypeVar("_Part")


class Executor(base_executor.BaseExecutor):
    """Executor of BudgetValidator."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes a verdict, whatever the evidence is like.

        Args:
          input_dict: `model`, `privacy_guarantee`, `privacy_evaluation`, and optionally `model_blessing`.
          output_dict: `blessing` and `report`.
          exec_properties: The limits of `GatePolicy`, as numbers.

        Raises:
          ParameterError: If a limit is missing or out of range (the refusal is written first).
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        target = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        models = input_dict.get(MODEL_KEY) or [None]
        blessing.write_refusal(target, models[0], "The verdict was not reached: the validator stopped before it.")
        verdict, evidence = self._decide(input_dict, exec_properties)
        report.write(artifact_utils.get_single_uri(output_dict[REPORT_KEY]), verdict, evidence)
        blessing.write(target, models[0], verdict, evidence.model_digest)
        logging.info("BudgetValidator: %s", verdict.message)

    def _decide(self, input_dict: _Inputs, exec_properties: Mapping[str, Any]) -> tuple[gate.Verdict, gate.Evidence]:
        policy = read_policy(exec_properties)
        evidence = read_evidence(input_dict, wired=exec_properties.get(MODEL_BLESSING_WIRED_KEY) != 0)
        return gate.decide(evidence, policy, now=datetime.datetime.now(datetime.timezone.utc)), evidence


def read_policy(exec_properties: Mapping[str, Any]) -> gate.GatePolicy:
    """The policy from execution properties; Kubeflow hands every number over as a double.

    Raises:
      ParameterError: If a limit is missing or out of range.
    """
    allow = exec_properties.get(ALLOW_NON_DP_PREPROCESSING_KEY, 0)
    return gate.GatePolicy(
        max_epsilon=exec_properties.get(MAX_EPSILON_KEY),  # type: ignore[arg-type] # GatePolicy checks them
        max_delta=exec_properties.get(MAX_DELTA_KEY),  # type: ignore[arg-type]
        max_attack_auc=exec_properties.get(MAX_ATTACK_AUC_KEY),  # type: ignore[arg-type]
        min_slice_coverage=exec_properties.get(MIN_SLICE_COVERAGE_KEY, 0.95),
        allow_non_dp_preprocessing=not isinstance(allow, bool) and allow == 1,
    )


def read_evidence(input_dict: _Inputs, *, wired: bool) -> gate.Evidence:
    """Reads all evidence; a part that cannot be read becomes the error that says why.

    Args:
      input_dict: The component's inputs.
      wired: Whether `model_blessing` was wired. TFX leaves an unwired channel out, and gives an
        empty list for a wired one without an artifact, which must not pass for unwired.
    """

    def part(read: Callable[[], _Part]) -> _Part | EvidenceError:
        try:
            return read()
        except EvidenceError as error:
            return error
        except Exception as error:  # noqa: BLE001 - an unreadable file is a refusal, whatever the reason
            return EvidenceError(f"It could not be read: {type(error).__name__}: {error}.")

    return gate.Evidence(
        model_digest=part(lambda: _files.directory_digest(_files.single(input_dict, MODEL_KEY).uri)),
        guarantee=part(
            lambda: guarantee.PrivacyGuarantee.from_json(
                _files.read_text(_files.single(input_dict, PRIVACY_GUARANTEE_KEY).uri, guarantee.FILE_NAME)
            )
        ),
        evaluation=part(
            lambda: evaluation.PrivacyEvaluation.from_json(
                _files.read_text(_files.single(input_dict, PRIVACY_EVALUATION_KEY).uri, evaluation.FILE_NAME)
            )
        ),
        upstream_blessing=part(lambda: _upstream(input_dict, wired)),
    )


def _upstream(input_dict: _Inputs, wired: bool) -> str:
    if not wired and not input_dict.get(MODEL_BLESSING_KEY):
        return gate.UPSTREAM_NOT_WIRED
    return blessing.state(_files.single(input_dict, MODEL_BLESSING_KEY), _files.single(input_dict, MODEL_KEY))
