"""What is proved of epsilon counts: lower bounds from the run's audit and from canaries, against what the guarantee implies."""

from __future__ import annotations

from typing import Any

import evidence
import numpy as np
import pytest

from tfx_privacy.attacks import exposure
from tfx_privacy.attacks.evaluation import BOUND_IF_GAUSSIAN, Finding, epsilon_metric
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.recomputation import epsilon_at, is_disproved, recomputed_epsilon
from tfx_privacy.guarantee.record import Audit, PrivacyGuarantee

GUARANTEE = evidence.make_guarantee()
# Above what the guarantee states, so no other rule refuses.
POLICY = GatePolicy(max_epsilon=30.0, max_delta=1e-5, max_attack_auc=0.6)


def canaries(bound: float, *, delta: float = 1e-5, records: int = 1, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "family": "canary_exposure", "subject": "coins", "status": "OK", "metric": epsilon_metric(delta, records=records),
        "estimate": bound, "low": bound, "high": max(bound, 100.0), "harmless": 0.0,
    }  # fmt: skip
    return Finding(**{**values, **changes})


def failures(*findings: Finding, guarantee: PrivacyGuarantee = GUARANTEE) -> dict[str, str]:
    whole = evidence.make_evidence(guarantee=guarantee, evaluation=evidence.make_evaluation(findings=list(findings)))
    return {rule.rule: rule.explanation for rule in decide(whole, POLICY, now=evidence.NOW).failures}


def test_canaries_that_prove_more_than_is_stated_refuse() -> None:
    stated = recomputed_epsilon(GUARANTEE)
    assert failures(canaries(0.0), canaries(stated * 0.999)) == {}
    (explanation,) = failures(canaries(0.0), canaries(stated * 1.001)).values()
    assert "canary_exposure on coins proves epsilon >= " in explanation
    assert failures(canaries(20.0, high=20.0)).keys() == {"proved_epsilon"}


def test_what_the_evaluator_finds_of_a_mechanism_without_noise_refuses() -> None:
    random = np.random.default_rng(0)
    bits = random.random(1000) < 0.5
    found = exposure.epsilon_finding(random.normal(size=1000) + 6.0 * bits, bits, delta=1e-5)
    assert failures(found).keys() == {"proved_epsilon"}
    harmless = exposure.epsilon_finding(random.normal(size=1000), bits, delta=1e-5)
    assert failures(harmless) == {}


def test_a_number_counts_whatever_its_status_and_wherever_it_stands() -> None:
    assert failures(canaries(20.0, status="INSUFFICIENT", reason="few")).keys() == {"proved_epsilon"}
    assert failures(canaries(20.0, low=0.0)).keys() == {"proved_epsilon"}
    assert failures(canaries(0.1, details={BOUND_IF_GAUSSIAN: 20.0})).keys() == {"proved_epsilon"}
    assert failures(canaries(0.1, details={"bound if scores are normal, model-based (nats)": 20.0})) == {}


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-8])
def test_a_bound_is_held_against_epsilon_at_its_own_delta(delta: float) -> None:
    there = epsilon_at(GUARANTEE, delta)
    assert failures(canaries(there * 0.999, delta=delta)) == {}
    assert failures(canaries(there * 1.001, delta=delta)).keys() == {"proved_epsilon"}


def test_several_records_together_may_cost_more_and_not_everything() -> None:
    """By group privacy: k epsilon, at a delta so small that k records come to the bound's."""
    single = epsilon_at(GUARANTEE, 1e-5)
    assert not is_disproved(GUARANTEE, 2.05 * single, delta=1e-5, records=2)
    assert is_disproved(GUARANTEE, 4.0 * single, delta=1e-5, records=2)
    assert failures(canaries(4.0 * single, records=2)).keys() == {"proved_epsilon"}
    assert failures(canaries(2.05 * single, records=2)) == {}


