"""The report that explains a verdict: one self-contained HTML file and the same facts as JSON."""

from __future__ import annotations

import dataclasses
import importlib.resources
from typing import Any

import jinja2

from tfx_privacy.components import _files
from tfx_privacy.privacy import gate, strict_json
from tfx_privacy.privacy.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.privacy.guarantee import PrivacyGuarantee

HTML_NAME = "report.html"
JSON_NAME = "report.json"


def write(uri: str, verdict: gate.Verdict, evidence: gate.Evidence) -> None:
    """Writes both files of the report below `uri`."""
    _files.write_text(uri, JSON_NAME, to_json(verdict, evidence))
    _files.write_text(uri, HTML_NAME, to_html(verdict, evidence))


def to_json(verdict: gate.Verdict, evidence: gate.Evidence) -> str:
    """The verdict with the evidence it rests on, as strict JSON."""
    parts = {field.name: _plain(getattr(evidence, field.name)) for field in dataclasses.fields(evidence)}
    return strict_json.dumps({"verdict": strict_json.loads(verdict.to_json()), "evidence": parts}) + "\n"


def to_html(verdict: gate.Verdict, evidence: gate.Evidence) -> str:
    """The report as one page without scripts; names from the data are escaped."""
    source = importlib.resources.files("tfx_privacy") / "templates" / "report" / "report.html.j2"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["interval"] = _interval
    guarantee = evidence.guarantee if isinstance(evidence.guarantee, PrivacyGuarantee) else None
    evaluation = evidence.evaluation if isinstance(evidence.evaluation, PrivacyEvaluation) else None
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        verdict=verdict,
        guarantee=guarantee,
        evaluation=evaluation,
        rows=sorted(evaluation.results, key=_by_risk) if evaluation else [],
        limit=verdict.policy.max_attack_auc,
    )


def _by_risk(row: AttackResult) -> tuple[float, str, str]:
    """Judged rows first, the riskiest on top."""
    risk = -row.attack_auc_upper if row.status == "OK" else 1.0
    return risk, row.slice_name, row.attack


def _interval(value: Any) -> str:
    return "" if value is None else f"{value.estimate:.3f} ({value.low:.3f} to {value.high:.3f})"


def _plain(part: object) -> Any:
    if isinstance(part, PrivacyGuarantee | PrivacyEvaluation):
        return part.model_dump(mode="json")
    return part if isinstance(part, str) else {"error": str(part)}
