"""The Chicago Taxi example: its pipeline, its module, and the demo that runs it three times.

The public names of `taxi.pipeline`, such as `create_taxi_pipeline`, are available here; TFX is imported when one of
them is used.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.pipeline"), name)
