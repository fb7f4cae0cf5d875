"""Malformed limits, policies and records, each with words that its refusal must say: what is wrong, by name or by value."""

from __future__ import annotations

import decimal
import json
import math
from typing import Any

import evidence

GOOD_YAML = """\
schema_version: 1
max_epsilon: 3
max_delta: 1.0e-5
max_attack_auc: 0.6
"""
GOOD = {"schema_version": 1, "max_epsilon": 3, "max_delta": 1e-5, "max_attack_auc": 0.6}

BLANKS = (
    "\u200b", "\u200c\u200d", "\u0301\u0302", "\xa0", "\u2003", "\u3000", "\ufeff", "\u2800", "\u3164", "\xad", "\u2060 \t",
    "\u180e", "\u034f", "\ufe0f", "\U000e0020", "\u115f\u1160",
)  # fmt: skip
"""Names and reasons in which there is nothing to read."""

HIDDEN = (
    "\u2028\u2029\x85\r\x0b\x0c\x00\x1b\x7f\x9f\u200b\u200e\u202a\u202e\u2066\u2069\u061c\u2060\ufeff\xad\U000e0041"
)
"""What no editor shows: line breaks to some readers, controls, and what turns the order of others."""

BAD_EXCEPTIONS: list[dict[str, Any]] = [
    *({name: blank} for name in ("approver", "reason") for blank in BLANKS),
    {"approver": ""}, {"approver": "  "}, {"approver": None}, {"reason": "\n"}, {"reason": 1}, {"expires": "tomorrow"},
    {"approver": "Grace\u202eHopper"}, {"reason": "R\u2028"}, {"approver": "Grace\x85"},
    {"expires": "2026-02-30"}, {"expires": "2026-03-01T12:00:00"}, {"expires": None}, {"expires": 20260301},
    {"expires": "9999-12-31T23:00:00-12:00"}, {"rule": "model_digest"}, {"rule": "attack_splits"}, {"rule": "issued_at"},
    {"rule": "model_blessing"}, {"rule": "attack_coverage"}, {"rule": "dataset_budget"}, {"rule": "*"}, {"rule": None},
    {"model_digest": "sha256:1"}, {"forever": True},
]  # fmt: skip
"""What makes an exception of a policy none."""

LIMITS: list[tuple[str, Any]] = [
    *[("max_epsilon", value) for value in (None, 0, 0.0, -1.0, math.nan, math.inf, -math.inf, "3", "1e-5", True, False)],
    *[("max_epsilon", value) for value in ([3.0], {"at most": 3}, 10**400, 3 + 0j, decimal.Decimal(3), b"3")],
    *[("max_delta", value) for value in (None, 0, 1, 1.0, -1e-5, 2.0, math.nan, math.inf, "1e-5", "1.0e-5", True)],
    *[("max_attack_auc", value) for value in (None, 0, 0.49, 1.01, math.nan, math.inf, "0.6", True, 60)],
    *[("min_slice_coverage", value) for value in (None, 0.0, 1.5, -0.5, math.nan, "all", True)],
    *[("max_age_days", value) for value in (0, -1, math.nan, math.inf, "30", True, 1e9)],
    *[("allow_non_dp_preprocessing", value) for value in ("yes", 1, 0.0, None)],
    *[("ledger", value) for value in (None, True, "optional", "off")],
    *[("signature", value) for value in (None, False, "none")],
    *[("schema_version", value) for value in (0, 2, "1", 1.5, None)],
    *[("required_attacks", value) for value in ("loss", [1], ["loss", "loss"], [""], None)],
    *[("required_slices", value) for value in ({"class": 1}, [["class"]], ["a" * 300])],
    *[("required_tasks", value) for value in (["unsupported"], ["binary", "binary"], "binary")],
    *[("dataset_id", value) for value in ("Taxi", "../taxi", "", 7)],
    *[("privacy_unit", value) for value in ("person", 1)],
    *[("neighboring_relation", value) for value in ("REPLACE_ONE", True)],
    ("slice_limits", [{"feature": "payment", "max_attack_auc": 0.4}]),
    ("slice_limits", [{"feature": "all", "max_attack_auc": 0.6}]),
    ("slice_limits", [{"feature": "", "max_attack_auc": 0.6}]),
    ("slice_limits", [{"feature": "payment", "value": 1, "max_attack_auc": 0.6}]),
    ("slice_limits", [{"feature": "payment", "max_attack_auc": 0.6, "note": "x"}]),
    ("slice_limits", [{"feature": "payment", "max_attack_auc": 0.6}, {"feature": "payment", "max_attack_auc": 0.9}]),
    ("slice_limits", [{"max_attack_auc": 0.6}]),
    ("slice_limits", {"payment": 0.6}),
    *[
        ("exceptions", [{"rule": "epsilon", "approver": "A", "reason": "R", "expires": "2026-03-01", **bad}])
        for bad in BAD_EXCEPTIONS
    ],
    ("exceptions", [{"rule": "epsilon", "approver": "A", "reason": "R"}]),
    ("exceptions", "epsilon"),
]  # fmt: skip

