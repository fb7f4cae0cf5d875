"""Processes that train against a ledger and are killed at named points.

They make the requests that `components/dp_trainer/charge.py` makes, in its order, and write what a training would have
released to a file of the world. The trainings themselves are left out: charge.py needs TensorFlow, whose import takes
longer than a hundred runs here; test_ledger_trainer.py kills the real DPTrainer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import traceback
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from ledgers import BUDGET, DATASET, KIND, RUN, attempt_id, open_ledger

from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import BudgetError
from tfx_privacy.ledger import Ledger, new_run_id

POINTS = (
    "before reserve's commit",
    "after reserve's commit",
    "after the started flag",
    "mid-step",
    "after the last step, before save",
    "after save, before commit",
    "after commit, before publish",
    "during blessing",
)
REFUSED = 3
_CHUNKS = 4
_STEPS = RUN.steps // _CHUNKS


class World:
    """What really happened: lines that are on the disk before the next thing happens."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "world"

    def add(self, kind: str, run_id: str, value: Any = None) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{json.dumps([kind, run_id, value])}\n".encode())
        os.fsync(descriptor)
        os.close(descriptor)

    def of(self, kind: str) -> list[tuple[str, Any]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [(run_id, value) for found, run_id, value in map(json.loads, lines) if found == kind]


def warm_up() -> None:
    """Computes a run's cost once, so forked processes need not import the accountant."""
    order = renyi_filter.best_order(epsilon=BUDGET["epsilon"], delta=BUDGET["delta"])
    for chunks in range(1, _CHUNKS + 1):
        _cost(order, chunks)


def forked(action: Callable[[], int | None]) -> int:
    """Starts a process; its exit code is what the action returns."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        code = action() or 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Waits; the exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def train(
    address: str,
    world: World,
    point: str | None = None,
    *,
    run_id: str | None = None,
    dataset: str = DATASET,
    chunks: int = 0,
    attempt: int = 1,
) -> int:
    """One training from reservation to blessing; `chunks` were executed by an earlier attempt."""

    def here(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    run_id = run_id or new_run_id()
    world.add("note", run_id, point)  # charge.py writes the run's id to the folder of checkpoints first
    ledger = open_ledger(address)
    try:
        with _before_commit(ledger, lambda: here(POINTS[0])):
            ledger.reserve(run_id, dataset, RUN, **KIND, labels={"point": str(point)})
    except BudgetError:
        return REFUSED
    here(POINTS[1])
    ledger.start(run_id, attempt=attempt, attempt_id=attempt_id())
    here(POINTS[2])
    for chunk in range(chunks, _CHUNKS):
        world.add("step", run_id, chunk)
        if chunk == _CHUNKS // 2:
            here(POINTS[3])
    here(POINTS[4])
    model = world.folder / run_id
    model.write_text(run_id)
    digest = "sha256:" + hashlib.sha256(model.read_bytes()).hexdigest()
    here(POINTS[5])
    ledger.commit(run_id, RUN, model_digest=digest, guarantee_digest=digest)
    here(POINTS[6])
    world.add("published", run_id, digest)
    _bless(ledger, world, run_id, digest, lambda: here(POINTS[7]))
    return 0


def _bless(ledger: Ledger, world: World, run_id: str, digest: str, here: Callable[[], None]) -> None:
    found = ledger.run(run_id)
    if found.state != "COMMITTED" or found.model_digest != digest:
        return
    new = world.folder / f"{run_id}.new"
    text = json.dumps({"run_id": run_id, "state": found.state, "model_digest": found.model_digest})
    new.write_text(text[: len(text) // 2])
    here()
    new.write_text(text)
    new.replace(world.folder / f"{run_id}.BLESSED")


@contextlib.contextmanager
def _before_commit(ledger: Ledger, action: Callable[[], None]) -> Any:
    engine = ledger._database._engine
    listener = lambda _: action()
    sa.event.listen(engine, "commit", listener)
    yield
    sa.event.remove(engine, "commit", listener)


def check(ledger: Ledger, world: World, dataset: str = DATASET) -> None:
    """Nothing lost, nothing overspent."""
    ledger.log(dataset)
    found = ledger.dataset(dataset)
    runs = {run_id: ledger.run(run_id) for run_id in {name for name, _ in world.of("step")}}
    steps: dict[str, set[int]] = {}
    for run_id, chunk in world.of("step"):
        assert chunk not in steps.setdefault(run_id, set()), "a step was executed twice"
        steps[run_id].add(chunk)
    real = sum(_cost(found.order, len(chunks)) for chunks in steps.values())
    charged = found.blocks[""].charged
    assert real <= charged <= found.budget, (real, charged, found.budget)
    for run_id in steps:
        assert runs[run_id].state in ("STARTED", "COMMITTED"), runs[run_id]
    for run_id, digest in world.of("published"):
        run = ledger.run(run_id)
        assert (run.state, run.model_digest) == ("COMMITTED", digest)
    for run in runs.values():
        assert (run.state == "COMMITTED") == (run.model_digest is not None)
        if run.state == "COMMITTED":
            assert len(steps[run.run_id]) == _CHUNKS
            assert (world.folder / run.run_id).read_text() == run.run_id
    for verdict in world.folder.glob("*.BLESSED"):
        blessed = json.loads(verdict.read_text())
        run = ledger.run(blessed["run_id"])
        assert (run.state, run.model_digest) == ("COMMITTED", blessed["model_digest"])


def executed(world: World, run_id: str) -> int:
    """Chunks that a run executed."""
    return len([name for name, _ in world.of("step") if name == run_id])


def _cost(order: float, chunks: int) -> int:
    run = RUN.changed(steps=_STEPS * chunks)
    return renyi_filter.cost(order, run.event)
