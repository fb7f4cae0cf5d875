"""Which examples a component read, as ExampleGen names them in their artifacts' custom properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tfx import types

from tfx_privacy.errors import DataError
from tfx_privacy.records import digest, strict_json
from tfx_privacy.releases.record import ExamplesRead

SPAN, VERSION, FINGERPRINT = "span", "version", "input_fingerprint"
"""ExampleGen's: the driver sets them, and nodes that make examples of examples must copy them."""
INSERTED = "inserted_canary_records"
"""CanaryInserter's, on its copy of examples: how many records it added."""
_MAX_TEXT = 4096


def of(examples: Iterable[types.Artifact]) -> list[ExamplesRead]:
    """What artifacts of examples say of themselves, in their order; None where they do not say."""
    return [
        ExamplesRead(
            span=_said(each, SPAN),
            version=_said(each, VERSION),
            fingerprint=_said(each, FINGERPRINT),
            inserted_canary_records=_inserted(each),
        )
        for each in examples
    ]


def copy(examples: Sequence[types.Artifact], made: types.Artifact) -> None:
    """Lets examples say which ones they were made of, and that canaries are among them.

    Which ones of several artifacts they were made of is not said, which is no proof of any.
    """
    inserted = sum(map(_inserted, examples))
    if inserted:
        made.set_int_custom_property(INSERTED, inserted)
    if len(examples) != 1:
        return
    said = examples[0].mlmd_artifact.custom_properties
    for name in (SPAN, VERSION, FINGERPRINT):
        if name in said:
            made.mlmd_artifact.custom_properties[name].CopyFrom(said[name])


def _inserted(artifact: types.Artifact) -> int:
    """Canaries among examples.

    Raises:
      DataError: If the artifact speaks of some and their number cannot be read: they must not count as none.
    """
    if INSERTED not in artifact.mlmd_artifact.custom_properties:
        return 0
    text = _said(artifact, INSERTED) or ""
    if not text.isdecimal() or int(text) > strict_json.MAX_INTEGER:
        raise DataError(f"The examples' custom property {INSERTED} is no number of records. Run CanaryInserter again.")
    return int(text)


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
