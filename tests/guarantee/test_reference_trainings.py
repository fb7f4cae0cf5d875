"""The record of reference models, and what the guarantee says of their training."""

import json
import math
from typing import Any

import evidence
import numpy as np
import pytest

from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.attacks import reference_models
from tfx_privacy.attacks.record_keys import record_keys
from tfx_privacy.components import serving
from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_with_references, recomputed_epsilon
from tfx_privacy.guarantee.record import PrivacyGuarantee, ReferenceTrainings


def make_set(**changes: Any) -> reference_models.ReferenceSet:
    values: dict[str, Any] = {
        "num_models": 2,
        "model_digest": evidence.DIGEST,
        "digests": [evidence.DIGEST, evidence.OTHER_DIGEST],
        "train_splits": ["train"],
        "eval_splits": ["eval"],
        "key_features": ["label", "x"],
        "sample_keys": reference_models.SampleKeys(members=[1, (1 << 64) - 1], nonmembers=[0]),
        "training_sizes": [10, 12],
        "num_pool_members": 15,
        "num_pool_nonmembers": 7,
        "mechanism": evidence.mechanism(),
    }
    return reference_models.ReferenceSet(**{**values, **changes})


def test_the_record_survives_the_round_trip_exactly() -> None:
    record = make_set()
    assert reference_models.ReferenceSet.from_json(record.to_json()) == record
    none = reference_models.no_references(model_digest=evidence.DIGEST, train_splits=["train"])
    assert reference_models.ReferenceSet.from_json(none.to_json()) == none
    assert none.num_models == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_models": 3}, "is odd"),
        ({"num_models": 130}, "less than or equal to 128"),
        ({"digests": [evidence.DIGEST]}, "expected digests and training_sizes"),
        ({"training_sizes": [1, 0]}, "greater than or equal to 1"),
        ({"mechanism": None}, "need mechanism"),
        ({"eval_splits": []}, "need mechanism, key_features and eval_splits"),
        ({"user_id_key": "user"}, "user_id_key alone"),
        ({"sample_keys": {"members": [2, 1], "nonmembers": []}}, "not ascending"),
        ({"sample_keys": {"members": [1, 1], "nonmembers": []}}, "not ascending"),
        ({"sample_keys": {"members": [1 << 64], "nonmembers": []}}, "less than"),
        ({"sample_keys": {"members": ["1"], "nonmembers": []}}, "valid integer"),
    ],
    ids=str,
)
def test_records_that_do_not_fit_the_schema(changes: dict[str, Any], message: str) -> None:
    text = json.dumps({**json.loads(make_set().to_json()), **changes})
    with pytest.raises(EvidenceError, match=message):
        reference_models.ReferenceSet.from_json(text)


def test_the_combined_digest_depends_on_every_model_and_their_order() -> None:
    one, other = evidence.DIGEST, evidence.OTHER_DIGEST
    digests = [
        reference_models.combined_digest(each) for each in ([one], [other], [one, other], [other, one], [one, one])
    ]
    assert len(set(digests)) == 5
    assert make_set().combined_digest == digests[2]
    with pytest.raises(EvidenceError, match="no file"):
        reference_models.combined_digest([])


@pytest.mark.parametrize("number", [1, 3, -2, 130, 2.0, True, None, "2"])
def test_numbers_of_reference_models_that_are_refused(number: Any) -> None:
    with pytest.raises(
        ParameterError, match=f"Expected reference_models={number!r} to be 0, or an even number from 2 to 128"
    ):
        reference_models.check_num_models(reference_models=number)


def test_numbers_of_reference_models_that_are_taken() -> None:
    assert [reference_models.check_num_models(reference_models=number) for number in (0, 2, 128)] == [0, 2, 128]


def test_names_of_inputs() -> None:
    taken = ["trip_miles", "Abc", "class"]
    assert [serving.input_name(name) for name in taken] == taken
    replaced = [serving.input_name(name) for name in ("trip miles", "trip-miles", "1st", "self", "é", "_x", "")]
    assert len(set(replaced)) == 7
    assert all(name.startswith("feature_") for name in replaced)


KEYS = record_keys({"x": np.arange(30_000)})


def test_matched_share_is_of_the_records_that_are_comparable() -> None:
    stored = reference_models.sample_of(KEYS)
    assert len(stored) == reference_models.SAMPLE_SIZE
    assert stored == sorted(stored)
    assert reference_models.matched_share(stored, KEYS) == 1.0
    assert reference_models.matched_share(stored, KEYS[:100]) == 1.0
    others = record_keys({"x": np.arange(30_000) + 30_000})
    assert reference_models.matched_share(stored, others) == 0.0
    mixed = np.concatenate([KEYS[:500], others[:500]])
    # About a third of each 500 is comparable; six standard deviations of the share.
    assert abs(reference_models.matched_share(stored, mixed) - 0.5) < 6 * math.sqrt(0.25 / 333)


def test_a_small_sample_is_compared_as_a_whole() -> None:
    stored = reference_models.sample_of(np.concatenate([KEYS[:10], KEYS[:10]]))
    assert len(stored) == 10
    assert reference_models.matched_share(stored, KEYS[:20]) == 0.5
    assert reference_models.matched_share(stored, KEYS[:0]) == 0.0
    assert reference_models.matched_share([], KEYS) == 0.0


