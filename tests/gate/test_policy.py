"""The policy of the gate: read strictly, and refused with the name of what is wrong."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
from typing import Any

import malformed
import pytest
from places import ROOT

from tfx_privacy.errors import ParameterError
from tfx_privacy.gate import policy_file
from tfx_privacy.gate.policy import GatePolicy, PolicyException

YAML = malformed.GOOD_YAML


@pytest.mark.parametrize(("name", "value"), malformed.LIMITS, ids=lambda value: repr(value)[:60])
def test_limits_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        GatePolicy(**{**malformed.GOOD, name: value})
    part = value[0] if name in ("slice_limits", "exceptions") and isinstance(value, list) else {}
    assert any(word in str(caught.value) for word in (name, *part))


def test_a_limit_that_is_called_self_is_refused_like_any_other() -> None:
    with pytest.raises(ParameterError, match="self"):
        policy_file.loads(YAML + "\nself: 1\n", kind="yaml")


@pytest.mark.parametrize(("text", "words"), malformed.YAML.values(), ids=malformed.YAML.keys())
def test_yaml_that_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        policy_file.loads(text, kind="yaml")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize(("text", "words"), malformed.JSON.values(), ids=malformed.JSON.keys())
def test_json_that_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        policy_file.loads(text, kind="json")
    assert words in str(caught.value)


FULL = """\
schema_version: 1
max_epsilon: 3
max_delta: 1.0e-5
max_attack_auc: 0.6      # of every slice
slice_limits:
- {feature: payment, max_attack_auc: 0.58}
- feature: class
  value: "1"
  max_attack_auc: 0.7
required_attacks: [loss, blind]
required_slices: [payment, no]
required_tasks: [binary]
dataset_id: taxi
privacy_unit: user
neighboring_relation: ADD_OR_REMOVE_ONE
signature: required
max_age_days: 30
exceptions:
- rule: attack_auc
  approver: Grace Hopper
  reason: "The rare class is synthetic: ticket 12"
  expires: 2026-03-01
