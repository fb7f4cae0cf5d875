"""Many processes want more than there is: none overspends, and none is refused what is left."""

import functools
import multiprocessing
import pathlib
import sqlite3
import statistics
import threading
import time
from typing import Any

import pytest
from ledger_faults import ended, forked, warm_up
from ledgers import BUDGET, DATASET, KIND, RUN, new_ledger, open_ledger

from tfx_privacy.errors import BudgetError, LedgerError
from tfx_privacy.ledger import Ledger, database, new_run_id, rows

FITTING = 11
PROCESSES, ROUNDS = 32, 1000


def race(address: str, processes: int, rounds: int) -> list[float]:
    """Each round's dataset has room for eleven; the seconds that every request took."""
    fork = multiprocessing.get_context("fork")
    barrier, admitted = fork.Barrier(processes + 1), fork.Array("i", rounds)
    waits = fork.Array("d", processes * rounds)
    ledger = new_ledger(address)
    warm_up()
    for _ in range(FITTING):
        ledger.reserve(new_run_id(), DATASET, RUN, **KIND)
    with pytest.raises(BudgetError):  # the words of a refusal take accountings, which the processes inherit
        ledger.reserve(new_run_id(), DATASET, RUN, **KIND)

    def take_part(number: int) -> int:
        mine = open_ledger(address)
        for index in range(rounds):
            barrier.wait()
            began = time.monotonic()
            try:
                mine.reserve(new_run_id(), f"round-{index}", RUN, **KIND)
                with admitted.get_lock():
                    admitted[index] += 1
            except BudgetError:
                pass
            waits[number * rounds + index] = time.monotonic() - began
            barrier.wait()
        return 0

    children = [forked(functools.partial(take_part, number)) for number in range(processes)]
    threading.Thread(target=lambda: _watch(children, barrier), daemon=True).start()
    for index in range(rounds):
        ledger.register(f"round-{index}", **BUDGET)
        barrier.wait()
        barrier.wait()
        dataset = ledger.dataset(f"round-{index}")
        assert admitted[index] == min(FITTING, processes), index
        assert dataset.blocks[""].charged <= dataset.budget
        assert len(ledger.log(f"round-{index}")) == 1 + admitted[index]
    ledger.verify()
    return [waits[index] for index in range(len(waits))]


def _watch(children: list[int], barrier: Any) -> None:
    """A process that fails must not be waited for."""
    for child in children:
        if ended(child):
            barrier.abort()


def test_eleven_of_sixteen_get_what_there_is(tmp_path: pathlib.Path) -> None:
    race(f"sqlite:///{tmp_path}/ledger.db", processes=16, rounds=2)


@pytest.mark.slow
def test_eleven_of_thirty_two_get_what_there_is(ledger_address: str) -> None:
    race(ledger_address, processes=PROCESSES, rounds=5)


@pytest.mark.long
def test_a_thousand_races(ledger_address: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    waits = sorted(race(ledger_address, PROCESSES, ROUNDS))
    with capsys.disabled():
        print(
            "\n"
            f"{ledger_address.split(':')[0]}: {ROUNDS} rounds of {PROCESSES} processes in "
            f"{time.monotonic() - began:.0f} s; a request took {statistics.median(waits):.2f} s (median), "
            f"{waits[int(0.99 * len(waits))]:.2f} s (p99), {waits[-1]:.2f} s (longest)"
        )


def hurried(address: str, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger that waits for others for a second, in all the connections that it will make."""
    monkeypatch.setattr(database, "WAIT_SECONDS", 1)
    return open_ledger(address)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_reads_in_order_to_write_keeps_others_out(
    kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path}/ledger.db"
    if kind == "postgresql":
        address = request.getfixturevalue("postgresql").create("keeps_others_out")
    first, second = new_ledger(address), hurried(address, monkeypatch)
    second.dataset(DATASET)

    def hold(connection: Any) -> None:
        rows.read_dataset(connection, DATASET, locked=True)
        with pytest.raises(LedgerError, match="locked|lock timeout"):
            second.reserve(new_run_id(), DATASET, RUN, **KIND)

    first._database.write(hold)
    second.reserve(new_run_id(), DATASET, RUN, **KIND)
    assert len(first.log(DATASET)) == 2


def test_a_writer_that_was_stopped_is_named_as_the_cause(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger = hurried(f"sqlite:///{tmp_path}/ledger.db", monkeypatch)
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as stopped:
        stopped.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="Another process holds the ledger"):
            ledger.reserve(new_run_id(), DATASET, RUN, **KIND)
        ledger.verify()  # who only reads does not wait
    assert len(ledger.log(DATASET)) == 1


def test_the_largest_charge_wins_in_the_database_as_well(tmp_path: pathlib.Path) -> None:
    """A client that reads before it locks, as an older one might: the database's own guard stops it."""
    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.db")
    budget = ledger.dataset(DATASET).budget
    with sqlite3.connect(tmp_path / "ledger.db") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE block SET charged = ?", (budget + 1,))


@pytest.mark.slow
def test_two_who_make_the_same_ledger_make_one(ledger_address: str) -> None:
    def make() -> int:
        open_ledger(ledger_address).initialise()
        return 0

    open_ledger(ledger_address)
    codes = [ended(child) for child in [forked(make) for _ in range(4)]]
    assert codes == [0, 0, 0, 0]
    Ledger("env:A", {"A": ledger_address}).verify()
