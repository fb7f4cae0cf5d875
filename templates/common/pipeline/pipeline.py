"""The pipeline: TFX's own components, with DPTrainer, PrivacyEvaluator and BudgetValidator before Pusher."""

from __future__ import annotations

from collections.abc import Sequence

from ml_metadata.proto import metadata_store_pb2
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx.components import Evaluator, ExampleValidator, Pusher, SchemaGen, StatisticsGen, Transform
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import example_gen_pb2, pusher_pb2
from tfx.types import standard_artifacts

from models import model
from pipeline import configs
from tfx_privacy.components import BudgetValidator, DPStatisticsGen, DPTrainer, DPTransform, PrivacyEvaluator


def create_pipeline(
    *,
    pipeline_name: str,
    pipeline_root: str,
    data_path: str,
    serving_model_dir: str,
    module_file: str | None = None,
    module_path: str | None = None,
    with_baseline: bool = True,
    enable_cache: bool = False,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    beam_pipeline_args: Sequence[str] = (),
) -> Pipeline:
    """Wires the pipeline.

    Args:
      pipeline_name: Name under which ML Metadata files the runs.
      pipeline_root: Folder of the artifacts.
      data_path: Folder of the data.
      serving_model_dir: Folder that Pusher writes models to.
      module_file: Path of the user's module, to be packaged; or else give `module_path`.
      module_path: Name of the user's module where it can be imported, as in a container image.
      with_baseline: Compare with the latest model that BudgetValidator blessed; not on Kubeflow.
      enable_cache: Reuse results of steps whose inputs did not change; a verdict is never reused.
      metadata_connection_config: ML Metadata store, for LocalDagRunner.
      beam_pipeline_args: Arguments for Beam.

    Returns:
      The pipeline.
    """
    example_gen = configs.EXAMPLE_GEN(input_base=data_path, input_config=_splits())
    charged = {"ledger": configs.LEDGER, "dataset_id": configs.DATASET_ID}
    # Private statistics make a private schema. Without them it is the records' own, and the guarantee says so.
    statistics_gen = (
        DPStatisticsGen(
            examples=example_gen.outputs["examples"], features=configs.FEATURES, privacy=configs.STATISTICS, **charged
        )
        if configs.STATISTICS
        else StatisticsGen(examples=example_gen.outputs["examples"])
    )
    schema_gen = SchemaGen(statistics=statistics_gen.outputs["statistics"], infer_feature_shape=True)
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transforms = {
        "examples": example_gen.outputs["examples"],
        "schema": schema_gen.outputs["schema"],
        "module_file": module_file,
        "preprocessing_fn": f"{module_path}.preprocessing_fn" if module_path else None,
    }
    transform = (
        DPTransform(privacy=configs.PREPROCESSING, **transforms, **charged)
        if configs.PREPROCESSING
        else Transform(**transforms)
    )
    releases = [
        node.outputs["privacy_release"] for node in (statistics_gen, transform) if "privacy_release" in node.outputs
    ]
    # Takes Trainer's place. It owns the training loop, because that is what makes epsilon true.
    trainer = DPTrainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        module_file=module_file,
        module_path=module_path,
        privacy=configs.PRIVACY,
        privacy_releases=releases,  # one epsilon, of all that was released
        reference_models=configs.REFERENCE_MODELS,
        **charged,
    )
    privacy_evaluator = PrivacyEvaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        reference_models=trainer.outputs["reference_models"],
        slice_features=configs.SLICE_FEATURES,
        max_overlap=configs.MAX_OVERLAP,
    )
    # The baseline is found by BudgetValidator's blessing alone, so no model that was refused becomes one.
    model_resolver = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(
            type=standard_artifacts.ModelBlessing, producer_component_id="BudgetValidator", output_key="blessing"
        ),
    ).with_id("latest_blessed_model_resolver")
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=model_resolver.outputs["model"] if with_baseline else None,
        eval_config=_eval_config(),
    )
    # Both verdicts in one: Pusher reads this blessing and no other.
    budget_validator = BudgetValidator(
        model=trainer.outputs["model"],
        privacy_guarantee=trainer.outputs["privacy_guarantee"],
        privacy_evaluation=privacy_evaluator.outputs["privacy_evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        policy=configs.POLICY_FILE,
        ledger=configs.LEDGER,
        evaluation=evaluator.outputs["evaluation"],  # the report shows the metrics
    )
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=budget_validator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)
        ),
    )
    components = [
        example_gen, statistics_gen, schema_gen, example_validator, transform, trainer, privacy_evaluator,
        *([model_resolver] if with_baseline else []), evaluator, budget_validator, pusher,
    ]  # fmt: skip
    return Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=components,
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=list(beam_pipeline_args),
    )


def _splits() -> example_gen_pb2.Input | None:
    """The user's own split; without one ExampleGen holds out a third of the records."""
    splits = [example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in configs.SPLITS.items()]
    return example_gen_pb2.Input(splits=splits) if splits else None


def _eval_config() -> config_pb2.EvalConfig:
    slices = [config_pb2.SlicingSpec()]
    if configs.SLICE_FEATURES:
        slices.append(config_pb2.SlicingSpec(feature_keys=configs.SLICE_FEATURES))
    metrics = [_metric(name, least) for name, least in {"ExampleCount": None, **configs.METRICS}.items()]
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name="serving_default",
                label_key=model.LABEL_KEY,
                preprocessing_function_names=["transform_features"],
            )
        ],
        slicing_specs=slices,
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )


def _metric(name: str, least: float | None) -> config_pb2.MetricConfig:
    if least is None:
        return config_pb2.MetricConfig(class_name=name)
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": least}),
        change_threshold=config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -0.1}
        ),
    )
    # Over all records: within a slice there may be hardly anything to predict.
    overall = config_pb2.PerSliceMetricThreshold(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)
    return config_pb2.MetricConfig(class_name=name, per_slice_thresholds=[overall])
