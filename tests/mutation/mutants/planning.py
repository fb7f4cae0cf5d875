"""Bugs in the plan of a run."""

from __future__ import annotations

from mutants.mutant import Mutant

PLANNING = [
    Mutant(
        "calibrated noise is shortened", "significant_up",
        "decimal.ROUND_CEILING", "decimal.ROUND_HALF_EVEN", "test_planning",
    ),
    Mutant(
        "what is shown is not what is accounted", "_planned",
        "noise = significant_up(calibrated, ...)", "noise = calibrated", "test_planning",
    ),
    Mutant(
        "a plan's passes are amplified", "_planned",
        "run=...",
        """
        run=PlannedRun.of(
            noise_multiplier=noise, sampling_probability=resolved.sampling_probability, steps=resolved.steps
        )
        """,
        "test_planning",
    ),
    Mutant(
        "a run that almost fits is allowed", "runs_allowed",
        "max(0, left_units) // ...", "1 + max(0, left_units) // ...", "test_planning",
    ),
    Mutant(
        "a delta of one record is suggested", "suggest_delta",
        "len(str(10 * population - 1))", "len(str(population - 1))", "test_planning",
    ),
    Mutant(
        "a training is calibrated as if nothing were beside it", "_planned",
        "beside=beside", "", "test_shares",
    ),
    Mutant(
        "what is shown is of the training alone", "_planned",
        "_epsilon([*beside, event], delta, parameters.accountant)", "_epsilon([event], delta, parameters.accountant)",
        "test_shares",
    ),
    Mutant(
        "what thresholds spend of delta is spent again", "planning:plan",
        "left = target_delta - _validate.real(delta_spent=delta_spent)",
        "left = target_delta; _validate.real(delta_spent=delta_spent)", "test_shares",
    ),
    Mutant(
        "delta grows by what thresholds do not spend", "planning:plan",
        "not 0.0 < left <= target_delta", "not 0.0 < left < 1.0", "test_shares",
    ),
    Mutant(
        "only the first release is beside the training", "shares:_of_target",
        "beside=[release.run.event for _, release in releases]", "beside=[releases[0][1].run.event]", "test_shares",
    ),
    Mutant(
        "only the first release's thresholds spend", "shares:_of_target",
        "sum(release.delta_spent for _, release in releases)", "releases[0][1].delta_spent", "test_shares",
    ),
    Mutant(
        "a release has the whole epsilon", "Share.release",
        "own = self.share * target_epsilon", "own = target_epsilon", "test_shares",
    ),
    Mutant(
        "a release's noise is shortened", "Share.release",
        "significant_up(calibrated.noise_multiplier, NOISE_DIGITS)", "round(calibrated.noise_multiplier, 1) - 0.1",
        "test_shares",
    ),
    Mutant(
        "answers do not share their part", "Share._queries",
        "self.answers - self.vocabularies", "0", "test_shares",
    ),
]  # fmt: skip
