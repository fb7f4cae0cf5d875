"""What the one epsilon of a guarantee covers, and what is in the model without being covered: the words for both.

Statement, gate and report have them from here, so none promises more than another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tfx_privacy.guarantee.mechanism import DPMechanism
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee

_OF_TRANSFORM = {
    "vocabulary": "the vocabulary",
    "moments": "the scaling",
    "bounds": "the scaling",
    "quantiles": "the buckets",
    "counts": "the counts",
}
_OF_COMPONENT = {"evaluation": "the metrics", "synthetic": "the synthetic records"}
_STATISTICS, _SCHEMA = "the statistics", "the schema"
_BASE_MODEL, _TRAINING = "the base model's training", "the training"
_ORDER = (
    *dict.fromkeys(_OF_TRANSFORM.values()), _STATISTICS, _SCHEMA, *_OF_COMPONENT.values(), _BASE_MODEL, _TRAINING,
)  # fmt: skip
# By upstream artifact, what is in the model without noise where the artifact is not covered.
_TAKEN = {
    "transform_graph": "what Transform's analyzers took from the records",
    "schema": "what the schema took from the records",
    "base_model": "what the base model took from the records",
    "hyperparameters": "what the choice of hyperparameters took from the records",
    "examples": "what canaries were made of",
}


def covered(guarantee: PrivacyGuarantee) -> list[str]:
    """What the guarantee's epsilon covers, the training last.

    What a transform graph or a schema holds is named only where it is shown to be of a release: a release that the model
    took nothing from is in epsilon, and says nothing of the model's own graph.

    Returns:
      Words such as "the vocabulary", "the scaling", "the schema", "the training", each once; none where epsilon is infinite.
    """
    mechanism = guarantee.mechanism
    if not (isinstance(mechanism, DPMechanism) and mechanism.is_private and math.isfinite(guarantee.stated_epsilon)):
        return []
    found = {word for release in guarantee.releases for word in _words(guarantee, release)} | {_TRAINING}
    if guarantee.base_model is not None and guarantee.base_model.is_private:
        found.add(_BASE_MODEL)
    return [word for word in _ORDER if word in found]


def uncovered(guarantee: PrivacyGuarantee) -> list[str]:
    """What the model holds of the records without noise, each once; epsilon says nothing of it."""
    outside = [item.artifact for item in guarantee.scope if not item.covered]
    return [_TAKEN[artifact] for artifact in dict.fromkeys(outside)]


def listed(words: list[str]) -> str:
    """Words as a sentence says them: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _words(guarantee: PrivacyGuarantee, release: CoveredRelease) -> Iterator[str]:
    made = {item.artifact for item in guarantee.scope if release.run_id in item.covered_by}
    if release.component == "transform":
        yield from (_OF_TRANSFORM[kind] for kind in release.kinds if "transform_graph" in made)
    elif release.component == "statistics":
        yield _STATISTICS
        if "schema" in made:
            yield _SCHEMA
    else:
        yield _OF_COMPONENT[release.component]
