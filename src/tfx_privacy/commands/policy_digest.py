"""`tfx-privacy policy-digest`: what VerifyingPusher's policy_digest is set to."""

from __future__ import annotations

import click

from tfx_privacy.commands import terminal


@click.command(name="policy-digest")
@click.argument("policy", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
def policy_digest(policy: str) -> None:
    """Print the digest of a policy file, for VerifyingPusher's policy_digest.

    It is the digest of what the file says, not of its bytes: comments and the order of keys do not count. Every verdict
    names the digest of the policy that it was made under.
    """
    from tfx_privacy.gate import policy_file

    terminal.echo(policy_file.load(policy).digest)
