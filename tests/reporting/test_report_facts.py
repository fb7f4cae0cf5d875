import json
import math
import re
from typing import Any, get_args

import evaluations
import evidence
import pytest

from tfx_privacy.accounting.epsilon import rdp_epsilon
from tfx_privacy.errors import EvidenceError
from tfx_privacy.gate.decide import decide
from tfx_privacy.gate.evidence import Evidence
from tfx_privacy.gate.policy import GatePolicy
from tfx_privacy.guarantee import epsilon_over_steps
from tfx_privacy.guarantee.mechanism import NoMechanism
from tfx_privacy.guarantee.record import Population, ScopeItem
from tfx_privacy.reporting import checklist, model_card, pages, wording
from tfx_privacy.reporting.build import build
from tfx_privacy.reporting.checklist import Metric
from tfx_privacy.reporting.facts import Problem, ReportFacts, Tile, read

NOTHING = EvidenceError("It is not there.")


def facts_of(whole: Evidence, policy: GatePolicy = evidence.CHARGED_POLICY, **more: Any) -> ReportFacts:
    return build(decide(whole, policy, now=evidence.NOW), whole, **more)


@pytest.fixture(scope="module")
def charged() -> ReportFacts:
    return facts_of(evidence.charged_evidence())


def tile(facts: ReportFacts, label: str) -> Tile:
    (found,) = [tile for tile in facts.summary if tile.label == label]
    return found


def answer(facts: ReportFacts, heading: str) -> str:
    (found,) = [answer.answer for answer in facts.disclosure if answer.heading == heading]
    return found


def covered(facts: ReportFacts) -> dict[str, str]:
    return {item.use: item.covered for item in facts.coverage}


def test_the_first_screen_has_what_the_gate_found(charged: ReportFacts) -> None:
    assert charged.verdict.headline == "BLESSED"
    assert tile(charged, "Epsilon").value == "2.5890"
    assert "at delta 1e-05; the limit is at most 3" in tile(charged, "Epsilon").detail
    assert tile(charged, "Strongest attack, AUC").value == "0.500 (0.480 to 0.520)"
    assert "upper bound 0.520, the limit is 0.6" in tile(charged, "Strongest attack, AUC").detail
    assert tile(charged, "Budget left").value == "75 %"
    assert tile(charged, "Dataset").value == "taxi"
    assert tile(charged, "Privacy unit").value == "one example (record)"
    assert "add or remove one" in tile(charged, "Privacy unit").detail
    assert tile(charged, "Model").value == wording.short(evidence.DIGEST)


def test_what_is_left_is_rounded_down() -> None:
    record = evidence.charged_guarantee()
    run = evidence.ledger_run(record, charged=7_999, budget=8_000)
    assert tile(facts_of(evidence.charged_evidence(ledger=run)), "Budget left").value == "0 %"
    run = evidence.ledger_run(record, charged=9_000, budget=8_000)
    assert facts_of(evidence.charged_evidence(ledger=run)).budget_left == 0.0


@pytest.mark.parametrize("ledger", [None, NOTHING])
def test_a_budget_that_was_not_read_is_not_known(ledger: EvidenceError | None) -> None:
    facts = facts_of(evidence.charged_evidence(ledger=ledger))
    assert tile(facts, "Budget left").value == "not known"
    assert facts.budget_left is None


def test_the_strongest_attack_is_the_one_that_the_gate_names() -> None:
    rows = [
        *evidence.rows(),
        evidence.row(feature="class", value="tiny", auc=(0.7, 0.4, 0.95), members=40),
        evidence.row("entropy", "class", "1", auc=(0.62, 0.605, 0.635)),
        evidence.row("entropy", "class", "2", auc=(0.63, 0.61, 0.65)),
    ]
    whole = evidence.make_evidence(evaluation=evidence.make_evaluation(rows))
    facts = facts_of(whole, evidence.POLICY)
    (rule,) = [rule for rule in facts.verdict.rules if rule.rule == "attack_auc"]
    assert facts.strongest_attack is not None
    assert facts.strongest_attack.row.slice_name == "class=2"
    row = facts.strongest_attack.row
    assert f"({row.num_members} members, {row.num_nonmembers} others)" in tile(facts, "Strongest attack, AUC").detail
    assert rule.value.startswith("0.630 (0.610-0.650), class=2")


def test_the_json_is_the_facts(charged: ReportFacts) -> None:
    text = charged.to_json()
    assert read(text) == charged
    written = json.loads(text)
    assert written["verdict"]["policy"]["max_epsilon"] == 3.0
    assert written["evidence"]["guarantee"]["epsilon_pld"] == charged.evidence.guarantee.epsilon_pld  # type: ignore[union-attr]
    assert written["verdict"]["ledger_head"]["hash"] == evidence.HEAD_HASH


