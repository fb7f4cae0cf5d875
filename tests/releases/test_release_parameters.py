"""What a user asks of a release."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.parameters import DPPreprocessing

GOOD: dict[str, Any] = {"target_epsilon": 0.3, "target_delta": 1e-6}
USER: dict[str, Any] = {**GOOD, "privacy_unit": "user", "user_id_key": "id", "max_records_per_user": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_delta": 1e-6}, "one of noise_multiplier=None and target_epsilon=None"),
        ({**GOOD, "noise_multiplier": 1.0}, "one of noise_multiplier=1.0 and target_epsilon=0.3"),
        ({**GOOD, "target_epsilon": 0.0}, "target_epsilon=0.0 >= 0.001"),
        ({**GOOD, "target_epsilon": math.nan}, "target_epsilon=nan to be a finite number"),
        ({**GOOD, "target_epsilon": math.inf}, "target_epsilon=inf to be a finite number"),
        ({**GOOD, "target_epsilon": "0.3"}, "target_epsilon='0.3' to be a finite number"),
        ({"target_delta": 1e-6, "noise_multiplier": 0.2}, r"noise_multiplier=0.2 in \[0.3, 10000\]"),
        ({"target_delta": 1e-6, "noise_multiplier": math.nan}, "noise_multiplier=nan to be a finite number"),
        ({"target_delta": 1e-6, "noise_multiplier": True}, "noise_multiplier=True to be a finite number"),
        ({**GOOD, "target_delta": 0.0}, r"target_delta=0.0 in \(0, 1\)"),
        ({**GOOD, "target_delta": 1.0}, r"target_delta=1.0 in \(0, 1\)"),
        ({**GOOD, "target_delta": math.nan}, "target_delta=nan"),
        ({**GOOD, "selection_delta": 1e-6}, r"selection_delta=1e-06 in \(0, 1e-06\). It is a part of target_delta"),
        ({**GOOD, "selection_delta": 0.0}, "selection_delta=0.0 in"),
        ({**GOOD, "selection_delta": math.nan}, "selection_delta=nan"),
        ({**GOOD, "shares": {"mean(x)": 0.0}}, r"shares\['mean\(x\)'\]=0.0 > 0"),
        ({**GOOD, "shares": {"mean(x)": math.nan}}, "to be a finite number"),
        ({**GOOD, "shares": {"mean(x)": "2"}}, "to be a finite number"),
        ({**GOOD, "shares": ["mean(x)"]}, "to be weights by name"),
        ({**GOOD, "shares": {1: 2.0}}, "to be weights by name"),
        ({**GOOD, "privacy_unit": "household"}, "privacy_unit='household' to be one of example, user"),
        ({**GOOD, "neighboring_relation": "REPLACE_ONE"}, "neighboring_relation='REPLACE_ONE' to be one of ADD"),
        ({**GOOD, "user_id_key": "id"}, "user_id_key='id' and max_records_per_user=None belong to privacy_unit='user'"),
        ({**GOOD, "max_records_per_user": 2}, "max_records_per_user=2 belong to privacy_unit='user'"),
        ({**USER, "user_id_key": None}, "user_id_key=None to name the feature"),
        ({**USER, "user_id_key": ""}, "user_id_key='' to name the feature"),
        ({**USER, "user_id_key": 3}, "user_id_key=3 to name the feature"),
        ({**USER, "max_records_per_user": None}, "max_records_per_user=None to be a whole number >= 1. How many records"),
        ({**USER, "max_records_per_user": 0}, "max_records_per_user=0 to be a whole number"),
        ({**USER, "max_records_per_user": True}, "max_records_per_user=True to be a whole number"),
        ({**USER, "max_records_per_user": 10**7}, "max_records_per_user=10000000 <= 1000000"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DPPreprocessing(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        GOOD, USER, {"noise_multiplier": 40, "target_delta": 1e-6}, {**GOOD, "shares": {"mean(x)": 2}, "selection_delta": 5e-7},
        {**GOOD, "neighboring_relation": "REPLACE_SPECIAL"},
    ],
)  # fmt: skip
def test_they_travel_as_json(arguments: dict[str, Any]) -> None:
    made = DPPreprocessing(**arguments)
    assert DPPreprocessing.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no target_delta"),
        ("[]", r"Unknown privacy parameters \[\[\]\]"),
        ("3", "Unknown privacy parameters"),
        ('{"target_delta": 1e-6, "epsilon": 1}', r"Unknown privacy parameters \['epsilon'\]. Known: noise_multiplier"),
        ('{"target_delta": NaN}', "privacy"),
        ('{"target_delta": 1e-6, "target_delta": 1e-7}', "privacy"),
        ("", "privacy"),
    ],
)
def test_text_that_is_none_of_them_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DPPreprocessing.from_json(text)


def test_numbers_become_floats_and_a_tenth_of_delta_is_the_thresholds() -> None:
    """A whole number inside an event gives dp-accounting 0.4.3 a wrong epsilon."""
    made = DPPreprocessing(noise_multiplier=40, target_delta=1e-6)
    assert isinstance(made.noise_multiplier, float)
    assert made.selection_delta == pytest.approx(1e-8)
    assert made.records_of_unit == 1
    assert DPPreprocessing(**USER).records_of_unit == 3
