"""Fixed keys of every algorithm, for tests of signatures: everybody knows them."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tfx_privacy.records.keys import Signer, SigningKey, VerificationKey, VerificationKeys

# RFC 8032, section 7.1: its first test.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SECRET = bytes(range(32))
# RFC 6979, section A.2.5.
P256_SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
P256 = ec.derive_private_key(P256_SCALAR, ec.SECP256R1())


def der(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key in the form that the environment has it in."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


MATERIAL = {
    "ed25519": (SEED, PUBLIC),
    "hmac-sha256": (SECRET, SECRET),
    "ecdsa-p256": (b"", der(P256.public_key())),
}


class EllipticKey:
    """Signs as a key management service with an ECDSA key does."""

    def __init__(self, key_id: str, key: ec.EllipticCurvePrivateKey = P256) -> None:
        self.key_id = key_id
        self._key = key

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def signer(algorithm: Any, key_id: str = "trainer") -> Signer:
    if algorithm == "ecdsa-p256":
        return EllipticKey(key_id)
    return SigningKey(algorithm, key_id, MATERIAL[algorithm][0])


def key_pair(algorithm: Any, key_id: str = "trainer") -> tuple[Signer, VerificationKeys]:
    public = VerificationKey(algorithm, key_id, MATERIAL[algorithm][1])
    return signer(algorithm, key_id), VerificationKeys([public])


def entry(algorithm: str = "hmac-sha256", key_id: str = "trainer", content: bytes = SECRET) -> str:
    return f"{algorithm}:{key_id}:{encoded(content)}"


def environ_entry(algorithm: str, key_id: str = "trainer") -> str:
    """The verification key of a pair as the environment has it."""
    return entry(algorithm, key_id, MATERIAL[algorithm][1])
