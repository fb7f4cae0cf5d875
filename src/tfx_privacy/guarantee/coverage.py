"""What the one epsilon of a guarantee covers, and what is in the model without being covered: the words for both."""

from __future__ import annotations

import math

from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee

_TRAINING = "the training"

# By upstream artifact, what is in the model without noise where the artifact is not covered.
_TAKEN = {
    "transform_graph": "what Transform's analyzers took from the records",
    "schema": "what the schema took from the records",
    "base_model": "what the base model took from the records",
    "hyperparameters": "what the choice of hyperparameters took from the records",
}


def covered(guarantee: PrivacyGuarantee) -> list[str]:
    """What a guarantee's epsilon is of, the training last; empty where no mechanism bounds anything.

    An upstream artifact that took nothing from the records is covered as well, and is no part of epsilon.
    """
    mechanism = guarantee.mechanism
    if not (isinstance(mechanism, DPMechanism) and mechanism.is_private and math.isfinite(guarantee.stated_epsilon)):
        return []
    base = guarantee.base_model
    return ["the base model's training", _TRAINING] if base is not None and base.is_private else [_TRAINING]


def uncovered(guarantee: PrivacyGuarantee) -> list[str]:
    """What the model holds of the records without noise, each once; epsilon says nothing of it."""
    outside = [item.artifact for item in guarantee.scope if not item.covered]
    return [_TAKEN[artifact] for artifact in dict.fromkeys(outside)]
