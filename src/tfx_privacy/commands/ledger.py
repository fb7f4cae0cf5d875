"""`tfx-privacy ledger`: for whoever owns the budget of a dataset."""

from __future__ import annotations

import contextlib
import pathlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tfx_privacy._printable import printable
from tfx_privacy.commands import terminal
from tfx_privacy.commands.numbers import FINITE
from tfx_privacy.errors import LedgerError, ParameterError, TFXPrivacyError
from tfx_privacy.records import strict_json

if TYPE_CHECKING:
    from tfx_privacy.ledger import Ledger
    from tfx_privacy.ledger.state import DatasetRow
    from tfx_privacy.ledger.verification import Verified

_Head = tuple[str, int, str]
"""An entry that must be there: dataset, sequence and hash."""
_FORMATS = click.Choice(["table", "json"])
_MAX_PENDING = 10
_DIGEST = len("sha256:") + 12
_DELTAS = ("delta_spent", "threshold_delta")
"""Fields of entries that are whole units; `--format json` has these."""
_FACTS: dict[str, Any] = {
    "width": 79,
    "initial_indent": " " * 7,
    "subsequent_indent": " " * 7,
    "break_on_hyphens": False,
}
_NO_LEDGER = "There is no ledger in {address}. Make a new one, in which nothing is spent? (--new does not ask.)"
_NO_HEADS = (
    "No head is kept of: {datasets}. The file of heads is missing, empty or another one, so this does not show whether the "
    "newest entries are there. Compare with --head or --guarantee; the next change adds a head."
)
_OTHER_HEADS = (
    "The file in TFX_PRIVACY_LEDGER_ANCHOR names entries of another ledger. If that was at this address, restore its newest "
    "copy instead: what it spent is not in this one."
)
_ANSWER_BEFORE = "Settle run {run_id} ({state})? A process that is still at work on it will fail."


_SOURCE: dict[str, Any] = {
    "metavar": "env:VARIABLE",
    "help": "Environment variable with the ledger's address, e.g. sqlite:////srv/privacy/ledger.db or "
    "postgresql://user@host/database. Before or after the subcommand.",
}
_DEFAULT_SOURCE = "env:TFX_PRIVACY_LEDGER"


