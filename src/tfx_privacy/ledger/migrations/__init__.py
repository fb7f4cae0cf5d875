"""Brings a ledger's tables to this version: forward only, in one transaction."""

from __future__ import annotations

import functools
import pathlib

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger.source import NO_LEDGER

VERSION_TABLE = "schema_version"
_VERSION = sa.text(f"SELECT version_num FROM {VERSION_TABLE}")


@functools.cache
def current_revision() -> str:
    """The revision that this version of tfx-privacy reads and writes."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of a database; None where there is no ledger.

    Raises:
      LedgerError: If it has several.
    """
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    try:
        return context.get_current_revision()
    except CommandError:
        raise LedgerError("The ledger's tables claim to be of several revisions: they were tampered with.") from None


def require_current(connection: sa.Connection) -> None:
    """Refuses to read or write tables of another version.

    Raises:
      LedgerError: If there is no ledger, or it is older or newer than this version of tfx-privacy.
    """
    expected = current_revision()
    try:
        # Asked in every transaction: Alembic's own way takes longer than all the rest of one.
        found = connection.scalars(_VERSION).all()
    except DBAPIError as error:
        if not _is_missing_table(error):
            raise
        found = []
    if found == [expected]:
        return
    if not found:
        raise LedgerError(NO_LEDGER)
    require_known(connection)
    raise LedgerError(
        f"The ledger's tables are of revision {found[0]}, this tfx-privacy needs {expected}. Make a backup, and run "
        "`tfx-privacy ledger init`."
    )


def require_known(connection: sa.Connection) -> None:
    """Refuses tables of a later version.

    Raises:
      LedgerError: If the ledger's revision is not one that this version of tfx-privacy came after.
    """
    found = revision_of(connection)
    if found not in [script.revision for script in _scripts().walk_revisions()]:
        raise LedgerError(
            f"The ledger's tables are of revision {found!r}, which this tfx-privacy does not know: it is older than "
            "the ledger. Update tfx-privacy; nothing was read or written."
        )


def upgrade(connection: sa.Connection) -> None:
    """Creates the tables, or brings them to this version, in the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_missing_table(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(pathlib.Path(__file__).parent).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
