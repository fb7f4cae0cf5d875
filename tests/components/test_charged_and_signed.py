"""The validator on real files, with a real ledger and signatures: what it asks, and what nothing gets past."""

from __future__ import annotations

import dataclasses
import html
import json
import pathlib
import shutil
import sqlite3
from typing import Any

import evidence
import pytest
import test_budget_validator

from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee.record import PrivacyGuarantee, guarantee_digest
from tfx_privacy.ledger import Ledger
from tfx_privacy.records import signing, statement

pytestmark = pytest.mark.slow

SOURCE = "env:TFX_PRIVACY_LEDGER"
POLICY = GatePolicy(
    max_epsilon=3.0, max_delta=1e-5, max_attack_auc=0.6, dataset_id="taxi", ledger="required", signature="required"
)


@dataclasses.dataclass
class Case:
    """A model that was charged, committed and signed."""

    bench: test_budget_validator.Bench
    ledger: Ledger
    path: pathlib.Path
    record: PrivacyGuarantee

    def run(self, limits: GatePolicy = POLICY) -> int:
        return self.bench.run(policy=limits.canonical, ledger=SOURCE)

    def rules(self) -> set[str]:
        report = json.loads((self.bench.root / "report/report.json").read_text())
        return {rule["rule"] for rule in report["verdict"]["rules"] if rule["status"] != "passed"}


def sign(bench: test_budget_validator.Bench, key: str, record: statement.ModelRecord) -> None:
    from tfx_privacy.components import _signatures

    _signatures.write_signed_text(str(bench.root / key), f"{key}.json", statement.to_json(record))


def reserve(ledger: Ledger, run_id: str, **changes: Any) -> None:
    values: dict[str, Any] = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
    ledger.reserve(run_id, "taxi", evidence.planned(evidence.mechanism()), **{**values, **changes})


@pytest.fixture
def case(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    key = signing.new_key("ed25519", "team")
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, key.signing)
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, key.verification)
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", f"sqlite:///{path}")
    ledger = Ledger(SOURCE)
    ledger.initialise()
    ledger.register("taxi", epsilon=8.0, delta=1e-6, approver="Dana")
    bench = test_budget_validator.Bench(tmp_path / "artifacts")
    reserve(ledger, evidence.RUN_ID)
    ledger.start(evidence.RUN_ID, attempt_id="1" * 32)
    bare = evidence.make_guarantee(model_digest=bench.digest)
    entry = ledger.commit(
        evidence.RUN_ID,
        evidence.planned(evidence.mechanism()),
        model_digest=bench.digest,
        guarantee_digest=guarantee_digest(bare),
    )
    position = evidence.position(ledger_id=entry.ledger_id, blocks=[], sequence=entry.sequence, entry_hash=entry.hash)
    record = evidence.make_guarantee(model_digest=bench.digest, dataset_id="taxi", ledger=position)
    sign(bench, "privacy_guarantee", record)
    sign(bench, "privacy_evaluation", evidence.make_evaluation(model_digest=bench.digest))
    return Case(bench, ledger, path, record)


def test_a_charged_and_signed_model_is_blessed_and_stays_so_when_others_spend(case: Case) -> None:
    assert case.run() == 1, case.bench.message
    reserve(case.ledger, "5" * 32)
    assert case.run() == 1, case.bench.message
    report = json.loads((case.bench.root / "report/report.json").read_text())
    head = report["verdict"]["ledger_head"]
    assert head["sequence"] > case.record.ledger.sequence  # type: ignore[union-attr]
    assert report["evidence"]["ledger"]["state"] == "COMMITTED"
    assert report["evidence"]["signatures"] == {"guarantee": "team", "evaluation": "team"}
    (budget,) = [sentence["text"] for sentence in report["plain"] if sentence["about"] == "Budget"]
    page = html.unescape((case.bench.root / "report/report.html").read_text())
    assert "taxi" in page
    assert budget in page


def test_an_edited_file_is_refused_by_its_signature(case: Case) -> None:
    for key in ("privacy_guarantee", "privacy_evaluation"):
        path = case.bench.root / key / f"{key}.json"
        honest = path.read_text()
        path.write_text(honest.replace('"engine": "test"', '"engine": "tess"'))
        assert case.run() == 0
        assert "signature" in case.rules()
        path.write_text(honest)
        assert case.run() == 1


