"""The ledger: registers datasets, and charges runs to their budgets.

A run is charged before it reads a record (`reserve`), says that it begins (`start`), and ends with its model's digest (`commit`).
What happens in between does not matter: from `start` on the charge stays. Nothing expires, so that no clock gives budget back.
"""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pydantic
import sqlalchemy as sa
from typing_extensions import Self

from tfx_privacy import _validate
from tfx_privacy.accounting.epsilon import dp_accounting_version
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun, PlannedRun, check_identifier
from tfx_privacy.errors import BudgetError, LedgerError, ParameterError
from tfx_privacy.ledger import budgets, entries, migrations, replay, rows, verification
from tfx_privacy.ledger.anchor import Anchor
from tfx_privacy.ledger.database import Database
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.replay import BlockRow, DatasetRow
from tfx_privacy.ledger.schema import BLOCK, DATASET, ENTRY, LEDGER, RUN
from tfx_privacy.ledger.source import DEFAULT_SOURCE, resolve
from tfx_privacy.records import digest
from tfx_privacy.records.base import Record

_MakeBody = Callable[[DatasetRow], Record]
_Head = tuple[str, str, int, str]
"""Of a dataset, as the anchor takes it: ledger, dataset, sequence, hash."""
_LARGEST_EPSILON = renyi_filter.MAX_UNITS * renyi_filter.UNIT


class _RefusedError(Exception):
    """A charge does not fit."""

    def __init__(self, dataset: DatasetRow) -> None:
        super().__init__()
        self.dataset = dataset


