"""Keras' global dtype policy and float type: what a user's module sets must not outlive its run in the same process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_GENERATIONS = ("keras", "tf_keras")
_DEFAULT = ("float32", "float32")


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Afterwards both are as before, in each generation of Keras."""
    before = _settings()
    try:
        yield
    finally:
        for name, now in _settings().items():
            # What was not imported before had Keras' default.
            policy, floatx = before.get(name, _DEFAULT)
            if now != (policy, floatx):
                sys.modules[name].backend.set_floatx(floatx)
                sys.modules[name].mixed_precision.set_global_policy(policy)


def _settings() -> dict[str, tuple[str, str]]:
    """By name, of the generations that are imported: the global policy's name and the float type."""
    modules = {name: sys.modules[name] for name in _GENERATIONS if name in sys.modules}
    return {
        name: (module.mixed_precision.global_policy().name, module.backend.floatx()) for name, module in modules.items()
    }
