"""The lint on pipelines whose one epsilon is of preprocessing and statistics too: real TFX nodes, one thing wired wrongly."""

from __future__ import annotations

from typing import Any

import pytest
from wiring import ERROR, WARNING, Wiring, found, query

pytestmark = pytest.mark.slow

MISSING, OTHERS, UNPAID = "release-not-in-epsilon", "release-of-other-examples", "unpaid-preprocessing"
ACCOUNT = {"ledger": "env:LEDGER", "dataset_id": "taxi", "dataset_blocks": ["a", "b"]}


class Whole(Wiring):
    """Private statistics, a private transform, and a training that counts both."""

    def __init__(self, folder: str = "/data") -> None:
        super().__init__(folder)
        self.statistics_gen = self.statistics()
        self.schema_gen = self.schema_of(self.statistics_gen)
        self.transform = self.dp_transform()
        self.train()

    @property
    def releases(self) -> list[Any]:
        nodes = (self.statistics_gen, self.transform)
        return [node.outputs["privacy_release"] for node in nodes if "privacy_release" in node.outputs]

    def statistics(self, **options: Any) -> Any:
        from tfx_privacy.components import DPStatisticsGen
        from tfx_privacy.releases.features import Number

        arguments = {"examples": self.examples, "features": {"fare": Number(bounds=(0.0, 1.0))}, "privacy": private()}
        return DPStatisticsGen(**{**arguments, **options})

    def schema_of(self, statistics_gen: Any) -> Any:
        from tfx.components import SchemaGen

        return SchemaGen(statistics=statistics_gen.outputs["statistics"])

    def dp_transform(self, kind: Any = None, **options: Any) -> Any:
        from tfx_privacy.components import DPTransform

        arguments = {"examples": self.examples, "schema": self.schema, "module_file": __file__, "privacy": private()}
        return (kind or DPTransform)(**{**arguments, **options})

    def train(self, **options: Any) -> None:
        """DPTrainer and all that comes after it."""
        arguments = {
            "examples": self.transform.outputs["transformed_examples"],
            "transform_graph": self.transform.outputs["transform_graph"],
            "privacy_releases": self.releases,
        }
        self.trainer = self.dp_trainer(**{**arguments, **options})
        graph = self.transform.outputs["transform_graph"]
        self.privacy_evaluator = self.attacks(self.model, transform_graph=graph)
        self.rewire()


def private(**options: Any) -> Any:
    from tfx_privacy.releases.parameters import DPPreprocessing

    return DPPreprocessing(**{"target_epsilon": 0.3, "target_delta": 1e-6, **options})


def parameters(**options: Any) -> Any:
    from tfx_privacy import DPParameters

    return DPParameters(
        **{"target_epsilon": 3.0, "target_delta": 1e-6, "expected_batch_size": 64, "epochs": 1, **options}
    )


def plain_statistics(wiring: Wiring) -> Any:
    from tfx.components import StatisticsGen

    return StatisticsGen(examples=wiring.examples)


def test_a_pipeline_that_counts_all_its_releases_has_no_findings() -> None:
    assert found(Whole().pipeline()) == []
    assert found(Whole().pipeline(enable_cache=True)) == []
    assert found(Whole().pipeline(), runner="kubeflow") == []


@pytest.mark.parametrize(("left_out", "taken"), [("transform", "transform_graph"), ("statistics_gen", "schema")])
def test_a_release_upstream_that_is_not_counted(left_out: str, taken: str) -> None:
    from tfx_privacy.pipelines import lint

    wiring = Whole()
    missing = getattr(wiring, left_out)
    wiring.train(privacy_releases=[each for each in wiring.releases if each is not missing.outputs["privacy_release"]])
    (finding,) = lint.check(wiring.pipeline())
    assert (finding.rule, finding.severity, finding.node) == (MISSING, ERROR, "DPTrainer")
    assert missing.id in finding.problem
    assert taken in finding.problem
    assert f"{missing.id}'s outputs['privacy_release']" in finding.remedy


