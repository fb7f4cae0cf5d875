"""The lint against real TFX pipelines, each with one thing wired wrongly."""

from __future__ import annotations

import json
import os
import pathlib
import textwrap
from typing import Any

import pytest
from click.testing import CliRunner, Result
from wiring import ERROR, WARNING, Wiring, destination, found, query

pytestmark = pytest.mark.slow


def blessed_model_resolver(**options: Any) -> Any:
    from tfx.dsl.components.common import resolver
    from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy
    from tfx.types import standard_artifacts

    return resolver.Resolver(
        strategy_class=latest_blessed_model_strategy.LatestBlessedModelStrategy,
        model=query(standard_artifacts.Model),
        model_blessing=query(standard_artifacts.ModelBlessing, **options),
    ).with_id("baseline")


def condition(channel: Any) -> Any:
    from tfx.dsl.experimental.conditionals.conditional import Cond

    return Cond(channel.future()[0].custom_property("blessed") == 1)


def test_a_pipeline_that_is_wired_well_has_no_findings() -> None:
    assert found(Wiring().pipeline()) == []
    assert found(Wiring().pipeline(enable_cache=True)) == []
    assert found(Wiring().pipeline(), runner="kubeflow") == []


def test_without_a_pusher_there_is_nothing_to_get_past() -> None:
    wiring = Wiring()
    assert found(wiring.pipeline(without=("pusher",))) == []
    assert found(wiring.pipeline(without=("pusher", "validator", "privacy_evaluator", "evaluator"))) == []


@pytest.mark.parametrize("options", [{}, {"with_baseline": False}, {"eval_config": None}, {"reference_models": 2}])
def test_the_taxi_pipeline_passes_the_lint(tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    from tfx_privacy.pipelines import taxi

    pipeline = taxi.create_taxi_pipeline(output_root=str(tmp_path), **options)
    assert found(pipeline) == []


def test_the_factory_refuses_what_gets_past_the_gate(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfx.components import Pusher

    from tfx_privacy.errors import ParameterError
    from tfx_privacy.pipelines import factory, taxi

    class Forgetful(Pusher):
        """Drops the blessing."""

        def __init__(self, model_blessing: Any, **options: Any) -> None:
            super().__init__(**options)

    monkeypatch.setattr(factory, "Pusher", Forgetful)
    with pytest.raises(ParameterError, match=r"(?s)get past the gate.*pusher-without-blessing"):
        taxi.create_taxi_pipeline(output_root=str(tmp_path))


def test_a_pusher_without_a_blessing() -> None:
    wiring = Wiring()
    wiring.pusher = wiring.push(wiring.model, None)
    assert found(wiring.pipeline()) == [("pusher-without-blessing", ERROR, "Pusher")]


def test_a_condition_is_no_blessing() -> None:
    from tfx_privacy.pipelines import lint

    wiring = Wiring()
    with condition(wiring.blessing):
        wiring.pusher = wiring.push(wiring.model, None).with_id("Sender")
    (finding,) = lint.check(wiring.pipeline())
    assert (finding.rule, finding.node) == ("pusher-without-blessing", "Sender")
    assert "condition" in finding.problem


def test_a_condition_beside_the_blessing_is_fine() -> None:
    wiring = Wiring()
    with condition(wiring.blessing):
        wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == []


def test_a_component_that_pushes_is_a_pusher() -> None:
    import wired_components

    wiring = Wiring()
    wiring.pusher = wired_components.ship(model=wiring.model)
    assert found(wiring.pipeline()) == [
        ("pusher-without-blessing", ERROR, "ship"),
        ("pusher-other-executor", WARNING, "ship"),
    ]
    wiring = Wiring()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing, wired_components.OtherPusher)
    assert found(wiring.pipeline()) == [("pusher-other-executor", WARNING, "OtherPusher")]


@pytest.mark.parametrize("whose", ["evaluator", "resolver", "union", "query", "importer", "async"])
def test_a_blessing_of_somebody_else(whose: str) -> None:
    from tfx.dsl.components.common import importer
    from tfx.types import channel_utils, standard_artifacts

    wiring = Wiring()
    more: list[Any] = []
    if whose == "evaluator":
        blessing = wiring.evaluator.outputs["blessing"]
    elif whose == "resolver":
        more = [blessed_model_resolver(producer_component_id="BudgetValidator", output_key="blessing")]
        blessing = more[0].outputs["model_blessing"]
    elif whose == "union":
        blessing = channel_utils.union([wiring.blessing, wiring.evaluator.outputs["blessing"]])
    elif whose == "query":
        blessing = query(
            standard_artifacts.ModelBlessing, producer_component_id="BudgetValidator", output_key="blessing"
        )
    elif whose == "importer":
        more = [importer.Importer(source_uri="/blessed", artifact_type=standard_artifacts.ModelBlessing)]
        blessing = more[0].outputs["result"]
    else:
        blessing = wiring.blessing
        blessing.set_as_async_channel()
    wiring.pusher = wiring.push(wiring.model, blessing)
    assert found(wiring.pipeline(*more)) == [("pusher-blessing-not-ours", ERROR, "Pusher")]


def test_ids_do_not_matter() -> None:
    wiring = Wiring()
    wiring.trainer.with_id("A")
    wiring.validator.with_id("Evaluator.1")
    wiring.evaluator.with_id("BudgetValidator")
    assert found(wiring.pipeline()) == []
    wiring = Wiring()
    wiring.validator.with_id("V")
    wiring.evaluator.with_id("BudgetValidator")
    wiring.pusher = wiring.push(wiring.model, wiring.evaluator.outputs["blessing"])
    assert found(wiring.pipeline()) == [("pusher-blessing-not-ours", ERROR, "Pusher")]


def test_a_verdict_on_another_model() -> None:
    wiring = Wiring()
    other = wiring.dp_trainer().with_id("DPTrainer.other")
    wiring.pusher = wiring.push(other.outputs["model"], wiring.blessing)
    assert found(wiring.pipeline(other)) == [("pusher-other-model", ERROR, "Pusher")]


@pytest.mark.parametrize("crossed", [False, True])
def test_two_models_each_with_its_own_verdict(crossed: bool) -> None:
    first, second = Wiring(), Wiring("/more")
    if crossed:
        second.pusher = second.push(second.model, first.blessing)
    for name, node in vars(second).items():
        node.with_id(f"{name}.2")
    expected = [("pusher-other-model", ERROR, "pusher.2")] if crossed else []
    assert found(first.pipeline(*vars(second).values())) == expected


def test_a_resolved_model_is_not_known_to_be_the_judged_one() -> None:
    from tfx.types import standard_artifacts

    wiring = Wiring()
    wiring.pusher = wiring.push(query(standard_artifacts.Model), wiring.blessing)
    assert found(wiring.pipeline()) == [("pusher-other-model", ERROR, "Pusher")]


def test_an_infra_validators_copy_is_the_model_it_validated() -> None:
    from tfx.components import InfraValidator, Pusher
    from tfx.proto import infra_validator_pb2

    def pipeline_with(model_of: str) -> Any:
        wiring = Wiring()
        other = wiring.dp_trainer().with_id("other")
        model = wiring.model if model_of == "judged" else other.outputs["model"]
        serving = infra_validator_pb2.ServingSpec(
            tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=["latest"]),
            local_docker=infra_validator_pb2.LocalDockerConfig(),
        )
        infra = InfraValidator(model=model, serving_spec=serving)
        wiring.pusher = Pusher(
            model_blessing=wiring.blessing, infra_blessing=infra.outputs["blessing"], push_destination=destination()
        )
        return wiring.pipeline(infra, other)

    assert found(pipeline_with("judged")) == []
    assert found(pipeline_with("other")) == [("pusher-other-model", ERROR, "Pusher")]


