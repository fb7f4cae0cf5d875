"""Kubeflow's rules for a pipeline, each named with its remedy, before TFX's compiler or the backend stumble over what breaks one.

What holds for TFX 1.16's compiler was read in `tfx/orchestration/kubeflow/v2` (`step_builder.py`, `compiler_utils.py`,
`pipeline_builder.py`); what holds for open source in kubeflow/pipelines, `backend/src/v2`; names of tasks in
argoproj/argo-workflows.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from tfx.components import FileBasedExampleGen, InfraValidator
from tfx.components.util import udf_utils
from tfx.dsl.component.experimental import executor_specs
from tfx.dsl.components.base import base_component, base_driver, base_node, executor_spec
from tfx.dsl.components.common import importer, resolver
from tfx.dsl.input_resolution.strategies import latest_artifact_strategy, latest_blessed_model_strategy
from tfx.dsl.placeholder import placeholder
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import artifact
from tfx.types import channel as channels
from tfx.utils import name_utils

from tfx_privacy.components import BudgetValidator
from tfx_privacy.pipelines import lint
from tfx_privacy.pipelines.compile_arguments import OPEN_SOURCE, VERTEX, Mount
from tfx_privacy.pipelines.container.translation import PACKAGE_SCHEME, UNREADABLE_SCHEMES
from tfx_privacy.pipelines.kubeflow import beam, parameters, places
from tfx_privacy.pipelines.lint import Finding
from tfx_privacy.pipelines.lint.graph import Elsewhere, origin_of

REMOTE_SCHEMES = ("gs://", "s3://", "minio://")

_PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_VERTEX_PIPELINE_NAME = re.compile(r"[a-z][a-z0-9-]{0,127}")
# Argo Workflows, which runs open-source Kubeflow Pipelines, takes 128 for a task, and Kubeflow names one "STEP-driver".
_TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,120}")
_TYPE_NAME = re.compile(r"[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}")
_RESOLVERS = (
    latest_artifact_strategy.LatestArtifactStrategy,
    latest_blessed_model_strategy.LatestBlessedModelStrategy,
)

_Node: TypeAlias = base_node.BaseNode


def check(pipeline: tfx_pipeline.Pipeline, *, platform: str, image: str, mounts: Sequence[Mount] = ()) -> list[Finding]:
    """Looks for what cannot run on Kubeflow.

    Args:
      pipeline: As it will be compiled.
      platform: `OPEN_SOURCE` or `VERTEX`.
      image: Container image of every step.
      mounts: Volumes.

    Returns:
      What was found, errors first.
    """
    findings = [
        *_image(image),
        *_whole(pipeline, platform),
        *(finding for node in pipeline.components for rule in _RULES for finding in rule(pipeline, node, platform)),
        *(finding for node in pipeline.components for finding in _places(pipeline, node, platform, mounts)),
        *_runtime_parameters(pipeline),
    ]
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != lint.ERROR)


def _error(rule: str, node: str, problem: str, remedy: str) -> Finding:
    return Finding(rule=rule, severity=lint.ERROR, node=node, problem=problem, remedy=remedy)


def _warning(rule: str, node: str, problem: str, remedy: str) -> Finding:
    return Finding(rule=rule, severity=lint.WARNING, node=node, problem=problem, remedy=remedy)


def _image(image: str) -> Iterator[Finding]:
    if not isinstance(image, str) or not image.strip():
        yield _error(
            "image-missing", "image", f"image={image!r} names no container image, and every step runs in one.",
            "Build one from the Dockerfile, and give it with --image.",
        )  # fmt: skip
    elif "@sha256:" not in image:
        yield _warning(
            "image-not-pinned", "image",
            f"{image!r} may be another image tomorrow: what decides on a model would change unseen.",
            "Give the digest as well: NAME@sha256:DIGEST, which `docker push` prints.",
        )  # fmt: skip


def _whole(pipeline: tfx_pipeline.Pipeline, platform: str) -> Iterator[Finding]:
    name, root = pipeline.pipeline_info.pipeline_name, pipeline.pipeline_info.pipeline_root
    expected = _VERTEX_PIPELINE_NAME if platform == VERTEX else _PIPELINE_NAME
    if not expected.fullmatch(name):
        in_front = "a letter" if platform == VERTEX else "no hyphen"
        yield _error(
            "pipeline-name", name, f"Kubeflow takes no pipeline of the name {name!r}.",
            f"Use lower-case letters, digits and hyphens, at most 128, and {in_front} in front.",
        )  # fmt: skip
    if not isinstance(root, str):
        yield _error("pipeline-root", name, "pipeline_root is a placeholder.", "Give it as text.")
    elif platform == VERTEX and not root.startswith("gs://"):
        yield _warning(
            "pipeline-root", name,
            f"pipeline_root={root!r} is no gs:// address, and Vertex AI stores artifacts nowhere else.",
            "Give pipeline_root=gs://BUCKET/FOLDER, or give it when the job is submitted.",
        )  # fmt: skip


def _kind(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    """What a node is."""
    if isinstance(node, tfx_pipeline.Pipeline):
        yield _error(
            "nested-pipeline", node.id,
            "It is a pipeline inside the pipeline, which TFX does not compile for Kubeflow.",
            "Put its components into the outer pipeline.",
        )  # fmt: skip
    elif isinstance(node, InfraValidator):
        yield _error(
            "infra-validator", node.id, "TFX does not compile InfraValidator for Kubeflow.",
            "Leave it out, and try the image of the model server elsewhere.",
        )  # fmt: skip
    elif isinstance(node, resolver.Resolver):
        yield from _resolver(node, platform)
    elif isinstance(node, base_component.BaseComponent):
        yield from _executor(node)
    if platform == OPEN_SOURCE and not _TASK_NAME.fullmatch(node.id):
        yield _error(
            "node-id", node.id, f"Argo Workflows takes no task of the name {node.id!r}.",
            "Use letters, digits and hyphens, at most 121: component.with_id('...').",
        )  # fmt: skip


def _resolver(node: resolver.Resolver, platform: str) -> Iterator[Finding]:
    if platform == OPEN_SOURCE:
        yield _error(
            "resolver", node.id,
            "Open-source Kubeflow Pipelines runs no Resolver (its compiler stops at 'resolver not implemented').",
            "Leave it out (create_pipeline(with_baseline=False)), or bring the artifact by an Importer of a given URI.",
        )  # fmt: skip
        return
    strategy = node.exec_properties[resolver.RESOLVER_STRATEGY_CLASS]
    if not (isinstance(strategy, type) and issubclass(strategy, _RESOLVERS)):
        yield _error(
            "resolver", node.id,
            f"TFX compiles no resolver with {getattr(strategy, '__name__', strategy)!r} for Vertex AI.",
            "Use LatestArtifactStrategy or LatestBlessedModelStrategy.",
        )  # fmt: skip


def _executor(node: base_component.BaseComponent) -> Iterator[Finding]:
    spec = node.executor_spec
    if isinstance(spec, executor_specs.TemplatedExecutorContainerSpec):
        return
    if not isinstance(spec, executor_spec.ExecutorClassSpec):
        yield _error(
            "executor-kind", node.id,
            f"Its executor is a {type(spec).__name__}, which TFX does not compile for Kubeflow.",
            "Use ExecutorClassSpec, BeamExecutorSpec, or a container component.",
        )  # fmt: skip
        return
    name = getattr(spec.executor_class, "__qualname__", repr(spec.executor_class))
    module = getattr(spec.executor_class, "__module__", "")
    try:
        name_utils.get_full_name(spec.executor_class)
        importable = module != "__main__"
    except (ValueError, ImportError):
        importable = False
    if not importable:
        yield _error(
            "executor-not-importable", node.id,
            f"A container finds its executor by name, and {module}.{name} cannot be imported by it.",
            "Define the component at the top level of a module that is installed in the image.",
        )  # fmt: skip
    driver = node.driver_class
    known = issubclass(driver, BudgetValidator.DRIVER_CLASS) or isinstance(node, FileBasedExampleGen)
    if driver is not base_driver.BaseDriver and not known:
        yield _warning(
            "custom-driver", node.id, f"Kubeflow runs no drivers: what {driver.__name__} does will not happen.",
            "Do it in the executor, or check that the component works without it.",
        )  # fmt: skip


def _channels(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    """Where inputs come from, and what types artifacts have."""
    if not isinstance(node, resolver.Resolver):
        for key, channel in node.inputs.items():
            origin = origin_of(channel)
            if not isinstance(channel, channels.Channel) or isinstance(origin, Elsewhere):
                what = origin.what if isinstance(origin, Elsewhere) else f"a {type(channel).__name__}"
                yield _error(
                    "channel", node.id,
                    f"Its input {key!r} is {what}: on Kubeflow an input is one output of one step of the same run.",
                    "Wire it to an output, or bring the artifact by an Importer.",
                )  # fmt: skip
    for key, channel in (*node.inputs.items(), *node.outputs.items()):
        yield from _artifact_type(node, key, channel.type)


def _artifact_type(node: _Node, key: str, kind: type[artifact.Artifact]) -> Iterator[Finding]:
    if f"tfx.{kind.__qualname__}" in compiler_utils.TITLE_TO_CLASS_PATH:
        return
    name = kind.TYPE_NAME
    if not isinstance(name, str) or not _TYPE_NAME.fullmatch(name):
        yield _error(
            "artifact-type-name", node.id,
            f"{key!r} is of the artifact type {kind.__name__}, whose TYPE_NAME={name!r} Kubeflow refuses.",
            "A custom type is named PACKAGE.CLASS: one dot, the package in lower case (3 to 21 characters), the class "
            "with a capital.",
        )  # fmt: skip
    elif not _is_exported(name, kind):
        package, _, class_name = name.partition(".")
        yield _error(
            "artifact-type-not-exported", node.id,
            f"{key!r} is of the artifact type {name}. Containers find it by importing {class_name} from {package}, and "
            "it is not there.",
            f"Export the class from the top-level package: `from {kind.__module__} import {kind.__name__}` in "
            f"{package}/__init__.py.",
        )  # fmt: skip
    if kind.PROPERTIES:
        yield _error(
            "artifact-properties", node.id,
            f"{key!r} is of the artifact type {name}, which declares PROPERTIES {', '.join(sorted(kind.PROPERTIES))}: "
            "TFX compiles custom types without properties alone.",
            "Use custom properties (artifact.set_string_custom_property), or a file of the artifact.",
        )  # fmt: skip


def _is_exported(name: str, kind: type[artifact.Artifact]) -> bool:
    package, _, class_name = name.partition(".")
    try:
        return getattr(importlib.import_module(package), class_name, None) is kind
    except ImportError:
        return False


def _properties(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    """What execution properties may be."""
    if isinstance(node, resolver.Resolver | tfx_pipeline.Pipeline):
        return
    for name, value in node.exec_properties.items():
        if isinstance(value, placeholder.Placeholder):
            yield _error(
                "dynamic-property", node.id,
                f"{name!r} is the value of another step's output: TFX 1.16 compiles it to a reference to a task that "
                "does not exist.",
                "Pass the artifact as an input, and read the value in the executor.",
            )  # fmt: skip
        elif isinstance(value, float) and not math.isfinite(value):
            yield _error(
                "property-not-finite", node.id,
                f"{name}={value!r}: JSON, which a compiled pipeline is, has no such number.",
                "Give a finite number.",
            )  # fmt: skip
        elif not isinstance(value, data_types.RuntimeParameter) and not _has_form(value):
            yield _error(
                "property-type", node.id, f"{name!r} is a {type(value).__name__}, for which Kubeflow has no form.",
                "Give a number, text, or JSON in text.",
            )  # fmt: skip


def _has_form(value: Any) -> bool:
    try:
        compiler_utils.value_converter(value)
    except Exception:  # noqa: BLE001 - json's, protobuf's or the value's own: each says that it has none
        return False
    return True


def _module(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    """Where the user's module is when the step runs."""
    path, root = node.exec_properties.get("module_file"), pipeline.pipeline_info.pipeline_root
    if not isinstance(node, base_component.BaseComponent) or not isinstance(path, str) or not path:
        return
    remedy = (
        f"Install the module in the image and compile with --module {node.id}=NAME, or use a pipeline_root that TensorFlow "
        "can write to (gs://)."
    )
    if not udf_utils.should_package_user_modules():
        yield _warning(
            "module-file",
            node.id,
            f"module_file={path!r} is not packaged: it must be at that path in the image.",
            remedy,
        )
    elif not root or not isinstance(root, str):
        yield _error(
            "module-file", node.id, f"module_file={path!r} is packaged below pipeline_root, and there is none.", remedy
        )
    elif root.startswith(UNREADABLE_SCHEMES):
        yield _error(
            "module-file", node.id,
            f"module_file={path!r} is packaged below pipeline_root={root!r} while compiling, where TensorFlow cannot "
            "write.", remedy,
        )  # fmt: skip
    elif not root.startswith(REMOTE_SCHEMES):
        yield _warning(
            "module-file", node.id,
            f"module_file={path!r} is packaged below pipeline_root={root!r} on this machine, where no container will "
            "find it.", remedy,
        )  # fmt: skip