def test_a_release_that_only_the_schema_of_a_transform_was_made_of() -> None:
    wiring = Whole()
    wiring.train(schema=None, privacy_releases=wiring.transform.outputs["privacy_release"])
    assert (MISSING, ERROR, "DPTrainer") in found(wiring.pipeline())


def test_no_release_is_counted_though_there_are_some() -> None:
    wiring = Whole()
    wiring.train(privacy_releases=None)
    assert found(wiring.pipeline()) == [(MISSING, ERROR, "DPTrainer")] * 2


def test_the_release_of_another_transform_than_the_models() -> None:
    wiring = Whole()
    other = wiring.dp_transform().with_id("Other")
    wiring.train(privacy_releases=[wiring.statistics_gen.outputs["privacy_release"], other.outputs["privacy_release"]])
    assert found(wiring.pipeline(other)) == [(MISSING, ERROR, "DPTrainer")]


def test_a_release_of_the_same_records_that_nobody_counts() -> None:
    from tfx.components import ExampleValidator

    wiring = Whole()
    other = wiring.statistics().with_id("Other")
    validator = ExampleValidator(statistics=other.outputs["statistics"], schema=wiring.schema)
    assert found(wiring.pipeline(other, validator)) == [(MISSING, WARNING, "Other")]
    elsewhere = Whole("/elsewhere")
    nodes = [elsewhere.example_gen.with_id("Elsewhere"), elsewhere.statistics_gen.with_id("Other")]
    assert found(Whole().pipeline(*nodes)) == []


@pytest.mark.parametrize("which", ["statistics", "transform"])
def test_a_release_of_other_examples(which: str) -> None:
    from tfx.components import CsvExampleGen

    wiring = Whole()
    other = CsvExampleGen(input_base="/other").with_id("OtherGen")
    if which == "statistics":
        wiring.statistics_gen = wiring.statistics(examples=other.outputs["examples"])
        wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
        wiring.transform = wiring.dp_transform()
        wiring.train()
    else:
        wiring.transform = wiring.dp_transform(examples=other.outputs["examples"])
        wiring.train(examples=wiring.examples)
    findings = found(wiring.pipeline(other))
    assert (OTHERS, ERROR, "DPTrainer") in findings
    assert {rule for rule, _, _ in findings} == {OTHERS}


def test_a_release_whose_examples_are_not_seen() -> None:
    from tfx.dsl.components.common import importer
    from tfx.types import standard_artifacts

    from tfx_privacy.components.artifacts import PrivacyRelease

    wiring = Whole()
    brought = importer.Importer(source_uri="/release", artifact_type=PrivacyRelease).with_id("Brought")
    wiring.train(privacy_releases=[*wiring.releases, brought.outputs["result"]])
    assert found(wiring.pipeline(brought)) == [(OTHERS, WARNING, "DPTrainer")]
    wiring = Whole()
    asked = query(standard_artifacts.Examples, producer_component_id="elsewhere")
    wiring.statistics_gen = wiring.statistics(examples=asked)
    wiring.train(privacy_releases=[wiring.statistics_gen.outputs["privacy_release"], wiring.releases[1]])
    assert (OTHERS, WARNING, "DPTrainer") in found(wiring.pipeline())


def test_two_nodes_that_read_the_same_folder_read_the_same_examples() -> None:
    from tfx.components import CsvExampleGen

    wiring = Whole()
    twin = CsvExampleGen(input_base="/data").with_id("Twin")
    wiring.statistics_gen = wiring.statistics(examples=twin.outputs["examples"])
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform()
    wiring.train()
    assert found(wiring.pipeline(twin)) == []


