"""A key that stays where it is kept, such as a cloud's key management service, and signs there.

securesystemslib knows these places by the URI of a private key: `gcpkms:`, `awskms:`, `azurekms:`,
`hsm:`, `file2:` and others.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tfx_privacy.errors import ParameterError
from tfx_privacy.records.keys import (
    PUBLIC_ALGORITHMS,
    SIGNING_KEY_VARIABLE,
    VERIFICATION_KEYS_VARIABLE,
    VerificationKey,
    VerificationKeys,
    check_key_id,
)

PREFIX = "uri:"
"""What the value of the variable begins with: `uri:<key id>:<URI of the private key>`."""


@dataclasses.dataclass(frozen=True, eq=False)
class RemoteKey:
    """A private key that no process of ours sees."""

    uri: str = dataclasses.field(repr=False)
    verification_key: VerificationKey

    @property
    def key_id(self) -> str:
        """Of the verification key."""
        return self.verification_key.key_id

    def sign(self, message: bytes) -> bytes:
        """Signature of a message as it is; `envelope.seal` encodes first.

        Raises:
          ParameterError: If the key cannot be used, or is not the one whose public key is given.
        """
        library = _library()
        try:
            public = library.SSlibKey.from_crypto(self.verification_key.public, keyid=self.key_id)
            signer = library.Signer.from_priv_key_uri(self.uri, public)
            signature = bytes.fromhex(signer.sign(message).signature)
        except Exception as error:
            raise ParameterError(
                f"Key {self.key_id!r} of {SIGNING_KEY_VARIABLE} cannot sign: {type(error).__name__}: {error}. Check "
                "the URI, and what this process may do with the key."
            ) from error
        if self.verification_key.holds(signature, message) is not True:
            raise ParameterError(
                f"What key {self.key_id!r} of {SIGNING_KEY_VARIABLE} signs does not hold against the public key of "
                f"this id in {VERIFICATION_KEYS_VARIABLE}. Give the URI and the public key of one and the same key."
            )
        return signature


def remote_key(text: str, keys: VerificationKeys) -> RemoteKey:
    """Reads the address of a key; nothing is connected yet.

    Args:
      text: `uri:<key id>:<URI of the private key>`.
      keys: Of the same process; the key of this id must be among them.

    Raises:
      ParameterError: If the text is malformed, the public key is not given, or what is needed is not installed.
    """
    _, key_id, uri = [*text.split(":", 2), "", ""][:3]
    scheme = uri.partition(":")[0]
    check_key_id(key_id, SIGNING_KEY_VARIABLE)
    schemes = sorted(_library().SIGNER_FOR_URI_SCHEME)
    if scheme not in schemes:
        raise ParameterError(
            f"{SIGNING_KEY_VARIABLE} is not of the form uri:<key id>:<URI of the private key>: the URI begins with "
            f"none of {', '.join(schemes)}."
        )
    key = keys.get(key_id)
    if key is None or key.algorithm not in PUBLIC_ALGORITHMS:
        raise ParameterError(
            f"{SIGNING_KEY_VARIABLE} names the key {key_id!r} by its URI, and {VERIFICATION_KEYS_VARIABLE} holds no "
            "public key of this id. Set it for the component that signs as well, to "
            f"{' or '.join(f'{name}:{key_id}:<base64>' for name in PUBLIC_ALGORITHMS)}."
        )
    return RemoteKey(uri, key)


def _library() -> Any:
    try:
        from securesystemslib import signer
    except ImportError as error:
        raise ParameterError(
            f"{SIGNING_KEY_VARIABLE} names a key by its URI, and securesystemslib is not installed. Install "
            "`tfx-privacy[kms]`."
        ) from error
    return signer
