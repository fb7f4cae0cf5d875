"""`tfx-privacy plan`: what epsilon buys, as a table and a picture."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tfx_privacy import _validate
from tfx_privacy.accounting.composition import RELATION_OF_SAMPLING
from tfx_privacy.accounting.parameters import ACCOUNTANTS, ALGORITHMS
from tfx_privacy.budget import renyi_filter
from tfx_privacy.commands import plan_figure, plan_shares, terminal
from tfx_privacy.commands.numbers import FINITE
from tfx_privacy.errors import ParameterError
from tfx_privacy.records import strict_json

if TYPE_CHECKING:
    from rich.table import Table

    from tfx_privacy.budget.planning import PlannedTraining
    from tfx_privacy.releases.shares import SharedTraining

_COLUMNS_WITH_ROOM = 9


@click.command(
    epilog="""\b
    tfx-privacy plan --population 10000
    tfx-privacy plan --population 60000 --target-epsilon 3 --expected-batch-size 256 --expected-batch-size 2048
    tfx-privacy plan --population 10000 --noise-multiplier 1.1 --budget-epsilon 8
    tfx-privacy plan --population 10000 --target-epsilon 3 --preprocessing-share 0.1 --statistics-share 0.05
    """
)
@click.option(
    "--population", required=True, type=int, help="Number of records; of users, if a user is the privacy unit."
)
@click.option(
    "--target-delta", type=FINITE,
    help="Below 1 / population. Default: the largest power of ten that is at most a tenth of it.",
)  # fmt: skip
@click.option(
    "--target-epsilon", multiple=True, type=FINITE, help="Noise is calibrated to it; repeatable. Default: 1, 3, 8."
)
@click.option(
    "--noise-multiplier", multiple=True, type=FINITE, help="Epsilon of given noise, the other way round; repeatable."
)
@click.option(
    "--expected-batch-size", multiple=True, type=int,
    help="Repeatable. Default: powers of two near 1 % and 5 % of the population.",
)  # fmt: skip
@click.option(
    "--epochs", multiple=True, type=FINITE, help="Times that a record is drawn, on average; repeatable. Default: 10."
)
@click.option(
    "--accountant", type=click.Choice(ACCOUNTANTS), default="rdp", show_default=True,
    help=(
        "rdp is quick, and on the safe side; pld is what DPTrainer calibrates with and a guarantee states: less noise, "
        "about 2 s a row."
    ),
)  # fmt: skip
@click.option(
    "--sampling", type=click.Choice(tuple(RELATION_OF_SAMPLING)), default="poisson", show_default=True,
    help="As in DPParameters.",
)  # fmt: skip
@click.option(
    "--algorithm", type=click.Choice(ALGORITHMS), default="dp_sgd", show_default=True,
    help="As in DPParameters; dp_ftrl needs --sampling shuffled.",
)  # fmt: skip
@click.option(
    "--nonmembers", type=int,
    help="Held-out records: also say which limit on the attacks' AUC they support, against --members.",
)  # fmt: skip
@click.option("--members", type=int, help="Training records that are attacked. Default: the population.")
@click.option("--slices", type=int, default=4, show_default=True, help="Slices of all features, class and correctness.")
@click.option(
    "--max-attack-auc", type=FINITE,
    help="Also say how many models that leak nothing this limit refuses, and how many records are enough for it.",
)  # fmt: skip
@click.option("--budget-epsilon", type=FINITE, help="Also say how many such runs fit into a budget of this epsilon.")
@click.option("--budget-delta", type=FINITE, help="Delta of that budget. Default: the target delta.")
@click.option("--ledger", metavar="env:VARIABLE", help="Also say how many such runs this ledger would still admit.")
@click.option("--dataset-id", help="The dataset in that ledger.")
@click.option(
    "--reference-models", type=int, default=0, metavar="K",
    help=(
        "Also say what DPTrainer(reference_models=K) costs: epsilon of the model and all of them together, and how many "
        "models with theirs fit into a budget. Two cost one more training."
    ),
)  # fmt: skip
@plan_shares.options
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Draw noise against epsilon into this file: .svg, .png or .pdf.",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(("table", "json", "csv")), default="table", show_default=True)
def plan(
    population: int,
    target_delta: float | None,
    target_epsilon: Sequence[float],
    noise_multiplier: Sequence[float],
    expected_batch_size: Sequence[int],
    epochs: Sequence[float],
    accountant: str,
    sampling: str,
    algorithm: str,
    nonmembers: int | None,
    members: int | None,
    slices: int,
    max_attack_auc: float | None,
    budget_epsilon: float | None,
    budget_delta: float | None,
    ledger: str | None,
    dataset_id: str | None,
    reference_models: int,
    plot: pathlib.Path | None,
    form: str,
    **shared: Any,
) -> None:
    """What epsilon buys, before anything is trained.

    Every combination of target, batch size and epochs is one row: the noise it needs, how that noise compares with a
    gradient, and what the run spends. With shares the epsilon is of preprocessing, statistics and training together.
    """
    from tfx_privacy.attacks import reference_models as references
    from tfx_privacy.budget import planning

    if plot is not None and plot.suffix not in plan_figure.FORMATS:
        raise ParameterError(f"Expected plot={str(plot)!r} to end in {', '.join(plan_figure.FORMATS)}.")
    references.check_num_models(reference_models=reference_models)
    target_delta = planning.suggest_delta(population) if target_delta is None else target_delta
    of_trainings = {"budget_epsilon": budget_epsilon, "ledger": ledger, "reference_models": reference_models}
    shares = plan_shares.asked(shared, noise_multiplier=noise_multiplier, **of_trainings)
    budget = _budget(budget_epsilon, budget_delta, target_delta)
    left = _left(ledger, dataset_id)
    with terminal.working(f"Accounting possible trainings by {accountant.upper()}"):
        attacks = _attacks(population if members is None else members, nonmembers, slices, max_attack_auc)
        wishes: dict[str, Any] = {
            "population": population,
            "target_delta": target_delta,
            "target_epsilons": target_epsilon,
            "expected_batch_sizes": expected_batch_size,
            "epochs": epochs or planning.DEFAULT_EPOCHS,
            "accountant": accountant,
            "sampling": sampling,
            "algorithm": algorithm,
        }
        found = plan_shares.plan(shares, wishes) if shares else []
        runs = [row.training for row in found] or planning.plan(noise_multipliers=noise_multiplier, **wishes)
        rows = [{**_row(run, budget, left, reference_models), **attacks} for run in runs]
        for row, released in zip(rows, found, strict=bool(found)):
            row |= plan_shares.columns(released)
    if form == "json":
        terminal.data(strict_json.dumps(rows) + "\n")
    elif form == "csv":
        terminal.data(_csv(rows))
    else:
        _show(runs, rows, budget, dataset_id, found)
        if attacks:
            terminal.echo(_shown(attacks))
    if plot is not None:
        plan_figure.draw(runs, plot)
        terminal.echo(f"Wrote {plot}.", err=True)


def _budget(epsilon: float | None, delta: float | None, target_delta: float) -> dict[str, float] | None:
    """The budget's epsilon and delta; refused before anything is accounted, which takes seconds."""
    if epsilon is None:
        if delta is not None:
            raise ParameterError(f"budget_delta={delta!r} is the delta of a budget. Give budget_epsilon as well.")
        return None
    budget = {
        "epsilon": _validate.positive(budget_epsilon=epsilon),
        "delta": target_delta if delta is None else _validate.open_interval(0.0, 1.0, budget_delta=delta),
    }
    renyi_filter.best_order(**budget)
    return budget


