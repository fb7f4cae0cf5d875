"""A report's facts as a fragment of a model card, in the fields of the Model Card Toolkit's schema 0.0.2.

https://github.com/tensorflow/model-card-toolkit; Mitchell et al. (2019), https://arxiv.org/abs/1810.03993. A fragment:
owners, licence, intended use and the task's metrics are for whoever writes the card.
"""

from __future__ import annotations

import math
from typing import Any

from tfx_privacy.accounting.gaussian_dp import GaussianDP
from tfx_privacy.attacks.evaluation import AttackResult
from tfx_privacy.gate import attack_limit
from tfx_privacy.records import strict_json
from tfx_privacy.reporting.facts import ReportFacts

FILE_NAME = "model_card.json"
SCHEMA_VERSION = "0.0.2"
_REFERENCES = (
    "https://arxiv.org/abs/2303.00654",
    "https://doi.org/10.6028/NIST.SP.800-226",
    "https://arxiv.org/abs/2503.10945",
)


def to_json(facts: ReportFacts) -> str:
    """The fragment as strict JSON."""
    return strict_json.dumps(build(facts)) + "\n"


def build(facts: ReportFacts) -> dict[str, Any]:
    """The fragment: model_details, model_parameters, quantitative_analysis and considerations.

    Numbers that are infinite or not established have no metric; the limitations say so.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model_details": _details(facts),
        "model_parameters": {"data": [_data(facts)]},
        "quantitative_analysis": {"performance_metrics": [*_privacy_metrics(facts), *_attack_metrics(facts)]},
        "considerations": {
            "limitations": [{"description": text} for text in _limitations(facts)],
            "tradeoffs": [{"description": _answer(facts, "Utility")}],
            "ethical_considerations": _risks(facts),
        },
    }


def _details(facts: ReportFacts) -> dict[str, Any]:
    statement = facts.evidence.statement if facts.is_established else None
    details: dict[str, Any] = {
        "overview": f"Privacy: {facts.verdict.headline}, decided at {facts.verdict.decided_at}. {_promise(facts)}",
        "documentation": statement or "No guarantee is established.",
        "version": {"date": facts.verdict.decided_at[:10]},
        "references": [{"reference": address} for address in _REFERENCES],
    }
    if facts.verdict.model_digest is not None:
        details["version"]["name"] = facts.verdict.model_digest
    return details


def _promise(facts: ReportFacts) -> str:
    """The report's first sentence: what the one epsilon covers, and what it does not."""
    return next(sentence.text for sentence in facts.plain if sentence.about == "Promise")


def _data(facts: ReportFacts) -> dict[str, Any]:
    tile = next(tile for tile in facts.summary if tile.label == "Dataset")
    return {"name": tile.value, "description": tile.detail}


def _privacy_metrics(facts: ReportFacts) -> list[dict[str, Any]]:
    record = facts.guarantee
    if record is None or not facts.is_established or not math.isfinite(record.stated_epsilon):
        return []
    terms = f"at delta={record.target_delta:g}, {record.privacy_unit}, {record.neighboring_relation}"
    metrics = [{"type": f"epsilon {terms}", "value": record.stated_epsilon}]
    if isinstance(facts.gaussian_dp, GaussianDP):
        metrics += [
            {"type": "Gaussian differential privacy, mu", "value": facts.gaussian_dp.mu},
            {"type": "Gaussian differential privacy, fit error", "value": facts.gaussian_dp.fit_error},
        ]
    return metrics


def _attack_metrics(facts: ReportFacts) -> list[dict[str, Any]]:
    rows = [] if facts.evaluation is None else attack_limit.attacked(facts.evaluation)
    return [_attack_metric(row) for row in rows]


def _attack_metric(row: AttackResult) -> dict[str, Any]:
    assert row.auc is not None
    return {
        "type": f"membership inference, AUC of the attack {row.attack}",
        "value": row.auc.estimate,
        "slice": row.slice_name,
        "confidence_interval": {"lower_bound": row.auc.low, "upper_bound": row.auc.high},
    }


def _limitations(facts: ReportFacts) -> list[str]:
    texts = [f"{item.use}: {item.covered} by epsilon. {item.detail}" for item in _uncovered(facts)]
    if not facts.is_established:
        texts.insert(0, "No epsilon is established for this model.")
    elif facts.guarantee is not None and not math.isfinite(facts.guarantee.stated_epsilon):
        texts.insert(0, "Epsilon is infinite: nothing limits what the model reveals about its training records.")
    return texts


def _uncovered(facts: ReportFacts) -> list[Any]:
    words = {"no": "not covered", "not stated": "not stated whether covered"}
    return [
        item.model_copy(update={"covered": words[item.covered]}) for item in facts.coverage if item.covered != "yes"
    ]


def _answer(facts: ReportFacts, heading: str) -> str:
    return next(answer.answer for answer in facts.disclosure if answer.heading == heading)


def _risks(facts: ReportFacts) -> list[dict[str, str]]:
    tile = next(tile for tile in facts.summary if tile.label == "Strongest attack, AUC")
    held = (
        "; ".join(f"{rule.rule}: {rule.explanation}" for rule in facts.verdict.failures)
        or "Every rule of the policy holds."
    )
    return [
        {
            "name": f"Membership inference: AUC {tile.value} ({tile.detail})",
            "mitigation_strategy": f"Verdict {facts.verdict.headline}. {held}",
        }
    ]
