"""Keys of the environment: the one to sign with, and those whose signatures hold."""

from __future__ import annotations

import base64
import dataclasses
import re
import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tfx_privacy.errors import ParameterError
from tfx_privacy.records import keys, remote_key
from tfx_privacy.records.keys import (
    SIGNING_KEY_VARIABLE,
    VERIFICATION_KEYS_VARIABLE,
    SecretAlgorithm,
    Signer,
    SigningKey,
    VerificationKeys,
)

__all__ = [
    "SIGNING_KEY_VARIABLE",
    "VERIFICATION_KEYS_VARIABLE",
    "NewKey",
    "new_key",
    "signing_key",
    "verification_keys",
]


@dataclasses.dataclass(frozen=True)
class NewKey:
    """Values for the two variables."""

    signing: str = dataclasses.field(repr=False)
    verification: str = dataclasses.field(repr=False)


def signing_key(environ: Mapping[str, str]) -> Signer | None:
    """The key to sign with.

    Args:
      environ: Environment variables, e.g. `os.environ`.

    Returns:
      The key of `TFX_PRIVACY_SIGNING_KEY`; None where the variable is not set.

    Raises:
      ParameterError: If the variable is set to something else than one key, or than the URI of one
        whose public key is given.
    """
    text = environ.get(SIGNING_KEY_VARIABLE)
    if text is None:
        return None
    text = text.strip()
    if text.startswith(remote_key.PREFIX):
        return remote_key.remote_key(text, verification_keys(environ))
    return keys.signing_key(text, SIGNING_KEY_VARIABLE)


def verification_keys(environ: Mapping[str, str]) -> VerificationKeys:
    """The keys whose signatures hold.

    Args:
      environ: Environment variables, e.g. `os.environ`.

    Returns:
      The keys of `TFX_PRIVACY_VERIFICATION_KEYS`, which commas or white space separate; none where
      the variable is not set.

    Raises:
      ParameterError: If the variable is set, and holds no key, something else than keys, or a key twice.
    """
    text = environ.get(VERIFICATION_KEYS_VARIABLE)
    if text is None:
        return VerificationKeys()
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    if not entries:
        raise ParameterError(
            f"{VERIFICATION_KEYS_VARIABLE} is set, but holds no key. Unset it, or give keys. {keys.HOW}"
        )
    return VerificationKeys(
        keys.verification_key(entry, f"Key {number} of {VERIFICATION_KEYS_VARIABLE}")
        for number, entry in enumerate(entries, start=1)
    )


def new_key(algorithm: SecretAlgorithm, key_id: str) -> NewKey:
    """Makes a key from the operating system's randomness.

    Args:
      algorithm: One of `keys.SECRET_ALGORITHMS`.
      key_id: 1 to 64 letters, digits, dots, dashes and underscores; begins and ends with a letter or digit.

    Returns:
      Values for `TFX_PRIVACY_SIGNING_KEY` (secret) and `TFX_PRIVACY_VERIFICATION_KEYS` (secret for HMAC).

    Raises:
      ParameterError: If the algorithm is unknown or the id malformed.
    """
    key = SigningKey(algorithm, key_id, secrets.token_bytes(32))
    public = key.secret
    if algorithm == "ed25519":
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        public = Ed25519PrivateKey.from_private_bytes(key.secret).public_key().public_bytes(*raw)
    return NewKey(*(f"{algorithm}:{key_id}:{base64.b64encode(content).decode()}" for content in (key.secret, public)))
