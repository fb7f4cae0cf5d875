"""An entry of the registry of deployments: it fits the registry's schema, and no statement in it is better than the evidence."""

import math
import pathlib
from typing import Any

import evaluations
import evidence
import jsonschema
import payloads
import pytest
import yaml

from tfx_privacy.errors import EvidenceError, ParameterError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy, PolicyException
from tfx_privacy.gate.verdict import Verdict
from tfx_privacy.guarantee.base_model import begin_from, declared_public
from tfx_privacy.guarantee.mechanism import AdaptiveClipping, NoMechanism
from tfx_privacy.guarantee.recomputation import recomputed_epsilon
from tfx_privacy.guarantee.record import Audit, PrivacyGuarantee, ScopeItem
from tfx_privacy.reporting.build import build as build_report
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.registry import entry
from tfx_privacy.reporting.registry.basis import Basis, of_guarantee, of_report
from tfx_privacy.reporting.registry.declared import PLACEHOLDER, SECTORS, Declared

SCHEMA = yaml.safe_load((pathlib.Path(__file__).parent / "deployments_registry" / "schema.yaml").read_text("utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
"""As the registry's own checks make it."""
SAID = Declared(
    deployment_name="Taxi tips",
    curator=["City of X", "Y & Sons"],
    description="Whether a trip of a taxi is tipped.",
    intended_use="Planning.",
    region="X",
    sector="Government",
    publication_date="2026-02-01",
    source=["https://example.com/paper"],
    registry_author=["Ada"],
)
NOTHING = EvidenceError("It is not there.")


def shuffled(**changes: Any) -> Any:
    values = {"sampling": "shuffled", "passes": [20, 20], "steps": 40}
    return evidence.mechanism(**{**values, **changes})


def on_base(executed: Any = None) -> PrivacyGuarantee:
    base = evidence.make_guarantee(executed, model_digest=evidence.OTHER_DIGEST)
    begun = begin_from([(base, None)], evidence.OTHER_DIGEST)
    if executed is not None:
        return evidence.make_guarantee(base_model=begun, epsilon_pld=None, epsilon_rdp="inf")
    events = [evidence.mechanism().event, evidence.mechanism().event]
    bounds = evidence.bounds_together(events, target_delta=1e-5)
    return evidence.make_guarantee(base_model=begun, epsilon_pld=bounds.pld, epsilon_rdp=bounds.rdp)


def adaptive() -> Any:
    clipping = AdaptiveClipping(
        target_quantile=0.5, learning_rate=0.2, sum_noise_multiplier=2.0, count_standard_deviation=25.0,
        final_l2_norm_clip=0.75,
    )  # fmt: skip
    return evidence.mechanism(adaptive_clipping=clipping)


def with_releases(**changes: Any) -> PrivacyGuarantee:
    """Preprocessing, whose vocabulary and scaling the graph holds, and statistics."""
    graph = ScopeItem(artifact="transform_graph", covered=True, detail="It is a release's.", covered_by=["5" * 32])
    values: dict[str, Any] = {"examples": [evidence.EXAMPLES], "scope": [graph], "splits_disjoint_for": "example"}
    released = [evidence.release(**changes), evidence.release("statistics", **changes)]
    return evidence.make_guarantee(releases=released, **values)


AUDIT = Audit(
    num_canaries=1000, num_members=500, confidence=0.95, epsilon_lower_bound=0.5, epsilon_lower_bound_one_run=0.2,
    epsilon_lower_bound_gaussian=1.0,
)  # fmt: skip
ZERO_OUT = {"neighboring_relation": "REPLACE_SPECIAL"}
PRIVATE = {
    "DP-SGD": lambda: evidence.make_guarantee(),
    "in passes": lambda: evidence.make_guarantee(shuffled(noise_multiplier=8.0), **ZERO_OUT),
    "DP-FTRL": lambda: evidence.make_guarantee(shuffled(kind="dp_ftrl", noise_multiplier=9.0), **ZERO_OUT),
    "users": lambda: evidence.make_guarantee(privacy_unit="user", max_records_per_user=8),
    "adaptive clip": lambda: evidence.make_guarantee(adaptive()),
    "with releases": lambda: with_releases(),
    "on a private base": on_base,
    "on a public base": lambda: evidence.make_guarantee(base_model=declared_public(evidence.OTHER_DIGEST)),
    "reference models": evidence.with_references,
    "charged": evidence.charged_guarantee,
    "audited": lambda: evidence.make_guarantee(audit=AUDIT, declared_record_wise=["model.Gate"]),
    "by RDP alone": lambda: evidence.make_guarantee(target_delta=1e-14),
    "secure noise": lambda: evidence.make_guarantee(evidence.mechanism(noise_source="os_entropy_secure")),
}
UNBOUNDED = {
    "no privacy": lambda: evidence.make_guarantee(NoMechanism(steps=10)),
    "test noise": lambda: evidence.make_guarantee(
        evidence.mechanism(noise_source="deterministic_test"), epsilon_pld=None, epsilon_rdp="inf"
    ),
    "on a base without privacy": lambda: on_base(NoMechanism(steps=10)),
}


def written(found: Basis, said: Declared = SAID) -> dict[str, Any]:
    """The entry as the registry reads it; it fits the schema."""
    read: dict[str, Any] = yaml.safe_load(entry.to_yaml(entry.build(found, said)))
    assert [error.message for error in VALIDATOR.iter_errors(read)] == []
    return read


def reported(whole: Evidence, policy: GatePolicy = evidence.POLICY, **more: Any) -> Basis:
    return of_report(build_report(decide(whole, policy, now=evidence.NOW), whole, **more))


def parameters(read: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = read["deployment"]["privacy_loss"]["privacy_parameters"]
    return found


def unprotected(read: dict[str, Any]) -> str:
    text: str = read["deployment"]["dp_variant"]["unprotected_quantities"]
    return text


def is_no_private_deployment(read: dict[str, Any], word: str) -> None:
    """Neither for people nor for programs that read single fields."""
    deployment = read["deployment"]
    assert deployment["basic"]["name"].startswith(word)
    assert deployment["basic"]["name"].endswith(": Taxi tips")
    assert set(deployment["dp_variant"]) == {"unprotected_quantities"}
    assert set(deployment["privacy_loss"]) == {"privacy_parameters_details"}
    assert "deployment_model" not in deployment
    assert read["tier"] == 1


@pytest.mark.parametrize("name", PRIVATE)
def test_each_private_guarantee_fits_the_schema_and_reads_back_to_its_numbers(name: str) -> None:
    record = PRIVATE[name]()
    for found in (of_guarantee(record), blessed(record)):
        read = written(found)
        # The same doubles, and not what a rounding made of them.
        assert parameters(read) == {"epsilon": recomputed_epsilon(record), "delta": record.target_delta}
        assert parameters(read)["epsilon"] >= record.stated_epsilon
        assert read["deployment"]["basic"]["name"] == "Taxi tips"
        assert read["deployment"]["dp_variant"]["variant_name"] == "Approximate DP"
        assert (read["tier"], read["status"]) == (2, "Draft")


def blessed(record: PrivacyGuarantee) -> Basis:
    """Of a gate whose every rule passed."""
    verdict = Verdict(
        rules=evidence.rule_results(),
        policy=evidence.POLICY,
        decided_at=evidence.NOW.isoformat(),
        model_digest=record.model_digest,
    )
    return of_report(build_report(verdict, evidence.make_evidence(guarantee=record)))


@pytest.mark.parametrize("name", UNBOUNDED)
def test_an_unbounded_epsilon_is_no_private_deployment(name: str) -> None:
    record = UNBOUNDED[name]()
    assert record.stated_epsilon == math.inf
    is_no_private_deployment(written(of_guarantee(record)), "NOT PRIVATE: ")
    refused = written(reported(evidence.make_evidence(guarantee=record)))
    is_no_private_deployment(refused, "REFUSED, NOT PRIVATE: ")
    assert "Epsilon is infinite" in refused["deployment"]["privacy_loss"]["privacy_parameters_details"]
    assert "Epsilon is infinite" in refused["deployment"]["basic"]["description"]


def test_an_exception_for_an_infinite_epsilon_makes_no_private_deployment() -> None:
    exception = PolicyException(rule="epsilon", approver="Ada", reason="A pilot.", expires="2026-02-01")
    policy = evidence.POLICY.model_copy(update={"exceptions": [exception]})
    found = reported(evidence.make_evidence(guarantee=UNBOUNDED["no privacy"]()), policy)
    assert found.verdict is not None
    assert found.verdict.headline == "BLESSED WITH EXCEPTION"
    read = written(found)
    is_no_private_deployment(read, "NOT PRIVATE: ")
    assert "Excepted: epsilon" in read["deployment"]["administrative"]["notes"]


def test_an_exception_for_a_high_epsilon_is_named_beside_the_epsilon() -> None:
    exception = PolicyException(rule="epsilon", approver="Ada", reason="A pilot.", expires="2026-02-01")
    policy = evidence.POLICY.model_copy(update={"max_epsilon": 1.0, "exceptions": [exception]})
    read = written(reported(evidence.make_evidence(), policy))
    assert parameters(read)["epsilon"] == evidence.make_guarantee().stated_epsilon
    notes = read["deployment"]["administrative"]["notes"]
    assert "BLESSED WITH EXCEPTION" in notes
    assert "**Excepted: epsilon**: Limit at most 1, by Ada until 2026-02-01: A pilot." in notes


def test_a_refused_model_is_no_deployment() -> None:
    read = written(reported(evidence.make_evidence(), evidence.POLICY.model_copy(update={"max_epsilon": 1.0})))
    is_no_private_deployment(read, "REFUSED: ")
    said = read["deployment"]["privacy_loss"]["privacy_parameters_details"]
    assert said.startswith("The privacy gate refused this model (epsilon)")
    # What it spends may be read there, below the refusal.
    assert "epsilon = 2.5890 at delta = 1e-05" in said
    assert "**Refused by**: epsilon" in read["deployment"]["administrative"]["notes"]


FORGED = evidence.make_guarantee().model_copy(update={"epsilon_pld": 0.125, "epsilon_rdp": 0.125})


@pytest.mark.parametrize(
    "parts",
    [
        {"guarantee": NOTHING},
        {"guarantee": FORGED},
        {"model_digest": "sha256:" + "9" * 64},
        {"signatures": {"guarantee": EvidenceError("forged"), "evaluation": None}},
        {"guarantee": evidence.make_guarantee(audit=AUDIT.model_copy(update={"epsilon_lower_bound": 5.0}))},
    ],
    ids=["unreadable", "too little", "foreign", "forged", "disproved"],
)
def test_what_the_gate_could_not_establish_is_no_private_deployment(parts: dict[str, Any]) -> None:
    read = written(reported(evidence.make_evidence(**parts)))
    is_no_private_deployment(read, "REFUSED, NOT PRIVATE: ")
    assert "0.125" not in yaml.dump(read)


def test_a_guarantee_that_states_too_little_has_no_entry() -> None:
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        of_guarantee(FORGED)


def test_a_report_that_holds_such_a_guarantee_for_established_has_no_entry() -> None:
    whole = evidence.make_evidence()
    facts = build_report(decide(whole, evidence.POLICY, now=evidence.NOW), whole)
    forged = facts.model_copy(update={"evidence": facts.evidence.model_copy(update={"guarantee": FORGED})})
    with pytest.raises(EvidenceError, match="its mechanism spends"):
        of_report(forged)


@pytest.mark.parametrize("artifact", ["transform_graph", "schema", "hyperparameters", "base_model"])
def test_whatever_is_not_covered_is_an_unprotected_quantity(artifact: str) -> None:
    item = ScopeItem(artifact=artifact, covered=False, detail="Taken from the records.")  # type: ignore[arg-type]
    covered = item.model_copy(update={"covered": True, "detail": "Fine."})
    without, with_item = (written(of_guarantee(evidence.make_guarantee(scope=[scope]))) for scope in (covered, item))
    assert "Not protected. Taken from the records." in unprotected(with_item)
    assert "Taken from the records" not in unprotected(without)
    assert "Fine." not in unprotected(without)
    details = with_item["deployment"]["privacy_loss"]["privacy_parameters_details"]
    assert "covers the training alone; what " in details
    assert "not covered" in details
    before = with_item["deployment"]["implementation"]["preprocessing_and_hyperparameter_tuning"]
    assert "**Covered by epsilon**: the training alone; what " in before
    assert ("Not covered. Taken from the records." in before) is (artifact != "base_model")


def test_what_was_released_besides_is_covered_and_told() -> None:
    record = with_releases()
    read = written(of_guarantee(record))
    assert parameters(read)["epsilon"] > evidence.make_guarantee().stated_epsilon
    details = read["deployment"]["privacy_loss"]["privacy_parameters_details"]
    assert "covers the vocabulary, the scaling, the statistics and the training." in details
    before = read["deployment"]["implementation"]["preprocessing_and_hyperparameter_tuning"]
    assert "**Covered by epsilon**: the vocabulary, the scaling, the statistics and the training." in before
    assert "**Released by transform: moments, vocabulary of train**: Covered. One Gaussian mechanism" in before
    # What StatisticsGen takes without noise is not the release.
    assert "**Other statistics (StatisticsGen), validation (ExampleValidator)**: Not covered." in before
    for part in ("accounting/composition", "implementation/mechanisms"):
        section, name = part.split("/")
        assert "of noise multiplier 20, and thresholds spent delta 1e-07" in read["deployment"][section][name]
        assert "of noise multiplier 30" in read["deployment"][section][name]
    assert "Released by" not in unprotected(read)
    assert "Other statistics" in unprotected(read)


def test_a_release_whose_noise_can_be_known_is_no_private_deployment() -> None:
    record = with_releases(noise_source="deterministic_test")
    assert record.stated_epsilon == math.inf
    read = written(of_guarantee(record))
    is_no_private_deployment(read, "NOT PRIVATE: ")
    assert "Released by transform" in unprotected(read)


def test_what_no_guarantee_covers_is_always_unprotected() -> None:
    found = unprotected(written(of_guarantee(evidence.make_guarantee())))
    for use in (
        "Statistics",
        "Metrics",
        "Other trainings",
        "Hyperparameters",
        "Number of records",
        "File of the records",
    ):
        assert f"- **{use}" in found
    assert found.count("Not stated whether protected.") == 3
    several = unprotected(written(of_guarantee(evidence.with_references())))
    assert "**4 reference models**: Not protected." in several


def test_the_evaluations_own_results_are_named_and_not_given() -> None:
    """An entry is public; attacks and metrics are of the records, without noise."""
    attacked = evaluations.make(findings=evaluations.findings())
    metrics = [Metric(name="auc", value=0.98765)]
    whole = evidence.make_evidence(evaluation=attacked)
    policy = evidence.POLICY.model_copy(update={"max_attack_auc": 0.5001})
    read = written(reported(whole, policy, utility=metrics))
    found = unprotected(read)
    assert "**Results of this model's evaluation**: Not protected: rows of attacks by slice" in found
    assert "other estimates" in found
    assert "**Metrics of the task**: Not protected: auc" in found
    text = yaml.dump(read)
    assert "0.98765" not in text
    for row in attacked.results:
        if row.auc is not None and row.status == "OK":
            assert f"{row.auc.estimate:.3f}" not in text
        if len(row.slice_value) > 3:
            assert row.slice_name not in text


def test_an_entry_of_a_guarantee_alone_says_that_nobody_looked() -> None:
    notes = written(of_guarantee(evidence.make_guarantee()))["deployment"]["administrative"]["notes"]
    assert "no gate looked at it" in notes
    blessed = written(reported(evidence.charged_evidence(), evidence.CHARGED_POLICY))
    notes = blessed["deployment"]["administrative"]["notes"]
    assert "BLESSED, 2026-01-02T12:00:00+00:00" in notes
    assert "no gate" not in notes


def test_a_person_fills_in_what_nobody_said() -> None:
    read = written(of_guarantee(evidence.make_guarantee()), Declared())
    basic = read["deployment"]["basic"]
    for name in ("name", "intended_use", "data_product_region", "description"):
        assert basic[name].startswith(f"{PLACEHOLDER}: ")
    assert basic["data_curators"][0].startswith(PLACEHOLDER)
    assert read["deployment"]["administrative"]["registry_authors"][0].startswith(PLACEHOLDER)
    assert basic["publication_date"] == evidence.ISSUED[:10]
    assert read["url_slug"] == "fill-in-fill-in-2026"
    assert "data_product_sector" not in basic
    assert set(Declared().missing) == {
        "deployment_name", "curator", "description", "intended_use", "region", "registry_author",
    }  # fmt: skip


def test_what_a_person_said_stands_in_the_entry() -> None:
    read = written(of_guarantee(evidence.make_guarantee()))
    assert PLACEHOLDER not in yaml.dump(read)
    assert SAID.missing == []
    assert read["url_slug"] == "taxi-tips-city-of-x-2026"
    basic = read["deployment"]["basic"]
    assert basic["data_curators"] == ["City of X", "Y & Sons"]
    assert basic["publication_date"] == "2026-02-01"
    assert basic["data_product_sector"] == "Government"
    assert basic["description"].startswith("Whether a trip of a taxi is tipped.\n\nTrained by DP-SGD in 400 steps")
    administrative = read["deployment"]["administrative"]
    assert administrative["sources"] == "- https://example.com/paper"
    assert written(of_guarantee(evidence.make_guarantee()), Declared(slug="mine"))["url_slug"] == "mine"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"publication_date": "2026-2-1"}, "publication_date='2026-2-1'"),
        ({"publication_date": "2026-02-30"}, "YYYY-MM-DD"),
        ({"sector": "Taxis"}, "sector='Taxis' to be one of Technology"),
        ({"deployment_name": " "}, "deployment_name=' ' to say something"),
        ({"curator": ["X", ""]}, "curator='' to say something"),
    ],
)
def test_what_cannot_stand_in_an_entry_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Declared(**said)


