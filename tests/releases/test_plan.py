"""The budget of a release is split once, and its parts come to what is stated."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy import stats

from tfx_privacy.accounting.composition import MAX_NOISE_MULTIPLIER, MIN_NOISE_MULTIPLIER
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan, plan
from tfx_privacy.releases.queries import Bounds, Moments, Presence, Quantiles, Query, Vocabulary
from tfx_privacy.releases.record import MAX_ANSWERS, Release
from tfx_privacy.third_party import dp_accounting
from tfx_privacy.third_party.dp_accounting import pld

MOMENTS = Moments(name="mean(fare)", bounds=(0.0, 200.0))
QUANTILES = Quantiles(name="bucketize(miles)", bounds=(0.0, 50.0), bins=64, share=2.0)
WORDS = Vocabulary(name="vocabulary(company)")
TAGS = Vocabulary(name="vocabulary(tags)", max_values=5, share=0.5)
QUERIES: list[Query] = [MOMENTS, QUANTILES, WORDS, TAGS, Bounds(name="bounds(x)"), Presence(name="presence")]
USER: dict[str, Any] = {"privacy_unit": "user", "user_id_key": "id", "max_records_per_user": 7}


def asked(**changes: Any) -> DPPreprocessing:
    facts = {"noise_multiplier": 40.0, "target_delta": 1e-6, **changes}
    return DPPreprocessing(**{name: value for name, value in facts.items() if value is not None})


def of_unit(made: ReleasePlan) -> list[float]:
    """Each answer's noise over what the records of one unit move it by."""
    return [
        answer.noise_standard_deviation / (query.l2_sensitivity * made.privacy.records_of_unit)
        for query, answer in zip(made.queries, made.answers, strict=True)
    ]


@pytest.mark.parametrize("unit", [{}, USER], ids=["example", "user"])
def test_all_answers_come_to_the_noise_multiplier(unit: dict[str, Any]) -> None:
    made = plan(QUERIES, asked(**unit))
    together = 1.0 / math.sqrt(sum(1.0 / z**2 for z in of_unit(made)))
    assert together == pytest.approx(40.0, rel=1e-11)
    assert made.noise_multiplier <= together
    assert made.noise_multiplier == 40.0
    assert made.run == PlannedRun.of(noise_multiplier=made.noise_multiplier, sampling_probability=1.0, steps=1)


@pytest.mark.parametrize("unit", [{}, {**USER, "max_records_per_user": 10}], ids=["example", "user"])
@pytest.mark.parametrize("queries", [QUERIES, [MOMENTS], [MOMENTS] * 7])
@pytest.mark.parametrize("noise_multiplier", [MIN_NOISE_MULTIPLIER, 0.7, 1 / 3, MAX_NOISE_MULTIPLIER])
def test_rounding_leaves_no_less_noise_than_was_asked_for(
    noise_multiplier: float, queries: list[Query], unit: dict[str, Any]
) -> None:
    """At the least that is allowed a last bit less would be refused."""
    made = plan(queries, asked(noise_multiplier=noise_multiplier, **unit))
    assert made.noise_multiplier == noise_multiplier
    assert made.run == PlannedRun.of(noise_multiplier=noise_multiplier, sampling_probability=1.0, steps=1)


def test_shares_are_parts_of_the_whole() -> None:
    made = plan(QUERIES, asked(shares={"vocabulary(tags)": 3.0}))
    weights = [1.0, 2.0, 1.0, 3.0, 1.0, 1.0]
    parts = [40.0**2 / z**2 for z in of_unit(made)]
    assert parts == pytest.approx([weight / sum(weights) for weight in weights])
    assert plan([MOMENTS], asked(shares={"mean(fare)": 1e-3})).answers == plan([MOMENTS], asked()).answers


@pytest.mark.parametrize("target_epsilon", [0.05, 0.3, 3.0])
@pytest.mark.parametrize("queries", [QUERIES, [MOMENTS]], ids=["with vocabularies", "without"])
def test_epsilon_is_that_of_an_independent_composition(target_epsilon: float, queries: list[Query]) -> None:
    """Of all answers one by one, each a Gaussian mechanism, at what the thresholds leave of delta."""
    made = plan(queries, asked(noise_multiplier=None, target_epsilon=target_epsilon))
    accountant = pld.PLDAccountant()
    for z in of_unit(made):
        accountant.compose(dp_accounting.GaussianDpEvent(z))
    left = 1e-6 - sum(answer.selection.delta for answer in made.answers if answer.selection)
    assert accountant.get_epsilon(left) == pytest.approx(target_epsilon, rel=0.01)
    assert accountant.get_epsilon(left) <= target_epsilon * 1.001
    assert made.epsilon.best <= target_epsilon
    # And in closed form, which knows no grid: Balle and Wang (2018), Theorem 8.
    mu = math.sqrt(sum(1.0 / z**2 for z in of_unit(made)))
    delta = stats.norm.cdf(mu / 2 - target_epsilon / mu) - math.exp(target_epsilon) * stats.norm.cdf(
        -mu / 2 - target_epsilon / mu
    )
    assert delta <= left