def _places(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str, mounts: Sequence[Mount]) -> Iterator[Finding]:
    """Paths in execution properties, which the launcher neither downloads nor uploads."""
    given = [mount for mount in mounts if mount.node in (None, node.id)]
    for what, place in places.of_node(node):
        if place.startswith(UNREADABLE_SCHEMES):
            yield _error(
                "place", node.id,
                f"{what}={place!r}: TensorFlow opens no such address, and Kubeflow carries artifacts alone.",
                "Use gs://, or a volume that is mounted into the container (--mount).",
            )  # fmt: skip
        elif place.startswith(PACKAGE_SCHEME):
            if platform == VERTEX:
                yield _error(
                    "place", node.id,
                    f"{what}={place!r}: Vertex AI runs ExampleGen's driver before our entrypoint, which alone knows it.",
                    "Give the data as gs://.",
                )  # fmt: skip
        elif "://" not in place and not any(mount.holds(place) for mount in given):
            yield _place_in_the_container(node, what, place)


def _place_in_the_container(node: _Node, what: str, place: str) -> Finding:
    pushed = what == "push_destination"
    problem = "a model pushed there is lost with it" if pushed else "it is not there, unless it is part of the image"
    kept = " The output pushed_model keeps a copy in the object store." if pushed else ""
    return _warning(
        "place", node.id, f"{what}={place!r} is a folder inside the container: {problem}.{kept}",
        "Use gs://, or a volume: --mount CLAIM:PATH (open source).",
    )  # fmt: skip


