"""Labels that are texts: classes in the order of the schema's string domain, the same for training and attacks.

Another order would be other labels, and an attack with other labels finds nothing. So guarantee and evaluation state the
digest of the texts in their order, and the gate compares them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_privacy.records import digest, strict_json


def texts_of(schema: schema_pb2.Schema, name: str) -> list[str] | None:
    """The texts of a feature's string domain, in its order; None where the schema gives it none.

    Args:
      schema: With domains in the features, or by name.
      name: The feature's.
    """
    feature = next((each for each in schema.feature if each.name == name), None)
    if feature is None:
        return None
    domain = feature.string_domain if feature.HasField("string_domain") else None
    if feature.HasField("domain"):
        domain = next((each for each in schema.string_domain if each.name == feature.domain), None)
    return list(domain.value) if domain is not None and domain.value else None


def as_numbers(values: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """The place of each text in its domain, int64 of the values' shape; -1 for a text that is not in it.

    Args:
      values: UTF-8, as bytes, of any shape.
      texts: The domain's.
    """
    found, inverse = np.unique(np.asarray(values, object).reshape(-1), return_inverse=True)
    places = {text.encode(): place for place, text in enumerate(texts)}
    numbers = np.array([places.get(bytes(each), -1) for each in found], np.int64)
    return np.asarray(numbers[inverse].reshape(values.shape), np.int64)


def digest_of(texts: Sequence[str]) -> str:
    """What guarantee and evaluation state of the texts, "sha256:" and 64 hex digits."""
    return digest.text_digest(strict_json.canonical(list(texts)))
