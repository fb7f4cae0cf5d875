"""Epsilon of a guarantee, computed afresh from its mechanism."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tfx_privacy.accounting.composition import RELATION_OF_SAMPLING, composed, dp_sgd_event, terms
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, FINE_INTERVAL, EpsilonBounds, epsilon_bounds
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism, same_noise
from tfx_privacy.guarantee.record import BaseModel, Epsilon, PrivacyGuarantee

if TYPE_CHECKING:
    from tfx_privacy.third_party.dp_accounting import DpEvent

# Where a guarantee is read numpy and scipy may be others than where it was made, and with them the last bits of PLD's sums:
# 8e-6 in a million steps (tests/accounting/test_golden_epsilons.py). The larger of both numbers is what counts anyway.
_SPREAD = 1e-4


def recomputed_epsilon(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the guarantee's mechanism at its delta, computed afresh; `inf` if it gives none.

    With a private base model it is that of both trainings together, and `inf` where they cannot be added up.

    Raises:
      EvidenceError: If the file states less than its own mechanism spends, or than that and the
        reference trainings together.
    """
    _check_references(guarantee)
    bounds = _bounds(
        guarantee.mechanism,
        guarantee.base_model,
        target_delta=guarantee.target_delta,
        neighboring_relation=guarantee.neighboring_relation,
        privacy_unit=guarantee.privacy_unit,
    )
    if bounds is None:
        return math.inf
    if not guarantee.stated_epsilon >= bounds.best * (1 - _SPREAD):
        raise EvidenceError(
            f"The guarantee states epsilon={guarantee.stated_epsilon!r}, but its mechanism spends {bounds.best!r} "
            f"at delta={guarantee.target_delta:g}."
        )
    _check_rdp(guarantee.epsilon_rdp, bounds)
    _check_audit(guarantee)
    return max(bounds.best, guarantee.stated_epsilon)


def _check_rdp(stated: Epsilon, bounds: EpsilonBounds) -> None:
    """Readers quote both bounds, so the one that is not compared with a limit must be true as well."""
    if stated != "inf" and not stated >= bounds.rdp * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon_rdp={stated!r}, but by Renyi DP its mechanism spends {bounds.rdp!r}: it "
            "contradicts itself."
        )


def _check_audit(guarantee: PrivacyGuarantee) -> None:
    """Neither of the audit's proofs is above what the run's mechanism spends."""
    if guarantee.audit is None:
        return
    # Of this run alone, whatever the base model cost.
    claimed = epsilon_of_this_run(guarantee)
    for shown in (guarantee.audit.epsilon_lower_bound, guarantee.audit.epsilon_lower_bound_one_run):
        if not shown <= claimed:
            raise EvidenceError(
                f"The audit shows epsilon >= {shown:g} with confidence {guarantee.audit.confidence:g}, but the guarantee "
                f"states epsilon={claimed:g}: the mechanism did not do what it should. Please report this."
            )


def epsilon_at(guarantee: PrivacyGuarantee, target_delta: float) -> float:
    """Epsilon of the guarantee's mechanism, with a private base model's, at any delta; `inf` if it gives none."""
    bounds = _bounds(
        guarantee.mechanism,
        guarantee.base_model,
        target_delta=target_delta,
        neighboring_relation=guarantee.neighboring_relation,
        privacy_unit=guarantee.privacy_unit,
    )
    return math.inf if bounds is None else bounds.best


_GROUP_ROUNDS = 8


def is_disproved(guarantee: PrivacyGuarantee, epsilon: float, *, delta: float, records: int) -> bool:
    """Whether a proved lower bound on epsilon is above what a guarantee implies.

    For one record that is epsilon of the mechanism at the bound's own delta. For k records together it follows by group
    privacy: (eps, d) is (k eps, d (e^(k eps) - 1) / (e^eps - 1)), Vadhan (2017), https://doi.org/10.1007/978-3-319-57048-8_7,
    Lemma 2.2. The delta of one record that leads to the bound's is found by iteration from above; each round gives a
    larger epsilon.

    Args:
      guarantee: What is claimed.
      epsilon: The bound, in nats; NaN disproves.
      delta: At which it holds.
      records: How many records it is about.

    Raises:
      EvidenceError: If the two cannot be compared.
      AccountingError: If the accountants have no answer at a delta.
    """
    share = delta
    for _ in range(_GROUP_ROUNDS):
        single = epsilon_at(guarantee, share)
        if epsilon <= records * single:
            return False
        if records == 1:
            return True
        needed = delta * math.expm1(single) / math.expm1(min(records * single, 700.0))
        if needed >= share * (1 - 1e-3):
            return True
        share = needed
    raise EvidenceError(
        f"A bound of epsilon >= {epsilon:g} on {records} records at delta={delta:g} cannot be compared with the guarantee."
    )


