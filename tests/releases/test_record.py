"""The record of a release: what contradicts itself is refused, and its digest is of what it states."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from scipy import stats

from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.record import PrivacyGuarantee
from tfx_privacy.records import statement
from tfx_privacy.releases.record import Answer, Release, Selection, file_name, least_threshold, release_digest, together

DIGEST = "sha256:" + "a" * 64
MOMENTS = {
    "kind": "moments", "features": ["mean(fare)"], "numbers": 3, "l2_sensitivity": 2.0, "noise_standard_deviation": 80.0,
}  # fmt: skip
WORDS = {
    "kind": "vocabulary", "features": ["vocabulary(company)"], "numbers": None, "l2_sensitivity": 1.0,
    "noise_standard_deviation": 30.0, "selection": {"threshold": 158, "delta": 1e-7, "max_keys": 1},
}  # fmt: skip
POSITION = {"ledger_id": "b" * 32, "blocks": [], "sequence": 4, "entry_hash": DIGEST}


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1, "run_id": "d" * 32, "issued_at": "2026-01-01T00:00:00+00:00", "component": "transform",
        "examples": [{"span": "1", "version": None, "fingerprint": "files:2"}], "splits": ["train"],
        "splits_disjoint_for": "example", "privacy_unit": "example", "max_records_per_user": None,
        "neighboring_relation": "ADD_OR_REMOVE_ONE", "answers": [MOMENTS, WORDS], "noise_multiplier": 24.0,
        "noise_source": "os_entropy", "artifact_digest": DIGEST, "files_read": [], "uncovered_analyzers": [], "engine": "x",
        "dataset_id": None, "ledger": None, **changes,
    }  # fmt: skip


def made(**changes: Any) -> Release:
    return Release.from_value(facts(**changes))


def answer(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**base, **changes}


def words(**selection: Any) -> dict[str, Any]:
    return {**WORDS, "selection": {**WORDS["selection"], **selection}}  # type: ignore[dict-item]


def test_the_record_of_these_tests_is_valid() -> None:
    release = made()
    assert release.noise_multiplier == 24.0
    assert together(release.answers) == pytest.approx((40.0**-2 + 30.0**-2) ** -0.5) == pytest.approx(24.0)
    assert release.is_private
    assert release.delta_spent == pytest.approx(1e-7)
    assert release.delta_spent >= 1e-7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_multiplier": 24.001}, "noise_multiplier=24.001 is more than the answers come to, 24"),
        ({"noise_multiplier": 0.0}, "noise_multiplier"),
        ({"noise_multiplier": 0.2}, r"noise_multiplier=0.2 is outside \[0.3, 10000\]"),
        ({"noise_multiplier": 2e4, "answers": [answer(MOMENTS, noise_standard_deviation=1e9)]}, "is outside"),
        ({"noise_multiplier": "24"}, "noise_multiplier"),
        ({"noise_multiplier": True}, "noise_multiplier"),
        ({"privacy_unit": "user"}, "max_records_per_user belongs to privacy_unit='user'"),
        ({"max_records_per_user": 2}, "max_records_per_user belongs to privacy_unit='user'"),
        ({"privacy_unit": "user", "max_records_per_user": 2}, "is more than the answers come to, 12"),
        ({"privacy_unit": "user", "max_records_per_user": 0}, "max_records_per_user"),
        ({"privacy_unit": "household"}, "privacy_unit"),
        ({"splits": ["train", "train"]}, "names one twice"),
        ({"splits": []}, "splits"),
        ({"splits": [""]}, "splits"),
        ({"splits_disjoint_for": "split"}, "splits_disjoint_for"),
        ({"examples": []}, "examples"),
        ({"answers": []}, "answers"),
        ({"component": "trainer"}, "component"),
        ({"neighboring_relation": "REPLACE_ONE"}, "neighboring_relation"),
        ({"noise_source": "none"}, "noise_source"),
        ({"artifact_digest": "sha256:xyz"}, "artifact_digest"),
        ({"run_id": "x"}, "run_id"),
        ({"dataset_id": "trips"}, "ledger and dataset_id belong together"),
        ({"ledger": POSITION}, "ledger and dataset_id belong together"),
        ({"unknown": 1}, "unknown"),
        ({"answers": [answer(MOMENTS, selection=WORDS["selection"]), WORDS]}, "a selection belongs to a vocabulary"),
        ({"answers": [MOMENTS, answer(WORDS, selection=None)]}, "a selection belongs to a vocabulary"),
        ({"answers": [MOMENTS, answer(WORDS, numbers=4)]}, "only of a vocabulary the number of values is not public"),
        ({"answers": [answer(MOMENTS, numbers=None), WORDS]}, "only of a vocabulary"),
        ({"answers": [answer(MOMENTS, kind="sums"), WORDS]}, "kind"),
        ({"answers": [answer(MOMENTS, features=[]), WORDS]}, "features"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=0.0), WORDS]}, "l2_sensitivity"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=-1.0), WORDS]}, "l2_sensitivity"),
        ({"answers": [answer(MOMENTS, noise_standard_deviation=0.0), WORDS]}, "noise_standard_deviation"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=1e-300, noise_standard_deviation=1e300)]}, "come to, 0"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=1e300, noise_standard_deviation=1e-300)]}, "come to, 0"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=1e160, noise_standard_deviation=1e-10)]}, "come to, 0"),
        ({"answers": [answer(MOMENTS, l2_sensitivity=1.7e308)] * 4}, "come to"),
        ({"answers": [MOMENTS, words(threshold=157)]}, r"threshold=157 of \['vocabulary\(company\)'\] is below 157.4"),
        ({"answers": [MOMENTS, words(delta=1e-8)]}, "which delta=1e-08 needs"),
        ({"answers": [MOMENTS, words(delta=0.0)]}, "delta"),
        ({"answers": [MOMENTS, words(delta=1.0)]}, "delta"),
        ({"answers": [MOMENTS, words(max_keys=0)]}, "max_keys"),
        ({"answers": [MOMENTS, words(max_keys=2)]}, "is below"),
        ({"answers": [MOMENTS, words(delta=5e-324, max_keys=4)]}, "is below inf"),
        ({"answers": [MOMENTS, words(threshold=0)]}, "threshold"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        made(**changes)


@pytest.mark.parametrize("name", sorted(set(facts()) - {"files_read", "uncovered_analyzers", "dataset_id", "ledger"}))
def test_nothing_that_matters_may_be_missing(name: str) -> None:
    left_out = {key: value for key, value in facts().items() if key != name}
    if name in ("splits_disjoint_for", "max_records_per_user"):
        assert getattr(Release.from_value(left_out), name) is None
        return
    with pytest.raises(EvidenceError, match=name):
        Release.from_value(left_out)


def test_a_unit_of_more_records_needs_a_higher_threshold() -> None:
    """Its records may all hold one value, and it has more values of its own."""
    user = {"privacy_unit": "user", "max_records_per_user": 3, "noise_multiplier": 8.0}
    with pytest.raises(EvidenceError, match="threshold=158 of"):
        made(**user)
    least = 3 + 0.5 + 30.0 * stats.norm.isf(1e-7 / 3)
    assert made(answers=[MOMENTS, words(threshold=math.ceil(least))], **user).records_of_unit == 3
    with pytest.raises(EvidenceError, match="threshold="):
        made(answers=[MOMENTS, words(threshold=math.ceil(least) - 1)], **user)


@pytest.mark.parametrize(("max_keys", "records"), [(1, 1), (1, 5), (4, 1), (4, 5)])
def test_the_least_threshold_is_the_formula_s(max_keys: int, records: int) -> None:
    """Each of a unit's values in all of its records, the noise rounded, and a union bound over all its values."""
    found = least_threshold(
        30.0, delta=1e-6, max_keys=max_keys, l2_sensitivity=2.0 * math.sqrt(max_keys), records_of_unit=records
    )
    one = stats.norm.sf((found - 2.0 * records - 0.5) / 30.0)
    assert one * max_keys * records == pytest.approx(1e-6)


