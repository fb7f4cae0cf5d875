"""Verifies a ledger: its log by itself, the tables against the log, and the database's own guards."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import migrations, replay, rows
from tfx_privacy.ledger.anchor import require_head
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.migrations.versions import r0002_thresholds
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, METADATA, RUN
from tfx_privacy.ledger.state import DatasetRow

_POSTGRESQL_TRIGGERS = sa.text(
    "SELECT t.tgname, c.relname, t.tgtype, pg_get_triggerdef(t.oid), p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND n.nspname = current_schema()"
)
_POSTGRESQL_CONSTRAINTS = sa.text(
    "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
    "JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE k.convalidated AND n.nspname = current_schema()"
)
# PostgreSQL writes an expression in its own way, with other parentheses, types, and `= ANY (ARRAY[...])` for `IN`: what
# is compared are names, numbers and comparisons in their order.
_WORD = re.compile(r"[a-z_][a-z0-9_]*|[0-9]+|<>|[<>]=?")
_NOT_COMPARED = {"any", "array", "in"}


@dataclasses.dataclass(frozen=True)
class Verified:
    """A ledger in which everything follows from its log."""

    ledger_id: str
    datasets: dict[str, DatasetRow]
    log: list[Entry]
    unanchored: list[str] = dataclasses.field(default_factory=list)
    """Datasets of which no head is kept elsewhere, as far as this was looked at: their newest entries may be missing."""

    @property
    def num_entries(self) -> int:
        """Entries of all datasets."""
        return len(self.log)


def verify_all(connection: sa.Connection) -> Verified:
    """Verifies everything.

    Args:
      connection: In a transaction, so it is one snapshot.

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


def require_heads(verified: Verified, heads: Sequence[tuple[str, int, str]]) -> None:
    """Checks that a ledger holds entries that were seen elsewhere.

    Args:
      verified: The ledger.
      heads: Dataset, sequence and hash of each.

    Raises:
      LedgerError: If it does not: it is an old copy, or was rewritten.
    """
    for dataset_id, sequence, entry_hash in heads:
        hashes = {entry.sequence: entry.hash for entry in verified.log if entry.dataset_id == dataset_id}
        require_head(dataset_id, sequence, entry_hash, hashes.get, "the given head")


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
    """Compares a table with what the log gives, types included."""
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
                    f"Table {table.name}, row {_key(table, row)}: {name} is {row[name]!r}, but the entries give "
                    f"{value!r}."
                )
    if found != len(expected):
        raise LedgerError(f"Table {table.name} has {found} rows, but the entries give {len(expected)}.")


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
    # ANALYZE leaves tables: `sqlite_stat1` and others; the indexes of keys have names of this kind as well.
    statement = sa.text(
        "SELECT type, name, tbl_name, sql FROM sqlite_master "
        "WHERE name NOT LIKE 'sqlite_%' OR name LIKE 'sqlite_autoindex%'"
    )
    return {
        (kind, name): f"on {table}: {' '.join((text or '').split())}"
        for kind, name, table, text in connection.execute(statement)
    }


@functools.cache
def _expected_sqlite_objects() -> dict[tuple[str, str], str]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrations.upgrade(connection)
        return _sqlite_objects(connection)


def _check_postgresql(connection: sa.Connection) -> None:
    found = {
        name: (table, kind, _condition(text), " ".join(source.split()))
        for name, table, kind, text, source in connection.execute(_POSTGRESQL_TRIGGERS)
    }
    for trigger in r0002_thresholds.postgresql_guards():
        expected = (trigger.table, trigger.kind, _words(trigger.condition), " ".join(trigger.source.split()))
        if found.get(trigger.name) != expected:
            raise LedgerError(
                f"The database's trigger {trigger.name!r} is missing, switched off, or not what tfx-privacy made."
            )
    constraints = {(table, name): text for table, name, text in connection.execute(_POSTGRESQL_CONSTRAINTS)}
    for table in METADATA.tables.values():
        for constraint in table.constraints:
            _check_constraint(table, constraint, constraints)


def _check_constraint(table: sa.Table, constraint: sa.Constraint, found: Mapping[tuple[str, str], str]) -> None:
    if isinstance(constraint, sa.CheckConstraint):
        name, expected = str(constraint.name), f"check {constraint.sqltext}"
    else:
        assert isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.ForeignKeyConstraint)
        columns = " ".join(column.name for column in constraint.columns)
        name, expected = str(constraint.name), f"unique {columns}"
        if isinstance(constraint, sa.PrimaryKeyConstraint):
            name, expected = f"{table.name}_pkey", f"primary key {columns}"
        elif isinstance(constraint, sa.ForeignKeyConstraint):
            referred = constraint.elements[0].column
            name = f"{table.name}_{columns}_fkey"
            expected = f"foreign key {columns} references {referred.table.name} {referred.name}"
    if _words(found.get((table.name, name), "")) != _words(expected):
        raise LedgerError(f"The database's constraint {name!r} is missing, or not what tfx-privacy made.")


def _condition(trigger: str) -> list[str]:
    """Of a trigger's text: its WHEN clause."""
    return _words(trigger.partition(" WHEN ")[2].rpartition(" EXECUTE ")[0])


def _words(expression: str) -> list[str]:
    text = re.sub(r"::\w+(\[\])?", "", expression.lower())
    return [word for word in _WORD.findall(text) if word not in _NOT_COMPARED]