class _Subcommand(click.Command):
    """A subcommand that takes the group's --ledger as well: people write it in either place."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(click.Option(["--ledger"], expose_value=False, callback=_remember, **_SOURCE))


class _Group(click.Group):
    command_class = _Subcommand


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    if context.obj is not None and context.obj != value:
        # Not quoted: an address, which is no name of a variable, may hold a password.
        raise click.UsageError("--ledger before and after the subcommand names two ledgers. Give one.")
    context.obj = value


@click.group(cls=_Group)
@click.option("--ledger", "source", show_default=_DEFAULT_SOURCE, **_SOURCE)
@click.pass_context
def ledger(context: click.Context, source: str | None) -> None:
    """Keep the privacy budgets of datasets."""
    context.obj = source


def _open(context: click.Context) -> Ledger:
    from tfx_privacy.ledger import Ledger

    return context.with_resource(Ledger(context.obj or _DEFAULT_SOURCE))


@ledger.command()
@click.option("--new", is_flag=True, help="Make a new ledger without asking; fails where there is one.")
@click.pass_context
def init(context: click.Context, new: bool) -> None:
    """Make a ledger, once for all pipelines; or check the one that is there, and bring it to this version.

    In a new ledger nothing is spent. Where the address should have named an existing one, its budgets would be whole
    again; so a new one is made only if that is asked for.
    """
    opened = _open(context)
    exists = opened.exists()
    if new and exists:
        raise LedgerError(f"There is a ledger in {opened.address} already. Run `tfx-privacy ledger init` to check it.")
    if not exists and not new:
        click.confirm(_NO_LEDGER.format(address=printable(opened.address)), abort=True)
    folder = opened.missing_folder
    ledger_id = opened.initialise()
    state = "was there already, and is in order" if exists else "is new: nothing is spent in it"
    terminal.echo(f"Ledger {ledger_id} in {opened.address} {state}.")
    if folder is not None:
        terminal.echo(f"The folder {folder} was not there, and was made: see that the path is the one that you meant.")
    if not exists and opened.keeps_heads():
        terminal.echo(_OTHER_HEADS)


@ledger.command()
@click.argument("dataset_id")
@click.option("--epsilon", required=True, type=FINITE, help="Budget (nats) of all runs together; of each block.")
@click.option("--delta", required=True, type=FINITE, help="The budget's delta, below 1 / number of people.")
@click.option("--approver", required=True, help="Who decided the budget.")
@click.option("--privacy-unit", type=click.Choice(["example", "user"]), default="example", show_default=True)
@click.option(
    "--neighboring-relation", type=click.Choice(["ADD_OR_REMOVE_ONE", "REPLACE_SPECIAL"]), default="ADD_OR_REMOVE_ONE",
    show_default=True, help="ADD_OR_REMOVE_ONE for Poisson sampling, REPLACE_SPECIAL for training in passes.",
)  # fmt: skip
@click.option(
    "--threshold-delta", type=FINITE,
    help="What of delta is set aside for the thresholds of releases, such as vocabularies. Without it there is none.",
)  # fmt: skip
@click.option("--population", type=int, help="Declared number of records or users, for runs that declare none.")
@click.option(
    "--block",
    "blocks",
    multiple=True,
    help="A part that is charged by itself, of people who are in no other; repeatable.",
)
@click.pass_context
def register(context: click.Context, /, dataset_id: str, **facts: Any) -> None:
    """Register a dataset with its budget, once for its whole life.

    DATASET_ID names the people's data, not a copy or a path of it: the same people under another name would have
    another budget.
    """
    opened = _open(context)
    opened.register(dataset_id, **facts)
    terminal.echo(f"Registered {dataset_id!r}: epsilon={facts['epsilon']:g} at delta={facts['delta']:g}.")


@ledger.command("add-blocks")
@click.argument("dataset_id")
@click.argument("blocks", nargs=-1, required=True)
@click.option("--approver", required=True, help="Who vouches that these people are in no other block.")
@click.pass_context
def add_blocks(context: click.Context, dataset_id: str, blocks: tuple[str, ...], approver: str) -> None:
    """Add blocks to a dataset that has some, each with the dataset's whole budget."""
    _open(context).add_blocks(dataset_id, blocks, approver=approver)
    terminal.echo(f"Added to {dataset_id!r}: {', '.join(blocks)}.")


@ledger.command()
@click.argument("dataset_id")
@click.option("--epsilon", required=True, type=FINITE, help="The new budget (nats), at the delta of the registration.")
@click.option(
    "--threshold-delta", type=FINITE,
    help="What of that delta is set aside for thresholds from now on; as before where it is not given.",
)  # fmt: skip
@click.option("--approver", required=True, help="Who decided it.")
@click.option("--reason", required=True, help="Why.")
@click.pass_context
def budget(context: click.Context, /, dataset_id: str, epsilon: float, **facts: Any) -> None:
    """Set another budget; below what is spent it stops every further run.

    Decide what is set aside for thresholds before anything is released that has some, not by what was released.
    """
    _open(context).change_budget(dataset_id, epsilon=epsilon, **facts)
    terminal.echo(f"The budget of {dataset_id!r} is epsilon={epsilon:g}.")


@ledger.command()
@click.argument("dataset_id", required=False)
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True)
@click.pass_context
def show(context: click.Context, dataset_id: str | None, form: str) -> None:
    """Show what is spent, reserved and left, and how many runs like the last one that is."""
    from tfx_privacy.ledger import summary

    with terminal.working("Verifying the ledger's entries"):
        datasets = _open(context).verify().datasets
    if dataset_id is not None and dataset_id not in datasets:
        raise ParameterError(f"Dataset {dataset_id!r} is not registered. Registered: {', '.join(datasets) or 'none'}.")
    chosen = [datasets[dataset_id]] if dataset_id is not None else list(datasets.values())
    rows = [row for dataset in chosen for row in summary.rows(dataset)]
    if form == "json":
        terminal.data(strict_json.dumps(rows) + "\n")
        return
    if not rows:
        terminal.echo("No dataset is registered. Register one with `tfx-privacy ledger register`.")
        return
    import rich.console

    console = rich.console.Console(highlight=False)
    console.print(summary.table(rows))
    console.print(summary.EXPLANATION, style="dim")
    for dataset in chosen:
        if why := summary.explanation(dataset):
            console.print(why if len(chosen) == 1 else f"{dataset.dataset_id}: {why}", style="dim", markup=False)
        _print_pending(dataset)