@pytest.mark.parametrize("conditional", ["validator", "privacy_evaluator"])
def test_a_verdict_that_a_condition_leaves_out(conditional: str) -> None:
    """TFX's Pusher pushes then: `test_tfx_pushes_where_the_verdict_is_missing`."""
    wiring = Wiring()
    with condition(wiring.evaluator.outputs["blessing"]):
        if conditional == "privacy_evaluator":
            wiring.privacy_evaluator = wiring.attacks(wiring.model)
        else:
            wiring.validator = wiring.judge()
    if conditional == "privacy_evaluator":
        wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == [("verdict-may-be-missing", ERROR, "Pusher")]


def test_all_in_the_same_condition_is_fine() -> None:
    wiring = Wiring()
    with condition(wiring.evaluator.outputs["blessing"]):
        wiring.validator = wiring.judge()
    # Another block that asks the same.
    with condition(wiring.evaluator.outputs["blessing"]):
        wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == []


def test_a_condition_on_training_leaves_no_model_to_push() -> None:
    wiring = Wiring()
    with condition(query_blessing_of_last_run()):
        wiring.trainer = wiring.dp_trainer()
    wiring.privacy_evaluator = wiring.attacks(wiring.model)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == []


def query_blessing_of_last_run() -> Any:
    from tfx.dsl.components.common import importer
    from tfx.types import standard_artifacts

    return (
        importer.Importer(source_uri="/x", artifact_type=standard_artifacts.ModelBlessing)
        .with_id("last")
        .outputs["result"]
    )


def test_a_validator_outside_the_pipeline_does_not_run() -> None:
    import warnings

    wiring = Wiring()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = wiring.pipeline(without=("validator",))
    assert ("verdict-may-be-missing", ERROR, "Pusher") in found(pipeline)


def test_evidence_that_may_not_be_found() -> None:
    from tfx_privacy.components.artifacts import PrivacyEvaluation

    wiring = Wiring()
    wiring.validator = wiring.judge(privacy_evaluation=query(PrivacyEvaluation))
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == [
        ("verdict-may-be-missing", ERROR, "Pusher"),
        ("validator-mixed-evidence", WARNING, "BudgetValidator"),
    ]


def test_a_parameter_that_may_not_be_found() -> None:
    from tfx.dsl.components.common import resolver
    from tfx.dsl.input_resolution.strategies import latest_artifact_strategy
    from tfx.types import standard_artifacts

    wiring = Wiring()
    named = resolver.Resolver(
        strategy_class=latest_artifact_strategy.LatestArtifactStrategy, label=query(standard_artifacts.String)
    )
    wiring.privacy_evaluator.spec.exec_properties["label_key"] = named.outputs["label"].future()[0].value
    assert found(wiring.pipeline(named)) == [("verdict-may-be-missing", ERROR, "Pusher")]


