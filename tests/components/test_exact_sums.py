"""Sums of whole numbers on Beam: the same for any files, batches and workers, and of few records of each user."""

from __future__ import annotations

import gzip
import hashlib
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
import artifacts_on_disk as disk
import numpy as np
import private_transform as bench
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import tfx_privacy.transform as dpt
from tfx_privacy.components import exact_sums
from tfx_privacy.components.dp_transform.traced_reader import TracedReader
from tfx_privacy.errors import DataError, InternalError
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.queries import Presence, Query, VectorQuery, Vocabulary
from tfx_privacy.transform.session import Draft, Session

Records = Sequence[bytes]
TWO_WORKERS = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
ONE_WORD = {"word": tf.io.FixedLenFeature([], tf.string)}


def serialized(records: Sequence[Mapping[str, Any]], **changes: Any) -> list[bytes]:
    """Each once: a second time the same record may be other bytes."""
    changed = [{**record, **changes} for record in records]
    return [disk.serialize({name: values for name, values in record.items() if values}) for record in changed]


RECORDS = serialized(bench.make_records(3000))


def asks_everything(inputs: Any) -> Any:
    """One question of each kind, all of them in the first round."""
    asked = [
        dpt.mean(inputs["x"], bounds=(0.0, 40.0)),
        dpt.mean(inputs["numbers"], bounds=(0.0, 10.0), max_values=2),
        dpt.quantiles(inputs["pair"], 4, bounds=(-2.0, 2.0))[0, 0],
        dpt.min(inputs["ragged"], bounds="private", max_values=3),
        tf.cast(dpt.count_per_key(inputs["n"], keys=[0, 3])[1][0], tf.float32),
        tf.cast(dpt.histogram(inputs["x"], [10.0, 20.0])[0][0], tf.float32),
    ]
    words = [dpt.compute_and_apply_vocabulary(inputs["word"]), dpt.compute_and_apply_vocabulary(inputs["n"])]
    dpt.compute_vocabulary(inputs["words"], max_values=3)
    return {"it": inputs["x"] + sum(asked), "words": words[0] + words[1]}


def asks_a_mean(inputs: Any) -> Any:
    return {"it": inputs["x"] - dpt.mean(inputs["x"], bounds=(0.0, 40.0))}


class Case:
    """Questions, and their reader."""

    def __init__(
        self,
        folder: pathlib.Path,
        function: Any = asks_everything,
        user_id_key: str | None = None,
        spec: Any = bench.SPEC,
    ) -> None:
        self.folder = folder
        self.draft: Draft = Session(str(folder / "vocabularies")).draft(function, spec, user_id_key)
        self.queries: list[Query] = [asked.query for asked in self.draft.asked]
        self.reader = TracedReader.save(self.draft, str(folder / "columns"))

    def write(self, records: Records, shards: int = 1, *, compressed: bool = True) -> list[str]:
        """Files of some records."""
        root = self.folder / f"files_{len(list(self.folder.iterdir()))}"
        root.mkdir()
        paths = [str(root / f"data-{shard}{'.gz' if compressed else ''}") for shard in range(shards)]
        for shard, path in enumerate(paths):
            with tf.io.TFRecordWriter(path, "GZIP" if compressed else None) as writer:
                for record in records[shard::shards]:
                    writer.write(record)
        return paths

    def sums(self, files: Sequence[str], *, k: int | None = None, options: Sequence[str] = ()) -> exact_sums.Sums:
        """Of files, by Beam."""
        folder = self.folder / f"sums_{len(list(self.folder.iterdir()))}"
        questions = exact_sums.Questions(self.reader, self.queries, k)
        with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(options))) as pipeline:
            exact_sums.build(pipeline, questions, files, str(folder))
        return exact_sums.read(str(folder), self.queries)

    def wanted(self, records: Records) -> exact_sums.Sums:
        """The same at once, without Beam."""
        columns = bench.columns_of(self.draft, tf.constant(list(records), tf.string))
        return [
            query.counts(column) if isinstance(query, Vocabulary) else _sums(query, column)
            for query, column in zip(self.queries, columns, strict=True)
        ]


