"""Imports TFX once, and forks a process for each step: `python -m tfx_privacy.pipelines.ir_runner.zygote CLASS...`.

TensorFlow must not be forked after it has worked, so this process only imports it. A request is a line of JSON on
standard input; the answer is the exit code. What a forked process keeps of this one are imported modules, and nothing
of an earlier request: it gets its own environment, folder, arguments and log.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from typing import Any, NoReturn

_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"


def main(classes: list[str]) -> None:
    """Answers requests until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    # What is imported may print, and must not read.
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for module in (_ENTRYPOINT, *(name.rpartition(".")[0] for name in classes)):
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001 - the step that needs it says so
            traceback.print_exc()
    gc.freeze()
    for line in requests:
        child = os.fork()
        if child == 0:
            requests.close()
            answers.close()
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _run(request: dict[str, Any]) -> NoReturn:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    tempfile.tempdir = None
    sys.argv = [request["module"], *request["arguments"]]
    code = 1
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:  # noqa: BLE001 - the exit code says it, the log has it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
