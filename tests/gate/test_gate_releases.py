"""The gate's rule on what was released besides the training, and what other rules make of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import evidence
import forgeries
import pytest

from tfx_privacy.gate import decide as gate
from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.gate.verdict import RuleResult, Verdict
from tfx_privacy.guarantee.base_model import begin_from
from tfx_privacy.guarantee.record import CoveredRelease, PrivacyGuarantee, ScopeItem
from tfx_privacy.releases.record import ExamplesRead

GRAPH = ScopeItem(artifact="transform_graph", covered=True, detail="Released.", covered_by=["5" * 32])
CHARGED: dict[str, Any] = {"dataset_id": "taxi", "ledger": evidence.position(sequence=3), "signed_by": "team-key"}
LIMITS = GatePolicy(max_epsilon=4.0, max_delta=1e-5, max_attack_auc=0.6)


def release(component: str = "transform", **changes: Any) -> CoveredRelease:
    return evidence.release(component, **{**CHARGED, **changes})


def guarantee(*releases: CoveredRelease, **changes: Any) -> PrivacyGuarantee:
    values = {"releases": list(releases), "examples": [evidence.EXAMPLES], "scope": [GRAPH], **changes}
    return evidence.charged_guarantee(**values)


def decide(record: PrivacyGuarantee, policy: GatePolicy = evidence.CHARGED_POLICY) -> Verdict:
    return gate.decide(evidence.charged_evidence(guarantee=record), policy, now=evidence.NOW)


def result(
    record: PrivacyGuarantee, rule: str = "privacy_releases", policy: GatePolicy = evidence.CHARGED_POLICY
) -> RuleResult:
    found = decide(record, policy).rule(rule)
    assert found is not None
    return found


def uncharged(*releases: CoveredRelease, **changes: Any) -> PrivacyGuarantee:
    return evidence.make_guarantee(**{"releases": list(releases), "examples": [evidence.EXAMPLES], **changes})


def test_releases_of_the_same_records_and_terms_pass() -> None:
    record = guarantee(release(), release("statistics"))
    found = result(record)
    assert found.passed, found.explanation
    assert found.value == "2 releases"
    assert "epsilon covers the vocabulary, the scaling, the statistics and the training" in found.explanation
    assert {failure.rule for failure in decide(record).failures} <= {"ledger"}
    epsilon = result(record, "epsilon")
    assert epsilon.passed
    assert "It covers the vocabulary, the scaling, the statistics and the training." in epsilon.explanation
    scope = result(record, "guarantee_scope")
    assert scope.passed
    assert "Epsilon covers the vocabulary" in scope.explanation


def test_a_schema_that_is_not_covered_has_a_remedy_of_its_own() -> None:
    held = ScopeItem(artifact="schema", covered=False, detail="Texts of the label.")
    found = result(guarantee(release(), scope=[GRAPH, held]), "guarantee_scope")
    assert not found.passed
    assert found.value == "not covered: schema"
    for part in ("Texts of the label.", "DPStatisticsGen", "schema_is_public"):
        assert part in found.explanation


def test_a_training_alone_has_nothing_to_check() -> None:
    found = result(evidence.charged_guarantee())
    assert found.passed
    assert found.value == "none"


COPY = evidence.EXAMPLES.model_copy(update={"inserted_canary_records": 310})
CANARIES = ScopeItem(artifact="examples", covered=False, detail="CanaryInserter added records.")


def test_a_model_that_was_trained_with_canaries_is_refused_and_no_exception_helps() -> None:
    """What was released of the originals is in order: the copy holds them."""
    record = guarantee(release(), examples=[COPY], scope=[GRAPH, CANARIES])
    assert result(record).passed
    exception = PolicyException(rule="guarantee_scope", approver="A", reason="b", expires="2026-02-01")
    allowing = evidence.CHARGED_POLICY.model_copy(
        update={"exceptions": [exception], "allow_non_dp_preprocessing": True, "allow_non_dp_tuning": True}
    )
    for policy in (evidence.CHARGED_POLICY, allowing):
        found = result(record, "guarantee_scope", policy)
        assert not found.passed
        assert not found.holds
        assert "train the one to serve on the examples that CanaryInserter copied" in found.explanation
    assert "cannot be waived" in found.explanation
    schema = ScopeItem(artifact="schema", covered=False, detail="Texts.")
    assert result(guarantee(release(), scope=[GRAPH, schema]), "guarantee_scope", allowing).holds


def test_a_release_of_examples_with_canaries_is_refused() -> None:
    """Of the model itself, or of the one that it began from."""
    of_copy = release(examples=[COPY])
    found = result(guarantee(of_copy))
    assert not found.passed
    assert "release 55555555 of transform: it is of examples with canaries" in found.explanation
    assert "Release of the examples without them" in found.explanation
    base = begin_from([(guarantee(of_copy), None)], evidence.DIGEST)
    inherited = result(evidence.charged_guarantee(base_model=base, run_id="9" * 32))
    assert not inherited.passed
    assert "of the base model: it is of examples with canaries" in inherited.explanation


USERS: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 3}


@pytest.mark.parametrize(
    ("of_training", "of_release", "unknown"),
    [("taxi_id", "trip_id", False), ("taxi_id", None, True), (None, "taxi_id", True), (None, None, True)],
)
def test_users_by_another_key_are_refused(of_training: str | None, of_release: str | None, unknown: bool) -> None:
    made = release(**USERS, user_id_key=of_release)
    record = guarantee(made, **USERS, user_id_key=of_training)
    found = result(record)
    assert not found.passed
    assert f"user_id_key={of_release!r}, and the training by {of_training!r}" in found.explanation
    assert ("so it is not known to be the same people" in found.explanation) is unknown
    assert "preprocessing_fn must hand on under its name" in found.explanation
    epsilon = result(record, "epsilon")
    assert not epsilon.passed
    assert "users by another user_id_key" in epsilon.explanation
    same = guarantee(release(**USERS, user_id_key="taxi_id"), **USERS, user_id_key="taxi_id")
    assert result(same).passed


OTHER = ExamplesRead(span="2", fingerprint=evidence.EXAMPLES.fingerprint)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "test noise": ({"noise_source": "deterministic_test"}, "deterministic_test"),
    "of users": ({"privacy_unit": "user", "max_records_per_user": 3}, "privacy_unit is 'user'"),
    "of another relation": ({"neighboring_relation": "REPLACE_SPECIAL"}, "neighboring_relation is 'REPLACE_SPECIAL'"),
    "of another dataset": ({"dataset_id": "census"}, "dataset_id is 'census', and 'taxi'"),
    "charged nowhere": ({"dataset_id": None, "ledger": None}, "dataset_id is None, and 'taxi'"),
    "in another ledger": ({"ledger": evidence.position(ledger_id="f" * 32)}, "ledger is 'ffffffff'"),
    "of another block": ({"ledger": evidence.position(blocks=["2025"])}, "blocks is ['2025']"),
    "of another span": ({"examples": [OTHER]}, "of other examples"),
    "of another version": (
        {"examples": [evidence.EXAMPLES.model_copy(update={"version": "2"})]}, "of other examples",
    ),
    "of other files": ({"examples": [evidence.EXAMPLES.model_copy(update={"fingerprint": "x"})]}, "of other examples"),
    "of one more span": ({"examples": [evidence.EXAMPLES, OTHER]}, "of other examples"),
    "of it does not say which": ({"examples": [ExamplesRead()]}, "release does not say which"),
    "partly of it does not say which": ({"examples": [evidence.EXAMPLES, ExamplesRead()]}, "release does not say which"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG.keys())
def test_one_that_does_not_belong_to_the_training_is_refused(changes: dict[str, Any], words: str) -> None:
    """Also where another one does."""
    for others in ([], [release("statistics")]):
        found = result(guarantee(release(**changes), *others, scope=[]))
        assert found.status == "failed", found
        assert words in found.explanation
        assert "release 55555555 of transform" in found.explanation
        assert found.exception is None


def test_a_training_that_does_not_say_which_examples_it_read() -> None:
    for examples in ([], [ExamplesRead()]):
        found = result(guarantee(release(), examples=examples))
        assert found.status == "failed"
        assert "training does not say which" in found.explanation
        assert "A component of your own between them must copy" in found.explanation


def test_where_neither_says_which_all_is_added_up_and_nothing_contradicts() -> None:
    unknown = release(examples=[ExamplesRead()], splits=["eval"])
    record = guarantee(unknown, examples=[ExamplesRead()], splits_disjoint_for="example")
    assert result(record).passed
    assert record.stated_epsilon > evidence.make_guarantee().stated_epsilon


def test_without_a_ledger_neither_has_one() -> None:
    record = uncharged(evidence.release())
    assert result(record, policy=LIMITS).passed
    charged = result(uncharged(release()), policy=LIMITS)
    assert charged.status == "failed"
    assert "dataset_id is 'taxi', and None of the training" in charged.explanation


def test_no_exception_excuses_it() -> None:
    from tfx_privacy.errors import ParameterError
    from tfx_privacy.gate.policy import PolicyException

    with pytest.raises(ParameterError, match="rule"):
        PolicyException(rule="privacy_releases", approver="A", reason="B", expires="2026-02-01")  # type: ignore[arg-type]


def test_a_verdict_without_the_rule_blesses_nothing() -> None:
    verdict = decide(evidence.charged_guarantee())
    assert verdict.blessed
    less = tuple(rule for rule in verdict.rules if rule.rule != "privacy_releases")
    assert not verdict.model_copy(update={"rules": less}).blessed


class TestOfABaseModel:
    def warm(self, *releases: CoveredRelease, ledger_id: str = evidence.LEDGER_ID) -> PrivacyGuarantee:
        first = evidence.make_guarantee(
            model_digest=evidence.OTHER_DIGEST, run_id="2" * 32, dataset_id="taxi", releases=list(releases),
            ledger=evidence.position(ledger_id=ledger_id),
        )  # fmt: skip
        base = begin_from([(first, "team-key")], evidence.OTHER_DIGEST)
        return evidence.charged_guarantee(base_model=base)

    def test_its_releases_may_be_of_other_records(self) -> None:
        found = result(self.warm(release(examples=[OTHER])))
        assert found.passed, found.explanation
        assert found.value == "0 releases, 1 of the base model"

    @pytest.mark.parametrize(
        "changes",
        [
            {"noise_source": "deterministic_test"},
            {"neighboring_relation": "REPLACE_SPECIAL"},
            {"ledger": evidence.position(ledger_id="f" * 32)},
            {"ledger": None, "dataset_id": None},
        ],
    )
    def test_their_noise_terms_and_ledger_are_checked(self, changes: dict[str, Any]) -> None:
        found = result(self.warm(release(**changes)))
        assert found.status == "failed"
        assert "of the base model" in found.explanation

    def test_their_signatures_are(self) -> None:
        assert result(self.warm(release()), "signature").passed
        found = result(self.warm(release(signed_by=None)), "signature")
        assert found.status == "failed"
        assert "release 55555555" in found.explanation


def test_a_policy_that_demands_signatures_demands_those_of_releases() -> None:
    for signer in (None, ""):
        found = result(guarantee(release(), release("statistics", signed_by=signer)), "signature")
        assert found.status == "failed"
        assert "release 66666666" in found.explanation
    assert result(guarantee(release(), release("statistics")), "signature").passed
    optional = result(uncharged(evidence.release()), "signature", LIMITS)
    assert optional.passed
    assert "release 55555555" in optional.explanation


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise_source": "deterministic_test"}, "a release that it is of as well has no privacy"),
        ({"delta_spent": 1e-5}, "thresholds of its releases have spent delta=1e-05 of 1e-05"),
    ],
)
def test_an_infinite_epsilon_says_why(changes: dict[str, Any], words: str) -> None:
    found = result(uncharged(evidence.release(**changes)), "epsilon", LIMITS)
    assert not found.passed
    assert words in found.explanation


def test_an_epsilon_above_the_limit_says_what_it_is_of() -> None:
    limits = GatePolicy(max_epsilon=0.5, max_delta=1e-5, max_attack_auc=0.6)
    assert (
        "Preprocessing and statistics are part of it"
        in result(uncharged(evidence.release()), "epsilon", limits).explanation
    )


def test_no_field_of_a_release_can_be_changed_unseen() -> None:
    """The ledger keeps the digest of all facts, releases included."""
    record = guarantee(release(), release("statistics"), splits_disjoint_for="example")
    answers = {each.run_id: evidence.release_run(record, each) for each in record.releases}
    honest = dataclasses.replace(evidence.charged_evidence(guarantee=record), release_runs=answers)
    passed = {rule.rule for rule in gate.decide(honest, evidence.CHARGED_POLICY, now=evidence.NOW).rules if rule.holds}
    assert {"privacy_releases", "epsilon", "ledger"} <= passed
    document = json.loads(record.to_json())
    paths = [(path, old) for path, old in forgeries.leaves(document) if path[0] in ("releases", "examples", "scope")]
    assert len(paths) > 40
    for path, old in paths:
        for value in forgeries.others(old):
            made = forgeries.read(PrivacyGuarantee, forgeries.with_leaf(document, path, value))
            if made == record:
                continue
            changed = evidence.charged_evidence(guarantee=made, ledger=honest.ledger)
            changed = dataclasses.replace(changed, release_runs=answers)
            verdict = gate.decide(changed, evidence.CHARGED_POLICY, now=evidence.NOW)
            by_ledger = verdict.rule("ledger")
            assert by_ledger is not None
            assert not by_ledger.holds, (path, value)
            assert not verdict.blessed
