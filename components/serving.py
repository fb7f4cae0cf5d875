"""What DPTrainer writes into a SavedModel and PrivacyEvaluator reads from it: signatures, outputs and names of inputs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

SERVING = "serving_default"
"""Answers serialized tf.Examples."""
TRANSFORM_FEATURES = "transform_features"
"""From serialized tf.Examples to transformed features."""
FROM_FEATURES = "from_features"
"""Takes features by name, as the model does; of reference models too."""
OUTPUT_KEY = "outputs"
"""Name of an only output."""

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def input_name(feature: str) -> str:
    """The name under which the signature `from_features` takes a feature: its own where TensorFlow allows that.

    >>> input_name("trip_miles"), input_name("trip miles")
    ('trip_miles', 'feature_b47fe190')
    """
    if _PLAIN_NAME.fullmatch(feature) and feature != "self":
        return feature
    return f"feature_{hashlib.blake2b(feature.encode(), digest_size=4).hexdigest()}"


def by_input_name(features: Mapping[str, Any]) -> dict[str, Any]:
    """Features under the names that the signature `from_features` takes them by."""
    return {input_name(name): feature for name, feature in features.items()}
