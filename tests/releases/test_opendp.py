"""OpenDP's privacy map of a noisy histogram with a threshold, as an oracle for ours; where it is installed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import plan
from tfx_privacy.releases.queries import Vocabulary
from tfx_privacy.releases.record import Answer

dp: Any = pytest.importorskip("opendp.prelude", reason="opendp, which is no dependency of ours, is not installed")


def answer_of(noise_multiplier: float, delta: float, max_values: int) -> Answer:
    terms = DPPreprocessing(noise_multiplier=noise_multiplier, target_delta=0.1, selection_delta=delta)
    return plan([Vocabulary(name="x", max_values=max_values)], terms).answers[0]


def of_opendp(answer: Answer, threshold: int, max_values: int) -> tuple[float, float]:
    """Its rho and delta for a record that adds one to each of `max_values` values."""
    dp.enable_features("contrib")
    domain = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T=int))
    metric = dp.l02inf_distance(dp.absolute_distance(T=int))
    made = dp.m.make_gaussian_threshold(domain, metric, scale=answer.noise_standard_deviation, threshold=threshold)
    rho, delta = made.map((max_values, math.isqrt(max_values), 1))
    return float(rho), float(delta)


@pytest.mark.parametrize("max_values", [1, 4])
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("noise_multiplier", [2.0, 10.0, 80.0])
def test_its_delta_is_ours_within_one_count(noise_multiplier: float, delta: float, max_values: int) -> None:
    """It releases above the threshold and we from it on, and both are rounded: they may differ by a count or two."""
    answer = answer_of(noise_multiplier, delta, max_values)
    assert answer.selection is not None
    threshold = answer.selection.threshold
    assert of_opendp(answer, threshold, max_values)[1] <= delta
    assert of_opendp(answer, threshold - 3, max_values)[1] > delta


@pytest.mark.parametrize("noise_multiplier", [2.0, 10.0, 80.0])
def test_its_rho_is_ours(noise_multiplier: float) -> None:
    """Of zero-concentrated privacy: 1 / (2 noise_multiplier^2)."""
    rho, _ = of_opendp(answer_of(noise_multiplier, 1e-6, 1), 1000, 1)
    assert math.isclose(rho, 0.5 / noise_multiplier**2, rel_tol=1e-6)
