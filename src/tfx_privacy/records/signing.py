"""Signatures of evidence: HMAC-SHA256 or Ed25519, with keys from the environment.

What is signed is not a file's bytes but DSSE's pre-authentication encoding of them, which names what they are: the signature of
a guarantee does not hold for an evaluation with the same bytes. (https://github.com/secure-systems-lab/dsse, protocol.md; the
signature stands in a file of its own beside what it signs, and not in DSSE's envelope.)

The algorithm belongs to the key and never follows from what a signature says of itself: whoever knows an Ed25519 public key cannot
pass an HMAC under it for a signature.

A key is `<algorithm>:<key id>:<base64>`. No message, representation or exception shows a part of one that could be secret.
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import pydantic
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.records.base import Record

SIGNING_KEY_VARIABLE = "TFX_PRIVACY_SIGNING_KEY"
"""Names the variable with the one key to sign with: a secret, for both algorithms."""
VERIFICATION_KEYS_VARIABLE = "TFX_PRIVACY_VERIFICATION_KEYS"
"""Names the variable with the keys whose signatures hold: Ed25519 public keys, and secrets of HMAC."""

GUARANTEE_TYPE = "application/vnd.tfx-privacy.guarantee+json"
EVALUATION_TYPE = "application/vnd.tfx-privacy.evaluation+json"
VERDICT_TYPE = "application/vnd.tfx-privacy.verdict+json"

Algorithm: TypeAlias = Literal["hmac-sha256", "ed25519"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
MIN_HMAC_BYTES = 32
"""As long as the MAC itself (RFC 2104, section 3): a shorter secret could be guessed with less work than the MAC."""
_ED25519_BYTES = 32
_KEY_ID = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
_FORM = "<algorithm>:<key id>:<base64>"
_HOW = "`tfx-privacy keys new` prints a pair."

KeyId = Annotated[str, pydantic.Field(pattern=f"^{_KEY_ID}$")]


class Signature(Record):
    """What stands beside a signed file."""

    schema_version: Literal[1] = 1
    algorithm: Algorithm
    key_id: KeyId
    payload_type: Annotated[str, pydantic.Field(min_length=1, max_length=200)]
    signature: Annotated[str, pydantic.Field(max_length=88)]
    """In base64, standard alphabet with padding."""


@dataclasses.dataclass(frozen=True, eq=False)
class SigningKey:
    """A key to sign with."""

    algorithm: Algorithm
    key_id: str
    secret: bytes = dataclasses.field(repr=False)
    """HMAC's secret, or Ed25519's seed."""

    def __post_init__(self) -> None:
        _check_key(self.algorithm, self.key_id, self.secret, "The signing key")

    def sign(self, message: bytes) -> bytes:
        """Signature of a message as it is; `sign` of this module encodes first."""
        if self.algorithm == "hmac-sha256":
            return hmac.digest(self.secret, message, "sha256")
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)


@dataclasses.dataclass(frozen=True, eq=False)
class VerificationKey:
    """A key whose signatures hold."""

    algorithm: Algorithm
    key_id: str
    material: bytes = dataclasses.field(repr=False)
    """HMAC's secret, or Ed25519's public key."""

    def __post_init__(self) -> None:
        _check_key(self.algorithm, self.key_id, self.material, "The verification key")

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of a message, as it is, was made with this key."""
        if self.algorithm == "hmac-sha256":
            return hmac.compare_digest(hmac.digest(self.material, message, "sha256"), signature)
        try:
            Ed25519PublicKey.from_public_bytes(self.material).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class VerificationKeys:
    """The keys whose signatures hold, by id; false where there is none."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        """Takes the keys.

        Args:
          keys: Any number, each with an id and a content of its own.

        Raises:
          ParameterError: If two have the same id, or the same content under two ids.
        """
        self._keys: dict[str, VerificationKey] = {}
        contents: set[bytes] = set()
        for key in keys:
            if key.key_id in self._keys:
                raise ParameterError(
                    f"Key id {key.key_id!r} is given twice. Give every verification key an id of its own."
                )
            if key.material in contents:
                raise ParameterError(
                    f"The key of id {key.key_id!r} is given under another id or algorithm as well. Give every verification key once."
                )
            self._keys[key.key_id] = key
            contents.add(key.material)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"VerificationKeys({', '.join(self.ids) or 'none'})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys' ids, sorted."""
        return tuple(sorted(self._keys))

    def get(self, key_id: str) -> VerificationKey | None:
        """The key of an id; None where there is none."""
        return self._keys.get(key_id)


@dataclasses.dataclass(frozen=True)
class NewKey:
    """Values for the two variables."""

    signing: str = dataclasses.field(repr=False)
    verification: str = dataclasses.field(repr=False)


def signing_key(environ: Mapping[str, str]) -> SigningKey | None:
    """The key to sign with.

    Args:
      environ: Environment variables, e.g. `os.environ`.

    Returns:
      The key of `TFX_PRIVACY_SIGNING_KEY`; None where the variable is not set.

    Raises:
      ParameterError: If the variable is set to something else than one key.
    """
    text = environ.get(SIGNING_KEY_VARIABLE)
    if text is None:
        return None
    return SigningKey(*_parse(text.strip(), SIGNING_KEY_VARIABLE))


