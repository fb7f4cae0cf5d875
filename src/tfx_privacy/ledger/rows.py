"""Datasets, runs and entries as rows of the tables; one function each way, for writing as well as for verifying."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import EvidenceError, LedgerError
from tfx_privacy.ledger import entries
from tfx_privacy.ledger.entries import Entry, Registered
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, LEDGER, RUN
from tfx_privacy.ledger.state import BlockRow, DatasetRow, RunRow
from tfx_privacy.records import strict_json


def of_dataset(dataset: DatasetRow) -> dict[str, Any]:
    """The row of `dataset`."""
    return {
        "dataset_id": dataset.dataset_id,
        "facts": entries.body_text(dataset.facts),
        "epsilon": dataset.epsilon.hex(),
        "budget": dataset.budget,
        "head_sequence": dataset.head_sequence,
        "head_hash": dataset.head_hash,
        "threshold_delta": dataset.threshold_delta,
    }


def of_block(dataset: DatasetRow, name: str) -> dict[str, Any]:
    """The row of `block`."""
    block = dataset.blocks[name]
    return {"dataset_id": dataset.dataset_id, "block": name, **dataclasses.asdict(block)}


def of_run(run: RunRow) -> dict[str, Any]:
    """The row of `run`."""
    return {
        "run_id": run.run_id,
        "dataset_id": run.dataset_id,
        "purpose": run.purpose,
        "state": run.state,
        "planned": run.planned.canonical,
        "cost": run.cost,
        "blocks": strict_json.canonical(run.blocks),
        "attempt": run.attempt,
        "attempt_id": run.attempt_id,
        "model_digest": run.model_digest,
        "guarantee_digest": run.guarantee_digest,
        "commit_sequence": run.commit_sequence,
        "delta_spent": run.delta_spent,
    }


def of_entry(entry: Entry) -> dict[str, Any]:
    """The row of `entry`."""
    return {
        "dataset_id": entry.dataset_id,
        "sequence": entry.sequence,
        "at": entry.at,
        "request_id": entry.request_id,
        "body": entries.body_text(entry.body),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


def read_entry(ledger_id: str, row: Mapping[Any, Any]) -> Entry:
    """An entry from its row.

    Raises:
      LedgerError: If the row was not written by `of_entry`.
    """
    where = f"Entry {row['sequence']!r} of dataset {row['dataset_id']!r}"
    try:
        fields = {name: row[name] for name in ("dataset_id", "sequence", "at", "request_id", "previous_hash", "hash")}
        text = strict_json.canonical({**fields, "schema_version": 1, "ledger_id": ledger_id})
        # The body is put into the text, not parsed by itself, so one strict reader sees everything.
        entry = Entry.from_json(f'{text[:-1]},"body":{row["body"]}}}')
    except (EvidenceError, TypeError, ValueError) as error:
        raise LedgerError(f"{where} cannot be read: {error}") from error
    if entries.body_text(entry.body) != row["body"]:
        raise LedgerError(f"{where} is not valid: its text is not the canonical one.")
    return entry


def read_entry_at(connection: sa.Connection, ledger_id: str, dataset_id: str, sequence: int) -> Entry:
    """A dataset's entry of a number.

    Raises:
      LedgerError: If it is not there, or cannot be read.
    """
    statement = sa.select(ENTRY).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.sequence == sequence)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise LedgerError(f"Entry {sequence} of dataset {dataset_id!r} is missing. Run `tfx-privacy ledger verify`.")
    return read_entry(ledger_id, row)


def find_entry(connection: sa.Connection, ledger_id: str, dataset_id: str, request_id: str) -> Entry | None:
    """A dataset's entry of a request, or None."""
    statement = sa.select(ENTRY).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.request_id == request_id)
    row = connection.execute(statement).mappings().first()
    return None if row is None else read_entry(ledger_id, row)


def read_hash(connection: sa.Connection, dataset_id: str, sequence: int) -> str | None:
    """The stored hash of a dataset's entry, or None."""
    return connection.scalar(
        sa.select(ENTRY.c.hash).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.sequence == sequence)
    )


def read_dataset(
    connection: sa.Connection, dataset_id: str, *, runs: tuple[str, ...] = (), locked: bool = False
) -> DatasetRow:
    """A dataset with its blocks, and with some of its runs.

    Args:
      connection: In a transaction.
      dataset_id: The dataset.
      runs: Runs to read as well, where they exist.
      locked: Whether to lock the dataset's row first, against every other writer.

    Raises:
      LedgerError: If it is not registered, or a row cannot be read.
    """
    statement = sa.select(DATASET).where(DATASET.c.dataset_id == dataset_id)
    row = connection.execute(statement.with_for_update() if locked else statement).mappings().first()
    if row is None:
        known = connection.scalars(sa.select(DATASET.c.dataset_id).order_by(DATASET.c.dataset_id).limit(20)).all()
        raise LedgerError(
            f"Dataset {dataset_id!r} is not registered in this ledger. Registered: {', '.join(known) or 'none'}. "
            "Register it with `tfx-privacy ledger register`."
        )
    try:
        facts = Registered.from_json(row["facts"])
        epsilon = float.fromhex(row["epsilon"])
    except (EvidenceError, TypeError, ValueError) as error:
        raise LedgerError(f"The row of dataset {dataset_id!r} cannot be read: {error}") from error
    blocks = connection.execute(
        sa.select(BLOCK).where(BLOCK.c.dataset_id == dataset_id).order_by(BLOCK.c.block)
    ).mappings()
    dataset = DatasetRow(
        ledger_id=read_ledger_id(connection),
        dataset_id=dataset_id,
        facts=facts,
        epsilon=epsilon,
        budget=row["budget"],
        threshold_delta=row["threshold_delta"],
        head_sequence=row["head_sequence"],
        head_hash=row["head_hash"],
        blocks={
            block["block"]: BlockRow(block["charged"], block["ceiling"], block["delta_charged"], block["delta_ceiling"])
            for block in blocks
        },
    )
    for run_id in runs:
        found = read_run(connection, run_id)
        if found is not None:
            dataset.runs[run_id] = found
    return dataset


def read_run(connection: sa.Connection, run_id: str) -> RunRow | None:
    """A run, or None."""
    row = connection.execute(sa.select(RUN).where(RUN.c.run_id == run_id)).mappings().first()
    if row is None:
        return None
    try:
        values = dict(row) | {
            "planned": PlannedRun.from_json(row["planned"]),
            "blocks": strict_json.loads(row["blocks"]),
        }
    except EvidenceError as error:
        raise LedgerError(f"The row of run {run_id} cannot be read: {error}") from error
    return RunRow(**values)


def read_log(connection: sa.Connection, ledger_id: str, dataset_id: str | None = None) -> list[Entry]:
    """All entries, of one dataset or of all, in their order."""
    statement = sa.select(ENTRY).order_by(ENTRY.c.dataset_id, ENTRY.c.sequence)
    if dataset_id is not None:
        statement = statement.where(ENTRY.c.dataset_id == dataset_id)
    return [read_entry(ledger_id, row) for row in connection.execute(statement).mappings()]


def read_ledger_id(connection: sa.Connection) -> str:
    """The ledger's own name.

    Raises:
      LedgerError: If it has none, or several.
    """
    found = connection.scalars(sa.select(LEDGER.c.ledger_id).limit(2)).all()
    if len(found) != 1:
        raise LedgerError(f"The ledger has {len(found)} names; expected one. Run `tfx-privacy ledger verify`.")
    return str(found[0])