def test_an_optional_blessing_and_other_ways_not_to_wait_for_it() -> None:
    from tfx.dsl.experimental.node_execution_options import utils
    from tfx.proto.orchestration import pipeline_pb2

    wiring = Wiring()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing.as_optional())
    assert found(wiring.pipeline()) == [("verdict-may-be-missing", ERROR, "Pusher")]
    wiring = Wiring()
    wiring.validator.node_execution_options = utils.NodeExecutionOptions(success_optional=True)
    assert found(wiring.pipeline()) == [("verdict-may-be-missing", ERROR, "Pusher")]
    wiring = Wiring()
    anyway = pipeline_pb2.NodeExecutionOptions.ALL_UPSTREAM_NODES_COMPLETED
    wiring.pusher.node_execution_options = utils.NodeExecutionOptions(trigger_strategy=anyway)
    assert found(wiring.pipeline()) == [("verdict-may-be-missing", ERROR, "Pusher")]


@pytest.mark.parametrize("missing", ["nothing", "condition", "evidence", "validator"])
def test_tfx_pushes_where_the_verdict_is_missing(missing: str, tmp_path: pathlib.Path) -> None:
    """Why `verdict-may-be-missing` is an error: LocalDagRunner goes on, and Pusher pushes without a blessing."""
    import warnings

    from tfx.components import Pusher
    from tfx.dsl.components.common import importer
    from tfx.orchestration import pipeline
    from tfx.types import standard_artifacts

    from tfx_privacy.components import BudgetValidator, artifacts
    from tfx_privacy.pipelines import lint, local_runner

    model_dir, evidence_dir, push_dir = tmp_path / "model", tmp_path / "evidence", tmp_path / "push"
    (model_dir / "Format-Serving").mkdir(parents=True)
    (model_dir / "Format-Serving" / "saved_model.pb").write_text("a model")
    evidence_dir.mkdir()

    def bring(folder: pathlib.Path, type_: Any) -> Any:
        return importer.Importer(source_uri=str(folder), artifact_type=type_, reimport=True).with_id(type_.__name__)

    def judge(evaluation: Any) -> Any:
        return BudgetValidator(
            model=model.outputs["result"], privacy_guarantee=guarantee.outputs["result"], privacy_evaluation=evaluation,
            max_epsilon=3.0, max_delta=1e-6, max_attack_auc=0.6,
        )  # fmt: skip

    model = bring(model_dir, standard_artifacts.Model)
    guarantee = bring(evidence_dir, artifacts.PrivacyGuarantee)
    evaluation = bring(evidence_dir, artifacts.PrivacyEvaluation)
    if missing == "condition":
        with condition(model.outputs["result"]):
            validator = judge(evaluation.outputs["result"])
    elif missing == "evidence":
        validator = judge(query(artifacts.PrivacyEvaluation, producer_component_id="never"))
    else:
        validator = judge(evaluation.outputs["result"])
    pusher = Pusher(
        model=model.outputs["result"],
        model_blessing=validator.outputs["blessing"],
        push_destination=destination(str(push_dir)),
    )
    nodes = [model, guarantee, evaluation, *([] if missing == "validator" else [validator]), pusher]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wired = pipeline.Pipeline(
            pipeline_name="p",
            pipeline_root=str(tmp_path / "root"),
            components=nodes,
            metadata_connection_config=local_runner.sqlite_metadata(str(tmp_path / "metadata.db")),
        )
    rules = {finding.rule for finding in lint.check(wired) if finding.severity == ERROR}
    local_runner.run_locally(wired)
    pushed = push_dir.exists() and os.listdir(push_dir) != []
    assert pushed == (missing != "nothing")
    assert rules == ({"verdict-may-be-missing"} if pushed else set())


def test_evidence_of_another_training_run() -> None:
    wiring = Wiring()
    other = wiring.dp_trainer().with_id("other")
    wiring.validator = wiring.judge(privacy_guarantee=other.outputs["privacy_guarantee"])
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(other)) == [("validator-mixed-evidence", ERROR, "BudgetValidator")]


@pytest.mark.parametrize("key", ["privacy_evaluation", "model_blessing"])
def test_an_evaluation_of_another_model(key: str) -> None:
    wiring = Wiring()
    other = wiring.dp_trainer().with_id("other")
    if key == "privacy_evaluation":
        wiring.privacy_evaluator = wiring.attacks(other.outputs["model"])
    else:
        wiring.evaluator = wiring.tfx_evaluator(other.outputs["model"])
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(other)) == [("validator-mixed-evidence", ERROR, "BudgetValidator")]


def test_a_validator_with_another_executor_or_driver() -> None:
    import wired_components

    wiring = Wiring()
    wiring.validator = wiring.judge(wired_components.Generous)
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == [
        ("validator-other-executor", ERROR, "Generous"),
        ("pusher-blessing-not-ours", ERROR, "Pusher"),
    ]
    wiring = Wiring()
    wiring.validator = wiring.judge(wired_components.Derived)
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(enable_cache=True)) == [("validator-other-executor", WARNING, "Derived")]
    wiring = Wiring()
    wiring.validator = wiring.judge(wired_components.Replayable)
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == []
    assert found(wiring.pipeline(enable_cache=True)) == [("replayed-verdict", ERROR, "Replayable")]


def test_a_cache_without_our_driver_replays_verdicts() -> None:
    assert found(Wiring().pipeline(enable_cache=True), runner="kubeflow") == [
        ("replayed-verdict", ERROR, "BudgetValidator")
    ]