YAML: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "empty"),
    "a comment": ("# nothing yet\n", "empty"),
    "null": ("null", "empty"),
    "an empty mapping": ("{}", "empty"),
    "a list": ("- max_epsilon: 3\n", "mapping"),
    "a number": ("3", "mapping"),
    "a text": ("max_epsilon", "mapping"),
    "no version": (GOOD_YAML.replace("schema_version: 1\n", ""), "schema_version"),
    "no epsilon": (GOOD_YAML.replace("max_epsilon: 3\n", ""), "'max_epsilon' is missing"),
    "no AUC": (GOOD_YAML.replace("max_attack_auc: 0.6\n", ""), "'max_attack_auc' is missing"),
    "a key twice": (GOOD_YAML + "max_epsilon: 30\n", "line 5: duplicate key 'max_epsilon'"),
    "a key twice inside": (
        GOOD_YAML + "slice_limits: [{feature: a, feature: b, max_attack_auc: 0.6}]", "duplicate key 'feature'",
    ),
    "an unknown key": (GOOD_YAML + "max_epsilom: 30\n", "'max_epsilom'"),
    "an anchor": (GOOD_YAML + "required_slices: &a [class]\n", "anchors"),
    "an alias": (GOOD_YAML + "required_slices: *a\n", "aliases"),
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "anchors"),
    "a merge key": (GOOD_YAML + "<<: {max_epsilon: 30}\n", "'<<'"),
    "a tag of Python's": (GOOD_YAML + "dataset_id: !!python/object/apply:os.system ['true']\n", "python/object"),
    "a tag of one's own": (GOOD_YAML + "dataset_id: !secret taxi\n", "'!secret'"),
    "a tag of YAML's": (GOOD_YAML + "max_age_days: !!float 30\n", "the tag"),
    "binary": (GOOD_YAML + "dataset_id: !!binary dGF4aQ==\n", "the tag"),
    "an exponent that YAML 1.1 reads as text": (GOOD_YAML.replace("1.0e-5", "1e-5"), "Write 1.0e-5"),
    "an exponent without a sign": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: 0.3e1"), "Write 0.3e+1"),
    "a quoted number": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: '3'"), "without quotes: 3"),
    "a number of YAML 1.1": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: 1_000"), "max_epsilon='1_000'"),
    "base sixty": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: 1:30"), "max_epsilon='1:30'"),
    "octal": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: 010"), "max_epsilon='010'"),
    "not a number": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: .nan"), "max_epsilon=nan"),
    "infinity": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: .inf"), "max_epsilon=inf"),
    "beyond a double": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: 1.0e+400"), "max_epsilon=inf"),
    "more digits than Python reads": (GOOD_YAML.replace("max_epsilon: 3", f"max_epsilon: {'9' * 5000}"), "Exceeds the limit"),
    "a whole number beyond a double": (GOOD_YAML.replace("max_epsilon: 3", f"max_epsilon: {'9' * 400}"), "max_epsilon="),
    "true for a number": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: true"), "max_epsilon=True"),
    "on for true": (GOOD_YAML + "allow_non_dp_preprocessing: on\n", "allow_non_dp_preprocessing='on'"),
    "a list for a number": (GOOD_YAML.replace("max_epsilon: 3", "max_epsilon: [3]"), "max_epsilon=[3]"),
    "a key that is no text": (GOOD_YAML + "1: 2\n", "a key is not text"),
    "a key that is a list": (GOOD_YAML + "? [a]\n: 1\n", "a key is not text"),
    "two documents": (GOOD_YAML + "---\nmax_epsilon: 30\n", "document"),
    "deep": (GOOD_YAML + f"required_slices: {'[' * 40}{']' * 40}\n", "deeper than the limit"),
    "deep without an end": (GOOD_YAML + f"required_slices: {'[' * 100_000}", "deeper than the limit"),
    "large": (GOOD_YAML + "#" * (1 << 20), "too large"),
    "without an end": (GOOD_YAML + "required_slices: [class", "line"),
    "a tabulator": (GOOD_YAML + "slice_limits:\n\t- feature: a\n", "line"),
    "no UTF-8": (GOOD_YAML.encode() + b"dataset_id: \xff\n", "utf-8"),
    "a control character": (GOOD_YAML + "dataset_id: \x07\n", "special characters"),
    **{
        f"a setting after a comment, {ord(letter):04x}": (
            GOOD_YAML.replace("max_epsilon: 3\n", f"max_epsilon: 3  # ticket 12{letter}allow_non_dp_preprocessing: true\n"),
            f"U+{ord(letter):04X}",
        )
        for letter in HIDDEN
    },
    "a byte-order mark": ("\ufeff" + GOOD_YAML, "U+FEFF"),
    "a dataset without a ledger": (GOOD_YAML + "ledger: none\ndataset_id: taxi\n", "dataset_id='taxi'"),
    "a class that is a number": (
        GOOD_YAML + "slice_limits: [{feature: class, value: 1, max_attack_auc: 0.7}]\n", "in quotes: '1'"
    ),
    "too many": (GOOD_YAML + f"required_slices: [{', '.join(f's{index}' for index in range(1001))}]\n", "required_slices"),
}  # fmt: skip

