"""Between what Kubeflow's launcher hands over and what TFX's entrypoint expects."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx_privacy.errors import ParameterError

UNREADABLE_SCHEMES = ("s3://", "minio://")
"""What TensorFlow's file system cannot open without plugins."""

PACKAGE_SCHEME = "package://"
"""`package://PACKAGE/FOLDER` in an argument is that folder of an installed package, wherever the image has it."""

_MIRRORS = {"gs": "gcs", "s3": "s3", "minio": "minio"}

_LOGS = "executor-logs"

_MODEL_BLESSING_TITLE = "tfx.ModelBlessing"

_BLESSING_TITLES = (_MODEL_BLESSING_TITLE, "tfx.InfraBlessing")

_MODEL_ID_KEYS = ("current_model_id", "baseline_model_id")

_TITLE = re.compile(r"^\s*title\s*:\s*['\"]?([^'\"\s]+)", re.MULTILINE)

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Mirrors:
    """The remote URIs of this step's artifacts and the folders that stand for them."""

    folders: Mapping[str, str]
    """By URI, without a slash at the end."""

    def local(self, value: str) -> str:
        """A URI of one of the artifacts, or below it, as a path; every other text as it is."""
        return _moved(value, self.folders.items())

    def remote(self, value: str) -> str:
        """The way back."""
        return _moved(value, ((folder, uri) for uri, folder in self.folders.items()))


def translate(
    executor_input: Json, inputs_spec: Json, mirror_root: str | None, *, remote_workers: bool = False
) -> tuple[Json, Mirrors]:
    """An ExecutorInput as TFX's entrypoint needs it.

    Args:
      executor_input: As the launcher wrote it, in proto3's JSON; it is not changed.
      inputs_spec: ComponentInputsSpec of the component.
      mirror_root: Folder that holds `gcs`, `s3` and `minio`; None to leave URIs as they are.
      remote_workers: Whether other machines read and write the artifacts as well, and so need their remote addresses.

    Returns:
      The ExecutorInput, and which URI became which path.

    Raises:
      ParameterError: If remote workers cannot open an address, a blessing is missing that the spec names (TFX's Pusher
        pushes without one), an input has no type, and the spec does not say it, or a package lacks a folder.
    """
    translated: Json = json.loads(json.dumps(executor_input))
    inputs, outputs = translated.setdefault("inputs", {}), translated.setdefault("outputs", {})
    outputs.get("artifacts", {}).pop(_LOGS, None)
    artifacts = [*artifacts_of(inputs), *artifacts_of(outputs)]
    if remote_workers:
        _require_readable_by_workers(artifacts)
        mirror_root = None
    mirrors = _mirrors(artifacts, mirror_root)
    specs = inputs_spec.get("artifacts", {})
    _require_blessings(specs, inputs)
    for key, arrived in inputs.get("artifacts", {}).items():
        for artifact in arrived.get("artifacts", []):
            artifact["type"] = _type_of(key, artifact, specs.get(key))
    for artifact in artifacts:
        artifact["uri"] = mirrors.local(artifact.get("uri", ""))
        artifact["metadata"] = _mapped(artifact.get("metadata", {}), mirrors.local)
    values = inputs.get("parameterValues", {})
    inputs["parameterValues"] = {
        name: _in_this_image(name, value) for name, value in values.items() if value is not None
    }
    return translated, mirrors


def report(executor_output: Json, executor_input: Json, mirrors: Mirrors, driver_output: Json | None = None) -> Json:
    """An ExecutorOutput as Kubeflow needs it.

    Args:
      executor_output: As TFX's entrypoint wrote it, in proto3's JSON.
      executor_input: What TFX's entrypoint was given.
      mirrors: Of `translate`.
      driver_output: What a driver wrote before; its metadata are used where the executor gives none.

    Returns:
      The same with remote URIs, and with names in the place of numbers for models in a ModelBlessing.
    """
    names = {
        _id_of(artifact["name"]): artifact["name"]
        for artifact in artifacts_of(executor_input["inputs"])
        if artifact.get("name")
    }
    reported: Json = json.loads(json.dumps(executor_output))
    for key, artifacts in reported.get("artifacts", {}).items():
        is_blessing = _is_model_blessing(executor_input["outputs"].get("artifacts", {}).get(key, {}))
        earlier = next(artifacts_of({"artifacts": {key: (driver_output or {}).get("artifacts", {}).get(key, {})}}), {})
        for artifact in artifacts.get("artifacts", []):
            metadata = {**earlier.get("metadata", {}), **artifact.get("metadata", {})}
            if is_blessing:
                metadata = {name: _named(name, value, names) for name, value in metadata.items()}
            artifact["uri"] = mirrors.remote(artifact.get("uri", ""))
            artifact["metadata"] = _mapped(metadata, mirrors.remote)
    return reported


