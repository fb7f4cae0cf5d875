"""Which pipelines show that their splits have nobody in common."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def output(*splits: str, feature: str | None = None) -> Any:
    from tfx.proto import example_gen_pb2

    found = [example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=1) for name in splits]
    return example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(splits=found, partition_feature_name=feature)
    )


def inputs(*splits: str) -> Any:
    from tfx.proto import example_gen_pb2

    return example_gen_pb2.Input(
        splits=[example_gen_pb2.Input.Split(name=name, pattern=f"{name}/*") for name in splits]
    )


def example_gen(**options: Any) -> Any:
    from tfx.components import ImportExampleGen

    return ImportExampleGen(input_base="/data", **options)


def disjoint(node: Any, user_id_key: str | None = None, **options: Any) -> str | None:
    from tfx_privacy.components import splits

    (key,) = set(node.outputs) & {"examples", "transformed_examples", "examples_with_canaries"}
    return splits.disjoint_for(node.outputs[key], user_id_key, **options)


def schema() -> Any:
    from tfx.types import channel_utils, standard_artifacts

    return channel_utils.as_channel([standard_artifacts.Schema()])


def transform(node: Any, kind: Any = None) -> Any:
    from tfx.components import Transform

    return (kind or Transform)(examples=node.outputs["examples"], schema=schema(), preprocessing_fn="a.b")


def test_a_hash_of_the_record_shows_it_of_records_alone() -> None:
    from tfx.components import CsvExampleGen

    for node in (example_gen(), CsvExampleGen(input_base="/data"), example_gen(output_config=output("a", "b", "c"))):
        assert disjoint(node) == "example"
        assert disjoint(node, "user") == "example"


def test_a_hash_of_the_users_feature_shows_it_of_users() -> None:
    node = example_gen(output_config=output("train", "eval", feature="user"))
    assert disjoint(node, "user") == "user"
    assert disjoint(node, "household") == "example"
    assert disjoint(node) == "example"


def test_files_of_their_own_for_each_split_show_nothing() -> None:
    assert disjoint(example_gen(input_config=inputs("train", "eval"))) is None
    assert disjoint(example_gen(input_config=inputs("train"), output_config=output())) is None


def test_a_query_is_split_by_hash_as_well() -> None:
    from tfx.components.example_gen.component import QueryBasedExampleGen
    from tfx.dsl.components.base import executor_spec

    spec = executor_spec.BeamExecutorSpec(_own_executor())
    assert disjoint(QueryBasedExampleGen(input_config=inputs("all"), custom_executor_spec=spec)) == "example"


def _own_executor(**members: Any) -> Any:
    from tfx.components.example_gen.import_example_gen import executor

    return type("Own", (executor.Executor,), members)


def test_an_executor_that_splits_by_itself_shows_nothing() -> None:
    from tfx.components.example_gen.component import FileBasedExampleGen
    from tfx.dsl.components.base import executor_spec

    own: Any = lambda self, *args: {}
    for members, expected in (({}, "example"), ({"GenerateExamplesByBeam": own}, None), ({"Do": own}, None)):
        spec = executor_spec.BeamExecutorSpec(_own_executor(**members))
        assert disjoint(FileBasedExampleGen(input_base="/data", custom_executor_spec=spec)) == expected


def test_what_is_known_when_the_pipeline_runs_shows_nothing_before() -> None:
    from tfx.orchestration import data_types

    parameter = data_types.RuntimeParameter(name="output", ptype=str)
    assert disjoint(example_gen(output_config=parameter)) is None


def test_transform_and_canaries_leave_records_in_their_splits() -> None:
    from tfx_privacy import CanaryInserter

    node = example_gen(output_config=output("train", "eval", feature="user"))
    assert disjoint(transform(node), "user") == "user"
    inserter = CanaryInserter(examples=node.outputs["examples"], schema=schema(), label_key="y")
    assert disjoint(inserter, "user") == "user"
    assert disjoint(transform(example_gen(input_config=inputs("train", "eval")))) is None


def test_what_transforms_made_examples_of_is_what_the_first_was_given() -> None:
    from tfx.components import Transform

    from tfx_privacy.components import splits

    node = example_gen()
    once = transform(node)
    twice = Transform(examples=once.outputs["transformed_examples"], schema=schema(), preprocessing_fn="a.b")
    for last in (once, twice):
        assert splits.transformed_from(last.outputs["transformed_examples"]) is node.outputs["examples"]
    assert splits.transformed_from(node.outputs["examples"]) is None
    own = transform(node, type("Transform", (Transform,), {}))
    assert splits.transformed_from(own.outputs["transformed_examples"]) is None


def test_what_transform_took_from_the_records_is_not_left_out_of_a_training() -> None:
    """Its graph tells what that is; without it, a guarantee would say nothing of the vocabularies in each record."""
    from tfx.components import Transform
    from tfx.types import channel

    from tfx_privacy import CanaryInserter
    from tfx_privacy.components import splits
    from tfx_privacy.errors import ParameterError

    node = example_gen()
    once, own = transform(node), transform(node, type("Own", (Transform,), {})).with_id("Own")
    splits.check_transform_graph(node.outputs["examples"], None)
    splits.check_transform_graph(node.outputs["examples"], once.outputs["transform_graph"])
    inserter = CanaryInserter(examples=once.outputs["transformed_examples"], schema=schema(), label_key="y")
    for made_by, last in ((once, once), (own, own), (inserter, once)):
        (key,) = set(made_by.outputs) & {"transformed_examples", "examples_with_canaries"}
        splits.check_transform_graph(made_by.outputs[key], last.outputs["transform_graph"])
        for other in (None, transform(node).outputs["transform_graph"]):
            with pytest.raises(ParameterError, match=f"made by {last.id}, and transform_graph is not"):
                splits.check_transform_graph(made_by.outputs[key], other)
    joined = channel.union([node.outputs["examples"], once.outputs["transformed_examples"]])
    with pytest.raises(ParameterError, match="made by Transform, and transform_graph is not given"):
        splits.check_transform_graph(joined, None)
    twice = Transform(examples=once.outputs["transformed_examples"], schema=schema(), preprocessing_fn="a.b")
    with pytest.raises(ParameterError, match="made by Transform, whose analyzers add no noise, before they came"):
        splits.check_transform_graph(twice.outputs["transformed_examples"], twice.outputs["transform_graph"])


def test_records_that_hold_what_was_taken_without_noise_are_not_released() -> None:
    """Of records that are scaled by the largest, that one moves all others, and a release says that it moves itself alone."""
    from tfx.components import Transform

    from tfx_privacy import DPPreprocessing, DPStatisticsGen, DPTransform
    from tfx_privacy.errors import ParameterError

    node = example_gen()
    privacy = DPPreprocessing(target_epsilon=1.0, target_delta=1e-6)

    def private(examples: Any, **options: Any) -> Any:
        return DPTransform(examples=examples, schema=schema(), preprocessing_fn="a.b", privacy=privacy, **options)

    uncovered = private(node.outputs["examples"], allow_uncovered_analyzers=True)
    for made_by in (transform(node), transform(node, type("Own", (Transform,), {})), uncovered):
        with pytest.raises(
            ParameterError, match=rf"made by {made_by.id}, whose analyzers add no noise, so one record moves"
        ):
            private(made_by.outputs["transformed_examples"])
        with pytest.raises(ParameterError, match="put DPTransform in its place"):
            DPStatisticsGen(examples=made_by.outputs["transformed_examples"], features={}, privacy=privacy)
    private(private(node.outputs["examples"]).outputs["transformed_examples"])


def test_a_node_that_nobody_knows_shows_nothing() -> None:
    from tfx.components import Transform
    from tfx.dsl.components.common import importer, resolver
    from tfx.dsl.input_resolution.strategies import latest_artifact_strategy
    from tfx.types import channel, standard_artifacts

    own = type("Transform", (Transform,), {})
    assert disjoint(transform(example_gen(), own)) is None
    read = importer.Importer(source_uri="/data", artifact_type=standard_artifacts.Examples)
    assert _of(read.outputs["result"]) is None
    latest = resolver.Resolver(
        strategy_class=latest_artifact_strategy.LatestArtifactStrategy,
        examples=channel.Channel(type=standard_artifacts.Examples),
    )
    assert _of(latest.outputs["examples"]) is None
    assert _of(channel.Channel(type=standard_artifacts.Examples)) is None
    first, second = example_gen(), example_gen()
    assert _of(channel.union([first.outputs["examples"], second.outputs["examples"]])) is None


def _of(found: Any) -> str | None:
    from tfx_privacy.components import splits

    return splits.disjoint_for(found)


def test_what_was_released_must_be_of_the_same_example_gen() -> None:
    """Two of them may split the same files in two ways."""
    from tfx.components import StatisticsGen
    from tfx.types import channel, standard_artifacts

    node, other = example_gen(), example_gen()
    own, foreign = (StatisticsGen(examples=each.outputs["examples"]).outputs["statistics"] for each in (node, other))
    of_transformed = StatisticsGen(examples=transform(node).outputs["transformed_examples"]).outputs["statistics"]
    assert disjoint(transform(node), beside=[own, of_transformed]) == "example"
    assert disjoint(transform(node), beside=[own, foreign]) is None
    assert disjoint(node, beside=[channel.Channel(type=standard_artifacts.ExampleStatistics)]) is None


def test_a_release_is_the_schemas_where_the_pipeline_made_it_of_its_statistics() -> None:
    """A component that releases is stood in for by StatisticsGen: what matters is who made what."""
    from tfx.components import SchemaGen, StatisticsGen
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen

    from tfx_privacy.components.dp_trainer import releases

    node = example_gen()
    first, second = (StatisticsGen(examples=node.outputs["examples"]) for _ in range(2))
    wired = {"privacy_release_1": first.outputs["statistics"], "privacy_release_2": second.outputs["statistics"]}
    made = SchemaGen(statistics=second.outputs["statistics"]).outputs["schema"]
    assert releases.schemas_release(made, wired) == 2
    assert releases.schemas_release(made, {"privacy_release_1": first.outputs["statistics"]}) is None
    assert releases.schemas_release(first.outputs["statistics"], wired) == 1
    assert releases.schemas_release(ImportSchemaGen(schema_file="/s").outputs["schema"], wired) is None
    own = type("SchemaGen", (SchemaGen,), {})
    assert releases.schemas_release(own(statistics=second.outputs["statistics"]).outputs["schema"], wired) is None
    assert releases.schemas_release(schema(), wired) is None
    assert releases.schemas_release(None, wired) is None


def test_a_schema_is_public_where_its_author_brought_it_in_or_says_so() -> None:
    from tfx.components import SchemaGen, StatisticsGen
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
    from tfx.dsl.components.common.importer import Importer
    from tfx.types import standard_artifacts

    from tfx_privacy import DPParameters, DPTrainer
    from tfx_privacy.errors import ParameterError

    node = example_gen()
    statistics = StatisticsGen(examples=node.outputs["examples"]).outputs["statistics"]
    imported = ImportSchemaGen(schema_file="/s").outputs["schema"]
    brought = Importer(source_uri="/s", artifact_type=standard_artifacts.Schema).outputs["result"]
    own = type("ImportSchemaGen", (ImportSchemaGen,), {})(schema_file="/s").outputs["schema"]

    def declared(found: Any, **arguments: Any) -> Any:
        return DPTrainer(
            examples=node.outputs["examples"], schema=found, module_path="a",
            privacy=DPParameters(noise_multiplier=1.0, target_delta=1e-6, expected_batch_size=50, epochs=1), **arguments,
        ).exec_properties.get("schema_is_public")  # fmt: skip

    assert declared(imported) == declared(brought) == declared(own, schema_is_public=True) == 1
    for found in (SchemaGen(statistics=statistics).outputs["schema"], own, schema(), None):
        assert declared(found) is None
    with pytest.raises(ParameterError, match="schema_is_public is about a channel"):
        declared(None, schema_is_public=True)


def test_records_go_where_tfx_puts_them(tmp_path: pathlib.Path) -> None:
    """That the hash is of the record, or of one feature, is read from TFX: its own function says so here."""
    import tensorflow as tf
    from tfx.components.example_gen import base_example_gen_executor as tfx_executor

    def record(user: str, number: int) -> Any:
        features = {
            "user": tf.train.Feature(bytes_list=tf.train.BytesList(value=[user.encode()])),
            "number": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
        }
        return tf.train.Example(features=tf.train.Features(feature=features))

    by_user = output("train", "eval", feature="user").split_config
    found = {
        user: {tfx_executor._PartitionFn(record(user, number), 2, [2, 3], by_user) for number in range(50)}
        for user in map(str, range(40))
    }
    assert all(len(splits) == 1 for splits in found.values())
    assert set().union(*found.values()) == {0, 1}
    by_record = output("train", "eval").split_config
    one = {tfx_executor._PartitionFn(record("a", 1), 2, [2, 3], by_record) for _ in range(3)}
    assert len(one) == 1
    assert {tfx_executor._PartitionFn(record("a", number), 2, [2, 3], by_record) for number in range(50)} == {0, 1}
