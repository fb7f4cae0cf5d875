import json
import math
from typing import Any

import evidence
import pytest

from tfx_privacy.accounting.composition import dp_sgd_event
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.attacks.evaluation import PrivacyEvaluation
from tfx_privacy.errors import EvidenceError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import ParameterSource, PrivacyGuarantee, ScopeItem
from tfx_privacy.records import digest, strict_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epsilon": 99, "epsilon": 1}', "duplicate key 'epsilon'"),
        ('{"epsilon": NaN}', "NaN is not a number"),
        ('{"epsilon": -Infinity}', "-Infinity is not a number"),
        ("[" * 40 + "]" * 40, "deeper than the limit"),
        ("[" * 100_000, "Not readable"),
        ('"' + "x" * (9 << 20) + '"', "larger than the limit"),
        (b'"\xff"', "Not readable"),
        ("", "Not readable"),
    ],
)
def test_json_that_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        strict_json.loads(text)


def test_json_never_writes_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        strict_json.dumps({"epsilon": math.nan})


def edited(**changes: Any) -> str:
    return json.dumps({**json.loads(evidence.make_guarantee().to_json()), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"epsilon_rdp": True},
        {"epsilon_rdp": "1.0"},
        {"epsilon_rdp": -1.0},
        {"target_delta": 0.0},
        {"target_delta": 1},
        {"model_digest": "sha256:short"},
        {"surprise": 1},
        {"neighboring_relation": "REPLACE_ONE"},
        {"privacy_unit": "user"},
        {"train_splits": []},
        {"mechanism": {"kind": "magic"}},
        {"mechanism": {**json.loads(evidence.mechanism().to_json()), "noise_multiplier": 0.0}},
        {"mechanism": {**json.loads(evidence.mechanism().to_json()), "sampling": "shuffle"}},
    ],
    ids=str,
)
def test_guarantees_that_do_not_fit_the_schema(changes: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError, match="Not a valid PrivacyGuarantee"):
        PrivacyGuarantee.from_json(edited(**changes))


def test_records_survive_the_round_trip_exactly() -> None:
    """ML Metadata would round a delta of 1e-7 to zero; the file must not."""
    record = evidence.make_guarantee(target_delta=1.2345678901234567e-7)
    again = PrivacyGuarantee.from_json(record.to_json())
    assert again == record
    assert again.target_delta == 1.2345678901234567e-7
    evaluation = evidence.make_evaluation()
    assert PrivacyEvaluation.from_json(evaluation.to_json()) == evaluation


def test_epsilon_is_recomputed_from_the_mechanism() -> None:
    record = evidence.make_guarantee()
    executed = record.mechanism
    assert isinstance(executed, DPMechanism)
    run = dp_sgd_event(
        noise_multiplier=executed.noise_multiplier,
        sampling_probability=executed.sampling_probability,
        steps=executed.steps,
    )
    bounds = epsilon_bounds(run, target_delta=record.target_delta)
    assert recomputed_epsilon(record) == bounds.pld
    forged = record.model_copy(update={"epsilon_pld": 0.1})
    with pytest.raises(EvidenceError, match="states epsilon=0.1, but its mechanism spends"):
        recomputed_epsilon(forged)


@pytest.mark.parametrize("share", [-2e-5, 0.0, 2e-5])
def test_what_another_release_of_numpy_computed_is_accepted_and_the_larger_counts(share: float) -> None:
    record = evidence.make_guarantee()
    here = record.stated_epsilon
    elsewhere = record.model_copy(update={"epsilon_pld": here * (1 + share)})
    assert recomputed_epsilon(elsewhere) == max(here, here * (1 + share))
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        recomputed_epsilon(record.model_copy(update={"epsilon_pld": here * 0.999}))


@pytest.mark.parametrize(
    "executed",
    [NoMechanism(steps=10), evidence.mechanism(noise_source="deterministic_test")],
    ids=["no mechanism", "test noise"],
)
def test_without_real_noise_epsilon_is_infinite(
    executed: DPMechanism | NoMechanism,
) -> None:
    record = evidence.make_guarantee(executed)
    assert record.epsilon_rdp == "inf"
    assert recomputed_epsilon(record) == math.inf
    lowered = record.model_copy(update={"epsilon_rdp": 1.0, "epsilon_pld": 1.0})
    assert recomputed_epsilon(lowered) == math.inf


def test_the_statement_says_what_is_covered_and_what_not() -> None:
    item = ScopeItem(artifact="transform_graph", covered=False, detail="3 analyzers")
    statement = evidence.make_guarantee(scope=[item]).statement
    assert "400 steps of DP-SGD" in statement
    assert "counted from the data and is treated as public" in statement
    assert "NOT covered" in statement
    assert "3 analyzers" in statement
    assert "WITHOUT differential privacy" in evidence.make_guarantee(NoMechanism(steps=1)).statement


def test_digest_changes_with_every_path_size_and_content() -> None:
    files = {"saved_model.pb": (3, "aa"), "variables/index": (4, "bb")}
    base = digest.merkle_digest(files)
    assert base == digest.merkle_digest(dict(reversed(files.items())))
    for changed in (
        {**files, "saved_model.pb": (3, "ab")},
        {**files, "saved_model.pb": (2, "aa")},
        {**files, "extra": (0, "")},
        {"saved_model.pb": files["saved_model.pb"]},
        {"saved_model.p": (3, "aa"), "variables/index": (4, "bb")},
    ):
        assert digest.merkle_digest(changed) != base


@pytest.mark.parametrize("files", [{}, {"/etc/passwd": (1, "aa")}, {"../x": (1, "aa")}])
def test_digest_of_nothing_or_of_elsewhere_is_refused(files: dict[str, tuple[int, str]]) -> None:
    with pytest.raises(EvidenceError):
        digest.merkle_digest(files)


def test_the_statement_says_what_the_model_said_itself() -> None:
    sources = [
        ParameterSource(parameter="noise_multiplier", source="model", model_class="DPSequential"),
        ParameterSource(parameter="l2_norm_clip", source="privacy", model_class="DPSequential"),
    ]
    said = evidence.make_guarantee(sources=sources).statement
    assert "tensorflow-privacy's DPSequential" in said
    assert "noise_multiplier by the model, l2_norm_clip by the privacy argument and the model" in said
    silent = [ParameterSource(parameter="noise_multiplier", source="calibrated")]
    assert "tensorflow-privacy" not in evidence.make_guarantee(sources=silent).statement


NOISE = {"parameter": "noise_multiplier", "source": "privacy", "model_class": None}


@pytest.mark.parametrize(
    "changes",
    [
        {"sources": [NOISE, NOISE]},
        {"sources": [{**NOISE, "source": "model"}]},
        {"sources": [{**NOISE, "source": "calibrated", "model_class": "DPSequential"}]},
        {"sources": [{**NOISE, "source": "guessed"}]},
        {"sources": [{**NOISE, "parameter": "steps"}]},
        {"sources": [NOISE], "mechanism": {"kind": "none", "steps": 3}, "epsilon_pld": "inf", "epsilon_rdp": "inf"},
    ],
)
def test_sources_that_contradict_themselves(changes: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError, match="sources|comes from the model|states it too|Input should be"):
        PrivacyGuarantee.from_json(edited(**changes))
