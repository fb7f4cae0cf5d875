"""A Pusher's work with the verdict checked: stage a copy, hold the verdict against it, push the copy, look again."""

from __future__ import annotations

import dataclasses
import datetime
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from absl import logging
from tfx import types
from tfx.components.evaluator import constants
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, path_utils, proto_utils

from tfx_privacy import _validate
from tfx_privacy.attacks import trained_records
from tfx_privacy.components import _files, _signatures
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate import verdict_file
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.records import signing, statement, strict_json
from tfx_privacy.records.base import is_digest

CONFIG_KEY = "verifying_pusher"
"""Where the settings are in Pusher's `custom_config`."""
MAX_VERDICT_AGE_KEY = "max_verdict_age_hours"
ALLOW_MISSING_KEYS_KEY = "allow_missing_keys"
POLICY_DIGEST_KEY = "policy_digest"
REFUSAL_KEY = "refusal"
"""Custom property of the PushedModel: why nothing was pushed."""

DEFAULT_MAX_VERDICT_AGE_HOURS = 24.0
_MAX_HOURS = 24.0 * 366 * 100
_MAX_MESSAGE = 2000
_PUSHED_KEY = "pushed"
_PUSHED_DESTINATION_KEY = "pushed_destination"

_Artifacts = dict[str, list[types.Artifact]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a verdict must keep."""

    max_verdict_age: datetime.timedelta
    allow_missing_keys: bool
    policy_digest: str | None
    """Of the one policy whose verdicts count; None takes any."""

    @classmethod
    def of(
        cls, *, max_verdict_age_hours: float, allow_missing_keys: bool, policy_digest: str | None = None
    ) -> Settings:
        """Settings from what a user gives.

        Raises:
          ParameterError: If the age is no number of hours above 0 and up to a century, `allow_missing_keys` is no bool,
            or the digest is none.
        """
        hours = _validate.half_open_interval(0.0, _MAX_HOURS, max_verdict_age_hours=max_verdict_age_hours)
        if not isinstance(allow_missing_keys, bool):
            raise ParameterError(f"Expected allow_missing_keys={allow_missing_keys!r} to be True or False.")
        if policy_digest is not None and not is_digest(policy_digest):
            raise ParameterError(
                f"Expected policy_digest={policy_digest!r} to be sha256: and 64 lower-case hex digits, as `tfx-privacy "
                "policy-digest FILE` prints them."
            )
        age = datetime.timedelta(hours=hours)
        return cls(max_verdict_age=age, allow_missing_keys=allow_missing_keys, policy_digest=policy_digest)

    @classmethod
    def from_custom_config(cls, text: str | None) -> Settings:
        """Settings from the JSON of Pusher's `custom_config`; the defaults where it has none.

        Raises:
          ParameterError: If they are no mapping, or one is unknown or out of its range.
        """
        config = strict_json.parameter(custom_config=text) if text else None
        given = config.get(CONFIG_KEY, {}) if isinstance(config, dict) else {}
        values = {
            MAX_VERDICT_AGE_KEY: DEFAULT_MAX_VERDICT_AGE_HOURS,
            ALLOW_MISSING_KEYS_KEY: False,
            POLICY_DIGEST_KEY: None,
        }
        if not isinstance(given, dict) or not set(given) <= set(values):
            raise ParameterError(
                f"Expected custom_config[{CONFIG_KEY!r}]={given!r} to be a mapping with no other keys than "
                f"{', '.join(values)}."
            )
        return cls.of(**{**values, **given})


class VerifyingPusherExecutor(pusher_executor.Executor):
    """Executor for `Pusher(custom_executor_spec=...)`, or of the component VerifyingPusher.

    What is missing, negative or stale is refused: nothing is pushed, `pushed` is 0, the run goes on, as after TFX's own
    Pusher. What is false (a signature that does not hold, a changed model, a verdict that contradicts its blessing)
    fails the run.
    """

    def Do(self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]) -> None:
        """Pushes the model if the verdict next to its blessing is about it.

        Args:
          input_dict: `model`, `model_blessing`, and optionally `infra_blessing`.
          output_dict: `pushed_model`.
          exec_properties: `push_destination` and `custom_config`.

        Raises:
          EvidenceError: If evidence is false, or what arrived at the destination is not what was sent.
          ParameterError: If a setting or a key in the environment is malformed.
        """
        settings = Settings.from_custom_config(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY))
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        self._MarkNotPushed(pushed)
        reason = _wiring_refusal(input_dict) or self._blessing_refusal(input_dict)
        if reason is not None:
            _note_refusal(pushed, reason)
            return
        (blessing,) = input_dict[standard_component_specs.MODEL_BLESSING_KEY]
        with tempfile.TemporaryDirectory(prefix="verified-model-") as folder:
            # Whoever can write to the artifacts cannot write here: the copy that is checked is the copy that is pushed.
            self._staged = os.path.join(folder, "model")
            io_utils.copy_dir(input_dict[standard_component_specs.MODEL_KEY][0].uri, self._staged)
            _without_private_file(self._staged)
            reason = _verdict_refusal(blessing, _files.model_digest(self._staged), settings)
            if reason is not None:
                _note_refusal(pushed, reason)
                return
            before = _versions(exec_properties)
            super().Do(input_dict, output_dict, exec_properties)
            self._check_pushed(pushed, _files.directory_digest(self.GetModelPath(input_dict)), before)

    def GetModelPath(self, input_dict: _Artifacts) -> str:
        """Where TFX's Pusher copies from: the part of the staged copy that is served."""
        (model,) = input_dict[standard_component_specs.MODEL_KEY]
        return str(path_utils.serving_model_path(self._staged, path_utils.is_old_model_artifact(model)))

    def _blessing_refusal(self, input_dict: _Artifacts) -> str | None:
        """Why the blessings do not let the model pass; None if they do."""
        if not self.CheckBlessing(input_dict):
            return "a blessing that is wired does not say blessed=1"
        uri = input_dict[standard_component_specs.MODEL_BLESSING_KEY][0].uri
        if not fileio.exists(os.path.join(uri, constants.BLESSED_FILE_NAME)):
            return f"there is no {constants.BLESSED_FILE_NAME} in {uri}"
        if fileio.exists(os.path.join(uri, constants.NOT_BLESSED_FILE_NAME)):
            return f"there is {constants.NOT_BLESSED_FILE_NAME} in {uri}"
        return None

    def _check_pushed(self, pushed: types.Artifact, expected: str, before: frozenset[str]) -> None:
        """Compares what arrived with what was sent, and takes it away again if it differs."""
        destination = pushed.get_string_custom_property(_PUSHED_DESTINATION_KEY)
        arrived = {uri: _digest_or_reason(uri) for uri in (destination, pushed.uri)}
        wrong = {uri: found for uri, found in arrived.items() if found != expected}
        if not wrong:
            return
        self._MarkNotPushed(pushed)
        # Pusher copies nothing to a version that is there already, which then is not ours to remove.
        kept = {destination} if os.path.basename(destination) in before else set()
        for uri in wrong.keys() - kept:
            if fileio.exists(uri):
                fileio.rmtree(uri)
        raise EvidenceError(
            f"What was pushed is not what was checked: expected {expected}, found "
            f"{'; '.join(f'{found} in {uri}' for uri, found in wrong.items())}. "
            f"{'It was there before and stays' if kept else 'It was removed'}. Find out who else writes there, and run "
            "Pusher again."
        )


def _without_private_file(folder: str) -> None:
    """Leaves behind what a copy of the model must not take along: it tells who was trained on."""
    path = os.path.join(folder, trained_records.FILE_NAME)
    if fileio.exists(path):
        fileio.remove(path)


def _wiring_refusal(input_dict: Mapping[str, list[types.Artifact]]) -> str | None:
    """Why the inputs are not the ones that can be checked; None if they are.

    TFX leaves an unwired channel out, gives an empty list for a wired one without an artifact, and
    TFX's Pusher pushes for both.
    """
    for key, source in (
        (standard_component_specs.MODEL_KEY, "the trainer's `model`, which the verdict is of"),
        (standard_component_specs.MODEL_BLESSING_KEY, "BudgetValidator's `blessing`"),
        (standard_component_specs.INFRA_BLESSING_KEY, "InfraValidator's `blessing`"),
    ):
        if key == standard_component_specs.INFRA_BLESSING_KEY and key not in input_dict:
            continue
        # One without a URI was never written.
        number = sum(bool(artifact.uri) for artifact in input_dict.get(key) or [])
        if number != 1:
            return f"{key} has {number} artifacts, expected exactly one. Wire it to {source}"
    return None


def _verdict_refusal(blessing: types.Artifact, model_digest: str, settings: Settings) -> str | None:
    """Why the verdict next to the blessing does not let this model pass; None if it does.

    Raises:
      EvidenceError: If the verdict is false: changed, signed by a stranger, or of another model.
    """
    if not fileio.exists(os.path.join(blessing.uri, verdict_file.FILE_NAME)):
        return (
            f"there is no {verdict_file.FILE_NAME} in {blessing.uri}. Wire model_blessing to BudgetValidator, which "
            "takes the Evaluator's blessing as a separate input"
        )
    found = _signatures.read_signed_text(blessing.uri, verdict_file.FILE_NAME)
    if signing.verification_keys(os.environ):
        if isinstance(found.signer, EvidenceError):
            raise found.signer
        if found.signer is None:
            return (
                f"{verdict_file.FILE_NAME} has no signature. Set {signing.SIGNING_KEY_VARIABLE} where BudgetValidator "
                "runs"
            )
    elif not settings.allow_missing_keys:
        return (
            f"the verdict's signature cannot be checked: {signing.VERIFICATION_KEYS_VARIABLE} is not set. Set it where "
            "Pusher runs to the keys that may bless (`tfx-privacy keys new` prints a pair), or set "
            f"{ALLOW_MISSING_KEYS_KEY} to go without signatures"
        )
    else:
        logging.warning("VerifyingPusher: the verdict's signature was not checked; there are no keys.")
    verdict = statement.from_json(Verdict, found.text)
    now = datetime.datetime.now(datetime.timezone.utc)
    return verdict_file.refusal(
        verdict,
        model_digest=model_digest,
        now=now,
        max_age=settings.max_verdict_age,
        policy_digest=settings.policy_digest,
    )


def _note_refusal(pushed: types.Artifact, reason: str) -> None:
    logging.warning("VerifyingPusher: nothing was pushed: %s.", reason)
    pushed.set_string_custom_property(REFUSAL_KEY, reason[:_MAX_MESSAGE])


def _versions(exec_properties: Mapping[str, Any]) -> frozenset[str]:
    """Names of what is at the destination."""
    destination = pusher_pb2.PushDestination()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
    base = destination.filesystem.base_directory
    # Some file systems end folders with a slash.
    return frozenset(str(name).rstrip("/") for name in fileio.listdir(base)) if fileio.exists(base) else frozenset()


def _digest_or_reason(uri: str) -> str:
    try:
        return _files.directory_digest(uri)
    except EvidenceError as error:
        return str(error)
