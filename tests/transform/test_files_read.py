"""Figures that a function reads from a file are no constants of its source: the record of a release names the file."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
import math
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
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


def by_parquet(path: str) -> float:
    import pandas as pd

    pd.DataFrame({"mean": [5.0]}).to_parquet(path)
    return float(pd.read_parquet(path)["mean"][0])


def by_hdf5(path: str) -> float:
    import h5py  # type: ignore[import-untyped] # of the tests alone

    with h5py.File(path, "w") as file:
        file["mean"] = 5.0
    with h5py.File(path) as file:
        return float(file["mean"][()])


def by_arrow(read: Callable[[Any, str], Any]) -> Callable[[str], float]:
    import pyarrow as pa

    return lambda path: float(read(pa, path))


def by_arrow_s_parquet(*, several: bool) -> Callable[[str], float]:
    def way(path: str) -> float:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"mean": [5.0]}), path)
        return float((pq.read_table([path]) if several else pq.ParquetFile(source=path).read())["mean"][0].as_py())

    return way


def by_records(path: str) -> float:
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"5")
    return float(next(iter(tf.compat.v1.io.tf_record_iterator(path))))


def by_record_reader(path: str) -> float:
    from tensorflow.python.lib.io.tf_record import tf_record_random_reader

    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"5")
    return float(tf_record_random_reader(path).read(0)[0])


def by_statistics(path: str) -> float:
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import statistics_pb2

    made = statistics_pb2.DatasetFeatureStatisticsList()
    made.datasets.add(num_examples=5)
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(made.SerializeToString())
    return float(tfdv.load_statistics(path).datasets[0].num_examples)


def by_table(path: str) -> float:
    with tf.init_scope():
        return float(_table(path).lookup(tf.constant("5")))


def _table(path: str) -> Any:
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    return tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(path, tf.string, line, tf.int64, number), 0)


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
    "parquet": by_parquet,
    "HDF5": by_hdf5,
    "Arrow": by_arrow(lambda pa, path: pa.OSFile(path).read()),
    "Arrow by memory": by_arrow(lambda pa, path: pa.memory_map(path, "r").read()),
    "Arrow's parquet": by_arrow_s_parquet(several=False),
    "Arrow's parquet, several": by_arrow_s_parquet(several=True),
    "records": by_records,
    "record reader": by_record_reader,
    "statistics": by_statistics,
    "table": by_table,
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


def at_once(read: Callable[[str], Any]) -> Callable[[str], float]:
    """TensorFlow's eager operations, whose result is a constant of the graph."""

    def way(path: str) -> float:
        with tf.init_scope():
            return float(read(path))

    return way


def _in_a_session(path: str) -> Any:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(tf.io.read_file(path))


def _by_callable_of_a_session(path: str) -> Any:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.make_callable(tf.io.read_file(path))()


def _in_a_thread(path: str) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(tf.io.read_file(path)))
    thread.start()
    thread.join()
    return found[0]


def _in_a_loop(path: str) -> Any:
    @tf.function
    def read() -> Any:
        return tf.while_loop(lambda text: tf.equal(text, ""), lambda _: (tf.io.read_file(path),), (tf.constant(""),))

    return read()[0]


def _by_a_call(path: str) -> Any:
    function = tf.function(lambda: tf.io.read_file(path)).get_concrete_function()
    return tf.raw_ops.StatefulPartitionedCall(args=[], Tout=[tf.string], f=function)


EAGER: dict[str, tuple[Callable[[str], Any], str]] = {
    "read_file": (lambda path: tf.io.read_file(path).numpy(), "ReadFile"),
    "raw_ops": (lambda path: tf.raw_ops.ReadFile(filename=path).numpy(), "ReadFile"),
    "in a function": (lambda path: tf.function(lambda: tf.io.read_file(path))().numpy(), "ReadFile"),
    "in a function that an operation calls": (lambda path: _by_a_call(path)[0].numpy(), "ReadFile"),
    "in a loop of a function": (lambda path: _in_a_loop(path).numpy(), "ReadFile"),
    "in a thread": (lambda path: _in_a_thread(path).numpy(), "ReadFile"),
    "in a session": (_in_a_session, "ReadFile"),
    "by a session's callable": (_by_callable_of_a_session, "ReadFile"),
    "dataset": (lambda path: next(iter(tf.data.TextLineDataset(path))).numpy(), "IteratorGetNext"),
    "reduced dataset": (lambda path: _lines(path).numpy(), "ReduceDataset"),
    "matching files": (lambda path: tf.size(tf.io.matching_files(path)).numpy(), "MatchingFiles"),
}


@pytest.mark.parametrize("way", EAGER)
def test_operations_that_read_at_once_are_named(tmp_path: pathlib.Path, path: pathlib.Path, way: str) -> None:
    read, operation = EAGER[way]

    def preprocessing_fn(inputs: Any) -> Any:
        return {"it": inputs["x"] - at_once(read)(str(path)) - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}

    session = Session(str(tmp_path / "vocabularies"))
    session.draft(preprocessing_fn, bench.SPEC)
    assert f"operation {operation}" in session.files.found


