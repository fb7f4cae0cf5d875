"""A server that goes away in the middle: every request that returned was carried out once, and none twice."""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from cutting_proxy import CuttingProxy
from ledger_faults import ended, forked, warm_up
from ledgers import BUDGET, DATASET, DIGEST, KIND, RUN, attempt_id, new_ledger, open_ledger
from postgresql_server import NoServerError, Server

from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import Ledger, new_run_id

pytestmark = pytest.mark.slow

SMALL = PlannedRun.of(noise_multiplier=50.0, sampling_probability=0.001, steps=1)


@pytest.fixture
def address(postgresql: Server) -> str:
    return postgresql.create(f"ledger_{uuid.uuid4().hex}")


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(postgresql.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that may be stopped."""
    try:
        server = Server()
    except NoServerError as error:
        pytest.skip(str(error))
    yield server
    server.remove()


def requests(ledger: Ledger) -> list[Callable[[], Any]]:
    """One of each kind, each of which adds one entry."""
    aborted, run_id, settled, first, second = new_run_id(), new_run_id(), new_run_id(), attempt_id(), attempt_id()
    in_a = {**KIND, "blocks": ["a"]}
    return [
        lambda: ledger.register("spans", **BUDGET, blocks=["a"]),
        lambda: ledger.reserve(aborted, "spans", RUN, **in_a),
        lambda: ledger.abort(aborted, reason="mistake"),
        lambda: ledger.reserve(run_id, "spans", RUN, **in_a),
        lambda: ledger.start(run_id, attempt_id=first),
        lambda: ledger.commit(run_id, RUN, model_digest=DIGEST, guarantee_digest=DIGEST),
        lambda: ledger.add_blocks("spans", ["b"], approver="Dana"),
        lambda: ledger.change_budget("spans", epsilon=9.0, approver="Dana", reason="consent"),
        lambda: ledger.reserve(settled, "spans", RUN, **in_a),
        lambda: ledger.start(settled, attempt_id=second),
        lambda: ledger.settle(settled, approver="Dana", reason="died"),
    ]


@pytest.mark.parametrize("delivered", [True, False], ids=["answer lost", "request lost"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_is_asked_for_again_and_carried_out_once(
    address: str, proxy: CuttingProxy, postgresql: Server, delivered: bool, times: int
) -> None:
    through = open_ledger(address.replace(f":{postgresql.port}/", f":{proxy.port}/"))
    proxy.cut(times, delivered=delivered)
    through.initialise()
    direct = open_ledger(address)
    direct.verify()
    for number, request in enumerate(requests(through), 1):
        proxy.cut(times, delivered=delivered)
        entry = request()
        log = direct.log("spans")
        assert len(log) == number
        assert entry == log[-1]
    # Where the answer was lost, the second attempt finds the entry and writes nothing: there is no
    # second COMMIT to cut.
    assert proxy.made == (1 if delivered else times) * (1 + len(requests(through)))
    direct.verify()


def test_a_commit_whose_answer_is_lost_for_good_is_found_by_the_next_request(
    address: str, proxy: CuttingProxy, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.ledger import database

    ledger = new_ledger(address)
    through = open_ledger(address.replace(f":{postgresql.port}/", f":{proxy.port}/"))
    through.dataset(DATASET)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0)
    monkeypatch.setattr(database, "_ATTEMPTS", 1)
    run_id = new_run_id()
    proxy.cut(1, delivered=True)
    with pytest.raises(LedgerError, match="Nothing is trained without its ledger"):
        through.reserve(run_id, DATASET, RUN, **KIND)
    # The client failed and trained nothing; the charge is there, and the same request finds it.
    assert ledger.run(run_id).state == "RESERVED"
    assert through.reserve(run_id, DATASET, RUN, **KIND).sequence == 2


def terminate_all(server: Server, database: str) -> int:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", [database]
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_terminated_connections_lose_nothing(address: str, postgresql: Server) -> None:
    ledger, run_ids = new_ledger(address), [new_run_id() for _ in range(30)]
    stop, terminated = threading.Event(), [0]
    begun = time.monotonic()
    ledger.reserve(run_ids[0], DATASET, SMALL, **KIND)
    # On a busy machine a request takes longer, and one that is cut off each time is refused in the end.
    pause = max(0.03, 4 * (time.monotonic() - begun))

    def disturb() -> None:
        rng = random.Random(1)
        while not stop.wait(rng.uniform(0.0, pause)):
            terminated[0] += terminate_all(postgresql, address.rsplit("/", 1)[1])

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for run_id in run_ids:
            ledger.reserve(run_id, DATASET, SMALL, **KIND)
            ledger.start(run_id, attempt_id=attempt_id())
    finally:
        stop.set()
        thread.join()
    assert terminated[0] > 10
    assert list(ledger.verify().datasets[DATASET].runs) == run_ids
    assert len(ledger.log(DATASET)) == 1 + 2 * len(run_ids)


def test_a_connection_that_was_cut_while_idle_is_made_again(address: str, postgresql: Server) -> None:
    ledger = new_ledger(address)
    assert terminate_all(postgresql, address.rsplit("/", 1)[1]) == 1
    ledger.reserve(new_run_id(), DATASET, RUN, **KIND)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_a_server_that_stops_in_the_middle_loses_nothing(own_server: Server, how: signal.Signals) -> None:
    ledger = new_ledger(own_server.create(f"stops_{how.name.lower()}"))
    returned: list[str] = []
    stop = threading.Event()
    failures: list[LedgerError] = []

    def work() -> None:
        try:
            while not stop.is_set():
                run_id = new_run_id()
                ledger.reserve(run_id, DATASET, SMALL, **KIND)
                returned.append(run_id)
        except LedgerError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        time.sleep(0.5)
        own_server.stop(how)
        time.sleep(0.5)
        own_server.start()
    time.sleep(3.0)
    stop.set()
    thread.join()
    assert failures == []
    assert len(returned) > 20
    assert list(ledger.verify().datasets[DATASET].runs) == returned


def test_a_server_that_never_answered_is_given_up_soon(own_server: Server) -> None:
    address = own_server.create("never")
    own_server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(LedgerError, match="Connection refused.* Nothing is trained") as error:
            open_ledger(address).dataset(DATASET)
        assert time.monotonic() - began < 15
        assert "not-a-secret" not in f"{error.value!r}{error.value.__cause__!r}"
    finally:
        own_server.start()


def test_wrong_passwords_are_not_tried_again(address: str) -> None:
    began = time.monotonic()
    with pytest.raises(LedgerError, match="password authentication failed") as error:
        open_ledger(address.replace("not-a-secret", "hunter2")).verify()
    assert time.monotonic() - began < 2
    assert "hunter2" not in str(error.value)


def test_a_child_process_has_a_connection_of_its_own(ledger_address: str) -> None:
    """The same object, used before a fork and on both sides of it at the same time."""
    ledger = new_ledger(ledger_address)
    ledger.reserve(new_run_id(), DATASET, SMALL, **KIND)
    warm_up()

    def use() -> int:
        for _ in range(20):
            ledger.reserve(new_run_id(), DATASET, SMALL, **KIND)
        return 0

    children = [forked(use) for _ in range(3)]
    use()
    assert [ended(child) for child in children] == [0, 0, 0]
    assert len(ledger.verify().datasets[DATASET].runs) == 81
    assert os.getpid() not in children