def _sums(query: Query, column: Any) -> np.ndarray:
    assert isinstance(query, VectorQuery)
    return query.sums(column)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("case"))


def same(found: exact_sums.Sums, wanted: exact_sums.Sums) -> None:
    assert [type(one) for one in found] == [type(other) for other in wanted]
    np.testing.assert_equal(found, wanted)


@pytest.mark.parametrize(
    ("shards", "compressed", "batch_size", "held"),
    [(1, True, 2048, 200_000), (1, False, 64, 200_000), (5, True, 7, 3), (3, False, 1000, 1)],
)
def test_sums_are_the_same_for_any_files_and_batches(
    case: Case, monkeypatch: pytest.MonkeyPatch, shards: int, compressed: bool, batch_size: int, held: int
) -> None:
    """Exactly: whole numbers know no order. `held` lets a worker give its values on again and again."""
    monkeypatch.setattr(exact_sums, "BATCH_SIZE", batch_size)
    monkeypatch.setattr(exact_sums, "_MAX_VALUES_HELD", held)
    same(case.sums(case.write(RECORDS, shards, compressed=compressed)), case.wanted(RECORDS))


@pytest.mark.slow
def test_sums_are_the_same_for_two_workers(case: Case) -> None:
    same(case.sums(case.write(RECORDS, 5), options=TWO_WORKERS), case.wanted(RECORDS))


@pytest.mark.slow
def test_users_are_bounded_alike_by_two_workers(tmp_path: pathlib.Path) -> None:
    case = Case(tmp_path, user_id_key="user")
    files = case.write(RECORDS, 4)
    same(case.sums(files, k=20, options=TWO_WORKERS), case.sums(files[::-1], k=20))


def test_a_hundred_thousand_different_values(tmp_path: pathlib.Path) -> None:
    """Half of them twice; keys of all bytes."""
    words = [b"%d\x00\xff%s" % (number, b"x" * (number % 50)) for number in range(100_000)]
    case = Case(tmp_path, lambda inputs: {"it": dpt.compute_and_apply_vocabulary(inputs["word"])}, spec=ONE_WORD)
    records = serialized([{"word": [word]} for word in words])
    (found,) = case.sums(case.write([*records, *records[::2]], 2, compressed=False))
    assert found == Counter(words) + Counter(words[::2])


def test_a_number_and_its_digits_are_two_users() -> None:
    """As they are for ExampleGen's hash, which may put them into two splits."""

    class Reader:
        def users(self, records: Any) -> Column:
            return Column(np.array([7, b"7", b"n7"], object), np.arange(3))

    found = [user for user, _ in exact_sums._Users(Reader())._named(tf.constant([b"1", b"2", b"3"]))]  # type: ignore[arg-type]
    assert len(set(found)) == 3


def test_sums_that_are_there_twice_are_refused(case: Case, tmp_path: pathlib.Path) -> None:
    """As a run that was killed may leave them, in another number of files: a record would count twice."""
    questions = exact_sums.Questions(case.reader, case.queries)
    files = case.write(RECORDS[:50])
    for _ in range(2):
        for path in sorted(tmp_path.glob("sums-*")):
            path.rename(tmp_path / f"{path.name}-before")
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            exact_sums.build(pipeline, questions, files, str(tmp_path))
    with pytest.raises(InternalError, match="hold a part twice"):
        exact_sums.read(str(tmp_path), case.queries)


def test_of_no_record_all_sums_are_zero(case: Case) -> None:
    for files in (case.write([]), case.write([], 3, compressed=False)):
        same(
            case.sums(files),
            [Counter() if isinstance(query, Vocabulary) else 0 * _sums_of_none(query) for query in case.queries],
        )


def _sums_of_none(query: Query) -> np.ndarray:
    assert isinstance(query, VectorQuery)
    return np.zeros(query.length, np.int64)


def hash_of(record: bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=16).digest()


