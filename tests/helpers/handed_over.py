"""What a step is handed, without what differs from run to run: to hold `run-ir` against what Kubeflow's launcher handed over."""

from __future__ import annotations

import re
from typing import Any

import yaml

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def shape(executor_input: Any) -> dict[str, Any]:
    """An ExecutorInput with titles for types, kinds for metadata, and words for what is drawn or numbered.

    Args:
      executor_input: In protobuf's JSON.

    Returns:
      The same with short leaves.
    """
    inputs, outputs = executor_input.get("inputs", {}), executor_input["outputs"]
    found: dict[str, Any] = {
        "inputs": {key: _artifact(value) for key, value in inputs.get("artifacts", {}).items()},
        "parameters": dict(inputs.get("parameterValues", {})),
        "outputs": {key: _artifact(value) for key, value in outputs.get("artifacts", {}).items()},
        "report": _place(outputs["outputFile"]),
        "more": sorted({*inputs, *outputs} - {"artifacts", "parameterValues", "outputFile"}),
    }
    return {key: value for key, value in found.items() if value}


def _artifact(value: Any) -> dict[str, Any]:
    (artifact,) = value["artifacts"]
    found = {**artifact, "uri": _place(artifact["uri"]), "type": _kind(artifact["type"])}
    if "name" in artifact:
        found["name"] = "NUMBER" if artifact["name"].isdigit() else artifact["name"]
    if "metadata" in artifact:
        found["metadata"] = {key: type(one).__name__ for key, one in artifact["metadata"].items()}
    return found


def _kind(kind: Any) -> Any:
    """The title that a type's schema begins with; everything else as it is."""
    text = kind.get("instanceSchema")
    return {"instanceSchema": yaml.safe_load(text)["title"]} if text else kind


def _place(text: str) -> str:
    """A place from the bucket on, without the run's and the task's own names."""
    text = _UUID.sub("UUID", text)
    return re.sub(r"^.*?(mlpipeline/v2/artifacts/[^/]*)/[^/]*/", r"\1/RUN/", text)
