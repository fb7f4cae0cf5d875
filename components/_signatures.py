"""Signed files of artifacts: a statement, and an envelope `<name>.intoto.jsonl` where the environment has a key."""

from __future__ import annotations

import os
from typing import NamedTuple

from tfx.dsl.io import fileio

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import envelope, signing, strict_json
from tfx_privacy.records.keys import VerificationKeys

_PROBE = b"tfx-privacy: can this key sign?"


class SignedText(NamedTuple):
    """A file as it was read once: whose signature holds is said of this very text."""

    text: str
    signer: str | EvidenceError | None
    """Id of the key whose signature holds; None if there is no signature; the error if it does not hold."""


def envelope_name(name: str) -> str:
    """Name of the envelope next to a file, e.g. `verdict.intoto.jsonl`."""
    return f"{name.removesuffix('.json')}.intoto.jsonl"


def check_signing_key() -> None:
    """Refuses a key that cannot sign before there is anything to sign: one that is kept elsewhere is used once.

    Raises:
      ParameterError: If there is a signing key in the environment, and it is malformed or cannot sign.
    """
    key = signing.signing_key(os.environ)
    if key is not None:
        key.sign(_PROBE)


def write_signed_text(uri: str, name: str, text: str) -> None:
    """Writes one file of an artifact, and its envelope if there is a key in the environment.

    An envelope of an earlier text is removed before the text is written: a process that is killed leaves the text
    unsigned, not next to a signature that does not hold.

    Args:
      uri: Of the artifact.
      name: Of the file.
      text: A statement.

    Raises:
      ParameterError: If the key is malformed or cannot sign; nothing is written then.
    """
    payload = text.encode()
    key = signing.signing_key(os.environ)
    signed = None if key is None else envelope.seal(payload, key)
    remove(uri, envelope_name(name))
    _write(uri, name, payload)
    if signed is not None:
        _write(uri, envelope_name(name), signed.encode())


def read_signed_text(uri: str, name: str) -> SignedText:
    """Reads one file of an artifact and checks its signature.

    Args:
      uri: Of the artifact.
      name: Of the file.

    Returns:
      The text, and whose signature of it holds.

    Raises:
      EvidenceError: If there is no such file, or it is not text.
      ParameterError: If the verification keys in the environment are malformed.
    """
    keys = signing.verification_keys(os.environ)
    payload = _read(uri, name)
    if payload is None:
        raise EvidenceError(f"There is no file {name!r} in {uri}.")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{name!r} in {uri} is not UTF-8.") from error
    return SignedText(text, _signer(uri, name, payload, keys))


def remove_signed(uri: str, name: str) -> None:
    """Removes a file and its envelope, if they are there."""
    remove(uri, envelope_name(name))
    remove(uri, name)


def remove(uri: str, name: str) -> None:
    """Removes one file of an artifact, if it is there."""
    path = os.path.join(uri, name)
    if fileio.exists(path):
        fileio.remove(path)


def _signer(uri: str, name: str, payload: bytes, keys: VerificationKeys) -> str | EvidenceError | None:
    try:
        found = _read(uri, envelope_name(name), envelope.MAX_BYTES)
        return None if found is None else envelope.check(found, payload, keys)
    except EvidenceError as error:
        return EvidenceError(f"The signature of {name!r} in {uri} is refused. {error}")


def _read(uri: str, name: str, max_bytes: int = strict_json.MAX_BYTES) -> bytes | None:
    """The bytes of a file, which may be anybody's: no more of it than a record can have.

    None if there is no such file.
    """
    path = os.path.join(uri, name)
    try:
        if not fileio.exists(path):
            return None
        with fileio.open(path, "rb") as file:
            payload = bytes(file.read(max_bytes + 1))
    except Exception as error:
        raise EvidenceError(f"{name!r} in {uri} could not be read: {type(error).__name__}: {error}.") from error
    if len(payload) > max_bytes:
        raise EvidenceError(f"{name!r} in {uri} is larger than the limit of {max_bytes} bytes.")
    return payload


def _write(uri: str, name: str, payload: bytes) -> None:
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, name), "wb") as file:
        file.write(payload)
