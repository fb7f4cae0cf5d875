"""How long the budget ledger takes: `python -m benchmarks.ledger --help`.

A ledger of many entries is written in bulk, with the ledger's own functions. Then charging a run is timed in
turn with the least that a database can do for it: one row that is inserted and committed, by the bare driver,
on the same disk or server.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.ledger import Ledger, entries, new_run_id, replay, rows
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, RUN

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "measured"
KIND: dict[str, Any] = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
PLANNED = PlannedRun.of(noise_multiplier=10.0, sampling_probability=0.01, steps=10)
_BATCH = 5000
_SEVERAL = 3


def fill(ledger: Ledger, num_entries: int) -> str:
    """A dataset with so many entries; returns one of its runs."""
    ledger.register(NAME, epsilon=8000.0, delta=1e-6, approver="Dana")
    cost = renyi_filter.cost(ledger.dataset(NAME).order, PLANNED.event)

    def write(connection: sa.Connection) -> str:
        dataset = rows.read_dataset(connection, NAME, locked=True)
        log = []
        while dataset.head_sequence < num_entries:
            run_id = new_run_id()
            reserved = entries.Reserved(
                run_id=run_id, purpose="model", planned=PLANNED, cost=cost, accountant="dp-accounting"
            )
            started = entries.Started(run_id=run_id, attempt=1, attempt_id=new_run_id())
            for request, body in ((f"reserve:{run_id}", reserved), (f"start:{run_id}:{started.attempt_id}", started)):
                entry = entries.make_entry(
                    ledger_id=dataset.ledger_id,
                    dataset_id=NAME,
                    sequence=dataset.head_sequence + 1,
                    at="2026-01-01T00:00:00.000Z",
                    request_id=request,
                    body=body,
                    previous_hash=dataset.head_hash,
                )
                replay.apply(entry, {NAME: dataset})
                log.append(rows.of_entry(entry))
        for table, values in ((RUN, [rows.of_run(run) for run in dataset.runs.values()]), (ENTRY, log)):
            for start in range(0, len(values), _BATCH):
                connection.execute(table.insert(), values[start : start + _BATCH])
        connection.execute(DATASET.update().values(rows.of_dataset(dataset)))
        connection.execute(BLOCK.update().values(rows.of_block(dataset, "")))
        return run_id

    return ledger._database.write(write)


@contextlib.contextmanager
def sqlite_peer(folder: pathlib.Path) -> Iterator[Callable[[], None]]:
    """One row into another file of the folder, as safely as the ledger writes."""
    with contextlib.closing(sqlite3.connect(folder / "peer.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE peer (id INTEGER PRIMARY KEY, body TEXT)")

        def insert() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO peer (body) VALUES (?)", (secrets.token_hex(400),))
            connection.execute("COMMIT")

        yield insert


@contextlib.contextmanager
def postgresql_peer(address: str) -> Iterator[Callable[[], None]]:
    """One row into another table of the database."""
    import psycopg

    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE peer (id BIGSERIAL PRIMARY KEY, body TEXT)")
        connection.commit()

        def insert() -> None:
            connection.execute("INSERT INTO peer (body) VALUES (%s)", (secrets.token_hex(400),))
            connection.commit()

        yield insert


def seconds(action: Callable[[], object]) -> float:
    """What one call takes by the clock."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(address: str, peer: Callable[[], None], num_entries: int, rounds: int) -> None:
    """Prints a table."""
    with Ledger("env:A", {"A": address}) as ledger:
        ledger.initialise()
        run_id = fill(ledger, num_entries)
        calls: dict[str, Callable[[], object]] = {
            "reserve": lambda: ledger.reserve(new_run_id(), NAME, PLANNED, **KIND),
            "peer": peer,
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(rounds + 1):
            for name in list(calls)[:: 1 if number % 2 else -1]:
                taken = seconds(calls[name])
                if number:  # the first connects
                    times[name].append(taken)
        bare = statistics.median(times["peer"])
        print("| call | median ms | p95 ms | x bare insert |\n|---|---|---|---|")
        for name, found in times.items():
            median, p95 = statistics.median(found), sorted(found)[int(0.95 * len(found))]
            print(f"| {name} | {1e3 * median:.2f} | {1e3 * p95:.2f} | {median / bare:.2f} |")
        for name, call in {"run": lambda: ledger.run(run_id), "verify": ledger.verify}.items():
            found = [seconds(call) for _ in range(_SEVERAL)]
            print(f"| {name}, all {num_entries} entries | {1e3 * statistics.median(found):.0f} | - | - |")


def main() -> None:
    """Measures one kind of database."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--folder", default=None, help="on the disk to measure; a temporary folder by default")
    options = parser.parse_args()
    if options.database == "sqlite":
        with tempfile.TemporaryDirectory(dir=options.folder) as name, sqlite_peer(pathlib.Path(name)) as peer:
            measure(f"sqlite:///{name}/ledger.db", peer, options.entries, options.rounds)
        return
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    from postgresql_server import Server

    server = Server()
    try:
        address = server.create("benchmark")
        with postgresql_peer(address) as peer:
            measure(address, peer, options.entries, options.rounds)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
