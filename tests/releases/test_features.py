"""What is asked of a feature comes from its author alone, and what nobody could mean is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tfx_privacy.errors import ParameterError
from tfx_privacy.releases import features as feature_list
from tfx_privacy.releases import plan as plans
from tfx_privacy.releases.features import NUM_EXAMPLES, Feature, Number, Text
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.queries import Counts, Presence

FEATURES: dict[str, Feature] = {
    "fare": Number(bounds=(0, 200), share=2.0, bins=64),
    "company": Text(max_values=3),
    "hour": Number(bounds=(0, 24), integer=True, required=True),
    "payment": Text(keys=["cash", "kārte"], required=True),
}


def test_what_is_asked() -> None:
    asked = [
        (query.name, type(query).__name__, query.max_values, query.share) for query in feature_list.queries(FEATURES)
    ]
    assert asked == [
        (NUM_EXAMPLES, "Presence", 1, 1.0),
        ("company", "Presence", 3, 1.0),
        ("company", "Vocabulary", 3, 1.0),
        ("fare", "Presence", 1, 2.0),
        ("fare", "Moments", 1, 2.0),
        ("fare", "Quantiles", 1, 2.0),
        ("hour", "Moments", 1, 1.0),
        ("hour", "Quantiles", 1, 1.0),
        ("payment", "Counts", 1, 1.0),
    ]


def test_only_the_first_question_counts_everyone() -> None:
    everyone = [query.everyone for query in feature_list.queries(FEATURES) if isinstance(query, Presence)]
    assert everyone == [True, False, False]


def test_public_values_are_bytes() -> None:
    (counts,) = [query for query in feature_list.queries(FEATURES) if isinstance(query, Counts)]
    assert counts.keys == (b"cash", "kārte".encode())


def test_features_travel_as_json() -> None:
    assert feature_list.from_json(feature_list.to_json(FEATURES)) == FEATURES


def test_a_feature_with_more_weight_has_less_noise() -> None:
    plan = plans.plan(feature_list.queries(FEATURES), DPPreprocessing(noise_multiplier=40.0, target_delta=1e-6))
    multipliers = {(answer.features[0], answer.kind): answer.noise_multiplier for answer in plan.answers}
    assert multipliers["hour", "moments"] == pytest.approx(multipliers["fare", "moments"] * 2.0**0.5)
    assert plan.noise_multiplier == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": "private"}, r"bounds='private' to be two numbers: statistics search no bounds.*Give the lowest"),
        ({"bounds": (2.0, 1.0)}, r"bounds=\(2\.0, 1\.0\)"),
        ({"bounds": (1.0, 1.0)}, r"bounds=\(1\.0, 1\.0\)"),
        ({"bounds": (0.0, float("inf"))}, r"bounds=inf"),
        ({"bounds": (float("nan"), 1.0)}, r"bounds=nan"),
        ({"bounds": 3.0}, r"bounds=3\.0"),
        ({"bounds": (0.5, 24), "integer": True}, r"bounds=\(0\.5, 24\.0\) of whole numbers"),
        ({"bounds": (0, 1), "integer": 1}, r"integer=1"),
        ({"bounds": (0, 1), "required": "yes"}, r"required='yes'"),
        ({"bounds": (0, 1), "max_values": 0}, r"max_values=0"),
        ({"bounds": (0, 1), "share": 0.0}, r"share=0\.0"),
        ({"bounds": (0, 1), "share": float("nan")}, r"share=nan"),
        ({"bounds": (0, 1), "bins": 100}, r"bins=100"),
    ],
)
def test_numbers_that_nobody_could_mean(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Number(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": "cash"}, r"keys='cash'.*list of texts"),
        ({"keys": [b"cash"]}, r"keys=\[b'cash'\]"),
        ({"keys": []}, r"keys=\(\)"),
        ({"keys": ["cash", "cash"]}, r"different values"),
        ({"max_values": True}, r"max_values=True"),
        ({"required": None}, r"required=None"),
    ],
)
def test_texts_that_nobody_could_mean(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Text(**arguments)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({}, r"features=\{\} to name at least one feature"),
        (["fare"], r"features=\['fare'\]"),
        ({"": Text()}, r"name ''"),
        ({3: Text()}, r"name 3"),
        ({"fare": (0, 200)}, r"features\['fare'\]=\(0, 200\) to be Number"),
    ],
)
def test_lists_of_features_that_nobody_could_mean(features: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        feature_list.queries(features)
    with pytest.raises(ParameterError, match=message):
        feature_list.to_json(features)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], r"features=\[\]"),
        ({}, r"at least one feature"),
        ({"fare": 3}, r"kind of feature 'fare'"),
        ({"fare": {"kind": "image"}}, r"kind of feature 'fare' to be one of number, text"),
        ({"fare": {"kind": "number"}}, r"'fare' lacks the bounds"),
        ({"fare": {"kind": "text", "bounds": [0, 1]}}, r"Unknown 'bounds' of feature 'fare'"),
        ({"fare": {"kind": "number", "bounds": [1, 0]}}, r"bounds="),
    ],
)
def test_json_that_nobody_wrote(entries: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        feature_list.from_json(json.dumps(entries))