@pytest.mark.parametrize("part", ["ledger", "dataset_id", "dataset_blocks", "none"])
def test_releases_that_are_charged_elsewhere(part: str) -> None:
    others = {"ledger": "env:OTHER", "dataset_id": "other", "dataset_blocks": ["a"]}
    wiring = Whole()
    own = {} if part == "none" else {**ACCOUNT, part: others[part]}
    wiring.statistics_gen = wiring.statistics(**ACCOUNT)
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform(**own)
    wiring.train(privacy=parameters(population=1000), **ACCOUNT)
    wiring.validator = wiring.judge(ledger=ACCOUNT["ledger"])
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == [("ledger-mismatch", ERROR, "DPTrainer")]


def test_releases_that_are_charged_to_the_trainings_budget() -> None:
    wiring = Whole()
    wiring.statistics_gen = wiring.statistics(**ACCOUNT)
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform(**{**ACCOUNT, "dataset_blocks": ["b", "a"]})
    wiring.train(privacy=parameters(population=1000), **ACCOUNT)
    wiring.validator = wiring.judge(ledger=ACCOUNT["ledger"])
    wiring.pusher = wiring.push(wiring.model, wiring.blessing)
    assert found(wiring.pipeline()) == []


DRIVERS = {"privacy_unit": "user", "user_id_key": "driver", "max_records_per_user": 3}


@pytest.mark.parametrize(
    ("released", "trained", "severity"),
    [
        (DRIVERS, {}, ERROR),
        ({"neighboring_relation": "REPLACE_SPECIAL"}, {}, ERROR),
        ({"neighboring_relation": "REPLACE_SPECIAL"}, {"sampling": "shuffled"}, None),
        (DRIVERS, DRIVERS, None),
        (DRIVERS, {**DRIVERS, "user_id_key": "company"}, ERROR),
    ],
)
def test_releases_on_other_terms(released: dict[str, Any], trained: dict[str, Any], severity: str | None) -> None:
    wiring = Whole()
    terms = private(**released)
    wiring.statistics_gen = wiring.statistics(privacy=terms)
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform(privacy=terms)
    wiring.train(privacy=parameters(**trained))
    expected = [] if severity is None else [("release-on-other-terms", severity, "DPTrainer")] * 2
    assert found(wiring.pipeline()) == expected


def test_statistics_without_noise_beside_private_preprocessing() -> None:
    from tfx_privacy.pipelines import lint

    wiring = Whole()
    wiring.statistics_gen = plain_statistics(wiring)
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform()
    wiring.train()
    (finding,) = lint.check(wiring.pipeline())
    assert (finding.rule, finding.severity, finding.node) == (UNPAID, WARNING, "StatisticsGen")
    assert "examples of DPTrainer, transform_graph of DPTrainer, schema of DPTrainer" in finding.problem
    assert "the model's epsilon does not cover that" in finding.problem
    assert "DPStatisticsGen" in finding.remedy


def test_a_transform_without_noise_beside_private_statistics() -> None:
    from tfx.components import Transform

    wiring = Whole()
    wiring.transform = Transform(examples=wiring.examples, schema=wiring.schema, module_file=__file__)
    wiring.train()
    assert found(wiring.pipeline()) == [(UNPAID, WARNING, "Transform")]


def test_statistics_without_noise_that_stay_beside_the_pipeline() -> None:
    """Nothing of them reaches the model, and nobody but TFX takes them."""
    from tfx.components import ExampleValidator

    wiring = Whole()
    plain = plain_statistics(wiring)
    validator = ExampleValidator(statistics=plain.outputs["statistics"], schema=wiring.schema)
    assert found(wiring.pipeline(plain, validator)) == []


def test_statistics_without_noise_that_somebody_else_takes() -> None:
    import wired_components

    wiring = Whole()
    plain = plain_statistics(wiring)
    shown = wired_components.show(statistics=plain.outputs["statistics"])
    assert found(wiring.pipeline(plain, shown)) == [(UNPAID, WARNING, "StatisticsGen")]
    wiring = Whole()
    plain = plain_statistics(wiring)
    schema_gen = wiring.schema_of(plain).with_id("Another")
    published = wired_components.publish(schema=schema_gen.outputs["schema"])
    assert found(wiring.pipeline(plain, schema_gen, published)) == [(UNPAID, WARNING, "StatisticsGen")]


