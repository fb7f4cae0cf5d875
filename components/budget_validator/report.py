"""Writes the report that explains a verdict: its facts once, as JSON, HTML, Markdown and a fragment of a model card."""

from __future__ import annotations

from collections.abc import Sequence

from tfx_privacy import __version__
from tfx_privacy.components import _files
from tfx_privacy.components.budget_validator import report_pages
from tfx_privacy.privacy import gate, model_card, report_facts
from tfx_privacy.privacy.report_checklist import Metric
from tfx_privacy.privacy.report_facts import BudgetPoint, Lineage


def write(
    uri: str,
    verdict: gate.Verdict,
    evidence: gate.Evidence,
    *,
    lineage: Lineage | None = None,
    history: Sequence[BudgetPoint] = (),
    utility: Sequence[Metric] = (),
) -> None:
    """Writes the report's files below `uri`.

    Args:
      uri: Of the report's artifact.
      verdict: The gate's.
      evidence: What it was made from.
      lineage: Where the validator stood.
      history: What the dataset was charged over time.
      utility: Metrics of the task.
    """
    facts = report_facts.build(
        verdict, evidence, lineage=lineage, history=history, utility=utility, software=f"tfx-privacy {__version__}"
    )
    _files.write_text(uri, report_facts.JSON_NAME, facts.to_json())
    _files.write_text(uri, report_pages.HTML_NAME, report_pages.to_html(facts))
    _files.write_text(uri, report_pages.MARKDOWN_NAME, report_pages.to_markdown(facts))
    _files.write_text(uri, model_card.FILE_NAME, model_card.to_json(facts))
