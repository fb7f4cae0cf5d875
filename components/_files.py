"""Files of artifacts, through TFX's file system layer so that remote URIs work."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact

from tfx_privacy.attacks import trained_records
from tfx_privacy.errors import DataError, EvidenceError, ParameterError
from tfx_privacy.records import digest

GZIPPED_RECORDS = "tfrecords_gzip"
"""The file format that TFX's components write."""

TFRECORDS = (GZIPPED_RECORDS, "FORMAT_TFRECORDS_GZIP", "tfrecords", "FORMAT_UNSPECIFIED", "FILE_FORMAT_UNSPECIFIED")
"""What examples may say of files that are TFRecords; whether one is gzipped is seen by how it begins."""

_EXAMPLES = "FORMAT_TF_EXAMPLE"
_CHUNK_BYTES = 1 << 20
_PROBE = ".tfx-privacy-can-write"


def single(inputs: Mapping[str, Sequence[artifact.Artifact]], key: str) -> artifact.Artifact:
    """The one artifact of a channel.

    Raises:
      EvidenceError: If the channel is not wired, is empty, or holds several artifacts. An artifact without a URI, which
        an orchestrator may give for one that was never written, is none.
    """
    artifacts = inputs.get(key)
    if not artifacts or not any(found.uri for found in artifacts):
        raise EvidenceError(f"Input {key!r} has no artifact. Wire it to the component that produces it.")
    if len(artifacts) != 1:
        raise EvidenceError(f"Input {key!r} has {len(artifacts)} artifacts; expected exactly one.")
    return artifacts[0]


def read_text(uri: str, name: str) -> str:
    """Reads one file of an artifact.

    Raises:
      EvidenceError: If there is no such file.
    """
    path = os.path.join(uri, name)
    if not fileio.exists(path):
        raise EvidenceError(f"There is no file {name!r} in {uri}.")
    with fileio.open(path, "r") as file:
        return str(file.read())


def write_text(uri: str, name: str, text: str) -> None:
    """Writes one file of an artifact, creating its folder."""
    fileio.makedirs(uri)
    with fileio.open(os.path.join(uri, name), "w") as file:
        file.write(text)


def problem_of_format(
    examples: artifact.Artifact, component: str, file_formats: Collection[str] = (GZIPPED_RECORDS,)
) -> str:
    """Why a component would read examples wrongly or not at all, by what they say of themselves; empty if it reads them."""
    try:
        payload = example_gen_pb2.PayloadFormat.Name(examples_utils.get_payload_format(examples))
    except ValueError:
        payload = "one that TFX does not know"
    form = examples_utils.get_file_format(examples) or GZIPPED_RECORDS
    if payload == _EXAMPLES and form in file_formats:
        return ""
    return (
        f"The examples in {examples.uri} have payload_format={payload!r} and file_format={form!r}; {component} takes "
        f"{_EXAMPLES!r} in {GZIPPED_RECORDS!r}. Let ExampleGen (its output_config) or Transform write them so."
    )


def check_payload_format(
    examples: artifact.Artifact, component: str, file_formats: Collection[str] = TFRECORDS
) -> None:
    """Refuses examples that a component would read wrongly or not at all, by what they say of themselves.

    Raises:
      DataError: If they do not say that they are TFRecords of tf.Examples.
    """
    if problem := problem_of_format(examples, component, file_formats):
        raise DataError(problem)


def model_digest(uri: str) -> str:
    """Digest of a model: of everything below its artifact's URI, but the trainer's private file next to it.

    The file never leaves with the model, and a digest of both could be checked by nobody who has the model alone.

    Raises:
      EvidenceError: As `directory_digest`.
    """
    return _digest(uri, leave_out=(trained_records.FILE_NAME,))


def check_writable(uris: Iterable[str]) -> None:
    """Writes a file below each artifact's URI and removes it, before there is anything that could be lost.

    Raises:
      ParameterError: If one cannot be written.
    """
    for uri in uris:
        existed = fileio.exists(uri)
        path = os.path.join(uri, _PROBE)
        try:
            write_text(uri, _PROBE, "")
            if existed:
                fileio.remove(path)
            else:
                fileio.rmtree(uri)
        except Exception as error:
            raise ParameterError(
                f"Nothing can be written to {uri}: {type(error).__name__}: {error}. Give the run rights to write there."
            ) from error


def directory_digest(uri: str) -> str:
    """Merkle digest of everything below a folder.

    Raises:
      EvidenceError: If there is no file below it, or a link to a folder: whether a file system of TFX follows it depends
        on the file system, and a link that is not followed could be turned to other files under the same digest; or a
        pipe, socket or device, which has no bytes that stay, and may never give any.
    """
    return _digest(uri)


def _digest(uri: str, leave_out: Collection[str] = ()) -> str:
    files = {}
    for folder, below, names in fileio.walk(uri):
        folder = os.fsdecode(folder)
        for name in map(os.fsdecode, below):
            if os.path.islink(os.path.join(folder, name)):
                raise EvidenceError(f"{os.path.join(folder, name)} is a link to a folder. Put the folder itself there.")
        for name in map(os.fsdecode, names):
            path = os.path.join(folder, name)
            if os.path.lexists(path) and not os.path.isfile(path):
                raise EvidenceError(f"{path} is no file but a pipe, socket, device or broken link. Remove it.")
            name = os.path.relpath(path, uri).replace(os.sep, "/")
            if name not in leave_out:
                files[name] = digest.file_digest(_chunks(path))
    return digest.merkle_digest(files)


def file_digest(path: str) -> str:
    """Digest of one file's bytes, as records state it."""
    return f"sha256:{digest.file_digest(_chunks(path))[1]}"


def _chunks(path: str) -> Iterator[bytes]:
    with fileio.open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
