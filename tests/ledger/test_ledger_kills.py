"""Processes are killed at eight named points, and at random: nothing is lost, nothing is overspent."""

import collections
import os
import pathlib
import random
import signal
import time

import pytest
from ledger_faults import POINTS, REFUSED, World, check, ended, executed, forked, train, warm_up
from ledgers import BUDGET, DATASET, new_ledger

from tfx_privacy.ledger import Ledger

KILLS = 100


def kill_round(address: str, world: World, dataset: str, random_kills: int = 0) -> collections.Counter[str]:
    """One process for each point at the same time, four that nobody kills, and some that are killed at random."""
    rng = random.Random(dataset)
    warm_up()
    start = lambda point: forked(lambda: train(address, world, point, dataset=dataset))
    points = [*POINTS, *[None] * (4 - random_kills)]
    rng.shuffle(points)
    children = {start(point): point for point in points}
    victims = [start(None) for _ in range(random_kills)]
    for victim in victims:
        time.sleep(rng.uniform(0.0, 0.1))
        os.kill(victim, signal.SIGKILL)
    kills: collections.Counter[str] = collections.Counter()
    for child, point in children.items():
        code = ended(child)
        assert code in ((0, REFUSED) if point is None else (-signal.SIGKILL, REFUSED)), (point, code)
        if code == -signal.SIGKILL:
            kills[str(point)] += 1
    for victim in victims:
        assert ended(victim) in (-signal.SIGKILL, 0, REFUSED)
    return kills


def resume(ledger: Ledger, address: str, world: World, dataset: str) -> None:
    """Killed runs are taken up again, as DPTrainer does from its folder of checkpoints: charged once."""
    before = ledger.dataset(dataset).blocks[""].charged
    for run_id, point in world.of("note"):
        if point in (POINTS[1], POINTS[2], POINTS[3]):
            chunks = executed(world, run_id)
            assert train(address, world, run_id=run_id, dataset=dataset, chunks=chunks, attempt=2) == 0
    assert ledger.dataset(dataset).blocks[""].charged == before
    check(ledger, world, dataset)


def kill_rounds(address: str, folder: pathlib.Path, kills: int, random_kills: int) -> collections.Counter[str]:
    ledger, total = new_ledger(address), collections.Counter[str]()
    for number in range(3 * kills):
        dataset, world = f"round-{number}", World(folder / f"world-{number}")
        ledger.register(dataset, **BUDGET)
        total += kill_round(address, world, dataset, random_kills)
        check(ledger, world, dataset)
        if number % 2:
            resume(ledger, address, world, dataset)
        if min(total[point] for point in POINTS) >= kills:
            break
    ledger.verify()
    return total


def test_a_killed_run_loses_and_overspends_nothing(tmp_path: pathlib.Path) -> None:
    address, world = f"sqlite:///{tmp_path}/ledger.db", World(tmp_path / "world")
    ledger = new_ledger(address)
    kills = kill_round(address, world, DATASET)
    check(ledger, world)
    assert sum(kills.values()) >= len(POINTS) - 1
    resume(ledger, address, world, DATASET)
    ledger.verify()


@pytest.mark.slow
def test_kills_at_every_point(ledger_address: str, tmp_path: pathlib.Path) -> None:
    total = kill_rounds(ledger_address, tmp_path, kills=4, random_kills=2)
    assert min(total[point] for point in POINTS) >= 4


@pytest.mark.long
def test_a_hundred_kills_at_every_point(
    ledger_address: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    total = kill_rounds(ledger_address, tmp_path, kills=KILLS, random_kills=2)
    with capsys.disabled():
        kind = ledger_address.split(":")[0]
        print(
            f"\n{kind}: {sum(total.values())} kills at named points in {time.monotonic() - began:.0f} s: {dict(total)}"
        )
    assert min(total[point] for point in POINTS) >= KILLS