- {rule: epsilon, approver: A, reason: R, expires: 2026-03-01T12:00:00Z}
- {rule: epsilon, approver: A, reason: R, expires: "2026-03-01T12:00:00+02:00"}
"""


def test_a_file_with_everything_in_it() -> None:
    read = policy_file.loads(FULL, kind="yaml")
    assert (read.max_epsilon, read.max_delta, read.ledger) == (3.0, 1e-5, "required")
    assert [limit.slice_name for limit in read.slice_limits] == ["payment=each value", "class=1"]
    assert read.required_slices == ["payment", "no"]
    ends = [exception.expires_at.isoformat() for exception in read.exceptions]
    assert ends == ["2026-03-01T00:00:00+00:00", "2026-03-01T12:00:00+00:00", "2026-03-01T10:00:00+00:00"]
    assert read.exceptions[0].expires_at.tzinfo is datetime.timezone.utc


def test_yaml_and_json_and_arguments_are_one_policy_with_one_digest(tmp_path: pathlib.Path) -> None:
    read = policy_file.loads(FULL, kind="yaml")
    again = policy_file.loads(read.canonical, kind="json")
    assert again == read
    assert again.digest == read.digest
    assert json.loads(read.canonical)["max_epsilon"] == 3.0
    arguments = GatePolicy(max_epsilon=3, max_delta=1e-5, max_attack_auc=0.6, ledger="required")
    (tmp_path / "policy.yml").write_text(YAML)
    (tmp_path / "policy.JSON").write_text(json.dumps(malformed.GOOD))
    digests = {policy_file.load(tmp_path / name).digest for name in ("policy.yml", "policy.JSON")}
    assert digests == {arguments.digest}
    assert policy_file.loads(YAML + "max_age_days: 1\n", kind="yaml").digest != arguments.digest


def test_a_ledger_is_demanded_by_a_file_and_not_by_arguments() -> None:
    assert policy_file.loads(YAML, kind="yaml").ledger == "required"
    assert policy_file.loads(YAML + "ledger: none\n", kind="yaml").ledger == "none"
    assert GatePolicy(max_epsilon=3, max_delta=1e-5, max_attack_auc=0.6).ledger == "none"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("policy.txt", "end in .yaml"),
        ("missing.yaml", "cannot be read"),
        ("folder.yaml", "cannot be read"),
        ("bad.yaml", "bad.yaml"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: pathlib.Path, name: str, words: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "bad.yaml").write_text("max_epsilon: 3")
    with pytest.raises(ParameterError, match=words):
        policy_file.load(tmp_path / name)


def test_no_prefix_of_an_embedded_policy_is_another_policy() -> None:
    text = policy_file.loads(FULL, kind="yaml").canonical
    for end in range(len(text)):
        with pytest.raises(ParameterError):
            policy_file.loads(text[:end], kind="json")


def test_a_policy_cannot_be_changed() -> None:
    read = policy_file.loads(YAML, kind="yaml")
    with pytest.raises(ValueError, match="frozen"):
        read.max_epsilon = 30.0


def test_the_readmes_example_is_a_policy() -> None:
    readme = ROOT / "components" / "budget_validator" / "README.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", readme.read_text(), re.DOTALL)
    assert policy_file.loads(example, kind="yaml").exceptions[0].approver == "Grace Hopper"


def test_what_a_reader_sees_may_be_in_any_script() -> None:
    text = YAML + 'exceptions:\n- {rule: epsilon, approver: "%s", reason: "%s", expires: 2026-03-01}\n'
    for name in ("王小明", "Дана", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "Zoë", "é", "7"):
        assert policy_file.loads(text % (name, name), kind="yaml").exceptions[0].approver == name
    assert policy_file.loads((YAML + "# 12\n").replace("\n", "\r\n"), kind="yaml").max_epsilon == 3.0


@pytest.mark.parametrize("blank", malformed.BLANKS, ids=ascii)
def test_an_exception_by_a_name_that_nobody_sees_excuses_nothing(blank: str) -> None:
    """Also where it came past the schema."""
    values: dict[str, Any] = {"rule": "epsilon", "approver": "A", "reason": "R", "expires": "2026-03-01"}
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    for name in ("approver", "reason"):
        made = PolicyException(**values).model_copy(update={name: blank})
        assert made.why_not(None, now) == "it names no approver or no reason"


def test_a_number_that_is_too_large_is_not_meant_as_text() -> None:
    for kind, text in (("yaml", "schema_version: 1\nmax_epsilon: "), ("json", '{"schema_version": 1, "max_epsilon": ')):
        with pytest.raises(ParameterError) as caught:
            policy_file.loads(text + "9" * 400 + ("}" if kind == "json" else "\n"), kind=kind)  # type: ignore[arg-type]
        assert "quotes" not in str(caught.value)


@pytest.mark.parametrize("filler", ["\u3164", "\uffa0", "\u115f", "\u034f", "\u17b4"])
def test_letters_and_marks_that_show_nothing_are_refused_too(filler: str) -> None:
    text = f"schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-5\nmax_attack_auc: 0.6 # {filler}\n"
    with pytest.raises(ParameterError, match="which|The policy holds U\\+"):
        policy_file.loads(text, kind="yaml")


@pytest.mark.parametrize("word", ["\u2764\ufe0f", "\u8fbb\U000e0100", "\u1820\u180b", "\u0645\u06cc\u200c\u062e\u0648"])
def test_writing_that_needs_characters_without_a_form_is_read(word: str) -> None:
    text = f"schema_version: 1\nmax_epsilon: 3\nmax_delta: 1.0e-5\nmax_attack_auc: 0.6 # {word}\n"
    assert policy_file.loads(text, kind="yaml").max_epsilon == 3.0


def test_a_pipe_is_no_policy(tmp_path: pathlib.Path) -> None:
    """It would be waited for."""
    os.mkfifo(tmp_path / "policy.yaml")
    with pytest.raises(ParameterError, match="a device or a pipe"):
        policy_file.load(tmp_path / "policy.yaml")
