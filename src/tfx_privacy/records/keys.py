"""Keys of signatures: what signs, and what a signature is held against.

The algorithm belongs to the key and never follows from what an envelope says: whoever knows an Ed25519 public key
cannot pass an HMAC under it for a signature. A key is `<algorithm>:<key id>:<base64>`. No message, representation or
exception shows a part of one that could be secret.
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import re
from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tfx_privacy.errors import ParameterError

SIGNING_KEY_VARIABLE = "TFX_PRIVACY_SIGNING_KEY"
"""Names the variable with the one key to sign with: a secret, or the address of a key that is kept elsewhere."""
VERIFICATION_KEYS_VARIABLE = "TFX_PRIVACY_VERIFICATION_KEYS"
"""Names the variable with the keys whose signatures hold: public keys, and secrets of HMAC."""

Algorithm: TypeAlias = Literal["hmac-sha256", "ed25519", "ecdsa-p256"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
"""Whose signatures can be checked."""
SecretAlgorithm: TypeAlias = Literal["hmac-sha256", "ed25519"]
SECRET_ALGORITHMS: tuple[SecretAlgorithm, ...] = get_args(SecretAlgorithm)
"""Whose keys can be in the environment and sign there; a key of the other is used where it is kept."""
PUBLIC_ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ecdsa-p256")
"""Whose verification keys are no secret."""
MIN_HMAC_BYTES = 32
"""As long as the MAC itself (RFC 2104, section 3): a shorter secret could be guessed with less work than the MAC."""
HOW = "`tfx-privacy keys new` prints a pair."
_ED25519_BYTES = 32
_KEY_ID = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
_FORM = "<algorithm>:<key id>:<base64>"

PublicKey: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey


class Signer(Protocol):
    """What signs."""

    @property
    def key_id(self) -> str:
        """Of the verification key that its signatures hold against."""

    def sign(self, message: bytes) -> bytes:
        """Signature of a message as it is; `envelope.seal` encodes first."""


@dataclasses.dataclass(frozen=True, eq=False)
class SigningKey:
    """A secret to sign with."""

    algorithm: SecretAlgorithm
    key_id: str
    secret: bytes = dataclasses.field(repr=False)
    """HMAC's secret, or Ed25519's seed."""

    def __post_init__(self) -> None:
        _check_key(self.algorithm, self.key_id, self.secret, "The signing key", SECRET_ALGORITHMS)

    def sign(self, message: bytes) -> bytes:
        """Signature of a message as it is; `envelope.seal` encodes first."""
        if self.algorithm == "hmac-sha256":
            return hmac.digest(self.secret, message, "sha256")
        return Ed25519PrivateKey.from_private_bytes(self.secret).sign(message)


@dataclasses.dataclass(frozen=True, eq=False)
class VerificationKey:
    """A key whose signatures hold."""

    algorithm: Algorithm
    key_id: str
    material: bytes = dataclasses.field(repr=False)
    """HMAC's secret, Ed25519's public key, or an ECDSA public key as DER (SubjectPublicKeyInfo)."""

    def __post_init__(self) -> None:
        _check_key(self.algorithm, self.key_id, self.material, "The verification key", ALGORITHMS)

    @property
    def public(self) -> PublicKey | None:
        """The public key; None for HMAC, which has none."""
        if self.algorithm == "hmac-sha256":
            return None
        if self.algorithm == "ed25519":
            return Ed25519PublicKey.from_public_bytes(self.material)
        return _p256(self.material)

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of a message, as it is, was made with this key."""
        public = self.public
        if public is None:
            return hmac.compare_digest(hmac.digest(self.material, message, "sha256"), signature)
        try:
            if isinstance(public, Ed25519PublicKey):
                public.verify(signature, message)
            else:
                public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class VerificationKeys:
    """The keys whose signatures hold, by id; false where there is none."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        """Takes the keys.

        Args:
          keys: Any number, each with its own id and content.

        Raises:
          ParameterError: If two have the same id, or the same content under two ids.
        """
        self._keys: dict[str, VerificationKey] = {}
        contents: set[bytes] = set()
        for key in keys:
            if key.key_id in self._keys:
                raise ParameterError(f"Key id {key.key_id!r} is given twice. Give every verification key its own id.")
            if key.material in contents:
                raise ParameterError(
                    f"The key of id {key.key_id!r} is given under another id or algorithm as well. Give every "
                    "verification key once."
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


def signing_key(text: str, where: str) -> SigningKey:
    """Reads a secret to sign with; `where` says in messages what is read.

    Raises:
      ParameterError: If the text is malformed.
    """
    if text.startswith("ecdsa-p256:"):
        raise ParameterError(
            f"{where} is for ecdsa-p256, whose keys sign where they are kept. Give uri:<key id>:<URI of the private "
            "key>."
        )
    algorithm, key_id, secret = _parse(text, where, SECRET_ALGORITHMS)
    return SigningKey(algorithm, key_id, secret)  # type: ignore[arg-type] # one of SECRET_ALGORITHMS


def verification_key(text: str, where: str) -> VerificationKey:
    """Reads a key whose signatures hold; `where` says in messages what is read.

    Raises:
      ParameterError: If the text is malformed.
    """
    return VerificationKey(*_parse(text, where, ALGORITHMS))


def check_key_id(key_id: str, where: str) -> None:
    """Refuses what is no id of a key.

    Raises:
      ParameterError: If it is not a key.
    """
    if re.fullmatch(_KEY_ID, key_id) is None:
        raise ParameterError(
            f"{where} has an id that is not 1 to 64 letters, digits, dots, dashes and underscores, with a letter or "
            "digit at both ends."
        )


def decode_base64(text: str, *, url_safe: bool = False) -> bytes | None:
    """The bytes of canonical base64, on request in either of its alphabets; None for any other text."""
    for alphabet in (None, b"-_") if url_safe else (None,):
        try:
            raw = base64.b64decode(text, altchars=alphabet, validate=True)
        except ValueError:
            continue
        # b64decode also takes bits beyond the last byte, which another text of the same bytes could have.
        if base64.b64encode(raw, alphabet).decode() == text:
            return raw
    return None


def _parse(text: str, where: str, algorithms: tuple[Algorithm, ...]) -> tuple[Algorithm, str, bytes]:
    """The parts of a key. Messages quote none of them: in a malformed key any part may be the secret."""
    parts = text.split(":")
    if len(parts) != 3:
        raise ParameterError(f"{where} is not of the form {_FORM}: it has {len(parts)} parts between colons. {HOW}")
    algorithm, key_id, encoded = parts
    if algorithm not in algorithms:
        raise ParameterError(
            f"{where} is not of the form {_FORM}: it begins with none of {', '.join(algorithms)}. {HOW}"
        )
    content = decode_base64(encoded)
    if content is None:
        raise ParameterError(
            f"{where} is not of the form {_FORM}: its last part is not base64 with the standard alphabet and padding. "
            f"{HOW}"
        )
    if len(set(content)) == 1:
        raise ParameterError(f"{where} consists of one byte over and over, which is no key. {HOW}")
    _check_key(algorithm, key_id, content, where, algorithms)
    return algorithm, key_id, content


def _check_key(algorithm: str, key_id: str, content: bytes, where: str, algorithms: tuple[str, ...]) -> None:
    if algorithm not in algorithms:
        raise ParameterError(f"{where} is for an unknown algorithm. Expected one of {', '.join(algorithms)}.")
    check_key_id(key_id, where)
    if algorithm == "hmac-sha256" and not len(content) >= MIN_HMAC_BYTES:
        raise ParameterError(f"{where} has {len(content)} bytes; hmac-sha256 needs at least {MIN_HMAC_BYTES}. {HOW}")
    if algorithm == "ed25519" and len(content) != _ED25519_BYTES:
        raise ParameterError(f"{where} has {len(content)} bytes; ed25519 has {_ED25519_BYTES}. {HOW}")
    if algorithm == "ecdsa-p256" and _p256(content) is None:
        raise ParameterError(
            f"{where} has {len(content)} bytes that are no public key of the curve P-256. Give its DER form, "
            "SubjectPublicKeyInfo with the point uncompressed: `openssl pkey -pubin -in key.pem -outform DER | base64 "
            "-w0`."
        )


def _p256(material: bytes) -> ec.EllipticCurvePublicKey | None:
    """The public key of its one DER form; None for anything else."""
    try:
        key = serialization.load_der_public_key(material)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key if key.public_bytes(*form) == material else None
