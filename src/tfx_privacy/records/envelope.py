"""Signed evidence: a DSSE envelope around a Statement.

https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.

The statement is a separate file, for people and for whoever has no keys. The envelope repeats it byte for byte, and a
signature counts for the file only where both are the same.
"""

from __future__ import annotations

import base64
from typing import Annotated

import pydantic

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import strict_json
from tfx_privacy.records.base import Record
from tfx_privacy.records.keys import (
    VERIFICATION_KEYS_VARIABLE,
    Signer,
    VerificationKey,
    VerificationKeys,
    decode_base64,
)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 16
MAX_BYTES = 4 * strict_json.MAX_BYTES // 3 + (1 << 16)
"""Of an envelope: base64 takes four bytes for three."""


class _Signature(Record):
    # DSSE demands that fields which are not known be ignored: none of them is looked at, and none is signed.
    model_config = pydantic.ConfigDict(extra="ignore")

    keyid: str = ""
    sig: str


class _Envelope(Record):
    model_config = pydantic.ConfigDict(extra="ignore")

    payload: str
    payload_type: str = pydantic.Field(alias="payloadType")
    signatures: Annotated[list[_Signature], pydantic.Field(min_length=1, max_length=MAX_SIGNATURES)]

    @pydantic.model_validator(mode="after")
    def _each_key_once(self) -> _Envelope:
        ids = [signature.keyid for signature in self.signatures]
        twice = sorted({key_id for key_id in ids if ids.count(key_id) > 1})
        if twice:
            raise ValueError(f"two signatures have the keyid {twice[0][:100]!r}")
        return self


def seal(payload: bytes, key: Signer) -> str:
    """Signs a statement.

    Args:
      payload: The statement's bytes as they are written.
      key: The key.

    Returns:
      The envelope: one line.

    Raises:
      ParameterError: If the key is kept elsewhere and cannot be used.
    """
    signature = key.sign(pre_authentication_encoding(payload, PAYLOAD_TYPE))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.key_id, "sig": base64.b64encode(signature).decode()}],
    }
    return strict_json.canonical(envelope) + "\n"


def check(text: bytes, payload: bytes, keys: VerificationKeys) -> str:
    """Checks the signatures of a statement.

    Args:
      text: The envelope as it was found next to the statement.
      payload: The statement's bytes as they were read. Use these, and do not read the file again.
      keys: The keys that the caller trusts.

    Returns:
      The id of the key that signed; of several the first in the envelope.

    Raises:
      EvidenceError: If no trusted key signed, or the signature of one does not hold, or the envelope is malformed.
    """
    envelope = _read(text)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise EvidenceError(f"The envelope is of payloadType={envelope.payload_type[:200]!r}, not {PAYLOAD_TYPE!r}.")
    signed = decode_base64(envelope.payload, url_safe=True)
    if signed is None:
        raise EvidenceError("The envelope's payload is not in base64.")
    if signed != payload:
        raise EvidenceError("What the envelope holds is not the file next to it: one of them was changed.")
    message = pre_authentication_encoding(payload, PAYLOAD_TYPE)
    known = [(key, signature) for signature in envelope.signatures if (key := keys.get(signature.keyid)) is not None]
    for key, signature in known:
        _check_signature(signature, message, key)
    if not known:
        raise EvidenceError(_unknown(envelope, keys))
    return known[0][0].key_id


def pre_authentication_encoding(payload: bytes, payload_type: str) -> bytes:
    """DSSE's PAE: type and payload, each after its length, so no two pairs have the same bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _read(text: bytes) -> _Envelope:
    lines = text.split(b"\n")
    if any(lines[1:]) or len(lines) > 2:
        raise EvidenceError("The envelope must be one line of JSON: several statements in one file are not read.")
    return _Envelope.from_value(strict_json.loads(text, max_bytes=MAX_BYTES))


def _check_signature(signature: _Signature, message: bytes, key: VerificationKey) -> None:
    raw = decode_base64(signature.sig, url_safe=True)
    if raw is None:
        raise EvidenceError(f"The signature of key {key.key_id!r} is not in base64.")
    if key.holds(raw, message) is not True:
        raise EvidenceError(
            f"The signature of key {key.key_id!r} does not hold: what it signed was changed, or another key signed it."
        )


def _unknown(envelope: _Envelope, keys: VerificationKeys) -> str:
    signers = ", ".join(repr(signature.keyid[:100]) for signature in envelope.signatures)
    known = f"it holds {', '.join(keys.ids)}" if keys else "it is not set"
    if len(envelope.signatures) == 1:
        found = f"The signature is of key {signers}, which is not in {VERIFICATION_KEYS_VARIABLE}"
    else:
        found = f"The signatures are of keys {signers}, none of which is in {VERIFICATION_KEYS_VARIABLE}"
    return f"{found}: {known}. Add the key there if its holder is to be trusted."
