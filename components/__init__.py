"""The components, by PEP 562 so that importing one does not import the others.

Every component imports what it uses from tfx submodules: `from tfx import v1` alone costs half a
minute of processor time.
"""

from __future__ import annotations

import importlib
from typing import Any

_COMPONENTS = {
    "BudgetValidator": "tfx_privacy.components.budget_validator.component",
    "CanaryInserter": "tfx_privacy.components.canary_inserter.component",
    "DPStatisticsGen": "tfx_privacy.components.dp_statistics_gen.component",
    "DPTrainer": "tfx_privacy.components.dp_trainer.component",
    "DPTransform": "tfx_privacy.components.dp_transform.component",
    "PrivacyEvaluator": "tfx_privacy.components.privacy_evaluator.component",
    "VerifyingPusher": "tfx_privacy.components.verifying_pusher.component",
}

__all__ = [
    "BudgetValidator",
    "CanaryInserter",
    "DPStatisticsGen",
    "DPTrainer",
    "DPTransform",
    "PrivacyEvaluator",
    "VerifyingPusher",
]


def __getattr__(name: str) -> Any:
    if name in _COMPONENTS:
        return getattr(importlib.import_module(_COMPONENTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
