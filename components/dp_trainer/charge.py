"""Charges a run to its dataset's budget: before it reads a record, and whatever becomes of it.

The order is the guarantee. The plan is known before any record is read; it is charged in a separate transaction; the
ledger is told that the run starts; only then are records read. A run that dies stays charged. At the end the ledger is
told which model came out, and only then does the guarantee exist.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterator, Mapping

from absl import logging

from tfx_privacy import training
from tfx_privacy.accounting.parameters import DPParameters, ResolvedParameters
from tfx_privacy.budget.runs import LedgerPosition, PlannedRun
from tfx_privacy.components.accounts import Account
from tfx_privacy.components.dp_trainer.guarantee import calibrated_noise, placed
from tfx_privacy.errors import (
    CheckpointError,
    EvidenceError,
    LedgerError,
    ParameterError,
)
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import PrivacyGuarantee, guarantee_digest
from tfx_privacy.guarantee.spending import Beside
from tfx_privacy.ledger import Ledger, new_run_id
from tfx_privacy.records import strict_json

_NOTE = "ledger_run.json"


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run in full, before a record was read."""

    resolved: ResolvedParameters
    noise_multiplier: float | None


class UnmeteredRun:
    """A run without a ledger: its guarantee says so."""

    plan: Plan | None = None

    def __init__(self) -> None:
        """Draws the run's id."""
        self.run_id = new_run_id()

    def start_references(self) -> None:
        """Nothing to do."""

    def commit(self, record: PrivacyGuarantee) -> PrivacyGuarantee:
        """The record as it is."""
        return record


@dataclasses.dataclass
class _Note:
    """What attempts at one run leave to later ones, in its folder of checkpoints."""

    run_id: str
    attempt: int
    reference_run_ids: list[str]


