"""What runs in the containers of a compiled pipeline: `python -m tfx_privacy.pipelines.container`.

TFX's own entrypoint expects what Vertex AI hands over. The launcher of open-source Kubeflow Pipelines hands over less, and this module
makes up for it before TFX's entrypoint runs the executor:

* artifacts of earlier steps arrive with a blank type, or with `system.Artifact`: the component's inputs spec, which stands in the
  arguments, says what they are;
* URIs are remote (`minio://`, `s3://`, `gs://`), and TFX cannot open the first two: with `--local_mirrors` they become the folders that
  the launcher downloads to and uploads from, and remote URIs again in what is reported. Workers of Flink or Dataflow do not see these
  folders: with `--remote_workers` `gs://` stays, and the others are refused;
* zero-byte objects that stand for folders arrive as files: they are removed;
* parameters without a value arrive as null: they are left out;
* the log of the container arrives as one more output: it is none of the component's;
* no driver runs: with `--run_driver`, the one of file-based ExampleGens runs here, before the executor.

Everywhere: numeric ids of models in a ModelBlessing become the names by which Kubeflow knows them (TFX does it for subclasses of its
Evaluator alone), and whatever the environment lacks is named before TensorFlow is imported.

Only the standard library is imported at the top. The launcher's side of all this, with sources, is in `ir_runner.launcher`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from tfx_privacy.privacy.errors import ParameterError, TFXPrivacyError

MODULE = "tfx_privacy.pipelines.container"
COMMAND = ("python", "-m", MODULE)
MIRROR_ROOT_VARIABLE = "TFX_PRIVACY_MIRROR_ROOT"
"""Where the launcher's folders /gcs, /s3 and /minio are, if not at the root of the file system; for runs without a container."""

# Exit code of what can be mended outside: an argument, an environment variable. A failed executor ends with 1.
_EXIT_MISCONFIGURED = 2

UNREADABLE_SCHEMES = ("s3://", "minio://")
"""What TensorFlow's file system cannot open without plugins."""

_MIRRORS = {"gs": "gcs", "s3": "s3", "minio": "minio"}
_LEDGER_PARAMETER = "ledger"
_LOGS = "executor-logs"
_MODEL_BLESSING_TITLE = "tfx.ModelBlessing"
_BLESSING_TITLES = (_MODEL_BLESSING_TITLE, "tfx.InfraBlessing")
_MODEL_ID_KEYS = ("current_model_id", "baseline_model_id")
_SAVED_MODEL = "saved_model.pb"
# Folders of a SavedModel that may be empty, which an object store can only say by an object without bytes.
_SAVED_MODEL_FOLDERS = ("assets", "assets.extra", "variables")
_FOLDER_SUFFIX = "_$folder$"
_TITLE = re.compile(r"^\s*title\s*:\s*['\"]?([^'\"\s]+)", re.MULTILINE)