def _attacks(
    members: int, nonmembers: int | None, slices: int, max_attack_auc: float | None
) -> dict[str, float | int | None]:
    """What so many records tell of a model; nothing where the held-out ones are not given."""
    from tfx_privacy.gate.false_refusals import Design

    if nonmembers is None:
        if max_attack_auc is not None:
            raise ParameterError(f"max_attack_auc={max_attack_auc!r} needs records to judge. Give nonmembers as well.")
        return {}
    # By the options' names.
    members, nonmembers = _validate.positive_integer(members=members), _validate.positive_integer(nonmembers=nonmembers)
    design = Design.planned(members, nonmembers, num_slices=_validate.positive_integer(slices=slices))
    found: dict[str, float | int | None] = {
        "members": members,
        "nonmembers": nonmembers,
        "smallest_attack_limit": design.smallest_limit(),
    }
    if max_attack_auc is not None:
        limit = _validate.closed_interval(0.5, 1.0, max_attack_auc=max_attack_auc)
        enough = design.enough(limit)
        found |= {
            "max_attack_auc": limit,
            "refused_without_a_leak": design.probability(limit),
            "enough_members": None if enough is None else enough[0],
            "enough_nonmembers": None if enough is None else enough[1],
        }
    return found


def _shown(attacks: dict[str, float | int | None]) -> str:
    from tfx_privacy.gate.false_refusals import MOST

    text = (
        f"Attacks on {attacks['members']} members and {attacks['nonmembers']} non-members: max_attack_auc="
        f"{attacks['smallest_attack_limit']:g} or more refuses at most {MOST:.0%} of models that leak nothing."
    )
    if "max_attack_auc" in attacks:
        text += f" max_attack_auc={attacks['max_attack_auc']:g} refuses up to {attacks['refused_without_a_leak']:.1%}; "
        text += (
            "no number of records is enough for it."
            if attacks["enough_members"] is None
            else f"{attacks['enough_members']} members and {attacks['enough_nonmembers']} non-members are enough for it."
        )
    return text


