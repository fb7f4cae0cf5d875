"""tfx-privacy: train with differential privacy, attack the model, and gate it before Pusher.

The subpackages, from the bottom up:

* `tfx_privacy.privacy`: parameters, accounting, guarantee, attack statistics, gate (pure Python);
* `tfx_privacy.training`: DP-SGD on TensorFlow;
* `tfx_privacy.components`: DPTrainer, PrivacyEvaluator, BudgetValidator, CanaryInserter;
* `tfx_privacy.pipelines`: complete pipelines and their runners.

Importing this package imports neither TensorFlow nor Beam. The artifact types are exported here
because Kubeflow finds a custom type by `<top-level package>.<class name>`.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ARTIFACTS = ("Canaries", "PrivacyEvaluation", "PrivacyGuarantee", "PrivacyReport", "ReferenceModels")

__all__ = ["Canaries", "PrivacyEvaluation", "PrivacyGuarantee", "PrivacyReport", "ReferenceModels", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _ARTIFACTS:
        return getattr(importlib.import_module("tfx_privacy.components.artifacts"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
