"""The report in a notebook: what TFX's InteractiveContext shows for a PrivacyReport.

::

    from tfx_privacy.components.budget_validator import visualization
    visualization.register()
    context.run(validator)
    context.show(validator.outputs["report"])
"""

from __future__ import annotations

import html
import importlib

from tfx import types
from tfx.orchestration.experimental.interactive import visualizations

from tfx_privacy.components import _files, artifacts
from tfx_privacy.errors import EvidenceError
from tfx_privacy.reporting import pages

HEIGHT = 900
"""Of the frame, in pixels; the page scrolls in it."""


class PrivacyReportVisualization(visualizations.ArtifactVisualization):
    """Shows the report's page in a separate frame, in which nothing can run and whose styles stay inside."""

    ARTIFACT_TYPE = artifacts.PrivacyReport

    def display(self, artifact: types.Artifact) -> None:
        """Displays a report below the notebook's cell.

        Args:
          artifact: A PrivacyReport. One that was not written yet is said to be absent.
        """
        # Whoever calls this has IPython: TFX's notebook support is built on it, and declares it.
        display = importlib.import_module("IPython.display")
        display.display(display.HTML(frame(artifact.uri)))


def frame(uri: str) -> str:
    """The report below `uri` as one HTML element."""
    try:
        page = _files.read_text(uri, pages.HTML_NAME)
    except EvidenceError as error:
        return f"<p>{html.escape(str(error))}</p>"
    return (
        f'<iframe title="Privacy report" sandbox srcdoc="{html.escape(page)}" '
        f'style="width: 100%; height: {HEIGHT}px; border: 1px solid #cfcfcf; background: white;"></iframe>'
    )


def register() -> None:
    """Tells TFX's InteractiveContext to show reports; calling it twice does no harm."""
    visualizations.get_registry().register(PrivacyReportVisualization)