def _left(ledger: str | None, dataset_id: str | None) -> tuple[int, float] | None:
    """Units that are left of a dataset's budget, and its Renyi order; of its fullest block."""
    if (ledger is None) != (dataset_id is None):
        raise ParameterError(f"ledger={ledger!r} and dataset_id={dataset_id!r} belong together. Give both, or neither.")
    if ledger is None or dataset_id is None:
        return None
    from tfx_privacy.ledger import Ledger
    from tfx_privacy.ledger.admission import left

    with Ledger(ledger) as opened:
        dataset = opened.dataset(dataset_id)
    return left(dataset, dataset.declared_blocks), dataset.order


def _row(
    run: PlannedTraining, budget: dict[str, float] | None, left: tuple[int, float] | None, num_references: int
) -> dict[str, Any]:
    from tfx_privacy.budget import planning

    row = {
        "target_epsilon": run.target_epsilon,
        "expected_batch_size": run.expected_batch_size,
        "sampling_probability": run.sampling_probability,
        "epochs": run.epochs,
        "steps": run.steps,
        "noise_multiplier": run.noise_multiplier,
        "noise_of_mean_gradient": run.noise_of_mean_gradient,
        "epsilon": run.epsilon,
        "target_delta": run.target_delta,
        "population": run.population,
        "accountant": run.accountant,
        "sampling": run.sampling,
        "algorithm": run.algorithm,
    }
    # A record is in the training data of the model, and of one reference model of each pair.
    trainings = 1 + num_references // 2
    if num_references:
        row["reference_models"] = num_references
        row["epsilon_with_references"] = planning.epsilon_with_reference_models(run, num_references)
    if budget is not None:
        row["runs_in_budget"] = planning.runs_in_budget(run.run, **budget) // trainings
    if left is not None:
        row["runs_left"] = planning.runs_allowed(*left, run.run) // trainings
    return row


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _show(
    runs: Sequence[PlannedTraining],
    rows: Sequence[dict[str, Any]],
    budget: dict[str, float] | None,
    dataset_id: str | None,
    shared: Sequence[SharedTraining],
) -> None:
    import rich.console

    # Without a terminal rich takes 80 columns, which every table here fits.
    console = rich.console.Console(highlight=False)
    first = runs[0]
    console.print(
        f"population={first.population}, delta={first.target_delta:g}, accountant {first.accountant.upper()}, "
        f"{first.algorithm}, sampling {first.sampling}"
    )
    console.print(_table(runs, rows))
    if shared:
        console.print()
        console.print(plan_shares.table(shared))
    for note in [*_notes(first, rows[0], budget, dataset_id), *(plan_shares.NOTES if shared else ())]:
        console.print(note)


