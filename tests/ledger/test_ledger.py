import functools
import pathlib
import re
import secrets
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from ledgers import BUDGET, DATASET, DIGEST, KIND, OTHER_DIGEST, RUN, attempt_id, new_ledger, open_ledger

from tfx_privacy.accounting.composition import dp_sgd_event, terms
from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import BudgetError, LedgerError, ParameterError
from tfx_privacy.ledger import Ledger, admission, budgets, new_run_id, read_runs, source
from tfx_privacy.ledger.database import Database

BLOCKS = ["2023", "2024", "2025"]
COST = renyi_filter.cost(renyi_filter.best_order(epsilon=8.0, delta=1e-6), RUN.event)
SHORTER = RUN.changed(steps=999)
LONGER = RUN.changed(steps=1001)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgresql").create(f"ledger_{uuid.uuid4().hex}"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A SQLite ledger with its dataset, made once: making the tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    with new_ledger(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def ledger(address: str, template: pathlib.Path) -> Ledger:
    if not address.startswith("sqlite"):
        return new_ledger(address)
    shutil.copy(template, address.removeprefix("sqlite:///"))
    return open_ledger(address)


@pytest.fixture
def file(tmp_path: pathlib.Path, template: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copy(template, tmp_path / "ledger.db"))


def reserve(ledger: Ledger, planned: PlannedRun = RUN, run_id: str | None = None, **options: Any) -> str:
    run_id = run_id or new_run_id()
    ledger.reserve(run_id, DATASET, planned, **{**KIND, **options})
    return run_id


def started(ledger: Ledger, **options: Any) -> str:
    run_id = reserve(ledger, **options)
    ledger.start(run_id, attempt_id=attempt_id())
    return run_id


def commit(ledger: Ledger, run_id: str, executed: PlannedRun = RUN, digest: str = DIGEST) -> Any:
    return ledger.commit(run_id, executed, model_digest=digest, guarantee_digest=OTHER_DIGEST)


def charged(ledger: Ledger, block: str = "") -> int:
    return ledger.verify().datasets[DATASET].blocks[block].charged


def test_a_run_is_charged_starts_and_commits(ledger: Ledger) -> None:
    run_id = started(ledger)
    entry = commit(ledger, run_id, SHORTER)
    found = ledger.run(run_id)
    assert (found.state, found.model_digest, found.guarantee_digest) == ("COMMITTED", DIGEST, OTHER_DIGEST)
    assert (found.sequence, found.entry_hash) == (entry.sequence, entry.hash) == (found.head_sequence, found.head_hash)
    # What was not executed is not given back.
    assert found.charged == charged(ledger) == COST
    assert found.planned == RUN
    assert [entry.body.kind for entry in ledger.log(DATASET)] == ["register", "reserve", "start", "commit"]


@pytest.mark.parametrize(("epsilon", "runs"), [(8.0, 11), (20.0, 54), (3.0, 1)])
def test_as_many_runs_fit_as_the_literature_says(file: pathlib.Path, epsilon: float, runs: int) -> None:
    ledger = open_ledger(f"sqlite:///{file}")
    ledger.register("budget", **{**BUDGET, "epsilon": epsilon})
    for _ in range(runs):
        ledger.reserve(new_run_id(), "budget", RUN, **KIND)
    with pytest.raises(BudgetError, match=rf"of epsilon={epsilon:g} at delta=1e-06"):
        ledger.reserve(new_run_id(), "budget", RUN, **KIND)
    assert budgets.runs_left(ledger.verify().datasets["budget"], "") == 0


def test_the_very_last_unit_is_spent_and_not_one_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = ledger.dataset(DATASET).budget
    costs = {RUN.steps: budget - 1, 1: 1, 2: 2}
    monkeypatch.setattr(renyi_filter, "cost", lambda order, event: costs[terms(event).steps])
    steps = lambda number: RUN.changed(steps=number)
    reserve(ledger)
    with pytest.raises(BudgetError):
        reserve(ledger, steps(2))
    reserve(ledger, steps(1))
    with pytest.raises(BudgetError):
        reserve(ledger, steps(1))
    assert charged(ledger) == budget


