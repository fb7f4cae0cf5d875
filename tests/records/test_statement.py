import json
from collections.abc import Callable
from typing import Any

import evidence
import pytest

from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records import statement
from tfx_privacy.records.statement import ModelRecord

Document = dict[str, Any]


def verdict(**changes: Any) -> Verdict:
    return decide(evidence.make_evidence(**changes), evidence.POLICY, now=evidence.NOW)


RECORDS: dict[str, ModelRecord] = {
    "guarantee": evidence.make_guarantee(),
    "evaluation": evidence.make_evaluation(),
    "verdict": verdict(),
    "refusal": verdict(guarantee=evidence.make_guarantee(model_digest=evidence.OTHER_DIGEST)),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_a_record_is_written_as_a_statement_about_its_model(record: ModelRecord) -> None:
    written = json.loads(statement.to_json(record))
    kind = {PrivacyGuarantee: "guarantee", PrivacyEvaluation: "evaluation", Verdict: "verdict"}[type(record)]
    assert written == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": "a" * 64}}],
        "predicateType": f"https://tfx-privacy.dev/{kind}/v1",
        "predicate": json.loads(record.to_json()),
    }
    read = statement.from_json(type(record), statement.to_json(record))
    assert read == record
    assert statement.to_json(read) == statement.to_json(record)


@pytest.mark.parametrize("kind", [PrivacyGuarantee, PrivacyEvaluation, Verdict])
def test_a_statement_is_read_as_what_it_is(kind: type[ModelRecord]) -> None:
    for record in RECORDS.values():
        if not isinstance(record, kind):
            with pytest.raises(EvidenceError, match=rf"predicateType='{kind.predicate_type}', not "):
                statement.from_json(kind, statement.to_json(record))


def _subject(digest: str = "a" * 64, **more: Any) -> Document:
    return {"name": "model", "digest": {"sha256": digest, **more}}


NO_STATEMENTS: dict[str, tuple[Callable[[Document], object], str]] = {
    "another statement type": (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), "_type"),
    "no statement type": (lambda d: d.pop("_type"), "_type"),
    "no subject": (lambda d: d.update(subject=[]), "must be the one model"),
    "subject left out": (lambda d: d.pop("subject"), "subject"),
    "two subjects": (lambda d: d.update(subject=[_subject()] * 2), "It names 2"),
    "another model as well": (lambda d: d.update(subject=[_subject(), _subject("b" * 64)]), "It names 2"),
    "another model": (lambda d: d.update(subject=[_subject("b" * 64)]), "must be the one model"),
    "predicate of another model": (lambda d: d["predicate"].update(model_digest=evidence.OTHER_DIGEST), "must be the"),
    "a digest in upper case": (lambda d: d.update(subject=[_subject("A" * 64)]), "sha256"),
    "a digest with a prefix": (lambda d: d.update(subject=[_subject("sha256:" + "a" * 64)]), "sha256"),
    "a digest more": (lambda d: d.update(subject=[_subject(sha512="a" * 128)]), "sha512"),
    "another name": (lambda d: d.update(subject=[{**_subject(), "name": "data"}]), "name"),
    "an unknown field": (lambda d: d.update(note=""), "note"),
    "an unknown field of the predicate": (lambda d: d["predicate"].update(note=""), "note"),
    "no predicate": (lambda d: d.pop("predicate"), "predicate"),
    "a list as predicate": (lambda d: d.update(predicate=[]), "predicate"),
    "a later version": (lambda d: d.update(predicateType=d["predicateType"][:-1] + "2"), "predicateType"),
    "a longer type": (lambda d: d.update(predicateType=d["predicateType"] + "/"), "predicateType"),
    "the predicate alone": (lambda d: [d.update(d.pop("predicate")), d.pop("subject")], "Statement"),
    "no version of the predicate": (lambda d: d["predicate"].pop("schema_version"), "schema_version is missing"),
    **{
        f"version {version!r}": (
            lambda d, version=version: d["predicate"].update(schema_version=version),  # type: ignore[misc]
            "schema_version",
        )
        for version in (0, 2, True, 1.0, "1", None)
    },
}


@pytest.mark.parametrize(("change", "message"), NO_STATEMENTS.values(), ids=NO_STATEMENTS.keys())
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_what_is_no_statement_about_one_model_is_refused(
    record: ModelRecord, change: Callable[[Document], object], message: str
) -> None:
    written = json.loads(statement.to_json(record))
    change(written)
    with pytest.raises(EvidenceError, match=message):
        statement.from_json(type(record), json.dumps(written))


def test_a_verdict_without_a_model_has_no_subject_and_refuses() -> None:
    refused = verdict(model_digest=EvidenceError("There is no file to take a digest of."))
    text = statement.to_json(refused)
    assert json.loads(text)["subject"] == []
    assert statement.from_json(Verdict, text) == refused
    assert not refused.blessed
    named = json.loads(text) | {"subject": [_subject()]}
    with pytest.raises(EvidenceError, match="must be the one model that its predicate is about, None"):
        statement.from_json(Verdict, json.dumps(named))


def test_text_that_is_no_strict_json_is_refused() -> None:
    text = statement.to_json(RECORDS["guarantee"])
    for bad in ("", "[]", "null", text[:700], text.replace('"name"', '"name": "other", "name"', 1), "\ufeff" + text):
        with pytest.raises(EvidenceError):
            statement.from_json(PrivacyGuarantee, bad)