JSON: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "strict JSON"),
    "an empty object": ("{}", "empty"),
    "an array": ("[]", "mapping"),
    "a key twice": (json.dumps(GOOD)[:-1] + ', "max_epsilon": 30}', "duplicate key 'max_epsilon'"),
    "NaN": (json.dumps({**GOOD, "max_epsilon": math.nan}), "NaN"),
    "Infinity": (json.dumps({**GOOD, "max_epsilon": math.inf}), "Infinity"),
    "beyond a double": (json.dumps(GOOD).replace("3", "1e400"), "the number 1e400 is beyond what a double holds"),
    "a whole number beyond a double": (json.dumps(GOOD).replace("3", "9" * 400), "beyond what a double holds"),
    "a line that no editor breaks": (json.dumps(GOOD) + "\u2028", "U+2028 (LINE SEPARATOR) in line 1"),
    "an order of another kind": (
        json.dumps({**GOOD, "required_slices": ["a\u202eb"]}, ensure_ascii=False),
        "U+202E (RIGHT-TO-LEFT OVERRIDE)",
    ),
    "an order of another kind, escaped": (json.dumps({**GOOD, "required_slices": ["a\u202eb"]}), "U+202E"),
    "true for a number": (json.dumps({**GOOD, "max_epsilon": True}), "max_epsilon=True"),
    "null for a number": (json.dumps({**GOOD, "max_epsilon": None}), "max_epsilon=None"),
    "an unknown key": (json.dumps({**GOOD, "note": ""}), "'note'"),
    "another version": (json.dumps({**GOOD, "schema_version": 2}), "schema_version=2"),
    "deep": (json.dumps(GOOD)[:-1] + f', "required_slices": {"[" * 25}{"]" * 25}}}', "deeper than the limit"),
    "half a pair of surrogates": (json.dumps({**GOOD, "required_slices": ["\ud800"]}), "required_slices"),
    "cut off": (json.dumps(GOOD)[:-5], "strict JSON"),
    "a comment": (json.dumps(GOOD) + "// trust me", "strict JSON"),
    "large": (json.dumps(GOOD) + " " * (1 << 20), "too large"),
}


def _guarantee(**changes: Any) -> str:
    return json.dumps({**json.loads(evidence.make_guarantee().to_json()), **changes})


def _evaluation(**changes: Any) -> str:
    return json.dumps({**json.loads(evidence.make_evaluation().to_json()), **changes})


def _row(**changes: Any) -> str:
    document = json.loads(evidence.make_evaluation().to_json())
    document["results"][0].update(changes)
    return json.dumps(document)


def _mechanism(**changes: Any) -> str:
    return _guarantee(mechanism={**json.loads(evidence.mechanism().to_json()), **changes})


