"""The first screen of a report: seven facts, each with its limit."""

from __future__ import annotations

from tfx_privacy.accounting.rounding import percent, rounded_up
from tfx_privacy.attacks import served
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import LedgerRun
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.verdict import RuleResult, Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.reporting import wording
from tfx_privacy.reporting.facts import (
    Lineage,
    Strongest,
    Tile,
)


def first_screen(
    verdict: Verdict,
    evidence: Evidence,
    record: PrivacyGuarantee | None,
    attacked: PrivacyEvaluation | None,
    run: LedgerRun | None,
    strongest: Strongest | None,
    lineage: Lineage,
) -> list[Tile]:
    """Returns the seven tiles in reading order; what could not be read says so in its tile."""
    return [
        _epsilon_tile(verdict, record),
        _attack_tile(verdict, attacked, strongest),
        _served_tile(verdict, attacked),
        _budget_tile(evidence, run),
        _model_tile(evidence, lineage),
        _dataset_tile(record),
        _terms_tile(record),
    ]


def _epsilon_tile(verdict: Verdict, record: PrivacyGuarantee | None) -> Tile:
    """As the gate recomputed it, never as the file states it."""
    rule = verdict.rule("epsilon")
    delta = "no readable guarantee" if record is None else f"at delta {record.target_delta:g}"
    if rule is None or rule.status == "unknown":
        return Tile(label="Epsilon", value="not established", detail=f"{delta}; the limit is {_limit(rule)}")
    detail = f"{delta}; the limit is {_limit(rule)}"
    if record is not None and wording.covers(record):
        detail += f"; covers {wording.covers(record)}"
    return Tile(label="Epsilon", value=rule.value, detail=detail)


def _limit(rule: RuleResult | None) -> str:
    return "unknown" if rule is None else rule.limit


def _attack_tile(verdict: Verdict, attacked: PrivacyEvaluation | None, strongest: Strongest | None) -> Tile:
    label = "Strongest attack, AUC"
    if attacked is None or strongest is None:
        return Tile(label=label, value="not established", detail="No attack could be judged.")
    row = strongest.row
    assert row.auc is not None
    return Tile(
        label=label,
        value=f"{row.auc.estimate:.3f} ({row.auc.low:.3f} to {row.auc.high:.3f})",
        detail=f"{row.attack} on {row.slice_name} ({wording.sides(row)}), at {100 * attacked.confidence_level:g} % "
        f"confidence; upper bound {rounded_up(strongest.upper, 3)}, the limit is {strongest.limit:g}; 0.5 is guessing"
        f"{_named(verdict)}",
    )


def _named(verdict: Verdict) -> str:
    """What the gate found of single members, whom an AUC does not show."""
    rule = verdict.rule("attack_tpr")
    if rule is None or not rule.value:
        return ""
    return f". Members named: {rule.value}" + ("" if rule.value == "not judged" else f"; the limit is {rule.limit}")


def _served_tile(verdict: Verdict, attacked: PrivacyEvaluation | None) -> Tile:
    """What the model answers that no attack saw: who serves it must see it at once."""
    rule = verdict.rule("served_outputs")
    if attacked is None or rule is None or rule.status == "unknown":
        return Tile(label="Served outputs", value="not established", detail="No evaluation says what is served.")
    unseen = ", ".join(served.unattacked(attacked.served))
    detail = rule.explanation if rule.passed or not unseen else f"Served, not attacked, refused: {unseen}."
    return Tile(label="Served outputs", value=f"{rule.value} attacked", detail=detail)


def _budget_tile(evidence: Evidence, run: LedgerRun | None) -> Tile:
    if run is not None:
        return Tile(
            label="Budget left",
            value=percent(renyi_filter.share_left(run.charged, run.budget), down=True),
            detail=(
                f"of {run.dataset_id}'s epsilon {run.budget_epsilon:g} at delta {run.budget_delta:g}; all runs together have "
                f"spent epsilon {wording.epsilon(run.spent_epsilon)}"
            ),
        )
    if evidence.ledger is None:
        return Tile(label="Budget left", value="not known", detail="No ledger: other runs on the same data add to it.")
    return Tile(label="Budget left", value="not known", detail=str(evidence.ledger))


def _model_tile(evidence: Evidence, lineage: Lineage) -> Tile:
    origin = [text for text in (lineage.model_uri, lineage.pipeline and f"pipeline {lineage.pipeline}") if text]
    if not isinstance(evidence.model_digest, str):
        return Tile(label="Model", value="not identified", detail=str(evidence.model_digest))
    return Tile(
        label="Model",
        value=wording.short(evidence.model_digest),
        detail=", ".join(origin) or "location not stated",
    )


def _dataset_tile(record: PrivacyGuarantee | None) -> Tile:
    if record is None:
        return Tile(label="Dataset", value="not known", detail="no readable guarantee")
    units = "records" if record.privacy_unit == "example" else "users"
    size = f"{record.population.records} {units}, {record.population.source}; splits {', '.join(record.train_splits)}"
    return Tile(label="Dataset", value=record.dataset_id or "not named", detail=size)


def _terms_tile(record: PrivacyGuarantee | None) -> Tile:
    if record is None:
        return Tile(label="Privacy unit", value="not known", detail="no readable guarantee")
    return Tile(
        label="Privacy unit",
        value=wording.unit(record),
        detail=f"neighbouring relation: {wording.relation(record)}",
    )
