"""Writes the report that explains a verdict: its facts once, as JSON, HTML, Markdown and a fragment of a model card."""

from __future__ import annotations

from collections.abc import Sequence

from tfx_privacy import compat
from tfx_privacy._version import __version__
from tfx_privacy.components import _files
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.reporting import model_card, pages, their_statement
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import JSON_NAME, BudgetPoint, Lineage


def write(
    uri: str,
    verdict: Verdict,
    evidence: Evidence,
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
    facts = build(
        verdict,
        evidence,
        lineage=lineage,
        history=history,
        utility=utility,
        software=f"tfx-privacy {__version__}",
        theirs=their_statement.of(evidence.guarantee, compat.tensorflow_privacy_statement),
    )
    _files.write_text(uri, JSON_NAME, facts.to_json())
    _files.write_text(uri, pages.HTML_NAME, pages.to_html(facts))
    _files.write_text(uri, pages.MARKDOWN_NAME, pages.to_markdown(facts))
    _files.write_text(uri, model_card.FILE_NAME, model_card.to_json(facts))
