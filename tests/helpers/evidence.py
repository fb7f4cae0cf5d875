"""Builders of evidence for the gate's tests: all in order unless told otherwise."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import evaluations

from tfx_privacy.accounting import composition
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, EpsilonBounds, dp_accounting_version, epsilon_bounds
from tfx_privacy.attacks.evaluation import (
    AttackResult,
    Groups,
    Interval,
    PrivacyEvaluation,
)
from tfx_privacy.attacks.trained_records import SKETCH_SIZE, SideFound, TrainedRecordsFound, is_complete
from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import LedgerPosition, LedgerRun, PlannedRun
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.gate.verdict import RULES, RuleResult
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_with_references, stated_bounds
from tfx_privacy.guarantee.record import (
    Accountant,
    CoveredRelease,
    LabelFeature,
    Population,
    PrivacyGuarantee,
    ReferenceTrainings,
    TrainedLabel,
    guarantee_digest,
)
from tfx_privacy.guarantee.spending import Beside
from tfx_privacy.guarantee.statement import write_statement
from tfx_privacy.releases.record import ExamplesRead

NOW = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.timezone.utc)
ISSUED = "2026-01-02T11:00:00+00:00"
DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
TRAINED_RECORDS_DIGEST = "sha256:" + "f" * 64
LABEL = TrainedLabel(output="", features=[LabelFeature(name="label", features="examples")], source="read", loss="keras")
POLICY = GatePolicy(max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6)


def mechanism(*, population: int = 10_000, **changes: Any) -> DPMechanism:
    values: dict[str, Any] = {
        "sampling_probability": max(0.05, 1 / population),
        "steps": 400,
        "noise_multiplier": 1.8,
        "l2_norm_clip": 1.0,
        "noise_source": "os_entropy",
    }
    values |= changes
    values.setdefault("expected_batch_size", values["sampling_probability"] * population)
    return DPMechanism(**values)


def make_guarantee(executed: DPMechanism | NoMechanism | None = None, **changes: Any) -> PrivacyGuarantee:
    population = changes.get("population")
    executed = executed or mechanism(population=population.records if population else 10_000)
    bounds = stated_bounds(executed, changes.get("target_delta", 1e-5), beside=_beside(changes))
    values: dict[str, Any] = {
        "run_id": "0" * 32,
        "issued_at": ISSUED,
        "mechanism": executed,
        "target_delta": 1e-5,
        "neighboring_relation": "ADD_OR_REMOVE_ONE",
        "privacy_unit": "example",
        "population": Population(records=10_000, source="counted"),
        "accountant": Accountant(version=dp_accounting_version()),
        "engine": "test",
        "train_splits": ["train"],
        "labels": [LABEL],
        "scope": [],
        "model_digest": DIGEST,
        "trained_records_digest": TRAINED_RECORDS_DIGEST,
        "statement": "to be written",
        "epsilon_pld": bounds.pld,
        "epsilon_rdp": bounds.rdp,
    }
    record = PrivacyGuarantee(**{**values, **changes})
    return record.model_copy(update={"statement": write_statement(record)})


def _beside(changes: Mapping[str, Any]) -> Beside:
    """What a guarantee of these changes is of, beside its training."""
    terms = {"neighboring_relation": "ADD_OR_REMOVE_ONE", "privacy_unit": "example", "train_splits": ["train"]}
    names = [field.name for field in dataclasses.fields(Beside)]
    return Beside(**{**terms, **{name: changes[name] for name in names if name in changes}})


EXAMPLES = ExamplesRead(
    span="1", fingerprint="split:single_split,num_files:1,total_bytes:9,xor_checksum:1,sum_checksum:1"
)


def release(component: str = "transform", **changes: Any) -> CoveredRelease:
    """What preprocessing released of the training split, or statistics of both."""
    is_transform = component == "transform"
    values: dict[str, Any] = {
        "run_id": ("5" if is_transform else "6") * 32,
        "release_digest": "sha256:" + ("5" if is_transform else "6") * 64,
        "component": component,
        "splits": ["train"] if is_transform else ["train", "eval"],
        "splits_disjoint_for": "example",
        "privacy_unit": "example",
        "neighboring_relation": "ADD_OR_REMOVE_ONE",
        "examples": [EXAMPLES],
        "kinds": ["moments", "vocabulary"] if is_transform else ["counts"],
        "noise_multiplier": 20.0 if is_transform else 30.0,
        "delta_spent": 1e-7 if is_transform else 0.0,
        "noise_source": "os_entropy",
        "artifact_digest": OTHER_DIGEST,
    }
    return CoveredRelease(**{**values, **changes})


def row(
    attack: str = "loss",
    feature: str = "all",
    value: str = "",
    auc: tuple[float, float, float] | None = (0.5, 0.48, 0.52),
    members: int = 10_000,
    status: str = "OK",
    reason: str = "",
) -> AttackResult:
    interval = None if auc is None else Interval(estimate=auc[0], low=auc[1], high=auc[2])
    return AttackResult(
        attack=attack,
        slice_feature=feature,
        slice_value=value,
        num_members=members,
        num_nonmembers=members // 2,
        status=status,  # type: ignore[arg-type]
        reason=reason,
        auc=interval,
    )


def rows(**changes: Any) -> list[AttackResult]:
    """The whole set and two classes, and one feature whose rare value cannot be judged."""
    return [
        row(),
        row(attack="blind"),
        row(feature="class", value="0", members=7_500),
        row(feature="class", value="1", members=2_500),
        row(feature="payment", value="card", members=4_900, **changes),
        row(feature="payment", value="invoice", members=5_000),
        row(feature="payment", value="<other>", members=96, auc=None, status="INSUFFICIENT", reason="48 others"),
    ]


def trained_records(
    num_members: int = 10_000, num_nonmembers: int = 5_000, num_overlapping: int = 0, **changes: Any
) -> TrainedRecordsFound:
    """All members were trained on and no other record but equal ones, by a sketch of as many of them as it holds."""
    num_nonmembers += num_overlapping
    size = min(num_members, SKETCH_SIZE)
    complete = is_complete(size)
    others = num_nonmembers if complete else size * num_nonmembers // num_members
    left_out = num_overlapping * others // max(num_nonmembers, 1)
    values: dict[str, Any] = {
        "digest": TRAINED_RECORDS_DIGEST,
        "reader": "default",
        "num_read": num_members,
        "num_distinct": min(num_members, changes.get("num_read", num_members)),
        "num_used": num_members,
        "num_units": num_members,
        "sketch_size": size,
        "num_seen": size,
        "members": SideFound(num_records=num_members, num_sampled=size, num_trained_on=size),
        "nonmembers": SideFound(num_records=num_nonmembers, num_sampled=others, num_trained_on=left_out),
    }
    return TrainedRecordsFound(**{**values, **changes})


def make_evaluation(results: list[AttackResult] | None = None, **changes: Any) -> PrivacyEvaluation:
    values: dict[str, Any] = {
        "issued_at": ISSUED,
        "model_digest": DIGEST,
        "member_splits": ["train"],
        "nonmember_splits": ["eval"],
        "num_members": 10_000,
        "num_nonmembers": 5_000,
        "num_overlapping": 0,
        "max_overlap": 0.05,
        "heads": [evaluations.head()],
        "signature_name": "serving_default",
        "served": evaluations.served_signatures("outputs"),
        "slice_features": ["class", "payment"],
        "confidence_level": 0.95,
        "false_positive_rates": [0.01, 0.001],
        "min_records": 300,
        "min_slice_size": 100,
        "sample_size": 20_000,
        "results": rows() if results is None else results,
        "engine": "test",
    }
    numbers = {**values, **changes}
    members, others = numbers["num_members"], numbers["num_nonmembers"]
    if "trained_records" not in changes:
        values["trained_records"] = trained_records(members, others, numbers["num_overlapping"])
    values["num_compared"] = min(members + others, 2 * numbers["sample_size"])
    if results is None and numbers.get("groups") is not None:
        values["results"] = [in_groups(found, numbers["groups"]) for found in rows()]
    return PrivacyEvaluation(**{**values, **changes})


def in_groups(found: AttackResult, groups: Groups) -> AttackResult:
    """A row whose interval reckons with groups: all of them, where it has so many records."""
    if found.status != "OK":
        return found
    members = min(found.num_members, groups.num_member_groups)
    others = min(found.num_nonmembers, groups.num_nonmember_groups)
    return found.model_copy(update={"num_member_groups": members, "num_nonmember_groups": others})


def rule_results(*changed: RuleResult) -> tuple[RuleResult, ...]:
    """Every rule of the gate, passed; and those given, as they are."""
    given = {result.rule: result for result in changed}
    fine = {"status": "passed", "value": "", "limit": "", "explanation": "Fine."}
    passed = {name: RuleResult(rule=name, **fine) for name in RULES}  # type: ignore[arg-type]
    return tuple({**passed, **given}.values())


def make_evidence(**changes: Any) -> Evidence:
    values: dict[str, Any] = {"model_digest": DIGEST}
    if "guarantee" not in changes:
        values["guarantee"] = make_guarantee()
    if "evaluation" not in changes:
        values["evaluation"] = make_evaluation()
    return Evidence(**{**values, **changes})


RUN_ID = "0" * 32
REFERENCE_RUN_ID = "1" * 32
LEDGER_ID = "e" * 32
ENTRY_HASH = "sha256:" + "c" * 64
HEAD_HASH = "sha256:" + "d" * 64
SIGNED: Mapping[str, str] = {"guarantee": "team-key", "evaluation": "team-key"}
CHARGED_POLICY = GatePolicy(
    max_epsilon=3.0,
    max_delta=1e-5,
    max_attack_auc=0.6,
    required_attacks=["loss", "blind"],
    required_slices=["payment"],
    required_tasks=["binary"],
    dataset_id="taxi",
    privacy_unit="example",
    neighboring_relation="ADD_OR_REMOVE_ONE",
    ledger="required",
    signature="required",
    max_age_days=30.0,
)
"""Everything that a policy can demand."""


def position(**changes: Any) -> LedgerPosition:
    values: dict[str, Any] = {
        "ledger_id": LEDGER_ID,
        "blocks": ["2025", "2026"],
        "sequence": 7,
        "entry_hash": ENTRY_HASH,
    }
    return LedgerPosition(**{**values, **changes})


def planned(executed: DPMechanism, **changes: Any) -> PlannedRun:
    """What was reserved for a mechanism."""
    return PlannedRun.of_event(executed.event).changed(**changes)


def charged_guarantee(**changes: Any) -> PrivacyGuarantee:
    """A guarantee whose run stands in a ledger."""
    return make_guarantee(**{"dataset_id": "taxi", "ledger": position(), **changes})


def ledger_run(record: PrivacyGuarantee, **changes: Any) -> LedgerRun:
    """What an honest ledger says of a guarantee's run: reserved as executed, committed, and another run after it."""
    executed = record.mechanism
    assert isinstance(executed, DPMechanism)
    assert record.ledger is not None
    values: dict[str, Any] = {
        "ledger_id": record.ledger.ledger_id,
        "dataset_id": record.dataset_id,
        "privacy_unit": record.privacy_unit,
        "neighboring_relation": record.neighboring_relation,
        "blocks": record.ledger.blocks,
        "run_id": record.run_id,
        "purpose": "model",
        "state": "COMMITTED",
        "planned": planned(executed),
        "model_digest": record.model_digest,
        "guarantee_digest": guarantee_digest(record),
        "sequence": record.ledger.sequence,
        "entry_hash": record.ledger.entry_hash,
        "budget_epsilon": 8.0,
        "budget_delta": 1e-6,
        "charged": 2_000,
        "budget": 8_000,
        "spent_epsilon": 4.5,
        "head_sequence": 9,
        "head_hash": HEAD_HASH,
    }
    return LedgerRun(**{**values, **changes})