def verification_keys(environ: Mapping[str, str]) -> VerificationKeys:
    """The keys whose signatures hold.

    Args:
      environ: Environment variables, e.g. `os.environ`.

    Returns:
      The keys of `TFX_PRIVACY_VERIFICATION_KEYS`, which commas or white space separate; none where the variable is not set.

    Raises:
      ParameterError: If the variable is set, and holds no key, something else than keys, or a key twice.
    """
    text = environ.get(VERIFICATION_KEYS_VARIABLE)
    if text is None:
        return VerificationKeys()
    entries = [entry for entry in re.split(r"[,\s]+", text) if entry]
    if not entries:
        raise ParameterError(f"{VERIFICATION_KEYS_VARIABLE} is set, but holds no key. Unset it, or give keys. {_HOW}")
    parsed = [
        _parse(entry, f"Key {number} of {VERIFICATION_KEYS_VARIABLE}") for number, entry in enumerate(entries, start=1)
    ]
    return VerificationKeys(VerificationKey(*parts) for parts in parsed)


def new_key(algorithm: Algorithm, key_id: str) -> NewKey:
    """Makes a key from the operating system's randomness.

    Args:
      algorithm: One of `ALGORITHMS`.
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


def sign(payload: bytes, payload_type: str, key: SigningKey) -> Signature:
    """Signs a payload.

    Args:
      payload: The bytes as they are written.
      payload_type: What they are, e.g. `GUARANTEE_TYPE`; part of what is signed.
      key: The key.

    Returns:
      The signature.
    """
    signature = key.sign(pre_authentication_encoding(payload, payload_type))
    return Signature(
        algorithm=key.algorithm,
        key_id=key.key_id,
        payload_type=payload_type,
        signature=base64.b64encode(signature).decode(),
    )


def verify(payload: bytes, payload_type: str, signature: Signature, keys: VerificationKeys) -> str:
    """Checks a signature.

    Args:
      payload: The bytes as they were read. Use these, and do not read the file again.
      payload_type: What the caller takes them for.
      signature: As it was found beside them.
      keys: The keys that the caller trusts with this type.

    Returns:
      The id of the key that signed.

    Raises:
      EvidenceError: If the signature does not hold.
    """
    if signature.payload_type != payload_type:
        raise EvidenceError(f"The signature is for {signature.payload_type!r}, not for {payload_type!r}.")
    key = keys.get(signature.key_id)
    if key is None:
        known = f"it holds {', '.join(keys.ids)}" if keys else "it is not set"
        raise EvidenceError(
            f"The signature is of key {signature.key_id!r}, which is not in {VERIFICATION_KEYS_VARIABLE}: {known}. "
            "Add the key there if its holder is to be trusted."
        )
    if signature.algorithm != key.algorithm:
        raise EvidenceError(
            f"The signature says {signature.algorithm!r}, but key {key.key_id!r} is for {key.algorithm!r}. Sign with the key's own algorithm."
        )
    raw = _decode(signature.signature)
    if raw is None:
        raise EvidenceError(f"The signature of key {key.key_id!r} is not in base64.")
    if key.holds(raw, pre_authentication_encoding(payload, payload_type)) is not True:
        raise EvidenceError(
            f"The signature of key {key.key_id!r} does not hold: what it signed was changed, or another key signed it."
        )
    return key.key_id


def pre_authentication_encoding(payload: bytes, payload_type: str) -> bytes:
    """DSSE's PAE: type and payload, each after its length, so that no two pairs have the same bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _parse(text: str, where: str) -> tuple[Algorithm, str, bytes]:
    """The parts of a key. Messages quote none of them: in a malformed key any part may be the secret."""
    parts = text.split(":")
    if len(parts) != 3:
        raise ParameterError(f"{where} is not of the form {_FORM}: it has {len(parts)} parts between colons. {_HOW}")
    algorithm, key_id, encoded = parts
    if algorithm not in ALGORITHMS:
        raise ParameterError(
            f"{where} is not of the form {_FORM}: it begins with none of {', '.join(ALGORITHMS)}. {_HOW}"
        )
    content = _decode(encoded)
    if content is None:
        raise ParameterError(
            f"{where} is not of the form {_FORM}: its last part is not base64 with the standard alphabet and padding. {_HOW}"
        )
    if len(set(content)) == 1:
        raise ParameterError(f"{where} consists of one byte over and over, which is no key. {_HOW}")
    _check_key(algorithm, key_id, content, where)
    return algorithm, key_id, content


def _check_key(algorithm: str, key_id: str, content: bytes, where: str) -> None:
    if algorithm not in ALGORITHMS:
        raise ParameterError(f"{where} is for an unknown algorithm. Expected one of {', '.join(ALGORITHMS)}.")
    if re.fullmatch(_KEY_ID, key_id) is None:
        raise ParameterError(
            f"{where} has an id that is not 1 to 64 letters, digits, dots, dashes and underscores, with a letter or digit at both ends."
        )
    if algorithm == "hmac-sha256" and not len(content) >= MIN_HMAC_BYTES:
        raise ParameterError(f"{where} has {len(content)} bytes; hmac-sha256 needs at least {MIN_HMAC_BYTES}. {_HOW}")
    if algorithm == "ed25519" and len(content) != _ED25519_BYTES:
        raise ParameterError(f"{where} has {len(content)} bytes; ed25519 has {_ED25519_BYTES}. {_HOW}")


def _decode(text: str) -> bytes | None:
    """The bytes of canonical base64; None for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    # b64decode also takes bits beyond the last byte, which another text of the same bytes could have.
    return raw if base64.b64encode(raw).decode() == text else None