@pytest.mark.parametrize(
    ("asked_for", "ours"),
    [
        ({}, False),
        ({"producer_component_id": "Evaluator", "output_key": "blessing"}, False),
        ({"producer_component_id": "BudgetValidator"}, True),
        ({"producer_component_id": "BudgetValidator", "output_key": "blessing"}, True),
        ({"producer_component_id": "AnotherValidator", "output_key": "blessing"}, False),
    ],
)
def test_the_baseline_is_a_model_that_we_blessed(asked_for: dict[str, str], ours: bool) -> None:
    wiring = Wiring()
    baseline = blessed_model_resolver(**asked_for)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model, baseline_model=baseline.outputs["model"])
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    pipeline = wiring.pipeline(baseline)
    assert found(pipeline) == ([] if ours else [("baseline-not-ours", ERROR, "baseline")])
    assert found(pipeline, runner="kubeflow") == [("baseline-not-ours", WARNING if ours else ERROR, "baseline")]


def test_a_resolver_without_a_strategy_and_one_by_lineage() -> None:
    from tfx.dsl.components.common import resolver
    from tfx.dsl.input_resolution import resolver_function
    from tfx.dsl.input_resolution.ops import latest_policy_model_op
    from tfx.types import standard_artifacts

    @resolver_function.resolver_function
    def latest(models: Any, policy: int) -> Any:
        return latest_policy_model_op.LatestPolicyModel({"model": models}, policy=policy)

    plain = resolver.Resolver(blessing=query(standard_artifacts.ModelBlessing)).with_id("plain")
    assert found(Wiring().pipeline(plain)) == [("baseline-not-ours", ERROR, "plain")]
    for policy, rules in ((2, [("baseline-not-ours", ERROR, "Evaluator")]), (5, [])):
        wiring = Wiring()
        with latest.given_output_type({"model": standard_artifacts.Model}):
            baseline = latest(query(standard_artifacts.Model), policy=policy)["model"]
        wiring.evaluator = wiring.tfx_evaluator(wiring.model, baseline_model=baseline)
        wiring.validator = wiring.judge()
        wiring.pusher = wiring.push(wiring.model, wiring.blessing)
        assert found(wiring.pipeline()) == rules


def test_training_without_privacy() -> None:
    wiring = Wiring()
    trainer = wiring.plain_trainer()
    assert found(wiring.pipeline(trainer)) == []
    compared = wiring.tfx_evaluator(trainer.outputs["model"]).with_id("compare")
    assert found(wiring.pipeline(trainer, compared)) == [("trainer-bypasses-dp", WARNING, "Trainer")]
    pushed = wiring.push(trainer.outputs["model"], wiring.blessing).with_id("second")
    assert found(wiring.pipeline(trainer, pushed)) == [
        ("trainer-bypasses-dp", ERROR, "Trainer"),
        ("pusher-other-model", ERROR, "second"),
    ]


def test_a_trainer_that_is_judged_as_if_it_were_private() -> None:
    wiring = Wiring()
    private, wiring.trainer = wiring.trainer, wiring.plain_trainer()
    wiring.privacy_evaluator = wiring.attacks(wiring.model)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model)
    wiring.validator = wiring.judge(privacy_guarantee=private.outputs["privacy_guarantee"])
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(private)) == [
        ("trainer-bypasses-dp", ERROR, "Trainer"),
        ("validator-mixed-evidence", ERROR, "BudgetValidator"),
    ]


@pytest.mark.parametrize(("folder", "severity"), [("/data", ERROR), ("/public", WARNING)])
def test_a_warm_start_from_a_model_of_the_same_data(folder: str, severity: str) -> None:
    """DPTrainer takes none today; a subclass may."""
    import wired_components
    from tfx.components import CsvExampleGen

    wiring = Wiring()
    public = CsvExampleGen(input_base=folder).with_id("before")
    trainer = wiring.plain_trainer(examples=public.outputs["examples"])
    wiring.trainer = wired_components.WarmTrainer(wiring.examples, base_model=trainer.outputs["model"])
    wiring.privacy_evaluator = wiring.attacks(wiring.model)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(public, trainer)) == [("trainer-bypasses-dp", severity, "Trainer")]


def test_a_component_of_ones_own_that_trains_is_a_trainer() -> None:
    import wired_components

    wiring = Wiring()
    fitted = wired_components.fit(examples=wiring.examples)
    wiring.pusher = wiring.push(fitted.outputs["model"], wiring.blessing)
    assert ("trainer-bypasses-dp", ERROR, "fit") in found(wiring.pipeline(fitted))


def test_reference_models_and_unjudged_models_that_leave() -> None:
    import wired_components
    from tfx.components import BulkInferrer

    wiring = Wiring()
    infer = BulkInferrer(examples=wiring.examples, model=wiring.model)
    judged = BulkInferrer(examples=wiring.examples, model=wiring.model, model_blessing=wiring.blessing).with_id(
        "judged"
    )
    with condition(wiring.blessing):
        later = wired_components.export(model=wiring.model).with_id("later")
    more = [
        infer,
        judged,
        later,
        wired_components.export(model=wiring.model),
        wired_components.upload(models=wiring.trainer.outputs["reference_models"]),
    ]
    assert sorted(found(wiring.pipeline(*more))) == [
        ("reference-models-leave", WARNING, "upload"),
        ("unjudged-exit", WARNING, "BulkInferrer"),
        ("unjudged-exit", WARNING, "export"),
    ]


