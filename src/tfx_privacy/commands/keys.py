"""`tfx-privacy keys`: keys for signatures."""

from __future__ import annotations

import click

from tfx_privacy.commands import terminal


@click.group()
def keys() -> None:
    """Keys that sign guarantees, evaluations and verdicts."""


@keys.command()
@click.option("--algorithm", type=click.Choice(["ed25519", "hmac-sha256"]), default="ed25519", show_default=True,
    help="ed25519: who verifies cannot sign. hmac-sha256: one secret for both.",
)  # fmt: skip
@click.option("--key-id", required=True, metavar="NAME", help="Stands in every signature, e.g. validator-2026.")
def new(algorithm: str, key_id: str) -> None:
    """Print a new key as two lines NAME=value for the environment; the first is secret."""
    from tfx_privacy.records import signing

    made = signing.new_key(algorithm, key_id)  # type: ignore[arg-type] # one of the choices
    terminal.echo(f"{signing.SIGNING_KEY_VARIABLE}={made.signing}")
    terminal.echo(f"{signing.VERIFICATION_KEYS_VARIABLE}={made.verification}")
