"""What a proposal decided, and what it leaves to people, as text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from tfx_privacy.migration.hazards import Finding
from tfx_privacy.migration.notes import Proposal

_BUDGET = {
    False: "target_epsilon=..., target_delta=...,  # yours to choose: `tfx-privacy plan` shows what epsilon buys",
    True: "target_delta=...,  # yours to choose; the noise below is the module's: `tfx-privacy epsilon` tells its epsilon",
}
"""By whether the module states its own noise."""
_RELEASES = "privacy_releases=[each.outputs['privacy_release'] for each in (statistics_gen, transform)],"
"""What makes of all epsilons one."""


def render(proposal: Proposal) -> str:
    """The report, in plain text."""
    name = proposal.module.path.name
    sections = [
        _section("Decided", proposal.decisions, "nothing"),
        _section("To be decided by you", proposal.questions, "nothing was found"),
        *([_section("Left out of run_fn", proposal.left_out, "nothing")] if proposal.trains else []),
        _section("Not covered by epsilon", proposal.uncovered, "nothing was found in the files that were read"),
        _files(proposal),
        *([_training(proposal)] if proposal.trains else []),
        *([_preprocessing(proposal)] if proposal.releases else []),
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


def _training(proposal: Proposal) -> str:
    lines = [
        "Instead of Trainer:",
        "  DPTrainer(",
        "      examples=..., transform_graph=..., schema=...,  # as Trainer has them",
        "      module_file=...,  # the proposed module",
        *(f"      {argument}" for argument in proposal.arguments),
        *([f"      {_RELEASES}"] if proposal.releases else []),
        "      privacy=DPParameters(",
        f"          {_BUDGET[proposal.states_noise]}",
        *(f"          {argument}" for argument in proposal.privacy),
        "      ),",
        "  )",
    ]
    return "\n".join(lines)


def _preprocessing(proposal: Proposal) -> str:
    """What takes the place of Transform, and of StatisticsGen, whose schema is of the records too."""
    features = [f"{name!r}: Number(bounds=...)" for name in proposal.numbers]
    features += [f"{name!r}: Text()" for name in proposal.texts if name not in proposal.numbers]
    lines = [
        "Instead of Transform:",
        "  transform = DPTransform(",
        "      examples=..., schema=...,  # as Transform has them",
        "      module_file=...,  # the proposed module",
        "      privacy=DPPreprocessing(target_epsilon=..., target_delta=...),  # a part of DPTrainer's",
        "  )",
        *([] if proposal.trains else [f"  DPTrainer(..., {_RELEASES.rstrip(',')})"]),
        "",
        "Instead of StatisticsGen, whose statistics have no noise, so the schema has none either:",
        "  statistics_gen = DPStatisticsGen(",
        "      examples=...,",
        "      features={  # all that the records have",
        *(f"          {feature}," for feature in features),
        "          ...",
        "      },",
        "      privacy=DPPreprocessing(target_epsilon=..., target_delta=...),",
        "  )",
    ]
    return "\n".join(lines)
