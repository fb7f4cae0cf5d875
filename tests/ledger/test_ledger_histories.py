"""Random histories of requests against a model of a few lines that knows nothing of the ledger's code."""

import dataclasses
import pathlib
import random
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from ledgers import BUDGET, KIND, new_ledger

from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import BudgetError, LedgerError
from tfx_privacy.ledger import Ledger, replay
from tfx_privacy.ledger.state import BlockRow

PLANS = [PlannedRun.of(noise_multiplier=1.0, sampling_probability=0.01, steps=steps) for steps in (1000, 1500, 3000)]
SHARES = (1e-7, 2e-7, 4e-8, 0.0)
"""What is set aside for thresholds; the first at the registration."""
ORDER = renyi_filter.best_order(epsilon=8.0, delta=1e-6 - SHARES[0])
COSTS = [renyi_filter.cost(ORDER, plan.event) for plan in PLANS]
EPSILONS = (4.0, 6.0, 8.0, 10.0)
BUDGETS = {
    (epsilon, share): renyi_filter.budget(
        ORDER, epsilon=epsilon, delta=thresholds.left(1e-6, thresholds.set_aside(share))
    )
    for epsilon in EPSILONS
    for share in SHARES
}
DELTAS = (0.0, 0.0, 1e-8, 4e-8)
"""That a reservation's thresholds spend; one with any is a release."""
DIGESTS = [f"sha256:{digit * 64}" for digit in "01"]


@dataclasses.dataclass
class Run:
    plan: int
    blocks: tuple[str, ...]
    delta: float = 0.0
    state: str = "RESERVED"
    attempt: int = 0


class Model:
    """What a ledger of one dataset has to do."""

    def __init__(self, blocks: tuple[str, ...]) -> None:
        self.declared = bool(blocks)
        self.blocks = set(blocks or ("",))
        self.share = SHARES[0]
        self.budget = BUDGETS[8.0, self.share]
        self.runs: dict[str, Run] = {}
        self.done: dict[Any, Any] = {}

    def charged(self, block: str) -> int:
        return sum(
            COSTS[run.plan] for run in self.runs.values() if run.state != "ABORTED" and block in (run.blocks or ("",))
        )

    def spent(self, block: str) -> int:
        """By thresholds."""
        return sum(
            thresholds.spent(run.delta)
            for run in self.runs.values()
            if run.state != "ABORTED" and block in (run.blocks or ("",))
        )

    def takes(self, kind: str, *arguments: Any) -> bool:
        """Whether a request is carried out, or was before."""
        if kind == "budget":
            epsilon, share = arguments
            new = self.share if share is None else share
            if any(self.spent(block) > thresholds.set_aside(new) for block in self.blocks):
                return False
            self.share, self.budget = new, BUDGETS[epsilon, new]
            return True
        if kind == "blocks":
            new = self.declared and arguments[0] not in self.blocks
            self.blocks |= {arguments[0]} if new else set()
            return new
        run_id, *content = arguments
        key = (kind, run_id, content[1]) if kind == "start" else (kind, run_id)
        if key in self.done:
            return kind in ("abort", "settle") or bool(self.done[key] == content)
        taken = self._take(kind, run_id, *content)
        if taken:
            self.done[key] = content
        return taken

    def _take(self, kind: str, run_id: str, *content: Any) -> bool:
        if kind == "reserve":
            plan, blocks, delta = content
            if bool(blocks) != self.declared or not set(blocks or ("",)) <= self.blocks:
                return False
            if any(self.charged(block) + COSTS[plan] > self.budget for block in blocks or ("",)):
                return False
            most = thresholds.set_aside(self.share)
            if any(self.spent(block) + thresholds.spent(delta) > most for block in blocks or ("",)):
                return False
            self.runs[run_id] = Run(plan, blocks, delta)
            return True
        run = self.runs.get(run_id)
        if run is None:
            return False
        if kind == "start" and run.state in ("RESERVED", "STARTED") and content[0] > run.attempt:
            run.state, run.attempt = "STARTED", content[0]
        elif kind == "commit" and run.state == "STARTED" and content[0] <= run.plan:
            run.state = "COMMITTED"
        elif kind == "abort" and run.state == "RESERVED":
            run.state = "ABORTED"
        elif kind == "settle" and run.state in ("RESERVED", "STARTED"):
            run.state = "ABORTED" if run.state == "RESERVED" else "SETTLED"
        else:
            return False
        return True


def draw(rng: random.Random, model: Model, names: list[str], attempts: list[str]) -> tuple[Any, ...]:
    """A request, sensible or not."""
    kind = rng.choices(
        ["reserve", "start", "commit", "abort", "settle", "budget", "blocks"], weights=[10, 8, 5, 3, 2, 1, 1]
    )[0]
    run_id = rng.choice(names)
    if kind == "reserve":
        known = sorted(model.blocks) if model.declared else ["a"]
        some = tuple(sorted(rng.sample(known, rng.randint(1, len(known)))))
        asked = some if model.declared == (rng.random() < 0.9) else ()
        return kind, run_id, rng.randrange(3), asked, rng.choice(DELTAS)
    if kind == "start":
        return kind, run_id, rng.randint(1, 3), rng.choice(attempts)
    if kind == "commit":
        return kind, run_id, rng.randrange(3), rng.choice(DIGESTS)
    if kind == "budget":
        return kind, rng.choice(EPSILONS), rng.choice((None, *SHARES))
    if kind == "blocks":
        return kind, rng.choice("abcd")
    return kind, run_id


