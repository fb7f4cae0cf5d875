"""What TFX's compiler leaves out of a PipelineJob, and how the result is written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from tfx.dsl.components.base import base_component, base_node
from tfx.orchestration import pipeline as tfx_pipeline

from tfx_privacy._version import __version__
from tfx_privacy.pipelines import quoted_yaml
from tfx_privacy.pipelines.compile_arguments import OPEN_SOURCE
from tfx_privacy.pipelines.kubeflow import beam, environment, parameters
from tfx_privacy.pipelines.kubeflow.environment import Need

_Json = dict[str, Any]


def complete(
    job: _Json, pipeline: tfx_pipeline.Pipeline, *, needs: Sequence[Need], platform: str, env: Mapping[str, str]
) -> None:
    """Completes a compiled pipeline in place.

    Args:
      job: TFX's PipelineJob.
      pipeline: What was compiled.
      needs: Variables that the steps read.
      platform: `OPEN_SOURCE` or `VERTEX`.
      env: Environment variables of every container.
    """
    spec = job["pipelineSpec"]
    _default_values(spec, pipeline)
    executors = spec["deploymentSpec"]["executors"]
    nodes = {node.id: node for node in pipeline.components}
    for node, component in spec["components"].items():
        container = executors.get(component.get("executorLabel"), {}).get("container")
        if container is None:
            continue
        arguments = container.setdefault("args", [])
        if platform == OPEN_SOURCE and container.pop("lifecycle", None) is not None:
            # Open source runs no hook before the container: ExampleGen's driver runs in it.
            arguments.append("--run_driver")
        if node in nodes:
            _resources(container, nodes[node])
            arguments += beam.image_argument(nodes[node], container["image"])
            if platform == OPEN_SOURCE and beam.remote_runner(nodes[node]):
                arguments.append("--remote_workers")
        for variable in environment.required(needs, node):
            arguments += ["--requires_env", variable]
        if env:
            container["env"] = [{"name": name, "value": value} for name, value in sorted(env.items())]


def _resources(container: _Json, node: base_node.BaseNode) -> None:
    """TFX forgets the resources of ExampleGens that read files."""
    wanted = node.platform_config if isinstance(node, base_component.BaseComponent) else None
    if wanted is not None and "resources" not in container:
        container["resources"] = json_format.MessageToDict(wanted)


def platform_spec(*parts: Mapping[str, _Json]) -> _Json | None:
    """The platform document: what Kubernetes gives to executors.

    Args:
      *parts: Entries of a KubernetesExecutorConfig by the executor's label.

    Returns:
      A PlatformSpec for Kubernetes, as kfp-kubernetes writes it; None if there is nothing in it.
    """
    executors: dict[str, _Json] = {}
    for part in parts:
        for label, entries in part.items():
            executors.setdefault(label, {}).update(entries)
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else None


def write(path: str, job: _Json, platform: _Json | None) -> None:
    """Writes the job as JSON, or its PipelineSpec, and a platform document after it, as YAML.

    Args:
      path: File that ends in `.json`, `.yaml` or `.yml`; its folder is made.
      job: The completed job.
      platform: The second document; YAML only.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        if path.endswith(".json"):
            json.dump(job, file, sort_keys=True, indent=1)
            return
        spec = job["pipelineSpec"]
        file.write("\n".join(_heading(spec)) + "\n")
        quoted_yaml.dump_all([spec, *([platform] if platform else [])], file)


def _default_values(spec: _Json, pipeline: tfx_pipeline.Pipeline) -> None:
    """TFX compiles a parameter's type and forgets its default value, so no run could start without it."""
    definitions = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for _, parameter in parameters.declared(pipeline):
        if parameter.default is None:
            continue
        definition = definitions[parameter.name]
        definition["defaultValue"] = parameter.default
        definition["isOptional"] = True
        if parameter.description:
            definition["description"] = parameter.description


def _heading(spec: _Json) -> list[str]:
    """Comments on top, as kfp's compiler writes them."""
    lines = [
        "# PIPELINE DEFINITION",
        f"# Name: {spec['pipelineInfo']['name']}",
        f"# Compiled by tfx-privacy {__version__}",
    ]
    definitions = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if definitions:
        lines.append("# Inputs:")
    for name, definition in sorted(definitions.items()):
        default = f" [Default: {definition['defaultValue']}]" if "defaultValue" in definition else ""
        lines.append(f"#    {name}: {definition['parameterType']}{default}")
    return lines