def test_a_pusher_that_takes_no_model() -> None:
    import wired_components

    wiring = Wiring()
    wiring.pusher = wired_components.ship_what_it_likes(blessing=wiring.blessing)
    assert found(wiring.pipeline()) == [
        ("pusher-other-model", ERROR, "ship_what_it_likes"),
        ("pusher-other-executor", WARNING, "ship_what_it_likes"),
    ]
    beside = wired_components.ship_what_it_likes(blessing=wiring.evaluator.outputs["blessing"])
    wiring = Wiring()
    assert ("pusher-blessing-not-ours", ERROR, "ship_what_it_likes") in found(wiring.pipeline(beside))


@pytest.mark.parametrize("kind", ["DerivedPusher", "DerivedTrainer", "DerivedEvaluator"])
def test_derived_executors_are_named(kind: str) -> None:
    import wired_components

    wiring, rule = Wiring(), "evidence-not-ours"
    if kind == "DerivedPusher":
        wiring.pusher, rule = (
            wiring.push(wiring.model, wiring.blessing, wired_components.DerivedPusher),
            "pusher-other-executor",
        )
    elif kind == "DerivedTrainer":
        wiring.trainer = wiring.dp_trainer(wired_components.DerivedTrainer)
        wiring.privacy_evaluator = wiring.attacks(wiring.model)
        wiring.rewire()
    else:
        wiring.privacy_evaluator = wiring.attacks(wiring.model, wired_components.DerivedEvaluator)
        wiring.rewire()
    assert found(wiring.pipeline()) == [(rule, WARNING, kind)]


def test_our_own_pusher_is_known() -> None:
    from tfx_privacy.components import VerifyingPusher

    wiring = Wiring()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing, VerifyingPusher)
    assert found(wiring.pipeline()) == []


def test_a_guarantee_and_attacks_of_ones_own() -> None:
    import wired_components

    wiring = Wiring()
    vouched, acquitted = wired_components.vouch(), wired_components.acquit(model=wiring.model)
    assert sorted(found(wiring.pipeline(vouched, acquitted))) == [
        ("evidence-not-ours", ERROR, "acquit"),
        ("evidence-not-ours", ERROR, "vouch"),
        ("unjudged-exit", WARNING, "acquit"),
    ]


def test_a_model_and_a_guarantee_of_one_node_that_is_not_ours() -> None:
    """Both fit together, and to the verdict; nothing of ours ever trained."""
    import wired_components

    wiring = Wiring()
    wiring.trainer = wired_components.train_elsewhere()
    wiring.privacy_evaluator = wiring.attacks(wiring.model)
    wiring.rewire()
    assert sorted(found(wiring.pipeline())) == [
        ("evidence-not-ours", ERROR, "train_elsewhere"),
        ("model-not-ours", ERROR, "train_elsewhere"),
    ]


def test_a_model_that_is_made_of_the_judged_one() -> None:
    import wired_components

    wiring = Wiring()
    smaller = wired_components.quantize(model=wiring.model)
    assert ("model-not-ours", WARNING, "quantize") in found(wiring.pipeline(smaller))
    wiring = Wiring()
    smaller = wired_components.quantize(model=wiring.model)
    wiring.pusher = wiring.push(smaller.outputs["smaller"], wiring.blessing)
    findings = found(wiring.pipeline(smaller))
    assert ("model-not-ours", ERROR, "quantize") in findings
    assert ("pusher-other-model", ERROR, "Pusher") in findings


def test_an_exporter_under_the_verdict_on_another_model() -> None:
    import wired_components
    from tfx.components import BulkInferrer

    wiring = Wiring()
    other = wiring.dp_trainer().with_id("other")
    with condition(wiring.blessing):
        exported = wired_components.export(model=other.outputs["model"])
    inferred = BulkInferrer(examples=wiring.examples, model=other.outputs["model"], model_blessing=wiring.blessing)
    assert sorted(found(wiring.pipeline(other, exported, inferred))) == [
        ("exit-other-verdict", ERROR, "BulkInferrer"),
        ("exit-other-verdict", ERROR, "export"),
    ]


@pytest.mark.parametrize("asked", ["no", "uri", "another property"])
def test_an_exporter_under_a_condition_that_is_no_verdict(asked: str) -> None:
    import wired_components
    from tfx.dsl.experimental.conditionals.conditional import Cond

    def predicate(wiring: Wiring) -> Any:
        blessing = wiring.blessing.future()[0]
        return {
            "no": blessing.custom_property("blessed") == 0,
            "uri": blessing.uri != "nowhere",
            "another property": blessing.custom_property("max_epsilon") == 1,
        }[asked]

    wiring = Wiring()
    with Cond(predicate(wiring)):
        exported = wired_components.export(model=wiring.model)
    assert found(wiring.pipeline(exported)) == [("unjudged-exit", WARNING, "export")]
    wiring = Wiring()
    with Cond(predicate(wiring)), condition(wiring.blessing):
        nested = wired_components.export(model=wiring.model)
    assert found(wiring.pipeline(nested)) == []


def test_reference_models_of_another_trainer() -> None:
    wiring = Wiring()
    other = wiring.dp_trainer(reference_models=2).with_id("other")
    wiring.privacy_evaluator = wiring.attacks(wiring.model, reference_models=other.outputs["reference_models"])
    wiring.rewire()
    assert ("reference-models-of-another", ERROR, "PrivacyEvaluator") in found(wiring.pipeline(other))
    wiring = Wiring()
    wiring.trainer = wiring.dp_trainer(reference_models=2)
    references = wiring.trainer.outputs["reference_models"]
    wiring.privacy_evaluator = wiring.attacks(wiring.model, reference_models=references)
    wiring.rewire()
    assert found(wiring.pipeline()) == []