@pytest.mark.parametrize("k", [1, 5])
def test_a_user_of_a_thousand_records_counts_k(tmp_path: pathlib.Path, k: int) -> None:
    """Those with the smallest hashes, wherever they are; equal records count as often as they are there, k at most."""
    case = Case(tmp_path, user_id_key="user", spec={**bench.SPEC, "user": tf.io.VarLenFeature(tf.string)})
    heavy = serialized(bench.make_records(1000, seed=1), user=[b"heavy"])
    equal = serialized(bench.make_records(1, seed=2), user=[b"equal"]) * 50
    nobody = serialized(bench.make_records(3, seed=3), user=[])
    light = [
        serialized([record], user=[b"light %d" % number])[0]
        for number, record in enumerate(bench.make_records(30, seed=4))
    ]
    kept = [*sorted(heavy, key=hash_of)[:k], *equal[:k], *light]
    # ExampleGen's hash is of both, so each of the two may be in other splits as well.
    several = serialized(bench.make_records(2, seed=5), user=[b"light 1", b"heavy"])
    everything = [*heavy, *equal, *nobody, *several, *light]
    for seed, shards in ((0, 1), (1, 4)):
        order = np.random.default_rng(seed).permutation(len(everything))
        same(case.sums(case.write([everything[place] for place in order], shards), k=k), case.wanted(kept))


def test_a_user_moves_no_sum_by_more_than_k_records_do(tmp_path: pathlib.Path) -> None:
    case = Case(tmp_path, user_id_key="user")
    others = [serialized([record], user=[b"%d" % number])[0] for number, record in enumerate(bench.make_records(40))]
    heavy = serialized(bench.make_records(60, seed=1), user=[b"heavy"])
    one, other = (case.sums(case.write(records), k=3) for records in (others, others + heavy))
    are_moved = []
    for query, before, after in zip(case.queries, one, other, strict=True):
        if isinstance(before, Counter):
            moved = np.array([after[key] - before[key] for key in before.keys() | after.keys()])  # type: ignore[index,union-attr]
        else:
            assert isinstance(query, VectorQuery)
            moved = query.released(after) - query.released(before)  # type: ignore[arg-type]
        assert np.sqrt(np.sum(moved.astype(float) ** 2)) <= 3 * query.l2_sensitivity
        are_moved.append(bool(np.any(moved != 0)))
    # Which three records count is chance; they may have nothing that one question asks for.
    assert sum(are_moved) >= len(are_moved) - 1