def _beam(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    """Whether other machines can read what Beam is to read there."""
    runner, root = beam.remote_runner(node), pipeline.pipeline_info.pipeline_root
    if runner is None or not isinstance(root, str) or root.startswith("gs://"):
        return
    remedy = "Use a pipeline_root of gs://, or the DirectRunner."
    if root.startswith(UNREADABLE_SCHEMES):
        yield _error(
            "beam-runner", node.id, f"Workers of {runner} cannot open artifacts below pipeline_root={root!r}.", remedy
        )
    else:
        yield _warning(
            "beam-runner", node.id, f"Workers of {runner} will not find artifacts below pipeline_root={root!r}.", remedy
        )


def _importer(pipeline: tfx_pipeline.Pipeline, node: _Node, platform: str) -> Iterator[Finding]:
    uri = node.exec_properties.get(importer.SOURCE_URI_KEY) if isinstance(node, importer.Importer) else None
    if isinstance(uri, data_types.RuntimeParameter):
        uri = uri.default
    if platform == OPEN_SOURCE and isinstance(uri, str) and not uri.startswith(REMOTE_SCHEMES):
        yield _error(
            "importer-uri", node.id,
            f"source_uri={uri!r}: Kubeflow imports from gs://, s3:// and minio:// alone.",
            "Upload the artifact to the object store.",
        )  # fmt: skip


def _runtime_parameters(pipeline: tfx_pipeline.Pipeline) -> Iterator[Finding]:
    seen: dict[str, data_types.RuntimeParameter] = {}
    for node, parameter in parameters.declared(pipeline):
        first = seen.setdefault(parameter.name, parameter)
        if (first.ptype, first.default) != (parameter.ptype, parameter.default):
            yield _error(
                "runtime-parameter", node.id,
                f"There are two runtime parameters {parameter.name!r}, of different types or defaults.",
                "Give them different names, or use one object for both.",
            )  # fmt: skip
        if parameter.default is None:
            yield _warning(
                "runtime-parameter", node.id,
                f"The runtime parameter {parameter.name!r} has no default: a run without it fails.",
                "Give RuntimeParameter(default=...).",
            )  # fmt: skip


_RULES: tuple[Callable[[tfx_pipeline.Pipeline, _Node, str], Iterator[Finding]], ...] = (
    _kind,
    _channels,
    _properties,
    _module,
    _beam,
    _importer,
)