@pytest.mark.parametrize(
    ("charged", "checked", "rules"),
    [
        (None, None, []),
        ("env:LEDGER", "env:LEDGER", []),
        ("env:LEDGER", None, ["ledger-mismatch"]),
        (None, "env:LEDGER", ["ledger-mismatch"]),
        ("env:LEDGER", "env:OTHER", ["ledger-mismatch"]),
    ],
)
def test_the_ledger_that_is_charged_is_the_one_that_is_checked(
    charged: str | None, checked: str | None, rules: list[str]
) -> None:
    wiring = Wiring()
    for node, ledger in ((wiring.trainer, charged), (wiring.validator, checked)):
        if ledger is not None:
            node.spec.exec_properties["ledger"] = ledger
    assert [rule for rule, _, _ in found(wiring.pipeline())] == rules


def test_an_evaluator_that_nobody_listens_to() -> None:
    def pipeline_with(*, thresholds: bool) -> Any:
        wiring = Wiring()
        wiring.evaluator = wiring.tfx_evaluator(wiring.model, thresholds=thresholds)
        wiring.validator = wiring.judge(model_blessing=None)
        wiring.pusher = wiring.push(wiring.model, wiring.blessing)
        return wiring.pipeline()

    assert found(pipeline_with(thresholds=True)) == [("evaluator-blessing-unused", WARNING, "Evaluator")]
    assert found(pipeline_with(thresholds=False)) == []


def test_pipelines_inside_a_pipeline_are_looked_into() -> None:
    from tfx.orchestration import pipeline

    def nested(blessing: str) -> Any:
        wiring = Wiring()
        channels = {"model": wiring.model, "blessing": getattr(wiring, blessing).outputs["blessing"]}
        inputs = pipeline.PipelineInputs(channels)
        pusher = wiring.push(inputs["model"], inputs["blessing"])
        inner = pipeline.Pipeline(pipeline_name="inner", components=[pusher], inputs=inputs)
        return wiring.pipeline(inner, without=("pusher",))

    assert found(nested("validator")) == []
    assert found(nested("evaluator")) == [("pusher-blessing-not-ours", ERROR, "inner.Pusher")]


def test_an_inner_pipeline_in_a_condition_and_what_it_gives() -> None:
    from tfx.orchestration import pipeline

    def nested(*, in_condition: bool) -> Any:
        wiring = Wiring()

        def inner() -> Any:
            inputs = pipeline.PipelineInputs(
                {"model": wiring.model, "guarantee": wiring.trainer.outputs["privacy_guarantee"]}
            )
            attacks = wiring.attacks(inputs["model"])
            judge = wiring.judge(
                model=inputs["model"],
                privacy_guarantee=inputs["guarantee"],
                privacy_evaluation=attacks.outputs["privacy_evaluation"],
                model_blessing=None,
            )
            return pipeline.Pipeline(
                pipeline_name="gate", components=[attacks, judge], inputs=inputs,
                outputs={"verdict": judge.outputs["blessing"]},
            )  # fmt: skip

        wiring.evaluator = wiring.tfx_evaluator(wiring.model, thresholds=False)
        if in_condition:
            with condition(wiring.evaluator.outputs["blessing"]):
                gate = inner()
        else:
            gate = inner()
        pusher = wiring.push(wiring.model, gate.outputs["verdict"])
        return wiring.pipeline(gate, pusher, without=("pusher", "validator", "privacy_evaluator"))

    assert found(nested(in_condition=False)) == []
    assert found(nested(in_condition=True)) == [("verdict-may-be-missing", ERROR, "Pusher")] * 2


def test_an_asynchronous_pipeline_mixes_runs() -> None:
    from tfx.orchestration import pipeline

    wiring = Wiring()
    assert ("asynchronous-pipeline", ERROR, "p") in found(wiring.pipeline(execution_mode=pipeline.ExecutionMode.ASYNC))


def test_only_pipelines_and_known_runners() -> None:
    from tfx_privacy.commands.lint import lint as command
    from tfx_privacy.errors import ParameterError
    from tfx_privacy.pipelines import lint

    assert tuple(command.params[1].type.choices) == lint.RUNNERS  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="pipeline=3"):
        lint.check(3)
    with pytest.raises(ParameterError, match="runner='airflow'"):
        lint.check(Wiring().pipeline(), runner="airflow")


# The command.

MODULE = """
    from tfx.components import CsvExampleGen
    from tfx.orchestration import pipeline

    def _build(name):
        print("a word of the user's")
        return pipeline.Pipeline(pipeline_name=name, pipeline_root="/root", components=[CsvExampleGen(input_base="/data")])

    def helper():
        return 3
"""


def lint(*arguments: str) -> Result:
    from tfx_privacy import cli

    return CliRunner().invoke(cli.cli, ["lint", *arguments])


def write(path: pathlib.Path, more: str) -> str:
    path.write_text(textwrap.dedent(MODULE) + textwrap.dedent(more))
    return str(path)