class MeteredRun:
    """A run that was charged, and has started."""

    def __init__(self, ledger: Ledger, account: Account, plan: Plan, checkpoints: training.Checkpoints | None) -> None:
        """Takes up a run, or an earlier attempt at it."""
        assert plan.noise_multiplier is not None
        self.plan = plan
        self._ledger, self._account = ledger, account
        self._run = PlannedRun.of_event(plan.resolved.event(plan.noise_multiplier))
        self._attempt_id = secrets.token_hex(16)
        self._checkpoints = checkpoints
        self._note = _read_note(checkpoints)
        self._references: str | None = None

    @property
    def run_id(self) -> str:
        """The run's id, in the ledger and in the guarantee."""
        return self._note.run_id

    def begin(self, num_references: int, labels: Mapping[str, str]) -> None:
        """Charges the run with its reference models, and says that it starts.

        Raises:
          BudgetError: If the budget does not suffice for all of it; nothing is charged then.
          LedgerError: If it cannot be charged for another reason.
        """
        self._note.attempt += 1
        if num_references:
            self._give_back_references()
            self._references = new_run_id()
            self._note.reference_run_ids.append(self._references)
        self._write_note()
        self._reserve(self.run_id, self._run, "model", labels)
        if self._references is not None:
            trainings = self._run.model_copy(update={"steps": self._run.steps * (num_references // 2)})
            try:
                self._reserve(self._references, trainings, "reference_models", labels)
            except LedgerError:
                self._give_back()
                raise
        self._ledger.start(self.run_id, attempt=self._note.attempt, attempt_id=self._attempt_id)
        logging.info("DPTrainer: charged to dataset %r as run %s", self._account.dataset_id, self.run_id)

    def start_references(self) -> None:
        """Says that the reference models' training starts."""
        if self._references is not None:
            self._ledger.start(self._references, attempt_id=self._attempt_id)

    def commit(self, record: PrivacyGuarantee) -> PrivacyGuarantee:
        """Tells the ledger which model came out.

        Args:
          record: The guarantee, without its place in the ledger.

        Returns:
          The guarantee with it.

        Raises:
          LedgerError: If the ledger does not take it; the model must not be kept then.
        """
        facts = guarantee_digest(record)
        if self._references is not None:
            assert record.references is not None
            executed = _executed(record.references.mechanism, times=record.references.num_models // 2)
            self._ledger.commit(self._references, executed, model_digest=record.model_digest, guarantee_digest=facts)
        entry = self._ledger.commit(
            self.run_id, _executed(record.mechanism), model_digest=record.model_digest, guarantee_digest=facts
        )
        position = LedgerPosition(
            ledger_id=entry.ledger_id,
            blocks=sorted(self._account.blocks),
            sequence=entry.sequence,
            entry_hash=entry.hash,
            reference_run_ids=self._note.reference_run_ids,
        )
        return placed(record, self._account, position)

    def _give_back(self) -> None:
        """Aborts the run, unless an earlier attempt has started it."""
        with contextlib.suppress(LedgerError):
            self._ledger.abort(self.run_id, reason="the reference models could not be charged")

    def _give_back_references(self) -> None:
        """Aborts what earlier attempts reserved for reference models and never began; what they began stays charged."""
        for run_id in list(self._note.reference_run_ids):
            with contextlib.suppress(LedgerError):
                self._ledger.abort(run_id, reason="a later attempt at the run reserves anew")
                self._note.reference_run_ids.remove(run_id)

    def _reserve(self, run_id: str, planned: PlannedRun, purpose: str, labels: Mapping[str, str]) -> None:
        privacy = self.plan.resolved.parameters
        assert privacy.neighboring_relation is not None
        self._ledger.reserve(
            run_id,
            self._account.dataset_id,
            planned,
            privacy_unit=privacy.privacy_unit,
            neighboring_relation=privacy.neighboring_relation,
            blocks=self._account.blocks,
            purpose=purpose,
            labels=labels,
        )

    def _write_note(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.write_note(_NOTE, strict_json.canonical(dataclasses.asdict(self._note)))


@contextlib.contextmanager
def meter(
    account: Account | None,
    privacy: DPParameters,
    num_references: int,
    checkpoints: training.Checkpoints | None,
    labels: Mapping[str, str],
    check: Callable[[Plan], None],
    beside: Callable[[DPParameters], Beside],
) -> Iterator[MeteredRun | UnmeteredRun]:
    """A run that may read records now: charged, where there is a ledger, and started.

    Args:
      account: Whose budget; None without a ledger.
      privacy: What was asked for.
      num_references: How many reference models are trained next to the model.
      checkpoints: The run's folder, by which an attempt finds the run that an earlier one was killed in.
      labels: Who asks, for people who read the log.
      check: Refuses a plan of which nothing could be stated afterwards; without a ledger there is no plan yet.
      beside: What else is in its epsilon, by its parameters.

    Raises:
      ParameterError: If the plan is not known without reading the data.
      LedgerError: If the run cannot be charged.
    """
    if account is None:
        yield UnmeteredRun()
        return
    with Ledger(account.source) as ledger:
        plan = _plan(ledger, account, privacy, beside(privacy))
        check(plan)
        run = MeteredRun(ledger, account, plan, checkpoints)
        run.begin(num_references, labels)
        try:
            yield run
        except BaseException:
            logging.error(
                "DPTrainer: run %s ended early; it stays charged to dataset %r", run.run_id, account.dataset_id
            )
            raise


def _plan(ledger: Ledger, account: Account, privacy: DPParameters, beside: Beside) -> Plan:
    facts = ledger.dataset(account.dataset_id).facts
    if privacy.population is None and facts.population is not None:
        privacy = dataclasses.replace(privacy, population=facts.population)
    if privacy.population is None:
        raise ParameterError(
            "The number of records is not known, and with a ledger none may be read before the run is charged. Declare "
            "population in DPParameters, or in the ledger (`tfx-privacy ledger register --population`)."
        )
    resolved = privacy.resolve()
    return Plan(resolved, calibrated_noise(resolved, beside))


def _executed(mechanism: DPMechanism | NoMechanism, times: int = 1) -> PlannedRun:
    assert isinstance(mechanism, DPMechanism)
    run = PlannedRun.of_event(mechanism.event)
    return run.changed(steps=run.steps * times)


def _read_note(checkpoints: training.Checkpoints | None) -> _Note:
    # Without the journal an attempt begins from the first step, whatever earlier ones executed: that
    # is another run, and pays.
    text = checkpoints.read_note(_NOTE) if checkpoints is not None and checkpoints.has_journal else None
    if text is None:
        return _Note(new_run_id(), 0, [])
    try:
        note = strict_json.loads(text)
        return _Note(str(note["run_id"]), int(note["attempt"]), [str(name) for name in note["reference_run_ids"]])
    except (EvidenceError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{_NOTE} in checkpoint_dir cannot be read, so it is not known which run was charged. Use another folder; "
            "what was charged stays charged."
        ) from error
