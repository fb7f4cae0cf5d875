"""The standard ModelBlessing: what Pusher and the resolvers read, and the statement that it rests on."""

from __future__ import annotations

from tfx import types
from tfx.components.evaluator import constants

from tfx_privacy.components import _files, _signatures, keys
from tfx_privacy.gate import verdict_file
from tfx_privacy.gate.evidence import UPSTREAM_BLESSED
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records import statement

MESSAGE_KEY = "blessing_message"
# Long enough for every rule; ML Metadata keeps it, the report has it in full.
_MAX_MESSAGE = 2000


def write_refusal(blessing: types.Artifact, model: types.Artifact | None, message: str) -> None:
    """Writes NOT_BLESSED, which holds until a verdict replaces it, and removes what an earlier verdict left."""
    _set_blessed(blessing, False)
    # BLESSED goes before the statement that it rests on: no moment may have the one without the other.
    _signatures.remove(blessing.uri, constants.BLESSED_FILE_NAME)
    _signatures.remove_signed(blessing.uri, verdict_file.FILE_NAME)
    _files.write_text(blessing.uri, constants.NOT_BLESSED_FILE_NAME, "")
    blessing.set_string_custom_property(MESSAGE_KEY, message[:_MAX_MESSAGE])
    if model is not None:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)


def write(blessing: types.Artifact, model: types.Artifact | None, verdict: Verdict) -> None:
    """Writes the verdict: first a refusal, then the signed statement, BLESSED and `blessed` last.

    A process that is killed on the way leaves a refusal, or neither BLESSED nor NOT_BLESSED.

    Args:
      blessing: The artifact.
      model: What the verdict is of.
      verdict: The gate's.

    Raises:
      ParameterError: If the signing key in the environment is malformed or cannot sign; the refusal remains then.
    """
    write_refusal(blessing, model, verdict.message)
    if verdict.model_digest is not None:
        blessing.set_string_custom_property(keys.MODEL_DIGEST, verdict.model_digest)
    _signatures.write_signed_text(blessing.uri, verdict_file.FILE_NAME, statement.to_json(verdict))
    if verdict.blessed is True:
        _signatures.remove(blessing.uri, constants.NOT_BLESSED_FILE_NAME)
        _files.write_text(blessing.uri, constants.BLESSED_FILE_NAME, "")
        _set_blessed(blessing, True)


def state(blessing: types.Artifact, model: types.Artifact) -> str:
    """What an upstream blessing says of this model: `gate.UPSTREAM_BLESSED` or why not."""
    named = blessing.get_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY)
    if named != model.uri:
        return f"it is for another model, {named!r}"
    if not blessing.has_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY):
        return "it says neither yes nor no (an Evaluator without thresholds does not validate)"
    blessed = blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
    return UPSTREAM_BLESSED if blessed == constants.BLESSED_VALUE else f"blessed={blessed}"


def _set_blessed(blessing: types.Artifact, blessed: bool) -> None:
    value = constants.BLESSED_VALUE if blessed is True else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
