"""The validator with a real ledger: it asks for the releases that a guarantee names, and holds each against its entry."""

from __future__ import annotations

import pathlib
from typing import Any

import evidence
import pytest
import test_budget_validator
from released import planned, release
from test_charged_and_signed import SOURCE, Case, reserve, sign

from tfx_privacy.components.accounts import Account
from tfx_privacy.components.release_charge import charged
from tfx_privacy.guarantee.record import CoveredRelease, guarantee_digest
from tfx_privacy.ledger import Ledger
from tfx_privacy.records import signing
from tfx_privacy.releases.record import Release

pytestmark = pytest.mark.slow


def charge(ledger: Ledger, dataset_id: str = "taxi") -> Release:
    """A release as a component makes it."""
    template = release("0" * 32)
    with charged(
        Account(SOURCE, dataset_id, []),
        run=planned(template),
        delta_spent=template.delta_spent,
        privacy_unit="example",
        neighboring_relation="ADD_OR_REMOVE_ONE",
        labels={},
    ) as run:
        return run.commit(release(run.run_id))


def write(case: Case, *releases: CoveredRelease, run_id: str) -> None:
    """Trains with them, as far as ledger and validator know."""
    reserve(case.ledger, run_id)
    case.ledger.start(run_id, attempt_id="1" * 32)
    facts: dict[str, Any] = {"model_digest": case.bench.digest, "run_id": run_id, "releases": list(releases)}
    bare = evidence.make_guarantee(**facts)
    entry = case.ledger.commit(
        run_id,
        evidence.planned(evidence.mechanism()),
        model_digest=case.bench.digest,
        guarantee_digest=guarantee_digest(bare),
    )
    position = evidence.position(ledger_id=entry.ledger_id, blocks=[], sequence=entry.sequence, entry_hash=entry.hash)
    sign(case.bench, "privacy_guarantee", evidence.make_guarantee(**facts, dataset_id="taxi", ledger=position))


@pytest.fixture
def case(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    key = signing.new_key("ed25519", "team")
    monkeypatch.setenv(signing.SIGNING_KEY_VARIABLE, key.signing)
    monkeypatch.setenv(signing.VERIFICATION_KEYS_VARIABLE, key.verification)
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", f"sqlite:///{path}")
    ledger = Ledger(SOURCE)
    ledger.initialise()
    for name in ("taxi", "census"):
        ledger.register(name, epsilon=30.0, delta=1e-6, approver="Dana", threshold_delta=1e-7)
    bench = test_budget_validator.Bench(tmp_path / "artifacts")
    sign(bench, "privacy_evaluation", evidence.make_evaluation(model_digest=bench.digest))
    return Case(bench, ledger, path, evidence.make_guarantee())


def test_releases_are_found_in_the_ledger_or_refused(case: Case) -> None:
    """One run of the validator for each way in which a release is in it, or is not."""
    charged_one = CoveredRelease.of(charge(case.ledger), signed_by=None)
    assert charged_one.ledger is not None
    write(case, charged_one, run_id="a" * 32)
    case.run()
    assert not {"ledger", "dataset_budget"} & case.rules(), case.bench.message

    others = {
        "is not in this ledger": charged_one.model_copy(update={"run_id": "9" * 32}),
        "it was charged to no ledger": CoveredRelease.of(release("8" * 32), signed_by=None),
        "it was charged to ledger 99999999": charged_one.model_copy(
            update={"ledger": charged_one.ledger.model_copy(update={"ledger_id": "9" * 32})}
        ),
        "digest of the release is": charged_one.model_copy(update={"release_digest": evidence.OTHER_DIGEST}),
        "more than the": charged_one.model_copy(update={"delta_spent": 2 * charged_one.delta_spent}),
        "'taxi' of the model's run": CoveredRelease.of(charge(case.ledger, "census"), signed_by=None),
    }
    for number, (words, other) in enumerate(others.items()):
        write(case, other, run_id=f"{number + 1:032x}")
        assert case.run() == 0
        assert "ledger" in case.rules(), words
        assert words in case.bench.message, case.bench.message
