"""Which step reads which environment variable, and where the variables come from.

The ledger's address and the signing key are secrets: they are in no argument, so a compiled pipeline does not carry
them. It carries their names: a Kubernetes secret for a variable (open source, in a second YAML document as
`kfp-kubernetes` writes it), and for each step the variables without which it must not start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import standard_component_specs

from tfx_privacy.components import keys
from tfx_privacy.components.artifacts import PrivacyGuarantee, PrivacyRelease
from tfx_privacy.components.budget_validator import executor as validator
from tfx_privacy.components.verifying_pusher import executor as pusher
from tfx_privacy.errors import ParameterError
from tfx_privacy.gate import policy_file
from tfx_privacy.ledger import source
from tfx_privacy.pipelines import lint
from tfx_privacy.pipelines.compile_arguments import Secret
from tfx_privacy.pipelines.lint import Finding, roles
from tfx_privacy.pipelines.lint.graph import inputs_of_type
from tfx_privacy.records import signing

_SIGNED = (PrivacyGuarantee, PrivacyRelease)


@dataclasses.dataclass(frozen=True)
class Need:
    """A variable that a step reads."""

    node: str
    variable: str
    required: bool
    """Whether the step cannot do its work without it; else it goes without, e.g. signs nothing."""


def needs(pipeline: tfx_pipeline.Pipeline) -> list[Need]:
    """The variables that the steps of a pipeline read."""
    signed = any(_demands_signatures(node) for node in pipeline.components)
    found: dict[tuple[str, str], Need] = {}
    for node in pipeline.components:
        for need in _needs_of(node, signed):
            found[need.node, need.variable] = need
    return list(found.values())


def unmet(wanted: Sequence[Need], secrets: Sequence[Secret], env: Mapping[str, str]) -> list[Finding]:
    """Variables without which a step will not start, and of which it is not known here where they come from.

    Args:
      wanted: Of `needs`.
      secrets: That are given.
      env: That is given.

    Returns:
      Warnings: the image or the cluster may give them.
    """
    given = {(node, secret.variable) for secret in secrets for node in _receivers(secret, wanted)}
    return [
        Finding(
            rule="environment",
            severity=lint.WARNING,
            node=need.node,
            problem=f"It reads the environment variable {need.variable}, and will not start without it.",
            remedy=(
                f"Compile with --secret {need.variable}=SECRET:KEY (open source), or set it in the image or by the "
                "cluster."
            ),
        )
        for need in wanted
        if need.required and (need.node, need.variable) not in given and need.variable not in env
    ]


def required(wanted: Sequence[Need], node: str) -> list[str]:
    """Names of the variables without which a step must not start."""
    return sorted(need.variable for need in wanted if need.node == node and need.required)


def secrets_as_env(
    wanted: Sequence[Need], secrets: Sequence[Secret], spec: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What the platform document says of steps that get secrets.

    Args:
      wanted: Of `needs`.
      secrets: What is to be given.
      spec: The compiled PipelineSpec.

    Returns:
      Entries by the executor's label, as kfp-kubernetes' `use_secret_as_env` makes them.

    Raises:
      ParameterError: If a secret is for a step that does not exist, or no step reads its variable.
    """
    components: Mapping[str, Any] = spec["components"]
    executors: dict[str, Any] = {}
    for secret in secrets:
        nodes = _receivers(secret, wanted)
        unknown = [node for node in nodes if node not in components]
        if unknown or not nodes:
            readers = ", ".join(sorted({f"{need.node}.{need.variable}" for need in wanted})) or "none"
            raise ParameterError(
                f"--secret {secret.variable}: "
                f"{f'there is no step {unknown[0]!r}' if unknown else 'no step reads that variable'}. Variables that "
                f"steps read: {readers}. For another one name the step, as NODE.{secret.variable}=SECRET:KEY."
            )
        for node in nodes:
            entries = executors.setdefault(components[node]["executorLabel"], {"secretAsEnv": []})["secretAsEnv"]
            entries.append(
                {"secretName": secret.name, "keyToEnv": [{"secretKey": secret.key, "envVar": secret.variable}]}
            )
    return executors


def _receivers(secret: Secret, wanted: Sequence[Need]) -> list[str]:
    if secret.node is not None:
        return [secret.node]
    return [need.node for need in wanted if need.variable == secret.variable]


def _needs_of(node: Any, signed: bool) -> Iterator[Need]:
    attacks, decides = roles.is_privacy_evaluator(node), roles.is_validator(node)
    spends = roles.is_dp_trainer(node) or roles.is_releasing(node)
    if spends or attacks or decides:
        yield Need(node.id, signing.SIGNING_KEY_VARIABLE, required=signed and not decides)
    # DPTrainer reads what other steps signed: releases, and the guarantee of a base model.
    if decides or (roles.is_dp_trainer(node) and any(inputs_of_type(node, type_) for type_ in _SIGNED)):
        yield Need(node.id, signing.VERIFICATION_KEYS_VARIABLE, required=signed)
    if roles.runs(node, pusher.VerifyingPusherExecutor):
        text = node.exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY)
        unsigned = pusher.Settings.from_custom_config(text).allow_missing_keys
        yield Need(node.id, signing.VERIFICATION_KEYS_VARIABLE, required=not unsigned)
    ledger = node.exec_properties.get(keys.LEDGER)
    if (spends or decides) and isinstance(ledger, str):
        yield Need(node.id, source.check_name(ledger), required=True)


def _demands_signatures(node: Any) -> bool:
    text = node.exec_properties.get(validator.POLICY_KEY) if roles.is_validator(node) else None
    return isinstance(text, str) and policy_file.loads(text, kind="json").signature == "required"
