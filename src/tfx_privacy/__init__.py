"""tfx-privacy: train with differential privacy, attack the model, and gate it before Pusher.

>>> from tfx_privacy import DPParameters, epsilon
>>> round(epsilon(DPParameters(noise_multiplier=3.0, sampling_probability=0.1, steps=512), target_delta=1e-6), 2)
3.77

The public names are here, and each is imported when it is first used: `import tfx_privacy` imports neither TensorFlow nor Beam.
Below, a folder is a subject, and imports run from the top of this list to its bottom:

* `pipelines`, `components`: complete pipelines, and the TFX components that they wire;
* `training`: DP-SGD and DP-FTRL on TensorFlow;
* `reporting`, `gate`, `ledger`: the report, the verdict, and the budget of a dataset;
* `attacks`, `guarantee`, `budget`, `accounting`, `records`: what these rest on, without TFX, Beam or TensorFlow.

The artifact types are exported here because Kubeflow finds a custom type by `<top-level package>.<class name>`. The JSON record
inside a `PrivacyGuarantee` artifact is `tfx_privacy.guarantee.record.PrivacyGuarantee`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfx_privacy._version import __version__ as __version__

if TYPE_CHECKING:
    from tfx_privacy.accounting.calibration import calibrate_noise_multiplier as calibrate_noise_multiplier
    from tfx_privacy.accounting.epsilon import epsilon as epsilon
    from tfx_privacy.accounting.parameters import DPParameters as DPParameters
    from tfx_privacy.components.artifacts import Canaries as Canaries
    from tfx_privacy.components.artifacts import PrivacyEvaluation as PrivacyEvaluation
    from tfx_privacy.components.artifacts import PrivacyGuarantee as PrivacyGuarantee
    from tfx_privacy.components.artifacts import PrivacyRelease as PrivacyRelease
    from tfx_privacy.components.artifacts import PrivacyReport as PrivacyReport
    from tfx_privacy.components.artifacts import ReferenceModels as ReferenceModels
    from tfx_privacy.components.budget_validator.component import BudgetValidator as BudgetValidator
    from tfx_privacy.components.canary_inserter.component import CanaryInserter as CanaryInserter
    from tfx_privacy.components.dp_statistics_gen.component import DPStatisticsGen as DPStatisticsGen
    from tfx_privacy.components.dp_trainer.component import DPTrainer as DPTrainer
    from tfx_privacy.components.dp_transform.component import DPTransform as DPTransform
    from tfx_privacy.components.privacy_evaluator.component import PrivacyEvaluator as PrivacyEvaluator
    from tfx_privacy.components.verifying_pusher.component import VerifyingPusher as VerifyingPusher
    from tfx_privacy.gate.policy import GatePolicy as GatePolicy
    from tfx_privacy.guarantee.declarations import record_wise as record_wise
    from tfx_privacy.ledger import Ledger as Ledger
    from tfx_privacy.pipelines.factory import create_pipeline as create_pipeline
    from tfx_privacy.pipelines.local_runner import run_locally as run_locally
    from tfx_privacy.releases.features import Number as Number
    from tfx_privacy.releases.features import Text as Text
    from tfx_privacy.releases.parameters import DPPreprocessing as DPPreprocessing

_HOMES = {
    "BudgetValidator": "components",
    "Canaries": "components.artifacts",
    "CanaryInserter": "components",
    "DPParameters": "accounting.parameters",
    "DPPreprocessing": "releases.parameters",
    "DPStatisticsGen": "components",
    "DPTrainer": "components",
    "DPTransform": "components",
    "GatePolicy": "gate.policy",
    "Ledger": "ledger",
    "Number": "releases.features",
    "PrivacyEvaluation": "components.artifacts",
    "PrivacyEvaluator": "components",
    "PrivacyGuarantee": "components.artifacts",
    "PrivacyRelease": "components.artifacts",
    "PrivacyReport": "components.artifacts",
    "ReferenceModels": "components.artifacts",
    "Text": "releases.features",
    "VerifyingPusher": "components",
    "calibrate_noise_multiplier": "accounting.calibration",
    "create_pipeline": "pipelines",
    "epsilon": "accounting.epsilon",
    "record_wise": "guarantee.declarations",
    "run_locally": "pipelines",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - names of the table above


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
