import math

import pytest

from tfx_privacy.accounting import epsilon as accounting
from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.budget import renyi_filter, shares
from tfx_privacy.errors import ParameterError

EPSILON, DELTA = 8.0, 1e-5
ORDER = renyi_filter.best_order(epsilon=EPSILON, delta=DELTA)
BUDGET = renyi_filter.budget(ORDER, epsilon=EPSILON, delta=DELTA)
RUN = dp_sgd_event(noise_multiplier=1.4, sampling_probability=0.05, steps=400)


def explained(charged: int, budget: int = BUDGET) -> str:
    spent = renyi_filter.epsilon_of(ORDER, charged, delta=DELTA)
    return shares.explanation(charged=charged, spent_epsilon=spent, budget=budget, budget_epsilon=EPSILON)


def test_the_constant_is_that_of_the_order_however_many_runs_there_are() -> None:
    """It is what a budget's epsilon exceeds its divergence by, too."""
    cost = renyi_filter.cost(ORDER, RUN)
    constant = EPSILON - BUDGET * renyi_filter.UNIT
    for runs in (1, 2, 3):
        text = explained(runs * cost)
        assert f"adds {constant:.2f} once" in text
        assert f"is a share of {math.ceil(1000 * runs * cost / BUDGET) / 10:g} %" in text


def test_what_it_says_of_a_single_run_is_so() -> None:
    spent = renyi_filter.epsilon_of(ORDER, renyi_filter.cost(ORDER, RUN), delta=DELTA)
    alone = accounting.epsilon_bounds(RUN, target_delta=DELTA).best
    share = renyi_filter.cost(ORDER, RUN) / BUDGET
    assert alone < spent
    assert share < alone / EPSILON


def test_nothing_is_said_where_nothing_is_spent() -> None:
    assert explained(0) == ""
    assert shares.explanation(charged=10, spent_epsilon=0.0, budget=BUDGET, budget_epsilon=EPSILON) == ""
    with pytest.raises(ParameterError, match="budget=0"):
        explained(1, budget=0)
