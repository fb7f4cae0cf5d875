"""What the ledger answers: read at one moment, verified, and compared with the anchor."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import sqlalchemy as sa

from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import entries, migrations, rows, verification
from tfx_privacy.ledger.anchor import Anchor
from tfx_privacy.ledger.database import Database
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.state import DatasetRow


class Reader:
    """Reads a ledger; what its tables say must follow from its log."""

    def __init__(self, database: Database, anchor: Anchor) -> None:
        """Nothing is read yet."""
        self._database = database
        self._anchor = anchor
        self._orders: dict[str, float] = {}

    def dataset(self, dataset_id: str) -> tuple[DatasetRow, list[Entry]]:
        """A dataset and its log.

        Raises:
          LedgerError: If it is not registered, or the ledger is damaged or an old copy.
        """
        end = self._anchor.end()
        return self._database.read(lambda connection: self._verified(connection, dataset_id, end))

    def runs(self, run_ids: Sequence[str]) -> dict[str, LedgerRun]:
        """Some runs.

        Raises:
          LedgerError: If one of them is not there, or the ledger is damaged or an old copy.
        """
        end = self._anchor.end()

        def read(connection: sa.Connection) -> dict[str, LedgerRun]:
            migrations.require_current(connection)
            # A dataset may have many entries: each is verified once.
            verified = functools.cache(lambda dataset_id: self._verified(connection, dataset_id, end))
            found = {}
            for run_id in run_ids:
                row = rows.read_run(connection, run_id)
                if row is None:
                    raise LedgerError(f"Run {run_id} is not in this ledger.")
                found[run_id] = ledger_run(*verified(row.dataset_id), run_id)
            return found

        return self._database.read(read)

    def everything(self) -> verification.Verified:
        """All datasets and all entries.

        Raises:
          LedgerError: At the first thing that is not as it should be.
        """
        end = self._anchor.end()
        verified = self._database.read(verification.verify_all)
        logs: dict[str, list[Entry]] = {}
        for entry in verified.log:
            logs.setdefault(entry.dataset_id, []).append(entry)
        unanchored = [
            dataset_id
            for dataset_id, log in logs.items()
            if not self._check_anchor(verified.ledger_id, dataset_id, log, end)
        ]
        return dataclasses.replace(verified, unanchored=unanchored)

    def order(self, dataset_id: str) -> float:
        """A dataset's Renyi order, which never changes; from its row alone, which is not verified.

        Raises:
          LedgerError: If it is not registered.
        """
        if dataset_id not in self._orders:

            def read(connection: sa.Connection) -> DatasetRow:
                migrations.require_current(connection)
                return rows.read_dataset(connection, dataset_id)

            self._orders[dataset_id] = self._database.read(read).order
        return self._orders[dataset_id]

    def _verified(self, connection: sa.Connection, dataset_id: str, end: int) -> tuple[DatasetRow, list[Entry]]:
        dataset, log = verification.verify_dataset(connection, dataset_id)
        self._check_anchor(dataset.ledger_id, dataset_id, log, end)
        return dataset, log

    def _check_anchor(self, ledger_id: str, dataset_id: str, log: Sequence[Entry], end: int) -> bool:
        return self._anchor.check(ledger_id, dataset_id, {entry.sequence: entry.hash for entry in log}.get, end=end)


def ledger_run(dataset: DatasetRow, log: Sequence[Entry], run_id: str) -> LedgerRun:
    """A run, with the budget that it was charged to and the head of the dataset's log."""
    run = dataset.runs[run_id]
    blocks = [dataset.blocks[name] for name in entries.block_names(run.blocks)]
    fullest = max(block.charged for block in blocks)
    hashes = {entry.sequence: entry.hash for entry in log}
    return LedgerRun(
        ledger_id=dataset.ledger_id,
        dataset_id=dataset.dataset_id,
        privacy_unit=dataset.facts.privacy_unit,
        neighboring_relation=dataset.facts.neighboring_relation,
        blocks=run.blocks,
        run_id=run_id,
        purpose=run.purpose,
        state=run.state,
        planned=run.planned,
        model_digest=run.model_digest,
        guarantee_digest=run.guarantee_digest,
        sequence=run.commit_sequence,
        entry_hash=None if run.commit_sequence is None else hashes[run.commit_sequence],
        budget_epsilon=dataset.epsilon,
        budget_delta=dataset.delta,
        charged=fullest,
        budget=dataset.budget,
        spent_epsilon=renyi_filter.epsilon_of(dataset.order, fullest, delta=dataset.conversion_delta),
        delta_spent=run.delta_spent,
        delta_charged=max(block.delta_charged for block in blocks),
        threshold_delta=dataset.threshold_delta,
        head_sequence=dataset.head_sequence,
        head_hash=dataset.head_hash,
    )
