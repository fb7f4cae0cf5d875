"""Verifies a ledger: its log by itself, the tables against the log, and the database's own guards."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from tfx_privacy.ledger import migrations, replay, rows
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.replay import DatasetRow
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, METADATA, RUN
from tfx_privacy.privacy.errors import LedgerError

_POSTGRESQL_TRIGGERS = sa.text(
    "SELECT t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND n.nspname = current_schema()"
)
_POSTGRESQL_CHECKS = sa.text(
    "SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace "
    "WHERE k.contype IN ('c', 'u') AND k.convalidated AND n.nspname = current_schema()"
)


@dataclasses.dataclass(frozen=True)
class Verified:
    """A ledger in which everything follows from its log."""

    ledger_id: str
    datasets: dict[str, DatasetRow]
    log: list[Entry]

    @property
    def num_entries(self) -> int:
        """Entries of all datasets."""
        return len(self.log)


def verify_all(connection: sa.Connection) -> Verified:
    """Verifies everything.

    Args:
      connection: In a transaction, so that it is one snapshot.

    Raises:
      LedgerError: At the first thing that is not as it should be.
    """
    migrations.require_current(connection)
    _check_database(connection)
    ledger_id = rows.read_ledger_id(connection)
    log = rows.read_log(connection, ledger_id)
    datasets = replay.replay(log)
    for table in (DATASET, BLOCK, RUN):
        _compare(connection, table, datasets.values(), where=sa.true())
    return Verified(ledger_id, datasets, log)


def verify_dataset(connection: sa.Connection, dataset_id: str) -> tuple[DatasetRow, list[Entry]]:
    """Verifies one dataset's log, and the tables against it.

    Raises:
      LedgerError: If the dataset is not registered, or something is not as it should be.
    """
    migrations.require_current(connection)
    stored = rows.read_dataset(connection, dataset_id)
    log = rows.read_log(connection, stored.ledger_id, dataset_id)
    datasets = replay.replay(log)
    if dataset_id not in datasets:
        raise LedgerError(f"Dataset {dataset_id!r} has no entries: the ledger was tampered with.")
    for table in (DATASET, BLOCK, RUN):
        _compare(connection, table, datasets.values(), where=table.c.dataset_id == dataset_id)
    return datasets[dataset_id], log


def _compare(connection: sa.Connection, table: sa.Table, datasets: Iterable[DatasetRow], *, where: Any) -> None:
    """Compares a table with what the log comes to, types included."""
    expected = {_key(table, row): row for dataset in datasets for row in _rows(table, dataset)}
    found = 0
    for row in connection.execute(sa.select(table).where(where)).mappings():
        found += 1
        wanted = expected.get(_key(table, row))
        if wanted is None:
            raise LedgerError(f"Table {table.name} has a row {_key(table, row)} that no entry explains.")
        for name, value in wanted.items():
            if type(row[name]) is not type(value) or row[name] != value:
                raise LedgerError(
                    f"Table {table.name}, row {_key(table, row)}: {name} is {row[name]!r}, but the entries come to {value!r}."
                )
    if found != len(expected):
        raise LedgerError(f"Table {table.name} has {found} rows, but the entries come to {len(expected)}.")


def _key(table: sa.Table, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key)


def _rows(table: sa.Table, dataset: DatasetRow) -> list[dict[str, Any]]:
    if table is DATASET:
        return [rows.of_dataset(dataset)]
    if table is BLOCK:
        return [rows.of_block(dataset, name) for name in dataset.blocks]
    return [rows.of_run(run) for run in dataset.runs.values()]


def _check_database(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        _check_sqlite(connection)
    else:
        _check_postgresql(connection)
    if connection.scalar(
        sa.select(sa.func.count()).select_from(ENTRY.outerjoin(DATASET)).where(DATASET.c.dataset_id.is_(None))
    ):
        raise LedgerError("Table entry has rows of a dataset that is not there.")


def _check_sqlite(connection: sa.Connection) -> None:
    result = connection.scalars(sa.text("PRAGMA integrity_check(1)")).all()
    if result != ["ok"]:
        raise LedgerError(f"The SQLite file is damaged: {result}.")
    found, expected = _sqlite_objects(connection), _expected_sqlite_objects()
    for name in sorted(set(found) | set(expected)):
        if found.get(name) != expected.get(name):
            raise LedgerError(f"The database's {name[0]} {name[1]!r} is not what this version of tfx-privacy made.")


def _sqlite_objects(connection: sa.Connection) -> dict[tuple[str, str], str]:
    statement = sa.text("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {(kind, name): " ".join((text or "").split()) for kind, name, text in connection.execute(statement)}


@functools.cache
def _expected_sqlite_objects() -> dict[tuple[str, str], str]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrations.upgrade(connection)
        return _sqlite_objects(connection)


def _check_postgresql(connection: sa.Connection) -> None:
    expected = {name for kind, name in _expected_sqlite_objects() if kind == "trigger"}
    enabled = {name for name, state in connection.execute(_POSTGRESQL_TRIGGERS) if _text(state) in ("O", "A")}
    missing = sorted(expected - enabled)
    if missing:
        raise LedgerError(f"The database's trigger {missing[0]!r} is missing or switched off.")
    wanted = {
        constraint.name
        for table in METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint | sa.UniqueConstraint) and constraint.name
    }
    missing = sorted(str(name) for name in wanted - set(connection.scalars(_POSTGRESQL_CHECKS)))
    if missing:
        raise LedgerError(f"The database's constraint {missing[0]!r} is missing.")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