@pytest.mark.parametrize(
    "metric",
    [
        "epsilon", "lower bound on epsilon", "Lower bound on Epsilon (nats) at delta=1e-05",
        "lower bound on epsilon (nats) at delta=none", "lower bound on epsilon (nats) at delta=2",
        "lower bound on eps (nats)", "lower bound on \u03b5 at delta=1e-5", "lower bound on \u03f5", "\U0001d700 bound",
        "what is proved", "", "lower bound on epsilon (nats) at delta=nan",
        "lower bound on epsilon (nats) at delta=1e-05, of 0 records",
    ],
)  # fmt: skip
def test_a_finding_that_speaks_of_epsilon_can_be_compared_or_is_refused(metric: str) -> None:
    (explanation,) = failures(canaries(1.0, metric=metric)).values()
    assert "speaks of epsilon, and states no bound at a delta" in explanation


@pytest.mark.parametrize("metric", ["EPSILON", "bound on \u0395", "eps at 1e-5", "leak (nats)", "\uff45\uff50\uff53"])
def test_so_can_one_of_another_attack(metric: str) -> None:
    (explanation,) = failures(canaries(1.0, metric=metric, family="property_inference")).values()
    assert "speaks of epsilon, and states no bound at a delta" in explanation
    assert failures(canaries(1.0, metric="accuracy of steps on signatures", family="property_inference")) == {}


@pytest.mark.parametrize("metric", ["mean exposure (bits)", "exposure (bits)"])
def test_exposure_is_no_bound(metric: str) -> None:
    """Its p-value says that canaries are remembered, which a model within its epsilon may do."""
    assert failures(canaries(30.0, metric=metric, p_value=0.0)) == {}


NOTHING: dict[str, Any] = {"status": "INSUFFICIENT", "reason": "few", "estimate": None, "low": None, "high": None}


def test_a_bound_that_only_its_details_state_counts() -> None:
    assert failures(canaries(0.0, **NOTHING, details={BOUND_IF_GAUSSIAN: 20.0})).keys() == {"proved_epsilon"}
    assert failures(canaries(0.0, **NOTHING, details={BOUND_IF_GAUSSIAN: 0.1})) == {}
    # By whatever name the finding itself goes.
    changed = canaries(0.0, details={BOUND_IF_GAUSSIAN: 20.0}, metric="accuracy", family="property_inference")
    assert failures(changed).keys() == {"proved_epsilon"}


@pytest.mark.parametrize("left", [{"high": 20.0}, {"harmless": 0.0}, {"p_value": 0.0}])
def test_a_finding_with_numbers_and_no_bound_is_refused(left: dict[str, float]) -> None:
    (explanation,) = failures(canaries(0.0, **(NOTHING | {"harmless": None} | left))).values()
    assert "estimate and low state none" in explanation


def test_a_finding_without_numbers_says_nothing() -> None:
    assert failures(canaries(0.0, **(NOTHING | {"harmless": None}))) == {}


@pytest.mark.parametrize("name", ["epsilon_lower_bound", "epsilon_lower_bound_one_run"])
def test_both_proofs_of_an_audit_count(name: str) -> None:
    def refused(bound: float) -> set[str]:
        bounds = {"epsilon_lower_bound": 0.1, "epsilon_lower_bound_one_run": 0.1, "epsilon_lower_bound_gaussian": 9.0}
        audit = Audit(num_canaries=1000, num_members=500, confidence=0.95, **{**bounds, name: bound})
        return set(failures(guarantee=evidence.make_guarantee(audit=audit)))

    stated = recomputed_epsilon(GUARANTEE)
    assert refused(stated * 0.999) == set()
    assert refused(stated * 1.001) == {"epsilon"}


@pytest.mark.parametrize("stated", [0.0, 1.0, 2.5])
def test_the_other_epsilon_must_be_true_as_well(stated: Any) -> None:
    """Readers quote both; only one is compared with the limit."""
    assert failures(guarantee=GUARANTEE.model_copy(update={"epsilon_rdp": stated})).keys() >= {"epsilon"}
    assert failures(guarantee=GUARANTEE.model_copy(update={"epsilon_rdp": 3.5})) == {}


def test_no_more_canaries_took_part_than_there_were() -> None:
    bounds = {"epsilon_lower_bound": 0.1, "epsilon_lower_bound_one_run": 0.1, "epsilon_lower_bound_gaussian": 0.1}
    with pytest.raises(ValueError, match="num_members=101 of num_canaries=100"):
        Audit(num_canaries=100, num_members=101, confidence=0.95, **bounds)
