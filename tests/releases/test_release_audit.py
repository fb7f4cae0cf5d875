"""A whole release, many times, on two datasets that differ by one record: what can be told of it is near what is claimed.

The difference of the two vectors of exact sums is known, so the best test of all is too (Neyman and Pearson): the noisy
numbers weighted by difference / variance. Its scores are normal, and their distance in standard deviations is mu of Gaussian
DP; the bound on it is a lower bound at the stated confidence, so above the claim it proves a fault.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import noisy
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan, plan
from tfx_privacy.releases.queries import Bounds, Counts, Moments, Quantiles, Query, VectorQuery, Vocabulary

RUNS = 6_000
CONFIDENCE = 1 - 1e-6
FALSE_ALARM = 1e-6
DELTA = 1e-5
QUERIES: list[Query] = [
    Moments(name="moments", bounds=(0.0, 100.0)),
    Quantiles(name="quantiles", bounds=(0.0, 100.0), bins=16, share=2.0),
    Counts(name="counts", keys=(b"a", b"b"), max_values=2),
    Bounds(name="bounds"),
    Vocabulary(name="vocabulary", max_values=2),
]
# The record that one dataset has and the other lacks moves every answer as far as a record can.
WORST: list[list[Any]] = [[100.0], [100.0], [b"a", b"a"], [1e9], [b"a", b"b"]]
OTHERS: list[list[Any]] = [[20.0] * 50, [20.0] * 50, [b"b"] * 50, [1.0] * 50, [b"a", b"b"] * 50]


def columns(with_record: bool, records: int = 1) -> list[Column]:
    """Of each query, the values of fifty others and, with it, of a unit's records."""
    found = []
    for own, others in zip(WORST, OTHERS, strict=True):
        each = len(others) // 50
        parts = [(number, others[number * each : (number + 1) * each]) for number in range(50)]
        parts += [(50 + number, own) for number in range(records if with_record else 0)]
        values = [value for _, row in parts for value in row]
        made = np.empty(len(values), object if isinstance(values[0], bytes) else np.float64)
        made[:] = values
        found.append(Column(made, np.concatenate([np.full(len(row), number) for number, row in parts])))
    return found


def released(made: ReleasePlan, with_record: bool, bits: RandomBits, runs: int, records: int = 1) -> np.ndarray:
    """What leaves, of shape (runs, numbers): of a vocabulary the noisy counts of two values that always pass."""
    parts = []
    for query, answer, column in zip(made.queries, made.answers, columns(with_record, records), strict=True):
        if isinstance(query, Vocabulary):
            counts = query.counts(column)
            keys, exact = sorted(counts), np.array([counts[key] for key in sorted(counts)])
            far = exact + 10_000  # a count that everybody knows, so that the threshold hides neither
            found = [noisy.noisy_values(query, answer, keys, far, bits) for _ in range(runs)]
            parts.append(
                np.array([[dict(zip(one.keys, one.counts, strict=True))[key] for key in keys] for one in found])
            )
        else:
            assert isinstance(query, VectorQuery)
            parts.append(np.array([noisy.noisy_vector(query, answer, query.sums(column), bits) for _ in range(runs)]))
    return np.concatenate(parts, axis=1).astype(np.float64)


def weights(made: ReleasePlan, records: int = 1) -> np.ndarray:
    """Of the best test: the exact difference over the variance."""
    parts = []
    for query, answer, one, other in zip(
        made.queries, made.answers, columns(True, records), columns(False, records), strict=True
    ):
        if isinstance(query, Vocabulary):
            counts = query.counts(one), query.counts(other)
            difference = np.array([counts[0][key] - counts[1][key] for key in sorted(counts[0])])
        else:
            assert isinstance(query, VectorQuery)
            difference = query.released(query.sums(one)) - query.released(query.sums(other))
        parts.append(difference / answer.noise_standard_deviation**2)
    return np.concatenate(parts)


def epsilon_of(mu: float, delta: float) -> float:
    """Of mu-GDP: Dong et al. (2022), Corollary 2.13."""

    def excess(epsilon: float) -> float:
        return (
            float(stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu))
            - delta
        )

    return float(optimize.brentq(excess, 0.0, 50.0)) if excess(0.0) > 0 else 0.0


def mu_lower_bound(scores: np.ndarray, others: np.ndarray) -> float:
    """Of the distance of two normal samples in standard deviations: a third of the error each for it and for their scale."""
    error = (1 - CONFIDENCE) / 2
    freedom = len(scores) + len(others) - 2
    pooled = ((len(scores) - 1) * scores.var(ddof=1) + (len(others) - 1) * others.var(ddof=1)) / freedom
    largest = math.sqrt(pooled * freedom / stats.chi2.ppf(error, freedom))
    reach = stats.norm.isf(error) * math.sqrt(1 / len(scores) + 1 / len(others)) * largest
    return float((scores.mean() - others.mean() - reach) / largest)


