"""Bugs in the lint's rules on releases: an epsilon would be said to cover what it does not."""

from __future__ import annotations

from mutants.mutant import Mutant

LINT = [
    Mutant(
        "a release upstream that no epsilon counts", "lint.releases:_missing",
        "roles.gives_release(maker) and maker not in wired", "False",
        "test_lint_releases::test_a_release_upstream_that_is_not_counted",
    ),
    Mutant(
        "what only a transform's schema was made of is overlooked", "lint.releases:_behind",
        "[] if roles.is_dp_trainer(current) else all_inputs(current)", "[]",
        "test_lint_releases::test_a_release_that_only_the_schema_of_a_transform_was_made_of",
    ),
    Mutant(
        "a release of the same records that nobody counts", "check_unused_release",
        "data.share(data.sources(graph, node), data.sources(graph, trainer))", "False",
        "test_lint_releases::test_a_release_of_the_same_records_that_nobody_counts",
    ),
    Mutant(
        "a release of other examples is counted", "lint.releases:_other_examples",
        "own != released", "False",
        "test_lint_releases::test_a_release_of_other_examples",
    ),
    Mutant(
        "a release may be charged to any budget", "lint.releases:_other_account",
        "(trainer.exec_properties.get(key) or None) != (maker.exec_properties.get(key) or None)", "False",
        "test_lint_releases::test_releases_that_are_charged_elsewhere",
    ),
    Mutant(
        "statistics without noise are paid for", "check_unpaid",
        "roles.gives_release(node)", "True",
        "test_lint_releases::test_statistics_without_noise_beside_private_preprocessing",
    ),
    Mutant(
        "what others take stays inside", "unpaid:_strangers",
        "taker is not node and not roles.is_usual(taker)", "False",
        "test_lint_releases::test_statistics_without_noise_that_somebody_else_takes",
    ),
    Mutant(
        "whoever gives a release made it with noise", "is_releasing",
        "gives_release(node) and any(base.__module__.startswith(_RELEASING) for base in bases)", "gives_release(node)",
        "test_lint_releases::test_who_releases_is_known_by_the_executor",
    ),
    Mutant(
        "a step that releases starts without its ledger", "environment:_needs_of",
        "roles.is_dp_trainer(node) or roles.is_releasing(node)", "roles.is_dp_trainer(node)",
        "test_kubeflow::test_a_step_that_releases_needs_its_ledger_and_the_signing_key",
    ),
]  # fmt: skip