def charged_evidence(**changes: Any) -> Evidence:
    """All in order under `CHARGED_POLICY`: charged, signed."""
    record = changes.get("guarantee", charged_guarantee())
    run = ledger_run(record) if isinstance(record, PrivacyGuarantee) and record.ledger is not None else None
    values: dict[str, Any] = {"guarantee": record, "ledger": run, "signatures": SIGNED}
    return make_evidence(**{**values, **changes})


def with_references(**changes: Any) -> PrivacyGuarantee:
    """A charged guarantee with four reference models, whose steps one reservation covers."""
    reference = mechanism(steps=10)
    together = epsilon_with_references(mechanism(), reference, trainings_per_record=2, target_delta=1e-5)
    references = ReferenceTrainings(num_models=4, trainings_per_record=2, mechanism=reference, epsilon_all=together)
    values: dict[str, Any] = {"references": references, "ledger": position(reference_run_ids=[REFERENCE_RUN_ID])}
    return charged_guarantee(**{**values, **changes})


def reference_run(record: PrivacyGuarantee, **changes: Any) -> LedgerRun:
    """What an honest ledger says of the reservation of `with_references`' reference models."""
    reserved = planned(mechanism(), steps=20)
    values: dict[str, Any] = {"run_id": REFERENCE_RUN_ID, "purpose": "reference_models", "planned": reserved}
    return ledger_run(record, **{**values, **changes})


