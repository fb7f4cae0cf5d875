"""What is in a record's fields may be a value of the data: no error of a record quotes it."""

from __future__ import annotations

import traceback
from typing import Any

import evidence
import pydantic
import pytest

from tfx_privacy.attacks.evaluation import AttackResult, PrivacyEvaluation
from tfx_privacy.errors import EvidenceError

PRIVATE = "Jane Doe, 12 Elm Street. "


@pytest.mark.parametrize("value", [PRIVATE * 500, PRIVATE.encode(), [PRIVATE]], ids=["too long", "bytes", "a list"])
def test_a_value_that_breaks_a_rule_is_in_no_error(value: Any) -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        AttackResult(
            attack="loss", slice_feature="name", slice_value=value, num_members=1, num_nonmembers=1, status="OK"
        )
    assert "slice_value" in str(raised.value)
    assert "Jane" not in "".join(traceback.format_exception(raised.value))


def test_nor_in_one_of_a_record_that_is_read() -> None:
    row = evidence.row(feature="name", value=PRIVATE)
    text = evidence.make_evaluation([row]).to_json().replace(PRIVATE, PRIVATE * 500)
    with pytest.raises(EvidenceError, match="slice_value") as raised:
        PrivacyEvaluation.from_json(text)
    assert "Jane" not in "".join(traceback.format_exception(raised.value))
