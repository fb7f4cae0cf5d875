"""Makes a ledger's tables, and brings older ones to this version."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from tfx_privacy.ledger import migrations, replay, rows, verification
from tfx_privacy.ledger.database import Database
from tfx_privacy.ledger.schema import LEDGER


def initialise(database: Database) -> str:
    """Makes the tables, or brings them to this version; what is there is verified before and after.

    Returns:
      The ledger's id.

    Raises:
      LedgerError: If they cannot be made, are damaged, or are newer than this version.
    """
    if database.source.is_sqlite:
        database.source.path.parent.mkdir(parents=True, exist_ok=True)

    def make(connection: sa.Connection) -> str:
        database.lock_tables(connection)
        revision = migrations.revision_of(connection)
        if revision is None:
            migrations.upgrade(connection)
            connection.execute(LEDGER.insert().values(ledger_id=secrets.token_hex(16)))
        elif revision != migrations.current_revision():
            migrations.require_known(connection)
            _verify_log(connection)
            migrations.upgrade(connection)
        return verification.verify_all(connection).ledger_id

    return database.write(make)


def _verify_log(connection: sa.Connection) -> None:
    """Before tables are changed: the log, which every revision keeps."""
    replay.replay(rows.read_log(connection, rows.read_ledger_id(connection)))
