"""Delta that thresholds spend: whole units, rounded to the safe side, and a bound that is fixed beforehand."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import pytest

from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.errors import ParameterError

UNIT = Fraction(1, 2**60)
BAD = [None, "1e-9", True, float("nan"), float("inf"), -float("inf"), -1e-30, 1 / 128, 0.5, 1.0, [1e-9]]


def probabilities() -> list[float]:
    rng = random.Random(1)
    drawn = [10 ** rng.uniform(-18, -2.2) for _ in range(500)]
    return [*drawn, 2.0**-60, 2.0**-59, 2.0**-30, 3 * 2.0**-60, 1e-9, 1e-6, 1e-5, math.nextafter(1 / 128, 0.0)]


def test_what_is_spent_is_rounded_up() -> None:
    for delta in probabilities():
        spent = thresholds.spent(delta)
        assert (spent - 1) * UNIT < Fraction(delta) <= spent * UNIT
        assert Fraction(thresholds.delta_of(spent)) == spent * UNIT
        assert spent < thresholds.MAX_UNITS


def test_what_is_set_aside_pays_for_its_own_parts() -> None:
    """Each is rounded up by itself; what is set aside is what is taken from delta, so more of it is no less privacy."""
    for delta in probabilities():
        if delta < 2.0**-60:
            continue
        units = thresholds.set_aside(delta)
        assert thresholds.spent(delta) <= units <= thresholds.spent(delta) * (1 + 2e-6) + 1
        assert units < thresholds.MAX_UNITS
    for parts in (2, 3, 7, 10, 100, 1000):
        assert parts * thresholds.spent(1e-7 / parts) <= thresholds.set_aside(1e-7)
        assert (parts + 1) * thresholds.spent(1e-7 / parts) > thresholds.set_aside(1e-7)


def test_the_smallest_probability_is_one_unit_and_none_is_none() -> None:
    assert thresholds.spent(0.0) == thresholds.spent(-0.0) == thresholds.set_aside(0.0) == 0
    assert thresholds.spent(5e-324) == thresholds.spent(2.0**-60) == 1
    assert thresholds.set_aside(2.0**-60) == 2
    assert thresholds.spent(math.nextafter(2.0**-60, 1.0)) == 2


def test_whole_units_are_kept_by_every_step() -> None:
    """A component computes a float, a ledger keeps units, and a gate compares: nothing creeps."""
    for units in (1, 2, 3, 10**6 + 1, 2**40 - 1, thresholds.MAX_UNITS - 1):
        assert thresholds.spent(thresholds.delta_of(units)) == units


@pytest.mark.parametrize("value", BAD, ids=str)
def test_what_is_no_small_probability_is_refused(value: Any) -> None:
    for check, name in ((thresholds.spent, "delta_spent"), (thresholds.set_aside, "threshold_delta")):
        with pytest.raises(ParameterError, match=f"Expected {name}="):
            check(value)


def test_less_than_is_counted_cannot_be_set_aside() -> None:
    """It would be nothing, and nobody would see that."""
    with pytest.raises(ParameterError, match=r"threshold_delta=1e-20 to be 0 for nothing, or at least 8\.67e-19"):
        thresholds.set_aside(1e-20)


def test_what_is_left_is_rounded_down() -> None:
    rng = random.Random(2)
    below = 0
    for _ in range(500):
        delta = 10 ** rng.uniform(-17, 0)
        units = rng.randint(0, max(0, min(thresholds.MAX_UNITS - 1, math.ceil(delta * 2.0**60) - 1)))
        left, exact = thresholds.left(delta, units), Fraction(delta) - units * UNIT
        assert 0 < Fraction(left) <= exact
        assert Fraction(math.nextafter(left, 1.0)) > exact
        below += Fraction(left) < exact
    assert below > 10  # of a delta that is larger than all that can be set aside: there no double may be the difference
    assert thresholds.left(1e-6, 0) == 1e-6


@pytest.mark.parametrize("delta", [1e-6, 2.0**-30, 1e-18])
def test_not_all_of_delta_can_be_set_aside(delta: float) -> None:
    with pytest.raises(ParameterError, match="divergence is converted to epsilon at what is left of it"):
        thresholds.left(delta, thresholds.spent(delta))


def test_an_amount_is_shown_as_it_was_asked_for_and_never_fairer_than_it_is() -> None:
    for delta in probabilities():
        units = thresholds.spent(delta)
        assert Fraction(float(thresholds.shown(units))) > (units - 1) * UNIT
        assert Fraction(float(thresholds.shown(units, down=True))) < (units + 1) * UNIT
    for text in ("1e-08", "2.5e-09", "1e-06", "1.23e-12"):
        assert thresholds.shown(thresholds.spent(float(text))) == text
        assert thresholds.shown(thresholds.set_aside(float(text)), down=True) == text
    assert thresholds.shown(0) == thresholds.shown(0, down=True) == "0"


EPSILON, DELTA = 8.0, 1e-6
ORDER = renyi_filter.best_order(epsilon=EPSILON, delta=DELTA)


def two_points(loss: float, divergence: float) -> tuple[float, float]:
    """A mechanism that reveals `loss` with some probability, p with a person in the data and q without, else next to nothing.

    The probability is the largest at which its Renyi divergence at ORDER, either way round, is no more than asked for.
    """

    def divergences(p: float) -> float:
        q = p * math.exp(-loss)
        moments = (
            p**ORDER * q ** (1 - ORDER) + (1 - p) ** ORDER * (1 - q) ** (1 - ORDER),
            q**ORDER * p ** (1 - ORDER) + (1 - q) ** ORDER * (1 - p) ** (1 - ORDER),
        )
        return math.log(max(moments)) / (ORDER - 1)

    low, high = 0.0, 0.5
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if divergences(middle) <= divergence else (low, middle)
    return low, low * math.exp(-loss)


def revealed(*, set_aside: float, divergence: float) -> float:
    """The delta, at EPSILON, of somebody who spends either bound to its end, and chooses which by what the first run showed.

    Args:
      set_aside: Of delta, for thresholds.
      divergence: Of the Renyi filter, in nats.
    """
    first = 1.0
    # Where (1 - exp(EPSILON - loss)) is closest to the bound by which divergence is converted.
    whole_loss = EPSILON + math.log(ORDER / (ORDER - 1))
    p, q = two_points(3.0, first)
    p_more, q_more = two_points(whole_loss - 3.0, divergence - first)
    outcomes = [
        # The first run revealed nothing: spend the delta, and the person is shown with that probability.
        ((1 - p) * set_aside, 0.0),
        ((1 - p) * (1 - set_aside), 1 - q),
        # It revealed something: spend the divergence.
        (p * p_more, q * q_more),
        (p * (1 - p_more), q * (1 - q_more)),
    ]
    return sum(max(0.0, mine - math.exp(EPSILON) * other) for mine, other in outcomes)


def test_budget_that_moves_between_divergence_and_thresholds_gives_twice_the_delta() -> None:
    """Each branch is within epsilon and delta: the first spends delta where the other half of it pays for divergence.

    With both bounds fixed beforehand the same adversary gets no more than delta.
    """
    conversion = lambda delta: renyi_filter.budget(ORDER, epsilon=EPSILON, delta=delta) * renyi_filter.UNIT
    # What is left of delta when divergence of 1 nat is spent: all but a millionth.
    spent_by_one_nat = DELTA * math.exp((ORDER - 1) * (1.0 - conversion(DELTA)))
    moving = revealed(set_aside=DELTA - spent_by_one_nat, divergence=conversion(DELTA))
    assert 1.9 * DELTA < moving <= 2 * DELTA
    for share in (0.01, 0.1, 0.5, 0.9):
        fixed = revealed(set_aside=share * DELTA, divergence=conversion((1 - share) * DELTA))
        assert 0.9 * DELTA < fixed <= DELTA, share


def test_a_tenth_of_delta_costs_less_than_a_hundredth_of_the_budget_and_pays_for_ten_releases() -> None:
    """Of a budget of 8 at 1e-6, as docs/ledger.md says."""
    share = thresholds.set_aside(1e-7)
    rest = renyi_filter.budget(ORDER, epsilon=EPSILON, delta=thresholds.left(DELTA, share))
    assert rest > 0.99 * renyi_filter.budget(ORDER, epsilon=EPSILON, delta=DELTA)
    assert share // thresholds.spent(1e-8) == 10