def carry_out(ledger: Ledger, dataset: str, kind: str, *arguments: Any) -> bool:
    run_id: str = arguments[0]
    try:
        if kind == "reserve":
            _, plan, blocks, delta = arguments
            purpose = "release" if delta else "model"
            ledger.reserve(run_id, dataset, PLANS[plan], **KIND, blocks=blocks, purpose=purpose, delta_spent=delta)
        elif kind == "start":
            ledger.start(run_id, attempt=arguments[1], attempt_id=arguments[2])
        elif kind == "commit":
            ledger.commit(run_id, PLANS[arguments[1]], model_digest=arguments[2], guarantee_digest=arguments[2])
        elif kind == "abort":
            ledger.abort(run_id, reason="")
        elif kind == "settle":
            ledger.settle(run_id, approver="Dana", reason="")
        elif kind == "budget":
            epsilon, share = arguments
            ledger.change_budget(dataset, epsilon=epsilon, threshold_delta=share, approver="Dana", reason="")
        else:
            ledger.add_blocks(dataset, [arguments[0]], approver="Dana")
    except BudgetError:
        assert kind == "reserve"
        return False
    except LedgerError:
        return False
    return True


def check_history(ledger: Ledger, seed: str) -> int:
    """One history on a dataset of its own; the number of its entries."""
    rng = random.Random(seed)
    dataset = f"history-{seed}"
    blocks: tuple[str, ...] = rng.choice([(), (), ("a",), ("a", "b")])
    model = Model(blocks)
    ledger.register(dataset, **BUDGET, blocks=blocks, threshold_delta=SHARES[0])
    names, attempts = ([f"{rng.getrandbits(128):032x}" for _ in range(count)] for count in (5, 4))
    requests: list[tuple[Any, ...]] = []
    states = [_state(model)]
    for _ in range(rng.randint(5, 25)):
        request = rng.choice(requests) if requests and rng.random() < 0.15 else draw(rng, model, names, attempts)
        requests.append(request)
        before = _state(model)
        taken = model.takes(*request)
        assert carry_out(ledger, dataset, *request) == taken, (seed, requests, taken)
        if _state(model) != before or (taken and request[0] == "start" and states[-1] != _state(model)):
            states.append(_state(model))
    log = ledger.log(dataset)
    stored = ledger.dataset(dataset)
    assert _charged(stored.blocks) == states[-1][0], (seed, requests)
    seen: list[tuple[Any, ...]] = []
    for length in range(1, len(log) + 1):
        found = replay.replay(log[:length])[dataset]
        for name, block in found.blocks.items():
            runs = [run for run in found.runs.values() if name in (run.blocks or [""]) and run.state != "ABORTED"]
            assert block.charged == sum(run.cost for run in runs) <= block.ceiling, (seed, length)
            assert block.delta_charged == sum(run.delta_spent for run in runs) <= block.delta_ceiling, (seed, length)
        state = (
            _charged(found.blocks),
            found.budget,
            {run.run_id: (run.state, run.attempt) for run in found.runs.values()},
        )
        if not seen or state != seen[-1]:
            seen.append(state)
    assert seen == states, (seed, requests)
    return len(log)


def _charged(blocks: dict[str, BlockRow]) -> dict[str, tuple[int, int]]:
    return {name: (block.charged, block.delta_charged) for name, block in blocks.items()}


def _state(model: Model) -> tuple[Any, ...]:
    return (
        {block: (model.charged(block), model.spent(block)) for block in sorted(model.blocks)},
        model.budget,
        {name: (run.state, run.attempt) for name, run in model.runs.items()},
    )


@pytest.fixture
def memory(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not pathlib.Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="tfx-privacy-") as folder:
        yield pathlib.Path(folder)


def check_histories(address: str, number: int) -> int:
    with new_ledger(address) as ledger:
        entries = sum(check_history(ledger, f"{number}-{index}") for index in range(number))
        ledger.verify()
    return entries


def test_twenty_histories(memory: pathlib.Path) -> None:
    assert check_histories(f"sqlite:///{memory}/ledger.db", 20) > 100


@pytest.mark.slow
def test_six_hundred_histories(memory: pathlib.Path) -> None:
    check_histories(f"sqlite:///{memory}/ledger.db", 600)


@pytest.mark.slow
def test_histories_on_postgresql(postgresql: Any) -> None:
    check_histories(postgresql.create(f"ledger_{uuid.uuid4().hex}"), 150)


@pytest.mark.long
def test_ten_thousand_histories(memory: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = check_histories(f"sqlite:///{memory}/ledger.db", 10_000)
    with capsys.disabled():
        print(f"\n10000 histories of {entries} entries")
