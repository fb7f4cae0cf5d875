"""Connections and transactions: what SQLite and PostgreSQL each need so that nothing is overspent and nothing is lost.

Measured for both with concurrent writers: SQLite must take its write lock before it reads (`BEGIN IMMEDIATE`);
PostgreSQL must lock the dataset's row before it reads anything else. Every request can be repeated without being
carried out twice, so a lost answer to COMMIT is no loss.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import sqlite3
import time
import urllib.parse
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger.source import NO_LEDGER, Source

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")

# A writer waits for others this long before it gives up.
WAIT_SECONDS = 60
CONNECT_SECONDS = 10
_ATTEMPTS = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# PostgreSQL cannot lock tables that are not there yet: any number that nobody else in the database locks.
_TABLES_KEY = int.from_bytes(b"tfx-priv", "big")
# Serialization failure, deadlock; somebody wrote the same row first, which the repeated request then finds.
_WORTH_REPEATING = ("40001", "40P01", "23505")
# The server is shutting down or starting; the connection broke.
_AWAY = ("57P01", "57P02", "57P03", "08000", "08001", "08003", "08004", "08006")
# A connection that was not made has no code, only words.
_AWAY_WORDS = (
    "Connection refused",
    "Connection reset",
    "server closed the connection",
    "starting up",
    "shutting down",
    "recovery",
)


class Database:
    """A ledger's database."""

    def __init__(self, source: Source) -> None:
        """Prepares connections; none is made yet.

        Raises:
          LedgerError: If the database's driver is not installed.
        """
        self.source = source
        self._answered = False
        try:
            self._engine = _sqlite(source) if source.is_sqlite else _postgresql(source)
        except ModuleNotFoundError as error:
            raise LedgerError(
                f"{source.name} names a PostgreSQL database, but {error.name!r} is not installed. Install "
                "tfx-privacy[postgresql]."
            ) from None
        sa.event.listen(self._engine, "connect", self._mark)
        sa.event.listen(self._engine, "checkout", self._check)
        _OPEN.add(self)

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    def write(self, request: Callable[[sa.Connection], _Result]) -> _Result:
        """Carries out a request in one transaction, again if the connection broke.

        Args:
          request: Reads and writes; may be called several times, and must find out itself what an earlier call did.

        Returns:
          What the request returned, after the transaction is safe on the disk.

        Raises:
          LedgerError: If the database refuses, cannot be reached, or stays locked; nothing of the request is written
            then, except that a COMMIT whose answer was lost may have been carried out.
        """
        return self._repeat(lambda: self._once(request, "IMMEDIATE"))

    def read(self, request: Callable[[sa.Connection], _Result]) -> _Result:
        """Reads from one snapshot."""
        return self._repeat(lambda: self._once(request, "DEFERRED"))

    def now(self, connection: sa.Connection) -> str:
        """The database's time: UTC, in milliseconds."""
        if self.source.is_sqlite:
            return str(connection.scalar(sa.text("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')")))
        text = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24\\:MI\\:SS.MS\"Z\"')"
        return str(connection.scalar(sa.text(text)))

    def lock_tables(self, connection: sa.Connection) -> None:
        """Keeps others from making or changing the tables until the transaction ends; SQLite's write lock does that."""
        if not self.source.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TABLES_KEY)))

    def copy_to(self, path: str) -> None:
        """Copies a SQLite file as of one moment, and waits for the disk.

        Raises:
          LedgerError: If the target exists, or cannot be written.
        """
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with (
                contextlib.closing(_open_file(self.source)) as source,
                contextlib.closing(sqlite3.connect(path)) as target,
            ):
                source.backup(target)
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(f"The ledger cannot be copied to {path!r}: {error}.") from error

    def _once(self, request: Callable[[sa.Connection], _Result], mode: str) -> _Result:
        with self._engine.connect() as connection:
            if not self.source.is_sqlite and mode == "DEFERRED":
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            connection = connection.execution_options(tfx_privacy_begin=mode)
            origin = connection.info["origin"]
            try:
                with connection.begin():
                    result = request(connection)
            except DBAPIError:
                self._require_origin(origin)
                raise
            self._require_origin(origin)
            return result

    def _require_origin(self, origin: tuple[int, int, int]) -> None:
        """After every transaction: a file that was deleted or replaced in the meantime took what was written with it."""
        if origin != self._origin():
            raise _ReplacedError

    def _mark(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info["origin"] = self._origin()

    def _check(self, _: Any, record: Any, __: Any) -> None:
        """Before every transaction: refuses a connection of the parent process, or to a file that was replaced."""
        if record.info["origin"] == self._origin():
            return
        if not self.source.is_sqlite:
            # Two processes on one socket would read each other's answers; closing it is left to the parent.
            record.dbapi_connection = None
        raise DisconnectionError

    def _origin(self) -> tuple[int, int, int]:
        if not self.source.is_sqlite:
            return os.getpid(), 0, 0
        try:
            file = self.source.path.stat()
        except FileNotFoundError:
            return os.getpid(), 0, 0
        return os.getpid(), file.st_dev, file.st_ino

    def _repeat(self, attempt: Callable[[], _Result]) -> _Result:
        pause, until = _FIRST_PAUSE, time.monotonic() + WAIT_SECONDS
        for number in itertools.count(1):
            try:
                result = attempt()
            except DBAPIError as error:
                # A server that answered before is waited for while it restarts: a model may be at stake that took a
                # day. One that never did is more likely a wrong address.
                away = _is_away(error)
                waits = number < _ATTEMPTS or (away and self._answered and time.monotonic() < until)
                if not (waits and (away or _is_worth_repeating(error))):
                    raise LedgerError(self._explain(error)) from None
                _LOG.warning(
                    "Ledger %s: the request failed (%s); trying again.", self.source.name, type(error.orig).__name__
                )
            except _ReplacedError:
                if number >= _ATTEMPTS:
                    raise LedgerError(
                        f"The file of the ledger in {self.source.name} was deleted or replaced while it was written. "
                        "Put back the newest copy, and verify it against the newest head."
                    ) from None
            except UnicodeDecodeError:
                # Newer Pythons do not replace what is no text in a message of SQLite's that quotes the file.
                raise LedgerError(f"The ledger in {self.source.name} failed. {_ADVICE['malformed']}") from None
            except SQLAlchemyError as error:
                raise LedgerError(f"The ledger in {self.source.name} failed: {type(error).__name__}.") from None
            else:
                self._answered = True
                return result
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError

    def _explain(self, error: DBAPIError) -> str:
        """What went wrong, without the address."""
        reason = self.source.redact(str(error.orig).strip().split("\n")[0])
        advice = "Nothing is trained without its ledger."
        for sign, better in _ADVICE.items():
            if sign in reason:
                advice = better
        return f"The ledger in {self.source.name} failed: {reason}. {advice}"


class _ReplacedError(Exception):
    """The path names another file than the one that the transaction was carried out in."""


_OPEN: weakref.WeakSet[Database] = weakref.WeakSet()


def _close_all() -> None:
    for database in list(_OPEN):
        database.close()


# SQLite keeps its locks per process, in memory that a fork copies, where the locks themselves are not inherited: a
# child would believe that it holds them, and lose what it writes. So no connection is open at a fork; the next request
# makes another.
os.register_at_fork(before=_close_all)

_ADVICE = {
    "no such table": "Run `tfx-privacy ledger init`, once, for all pipelines.",
    "unable to open database file": (
        "Check that the folder exists and may be written, and run `tfx-privacy ledger init`."
    ),
    "readonly database": "The file or its folder may only be read: give the account that trains write access.",
    "disk is full": "Make room on the disk; the ledger is as it was before.",
    "database is locked": "Another process holds the ledger; see that none is stopped in the middle of a transaction.",
    "malformed": "The file is damaged: restore a backup, and verify it against the head in the newest report.",
    "not a database": (
        "The file is damaged, or is no ledger: restore a backup, and verify it against the head in the newest report."
    ),
    "charged_within_ceiling": "The database itself refused a charge beyond the budget: please report this.",
}


def _is_worth_repeating(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _WORTH_REPEATING


def _is_away(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    words = state is None and any(sign in str(error.orig) for sign in _AWAY_WORDS)
    return bool(error.connection_invalidated) or state in _AWAY or words


def _sqlite(source: Source) -> sa.Engine:
    engine = sa.create_engine(
        source.url, poolclass=QueuePool, pool_size=1, hide_parameters=True, creator=lambda: _open_file(source)
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions by itself, and too late
        with contextlib.closing(connection.cursor()) as cursor:
            # What was acknowledged is in the one file. A write-ahead log would keep it in a second one, which can be
            # deleted or left behind, and what is left then is a valid, older ledger.
            if cursor.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",):
                raise sqlite3.OperationalError("database is locked")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA trusted_schema = OFF")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        mode = connection.get_execution_options().get("tfx_privacy_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _open_file(source: Source) -> sqlite3.Connection:
    """Opens the file that is there; SQLite would make a missing one, in which nothing is spent."""
    if not source.path.exists():
        raise LedgerError(NO_LEDGER)
    address = f"file:{urllib.parse.quote(str(source.path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, check_same_thread=False)


def _postgresql(source: Source) -> sa.Engine:
    milliseconds = WAIT_SECONDS * 1000
    options = (
        f"-c synchronous_commit=on -c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
    )
    return sa.create_engine(
        source.url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_size=1,
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": milliseconds,  # a connection that a firewall forgot would be waited for much longer
            "options": options,
            "application_name": "tfx-privacy",
        },
    )
