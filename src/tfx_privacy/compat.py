"""Every private or fragile import of the project, in one place, with its reason.

* tensorflow_privacy 0.9.0 imports the removed `tf.estimator` in its `__init__`; its own switch,
  an attribute on `sys`, skips that, and submodules then import well.
* `tf.keras` is Keras 3 from TensorFlow 2.16 on unless TF_USE_LEGACY_KERAS is set before `tf.keras`
  is first touched. tensorflow_privacy and TFX's own examples need Keras 2 (tf_keras).
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from tfx_privacy.privacy.errors import ModelError

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


def select_keras_2() -> None:
    """Makes `tf.keras` Keras 2 where that is still open, and fails where it is not.

    Raises:
      ModelError: If `tf.keras` is Keras 3 in this process already, or is asked to be.
    """
    os.environ.setdefault(_LEGACY_KERAS, "1")
    import tensorflow as tf

    module = tf.keras.Model.__module__
    if not module.startswith(("tf_keras", "keras.src.engine", "keras.engine")):
        raise ModelError(
            f"tf.keras is Keras 3 here ({module}), with {_LEGACY_KERAS}={os.environ[_LEGACY_KERAS]!r}. DPTrainer trains Keras 2 "
            f"models: set {_LEGACY_KERAS}=1 in the environment before TensorFlow is imported."
        )


def tensorflow_privacy(submodule: str) -> Any:
    """Imports `tensorflow_privacy.<submodule>` past the package's broken `__init__`."""
    sys.skip_tf_privacy_import = True  # type: ignore[attr-defined]
    return importlib.import_module(f"tensorflow_privacy.{submodule}")