def test_costs_are_rounded_up_and_budgets_down() -> None:
    from tfx_privacy.third_party.dp_accounting import dp_event, rdp

    for number in range(20):
        epsilon, noise = 4.0 + number / 7, 20.0 + number
        order = renyi_filter.best_order(epsilon=epsilon, delta=1e-6)
        units = renyi_filter.budget(order, epsilon=epsilon, delta=1e-6)
        assert renyi_filter.epsilon_of(order, units, delta=1e-6) <= epsilon
        event = dp_event.PoissonSampledDpEvent(0.01, dp_event.GaussianDpEvent(noise))
        exact = float(rdp.RdpAccountant([order]).compose(event).rdp[0])
        cost = renyi_filter.cost(order, dp_sgd_event(noise_multiplier=noise, sampling_probability=0.01, steps=1))
        assert exact <= cost * renyi_filter.UNIT <= exact + 2 * renyi_filter.UNIT


def test_each_request_is_carried_out_once(ledger: Ledger) -> None:
    run_id, attempt = new_run_id(), attempt_id()
    requests = [
        lambda: ledger.register(DATASET, **BUDGET),
        lambda: ledger.reserve(run_id, DATASET, RUN, **KIND),
        lambda: ledger.start(run_id, attempt_id=attempt),
        lambda: commit(ledger, run_id),
    ]
    first = [request() for request in requests]
    assert [request() for request in requests] == first
    assert [request() for request in reversed(requests)] == first[::-1]
    assert len(ledger.log(DATASET)) == 4
    assert charged(ledger) == COST


def test_abort_and_settle_are_carried_out_once(ledger: Ledger) -> None:
    aborted, died, given_up = reserve(ledger), started(ledger), reserve(ledger)
    for _ in range(2):
        ledger.abort(aborted, reason="mistake")
        ledger.settle(died, approver="Dana", reason="killed")
        ledger.settle(given_up, approver="Dana", reason="never started")
    assert [ledger.run(run).state for run in (aborted, died, given_up)] == ["ABORTED", "SETTLED", "ABORTED"]
    assert charged(ledger) == COST


