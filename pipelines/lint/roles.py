"""The role of each node: by its executor where that is one of ours or TFX's, because the executor is what runs."""

from __future__ import annotations

from typing import Any

from tfx.components import Evaluator, Pusher, Trainer, Transform, Tuner
from tfx.components.evaluator import executor as evaluator_executor
from tfx.components.pusher import executor as pusher_executor
from tfx.components.trainer import executor as trainer_executor
from tfx.components.transform import executor as transform_executor
from tfx.components.tuner import executor as tuner_executor
from tfx.dsl.components.common import importer, resolver
from tfx.types import channel as channels
from tfx.types.standard_artifacts import Examples, HyperParameters, InfraBlessing, Model, ModelBlessing, PushedModel

from tfx_privacy.components import BudgetValidator, DPTrainer, PrivacyEvaluator
from tfx_privacy.components.artifacts import PrivacyRelease
from tfx_privacy.pipelines.lint.graph import Node, Output, gives, inputs_of_type, is_a, origin_of

PASS_ON = (resolver.Resolver, importer.Importer)
"""Nodes that make nothing: they bring what was made elsewhere."""


# Packages of the components that release with noise.
_RELEASING = tuple(f"tfx_privacy.components.{name}." for name in ("dp_transform", "dp_statistics_gen"))


def runs(node: Node, base: type) -> bool:
    """Whether a node's executor is of this class, or derived from it."""
    executor = getattr(node.executor_spec, "executor_class", None)
    return isinstance(executor, type) and issubclass(executor, base)


def is_usual(node: Node) -> bool:
    """Whether a node's executor is part of TFX or of this package, and not somebody's own or derived one."""
    executor = getattr(node.executor_spec, "executor_class", None)
    return isinstance(executor, type) and executor.__module__.partition(".")[0] in ("tfx", "tfx_privacy")


def is_validator(node: Node) -> bool:
    """Whether a node decides as BudgetValidator does."""
    return runs(node, BudgetValidator.EXECUTOR_SPEC.executor_class)


def is_dp_trainer(node: Node) -> bool:
    """Whether a node trains as DPTrainer does."""
    return runs(node, DPTrainer.EXECUTOR_SPEC.executor_class)


def is_privacy_evaluator(node: Node) -> bool:
    """Whether a node attacks as PrivacyEvaluator does."""
    return runs(node, PrivacyEvaluator.EXECUTOR_SPEC.executor_class)


def is_transform(node: Node) -> bool:
    """Whether a node transforms as Transform does, with noise (DPTransform) or without."""
    return isinstance(node, Transform) or runs(node, transform_executor.Executor)


def gives_release(node: Node) -> bool:
    """Whether a node gives the record of a release that it made, by whatever executor."""
    return gives(node, PrivacyRelease) and not isinstance(node, PASS_ON)


def is_releasing(node: Node) -> bool:
    """Whether a node releases as DPTransform or DPStatisticsGen do."""
    executor = getattr(node.executor_spec, "executor_class", None)
    bases = executor.__mro__ if isinstance(executor, type) else ()
    return gives_release(node) and any(base.__module__.startswith(_RELEASING) for base in bases)


def is_evaluator(node: Node) -> bool:
    """Whether a node is TFX's Evaluator."""
    return isinstance(node, Evaluator) or runs(node, evaluator_executor.Executor)


def is_pusher(node: Node) -> bool:
    """Whether a node is TFX's Pusher, or gives a pushed model: of whatever it takes."""
    if isinstance(node, Pusher) or runs(node, pusher_executor.Executor):
        return True
    return gives(node, PushedModel) and not isinstance(node, PASS_ON)


def is_other_trainer(node: Node) -> bool:
    """Whether a node makes a model, or its hyperparameters, of examples without DPTrainer's executor."""
    if is_dp_trainer(node) or isinstance(node, PASS_ON):
        return False
    if isinstance(node, Trainer | Tuner) or any(
        runs(node, base) for base in (trainer_executor.GenericExecutor, tuner_executor.Executor)
    ):
        return True
    makes = any(gives(node, name) for name in (Model, HyperParameters))
    return makes and bool(inputs_of_type(node, Examples))


def pushed_models(node: Node) -> dict[str, channels.BaseChannel]:
    """What a pusher pushes; without a model it takes the copy that an InfraValidator made of its model."""
    models = inputs_of_type(node, Model)
    if models:
        return models
    copies: dict[str, channels.BaseChannel] = {}
    for key, channel in inputs_of_type(node, InfraBlessing).items():
        origin = origin_of(channel)
        inner = inputs_of_type(origin.node, Model) if isinstance(origin, Output) else {}
        copies[key] = next(iter(inner.values()), channel)
    return copies


def is_made_here(origin: Any) -> bool:
    """Whether a node of this run made it, rather than took it from elsewhere."""
    return isinstance(origin, Output) and not isinstance(origin.node, PASS_ON)


def validator_of(channel: channels.BaseChannel) -> Node | None:
    """The BudgetValidator whose verdict of this run a channel is."""
    origin = origin_of(channel)
    if isinstance(origin, Output) and is_validator(origin.node) and is_a(channel, ModelBlessing):
        return origin.node
    return None


def origin_of_input(node: Node, key: str) -> Any:
    """Where an input comes from; None if it is not wired."""
    channel = node.inputs.get(key)
    return None if channel is None else origin_of(channel)
