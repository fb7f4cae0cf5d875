"""Imports TensorFlow once, and runs DPTrainer in forked children: `python trainer_zygote.py`, a JSON request a line.

TensorFlow must not be forked after it has worked, so this process only imports it. A request names the folder of a
`Bench` that is there already, execution properties, and where the child kills itself; the answer is the child's exit
code, negative for a signal.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import traceback
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TESTS = pathlib.Path(__file__).parent
MOMENTS = (
    "before the charge's commit",
    "after the charge's commit",
    "after the start",
    "in a step",
    "before saving",
    "after saving",
    "after commit",
)
"""Where a child can kill itself; a validator is killed by test_killed_training.py."""


class Zygote:
    """The process, as tests see it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
        )

    def run(
        self, root: pathlib.Path, *, kill: str | None = None, log: pathlib.Path | None = None, **properties: Any
    ) -> int:
        """Runs DPTrainer in a child.

        Args:
          root: Folder of a bench.
          kill: One of `MOMENTS`, or None.
          log: File for what the child prints.
          **properties: Execution properties.

        Returns:
          Its exit code, negative for a signal.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "root": str(root), "kill": kill, "log": str(log or os.devnull), "properties": properties, "environ": dict(os.environ),
        }  # fmt: skip
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def _child(request: dict[str, Any]) -> None:
    output = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(request["environ"])
    from trainer_bench import Bench

    from tfx_privacy import DPParameters
    from tfx_privacy.components.dp_trainer import executor, reporting

    _arm(request["kill"], executor, reporting)
    properties = request["properties"]
    privacy = DPParameters.from_json(properties.pop("privacy"))
    Bench(pathlib.Path(request["root"]), new=False).run(privacy, **properties)


def _kill(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_in_step(progress: Any) -> None:
    if progress.step == 8:
        _kill()


def _and_kill(action: Any) -> Any:
    """Does it, and dies."""
    return lambda *args, **kwargs: _kill(action(*args, **kwargs))


def _dying_in_commit(reserve: Any) -> Any:
    """The database gets everything but the COMMIT."""
    import sqlalchemy as sa

    def wrapped(ledger: Any, *args: Any, **kwargs: Any) -> Any:
        ledger._reader.order(args[1])  # reads, in a transaction of its own
        sa.event.listen(ledger._database._engine, "commit", _kill)
        return reserve(ledger, *args, **kwargs)

    return wrapped


def _arm(moment: str | None, executor: Any, reporting: Any) -> None:
    """Makes the process die at one of `MOMENTS`."""
    from tfx_privacy.ledger import Ledger

    ledger: Any = Ledger
    places: dict[str, tuple[Any, str, Any]] = {
        "before the charge's commit": (ledger, "reserve", _dying_in_commit(ledger.reserve)),
        "after the charge's commit": (ledger, "reserve", _and_kill(ledger.reserve)),
        "after the start": (ledger, "start", _and_kill(ledger.start)),
        "in a step": (reporting, "reporter", lambda *_: _kill_in_step),
        "before saving": (executor, "_save", _kill),
        "after saving": (executor, "_save", _and_kill(executor._save)),
        "after commit": (executor, "write_guarantee", _kill),
    }
    assert tuple(places) == MOMENTS
    if moment is not None:
        setattr(*places[moment])


def main() -> None:
    """Answers requests until there are no more."""
    sys.path.insert(0, str(TESTS))
    import trainer_bench  # noqa: F401

    import tfx_privacy.components.dp_trainer.executor  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _child(request)
                code = 0
            except BaseException:  # noqa: BLE001 - the exit code says it, the log has it
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
