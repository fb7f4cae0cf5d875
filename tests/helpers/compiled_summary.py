"""What a compiled pipeline says, short enough to read: `python tests/helpers/compiled_summary.py` writes tests/golden/ anew."""

from __future__ import annotations

import difflib
import json
import pathlib
import sys
import tempfile
from typing import Any

import yaml
from places import GOLDEN

IMAGE = f"registry.example/tfx-privacy@sha256:{'0' * 64}"
PLACES = {"data_root": "gs://bucket/data", "serving_model_dir": "gs://bucket/serving"}
OPEN_SOURCE, VERTEX = "taxi_open_source.yaml", "taxi_vertex.diff"


def compile_taxi(output: pathlib.Path, **options: Any) -> Any:
    """The taxi pipeline with a ledger, with places that are the same on every machine."""
    from tfx_privacy.pipelines import kubeflow, taxi

    charged = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": taxi.DATASET_ID}
    root = "gs://bucket/root"
    return kubeflow.compile_taxi(output, **{"image": IMAGE, "pipeline_root": root, **PLACES, **charged, **options})


def secrets() -> list[Any]:
    from tfx_privacy.pipelines import kubeflow

    return [
        kubeflow.Secret.parse("TFX_PRIVACY_LEDGER=privacy-ledger:address"),
        kubeflow.Secret.parse("TFX_PRIVACY_SIGNING_KEY=privacy-keys:signing"),
        kubeflow.Secret.parse("TFX_PRIVACY_VERIFICATION_KEYS=privacy-keys:verification"),
    ]


def documents(path: pathlib.Path) -> list[Any]:
    """A compiled file's documents."""
    text = path.read_text()
    return [json.loads(text)] if path.suffix == ".json" else list(yaml.safe_load_all(text))


def summary(path: pathlib.Path) -> dict[str, Any]:
    """A file's contents without versions, and with JSON in text taken apart."""
    first, *others = documents(path)
    spec = first.get("pipelineSpec", first)
    tasks = {name: _task(name, spec) for name in sorted(spec["root"]["dag"]["tasks"])}
    every = {key: tasks[next(iter(tasks))][key] for key in ("command", "image")}
    for task in tasks.values():
        for key in [key for key, value in every.items() if task[key] == value]:
            del task[key]
    found: dict[str, Any] = {
        "every task": every,
        "parameters": spec["root"].get("inputDefinitions", {}).get("parameters", {}),
        "schema": spec["schemaVersion"],
        "tasks": tasks,
    }
    if "runtimeConfig" in first:
        found["root"] = first["runtimeConfig"]
    if others:
        found["platform"] = others
    return found


def _task(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    task = spec["root"]["dag"]["tasks"][name]
    component = spec["components"][task["componentRef"]["name"]]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    inputs = task.get("inputs", {})
    result: dict[str, Any] = {
        "command": " ".join(container["command"]),
        "arguments": [_shortened(argument) for argument in container["args"]],
        "image": container["image"],
        "inputs": {
            key: "{producerTask}.{outputArtifactKey}".format(**value["taskOutputArtifact"])
            for key, value in inputs.get("artifacts", {}).items()
        },
        "outputs": {key: _title(value) for key, value in component["outputDefinitions"]["artifacts"].items()},
        "parameters": {key: _value(value) for key, value in inputs.get("parameters", {}).items()},
        "after": task.get("dependentTasks", []),
    }
    if "lifecycle" in container:
        result["hook"] = " ".join(container["lifecycle"]["preCacheCheck"]["command"])
    for key, source in (
        ("env", container),
        ("resources", container),
        ("cachingOptions", task),
        ("triggerPolicy", task),
    ):
        if key in source:
            result[key] = source[key]
    return {key: value for key, value in result.items() if value}


def _shortened(argument: str) -> Any:
    """An inputs spec as the types that it names."""
    if not argument.startswith("{\n"):
        return argument
    spec = json.loads(argument)
    return {
        **{key: _title(value) for key, value in spec.get("artifacts", {}).items()},
        **{key: value["parameterType"] for key, value in spec.get("parameters", {}).items()},
    }


def _title(value: dict[str, Any]) -> str:
    return str(yaml.safe_load(value["artifactType"]["instanceSchema"])["title"])


def _value(value: dict[str, Any]) -> Any:
    if "componentInputParameter" in value:
        return f"(parameter) {value['componentInputParameter']}"
    constant = value["runtimeValue"]["constant"]
    try:
        return json.loads(constant) if isinstance(constant, str) and constant[:1] in ("{", "[") else constant
    except ValueError:
        return constant


def goldens(folder: pathlib.Path) -> dict[str, str]:
    """The golden files' contents, compiled in a folder: one summary, and what Vertex AI's has instead."""
    for name, options in (("taxi.yaml", {"secrets": secrets()}), ("taxi.json", {})):
        compile_taxi(folder / name, **options)
    texts = [yaml.safe_dump(summary(folder / name), sort_keys=False, width=110) for name in ("taxi.yaml", "taxi.json")]
    first, second = (text.splitlines(keepends=True) for text in texts)
    lines = difflib.unified_diff(first, second, OPEN_SOURCE, "taxi.json", n=0)
    return {OPEN_SOURCE: texts[0], VERTEX: "".join(lines)}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in goldens(pathlib.Path(scratch)).items():
            (GOLDEN / name).write_text(text)
            print(GOLDEN / name, file=sys.stderr)


if __name__ == "__main__":
    main()