def test_the_thresholds_delta_is_split_over_the_vocabularies() -> None:
    made = plan(QUERIES, asked(selection_delta=4e-7))
    deltas = [answer.selection.delta for answer in made.answers if answer.selection]
    assert deltas == [2e-7, 2e-7]
    assert 4e-7 <= made.delta_spent <= 4e-7 * (1 + 1e-12)
    assert plan([MOMENTS], asked()).delta_spent == 0.0


@pytest.mark.parametrize("unit", [{}, USER], ids=["example", "user"])
def test_who_is_alone_with_values_has_one_released_with_probability_delta(unit: dict[str, Any]) -> None:
    """Exactly: all values of a unit's own, each with all of its records, against the threshold, with rounded noise."""
    made = plan([WORDS, TAGS], asked(selection_delta=1e-3, target_delta=1e-2, **unit))
    records = made.privacy.records_of_unit
    for query, answer in zip(made.queries, made.answers, strict=True):
        assert answer.selection is not None
        deviation = answer.noise_standard_deviation
        one = stats.norm.sf(answer.selection.threshold - records - 0.5, scale=deviation)
        any_of_all = -math.expm1(query.max_values * records * math.log1p(-one))
        assert any_of_all <= answer.selection.delta
        # No more than the rounding up to a whole number is given away.
        lower = stats.norm.sf(answer.selection.threshold - 1 - records - 0.5, scale=deviation)
        assert -math.expm1(query.max_values * records * math.log1p(-lower)) > answer.selection.delta * 0.99


def test_a_plan_is_what_a_record_takes() -> None:
    made = plan(QUERIES, asked(**USER))
    release = Release(
        run_id="a" * 32, issued_at="2026-01-01T00:00:00+00:00", component="transform", examples=[{}], splits=["train"],  # type: ignore[list-item]
        privacy_unit="user", max_records_per_user=7, neighboring_relation="ADD_OR_REMOVE_ONE", answers=list(made.answers),
        noise_multiplier=made.noise_multiplier, noise_source="os_entropy", artifact_digest="sha256:" + "a" * 64, engine="x",
    )  # fmt: skip
    assert release.delta_spent == made.delta_spent


def test_a_unit_of_more_records_gets_more_noise() -> None:
    one, seven = plan(QUERIES, asked()), plan(QUERIES, asked(**USER))
    for first, second in zip(one.answers, seven.answers, strict=True):
        assert second.noise_standard_deviation == pytest.approx(7 * first.noise_standard_deviation)
        assert second.l2_sensitivity == first.l2_sensitivity
    assert seven.run == one.run


@pytest.mark.parametrize("number", [0, MAX_ANSWERS + 1])
def test_there_is_something_to_ask_and_not_too_much(number: int) -> None:
    with pytest.raises(ParameterError, match=f"Expected 1 to {MAX_ANSWERS}"):
        plan([MOMENTS] * number, asked())


@pytest.mark.parametrize(
    ("queries", "changes", "message"),
    [
        (QUERIES, {"shares": {"mean(tips)": 1.0}}, r"shares names 'mean\(tips\)', which nothing is asked of. There are: bo"),
        ([MOMENTS], {"noise_multiplier": 1e4, **USER, "max_records_per_user": 10**6}, "Give it a larger share, or ask less"),
        ([MOMENTS, WORDS], {"shares": {"mean(fare)": 1e-9}, "noise_multiplier": 1e3}, "'mean.fare.' would have a standard"),
        ([TAGS], {"selection_delta": 5e-324, **USER}, "Expected selection_delta to leave 'vocabulary.tags.' more than"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(queries: list[Query], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        plan(queries, asked(**changes))


def test_delta_that_thresholds_spend_is_missing_elsewhere() -> None:
    small, large = (
        plan(QUERIES, asked(noise_multiplier=None, target_epsilon=0.3, selection_delta=part)) for part in (1e-8, 9e-7)
    )
    assert large.noise_multiplier > small.noise_multiplier
    thresholds = [
        [answer.selection.threshold / answer.noise_standard_deviation for answer in made.answers if answer.selection]
        for made in (small, large)
    ]
    assert all(much < little for little, much in zip(*thresholds, strict=True))


def test_the_plan_keeps_the_queries_in_their_order() -> None:
    made = plan(QUERIES, asked())
    assert [answer.features for answer in made.answers] == [[query.name] for query in QUERIES]
    assert [answer.kind for answer in made.answers] == [query.kind for query in QUERIES]
    assert [answer.numbers for answer in made.answers] == [query.numbers for query in QUERIES]
