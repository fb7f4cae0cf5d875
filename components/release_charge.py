"""Charges a release to its dataset's budget: before a record is read, and whatever becomes of it.

The order is the guarantee, as with a training (`dp_trainer.charge`). What will be released is known before any record is read;
it is charged in a transaction of its own; the ledger is told that it starts; only then are records read. A release that dies
stays charged, because nobody knows what it has shown; the next attempt is another one, and pays again. At the end the ledger
is told what came out, and only then does the release exist.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from absl import logging

from tfx_privacy import ledger as ledgers
from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import LedgerPosition, PlannedRun
from tfx_privacy.components.accounts import Account
from tfx_privacy.errors import LedgerError, TFXPrivacyError
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

    def reserve(self, labels: Mapping[str, str]) -> None:
        """Charges the release, which may be given back until it starts.

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

    def start(self) -> None:
        """Says that records are read from now on: the charge stays.

        Raises:
          LedgerError: If the ledger does not take it; nothing must be read then.
        """
        self._ledger.start(self.run_id, attempt_id=ledgers.new_run_id())
        logging.info("Charged to dataset %r as release %s", self._account.dataset_id, self.run_id)

    def give_back(self) -> None:
        """Takes back the charge of a release that did not start."""
        try:
            self._ledger.abort(self.run_id, reason="A release beside it could not be charged; no record was read.")
        except LedgerError as error:
            logging.error("Release %s could not be given back, and stays charged: %s", self.run_id, error)

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
    with all_charged(
        account,
        run=run,
        delta_spent=delta_spent,
        privacy_unit=privacy_unit,
        neighboring_relation=neighboring_relation,
        labels=[labels],
    ) as (release,):
        yield release


@contextlib.contextmanager
def all_charged(
    account: Account | None,
    *,
    run: PlannedRun,
    delta_spent: float,
    privacy_unit: str,
    neighboring_relation: str,
    labels: Sequence[Mapping[str, str]],
) -> Iterator[Sequence[MeteredRelease | UnmeteredRelease]]:
    """Several releases of the same kind, as `charged`: where one is refused, none starts, and the others are given back.

    Args:
      account: Whose budget; None without a ledger.
      run: Of each by itself.
      delta_spent: By the thresholds of each.
      privacy_unit: The releases'.
      neighboring_relation: The releases'.
      labels: Of each; as many releases as there are.

    Yields:
      The releases, in the order of `labels`.

    Raises:
      BudgetError: If the budget does not suffice for all; no record was read, and nothing is charged.
      LedgerError: If they cannot be charged for another reason.
    """
    if account is None:
        yield [UnmeteredRelease() for _ in labels]
        return
    with ledgers.Ledger(account.source) as ledger:
        releases = [
            MeteredRelease(ledger, account, run, delta_spent, privacy_unit, neighboring_relation) for _ in labels
        ]
        _reserve_all(releases, labels)
        try:
            for release in releases:
                release.start()
            yield releases
        finally:
            for release in releases:
                if not release.is_committed:
                    logging.error(
                        "Release %s was not committed; it stays charged to dataset %r",
                        release.run_id,
                        account.dataset_id,
                    )


def _reserve_all(releases: Sequence[MeteredRelease], labels: Sequence[Mapping[str, str]]) -> None:
    """Charges all or none."""
    charged_before: list[MeteredRelease] = []
    try:
        for release, said in zip(releases, labels, strict=True):
            release.reserve(said)
            charged_before.append(release)
    except TFXPrivacyError:
        for release in charged_before:
            release.give_back()
        raise