class Ledger:
    """A connection to a ledger. Use as a context manager.

    Every request is one transaction, and may be repeated: what was carried out is not carried out again.
    """

    def __init__(self, source: str = DEFAULT_SOURCE, environ: Mapping[str, str] | None = None) -> None:
        """Reads the address; nothing is connected yet.

        Args:
          source: `env:VARIABLE`, the environment variable with the database's address.
          environ: Environment variables; the process's own by default.

        Raises:
          ParameterError: If `source` is not of this form.
          LedgerError: If the variable is not set, or its address cannot be used.
        """
        self._source = resolve(source, environ)
        self._database = Database(self._source)
        self._anchor = Anchor.from_environment(environ)
        self._orders: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Returns the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes its connections."""
        self._database.close()

    def initialise(self) -> str:
        """Makes the ledger's tables, or brings them to this version; what is there is verified before and after.

        Returns:
          The ledger's id.

        Raises:
          LedgerError: If it cannot be made, is damaged, or is newer than this version.
        """
        if self._source.is_sqlite:
            self._source.path.parent.mkdir(parents=True, exist_ok=True)

        def make(connection: sa.Connection) -> str:
            self._database.lock_tables(connection)
            revision = migrations.revision_of(connection)
            if revision is None:
                migrations.upgrade(connection)
                connection.execute(LEDGER.insert().values(ledger_id=secrets.token_hex(16)))
            elif revision != migrations.current_revision():
                migrations.require_known(connection)
                _verify_log(connection)
                migrations.upgrade(connection)
            return verification.verify_all(connection).ledger_id

        return self._database.write(make)

    def register(
        self,
        dataset_id: str,
        *,
        epsilon: float,
        delta: float,
        approver: str,
        privacy_unit: str = "example",
        neighboring_relation: str = "ADD_OR_REMOVE_ONE",
        population: int | None = None,
        blocks: Sequence[str] = (),
    ) -> Entry:
        """Registers a dataset with its budget; once for its whole life.

        Args:
          dataset_id: A stable name of the people's data, not of a copy, a date or a path: the same people under another name would
            have another budget.
          epsilon: The budget, in nats, of all runs together (of each block).
          delta: The budget's; also below 1 / population where that is given.
          approver: Who decided it.
          privacy_unit: "example" or "user".
          neighboring_relation: "ADD_OR_REMOVE_ONE" (for Poisson sampling) or "REPLACE_SPECIAL" (for passes). Runs of the other relation
            are refused.
          population: Declared number of units, for runs that declare none.
          blocks: Parts that are charged separately. No person may be in two of them, ever.

        Returns:
          The entry; an earlier one if the same was registered before.

        Raises:
          ParameterError: If an argument breaks its rule.
          LedgerError: If the dataset is registered otherwise, or the ledger cannot be used.
        """
        epsilon, delta = _epsilon(epsilon), _validate.open_interval(0.0, 1.0, delta=delta)
        if population is not None and not delta < 1.0 / _validate.positive_integer(population=population):
            raise ParameterError(
                f"Expected delta={delta:g} < 1 / population = {1.0 / population:.3g}. A delta of that size allows publishing a whole record."
            )
        order = renyi_filter.best_order(epsilon=epsilon, delta=delta)
        body = _make(
            entries.Registered,
            privacy_unit=privacy_unit,
            neighboring_relation=neighboring_relation,
            epsilon=epsilon.hex(),
            delta=delta.hex(),
            order=order.hex(),
            budget=renyi_filter.budget(order, epsilon=epsilon, delta=delta),
            population=population,
            blocks=_sorted(blocks),
            approver=approver,
        )
        check_identifier(dataset_id=dataset_id)
        end = self._anchor_end()

        def make(connection: sa.Connection) -> tuple[Entry, _Head]:
            migrations.require_current(connection)
            ledger_id = rows.read_ledger_id(connection)
            if connection.scalar(sa.select(DATASET.c.dataset_id).where(DATASET.c.dataset_id == dataset_id)) is not None:
                first = self._entry(connection, ledger_id, dataset_id, 1)
                if not _same_facts(first.body, body):
                    raise LedgerError(
                        f"Dataset {dataset_id!r} is registered already, with other facts. Change its budget with `tfx-privacy ledger "
                        "budget`; its unit, relation, delta and population stay as they are."
                    )
                dataset = rows.read_dataset(connection, dataset_id)
                self._check_head(connection, dataset, end)
                return first, _head(dataset)
            entry = self._make_entry(connection, ledger_id, dataset_id, f"register:{_tag(dataset_id)}", body, None)
            dataset = _apply(entry, {})
            connection.execute(DATASET.insert().values(rows.of_dataset(dataset)))
            connection.execute(BLOCK.insert(), [rows.of_block(dataset, name) for name in dataset.blocks])
            _insert(connection, entry)
            return entry, _head(dataset)

        return self._anchored(self._database.write(make))

    def add_blocks(self, dataset_id: str, blocks: Sequence[str], *, approver: str) -> Entry:
        """Adds blocks, of persons who are in no other one; each has the dataset's whole budget.

        Raises:
          LedgerError: If the dataset has no blocks, or has one of these.
        """
        body = _make(entries.BlocksAdded, blocks=_sorted(blocks), approver=approver)
        return self._append(dataset_id, f"blocks:{secrets.token_hex(16)}", lambda _: body)

    def change_budget(self, dataset_id: str, *, epsilon: float, approver: str, reason: str) -> Entry:
        """Sets another budget; below what is charged it stops every further run.

        Args:
          dataset_id: The dataset.
          epsilon: The new budget, at the delta of the registration.
          approver: Who decided it.
          reason: Why.

        Raises:
          ParameterError: If an argument breaks its rule.
        """
        epsilon = _epsilon(epsilon)

        def make(dataset: DatasetRow) -> Record:
            units = renyi_filter.budget(dataset.order, epsilon=epsilon, delta=dataset.delta)
            return _make(entries.BudgetChanged, epsilon=epsilon.hex(), budget=units, approver=approver, reason=reason)

        return self._append(dataset_id, f"budget:{secrets.token_hex(16)}", make)

    def dataset(self, dataset_id: str) -> DatasetRow:
        """The dataset with its charges and runs, verified.

        Raises:
          LedgerError: If it is not registered, or the ledger is damaged or an old copy.
        """
        end = self._anchor_end()
        return self._database.read(lambda connection: self._verified(connection, dataset_id, end)[0])

    def reserve(
        self,
        run_id: str,
        dataset_id: str,
        planned: PlannedRun,
        *,
        privacy_unit: str,
        neighboring_relation: str,
        blocks: Sequence[str] = (),
        purpose: str = "model",
        labels: Mapping[str, str] | None = None,
    ) -> Entry:
        """Charges a run, before it reads a record.

        Args:
          run_id: 32 hex digits, drawn at random for each run.
          dataset_id: The dataset.
          planned: What the run will execute at most.
          privacy_unit: The run's; must be the dataset's.
          neighboring_relation: The run's; must be the dataset's.
          blocks: The blocks that the run reads; needed where the dataset has blocks.
          purpose: "model" or "reference_models".
          labels: Who asks, for people who read the log.

        Returns:
          The entry; an earlier one if this run was reserved before, with the same plan.

        Raises:
          BudgetError: If the budget does not suffice.
          LedgerError: If the run cannot be charged for another reason.
        """
        if not isinstance(planned, PlannedRun):
            raise ParameterError(f"Expected planned={planned!r} to be a PlannedRun.")
        check_identifier(dataset_id=dataset_id)
        names = _sorted(blocks)
        # Computed before the lock is taken: accounting may take a while.
        cost = renyi_filter.cost(self._order(dataset_id), planned.event)

        def make(dataset: DatasetRow) -> Record:
            _check_kind(dataset, privacy_unit=privacy_unit, neighboring_relation=neighboring_relation)
            _check_blocks(dataset, names)
            if not cost <= budgets.left(dataset, names):
                raise _RefusedError(dataset)
            return _make(
                entries.Reserved,
                run_id=run_id,
                purpose=purpose,
                planned=planned,
                cost=cost,
                blocks=names,
                accountant=_accountant(),
                labels={} if labels is None else labels,
            )

        def same(body: Any) -> bool:
            return (body.planned, body.blocks, body.purpose) == (planned, names, purpose)

        try:
            return self._append(dataset_id, f"reserve:{run_id}", make, same, run_id=run_id)
        except _RefusedError as refused:
            # Worded after the lock is given back: what would fit takes many accountings.
            message = budgets.refusal(refused.dataset, names, planned, cost)
        raise BudgetError(message)

    def start(self, run_id: str, *, attempt: int = 1, attempt_id: str) -> Entry:
        """Says that a run is about to read records: its charge stays from here on.

        Args:
          run_id: A reserved run.
          attempt: 1, and one more each time that the run is resumed from its checkpoints.
          attempt_id: 32 hex digits, drawn at random for each attempt.

        Raises:
          LedgerError: If the run is not reserved, has ended, or a later attempt began already.
        """
        body = _make(entries.Started, run_id=run_id, attempt=attempt, attempt_id=attempt_id)
        return self._append_to_run(run_id, f"start:{run_id}:{attempt_id}", lambda _: body, lambda old: old == body)

    def commit(self, run_id: str, executed: PlannedRun, *, model_digest: str, guarantee_digest: str) -> Entry:
        """Says that a run ended, with which model.

        Raises:
          LedgerError: If the run has not started or has ended otherwise, or executed more than was reserved; no guarantee may be given
            then.
        """
        body = _make(
            entries.Committed,
            run_id=run_id,
            executed=executed,
            model_digest=model_digest,
            guarantee_digest=guarantee_digest,
        )
        return self._append_to_run(run_id, f"commit:{run_id}", lambda _: body, lambda old: old == body)

    def abort(self, run_id: str, *, reason: str) -> Entry:
        """Gives a charge back: only before the run has started.

        Raises:
          LedgerError: If the run has started.
        """
        body = _make(entries.Aborted, run_id=run_id, reason=reason)
        return self._append_to_run(run_id, f"abort:{run_id}", lambda _: body, lambda _: True)

    def settle(self, run_id: str, *, approver: str, reason: str) -> Entry:
        """Gives up a run that died: one that had started stays charged, one that had not is given back.

        Raises:
          LedgerError: If the run has ended.
        """

        def make(dataset: DatasetRow) -> Record:
            if dataset.runs[run_id].state == "RESERVED":
                return _make(entries.Aborted, run_id=run_id, reason=f"{reason} (settled by {approver})"[:1000])
            return _make(entries.Settled, run_id=run_id, approver=approver, reason=reason)

        return self._append_to_run(run_id, f"settle:{run_id}", make, lambda _: True)

    def run(self, run_id: str) -> LedgerRun:
        """What the ledger says of a run; see `runs`."""
        return self.runs([run_id])[run_id]

    def runs(self, run_ids: Sequence[str]) -> dict[str, LedgerRun]:
        """What the ledger says of some runs, at one moment, after their whole datasets were verified.

        Raises:
          LedgerError: If one of them is not there, or the ledger is damaged or an old copy.
        """
        end = self._anchor_end()

        def read(connection: sa.Connection) -> dict[str, LedgerRun]:
            migrations.require_current(connection)
            # A dataset may have many entries: each is verified once.
            verified = functools.cache(lambda dataset_id: self._verified(connection, dataset_id, end))
            found = {}
            for run_id in run_ids:
                row = rows.read_run(connection, run_id)
                if row is None:
                    raise LedgerError(f"Run {run_id} is not in this ledger.")
                found[run_id] = _ledger_run(*verified(row.dataset_id), run_id)
            return found

        return self._database.read(read)

    def verify(self, heads: Sequence[tuple[str, int, str]] = ()) -> verification.Verified:
        """Verifies everything.

        Args:
          heads: Dataset, sequence and hash of entries that reports or blessings name; the ledger must hold them.

        Raises:
          LedgerError: At the first thing that is not as it should be.
        """
        end = self._anchor_end()
        verified = self._database.read(verification.verify_all)
        logs: dict[str, list[Entry]] = {}
        for entry in verified.log:
            logs.setdefault(entry.dataset_id, []).append(entry)
        for dataset_id, log in logs.items():
            self._check_anchor(verified.ledger_id, dataset_id, log, end)
        verification.require_heads(verified, heads)
        return verified

    def log(self, dataset_id: str) -> list[Entry]:
        """A dataset's entries, verified.

        Raises:
          LedgerError: If the dataset is not registered, or the ledger is damaged or an old copy.
        """
        end = self._anchor_end()
        return self._database.read(lambda connection: self._verified(connection, dataset_id, end)[1])

    def backup(self, path: str) -> None:
        """Copies a SQLite ledger, as of one moment, to a file that must not exist.

        Raises:
          LedgerError: If the ledger is not a SQLite file, or the copy cannot be written.
        """
        if not self._source.is_sqlite:
            raise LedgerError(f"{self._source.name} names a PostgreSQL database: make its backups with pg_dump.")
        self.verify()
        self._database.copy_to(path)

    def _verified(self, connection: sa.Connection, dataset_id: str, end: int) -> tuple[DatasetRow, list[Entry]]:
        dataset, log = verification.verify_dataset(connection, dataset_id)
        self._check_anchor(dataset.ledger_id, dataset_id, log, end)
        return dataset, log

    def _order(self, dataset_id: str) -> float:
        """The dataset's Renyi order, which never changes."""
        if dataset_id not in self._orders:

            def read(connection: sa.Connection) -> DatasetRow:
                migrations.require_current(connection)
                return rows.read_dataset(connection, dataset_id)

            self._orders[dataset_id] = self._database.read(read).order
        return self._orders[dataset_id]

    def _append_to_run(self, run_id: str, request_id: str, make: _MakeBody, same: Callable[[Any], bool]) -> Entry:
        def find(connection: sa.Connection) -> str | None:
            migrations.require_current(connection)
            return connection.scalar(sa.select(RUN.c.dataset_id).where(RUN.c.run_id == run_id))

        dataset_id = self._database.read(find)
        if dataset_id is None:
            raise LedgerError(f"Run {run_id} is not in this ledger. Reserve it first.")
        return self._append(dataset_id, request_id, make, same, run_id=run_id)

    def _append(
        self,
        dataset_id: str,
        request_id: str,
        make: _MakeBody,
        same: Callable[[Any], bool] = lambda _: True,
        *,
        run_id: str | None = None,
    ) -> Entry:
        """Adds one entry to a dataset, unless the same request did so before."""
        end = self._anchor_end()

        def add(connection: sa.Connection) -> tuple[Entry, _Head]:
            migrations.require_current(connection)
            runs = () if run_id is None else (run_id,)
            dataset = rows.read_dataset(connection, dataset_id, runs=runs, locked=True)
            self._check_head(connection, dataset, end)
            before = _find(connection, dataset.ledger_id, dataset_id, request_id)
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

        return self._anchored(self._database.write(add))

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
        head = self._entry(connection, dataset.ledger_id, dataset.dataset_id, dataset.head_sequence)
        if not (head.hash == dataset.head_hash == head.expected_hash):
            raise LedgerError(
                f"The head of dataset {dataset.dataset_id!r} was tampered with. Run `tfx-privacy ledger verify`."
            )
        if self._anchor is not None:
            self._anchor.check(
                dataset.ledger_id, dataset.dataset_id, lambda at: _hash_at(connection, dataset.dataset_id, at), end=end
            )

    def _anchor_end(self) -> int:
        return 0 if self._anchor is None else self._anchor.end()

    def _check_anchor(self, ledger_id: str, dataset_id: str, log: Sequence[Entry], end: int) -> None:
        if self._anchor is not None:
            self._anchor.check(ledger_id, dataset_id, {entry.sequence: entry.hash for entry in log}.get, end=end)

    def _entry(self, connection: sa.Connection, ledger_id: str, dataset_id: str, sequence: int) -> Entry:
        statement = sa.select(ENTRY).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.sequence == sequence)
        row = connection.execute(statement).mappings().first()
        if row is None:
            raise LedgerError(
                f"Entry {sequence} of dataset {dataset_id!r} is missing. Run `tfx-privacy ledger verify`."
            )
        return rows.read_entry(ledger_id, row)

    def _anchored(self, written: tuple[Entry, _Head]) -> Entry:
        """Adds the dataset's head, which for a repeated request is a later one than its entry."""
        entry, head = written
        if self._anchor is not None:
            self._anchor.add(*head)
        return entry


