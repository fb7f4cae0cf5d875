"""The log is checked by itself: whoever can write entries with right hashes still cannot break a rule."""

from typing import Any

import pytest
from ledgers import DIGEST, RUN

from tfx_privacy.budget import renyi_filter
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import entries, replay

LEDGER_ID, FIRST, SECOND = "0" * 32, "1" * 32, "2" * 32
ORDER = renyi_filter.best_order(epsilon=8.0, delta=1e-6)
COST = renyi_filter.cost(ORDER, RUN.event)
BUDGET = renyi_filter.budget(ORDER, epsilon=8.0, delta=1e-6)


def registered(**changes: Any) -> entries.Registered:
    return entries.Registered(
        **{
            "privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE", "epsilon": (8.0).hex(), "delta": (1e-6).hex(),
            "order": ORDER.hex(), "budget": BUDGET, "approver": "Dana", **changes,
        }
    )  # fmt: skip


def reserved(run_id: str = FIRST, **changes: Any) -> entries.Reserved:
    return entries.Reserved(
        **{"run_id": run_id, "purpose": "model", "planned": RUN, "cost": COST, "accountant": "a", **changes}
    )


def started(attempt: int = 1) -> entries.Started:
    return entries.Started(run_id=FIRST, attempt=attempt, attempt_id=SECOND)


def committed(executed: PlannedRun = RUN) -> entries.Committed:
    return entries.Committed(run_id=FIRST, executed=executed, model_digest=DIGEST, guarantee_digest=DIGEST)


def settled() -> entries.Settled:
    return entries.Settled(run_id=FIRST, approver="Dana", reason="died")


def chain(*bodies: Any, dataset_id: str = "trips") -> list[entries.Entry]:
    """A log whose hashes are all right."""
    log: list[entries.Entry] = []
    for number, body in enumerate(bodies, 1):
        log.append(
            entries.make_entry(
                ledger_id=LEDGER_ID,
                dataset_id=dataset_id,
                sequence=number,
                at="2026-01-01T00:00:00.000Z",
                request_id=f"{body.kind}:{number:032x}",
                body=body,
                previous_hash=log[-1].hash if log else entries.genesis_hash(LEDGER_ID, dataset_id),
            )
        )
    return log


def aborted() -> entries.Aborted:
    return entries.Aborted(run_id=FIRST, reason="")


def test_what_follows_the_rules_is_valid() -> None:
    log = chain(
        registered(), reserved(), started(), started(2), committed(), *(reserved(f"{n:032x}") for n in range(10))
    )
    dataset = replay.replay(log)["trips"]
    assert dataset.blocks[""].charged == 11 * COST
    assert dataset.runs[FIRST].state == "COMMITTED"


TWICE = RUN.changed(steps=2000)
BROKEN: dict[str, tuple[list[Any], str]] = {
    "a run too many": ([registered(), *(reserved(f"{n:032x}") for n in range(12))], "does not fit into the budget"),
    "a run for half its cost": ([registered(), reserved(cost=COST // 2)], "cost of .* is not that of its run"),
    "a run a millionth cheaper": ([registered(), reserved(cost=COST - COST // 10**6)], "cost of .* is not that of its run"),
    "a budget of twice its units": ([registered(budget=2 * BUDGET)], "budget of .* is not that of epsilon=8"),
    "a raised budget of more units": (
        [registered(), entries.BudgetChanged(epsilon=(8.0).hex(), budget=BUDGET + BUDGET // 10**6, approver="Dana", reason="")],
        "budget of .* is not that of epsilon=8",
    ),
    "a run twice": ([registered(), reserved(), reserved()], "was reserved before"),
    "a run on no block": ([registered(blocks=["a"]), reserved()], "blocks .* are not the dataset's"),
    "a run on another block": ([registered(blocks=["a"]), reserved(blocks=["b"])], "blocks .* are not the dataset's"),
    "a run on one block twice": ([registered(blocks=["a"]), reserved(blocks=["a", "a"])], "blocks .* are not"),
    "two registrations": ([registered(), registered()], "registered already"),
    "no registration": ([reserved()], "not registered"),
    "a block twice": ([registered(blocks=["a", "a"])], "named twice"),
    "a block again": ([registered(blocks=["a"]), entries.BlocksAdded(blocks=["a"], approver="D")], "named twice"),
    "a block of a dataset without": ([registered(), entries.BlocksAdded(blocks=["a"], approver="D")], "without blocks"),
    "a start of nothing": ([registered(), started()], "was never reserved"),
    "a commit before the start": ([registered(), reserved(), committed()], "is RESERVED; commit needs STARTED"),
    "a commit of more": ([registered(), reserved(), started(), committed(TWICE)], "executed more than was reserved"),
    "two commits": ([registered(), reserved(), started(), committed(), committed()], "is COMMITTED; commit needs"),
    "an old attempt": ([registered(), reserved(), started(2), started(1)], "does not come after attempt 2"),
    "the same attempt": ([registered(), reserved(), started(2), started(2)], "does not come after attempt 2"),
    "given back after the start": ([registered(), reserved(), started(), aborted()], "is STARTED; abort needs RESERVED"),
    "given back after the end": (
        [registered(), reserved(), started(), committed(), aborted()], "is COMMITTED; abort needs RESERVED"
    ),
    "given back twice": ([registered(), reserved(), aborted(), aborted()], "is ABORTED; abort needs RESERVED"),
    "settled before the start": ([registered(), reserved(), settled()], "is RESERVED; settle needs STARTED"),
    "started after the settlement": ([registered(), reserved(), started(), settled(), started(2)], "is SETTLED"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_found_whatever_the_hashes_say(case: str) -> None:
    bodies, message = BROKEN[case]
    with pytest.raises(LedgerError, match=message):
        replay.replay(chain(*bodies))
    if len(bodies) > 1:
        replay.replay(chain(*bodies[:-1]))


def test_a_run_belongs_to_one_dataset() -> None:
    with pytest.raises(LedgerError, match="reserved by another dataset"):
        replay.replay(chain(registered(), reserved()) + chain(registered(), reserved(), dataset_id="others"))


def test_a_request_is_carried_out_once() -> None:
    log = chain(registered(), reserved(), reserved(SECOND))
    again = entries.make_entry(
        **{
            **{name: getattr(log[2], name) for name in type(log[2]).model_fields if name != "hash"},
            "request_id": log[1].request_id,
        }
    )
    with pytest.raises(LedgerError, match="was carried out before"):
        replay.replay([*log[:2], again])


def test_entries_of_two_ledgers_do_not_mix() -> None:
    other = chain(registered(), dataset_id="others")[0]
    foreign = entries.make_entry(
        **{
            **{name: getattr(other, name) for name in type(other).model_fields if name != "hash"},
            "ledger_id": "f" * 32,
            "previous_hash": entries.genesis_hash("f" * 32, "others"),
        }
    )
    with pytest.raises(LedgerError, match="of another ledger"):
        replay.replay([*chain(registered()), foreign])


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (0, 2), (1, 2), (0, 0, 1), (0, 1, 1)])
def test_entries_that_are_missing_doubled_or_out_of_order_are_found(order: tuple[int, ...]) -> None:
    log = chain(registered(), reserved(), reserved(SECOND))
    with pytest.raises(LedgerError, match="entries are missing, or out of order|registered already"):
        replay.replay([log[index] for index in order])