def _table(runs: Sequence[PlannedTraining], rows: Sequence[dict[str, Any]]) -> Table:
    """The runs, a row each: headings are wrapped, numbers are not."""
    import rich.box
    import rich.table

    from tfx_privacy.accounting.rounding import significant_up
    from tfx_privacy.budget.planning import NOISE_DIGITS

    def up(value: float) -> str:
        return f"{significant_up(value, NOISE_DIGITS):g}"

    columns: dict[str, list[str]] = {
        "target\nepsilon": ["-" if run.target_epsilon is None else f"{run.target_epsilon:g}" for run in runs],
        "batch\nsize": [str(run.expected_batch_size) for run in runs],
        "sampling\nprob.": [f"{run.sampling_probability:.4g}" for run in runs],
        "epochs": [f"{run.epochs:g}" for run in runs],
        "steps": [str(run.steps) for run in runs],
        "noise\nmultip.": [f"{run.noise_multiplier:g}" for run in runs],
        "noise\n(clips)": [f"{run.noise_of_mean_gradient:.3g}" for run in runs],
        "epsilon": [up(run.epsilon) for run in runs],
    }
    if "noise_multiplier_alone" in rows[0]:
        columns["noise\nalone"] = [f"{row['noise_multiplier_alone']:g}" for row in rows]
    if "epsilon_with_references" in rows[0]:
        columns["with\nrefs."] = [up(row["epsilon_with_references"]) for row in rows]
    for name in ("runs_in_budget", "runs_left"):
        if name in rows[0]:
            columns[name.replace("_", "\n", 1).replace("_", " ")] = [str(row[name]) for row in rows]
    # Between columns there is one space, and a second one where that fits 80 columns.
    padding = (0, 1, 0, 0) if len(columns) <= _COLUMNS_WITH_ROOM else 0
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=padding, show_edge=False)
    for heading in columns:
        table.add_column(heading, justify="right", vertical="bottom", overflow="fold")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _notes(
    first: PlannedTraining, row: dict[str, Any], budget: dict[str, float] | None, dataset_id: str | None
) -> Iterator[str]:
    """What the columns mean, and what does not show in them."""
    from tfx_privacy.budget.planning import FEW

    yield (
        "noise (clips): a step's mean gradient is at most one clip (l2_norm_clip) long; each of its coordinates gets noise "
        "of the standard deviation shown."
    )
    if first.population < FEW:
        yield (
            f"{first.population} {'records are' if first.population > 1 else 'record is'} very few: the noise on a whole "
            "gradient is that number times the square root of the model's number of weights, so a network learns next to "
            "nothing."
        )
    if first.accountant == "rdp":
        yield (
            "Accounted by RDP, on the safe side: DPTrainer calibrates by PLD, and gets along with somewhat less noise "
            "(--accountant pld)."
        )
    if "epsilon_with_references" in row:
        yield (
            f"with refs.: epsilon of the model and its {row['reference_models']} reference models together, which are never "
            "published. A run in a budget is a model with them."
        )
    if budget is not None:
        yield (
            f"runs in budget: of epsilon={budget['epsilon']:g} at delta={budget['delta']:g}; how many such runs a ledger "
            "would admit, each chosen after seeing the last."
        )
    if dataset_id is not None:
        yield f"runs left: how many such runs the ledger would still admit on {dataset_id!r}."
