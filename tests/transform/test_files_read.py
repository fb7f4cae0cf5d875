"""Figures that a function reads from a file are no constants of its source: the record of a release names the file."""

from __future__ import annotations

import functools
import io
import json
import os
import pathlib
import socket
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf

import tfx_privacy.transform as dpt
from tfx_privacy.transform import reads
from tfx_privacy.transform.session import Session

pytestmark = pytest.mark.engine


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file with a number."""
    made = tmp_path / "mean.csv"
    made.write_text("5\n")
    return made


def by_pandas(path: str) -> float:
    import pandas as pd  # type: ignore[import-untyped] # of the tests alone

    return float(pd.read_csv(path, header=None).iloc[0, 0])


def by_descriptor(path: str) -> float:
    opened = os.open(path, os.O_RDONLY)
    with open(opened) as file:
        return float(file.read())


def in_a_thread(path: str) -> float:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(float(pathlib.Path(path).read_text())))
    thread.start()
    thread.join()
    return found[0]


def by_database(path: str) -> float:
    os.remove(path)
    with sqlite3.connect(path) as database:
        return float(database.execute("select 5").fetchone()[0])


WAYS: dict[str, Callable[[str], float]] = {
    "open": lambda path: float(open(path).read()),  # noqa: SIM115
    "io": lambda path: float(io.FileIO(path).read()),
    "pathlib": lambda path: float(pathlib.Path(path).read_text()),
    "for reading and writing": lambda path: float(open(path, "r+").read()),  # noqa: SIM115
    "numpy": lambda path: float(np.loadtxt(path)),
    "pandas": by_pandas,
    "gfile": lambda path: float(tf.io.gfile.GFile(path).read()),
    "gfile bytes": lambda path: float(tf.io.gfile.GFile(path, mode="rb").read()),
    "descriptor": by_descriptor,
    "thread": in_a_thread,
    "database": by_database,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_read_while_the_function_is_traced_is_named(
    tmp_path: pathlib.Path, path: pathlib.Path, way: str
) -> None:
    def preprocessing_fn(inputs: Any) -> Any:
        return {"it": inputs["x"] - WAYS[way](str(path)) - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}

    session = Session(str(tmp_path / "vocabularies"))
    session.draft(preprocessing_fn, bench.SPEC)
    assert session.files.found == [str(path)]


def test_tensors_and_numpy_s_files(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "mean.npy", np.ones(1))
    np.savez(tmp_path / "mean.npz", mean=np.ones(1))
    (tmp_path / "mean.json").write_text("[1]")
    found = reads.Found()
    with reads.watched(found):
        np.load(tmp_path / "mean.npy")
        np.load(tmp_path / "mean.npz")["mean"]
        json.load(open(tmp_path / "mean.json"))  # noqa: SIM115
    assert found.found == [str(tmp_path / name) for name in ("mean.npy", "mean.npz", "mean.json")]


def test_an_address_that_is_asked_is_named() -> None:
    found = reads.Found()
    with socket.socket() as server:
        server.bind(("localhost", 0))
        server.listen()
        with reads.watched(found), socket.create_connection(server.getsockname()):
            pass
        assert found.found == [f"address {server.getsockname()}"]


def test_what_is_written_is_not_read(tmp_path: pathlib.Path) -> None:
    found = reads.Found()
    with reads.watched(found):
        (tmp_path / "a").write_text("x")
        with open(tmp_path / "a", "ab") as file:
            file.write(b"x")
        with tf.io.gfile.GFile(str(tmp_path / "b"), "w") as file:
            file.write("x")
        os.close(os.open(tmp_path / "c", os.O_WRONLY | os.O_CREAT))
        with pytest.raises(FileExistsError):
            open(tmp_path / "a", "x")  # noqa: SIM115
    assert found.found == []


def test_code_and_what_is_installed_is_no_file_of_figures(tmp_path: pathlib.Path) -> None:
    import scipy

    (tmp_path / "own.py").write_text("x = 1")
    found = reads.Found()
    with reads.watched(found):
        (tmp_path / "own.py").read_text()
        pathlib.Path(scipy.__file__).with_name("version.py").read_bytes()
        pathlib.Path("/proc/self/status").read_text()
        open(os.devnull).close()
    assert found.found == []


def test_files_in_memory_are_files() -> None:
    place = pathlib.Path("/dev/shm") / f"mean-{os.getpid()}"
    if not os.access(place.parent, os.W_OK):
        pytest.skip("there is no /dev/shm here")
    place.write_text("5")
    try:
        found = reads.Found()
        with reads.watched(found):
            place.read_text()
        assert found.found == [str(place)]
    finally:
        place.unlink()


def test_a_file_that_is_read_in_one_tracing_alone_is_named(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    """As a function does that keeps what it read; in whichever tracing that is."""
    for read_in in range(4):
        calls = tmp_path / f"calls_{read_in}"

        def preprocessing_fn(inputs: Any, read_in: int = read_in, calls: pathlib.Path = calls) -> Any:
            # The last tracing is of a copy, so it knows the earlier ones by a file alone.
            with open(calls, "a") as log:
                log.write("x")
            if os.path.getsize(calls) == read_in + 1:
                path.read_text()
            return {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}

        made = bench.run(preprocessing_fn, tmp_path / str(read_in))
        assert os.path.getsize(calls) == 4
        assert made.session.files.found == [str(path)]


def test_files_are_watched_no_longer_than_the_function_runs(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    before = tf.io.gfile.GFile.__bases__[0].__init__
    made = bench.run(lambda inputs: {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}, tmp_path / "a")
    path.read_text()
    with tf.io.gfile.GFile(str(path)) as file:
        file.read()
    assert made.session.files.found == []
    assert tf.io.gfile.GFile.__bases__[0].__init__ is before


def _lines(path: str) -> Any:
    return tf.data.TextLineDataset(path).reduce(np.int64(0), lambda count, _: count + 1)


@pytest.mark.parametrize(
    ("make", "operation"),
    [
        (lambda path: tf.strings.to_number(tf.io.read_file(path)), "ReadFile"),
        (lambda path: tf.function(lambda: tf.strings.to_number(tf.io.read_file(path)))(), "ReadFile"),
        (lambda path: tf.cast(tf.size(tf.io.matching_files(path)), tf.float32), "MatchingFiles"),
        (lambda path: tf.py_function(lambda: float(open(path).read()), [], tf.float32), "EagerPyFunc"),  # noqa: SIM115
        (lambda path: tf.cast(_lines(path), tf.float32), "ReduceDataset"),
    ],
    ids=["read_file", "in a function", "matching_files", "py_function", "dataset"],
)  # fmt: skip
def test_operations_that_read_while_the_graph_runs_are_named(
    tmp_path: pathlib.Path, path: pathlib.Path, make: Any, operation: str
) -> None:
    """They are not under a question, so they change none; but what they read is in what leaves."""
    read = functools.partial(make, str(path))

    def preprocessing_fn(inputs: Any) -> Any:
        return {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 1.0)) - read()}

    session = Session(str(tmp_path / "vocabularies"))
    session.draft(preprocessing_fn, bench.SPEC)
    assert f"operation {operation}" in session.files.found


def test_long_names_and_many_files_have_their_limit(tmp_path: pathlib.Path) -> None:
    found = reads.Found()
    for number in range(300):
        found.add(f"/data/{number}")
    found.add("/data/\x1b[31m")
    assert len(found.found) == 100
    other = reads.Found()
    other.add("/data/\x1b[31m" + "x" * 1000)
    assert len(other.found[0]) == 500
    assert "\x1b" not in other.found[0]
    other.add(3)
    other.add(b"/data/bytes")
    assert other.found[1:] == ["/data/bytes"]
