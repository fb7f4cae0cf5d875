"""Whoever owns the database can write anything into it, and drop its guards first: verifying shows it."""

import collections
import concurrent.futures
import contextlib
import hashlib
import json
import multiprocessing
import pathlib
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ledgers import BUDGET, DATASET, DIGEST, KIND, RELEASE, RUN, attempt_id, new_ledger, open_ledger

from tfx_privacy.errors import EvidenceError, LedgerError
from tfx_privacy.ledger import Ledger, entries, new_run_id

TABLES = {
    "schema_version": ["version_num"],
    "ledger": ["ledger_id"],
    "dataset": ["dataset_id", "facts", "epsilon", "budget", "head_sequence", "head_hash", "threshold_delta"],
    "block": ["dataset_id", "block", "charged", "ceiling", "delta_charged", "delta_ceiling"],
    "run": [
        "run_id", "dataset_id", "purpose", "state", "planned", "cost", "blocks", "attempt", "attempt_id", "model_digest",
        "guarantee_digest", "commit_sequence", "delta_spent",
    ],
    "entry": ["dataset_id", "sequence", "at", "request_id", "body", "previous_hash", "hash"],
}  # fmt: skip


def fill(ledger: Ledger) -> None:
    """Entries of every kind, runs in every state."""
    ledger.register(
        "spans", **{**BUDGET, "epsilon": 30.0}, blocks=["2024", "2025"], population=10_000, threshold_delta=1e-7
    )
    ledger.add_blocks("spans", ["2026"], approver="Dana")
    ledger.change_budget("spans", epsilon=40.0, approver="Dana", reason="consent")
    release = new_run_id()
    ledger.reserve(release, "spans", RELEASE, **KIND, blocks=["2025"], purpose="release", delta_spent=1e-8)
    ledger.start(release, attempt_id=attempt_id())
    for dataset, blocks in ((DATASET, []), ("spans", ["2024", "2026"])):
        runs = [new_run_id() for _ in range(5)]
        for run_id in runs:
            ledger.reserve(run_id, dataset, RUN, **KIND, blocks=blocks, labels={"pipeline": "taxi"})
        for run_id in runs[1:4]:
            ledger.start(run_id, attempt_id=attempt_id())
        ledger.commit(runs[2], RUN, model_digest=DIGEST, guarantee_digest=DIGEST)
        ledger.settle(runs[3], approver="Dana", reason="died")
        ledger.abort(runs[4], reason="mistake")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("original") / "ledger.db"
    with new_ledger(f"sqlite:///{path}") as ledger:
        fill(ledger)
    return path


