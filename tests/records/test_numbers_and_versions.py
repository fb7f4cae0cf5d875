"""What every record demands: a whole number as its version, and numbers that a double holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import golden_records
import pytest

from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate import policy_file
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.records import statement, strict_json
from tfx_privacy.records.base import Record, VersionedRecord

VERSIONED = {
    name: record
    for name, record in golden_records.records().items()
    if isinstance(record, VersionedRecord) and not isinstance(record, statement.ModelRecord)
}
STATEMENTS = {
    name: record for name, record in golden_records.records().items() if isinstance(record, statement.ModelRecord)
}
NO_VERSIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "missing": lambda document: document.pop("schema_version"),
    **{
        repr(value): lambda document, value=value: document.update(schema_version=value)  # type: ignore[misc]
        for value in (1.0, 2.0, True, "1", None, [1], 0, 2, -1)
    },
}


def read(record: Record, document: dict[str, Any]) -> Any:
    return type(record).from_json(json.dumps(document))


@pytest.mark.parametrize("name", [*VERSIONED, *STATEMENTS])
@pytest.mark.parametrize("change", NO_VERSIONS.values(), ids=NO_VERSIONS.keys())
def test_a_record_says_its_version_as_a_whole_number(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    record = {**VERSIONED, **STATEMENTS}[name]
    document = json.loads(record.to_json())
    assert read(record, document) == record
    change(document)
    with pytest.raises(EvidenceError, match="schema_version"):
        read(record, document)


@pytest.mark.parametrize("kind", ["json", "yaml"])
@pytest.mark.parametrize("version", ["2.0", "1.0", "true", '"1"', "null", "1.0e+0", "[1]"])
def test_a_policy_says_its_version_as_a_whole_number(kind: Any, version: str) -> None:
    text = '{"schema_version": %s, "max_epsilon": 3, "max_delta": 1.0e-5, "max_attack_auc": 0.6}'
    assert isinstance(policy_file.loads(text % "1", kind=kind), GatePolicy)
    with pytest.raises(ValueError, match="schema_version"):
        policy_file.loads(text % version, kind=kind)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1E+309", "9" * 400, "1" + "0" * 309, "-" + "9" * 400])
def test_a_number_that_no_double_holds_is_refused(number: str) -> None:
    for text in (number, f'{{"a": {number}}}', f'[1, {{"a": [{number}]}}]'):
        with pytest.raises(EvidenceError, match="beyond what a double holds"):
            strict_json.loads(text)


def test_numbers_that_a_double_holds_are_read() -> None:
    assert strict_json.loads('[1e308, -1e308, 5e-324, 0, -0.5, 9007199254740993]') == [
        1e308, -1e308, 5e-324, 0, -0.5, 9007199254740993,
    ]  # fmt: skip


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each number of a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from numbers(child, (*path, key))
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path


@pytest.mark.parametrize("name", golden_records.records())
def test_no_number_of_any_record_may_overflow(name: str) -> None:
    record = golden_records.records()[name]
    document = json.loads(record.to_json())
    for path in numbers(document):
        changed = json.loads(record.to_json())
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = "OVERFLOW"
        with pytest.raises(EvidenceError, match="beyond what a double holds"):
            type(record).from_json(json.dumps(changed).replace('"OVERFLOW"', "1e400"))
