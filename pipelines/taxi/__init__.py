"""The Chicago Taxi example: its pipeline, its module, and the demo that runs it three times.

The public names of `taxi.pipeline`, such as `create_taxi_pipeline`, are available here; TFX is imported when one of
them is used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any


def __getattr__(name: str) -> Any:
    # A module of this folder is no name of taxi.pipeline: looking for it there would import TFX first, and put its messages
    # before the demo has somewhere to keep them.
    if name.startswith("_") or importlib.util.find_spec(f"{__name__}.{name}") is not None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.pipeline"), name)