def test_a_guarantee_signed_by_a_key_holder_is_still_held_against_the_ledger(case: Case) -> None:
    """A signature says who wrote it, not that it is true."""
    for changes in (
        {"run_id": "7" * 32},
        {"engine": "other"},
        {"target_delta": 9e-6},
        {"train_splits": ["train", "more"]},
    ):
        sign(case.bench, "privacy_guarantee", case.record.model_copy(update=changes))
        assert case.run() == 0
        assert "ledger" in case.rules()


def test_a_run_that_was_never_committed_is_refused(case: Case) -> None:
    reserve(case.ledger, "8" * 32)
    sign(case.bench, "privacy_guarantee", case.record.model_copy(update={"run_id": "8" * 32}))
    assert case.run() == 0
    assert "the run's state is RESERVED, not COMMITTED" in case.bench.message


def test_a_guarantee_whose_ledger_was_cut_out_is_refused(case: Case) -> None:
    sign(case.bench, "privacy_guarantee", evidence.make_guarantee(model_digest=case.bench.digest))
    assert case.run() == 0
    assert {"ledger", "guarantee_terms"} <= case.rules()


def test_a_budget_that_was_lowered_below_what_is_spent_refuses(case: Case) -> None:
    spent = case.ledger.run(evidence.RUN_ID).spent_epsilon
    case.ledger.change_budget("taxi", epsilon=spent - 0.01, approver="Dana", reason="a smaller budget")
    assert case.run() == 0
    assert case.rules() == {"dataset_budget"}


def test_an_older_copy_of_the_ledger_is_refused(
    case: Case, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ledger in its place, without the run or with another identity."""
    other = tmp_path / "other.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", f"sqlite:///{other}")
    empty = Ledger(SOURCE)
    empty.initialise()
    empty.register("taxi", epsilon=8.0, delta=1e-6, approver="Dana")
    assert case.run() == 0
    assert {"ledger", "dataset_budget"} <= case.rules()


def test_a_ledger_that_was_edited_cannot_be_read(case: Case) -> None:
    with sqlite3.connect(case.path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        (table,) = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.endswith(("entry", "entries"))
        ]
        assert connection.execute(f"UPDATE {table} SET hash = 'sha256:{'0' * 64}' WHERE sequence = 1").rowcount == 1
    assert case.run() == 0
    assert "The ledger of env:TFX_PRIVACY_LEDGER cannot be read" in case.bench.message
    assert str(case.path) not in case.bench.message


def test_without_the_ledgers_address_the_refusal_names_the_variable(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TFX_PRIVACY_LEDGER")
    assert case.run() == 0
    assert "The environment variable TFX_PRIVACY_LEDGER is not set" in case.bench.message


def test_unknown_keys_are_refused_and_missing_signatures_as_the_policy_says(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, signing.new_key("ed25519", "other").verification)
    lenient = GatePolicy(**{**POLICY.model_dump(), "signature": "optional"})
    for limits in (POLICY, lenient):
        assert case.run(limits) == 0
        assert case.rules() == {"signature"}
    for path in case.bench.root.glob("privacy_*/*.intoto.jsonl"):
        path.unlink()
    assert case.run() == 0
    assert case.run(lenient) == 1


def test_the_files_of_another_run_in_one_ledger(case: Case, tmp_path: pathlib.Path) -> None:
    """Model, guarantee and evaluation of another honest run, put together with this one's, are refused whichever is exchanged."""
    other = test_budget_validator.Bench(tmp_path / "other")
    other.write("model/Format-Serving", "saved_model.pb", "other weights")
    for key in ("model", "privacy_evaluation", "privacy_guarantee"):
        folder, kept = case.bench.root / key, tmp_path / f"kept_{key}"
        shutil.move(folder, kept)
        shutil.copytree(other.root / key, folder)
        assert case.run() == 0, key
        shutil.rmtree(folder)
        shutil.move(kept, folder)
        assert case.run() == 1
