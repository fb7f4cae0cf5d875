import math
import re
from typing import Any

import evidence
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import AccountingError, ParameterError
from tfx_privacy.third_party import dp_accounting

RUN: dict[str, Any] = {"noise_multiplier": 1.0, "sampling_probability": 0.01, "steps": 1000}


@pytest.mark.parametrize(("epsilon", "order", "runs"), [(3.0, 8.9, 1), (8.0, 4.4, 11), (20.0, 2.6, 54)])
def test_how_many_runs_a_budget_pays_for(epsilon: float, order: float, runs: int) -> None:
    assert renyi_filter.best_order(epsilon=epsilon, delta=1e-6) == order
    budget = renyi_filter.budget(order, epsilon=epsilon, delta=1e-6)
    assert budget // renyi_filter.cost(order, dp_sgd_event(**RUN)) == runs


def test_no_other_order_pays_for_more() -> None:
    def runs(order: float) -> float:
        try:
            return renyi_filter.budget(order, epsilon=8.0, delta=1e-6) / renyi_filter.cost(
                order, dp_sgd_event(**{**RUN, "sampling_probability": 1.0})
            )
        except (AccountingError, ParameterError):
            return 0.0

    chosen = renyi_filter.best_order(epsilon=8.0, delta=1e-6)
    assert max(map(runs, renyi_filter.ORDERS)) == runs(chosen)


def test_what_fits_into_a_budget_is_within_its_epsilon() -> None:
    order = renyi_filter.best_order(epsilon=8.0, delta=1e-6)
    one, budget = renyi_filter.cost(order, dp_sgd_event(**RUN)), renyi_filter.budget(order, epsilon=8.0, delta=1e-6)
    fitting = budget // one
    assert renyi_filter.epsilon_of(order, fitting * one, delta=1e-6) <= 8.0
    assert renyi_filter.epsilon_of(order, (fitting + 1) * one, delta=1e-6) > 8.0
    # The tighter accountants agree that it is: of the same runs, planned beforehand.
    together = evidence.bounds_together([dp_sgd_event(**RUN)] * fitting, target_delta=1e-6)
    assert together.pld is not None
    assert together.pld < together.rdp <= 8.0


def test_the_divergence_is_that_of_a_gaussian_where_nothing_is_sampled() -> None:
    units = renyi_filter.cost(8.0, dp_sgd_event(noise_multiplier=2.0, sampling_probability=1.0, steps=7))
    assert units * renyi_filter.UNIT == pytest.approx(7 * 8 / (2 * 4), rel=1e-9)
    assert units * renyi_filter.UNIT >= 7 * 8 / (2 * 4)


def divergence_by_quadrature(order: float, noise: float, share: float) -> float:
    """Both directions' larger divergence of the subsampled Gaussian, on a grid: Mironov et al. (2019), Section 3.3."""
    x = np.linspace(-60 * noise, 60 * noise + 1, 20_001)
    log_without = -(x**2) / (2 * noise**2)
    log_with = np.logaddexp(math.log1p(-share) + log_without, math.log(share) - ((x - 1) ** 2) / (2 * noise**2))
    log_step = math.log(x[1] - x[0]) - 0.5 * math.log(2 * math.pi * noise**2)

    def renyi(p: np.ndarray, q: np.ndarray) -> float:
        exponent = order * p + (1 - order) * q + log_step
        top = float(exponent.max())
        return (top + math.log(math.fsum(np.exp(exponent - top)))) / (order - 1)

    return max(renyi(log_with, log_without), renyi(log_without, log_with))


@pytest.mark.parametrize("order", [1.1, 1.5, 2.6, 4.4, 8.9, 23.0])
@pytest.mark.parametrize(("noise", "share"), [(0.5, 0.01), (1.0, 0.05), (4.0, 0.3)])
def test_costs_are_those_of_numerical_integration(order: float, noise: float, share: float) -> None:
    units = renyi_filter.cost(order, dp_sgd_event(noise_multiplier=noise, sampling_probability=share, steps=1))
    exact = divergence_by_quadrature(order, noise, share)
    assert exact - 1e-13 <= units * renyi_filter.UNIT <= exact * (1 + 1e-9) + 2e-12 / (order - 1) + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(renyi_filter.ORDERS[:60]),
    noise=st.floats(0.3, 1e4),
    share=st.floats(1e-9, 1.0),
    steps=st.integers(1, 10_000_000),
)
def test_costs_are_whole_positive_and_never_fall_with_the_order_or_the_steps(
    order: float, noise: float, share: float, steps: int
) -> None:
    def cost(of: float, number: int) -> int:
        run = dp_sgd_event(noise_multiplier=noise, sampling_probability=share, steps=number)
        return renyi_filter.cost(of, run)

    try:
        units, higher = (cost(of, steps) for of in (order, float(math.ceil(order))))
    except AccountingError:
        return  # beyond every budget
    assert type(units) is int
    assert 0 < units < renyi_filter.MAX_UNITS
    assert cost(order, 1) <= units
    assert units <= higher * (1 + 1e-9) + 25 * steps


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": math.nan}, {"noise_multiplier": 0.0}, {"noise_multiplier": -1.0}, {"noise_multiplier": math.inf},
        {"sampling_probability": 0.0}, {"sampling_probability": 1.5}, {"sampling_probability": math.nan},
        {"steps": 0}, {"steps": 1.5}, {"steps": True}, {"steps": -3},
    ],
)  # fmt: skip
def test_costs_of_nonsense_are_refused(change: dict[str, float]) -> None:
    numbers = {**RUN, **change}
    with pytest.raises(ParameterError):
        renyi_filter.cost(4.4, dp_sgd_event(**numbers))
    # Nor of an event that somebody made by hand.
    step = dp_accounting.PoissonSampledDpEvent(
        numbers["sampling_probability"], dp_accounting.GaussianDpEvent(numbers["noise_multiplier"])
    )
    with pytest.raises(ParameterError):
        renyi_filter.cost(4.4, dp_accounting.SelfComposedDpEvent(step, numbers["steps"]))


