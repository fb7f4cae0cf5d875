"""What preprocessing released is found in the ledger of the guarantee's run, or the gate refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import evidence
import pytest
from released import DIGEST, planned, release

from tfx_privacy.budget import thresholds
from tfx_privacy.budget.runs import LedgerPosition, LedgerRun
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.evidence import Evidence, Finding
from tfx_privacy.gate.rules import ledger
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee
from tfx_privacy.releases.record import release_digest

FIRST, SECOND = "3" * 32, "4" * 32
UNITS = thresholds.spent(release(FIRST).delta_spent)


def position(**changes: Any) -> LedgerPosition:
    return evidence.position(**{"sequence": 4, "entry_hash": evidence.DIGEST, **changes})


def covered(run_id: str = FIRST, **changes: Any) -> CoveredRelease:
    found = release(run_id, dataset_id="taxi", ledger=position())
    return CoveredRelease.of(found, signed_by=None).model_copy(update=changes)


def answer(run_id: str = FIRST, **changes: Any) -> LedgerRun:
    """What an honest ledger says of a release, before the training's own run."""
    made = release(run_id)
    values: dict[str, Any] = {
        "run_id": run_id,
        "purpose": "release",
        "planned": planned(made),
        "model_digest": DIGEST,
        "guarantee_digest": release_digest(made),
        "sequence": 4,
        "entry_hash": evidence.DIGEST,
        "delta_spent": UNITS,
        "delta_charged": 2 * UNITS,
        "threshold_delta": thresholds.set_aside(1e-7),
    }
    return evidence.ledger_run(evidence.charged_guarantee(), **{**values, **changes})


def with_releases(*releases: CoveredRelease) -> PrivacyGuarantee:
    return evidence.charged_guarantee(releases=list(releases))


def found(record: PrivacyGuarantee, *answers: LedgerRun, **parts: Any) -> Finding:
    whole = evidence.charged_evidence(guarantee=record)
    asked: Evidence = dataclasses.replace(whole, release_runs={each.run_id: each for each in answers}, **parts)
    return ledger.check_ledger(asked, evidence.CHARGED_POLICY, evidence.NOW)


def test_releases_that_the_ledger_has_as_the_guarantee_says() -> None:
    assert found(with_releases(covered()), answer()).passed
    assert found(with_releases(covered(), covered(SECOND)), answer(), answer(SECOND)).passed
    assert found(evidence.charged_guarantee()).passed


def test_what_was_reserved_may_be_more_than_was_released() -> None:
    more = answer(delta_spent=UNITS + 1, planned=answer().planned.changed(noise_multiplier=20.0))
    assert found(with_releases(covered()), more).passed


OTHER_ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "reserved only": ({"state": "RESERVED"}, "state is 'RESERVED' there"),
    "broken off": ({"state": "STARTED"}, "state is 'STARTED' there"),
    "settled": ({"state": "SETTLED"}, "state is 'SETTLED' there"),
    "given back": ({"state": "ABORTED"}, "state is 'ABORTED' there"),
    "a training": ({"purpose": "model"}, "purpose is 'model' there"),
    "of reference models": ({"purpose": "reference_models"}, "purpose is 'reference_models' there"),
    "of another ledger": ({"ledger_id": "9" * 32}, "ledger_id is"),
    "of another dataset": ({"dataset_id": "census"}, "dataset_id is 'census' there"),
    "of other blocks": ({"blocks": ["2025"]}, "blocks is ['2025'] there"),
    "at another place": ({"sequence": 5}, "sequence is 5 there"),
    "at no place": ({"sequence": None}, "sequence is None there"),
    "beyond the end": ({"head_sequence": 3}, "beyond the ledger's last one"),
    "the last one, with another hash": ({"head_sequence": 4}, "has another hash"),
    "with another hash": ({"entry_hash": evidence.OTHER_DIGEST}, "entry_hash is"),
    "without a hash": ({"entry_hash": None}, "entry_hash is None there"),
    "of another graph": ({"model_digest": evidence.OTHER_DIGEST}, "digest of what was released is"),
    "of no graph": ({"model_digest": None}, "digest of what was released is None"),
    "of another record": ({"guarantee_digest": evidence.OTHER_DIGEST}, "digest of the release is"),
    "of no record": ({"guarantee_digest": None}, "digest of the release is None"),
    "of users": ({"privacy_unit": "user"}, "privacy_unit is 'user' there"),
    "of the other relation": ({"neighboring_relation": "REPLACE_SPECIAL"}, "neighboring_relation is"),
    "for more noise": ({"planned": answer().planned.changed(noise_multiplier=100.0)}, "less than the 100 that was reserved"),
    "for a share of the records": (
        {"planned": answer().planned.changed(sampling_probability=0.1)}, "sampling_probability=0.1 was reserved"
    ),
    "for less delta": ({"delta_spent": UNITS - 1}, "its thresholds spent delta_spent=1e-08, more than"),
    "for no delta": ({"delta_spent": 0}, "more than the 0 that was reserved"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), OTHER_ANSWERS.values(), ids=OTHER_ANSWERS.keys())
