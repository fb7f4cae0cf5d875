"""Adds entries to the log: one in each transaction, with the rows that follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import entries, migrations, replay, rows
from tfx_privacy.ledger.anchor import Anchor
from tfx_privacy.ledger.database import Database
from tfx_privacy.ledger.entries import Entry, Registered
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, RUN
from tfx_privacy.ledger.state import BlockRow, DatasetRow
from tfx_privacy.records import digest
from tfx_privacy.records.base import Record

_Head = tuple[str, str, int, str]
"""Of a dataset, as the anchor takes it: ledger, dataset, sequence, hash."""


class Appender:
    """Adds entries, and afterwards the dataset's new head to the anchor.

    A request that was carried out before is not carried out again: its entry is returned.
    """

    def __init__(self, database: Database, anchor: Anchor) -> None:
        """Nothing is connected yet."""
        self._database = database
        self._anchor = anchor

    def register(self, dataset_id: str, body: Registered) -> Entry:
        """Adds a dataset with its first entry.

        Raises:
          LedgerError: If the dataset is registered with other facts, or the ledger cannot be used.
        """

        def add(connection: sa.Connection, end: int) -> tuple[Entry, _Head]:
            migrations.require_current(connection)
            ledger_id = rows.read_ledger_id(connection)
            if connection.scalar(sa.select(DATASET.c.dataset_id).where(DATASET.c.dataset_id == dataset_id)) is not None:
                return self._registered_before(connection, ledger_id, dataset_id, body, end)
            entry = self._make_entry(connection, ledger_id, dataset_id, f"register:{_tag(dataset_id)}", body, None)
            dataset = _apply(entry, {})
            connection.execute(DATASET.insert().values(rows.of_dataset(dataset)))
            connection.execute(BLOCK.insert(), [rows.of_block(dataset, name) for name in dataset.blocks])
            _insert(connection, entry)
            return entry, _head(dataset)

        return self._carry_out(add)

    def append(
        self,
        dataset_id: str,
        request_id: str,
        make: Callable[[DatasetRow], Record],
        same: Callable[[Any], bool] = lambda _: True,
        *,
        run_id: str | None = None,
    ) -> Entry:
        """Adds one entry to a dataset, unless the same request did so before.

        Args:
          dataset_id: A registered dataset.
          request_id: Of the request; `entries.Entry` says how it is made up.
          make: Makes the entry's body, while the dataset is locked; may be called several times.
          same: Whether the body of the earlier entry of this request is what is asked for now.
          run_id: The run that the entry is of.

        Raises:
          LedgerError: If the entry breaks a rule, the request was made with other content, or the ledger cannot be
            used.
        """

        def add(connection: sa.Connection, end: int) -> tuple[Entry, _Head]:
            migrations.require_current(connection)
            runs = () if run_id is None else (run_id,)
            dataset = rows.read_dataset(connection, dataset_id, runs=runs, locked=True)
            self._check_head(connection, dataset, end)
            before = rows.find_entry(connection, dataset.ledger_id, dataset_id, request_id)
            if before is not None:
                if not same(before.body):
                    raise LedgerError(
                        f"Request {request_id!r} was made before, with other content. Draw a new run_id for each run."
                    )
                return before, _head(dataset)
            entry = self._make_entry(connection, dataset.ledger_id, dataset_id, request_id, make(dataset), dataset)
            blocks = {name: dataclasses.replace(block) for name, block in dataset.blocks.items()}
            _apply(entry, {dataset_id: dataset})
            _save(connection, dataset, blocks, entry, run_id)
            return entry, _head(dataset)

        return self._carry_out(add)

    def append_to_run(
        self, run_id: str, request_id: str, make: Callable[[DatasetRow], Record], same: Callable[[Any], bool]
    ) -> Entry:
        """Adds one entry to the dataset that a run was reserved in; see `append`.

        Raises:
          LedgerError: If the run was not reserved, and as `append` does.
        """

        def find(connection: sa.Connection) -> str | None:
            migrations.require_current(connection)
            return connection.scalar(sa.select(RUN.c.dataset_id).where(RUN.c.run_id == run_id))

        dataset_id = self._database.read(find)
        if dataset_id is None:
            raise LedgerError(f"Run {run_id} is not in this ledger. Reserve it first.")
        return self.append(dataset_id, request_id, make, same, run_id=run_id)

    def _carry_out(self, add: Callable[[sa.Connection, int], tuple[Entry, _Head]]) -> Entry:
        """Adds an entry, then the dataset's head, which for a repeated request is a later one than its entry."""
        end = self._anchor.end()
        entry, head = self._database.write(lambda connection: add(connection, end))
        self._anchor.add(*head)
        return entry

    def _registered_before(
        self, connection: sa.Connection, ledger_id: str, dataset_id: str, body: Registered, end: int
    ) -> tuple[Entry, _Head]:
        first = rows.read_entry_at(connection, ledger_id, dataset_id, 1)
        if not _same_facts(first.body, body):
            raise LedgerError(
                f"Dataset {dataset_id!r} is registered already, with other facts. Change its budget with `tfx-privacy "
                "ledger budget`; its unit, relation, delta and population stay as they are."
            )
        dataset = rows.read_dataset(connection, dataset_id)
        self._check_head(connection, dataset, end)
        return first, _head(dataset)

    def _make_entry(
        self,
        connection: sa.Connection,
        ledger_id: str,
        dataset_id: str,
        request_id: str,
        body: Record,
        dataset: DatasetRow | None,
    ) -> Entry:
        return entries.make_entry(
            ledger_id=ledger_id,
            dataset_id=dataset_id,
            sequence=1 if dataset is None else dataset.head_sequence + 1,
            at=self._database.now(connection),
            request_id=request_id,
            body=body,
            previous_hash=entries.genesis_hash(ledger_id, dataset_id) if dataset is None else dataset.head_hash,
        )

    def _check_head(self, connection: sa.Connection, dataset: DatasetRow, end: int) -> None:
        """A quick check before writing; the whole log is verified by whoever relies on it."""
        head = rows.read_entry_at(connection, dataset.ledger_id, dataset.dataset_id, dataset.head_sequence)
        if not (head.hash == dataset.head_hash == head.expected_hash):
            raise LedgerError(
                f"The head of dataset {dataset.dataset_id!r} was tampered with. Run `tfx-privacy ledger verify`."
            )
        self._anchor.check(
            dataset.ledger_id,
            dataset.dataset_id,
            lambda at: rows.read_hash(connection, dataset.dataset_id, at),
            end=end,
        )


