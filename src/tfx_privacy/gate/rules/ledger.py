"""Rules of the gate on the budget ledger: the guarantee's run is there as it was executed, and the budget suffices.

A guarantee names its position in a ledger; the ledger is read again when the verdict is made. Everything that both
state must be equal, what was executed must be within what was reserved, and the run must be committed: a run that was
reserved, broken off, settled or aborted has no model that could be deployed.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence

from tfx_privacy.accounting.composition import terms
from tfx_privacy.accounting.rounding import rounded_up
from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import LedgerPosition, LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee, ReferenceTrainings, guarantee_digest

# States of a reservation that is charged in full, and for good. One that has not started may still be given back.
_CHARGED = ("STARTED", "COMMITTED", "SETTLED")
_ROUNDING = 1 + 1e-9


def check_ledger(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """Where the policy demands a ledger or the guarantee names one: the run is committed there, as the guarantee says."""
    record = evidence.known_guarantee
    position = record.ledger
    if position is None:
        return _without_ledger(evidence, policy)
    run = evidence.known_ledger
    value = f"{run.dataset_id}, entry {run.sequence}, {run.state}"
    problems = [
        *_other_than_stated(record, position, run),
        *_not_of_a_deployable_model(record, run, evidence.known_digest),
        *_not_in_the_chain(run),
        *_more_than_reserved(record.mechanism, run),
        *_reference_problems(record, position, run, evidence),
        *check_releases(record, run, evidence),
    ]
    if problems:
        return Finding(
            False,
            value,
            f"The ledger contradicts the guarantee: {'; '.join(problems)}. "
            "Deploy only what was trained, committed and evaluated in one run.",
        )
    base = record.base_model
    if policy.ledger == "required" and base is not None and base.is_private and base.ledger_id != position.ledger_id:
        return Finding(
            False,
            value,
            "The policy demands a budget ledger, and the base model that training began from was not charged in this "
            "one: what the dataset has spent does not count it. Begin from a model that was trained with the same "
            "ledger, or from fresh weights.",
            excusable=True,
        )
    return Finding(
        True,
        value,
        f"The run is committed in the budget ledger of dataset {run.dataset_id}, as the guarantee says.",
    )


def check_dataset_budget(evidence: Evidence, policy: GatePolicy, now: datetime.datetime) -> Finding:
    """What the dataset was charged, all runs together, is within its budget."""
    if evidence.known_guarantee.ledger is None and evidence.ledger is None:
        return Finding(True, "no ledger", "Without a ledger nothing is known of what other runs spent.")
    run = evidence.known_ledger
    value = f"epsilon {rounded_up(run.spent_epsilon)} of {run.budget_epsilon:g} at delta {run.budget_delta:g}"
    if not 0 < run.charged <= run.budget:
        return Finding(
            False,
            value,
            f"Dataset {run.dataset_id} was charged {run.charged} units of a budget of {run.budget}. "
            "Raise its budget in the ledger, with an approver, or train no more on it.",
        )
    if not (math.isfinite(run.spent_epsilon) and 0.0 <= run.spent_epsilon <= run.budget_epsilon * _ROUNDING):
        return Finding(
            False,
            value,
            f"The ledger states spent_epsilon={run.spent_epsilon!r} of a budget of {run.budget_epsilon!r}.",
        )
    set_aside = thresholds.delta_of(run.threshold_delta)
    if not (0 <= run.delta_charged <= run.threshold_delta and set_aside < run.budget_delta):
        return Finding(
            False,
            value,
            f"Thresholds of releases on dataset {run.dataset_id} were charged delta {thresholds.shown(run.delta_charged)}, and "
            f"{thresholds.shown(run.threshold_delta, down=True)} of its delta {run.budget_delta:g} is set aside for them. Set "
            "more aside in the ledger, with an approver, or release nothing more of it.",
        )
    return Finding(True, value, f"Dataset {run.dataset_id} has spent {value}, all runs together.")


def _without_ledger(evidence: Evidence, policy: GatePolicy) -> Finding:
    if evidence.ledger is not None:
        raise EvidenceError(
            "The guarantee names no ledger, but a ledger was asked for its run. Train with DPTrainer's ledger."
        )
    if policy.ledger == "none":
        return Finding(
            True,
            "none",
            "No budget ledger was used, and the policy demands none: other runs on the same data add to what is spent.",
        )
    return Finding(
        False,
        "none",
        "The policy demands a budget ledger, and the model was trained without one. Train with DPTrainer's ledger and "
        "dataset_id.",
        excusable=True,
    )


def _other_than_stated(record: PrivacyGuarantee, position: LedgerPosition, run: LedgerRun) -> Iterator[str]:
    for name, stated, found in (
        ("run_id", record.run_id, run.run_id),
        ("ledger_id", position.ledger_id, run.ledger_id),
        ("dataset_id", record.dataset_id, run.dataset_id),
        ("blocks", sorted(position.blocks), sorted(run.blocks)),
        ("sequence", position.sequence, run.sequence),
        ("entry_hash", position.entry_hash, run.entry_hash),
        ("privacy_unit", record.privacy_unit, run.privacy_unit),
        ("neighboring_relation", record.neighboring_relation, run.neighboring_relation),
        ("guarantee_digest", guarantee_digest(record), run.guarantee_digest),
    ):
        if found is None or stated != found:
            yield f"{name} is {found!r} there and {stated!r} in the guarantee"


def _not_of_a_deployable_model(record: PrivacyGuarantee, run: LedgerRun, model_digest: str) -> Iterator[str]:
    if run.state != "COMMITTED":
        yield f"the run's state is {run.state}, not COMMITTED"
    if run.purpose != "model":
        yield f"it was reserved for {run.purpose}, not for a model"
    if run.model_digest is None or run.model_digest != model_digest:
        yield f"model_digest is {run.model_digest!r} there and {model_digest!r} of the model's directory"


def _not_in_the_chain(run: LedgerRun) -> Iterator[str]:
    if run.sequence is None or not run.sequence <= run.head_sequence:
        yield f"the run's entry {run.sequence} is beyond the ledger's last one, {run.head_sequence}"
    if run.sequence == run.head_sequence and run.entry_hash != run.head_hash:
        yield "the ledger's last entry is the run's, and has another hash"


def _more_than_reserved(mechanism: DPMechanism | NoMechanism, run: LedgerRun) -> Iterator[str]:
    """How an execution goes beyond what its reservation was charged for."""
    yield from _other_than_reserved(mechanism, run)
    steps = terms(mechanism.event).steps if isinstance(mechanism, DPMechanism) else 0
    if not steps <= run.planned.steps:
        yield f"steps={steps} are more than the {run.planned.steps} that were reserved"


def _other_than_reserved(mechanism: DPMechanism | NoMechanism, run: LedgerRun) -> Iterator[str]:
    if isinstance(mechanism, NoMechanism):
        yield "it was charged for noise, but the model was trained without any"
        return
    executed, planned = terms(mechanism.event), run.planned.terms
    if not executed.noise_multiplier >= planned.noise_multiplier:
        yield (
            f"noise_multiplier={executed.noise_multiplier:g} is less than the {planned.noise_multiplier:g} that was "
            "reserved"
        )
    if executed.sampling_probability != planned.sampling_probability:
        yield (
            f"sampling_probability={executed.sampling_probability:g} is not the {planned.sampling_probability:g} "
            "that was reserved"
        )


def _reference_problems(
    record: PrivacyGuarantee, position: LedgerPosition, run: LedgerRun, evidence: Evidence
) -> Iterator[str]:
    references = record.references
    if references is None:
        if position.reference_run_ids:
            yield "reference models were reserved that the guarantee does not state"
        return
    found = []
    for run_id in position.reference_run_ids:
        answer = evidence.reference_runs.get(run_id)
        if answer is None:
            raise EvidenceError(f"The ledger was not asked for the reference models' run {run_id}.")
        if isinstance(answer, EvidenceError):
            raise answer
        problems = _foreign_reference(references.mechanism, run_id, answer, run)
        yield from (f"reference run {run_id[:8]}: {problem}" for problem in problems)
        found.append(answer)
    if len(set(position.reference_run_ids)) != len(position.reference_run_ids):
        yield "a reference run is named twice"
    committed = [
        answer
        for answer in found
        if answer.state == "COMMITTED"
        and answer.model_digest == run.model_digest
        and answer.guarantee_digest == run.guarantee_digest
    ]
    if not committed:
        yield "none of the reference models' reservations is committed for this guarantee"
    yield from _more_references_than_reserved(references, found)


def _more_references_than_reserved(references: ReferenceTrainings, found: Sequence[LedgerRun]) -> Iterator[str]:
    """Whether reservations cover all trainings, the lost ones included: a record is in one half of each pair."""
    if isinstance(references.mechanism, NoMechanism):
        return
    steps = terms(references.mechanism.event).steps
    needed = (references.num_models + references.lost_trainings) * steps
    reserved = 2 * sum(answer.planned.steps for answer in found if answer.state in _CHARGED)
    if not needed <= reserved:
        yield f"reference models took {needed} steps, more than the {reserved} in both halves that were reserved"


def _foreign_reference(
    mechanism: DPMechanism | NoMechanism, run_id: str, found: LedgerRun, run: LedgerRun
) -> Iterator[str]:
    if found.run_id != run_id:
        yield f"the ledger answered for {found.run_id[:8]}"
    if found.purpose != "reference_models":
        yield f"it was reserved for {found.purpose}, not for reference_models"
    for name in ("ledger_id", "dataset_id", "blocks", "privacy_unit", "neighboring_relation"):
        if getattr(found, name) != getattr(run, name):
            yield f"{name} is {getattr(found, name)!r}, and {getattr(run, name)!r} of the model's run"
    yield from _other_than_reserved(mechanism, found)


def check_releases(record: PrivacyGuarantee, run: LedgerRun, evidence: Evidence) -> Iterator[str]:
    """Why what preprocessing or statistics released is not in the ledger, as the guarantee says.

    Args:
      record: The guarantee; the ledger has its run.
      run: What the ledger says of that run.
      evidence: What the ledger says of the releases' runs.

    Raises:
      EvidenceError: If the ledger was not asked for one of them, or could not be read.
    """
    for release in record.releases:
        yield from (f"release {release.run_id[:8]}: {problem}" for problem in _release_problems(release, run, evidence))


def _release_problems(release: CoveredRelease, run: LedgerRun, evidence: Evidence) -> Iterator[str]:
    if release.ledger is None:
        yield "it was charged to no ledger"
        return
    if release.ledger.ledger_id != run.ledger_id:
        yield f"it was charged to ledger {release.ledger.ledger_id[:8]}, and the model's run to {run.ledger_id[:8]}"
        return
    answer = evidence.release_runs.get(release.run_id)
    if answer is None:
        raise EvidenceError(f"The ledger was not asked for the release's run {release.run_id}.")
    if isinstance(answer, EvidenceError):
        raise answer
    yield from _other_release_than_stated(release, release.ledger, answer)
    yield from _not_in_the_chain(answer)
    yield from _more_than_charged(release, answer)
    for name in ("ledger_id", "dataset_id", "blocks", "privacy_unit", "neighboring_relation"):
        if getattr(answer, name) != getattr(run, name):
            yield f"{name} is {getattr(answer, name)!r}, and {getattr(run, name)!r} of the model's run"


def _other_release_than_stated(release: CoveredRelease, position: LedgerPosition, found: LedgerRun) -> Iterator[str]:
    for name, stated, there in (
        ("state", "COMMITTED", found.state),
        ("purpose", "release", found.purpose),
        ("run_id", release.run_id, found.run_id),
        ("dataset_id", release.dataset_id, found.dataset_id),
        ("blocks", sorted(position.blocks), sorted(found.blocks)),
        ("sequence", position.sequence, found.sequence),
        ("entry_hash", position.entry_hash, found.entry_hash),
        ("privacy_unit", release.privacy_unit, found.privacy_unit),
        ("neighboring_relation", release.neighboring_relation, found.neighboring_relation),
        ("digest of what was released", release.artifact_digest, found.model_digest),
        ("digest of the release", release.release_digest, found.guarantee_digest),
    ):
        if there is None or stated != there:
            yield f"{name} is {there!r} there, not {stated!r}"


def _more_than_charged(release: CoveredRelease, found: LedgerRun) -> Iterator[str]:
    """How a release goes beyond what it was charged for: one Gaussian mechanism without sampling, and its thresholds."""
    planned = found.planned.terms
    if not release.noise_multiplier >= planned.noise_multiplier:
        yield f"noise_multiplier={release.noise_multiplier:g} is less than the {planned.noise_multiplier:g} that was reserved"
    if planned.sampling_probability != 1.0:
        yield f"sampling_probability={planned.sampling_probability:g} was reserved, and a release reads every record"
    if not thresholds.spent(release.delta_spent) <= found.delta_spent:
        yield (
            f"its thresholds spent delta_spent={release.delta_spent:g}, more than the "
            f"{thresholds.delta_of(found.delta_spent):g} that was reserved"
        )