def changed(facts: ReportFacts, change: Any) -> str:
    written = json.loads(facts.to_json())
    change(written)
    return json.dumps(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found["verdict"]["rules"][0].update(passed=False, status="failed"), "does not follow"),
        (lambda found: found["verdict"].update(rules=[]), "does not follow"),
        (lambda found: found["verdict"].update(blessed=False), "does not follow"),
        (lambda found: found["verdict"].update(headline="NOT BLESSED"), "headline"),
        *[
            (lambda found, version=version: found.update(schema_version=version), "schema_version")
            for version in (0, 2, True, 1.0, "1", None)
        ],
        (lambda found: found.pop("schema_version"), "schema_version"),
        (lambda found: found["evidence"]["guarantee"].pop("schema_version"), "schema_version"),
        (lambda found: found["verdict"].pop("schema_version"), "schema_version"),
        (lambda found: found["verdict"]["policy"].pop("schema_version"), "schema_version"),
        (lambda found: found.pop("summary"), "summary"),
        (lambda found: found["evidence"]["guarantee"].update(noise=1), "noise"),
    ],
)
def test_a_report_that_contradicts_itself_is_not_read(charged: ReportFacts, change: Any, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        read(changed(charged, change))


def test_a_refused_report_that_was_turned_is_not_read() -> None:
    facts = facts_of(evidence.charged_evidence(), evidence.CHARGED_POLICY.model_copy(update={"max_epsilon": 1.0}))
    assert facts.verdict.headline == "NOT BLESSED"
    turned = changed(facts, lambda found: found["verdict"].update(blessed=True, headline="BLESSED"))
    with pytest.raises(EvidenceError, match="does not follow"):
        read(turned)


def test_no_epsilon_is_shown_that_the_gate_could_not_establish() -> None:
    """A guarantee that states less than its mechanism comes to: the number is nowhere a claim."""
    record = evidence.charged_guarantee().model_copy(update={"epsilon_pld": 0.125, "epsilon_rdp": 0.125})
    facts = facts_of(evidence.charged_evidence(guarantee=record))
    assert not facts.is_established
    assert tile(facts, "Epsilon").value == "not established"
    assert facts.gaussian_dp is None
    assert facts.epsilon_over_steps == []
    assert covered(facts)["Training of this model, each of its steps"] == "not stated"
    assert answer(facts, "Formal statement") == checklist.NOT_ESTABLISHED
    assert not any("0.125" in item.answer for item in facts.disclosure)
    card = model_card.build(facts)
    assert not any("epsilon" in metric["type"] for metric in card["quantitative_analysis"]["performance_metrics"])
    assert card["model_details"]["documentation"] == "No guarantee is established."


@pytest.mark.parametrize("executed", [NoMechanism(steps=10), evidence.mechanism(noise_source="deterministic_test")])
def test_without_privacy_nothing_is_covered_and_nothing_computed(executed: Any) -> None:
    facts = facts_of(evidence.make_evidence(guarantee=evidence.make_guarantee(executed)), evidence.POLICY)
    assert tile(facts, "Epsilon").value == "infinite"
    assert facts.gaussian_dp is None
    assert facts.epsilon_over_steps == []
    assert covered(facts)["Training of this model, each of its steps"] == "no"
    assert answer(facts, "Formal statement").startswith("Epsilon is infinite")
    assert model_card.build(facts)["considerations"]["limitations"][0]["description"].startswith("Epsilon is infinite")


UNCOUNTED = ScopeItem(artifact="transform_graph", covered=True, detail="No analyzer ran.")
DECLARED = Population(records=10_000, source="declared")


@pytest.mark.parametrize(
    ("executed", "changes", "expected"),
    [
        (NoMechanism(steps=10), {}, "no"),
        (evidence.mechanism(noise_source="deterministic_test"), {}, "no"),
        (evidence.mechanism(), {"epsilon_pld": 0.125, "epsilon_rdp": 0.125}, "not stated"),
    ],
    ids=["no privacy", "test noise", "not established"],
)
def test_without_an_epsilon_nothing_is_covered_by_it(executed: Any, changes: dict[str, Any], expected: str) -> None:
    """A graph without analyzers and a number that was declared are no part of an epsilon that there is not."""
    record = evidence.make_guarantee(executed, scope=[UNCOUNTED], population=DECLARED).model_copy(update=changes)
    found = facts_of(evidence.make_evidence(guarantee=record), evidence.POLICY).coverage
    assert all(item.covered != "yes" for item in found)
    (graph,) = [item for item in found if item.use.startswith("Transform's analyzers")]
    assert graph.covered == expected


def test_an_artifact_that_a_base_model_brings_as_well_is_listed_twice() -> None:
    scope = [UNCOUNTED, ScopeItem(artifact="transform_graph", covered=False, detail="Of the base model: 3 constants.")]
    facts = facts_of(evidence.make_evidence(guarantee=evidence.make_guarantee(scope=scope)), evidence.POLICY)
    found = [item.covered for item in facts.coverage if item.use.startswith("Transform's analyzers")]
    assert found == ["yes", "no"]


@pytest.mark.parametrize("stated", [3.5, "inf"])
def test_what_is_of_this_run_alone_is_not_shown_where_the_guarantee_is_of_more(stated: Any) -> None:
    """A guarantee that counts another training as well, such as a base model's: mu of the last run would understate it."""
    record = evidence.make_guarantee().model_copy(update={"epsilon_pld": stated, "epsilon_rdp": stated})
    policy = evidence.POLICY.model_copy(update={"max_epsilon": 4.0})
    facts = facts_of(evidence.make_evidence(guarantee=record), policy)
    assert facts.is_established
    assert facts.epsilon_over_steps == []
    assert isinstance(facts.gaussian_dp, Problem)
    assert "would be too small" in facts.gaussian_dp.error
    assert covered(facts)["Training of this model, each of its steps"] == ("no" if stated == "inf" else "yes")
    assert not any(
        "mu" in metric["type"] for metric in model_card.build(facts)["quantitative_analysis"]["performance_metrics"]
    )


def test_a_mechanism_that_no_accountant_takes_has_a_report_all_the_same() -> None:
    mechanism = evidence.mechanism().model_copy(update={"noise_multiplier": 1e-3})
    record = evidence.make_guarantee().model_copy(update={"mechanism": mechanism})
    facts = facts_of(evidence.make_evidence(guarantee=record))
    assert not facts.verdict.blessed
    assert tile(facts, "Epsilon").value == "not established"


def test_evidence_that_is_not_there_is_said_so_everywhere() -> None:
    whole = Evidence(model_digest=NOTHING, guarantee=NOTHING, evaluation=NOTHING, ledger=NOTHING)
    facts = facts_of(whole)
    assert not facts.verdict.blessed
    assert {tile.value for tile in facts.summary} == {"not established", "not known", "not identified"}
    assert {item.heading for item in facts.disclosure if item.is_stated} == {"Trust and threat model"}
    assert read(facts.to_json()) == facts
    assert model_card.build(facts)["quantitative_analysis"]["performance_metrics"] == []


def test_what_epsilon_does_not_cover_is_listed(charged: ReportFacts) -> None:
    scope = [
        ScopeItem(artifact="transform_graph", covered=False, detail="It holds 3 captured constants."),
        ScopeItem(artifact="schema", covered=True, detail="Written by hand."),
    ]
    record = evidence.make_guarantee(scope=scope)
    found = covered(facts_of(evidence.make_evidence(guarantee=record), evidence.POLICY))
    assert found["Transform's analyzers (vocabularies, means, quantiles)"] == "no"
    assert found["Schema"] == "yes"
    assert covered(charged)["Transform's analyzers (vocabularies, means, quantiles)"] == "not stated"
    for facts in (found, covered(charged)):
        assert facts["Other trainings on the same data"] == "no"
        assert facts["Hyperparameters and their tuning"] == "no"
        assert facts["Statistics (StatisticsGen), validation (ExampleValidator)"] == "no"
        assert facts["Metrics (Evaluator), attacks (PrivacyEvaluator), this report"] == "no"


def test_every_artifact_that_a_scope_can_name_is_listed(charged: ReportFacts) -> None:
    for artifact in get_args(ScopeItem.model_fields["artifact"].annotation):
        record = evidence.make_guarantee(scope=[ScopeItem(artifact=artifact, covered=False, detail=f"{artifact}!")])
        facts = facts_of(evidence.make_evidence(guarantee=record), evidence.POLICY)
        assert [item.covered for item in facts.coverage if item.detail == f"{artifact}!"] == ["no"]


def test_both_checklists_are_answered_as_far_as_anything_is_known(charged: ReportFacts) -> None:
    sources = [item.source for item in charged.disclosure]
    assert sources.count(checklist.DP_FY) == 12
    assert sources.count(checklist.NIST) == 13
    assert answer(charged, "Neighbouring relation").startswith("ADD_OR_REMOVE_ONE")
    assert "epsilon = 2.5890 at delta = 1e-05, which is 0.1 / (number of records)" in answer(
        charged, "Formal statement"
    )
    assert "epsilon 4.5000 of a budget of 8" in answer(charged, "Loss over all releases")
    assert "signed by team-key" in answer(charged, "Transparency")
    assert answer(charged, "Collection, exposure and retention of the data").startswith("Not stated")
    assert answer(charged, "Utility").startswith("Not stated")
    attacked = "Were the attacked records trained on?"
    assert answer(charged, attacked) == (
        "4096 of 4096 sampled members were trained on; 4096 of 4096 sampled records that were trained on were attacked; "
        "0 of 2048 sampled non-members were trained on."
    )
    other = evidence.trained_records(digest=evidence.OTHER_DIGEST)
    for record in (None, other):
        changed = evidence.make_evidence(evaluation=evidence.make_evaluation(trained_records=record))
        assert answer(facts_of(changed, evidence.POLICY), attacked).startswith("Not stated")
    trained = facts_of(evidence.make_evidence(evaluation=evaluations.make()), evidence.POLICY)
    assert answer(trained, "Utility") == "Test accuracy 0.750 at step 600. Of a model without privacy: not given."


def test_metrics_of_the_task_are_shown_beside_those_without_privacy_and_change_no_verdict(charged: ReportFacts) -> None:
    given = [Metric(name="auc", value=0.91234, baseline=0.94), Metric(name="recall", value=0.5)]
    facts = facts_of(evidence.charged_evidence(), utility=given)
    assert facts.verdict == charged.verdict
    assert answer(facts, "Utility") == "Auc 0.9123 (0.94 without privacy); recall 0.5."
    assert answer(facts, "Utility, compared with a model without privacy") == answer(facts, "Utility")
    alone = facts_of(evidence.charged_evidence(), utility=given[1:])
    assert answer(alone, "Utility") == "Recall 0.5. Of a model without privacy: not given."
    page = pages.to_html(facts)
    assert re.search(r"auc</span></th><td class=\"number\">0.9123</td><td class=\"number\">0.94</td>", page)
    assert re.search(r"recall</span></th><td class=\"number\">0.5</td><td class=\"number\">not given</td>", page)
    assert ReportFacts.from_json(facts.to_json()).utility == given


def test_epsilon_grows_with_the_steps_to_that_of_the_whole_run(charged: ReportFacts) -> None:
    points = charged.epsilon_over_steps
    assert [points[0].step, points[-1].step, len(points)] == [1, 400, epsilon_over_steps.MAX_POINTS]
    epsilons = [point.epsilon for point in points]
    assert epsilons == sorted(epsilons)
    assert charged.guarantee is not None
    stated = charged.guarantee.stated_epsilon
    assert stated <= points[-1].epsilon < 1.002 * stated


@pytest.mark.parametrize("kind", ["dp_sgd", "dp_ftrl"])
def test_passes_are_counted_whole(kind: str) -> None:
    executed = evidence.mechanism(
        kind=kind, sampling="shuffled", steps=45, passes=[20, 20, 5], sampling_probability=0.05
    )
    points = epsilon_over_steps.over_steps(executed, target_delta=1e-5)
    assert [point.step for point in points] == [20, 40, 45]
    epsilons = [point.epsilon for point in points]
    assert epsilons == sorted(epsilons)
    assert points[-1].epsilon <= rdp_epsilon(executed.event, target_delta=1e-5)


def test_the_model_card_has_the_toolkits_fields_and_finite_numbers(charged: ReportFacts) -> None:
    card = json.loads(model_card.to_json(charged))
    assert set(card) <= {
        "schema_version",
        "model_details",
        "model_parameters",
        "quantitative_analysis",
        "considerations",
    }
    assert set(card["model_details"]) <= {
        "name", "overview", "documentation", "owners", "version", "licenses", "references", "citations",
    }  # fmt: skip
    assert set(card["considerations"]) <= {"users", "use_cases", "limitations", "tradeoffs", "ethical_considerations"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", card["model_details"]["version"]["date"])
    metrics = card["quantitative_analysis"]["performance_metrics"]
    assert all(set(metric) <= {"type", "value", "slice", "confidence_interval"} for metric in metrics)
    assert all(isinstance(metric["value"], float) and math.isfinite(metric["value"]) for metric in metrics)
    (epsilon,) = [metric for metric in metrics if metric["type"].startswith("epsilon")]
    assert "delta=1e-05, example, ADD_OR_REMOVE_ONE" in epsilon["type"]
    assert {metric["slice"] for metric in metrics if "AUC" in metric["type"]} == {
        "all records", "class=0", "class=1", "payment=card", "payment=invoice",
    }  # fmt: skip
