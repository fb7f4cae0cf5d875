"""Changes to a pipeline that is about to be compiled: what is set when a run starts, and where the user's module is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from tfx.components import Trainer, Transform, Tuner
from tfx.dsl.components.base import base_component
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as tfx_pipeline

from tfx_privacy.accounting.parameters import DPParameters
from tfx_privacy.components import DPTransform
from tfx_privacy.components.budget_validator import executor as validator
from tfx_privacy.components.dp_trainer import request
from tfx_privacy.errors import ParameterError
from tfx_privacy.pipelines import source_names
from tfx_privacy.pipelines.lint import roles

# What TFX's own components call; several classes may call the same.
_FUNCTIONS: dict[type, str] = {Trainer: "run_fn", Tuner: "tuner_fn"}
_MODULE_FILE, _MODULE_PATH = "module_file", "module_path"


@dataclasses.dataclass(frozen=True)
class _Scalar:
    component: base_component.BaseComponent
    key: str
    value: float


def set_at_run(pipeline: tfx_pipeline.Pipeline) -> None:
    """Makes runtime parameters of BudgetValidator's `max_epsilon` and `max_attack_auc` and DPTrainer's `target_epsilon`.

    What is a RuntimeParameter already stays, and so does what a policy fixes.

    Args:
      pipeline: Whose components are changed.

    Raises:
      ParameterError: If two components have different values for one name.
    """
    found: dict[str, _Scalar] = {}
    for scalar in _scalars(pipeline):
        first = found.setdefault(scalar.key, scalar)
        if first.value != scalar.value:
            raise ParameterError(
                f"{first.component.id} has {scalar.key}={first.value!r}, {scalar.component.id} {scalar.value!r}: one "
                "parameter of that name cannot be both. Give each its own RuntimeParameter, or compile with "
                "--no-runtime-parameters."
            )
        scalar.component.exec_properties[scalar.key] = data_types.RuntimeParameter(
            name=scalar.key, ptype=float, default=scalar.value
        )


def declared(
    pipeline: tfx_pipeline.Pipeline,
) -> Iterator[tuple[base_component.BaseComponent, data_types.RuntimeParameter]]:
    """Every use of a runtime parameter in a pipeline, with the node that uses it."""
    for node in pipeline.components:
        for value in node.exec_properties.values():
            if isinstance(value, data_types.RuntimeParameter):
                yield node, value


def import_modules(pipeline: tfx_pipeline.Pipeline, modules: str | Mapping[str, str]) -> None:
    """Lets components that take a `module_file` import a module of the image instead.

    Args:
      pipeline: Whose components are changed.
      modules: Dotted names by the components' ids; or one name, if all of them have the same file.

    Raises:
      ParameterError: If one name would take the place of different files, a step takes no module, or a module that is
        found on this machine lacks the function that its step calls.
    """
    files = {
        node.id: (node, node.exec_properties[_MODULE_FILE])
        for node in pipeline.components
        if isinstance(node, base_component.BaseComponent) and node.exec_properties.get(_MODULE_FILE)
    }
    if isinstance(modules, str):
        if len({str(file) for _, file in files.values()}) > 1:
            raise ParameterError(
                f"--module {modules} would give one module to steps that have different ones: {_listed(files)}. Give "
                f"{' '.join(f'--module {step}=NAME' for step in files)}."
            )
        modules = dict.fromkeys(files, modules)
    for step, module in modules.items():
        if step not in files:
            raise ParameterError(
                f"--module {step}={module}: there is no step {step!r} with a module_file. Steps with one: "
                f"{_listed(files) or 'none'}."
            )
        node, _ = files[step]
        _check_function(node, module)
        node.exec_properties[_MODULE_FILE] = None
        node.exec_properties[_MODULE_PATH] = module


def _listed(files: Mapping[str, tuple[base_component.BaseComponent, Any]]) -> str:
    return ", ".join(f"{step} ({file})" for step, (_, file) in files.items())


def _check_function(node: base_component.BaseComponent, module: str) -> None:
    """Where this machine has the module, its text tells whether it has the function; the image may have another one."""
    function = _function(node)
    path = source_names.find(module)
    names = source_names.read(path) if path is not None else None
    if function is None or names is None or not names.complete or function in names:
        return
    raise ParameterError(
        f"--module {node.id}={module}: {node.id} calls {function}, and {path} has none. Name the module that defines it."
    )


def _function(node: base_component.BaseComponent) -> str | None:
    """Name of the function that a component calls; None where that is not known."""
    if roles.is_dp_trainer(node):
        return "model_fn"
    return "preprocessing_fn" if type(node) in (Transform, DPTransform) else _FUNCTIONS.get(type(node))


def _scalars(pipeline: tfx_pipeline.Pipeline) -> Iterator[_Scalar]:
    for node in pipeline.components:
        if roles.is_validator(node):
            for key in (validator.MAX_EPSILON_KEY, validator.MAX_ATTACK_AUC_KEY):
                value = node.exec_properties.get(key)
                if _is_number(value):
                    yield _Scalar(node, key, float(value))
        elif roles.is_dp_trainer(node):
            privacy = DPParameters.from_json(node.exec_properties[request.PRIVACY_KEY])
            value = node.exec_properties.get(request.TARGET_EPSILON_KEY)
            value = privacy.target_epsilon if value is None else value
            if privacy.enabled and _is_number(value):
                yield _Scalar(node, request.TARGET_EPSILON_KEY, float(value))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
