"""Files of examples: TFRecords, gzipped or not, told by how they begin and not by their names.

How a file begins is metadata of its format, so it may be looked at before a run is charged; whether a file is whole is seen
by reading it.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from tfx_privacy.errors import DataError

_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"Obj\x01": "Avro", b"PK\x03\x04": "a zip archive"}
# Of a TFRecord file, before the first record: its length and a checksum of that,
# https://www.tensorflow.org/tutorials/load_data/tfrecord.
_HEADER = struct.Struct("<QI")
_MASK_DELTA, _WORD = 0xA282EAD8, 0xFFFFFFFF
_CASTAGNOLI = 0x82F63B78
_CHUNK_BYTES = 1 << 20
_WANTED = "Give TFRecords of tf.Examples, gzipped or not, as ExampleGen and Transform write them."


def files_of(patterns: Iterable[str]) -> list[str]:
    """The files of patterns, in a fixed order.

    Raises:
      DataError: If there is none.
    """
    files = [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]
    if not files:
        raise DataError("The splits hold no file.")
    return files


def check_beginnings(files: Sequence[str]) -> None:
    """Checks that files begin as TFRecord files do; no record is looked at.

    An empty file holds no record, and may stand beside the others.

    Raises:
      DataError: If one does not; the message names it and, where it is known, its format.
    """
    for file in files:
        with tf.io.gfile.GFile(file, "rb") as opened:
            begin = bytes(opened.read(_HEADER.size))
        if not begin or _is_header(begin) or begin.startswith(_GZIP):
            continue
        known = next((name for magic, name in _OTHER_FORMATS.items() if begin.startswith(magic)), None)
        what = f"is {known}" if known else "does not begin as a TFRecord file does"
        raise DataError(f"The file {file} {what}. {_WANTED} Remove from the split's folder what is no example.")


def check_whole(files: Sequence[str]) -> None:
    """Checks that gzipped files end where they should: of one cut short, TensorFlow may read less without a word.

    Raises:
      DataError: If one is cut short or damaged; the message names it.
    """
    for file in files:
        if _compression(file) and not _is_whole(file):
            raise damaged(file)


def records_of(files: Sequence[str]) -> Any:
    """The serialized records of files, a tf.data.Dataset in the files' order."""
    parts = [
        tf.data.TFRecordDataset(list(group), compression_type=compression)
        for compression, group in itertools.groupby(files, _compression)
    ]
    dataset = parts[0]
    for part in parts[1:]:
        dataset = dataset.concatenate(part)
    return dataset


def require_readable(files: Sequence[str]) -> None:
    """Names the file for whose sake reading several failed.

    Raises:
      DataError: If one cannot be read to its end; the message names the first.
    """
    for file in files:
        try:
            for _ in records_of([file]):
                pass
        except (tf.errors.OpError, UnicodeDecodeError):
            broken = file
        else:
            continue
        # Outside of the handler: TensorFlow's text may quote what is in the file.
        raise damaged(broken)


def damaged(file: str) -> DataError:
    """What is said of a file that cannot be read to its end."""
    return DataError(
        f"The file {file} is cut short or damaged: its records cannot be read to the end. Write it anew. {_WANTED}"
    )


def _compression(file: str) -> str:
    with tf.io.gfile.GFile(file, "rb") as opened:
        begin = bytes(opened.read(_HEADER.size))
    # The length of a first record may begin like gzip; with its checksum that is no chance.
    return "GZIP" if begin.startswith(_GZIP) and not _is_header(begin) else ""


def _is_whole(file: str) -> bool:
    """Whether each part of a gzipped file ends, with the length and checksum that the format has at its end."""
    part = zlib.decompressobj(wbits=31)
    try:
        with tf.io.gfile.GFile(file, "rb") as opened:
            while chunk := bytes(opened.read(_CHUNK_BYTES)):
                while chunk:
                    if part.eof:
                        part = zlib.decompressobj(wbits=31)
                    part.decompress(chunk)
                    chunk = part.unused_data
    except zlib.error:
        return False
    return part.eof


def _is_header(begin: bytes) -> bool:
    if len(begin) < _HEADER.size:
        return False
    _, masked = _HEADER.unpack(begin)
    return _masked_checksum(begin[:8]) == masked


def _masked_checksum(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files have it."""
    remainder = _WORD
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (_CASTAGNOLI if remainder & 1 else 0)
    checksum = remainder ^ _WORD
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _WORD