_Json = dict[str, Any]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"{message}. `tfx-privacy compile` writes the arguments of {MODULE}.")


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says to this module; everything else in it is TFX's, or Beam's."""

    executor_class_path: str
    executor_input: _Json
    inputs_spec: _Json
    local_mirrors: bool
    remote_workers: bool
    run_driver: bool
    required: tuple[str, ...]
    beam_arguments: tuple[str, ...]


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


def parse(argv: Sequence[str]) -> Options:
    """Reads the command line.

    Args:
      argv: Arguments as TFX's compiler writes them, and those of `pipelines.kubeflow`.

    Raises:
      ParameterError: If one is missing, or is no JSON.
    """
    parser = _Parser(prog=f"python -m {MODULE}", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}")
    parser.add_argument("--local_mirrors", action="store_true")
    parser.add_argument("--remote_workers", action="store_true")
    parser.add_argument("--run_driver", action="store_true")
    parser.add_argument("--requires_env", action="append", default=[], metavar="VARIABLE")
    given, rest = parser.parse_known_args(list(argv))
    return Options(
        executor_class_path=given.executor_class_path,
        executor_input=_object("--json_serialized_invocation_args", given.json_serialized_invocation_args),
        inputs_spec=_object("--json_serialized_inputs_spec_args", given.json_serialized_inputs_spec_args),
        local_mirrors=given.local_mirrors,
        remote_workers=given.remote_workers,
        run_driver=given.run_driver,
        required=tuple(given.requires_env),
        beam_arguments=tuple(rest),
    )


def check_environment(options: Options, environ: Mapping[str, str]) -> None:
    """Refuses to start without what the step reads from its environment.

    Args:
      options: Of the command line.
      environ: The environment.

    Raises:
      ParameterError: If a variable is not set, or holds a malformed key.
      LedgerError: If the ledger's address is missing or cannot be used.
    """
    for name in options.required:
        if not environ.get(name, "").strip():
            raise ParameterError(
                f"The environment variable {name} is not set, and {options.executor_class_path} needs it. Give it to the container: "
                f"compile with --secret {name}=SECRET:KEY for a Kubernetes secret, or set it in the image or by the cluster."
            )
    from tfx_privacy.privacy import signing

    signing.signing_key(environ)
    signing.verification_keys(environ)
    ledger = options.executor_input.get("inputs", {}).get("parameterValues", {}).get(_LEDGER_PARAMETER)
    if isinstance(ledger, str) and ledger.startswith("env:"):
        from tfx_privacy.ledger import source

        source.resolve(ledger, environ)


def translate(
    executor_input: _Json, inputs_spec: _Json, mirror_root: str | None, *, remote_workers: bool = False
) -> tuple[_Json, Mirrors]:
    """An ExecutorInput as TFX's entrypoint needs it.

    Args:
      executor_input: As the launcher wrote it, in proto3's JSON; it is not changed.
      inputs_spec: ComponentInputsSpec of the component.
      mirror_root: Folder that holds `gcs`, `s3` and `minio`; None to leave URIs as they are.
      remote_workers: Whether other machines read and write the artifacts as well, and so need their remote addresses.

    Returns:
      The ExecutorInput, and which URI became which path.

    Raises:
      ParameterError: If remote workers cannot open an address, a blessing is missing that the spec names (TFX's Pusher pushes without one), or an input has no type, and the
        spec does not say it.
    """
    translated: _Json = json.loads(json.dumps(executor_input))
    inputs, outputs = translated.setdefault("inputs", {}), translated.setdefault("outputs", {})
    outputs.get("artifacts", {}).pop(_LOGS, None)
    artifacts = [*_artifacts(inputs), *_artifacts(outputs)]
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
    inputs["parameterValues"] = {name: value for name, value in values.items() if value is not None}
    return translated, mirrors


def report(
    executor_output: _Json, executor_input: _Json, mirrors: Mirrors, driver_output: _Json | None = None
) -> _Json:
    """An ExecutorOutput as Kubeflow needs it.

    Args:
      executor_output: As TFX's entrypoint wrote it, in proto3's JSON.
      executor_input: What TFX's entrypoint was given.
      mirrors: Of `translate`.
      driver_output: What a driver wrote before; its metadata stand where the executor gives none.

    Returns:
      The same with remote URIs, and with names in the place of numbers for models in a ModelBlessing.
    """
    names = {
        _id_of(artifact["name"]): artifact["name"]
        for artifact in _artifacts(executor_input["inputs"])
        if artifact.get("name")
    }
    reported: _Json = json.loads(json.dumps(executor_output))
    for key, artifacts in reported.get("artifacts", {}).items():
        is_blessing = _is_model_blessing(executor_input["outputs"].get("artifacts", {}).get(key, {}))
        earlier = next(_artifacts({"artifacts": {key: (driver_output or {}).get("artifacts", {}).get(key, {})}}), {})
        for artifact in artifacts.get("artifacts", []):
            metadata = {**earlier.get("metadata", {}), **artifact.get("metadata", {})}
            if is_blessing:
                metadata = {name: _named(name, value, names) for name, value in metadata.items()}
            artifact["uri"] = mirrors.remote(artifact.get("uri", ""))
            artifact["metadata"] = _mapped(metadata, mirrors.remote)
    return reported


def remove_folder_markers(root: str) -> list[str]:
    """Removes zero-byte files below a downloaded artifact that stand for folders, and makes the folders.

    A marker is what an object store keeps for an empty folder: `assets` beside a `saved_model.pb`, a name that ends in `_$folder$`, or
    the artifact's own folder. Other files without bytes are left: an empty `BLESSED` is a verdict.

    Args:
      root: Path of the artifact.

    Returns:
      Paths of the files that were removed.
    """
    if _is_empty_file(root):
        _to_folder(root)
        return [root]
    removed = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            of_model = name in _SAVED_MODEL_FOLDERS and _SAVED_MODEL in names
            if not (of_model or name.endswith(_FOLDER_SUFFIX)) or not _is_empty_file(path):
                continue
            if of_model:
                _to_folder(path)
            else:
                os.remove(path)
                os.makedirs(path.removesuffix(_FOLDER_SUFFIX), exist_ok=True)
            removed.append(path)
    return removed


def prepare(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Options, _Json, Mirrors]:
    """Everything before the executor: checks, the ExecutorInput in its terms, the folders of its inputs.

    Args:
      argv: The command line without the program.
      environ: The environment.

    Returns:
      The options, the ExecutorInput, and which URI became which path.

    Raises:
      ParameterError: If an argument or an environment variable is missing or malformed.
      LedgerError: If the ledger's address is missing or cannot be used.
    """
    options = parse(argv)
    check_environment(options, environ)
    root = environ.get(MIRROR_ROOT_VARIABLE, "/") if options.local_mirrors else None
    executor_input, mirrors = translate(
        options.executor_input, options.inputs_spec, root, remote_workers=options.remote_workers
    )
    for artifact in _artifacts(executor_input["inputs"]):
        if artifact["uri"] in mirrors.folders.values():
            for path in remove_folder_markers(artifact["uri"]):
                print(f"Removed the marker of a folder: {path}", file=sys.stderr)
    return options, executor_input, mirrors


def execute(options: Options, executor_input: _Json, mirrors: Mirrors) -> None:
    """Runs the executor by TFX's entrypoint, and reports as Kubeflow needs it.

    Args:
      options: Of the command line.
      executor_input: Of `prepare`.
      mirrors: Of `prepare`.

    Raises:
      Exception: What the executor raised.
    """
    # Half a minute of imports, and libraries that may not be there: nothing before needs them.
    from absl import flags
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    flags.FLAGS(sys.argv[:1])
    output_file = executor_input["outputs"].get("outputFile", "")
    arguments = argparse.Namespace(
        executor_class_path=options.executor_class_path,
        json_serialized_invocation_args=json.dumps(executor_input),
        # Without a spec TFX looks for the parameters of schema 2.0.
        json_serialized_inputs_spec_args=json.dumps(options.inputs_spec) if options.inputs_spec else None,
    )
    if options.run_driver:
        from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver

        driver.main(arguments)
    driver_output = _read_json(fileio, output_file) if fileio.exists(output_file) else None
    kubeflow_v2_run_executor.main((arguments, list(options.beam_arguments)))
    reported = report(_read_json(fileio, output_file), executor_input, mirrors, driver_output)
    with fileio.open(output_file, "w") as file:
        file.write(json.dumps(reported))


def _read_json(fileio: Any, path: str) -> _Json:
    with fileio.open(path, "r") as file:
        return _object(path, file.read())


def _object(name: str, text: str) -> _Json:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ParameterError(
            f"{name} is no JSON: {error}. Kubeflow writes it; by hand, use `tfx-privacy run-ir`."
        ) from error
    if not isinstance(value, dict):
        raise ParameterError(f"{name} is no JSON object, but a {type(value).__name__}.")
    return value


def _artifacts(part: _Json) -> Iterator[_Json]:
    """The artifacts of an ExecutorInput's `inputs` or `outputs`."""
    for artifacts in part.get("artifacts", {}).values():
        yield from artifacts.get("artifacts", [])


def _require_readable_by_workers(artifacts: Sequence[_Json]) -> None:
    for artifact in artifacts:
        uri = artifact.get("uri", "")
        if uri.startswith(UNREADABLE_SCHEMES):
            raise ParameterError(
                f"{uri!r} is no address that workers of a remote Beam runner can open. Start the run with a pipeline root of gs://, or use "
                "the DirectRunner."
            )


def _mirrors(artifacts: Sequence[_Json], root: str | None) -> Mirrors:
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


def _mapped(metadata: _Json, move: Any) -> _Json:
    """Metadata whose texts are moved: a ModelBlessing names the URI of its model."""
    return {name: move(value) if isinstance(value, str) else value for name, value in metadata.items()}


def _type_of(key: str, artifact: _Json, spec: _Json | None) -> _Json:
    """The type of an input: what the component was compiled for, whatever arrives."""
    if spec is not None and spec.get("artifactType"):
        return dict(spec["artifactType"])
    given = artifact.get("type", {})
    if not (given.get("schemaTitle") or given.get("instanceSchema")):
        raise ParameterError(
            f"Input {key!r} ({artifact.get('uri')}) arrived without a type, and the inputs spec does not name it. Compile the pipeline with "
            "`tfx-privacy compile`: TFX writes the inputs spec for schema 2.1 alone."
        )
    return dict(given)


def _require_blessings(specs: _Json, inputs: _Json) -> None:
    for key, spec in specs.items():
        arrived = inputs.get("artifacts", {}).get(key, {}).get("artifacts", [])
        if _title(spec.get("artifactType", {})) in _BLESSING_TITLES and not arrived:
            raise ParameterError(
                f"Input {key!r} is wired to a blessing, and none arrived. The step does not start: without a blessing TFX's Pusher pushes "
                "every model. Look at the step that gives it."
            )


def _is_model_blessing(artifacts: _Json) -> bool:
    return any(_title(artifact.get("type", {})) == _MODEL_BLESSING_TITLE for artifact in artifacts.get("artifacts", []))


def _title(kind: _Json) -> str:
    found = _TITLE.search(kind.get("instanceSchema", ""))
    return str(kind.get("schemaTitle") or (found.group(1) if found else ""))


def _named(name: str, value: Any, names: Mapping[float, str]) -> Any:
    return names.get(float(value), value) if name in _MODEL_ID_KEYS and isinstance(value, int | float) else value


def _id_of(name: str) -> float:
    """The id that TFX's entrypoint gives an artifact of this name, as it arrives in metadata: a double."""
    return float(int(hashlib.sha256(name.encode()).hexdigest(), 16) % (1 << 63))


def _is_empty_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) == 0


def _to_folder(path: str) -> None:
    os.remove(path)
    pathlib.Path(path).mkdir()


def _start(argv: Sequence[str]) -> NoReturn:
    try:
        prepared = prepare(argv, os.environ)
    except TFXPrivacyError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(_EXIT_MISCONFIGURED)
    code = 1
    try:
        execute(*prepared)
        code = 0
    except BaseException:  # noqa: BLE001 - the exit code says it, the log has it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Libraries that crash while the interpreter shuts down must not undo what was done, nor threads that never end.
    os._exit(code)


if __name__ == "__main__":
    _start(sys.argv[1:])
