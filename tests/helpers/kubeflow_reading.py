"""A compiled file read as Kubeflow reads it: by its own messages, and with the checks of its compiler and driver."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import yaml
from google.protobuf import json_format

# An argument of a process may have 128 KiB on Linux, and Kubeflow's driver gets each of these as one.
LARGEST_ARGUMENT = 100_000
_KINDS: dict[str, type | tuple[type, ...]] = {
    "STRING": str, "NUMBER_DOUBLE": (int, float), "NUMBER_INTEGER": (int, float), "BOOLEAN": bool, "LIST": list,
    "STRUCT": dict,
}  # fmt: skip


def read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parses a compiled file strictly, by the messages of the installed kfp and kfp-kubernetes.

    Args:
      path: YAML.

    Returns:
      The PipelineSpec, and the entries of the platform document by executor.

    Raises:
      json_format.ParseError: If a field is unknown, or of another type.
    """
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    spec, *others = yaml.safe_load_all(path.read_text())
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    executors: dict[str, Any] = {}
    for document in others:
        json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
        executors |= document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, entries in executors.items():
        assert label in spec["deploymentSpec"]["executors"], label
        json_format.ParseDict(entries, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    return spec, executors


def faults(spec: dict[str, Any]) -> list[str]:
    """What the compiler and the driver would refuse (`v2/compiler/visitor.go`, `v2/driver/resolve.go`).

    Args:
      spec: A PipelineSpec.

    Returns:
      A sentence for each.
    """
    tasks = spec["root"]["dag"]["tasks"]
    return [fault for name in tasks for fault in _of_task(name, spec)]


def _of_task(name: str, spec: dict[str, Any]) -> Iterator[str]:
    task = spec["root"]["dag"]["tasks"][name]
    component = spec["components"][task["componentRef"]["name"]]
    executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
    if len(f"{name}-driver") > 128:
        yield f"{name} is too long a name"
    if not task.get("taskInfo", {}).get("name"):
        yield f"{name} has no taskInfo.name"
    if not {"container", "importer"} & set(executor):
        yield f"{name} is neither a container nor an importer"
    if task.get("cachingOptions", {}).get("enableCache"):
        yield f"{name} may be replayed from a cache"
    for part in (component, executor, task):
        if len(json.dumps(part)) > LARGEST_ARGUMENT:
            yield f"{name} makes an argument of {len(json.dumps(part))} bytes"
    yield from _parameters(name, task, component, spec["root"])
    yield from _artifacts(name, task, component, spec)


def _parameters(name: str, task: dict[str, Any], component: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    given = task.get("inputs", {}).get("parameters", {})
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    of_run = root.get("inputDefinitions", {}).get("parameters", {})
    yield from (f"{name}.{key} is not declared" for key in given if key not in declared)
    for key, definition in declared.items():
        if key not in given:
            if not definition.get("isOptional") and "defaultValue" not in definition:
                yield f"{name}.{key} is missing"
        elif "componentInputParameter" in given[key]:
            source = of_run.get(given[key]["componentInputParameter"])
            if source is None or source["parameterType"] != definition["parameterType"]:
                yield f"{name}.{key} is given {source}"
        else:
            constant = given[key]["runtimeValue"]["constant"]
            fits = isinstance(constant, _KINDS[definition["parameterType"]])
            if not fits or (isinstance(constant, bool) and definition["parameterType"] != "BOOLEAN"):
                yield f"{name}.{key}={constant!r} is no {definition['parameterType']}"
            if isinstance(constant, str) and "{{" in constant:
                yield f"{name}.{key} has what is taken for a placeholder"


def _artifacts(name: str, task: dict[str, Any], component: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    tasks = spec["root"]["dag"]["tasks"]
    for key, entry in task.get("inputs", {}).get("artifacts", {}).items():
        source = entry["taskOutputArtifact"]
        producer = spec["components"][tasks[source["producerTask"]]["componentRef"]["name"]]
        if source["producerTask"] not in task.get("dependentTasks", []):
            yield f"{name} does not wait for {source['producerTask']}"
        if source["outputArtifactKey"] not in producer["outputDefinitions"]["artifacts"]:
            yield f"{name}.{key} is of an output that there is not"
        if key not in component["inputDefinitions"]["artifacts"]:
            yield f"{name}.{key} is not declared"
