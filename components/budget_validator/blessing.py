"""The standard ModelBlessing: what Pusher and the resolvers read."""

from __future__ import annotations

import os

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.io import fileio

from tfx_privacy.components import _files
from tfx_privacy.privacy import gate

MESSAGE_KEY = "blessing_message"
# Long enough for every rule; ML Metadata keeps it, the report has it in full.
_MAX_MESSAGE = 2000


def write_refusal(blessing: types.Artifact, model: types.Artifact | None, message: str) -> None:
    """Writes NOT_BLESSED, which stands until a verdict replaces it."""
    _write(blessing, model, blessed=False, message=message)


def write(blessing: types.Artifact, model: types.Artifact | None, verdict: gate.Verdict) -> None:
    """Writes the verdict."""
    _write(blessing, model, blessed=verdict.blessed, message=verdict.message)


def state(blessing: types.Artifact, model: types.Artifact) -> str:
    """What an upstream blessing says of this model: `gate.UPSTREAM_BLESSED` or why not."""
    named = blessing.get_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY)
    if named != model.uri:
        return f"it is for another model, {named!r}"
    if not blessing.has_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY):
        return "it says neither yes nor no (an Evaluator without thresholds does not validate)"
    blessed = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
    return gate.UPSTREAM_BLESSED if blessed == constants.BLESSED_VALUE else f"blessed={blessed}"


def _write(blessing: types.Artifact, model: types.Artifact | None, *, blessed: bool, message: str) -> None:
    chosen, other = constants.BLESSED_FILE_NAME, constants.NOT_BLESSED_FILE_NAME
    if blessed is not True:
        chosen, other = other, chosen
    leftover = os.path.join(blessing.uri, other)
    if fileio.exists(leftover):
        fileio.remove(leftover)
    _files.write_text(blessing.uri, chosen, "")
    value = constants.BLESSED_VALUE if blessed is True else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    blessing.set_string_custom_property(MESSAGE_KEY, message[:_MAX_MESSAGE])
    if model is not None:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