def epsilon_of_this_run(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the run's own training, its base model's left out; for information, never to be held against a limit."""
    bounds = _bounds(guarantee.mechanism, None, target_delta=guarantee.target_delta)
    return math.inf if bounds is None else bounds.best


class StatedBounds(NamedTuple):
    """The two epsilon fields of a guarantee."""

    pld: Epsilon | None
    rdp: Epsilon


def stated_bounds(
    mechanism: DPMechanism | NoMechanism,
    target_delta: float,
    *,
    base_model: BaseModel | None = None,
    neighboring_relation: str | None = None,
    privacy_unit: str | None = None,
) -> StatedBounds:
    """What a guarantee states for a mechanism that was executed.

    Args:
      mechanism: Of this run.
      target_delta: In (0, 1).
      base_model: What training began from.
      neighboring_relation: Of this run; needed with a private base model.
      privacy_unit: Of this run; needed with a private base model.
    """
    bounds = _bounds(
        mechanism,
        base_model,
        target_delta=target_delta,
        neighboring_relation=neighboring_relation,
        privacy_unit=privacy_unit,
    )
    return StatedBounds(None, "inf") if bounds is None else StatedBounds(bounds.pld, bounds.rdp)


def _bounds(
    mechanism: DPMechanism | NoMechanism,
    base_model: BaseModel | None,
    *,
    target_delta: float,
    neighboring_relation: str | None = None,
    privacy_unit: str | None = None,
) -> EpsilonBounds | None:
    """Of a run and what it began from; None where nothing bounds epsilon."""
    event = _event(mechanism, base_model, neighboring_relation=neighboring_relation, privacy_unit=privacy_unit)
    if event is None:
        return None
    # Each kind of run is a separate distribution: the coarse grid, which never states less, keeps that affordable.
    interval = COARSE_INTERVAL if base_model is not None and base_model.is_private else FINE_INTERVAL
    return epsilon_bounds(event, target_delta=target_delta, value_discretization_interval=interval)


def _event(
    mechanism: DPMechanism | NoMechanism,
    base_model: BaseModel | None,
    *,
    neighboring_relation: str | None,
    privacy_unit: str | None,
) -> DpEvent | None:
    """The composition of a run and what it began from; None where nothing bounds epsilon.

    A private base model's trainings are composed with this one, whatever data they were on: nothing shows that no unit
    is in both. Both must speak of the same neighbours and the same unit.
    """
    if base_model is None or not base_model.is_private:
        if isinstance(mechanism, NoMechanism) or not mechanism.is_private:
            return None
        return mechanism.event
    if (base_model.neighboring_relation, base_model.privacy_unit) != (neighboring_relation, privacy_unit):
        return None
    runs = []
    for training in (*base_model.trainings, mechanism):
        if isinstance(training, NoMechanism) or not training.is_private:
            return None
        if RELATION_OF_SAMPLING[training.sampling] != neighboring_relation:
            return None
        runs.append(training.event)
    return composed(runs)


def epsilon_with_references(
    mechanism: DPMechanism | NoMechanism,
    reference: DPMechanism | NoMechanism,
    *,
    trainings_per_record: int,
    target_delta: float,
) -> float:
    """Epsilon of a model and its reference models together, for one record.

    The two halves of a pair are disjoint, so a record takes part in one training of each pair: parallel
    composition within a pair, sequential composition of the pairs and of the model (McSherry 2009,
    https://doi.org/10.1145/1559845.1559850). All have the same noise and sampling, so it is one longer run for the
    accountants.

    Args:
      mechanism: Of the model.
      reference: Of each reference model.
      trainings_per_record: How many reference trainings a record may have been part of.
      target_delta: In (0, 1).

    Returns:
      Epsilon in nats; `inf` without privacy.

    Raises:
      EvidenceError: If they differ in noise or sampling.
      ParameterError: If all steps together are more than the accountants take.
    """
    if not same_noise(mechanism, reference):
        raise EvidenceError("The reference models were not trained by the model's own mechanism.")
    if isinstance(mechanism, NoMechanism) or isinstance(reference, NoMechanism):
        return math.inf
    if not (mechanism.is_private and reference.is_private):
        return math.inf
    run, other = terms(mechanism.event), terms(reference.event)
    together = run._replace(steps=run.steps + trainings_per_record * other.steps)
    return epsilon_bounds(dp_sgd_event(**together._asdict()), target_delta=target_delta).best


def event_of(guarantee: PrivacyGuarantee) -> DpEvent | None:
    """The composition that a guarantee's epsilon is of; None where nothing bounds epsilon."""
    return _event(
        guarantee.mechanism,
        guarantee.base_model,
        neighboring_relation=guarantee.neighboring_relation,
        privacy_unit=guarantee.privacy_unit,
    )


def _check_references(guarantee: PrivacyGuarantee) -> None:
    references = guarantee.references
    if references is None:
        return
    found = epsilon_with_references(
        guarantee.mechanism,
        references.mechanism,
        trainings_per_record=references.trainings_per_record,
        target_delta=guarantee.target_delta,
    )
    stated = math.inf if references.epsilon_all == "inf" else float(references.epsilon_all)
    if not stated >= found * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon_all={stated!r} of the model and its reference models, but together they "
            f"come to {found!r} at delta={guarantee.target_delta:g}."
        )
