"""A compiled pipeline, as far as the runner uses it."""

from __future__ import annotations

import dataclasses
import graphlib
import itertools
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tfx_privacy.errors import ParameterError

_Json = Mapping[str, Any]
_SCHEMA = "2.1.0"
_DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""That of an installation of open-source Kubeflow Pipelines."""
_CLASS_PATH_FLAG = "--executor_class_path"


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A PipelineSpec of schema 2.1, with what is next to it."""

    spec: _Json
    platform: _Json
    """The `kubernetes` part of the platform document; empty without one."""
    root: str
    """Where artifacts go: an address of the object store, or for a job of Vertex AI whatever it says."""
    mirrored: bool
    """Whether the launcher copies artifacts to the containers, as open source does; Vertex AI leaves it to them."""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def tasks(self) -> _Json:
        """The tasks by name."""
        tasks: _Json = self.spec["root"]["dag"]["tasks"]
        return tasks

    def component(self, task: str) -> _Json:
        """The ComponentSpec of a task."""
        component: _Json = self.spec["components"][self.tasks[task]["componentRef"]["name"]]
        return component

    def executor(self, task: str) -> _Json:
        """How a task is carried out: `container` or `importer`."""
        executor: _Json = self.spec["deploymentSpec"]["executors"][self.component(task)["executorLabel"]]
        return executor

    def secrets_of(self, task: str) -> set[str]:
        """Variables that a task takes from Kubernetes secrets."""
        executors = self.platform.get("deploymentSpec", {}).get("executors", {})
        given = executors.get(self.component(task)["executorLabel"], {}).get("secretAsEnv", [])
        return {entry["envVar"] for secret in given for entry in secret.get("keyToEnv", [])}

    def secret_variables(self) -> set[str]:
        """Variables that any task takes from Kubernetes secrets."""
        return {variable for task in self.tasks for variable in self.secrets_of(task)}

    def waits_for(self, task: str) -> set[str]:
        """The tasks after which a task runs."""
        entry = self.tasks[task]
        return {*entry.get("dependentTasks", []), *(producer for producer, _ in producers(entry))}

    def order(self) -> list[str]:
        """The tasks in an order in which each comes after those that it waits for.

        Raises:
          ParameterError: If they wait for each other.
        """
        graph = {name: self.waits_for(name) for name in sorted(self.tasks)}
        try:
            return list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise ParameterError(f"These tasks wait for each other: {', '.join(error.args[1])}.") from error

    def executor_classes(self) -> list[str]:
        """Class paths that the containers' arguments name."""
        found = []
        for executor in self.spec["deploymentSpec"]["executors"].values():
            arguments = executor.get("container", {}).get("args", [])
            found += [after for flag, after in itertools.pairwise(arguments) if flag == _CLASS_PATH_FLAG]
        return sorted(set(found))

    def parameter_values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The run's parameters: those that are given, and defaults for the rest.

        Args:
          given: As text.

        Raises:
          ParameterError: If one is unknown, of another type, or missing.
        """
        definitions = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        unknown = sorted(set(given) - set(definitions))
        if unknown:
            raise ParameterError(
                f"The pipeline has no parameter {unknown[0]!r}. Parameters: {', '.join(sorted(definitions)) or 'none'}."
            )
        values = {}
        for name, definition in definitions.items():
            if name in given:
                values[name] = _typed(name, given[name], definition["parameterType"])
            elif "defaultValue" in definition:
                values[name] = definition["defaultValue"]
            else:
                raise ParameterError(f"The parameter {name!r} has no default. Give --parameter {name}=VALUE.")
        return values


def load(path: str | os.PathLike[str], pipeline_root: str | None = None) -> Compiled:
    """Reads a compiled pipeline.

    Args:
      path: YAML (a PipelineSpec, and perhaps a platform document) or JSON (a PipelineJob).
      pipeline_root: Where the run's artifacts go; by default where an installation of Kubeflow Pipelines puts them, or the
        job's own root.

    Raises:
      ParameterError: If it is neither, or open-source Kubeflow Pipelines would refuse it.
    """
    text = pathlib.Path(path).read_text(encoding="utf-8")
    try:
        documents = [json.loads(text)] if str(path).endswith(".json") else list(yaml.safe_load_all(text))
    except (ValueError, yaml.YAMLError) as error:
        raise ParameterError(
            f"{path} is neither YAML nor JSON: {error}. Give what `tfx-privacy compile` wrote."
        ) from error
    first = documents[0] if documents else None
    if not isinstance(first, dict) or not ("pipelineInfo" in first or "pipelineSpec" in first):
        raise ParameterError(f"{path} is no compiled pipeline. Give what `tfx-privacy compile` wrote.")
    is_job = "pipelineSpec" in first
    spec = first["pipelineSpec"] if is_job else first
    # The backend of open source does not look at the file's own defaultPipelineRoot.
    in_file = first.get("runtimeConfig", {}).get("gcsOutputDirectory", "") if is_job else _DEFAULT_ROOT
    platform = documents[1].get("platforms", {}).get("kubernetes", {}) if len(documents) > 1 else {}
    compiled = Compiled(spec=spec, platform=platform, root=pipeline_root or in_file, mirrored=not is_job)
    _require_runnable(path, compiled)
    return compiled


def producers(task: _Json) -> Iterator[tuple[str, str]]:
    """The outputs, as task and key, that a task takes as inputs: artifacts and parameters."""
    inputs = task.get("inputs", {})
    for artifact in inputs.get("artifacts", {}).values():
        source = artifact.get("taskOutputArtifact", {})
        yield source["producerTask"], source["outputArtifactKey"]
    for parameter in inputs.get("parameters", {}).values():
        source = parameter.get("taskOutputParameter")
        if source:
            yield source["producerTask"], source["outputParameterKey"]


def _require_runnable(path: str | os.PathLike[str], compiled: Compiled) -> None:
    version = compiled.spec.get("schemaVersion")
    if version != _SCHEMA:
        raise ParameterError(
            f"{path} is of pipeline spec {version}, and open-source Kubeflow Pipelines takes {_SCHEMA} alone. Compile "
            "with `tfx-privacy compile`."
        )
    for name, task in compiled.tasks.items():
        kind = next(iter(compiled.executor(name)))
        if kind not in ("container", "importer"):
            raise ParameterError(
                f"Task {name!r} is a {kind}, which open-source Kubeflow Pipelines does not run. Compile without it."
            )
        strange = sorted({producer for producer, _ in producers(task)} - set(compiled.tasks))
        if strange:
            raise ParameterError(f"Task {name!r} takes an output of {strange[0]!r}, and there is no such task.")


def _typed(name: str, text: str, kind: str) -> Any:
    try:
        if kind == "NUMBER_DOUBLE":
            number = float(text)
            if not math.isfinite(number):
                raise ValueError("it overflows, or is none")
            return number
        if kind == "NUMBER_INTEGER":
            return int(text)
    except ValueError as error:
        raise ParameterError(f"Expected --parameter {name}={text} to be a number ({kind}).") from error
    if kind == "BOOLEAN":
        if text not in ("true", "false"):
            raise ParameterError(f"Expected --parameter {name}={text} to be true or false.")
        return text == "true"
    return text if kind == "STRING" else json.loads(text)