@pytest.fixture
def memory(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder in memory, where there is one: nothing here is about the disk."""
    if not pathlib.Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="tfx-privacy-") as folder:
        yield pathlib.Path(folder)


@pytest.fixture
def file(original: pathlib.Path, memory: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(original, memory / "ledger.db"))


@contextlib.contextmanager
def opened(file: pathlib.Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        yield connection


def verify(file: pathlib.Path) -> None:
    with open_ledger(f"sqlite:///{file}") as ledger:
        ledger.verify()


@contextlib.contextmanager
def owner(file: pathlib.Path) -> Any:
    """The database's owner: without triggers and constraints, which stand again afterwards."""
    connection = sqlite3.connect(file, isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    yield connection
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def other(value: Any) -> list[Any]:
    """Other values of a field, the least change first."""
    if value is None:
        return ["sha256:" + "c" * 64, 1]
    if isinstance(value, int):
        return [value + 1, value - 1, str(value) + "x", value + 0.5]
    changed = chr(ord(value[-1]) ^ 1) if value else "x"
    return [value[:-1] + changed, value + " ", value.encode(), *([value.upper()] if value.upper() != value else [])]


def test_the_original_is_valid_and_has_all_kinds(original: pathlib.Path) -> None:
    verify(original)
    with open_ledger(f"sqlite:///{original}") as ledger:
        verified = ledger.verify()
    kinds = {entry.body.kind for entry in verified.log}
    assert kinds == {"register", "blocks", "budget", "reserve", "start", "commit", "settle", "abort"}
    states = {run.state for dataset in verified.datasets.values() for run in dataset.runs.values()}
    assert states == {"RESERVED", "STARTED", "COMMITTED", "SETTLED", "ABORTED"}


def test_the_tables_are_all_that_there_are(original: pathlib.Path) -> None:
    with opened(original) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names} == TABLES


def edits(original: pathlib.Path, every_row: bool) -> list[tuple[str, str, int, Any, Any]]:
    """Table, column, row id, and two values: as it is, and another one."""
    found, seen = [], set()
    with opened(original) as connection:
        for table, columns in TABLES.items():
            for column in columns:
                for row, value in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                    if every_row:
                        found += [(table, column, row, value, new) for new in other(value)]
                    elif (table, column) not in seen:
                        seen.add((table, column))
                        found.append((table, column, row, value, other(value)[0]))
    return found


def undetected_edits(original: pathlib.Path, file: pathlib.Path, every_row: bool) -> tuple[int, list[str]]:
    missed, tried = [], 0
    for table, column, row, _, new in edits(original, every_row):
        shutil.copy(original, file)
        with owner(file) as connection:
            try:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
            except sqlite3.IntegrityError:
                continue  # the same key twice, or NULL
        tried += 1
        try:
            verify(file)
            missed.append(f"{table}.{column} row {row} = {new!r}")
        except LedgerError:
            pass
    return tried, missed


@pytest.mark.parametrize("every_row", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_edited_field_is_found(original: pathlib.Path, file: pathlib.Path, every_row: bool) -> None:
    tried, missed = undetected_edits(original, file, every_row)
    assert missed == []
    assert tried > (1000 if every_row else 25)


CHANGES: dict[str, str] = {
    "the last entry deleted": (
        "DELETE FROM entry WHERE sequence = (SELECT max(sequence) FROM entry e WHERE e.dataset_id = 'trips') AND "
        "dataset_id = 'trips'"
    ),
    "the first entry deleted": "DELETE FROM entry WHERE sequence = 1 AND dataset_id = 'trips'",
    "an entry deleted": "DELETE FROM entry WHERE sequence = 4 AND dataset_id = 'trips'",
    "all of a dataset's entries deleted": "DELETE FROM entry WHERE dataset_id = 'trips'",
    "an entry twice": (
        "INSERT INTO entry SELECT dataset_id, 99, at, request_id || '0', body, previous_hash, hash FROM entry WHERE "
        "sequence = 4"
    ),
    "an entry of nobody": (
        "INSERT INTO entry SELECT 'nobody', sequence, at, request_id, body, previous_hash, hash FROM entry WHERE "
        "sequence = 1 AND dataset_id = 'trips'"
    ),
    "two entries in each other's place": (
        "UPDATE entry SET sequence = CASE sequence WHEN 3 THEN -4 WHEN 4 THEN -3 ELSE sequence END; UPDATE entry SET "
        "sequence = -sequence WHERE sequence < 0"
    ),
    "two datasets in each other's place": (
        "UPDATE entry SET dataset_id = 'x' WHERE dataset_id = 'trips'; UPDATE entry SET dataset_id = 'trips' WHERE "
        "dataset_id = 'spans'; UPDATE entry SET dataset_id = 'spans' WHERE dataset_id = 'x'"
    ),
    "another time of an entry": "UPDATE entry SET at = '2020-01-01T00:00:00.000Z' WHERE sequence = 2",
    "two entries' bodies exchanged": (
        "UPDATE entry SET body = (SELECT body FROM entry e WHERE e.dataset_id = entry.dataset_id AND e.sequence = 5 - "
        "entry.sequence) WHERE sequence IN (2, 3)"
    ),
    "a run deleted": "DELETE FROM run WHERE state = 'STARTED'",
    "a run added": (
        "INSERT INTO run SELECT replace(run_id, substr(run_id, 1, 4), '0000'), dataset_id, purpose, state, planned, "
        "cost, blocks, attempt, attempt_id, model_digest, guarantee_digest, commit_sequence, delta_spent FROM run LIMIT 1"
    ),
    "a run made to be committed": (
        "UPDATE run SET state = 'COMMITTED', model_digest = (SELECT model_digest FROM run WHERE model_digest IS NOT "
        "NULL) WHERE state = 'STARTED'"
    ),
    "all charges given back": "UPDATE block SET charged = 0",
    "all that thresholds spent given back": "UPDATE block SET delta_charged = 0",
    "more set aside for thresholds": "UPDATE dataset SET threshold_delta = 5; UPDATE block SET delta_ceiling = 5",
    "a block deleted": "DELETE FROM block WHERE block = '2025'",
    "a block added": "INSERT INTO block VALUES ('spans', '2027', 0, 5, 0, 0)",
    "a budget raised": "UPDATE dataset SET budget = budget * 2; UPDATE block SET ceiling = ceiling * 2",
    "a dataset deleted": (
        "DELETE FROM run WHERE dataset_id = 'trips'; DELETE FROM block WHERE dataset_id = 'trips'; DELETE FROM dataset "
        "WHERE dataset_id = 'trips'"
    ),
    "a dataset added": (
        "INSERT INTO dataset SELECT 'more', facts, epsilon, budget, head_sequence, head_hash, threshold_delta FROM dataset "
        "WHERE dataset_id = 'trips'"
    ),
    "another ledger's name added": "INSERT INTO ledger VALUES ('00000000000000000000000000000000')",
    "no ledger's name": "DELETE FROM ledger",
    "no version": "DELETE FROM schema_version",
    "two versions": "INSERT INTO schema_version VALUES ('0001')",
    "a column added": "ALTER TABLE run ADD COLUMN note TEXT",
    "a table added": "CREATE TABLE note (a TEXT)",
    "an index dropped": "DROP INDEX run_by_dataset",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_other_change_is_found(file: pathlib.Path, change: str) -> None:
    before = dump(file)
    with owner(file) as connection:
        connection.executescript(CHANGES[change])
    assert dump(file) != before
    with pytest.raises(LedgerError):
        verify(file)


def test_every_dropped_guard_is_found(original: pathlib.Path, file: pathlib.Path) -> None:
    with opened(original) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    assert len(names) == 8
    for name in names:
        shutil.copy(original, file)
        with opened(file) as connection:
            sql = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
            connection.execute(f"DROP TRIGGER {name}")
        with pytest.raises(LedgerError, match=name):
            verify(file)
        with opened(file) as connection:  # one of the same name that does nothing
            connection.execute(sql.split(" BEGIN ")[0] + " BEGIN SELECT 1; END")
        with pytest.raises(LedgerError, match=name):
            verify(file)
    shutil.copy(original, file)
    with opened(file) as connection:
        connection.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'charged <= ceiling', 'true')"
        )
    with pytest.raises(LedgerError, match="'block' is not what"):
        verify(file)


def test_the_guards_refuse_edits(file: pathlib.Path) -> None:
    with opened(file) as connection:
        for statement in (
            *(f"DELETE FROM {table}" for table in ("ledger", "dataset", "block", "run", "entry")),
            "UPDATE entry SET at = ''", "UPDATE ledger SET ledger_id = ''", "UPDATE run SET state = 'RESERVED'",
            "UPDATE run SET cost = 1", "UPDATE run SET delta_spent = 0",
            "UPDATE run SET state = 'ABORTED' WHERE state = 'STARTED'", "UPDATE run SET dataset_id = 'trips'",
        ):  # fmt: skip
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)


