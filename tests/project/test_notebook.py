"""The notebook of the demonstration runs, from a folder of its own."""

import pathlib
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "docs" / "taxi.ipynb"


def test_it_is_kept_without_results() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell.outputs for cell in notebook.cells if cell.cell_type == "code" and cell.outputs] == []


def test_it_runs_to_two_verdicts_and_shows_their_reports(tmp_path: pathlib.Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "City of Chicago" in text(cells[0])
    blessed, refused = (cell for cell in cells if "context.show" in cell.source)
    assert "\nBLESSED" in "\n" + text(blessed)
    assert "NOT BLESSED" in text(refused)
    for cell in (blessed, refused):
        assert any("<iframe" in html(output) for output in cell.outputs)
    answers = [float(word) for word in text(cells[-1]).strip("[]\n ").split(",")]
    assert len(answers) == 5
    assert all(0 < answer < 1 for answer in answers)
    assert {path.name for path in tmp_path.iterdir()} == {"notebook_output"}


def text(cell: Any) -> str:
    """What a cell printed, and its last value."""
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def html(output: Any) -> str:
    return "".join(output.get("data", {}).get("text/html", ""))
