"""Writes an evaluation: the strict JSON that the gate reads, and the same for TFMA and TensorBoard."""

from __future__ import annotations

import os

from tfx_privacy.attacks import evaluation
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.components import _files
from tfx_privacy.components.privacy_evaluator import tensorboard, tfma_result
from tfx_privacy.records import statement

TFMA_FOLDER = "tfma"
"""`tensorflow_model_analysis.load_eval_result` reads it."""
TENSORBOARD_FOLDER = "tensorboard"


def write(uri: str, record: PrivacyEvaluation) -> None:
    """Writes everything below `uri`; the JSON, which is the evidence, last.

    Args:
      uri: Of the artifact.
      record: The evaluation.
    """
    tfma_result.write(os.path.join(uri, TFMA_FOLDER), record)
    tensorboard.write(os.path.join(uri, TENSORBOARD_FOLDER), record)
    _files.write_text(uri, evaluation.FILE_NAME, statement.to_json(record))
