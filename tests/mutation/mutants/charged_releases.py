"""Bugs in what releases are charged, and in what thresholds spend of delta."""

from __future__ import annotations

from mutants.mutant import Mutant

CHARGED_RELEASES = [
    Mutant("what thresholds spend is rounded down", "thresholds:spent", "math.ceil", "math.floor", "test_thresholds"),
    Mutant("less is set aside than its parts", "thresholds:_SLACK", "2.0**-20", "0.0", "test_thresholds"),
    Mutant(
        "what is left of delta is rounded up", "thresholds:left",
        "math.nextafter(found, 0.0)", "found", "test_thresholds",
    ),
    Mutant(
        "a probability of any size is counted", "thresholds:_checked",
        "not 0.0 <= number < MAX_UNITS * UNIT", "not 0.0 <= number", "test_thresholds",
    ),
    Mutant(
        "less is shown than thresholds spent", "thresholds:shown",
        "math.ceil(nearest / UNIT) >= units", "math.ceil(nearest / UNIT) >= 0", "test_thresholds",
    ),
    Mutant(
        "what thresholds spend is not added", "replay:_reserve",
        "dataset.blocks[name].delta_charged += delta_spent", "dataset.blocks[name].delta_charged += 0",
        "test_ledger_releases",
    ),
    Mutant(
        "any thresholds fit", "admission:fits",
        "delta_spent <= left_for_thresholds(dataset, blocks)", "delta_spent >= 0", "test_ledger_admission",
    ),
    Mutant(
        "the last unit of delta is spent twice", "admission:fits",
        "delta_spent <= left_for_thresholds(dataset, blocks)", "delta_spent <= left_for_thresholds(dataset, blocks) + 1",
        "test_ledger_admission",
    ),
    Mutant(
        "the block where thresholds spent least decides", "admission:left_for_thresholds",
        "max(... for name in ...)", "min(... for name in ...)", "test_ledger_admission",
    ),
    Mutant(
        "thresholds may spend all of delta", "admission:left_for_thresholds",
        "dataset.threshold_delta - fullest", "int(dataset.delta * 2.0**60) - fullest", "test_ledger_releases",
    ),
    Mutant(
        "what is set aside pays for divergence too", "ledger.requests:registration",
        "rest = thresholds.left(delta, set_aside)", "rest = delta", "test_ledger_releases",
    ),
    Mutant(
        "a log may use what is set aside for divergence", "replay:_check_budget",
        "thresholds.left(delta, set_aside)", "delta", "test_ledger_releases",
    ),
    Mutant(
        "what thresholds spent is given to divergence later", "replay:_change_budget",
        "not all(... for block in ...)", "False", "test_ledger_releases",
    ),
    Mutant(
        "another budget forgets what is set aside", "replay:_change_budget",
        "dataset.threshold_delta if body.threshold_delta is None else body.threshold_delta",
        "0 if body.threshold_delta is None else body.threshold_delta", "test_ledger_releases",
    ),
    Mutant(
        "a settlement gives delta back", "replay:_advance",
        'run.state = "SETTLED"',
        """
        run.state = "SETTLED"
        for name in entries.block_names(run.blocks):
            dataset.blocks[name].delta_charged -= run.delta_spent
        """,
        "test_ledger_releases",
    ),
    Mutant(
        "a commit gives delta back", "replay:_advance",
        "run.model_digest, run.guarantee_digest = body.model_digest, body.guarantee_digest",
        """
        run.model_digest, run.guarantee_digest = body.model_digest, body.guarantee_digest
        for name in entries.block_names(run.blocks):
            dataset.blocks[name].delta_charged -= run.delta_spent
        """,
        "test_ledger_releases",
    ),
    Mutant(
        "one request reserves twice with another delta", "Ledger.reserve.same",
        "body.delta_spent or 0", "units", "test_ledger_releases",
    ),
    Mutant(
        "a training has thresholds", "Reserved._consistent",
        'self.delta_spent is not None and self.purpose != "release"', "False", "test_ledger_releases",
    ),
    Mutant(
        "divergence is converted at all of delta", "answers:ledger_run",
        "dataset.conversion_delta", "dataset.delta", "test_ledger_releases",
    ),
    Mutant(
        "earlier entries have another text", "GrownRecord._as_before",
        "name not in unchanged", "name", "test_golden_records test_ledger_upgrade",
    ),
    Mutant(
        "an edited log is brought to this version", "initialising:_verify_log",
        "replay.replay(rows.read_log(connection, rows.read_ledger_id(connection)))", "assert replay and rows",
        "test_ledger_upgrade",
    ),
    Mutant(
        "records are read before the release has started", "MeteredRelease.start",
        "self._ledger.start(self.run_id, attempt_id=ledgers.new_run_id())", "pass", "test_release_charge",
    ),
    Mutant(
        "a release is charged without its thresholds", "MeteredRelease.reserve",
        "delta_spent=self._delta_spent", "delta_spent=0.0", "test_release_charge",
    ),
    Mutant(
        "more is released than was charged", "MeteredRelease._require_charged",
        "not thresholds.spent(release.delta_spent) <= thresholds.spent(self._delta_spent)", "False",
        "test_release_charge",
    ),
    Mutant(
        "another unit is released than was charged", "MeteredRelease._require_charged",
        "getattr(release, name) != charged", "False", "test_release_charge",
    ),
    Mutant(
        "the noise that was planned is told, not what was added", "MeteredRelease.commit",
        "self._run.of(noise_multiplier=release.noise_multiplier, sampling_probability=1.0, steps=1)", "self._run",
        "test_release_charge",
    ),
    Mutant(
        "the gate does not look for releases", "ledger:check_releases",
        "for release in record.releases: ...", "yield from ()", "test_releases_in_ledger",
    ),
    Mutant(
        "a release without a ledger passes", "ledger:_release_problems",
        "if release.ledger is None: ...",
        """
        if release.ledger is None:
            return
        """,
        "test_releases_in_ledger",
    ),
    Mutant(
        "a release in another ledger passes", "ledger:_release_problems",
        "if release.ledger.ledger_id != run.ledger_id: ...",
        """
        if release.ledger.ledger_id != run.ledger_id:
            return
        """,
        "test_releases_in_ledger",
    ),
    Mutant(
        "a release that was not asked for passes", "ledger:_release_problems",
        "if answer is None: ...",
        """
        if answer is None:
            return
        """,
        "test_releases_in_ledger",
    ),
    Mutant(
        "a release that could not be read passes", "ledger:_release_problems",
        "if isinstance(answer, EvidenceError): ...",
        """
        if isinstance(answer, EvidenceError):
            return
        """,
        "test_releases_in_ledger",
    ),
    Mutant(
        "a release of another dataset passes", "ledger:_release_problems",
        "getattr(answer, name) != getattr(run, name)", "False", "test_releases_in_ledger",
    ),
    Mutant(
        "a release that the ledger tells otherwise passes", "ledger:_other_release_than_stated",
        "there is None or stated != there", "there is None", "test_releases_in_ledger",
    ),
    Mutant(
        "a release with less noise than was reserved passes", "ledger:_more_than_charged",
        "not release.noise_multiplier >= planned.noise_multiplier", "False", "test_releases_in_ledger",
    ),
    Mutant(
        "a release with NaN noise passes", "ledger:_more_than_charged",
        "not release.noise_multiplier >= planned.noise_multiplier", "release.noise_multiplier < planned.noise_multiplier",
        "test_releases_in_ledger",
    ),
    Mutant(
        "a release that was charged as a sample passes", "ledger:_more_than_charged",
        "planned.sampling_probability != 1.0", "False", "test_releases_in_ledger",
    ),
    Mutant(
        "a release with more delta than was reserved passes", "ledger:_more_than_charged",
        "not thresholds.spent(release.delta_spent) <= found.delta_spent", "False", "test_releases_in_ledger",
    ),
    Mutant(
        "thresholds may have spent more than is set aside", "ledger:check_dataset_budget",
        "0 <= run.delta_charged <= run.threshold_delta", "True", "test_releases_in_ledger",
    ),
    Mutant(
        "all of delta may be set aside", "ledger:check_dataset_budget",
        "set_aside < run.budget_delta", "True", "test_releases_in_ledger",
    ),
    Mutant(
        "a guarantee's releases are not looked up", "ledger:_heads_of_guarantee",
        "*((release.dataset_id, release.ledger) for release in record.releases)", "*()", "test_ledger_cli",
    ),
]  # fmt: skip
