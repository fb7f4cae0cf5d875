"""Applies every privacy bug of `mutants.py`, and demands that the fast tests find each.

    python tests/mutation/run.py [--only WORD] [--processes 2]

Prints killed or survived for each, and ends with 1 if one survived or could not be applied. No file is changed: TensorFlow is
imported once, and each bug gets a forked process in which the import system hands out the changed source.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pathlib
import signal
import sys
import time
from collections.abc import Sequence
from types import CodeType, ModuleType

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TESTS = pathlib.Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
SECONDS = 600
# What costs seconds to import, and holds nothing of ours. Nothing of TensorFlow runs before the fork.
SHARED = (
    "numpy",
    "scipy.stats",
    "scipy.optimize",
    "tensorflow",
    "tf_keras",
    "keras",
    "pytest",
    "hypothesis",
    "pydantic",
    "dp_accounting.pld",
)

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from mutants import MUTANTS, Mutant


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from source with one place changed."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = mutated(self._mutant, pathlib.Path(self.path).read_text())
        return self.source_to_code(source.encode(), self.path)


class _Finder(importlib.abc.MetaPathFinder):
    """Hands out the changed module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        file = str(source_file(self._mutant))
        return importlib.util.spec_from_file_location(fullname, file, loader=_Changed(self._mutant, file))


def source_file(mutant: Mutant) -> pathlib.Path:
    """The module's file."""
    return ROOT / "src" / (mutant.module.replace(".", "/") + ".py")


def mutated(mutant: Mutant, source: str) -> str:
    """The source with the bug.

    Raises:
      ValueError: If the place is not there, or is there several times.
    """
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: the place stands {source.count(mutant.old)} times in {mutant.module}")
    changed = source.replace(mutant.old, mutant.new)
    compile(changed, mutant.module, "exec")
    return changed


def run_tests(mutant: Mutant, log: pathlib.Path) -> None:
    """In the forked process: runs the tests and ends with pytest's exit code."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.meta_path.insert(0, _Finder(mutant))
    import pytest

    files = [str(TESTS / f"{name}.py") for name in mutant.tests.split()]
    arguments = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:randomly", f"--rootdir={ROOT}"]
    basetemp = log.with_suffix(".tmp")
    os._exit(int(pytest.main([*arguments, f"--basetemp={basetemp}", *files])))


def main() -> int:
    """Runs all, and prints a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="bugs whose name or module holds this word")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in f"{mutant.name} {mutant.module}"]
    for mutant in chosen:
        mutated(mutant, source_file(mutant).read_text())
    for module in SHARED:
        importlib.import_module(module)
    loaded = [name for name in sys.modules if name.startswith("tfx_privacy")]
    assert not loaded, loaded
    logs = ROOT / ".cache" / "mutation"
    logs.mkdir(parents=True, exist_ok=True)
    outcomes = _run_all(chosen, logs, options.processes)
    survived = [name for name, outcome in outcomes.items() if outcome != "killed"]
    print(f"{len(outcomes) - len(survived)} of {len(outcomes)} killed, {len(survived)} survived")
    return 1 if survived else 0


def _run_all(chosen: Sequence[Mutant], logs: pathlib.Path, processes: int) -> dict[str, str]:
    waiting = list(enumerate(chosen))
    running: dict[int, tuple[Mutant, pathlib.Path, float]] = {}
    outcomes: dict[str, str] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            number, mutant = waiting.pop(0)
            log = logs / f"{number:02d}.log"
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                run_tests(mutant, log)
            running[child] = (mutant, log, time.monotonic())
        time.sleep(0.2)
        for child, (mutant, log, started) in list(running.items()):
            code = _ended(child, started)
            if code is None:
                continue
            del running[child]
            outcomes[mutant.name] = _outcome(code)
            seconds = time.monotonic() - started
            print(
                f"{outcomes[mutant.name]:9} {seconds:4.0f} s  {mutant.name}  ({mutant.module}; {log.relative_to(ROOT)})",
                flush=True,
            )
    return outcomes


def _ended(child: int, started: float) -> int | None:
    """The exit code; None while it runs. What never ends is found as well: it is killed."""
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        return os.waitstatus_to_exitcode(status)
    if time.monotonic() - started > SECONDS:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 1
    return None


def _outcome(code: int) -> str:
    """Failing tests kill; anything else but success means that the tests could not run."""
    return {0: "SURVIVED", 1: "killed"}.get(code, f"BROKEN {code}")


if __name__ == "__main__":
    sys.exit(main())
