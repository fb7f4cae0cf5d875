"""`tfx-privacy migrate`: proposes DPTrainer's module functions for a module with run_fn, and private analyzers for tft's."""

from __future__ import annotations

import pathlib

import click

from tfx_privacy.commands import terminal
from tfx_privacy.errors import ParameterError


@click.command(
    epilog="""\b
    tfx-privacy migrate taxi_utils.py > taxi_private.py      # the report is on stderr
    tfx-privacy migrate taxi_utils.py --diff
    tfx-privacy migrate taxi_utils.py --output taxi_private.py
    tfx-privacy migrate preprocessing.py --diff              # a module with preprocessing_fn alone
    """
)
@click.argument("module", metavar="MODULE.py", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=pathlib.Path), help=(
        "Write the proposal to a new file. An existing one is refused."
    )
)  # fmt: skip
@click.option("--diff", "as_diff", is_flag=True, help="Print what would change, rather than the whole module.")
def migrate(module: pathlib.Path, output: pathlib.Path | None, as_diff: bool) -> None:
    """Propose model_fn, input_fn and signatures_fn for a module that has run_fn, and private analyzers for a preprocessing_fn.

    Calls of tft's analyzers become those of tfx_privacy.transform, with bounds that are left to fill in.

    Prints the proposed module to stdout, and to stderr what was decided, what could not be, what has no place any more,
    and which lines no guarantee covers. The module is parsed and never executed, and no file is changed:
    docs/migrate.md.
    """
    from tfx_privacy.migration import module as modules
    from tfx_privacy.migration import proposal, report

    _check_output(output)
    proposed = proposal.propose(modules.read(module))
    terminal.echo(report.render(proposed), err=True)
    text = report.diff(proposed) if as_diff else proposed.text
    if output is None:
        terminal.data(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ParameterError(
            f"--output={str(output)!r} cannot be written: {error.strerror}. Name a new file."
        ) from None


def _check_output(output: pathlib.Path | None) -> None:
    if output is not None and (output.exists() or output.is_symlink()):
        raise ParameterError(f"--output={str(output)!r} exists already. Name a new file; nothing is overwritten.")
