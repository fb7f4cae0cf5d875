"""One epsilon over a training and what was released beside it: what is added up, what is not, and what is said of it."""

from __future__ import annotations

import json
import math
from typing import Any

import evidence
import pytest

from tfx_privacy.accounting import noise_tails
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee import planned
from tfx_privacy.guarantee.base_model import begin_from, check_composable
from tfx_privacy.guarantee.coverage import covered, listed, uncovered
from tfx_privacy.guarantee.epsilon_over_steps import over_steps
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.recomputation import (
    epsilon_at,
    epsilon_of_this_run,
    epsilon_with_references,
    is_disproved,
    recomputed_epsilon,
    stated_bounds,
)
from tfx_privacy.guarantee.record import (
    MAX_RELEASES,
    CoveredRelease,
    PrivacyGuarantee,
    ReferenceTrainings,
    ScopeItem,
    guarantee_digest,
    has_canaries,
)
from tfx_privacy.guarantee.spending import Beside, identities
from tfx_privacy.records import digest, statement, strict_json
from tfx_privacy.releases.record import Answer, ExamplesRead, Release, Selection, release_digest

DELTA = 1e-5
OWN = evidence.mechanism()
TRANSFORM = evidence.release()
STATISTICS = evidence.release("statistics")
DISJOINT = {"splits_disjoint_for": "example", "examples": [evidence.EXAMPLES]}
GRAPH = ScopeItem(artifact="transform_graph", covered=True, detail="Released.", covered_by=[TRANSFORM.run_id])


def composed_by_the_library(*runs: tuple[float, float, int], delta: float = DELTA, interval: float = 1e-4) -> float:
    """An oracle that knows nothing of releases: dp_accounting's own accountant, asked for (noise, probability, steps)."""
    from tfx_privacy.third_party import dp_accounting
    from tfx_privacy.third_party.dp_accounting import pld

    accountant = pld.PLDAccountant(value_discretization_interval=interval)
    for noise, probability, steps in runs:
        step: Any = dp_accounting.GaussianDpEvent(noise)
        if probability < 1.0:
            step = dp_accounting.PoissonSampledDpEvent(probability, step)
        accountant.compose(step, steps)
    return float(accountant.get_epsilon(delta))


TRAINING = (1.8, 0.05, 400)


def guarantee(*releases: CoveredRelease, **changes: Any) -> PrivacyGuarantee:
    values: dict[str, Any] = {"releases": list(releases), "examples": [evidence.EXAMPLES]}
    return evidence.make_guarantee(OWN, **{**values, **changes})


def said(record: PrivacyGuarantee, epsilon: float = 0.5) -> PrivacyGuarantee:
    """The same guarantee with another epsilon."""
    return record.model_copy(update={"epsilon_pld": epsilon, "epsilon_rdp": epsilon})


def test_a_release_composes_with_the_training_at_what_is_left_of_delta() -> None:
    record = guarantee(TRANSFORM)
    expected = composed_by_the_library(TRAINING, (20.0, 1.0, 1), delta=DELTA - 1e-7)
    assert record.stated_epsilon == pytest.approx(expected, rel=1e-6)
    assert recomputed_epsilon(record) == record.stated_epsilon
    alone = composed_by_the_library(TRAINING)
    assert epsilon_of_this_run(record) == pytest.approx(alone, rel=1e-6)
    # The thresholds' delta shows by itself, far above what the two agree in.
    assert expected > 1.0005 * composed_by_the_library(TRAINING, (20.0, 1.0, 1))


def test_several_releases_of_the_same_records_are_all_added_up() -> None:
    second = evidence.release(run_id="7" * 32, noise_multiplier=5.0, delta_spent=2e-7)
    record = guarantee(TRANSFORM, second)
    expected = composed_by_the_library(TRAINING, (20.0, 1.0, 1), (5.0, 1.0, 1), delta=DELTA - 3e-7)
    assert record.stated_epsilon == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("unit", ["example", "user"])
