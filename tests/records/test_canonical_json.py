import json
import math
import struct
from typing import Any

import evidence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_privacy.attacks.evaluation import Finding, PrivacyEvaluation
from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.record import PrivacyGuarantee, guarantee_digest
from tfx_privacy.ledger import entries
from tfx_privacy.records import strict_json
from tfx_privacy.records.base import Record

# RFC 8785, appendix B: a double's bits, and its text.
NUMBERS = [
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"), ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"), ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"), ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"), ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"), ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"), ("43143ff3c1cb0959", "1424953923781206.2"),
]  # fmt: skip


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_numbers_are_those_of_rfc_8785(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert strict_json.canonical(value) == text


def test_text_is_that_of_rfc_8785() -> None:
    # Section 3.2.3: keys are sorted by UTF-16 units, and nothing is escaped that need not be.
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert strict_json.canonical(keys) == '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    assert (
        strict_json.canonical({"b": ['\x0f\n\\"/', None, True], "a": 1.0})
        == '{"a":1,"b":["\\u000f\\n\\\\\\"/",null,true]}'
    )


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**53, -(2**53), 2**64, "\ud800", {"\ud800": 1}, {1: 2}, object(), b""]
)
def test_what_has_no_canonical_text_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"There is no canonical JSON \(RFC 8785\) of this value"):
        strict_json.canonical({"key": [value]})


def test_the_error_names_the_value() -> None:
    with pytest.raises(ValueError, match="9007199254740992"):
        strict_json.canonical(2**53)
    with pytest.raises(ValueError, match="nan"):
        strict_json.canonical(math.nan)


def test_the_largest_whole_number_is_kept() -> None:
    largest = strict_json.MAX_INTEGER
    assert strict_json.loads(strict_json.canonical([largest, -largest])) == [largest, -largest]


def test_amounts_of_a_ledger_have_canonical_text() -> None:
    assert renyi_filter.MAX_UNITS - 1 == strict_json.MAX_INTEGER
    assert renyi_filter.MAX_UNITS * renyi_filter.UNIT == 8192.0
    body = entries.body_text(evidence.planned(evidence.mechanism()))
    assert body == strict_json.canonical(json.loads(body))


finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(1e-300, 1e300) | st.integers(1, 2**53 - 1).map(float)
probability = st.floats(0.0, 1.0)
open_probability = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


def check_round_trip(record: Record) -> None:
    """Canonical text, read strictly, is the same record with the same text: whole floats are written as `1`."""
    text = strict_json.canonical(record.model_dump(mode="json"))
    for written in (text, record.to_json()):
        again = type(record).from_json(written)
        assert again == record
        assert strict_json.canonical(again.model_dump(mode="json")) == text
        assert again.to_json() == record.to_json()


@given(positive, positive, positive, open_probability, st.floats(0.0, 1.0, exclude_min=True), st.integers(1, 2**53 - 1))
@settings(max_examples=200, deadline=None)
def test_a_guarantee_is_the_same_after_its_canonical_text(
    epsilon: float, noise: float, clip: float, delta: float, probability: float, steps: int
) -> None:
    batch = 1.0 + 9_999.0 * probability
    executed = evidence.mechanism().model_copy(
        update={
            "noise_multiplier": noise,
            "l2_norm_clip": clip,
            "sampling_probability": batch / 10_000,
            "expected_batch_size": batch,
            "steps": steps,
        }
    )
    record = evidence.make_guarantee().model_copy(
        update={"mechanism": executed, "target_delta": delta, "epsilon_pld": epsilon, "epsilon_rdp": epsilon}
    )
    check_round_trip(record)
    assert guarantee_digest(PrivacyGuarantee.from_json(record.to_json())) == guarantee_digest(record)


@given(st.lists(probability, min_size=3, max_size=3).map(sorted), open_probability, st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_an_evaluation_is_the_same_after_its_canonical_text(found: list[float], level: float, value: str) -> None:
    finding = Finding(
        family="property_inference",
        subject=value,
        status="OK",
        low=found[0],
        estimate=found[1],
        high=found[2],
        harmless=0.0,
    )
    rows = [evidence.row(), evidence.row(feature="payment", value=value)]
    check_round_trip(evidence.make_evaluation(rows, findings=[finding], confidence_level=level))


@given(finite)
@settings(max_examples=300, deadline=None)
def test_a_number_is_the_same_after_its_canonical_text(value: float) -> None:
    assert float(strict_json.loads(strict_json.canonical(value))) == value


def test_other_records_are_the_same_after_their_canonical_text() -> None:
    charged = evidence.charged_guarantee()
    for record in (
        charged,
        evidence.with_references(),
        evidence.ledger_run(charged),
        evidence.CHARGED_POLICY,
        evidence.planned(evidence.mechanism(noise_multiplier=2.0)),
        evidence.make_evaluation(),
    ):
        check_round_trip(record)
    assert PrivacyEvaluation.from_json(evidence.make_evaluation().to_json()) == evidence.make_evaluation()


def test_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(EvidenceError, match="Not readable as strict JSON"):
        strict_json.loads('"\ud800"')


def test_a_duplicate_among_many_keys_is_found() -> None:
    """In one pass: counting each key would take minutes for these."""
    keys = ",".join(f'"k{number}":0' for number in range(200_000))
    assert len(strict_json.loads(f"{{{keys}}}")) == 200_000
    with pytest.raises(EvidenceError, match="duplicate key 'k7'"):
        strict_json.loads(f'{{{keys},"k7":1}}')
