"""Complete pipelines: the factory that wires them, and the runners."""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "create_pipeline": "tfx_privacy.pipelines.factory",
    "run_locally": "tfx_privacy.pipelines.local_runner",
}

__all__ = ["create_pipeline", "run_locally"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
