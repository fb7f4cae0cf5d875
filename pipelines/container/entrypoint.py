"""One step in its container: reads the command line and the environment, then runs the executor by TFX's entrypoint.

Only the standard library is imported at the top.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tfx_privacy import compat
from tfx_privacy.errors import ParameterError, TFXPrivacyError
from tfx_privacy.pipelines.container import MIRROR_ROOT_VARIABLE, MODULE
from tfx_privacy.pipelines.container.folder_markers import remove_folder_markers, remove_remote_markers
from tfx_privacy.pipelines.container.translation import Json, Mirrors, artifacts_of, report, translate

# Exit code of what can be mended outside: an argument, an environment variable. A failed executor ends with 1.
_EXIT_MISCONFIGURED = 2

_LEDGER_PARAMETER = "ledger"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ParameterError(f"{message}. `tfx-privacy compile` writes the arguments of {MODULE}.")


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says to this module; everything else in it is TFX's, or Beam's."""

    executor_class_path: str
    executor_input: Json
    inputs_spec: Json
    local_mirrors: bool
    remote_workers: bool
    run_driver: bool
    required: tuple[str, ...]
    beam_arguments: tuple[str, ...]


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
                f"The environment variable {name} is not set, and {options.executor_class_path} needs it. Give it to "
                f"the container: compile with --secret {name}=SECRET:KEY for a Kubernetes secret, or set it in the "
                "image or by the cluster."
            )
    from tfx_privacy.records import signing

    signing.signing_key(environ)
    signing.verification_keys(environ)
    ledger = options.executor_input.get("inputs", {}).get("parameterValues", {}).get(_LEDGER_PARAMETER)
    if isinstance(ledger, str) and ledger.startswith("env:"):
        from tfx_privacy.ledger import source

        source.resolve(ledger, environ)


def prepare(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Options, Json, Mirrors]:
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
    for artifact in artifacts_of(executor_input["inputs"]):
        if artifact["uri"] in mirrors.folders.values():
            for path in remove_folder_markers(artifact["uri"]):
                print(f"Removed the marker of a folder: {path}", file=sys.stderr)
    return options, executor_input, mirrors


def execute(options: Options, executor_input: Json, mirrors: Mirrors) -> None:
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

    compat.use_local_beam_runner()
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
    if options.remote_workers:
        for path in remove_remote_markers(artifact["uri"] for artifact in artifacts_of(executor_input["outputs"])):
            print(f"Removed the marker of a folder: {path}", file=sys.stderr)
    reported = report(_read_json(fileio, output_file), executor_input, mirrors, driver_output)
    with fileio.open(output_file, "w") as file:
        file.write(json.dumps(reported))


def _read_json(fileio: Any, path: str) -> Json:
    with fileio.open(path, "r") as file:
        return _object(path, file.read())


def _object(name: str, text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ParameterError(
            f"{name} is no JSON: {error}. Kubeflow writes it; by hand, use `tfx-privacy run-ir`."
        ) from error
    if not isinstance(value, dict):
        raise ParameterError(f"{name} is no JSON object, but a {type(value).__name__}.")
    return value


def start(argv: Sequence[str]) -> NoReturn:
    """Runs one step and ends the process: 0, 1 if the executor failed, 2 if an argument or the environment is wrong."""
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
