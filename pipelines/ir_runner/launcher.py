"""Driver and launcher of one step, as far as a step can tell.

Imitated, of kubeflow/pipelines (`backend/src/v2`, as its source stands in 2.17; where 2.5 differs it is noted):

* `driver/driver.go` and `container.go`, resolveInputs and provisionOutputs: constants, parameters of the run and outputs of
  other steps become inputs; an output's URI is root/pipeline/run/task/uuid/key, its type and metadata those of the
  component's outputs, its name the key (2.5: no name); the log is one more output, `executor-logs`, of the first attempt
  (2.5: without its number); the report goes to
  `output_metadata.json` in the task's own folder, where the artifacts are (2.5: in `/tmp/kfp_outputs`), output parameters
  to `/tmp/kfp/outputs`; a condition that does not hold skips the step, and Argo omits what waits for it.
* `metadata/client.go` and `converter.go`: what an earlier step put out arrives under its number as name, with an empty
  instance schema for a type, metadata with `display_name` and `store_session_info`, whole numbers and truth values as
  doubles, lists and structures wrapped once. Null is refused.
* `component/launcher_v2.go`: default values of parameters; `{{$}}`, without fields that are empty, and the placeholders of
  parameters, URIs and paths in the command line; inputs are copied to `/gcs`, `/s3`, `/minio` before, outputs from there
  after; the report may change an output's URI within the run's root, and adds metadata; a field that it does not have
  fails the step.
* `objectstore/object_store.go`: an empty folder is not uploaded; an object that stands for a folder is downloaded as a file,
  and fails the step if the folder has others (kubeflow/pipelines#13476).
* `component/importer_launcher.go`: an importer puts out an artifact of a given URI, of gs://, s3:// or minio://. That nothing
  is there is said here at once, and by Kubeflow only by the step that looks for it.
* kfp-kubernetes' `secretAsEnv`: only steps that the platform document names get a variable.

Of Vertex AI, from what TFX's compiler and entrypoint expect of it: types arrive filled, URIs are used as they are (so a
job that runs here has a folder for its root), the hook before the cache look-up runs, and what it writes is merged.

Not imitated: images, resources, volumes, users and security contexts (a step runs as whoever runs this, in this Python
environment); Kubernetes, Argo Workflows and their retries, time limits and parallelism (one step at a time); caching,
which is off in what is compiled; ML Metadata beyond the conversions named; object stores' permissions and failures;
nested DAGs, loops and exit handlers, which TFX does not compile for open source. The file system is not changed for a
step: its `/minio` and `/tmp/kfp` are folders below its own, which its environment names (`TFX_PRIVACY_MIRROR_ROOT`), and
what else is on this machine is there as well.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from tfx_privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.pipelines import container
from tfx_privacy.pipelines.ir_runner import conditions
from tfx_privacy.pipelines.ir_runner.processes import Process, Start
from tfx_privacy.pipelines.ir_runner.spec import Compiled
from tfx_privacy.pipelines.ir_runner.store import Store

SUCCEEDED, SKIPPED, OMITTED = "succeeded", "skipped", "omitted"

# What an image sets, so far as this environment stands for it.
_OF_THE_IMAGE = (
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
_MIRRORS = {"gs": "gcs", "s3": "s3", "minio": "minio"}
_LOG_LINES = 30
_LOGS = "executor-logs"
# From here on Go writes a number with an exponent.
_EXPONENT = 1e21
_REPORT_FIELDS = {"artifacts", "parameterValues", "parameters"}
_ARTIFACT_FIELDS = {"name", "type", "uri", "metadata", "properties", "customProperties"}

_Json = dict[str, Any]


class TaskError(TFXPrivacyError):
    """A step failed; the message names its log."""


@dataclasses.dataclass(frozen=True)
class Artifact:
    """What ML Metadata knows of an artifact."""

    number: int
    uri: str
    metadata: Mapping[str, Any]
    type: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What came of a step."""

    state: str
    """"succeeded"; "skipped", if a condition does not hold; or "omitted", if it waits for what was not run."""
    outputs: Mapping[str, Artifact]
    parameters: Mapping[str, Any]
    seconds: float
    log: pathlib.Path | None


