"""Our engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.variants import PreparedStep, Setting, UnsupportedVariantError
from benchmarks.variants.keras_case import KerasCase, keras_case, repeated


def prepare(variant: str, setting: Setting) -> PreparedStep:
    """Builds `ours`.

    Raises:
      UnsupportedVariantError: If this checkout has no engine yet.
    """
    del variant  # There is one.
    case = keras_case(setting)
    return case.prepared(repeated(_engine_step(case, setting)))


def _engine_step(case: KerasCase, setting: Setting) -> Callable[[], Any]:
    """One private step of the engine: the only lines here that know its interface."""
    try:
        from tfx_privacy.training.engine import PrivateStep
    except ModuleNotFoundError as error:
        raise UnsupportedVariantError(f"no such module in this checkout: {error.name}") from error
    step = PrivateStep(
        case.model,
        l2_norm_clip=setting.l2_norm_clip,
        noise_multiplier=setting.noise_multiplier,
        expected_batch_size=setting.batch_size,
    )
    return lambda: step.run_batch(case.features, case.labels)
