"""A release is charged before it reads: killed anywhere, it loses nothing and overspends nothing."""

from __future__ import annotations

import functools
import json
import logging
import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from ledger_faults import World, ended, forked
from ledgers import DATASET, new_ledger
from released import DELTA, planned, release

from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.components import accounts
from tfx_privacy.components.accounts import Account
from tfx_privacy.components.release_charge import UnmeteredRelease, charged
from tfx_privacy.errors import BudgetError, LedgerError, ParameterError
from tfx_privacy.ledger import DEFAULT_SOURCE, Ledger, new_run_id
from tfx_privacy.releases.record import Release, release_digest

KIND = {"privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE"}
SET_ASIDE = 5e-7
RUN = planned(release("0" * 32))
UNITS = thresholds.spent(release("0" * 32).delta_spent)
ACCOUNT = Account(DEFAULT_SOURCE, DATASET, [])


@pytest.fixture
def ledger(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    address = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    return new_ledger(address, threshold_delta=SET_ASIDE)


def charge(account: Account | None = ACCOUNT, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "run": RUN,
        "delta_spent": release("0" * 32).delta_spent,
        "labels": {"node": "DPTransform"},
    }
    return charged(account, **{**values, **KIND, **changes})


def test_what_comes_out_is_told_to_the_ledger(ledger: Ledger) -> None:
    with charge() as run:
        assert ledger.run(run.run_id).state == "STARTED"
        made = release(run.run_id)
        found = run.commit(made)
    answer = ledger.run(run.run_id)
    assert (answer.state, answer.purpose, answer.planned) == ("COMMITTED", "release", RUN)
    assert (answer.model_digest, answer.guarantee_digest) == (made.artifact_digest, release_digest(made))
    assert answer.delta_spent == thresholds.spent(made.delta_spent)
    assert found.dataset_id == DATASET
    assert found.ledger is not None
    assert (found.ledger.ledger_id, found.ledger.sequence) == (answer.ledger_id, answer.sequence)
    assert found.ledger.entry_hash == answer.entry_hash
    assert release_digest(found) == release_digest(made)
    assert Release(**{**found.model_dump(), "dataset_id": None, "ledger": None}) == made
    reserved = ledger.log(DATASET)[1].body.model_dump()
    assert reserved["labels"] == {"node": "DPTransform"}


def test_without_a_ledger_the_release_says_so() -> None:
    with charge(None) as run:
        made = release(run.run_id)
        assert isinstance(run, UnmeteredRelease)
        assert run.commit(made) is made
    assert made.ledger is None
    assert len({UnmeteredRelease().run_id for _ in range(100)}) == 100


def test_what_the_budget_does_not_pay_for_reads_nothing(ledger: Ledger) -> None:
    for changes in ({"delta_spent": 6e-7}, {"run": RUN.changed(noise_multiplier=0.3)}):
        with pytest.raises(BudgetError, match="no record was read"), charge(**changes):
            pytest.fail("a record was read")
    with pytest.raises(LedgerError, match="this is|registered with"), charge(privacy_unit="user"):
        pytest.fail("a record was read")
    assert len(ledger.log(DATASET)) == 1


def test_blocks_are_charged(ledger: Ledger) -> None:
    ledger.register(
        "spans", epsilon=8.0, delta=1e-6, threshold_delta=SET_ASIDE, approver="Dana", blocks=["2025", "2026"]
    )
    with charge(Account(DEFAULT_SOURCE, "spans", ["2026"])) as run:
        found = run.commit(release(run.run_id))
    assert found.ledger.blocks == ["2026"]
    charges = {name: block.delta_charged for name, block in ledger.dataset("spans").blocks.items()}
    assert charges == {"2025": 0, "2026": UNITS}


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=["an error", "an interruption"])
def test_a_release_that_ends_early_stays_charged(
    ledger: Ledger, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with pytest.raises(type(error)), charge() as run:
        raise error
    assert ledger.run(run.run_id).state == "STARTED"
    assert ledger.verify().datasets[DATASET].blocks[""].delta_charged == UNITS
    assert f"Release {run.run_id} was not committed; it stays charged" in caplog.text


OTHERS: dict[str, Callable[[str], Release]] = {
    "another run's": lambda run_id: release("f" * 32),
    "with less noise": lambda run_id: release(run_id, noise=59.0),
    "with a larger delta": lambda run_id: release(run_id, delta=2 * DELTA),
    "of users": lambda run_id: release(run_id, privacy_unit="user", max_records_per_user=1),
    "of another relation": lambda run_id: release(run_id, neighboring_relation="REPLACE_SPECIAL"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_was_not_charged_is_not_committed(ledger: Ledger, case: str) -> None:
    """The component must not keep it: it gets an error in the place of a record."""
    with pytest.raises(LedgerError, match="must not be kept|executed more than was reserved"), charge() as run:
        run.commit(OTHERS[case](run.run_id))
    assert ledger.run(run.run_id).state == "STARTED"


def test_less_than_was_charged_is_committed(ledger: Ledger) -> None:
    with charge() as run:
        found = run.commit(release(run.run_id, delta=DELTA / 2, noise=70.0))
    answer = ledger.run(run.run_id)
    assert answer.state == "COMMITTED"
    assert answer.delta_spent == answer.delta_charged == UNITS  # what was not spent is not given back
    assert found.ledger is not None


def test_what_the_ledger_does_not_take_is_not_kept(ledger: Ledger) -> None:
    with charge() as run:
        ledger.settle(run.run_id, approver="Dana", reason="it seemed dead")
        with pytest.raises(LedgerError, match="is SETTLED; commit needs STARTED"):
            run.commit(release(run.run_id))


def test_a_second_release_of_one_charge_is_not_committed(ledger: Ledger) -> None:
    with charge() as run:
        first = run.commit(release(run.run_id))
        assert run.commit(release(run.run_id)) == first  # the same, as after a lost answer
        with pytest.raises(LedgerError, match="was made before, with other content"):
            run.commit(release(run.run_id, artifact_digest="sha256:" + "8" * 64))


ACCOUNTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "an address": (("sqlite:////tmp/ledger.db", DATASET, []), "must not be given"),
    "no dataset": ((DEFAULT_SOURCE, None, []), "dataset_id is not set"),
    "a dataset without a ledger": ((None, DATASET, []), "there is no ledger that keeps it"),
    "blocks without a ledger": ((None, None, ["2025"]), "there is no ledger that keeps it"),
    "a name that is none": ((DEFAULT_SOURCE, "Trips", []), "dataset_id='Trips'"),
    "a block that is none": ((DEFAULT_SOURCE, DATASET, ["2025", "a b"]), "dataset_blocks='a b'"),
}


@pytest.mark.parametrize("case", ACCOUNTS)
def test_arguments_that_name_no_budget_are_refused(case: str) -> None:
    arguments, message = ACCOUNTS[case]
    with pytest.raises(ParameterError, match=message):
        accounts.check(*arguments)


def test_an_account_is_read_from_execution_properties() -> None:
    assert accounts.read({}) is None
    assert accounts.read({"ledger": "", "dataset_id": "", "dataset_blocks": ""}) is None
    found = accounts.read({"ledger": DEFAULT_SOURCE, "dataset_id": DATASET, "dataset_blocks": '["b","a"]'})
    assert found == Account(DEFAULT_SOURCE, DATASET, ["a", "b"])


POINTS = ("after the charge", "while it reads", "after it wrote", "after the commit")
TRANSACTIONS = 6
"""The dataset's order is read; reserve; the run's dataset is found, and start; it is found, and commit."""


def _release(address: str, world: World, point: object) -> int:
    """One component from its charge to its record; `point` is where it is killed: a name, or an event of a transaction."""
    events = {"begin": 0, "commit": 0}

    def count(name: str) -> None:
        events[name] += 1
        if (name, events[name]) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def here(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    os.environ["TFX_PRIVACY_LEDGER"] = address
    for name in events:
        sa.event.listen(sa.Engine, name, lambda _, name=name: count(name))
    with charge() as run:
        here(POINTS[0])
        world.add("read", run.run_id)
        here(POINTS[1])
        made = release(run.run_id)
        (world.folder / f"{run.run_id}.unfinished").write_text(made.to_json())
        here(POINTS[2])
        found = run.commit(made)
        here(POINTS[3])
        world.add("kept", run.run_id, json.loads(found.to_json()))
    return 0


def _check_killed(ledger: Ledger, world: World, number: int) -> dict[str, int]:
    """What read is charged for good; what was kept is in the ledger; what is charged is what the entries give."""
    dataset = ledger.verify().datasets[DATASET]
    states = {run_id: run.state for run_id, run in dataset.runs.items()}
    read = {run_id for run_id, _ in world.of("read")}
    assert {states[run_id] for run_id in read} <= {"STARTED", "COMMITTED"}
    for run_id, kept in world.of("kept"):
        assert states[run_id] == "COMMITTED"
        assert dataset.runs[run_id].commit_sequence == kept["ledger"]["sequence"]
        assert dataset.runs[run_id].guarantee_digest == release_digest(release(run_id))
    block = dataset.blocks[""]
    cost = renyi_filter.cost(dataset.order, RUN.event)
    assert (block.charged, block.delta_charged) == (len(states) * cost, len(states) * UNITS)
    assert len(read) <= len(states) <= number
    return {state: list(states.values()).count(state) for state in ("RESERVED", "STARTED", "COMMITTED")}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_a_killed_release_loses_nothing_and_overspends_nothing(
    kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """At every transaction's begin and commit, and between them."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    if kind == "postgresql":
        address = request.getfixturevalue("postgresql").create(f"releases_{new_run_id()}")
    ledger, world = new_ledger(address, threshold_delta=SET_ASIDE), World(tmp_path / "world")
    renyi_filter.cost(ledger.dataset(DATASET).order, RUN.event)  # which the processes inherit
    points = [*POINTS, *((name, at + 1) for name in ("begin", "commit") for at in range(TRANSACTIONS))]
    for number, point in enumerate(points, 1):
        assert ended(forked(functools.partial(_release, address, world, point))) == -signal.SIGKILL, point
        _check_killed(ledger, world, number)
    assert ended(forked(lambda: _release(address, world, None))) == 0
    assert ended(forked(lambda: _release(address, world, ("commit", TRANSACTIONS + 1)))) == 0
    counts = _check_killed(ledger, world, len(points) + 2)
    # Killed before the reservation was committed, four times nothing is charged: begin and commit of the first two.
    assert sum(counts.values()) == len(points) + 2 - 4
    # After it, before the start was committed: begin and commit of the next two.
    assert counts["RESERVED"] == 4
    # The commit itself was carried out by the two that nobody killed and the one that was killed after it.
    assert counts["COMMITTED"] == 3
    for run_id, run in ledger.dataset(DATASET).runs.items():
        if run.state != "COMMITTED":
            ledger.settle(run_id, approver="Dana", reason="killed")
    block = ledger.verify().datasets[DATASET].blocks[""]
    assert block.delta_charged == (counts["STARTED"] + counts["COMMITTED"]) * UNITS
