"""The shares of `tfx-privacy plan`: how preprocessing and statistics share the epsilon of a training, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tfx_privacy.commands.numbers import FINITE
from tfx_privacy.errors import ParameterError

if TYPE_CHECKING:
    from rich.table import Table

    from tfx_privacy.releases.plan import ReleasePlan
    from tfx_privacy.releases.shares import Share, SharedTraining

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PARTS = ("preprocessing", "statistics")
_SHARES = tuple(f"{part}_share" for part in _PARTS)


def options(command: _Command) -> _Command:
    """Adds the options of shares."""
    count: dict[str, Any] = {"type": int, "show_default": True}
    for option in (
        click.option("--max-records-per-user", type=int, help="With users as privacy unit: records of one that count."),
        click.option("--values-per-record", default=1, **count, help="Values that a record has in a vocabulary at most."),
        click.option("--vocabularies", default=1, **count, help="How many of the answers of a release are vocabularies."),
        click.option("--statistics-answers", default=1, **count, help="Statistics that share their part evenly."),
        click.option("--preprocessing-answers", default=1, **count, help="Analyzers that share their part evenly."),
        click.option(
            "--statistics-share", type=FINITE,
            help="Share of each target epsilon for statistics of the training records: what they spend by themselves.",
        ),
        click.option(
            "--preprocessing-share", type=FINITE,
            help="Share of each target epsilon for Transform's analyzers. The training gets what all of it together leaves.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def asked(values: Mapping[str, Any], **others: Any) -> list[Share]:
    """The shares that were asked for; none where there is no option of one.

    Args:
      values: Of the options above.
      **others: Options that do not go together with shares, by name.

    Raises:
      ParameterError: If something does not go together, or breaks a rule.
    """
    given = [name for name in _SHARES if values[name] is not None]
    if not given:
        _refuse_without_shares(values)
        return []
    for name, value in others.items():
        if value:
            raise ParameterError(
                f"{name}={value!r} does not go together with {given[0]}={values[given[0]]!r}: it is of trainings by "
                "themselves. Leave one of them out."
            )
    from tfx_privacy.releases.shares import Share

    return [
        Share(
            part=part,  # type: ignore[arg-type]
            share=values[f"{part}_share"],
            answers=values[f"{part}_answers"],
            vocabularies=values["vocabularies"],
            values_per_record=values["values_per_record"],
            max_records_per_user=values["max_records_per_user"],
        )
        for part in _PARTS
        if values[f"{part}_share"] is not None
    ]


def _refuse_without_shares(values: Mapping[str, Any]) -> None:
    context = click.get_current_context()
    for name, value in values.items():
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise ParameterError(
                f"{name}={value!r} is of a release. Give preprocessing_share or statistics_share as well."
            )


def plan(shares: Sequence[Share], wishes: dict[str, Any]) -> list[SharedTraining]:
    """The possible trainings beside their releases; `wishes` are the arguments of `budget.planning.plan`."""
    from tfx_privacy.budget.planning import DEFAULT_TARGET_EPSILONS
    from tfx_privacy.releases import shares as sharing

    targets = wishes["target_epsilons"] or DEFAULT_TARGET_EPSILONS
    return sharing.plan(shares, **{**wishes, "target_epsilons": targets})


def columns(found: SharedTraining) -> dict[str, Any]:
    """What a row says of its releases, as values of JSON."""
    row: dict[str, Any] = {"noise_multiplier_alone": found.alone.noise_multiplier}
    for share, release in found.releases:
        row |= {
            f"{share.part}_share": share.share,
            f"{share.part}_epsilon": release.epsilon.best,
            f"{share.part}_noise_multiplier": release.noise_multiplier,
            f"{share.part}_delta_spent": release.delta_spent,
            f"{share.part}_count_noise": _count_noise(release),
            f"{share.part}_threshold": _threshold(release),
        }
    return row


def _count_noise(release: ReleasePlan) -> float:
    """Standard deviation of the noise on a count of records, which the first answer is."""
    return release.answers[0].noise_standard_deviation


def _threshold(release: ReleasePlan) -> int | None:
    """Records below which a vocabulary keeps no value; None without one."""
    selection = release.answers[0].selection
    return None if selection is None else selection.threshold


def table(found: Sequence[SharedTraining]) -> Table:
    """What each release has for its share, once for each target."""
    import rich.box
    import rich.table

    from tfx_privacy.accounting.rounding import rounded_up

    shown = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column("released", vertical="bottom")
    for heading in (
        "target\nepsilon", "share", "epsilon\nalone", "noise\nmultip.", "answers", "noise of a\ncount", "threshold",
    ):  # fmt: skip
        shown.add_column(heading, justify="right", vertical="bottom")
    targets = {row.training.target_epsilon: row.releases for row in found}
    for target, releases in targets.items():
        for share, release in releases:
            threshold = _threshold(release)
            shown.add_row(
                share.part,
                f"{target:g}",
                f"{share.share:g}",
                rounded_up(release.epsilon.best),
                f"{release.noise_multiplier:g}",
                str(share.answers),
                f"{_count_noise(release):.4g}",
                "none" if threshold is None else str(threshold),
            )
    return shown


NOTES = (
    "epsilon: of preprocessing, statistics and training together. noise alone: what the training would need if it had all of "
    "it.",
    "epsilon alone: of a release by itself, at the same delta; its answers share it evenly. noise of a count, threshold: in "
    "records. A vocabulary keeps values that are in about as many records as the threshold, or more.",
)
