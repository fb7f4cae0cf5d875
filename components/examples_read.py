"""Which examples a component read, as ExampleGen names them in ML Metadata: its span, its version and its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfx import types
from tfx.components.example_gen import utils

from tfx_privacy.releases.record import ExamplesRead

MAX_TEXT = 4096
_PROPERTIES = (utils.SPAN_PROPERTY_NAME, utils.VERSION_PROPERTY_NAME, utils.FINGERPRINT_PROPERTY_NAME)


def of(examples: Sequence[types.Artifact]) -> list[ExamplesRead]:
    """Of each artifact, what it says of itself."""
    found = []
    for artifact in examples:
        span, version, fingerprint = map(_property(artifact), _PROPERTIES)
        found.append(ExamplesRead(span=span, version=version, fingerprint=fingerprint))
    return found


def copy(examples: Sequence[types.Artifact], transformed: types.Artifact) -> None:
    """Lets transformed examples say which ones they were made of; of several artifacts nothing, which is no proof of any."""
    if len(examples) != 1:
        return
    for name in _PROPERTIES:
        values = examples[0].mlmd_artifact.custom_properties
        if name in values:
            transformed.mlmd_artifact.custom_properties[name].CopyFrom(values[name])


def _property(artifact: types.Artifact) -> Callable[[str], str | None]:
    values = artifact.mlmd_artifact.custom_properties

    def text(name: str) -> str | None:
        kind = values[name].WhichOneof("value") if name in values else None
        return None if kind is None else str(getattr(values[name], kind))[:MAX_TEXT]

    return text