def clopper_pearson_epsilon(scores: np.ndarray, others: np.ndarray, threshold: float) -> float:
    """Largest epsilon that the numbers of scores above a threshold rule out at DELTA; no assumption on their distribution."""
    error = (1 - CONFIDENCE) / 2
    above, false = int(np.sum(scores > threshold)), int(np.sum(others > threshold))
    least = stats.beta.ppf(error, above, len(scores) - above + 1) if above else 0.0
    most = stats.beta.isf(error, false + 1, len(others) - false)
    return max(0.0, math.log((least - DELTA) / most)) if least > DELTA else 0.0


@pytest.mark.parametrize(("noise_multiplier", "records"), [(0.5, 1), (2.0, 4)], ids=["example", "user"])
def test_what_can_be_told_is_near_the_claim_and_below_it(noise_multiplier: float, records: int) -> None:
    """6,000 runs with the record and 6,000 without: the bound, at confidence 1 - 1e-6, is above 70 % of the claim."""
    unit: dict[str, Any] = {}
    if records > 1:
        unit = {"privacy_unit": "user", "user_id_key": "id", "max_records_per_user": records}
    privacy = DPPreprocessing(noise_multiplier=noise_multiplier, target_delta=2 * DELTA, selection_delta=DELTA, **unit)
    made, bits = plan(QUERIES, privacy), RandomBits.of_system()
    direction = weights(made, records)
    scores, others = (released(made, with_record, bits, RUNS, records) @ direction for with_record in (True, False))
    claimed = made.epsilon.best
    found = epsilon_of(mu_lower_bound(scores, others), DELTA)
    assert 0.7 * claimed < found <= claimed
    # The record that moves all answers most, so mu itself is the reciprocal of the noise multiplier.
    mu = (scores.mean() - others.mean()) / math.sqrt((scores.var() + others.var()) / 2)
    error = math.sqrt(2 / RUNS + mu**2 / (4 * RUNS))  # of the means' distance, and of the scale
    assert mu == pytest.approx(1 / noise_multiplier, abs=stats.norm.isf(FALSE_ALARM / 2) * error)
    # Without any assumption the bound is weaker: three standard deviations out it sees something at the smaller noise alone.
    far = float(others.mean() + 3 * others.std())
    assert 0.2 * claimed * (noise_multiplier < 1) <= clopper_pearson_epsilon(scores, others, far) <= claimed


def test_half_the_noise_would_be_found() -> None:
    """The twin that must fail: each answer with half of its noise breaks the claim."""
    privacy = DPPreprocessing(noise_multiplier=1.0, target_delta=2 * DELTA, selection_delta=DELTA)
    made, bits = plan(QUERIES, privacy), RandomBits.of_system()
    halved = [
        answer.model_copy(update={"noise_standard_deviation": answer.noise_standard_deviation / 2})
        for answer in made.answers
    ]
    wrong = ReleasePlan(made.queries, halved, made.noise_multiplier, privacy)
    scores, others = (released(wrong, with_record, bits, 4000) @ weights(wrong) for with_record in (True, False))
    assert epsilon_of(mu_lower_bound(scores, others), DELTA) > made.epsilon.best


def test_a_record_that_counts_more_often_than_it_may_would_be_found() -> None:
    """The other twin: of a query that ignores max_values, a record with many values."""
    query = Counts(name="counts", keys=(b"a",))
    made, bits = plan([query], DPPreprocessing(noise_multiplier=1.0, target_delta=DELTA)), RandomBits.of_system()
    (answer,) = made.answers
    with_record, without = (
        np.array([noisy.noisy_vector(query, answer, np.array([count]), bits)[0] for _ in range(2000)], np.float64)
        for count in (53, 50)
    )
    assert epsilon_of(mu_lower_bound(with_record, without), DELTA) > made.epsilon.best


def test_the_bound_is_one() -> None:
    """Of samples whose mu is known: below it in every one of 200 trials, and near it."""
    random = np.random.default_rng(0)
    bounds = [mu_lower_bound(random.normal(0.5, 1.0, RUNS), random.normal(0.0, 1.0, RUNS)) for _ in range(200)]
    assert max(bounds) < 0.5
    assert min(bounds) > 0.3


def test_the_claim_of_one_gaussian_is_the_exact_one() -> None:
    """PLD states no less than the closed form, and at most 1 % more."""
    for z in (0.5, 1.0, 2.0, 40.0):
        made = plan([Moments(name="x", bounds=(0.0, 1.0))], DPPreprocessing(noise_multiplier=z, target_delta=DELTA))
        assert epsilon_of(1 / z, DELTA) <= made.epsilon.best <= 1.01 * epsilon_of(1 / z, DELTA) + 1e-4
