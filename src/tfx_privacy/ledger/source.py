"""Where a ledger is: an address in an environment variable and nowhere else.

Arguments of components end up in ML Metadata, in compiled pipelines and in logs. An address may hold a password, and
says where the budget can be changed; so arguments name the variable (`env:TFX_PRIVACY_LEDGER`), and only the process
that needs it reads it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import stat
from collections.abc import Mapping

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from tfx_privacy.errors import LedgerError, ParameterError

DEFAULT_VARIABLE = "TFX_PRIVACY_LEDGER"
DEFAULT_SOURCE = f"env:{DEFAULT_VARIABLE}"

NO_LEDGER = "There is no ledger in this database. Run `tfx-privacy ledger init`, once, for all pipelines."

_SOURCE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,127})")
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}
# SQLite's locks are files' locks, which these do not keep.
_NETWORK_FILE_SYSTEMS = (
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "smb",
    "vboxsf",
    "virtiofs",
)
_EXAMPLE = "sqlite:////srv/privacy/ledger.db or postgresql://user@host/database"


@dataclasses.dataclass(frozen=True)
class Source:
    """An address that may be used; its `repr` names the variable alone."""

    name: str
    """As the argument said: `env:VARIABLE`."""
    url: sqlalchemy.URL = dataclasses.field(repr=False)
    """Of a SQLite file by its one true path, whatever links lead there: what is kept next to it has that name."""

    @property
    def is_sqlite(self) -> bool:
        """Whether the ledger is a file on this machine."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> pathlib.Path:
        """The SQLite file."""
        assert self.url.database is not None
        return pathlib.Path(self.url.database)

    @property
    def shown(self) -> str:
        """The address without its password."""
        return str(self.path) if self.is_sqlite else self.url.render_as_string(hide_password=True)

    @property
    def anchor(self) -> pathlib.Path | None:
        """Where heads are kept unless another file is named: next to a SQLite file; nowhere for a server's database."""
        return self.path.with_name(f"{self.path.name}.heads.jsonl") if self.is_sqlite else None

    def redact(self, text: str) -> str:
        """A driver's message without the parts of the address: the password wherever it is, the others as words."""
        if self.url.password:
            text = text.replace(str(self.url.password), "***")
        parts = [self.url.username, self.url.host, self.url.database]
        for part in sorted({str(part) for part in parts if part}, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "***", text)
        return text


def check_name(source: str) -> str:
    """The name of the variable that an argument names.

    Raises:
      ParameterError: If the argument is anything else than `env:VARIABLE`; it is not quoted, because it may be an
        address.
    """
    match = _SOURCE.fullmatch(source) if isinstance(source, str) else None
    if match is None:
        raise ParameterError(
            f"Expected ledger to name an environment variable, as in ledger={DEFAULT_SOURCE!r}. An address itself must "
            "not be given: arguments are stored in ML Metadata and in compiled pipelines."
        )
    return match.group(1)


def resolve(source: str, environ: Mapping[str, str] | None = None) -> Source:
    """Reads the address.

    Args:
      source: `env:VARIABLE`.
      environ: Environment variables; the process's own by default.

    Raises:
      ParameterError: If `source` does not name a variable.
      LedgerError: If the variable is not set, or its address cannot be used.
    """
    variable = check_name(source)
    text = (os.environ if environ is None else environ).get(variable, "").strip()
    if not text:
        raise LedgerError(
            f"The environment variable {variable} is not set, so the budget ledger cannot be reached. Set it to the "
            f"ledger's address, e.g. {_EXAMPLE}."
        )
    try:
        url = sqlalchemy.make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password: neither it nor the parser's message is passed on.
        raise LedgerError(f"{variable} holds no address of a database. Expected e.g. {_EXAMPLE}.") from None
    if url.drivername not in _DRIVERS:
        raise LedgerError(f"{variable} names a database of kind {url.drivername!r}. Expected e.g. {_EXAMPLE}.")
    url = url.set(drivername=_DRIVERS[url.drivername])
    found = Source(f"env:{variable}", url)
    if found.is_sqlite:
        _check_name(variable, text, url)
        path = _true_path(variable, pathlib.Path(url.database or ""))
        return Source(found.name, url.set(database=str(path)))
    if not url.database:
        raise LedgerError(f"{variable} names no database. Expected e.g. {_EXAMPLE}.")
    return found


def _check_name(variable: str, text: str, url: sqlalchemy.URL) -> None:
    database = url.database
    # SQLAlchemy drops what follows a question mark and is no option: the file would be another one.
    if not database or database == ":memory:" or database.startswith("file:") or "?" in text:
        raise LedgerError(
            f"{variable} must name a SQLite file by its path alone, e.g. sqlite:////srv/privacy/ledger.db."
        )
    if not os.path.isabs(database):
        raise LedgerError(
            f"{variable} names the SQLite file by a relative path, which is another file in every folder, each with a "
            "budget of its own. Give an absolute path, with four slashes: sqlite:////srv/privacy/ledger.db."
        )


def _stat(path: pathlib.Path) -> os.stat_result | None:
    """What a path names, None where there is nothing; `exists` says so of a loop of links too since Python 3.12."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _true_path(variable: str, path: pathlib.Path) -> pathlib.Path:
    """A file's path without links, so that everybody who uses the ledger keeps the same file of heads.

    Raises:
      LedgerError: If there is something else than a file that has this name alone.
    """
    try:
        true = path.resolve()
        found = _stat(true)
    except (OSError, RuntimeError, ValueError) as error:  # no rights, a loop of links, a name that no file can have
        reason = getattr(error, "strerror", None) or "it leads nowhere"
        raise LedgerError(f"The path of the SQLite file that {variable} names cannot be followed: {reason}.") from None
    if found is None and path.is_symlink():
        raise LedgerError(
            f"{variable} names a link to a file that is not there. See that the disk is mounted, or give the file's own path."
        )
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise LedgerError(
            f"{variable} must name a SQLite file, but there is a folder, a device or a pipe of this name."
        )
    if found is not None and found.st_nlink > 1:
        raise LedgerError(
            f"{variable} names a SQLite file that has {found.st_nlink} names (hard links): each would have its own journal "
            "and file of heads, and what is charged by one is not known by the other. Remove the other names; copy a "
            "ledger with `tfx-privacy ledger backup`."
        )
    kind = _file_system(true)
    if kind.startswith(_NETWORK_FILE_SYSTEMS):
        raise LedgerError(
            f"{variable} names a SQLite file on a file system of type {kind!r}, where locks are not reliable and two "
            "runs could spend the same budget. Use a local disk, or PostgreSQL."
        )
    return true


def _file_system(path: pathlib.Path, mounts: str | None = None) -> str:
    """Type of the file system that a path is on; "unknown" where the system does not say."""
    if mounts is None:
        try:
            mounts = pathlib.Path("/proc/mounts").read_text()
        except OSError:
            return "unknown"
    resolved, best, kind = str(path.resolve()), "", "unknown"
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