def _head(dataset: DatasetRow) -> _Head:
    return dataset.ledger_id, dataset.dataset_id, dataset.head_sequence, dataset.head_hash


def _tag(dataset_id: str) -> str:
    return digest.text_digest(dataset_id)[-32:]


def _same_facts(before: Any, body: Registered) -> bool:
    """Whether a registration says the same; its order and budget follow from the rest, up to the machine's rounding."""
    return bool(before.model_copy(update={"order": body.order, "budget": body.budget}) == body)


def _apply(entry: Entry, datasets: dict[str, DatasetRow]) -> DatasetRow:
    try:
        return replay.apply(entry, datasets)
    except replay.RuleError as error:
        raise LedgerError(
            f"The ledger refuses to {entry.body.kind} in dataset {entry.dataset_id!r}: {error.reason}."
        ) from None


def _save(
    connection: sa.Connection, dataset: DatasetRow, before: dict[str, BlockRow], entry: Entry, run_id: str | None
) -> None:
    _write(connection, DATASET, rows.of_dataset(dataset), is_new=False)
    for name, block in dataset.blocks.items():
        if block != before.get(name):
            _write(connection, BLOCK, rows.of_block(dataset, name), is_new=name not in before)
    if run_id is not None:
        is_new = isinstance(entry.body, entries.Reserved)
        _write(connection, RUN, rows.of_run(dataset.runs[run_id]), is_new=is_new)
    _insert(connection, entry)


def _write(connection: sa.Connection, table: sa.Table, row: dict[str, Any], *, is_new: bool) -> None:
    if is_new:
        connection.execute(table.insert().values(row))
        return
    key = {column.name: row[column.name] for column in table.primary_key}
    # A key that is written, even as it is, makes SQLite look at every row that refers to it.
    values = {name: value for name, value in row.items() if name not in key}
    connection.execute(table.update().filter_by(**key).values(values))


def _insert(connection: sa.Connection, entry: Entry) -> None:
    """Writes an entry, if it can be read again: one that cannot would make the dataset's whole log worthless."""
    row = rows.of_entry(entry)
    size = len(row["body"].encode())
    if size > entries.MAX_BODY_BYTES or rows.read_entry(entry.ledger_id, row) != entry:
        raise LedgerError(
            f"The ledger does not take an entry of {size} bytes; the limit is {entries.MAX_BODY_BYTES}. Give fewer or "
            "shorter labels or blocks."
        )
    connection.execute(ENTRY.insert().values(row))