def test_over_disjoint_splits_the_largest_counts(unit: str) -> None:
    """The training split: preprocessing, statistics, training; the others: what was released of them alone."""
    of_eval = evidence.release(
        "statistics", splits=["eval"], noise_multiplier=1.0, splits_disjoint_for="user", run_id="8" * 32
    )
    of_both = evidence.release("statistics", splits_disjoint_for="user")
    of_train = evidence.release(splits_disjoint_for="user")
    terms: dict[str, Any] = {"splits_disjoint_for": "user"}
    releases = [of_train, of_both, of_eval]
    if unit == "user":
        users = {"privacy_unit": "user", "max_records_per_user": 3, "user_id_key": "taxi_id"}
        terms |= users
        releases = [release.model_copy(update=users) for release in releases]
    record = guarantee(*releases, **terms)
    on_train = composed_by_the_library(TRAINING, (20.0, 1.0, 1), (30.0, 1.0, 1), delta=DELTA - 1e-7)
    on_eval = composed_by_the_library((30.0, 1.0, 1), (1.0, 1.0, 1))
    assert on_eval > on_train
    assert record.stated_epsilon == pytest.approx(on_eval, rel=1e-6)
    less = guarantee(*releases[:2], **terms)
    assert less.stated_epsilon == pytest.approx(on_train, rel=1e-6)
    # Delta that thresholds spend on one split is not taken from another's.
    spending = releases[2].model_copy(update={"delta_spent": 5e-6, "noise_multiplier": 50.0})
    assert guarantee(*releases[:2], spending, **terms).stated_epsilon == pytest.approx(on_train, rel=1e-6)


FOREIGN = ExamplesRead(span="2", fingerprint=evidence.EXAMPLES.fingerprint)
NOT_SHOWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the guarantee does not say": ({"splits_disjoint_for": None}, {}),
    "a release does not say": ({}, {"splits_disjoint_for": None}),
    "disjoint by record, users are the unit": (
        {"privacy_unit": "user", "max_records_per_user": 3, "user_id_key": "taxi_id"},
        {"privacy_unit": "user", "max_records_per_user": 3, "user_id_key": "taxi_id"},
    ),
    "of another span": ({}, {"examples": [FOREIGN]}),
    "of one more": ({}, {"examples": [evidence.EXAMPLES, FOREIGN]}),
    "the release does not say which": ({}, {"examples": [ExamplesRead()]}),
    "the training does not say which": ({"examples": []}, {}),
    "neither says which": ({"examples": [ExamplesRead()]}, {"examples": [ExamplesRead()]}),
}  # fmt: skip


@pytest.mark.parametrize(("of_training", "of_release"), NOT_SHOWN.values(), ids=NOT_SHOWN.keys())
def test_where_nobody_shows_that_splits_are_disjoint_all_is_added_up(
    of_training: dict[str, Any], of_release: dict[str, Any]
) -> None:
    release = evidence.release("statistics", **{"splits": ["eval"], "noise_multiplier": 1.0, **of_release})
    record = guarantee(release, **{**DISJOINT, **of_training})
    expected = composed_by_the_library(TRAINING, (1.0, 1.0, 1))
    assert record.stated_epsilon == pytest.approx(expected, rel=1e-6)
    larger_alone = composed_by_the_library((1.0, 1.0, 1))
    with pytest.raises(EvidenceError, match="with its releases"):
        recomputed_epsilon(said(record, larger_alone))