def _print_pending(dataset: DatasetRow) -> None:
    from tfx_privacy.accounting.rounding import percent
    from tfx_privacy.budget import thresholds

    pending = [run for run in dataset.runs.values() if run.state in ("RESERVED", "STARTED")]
    for run in pending[:_MAX_PENDING]:
        terminal.echo(
            f"{dataset.dataset_id}: run {run.run_id} is {run.state}, with {percent(run.cost / dataset.budget)} of the "
            f"budget{f' and delta {thresholds.shown(run.delta_spent)} of its thresholds' if run.delta_spent else ''}."
        )
    if len(pending) > _MAX_PENDING:
        terminal.echo(f"{dataset.dataset_id}: and {len(pending) - _MAX_PENDING} more runs that did not end.")
    if pending:
        terminal.echo("Runs that are dead are closed with `tfx-privacy ledger settle`; they stay charged.")


@ledger.command()
@click.argument("dataset_id")
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True)
@click.pass_context
def log(context: click.Context, dataset_id: str, form: str) -> None:
    """Show a dataset's entries, after verifying them."""
    with terminal.working("Verifying the dataset's entries"):
        entries = _open(context).log(dataset_id)
    for entry in entries:
        if form == "json":
            terminal.data(strict_json.canonical(entry.model_dump(mode="json")) + "\n")
            continue
        body = entry.body.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)
        facts = ", ".join(f"{name}={_shown(value, name)}" for name, value in body.items())
        terminal.echo(f"{entry.sequence:5}  {entry.at}  {entry.body.kind}\n{textwrap.fill(printable(facts), **_FACTS)}")


def _shown(value: Any, name: str = "") -> str:
    if name in _DELTAS:
        from tfx_privacy.budget import thresholds

        return thresholds.shown(value, down=name == "threshold_delta")
    if isinstance(value, str) and value.startswith("0x"):
        return f"{float.fromhex(value):g}"
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[:_DIGEST] + "…"  # --format json has the whole
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_shown(part)}" for name, part in value.items()) + "}"
    return str(value)


@ledger.command()
@click.option(
    "--head", "heads", multiple=True, metavar="DATASET:SEQUENCE:HASH",
    help="An entry that a report or a blessing names; the ledger must hold it. Repeatable.",
)  # fmt: skip
@click.option(
    "--guarantee", "guarantees", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    help="A privacy_guarantee.json, whose run the ledger must hold, and whose releases. Repeatable.",
)  # fmt: skip
@click.option(
    "--export", "exported", type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
    help="Verify this export instead of the ledger.",
)  # fmt: skip
@click.pass_context
def verify(
    context: click.Context, heads: tuple[str, ...], guarantees: tuple[pathlib.Path, ...], exported: pathlib.Path | None
) -> None:
    """Check every entry and every sum, and that the ledger is no old copy.

    A chain of hashes shows edits; that the newest entries are missing is shown by a head that was kept elsewhere:
    --head, --guarantee, or the file in the environment variable TFX_PRIVACY_LEDGER_ANCHOR.
    """
    from tfx_privacy.ledger import exports, verification

    known = [_head(text) for text in heads]
    charged = {path: _heads_of_guarantee(path) for path in guarantees}
    with terminal.working("Verifying every entry"):
        if exported is None:
            verified = _open(context).verify(known)
        else:
            verified = exports.verify(exported.read_text(encoding="utf-8"))
            verification.require_heads(verified, known)
    _require_runs(verified, charged)
    terminal.echo(
        f"Ledger {verified.ledger_id}: {verified.num_entries} entries of {len(verified.datasets)} datasets are in "
        "order."
    )
    if verified.unanchored:
        terminal.echo(_NO_HEADS.format(datasets=", ".join(verified.unanchored)))
    for dataset in verified.datasets.values():
        terminal.echo(f"  head {dataset.dataset_id}:{dataset.head_sequence}:{dataset.head_hash}")
    for path, ((dataset_id, sequence, _), *releases) in charged.items():
        terminal.echo(f"  guarantee {path}: its run is entry {sequence} of {dataset_id}")
        for dataset_of_release, entry_of_release, _ in releases:
            terminal.echo(f"    a release that it covers is entry {entry_of_release} of {dataset_of_release}")