# What Python would take for 1, among others.
NO_VERSIONS = (0, 2, True, "1", 1.0, None)


def _without_version(text: str) -> str:
    return json.dumps({name: value for name, value in json.loads(text).items() if name != "schema_version"})


GUARANTEES: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "strict JSON"),
    "null": ("null", "PrivacyGuarantee"),
    "an array": ("[]", "PrivacyGuarantee"),
    "no UTF-8": (b"\xff\xfe", "strict JSON"),
    "cut in half": (_guarantee()[:700], "strict JSON"),
    "a key twice": ('{"epsilon_pld": 0.1,' + _guarantee()[1:], "duplicate key 'epsilon_pld'"),
    "NaN": (_guarantee(epsilon_pld=math.nan), "NaN"),
    "Infinity": (_guarantee(epsilon_pld=math.inf), "Infinity"),
    "beyond a double": (_guarantee(target_delta=0.25).replace("0.25", "1e400"), ""),
    "true for a number": (_guarantee(epsilon_rdp=True), "epsilon_rdp"),
    "text for a number": (_guarantee(epsilon_rdp="2.5"), "epsilon_rdp"),
    "negative": (_guarantee(epsilon_rdp=-1.0), "epsilon_rdp"),
    **{f"of schema {version!r}": (_guarantee(schema_version=version), "schema_version") for version in NO_VERSIONS},
    "of no schema": (_without_version(_guarantee()), "schema_version is missing"),
    "an unknown field": (_guarantee(trust="me"), "trust"),
    "no delta": (_guarantee(target_delta=0.0), "target_delta"),
    "no mechanism": (_guarantee(mechanism=None), "mechanism"),
    "another mechanism": (_guarantee(mechanism={"kind": "magic"}), "mechanism"),
    "no noise": (_mechanism(noise_multiplier=0.0), "noise_multiplier"),
    "negative noise": (_mechanism(noise_multiplier=-1.0), "noise_multiplier"),
    "half a step": (_mechanism(steps=0.5), "steps"),
    "no step": (_mechanism(steps=0), "steps"),
    "a probability above one": (_mechanism(sampling_probability=1.5), "sampling_probability"),
    "an unknown source of noise": (_mechanism(noise_source="fair dice"), "noise_source"),
    "a short digest": (_guarantee(model_digest="sha256:abc"), "model_digest"),
    "no splits": (_guarantee(train_splits=[]), "train_splits"),
    "a dataset without a position": (_guarantee(dataset_id="taxi"), "ledger and dataset_id"),
    "deep": (_guarantee(scope=json.loads("[" * 40 + "]" * 40)), "deeper than the limit"),
    "large": (_guarantee(statement="x" * (9 << 20)), "larger than the limit"),
}

EVALUATIONS: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "strict JSON"),
    "null": ("null", "PrivacyEvaluation"),
    "cut in half": (_evaluation()[:900], "strict JSON"),
    "a key twice": ('{"results": [],' + _evaluation()[1:], "duplicate key 'results'"),
    "no rows": (_evaluation(results=[]), "results"),
    "a row twice": (_evaluation(results=json.loads(_evaluation())["results"][:1] * 2), "several rows"),
    "NaN": (_row(auc={"estimate": math.nan, "low": 0.4, "high": 0.6}), "NaN"),
    "an upper bound below the lower one": (_row(auc={"estimate": 0.5, "low": 0.6, "high": 0.4}), "auc"),
    "an AUC above one": (_row(auc={"estimate": 0.5, "low": 0.4, "high": 1.4}), "auc"),
    "OK without numbers": (_row(auc=None), "needs an auc"),
    "an unknown status": (_row(status="FINE"), "status"),
    "true for a count": (_row(num_members=True), "num_members"),
    "a negative count": (_row(num_members=-1), "num_members"),
    "text for a count": (_evaluation(num_members="10000"), "num_members"),
    "certain confidence": (_evaluation(confidence_level=1.0), "confidence_level"),
    **{f"of schema {version!r}": (_evaluation(schema_version=version), "schema_version") for version in NO_VERSIONS},
    "of no schema": (_without_version(_evaluation()), "schema_version is missing"),
    "an unknown field": (_evaluation(note="all fine"), "note"),
    "no head": (_evaluation(heads=[]), "heads"),
    "no members' splits": (_evaluation(member_splits=[]), "member_splits"),
}