def make_trainings(mechanism: Any = None, num_models: int = 4, **changes: Any) -> ReferenceTrainings:
    mechanism = mechanism or evidence.mechanism()
    found = epsilon_with_references(mechanism, mechanism, trainings_per_record=num_models // 2, target_delta=1e-5)
    values: dict[str, Any] = {
        "num_models": num_models,
        "trainings_per_record": num_models // 2,
        "mechanism": mechanism,
        "epsilon_all": "inf" if math.isinf(found) else found,
    }
    return ReferenceTrainings(**{**values, **changes})


def test_epsilon_of_all_is_that_of_one_longer_run() -> None:
    """A record takes part in the model's training and in one of each pair's."""
    executed = evidence.mechanism()
    found = epsilon_with_references(executed, executed, trainings_per_record=2, target_delta=1e-5)
    run = dp_sgd_event(
        noise_multiplier=executed.noise_multiplier,
        sampling_probability=executed.sampling_probability,
        steps=3 * executed.steps,
    )
    longer = epsilon_bounds(run, target_delta=1e-5)
    assert found == longer.best
    record = evidence.make_guarantee(references=make_trainings())
    assert recomputed_epsilon(record) == evidence.make_guarantee().stated_epsilon < found
    assert PrivacyGuarantee.from_json(record.to_json()) == record


def test_epsilon_of_all_with_passes_of_a_tree() -> None:
    """A resumed run has a broken pass more than its reference models: both are counted as they were executed."""
    shuffled: dict[str, Any] = {"kind": "dp_ftrl", "sampling": "shuffled", "noise_multiplier": 4.0}
    resumed = evidence.mechanism(**shuffled, passes=[4, 2, 4], steps=10)
    reference = evidence.mechanism(**shuffled, passes=[4, 4], steps=8, sampling_probability=0.06)
    found = epsilon_with_references(resumed, reference, trainings_per_record=1, target_delta=1e-5)
    run = dp_sgd_event(noise_multiplier=4.0, sampling_probability=1.0, steps=(3 + 2 + 3) + (3 + 3))
    bounds = epsilon_bounds(run, target_delta=1e-5)
    assert found == bounds.best


def test_lost_trainings_are_charged() -> None:
    true = make_trainings()
    assert isinstance(true.epsilon_all, float)
    with pytest.raises(EvidenceError, match="together they come to"):
        recomputed_epsilon(evidence.make_guarantee(references=make_trainings(lost_trainings=3, trainings_per_record=5)))
    executed = evidence.mechanism()
    more = epsilon_with_references(executed, executed, trainings_per_record=5, target_delta=1e-5)
    record = evidence.make_guarantee(
        references=make_trainings(lost_trainings=3, trainings_per_record=5, epsilon_all=more)
    )
    assert recomputed_epsilon(record) == record.stated_epsilon
    assert "3 more such trainings were lost" in record.statement
    assert "in the training data of 2 of them" in record.statement


def test_a_file_that_states_less_is_refused() -> None:
    true = make_trainings()
    assert isinstance(true.epsilon_all, float)
    record = evidence.make_guarantee(references=make_trainings(epsilon_all=true.epsilon_all * 0.99))
    with pytest.raises(EvidenceError, match="states epsilon_all=.*together they come to"):
        recomputed_epsilon(record)
    none = NoMechanism(steps=5)
    with pytest.raises(EvidenceError, match="together they come to inf"):
        recomputed_epsilon(evidence.make_guarantee(none, references=make_trainings(none, epsilon_all=1.0)))
    test_noise = evidence.mechanism(noise_source="deterministic_test")
    with pytest.raises(EvidenceError, match="together they come to inf"):
        recomputed_epsilon(evidence.make_guarantee(references=make_trainings(test_noise, epsilon_all=9.0)))


@pytest.mark.parametrize(
    "changes",
    [
        {"mechanism": evidence.mechanism(noise_multiplier=9.0)},
        {"mechanism": evidence.mechanism(sampling_probability=0.01)},
        {"mechanism": NoMechanism(steps=400)},
        {"num_models": 3},
        {"num_models": 0},
        {"trainings_per_record": 1},
        {"lost_trainings": 1},
        {"epsilon_all": -1.0},
    ],
    ids=str,
)
def test_reference_trainings_that_cannot_be(changes: dict[str, Any]) -> None:
    """Models trained with other noise than the target would calibrate an attack on another kind of model."""
    changes = {
        key: value if isinstance(value, (int, float)) else json.loads(value.to_json()) for key, value in changes.items()
    }
    record = evidence.make_guarantee(references=make_trainings())
    values = json.loads(record.to_json())
    values["references"] = {**values["references"], **changes}
    with pytest.raises(EvidenceError, match="Not a valid PrivacyGuarantee"):
        PrivacyGuarantee.from_json(json.dumps(values))


def test_epsilon_of_different_mechanisms_is_refused() -> None:
    with pytest.raises(EvidenceError, match="not trained by the model's own mechanism"):
        epsilon_with_references(
            evidence.mechanism(), evidence.mechanism(noise_multiplier=9.0), trainings_per_record=1, target_delta=1e-5
        )


def test_the_statement_says_that_reference_models_are_not_for_publication() -> None:
    private = evidence.make_guarantee(references=make_trainings()).statement
    assert "4 reference models were trained by the same mechanism" in private
    assert "each record is in the training data of 2 of them" in private
    epsilon_all = make_trainings().epsilon_all
    assert isinstance(epsilon_all, float)
    assert f"epsilon={math.ceil(epsilon_all * 1e4) / 1e4:.4f}" in private
    assert "Never publish them" in private
    none = NoMechanism(steps=5)
    open_ = evidence.make_guarantee(none, references=make_trainings(none)).statement
    assert "WITHOUT differential privacy" in open_
    assert "Nothing limits what they reveal" in open_
    assert "Never publish them" in open_
    assert "reference models" not in evidence.make_guarantee().statement
