"""A real PostgreSQL server for tests, from the system's packages, on a port of its own."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any

_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
)
_USER = "ledger"


class NoServerError(Exception):
    """PostgreSQL cannot be started here; the text says why."""


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs."""
    found = shutil.which(name)
    if found:
        return os.path.realpath(found)
    for pattern in _FOLDERS:
        for folder in sorted(pathlib.Path("/").glob(pattern[1:]), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    raise NoServerError(f"PostgreSQL's {name} is not installed (Debian's package: postgresql)")


class Server:
    """Runs in a folder that is removed at the end."""

    def __init__(self) -> None:
        self._initdb, self._postgres = program("initdb"), program("postgres")
        # In the temporary folder that every account may enter: PostgreSQL does not run as root.
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="tfx-privacy-postgresql-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.remove()
            raise

    def url(self, database: str) -> str:
        """Address of a database."""
        return f"postgresql://{_USER}:not-a-secret@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes a database; returns its address."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)

    def start(self) -> None:
        """Starts the server, and waits until it answers."""
        import psycopg

        # fsync stays on: the tests are about what survives.
        options = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 100,
            "shared_buffers": "32MB", "log_min_messages": "fatal",
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._postgres, "-D", str(self._data), *arguments], stdout=log, stderr=log, **_account(),
                cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    text = (self._folder / "server.log").read_text()[-2000:]
                    raise NoServerError(f"PostgreSQL did not start: {error}; {text}") from error
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it: SIGINT is a fast shutdown, SIGQUIT a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def remove(self) -> None:
        """Stops it at once, because nothing of it is kept, and removes its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text("not-a-secret")
        account = _account()
        if account:
            for path in (self._folder, password):
                os.chown(path, account["user"], account["group"])
        command = [
            self._initdb,
            "-D",
            str(self._data),
            "-U",
            _USER,
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._folder, check=False, **account)
        if done.returncode:
            raise NoServerError(f"PostgreSQL's initdb failed: {done.stderr.strip()[-500:]}")


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoServerError("PostgreSQL does not run as root, and there is no other account")


def _account() -> dict[str, Any]:
    """Arguments of Popen: root runs PostgreSQL by another account, everybody else by their own."""
    if os.getuid() != 0:
        return {}
    entry = _other_user()
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