def test_every_byte_of_an_entry_counts(original: pathlib.Path) -> None:
    """The canonical text that the hash is of: no byte of it can change without the hash, or the reading, failing."""
    with open_ledger(f"sqlite:///{original}") as ledger:
        entry = next(entry for entry in ledger.log("spans") if entry.body.kind == "reserve")
    fields = entry.model_dump(mode="json", exclude={"hash"})
    text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(text).hexdigest() == entry.hash.removeprefix("sha256:")
    survived = 0
    for position in range(len(text)):
        changed = bytearray(text)
        changed[position] ^= 1
        try:
            found = json.loads(changed.decode())
            again = entries.Entry.from_json(json.dumps({**found, "hash": entry.hash}))
        except (EvidenceError, ValueError):
            continue
        survived += 1
        assert again.expected_hash != entry.hash
    assert survived > 100  # numbers and letters that could have been


def test_an_entry_that_was_rewritten_with_its_own_hash_breaks_the_chain(file: pathlib.Path) -> None:
    with open_ledger(f"sqlite:///{file}") as ledger:
        entry = next(entry for entry in ledger.log(DATASET) if isinstance(entry.body, entries.Reserved))
    fields = {name: getattr(entry, name) for name in type(entry).model_fields if name != "hash"}
    body = entry.body.model_copy(update={"labels": {"pipeline": "other"}})
    forged = entries.make_entry(**{**fields, "body": body})
    with owner(file) as connection:
        connection.execute(
            "UPDATE entry SET body = ?, hash = ? WHERE hash = ?",
            (entries.body_text(forged.body), forged.hash, entry.hash),
        )
    with pytest.raises(LedgerError, match="does not follow from the entry before it"):
        verify(file)


