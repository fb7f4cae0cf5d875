"""Charges a release to its dataset's budget: before a record is read, and whatever becomes of it.

The order is the guarantee, as with a training (`dp_trainer.charge`). What will be released is known before any record is read;
it is charged in a transaction of its own; the ledger is told that it starts; only then are records read. A release that dies
stays charged, because nobody knows what it has shown; the next attempt is another one, and pays again. At the end the ledger
is told what came out, and only then does the release exist.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from absl import logging

from tfx_privacy import ledger as ledgers
from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import LedgerPosition, PlannedRun
from tfx_privacy.components.accounts import Account
from tfx_privacy.errors import LedgerError
from tfx_privacy.releases.record import Release, release_digest


class UnmeteredRelease:
    """A release without a ledger: it says so, because it names none."""

    def __init__(self) -> None:
        """Draws the release's run id."""
        self.run_id = ledgers.new_run_id()

    def commit(self, release: Release) -> Release:
        """The release as it is."""
        return release


class MeteredRelease:
    """A release that was charged, and whose records may be read now."""

    def __init__(
        self,
        ledger: ledgers.Ledger,
        account: Account,
        run: PlannedRun,
        delta_spent: float,
        privacy_unit: str,
        neighboring_relation: str,
    ) -> None:
        """Draws the release's run id; nothing is charged yet."""
        self.run_id = ledgers.new_run_id()
        self.is_committed = False
        self._ledger, self._account = ledger, account
        self._run, self._delta_spent = run, delta_spent
        self._kind = {"privacy_unit": privacy_unit, "neighboring_relation": neighboring_relation}

    def begin(self, labels: Mapping[str, str]) -> None:
        """Charges the release, and says that it starts.

        Raises:
          BudgetError: If the budget does not suffice.
          LedgerError: If it cannot be charged for another reason.
        """
        self._ledger.reserve(
            self.run_id,
            self._account.dataset_id,
            self._run,
            privacy_unit=self._kind["privacy_unit"],
            neighboring_relation=self._kind["neighboring_relation"],
            blocks=self._account.blocks,
            purpose="release",
            delta_spent=self._delta_spent,
            labels=labels,
        )
        self._ledger.start(self.run_id, attempt_id=ledgers.new_run_id())
        logging.info("Charged to dataset %r as release %s", self._account.dataset_id, self.run_id)

    def commit(self, release: Release) -> Release:
        """Tells the ledger what was released.

        Args:
          release: The record, without its place in the ledger.

        Returns:
          The record with it.

        Raises:
          LedgerError: If it is not what was charged, or the ledger does not take it; nothing of it must be kept then.
        """
        self._require_charged(release)
        executed = self._run.of(noise_multiplier=release.noise_multiplier, sampling_probability=1.0, steps=1)
        entry = self._ledger.commit(
            self.run_id, executed, model_digest=release.artifact_digest, guarantee_digest=release_digest(release)
        )
        self.is_committed = True
        position = LedgerPosition(
            ledger_id=entry.ledger_id,
            blocks=sorted(self._account.blocks),
            sequence=entry.sequence,
            entry_hash=entry.hash,
        )
        facts = release.model_dump() | {"dataset_id": self._account.dataset_id, "ledger": position}
        return Release(**facts)

    def _require_charged(self, release: Release) -> None:
        """What the ledger cannot compare itself; the noise is what it looks at."""
        for name, charged in {"run_id": self.run_id, **self._kind}.items():
            if getattr(release, name) != charged:
                raise LedgerError(
                    f"The release says {name}={getattr(release, name)!r}, and {charged!r} was charged: it must not be kept."
                )
        if not thresholds.spent(release.delta_spent) <= thresholds.spent(self._delta_spent):
            raise LedgerError(
                f"The release's thresholds spent delta_spent={release.delta_spent!r}, more than the {self._delta_spent!r} that "
                "was charged: it must not be kept."
            )


@contextlib.contextmanager
def charged(
    account: Account | None,
    *,
    run: PlannedRun,
    delta_spent: float,
    privacy_unit: str,
    neighboring_relation: str,
    labels: Mapping[str, str],
) -> Iterator[MeteredRelease | UnmeteredRelease]:
    """A release that may read records now: charged, where there is a ledger, and started.

    Args:
      account: Whose budget; None without a ledger.
      run: All its answers as one Gaussian mechanism: `PlannedRun.of(noise_multiplier=..., sampling_probability=1.0, steps=1)`.
      delta_spent: By its thresholds, no less than `Release.delta_spent` will say.
      privacy_unit: The release's.
      neighboring_relation: The release's.
      labels: Who asks, for people who read the log.

    Yields:
      What has the release's `run_id`, and takes its record by `commit`.

    Raises:
      BudgetError: If the budget does not suffice; no record was read.
      LedgerError: If it cannot be charged for another reason.
    """
    if account is None:
        yield UnmeteredRelease()
        return
    with ledgers.Ledger(account.source) as ledger:
        release = MeteredRelease(ledger, account, run, delta_spent, privacy_unit, neighboring_relation)
        release.begin(labels)
        try:
            yield release
        finally:
            if not release.is_committed:
                logging.error(
                    "Release %s was not committed; it stays charged to dataset %r", release.run_id, account.dataset_id
                )