UNBOUNDED: dict[str, dict[str, Any]] = {
    "test noise": {"noise_source": "deterministic_test"},
    "another unit": {"privacy_unit": "user", "max_records_per_user": 2},
    "another relation": {"neighboring_relation": "REPLACE_SPECIAL"},
    "thresholds that spent delta": {"delta_spent": DELTA},
    "thresholds that spent more": {"delta_spent": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("changes", UNBOUNDED.values(), ids=UNBOUNDED.keys())
def test_what_cannot_be_added_up_leaves_nothing(changes: dict[str, Any]) -> None:
    record = guarantee(evidence.release(**changes))
    assert record.epsilon_rdp == "inf"
    assert recomputed_epsilon(said(record)) == math.inf
    assert covered(record) == []
    assert "nothing bounds them" in record.statement


@pytest.mark.parametrize(
    ("of_training", "of_release"), [("taxi_id", "trip_id"), ("taxi_id", None), (None, "taxi_id"), (None, None)]
)
def test_users_by_another_key_are_other_people(of_training: str | None, of_release: str | None) -> None:
    """All trips of a taxi are of many passengers; a record from before the key was stated may be of either."""
    users: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 3}
    record = guarantee(evidence.release(**users, user_id_key=of_release), **users, user_id_key=of_training)
    assert record.epsilon_rdp == "inf"
    assert recomputed_epsilon(said(record)) == math.inf
    same = guarantee(evidence.release(**users, user_id_key="taxi_id"), **users, user_id_key="taxi_id")
    assert math.isfinite(recomputed_epsilon(same))
    assert "one user (told apart by 'taxi_id', of whom at most 3 records were used)" in same.statement
    alone = evidence.make_guarantee(**users, user_id_key=of_training)
    assert math.isfinite(recomputed_epsilon(alone))


def test_a_training_of_another_sampling_than_its_relation_counts_for_nothing_beside_releases() -> None:
    record = guarantee(TRANSFORM)
    passes = evidence.mechanism(sampling="shuffled", passes=[20] * 20)
    assert recomputed_epsilon(said(record.model_copy(update={"mechanism": passes}))) == math.inf


def test_one_without_the_other_is_less_than_was_spent() -> None:
    record, alone = guarantee(TRANSFORM), evidence.make_guarantee()
    forged = record.model_copy(update={"epsilon_pld": alone.epsilon_pld, "epsilon_rdp": alone.epsilon_rdp})
    with pytest.raises(EvidenceError, match="with its releases"):
        recomputed_epsilon(forged)


def test_without_training_privacy_there_is_none() -> None:
    record = evidence.make_guarantee(NoMechanism(steps=3), releases=[TRANSFORM])
    assert record.epsilon_rdp == "inf"
    assert covered(record) == []


def test_an_audit_is_held_against_the_training_alone() -> None:
    from tfx_privacy.guarantee.record import Audit

    record = guarantee(evidence.release(noise_multiplier=0.5))
    alone = epsilon_of_this_run(record)
    assert alone < 0.5 * record.stated_epsilon
    shown: dict[str, Any] = {
        "num_canaries": 100,
        "num_members": 50,
        "confidence": 0.95,
        "epsilon_lower_bound_gaussian": 0.0,
    }
    for bound, passes in ((alone * 0.99, True), (alone * 1.01, False)):
        audit = Audit(epsilon_lower_bound=bound, epsilon_lower_bound_one_run=0.0, **shown)
        audited = record.model_copy(update={"audit": audit})
        if passes:
            assert recomputed_epsilon(audited) == record.stated_epsilon
        else:
            with pytest.raises(EvidenceError, match="The audit shows"):
                recomputed_epsilon(audited)


def test_a_proof_from_canaries_is_held_against_all_of_it() -> None:
    """Canaries are in the records that preprocessing read, so what they show may come from there."""
    record = guarantee(TRANSFORM)
    together = epsilon_at(record, 1e-6)
    assert together == pytest.approx(composed_by_the_library(TRAINING, (20.0, 1.0, 1), delta=1e-6 - 1e-7), rel=1e-6)
    assert not is_disproved(record, together, delta=1e-6, records=1)
    assert is_disproved(record, together * 1.001, delta=1e-6, records=1)
    assert is_disproved(record, math.nan, delta=1e-6, records=1)


def test_where_thresholds_have_spent_delta_a_proof_is_compared_or_refused() -> None:
    record = guarantee(TRANSFORM)
    assert epsilon_at(record, 1e-7) == math.inf
    assert not is_disproved(record, record.stated_epsilon, delta=1e-7, records=1)
    for bound in (record.stated_epsilon * 1.001, math.nan):
        with pytest.raises(EvidenceError, match="cannot be compared"):
            is_disproved(record, bound, delta=1e-7, records=1)


def test_reference_models_and_releases_are_added_up() -> None:
    reference = evidence.mechanism(steps=10)
    beside = Beside(releases=[TRANSFORM], neighboring_relation="ADD_OR_REMOVE_ONE", privacy_unit="example")
    together = epsilon_with_references(OWN, reference, trainings_per_record=2, target_delta=DELTA, beside=beside)
    expected = composed_by_the_library((1.8, 0.05, 420), (20.0, 1.0, 1), delta=DELTA - 1e-7)
    assert together == pytest.approx(expected, rel=1e-6)
    references = ReferenceTrainings(num_models=4, trainings_per_record=2, mechanism=reference, epsilon_all=together)
    assert recomputed_epsilon(guarantee(TRANSFORM, references=references)) == guarantee(TRANSFORM).stated_epsilon
    less = references.model_copy(update={"epsilon_all": together * 0.999})
    with pytest.raises(EvidenceError, match="epsilon_all"):
        recomputed_epsilon(guarantee(TRANSFORM, references=less))
    # They are of both splits, and so is what was released of either.
    on_eval = evidence.release("statistics", splits=["eval"], noise_multiplier=1.0)
    parallel = Beside.of(guarantee(on_eval, **DISJOINT))
    found = epsilon_with_references(OWN, reference, trainings_per_record=2, target_delta=DELTA, beside=parallel)
    assert found == pytest.approx(composed_by_the_library((1.8, 0.05, 420), (1.0, 1.0, 1)), rel=1e-6)
    foreign = Beside(releases=[evidence.release(**UNBOUNDED["test noise"])], neighboring_relation="ADD_OR_REMOVE_ONE")
    assert epsilon_with_references(OWN, OWN, trainings_per_record=1, target_delta=DELTA, beside=foreign) == math.inf


def test_epsilon_grows_over_the_steps_from_what_was_released_before() -> None:
    record = guarantee(TRANSFORM)
    points = over_steps(OWN, target_delta=DELTA, beside=Beside.of(record))
    assert points[0].epsilon > epsilon_at(guarantee(TRANSFORM), DELTA) / 100
    assert points[0].epsilon >= composed_by_the_library((20.0, 1.0, 1), delta=DELTA - 1e-7)
    assert record.stated_epsilon <= points[-1].epsilon <= record.stated_epsilon * 1.001
    assert over_steps(OWN, target_delta=1e-8, beside=Beside.of(record)) == []


def test_what_was_planned_is_held_against_a_lower_bound_of_each_part() -> None:
    planned.check(guarantee(TRANSFORM))
    planned.check(guarantee(evidence.release(delta_spent=DELTA)))
    with pytest.raises(ParameterError, match="with its releases"):
        planned.check(said(guarantee(evidence.release(noise_multiplier=0.5)), 0.5))


class TestBaseModel:
    """What a base model's own preprocessing took is in its weights."""

    def base(self, *releases: CoveredRelease, **changes: Any) -> Any:
        values = {"model_digest": evidence.OTHER_DIGEST, "run_id": "2" * 32, "releases": list(releases)}
        return begin_from([(evidence.make_guarantee(**{**values, **changes}), None)], evidence.OTHER_DIGEST)

    def warm(self, base: Any, *releases: CoveredRelease, **changes: Any) -> PrivacyGuarantee:
        return guarantee(*releases, base_model=base, **DISJOINT, **changes)

    def test_its_releases_are_counted(self) -> None:
        base = self.base(TRANSFORM)
        assert base.releases == [TRANSFORM]
        beside = Beside(base_model=base, neighboring_relation="ADD_OR_REMOVE_ONE", privacy_unit="example")
        found = stated_bounds(OWN, DELTA, beside=beside)
        expected = composed_by_the_library(TRAINING, TRAINING, (20.0, 1.0, 1), delta=DELTA - 1e-7, interval=1e-3)
        assert found.pld == pytest.approx(expected, rel=1e-6)

    def test_they_are_counted_whatever_splits_they_read(self) -> None:
        """Nothing shows that nobody is in both data sets."""
        of_eval = evidence.release("statistics", splits=["eval"], noise_multiplier=1.0)
        record = self.warm(self.base(of_eval), TRANSFORM)
        expected = composed_by_the_library(
            TRAINING, TRAINING, (1.0, 1.0, 1), (20.0, 1.0, 1), delta=DELTA - 1e-7, interval=1e-3
        )
        assert record.stated_epsilon == pytest.approx(expected, rel=1e-6)

    def test_a_release_that_both_were_made_with_counts_once(self) -> None:
        record = self.warm(self.base(TRANSFORM), TRANSFORM)
        expected = composed_by_the_library(TRAINING, TRAINING, (20.0, 1.0, 1), delta=DELTA - 1e-7, interval=1e-3)
        assert record.stated_epsilon == pytest.approx(expected, rel=1e-6)
        other = TRANSFORM.model_copy(update={"release_digest": evidence.OTHER_DIGEST})
        twice = self.warm(self.base(TRANSFORM), other)
        assert twice.stated_epsilon > record.stated_epsilon * 1.001

    def test_a_chain_has_all_of_them(self) -> None:
        first = evidence.make_guarantee(
            base_model=self.base(TRANSFORM), releases=[STATISTICS], run_id="3" * 32, model_digest=evidence.OTHER_DIGEST
        )
        assert begin_from([(first, None)], evidence.OTHER_DIGEST).releases == [TRANSFORM, STATISTICS]
        again = first.model_copy(update={"releases": [TRANSFORM, STATISTICS]})
        assert begin_from([(again, None)], evidence.OTHER_DIGEST).releases == [TRANSFORM, STATISTICS]
        forged = first.model_copy(update={"releases": [STATISTICS.model_copy(update={"run_id": TRANSFORM.run_id})]})
        with pytest.raises(EvidenceError, match="two of one run_id"):
            begin_from([(forged, None)], evidence.OTHER_DIGEST)

    def test_one_that_is_not_private_is_no_start(self) -> None:
        from tfx_privacy import DPParameters

        base = self.base(evidence.release(noise_source="deterministic_test"))
        privacy = DPParameters(noise_multiplier=1.8, target_delta=DELTA, sampling_probability=0.05, steps=400)
        with pytest.raises(ParameterError, match="trained without differential privacy"):
            check_composable(base, privacy)
        assert self.warm(base).epsilon_rdp == "inf"


DIGESTS = {
    "guarantee_minimal": "5b4af25799c993318b4dadda8134114b8b1539b90240f06b70f654b417af90aa",
    "guarantee_with_references": "816a5400606f1704c6f2e7ca68c59a290261fb32531bee50293fd0be2a201ae7",
}


class TestRecord:
    """Which records contradict themselves, and which digests stay what they were."""

    @pytest.mark.parametrize("name", DIGESTS)
    def test_ledgers_know_older_guarantees_by_the_same_digest(self, name: str) -> None:
        """Of guarantees that were written before there were releases, with the fields that are there now."""
        from places import GOLDEN

        record = statement.from_json(PrivacyGuarantee, (GOLDEN / "records" / f"{name}.json").read_bytes())
        assert guarantee_digest(record) == f"sha256:{DIGESTS[name]}"

    def test_fields_younger_than_ledgers_are_no_part_of_a_digest_where_they_say_nothing(self) -> None:
        """Of a scope and a base model as ledgers knew them: no `covered_by`, no `releases`."""
        base = TestBaseModel().base()
        record = evidence.make_guarantee(
            scope=[ScopeItem(artifact="schema", covered=False, detail="Read.")], base_model=base
        )
        facts = record.model_dump(mode="json")
        assert facts["scope"][0].pop("covered_by") == []
        assert facts["base_model"].pop("releases") == []
        facts |= {"dataset_id": None, "ledger": None, "statement": ""}
        assert guarantee_digest(record) == digest.text_digest(strict_json.canonical(facts))

    def test_examples_with_canaries_are_named_in_the_scope_as_not_covered(self) -> None:
        copy = evidence.EXAMPLES.model_copy(update={"inserted_canary_records": 3})
        with pytest.raises(ValueError, match="the scope does not say so"):
            evidence.make_guarantee(examples=[copy])
        with pytest.raises(ValueError, match="which nothing covers"):
            ScopeItem(artifact="examples", covered=True, detail="")
        held = ScopeItem(artifact="examples", covered=False, detail="Canaries.")
        record = evidence.make_guarantee(examples=[copy], scope=[held])
        assert PrivacyGuarantee.from_json(record.to_json()) == record
        assert uncovered(record) == ["what canaries were made of"]
        assert has_canaries(record.examples)
        assert not has_canaries([evidence.EXAMPLES])

    def test_a_copy_with_canaries_is_of_the_same_examples_and_names_none_by_their_number(self) -> None:
        copy = evidence.EXAMPLES.model_copy(update={"inserted_canary_records": 3})
        assert identities([copy]) == identities([evidence.EXAMPLES]) != frozenset()
        assert identities([ExamplesRead(inserted_canary_records=3)]) == frozenset()

    def test_examples_without_canaries_are_written_as_before(self) -> None:
        assert set(json.loads(evidence.EXAMPLES.to_json())) == {"span", "version", "fingerprint"}
        release = evidence.release(examples=[evidence.EXAMPLES.model_copy(update={"inserted_canary_records": 3})])
        assert json.loads(release.to_json())["examples"][0]["inserted_canary_records"] == 3

    def test_what_does_not_name_its_users_key_is_written_and_hashed_as_before(self) -> None:
        users: dict[str, Any] = {"privacy_unit": "user", "max_records_per_user": 3}
        release = evidence.release(**users)
        for record in (release, evidence.make_guarantee(**users), TestBaseModel().base(**users)):
            assert "user_id_key" not in json.loads(record.to_json())
            assert type(record).from_json(record.to_json()) == record
        facts = guarantee(release, **users).model_dump(mode="json")
        facts |= {"dataset_id": None, "ledger": None, "statement": ""}
        assert guarantee_digest(guarantee(release, **users)) == digest.text_digest(strict_json.canonical(facts))
        named = evidence.make_guarantee(**users, user_id_key="taxi_id")
        assert guarantee_digest(named) != guarantee_digest(evidence.make_guarantee(**users))

    def test_only_users_have_a_key(self) -> None:
        for make in (evidence.release, evidence.make_guarantee, TestBaseModel().base):
            with pytest.raises(ValueError, match="user_id_key belongs to privacy_unit='user'"):
                make(user_id_key="taxi_id")

    def test_a_guarantee_from_before_is_read(self) -> None:
        document = json.loads(evidence.make_guarantee().to_json())
        assert not {"releases", "examples", "splits_disjoint_for"} & set(document)
        assert PrivacyGuarantee.from_json(json.dumps(document)) == evidence.make_guarantee()

    @pytest.mark.parametrize(
        "changes",
        [
            {"releases": []}, {"releases": [TRANSFORM]}, {"examples": []}, {"examples": [FOREIGN]},
            {"splits_disjoint_for": None}, {"splits_disjoint_for": "user"}, {"scope": []},
            {"scope": [GRAPH.model_copy(update={"covered_by": []})]},
        ],
    )  # fmt: skip
    def test_the_digest_is_of_all_of_it(self, changes: dict[str, Any]) -> None:
        record = guarantee(TRANSFORM, STATISTICS, scope=[GRAPH], **DISJOINT)
        assert guarantee_digest(record.model_copy(update=changes)) != guarantee_digest(record)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"releases": [TRANSFORM, TRANSFORM]}, "have one run_id"),
            ({"releases": [evidence.release(run_id="0" * 32)]}, "have one run_id"),
            ({"releases": [evidence.release(run_id=f"{number:032x}") for number in range(1, 66)]}, "at most 64"),
            ({"scope": [GRAPH]}, "no release 55555555"),
            ({"releases": [evidence.release(files_read=["means.txt"])], "scope": [GRAPH]}, "by itself"),
            ({"releases": [evidence.release(uncovered_analyzers=["mean"])], "scope": [GRAPH]}, "by itself"),
            ({"releases": [evidence.release("statistics", run_id="5" * 32)], "scope": [GRAPH]}, "by itself"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, changes: dict[str, Any], message: str) -> None:
        document = json.loads(guarantee(**DISJOINT).to_json())
        document |= {name: [json.loads(each.to_json()) for each in parts] for name, parts in changes.items()}
        with pytest.raises(EvidenceError, match=message):
            PrivacyGuarantee.from_json(json.dumps(document))
        assert MAX_RELEASES == 64

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"noise_multiplier": 0.1}, "noise_multiplier=0.1"),
            ({"noise_multiplier": 2e4}, "noise_multiplier=20000"),
            ({"delta_spent": 1.0}, "less than 1"),
            ({"delta_spent": -1e-9}, "greater than or equal"),
            ({"privacy_unit": "user"}, "max_records_per_user"),
            ({"max_records_per_user": 2}, "max_records_per_user"),
            ({"dataset_id": "taxi"}, "belong together"),
            ({"kinds": ["vocabulary", "moments"]}, "sorted"),
            ({"kinds": ["moments", "moments"]}, "each once"),
            ({"splits": ["train", "train"]}, "twice"),
            ({"splits": []}, "at least 1"),
            ({"examples": []}, "at least 1"),
        ],
    )
    def test_a_release_that_contradicts_itself_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evidence.release(**changes)

    @pytest.mark.parametrize("artifact", ["base_model", "hyperparameters"])
    def test_a_release_covers_no_other_artifact(self, artifact: Any) -> None:
        with pytest.raises(ValueError, match="transform graph or a schema"):
            ScopeItem(artifact=artifact, covered=True, detail="", covered_by=[TRANSFORM.run_id])
        with pytest.raises(ValueError, match="transform graph or a schema"):
            ScopeItem(artifact="schema", covered=False, detail="", covered_by=[TRANSFORM.run_id])

    def test_it_is_the_release_as_its_component_wrote_it(self) -> None:
        answers = [
            Answer(kind="vocabulary", features=["company"], l2_sensitivity=1.0, noise_standard_deviation=50.0,
                   selection=Selection(threshold=300, delta=1e-7, max_keys=1)),
            Answer(kind="moments", features=["fare"], numbers=3, l2_sensitivity=2.0, noise_standard_deviation=90.0),
            Answer(kind="moments", features=["tips"], numbers=3, l2_sensitivity=2.0, noise_standard_deviation=90.0),
        ]  # fmt: skip
        release = Release(
            run_id="5" * 32, issued_at=evidence.ISSUED, component="transform", examples=[evidence.EXAMPLES],
            splits=["train"], splits_disjoint_for="example", privacy_unit="example",
            neighboring_relation="ADD_OR_REMOVE_ONE", answers=answers, noise_multiplier=20.0, noise_source="os_entropy",
            artifact_digest=evidence.OTHER_DIGEST, files_read=["a"], uncovered_analyzers=["b"], engine="test",
            dataset_id="taxi", ledger=evidence.position(),
        )  # fmt: skip
        found = CoveredRelease.of(release, signed_by="team-key")
        assert found.delta_spent == release.delta_spent > 0
        assert found.kinds == ["moments", "vocabulary"]
        assert found.release_digest == release_digest(release)
        assert found.signed_by == "team-key"
        same = set(CoveredRelease.model_fields) & set(Release.model_fields)
        assert set(CoveredRelease.model_fields) - same == {"release_digest", "kinds", "delta_spent", "signed_by"}
        assert all(getattr(found, name) == getattr(release, name) for name in same)


