"""Which examples a component read, as ExampleGen names them in their artifacts' custom properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx import types

from tfx_privacy.records import digest
from tfx_privacy.releases.record import ExamplesRead

SPAN, VERSION, FINGERPRINT = "span", "version", "input_fingerprint"
"""ExampleGen's: the driver sets them, and nodes that make examples of examples must copy them."""
_MAX_TEXT = 4096


def of(examples: Iterable[types.Artifact]) -> list[ExamplesRead]:
    """What artifacts of examples say of themselves, in their order; None where they do not say."""
    return [
        ExamplesRead(span=_said(each, SPAN), version=_said(each, VERSION), fingerprint=_said(each, FINGERPRINT))
        for each in examples
    ]


def copy(examples: Sequence[types.Artifact], made: types.Artifact) -> None:
    """Lets examples say which ones they were made of; of several artifacts nothing, which is no proof of any."""
    if len(examples) != 1:
        return
    said = examples[0].mlmd_artifact.custom_properties
    for name in (SPAN, VERSION, FINGERPRINT):
        if name in said:
            made.mlmd_artifact.custom_properties[name].CopyFrom(said[name])


def _said(artifact: types.Artifact, name: str) -> str | None:
    """A custom property as text, whatever kind of number an orchestrator makes of it."""
    properties = artifact.mlmd_artifact.custom_properties
    if name not in properties:
        return None
    value = properties[name]
    kind = value.WhichOneof("value")
    if kind == "string_value":
        text = str(value.string_value)
        return (text if len(text) <= _MAX_TEXT else digest.text_digest(text)) or None
    if kind == "int_value":
        return str(value.int_value)
    if kind == "double_value" and value.double_value.is_integer():
        return str(int(value.double_value))
    return None