def read_runs(source: str, run_ids: Sequence[str]) -> dict[str, LedgerRun]:
    """What a ledger says of some runs, verified on the spot.

    Args:
      source: `env:VARIABLE`.
      run_ids: As a guarantee names them.

    Raises:
      LedgerError: If the ledger cannot be reached, is damaged, or lacks one of the runs.
    """
    with Ledger(source) as ledger:
        return ledger.runs(run_ids)


def new_run_id() -> str:
    """A name that no other run has."""
    return secrets.token_hex(16)


@functools.cache
def _accountant() -> str:
    return f"dp-accounting {dp_accounting_version()}"


def _head(dataset: DatasetRow) -> _Head:
    return dataset.ledger_id, dataset.dataset_id, dataset.head_sequence, dataset.head_hash


def _apply(entry: Entry, datasets: dict[str, DatasetRow]) -> DatasetRow:
    try:
        return replay.apply(entry, datasets)
    except replay.RuleError as error:
        raise LedgerError(
            f"The ledger refuses to {entry.body.kind} in dataset {entry.dataset_id!r}: {error.reason}."
        ) from None


def _insert(connection: sa.Connection, entry: Entry) -> None:
    """Writes an entry, if it can be read again: one that cannot would make the dataset's whole log worthless."""
    row = rows.of_entry(entry)
    size = len(row["body"])
    if size > entries.MAX_BODY_BYTES or rows.read_entry(entry.ledger_id, row) != entry:
        raise LedgerError(
            f"The ledger does not take an entry of {size} bytes; the limit is {entries.MAX_BODY_BYTES}. Give fewer or shorter labels or "
            "blocks."
        )
    connection.execute(ENTRY.insert().values(row))


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


