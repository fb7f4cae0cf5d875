"""Results of TensorFlow Model Analysis."""

from __future__ import annotations

import math


def overall_metrics(uri: str) -> dict[str, float]:
    """Metrics of an Evaluator's `evaluation` over all records, by name; those that are no finite number are left out.

    Args:
      uri: Of the ModelEvaluation artifact.

    Raises:
      Exception: TFMA's own, if it finds no result there.
    """
    # Seconds of imports, for a part of a report that few need.
    import tensorflow_model_analysis as tfma

    overall = tfma.load_eval_result(uri).get_metrics_for_slice(())
    found = {name: value["doubleValue"] for name, value in overall.items() if "doubleValue" in value}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}
