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
]  # fmt: skip