def _require_runs(verified: Verified, charged: Mapping[pathlib.Path, Sequence[_Head]]) -> None:
    """That the ledger holds the runs and the releases of these guarantees, by their files."""
    from tfx_privacy.ledger import verification

    for path, heads in charged.items():
        with _named(path):
            verification.require_heads(verified, heads)


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    """Says of which of several files an error is."""
    try:
        yield
    except TFXPrivacyError as error:
        raise type(error)(f"{str(path)!r}: {error}") from error


def _head(text: str) -> tuple[str, int, str]:
    parts = text.split(":", 2)
    if len(parts) != 3 or not parts[1].isdigit():
        raise ParameterError(
            f"Expected --head {text!r} to be DATASET:SEQUENCE:HASH, as `tfx-privacy ledger verify` prints it."
        )
    return parts[0], int(parts[1]), parts[2]


def _heads_of_guarantee(path: pathlib.Path) -> list[_Head]:
    """Of its own run, and of the releases in the same ledger."""
    from tfx_privacy.guarantee.record import PrivacyGuarantee
    from tfx_privacy.records import statement

    with _named(path):
        record = statement.from_json(PrivacyGuarantee, path.read_bytes())
    if record.ledger is None or record.dataset_id is None:
        raise ParameterError(f"The guarantee in {path} names no ledger: its run was charged to no budget.")
    places = [
        (record.dataset_id, record.ledger),
        *((release.dataset_id, release.ledger) for release in record.releases),
    ]
    return [
        (dataset_id, place.sequence, place.entry_hash)
        for dataset_id, place in places
        if dataset_id is not None and place is not None and place.ledger_id == record.ledger.ledger_id
    ]


@ledger.command()
@click.argument("run_id")
@click.option("--approver", required=True, help="Who says that the run is dead.")
@click.option("--reason", required=True, help="Why.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def settle(context: click.Context, run_id: str, approver: str, reason: str, yes: bool) -> None:
    """Close a run that died: its charge stays, unless it had read nothing yet."""
    opened = _open(context)
    state = opened.run(run_id).state
    if not yes:
        click.confirm(_ANSWER_BEFORE.format(run_id=run_id, state=state), abort=True)
    entry = opened.settle(run_id, approver=approver, reason=reason)
    outcome = "it had not started, and its charge is given back" if entry.body.kind == "abort" else "its charge stays"
    terminal.echo(f"Run {run_id} is closed: {outcome}.")


@ledger.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=pathlib.Path), help="File to write; the terminal by default."
)
@click.pass_context
def export(context: click.Context, output: pathlib.Path | None) -> None:
    """Write all entries as lines of JSON, which `verify --export` checks without the database."""
    from tfx_privacy.ledger import exports

    with terminal.working("Verifying the ledger's entries"):
        text = "".join(exports.lines(_open(context).verify()))
    if output is None:
        terminal.data(text)
        return
    terminal.write_new(output, text)
    terminal.echo(f"Wrote {output}.")


@ledger.command()
@click.argument("path", type=click.Path(dir_okay=False))
@click.pass_context
def backup(context: click.Context, path: str) -> None:
    """Copy a SQLite ledger to a new file, while others may use it."""
    _open(context).backup(path)
    terminal.echo(f"Wrote {path}. Before it is ever used, verify it against the newest head.")