def test_it_travels_as_a_statement_about_what_was_released() -> None:
    release = made(dataset_id="trips", ledger=POSITION, files_read=["means.json"], uncovered_analyzers=["mean"])
    text = statement.to_json(release)
    assert statement.from_json(Release, text) == release
    told = json.loads(text)
    assert told["subject"] == [{"name": "release", "digest": {"sha256": "a" * 64}}]
    assert told["predicateType"].endswith("/release/v1")
    assert release.files_read == ["means.json"]
    with pytest.raises(EvidenceError, match="predicateType"):
        statement.from_json(PrivacyGuarantee, text)
    other = text.replace('"sha256": "' + "a" * 64, '"sha256": "' + "b" * 64)
    assert other != text
    with pytest.raises(EvidenceError, match="must be the one release"):
        statement.from_json(Release, other)
    with pytest.raises(EvidenceError, match="must be the one release"):
        statement.from_json(Release, text.replace('"name": "release"', '"name": "model"'))


def test_the_digest_is_of_all_but_the_place_in_a_ledger() -> None:
    plain = made()
    assert release_digest(made(dataset_id="trips", ledger=POSITION)) == release_digest(plain)
    assert release_digest(plain).startswith("sha256:")
    changed: list[dict[str, Any]] = [
        {"noise_multiplier": 23.0}, {"splits": ["eval"]}, {"splits_disjoint_for": None},
        {"artifact_digest": "sha256:" + "b" * 64}, {"files_read": ["x"]}, {"uncovered_analyzers": ["x"]},
        {"noise_source": "deterministic_test"}, {"component": "statistics"}, {"examples": [{"span": "2"}]},
        {"run_id": "e" * 32}, {"neighboring_relation": "REPLACE_SPECIAL"},
        {"issued_at": "2026-01-02T00:00:00+00:00"}, {"engine": "y"}, {"answers": [MOMENTS, words(threshold=159)]},
        {"answers": [answer(MOMENTS, features=["other"]), WORDS]},
    ]  # fmt: skip
    digests = {release_digest(made(**changes)) for changes in changed}
    assert len(digests | {release_digest(plain)}) == len(changed) + 1


def test_noise_of_a_known_key_is_not_private() -> None:
    assert not made(noise_source="deterministic_test").is_private


def test_delta_of_several_thresholds_adds_up_and_is_never_below_the_sum() -> None:
    several = made(answers=[MOMENTS, *[words(threshold=400)] * 7], noise_multiplier=10.0)
    assert 7e-7 <= several.delta_spent <= 7e-7 * (1 + 1e-12)
    assert made(answers=[MOMENTS]).delta_spent == 0.0


def test_files_are_named_by_split() -> None:
    assert file_name() == "privacy_release.json"
    assert file_name("eval") == "privacy_release-eval.json"


def test_answers_are_as_private_as_their_sum() -> None:
    one = Answer.model_validate({**MOMENTS, "features": ["x"]})
    assert one.noise_multiplier == 40.0
    assert together([one]) == pytest.approx(40.0)
    assert together([one] * 4) == pytest.approx(20.0)
    assert Selection(threshold=3, delta=1e-6, max_keys=1).threshold == 3


def test_an_error_quotes_no_value_of_the_record() -> None:
    with pytest.raises(EvidenceError) as error:
        made(answers=[answer(MOMENTS, kind="private text")])
    assert "private text" not in str(error.value)
