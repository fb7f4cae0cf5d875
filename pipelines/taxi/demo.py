"""The demonstration: one pipeline, three runs, and a table of what was pushed and what was refused."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import rich.console
import rich.markup
import rich.table

from tfx_privacy.pipelines import progress

LOG_NAME = "demo.log"
# Below what the private model spends, so the gate must refuse it.
TIGHT_EPSILON = 1.0
_NUM_PREDICTIONS = 3
_WIDTH = 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One run of the demonstration: its title and what it changes in the taxi pipeline."""

    title: str
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What ML Metadata and the push directory say after a run."""

    title: str
    result: Any
    """`results.RunResult`."""
    new_models: list[str]
    """Models that appeared in the push directory during this run."""
    seconds: dict[str, float]
    """Time by component."""


def run(output_root: str) -> list[Outcome]:
    """Runs the taxi pipeline three times on the same ingested data, and shows the outcome.

    Args:
      output_root: Folder for everything that is written; logs go to `demo.log` in it.

    Returns:
      What became of the three models, in order: pushed, refused on epsilon, refused on both.
    """
    os.makedirs(output_root, exist_ok=True)
    log = os.path.join(output_root, LOG_NAME)
    with progress.output_in_file(log) as terminal:
        # A table needs room; without a terminal (a log, a pipe) rich would take 80 columns.
        console = rich.console.Console(file=terminal, width=None if terminal.isatty() else _WIDTH)
        console.print(f"Logs of TFX, TensorFlow and Beam: {log}")
        started = time.monotonic()
        with console.status("Importing TensorFlow, Beam and TFX ..."):
            from tfx_privacy.pipelines.taxi import pipeline
        imported = time.monotonic() - started
        console.print(f"TensorFlow, Beam and TFX imported in {imported:.0f} s.\n\n[dim]{pipeline.CITY_NOTICE}[/dim]\n")
        try:
            with _budget(output_root):
                outcomes = [_run_case(case, output_root, console) for case in _cases()]
                spent = _spent()
        except BaseException:
            console.print(f"[red]The run stopped.[/red] The end of {log} says more.")
            raise
        _show_table(outcomes, console)
        for sentence in dict.fromkeys(outcome.result.covers for outcome in outcomes if outcome.result.covers):
            console.print(sentence, highlight=False)
        console.print(spent)
        console.print(
            "In the first run statistics, preprocessing and training were each charged before they read a record; the second "
            "took all of it from the cache, for nothing."
        )
        _show_accuracy(outcomes, console)
        _show_predictions(outcomes[0], console)
        _show_times(outcomes, imported, time.monotonic() - started, console)
    return outcomes


@contextlib.contextmanager
def _budget(output_root: str) -> Iterator[None]:
    """A ledger next to the demonstration's other files, in which the trips have a budget."""
    from tfx_privacy.ledger.source import DEFAULT_VARIABLE
    from tfx_privacy.pipelines import local_runner
    from tfx_privacy.pipelines.taxi import pipeline

    before = os.environ.get(DEFAULT_VARIABLE)
    path = os.path.join(output_root, pipeline.LEDGER_NAME)
    try:
        local_runner.sqlite_ledger(
            path, DEFAULT_VARIABLE, pipeline.DATASET_ID, approver="the demonstration", **pipeline.BUDGET
        )
        yield
    finally:
        os.environ.pop(DEFAULT_VARIABLE, None)
        if before is not None:
            os.environ[DEFAULT_VARIABLE] = before


def _spent() -> rich.table.Table:
    from tfx_privacy.ledger import Ledger, summary
    from tfx_privacy.pipelines.taxi import pipeline

    with Ledger() as ledger:
        return summary.table(summary.rows(ledger.dataset(pipeline.DATASET_ID)))


def _cases() -> list[Case]:
    from tfx_privacy.ledger import DEFAULT_SOURCE
    from tfx_privacy.pipelines.taxi import pipeline

    charged = {"ledger": DEFAULT_SOURCE, "dataset_id": pipeline.DATASET_ID}
    return [
        Case(title="1  private, within budget", options=charged),
        Case(title="2  the same model, tighter limit", options={**charged, "max_epsilon": TIGHT_EPSILON}),
        Case(
            title="3  over-fitted, privacy off",
            options={
                "privacy": pipeline.NOT_PRIVATE,
                "custom_config": pipeline.OVERFITTED,
                "attacks_during_training": 6,
            },
        ),
    ]