@dataclasses.dataclass
class Cluster:
    """One run, on a cluster of one machine."""

    compiled: Compiled
    store: Store
    root: pathlib.Path
    run_id: str
    parameters: Mapping[str, Any]
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    _numbers: int = 0

    def launch(self, name: str, results: Mapping[str, TaskResult], start: Start) -> TaskResult:
        """Runs one step.

        Args:
          name: Of the task.
          results: Of those before.
          start: How a process is started.

        Raises:
          TaskError: If it fails.
        """
        began = time.monotonic()
        if any(results[earlier].state != SUCCEEDED for earlier in self.compiled.waits_for(name)):
            return TaskResult(OMITTED, {}, {}, time.monotonic() - began, None)
        inputs = self._inputs(name, results)
        condition = self.compiled.tasks[name].get("triggerPolicy", {}).get("condition")
        if condition and not conditions.holds(condition, {"inputs": inputs}):
            return TaskResult(SKIPPED, {}, {}, time.monotonic() - began, None)
        executor = self.compiled.executor(name)
        if "importer" in executor:
            return TaskResult(
                SUCCEEDED, self._import(name, executor["importer"], inputs), {}, time.monotonic() - began, None
            )
        pod = _Pod(self.root / name, mirrored=self.compiled.mirrored)
        executor_input = {"inputs": inputs, "outputs": self._outputs(name, pod)}
        _add_defaults(executor_input, self.compiled.component(name))
        self._download(name, executor_input["inputs"], pod)
        _prepare_folders(executor_input["outputs"], pod)
        pod.given.write_text(_protojson(executor_input), encoding="utf-8")
        report = self._run(name, executor["container"], executor_input, pod, start)
        outputs = self._publish(name, executor_input["outputs"], report, pod)
        values = _output_parameters(executor_input["outputs"], report)
        return TaskResult(SUCCEEDED, outputs, values, time.monotonic() - began, pod.log)

    def clean(self) -> None:
        """Removes the steps' own folders."""
        shutil.rmtree(self.root, ignore_errors=True)

    # Driver.

    def _inputs(self, name: str, results: Mapping[str, TaskResult]) -> _Json:
        declared = self.compiled.tasks[name].get("inputs", {})
        values = {
            key: self._parameter(name, key, entry, results) for key, entry in declared.get("parameters", {}).items()
        }
        artifacts = {}
        for key, entry in declared.get("artifacts", {}).items():
            source = entry["taskOutputArtifact"]
            made = results[source["producerTask"]].outputs.get(source["outputArtifactKey"])
            if made is None:
                raise TaskError(
                    f"{name} takes {source['outputArtifactKey']!r} of {source['producerTask']}, which does not put it out."
                )
            artifacts[key] = {"artifacts": [self._arriving(made)]}
        return {"parameterValues": values, "artifacts": artifacts}

    def _parameter(self, name: str, key: str, entry: _Json, results: Mapping[str, TaskResult]) -> Any:
        if "componentInputParameter" in entry:
            return self.parameters[entry["componentInputParameter"]]
        if "runtimeValue" in entry:
            return entry["runtimeValue"]["constant"]
        source = entry.get("taskOutputParameter")
        if source is None:
            raise ParameterError(
                f"Parameter {key!r} of {name} comes from {next(iter(entry))}, which is not known here."
            )
        return results[source["producerTask"]].parameters[source["outputParameterKey"]]

    def _arriving(self, artifact: Artifact) -> _Json:
        kind = {"instanceSchema": ""} if self.compiled.mirrored else dict(artifact.type)
        return {"name": str(artifact.number), "uri": artifact.uri, "metadata": dict(artifact.metadata), "type": kind}

    def _outputs(self, name: str, pod: _Pod) -> _Json:
        declared = self.compiled.component(name).get("outputDefinitions", {})
        entries = dict(declared.get("artifacts", {}))
        if self.compiled.mirrored:
            entries[_LOGS] = {"artifactType": {"schemaTitle": "system.Artifact"}}
        place = f"{self._run_root}/{name}/{uuid.uuid4()}"
        artifacts = {}
        for key, entry in entries.items():
            # Kubeflow numbers the attempts at a step.
            uri = f"{place}/{key}-0" if key == _LOGS else f"{place}/{key}"
            provided = {"name": key, "uri": uri, "type": entry["artifactType"]}
            artifacts[key] = {
                "artifacts": [provided | {name: entry[name] for name in ("metadata",) if entry.get(name)}]
            }
        return {
            "artifacts": artifacts,
            "parameters": {
                key: {"outputFile": str(pod.root / "tmp/kfp/outputs" / key)} for key in declared.get("parameters", {})
            },
            "outputFile": str(pod.report(place)),
        }

    @property
    def _run_root(self) -> str:
        return f"{self.compiled.root.rstrip('/')}/{self.compiled.name}/{self.run_id}"

    # Launcher.

    def _download(self, name: str, inputs: _Json, pod: _Pod) -> None:
        for artifact in _artifacts(inputs):
            local = pod.path(artifact["uri"])
            if local is not None:
                try:
                    self.store.download(artifact["uri"], local)
                except NotADirectoryError as error:
                    raise TaskError(f"{name} cannot be given its inputs: {error}. Remove that object.") from error

    def _run(self, name: str, spec: _Json, executor_input: _Json, pod: _Pod, start: Start) -> _Json:
        environ = {
            **{variable: os.environ[variable] for variable in _OF_THE_IMAGE if variable in os.environ},
            **self.env,
            **{entry["name"]: entry["value"] for entry in spec.get("env", [])},
            **{variable: self.secrets[variable] for variable in self.compiled.secrets_of(name)},
            "HOME": str(pod.root / "home"),
            "TMPDIR": str(pod.root / "tmp"),
        }
        if self.compiled.mirrored:
            environ[container.MIRROR_ROOT_VARIABLE] = str(pod.root)
        commands = [[*spec.get("command", []), *spec.get("args", [])]]
        hook = spec.get("lifecycle", {}).get("preCacheCheck")
        if hook and not self.compiled.mirrored:
            commands.insert(0, [*hook.get("command", []), *hook.get("args", [])])
        written: list[_Json] = []
        for command in commands:
            filled = _filled(command, executor_input, pod)
            code = start(Process(command=filled, environ=environ, folder=pod.root / "home", log=pod.log))
            if code != 0:
                last = pod.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
                raise TaskError(f"{name} failed with exit code {code}. The end of {pod.log}:\n" + "\n".join(last))
            path = pathlib.Path(executor_input["outputs"]["outputFile"])
            written.append(json.loads(path.read_text()) if path.exists() else {})
        report = _merged(written)
        if self.compiled.mirrored:
            _require_executor_output(name, report)
        return report

    def _publish(self, name: str, outputs: _Json, report: _Json, pod: _Pod) -> dict[str, Artifact]:
        published = {}
        for key, artifacts in outputs["artifacts"].items():
            (provided,) = artifacts["artifacts"]
            (reported,) = report.get("artifacts", {}).get(key, {}).get("artifacts", [{}])[:1]
            uri = reported.get("uri") or provided["uri"]
            local = pod.path(uri)
            if local is not None:
                if not uri.startswith(self._run_root + "/"):
                    raise TaskError(
                        f"{name} reports {uri!r} for {key!r}. Kubeflow's launcher uploads below {self._run_root} alone."
                    )
                self.store.upload(pod.log if key == _LOGS else local, uri)
            metadata = {**provided.get("metadata", {}), **reported.get("metadata", {})}
            known = {"display_name": key, **(self._session(uri) if self.compiled.mirrored else {})}
            published[key] = self._record(uri, {**known, **metadata}, provided["type"])
        return published

    def _session(self, uri: str) -> dict[str, str]:
        """What later steps are told of the store, and need not know: the launcher reads it."""
        provider = self.compiled.root.partition("://")[0]
        return {
            "store_session_info": json.dumps(
                {"Provider": provider, "Params": {"fromEnv": "true"}}, separators=(",", ":")
            )
        }

    def _import(self, name: str, spec: _Json, inputs: _Json) -> dict[str, Artifact]:
        given = spec["artifactUri"]
        uri = given["constant"] if "constant" in given else inputs["parameterValues"][given["runtimeParameter"]]
        if self.compiled.mirrored and uri.partition("://")[0] not in _MIRRORS:
            raise TaskError(f"{name} imports {uri!r}. Kubeflow imports from gs://, s3:// and minio:// alone.")
        if not self.store.path(uri).exists():
            raise TaskError(f"{name} imports {uri!r}, and nothing is there. Put it into {self.store.path(uri)}.")
        (key,) = self.compiled.component(name)["outputDefinitions"]["artifacts"]
        metadata = {**spec.get("metadata", {}), **(self._session(uri) if self.compiled.mirrored else {})}
        return {key: self._record(uri, metadata, spec["typeSchema"])}

    def _record(self, uri: str, metadata: _Json, kind: _Json) -> Artifact:
        self._numbers += 1
        wrapped = self.compiled.mirrored
        return Artifact(
            self._numbers, uri, {name: _recorded(name, value, wrapped) for name, value in metadata.items()}, kind
        )


