"""Signed files of artifacts: a file, and `<name>.sig.json` beside it where there is a key in the environment."""

from __future__ import annotations

import os
from typing import NamedTuple

from tfx.dsl.io import fileio

from tfx_privacy.errors import EvidenceError
from tfx_privacy.records import signing, strict_json

_SUFFIX = ".sig.json"


class SignedText(NamedTuple):
    """A file as it was read once: whose signature holds is said of this very text."""

    text: str
    signer: str | EvidenceError | None
    """Id of the key whose signature holds; None if there is no signature; the error if it does not hold."""


def check_signing_key() -> None:
    """Refuses a malformed key before there is anything to sign.

    Raises:
      ParameterError: If there is a signing key in the environment, and it is malformed.
    """
    signing.signing_key(os.environ)


def write_signed_text(uri: str, name: str, text: str, payload_type: str) -> None:
    """Writes one file of an artifact, and its signature if there is a key in the environment.

    A signature of an earlier text is removed before the text is written: a process that is killed leaves the text unsigned, not
    beside a signature that does not hold.

    Args:
      uri: Of the artifact.
      name: Of the file.
      text: Its contents.
      payload_type: What they are, e.g. `signing.GUARANTEE_TYPE`.

    Raises:
      ParameterError: If the key is malformed; nothing is written then.
    """
    payload = text.encode()
    key = signing.signing_key(os.environ)
    remove(uri, name + _SUFFIX)
    _write(uri, name, payload)
    if key is not None:
        _write(uri, name + _SUFFIX, signing.sign(payload, payload_type, key).to_json().encode())


def read_signed_text(uri: str, name: str, payload_type: str) -> SignedText:
    """Reads one file of an artifact and checks its signature.

    Args:
      uri: Of the artifact.
      name: Of the file.
      payload_type: What the caller takes it for.

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
    return SignedText(text, _signer(uri, name, payload, payload_type, keys))


def remove_signed(uri: str, name: str) -> None:
    """Removes a file and its signature, if they are there."""
    remove(uri, name + _SUFFIX)
    remove(uri, name)


def remove(uri: str, name: str) -> None:
    """Removes one file of an artifact, if it is there."""
    path = os.path.join(uri, name)
    if fileio.exists(path):
        fileio.remove(path)


def _signer(
    uri: str, name: str, payload: bytes, payload_type: str, keys: signing.VerificationKeys
) -> str | EvidenceError | None:
    try:
        found = _read(uri, name + _SUFFIX)
        return (
            None if found is None else signing.verify(payload, payload_type, signing.Signature.from_json(found), keys)
        )
    except EvidenceError as error:
        return EvidenceError(f"The signature of {name!r} in {uri} is refused. {error}")


def _read(uri: str, name: str) -> bytes | None:
    """The bytes of a file, which may be anybody's: no more of it than a record can have. None if there is no such file."""
    path = os.path.join(uri, name)
    try:
        if not fileio.exists(path):
            return None
        with fileio.open(path, "rb") as file:
            payload = bytes(file.read(strict_json.MAX_BYTES + 1))
    except Exception as error:
        raise EvidenceError(f"{name!r} in {uri} could not be read: {type(error).__name__}: {error}.") from error
    if len(payload) > strict_json.MAX_BYTES:
        raise EvidenceError(f"{name!r} in {uri} is larger than the limit of {strict_json.MAX_BYTES} bytes.")
    return payload


def _write(uri: str, name: str, payload: bytes) -> None:
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, name), "wb") as file:
        file.write(payload)
