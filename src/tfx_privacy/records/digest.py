"""One digest for a directory, so evidence can name the model it speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from tfx_privacy.errors import EvidenceError

_PREFIX = "sha256:"


def merkle_digest(files: Mapping[str, tuple[int, str]]) -> str:
    """Digest of a directory from its files.

    Args:
      files: Size in bytes and SHA-256 (hex) of each file by its relative POSIX path.

    Returns:
      "sha256:" and 64 hex digits: SHA-256 over the sorted lines of length-prefixed path, size and file digest.

    Raises:
      EvidenceError: If there is no file, or a path is absolute or leaves the directory.
    """
    if not files:
        raise EvidenceError("There is no file to take a digest of.")
    root = hashlib.sha256(b"tfx-privacy directory digest v1\n")
    for path in sorted(files):
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts:
            raise EvidenceError(f"Path {path!r} leaves the directory whose digest is taken.")
        size, digest = files[path]
        name = path.encode()
        root.update(b"%d:%s %d %s\n" % (len(name), name, size, digest.encode()))
    return _PREFIX + root.hexdigest()


def text_digest(text: str) -> str:
    """Digest of a text's UTF-8 bytes: "sha256:" and 64 hex digits."""
    return _PREFIX + hashlib.sha256(text.encode()).hexdigest()


def file_digest(chunks: Iterable[bytes]) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file given as chunks."""
    size, digest = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()
