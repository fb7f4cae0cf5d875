"""Makes a ledger's tables, and brings older ones to this version."""

from __future__ import annotations

import contextlib
import os
import secrets

import sqlalchemy as sa

from tfx_privacy.errors import LedgerError
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
        _check_lost(database)
        _make_file(database)

    def make(connection: sa.Connection) -> str:
        database.lock_tables(connection)
        revision = migrations.revision_of(connection)
        if revision is None:
            _check_lost(database, is_empty=True)
            migrations.upgrade(connection)
            connection.execute(LEDGER.insert().values(ledger_id=secrets.token_hex(16)))
        elif revision != migrations.current_revision():
            migrations.require_known(connection)
            _verify_log(connection)
            migrations.upgrade(connection)
        return verification.verify_all(connection).ledger_id

    return database.write(make)


def exists(database: Database) -> bool:
    """Whether the database holds a ledger's tables; a SQLite file that is not there is not made.

    Raises:
      LedgerError: If the database cannot be read.
    """
    if database.source.is_sqlite and not database.source.path.exists():
        return False
    return database.read(migrations.revision_of) is not None


def _check_lost(database: Database, *, is_empty: bool = False) -> None:
    """A file of heads next to a SQLite file that is not there, or empty, says that spent budgets were in it."""
    heads = database.source.anchor
    # In this order: who makes a ledger at the same time makes its heads last.
    if (
        heads is not None
        and heads.exists()
        and heads.stat().st_size
        and (is_empty or not database.source.path.exists())
    ):
        raise LedgerError(
            f"There is no ledger in {database.source.shown}, but {heads.name} next to it names the entries of one that was "
            "there: in a new one all that it spent would be free again. Restore the newest copy. If there is none, move "
            "that file away, keep it, and register its datasets with what is left of their budgets."
        )


def _make_file(database: Database) -> None:
    """Makes an empty file that only its owner can read; SQLite gives its journal the same rights."""
    path = database.source.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise LedgerError(f"The ledger's file {str(path)!r} cannot be made: {error.strerror}.") from error


def _verify_log(connection: sa.Connection) -> None:
    """Before tables are changed: the log, which every revision keeps."""
    replay.replay(rows.read_log(connection, rows.read_ledger_id(connection)))