def test_the_sectors_are_the_registrys() -> None:
    basic = SCHEMA["properties"]["deployment"]["properties"]["basic"]["properties"]
    assert list(SECTORS) == basic["data_product_sector"]["enum"]


def test_a_day_that_nobody_knows_is_asked_for() -> None:
    found = of_guarantee(evidence.make_guarantee(issued_at="yesterday"))
    with pytest.raises(ParameterError, match="Give publication_date"):
        entry.build(found, Declared())
    assert written(found)["deployment"]["basic"]["publication_date"] == "2026-02-01"


def carrying(text: str) -> dict[str, Any]:
    """The entry of a guarantee that has a text wherever it may have one."""
    item = ScopeItem(artifact="schema", covered=False, detail=text)
    record = evidence.make_guarantee(scope=[item], train_splits=[text], engine=text, declared_record_wise=[text])
    return written(of_guarantee(record))


def test_text_from_the_data_is_neither_yaml_nor_markup() -> None:
    plain = shape(carrying("x"))
    for text in [
        *payloads.payloads(),
        *evaluations.NAMES,
        "a: b",
        "- a",
        "# a",
        "[a](http://x.example)",
        "\x1b[2J",
        "---\n...",
    ]:
        read = carrying(text)
        assert shape(read) == plain, text
        for value in strings(read):
            assert "<" not in value, text
            assert "](" not in value.replace("\\](", ""), text
            assert "\x1b" not in value, text
            assert "http://" not in value, text


def shape(value: Any) -> Any:
    return {name: shape(part) for name, part in value.items()} if isinstance(value, dict) else type(value)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    return [value] if isinstance(value, str) else []