def test_a_release_that_the_ledger_does_not_bear_out(changes: dict[str, Any], words: str) -> None:
    finding = found(with_releases(covered(SECOND), covered()), answer(SECOND), answer(**changes))
    assert not finding.passed
    assert f"release {FIRST[:8]}: " in finding.explanation
    assert words in finding.explanation
    assert f"release {SECOND[:8]}: " not in finding.explanation
    assert not finding.excusable


OTHER_RELEASES: dict[str, tuple[dict[str, Any], str]] = {
    "charged to no ledger": ({"ledger": None, "dataset_id": None}, "it was charged to no ledger"),
    "charged to another": ({"ledger": position(ledger_id="9" * 32)}, "it was charged to ledger 99999999"),
    "in another dataset": ({"dataset_id": "census"}, "dataset_id is 'taxi' there, not 'census'"),
    "in other blocks": ({"ledger": position(blocks=["2025"])}, "blocks is"),
    "at another place": ({"ledger": position(sequence=5)}, "sequence is 4 there, not 5"),
    "with another hash": ({"ledger": position(entry_hash=evidence.OTHER_DIGEST)}, "entry_hash is"),
    "of another graph": ({"artifact_digest": evidence.OTHER_DIGEST}, "digest of what was released is"),
    "of another record": ({"release_digest": evidence.OTHER_DIGEST}, "digest of the release is"),
    "with less noise": ({"noise_multiplier": 1.0}, "noise_multiplier=1 is less than"),
    "with more delta": ({"delta_spent": 2e-8}, "delta_spent=2e-08, more than"),
    "with NaN noise": ({"noise_multiplier": float("nan")}, "noise_multiplier=nan is less than"),
    "of users": ({"privacy_unit": "user"}, "privacy_unit is"),
}


@pytest.mark.parametrize(("changes", "words"), OTHER_RELEASES.values(), ids=OTHER_RELEASES.keys())
def test_a_guarantee_that_says_something_else_of_a_release(changes: dict[str, Any], words: str) -> None:
    record = evidence.charged_guarantee().model_copy(update={"releases": [covered(**changes)]})
    finding = found(record, answer())
    assert not finding.passed
    assert words in finding.explanation


def test_a_release_of_another_dataset_of_the_same_ledger_is_refused() -> None:
    """The ledger bears it out; what that dataset's people spent is not counted where the model's are."""
    record = with_releases(covered(dataset_id="census"))
    finding = found(record, answer(dataset_id="census"))
    assert not finding.passed
    assert "dataset_id is 'census', and 'taxi' of the model's run" in finding.explanation


def test_a_release_of_other_blocks_is_refused() -> None:
    record = with_releases(covered(ledger=position(blocks=["2025"])))
    assert "of the model's run" in found(record, answer(blocks=["2025"])).explanation


def test_the_answer_of_another_run_is_none() -> None:
    record = with_releases(covered())
    whole = evidence.charged_evidence(guarantee=record)
    asked = dataclasses.replace(whole, release_runs={FIRST: answer(SECOND)})
    finding = ledger.check_ledger(asked, evidence.CHARGED_POLICY, evidence.NOW)
    assert not finding.passed
    assert "run_id is" in finding.explanation


def test_a_ledger_that_was_not_asked_or_not_read_is_unknown() -> None:
    record = with_releases(covered())
    with pytest.raises(EvidenceError, match=f"was not asked for the release's run {FIRST}"):
        found(record)
    whole = evidence.charged_evidence(guarantee=record)
    unread = dataclasses.replace(whole, release_runs={FIRST: EvidenceError("The disk is gone.")})
    with pytest.raises(EvidenceError, match="The disk is gone"):
        ledger.check_ledger(unread, evidence.CHARGED_POLICY, evidence.NOW)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"delta_charged": 5, "threshold_delta": 5}, True),
        ({"delta_charged": 6, "threshold_delta": 5}, False),
        ({"delta_charged": 1}, False),
        # No less than all of the budget's delta, 1e-6: nothing of it would be left for divergence.
        ({"threshold_delta": thresholds.spent(1e-6)}, False),
    ],
    ids=str,
)
def test_what_thresholds_were_charged_is_within_what_is_set_aside(changes: dict[str, Any], passes: bool) -> None:
    record = evidence.charged_guarantee()
    whole = evidence.charged_evidence(guarantee=record, ledger=evidence.ledger_run(record, **changes))
    finding = ledger.check_dataset_budget(whole, evidence.CHARGED_POLICY, evidence.NOW)
    assert finding.passed == passes
    assert passes or "Thresholds of releases on dataset taxi were charged delta" in finding.explanation