class TestWords:
    """What is said of it promises no more than was established."""

    def test_what_the_model_holds_is_named_where_it_is_a_releases(self) -> None:
        schema = ScopeItem(artifact="schema", covered=True, detail="Released.", covered_by=[STATISTICS.run_id])
        both = guarantee(TRANSFORM, STATISTICS, scope=[GRAPH, schema])
        assert covered(both) == ["the vocabulary", "the scaling", "the statistics", "the schema", "the training"]
        graph = ScopeItem(artifact="transform_graph", covered=False, detail="It holds 2 constants.", num_constants=2)
        assert covered(guarantee(TRANSFORM, STATISTICS, scope=[graph])) == ["the statistics", "the training"]
        assert covered(evidence.make_guarantee()) == ["the training"]
        assert covered(evidence.make_guarantee(NoMechanism(steps=3))) == []
        metrics = evidence.release().model_copy(update={"component": "evaluation"})
        assert covered(guarantee(metrics)) == ["the metrics", "the training"]

    def test_words_are_said_as_a_sentence(self) -> None:
        assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
            "",
            "a",
            "a and b",
            "a, b and c",
        ]

    def test_the_statement_says_what_is_covered_how_and_what_is_not(self) -> None:
        record = guarantee(TRANSFORM, STATISTICS, scope=[GRAPH], **DISJOINT)
        text = record.statement
        assert "covers the vocabulary, the scaling, the statistics and the training." in text
        assert "of split train, noise multiplier 20, delta=1e-07 spent by its thresholds" in text
        assert "of splits train, eval, noise multiplier 30" in text
        assert "together with what was released of the records besides" in text
        assert "ExampleGen put each record into one split" in text
        assert "Data statistics, the schema" not in text
        assert "Evaluation results" in text
        added = guarantee(TRANSFORM, scope=[GRAPH]).statement
        assert "All of it is added up with the training" in added
        assert "Data statistics, the schema and evaluation results of the same pipeline are not covered either" in added
        assert "released" not in evidence.make_guarantee().statement

    def test_what_is_beside_a_release_is_named_as_not_covered(self) -> None:
        item = ScopeItem(
            artifact="transform_graph", covered=False, detail="It may hold results of analyzers without noise: mean."
        )
        assert "NOT covered" in guarantee(TRANSFORM, scope=[item]).statement

    def test_sixty_four_releases_fit_into_a_statement(self) -> None:
        releases = [
            evidence.release(run_id=f"{number:032x}", splits=[f"split-{number}-{'x' * 60}"]) for number in range(1, 65)
        ]
        record = guarantee(*releases, target_delta=1e-4)
        planned.check(record)
        assert "44 more releases are in the record" in record.statement


def test_no_noise_is_believed_beyond_its_reach() -> None:
    """Of a release as of a step: what its noise cannot show is taken from delta."""
    record = guarantee(evidence.release(noise_multiplier=0.3))
    assert noise_tails.lost(Beside.of(record).groups()[0].events[0]) > 0.0  # type: ignore[index]
    assert math.isfinite(record.stated_epsilon)
