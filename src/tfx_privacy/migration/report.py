"""What a proposal decided, and what it leaves to people, as text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tfx_privacy.migration.draft import Proposal
from tfx_privacy.migration.hazards import Finding

_BUDGET = {
    False: "target_epsilon=..., target_delta=...,  # yours to choose: `tfx-privacy plan` shows what epsilon buys",
    True: "target_delta=...,  # yours to choose; the noise below is the module's: `tfx-privacy epsilon` tells its epsilon",
}
"""By whether the module states its own noise."""


def render(proposal: Proposal) -> str:
    """The report, in plain text."""
    name = proposal.module.path.name
    sections = [
        _section("Decided", proposal.decisions, "nothing"),
        _section("To be decided by you", proposal.questions, "nothing was found"),
        _section("Left out of run_fn", proposal.left_out, "nothing"),
        _section("Not covered by epsilon", proposal.uncovered, "nothing was found in the files that were read"),
        _files(proposal),
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


def _files(proposal: Proposal) -> str:
    """What was read, and what was not."""
    lines = [f"  read: {', '.join(proposal.read)}"]
    if proposal.only_seen:
        lines.append(
            f"  seen, and not read but for a preprocessing_fn, which they have not: {', '.join(proposal.only_seen)}"
        )
    if proposal.not_read:
        lines.append(f"  not read (no Python that parses here, or too many files): {', '.join(proposal.not_read)}")
    if proposal.libraries:
        lines.append(f"  imported and not looked into: {', '.join(proposal.libraries)}")
    return "\n".join(["Files:", *lines])


def _wiring(proposal: Proposal) -> str:
    lines = [
        "Instead of Trainer:",
        "  DPTrainer(",
        "      examples=..., transform_graph=..., schema=...,  # as Trainer has them",
        "      module_file=...,  # the proposed module",
        *(f"      {argument}" for argument in proposal.arguments),
        "      privacy=DPParameters(",
        f"          {_BUDGET[proposal.states_noise]}",
        *(f"          {argument}" for argument in proposal.privacy),
        "      ),",
        "  )",
    ]
    return "\n".join(lines)