def _run_case(case: Case, output_root: str, console: rich.console.Console) -> Outcome:
    from tfx_privacy.pipelines import local_runner, results
    from tfx_privacy.pipelines.taxi import pipeline

    max_epsilon = case.options.get("max_epsilon", pipeline.TARGET_EPSILON)
    console.print(
        f"[bold]{case.title}[/bold]  (max_epsilon={max_epsilon:g}, max_attack_auc={pipeline.MAX_ATTACK_AUC:g})"
    )
    serving = os.path.join(output_root, pipeline.SERVING_DIR)
    before = results.pushed_models(serving)
    with progress.component_times(console) as seconds:
        local_runner.run_locally(pipeline.create_taxi_pipeline(output_root=output_root, **case.options))
    result = results.read(os.path.join(output_root, pipeline.METADATA_NAME), pipeline.PIPELINE_NAME)
    new_models = [path for path in results.pushed_models(serving) if path not in before]
    console.print(f"  => {_verdict(result, new_models)}. {rich.markup.escape(result.message)}", highlight=False)
    console.print(f"     report: {result.report}\n", highlight=False, soft_wrap=True)
    return Outcome(title=case.title, result=result, new_models=new_models, seconds=dict(seconds))


def _verdict(result: Any, new_models: list[str]) -> str:
    """What happened, in words; a push without a blessing would be shown as what it is."""
    blessed = "[green]BLESSED[/green]" if result.blessed else "[red]NOT BLESSED[/red]"
    return f"{blessed}, {'pushed' if result.pushed and new_models else 'nothing pushed'}"


def _show_table(outcomes: list[Outcome], console: rich.console.Console) -> None:
    table = rich.table.Table(title="What the gate did", title_justify="left")
    for heading in ("run", "epsilon", "strongest attack: AUC (95 %), slice", "test accuracy", "verdict"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        metrics = outcome.result.metrics
        table.add_row(
            outcome.title,
            outcome.result.epsilon,
            outcome.result.attack_auc,
            _number(metrics.get("binary_accuracy")),
            _verdict(outcome.result, outcome.new_models),
        )
    console.print(table)


def _show_accuracy(outcomes: list[Outcome], console: rich.console.Console) -> None:
    """The price of privacy: the same model and number of epochs, with and without it."""
    from tfx_privacy.pipelines.taxi import pipeline

    private = outcomes[0].result
    with console.status("Training the same model without privacy, for comparison ..."):
        ordinary = pipeline.ordinary_accuracy(private.transform_graph, private.transformed_examples)
    console.print(
        f"Accuracy on the test split: {_number(private.metrics.get('binary_accuracy'))} with privacy; the same model "
        f"trained as long without: {ordinary:.3f}; the over-fitted one: "
        f"{_number(outcomes[-1].result.metrics.get('binary_accuracy'))}.",
        highlight=False,
    )


def _show_predictions(outcome: Outcome, console: rich.console.Console) -> None:
    """Asks the pushed model, as a server would, about raw records of the test split."""
    from tfx_privacy.pipelines.taxi import pipeline

    if not outcome.new_models:
        return
    answers = pipeline.predict(outcome.new_models[-1], pipeline.raw_examples(_NUM_PREDICTIONS))
    shown = ", ".join(f"{answer:.3f}" for answer in answers)
    console.print(
        f"The pushed model answers raw tf.Examples of {_NUM_PREDICTIONS} trips: probability of a big tip {shown}."
    )


def _show_times(outcomes: list[Outcome], imported: float, total: float, console: rich.console.Console) -> None:
    spent: dict[str, float] = {"imports": imported}
    for outcome in outcomes:
        for name, seconds in outcome.seconds.items():
            spent[name] = spent.get(name, 0.0) + seconds
    largest = sorted(spent.items(), key=lambda item: -item[1])[:6]
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in largest)
    console.print(f"Where the {total:.0f} s went: {parts}.", highlight=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