def test_a_dataset_that_was_there_before_is_named_by_its_iteration(path: pathlib.Path) -> None:
    dataset = iter(tf.data.TextLineDataset(str(path)))
    found = reads.Found()
    with reads.watched(found):
        next(dataset)
    assert found.found == ["operation IteratorGetNext"]


def test_checkpoints_are_named(tmp_path: pathlib.Path) -> None:
    saved = tf.train.Checkpoint(mean=tf.Variable(5.0)).write(str(tmp_path / "saved"))
    found = reads.Found()
    with reads.watched(found):
        assert tf.train.load_variable(saved, "mean/.ATTRIBUTES/VARIABLE_VALUE") == 5
    assert saved in found.found
    with reads.watched(found):
        tf.raw_ops.RestoreV2(
            prefix=saved, tensor_names=["mean/.ATTRIBUTES/VARIABLE_VALUE"], shape_and_slices=[""], dtypes=[tf.float32]
        )
    assert "operation RestoreV2" in found.found


PROCESSES: dict[str, tuple[Callable[[str], Any], str]] = {
    "subprocess": (lambda path: subprocess.run(["cat", path], check=True), "cat"),
    "shell": (lambda path: subprocess.check_output(f"cat {path}", shell=True), "sh"),
    "system": (lambda path: os.system(f"cat {path}"), "cat"),
    "popen": (lambda path: os.popen(f"cat {path}").close(), "sh"),
    "spawn": (lambda path: os.waitpid(os.posix_spawn("/bin/cat", ["cat", path], {}), 0), "cat"),
    "script": (
        lambda path: subprocess.run([sys.executable + ".py", path], check=False),
        os.path.basename(sys.executable) + ".py",
    ),
}


@pytest.mark.parametrize("way", PROCESSES)
def test_processes_are_named_by_their_program(path: pathlib.Path, way: str) -> None:
    start, program = PROCESSES[way]
    found = reads.Found()
    with reads.watched(found), contextlib.suppress(FileNotFoundError):
        start(str(path))
    assert f"process {program!r}" in found.found
    assert str(path) not in "".join(found.found)


def test_what_tfx_installs_is_no_figure() -> None:
    found = reads.Found()
    with reads.watched(found):
        subprocess.run([sys.executable, "-m", "pip", "--version"], check=True)
    assert found.found == []


def test_a_copy_of_this_process_is_named() -> None:
    found = reads.Found()
    with reads.watched(found):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    assert found.found == ["process 'os.fork'"]


def test_what_a_module_reads_at_once_while_it_is_imported_is_named(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    module = tmp_path / "figures.py"
    module.write_text(f"import tensorflow as tf\nMEAN = float(tf.io.read_file({str(path)!r}))\n")
    spec = importlib.util.spec_from_file_location("figures", module)
    assert spec is not None
    assert spec.loader is not None
    found = reads.Found()
    with reads.watched(found):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert found.found == ["operation ReadFile"]


def test_what_tensorflow_and_the_release_read_is_no_figure(tmp_path: pathlib.Path) -> None:
    def sum_of_the_Dataset() -> Any:  # As operations that read are called.
        return tf.reduce_sum(tf.constant([1.0, 2.0]))

    def preprocessing_fn(inputs: Any) -> Any:
        words = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), 0)
        with tf.init_scope():
            three = float(tf.function(sum_of_the_Dataset)())
        return {
            "bucket": dpt.bucketize(inputs["x"], 2, bounds=(0.0, 1.0)),
            "score": dpt.scale_to_z_score(inputs["x"], bounds=(0.0, 1.0)) * math.sqrt(three),
            "word": dpt.compute_and_apply_vocabulary(inputs["word"]),
            "own": words.lookup(inputs["word"]),
            "noise": tf.cast(tf.constant(np.arange(2)), tf.float32)[0] + inputs["x"],
        }

    made = bench.run(preprocessing_fn, tmp_path)
    assert made.session.files.found == []


def test_files_beside_those_of_the_release_are_named(tmp_path: pathlib.Path) -> None:
    found = reads.Found(str(tmp_path / "own"))
    for name in ("own/words", "own_not/words", "own/../words"):
        found.add(str(tmp_path / name))
    assert found.found == [str(tmp_path / name) for name in ("own_not/words", "own/../words")]


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
        os.close(tempfile.mkstemp(dir=tmp_path)[0])
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
    before = _replaced()
    made = bench.run(lambda inputs: {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 1.0))}, tmp_path / "a")
    path.read_text()
    with tf.io.gfile.GFile(str(path)) as file:
        file.read()
    assert made.session.files.found == []
    assert _replaced() == before


def _replaced() -> list[Any]:
    """What stands for something else while files are watched, in part."""
    from tensorflow.python import pywrap_tfe

    return [tf.io.gfile.GFile.__bases__[0].__init__, pywrap_tfe.TFE_Py_FastPathExecute, tf.compat.v1.Session.run]


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
