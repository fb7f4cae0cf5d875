"""Releases for tests: what a component of preprocessing would write."""

from __future__ import annotations

import math
from typing import Any

from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.releases.record import Answer, ExamplesRead, Release, Selection, least_threshold, together

DIGEST = "sha256:" + "7" * 64
DELTA = 1e-8
_NOISE, _MAX_KEYS = 60.0, 4


def answers(delta: float = DELTA, noise: float = _NOISE) -> list[Answer]:
    """Moments of two numbers, and a vocabulary whose threshold spends delta; without a delta the moments alone."""
    moments = Answer(
        kind="moments", features=["fare", "miles"], numbers=6, l2_sensitivity=1.0, noise_standard_deviation=noise
    )
    if not delta:
        return [moments]
    sensitivity = math.sqrt(_MAX_KEYS)
    threshold = least_threshold(noise, delta=delta, max_keys=_MAX_KEYS, l2_sensitivity=sensitivity, records_of_unit=1)
    return [
        moments,
        Answer(
            kind="vocabulary",
            features=["company"],
            l2_sensitivity=sensitivity,
            noise_standard_deviation=noise,
            selection=Selection(threshold=math.ceil(threshold), delta=delta, max_keys=_MAX_KEYS),
        ),
    ]


def release(run_id: str, delta: float = DELTA, noise: float = _NOISE, **changes: Any) -> Release:
    """As it is before the ledger was told."""
    found = answers(delta, noise)
    values: dict[str, Any] = {
        "run_id": run_id,
        "issued_at": "2026-01-01T00:00:00+00:00",
        "component": "transform",
        "examples": [ExamplesRead(span="1", version="1", fingerprint="split:train,num_files:1")],
        "splits": ["train"],
        "splits_disjoint_for": "example",
        "privacy_unit": "example",
        "neighboring_relation": "ADD_OR_REMOVE_ONE",
        "answers": found,
        "noise_multiplier": together(found),
        "noise_source": "os_entropy",
        "artifact_digest": DIGEST,
        "engine": "tfx-privacy",
    }
    return Release(**{**values, **changes})


def planned(found: Release) -> PlannedRun:
    """What is reserved for a release."""
    return PlannedRun.of(noise_multiplier=found.noise_multiplier, sampling_probability=1.0, steps=1)
