"""The nodes of a pipeline that is wired well, of which tests replace some, and what the lint finds in it."""

from __future__ import annotations

from typing import Any

ERROR, WARNING = "error", "warning"


class Wiring:
    """The nodes of a pipeline that is wired well; tests replace some."""

    def __init__(self, folder: str = "/data") -> None:
        from tfx.components import CsvExampleGen, SchemaGen, StatisticsGen

        self.example_gen = CsvExampleGen(input_base=folder)
        self.statistics_gen = StatisticsGen(examples=self.examples)
        self.schema_gen = SchemaGen(statistics=self.statistics_gen.outputs["statistics"])
        self.trainer = self.dp_trainer()
        self.privacy_evaluator = self.attacks(self.model)
        self.evaluator = self.tfx_evaluator(self.model)
        self.validator = self.judge()
        self.pusher = self.push(self.model, self.blessing)

    @property
    def examples(self) -> Any:
        return self.example_gen.outputs["examples"]

    @property
    def schema(self) -> Any:
        return self.schema_gen.outputs["schema"]

    @property
    def model(self) -> Any:
        return self.trainer.outputs["model"]

    @property
    def blessing(self) -> Any:
        return self.validator.outputs["blessing"]

    def dp_trainer(self, kind: Any = None, **options: Any) -> Any:
        from tfx_privacy import DPParameters
        from tfx_privacy.components import DPTrainer

        privacy = DPParameters(target_epsilon=3.0, target_delta=1e-6, expected_batch_size=64, epochs=1)
        arguments = {"examples": self.examples, "schema": self.schema, "module_path": "model", "label_key": "label"}
        return (kind or DPTrainer)(**{**arguments, "privacy": privacy, **options})

    def plain_trainer(self, **options: Any) -> Any:
        from tfx.components import Trainer
        from tfx.proto import trainer_pb2

        steps = trainer_pb2.TrainArgs(num_steps=1)
        arguments = {"examples": self.examples, "schema": self.schema, "run_fn": "model.run_fn", "train_args": steps}
        return Trainer(**{**arguments, "eval_args": trainer_pb2.EvalArgs(num_steps=1), **options})

    def attacks(self, model: Any, kind: Any = None, **options: Any) -> Any:
        from tfx_privacy.components import PrivacyEvaluator

        arguments = {"examples": self.examples, "model": model, "schema": self.schema}
        return (kind or PrivacyEvaluator)(**{**arguments, **options})

    def tfx_evaluator(self, model: Any, *, thresholds: bool = True, **options: Any) -> Any:
        from tensorflow_model_analysis.proto import config_pb2
        from tfx.components import Evaluator

        bound = config_pb2.MetricThreshold(value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": 0.8}))
        auc = config_pb2.MetricConfig(class_name="AUC", threshold=bound if thresholds else None)
        config = config_pb2.EvalConfig(
            model_specs=[config_pb2.ModelSpec()], metrics_specs=[config_pb2.MetricsSpec(metrics=[auc])]
        )
        return Evaluator(examples=self.examples, model=model, eval_config=config, **options)

    def judge(self, kind: Any = None, **options: Any) -> Any:
        from tfx_privacy.components import BudgetValidator

        arguments = {
            "model": self.model,
            "privacy_guarantee": self.trainer.outputs.get("privacy_guarantee"),
            "privacy_evaluation": self.privacy_evaluator.outputs["privacy_evaluation"],
            "model_blessing": self.evaluator.outputs["blessing"],
            "max_epsilon": 3.0, "max_delta": 1e-6, "max_attack_auc": 0.6,
        }  # fmt: skip
        return (kind or BudgetValidator)(**{**arguments, **options})

    def rewire(self) -> None:
        """What comes after the trainer, for another trainer or other attacks."""
        self.evaluator = self.tfx_evaluator(self.model)
        self.validator = self.judge()
        self.pusher = self.push(self.model, self.blessing)

    def push(self, model: Any, blessing: Any, kind: Any = None, **options: Any) -> Any:
        from tfx.components import Pusher

        return (kind or Pusher)(model=model, model_blessing=blessing, push_destination=destination(), **options)

    def pipeline(self, *more: Any, without: tuple[str, ...] = (), **options: Any) -> Any:
        from tfx.orchestration import pipeline

        nodes = [node for name, node in vars(self).items() if name not in without]
        return pipeline.Pipeline(pipeline_name="p", pipeline_root="/root", components=[*nodes, *more], **options)


def destination(folder: str = "/push") -> Any:
    from tfx.proto import pusher_pb2

    return pusher_pb2.PushDestination(filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=folder))


def found(pipeline: Any, **options: Any) -> list[tuple[str, str, str]]:
    from tfx_privacy.pipelines import lint

    findings = lint.check(pipeline, **options)
    assert all(finding.problem.endswith(".") and finding.remedy.endswith(".") for finding in findings)
    return [(finding.rule, finding.severity, finding.node) for finding in findings]


def query(type_: Any, **options: Any) -> Any:
    from tfx import types

    return types.Channel(type=type_, **options)
