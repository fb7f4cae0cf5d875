"""The command `tfx-privacy`.

Imports stay inside the commands: `--help` answers at once, TensorFlow needs many seconds.
"""

from __future__ import annotations

import pathlib
import sys

import click

from tfx_privacy._version import __version__
from tfx_privacy.commands import terminal
from tfx_privacy.commands.compile import compile
from tfx_privacy.commands.keys import keys
from tfx_privacy.commands.ledger import ledger
from tfx_privacy.commands.lint import lint
from tfx_privacy.commands.migrate import migrate
from tfx_privacy.commands.numbers import FINITE
from tfx_privacy.commands.plan import plan
from tfx_privacy.commands.policy_digest import policy_digest
from tfx_privacy.commands.report import report
from tfx_privacy.commands.run_ir import run_ir
from tfx_privacy.commands.template import template
from tfx_privacy.errors import TFXPrivacyError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tfx-privacy")
def cli() -> None:
    """Differential privacy for TFX pipelines: train, attack, and gate a model."""


cli.add_command(compile)
cli.add_command(keys)
cli.add_command(ledger)
cli.add_command(lint)
cli.add_command(migrate)
cli.add_command(plan)
cli.add_command(policy_digest)
cli.add_command(report)
cli.add_command(template)
cli.add_command(run_ir)


@cli.command()
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=pathlib.Path), default="demo_output", show_default=True,
    help="Folder for artifacts, metadata, models and logs.",
)  # fmt: skip
def demo(output: pathlib.Path) -> None:
    """Run the Chicago Taxi pipeline three times: pushed, refused, refused."""
    with terminal.working("Importing TFX"):
        from tfx_privacy.pipelines.taxi import demo as demonstration

    expected = [True, False, False]
    outcomes = demonstration.run(str(output.resolve()))
    if [bool(outcome.new_models) for outcome in outcomes] != expected:
        raise click.ClickException("The three runs did not end as expected: pushed, refused, refused.")


@cli.command()
@click.option("--noise-multiplier", required=True, type=FINITE, help="Noise standard deviation / l2_norm_clip.")
@click.option("--sampling-probability", required=True, type=FINITE, help="Expected batch size / number of records.")
@click.option("--steps", required=True, type=int, help="Number of updates.")
@click.option("--target-delta", required=True, type=FINITE, help="Below 1 / number of records.")
def epsilon(noise_multiplier: float, sampling_probability: float, steps: int, target_delta: float) -> None:
    """Print the epsilon of a DP-SGD run, by both accountants."""
    from tfx_privacy.accounting.epsilon import epsilon as spent
    from tfx_privacy.accounting.parameters import DPParameters

    run = DPParameters(noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps)
    with terminal.working("Accounting by PLD and RDP"):
        values = {name: spent(run, target_delta=target_delta, accountant=name) for name in ("pld", "rdp")}
    for accountant, value in values.items():
        terminal.echo(f"epsilon={value:.6g} at delta={target_delta:g} ({accountant.upper()})")


def main() -> None:
    """Runs the command; errors of this package are one line, not a traceback."""
    try:
        cli(standalone_mode=True)
    except TFXPrivacyError as error:
        terminal.echo(f"Error: {error}", err=True)
        sys.exit(1)
