"""What a proposal decided, and what it leaves to people, as text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tfx_privacy.migration.draft import Proposal
from tfx_privacy.migration.hazards import Finding


def render(proposal: Proposal) -> str:
    """The report, in plain text."""
    name = proposal.module.path.name
    sections = [
        _section("Decided", proposal.decisions, "nothing"),
        _section("To be decided by you", proposal.questions, "nothing was found"),
        _section("Left out of run_fn", proposal.left_out, "nothing"),
        _section(
            "Not covered by epsilon", proposal.uncovered, f"nothing was found in {name} and the modules next to it"
        ),
        _wiring(proposal),
    ]
    return f"{name}: read, not executed; what follows is what its text shows.\n\n" + "\n\n".join(sections)


def diff(proposal: Proposal) -> str:
    """The proposed changes as a unified diff."""
    name = proposal.module.path.name
    old, new = proposal.module.source.text, proposal.text
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(lines)


def _section(title: str, findings: Sequence[Finding], none: str) -> str:
    lines = [f"  {finding}" for finding in findings] or [f"  ({none})"]
    count = f" ({len(findings)})" if findings else ""
    return "\n".join([f"{title}{count}:", *lines])


def _wiring(proposal: Proposal) -> str:
    lines = [
        "Instead of Trainer:",
        "  DPTrainer(",
        "      examples=..., transform_graph=..., schema=...,  # as Trainer has them",
        "      module_file=...,  # the proposed module",
        *(f"      {argument}" for argument in proposal.arguments),
        "      privacy=DPParameters(",
        "          target_epsilon=..., target_delta=...,  # yours to choose: `tfx-privacy plan` shows what epsilon "
        "buys",
        *(f"          {argument}" for argument in proposal.privacy),
        "      ),",
        "  )",
    ]
    return "\n".join(lines)