def dump(file: pathlib.Path) -> list[Any]:
    """Everything that a reader can see."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        tables = [name for kind, name, *_ in schema if kind == "table"]
        return [schema, *[connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in tables]]


def flip(file: pathlib.Path, work: pathlib.Path, positions: Any) -> dict[str, int]:
    """Flips bytes one at a time; how many were found, and how many changed nothing that can be seen."""
    content, before = file.read_bytes(), dump(file)
    counts = {"detected": 0, "nothing to see": 0}
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 0xFF
        work.write_bytes(changed)
        for name in ("-wal", "-shm", "-journal"):
            work.with_name(work.name + name).unlink(missing_ok=True)
        try:
            verify(work)
        except LedgerError:
            counts["detected"] += 1
            continue
        assert dump(work) == before, f"byte {position} of {len(content)} changed what a reader sees, and nobody noticed"
        counts["nothing to see"] += 1
    return counts


def rows_of(file: pathlib.Path) -> int:
    with opened(file) as connection:
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)


def test_flipped_bytes_are_found_or_change_nothing(file: pathlib.Path, memory: pathlib.Path) -> None:
    size = file.stat().st_size
    counts = flip(file, memory / "flipped.db", range(0, size, size // 60))
    assert counts["detected"] > 5


@pytest.mark.long
def test_every_flipped_byte_is_found_or_changes_nothing(
    tmp_path: pathlib.Path, memory: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ledger.db"
    with new_ledger(f"sqlite:///{file}") as ledger:
        fill(ledger)
        ledger.register("long", **{**BUDGET, "epsilon": 50.0})
        while rows_of(file) < 200:
            run_id = new_run_id()
            ledger.reserve(run_id, "long", RUN, **KIND)
            ledger.start(run_id, attempt_id=attempt_id())
    counts: collections.Counter[str] = collections.Counter()
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, fork) as pool:
        works = [(file, memory / f"flipped-{part}.db", range(part, file.stat().st_size, 2)) for part in range(2)]
        for found in pool.map(flip, *zip(*works, strict=True)):
            counts.update(found)
    with capsys.disabled():
        print(f"\n{rows_of(file)} rows, {file.stat().st_size} bytes: {dict(counts)}")
    assert sum(counts.values()) == file.stat().st_size


GUARDS_OF_POSTGRESQL: list[str] = [
    "DROP TRIGGER entry_kept ON entry",
    "ALTER TABLE entry DISABLE TRIGGER entry_final",
    "ALTER TABLE run DISABLE TRIGGER ALL",
    "ALTER TABLE block DROP CONSTRAINT charged_within_ceiling",
    "ALTER TABLE block DROP CONSTRAINT delta_charged_within_ceiling",
    "ALTER TABLE entry DROP CONSTRAINT entry_once",
    "ALTER TABLE run DROP CONSTRAINT run_pkey",
    "ALTER TABLE block DROP CONSTRAINT block_dataset_id_fkey",
    "CREATE OR REPLACE FUNCTION tfx_privacy_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    "ALTER TABLE block DROP CONSTRAINT charged_within_ceiling; ALTER TABLE block ADD CONSTRAINT charged_within_ceiling "
    "CHECK (true)",
    "DROP TRIGGER run_moves_on ON run; CREATE TRIGGER run_moves_on BEFORE UPDATE ON run FOR EACH ROW WHEN (false) "
    "EXECUTE FUNCTION tfx_privacy_refuse()",
]


@pytest.mark.slow
def test_postgresql_every_edited_field_and_dropped_guard_is_found(postgresql: Any) -> None:
    import psycopg

    name = f"original_{uuid.uuid4().hex}"
    with new_ledger(postgresql.create(name)) as ledger:
        fill(ledger)

    def passes(statement: str, *values: Any) -> bool:
        """Whether a copy of the ledger is found to be valid after a change by its owner."""
        copy = f"copy_{uuid.uuid4().hex}"
        with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}".encode())
        with psycopg.connect(postgresql.url(copy)) as connection:
            for table in TABLES if values else ():
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
            try:
                connection.execute(statement.encode(), values or None)
            except (psycopg.IntegrityError, psycopg.DataError):
                return False
            for table in TABLES if values else ():
                connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL".encode())
        with open_ledger(postgresql.url(copy)) as ledger:
            try:
                ledger.verify()
            except LedgerError:
                return False
        return True

    assert passes("SELECT 1")
    with psycopg.connect(postgresql.url(name)) as connection:
        rows = {
            table: connection.execute(f"SELECT ctid::text, {', '.join(columns)} FROM {table}".encode()).fetchall()
            for table, columns in TABLES.items()
        }
    edits = [
        (f"UPDATE {table} SET {column} = %s WHERE ctid = %s::tid", new, row[0])
        for table, columns in TABLES.items()
        for row in rows[table][-1:]
        for column, value in zip(columns, row[1:], strict=True)
        for new in other(value)[:2]
    ]
    assert len(edits) > 60
    assert [edit for edit in edits if passes(*edit)] == []
    assert [guard for guard in GUARDS_OF_POSTGRESQL if passes(guard)] == []