def test_a_component_that_makes_a_schema_of_records() -> None:
    import wired_components

    wiring = Whole()
    inferred = wired_components.infer(examples=wiring.examples)
    wiring.train(schema=inferred.outputs["schema"])
    assert found(wiring.pipeline(inferred)) == [(UNPAID, WARNING, "infer")]


def test_a_schema_that_was_written_by_hand() -> None:
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen

    wiring = Whole()
    wiring.schema_gen = ImportSchemaGen(schema_file="/schema.pbtxt")
    wiring.transform = wiring.dp_transform()
    wiring.train()
    assert found(wiring.pipeline(without=("statistics_gen",))) == []


def test_statistics_of_other_records_are_no_matter() -> None:
    from tfx.components import CsvExampleGen, StatisticsGen

    wiring = Whole()
    other = CsvExampleGen(input_base="/public").with_id("Public")
    wiring.statistics_gen = StatisticsGen(examples=other.outputs["examples"])
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = wiring.dp_transform()
    wiring.train()
    assert found(wiring.pipeline(other)) == []


def test_tfts_own_analyzers_that_are_let_through() -> None:
    wiring = Whole()
    wiring.transform = wiring.dp_transform(allow_uncovered_analyzers=True)
    wiring.train()
    assert found(wiring.pipeline()) == [(UNPAID, WARNING, "DPTransform")]


def test_without_releases_statistics_and_transform_are_as_ever() -> None:
    from tfx.components import Transform

    wiring = Whole()
    wiring.statistics_gen = plain_statistics(wiring)
    wiring.schema_gen = wiring.schema_of(wiring.statistics_gen)
    wiring.transform = Transform(examples=wiring.examples, schema=wiring.schema, module_file=__file__)
    wiring.train(privacy_releases=None)
    assert found(wiring.pipeline()) == []


def test_who_releases_is_known_by_the_executor() -> None:
    import wired_components

    wiring = Whole()
    wiring.transform = wiring.dp_transform(wired_components.DerivedTransform)
    wiring.train()
    assert found(wiring.pipeline()) == [("evidence-not-ours", WARNING, "DerivedTransform")]
    wiring = Whole()
    wiring.transform = wiring.dp_transform(wired_components.OtherTransform)
    wiring.train()
    assert found(wiring.pipeline())[0] == ("evidence-not-ours", ERROR, "OtherTransform")
    wiring = Whole()
    forged = wired_components.forge()
    wiring.train(privacy_releases=[*wiring.releases, forged.outputs["release"]])
    assert ("evidence-not-ours", ERROR, "forge") in found(wiring.pipeline(forged))


def test_another_trainings_releases_are_in_its_own_guarantee() -> None:
    """Of two trainings that share a transform each counts it."""
    wiring = Whole()
    other = wiring.dp_trainer(
        examples=wiring.transform.outputs["transformed_examples"],
        transform_graph=wiring.transform.outputs["transform_graph"],
        privacy_releases=wiring.releases,
    ).with_id("other")
    assert found(wiring.pipeline(other)) == []
    wiring = Whole()
    other = wiring.dp_trainer(
        examples=wiring.transform.outputs["transformed_examples"],
        transform_graph=wiring.transform.outputs["transform_graph"],
    ).with_id("other")
    assert found(wiring.pipeline(other)) == [(MISSING, ERROR, "other")] * 2


def test_an_attack_is_on_what_a_private_transform_was_made_of() -> None:
    wiring = Whole()
    other = Whole("/other").example_gen.with_id("Other")
    graph = wiring.transform.outputs["transform_graph"]
    wiring.privacy_evaluator = wiring.attacks(wiring.model, examples=other.outputs["examples"], transform_graph=graph)
    wiring.rewire()
    assert found(wiring.pipeline(other)) == [("attack-on-other-examples", ERROR, "PrivacyEvaluator")]
