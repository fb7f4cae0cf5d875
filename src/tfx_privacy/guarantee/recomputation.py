"""Epsilon of a guarantee, computed afresh from its mechanism."""

from __future__ import annotations

import math
from typing import NamedTuple

from tfx_privacy.accounting.composition import dp_sgd_event, terms
from tfx_privacy.accounting.epsilon import FINE_INTERVAL, EpsilonBounds
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism, same_noise
from tfx_privacy.guarantee.record import Epsilon, PrivacyGuarantee
from tfx_privacy.guarantee.spending import Beside, largest, spendings, spendings_of

# Where a guarantee is read numpy and scipy may be others than where it was made, and with them the last bits of PLD's sums:
# 8e-6 in a million steps (tests/accounting/test_golden_epsilons.py). The larger of both numbers is what counts anyway.
_SPREAD = 1e-4
_ALONE = Beside()


def recomputed_epsilon(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the guarantee's mechanism at its delta, computed afresh; `inf` if it gives none.

    With a private base model it is that of both trainings together, with releases of these as well, and `inf` where they
    cannot be added up.

    Raises:
      EvidenceError: If the file states less than its own mechanism spends, or than that and the
        reference trainings together.
    """
    _check_references(guarantee)
    bounds = _bounds(guarantee.mechanism, Beside.of(guarantee), target_delta=guarantee.target_delta)
    if bounds is None:
        return math.inf
    if not guarantee.stated_epsilon >= bounds.best * (1 - _SPREAD):
        raise EvidenceError(
            f"The guarantee states epsilon={guarantee.stated_epsilon!r}, but its mechanism spends {bounds.best!r} "
            f"at delta={guarantee.target_delta:g}{', with its releases' if guarantee.releases else ''}."
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
    # Of this run alone, whatever the base model and the releases cost.
    claimed = epsilon_of_this_run(guarantee)
    for shown in (guarantee.audit.epsilon_lower_bound, guarantee.audit.epsilon_lower_bound_one_run):
        if not shown <= claimed:
            raise EvidenceError(
                f"The audit shows epsilon >= {shown:g} with confidence {guarantee.audit.confidence:g}, but the guarantee "
                f"states epsilon={claimed:g}: the mechanism did not do what it should. Please report this."
            )


def epsilon_at(guarantee: PrivacyGuarantee, target_delta: float) -> float:
    """Epsilon of all that the guarantee's is of, at any delta; `inf` where nothing bounds it there.

    Thresholds of releases have spent a part of delta once and for all, so at that much or less nothing is promised.
    """
    bounds = _bounds(guarantee.mechanism, Beside.of(guarantee), target_delta=target_delta)
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
        if math.isinf(single) and guarantee.releases:
            return _is_disproved_where_nothing_is_promised(guarantee, epsilon, delta=delta, records=records)
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


def _is_disproved_where_nothing_is_promised(
    guarantee: PrivacyGuarantee, epsilon: float, *, delta: float, records: int
) -> bool:
    """Of a bound at a delta that thresholds have spent: what is promised at a larger one holds all the less there."""
    if epsilon <= records * epsilon_at(guarantee, guarantee.target_delta):
        return False
    raise EvidenceError(
        f"A bound of epsilon >= {epsilon:g} at delta={delta:g} cannot be compared with the guarantee, whose releases' "
        "thresholds have spent that delta: nothing is promised there."
    )


def epsilon_of_this_run(guarantee: PrivacyGuarantee) -> float:
    """Epsilon of the run's own training, its base model and releases left out.

    For information, and for an audit, which tests this training alone; never to be held against a limit.
    """
    bounds = _bounds(guarantee.mechanism, _ALONE, target_delta=guarantee.target_delta)
    return math.inf if bounds is None else bounds.best


class StatedBounds(NamedTuple):
    """The two epsilon fields of a guarantee."""

    pld: Epsilon | None
    rdp: Epsilon


def stated_bounds(
    mechanism: DPMechanism | NoMechanism, target_delta: float, *, beside: Beside = _ALONE
) -> StatedBounds:
    """What a guarantee states for a mechanism that was executed.

    Args:
      mechanism: Of this run.
      target_delta: In (0, 1).
      beside: What else epsilon is of.
    """
    bounds = _bounds(mechanism, beside, target_delta=target_delta)
    return StatedBounds(None, "inf") if bounds is None else StatedBounds(bounds.pld, bounds.rdp)


def _bounds(mechanism: DPMechanism | NoMechanism, beside: Beside, *, target_delta: float) -> EpsilonBounds | None:
    """Of a run and what is beside it; None where nothing bounds epsilon."""
    return largest(spendings(mechanism, beside), target_delta, interval=beside.interval)


def epsilon_with_references(
    mechanism: DPMechanism | NoMechanism,
    reference: DPMechanism | NoMechanism,
    *,
    trainings_per_record: int,
    target_delta: float,
    beside: Beside = _ALONE,
) -> float:
    """Epsilon of a model, what was released beside it and its reference models together, for one record.

    The two halves of a pair are disjoint, so a record takes part in one training of each pair: parallel
    composition within a pair, sequential composition of the pairs and of the model (McSherry 2009,
    https://doi.org/10.1145/1559845.1559850). All have the same noise and sampling, so it is one longer run for the
    accountants.

    Args:
      mechanism: Of the model.
      reference: Of each reference model.
      trainings_per_record: How many reference trainings a record may have been part of.
      target_delta: In (0, 1).
      beside: What else the model's epsilon is of. Reference models are of several splits, so all of it counts as if
        they and the model were of any.

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
    found = spendings_of(dp_sgd_event(**together._asdict()), beside, everywhere=True)
    bounds = largest(found, target_delta, interval=FINE_INTERVAL)
    return math.inf if bounds is None else bounds.best


def _check_references(guarantee: PrivacyGuarantee) -> None:
    references = guarantee.references
    if references is None:
        return
    found = epsilon_with_references(
        guarantee.mechanism,
        references.mechanism,
        trainings_per_record=references.trainings_per_record,
        target_delta=guarantee.target_delta,
        beside=Beside.of(guarantee),
    )
    stated = math.inf if references.epsilon_all == "inf" else float(references.epsilon_all)
    if not stated >= found * (1 - 1e-6):
        raise EvidenceError(
            f"The guarantee states epsilon_all={stated!r} of the model and its reference models, but together they "
            f"come to {found!r} at delta={guarantee.target_delta:g}."
        )
