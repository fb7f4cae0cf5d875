"""Applies every privacy bug of `mutants`, and demands that the fast tests find each.

    python tests/mutation/run.py [--only WORD] [--processes 2]

Prints killed or survived for each, or skipped where all its tests need what is not installed, and ends with 1 if one
survived or could not be applied. No file is changed:
TensorFlow is imported once, and each bug gets a forked process in which the import system hands out the changed module.
"""

from __future__ import annotations

import argparse
import ast
import gc
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
from typing import Any, NamedTuple

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from addressing import Package, Place
from mutants import MUTANTS, POSTGRESQL, Mutant

TESTS = pathlib.Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
SECONDS = 600
KILLED = 1  # pytest's exit code when tests failed
SKIPPED = 20  # none of pytest's
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
    "attr",
    "scipy.fft",
    "scipy.signal",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "click.testing",
    "jinja2",
    "pygments.lexers",
    "sklearn.linear_model",
    "google.protobuf.json_format",
)


class Bug(NamedTuple):
    """A mutant that is ready to run."""

    mutant: Mutant
    place: Place
    tree: ast.Module
    tests: list[str]


class _Running(NamedTuple):
    bug: Bug
    log: pathlib.Path
    started: float


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from its changed tree."""

    def __init__(self, bug: Bug) -> None:
        super().__init__(bug.place.module, str(bug.place.path))
        self._tree = bug.tree

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._tree, self.path)


class _Finder(importlib.abc.MetaPathFinder):
    """Hands out the changed module."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._bug.place.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self._bug.place.path, loader=_Changed(self._bug))


def prepared(mutant: Mutant, code: Package) -> Bug:
    """The mutant, applied.

    Raises:
      ValueError: If its place or one of its tests is not there, or is there several times.
    """
    place = code.find(mutant.where)
    tests = [_test(name) for name in mutant.tests.split()]
    return Bug(mutant, place, place.changed(mutant.old, mutant.new), tests)


def all_prepared(mutants: Sequence[Mutant]) -> tuple[list[Bug], list[str]]:
    """The mutants, applied, and what is wrong with those that cannot be."""
    code = Package(ROOT / "src" / "tfx_privacy", without=["templates", "third_party"])  # projects of their own
    bugs, problems = [], []
    for mutant in mutants:
        try:
            bugs.append(prepared(mutant, code))
        except ValueError as error:
            problems.append(f"{mutant.name} ({mutant.where}): {error}")
    return bugs, problems


def _test(name: str) -> str:
    """What pytest calls a file of tests, or one test of it: `file` or `file::test`."""
    name, _, function = name.partition("::")
    found = list(TESTS.rglob(f"{name}.py"))
    if len(found) != 1:
        raise ValueError(f"{len(found)} files under {TESTS} are named {name}.py")
    if not function:
        return str(found[0])
    if f"\ndef {function}(" not in found[0].read_text(encoding="utf-8"):
        raise ValueError(f"{found[0]} has no test {function}")
    return f"{found[0]}::{function}"


def run_tests(bug: Bug, log: pathlib.Path) -> None:
    """In the forked process: runs the tests and ends with pytest's exit code."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.meta_path.insert(0, _Finder(bug))
    import pytest

    # A test that is named is run, slow or not.
    chosen = "not long" if all("::" in test for test in bug.tests) else "not slow"
    # What costs half of the time of a small test: plugins, collections of garbage, assertions rewritten.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    without = [argument for name in ("cacheprovider", "unraisableexception") for argument in ("-p", f"no:{name}")]
    arguments = ["-x", "-q", "-m", chosen, *without, "--assert=plain", f"--rootdir={ROOT}"]
    basetemp = log.with_suffix(".tmp")
    ran = _Ran()
    code = int(pytest.main([*arguments, f"--basetemp={basetemp}", *bug.tests], plugins=[ran]))
    os._exit(SKIPPED if code == 0 and not ran.any else code)


class _Ran:
    """A plugin of pytest's that sees whether any test ran."""

    any = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.any = self.any or (report.when == "call" and not report.skipped)


def main() -> int:
    """Runs all, and prints a line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="bugs whose name, address or module holds this word")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    mutants = MUTANTS if _has_postgresql() else [mutant for mutant in MUTANTS if mutant not in POSTGRESQL]
    bugs, problems = all_prepared(mutants)
    problems = [problem for problem in problems if options.only in problem]
    if problems:
        print(*problems, sep="\n")
        return 1
    chosen = [bug for bug in bugs if options.only in f"{bug.mutant.name} {bug.mutant.where} {bug.place.module}"]
    if not chosen:
        parser.error(f"no bug holds the word {options.only}")
    _import_shared()
    logs = ROOT / ".cache" / "mutation"
    logs.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    survived, skipped = _run_all(chosen, logs, options.processes)
    killed, minutes = len(chosen) - len(survived) - len(skipped), (time.monotonic() - started) / 60
    counts = f"{killed} of {len(chosen)} killed, {len(survived)} survived, {len(skipped)} skipped"
    print(f"{counts}, in {minutes:.0f} min", *survived, *skipped, sep="\n")
    return 1 if survived else 0


def _has_postgresql() -> bool:
    sys.path.insert(0, str(TESTS / "helpers"))
    server = importlib.import_module("postgresql_server")
    try:
        return bool(server.program("postgres"))
    except server.NoServerError:
        return False


def _import_shared() -> None:
    for module in SHARED:
        importlib.import_module(module)
    loaded = [name for name in sys.modules if name.startswith("tfx_privacy")]
    assert not loaded, loaded
    gc.collect()
    gc.freeze()  # the forked processes need not look at what is shared


def _run_all(chosen: Sequence[Bug], logs: pathlib.Path, processes: int) -> tuple[list[str], list[str]]:
    """The lines of those that survived, and of those whose tests were all skipped.

    They are printed again at the end, hundreds of lines after they ran.
    """
    waiting = list(enumerate(chosen))
    running: dict[int, _Running] = {}
    survived, skipped = [], []
    while waiting or running:
        while waiting and len(running) < processes:
            number, bug = waiting.pop(0)
            child, started = _start(bug, logs / f"{number:02d}.log")
            running[child] = started
        time.sleep(0.2)
        for child, one in list(running.items()):
            code = _ended(child, one.started)
            if code is not None:
                del running[child]
                told = _told(one, _outcome(code))
                print(told, flush=True)
                if code == SKIPPED:
                    skipped.append(told)
                elif code != KILLED:
                    survived.append(told)
    return survived, skipped


def _start(bug: Bug, log: pathlib.Path) -> tuple[int, _Running]:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        run_tests(bug, log)
    return child, _Running(bug, log, time.monotonic())


def _told(one: _Running, outcome: str) -> str:
    seconds = time.monotonic() - one.started
    mutant, place = one.bug.mutant, one.bug.place
    return f"{outcome:9} {seconds:4.0f} s  {mutant.name}  ({place.module}; {one.log.relative_to(ROOT)})"


def _ended(child: int, started: float) -> int | None:
    """The exit code; None while it runs. What never ends is found as well: it is killed."""
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        return os.waitstatus_to_exitcode(status)
    if time.monotonic() - started > SECONDS:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return KILLED
    return None


def _outcome(code: int) -> str:
    """Anything but success and failing tests means that the tests could not run."""
    return {0: "SURVIVED", KILLED: "killed", SKIPPED: "skipped"}.get(code, f"BROKEN {code}")


if __name__ == "__main__":
    sys.exit(main())