def artifacts_of(part: Json) -> Iterator[Json]:
    """The artifacts of an ExecutorInput's `inputs` or `outputs`."""
    for artifacts in part.get("artifacts", {}).values():
        yield from artifacts.get("artifacts", [])


def _require_readable_by_workers(artifacts: Sequence[Json]) -> None:
    for artifact in artifacts:
        uri = artifact.get("uri", "")
        if uri.startswith(UNREADABLE_SCHEMES):
            raise ParameterError(
                f"{uri!r} is no address that workers of a remote Beam runner can open. Start the run with a pipeline "
                "root of gs://, or use the DirectRunner."
            )


def _mirrors(artifacts: Sequence[Json], root: str | None) -> Mirrors:
    folders = {}
    for artifact in artifacts:
        uri = artifact.get("uri", "").rstrip("/")
        scheme, separator, rest = uri.partition("://")
        if root is not None and separator and scheme in _MIRRORS:
            folders[uri] = os.path.join(root, _MIRRORS[scheme], rest)
    return Mirrors(folders)


def _moved(value: str, places: Any) -> str:
    for old, new in places:
        if value.rstrip("/") == old or value.startswith(old + "/"):
            return str(new) + value[len(old) :]
    return value


def _mapped(metadata: Json, move: Any) -> Json:
    """Metadata whose texts are moved: a ModelBlessing names the URI of its model."""
    return {name: move(value) if isinstance(value, str) else value for name, value in metadata.items()}


def _type_of(key: str, artifact: Json, spec: Json | None) -> Json:
    """The type of an input: what the component was compiled for, whatever arrives."""
    if spec is not None and spec.get("artifactType"):
        return dict(spec["artifactType"])
    given = artifact.get("type", {})
    if not (given.get("schemaTitle") or given.get("instanceSchema")):
        raise ParameterError(
            f"Input {key!r} ({artifact.get('uri')}) arrived without a type, and the inputs spec does not name it. "
            "Compile the pipeline with `tfx-privacy compile`: TFX writes the inputs spec for schema 2.1 alone."
        )
    return dict(given)


def _require_blessings(specs: Json, inputs: Json) -> None:
    for key, spec in specs.items():
        listed = inputs.get("artifacts", {}).get(key, {}).get("artifacts", [])
        # One without an address was never written.
        arrived = any(artifact.get("uri") for artifact in listed)
        if _title(spec.get("artifactType", {})) in _BLESSING_TITLES and not arrived:
            raise ParameterError(
                f"Input {key!r} is wired to a blessing, and none arrived. The step does not start: without a blessing "
                "TFX's Pusher pushes every model. Look at the step that gives it."
            )


def _is_model_blessing(artifacts: Json) -> bool:
    return any(_title(artifact.get("type", {})) == _MODEL_BLESSING_TITLE for artifact in artifacts.get("artifacts", []))


def _in_this_image(name: str, value: Any) -> Any:
    """A folder of a package as a path; every other value as it is."""
    if not isinstance(value, str) or not value.startswith(PACKAGE_SCHEME):
        return value
    package, _, folder = value.removeprefix(PACKAGE_SCHEME).partition("/")
    # Of a name without a dot, this imports nothing.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    paths = [os.path.join(place, folder) for place in places if os.path.isdir(os.path.join(place, folder))]
    if not paths or ".." in folder.split("/"):
        raise ParameterError(
            f"{name}={value!r} is no folder of a package of this image. Install {package} in the image, or give data_root."
        )
    return paths[0]


def _title(kind: Json) -> str:
    found = _TITLE.search(kind.get("instanceSchema", ""))
    return str(kind.get("schemaTitle") or (found.group(1) if found else ""))


def _named(name: str, value: Any, names: Mapping[float, str]) -> Any:
    return names.get(float(value), value) if name in _MODEL_ID_KEYS and isinstance(value, int | float) else value


def _id_of(name: str) -> float:
    """The id that TFX's entrypoint gives an artifact of this name, as it arrives in metadata: a double."""
    return float(int(hashlib.sha256(name.encode()).hexdigest(), 16) % (1 << 63))
