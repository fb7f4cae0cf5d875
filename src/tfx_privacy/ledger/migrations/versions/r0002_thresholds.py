"""What thresholds spend of delta: how much of it is set aside in a dataset, charged to a block, spent by a run.

In an older ledger all three are nothing. The statements are the same for both databases, and what they leave is the same
whether the tables were made by this version or brought to it: `verification` compares their text.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tfx_privacy.ledger.migrations.versions import r0001_ledger

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LARGEST = 2**53
_RUN_MAY_NOT = f"{r0001_ledger.RUN_MAY_NOT.rstrip()} OR NEW.delta_spent <> OLD.delta_spent\n"
_COLUMNS = (
    "ALTER TABLE dataset ADD COLUMN threshold_delta BIGINT DEFAULT 0 NOT NULL "
    f"CONSTRAINT threshold_delta_in_range CHECK (threshold_delta >= 0 AND threshold_delta < {_LARGEST})",
    "ALTER TABLE block ADD COLUMN delta_charged BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE block ADD COLUMN delta_ceiling BIGINT DEFAULT 0 NOT NULL "
    "CONSTRAINT delta_charged_within_ceiling CHECK (delta_charged >= 0 AND delta_charged <= delta_ceiling)",
    "ALTER TABLE run ADD COLUMN delta_spent BIGINT DEFAULT 0 NOT NULL "
    f"CONSTRAINT delta_spent_in_range CHECK (delta_spent >= 0 AND delta_spent < {_LARGEST})",
)


def upgrade() -> None:
    """Adds the columns, and keeps what a run's thresholds spend as it was reserved."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    guard = next(guard for guard in postgresql_guards() if guard.name == "run_moves_on")
    statements = [
        *_COLUMNS,
        "DROP TRIGGER run_moves_on" if is_sqlite else "DROP TRIGGER run_moves_on ON run",
        r0001_ledger.sqlite_trigger_of_runs(_RUN_MAY_NOT) if is_sqlite else guard.statement,
    ]
    for statement in statements:
        op.execute(sa.text(statement.replace(":", r"\:")))


def postgresql_guards() -> list[r0001_ledger.PostgreSQLGuard]:
    """All triggers of PostgreSQL."""
    return [
        guard._replace(condition=_RUN_MAY_NOT) if guard.name == "run_moves_on" else guard
        for guard in r0001_ledger.postgresql_guards()
    ]