def test_the_command_finds_the_pipeline_of_a_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    target = write(tmp_path / "one_object.py", "PIPELINE = _build('p')\nSAME = PIPELINE\n")
    for chosen in (target, f"{target}:PIPELINE", "one_object:PIPELINE", "one_object"):
        done = lint(chosen)
        assert (done.exit_code, done.stdout) == (0, "No findings.\n"), done.stderr
    target = write(tmp_path / "one_function.py", "def create_pipeline(name='p'):\n    return _build(name)\n")
    assert lint(target, "--format", "json").stdout == "[]\n"
    assert lint(f"{target}:create_pipeline").exit_code == 0


@pytest.mark.parametrize(
    ("more", "name", "message"),
    [
        ("", "", "Found neither a pipeline nor a function"),
        ("a, b = _build('a'), _build('b')\n", "", "Found: a, b."),
        ("def pipeline_of(name):\n    return _build(name)\n", "", "Found: pipeline_of() (takes arguments)."),
        ("def pipeline_of(name):\n    return _build(name)\n", ":pipeline_of", "takes arguments"),
        ("", ":nothing", "There is no 'nothing'"),
        ("", ":helper", "returned a int, not a TFX pipeline"),
        ("X = 3\n", ":X", "'X' is a int"),
        ("def create_pipeline():\n    return _build('p')\n\n1 / 0\n", "", "ZeroDivisionError: division by zero"),
        ("def create_pipeline():\n    return _build('p')\n\nimport sys; sys.exit(0)\n", "", "ended with status 0"),
    ],
)
def test_no_pipeline_is_a_usage_error(tmp_path: pathlib.Path, more: str, name: str, message: str) -> None:
    target = write(tmp_path / f"module_{abs(hash((more, name)))}.py", more)
    done = lint(f"{target}{name}")
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("target", ["missing.py", "no.such.module:X", "taxi.yaml", "job.json"])
def test_what_cannot_be_read_is_a_usage_error(target: str) -> None:
    done = lint(target)
    assert done.exit_code == 2
    assert target.partition(":")[0].partition(".")[0] in done.stderr


def test_findings_decide_the_exit_status(tmp_path: pathlib.Path) -> None:
    target = write(
        tmp_path / "leaky.py",
        """
        from tfx.components import Pusher
        from tfx.dsl.components.common import importer
        from tfx.proto import pusher_pb2
        from tfx.types import standard_artifacts

        def create_pipeline():
            model = importer.Importer(source_uri="/model", artifact_type=standard_artifacts.Model)
            place = pusher_pb2.PushDestination.Filesystem(base_directory="/push")
            pusher = Pusher(model=model.outputs["result"], push_destination=pusher_pb2.PushDestination(filesystem=place))
            return pipeline.Pipeline(pipeline_name="p", pipeline_root="/root", components=[model, pusher])
        """,
    )
    done = lint(target)
    assert done.exit_code == 1
    first, remedy = done.stdout.splitlines()
    assert first.startswith("error: Pusher: No model_blessing is wired")
    assert first.endswith("[pusher-without-blessing]")
    assert remedy.strip() == "Wire model_blessing=budget_validator.outputs['blessing']."
    (finding,) = json.loads(lint(target, "--format", "json").stdout)
    assert finding["rule"] == "pusher-without-blessing"
    assert set(finding) == {"rule", "severity", "node", "problem", "remedy"}


def attacked(*, trained: str, attacked_on: str) -> list[tuple[str, str, str]]:
    """Findings where the trainer and the PrivacyEvaluator read the named examples."""
    from tfx.components import CsvExampleGen, Transform

    from tfx_privacy.components import CanaryInserter

    wiring = Wiring()
    other = CsvExampleGen(input_base="/other").with_id("Other")
    twin = CsvExampleGen(input_base="/data").with_id("Twin")
    transform = Transform(examples=wiring.examples, schema=wiring.schema, module_file=__file__)
    inserter = CanaryInserter(examples=wiring.examples, schema=wiring.schema, label_key="label")
    transform_all = Transform(
        examples=inserter.outputs["examples_with_canaries"], schema=wiring.schema, module_file=__file__
    ).with_id("TransformAll")
    sources = {
        "examples": (wiring.examples, ()),
        "other": (other.outputs["examples"], (other,)),
        "twin": (twin.outputs["examples"], (twin,)),
        "transformed": (transform.outputs["transformed_examples"], (transform,)),
        "canaries": (inserter.outputs["examples_with_canaries"], (inserter,)),
        "transformed canaries": (transform_all.outputs["transformed_examples"], (inserter, transform_all)),
    }
    graphs = {
        "transformed": transform.outputs["transform_graph"],
        "transformed canaries": transform_all.outputs["transform_graph"],
    }
    graph = graphs.get(trained)
    wiring.trainer = wiring.dp_trainer(examples=sources[trained][0], transform_graph=graph)
    wiring.privacy_evaluator = wiring.attacks(wiring.model, examples=sources[attacked_on][0], transform_graph=graph)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    more = dict.fromkeys([*sources[trained][1], *sources[attacked_on][1]])
    return found(wiring.pipeline(*more))


@pytest.mark.parametrize(
    ("trained", "attacked_on"),
    [
        ("transformed", "examples"),
        ("examples", "twin"),  # two nodes that read the same in the same way
        ("canaries", "canaries"),
        ("transformed canaries", "canaries"),
    ],
)
def test_an_attack_on_what_the_trainer_reads(trained: str, attacked_on: str) -> None:
    assert attacked(trained=trained, attacked_on=attacked_on) == []


