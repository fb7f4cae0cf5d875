"""`tfx-privacy report`: shows a report that BudgetValidator wrote, or renders it in another form."""

from __future__ import annotations

import pathlib
import re
import urllib.parse
import urllib.request
import webbrowser
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tfx_privacy.commands import registry_entry, terminal
from tfx_privacy.errors import EvidenceError

if TYPE_CHECKING:
    from tfx_privacy.reporting.facts import ReportFacts

REGISTRY = "registry"
FORMATS = ("html", "json", "md", "model-card", REGISTRY)
JSON_NAME, HTML_NAME = "report.json", "report.html"
_REMOTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


class _Found(NamedTuple):
    """A report's JSON, and where it lies."""

    path: str
    text: str


@click.command(
    epilog="""\b
    tfx-privacy report demo_output/artifacts/BudgetValidator/report/10
    tfx-privacy report demo_output/artifacts/BudgetValidator --open
    tfx-privacy report report.json --format md --output report.md
    tfx-privacy report gs://bucket/BudgetValidator/report/10 --format model-card
    tfx-privacy report report.json --format registry --curator "City of X" --output entry.yaml

    Ends with 0 whatever the verdict is, 1 if there is no readable report.
    """
)
@click.argument("target", metavar="PATH")
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to render in place of the summary.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="File to write what was rendered to; it must not exist. Without it, it is printed.",
)  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@registry_entry.options
def report(target: str, form: str | None, output: pathlib.Path | None, open_: bool, **declared: Any) -> None:
    """Show a report of BudgetValidator's, or render it in another form.

    PATH is the folder of a report, its report.json or report.html, BudgetValidator's folder of artifacts
    (the newest report counts) or one of its blessings; or the address of one of these on a file system that
    TFX knows, such as gs://.

    Reports are explanations and no evidence: they are read as they are. What lets Pusher deploy is the blessing.

    --format registry writes an entry of the DP Deployments Registry (opendp/deployments-registry-data) as YAML, of a
    report or of a DPTrainer's privacy_guarantee.json; what only a person can say is given by the options, or is to be
    filled in.
    """
    if output is not None and form is None:
        raise click.UsageError("--output requires --format.")
    if open_ and form is not None:
        raise click.UsageError("--open shows the page as it was written: give it without --format.")
    if form != REGISTRY:
        registry_entry.check_unused(declared)
    if target.startswith("file://"):
        target = urllib.request.url2pathname(urllib.parse.urlparse(target).path)
    found = _read_remote(target) if _REMOTE.match(target) else _read_local(pathlib.Path(target))
    if form is None:
        terminal.echo(_summary(_facts(found), found.path))
        if open_:
            _open(found.path)
        return
    text = (
        registry_entry.render(found.text, found.path, declared) if form == REGISTRY else _rendered(_facts(found), form)
    )
    if output is None:
        terminal.data(text)
        return
    terminal.write_new(output, text)
    terminal.echo(f"Wrote {output}.")


def _facts(found: _Found) -> ReportFacts:
    # Imported here: pydantic, numpy and matplotlib take a second, and --help needs none of them.
    from tfx_privacy.reporting.facts import read

    try:
        return read(found.text)
    except EvidenceError as error:
        raise EvidenceError(f"{found.path!r} is no report: {error}") from error


def _read_local(path: pathlib.Path) -> _Found:
    file = _json_of(path)
    try:
        return _Found(str(file), file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{str(file)!r} cannot be read: {error}.") from error


def _json_of(path: pathlib.Path) -> pathlib.Path:
    """The report's JSON that a path stands for."""
    if path.is_file():
        if path.name == HTML_NAME:
            return _existing(path.with_name(JSON_NAME), path)
        return path
    if not path.is_dir():
        raise EvidenceError(
            f"There is no file or folder {str(path)!r}. Give the folder that BudgetValidator's report lies in."
        )
    if (path / JSON_NAME).is_file():
        return path / JSON_NAME
    if (path / registry_entry.GUARANTEE_NAME).is_file():
        return path / registry_entry.GUARANTEE_NAME
    beside = path.parent.parent / "report" / path.name / JSON_NAME
    if path.parent.name == "blessing" and beside.is_file():
        return beside
    # Execution ids count up.
    executions = [path, path / "report"]
    reports = [file for folder in executions for file in folder.glob(f"*/{JSON_NAME}") if file.parent.name.isdigit()]
    if reports:
        return max(reports, key=lambda file: int(file.parent.name))
    return _existing(path / JSON_NAME, path)


def _existing(file: pathlib.Path, given: pathlib.Path) -> pathlib.Path:
    if not file.is_file():
        raise EvidenceError(
            f"There is no {JSON_NAME} for {str(given)!r}. Give the folder of a report, such as "
            "BudgetValidator/report/10."
        )
    return file


def _read_remote(address: str) -> _Found:
    """Through TFX's file systems, which take their time to load."""
    with terminal.working("Importing TFX, for its file systems"):
        from tfx.dsl.io import fileio

    path = address if address.endswith(".json") else f"{address.rstrip('/')}/{JSON_NAME}"
    try:
        with fileio.open(path, "r") as file:
            return _Found(path, str(file.read()))
    except Exception as error:
        raise EvidenceError(f"{path!r} cannot be read: {type(error).__name__}: {error}") from error


def _rendered(facts: ReportFacts, form: str) -> str:
    if form == "json":
        return facts.to_json()
    if form == "model-card":
        from tfx_privacy.reporting import model_card

        return model_card.to_json(facts)
    from tfx_privacy.reporting import pages

    return pages.to_html(facts) if form == "html" else pages.to_markdown(facts)


def _summary(facts: ReportFacts, path: str) -> str:
    lines = [facts.verdict.headline, *(f"  {said.about}: {_line(said.text)}" for said in facts.plain)]
    lines += [f"  {tile.label}: {_line(tile.value)}; {_line(tile.detail)}" for tile in facts.summary]
    lines += [f"  excepted: {used.rule}, by {_line(used.approver)}" for used in facts.verdict.exceptions_used]
    lines += [
        f"  {rule.rule} {'unknown' if rule.status == 'unknown' else 'fails'}: {_line(rule.explanation)}"
        for rule in facts.verdict.failures
    ]
    return "\n".join([*lines, path])


def _line(text: str) -> str:
    """Text from the data as one line."""
    return " ".join(text.split())


def _open(path: str) -> None:
    page = pathlib.Path(path).with_name(HTML_NAME)
    if _REMOTE.match(path) or not page.is_file():
        raise EvidenceError(
            f"There is no {HTML_NAME} next to {path!r} to open. Render it with --format html --output FILE."
        )
    if not webbrowser.open(page.resolve().as_uri()):
        raise EvidenceError(f"No browser was found. Open {str(page)!r} by hand.")
