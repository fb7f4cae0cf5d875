"""Releases in the ledger: a Gaussian mechanism's divergence, and beside it the delta that its thresholds spend."""

from __future__ import annotations

import contextlib
import functools
import math
import pathlib
import random
import sqlite3
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from ledger_faults import ended, forked, warm_up
from ledgers import BUDGET, DATASET, DIGEST, KIND, OTHER_DIGEST, RELEASE, RUN, attempt_id, new_ledger, open_ledger

from tfx_privacy.accounting.composition import composed
from tfx_privacy.accounting.epsilon import COARSE_INTERVAL, epsilon_bounds
from tfx_privacy.budget import renyi_filter, thresholds
from tfx_privacy.budget.runs import PlannedRun
from tfx_privacy.errors import BudgetError, LedgerError, ParameterError
from tfx_privacy.ledger import Ledger, budgets, entries, new_run_id, replay, summary
from tfx_privacy.third_party.dp_accounting import rdp

SET_ASIDE = 1e-7
UNIT = Fraction(1, 2**60)


@pytest.fixture
def ledger(tmp_path: pathlib.Path) -> Ledger:
    return new_ledger(f"sqlite:///{tmp_path}/ledger.db", threshold_delta=SET_ASIDE)


def reserve(ledger: Ledger, delta_spent: float = 1e-8, planned: PlannedRun = RELEASE, **options: Any) -> str:
    run_id = options.pop("run_id", None) or new_run_id()
    ledger.reserve(run_id, DATASET, planned, **{**KIND, "purpose": "release", "delta_spent": delta_spent, **options})
    return str(run_id)


def spent(ledger: Ledger, block: str = "") -> int:
    """As `verify` finds it: the column, which equals what the entries give."""
    return ledger.verify().datasets[DATASET].blocks[block].delta_charged


def recomputed(ledger: Ledger, block: str = "") -> Fraction:
    """What thresholds spend by the log alone, in exact fractions, by none of the ledger's code."""
    charged: dict[str, Fraction] = {}
    for entry in ledger.log(DATASET):
        body = entry.body.model_dump()
        if body["kind"] == "reserve" and block in (body["blocks"] or [""]):
            charged[body["run_id"]] = body.get("delta_spent", 0) * UNIT
        elif body["kind"] == "abort":
            charged.pop(body["run_id"], None)
    return sum(charged.values(), Fraction(0))


