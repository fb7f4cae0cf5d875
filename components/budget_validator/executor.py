"""BudgetValidator's work: read the evidence, ask the gate, write the verdict."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from tfx_privacy.attacks import evaluation
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.components import _files, _signatures, keys
from tfx_privacy.components.budget_validator import blessing, report, report_context
from tfx_privacy.errors import EvidenceError, LedgerError, ParameterError
from tfx_privacy.gate import policy_file as policies
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import (
    EVALUATION,
    GUARANTEE,
    UPSTREAM_NOT_WIRED,
    Evidence,
)
from tfx_privacy.gate.policy import DEFAULT_MAX_TPR_AT_FPR, DEFAULT_MIN_SLICE_COVERAGE, GatePolicy
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import FILE_NAME, PrivacyGuarantee
from tfx_privacy.records import statement, strict_json

EVALUATION_KEY = "evaluation"
BASELINE_EVALUATION_KEY = "baseline_evaluation"

MAX_EPSILON_KEY = "max_epsilon"
MAX_DELTA_KEY = "max_delta"
MAX_ATTACK_AUC_KEY = "max_attack_auc"
MIN_SLICE_COVERAGE_KEY = "min_slice_coverage"
MAX_TPR_AT_FPR_KEY = "max_tpr_at_fpr"
ALLOW_NON_DP_PREPROCESSING_KEY = "allow_non_dp_preprocessing"
LIMIT_KEYS = (
    MAX_EPSILON_KEY,
    MAX_DELTA_KEY,
    MAX_ATTACK_AUC_KEY,
    MIN_SLICE_COVERAGE_KEY,
    MAX_TPR_AT_FPR_KEY,
    ALLOW_NON_DP_PREPROCESSING_KEY,
)
UNATTACKED_OUTPUTS_KEY = "unattacked_outputs"
DEFAULTS = {MIN_SLICE_COVERAGE_KEY: DEFAULT_MIN_SLICE_COVERAGE, MAX_TPR_AT_FPR_KEY: DEFAULT_MAX_TPR_AT_FPR}
"""Of limits that may be left out."""
POLICY_KEY = "policy"
MODEL_BLESSING_WIRED_KEY = "model_blessing_wired"

_Inputs = Mapping[str, list[types.Artifact]]
_Run = LedgerRun | EvidenceError
_Runs = dict[str, _Run]
_Part = TypeVar("_Part")
_Record = TypeVar("_Record", bound=statement.ModelRecord)


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
          input_dict: `model`, `privacy_guarantee`, `privacy_evaluation`, and optionally `model_blessing`, `evaluation`
            and `baseline_evaluation`.
          output_dict: `blessing` and `report`.
          exec_properties: `policy` as canonical JSON, or the limits of `GatePolicy` as numbers; and `ledger`.

        Raises:
          ParameterError: If a limit is missing or out of range (the refusal is written first).
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        target = artifact_utils.get_single_instance(output_dict[keys.BLESSING])
        models = input_dict.get(keys.MODEL) or [None]
        blessing.write_refusal(target, models[0], "The verdict was not reached: the validator stopped before it.")
        verdict, evidence = self._decide(input_dict, exec_properties)
        report.write(
            artifact_utils.get_single_uri(output_dict[keys.REPORT]),
            verdict,
            evidence,
            lineage=report_context.lineage(input_dict, self._context),
            history=report_context.budget_history(exec_properties.get(keys.LEDGER) or None, evidence),
            utility=report_context.utility(
                input_dict.get(EVALUATION_KEY) or [], input_dict.get(BASELINE_EVALUATION_KEY) or []
            ),
        )
        blessing.write(target, models[0], verdict)
        logging.info("BudgetValidator: %s", verdict.message)

    def _decide(self, input_dict: _Inputs, exec_properties: Mapping[str, Any]) -> tuple[Verdict, Evidence]:
        policy = read_policy(exec_properties)
        evidence = read_evidence(
            input_dict,
            wired=exec_properties.get(MODEL_BLESSING_WIRED_KEY) != 0,
            ledger=exec_properties.get(keys.LEDGER) or None,
        )
        return decide(evidence, policy, now=datetime.datetime.now(datetime.timezone.utc)), evidence


def read_policy(exec_properties: Mapping[str, Any]) -> GatePolicy:
    """The policy from execution properties; Kubeflow hands every number over as a double.

    Raises:
      ParameterError: If a limit is missing or out of range, or is given with a policy.
    """
    text = exec_properties.get(POLICY_KEY)
    limits: dict[str, Any] = {name: exec_properties.get(name) for name in (*LIMIT_KEYS, UNATTACKED_OUTPUTS_KEY)}
    if text is not None:
        beside = [f"{name}={value!r}" for name, value in limits.items() if value is not None]
        if beside:
            raise ParameterError(f"Got both policy and {', '.join(beside)}. Pass one of them.")
        return policies.loads(text, kind="json")
    allow, outputs = limits.pop(ALLOW_NON_DP_PREPROCESSING_KEY), limits.pop(UNATTACKED_OUTPUTS_KEY)
    limits |= {name: value for name, value in DEFAULTS.items() if limits[name] is None}
    return GatePolicy(
        **limits,
        allow_non_dp_preprocessing=not isinstance(allow, bool) and allow == 1,
        unattacked_outputs=[] if outputs is None else strict_json.parameter(unattacked_outputs=outputs),
        # A ledger that is given with limits alone is one that must be used.
        ledger="required" if exec_properties.get(keys.LEDGER) else "none",
    )


def read_evidence(input_dict: _Inputs, *, wired: bool, ledger: str | None = None) -> Evidence:
    """Reads all evidence; a part that cannot be read becomes the error that says why.

    Args:
      input_dict: The component's inputs.
      wired: Whether `model_blessing` was wired. TFX leaves an unwired channel out, and gives an
        empty list for a wired one without an artifact, which must not pass for unwired.
      ledger: Name of the environment variable with the ledger's address, as `env:NAME`.
    """
    stated, stated_by = _read_record(input_dict, keys.PRIVACY_GUARANTEE, FILE_NAME, PrivacyGuarantee)
    found, found_by = _read_record(
        input_dict, keys.PRIVACY_EVALUATION, evaluation.FILE_NAME, evaluation.PrivacyEvaluation
    )
    run, reference_runs, release_runs = _read_ledger(ledger, stated)
    return Evidence(
        model_digest=_part(lambda: _files.model_digest(_files.single(input_dict, keys.MODEL).uri)),
        guarantee=stated,
        evaluation=found,
        upstream_blessing=_part(lambda: _upstream(input_dict, wired)),
        ledger=run,
        reference_runs=reference_runs,
        release_runs=release_runs,
        signatures={GUARANTEE: stated_by, EVALUATION: found_by},
    )


def _part(read: Callable[[], _Part]) -> _Part | EvidenceError:
    try:
        return read()
    except EvidenceError as error:
        return error
    except Exception as error:  # noqa: BLE001 - an unreadable file is a refusal, whatever the reason
        return EvidenceError(f"It could not be read: {type(error).__name__}: {error}.")


def _read_ledger(ledger: str | None, stated: PrivacyGuarantee | EvidenceError) -> tuple[_Run | None, _Runs, _Runs]:
    """What the ledger says of the runs that a guarantee names: its own, reference models' and releases'.

    Nothing where it names none or no ledger is given. A release in another ledger is not asked for: the gate refuses it.
    """
    if ledger is None or isinstance(stated, EvidenceError) or stated.ledger is None:
        return None, {}, {}
    references = stated.ledger.reference_run_ids
    ledger_id = stated.ledger.ledger_id
    releases = [
        each.run_id for each in stated.releases if each.ledger is not None and each.ledger.ledger_id == ledger_id
    ]
    try:
        # Database drivers are loaded only where a ledger is used.
        from tfx_privacy.ledger import read_runs

        found = read_runs(ledger, [stated.run_id, *references, *releases])
        return (
            found[stated.run_id],
            {name: found[name] for name in references},
            {name: found[name] for name in releases},
        )
    except LedgerError as error:
        problem = EvidenceError(f"The ledger of {ledger} cannot be read: {error}")
    except Exception as error:  # noqa: BLE001 - a driver's message may hold the address: its kind must do
        problem = EvidenceError(f"The ledger of {ledger} cannot be read: {type(error).__name__}.")
    return problem, {}, {}


def _read_record(
    input_dict: _Inputs, key: str, name: str, kind: type[_Record]
) -> tuple[_Record | EvidenceError, str | EvidenceError | None]:
    """A record, and the key of its file's signature: None without one, the error where it is not valid."""
    read = _part(lambda: _signatures.read_signed_text(_files.single(input_dict, key).uri, name))
    if isinstance(read, EvidenceError):
        return read, None
    return _part(lambda: statement.from_json(kind, read.text)), read.signer


def _upstream(input_dict: _Inputs, wired: bool) -> str:
    # An orchestrator may give an optional input that nothing was written to as an artifact that is nowhere.
    if not wired and not any(artifact.uri for artifact in input_dict.get(keys.MODEL_BLESSING) or []):
        return UPSTREAM_NOT_WIRED
    return blessing.state(_files.single(input_dict, keys.MODEL_BLESSING), _files.single(input_dict, keys.MODEL))
