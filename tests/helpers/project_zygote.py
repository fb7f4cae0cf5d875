"""Imports TensorFlow, Beam and TFX once, and runs Python commands in forked children, one JSON request a line.

These libraries must not be forked after they have worked, so this process only imports them. A child is what `python`
would be in another folder with another environment, half a minute of imports later.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import time
import traceback
from typing import Any

TESTS = pathlib.Path(__file__).parent

_IMPORTED = (
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tfx.components",
    "tfx.dsl.components.common.resolver",
    "tfx.orchestration.local.local_dag_runner",
    "tfx_privacy.components.budget_validator.executor",
    "tfx_privacy.components.dp_trainer.executor",
    "tfx_privacy.components.privacy_evaluator.executor",
    "tfx_privacy.ledger",
    "tfx_privacy.pipelines.kubeflow",
    "tfx_privacy.pipelines.lint",
    "tfx_privacy.pipelines.results",
)


class Zygote:
    """The process, as tests see it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
        )

    def run(self, *arguments: str, cwd: pathlib.Path, environ: dict[str, str], log: pathlib.Path) -> int:
        """Runs `python ARGUMENTS`, a script or `-m` and a module with its arguments; safe from several threads.

        Args:
          *arguments: Of the command.
          cwd: Where to.
          environ: The child's environment.
          log: File for what it prints.

        Returns:
          Its exit code.
        """
        assert self._process.stdin is not None
        ended = log.with_name(f"{log.name}.ended")
        request = {"arguments": arguments, "cwd": str(cwd), "environ": environ, "log": str(log), "ended": str(ended)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        while not ended.exists():
            assert self._process.poll() is None, "the zygote died"
            time.sleep(0.1)
        return int(ended.read_text())

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def _child(request: dict[str, Any]) -> int:
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    # As `python` has it: the folder of the script, or the working folder for `-m`; both are the project here.
    sys.path[0] = request["cwd"]
    arguments = request["arguments"]
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Answers requests until there are no more."""
    for module in _IMPORTED:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        # Somebody has to wait for the child while this process takes the next request.
        waiting = os.fork()
        if waiting:
            continue
        child = os.fork()
        if child == 0:
            code = _child(request)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        unfinished = pathlib.Path(f"{request['ended']}.new")
        unfinished.write_text(str(os.waitstatus_to_exitcode(status)))
        unfinished.rename(request["ended"])
        os._exit(0)


if __name__ == "__main__":
    main()