@pytest.mark.parametrize(
    ("trained", "attacked_on"),
    [("examples", "other"), ("transformed", "other"), ("transformed canaries", "examples"), ("examples", "canaries")],
)
def test_an_attack_on_other_examples(trained: str, attacked_on: str) -> None:
    assert attacked(trained=trained, attacked_on=attacked_on) == [
        ("attack-on-other-examples", ERROR, "PrivacyEvaluator")
    ]


def test_examples_whose_origin_is_not_seen_are_a_warning() -> None:
    from tfx.types import standard_artifacts

    wiring = Wiring()
    asked = query(standard_artifacts.Examples, producer_component_id="elsewhere")
    wiring.privacy_evaluator = wiring.attacks(wiring.model, examples=asked)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert ("attack-on-other-examples", WARNING, "PrivacyEvaluator") in found(wiring.pipeline())


def attacked_with(*more: Any, **options: Any) -> list[tuple[str, str, str]]:
    """Findings where the PrivacyEvaluator is wired in another way."""
    wiring = Wiring()
    wiring.privacy_evaluator = wiring.attacks(wiring.model, **options)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    return found(wiring.pipeline(*more))


_OTHER_LABEL = "attack-on-other-label"
_LABELS: dict[str, tuple[dict[str, Any], str | None]] = {
    "another": ({"label_key": "paid"}, ERROR),
    "the same": ({"label_key": "label"}, None),
    "an output as a loss": ({"task": "loss"}, WARNING),
    "of several outputs": (
        {"heads": [{"name": name, "output_key": name, "label_key": name} for name in ("a", "b")]}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "severity"), _LABELS.values(), ids=_LABELS.keys())
def test_an_attack_with_another_label(options: dict[str, Any], severity: str | None) -> None:
    assert attacked_with(**options) == ([(_OTHER_LABEL, severity, "PrivacyEvaluator")] if severity else [])


def test_an_attack_with_another_transform_graph_or_schema() -> None:
    from tfx.components import Transform
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
    from tfx.types import standard_artifacts

    def findings(trained: str, attacked_by: str) -> list[str]:
        wiring = Wiring()
        one, other = (
            Transform(examples=wiring.examples, schema=wiring.schema, preprocessing_fn=f"{name}.f").with_id(name)
            for name in ("One", "Other")
        )
        asked = query(standard_artifacts.TransformGraph, producer_component_id="elsewhere")
        graphs = {
            "none": None,
            "asked": asked,
            "one": one.outputs["transform_graph"],
            "other": other.outputs["transform_graph"],
        }
        wiring.trainer = wiring.dp_trainer(transform_graph=graphs[trained])
        wiring.privacy_evaluator = wiring.attacks(wiring.model, transform_graph=graphs[attacked_by])
        wiring.evaluator = wiring.tfx_evaluator(wiring.model)
        wiring.validator = wiring.judge()
        wiring.pusher = wiring.push(wiring.model, wiring.blessing)
        return [severity for rule, severity, _ in found(wiring.pipeline(one, other)) if rule == _OTHER_LABEL]

    assert findings("one", "one") == []
    assert findings("one", "other") == [ERROR]
    assert findings("one", "none") == findings("none", "one") == findings("one", "asked") == [WARNING]
    schema = ImportSchemaGen(schema_file="/schema.pbtxt")
    assert attacked_with(schema, schema=schema.outputs["schema"]) == [(_OTHER_LABEL, WARNING, "PrivacyEvaluator")]


def test_canaries_that_the_model_never_saw() -> None:
    from tfx_privacy.components import CanaryInserter

    def begun() -> tuple[Wiring, Any]:
        """Nodes of their own for each pipeline: one that was in another has nodes of that before it."""
        wiring = Wiring()
        return wiring, CanaryInserter(examples=wiring.examples, schema=wiring.schema, label_key="label")

    wiring, inserter = begun()
    canaries = inserter.outputs["canaries"]
    wiring.privacy_evaluator = wiring.attacks(wiring.model, canaries=canaries)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(inserter)) == [("canaries-not-trained-on", ERROR, "PrivacyEvaluator")]
    wiring, inserter = begun()
    with_canaries, canaries = inserter.outputs["examples_with_canaries"], inserter.outputs["canaries"]
    wiring.trainer = wiring.dp_trainer(examples=with_canaries)
    wiring.evaluator = wiring.tfx_evaluator(wiring.model)
    wiring.privacy_evaluator = wiring.attacks(wiring.model, canaries=canaries, examples=with_canaries)
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(inserter)) == []


def test_the_same_folder_read_by_another_executor_is_other_examples() -> None:
    from tfx.components import CsvExampleGen
    from tfx.components.example_gen.custom_executors import avro_executor
    from tfx.dsl.components.base import executor_spec

    wiring = Wiring()
    twin = CsvExampleGen(input_base="/data").with_id("Twin")
    twin.executor_spec = executor_spec.BeamExecutorSpec(avro_executor.Executor)
    wiring.privacy_evaluator = wiring.attacks(wiring.model, examples=twin.outputs["examples"])
    wiring.validator = wiring.judge()
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline(twin)) == [("attack-on-other-examples", ERROR, "PrivacyEvaluator")]


def test_a_sample_of_few_records() -> None:
    assert attacked_with(sample_size=299) == [("attack-on-few-records", WARNING, "PrivacyEvaluator")]
    assert attacked_with(sample_size=300) == []
