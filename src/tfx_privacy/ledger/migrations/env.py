"""What Alembic runs: the connection, with its transaction, comes from `migrations.upgrade`."""

from __future__ import annotations

from alembic import context

from tfx_privacy.ledger.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
