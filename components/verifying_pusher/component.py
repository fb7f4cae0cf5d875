"""VerifyingPusher's interface: Pusher's, with the blessing required."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.pusher import component as pusher_component
from tfx.dsl.components.base import executor_spec
from tfx.orchestration import data_types
from tfx.proto import pusher_pb2

from tfx_privacy.components.verifying_pusher import executor


class VerifyingPusher(pusher_component.Pusher):
    """TFX's Pusher, which pushes a model only if a signed verdict of BudgetValidator names it.

    For example:

        pusher = VerifyingPusher(
            model=trainer.outputs['model'],
            model_blessing=validator.outputs['blessing'],
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)))

    Component `outputs` contains:

    - `pushed_model`: standard `PushedModel`; where nothing was pushed, its custom property `refusal` says why.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.VerifyingPusherExecutor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        push_destination: pusher_pb2.PushDestination | data_types.RuntimeParameter,
        infra_blessing: types.BaseChannel | None = None,
        max_verdict_age_hours: float = executor.DEFAULT_MAX_VERDICT_AGE_HOURS,
        allow_missing_keys: bool = False,
        policy_digest: str | None = None,
        custom_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Declares the component.

        Args:
          model: Channel of `Model`, usually produced by DPTrainer.
          model_blessing: Channel of `ModelBlessing`, produced by BudgetValidator.
          push_destination: A file system's folder, as for Pusher.
          infra_blessing: Channel of `InfraBlessing`; ANDed where wired.
          max_verdict_age_hours: How old the verdict may be.
          allow_missing_keys: Push without a look at the signature where the environment has no verification keys. Where
            it has keys, a valid signature is demanded all the same.
          policy_digest: Digest of the only policy whose verdicts count, as `tfx-privacy policy-digest FILE` prints it;
            None takes the verdict of any policy.
          custom_config: Further entries of Pusher's `custom_config`.

        Raises:
          ParameterError: If a setting is out of its range.
        """
        executor.Settings.of(
            max_verdict_age_hours=max_verdict_age_hours,
            allow_missing_keys=allow_missing_keys,
            policy_digest=policy_digest,
        )
        settings: dict[str, Any] = {
            executor.MAX_VERDICT_AGE_KEY: float(max_verdict_age_hours),
            executor.ALLOW_MISSING_KEYS_KEY: allow_missing_keys,
        }
        if policy_digest is not None:
            settings[executor.POLICY_DIGEST_KEY] = policy_digest
        super().__init__(
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            push_destination=push_destination,
            custom_config={**(custom_config or {}), executor.CONFIG_KEY: settings},
        )