def test_a_release_is_charged_starts_and_commits(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    ledger.start(run_id, attempt_id=attempt_id())
    entry = ledger.commit(run_id, RELEASE, model_digest=DIGEST, guarantee_digest=OTHER_DIGEST)
    found = ledger.run(run_id)
    assert (found.state, found.purpose, found.planned) == ("COMMITTED", "release", RELEASE)
    assert (found.model_digest, found.guarantee_digest, found.sequence) == (DIGEST, OTHER_DIGEST, entry.sequence)
    assert found.delta_spent == found.delta_charged == spent(ledger) == thresholds.spent(1e-8)
    assert found.threshold_delta == thresholds.set_aside(SET_ASIDE)
    assert found.charged == renyi_filter.cost(ledger.dataset(DATASET).order, RELEASE.event)


def test_what_is_set_aside_is_no_budget_of_divergence(ledger: Ledger) -> None:
    dataset = ledger.dataset(DATASET)
    rest = thresholds.left(1e-6, dataset.threshold_delta)
    assert dataset.order == renyi_filter.best_order(epsilon=8.0, delta=rest)
    assert dataset.budget == renyi_filter.budget(dataset.order, epsilon=8.0, delta=rest)
    assert dataset.budget < renyi_filter.budget(dataset.order, epsilon=8.0, delta=1e-6)
    reserve(ledger, 0.0, RUN, purpose="model")
    # Whatever thresholds spend: divergence has its own bound.
    assert ledger.dataset(DATASET).budget == dataset.budget
    run = ledger.run(reserve(ledger, SET_ASIDE / 2))
    assert run.spent_epsilon == renyi_filter.epsilon_of(dataset.order, run.charged, delta=rest)


def test_the_very_last_unit_is_spent_and_not_one_more(ledger: Ledger) -> None:
    whole = thresholds.set_aside(SET_ASIDE)
    reserve(ledger, thresholds.delta_of(whole - 1))
    with pytest.raises(BudgetError):
        reserve(ledger, thresholds.delta_of(2))
    reserve(ledger, 1e-30)  # which is one unit
    assert spent(ledger) == whole
    with pytest.raises(BudgetError):
        reserve(ledger, 1e-30)
    reserve(ledger, 0.0)
    assert spent(ledger) == whole


def test_a_refusal_says_what_is_left(ledger: Ledger) -> None:
    reserve(ledger, 9e-8)
    with pytest.raises(BudgetError) as error:
        reserve(ledger, 2e-8)
    assert str(error.value) == (
        "The delta of dataset 'trips' does not suffice: this release's thresholds would spend 2e-08, and 1e-08 is left of "
        "the 1e-07 that is set aside for thresholds (of delta=1e-06). Nothing was charged, and no record was read. Lower what "
        "the thresholds spend, or have more set aside by whoever owns the budget (`tfx-privacy ledger budget "
        "--threshold-delta`)."
    )
    with pytest.raises(
        BudgetError, match="The budget of .* What would fit: a noise_multiplier of at least .* The delta of"
    ):
        reserve(ledger, 2e-8, PlannedRun.of(noise_multiplier=0.3, sampling_probability=1.0, steps=1))
    assert len(ledger.log(DATASET)) == 2


@pytest.mark.parametrize("delta_spent", [1e-6, 2e-6, 1e-3])
def test_no_thresholds_may_spend_all_of_delta(ledger: Ledger, delta_spent: float) -> None:
    with pytest.raises(BudgetError, match="The delta of dataset 'trips' does not suffice"):
        reserve(ledger, delta_spent)


def test_without_delta_set_aside_no_threshold_is_charged(tmp_path: pathlib.Path) -> None:
    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(BudgetError, match="would spend 8.67e-19, and 0 is left of the 0 that is set aside"):
        reserve(ledger, 1e-30)
    reserve(ledger, 0.0)
    assert ledger.verify().datasets[DATASET].budget == renyi_filter.budget(4.4, epsilon=8.0, delta=1e-6)


def test_delta_is_given_back_before_the_start_and_never_after_it(ledger: Ledger) -> None:
    one = thresholds.spent(1e-8)
    given_back, started, settled = (reserve(ledger) for _ in range(3))
    assert spent(ledger) == 3 * one
    ledger.abort(given_back, reason="mistake")
    assert spent(ledger) == 2 * one
    for run_id in (started, settled):
        ledger.start(run_id, attempt_id=attempt_id())
        with pytest.raises(LedgerError, match="is STARTED; abort needs RESERVED"):
            ledger.abort(run_id, reason="it died")
    ledger.settle(settled, approver="Dana", reason="it died")
    assert spent(ledger) == 2 * one == recomputed(ledger) / UNIT
    settled_early = reserve(ledger)
    ledger.settle(settled_early, approver="Dana", reason="it never began")
    assert spent(ledger) == 2 * one
    assert ledger.run(settled_early).delta_charged == 2 * one


def test_a_request_is_the_same_only_with_the_same_delta(ledger: Ledger) -> None:
    run_id = reserve(ledger)
    assert reserve(ledger, run_id=run_id) == run_id
    for other in (0.0, 1.1e-8, 1e-9):
        with pytest.raises(LedgerError, match="was made before, with other content"):
            reserve(ledger, other, run_id=run_id)
    assert spent(ledger) == thresholds.spent(1e-8)


@pytest.mark.parametrize("purpose", ["model", "reference_models"])
def test_only_a_release_has_thresholds(ledger: Ledger, purpose: str) -> None:
    with pytest.raises(ParameterError, match="delta_spent belongs to purpose='release'"):
        reserve(ledger, purpose=purpose)
    reserve(ledger, 0.0, purpose=purpose)
    assert spent(ledger) == 0


@pytest.mark.parametrize("value", [None, "1e-9", True, float("nan"), float("inf"), -1e-9, 0.5, 1.0])
def test_what_is_no_small_probability_is_refused(ledger: Ledger, value: Any) -> None:
    with pytest.raises(ParameterError, match="delta_spent"):
        reserve(ledger, value)
    if value is not None:
        with pytest.raises(ParameterError, match="threshold_delta"):
            ledger.register("people", **BUDGET, threshold_delta=value)
        with pytest.raises(ParameterError, match="threshold_delta"):
            ledger.change_budget(DATASET, epsilon=8.0, threshold_delta=value, approver="Dana", reason="")
    assert len(ledger.verify().log) == 1


@pytest.mark.parametrize("value", [1e-6, 1.1e-6, 1e-3])
def test_not_all_of_delta_is_set_aside(ledger: Ledger, value: float) -> None:
    with pytest.raises(ParameterError, match="threshold_delta=.* < delta=1e-06"):
        ledger.register("people", **BUDGET, threshold_delta=value)
    with pytest.raises(ParameterError, match="threshold_delta=.* < delta=1e-06"):
        ledger.change_budget(DATASET, epsilon=8.0, threshold_delta=value, approver="Dana", reason="")


def test_another_share_is_set_aside_by_whoever_owns_the_budget(ledger: Ledger) -> None:
    before = ledger.dataset(DATASET)
    reserve(ledger, 4e-8)
    more = ledger.change_budget(DATASET, epsilon=8.0, threshold_delta=5e-7, approver="Dana", reason="vocabularies")
    assert more.body.model_dump()["threshold_delta"] == thresholds.set_aside(5e-7)
    after = ledger.dataset(DATASET)
    assert after.budget == renyi_filter.budget(before.order, epsilon=8.0, delta=after.conversion_delta) < before.budget
    reserve(ledger, 4e-7)
    # Another epsilon leaves the share as it was.
    changed = ledger.change_budget(DATASET, epsilon=9.0, approver="Dana", reason="")
    assert "threshold_delta" not in changed.body.model_dump()
    assert ledger.dataset(DATASET).threshold_delta == thresholds.set_aside(5e-7)
    # What was spent would be used for divergence once more.
    for less in (0.0, 1e-7, 4.39e-7):
        with pytest.raises(LedgerError, match="it sets aside less for thresholds than they have spent"):
            ledger.change_budget(DATASET, epsilon=9.0, threshold_delta=less, approver="Dana", reason="")
    ledger.change_budget(DATASET, epsilon=9.0, threshold_delta=4.5e-7, approver="Dana", reason="")
    with pytest.raises(BudgetError, match="1e-08 is left of the 4.5e-07"):
        reserve(ledger, 2e-8)
    ledger.verify()


def test_a_share_that_is_not_used_is_given_to_divergence(ledger: Ledger) -> None:
    ledger.change_budget(DATASET, epsilon=8.0, threshold_delta=0.0, approver="Dana", reason="no vocabularies")
    dataset = ledger.verify().datasets[DATASET]
    assert dataset.threshold_delta == 0
    assert dataset.budget == renyi_filter.budget(dataset.order, epsilon=8.0, delta=1e-6)


def test_registering_again_must_say_the_same_share(ledger: Ledger) -> None:
    assert ledger.register(DATASET, **BUDGET, threshold_delta=SET_ASIDE).sequence == 1
    for other in (None, 2e-7):
        with pytest.raises(LedgerError, match="registered already, with other facts"):
            ledger.register(DATASET, **BUDGET, threshold_delta=other)


def test_blocks_are_charged_one_by_one(ledger: Ledger) -> None:
    ledger.register("spans", **BUDGET, threshold_delta=SET_ASIDE, blocks=["2024", "2025"])
    request: Callable[..., Any] = functools.partial(
        ledger.reserve, dataset_id="spans", planned=RELEASE, **KIND, purpose="release"
    )
    both = new_run_id()
    request(both, blocks=["2024", "2025"], delta_spent=6e-8)
    request(new_run_id(), blocks=["2024"], delta_spent=3e-8)
    with pytest.raises(BudgetError, match="blocks 2024, 2025 does not suffice: .* 1e-08 is left"):
        request(new_run_id(), blocks=["2024", "2025"], delta_spent=3e-8)
    request(new_run_id(), blocks=["2025"], delta_spent=3e-8)
    ledger.add_blocks("spans", ["2026"], approver="Dana")
    request(new_run_id(), blocks=["2026"], delta_spent=SET_ASIDE / 2)
    assert ledger.run(both).delta_charged == thresholds.spent(6e-8) + thresholds.spent(3e-8)
    ledger.abort(both, reason="mistake")
    charged = {name: block.delta_charged for name, block in ledger.verify().datasets["spans"].blocks.items()}
    three = thresholds.spent(3e-8)
    assert charged == {"2024": three, "2025": three, "2026": thresholds.spent(5e-8)}


def test_the_database_itself_takes_no_charge_beyond_what_is_set_aside(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    """A client that computes something else is stopped by the last guard."""
    reserve(ledger)
    most = thresholds.set_aside(SET_ASIDE)
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as connection:
        for value in (str(most + 1), "-1", "NULL", "'NaN'", str(2**62)):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(f"UPDATE block SET delta_charged = {value}")


def test_the_text_of_an_entry_without_thresholds_is_what_it_was(ledger: Ledger) -> None:
    """Its hash is of this text: a name more, and no earlier ledger would be valid."""
    ledger.register("people", **BUDGET)
    ledger.change_budget("people", epsilon=9.0, approver="Dana", reason="")
    ledger.reserve(new_run_id(), "people", RELEASE, **KIND, purpose="release")
    for entry in ledger.log("people"):
        text = entries.body_text(entry.body)
        assert "delta_spent" not in text
        assert "threshold_delta" not in text
    for name in ("delta_spent", "threshold_delta"):
        for body in (entry.body for entry in ledger.log("people")):
            if name in type(body).model_fields:
                # What no writer writes is not read either: one content has one text.
                said = entries.body_text(body)[:-1] + f',"{name}":null}}'
                assert entries.body_text(type(body).from_json(said)) != said


def test_a_budget_shows_what_thresholds_spent(ledger: Ledger) -> None:
    reserve(ledger, 1e-8)
    reserve(ledger, 2.5e-8)
    (row,) = summary.rows(ledger.verify().datasets[DATASET])
    assert row["delta_spent"] == thresholds.delta_of(thresholds.spent(1e-8) + thresholds.spent(2.5e-8))
    assert row["threshold_delta"] == thresholds.delta_of(thresholds.set_aside(SET_ASIDE))
    (status,) = budgets.status(ledger.verify().datasets[DATASET])
    assert status.delta_charged == spent(ledger)
    # If all had been planned, nothing were lost to what is set aside and not spent.
    rest = 1e-6 - row["delta_spent"]
    bounds = epsilon_bounds(
        RELEASE.changed(steps=2).event, target_delta=rest, value_discretization_interval=COARSE_INTERVAL
    )
    assert row["pld_epsilon_if_planned"] == pytest.approx(bounds.best, rel=1e-6)


def test_delta_is_what_an_independent_sum_of_the_entries_gives(ledger: Ledger) -> None:
    """Random releases, some of which are given back, start, or end."""
    rng = random.Random(3)
    runs: list[str] = []
    requests: list[Callable[[str], Any]] = [
        lambda run_id: ledger.abort(run_id, reason=""),
        lambda run_id: ledger.start(run_id, attempt_id=attempt_id()),
        lambda run_id: ledger.settle(run_id, approver="Dana", reason=""),
    ]
    for _ in range(60):
        with contextlib.suppress(BudgetError):
            runs.append(reserve(ledger, 10 ** rng.uniform(-19, -7.5)))
        with contextlib.suppress(LedgerError):
            rng.choice(requests)(rng.choice(runs))
        assert spent(ledger) * UNIT == recomputed(ledger) <= thresholds.set_aside(SET_ASIDE) * UNIT
    states = {run.state for run in ledger.verify().datasets[DATASET].runs.values()}
    assert states >= {"ABORTED", "STARTED"}
    assert len(runs) > 20


@pytest.mark.parametrize("seed", range(6))
def test_what_is_admitted_is_within_the_budget_by_an_independent_composition(tmp_path: pathlib.Path, seed: int) -> None:
    """Runs and releases until nothing more fits; then all of it is composed as if nobody had kept a ledger.

    By both accountants, each at the delta that thresholds leave, which is a sum of the numbers that were asked for.
    """
    rng = random.Random(seed)
    epsilon, delta = rng.uniform(0.8, 12.0), 10 ** rng.uniform(-9, -4)
    share = rng.choice([0.02, 0.1, 0.5, 0.9])
    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.db", epsilon=epsilon, delta=delta, threshold_delta=share * delta)
    admitted: list[PlannedRun] = []
    asked: list[float] = []
    refused = 0
    kinds = [
        PlannedRun.of(noise_multiplier=rng.uniform(2.0, 60.0), sampling_probability=1.0, steps=1),
        PlannedRun.of(noise_multiplier=rng.uniform(2.0, 60.0), sampling_probability=1.0, steps=1),
        PlannedRun.of(noise_multiplier=rng.uniform(0.8, 3.0), sampling_probability=0.01, steps=rng.randint(50, 500)),
    ]
    while refused < 12 and len(admitted) < 150:
        planned = rng.choice(kinds)
        thresholds_spend = share * delta * rng.uniform(0.01, 0.2) if planned.steps == 1 else 0.0
        try:
            reserve(ledger, thresholds_spend, planned, purpose="release" if planned.steps == 1 else "model")
        except BudgetError:
            refused += 1
            continue
        admitted.append(planned)
        asked.append(thresholds_spend)
    rest = delta - math.fsum(asked)
    assert refused
    assert math.fsum(asked) <= share * delta * (1 + 2e-6)
    bounds = epsilon_bounds(
        composed([run.event for run in admitted]), target_delta=rest, value_discretization_interval=COARSE_INTERVAL
    )
    assert bounds.rdp <= epsilon
    assert bounds.pld is None or bounds.pld <= epsilon
    # At the one order dp-accounting's own conversion, with what is set aside away, says where the budget ends: one more of
    # what was refused for its divergence would be beyond it.
    dataset = ledger.verify().datasets[DATASET]
    spare = thresholds.left(delta, dataset.threshold_delta)
    assert _epsilon_at(dataset.order, admitted, spare) <= epsilon * (1 + 1e-9)
    for planned in kinds:
        cost = renyi_filter.cost(dataset.order, planned.event)
        if dataset.blocks[""].charged + cost > dataset.budget:
            assert _epsilon_at(dataset.order, [*admitted, planned], spare) > epsilon * (1 - 1e-6)


def _epsilon_at(order: float, runs: list[PlannedRun], delta: float) -> float:
    accountant = rdp.RdpAccountant([order])
    for run in runs:
        accountant.compose(run.event)
    return float(accountant.get_epsilon(delta))


def test_the_log_alone_is_held_against_the_rules() -> None:
    """Whoever can write entries with right hashes still cannot spend more than was set aside, nor set aside twice."""
    from test_ledger_replay import chain

    order = renyi_filter.best_order(epsilon=8.0, delta=9e-7)
    whole = thresholds.set_aside(SET_ASIDE)
    budget = functools.partial(renyi_filter.budget, order, epsilon=8.0)
    rest = thresholds.left(1e-6, whole)
    facts: dict[str, Any] = {
        "privacy_unit": "example", "neighboring_relation": "ADD_OR_REMOVE_ONE", "epsilon": (8.0).hex(), "delta": (1e-6).hex(),
        "order": order.hex(), "approver": "Dana",
    }  # fmt: skip
    registered = entries.Registered(**facts, budget=budget(delta=rest), threshold_delta=whole)

    def reserved(number: int, units: int | None) -> entries.Reserved:
        cost = renyi_filter.cost(order, RELEASE.event)
        return entries.Reserved(
            run_id=f"{number:032x}", purpose="release", planned=RELEASE, cost=cost, delta_spent=units, accountant="a"
        )

    def changed(units: int | None, delta: float) -> entries.BudgetChanged:
        return entries.BudgetChanged(
            epsilon=(8.0).hex(), budget=budget(delta=delta), threshold_delta=units, approver="Dana", reason=""
        )

    valid = chain(registered, reserved(1, whole), changed(None, rest), changed(whole, rest), reserved(2, None))
    assert replay.replay(valid)["trips"].blocks[""].delta_charged == whole
    for bodies, message in (
        ([registered, reserved(1, whole), reserved(2, 1)], "units of its thresholds not into"),
        ([registered, reserved(1, whole + 1)], "units of its thresholds not into"),
        ([entries.Registered(**facts, budget=budget(delta=1e-6), threshold_delta=whole)], "is not that of epsilon=8"),
        ([entries.Registered(**facts, budget=1, threshold_delta=2 * 10**13)], "there is no such budget"),
        ([registered, changed(None, 1e-6)], "is not that of epsilon=8"),
        ([registered, changed(whole, 1e-6)], "is not that of epsilon=8"),
        ([registered, reserved(1, whole), changed(0, 1e-6)], "sets aside less for thresholds than they have spent"),
    ):
        with pytest.raises(LedgerError, match=message):
            replay.replay(chain(*bodies))


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)  # fmt: skip
def test_sixteen_who_want_more_than_is_set_aside_get_what_there_is(
    kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """Five fit by their delta; there is divergence for all."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    if kind == "postgresql":
        address = request.getfixturevalue("postgresql").create(f"race_{new_run_id()}")
    ledger = new_ledger(address, threshold_delta=SET_ASIDE)
    with pytest.raises(BudgetError):  # accountings of a refusal, which the processes inherit
        reserve(ledger, 1e-6)
    warm_up()

    def take_part() -> int:
        try:
            reserve(open_ledger(address), SET_ASIDE / 5)
        except BudgetError:
            return 3
        return 0

    codes = [ended(child) for child in [forked(take_part) for _ in range(16)]]
    assert sorted(codes) == [0] * 5 + [3] * 11
    assert spent(ledger) == 5 * thresholds.spent(SET_ASIDE / 5) <= thresholds.set_aside(SET_ASIDE)