def _find(connection: sa.Connection, ledger_id: str, dataset_id: str, request_id: str) -> Entry | None:
    statement = sa.select(ENTRY).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.request_id == request_id)
    row = connection.execute(statement).mappings().first()
    return None if row is None else rows.read_entry(ledger_id, row)


def _hash_at(connection: sa.Connection, dataset_id: str, sequence: int) -> str | None:
    return connection.scalar(
        sa.select(ENTRY.c.hash).where(ENTRY.c.dataset_id == dataset_id, ENTRY.c.sequence == sequence)
    )


def _verify_log(connection: sa.Connection) -> None:
    """Before tables are changed: the log, which every revision keeps."""
    replay.replay(rows.read_log(connection, rows.read_ledger_id(connection)))


def _ledger_run(dataset: DatasetRow, log: Sequence[Entry], run_id: str) -> LedgerRun:
    run = dataset.runs[run_id]
    fullest = max(dataset.blocks[name].charged for name in entries.block_names(run.blocks))
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
        spent_epsilon=renyi_filter.epsilon_of(dataset.order, fullest, delta=dataset.delta),
        head_sequence=dataset.head_sequence,
        head_hash=dataset.head_hash,
    )


def _check_kind(dataset: DatasetRow, **kind: str) -> None:
    for name, value in kind.items():
        registered = getattr(dataset.facts, name)
        if value != registered:
            raise LedgerError(
                f"This run has {name}={value!r}, but dataset {dataset.dataset_id!r} is registered with {name}={registered!r}: what they "
                "spend does not add up. A dataset has one unit and one relation for its whole life: change the run."
            )


