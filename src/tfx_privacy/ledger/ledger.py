"""The ledger: registers datasets, and charges runs to their budgets.

A run is charged before it reads a record (`reserve`), says that it begins (`start`), and ends with its model's digest
(`commit`). What happens in between does not matter: from `start` on the charge stays. Nothing expires, so no clock
gives budget back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import Self

from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import LedgerRun, PlannedRun, check_identifier
from tfx_privacy.errors import BudgetError, LedgerError, ParameterError
from tfx_privacy.ledger import budgets, entries, initialising, requests, verification
from tfx_privacy.ledger.anchor import Anchor
from tfx_privacy.ledger.answers import Reader
from tfx_privacy.ledger.appending import Appender
from tfx_privacy.ledger.database import Database
from tfx_privacy.ledger.entries import Entry
from tfx_privacy.ledger.source import DEFAULT_SOURCE, resolve
from tfx_privacy.ledger.state import DatasetRow
from tfx_privacy.records.base import Record


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
        anchor = Anchor.from_environment(environ, default=self._source.anchor)
        self._anchor = anchor
        self._reader = Reader(self._database, anchor)
        self._appender = Appender(self._database, anchor)

    def __enter__(self) -> Self:
        """Returns the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes its connections."""
        self._database.close()

    @property
    def address(self) -> str:
        """The database's address without its password, to be shown to whoever set it."""
        return self._source.shown

    def exists(self) -> bool:
        """Whether there is a ledger at the address; nothing is made by asking.

        Raises:
          LedgerError: If the database cannot be reached, or its file is something else.
        """
        return initialising.exists(self._database)

    @property
    def missing_folder(self) -> str | None:
        """The folder of a SQLite file where it is not there: `initialise` makes it."""
        folder = self._source.path.parent if self._source.is_sqlite else None
        return None if folder is None or folder.exists() else str(folder)

    def keeps_heads(self) -> bool:
        """Whether the file of heads names any entry, of this ledger or of another.

        Raises:
          LedgerError: If it cannot be read.
        """
        return self._anchor.end() > 0

    def initialise(self) -> str:
        """Makes the ledger's tables, or brings them to this version; what is there is verified before and after.

        The only request that makes a SQLite file: where there is none, every other one fails.

        Returns:
          The ledger's id.

        Raises:
          LedgerError: If it cannot be made, is damaged, or is newer than this version. If a ledger was here, as the file
            of heads next to it says.
        """
        return initialising.initialise(self._database)

    def register(
        self,
        dataset_id: str,
        *,
        epsilon: float,
        delta: float,
        approver: str,
        privacy_unit: str = "example",
        neighboring_relation: str = "ADD_OR_REMOVE_ONE",
        threshold_delta: float | None = None,
        population: int | None = None,
        blocks: Sequence[str] = (),
    ) -> Entry:
        """Registers a dataset with its budget; once for its whole life.

        Args:
          dataset_id: A stable name of the people's data, not of a copy, a date or a path: the same people under another
            name would have another budget.
          epsilon: The budget, in nats, of all runs together (of each block).
          delta: The budget's; also below 1 / population where that is given.
          approver: Who decided it.
          privacy_unit: "example" or "user".
          neighboring_relation: "ADD_OR_REMOVE_ONE" (for Poisson sampling) or "REPLACE_SPECIAL" (for passes). Runs of
            the other relation are refused.
          threshold_delta: What of delta is set aside for thresholds of releases (of each block); the divergence of all runs
            pays for the rest alone. None for nothing: no release with a threshold is charged then.
          population: Declared number of units, for runs that declare none.
          blocks: Parts that are charged separately. No person may be in two of them, ever.

        Returns:
          The entry; an earlier one if the same was registered before.

        Raises:
          ParameterError: If an argument breaks its rule.
          LedgerError: If the dataset is registered otherwise, or the ledger cannot be used.
        """
        body = requests.registration(
            epsilon=epsilon,
            delta=delta,
            approver=approver,
            privacy_unit=privacy_unit,
            neighboring_relation=neighboring_relation,
            threshold_delta=threshold_delta,
            population=population,
            blocks=blocks,
        )
        check_identifier(dataset_id=dataset_id)
        return self._appender.register(dataset_id, body)

    def add_blocks(self, dataset_id: str, blocks: Sequence[str], *, approver: str) -> Entry:
        """Adds blocks, of persons who are in no other one; each has the dataset's whole budget.

        Args:
          dataset_id: A dataset that was registered with blocks.
          blocks: Names of the new ones.
          approver: Who decided it.

        Raises:
          LedgerError: If the dataset has no blocks, or has one of these.
        """
        body = requests.body(entries.BlocksAdded, blocks=requests.checked_blocks(blocks), approver=approver)
        return self._appender.append(dataset_id, f"blocks:{secrets.token_hex(16)}", lambda _: body)

    def change_budget(
        self, dataset_id: str, *, epsilon: float, approver: str, reason: str, threshold_delta: float | None = None
    ) -> Entry:
        """Sets another budget; below what is charged it stops every further run.

        Args:
          dataset_id: The dataset.
          epsilon: The new budget, at the delta of the registration.
          threshold_delta: What of that delta is set aside for thresholds from now on, no less than they have spent; None for
            what was set aside before.
          approver: Who decided it.
          reason: Why.

        Raises:
          ParameterError: If an argument breaks its rule.
          LedgerError: If thresholds have spent more than is set aside.
        """
        epsilon = requests.checked_epsilon(epsilon)

        def make(dataset: DatasetRow) -> Record:
            return requests.budget_change(
                dataset, epsilon=epsilon, threshold_delta=threshold_delta, approver=approver, reason=reason
            )

        return self._appender.append(dataset_id, f"budget:{secrets.token_hex(16)}", make)

    def dataset(self, dataset_id: str) -> DatasetRow:
        """The dataset with its charges and runs, verified.

        Raises:
          LedgerError: If it is not registered, or the ledger is damaged or an old copy.
        """
        return self._reader.dataset(dataset_id)[0]

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
        delta_spent: float = 0.0,
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
          purpose: "model", "reference_models" or "release".
          delta_spent: Probability that a release's thresholds spend, beside what `planned` costs; rounded up to whole units.
          labels: Who asks, for people who read the log.

        Returns:
          The entry; an earlier one if this run was reserved before, with the same plan.

        Raises:
          BudgetError: If the budget does not suffice, or what is set aside for thresholds.
          LedgerError: If the run cannot be charged for another reason.
        """
        if not isinstance(planned, PlannedRun):
            raise ParameterError(f"Expected planned={planned!r} to be a PlannedRun.")
        check_identifier(dataset_id=dataset_id)
        names = requests.checked_blocks(blocks)
        units = thresholds.spent(delta_spent)
        # Computed before the lock is taken: accounting may take a while.
        cost = renyi_filter.cost(self._reader.order(dataset_id), planned.event)

        def make(dataset: DatasetRow) -> Record:
            return requests.reservation(
                dataset,
                privacy_unit=privacy_unit,
                neighboring_relation=neighboring_relation,
                run_id=run_id,
                planned=planned,
                cost=cost,
                delta_spent=units,
                blocks=names,
                purpose=purpose,
                labels={} if labels is None else labels,
            )

        def same(body: Any) -> bool:
            found = body.planned, body.blocks, body.purpose, body.delta_spent or 0
            return bool(found == (planned, names, purpose, units))

        try:
            return self._appender.append(dataset_id, f"reserve:{run_id}", make, same, run_id=run_id)
        except requests.RefusedError as refused:
            # Worded after the lock is given back: what would fit takes many accountings.
            message = budgets.refusal(refused.dataset, names, planned, cost, units)
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
        body = requests.body(entries.Started, run_id=run_id, attempt=attempt, attempt_id=attempt_id)
        return self._appender.append_to_run(
            run_id, f"start:{run_id}:{attempt_id}", lambda _: body, lambda old: old == body
        )

    def commit(self, run_id: str, executed: PlannedRun, *, model_digest: str, guarantee_digest: str) -> Entry:
        """Says that a run ended, with which model.

        Args:
          run_id: A run that has started.
          executed: What it executed; at most what was reserved.
          model_digest: Of the directory of the saved model.
          guarantee_digest: `guarantee.record.guarantee_digest` of its guarantee.

        Raises:
          LedgerError: If the run has not started or has ended otherwise, or executed more than was reserved; no
            guarantee may be given then.
        """
        body = requests.body(
            entries.Committed,
            run_id=run_id,
            executed=executed,
            model_digest=model_digest,
            guarantee_digest=guarantee_digest,
        )
        return self._appender.append_to_run(run_id, f"commit:{run_id}", lambda _: body, lambda old: old == body)

    def abort(self, run_id: str, *, reason: str) -> Entry:
        """Gives a charge back: only before the run has started.

        Args:
          run_id: A reserved run.
          reason: Why, for people who read the log.

        Raises:
          LedgerError: If the run has started.
        """
        body = requests.body(entries.Aborted, run_id=run_id, reason=reason)
        return self._appender.append_to_run(run_id, f"abort:{run_id}", lambda _: body, lambda _: True)

    def settle(self, run_id: str, *, approver: str, reason: str) -> Entry:
        """Gives up a run that died: one that had started stays charged, one that had not is given back.

        Args:
          run_id: A run that was reserved and did not end.
          approver: Who decided it.
          reason: Why.

        Raises:
          LedgerError: If the run has ended.
        """
        settled = requests.body(entries.Settled, run_id=run_id, approver=approver, reason=reason)

        def make(dataset: DatasetRow) -> Record:
            if dataset.runs[run_id].state == "RESERVED":
                return requests.body(entries.Aborted, run_id=run_id, reason=f"{reason} (settled by {approver})"[:1000])
            return settled

        return self._appender.append_to_run(run_id, f"settle:{run_id}", make, lambda _: True)

    def run(self, run_id: str) -> LedgerRun:
        """What the ledger says of a run; see `runs`."""
        return self.runs([run_id])[run_id]

    def runs(self, run_ids: Sequence[str]) -> dict[str, LedgerRun]:
        """What the ledger says of some runs, at one moment, after their whole datasets were verified.

        Raises:
          LedgerError: If one of them is not there, or the ledger is damaged or an old copy.
        """
        return self._reader.runs(run_ids)

    def verify(self, heads: Sequence[tuple[str, int, str]] = ()) -> verification.Verified:
        """Verifies everything.

        Args:
          heads: Dataset, sequence and hash of entries that reports or blessings name; the ledger must hold them.

        Raises:
          LedgerError: At the first thing that is not as it should be.
        """
        verified = self._reader.everything()
        verification.require_heads(verified, heads)
        return verified

    def log(self, dataset_id: str) -> list[Entry]:
        """A dataset's entries, verified.

        Raises:
          LedgerError: If the dataset is not registered, or the ledger is damaged or an old copy.
        """
        return self._reader.dataset(dataset_id)[1]

    def backup(self, path: str) -> None:
        """Copies a SQLite ledger, as of one moment, to a file that must not exist.

        Raises:
          LedgerError: If the ledger is not a SQLite file, or the copy cannot be written.
        """
        if not self._source.is_sqlite:
            raise LedgerError(f"{self._source.name} names a PostgreSQL database: make its backups with pg_dump.")
        self.verify()
        self._database.copy_to(path)


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
