"""Files of examples are told by how they begin, and one that cannot be read is named."""

import gzip
import pathlib

import pytest

from tfx_privacy.errors import DataError

pytestmark = pytest.mark.engine

RECORDS = [bytes([number]) * 60 for number in range(40)]


def write(path: pathlib.Path, compression: str, records: list[bytes] | None = None) -> str:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in RECORDS if records is None else records:
            writer.write(record)
    return str(path)


def read(files: list[str]) -> list[bytes]:
    from tfx_privacy.components import example_files

    example_files.check_beginnings(files)
    example_files.check_whole(files)
    return list(example_files.records_of(files).as_numpy_iterator())


def test_files_are_read_whatever_their_names_say(tmp_path: pathlib.Path) -> None:
    files = [
        write(tmp_path / "a", "GZIP", RECORDS[:10]),
        write(tmp_path / "b.gz", "", RECORDS[10:15]),
        write(tmp_path / "c", "", []),
        write(tmp_path / "d", "", RECORDS[15:30]),
        write(tmp_path / "e.tfrecord", "GZIP", RECORDS[30:]),
    ]
    (tmp_path / "_SUCCESS").write_bytes(b"")
    assert read([str(tmp_path / "_SUCCESS"), *files]) == RECORDS
    # Several parts in one file, as `cat` makes them.
    (tmp_path / "f").write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "e.tfrecord").read_bytes())
    assert read([str(tmp_path / "f")]) == RECORDS[:10] + RECORDS[30:]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PAR1 secret PAR1", "is Parquet"),
        (b"Obj\x01 secret", "is Avro"),
        (b"id,secret\n1,2\n", "does not begin as a TFRecord file does"),
        (b"crc", "does not begin as a TFRecord file does"),
        (RECORDS[0], "does not begin as a TFRecord file does"),
    ],
)
def test_what_is_no_tfrecord_file_is_refused_by_its_beginning(
    tmp_path: pathlib.Path, content: bytes, what: str
) -> None:
    from tfx_privacy.components import example_files

    file = tmp_path / "part-0"
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"{file} {what}") as caught:
        example_files.check_beginnings([write(tmp_path / "good", "GZIP"), str(file)])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.03, 0.51, 0.97])
@pytest.mark.parametrize("compression", ["GZIP", ""])
def test_a_file_that_is_cut_short_is_named(tmp_path: pathlib.Path, compression: str, kept: float) -> None:
    """TensorFlow takes a gzipped file of which nothing comes out for an empty one."""
    from tfx_privacy.components import example_files

    whole, file = write(tmp_path / "whole", compression), tmp_path / "cut"
    written = pathlib.Path(whole).read_bytes()
    file.write_bytes(written[: int(len(written) * kept)])
    find = example_files.check_whole if compression else example_files.require_readable
    with pytest.raises(DataError, match=f"{file} is cut short or damaged") as caught:
        find([whole, str(file)])
    assert caught.value.__context__ is None
    example_files.require_readable([whole])


def test_a_damaged_file_is_named(tmp_path: pathlib.Path) -> None:
    from tfx_privacy.components import example_files

    file = tmp_path / "turned"
    content = bytearray(gzip.compress(b"".join(RECORDS), mtime=0))
    content[-6] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"{file} is cut short or damaged"):
        example_files.check_whole([str(file)])


def test_a_first_record_whose_length_begins_like_gzip_is_a_record(tmp_path: pathlib.Path) -> None:
    record = bytes(0x8B1F)
    path = write(tmp_path / "a", "", [record, b"another"])
    assert (tmp_path / "a").read_bytes()[:2] == b"\x1f\x8b"
    assert read([path]) == [record, b"another"]