def _check_blocks(dataset: DatasetRow, blocks: Sequence[str]) -> None:
    declared = dataset.declared_blocks
    unknown = sorted(set(blocks) - set(declared))
    if unknown:
        raise LedgerError(
            f"Dataset {dataset.dataset_id!r} has no block {unknown[0]!r}. Its blocks: {', '.join(declared) or 'none'}."
        )
    if declared and not blocks:
        raise LedgerError(
            f"Dataset {dataset.dataset_id!r} is charged by block, and the run names none. Set dataset_blocks to those that it reads: "
            f"{', '.join(declared)}."
        )
    if len(set(blocks)) != len(blocks):
        raise LedgerError(f"A block is named twice in {list(blocks)}.")


def _epsilon(epsilon: float) -> float:
    number = _validate.positive(epsilon=epsilon)
    if not number < _LARGEST_EPSILON:
        raise ParameterError(f"Expected epsilon={epsilon!r} < {_LARGEST_EPSILON:g}: it would be no budget.")
    return number


def _sorted(blocks: Sequence[str]) -> list[str]:
    if isinstance(blocks, str) or not isinstance(blocks, Collection) or not all(isinstance(x, str) for x in blocks):
        raise ParameterError(f"Expected blocks={blocks!r} to be a list of names.")
    return sorted(blocks)


def _same_facts(before: Any, body: Any) -> bool:
    """Whether a registration says the same; its order and budget follow from the rest, up to the machine's rounding."""
    return before.model_copy(update={"order": body.order, "budget": body.budget}) == body


def _make(kind: type[Record], **fields: Any) -> Record:
    """A body whose problems are named as those of arguments."""
    try:
        return kind(**fields)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else kind.__name__
        raise ParameterError(f"Expected {name}={fields.get(name)!r} to be valid: {problem['msg']}.") from None


def _tag(dataset_id: str) -> str:
    return digest.text_digest(dataset_id)[-32:]
