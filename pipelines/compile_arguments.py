"""What `compile` is asked for, checked without TFX: nobody waits a minute to hear that a file's ending is wrong."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from tfx_privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.records import signing

OPEN_SOURCE, VERTEX = "open source", "vertex"

_SECRET = re.compile(
    r"(?:(?P<node>[^.=:]+)\.)?(?P<variable>[A-Za-z_][A-Za-z0-9_]*)=(?P<name>[a-z0-9]([-a-z0-9.]*[a-z0-9])?):(?P<key>[-._A-Za-z0-9]+)"
)
_MOUNT = re.compile(
    r"(?:(?P<node>[^=:/]+)=)?(?P<claim>[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?):(?P<path>/[^:]*[^:/])(?P<slash>/?)"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclasses.dataclass(frozen=True)
class Secret:
    """One environment variable from one key of a Kubernetes secret."""

    variable: str
    name: str
    key: str
    node: str | None = None
    """The step that gets it; None for every step that reads the variable."""

    @classmethod
    def parse(cls, text: str) -> Secret:
        """Reads `[NODE.]VARIABLE=SECRET:KEY`.

        Raises:
          ParameterError: If the text is of another form; it is not quoted, because it may hold the secret itself.
        """
        match = _SECRET.fullmatch(text)
        if match is None:
            raise ParameterError(
                "Expected a secret as VARIABLE=SECRET:KEY or NODE.VARIABLE=SECRET:KEY, e.g. "
                "TFX_PRIVACY_LEDGER=privacy-ledger:address for the key `address` of the Kubernetes secret "
                "`privacy-ledger`. The secret itself must not be given."
            )
        return cls(variable=match["variable"], name=match["name"], key=match["key"], node=match["node"])


@dataclasses.dataclass(frozen=True)
class Mount:
    """One PersistentVolumeClaim, mounted into the containers of steps."""

    claim: str
    path: str
    """Absolute, without a slash at the end."""
    node: str | None = None
    """The step that gets it; None for every step with an argument that names a place below the path."""

    @classmethod
    def parse(cls, text: str) -> Mount:
        """Reads `[STEP=]CLAIM:/PATH`.

        Raises:
          ParameterError: If the text is of another form.
        """
        match = _MOUNT.fullmatch(text)
        if match is None or ".." in match["path"].split("/"):
            raise ParameterError(
                f"Expected a volume as CLAIM:/PATH or STEP=CLAIM:/PATH, e.g. models:/srv/models for the "
                f"PersistentVolumeClaim `models`, not {text!r}."
            )
        return cls(claim=match["claim"], path=match["path"], node=match["node"])

    def holds(self, place: str) -> bool:
        """Whether a path is the volume's or below it."""
        return place.rstrip("/") == self.path or place.startswith(self.path + "/")


def platform_of(output: str | os.PathLike[str]) -> str:
    """What a file is compiled for, by its ending.

    Raises:
      ParameterError: If it is neither `.yaml` (open-source Kubeflow Pipelines) nor `.json` (Vertex AI).
    """
    suffix = os.path.splitext(output)[1]
    if suffix in (".yaml", ".yml"):
        return OPEN_SOURCE
    if suffix == ".json":
        return VERTEX
    raise ParameterError(f"Expected output={str(output)!r} to end in .yaml (Kubeflow Pipelines) or .json (Vertex AI).")


def check(
    output: str | os.PathLike[str], *, secrets: Sequence[Secret], env: Mapping[str, str], mounts: Sequence[Mount] = ()
) -> str:
    """Checks what needs no pipeline.

    Args:
      output: File to write.
      secrets: Environment variables from Kubernetes secrets.
      env: Environment variables in plain text.
      mounts: Volumes.

    Returns:
      What is compiled for, as `platform_of`.

    Raises:
      ParameterError: If the file has another ending, a secret is in plain text, or Vertex AI is given
        Kubernetes secrets or volumes.
    """
    platform = platform_of(output)
    check_plain(env)
    if secrets and platform == VERTEX:
        raise ParameterError(
            "Vertex AI has no Kubernetes secrets, and its containers take no others. Leave --secret out, and let the "
            "image's entrypoint read Secret Manager, or give the ledger's address without a password: docs/kubeflow.md."
        )
    if mounts and platform == VERTEX:
        raise ParameterError(
            "Vertex AI has no Kubernetes volumes. Leave --mount out, and give data and the push destination as gs://."
        )
    return platform


def parse_modules(texts: Sequence[str]) -> str | dict[str, str] | None:
    """Reads `NAME`, or `STEP=NAME` for each step.

    Returns:
      As `kubeflow.compile` takes it: one name, names by step, or None where nothing is given.

    Raises:
      ParameterError: If a name cannot be imported, a step is named twice, or a name without a step stands beside others.
    """
    if not texts:
        return None
    pairs = [text.rpartition("=") for text in texts]
    for step, separator, name in pairs:
        if not _MODULE.fullmatch(name) or bool(step) != bool(separator):
            raise ParameterError(
                f"Expected --module {step}{separator}{name} as [STEP=]NAME, with NAME as Python imports it: models.model, "
                "not models/model.py."
            )
    steps = [step for step, _, _ in pairs]
    if steps == [""]:
        return pairs[0][2]
    if "" in steps or len(set(steps)) < len(steps):
        raise ParameterError(
            f"Expected one module for each step, not {', '.join(texts)}. Give --module STEP=NAME once for a step, e.g. "
            "--module Transform=NAME --module DPTrainer=NAME."
        )
    return {step: name for step, _, name in pairs}


def check_plain(env: Mapping[str, str]) -> None:
    """Refuses variables that must not be in a compiled pipeline as plain text.

    Args:
      env: Names and values.

    Raises:
      ParameterError: If one is a key that signs, or an address with a password, or its name is not
        valid; no value is quoted.
    """
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise ParameterError(f"Expected env name {name!r} to be letters, digits and underscores.")
        if _is_secret(name, value):
            raise ParameterError(
                f"{name} holds a secret, and --env would write it into the compiled pipeline for everybody to read. "
                f"Use --secret {name}=SECRET:KEY (open source), or set it in the image or by the cluster."
            )


def _is_secret(name: str, value: str) -> bool:
    if name == signing.SIGNING_KEY_VARIABLE:
        return True
    if name == signing.VERIFICATION_KEYS_VARIABLE:
        try:
            keys = signing.verification_keys({name: value})
        except TFXPrivacyError:
            return True
        return any(key is None or key.algorithm != "ed25519" for key in map(keys.get, keys.ids))
    try:
        return bool(sqlalchemy.make_url(value).password)
    except (ArgumentError, ValueError):
        return False