def release_run(record: PrivacyGuarantee, release: CoveredRelease) -> LedgerRun:
    """What an honest ledger says of the charge of one of a guarantee's releases."""
    assert release.ledger is not None
    spent = thresholds.spent(release.delta_spent)
    reserved = PlannedRun.of(noise_multiplier=release.noise_multiplier, sampling_probability=1.0, steps=1)
    values: dict[str, Any] = {
        "run_id": release.run_id, "purpose": "release", "planned": reserved, "model_digest": release.artifact_digest,
        "guarantee_digest": release.release_digest, "sequence": release.ledger.sequence,
        "entry_hash": release.ledger.entry_hash, "delta_spent": spent, "delta_charged": 2 * spent,
        "threshold_delta": thresholds.set_aside(5e-7),
    }  # fmt: skip
    return ledger_run(record, **values)


def write_report(folder: pathlib.Path, max_epsilon: float = 3.0) -> pathlib.Path:
    """Writes a report's facts as BudgetValidator does."""
    from tfx_privacy.gate.decide import decide
    from tfx_privacy.reporting.build import build

    whole = charged_evidence()
    policy = CHARGED_POLICY.model_copy(update={"max_epsilon": max_epsilon})
    folder.mkdir(parents=True)
    facts = build(decide(whole, policy, now=NOW), whole)
    (folder / "report.json").write_text(facts.to_json())
    (folder / "report.html").write_text("<!DOCTYPE html>")
    return folder


def bounds_together(events: Sequence[Any], *, target_delta: float) -> EpsilonBounds:
    """Bounds of several runs, on the grid that a guarantee with a base model is accounted on."""
    return epsilon_bounds(
        composition.composed(events), target_delta=target_delta, value_discretization_interval=COARSE_INTERVAL
    )
