"""Wires a whole pipeline: from CSV to a model that is pushed, or refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ml_metadata.proto import metadata_store_pb2
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components import (
    CsvExampleGen,
    Evaluator,
    ExampleValidator,
    Pusher,
    SchemaGen,
    StatisticsGen,
    Transform,
)
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy
from tfx.orchestration import data_types, pipeline
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts

from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components import (
    BudgetValidator,
    DPStatisticsGen,
    DPTrainer,
    DPTransform,
    PrivacyEvaluator,
    keys,
)
from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines import lint
from tfx_privacy.releases.features import Feature
from tfx_privacy.releases.parameters import DPPreprocessing

_Limit: TypeAlias = float | data_types.RuntimeParameter


def create_pipeline(
    *,
    pipeline_name: str,
    pipeline_root: str,
    data_root: str,
    module_file: str,
    serving_model_dir: str,
    privacy: DPParameters,
    label_key: str,
    preprocessing: DPPreprocessing | None = None,
    statistics: DPPreprocessing | None = None,
    features: Mapping[str, Feature] | None = None,
    max_epsilon: _Limit | None = None,
    max_delta: _Limit | None = None,
    max_attack_auc: _Limit | None = None,
    max_tpr_at_fpr: _Limit | None = None,
    policy: str | os.PathLike[str] | None = None,
    ledger: str | None = None,
    dataset_id: str | None = None,
    dataset_blocks: Sequence[str] = (),
    eval_config: config_pb2.EvalConfig | None = None,
    slice_features: Sequence[str] = (),
    allow_non_dp_preprocessing: bool = False,
    with_baseline: bool = True,
    reference_models: int = 0,
    attacks_during_training: int = 0,
    attack_options: Mapping[str, Any] | None = None,
    custom_config: Mapping[str, Any] | None = None,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    beam_pipeline_args: Sequence[str] = (),
    enable_cache: bool = True,
) -> pipeline.Pipeline:
    """Builds the complete pipeline: ingest, transform, train privately, attack, gate, push.

    Args:
      pipeline_name: Name under which ML Metadata files the runs; the cache is per name.
      pipeline_root: Folder of the artifacts.
      data_root: Folder with the CSV files.
      module_file: Python file with `preprocessing_fn` and `model_fn`, alone in its folder (TFX
        packages every module next to it).
      serving_model_dir: Folder that Pusher writes models to.
      privacy: Parameters of the private training; its `target_epsilon` is of all that is private here, together.
      label_key: Name of the label among the transformed features.
      preprocessing: Parameters of the private analyzers in `preprocessing_fn` (`tfx_privacy.transform`). Without it a
        standard Transform runs, and tft's analyzers in the module are not covered.
      statistics: Parameters of the private statistics of each split, of which the schema is made; with `features`. Without
        it a standard StatisticsGen runs.
      features: What `statistics` are of, by name: `Number` or `Text`.
      max_epsilon: Largest epsilon (nats) of a model that may be pushed.
      max_delta: Largest delta at which that epsilon may be stated.
      max_attack_auc: Largest upper confidence bound on an attack's AUC on any slice.
      max_tpr_at_fpr: Largest upper confidence bound on the share of members that an attack names at a false-positive rate
        of 0.1 %; left out, 0.01.
      policy: Path of a policy file, instead of the limits and `allow_non_dp_preprocessing`.
      ledger: `env:VARIABLE` with the address of the budget ledger that the training is charged to; None for none.
      dataset_id: The dataset's name in the ledger.
      dataset_blocks: The dataset's blocks that the data are of, where it has blocks.
      eval_config: TFMA configuration of the Evaluator. Without one there is no Evaluator, and the
        gate looks at privacy alone.
      slice_features: Raw features by which the attacks are sliced, besides the class.
      allow_non_dp_preprocessing: Accept a transform graph with analyzers.
      with_baseline: Compare with the latest blessed model. It is resolved from BudgetValidator's
        blessing alone: a model that the Evaluator blessed and the gate refused must not become
        the baseline of the next run. Leave it out for open-source Kubeflow, which runs no resolvers.
      reference_models: How many models DPTrainer trains next to the model, for attacks that compare it with them; 0 or
        an even number.
      attacks_during_training: How often DPTrainer attacks the model while it trains, for the report's picture.
      attack_options: Further arguments of PrivacyEvaluator, such as `sensitive_features`.
      custom_config: Passed to the module's functions in `fn_args.custom_config`.
      metadata_connection_config: ML Metadata store, for runners that need one.
      beam_pipeline_args: Arguments for Beam, e.g. `--direct_running_mode=multi_processing`.
      enable_cache: Reuse results of steps whose inputs did not change (a verdict is never reused).

    Returns:
      The pipeline, for LocalDagRunner or any other runner of TFX.

    Raises:
      ParameterError: If a component refuses its arguments, or the lint finds a way past the gate in what was wired.
    """
    charged = {"ledger": ledger, "dataset_id": dataset_id, "dataset_blocks": dataset_blocks}
    example_gen = CsvExampleGen(input_base=data_root)
    statistics_gen = _statistics(example_gen, statistics, features, charged)
    schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = _transform(example_gen, schema_gen, module_file, preprocessing, charged)
    releases = [
        node.outputs[keys.PRIVACY_RELEASE]
        for node in (statistics_gen, transform)
        if keys.PRIVACY_RELEASE in node.outputs
    ]
    trainer = DPTrainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        module_file=module_file,
        label_key=label_key,
        privacy=privacy,
        custom_config=dict(custom_config or {}),
        reference_models=reference_models,
        attacks_during_training=attacks_during_training,
        privacy_releases=releases,
        **charged,
    )
    privacy_evaluator = PrivacyEvaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        label_key=label_key,
        reference_models=trainer.outputs["reference_models"] if reference_models else None,
        model_run=trainer.outputs["model_run"] if attacks_during_training else None,
        slice_features=list(slice_features),
        **(attack_options or {}),
    )
    nodes: list[base_node.BaseNode] = [
        example_gen, statistics_gen, schema_gen, example_validator, transform, trainer, privacy_evaluator,
    ]  # fmt: skip
    upstream_blessing = metrics = None
    if eval_config is not None:
        evaluation = _evaluate(example_gen, trainer, eval_config, with_baseline=with_baseline)
        nodes += evaluation
        upstream_blessing, metrics = (evaluation[-1].outputs[key] for key in ("blessing", "evaluation"))
    validator = BudgetValidator(
        model=trainer.outputs["model"],
        privacy_guarantee=trainer.outputs["privacy_guarantee"],
        privacy_evaluation=privacy_evaluator.outputs["privacy_evaluation"],
        model_blessing=upstream_blessing,
        max_epsilon=max_epsilon,
        max_delta=max_delta,
        max_attack_auc=max_attack_auc,
        max_tpr_at_fpr=max_tpr_at_fpr,
        allow_non_dp_preprocessing=allow_non_dp_preprocessing,
        policy=policy,
        ledger=ledger,
        evaluation=metrics,
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)
        ),
    )
    wired = pipeline.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[*nodes, validator, pusher],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args),
    )
    lint.require(wired)
    return wired


def _statistics(
    example_gen: CsvExampleGen,
    privacy: DPPreprocessing | None,
    features: Mapping[str, Feature] | None,
    charged: Mapping[str, Any],
) -> base_node.BaseNode:
    """Statistics, private ones where they are asked for."""
    if (privacy is None) != (features is None):
        raise ParameterError("statistics and features belong together: how much noise, and what of. Give both or none.")
    if privacy is None:
        return StatisticsGen(examples=example_gen.outputs["examples"])
    return DPStatisticsGen(examples=example_gen.outputs["examples"], features=features, privacy=privacy, **charged)


def _transform(
    example_gen: CsvExampleGen,
    schema_gen: SchemaGen,
    module_file: str,
    privacy: DPPreprocessing | None,
    charged: Mapping[str, Any],
) -> base_node.BaseNode:
    """Transform, with private analyzers where they are asked for."""
    given = {
        "examples": example_gen.outputs["examples"],
        "schema": schema_gen.outputs["schema"],
        "module_file": module_file,
    }
    if privacy is None:
        return Transform(**given)
    return DPTransform(privacy=privacy, **given, **charged)


def _evaluate(
    example_gen: CsvExampleGen, trainer: DPTrainer, eval_config: config_pb2.EvalConfig, *, with_baseline: bool
) -> list[base_node.BaseNode]:
    """The Evaluator, after the resolver of its baseline where one is wanted."""
    baseline = _latest_blessed_model() if with_baseline else None
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"] if baseline else None,
        eval_config=eval_config,
    )
    return [baseline, evaluator] if baseline else [evaluator]


def _latest_blessed_model() -> resolver.Resolver:
    return resolver.Resolver(
        strategy_class=latest_blessed_model_strategy.LatestBlessedModelStrategy,
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(
            type=standard_artifacts.ModelBlessing, producer_component_id="BudgetValidator", output_key="blessing"
        ),
    ).with_id("latest_blessed_model_resolver")
