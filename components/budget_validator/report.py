"""The report that explains a verdict: one self-contained HTML file and the same facts as JSON."""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
from collections.abc import Mapping
from typing import Any

import jinja2

from tfx_privacy.components import _files
from tfx_privacy.components.budget_validator import figures, interval_plots
from tfx_privacy.privacy import gate, rdp_filter, strict_json
from tfx_privacy.privacy._records import Record
from tfx_privacy.privacy.errors import EvidenceError
from tfx_privacy.privacy.evaluation import CONTROL, WHOLE_SET, AttackResult, Interval, PrivacyEvaluation
from tfx_privacy.privacy.findings import exposure
from tfx_privacy.privacy.gate_evidence import rounded_up
from tfx_privacy.privacy.guarantee import PrivacyGuarantee, write_statement
from tfx_privacy.privacy.ledger_record import LedgerRun
from tfx_privacy.privacy.policy import SliceLimit
from tfx_privacy.privacy.slice_limits import SliceLimits
from tfx_privacy.privacy.standing import Standing

HTML_NAME = "report.html"
JSON_NAME = "report.json"


def write(uri: str, verdict: gate.Verdict, evidence: gate.Evidence) -> None:
    """Writes both files of the report below `uri`."""
    _files.write_text(uri, JSON_NAME, to_json(verdict, evidence))
    _files.write_text(uri, HTML_NAME, to_html(verdict, evidence))


def to_json(verdict: gate.Verdict, evidence: gate.Evidence) -> str:
    """The verdict with the evidence it rests on, as strict JSON."""
    parts = {field.name: _plain(getattr(evidence, field.name)) for field in dataclasses.fields(evidence)}
    if isinstance(evidence.guarantee, PrivacyGuarantee):
        parts["statement"] = write_statement(evidence.guarantee)
    return strict_json.dumps({"verdict": strict_json.loads(verdict.to_json()), "evidence": parts}) + "\n"


def to_html(verdict: gate.Verdict, evidence: gate.Evidence) -> str:
    """The report as one page without scripts; names from the data are escaped."""
    source = importlib.resources.files("tfx_privacy") / "templates" / "report" / "report.html.j2"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(
        interval=_interval,
        percent=_percent,
        tpr=_tpr,
        bound=_bound,
        leaks=interval_plots.leaks,
        rounded_up=rounded_up,
        units=_units,
    )
    guarantee = evidence.guarantee if isinstance(evidence.guarantee, PrivacyGuarantee) else None
    evaluation = evidence.evaluation if isinstance(evidence.evaluation, PrivacyEvaluation) else None
    limit = verdict.policy.max_attack_auc
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        verdict=verdict,
        policy=_policy_entries(verdict.policy),
        guarantee=guarantee,
        # Written from the numbers that the gate checked: the file's own prose is no evidence.
        statement=write_statement(guarantee) if guarantee else "",
        ledger=evidence.ledger if isinstance(evidence.ledger, LedgerRun) else None,
        ledger_error=evidence.ledger if isinstance(evidence.ledger, EvidenceError) else None,
        signatures=[(part, _signature(evidence.signatures.get(part))) for part in gate.SIGNED_PARTS],
        evaluation=evaluation,
        rows=_attack_rows(evaluation, verdict.policy),
        controls=_controls(evaluation),
        pictures=figures.of_attacks(evaluation, guarantee, limit) if evaluation else [],
        finding_pictures=figures.of_findings(evaluation) if evaluation else [],
        limit=limit,
    )


def _attack_rows(
    evaluation: PrivacyEvaluation | None, policy: gate.GatePolicy
) -> list[tuple[AttackResult, Standing | None, float | None]]:
    """The rows of attacks on the model, each with where it stands against its limit: the riskiest judged ones first.

    The third is the limit where the policy's slice_limits set one for the row's slice.
    """
    if evaluation is None:
        return []
    rows = sorted((row for row in evaluation.results if row.attack != CONTROL), key=_by_risk)
    limits = SliceLimits(evaluation, policy)
    return [
        (
            row,
            limits.standing(row) if row.status == "OK" else None,
            limits.limit(row) if limits.limit(row) != policy.max_attack_auc else None,
        )
        for row in rows
    ]


def _by_risk(row: AttackResult) -> tuple[float, str, str]:
    risk = -row.attack_auc_upper if row.status == "OK" else 1.0
    return risk, row.slice_name, row.attack


def _controls(evaluation: PrivacyEvaluation | None) -> list[AttackResult]:
    """The control on the whole set, and on the slices that it makes doubtful."""
    rows = [] if evaluation is None else [row for row in evaluation.results if row.attack == CONTROL]
    rows.sort(key=lambda row: (row.slice_feature != WHOLE_SET, row.slice_name))
    return [row for row in rows if row.slice_feature == WHOLE_SET or row.status == "CONFOUNDED"]


def _interval(value: Interval) -> str:
    return f"{value.estimate:.3f} ({value.low:.3f} to {value.high:.3f})"


def _tpr(row: AttackResult, rate: float) -> Interval | None:
    """The row's true-positive rate at `rate`; None where too few non-members allow none."""
    found = [point.tpr for point in row.tpr_at_fpr if math.isclose(point.false_positive_rate, rate)]
    return found[0] if found else None


def _bound(value: float) -> str:
    """One end of a finding's interval; a lower bound on epsilon has no upper end."""
    return "no end" if value >= exposure.NO_UPPER_END else f"{value:.4g}"


def _units(units: int) -> str:
    """An amount of a ledger in nats of Renyi divergence."""
    return f"{units * rdp_filter.UNIT:.4g}"


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"


def _policy_entries(policy: gate.GatePolicy) -> list[tuple[str, str]]:
    """What the policy says, beside its exceptions, as names and texts."""
    values = policy.model_dump(mode="json", exclude={"schema_version", "slice_limits", "exceptions"})
    entries = [(name, _policy_text(value)) for name, value in values.items()]
    return entries + [
        (f"limit on {limit.slice_name}", f"{limit.max_attack_auc:g} ({_compared(limit, policy)} than the general one)")
        for limit in policy.slice_limits
    ]


def _policy_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "any"
    return "any" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _compared(limit: SliceLimit, policy: gate.GatePolicy) -> str:
    return "looser" if limit.max_attack_auc > policy.max_attack_auc else "not looser"


def _signature(found: str | EvidenceError | None) -> str:
    if isinstance(found, EvidenceError):
        return f"not valid: {found}"
    return "unsigned" if found is None else f"signed by {found}"


def _plain(part: object) -> Any:
    if isinstance(part, Record):
        return part.model_dump(mode="json")
    if isinstance(part, Mapping):
        return {name: _plain(value) for name, value in part.items()}
    return part if part is None or isinstance(part, str) else {"error": str(part)}