def test_costs_beyond_all_budgets_are_refused() -> None:
    with pytest.raises(AccountingError, match="more than any budget"):
        renyi_filter.cost(1024.0, dp_sgd_event(noise_multiplier=0.3, sampling_probability=1.0, steps=10_000_000))


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [
        (0.0, 1e-6),
        (-1.0, 1e-6),
        (math.nan, 1e-6),
        (math.inf, 1e-6),
        (1.0, 0.0),
        (1.0, 1.0),
        (1.0, math.nan),
        (1e-9, 1e-6),
    ],
)
def test_budgets_of_nonsense_are_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ParameterError):
        renyi_filter.best_order(epsilon=epsilon, delta=delta)


def test_a_delta_that_the_reach_of_the_noise_could_use_up_is_refused() -> None:
    assert renyi_filter.best_order(epsilon=500.0, delta=1e-59) > 1.0
    with pytest.raises(ParameterError, match=r"delta=1e-61 in \(1e-60, 1\)"):
        renyi_filter.best_order(epsilon=500.0, delta=1e-61)


def test_nothing_spent_is_no_epsilon() -> None:
    assert renyi_filter.epsilon_of(4.4, 0, delta=1e-6) == 0.0
    with pytest.raises(ParameterError):
        renyi_filter.epsilon_of(4.4, -1, delta=1e-6)


@pytest.mark.parametrize("runs", [1, 3, 11])
def test_why_so_much_is_left_is_told_in_numbers_that_add_up(runs: int) -> None:
    """Epsilon is what the runs add up to and a constant of the order: each number of the sentence against the filter's."""
    order = renyi_filter.best_order(epsilon=8.0, delta=1e-6)
    budget = renyi_filter.budget(order, epsilon=8.0, delta=1e-6)
    charged = runs * renyi_filter.cost(order, dp_sgd_event(**RUN))
    spent = renyi_filter.epsilon_of(order, charged, delta=1e-6)
    text = renyi_filter.explained(charged, budget, spent_epsilon=spent, budget_epsilon=8.0)
    numbers = re.fullmatch(
        r"([\d.]+) % of the budget is left, although epsilon ([\d.]+) of 8 is spent: .*, of which ([\d.]+) of ([\d.]+) nats "
        r"are charged; converting the sum costs about ([\d.]+) of that epsilon, once for all runs together\.",
        text,
    )
    assert numbers is not None, text
    left, epsilon, used, whole, constant = map(float, numbers.groups())
    assert 0.0 <= (1 - charged / budget) * 100 - left < 0.1
    assert 0.0 <= epsilon - spent <= 1e-4
    assert used == pytest.approx(charged * renyi_filter.UNIT, rel=1e-3)
    assert whole == pytest.approx(budget * renyi_filter.UNIT, rel=1e-3)
    assert used + constant == pytest.approx(epsilon, abs=0.05)
    assert whole + constant == pytest.approx(8.0, abs=0.05)


def test_a_budget_that_is_whole_or_gone_is_explained_too() -> None:
    assert renyi_filter.explained(0, 5, spent_epsilon=0.0, budget_epsilon=8.0) == (
        "The whole budget of epsilon 8 is left: no run has been charged."
    )
    gone = renyi_filter.explained(9 * 2**40, 4 * 2**40, spent_epsilon=12.2, budget_epsilon=8.0)
    assert gone.startswith("0 % of the budget is left, and epsilon 12.2000 of 8 is spent: ")
    # A fixed order can give less epsilon than divergence: then the conversion costs nothing.
    assert "converting" not in renyi_filter.explained(2**40, 4 * 2**40, spent_epsilon=0.5, budget_epsilon=8.0)
    assert renyi_filter.share_left(1, 0) == 0.0
