"""Every private or fragile import of the project, in one place, with its reason.

tensorflow_privacy 0.9.0 imports the removed `tf.estimator` in its `__init__`; its own switch, an attribute on `sys`, skips that,
and submodules then import well. Its Keras classes need Keras 2: TF_USE_LEGACY_KERAS=1 before TensorFlow is imported.

TensorFlow can read the status of AutoGraph through its public interface, and not set it. It loads one MetaGraph of a
SavedModel, and tells of the others through its internal interface alone.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import AbstractContextManager
from typing import Any


def tensorflow_privacy(submodule: str) -> Any:
    """Imports `tensorflow_privacy.<submodule>`, of the extra, past the package's broken `__init__`: for tests and benchmarks."""
    sys.skip_tf_privacy_import = True  # type: ignore[attr-defined]
    return importlib.import_module(f"tensorflow_privacy.{submodule}")


def autograph_enabled() -> AbstractContextManager[Any]:
    """A context in which AutoGraph converts what asks to be converted, e.g. the `call` of a user's layer."""
    from tensorflow.python.autograph.core import ag_ctx

    return ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED)


def parse_saved_model(folder: str) -> Any:
    """A SavedModel's message, of all its MetaGraphs, read as TensorFlow's own loader reads it, whichever form it is in."""
    import tensorflow as tf

    return tf.__internal__.saved_model.parse_saved_model(folder)


def is_stateless(operation: str) -> bool:
    """Whether TensorFlow says that an operation has no state and no effect; of one that it does not know, it does not."""
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(operation)
    return known is not None and not known.is_stateful


def global_seed_generator() -> Any:
    """Keras 3's seed generator for random numbers without a seed; None where none was drawn."""
    from keras.src.backend.common import global_state

    return global_state.get_global_attribute("global_seed_generator")
