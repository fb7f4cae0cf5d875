"""The ledger's tables, and the triggers that keep its log as it was written.

A trigger is a guard against a client's mistake. Whoever owns the database can drop it; what finds that is the chain of
hashes, and a head of it that is kept elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LARGEST = 2**53
_KEPT = ("ledger", "dataset", "block", "run", "entry")
_FINAL = {"ledger": "the ledger's name is never changed", "entry": "entries of the ledger are never changed"}
# What a run may become, and that its charge stays what was reserved.
RUN_MAY_NOT = """
NOT (
  (OLD.state = 'RESERVED' AND NEW.state IN ('STARTED', 'ABORTED'))
  OR (OLD.state = 'STARTED' AND NEW.state IN ('STARTED', 'COMMITTED', 'SETTLED'))
) OR NEW.run_id <> OLD.run_id OR NEW.dataset_id <> OLD.dataset_id OR NEW.planned <> OLD.planned OR NEW.cost <> OLD.cost
  OR NEW.blocks <> OLD.blocks OR NEW.purpose <> OLD.purpose
"""


def upgrade() -> None:
    """Creates everything."""
    op.create_table("ledger", sa.Column("ledger_id", sa.Text, primary_key=True))
    op.create_table(
        "dataset",
        sa.Column("dataset_id", sa.Text, primary_key=True),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("epsilon", sa.Text, nullable=False),
        sa.Column("budget", sa.BigInteger, nullable=False),
        sa.Column("head_sequence", sa.BigInteger, nullable=False),
        sa.Column("head_hash", sa.Text, nullable=False),
        sa.CheckConstraint(f"budget > 0 AND budget < {_LARGEST}", name="budget_in_range"),
    )
    op.create_table(
        "block",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), primary_key=True),
        sa.Column("block", sa.Text, primary_key=True),
        sa.Column("charged", sa.BigInteger, nullable=False),
        sa.Column("ceiling", sa.BigInteger, nullable=False),
        sa.CheckConstraint("charged >= 0 AND charged <= ceiling", name="charged_within_ceiling"),
    )
    op.create_table(
        "run",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("planned", sa.Text, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("blocks", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("attempt_id", sa.Text),
        sa.Column("model_digest", sa.Text),
        sa.Column("guarantee_digest", sa.Text),
        sa.Column("commit_sequence", sa.BigInteger),
        sa.CheckConstraint("state IN ('RESERVED', 'STARTED', 'COMMITTED', 'ABORTED', 'SETTLED')", name="state_known"),
        sa.CheckConstraint(f"cost > 0 AND cost < {_LARGEST}", name="cost_in_range"),
    )
    op.create_index("run_by_dataset", "run", ["dataset_id", "state"])
    op.create_table(
        "entry",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.UniqueConstraint("dataset_id", "request_id", name="entry_once"),
        sa.CheckConstraint("sequence > 0", name="sequence_positive"),
    )
    make_triggers = _sqlite_triggers if op.get_bind().dialect.name == "sqlite" else _postgresql_triggers
    for statement in make_triggers():
        op.execute(sa.text(statement.replace(":", r"\:")))


def _sqlite_trigger(name: str, event: str, table: str, message: str, condition: str = "") -> str:
    when = f"WHEN {condition}" if condition else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def sqlite_trigger_of_runs(may_not: str) -> str:
    """The trigger that refuses what a run may not become."""
    return _sqlite_trigger("run_moves_on", "UPDATE", "run", "a run does not move this way", may_not)


def _sqlite_triggers() -> list[str]:
    kept = [_sqlite_trigger(f"{table}_kept", "DELETE", table, f"no row of {table} is ever deleted") for table in _KEPT]
    final = [
        _sqlite_trigger(f"{table}_final", "UPDATE", table, message.replace("'", "''"))
        for table, message in _FINAL.items()
    ]
    return [*kept, *final, sqlite_trigger_of_runs(RUN_MAY_NOT)]


class PostgreSQLGuard(NamedTuple):
    """A trigger that refuses."""

    name: str
    table: str
    event: str
    condition: str = ""
    source: str = " BEGIN RAISE EXCEPTION '% of % is refused by the ledger', TG_OP, TG_TABLE_NAME; END "
    """Of its function."""

    @property
    def kind(self) -> int:
        """As `pg_trigger.tgtype` has it: for each row 1, before 2, delete 8, update 16, truncate 32."""
        return {"DELETE": 1 + 2 + 8, "UPDATE": 1 + 2 + 16, "TRUNCATE": 2 + 32}[self.event]

    @property
    def statement(self) -> str:
        """What makes it."""
        each = "STATEMENT" if self.event == "TRUNCATE" else "ROW"
        when = f"WHEN ({self.condition}) " if self.condition else ""
        return (
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH {each} {when}"
            "EXECUTE FUNCTION tfx_privacy_refuse()"
        )


def postgresql_guards() -> list[PostgreSQLGuard]:
    """All triggers of PostgreSQL."""
    return [
        *(PostgreSQLGuard(f"{table}_kept", table, "DELETE") for table in _KEPT),
        *(PostgreSQLGuard(f"{table}_whole", table, "TRUNCATE") for table in _KEPT),
        *(PostgreSQLGuard(f"{table}_final", table, "UPDATE") for table in _FINAL),
        PostgreSQLGuard("run_moves_on", "run", "UPDATE", RUN_MAY_NOT),
    ]


def _postgresql_triggers() -> list[str]:
    guards = postgresql_guards()
    function = f"CREATE FUNCTION tfx_privacy_refuse() RETURNS trigger LANGUAGE plpgsql AS $${guards[0].source}$$"
    return [function, *(guard.statement for guard in guards)]