def cut(path: str) -> None:
    content = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(content[: len(content) * 2 // 3])


def flipped(path: str) -> None:
    content = bytearray(pathlib.Path(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    pathlib.Path(path).write_bytes(content)


def no_example(path: str) -> None:
    with tf.io.TFRecordWriter(path, "GZIP" if path.endswith(".gz") else None) as writer:
        writer.write(b"\xff\xffsecret value")


def another_type(path: str) -> None:
    with tf.io.TFRecordWriter(path, "GZIP" if path.endswith(".gz") else None) as writer:
        writer.write(serialized(bench.make_records(1), x=[b"secret value"])[0])


@pytest.mark.parametrize(
    ("damage", "compressed", "k"), [(cut, True, None), (flipped, True, 3), (cut, False, 3), (flipped, False, None)]
)
def test_a_damaged_file_is_named(tmp_path: pathlib.Path, damage: Any, compressed: bool, k: int | None) -> None:
    """And what was read before it gives no sum."""
    case = Case(tmp_path, asks_a_mean, user_id_key="user")
    files = case.write(RECORDS[:300], 3, compressed=compressed)
    damage(files[1])
    with pytest.raises(DataError) as error:
        case.sums(files, k=k)
    assert str(error.value).startswith(f"The file {files[1]} is cut short or damaged")
    assert error.value.__cause__ is None


@pytest.mark.parametrize("k", [None, 30])
@pytest.mark.parametrize("damage", [no_example, another_type])
def test_an_error_quotes_no_record(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], damage: Any, k: int | None
) -> None:
    case = Case(tmp_path, asks_a_mean, user_id_key="user")
    files = case.write(RECORDS[:30], 2)
    damage(files[1])
    with pytest.raises(DataError, match="Its text is left out, because it may quote records") as error:
        case.sums(files, k=k)
    assert "secret" not in f"{error.value} {capfd.readouterr()}"


@pytest.mark.slow
def test_an_error_of_another_process_is_the_same_error(tmp_path: pathlib.Path) -> None:
    case = Case(tmp_path, asks_a_mean)
    files = case.write(RECORDS[:300], 3)
    cut(files[2])
    with pytest.raises(DataError) as error:
        case.sums(files, options=TWO_WORKERS)
    assert str(error.value).startswith(f"The file {files[2]} is cut short or damaged")


def test_the_first_of_several_errors_is_told_whatever_worker_was_first(tmp_path: pathlib.Path) -> None:
    case = Case(tmp_path, asks_a_mean)
    files = case.write(RECORDS[:300], 3)
    for file in files:
        cut(file)
    with pytest.raises(DataError, match="data-0.gz is cut short"):
        case.sums(files[::-1])


def test_files_of_another_format_are_refused_before_anything_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(DataError, match="is Parquet"):
        exact_sums.check_files([str(tmp_path / "a.parquet")])
    (tmp_path / "a.gz").write_bytes(gzip.compress(b""))
    exact_sums.check_files([str(tmp_path / "a.gz")])
    with pytest.raises(DataError, match="The splits hold no file"):
        exact_sums.check_files([])


def test_no_record_moves_what_is_made_of_another(tmp_path: pathlib.Path) -> None:
    """Of a function that mixes records where one is beyond ten million, which no made-up record of those tried is."""

    def mixes(inputs: Any) -> Any:
        x = inputs["x"]
        mixed = tf.where(tf.reduce_max(x) > 1e7, x - tf.reduce_mean(x), x)
        return {"it": x - dpt.mean(mixed, bounds=(0.0, 40.0))}

    case = Case(tmp_path, mixes)
    (query,) = case.queries
    assert isinstance(query, VectorQuery)
    far = serialized(bench.make_records(1), x=[1e8])
    (before,), (after,) = (case.sums(case.write(records)) for records in (RECORDS[:20], [*RECORDS[:20], *far]))
    moved = query.released(after) - query.released(before)  # type: ignore[arg-type]
    assert 0 < np.linalg.norm(moved) <= query.l2_sensitivity


def test_a_record_more_moves_no_other_by_the_last_bit(tmp_path: pathlib.Path) -> None:
    """Log and its like round differently in the last few elements of a batch than in the others."""
    function = lambda inputs: {"it": dpt.bucketize(tf.math.log1p(inputs["x"]), 10, bounds=(0.0, 8.0), bins=256)}
    case = Case(tmp_path, function)
    (query,) = case.queries
    assert isinstance(query, VectorQuery)
    edge, of_batch = _on_both_sides_of_an_edge()
    records = serialized(bench.make_records(1), x=[edge])
    (before,), (after,) = (case.sums(case.write(records * size)) for size in (1031, 1032))
    assert len(of_batch) == 2, "The power of this test: in a batch both occur."
    assert np.linalg.norm(query.released(after) - query.released(before)) <= query.l2_sensitivity  # type: ignore[arg-type]


def _on_both_sides_of_an_edge() -> tuple[float, set[int]]:
    """A number whose logarithm, computed in a batch, falls into two of 256 bins; and those bins."""
    for edge in np.linspace(0.0, 8.0, 257)[64:250]:
        x = np.float32(np.expm1(edge))
        for _ in range(40):
            logarithms = tf.math.log1p(tf.fill([1031], tf.constant(x))).numpy().astype(np.float64)
            bins = set((logarithms / 8.0 * 256).astype(int).tolist())
            if len(bins) > 1:
                return float(x), bins
            x = np.nextafter(x, np.float32(0.0))
    return 7.0, set()


def test_queries_of_one_tensor_share_its_column(case: Case) -> None:
    """A sum of a vector that is longer than its query's would be another query's."""
    for query, found in zip(case.queries, case.sums(case.write(RECORDS[:5])), strict=True):
        assert isinstance(found, Counter) or found.shape == (query.length,)  # type: ignore[attr-defined]
    assert not any(isinstance(query, Presence) for query in case.queries)
