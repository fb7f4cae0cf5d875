"""Epsilon to the last digits that count, in every environment.

Renyi DP and the ledger's costs are the same to 1e-9. Privacy loss distributions are sums of millions of terms, transformed and
raised to the number of steps: the last bit of numpy's exp() and log() and of scipy's FFT, which differ between releases, moves
them by a few 1e-9, and by 8e-6 in a million steps. That is a thousandth of the round-off that is taken from delta for it.

`python tests/accounting/test_golden_epsilons.py` prints the file of these, tests/golden/epsilons.json.
"""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from places import GOLDEN

from tfx_privacy.accounting.composition import composed, dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds, pld_round_off
from tfx_privacy.budget import renyi_filter
from tfx_privacy.third_party.dp_accounting import DpEvent

FILE = GOLDEN / "epsilons.json"
TOLERANCE = 1e-9
TOLERANCE_OF_PLD = 1e-8
SETTINGS: list[tuple[float, float, int, float]] = [
    *itertools.product((1.0, 4.0, 30.0), (1e-4, 0.01, 1.0), (1, 1_000), (1e-6,)),
    (20.0, 0.01, 10**6, 1e-7),
    (1.1, 0.00426667, 14_063, 1e-5),
]


def run(noise: float, probability: float, steps: int) -> DpEvent:
    return dp_sgd_event(noise_multiplier=noise, sampling_probability=probability, steps=steps)


def stated(noise: float, probability: float, steps: int, delta: float) -> dict[str, Any]:
    event = run(noise, probability, steps)
    bounds = epsilon_bounds(event, target_delta=delta)
    found = {"pld": bounds.pld, "rdp": bounds.rdp}
    if steps == 1_000:
        found["twice"] = epsilon_bounds(composed([event, event]), target_delta=delta).best
        if bounds.rdp < 1.0:
            found["cost_at_order_8"] = renyi_filter.cost(8.0, event)
    return found


@pytest.mark.parametrize("index", range(len(SETTINGS)))
def test_no_generation_states_another_epsilon(index: int) -> None:
    noise, probability, steps, delta = SETTINGS[index]
    of_round_off = 1e-3 * pld_round_off(run(noise, probability, steps)) / delta
    golden = json.loads(FILE.read_text())[index]
    assert golden["setting"] == list(SETTINGS[index])
    for name, value in stated(*SETTINGS[index]).items():
        expected = golden["stated"][name]
        if expected is None or value is None:
            assert value is expected, name
        else:
            is_pld = name in ("pld", "twice")
            tolerance = TOLERANCE_OF_PLD + of_round_off if is_pld else TOLERANCE
            assert math.isclose(value, expected, rel_tol=tolerance, abs_tol=0.0), (name, value, expected)


if __name__ == "__main__":
    found = [{"setting": setting, "stated": stated(*setting)} for setting in SETTINGS]
    print("[\n" + ",\n".join(json.dumps(each) for each in found) + "\n]")
