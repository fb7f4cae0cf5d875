"""`tfx-privacy lint`: looks for ways past the gate in a pipeline's wiring."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tfx_privacy.commands import loading, terminal
from tfx_privacy.records import strict_json

if TYPE_CHECKING:
    from tfx_privacy.pipelines.lint import Finding

# A copy of pipelines.lint.RUNNERS: importing that takes TFX, and half a minute.
_RUNNERS = ("local", "kubeflow")


@click.command(
    epilog="""\b
    tfx-privacy lint pipeline.py
    tfx-privacy lint pipeline.py:create_pipeline --runner kubeflow
    tfx-privacy lint package.module:PIPELINE --format json

    Ends with 0 if nothing is wrong or there are warnings alone, 1 if there are errors, 2 if there is no pipeline to look at.
    """
)
@click.argument("target", metavar="PIPELINE")
@click.option(
    "--runner", type=click.Choice(_RUNNERS), default="local", show_default=True,
    help="What will run it: kubeflow stands for Kubeflow Pipelines and Vertex AI.",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.pass_context
def lint(context: click.Context, target: str, runner: str, form: str) -> None:
    """Look for ways past the gate in how a pipeline is wired.

    A Pusher without BudgetValidator's blessing, or with one that is of another model or may be missing; training that
    bypasses DPTrainer; verdicts that a cache replays; and more: docs/lint.md.

    PIPELINE is FILE.py, FILE.py:NAME or package.module:NAME, where NAME is a TFX pipeline or a function that
    returns one without arguments. The code is imported, and so executed: lint only what you would run.
    Compiled pipelines are not read.
    """
    pipeline = loading.load_pipeline(target)
    with terminal.working("Checking the wiring"):
        from tfx_privacy.pipelines import lint as rules

        findings = rules.check(pipeline, runner=runner)
    if form == "json":
        terminal.data(strict_json.dumps([dataclasses.asdict(finding) for finding in findings]) + "\n")
    else:
        _show(findings)
    context.exit(int(any(finding.severity == rules.ERROR for finding in findings)))


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        terminal.echo(f"{finding.severity}: {finding.node}: {finding.problem} [{finding.rule}]\n  {finding.remedy}")
    if not findings:
        terminal.echo("No findings.")