@dataclasses.dataclass(frozen=True)
class _Pod:
    """A step's own folders."""

    root: pathlib.Path
    mirrored: bool

    def __post_init__(self) -> None:
        for folder in ("home", "tmp"):
            (self.root / folder).mkdir(parents=True)

    def report(self, place: str) -> pathlib.Path:
        """Where a step reports to, given the address below which its artifacts are."""
        return (self.path(place) or self.root / "tmp/kfp_outputs") / "output_metadata.json"

    @property
    def log(self) -> pathlib.Path:
        return self.root / "log.txt"

    @property
    def given(self) -> pathlib.Path:
        """What the step was given, for whoever looks at it."""
        return self.root / "executor_input.json"

    def path(self, uri: str) -> pathlib.Path | None:
        """Where the launcher puts an artifact; None for one that it leaves where it is."""
        scheme, separator, rest = uri.partition("://")
        return self.root / _MIRRORS[scheme] / rest if self.mirrored and separator and scheme in _MIRRORS else None


def _add_defaults(executor_input: _Json, component: Mapping[str, Any]) -> None:
    values = executor_input["inputs"]["parameterValues"]
    for name, definition in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if "defaultValue" in definition:
            values.setdefault(name, definition["defaultValue"])


def _prepare_folders(outputs: _Json, pod: _Pod) -> None:
    for entry in (outputs, *outputs["parameters"].values()):
        pathlib.Path(entry["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    for artifact in _artifacts(outputs):
        local = pod.path(artifact["uri"])
        if local is not None:
            local.parent.mkdir(parents=True, exist_ok=True)


def _filled(command: list[str], executor_input: _Json, pod: _Pod) -> list[str]:
    """The command line with values in the place of placeholders."""
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    values = {"{{$}}": _protojson(executor_input)}
    for direction, part in (("inputs", inputs), ("outputs", outputs)):
        for key, artifacts in part["artifacts"].items():
            (artifact,) = artifacts["artifacts"]
            values[f"{{{{$.{direction}.artifacts['{key}'].uri}}}}"] = artifact["uri"]
            local = pod.path(artifact["uri"])
            if local is not None:
                values[f"{{{{$.{direction}.artifacts['{key}'].path}}}}"] = str(local)
    for key, value in inputs["parameterValues"].items():
        values[f"{{{{$.inputs.parameters['{key}']}}}}"] = _text(value)
    for key, entry in outputs["parameters"].items():
        values[f"{{{{$.outputs.parameters['{key}'].output_file}}}}"] = entry["outputFile"]
    filled = []
    for argument in command:
        for placeholder, value in values.items():
            argument = argument.replace(placeholder, value)
        filled.append(argument)
    return filled


def _protojson(executor_input: _Json) -> str:
    """As protobuf writes JSON: a map without entries is not there, and a whole number has no point."""
    parts = {part: {key: value for key, value in fields.items() if value} for part, fields in executor_input.items()}
    return json.dumps(_whole_numbers(parts))


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXPONENT else value


def _text(value: Any) -> str:
    """A parameter in a command line; whole numbers have no point, as Go writes them."""
    return value if isinstance(value, str) else json.dumps(_whole_numbers(value))


def _require_executor_output(name: str, report: _Json) -> None:
    """Kubeflow reads the report as an ExecutorOutput, and knows no other fields."""
    strange = sorted(set(report) - _REPORT_FIELDS)
    for artifact in (one for entry in report.get("artifacts", {}).values() for one in entry.get("artifacts", [])):
        strange += sorted(set(artifact) - _ARTIFACT_FIELDS)
    if strange:
        raise TaskError(f"{name} reports {strange[0]!r}, which is no field of Kubeflow's ExecutorOutput.")


def _merged(written: list[_Json]) -> _Json:
    """A report, and what a hook before wrote about the same outputs."""
    *hooks, report = written
    for hook in hooks:
        for key, artifacts in hook.get("artifacts", {}).items():
            earlier = artifacts["artifacts"][0].get("metadata", {})
            for artifact in report.get("artifacts", {}).get(key, {}).get("artifacts", []):
                artifact["metadata"] = {**earlier, **artifact.get("metadata", {})}
    return report


def _output_parameters(outputs: _Json, report: _Json) -> dict[str, Any]:
    values = dict(report.get("parameterValues", {}))
    for key, entry in outputs["parameters"].items():
        path = pathlib.Path(entry["outputFile"])
        if key not in values and path.exists():
            values[key] = path.read_text()
    return values


def _recorded(name: str, value: Any, wrapped: bool) -> Any:
    """A value of metadata as it comes back from ML Metadata; open source wraps lists and structures."""
    if value is None:
        raise TaskError(f"The metadata {name!r} is null, which Kubeflow cannot record. Leave it out.")
    if isinstance(value, bool | int | float):
        return float(value)
    if wrapped and isinstance(value, list):
        return {"list": value}
    return {"struct": value} if wrapped and isinstance(value, dict) else value


def _artifacts(part: _Json) -> Iterator[_Json]:
    for artifacts in part["artifacts"].values():
        yield from artifacts["artifacts"]