def test_a_run_id_stands_for_one_plan(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    for other in ({"planned": LONGER}, {"purpose": "reference_models"}):
        with pytest.raises(LedgerError, match="made before, with other content"):
            reserve(ledger, run_id=run_id, **other)
    ledger.register("others", **BUDGET)
    with pytest.raises(LedgerError, match="reserved before"):
        ledger.reserve(run_id, "others", RUN, **KIND)
    assert charged(ledger) == COST


def test_a_run_commits_one_model(ledger: Ledger) -> None:
    run_id = started(ledger)
    commit(ledger, run_id)
    with pytest.raises(LedgerError, match="other content"):
        commit(ledger, run_id, digest=OTHER_DIGEST)
    assert ledger.run(run_id).model_digest == DIGEST


def do(ledger: Ledger, request: str, run_id: str) -> None:
    {
        "start": lambda: ledger.start(run_id, attempt=9, attempt_id=attempt_id()),
        "commit": lambda: commit(ledger, run_id),
        "abort": lambda: ledger.abort(run_id, reason="mistake"),
        "settle": lambda: ledger.settle(run_id, approver="Dana", reason="died"),
    }[request]()


PATHS = {
    "RESERVED": [],
    "STARTED": ["start"],
    "COMMITTED": ["start", "commit"],
    "ABORTED": ["abort"],
    "SETTLED": ["start", "settle"],
}


@pytest.mark.parametrize(
    ("state", "request_"),
    [
        ("RESERVED", "commit"),
        ("STARTED", "abort"),
        ("COMMITTED", "start"),
        ("COMMITTED", "abort"),
        ("COMMITTED", "settle"),
        ("ABORTED", "start"),
        ("ABORTED", "commit"),
        ("ABORTED", "settle"),
        ("SETTLED", "start"),
        ("SETTLED", "commit"),
        ("SETTLED", "abort"),
    ],
)
def test_a_run_moves_forward_alone(ledger: Ledger, state: str, request_: str) -> None:
    run_id = reserve(ledger)
    for step in PATHS[state]:
        do(ledger, step, run_id)
    before = ledger.run(run_id)
    with pytest.raises(LedgerError, match=rf"is {state}; "):
        do(ledger, request_, run_id)
    assert ledger.run(run_id) == before
    assert charged(ledger) == (0 if state == "ABORTED" else COST)


def test_only_a_run_that_never_started_is_given_back(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    ledger.abort(run_id, reason="no records")
    assert charged(ledger) == 0
    run_id = started(ledger)
    with pytest.raises(LedgerError, match="is STARTED; abort needs RESERVED"):
        ledger.abort(run_id, reason="died")
    ledger.settle(run_id, approver="Dana", reason="died")
    assert charged(ledger) == COST


def test_a_run_that_executed_more_than_was_reserved_is_refused(ledger: Ledger) -> None:
    run_id = started(ledger)
    noisier = RUN.changed(noise_multiplier=0.99)
    for executed in (LONGER, noisier):
        with pytest.raises(LedgerError, match="executed more than was reserved"):
            commit(ledger, run_id, executed)
    assert ledger.run(run_id).state == "STARTED"


def test_a_resumed_attempt_must_come_after_the_last_one(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    ledger.start(run_id, attempt=2, attempt_id=attempt_id())
    for stale in (1, 2):
        with pytest.raises(LedgerError, match="does not come after attempt 2"):
            ledger.start(run_id, attempt=stale, attempt_id=attempt_id())
    ledger.start(run_id, attempt=3, attempt_id=attempt_id())
    assert charged(ledger) == COST


def test_runs_that_are_not_there(ledger: Ledger) -> None:
    for request in ("start", "commit", "abort", "settle"):
        with pytest.raises(LedgerError, match="is not in this ledger. Reserve it first"):
            do(ledger, request, new_run_id())
    with pytest.raises(LedgerError, match="is not in this ledger"):
        ledger.run(new_run_id())


def test_a_refusal_says_what_is_left_and_what_fits(ledger: Ledger) -> None:
    for _ in range(10):
        reserve(ledger)
    # An eleventh would fit; twice its steps do not.
    planned = RUN.changed(steps=2000)
    with pytest.raises(BudgetError) as refusal:
        reserve(ledger, planned)
    message = str(refusal.value)
    rest = admission.left(ledger.dataset(DATASET), [])
    assert f"and {1000 * rest // ledger.dataset(DATASET).budget / 10:g} % is left" in message
    assert "Nothing was charged" in message
    steps = int(re.findall(r"at most (\d+) steps", message)[0])
    noise = float(re.findall(r"noise_multiplier of at least ([\d.]+)", message)[0])
    reserve(ledger, planned.changed(steps=steps))
    with pytest.raises(BudgetError, match=r"noise_multiplier of at least \d+|No run of this kind fits"):
        reserve(ledger, planned.changed(noise_multiplier=noise))
    other = open_copy_with(ledger, 10)
    other.reserve(new_run_id(), "again", planned.changed(noise_multiplier=noise), **KIND)


def open_copy_with(ledger: Ledger, runs: int) -> Ledger:
    """The same ledger with another dataset, of the same budget and with as many runs."""
    ledger.register("again", **BUDGET)
    for _ in range(runs):
        ledger.reserve(new_run_id(), "again", RUN, **KIND)
    return ledger


def test_nothing_fits_into_a_budget_that_is_used_up(ledger: Ledger) -> None:
    for _ in range(5):
        reserve(ledger)
    ledger.change_budget(DATASET, epsilon=4.0, approver="Dana", reason="too generous")
    with pytest.raises(BudgetError, match="0 % is left .* No run of this kind fits any more"):
        reserve(ledger)


def test_registering_again_with_other_facts_is_refused(ledger: Ledger) -> None:
    for other in (
        {"epsilon": 8.5}, {"delta": 1e-5}, {"approver": "Kim"}, {"privacy_unit": "user"},
        {"neighboring_relation": "REPLACE_SPECIAL"}, {"population": 1000}, {"blocks": ["a"]},
    ):  # fmt: skip
        with pytest.raises(LedgerError, match="registered already, with other facts"):
            ledger.register(DATASET, **{**BUDGET, **other})
    assert len(ledger.log(DATASET)) == 1


def test_a_raised_budget_allows_more_and_a_lowered_one_nothing(ledger: Ledger) -> None:
    for _ in range(11):
        reserve(ledger)
    ledger.change_budget(DATASET, epsilon=9.0, approver="Dana", reason="new consent")
    reserve(ledger)
    lowered = ledger.change_budget(DATASET, epsilon=4.0, approver="Dana", reason="complaint")
    assert (lowered.body.approver, lowered.body.reason) == ("Dana", "complaint")  # type: ignore[union-attr]
    with pytest.raises(BudgetError):
        reserve(ledger, PlannedRun.of(noise_multiplier=100.0, sampling_probability=1e-4, steps=1))
    dataset = ledger.dataset(DATASET)
    assert dataset.order == renyi_filter.best_order(epsilon=8.0, delta=1e-6)
    assert dataset.blocks[""].charged == 12 * COST > dataset.budget
    assert charged(ledger) == 12 * COST


def test_blocks_are_charged_one_by_one(file: pathlib.Path) -> None:
    ledger = open_ledger(f"sqlite:///{file}")
    ledger.register("spans", **BUDGET, blocks=BLOCKS)
    request: Callable[..., Any] = functools.partial(ledger.reserve, dataset_id="spans", planned=RUN, **KIND)
    both, one = new_run_id(), new_run_id()
    request(both, blocks=["2024", "2023"])
    request(one, blocks=["2024"])
    assert {name: block.charged for name, block in ledger.dataset("spans").blocks.items()} == {
        "2023": COST, "2024": 2 * COST, "2025": 0,
    }  # fmt: skip
    for _ in range(9):
        request(new_run_id(), blocks=["2024"])
    with pytest.raises(BudgetError, match="blocks 2024, 2025"):
        request(new_run_id(), blocks=["2025", "2024"])
    request(new_run_id(), blocks=["2025"])
    ledger.abort(both, reason="mistake")
    assert ledger.dataset("spans").blocks["2023"].charged == 0
    assert ledger.run(one).blocks == ["2024"]
    for blocks, message in [
        ([], "charged by block, and the run names none"),
        (["2026"], "has no block '2026'"),
        (["2025", "2025"], "named twice"),
    ]:
        with pytest.raises(LedgerError, match=message):
            request(new_run_id(), blocks=blocks)
    ledger.add_blocks("spans", ["2026"], approver="Dana")
    request(new_run_id(), blocks=["2026"])
    with pytest.raises(LedgerError, match="named twice"):
        ledger.add_blocks("spans", ["2026"], approver="Dana")
    with pytest.raises(LedgerError, match="registered without blocks"):
        ledger.add_blocks(DATASET, ["2026"], approver="Dana")
    ledger.verify()


def test_another_unit_or_relation_is_refused(ledger: Ledger) -> None:
    kinds: dict[str, Any] = {"privacy_unit": "user", "neighboring_relation": "REPLACE_SPECIAL"}
    for name, value in kinds.items():
        with pytest.raises(LedgerError, match=f"{name}='{value}', but dataset 'trips' is registered with"):
            reserve(ledger, **{name: value})
    assert charged(ledger) == 0


BAD_RUNS: dict[str, list[Any]] = {
    "run_id": [None, "", "a" * 31, "A" * 32, "g" * 32, "a" * 33, "a" * 32 + "\n", 5, ["a" * 32], b"a" * 32, "\0" * 32],
    "dataset_id": [None, "", "Trips", "trips ", "-trips", "trips\n", "t" * 129, 5, ["trips"],
        "nowhere", "trips\0", "'; DROP TABLE run; --"],
    "planned": [None, {}, "run", 0.5, RUN.canonical],
    "privacy_unit": [None, "", "EXAMPLE", "group", 1],
    "neighboring_relation": [None, "", "REPLACE_ONE", 0],
    "blocks": [None, "2024", ["2024"], [5], [[]], 5, [None]],
    "purpose": [None, "", "models", 1],
    "labels": ["a", [1], {"a": 1}, {1: "a"}, {"": "a"}, {"a": "x" * 1001}, {"a" * 201: "x"}, {"a": None}, {"a": "\ud800"}],
}  # fmt: skip


def accepted(request: Callable[..., object], good: dict[str, Any], name: str, values: list[Any]) -> list[Any]:
    """Those of the values that a request takes."""
    found = []
    for value in values:
        try:
            request(**{**good, name: value})
            found.append(value)
        except (ParameterError, LedgerError):
            pass
    return found


@pytest.mark.parametrize("name", BAD_RUNS)
def test_a_malformed_reservation_is_refused(ledger: Ledger, name: str) -> None:
    good: dict[str, Any] = {"run_id": new_run_id(), "dataset_id": DATASET, "planned": RUN, **KIND}
    assert accepted(ledger.reserve, good, name, BAD_RUNS[name]) == []
    assert len(ledger.verify().log) == 1
    ledger.reserve(**good)


NOT_NUMBERS = [None, "8", True, float("nan"), float("inf"), -float("inf"), 0, -1.0, [1.0]]
BAD_DATASETS: dict[str, list[Any]] = {
    "dataset_id": [None, "", "People", "a b", ".a", "a/", "ä", "a" * 129, 5],
    "epsilon": [*NOT_NUMBERS, 1e-12, 1e7, 1e300],
    "delta": [*NOT_NUMBERS, 1.0, 2.0, 5e-324],
    "approver": [None, "", 5, "x" * 201, "\ud800"],
    "privacy_unit": [None, "group", ""],
    "neighboring_relation": [None, "REPLACE_ONE"],
    "population": [0, -5, 1.5, "9", True, 10**6, float("nan")],
    "blocks": [None, "abc", ["A"], ["a", "a"], [""], [5], ["a b"], [None]],
}


@pytest.mark.parametrize("name", BAD_DATASETS)
def test_a_malformed_registration_is_refused(ledger: Ledger, name: str) -> None:
    good = {"dataset_id": "people", **BUDGET}
    assert accepted(ledger.register, good, name, BAD_DATASETS[name]) == []
    assert list(ledger.verify().datasets) == [DATASET]


def test_a_budget_that_limits_nothing_is_refused(ledger: Ledger) -> None:
    message = r"Expected epsilon=8192\.0 < 8192\. Such a budget limits nothing; register a smaller one\."
    with pytest.raises(ParameterError, match=message):
        ledger.register("people", **{**BUDGET, "epsilon": 8192.0})
    with pytest.raises(ParameterError, match=message):
        ledger.change_budget(DATASET, epsilon=8192.0, approver="Dana", reason="")


def test_a_malformed_budget_is_refused(ledger: Ledger) -> None:
    good = {"dataset_id": DATASET, "epsilon": 9.0, "approver": "Dana", "reason": ""}
    assert accepted(ledger.change_budget, good, "epsilon", [*NOT_NUMBERS, 1e300, 1e-12]) == []
    assert accepted(ledger.change_budget, good, "approver", ["", None, "x" * 201]) == []
    assert accepted(ledger.change_budget, good, "reason", [None, 5, "x" * 1001]) == []
    assert len(ledger.log(DATASET)) == 1


def test_a_malformed_start_or_commit_is_refused(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    starting: dict[str, Any] = {"run_id": run_id, "attempt_id": attempt_id()}
    assert accepted(ledger.start, starting, "attempt", [0, -1, True, 1.0, "1", None, 2**31, 2**70]) == []
    assert accepted(ledger.start, starting, "attempt_id", [None, "", "1", "A" * 32, 5]) == []
    ledger.start(**starting)
    ending = {"run_id": run_id, "executed": RUN, "model_digest": DIGEST, "guarantee_digest": DIGEST}
    for name in ("model_digest", "guarantee_digest"):
        bad = [None, "", "sha256:", "sha256:" + "A" * 64, DIGEST + "\n", DIGEST.encode(), 5]
        assert accepted(ledger.commit, ending, name, bad) == []
    assert accepted(ledger.commit, ending, "executed", [None, {}, "run", 1000]) == []
    assert ledger.run(run_id).state == "STARTED"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0, -1.0, None, "1"])
def test_no_run_costs_nothing_or_nan(number: Any) -> None:
    for name in ("noise_multiplier", "sampling_probability", "steps"):
        with pytest.raises(ParameterError):
            RUN.changed(**{name: number})


@pytest.mark.parametrize("value", ["NULL", "'NaN'", "-1", "'x'", str(2**62)])
def test_the_database_itself_takes_no_impossible_charge(file: pathlib.Path, value: str) -> None:
    with sqlite3.connect(file) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"UPDATE block SET charged = {value}")


def test_an_entry_that_could_not_be_read_again_is_not_written(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="limit is 1048576. Give fewer or shorter labels"):
        reserve(ledger, labels={str(number): "x" * 1000 for number in range(1100)})
    with pytest.raises(LedgerError, match="limit is 1048576"):
        ledger.register("people", **BUDGET, blocks=[f"{number:0128d}" for number in range(9000)])
    reserve(ledger, labels={"pipeline": "\0 \u2028 \U0001f600 ' \" \\ ${x} </script>"})
    assert charged(ledger) == COST


def test_making_a_ledger_twice_keeps_it(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    name = ledger.verify().ledger_id
    assert ledger.initialise() == name
    assert ledger.run(run_id).state == "RESERVED"


def test_without_tables_nothing_is_charged(address: str) -> None:
    ledger = open_ledger(address)
    for request in (lambda: reserve(ledger), lambda: ledger.register(DATASET, **BUDGET), ledger.verify):
        with pytest.raises(LedgerError, match="There is no ledger in this database. Run `tfx-privacy ledger init`"):
            request()


def test_an_older_tfx_privacy_leaves_a_newer_ledger_alone(file: pathlib.Path) -> None:
    ledger = open_ledger(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    for request in (lambda: reserve(ledger), ledger.verify, ledger.initialise, lambda: ledger.run(new_run_id())):
        with pytest.raises(LedgerError, match="revision '9999', which this tfx-privacy does not know"):
            request()
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO schema_version VALUES ('0001')")
    for request in (lambda: reserve(ledger), ledger.verify, ledger.initialise):
        with pytest.raises(LedgerError, match="several revisions"):
            request()


def test_what_another_machine_rounds_otherwise_stays_valid(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bit of a logarithm differs between machines: a unit at most, which is 1e-12 nats."""
    run_id = started(ledger)
    ledger.change_budget(DATASET, epsilon=9.0, approver="Dana", reason="new consent")
    true_cost, true_budget = renyi_filter.cost, renyi_filter.budget
    monkeypatch.setattr(renyi_filter, "cost", lambda *a, **k: true_cost(*a, **k) + 1)
    monkeypatch.setattr(renyi_filter, "budget", lambda *a, **k: true_budget(*a, **k) - 1)
    commit(ledger, run_id)
    assert ledger.run(run_id).state == "COMMITTED"
    assert ledger.register(DATASET, **BUDGET).sequence == 1
    with pytest.raises(LedgerError, match="executed more"):
        commit(ledger, started(ledger), LONGER)
    ledger.verify()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqlite:///ledger.db", "relative path"),
        ("sqlite://", "by its path alone"),
        ("sqlite:///:memory:", "by its path alone"),
        ("sqlite:////tmp/l.db?mode=ro", "by its path alone"),
        ("sqlite:////tmp/a?b.db", "by its path alone"),
        ("sqlite:////dev/null", "a folder, a device or a pipe"),
        ("sqlite:////tmp", "a folder, a device or a pipe"),
        ("sqlite:////tmp/\0l.db", "cannot be followed"),
        ("sqlite:///file:/tmp/l.db", "by its path alone"),
        ("mysql://root:hunter2@host/db", "kind 'mysql'"),
        ("postgresql://root:hunter2@host", "names no database"),
        ("/srv/hunter2.db", "no address of a database"),
        ("postgresql://root:hunter2@host:port/db", "no address of a database"),
        ("", "is not set"),
        ("  ", "is not set"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_being_quoted(text: str, message: str) -> None:
    with pytest.raises(LedgerError, match=message) as error:
        open_ledger(text)
    assert "hunter2" not in f"{error.value!r} {error.value.__cause__!r}"


@pytest.mark.parametrize(
    "argument", ["sqlite:////tmp/l.db", "TFX_PRIVACY_LEDGER", "env:", "env:1A", "env:A B", "env:A\n", "", None, 5]
)
def test_an_address_is_never_an_argument(argument: Any) -> None:
    with pytest.raises(ParameterError, match="must not be given") as error:
        Ledger(argument, {"TFX_PRIVACY_LEDGER": "sqlite:////tmp/l.db"})
    assert "/tmp/l.db" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "refused"), [("nfs4", True), ("fuse.sshfs", True), ("cifs", True), ("9p", True), ("ext4", False), ("tmpfs", False)]
)  # fmt: skip
def test_a_network_file_system_is_refused(kind: str, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = f"/dev/sda / ext4 rw 0 0\nhost:/x /srv/shared\\040disk {kind} rw 0 0\n"
    true = source._file_system
    monkeypatch.setattr(source, "_file_system", lambda path: true(path, mounts))
    open_ledger("sqlite:////srv/shared/ledger.db")
    if refused:
        with pytest.raises(LedgerError, match=f"type '{kind}', where locks are not reliable"):
            open_ledger("sqlite:////srv/shared disk/team/ledger.db")
    else:
        open_ledger("sqlite:////srv/shared disk/team/ledger.db")


def test_the_address_is_in_no_message(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "hunter2"
    (secret / "ledger.db").mkdir(parents=True)
    for address in (f"sqlite:///{secret}/ledger.db", f"sqlite:///{secret}/none/ledger.db"):
        with pytest.raises(LedgerError) as error:
            open_ledger(address).verify()
        assert "hunter2" not in f"{error.value!r} {error.value.__cause__!r} {caplog.text}"
    assert "hunter2" not in repr(source.resolve("env:A", {"A": f"sqlite:///{secret}/x.db"}))


def test_one_call_reads_a_verified_run(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = reserve(open_ledger(f"sqlite:///{file}"))
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", f"sqlite:///{file}")
    assert read_runs("env:TFX_PRIVACY_LEDGER", [run_id])[run_id].state == "RESERVED"


def test_no_clock_gives_budget_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = reserve(ledger)
    for year in ("2036", "2016", "9999", "0001"):
        monkeypatch.setattr(Database, "now", lambda *_, year=year: f"{year}-01-01T00:00:00.000Z")
        ledger.start(run_id, attempt=len(ledger.log(DATASET)), attempt_id=attempt_id())
        reserve(ledger)
    assert charged(ledger) == 5 * COST
    commit(ledger, run_id)
    assert [entry.sequence for entry in ledger.log(DATASET)] == list(range(1, 12))


def test_the_state_of_the_budget_in_numbers(ledger: Ledger) -> None:
    commit(ledger, started(ledger))
    reserve(ledger)
    ledger.abort(reserve(ledger), reason="mistake")
    (block,) = budgets.status(ledger.verify().datasets[DATASET])
    dataset = ledger.dataset(DATASET)
    assert (block.committed, block.pending, block.left) == (COST, COST, dataset.budget - 2 * COST)
    assert block.spent_epsilon == renyi_filter.epsilon_of(dataset.order, 2 * COST, delta=1e-6)
    assert budgets.runs_left(ledger.verify().datasets[DATASET], "") == 9


def test_names_are_drawn_at_random() -> None:
    assert len({new_run_id() for _ in range(1000)}) == 1000
    assert secrets.compare_digest(str(len(new_run_id())), "32")
