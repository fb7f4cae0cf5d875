"""A ledger that an earlier version made is brought to this one: nothing of it changes, and releases fit into it afterwards.

tests/golden/ledger/revision_0001.sql is a SQLite ledger as the version wrote it that knew no releases; its log is export.jsonl.
"""

import os
import pathlib
import signal
import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from ledger_faults import ended, forked
from ledgers import KIND, RELEASE, RUN, open_ledger
from places import GOLDEN

from tfx_privacy.errors import BudgetError, LedgerError
from tfx_privacy.ledger import Ledger, exports, migrations, new_run_id

OLD = GOLDEN / "ledger" / "revision_0001.sql"
EXPORT = GOLDEN / "ledger" / "export.jsonl"
TABLES = ("ledger", "dataset", "block", "run", "entry")


def old_file(path: pathlib.Path) -> sqlite3.Connection:
    """The old ledger as a file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(OLD.read_text(encoding="utf-8"))
    return connection


def copy_to_postgresql(address: str) -> None:
    """The old ledger's rows in the tables that its version made in PostgreSQL."""
    engine = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    source = sqlite3.connect(":memory:")
    source.executescript(OLD.read_text(encoding="utf-8"))
    source.row_factory = sqlite3.Row
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for table in TABLES:
            rows = [dict(row) for row in source.execute(f"SELECT * FROM {table}")]
            connection.execute(sa.table(table, *map(sa.column, rows[0])).insert(), rows)
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def old(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Ledger:
    if request.param == "sqlite":
        old_file(tmp_path / "ledger.db").close()
        return open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    address = str(request.getfixturevalue("postgresql").create(f"old_{new_run_id()}"))
    copy_to_postgresql(address)
    return open_ledger(address)


def reserve(ledger: Ledger, run: Any = RELEASE, **options: Any) -> Any:
    return ledger.reserve(new_run_id(), "taxi", run, **{**KIND, "blocks": ["2025"], "purpose": "release", **options})


def test_an_old_ledger_is_left_alone_until_somebody_brings_it_here(old: Ledger) -> None:
    for request in (old.verify, lambda: reserve(old), lambda: old.log("taxi"), lambda: old.run("a" * 32)):
        with pytest.raises(LedgerError, match="of revision 0001, this tfx-privacy needs 0002. Make a backup, and run"):
            request()


def test_nothing_of_an_old_ledger_changes(old: Ledger) -> None:
    old.initialise()
    verified = old.verify()
    assert "".join(exports.lines(verified)).encode() == EXPORT.read_bytes()
    for dataset in verified.datasets.values():
        assert dataset.threshold_delta == 0
        assert dataset.conversion_delta == dataset.delta
        assert {(block.delta_charged, block.delta_ceiling) for block in dataset.blocks.values()} == {(0, 0)}
        assert {run.delta_spent for run in dataset.runs.values()} <= {0}
    assert old.run("a" * 32).state == "COMMITTED"
    old.start("c" * 32, attempt=2, attempt_id="7" * 32)
    old.initialise()  # and again, which is a check


def test_an_old_ledger_takes_releases_once_delta_is_set_aside(old: Ledger) -> None:
    old.initialise()
    before = old.dataset("taxi").blocks["2025"].charged
    reserve(old)  # without thresholds
    with pytest.raises(BudgetError, match="would spend 1e-08, and 0 is left of the 0 that is set aside"):
        reserve(old, delta_spent=1e-8)
    old.change_budget("taxi", epsilon=9.0, threshold_delta=1e-7, approver="Dana", reason="vocabularies")
    reserve(old, delta_spent=1e-8)
    reserve(old, RUN, purpose="model")
    dataset = old.verify().datasets["taxi"]
    assert dataset.blocks["2025"].charged > before
    assert dataset.blocks["2026"].delta_charged == 0
    assert dataset.blocks["2025"].delta_charged > 0


def test_what_was_edited_is_not_brought_here(tmp_path: pathlib.Path) -> None:
    """Its charges would be made anew from the edited log."""
    with old_file(tmp_path / "ledger.db") as connection:
        connection.execute("DROP TRIGGER entry_final")
        connection.execute("UPDATE entry SET body = replace(body, '0x1.0000000000000p+1', '0x1.0000000000000p+2')")
    with pytest.raises(LedgerError, match="its hash is not that of its content"):
        open_ledger(f"sqlite:///{tmp_path}/ledger.db").initialise()
    assert connection.execute("SELECT version_num FROM schema_version").fetchall() == [("0001",)]


@pytest.mark.parametrize("statement", ["UPDATE block SET charged = 0", "UPDATE dataset SET budget = budget + 1"])
def test_tables_that_do_not_follow_from_the_log_are_not_brought_here(tmp_path: pathlib.Path, statement: str) -> None:
    with old_file(tmp_path / "ledger.db") as connection:
        connection.execute(statement)
    with pytest.raises(LedgerError, match="but the entries give"):
        open_ledger(f"sqlite:///{tmp_path}/ledger.db").initialise()
    assert connection.execute("SELECT version_num FROM schema_version").fetchall() == [("0001",)]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_a_killed_upgrade_leaves_the_old_ledger(
    kind: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """After all its statements, before it is committed."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    if kind == "sqlite":
        old_file(tmp_path / "ledger.db").close()
    else:
        address = request.getfixturevalue("postgresql").create(f"killed_{new_run_id()}")
        copy_to_postgresql(address)

    def killed() -> int:
        ledger = open_ledger(address)
        sa.event.listen(ledger._database._engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        ledger.initialise()
        return 0

    assert ended(forked(killed)) == -signal.SIGKILL
    ledger = open_ledger(address)
    with pytest.raises(LedgerError, match="of revision 0001"):
        ledger.verify()
    ledger.initialise()
    assert "".join(exports.lines(ledger.verify())).encode() == EXPORT.read_bytes()


def test_an_upgraded_ledger_is_guarded_as_a_new_one(tmp_path: pathlib.Path) -> None:
    """`verify` compares every table and trigger with those of a new ledger, and they refuse the same."""
    connection = old_file(tmp_path / "ledger.db")
    open_ledger(f"sqlite:///{tmp_path}/ledger.db").initialise()
    for statement in (
        "UPDATE run SET delta_spent = 1 WHERE state = 'STARTED'",
        "UPDATE block SET delta_charged = 1",
        "UPDATE block SET delta_charged = -1",
        "UPDATE block SET delta_ceiling = NULL",
        "UPDATE dataset SET threshold_delta = -1",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
