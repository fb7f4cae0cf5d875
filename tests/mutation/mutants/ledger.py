"""Bugs in the ledger of budgets."""

from __future__ import annotations

from mutants.mutant import Mutant

LEDGER = [
    Mutant(
        "SQLite reads before it locks", "_sqlite._begin",
        'connection.exec_driver_sql(f"BEGIN {mode}")', 'connection.exec_driver_sql("BEGIN DEFERRED")',
        "test_ledger_race",
    ),
    Mutant(
        "a connection crosses a fork", "os.register_at_fork",
        "os.register_at_fork(before=_close_all)", "assert _close_all", "test_ledger_sqlite",
    ),
    Mutant(
        "a run that started is given back", "_STATES_BEFORE",
        '("RESERVED",)', '("RESERVED", "STARTED")', "test_ledger",
    ),
    Mutant(
        "a run that ended is resumed", "_STATES_BEFORE",
        '("RESERVED", "STARTED")', '("RESERVED", "STARTED", "COMMITTED", "SETTLED")', "test_ledger",
    ),
    Mutant(
        "an earlier attempt goes on", "_advance",
        "not body.attempt > run.attempt", "not body.attempt >= run.attempt", "test_ledger",
    ),
    Mutant(
        "more was executed than reserved", "_advance",
        "not executed <= planned", "not executed <= 2 * planned", "test_ledger",
    ),
    Mutant(
        "one block of several is charged", "_reserve",
        "for name in names: ...", "for name in names[:1]: ...", "test_ledger",
    ),
    Mutant(
        "the log may overspend", "_reserve",
        "not admission.fits(dataset, body.blocks, body.cost, delta_spent)", "not admission.fits(dataset, body.blocks, 0, 0)",
        "test_ledger_replay",
    ),
    Mutant(
        "the log may state any cost", "_reserve",
        "not _is_near(body.cost, computed)", "not body.cost > 0", "test_ledger_replay",
    ),
    Mutant(
        "an entry need not follow from the one before", "_check_link",
        "entry.previous_hash != previous", "not entry.previous_hash", "test_ledger_tampering",
    ),
    Mutant(
        "an entry's hash is not looked at", "_check_link",
        "entry.hash != entry.expected_hash", "not entry.hash", "test_ledger_tampering",
    ),
    Mutant(
        "the hash leaves the time out", "Entry.expected_hash",
        'exclude={"hash"}', 'exclude={"hash", "at"}', "test_ledger_tampering",
    ),
    Mutant(
        "the tables are not held against the log", "_compare",
        "type(row[name]) is not type(value) or row[name] != value", "type(row[name]) is not type(value)",
        "test_ledger_tampering",
    ),
    Mutant("the last unit cannot be spent", "admission:fits", "cost <= ...", "cost < ...", "test_ledger"),
    Mutant(
        "the emptiest block decides", "admission:left",
        "max(... for name in ...)", "min(... for name in ...)", "test_ledger",
    ),
    Mutant(
        "a repeated request is carried out again", "Appender.append.add",
        "before is not None", "before is None and False", "test_ledger",
    ),
    Mutant(
        "another plan under the same name is taken for the same", "Appender.append.add",
        "not same(before.body)", "not before.body", "test_ledger",
    ),
    Mutant("a run of another unit is charged", "requests:_check_kind", "value != registered", "not value", "test_ledger"),
    Mutant(
        "the anchor is read after the ledger", "Anchor._lines",
        "while end > 0: ...",
        """
        end = self.end()
        while end > 0: ...
        """,
        "test_ledger_sqlite",
    ),
    Mutant(
        "an old copy is not noticed", "require_head",
        "found == entry_hash", "found == entry_hash or found is None", "test_ledger_sqlite",
    ),
    Mutant("a cost is rounded down", "cost", "math.ceil", "math.floor", "test_ledger"),
    Mutant("a budget is rounded up", "renyi_filter:budget", "math.floor", "math.ceil", "test_ledger"),
    Mutant(
        "a run of NaN noise is planned", "checked_terms",
        "_validate.closed_interval(MIN_NOISE_MULTIPLIER, MAX_NOISE_MULTIPLIER, noise_multiplier=noise_multiplier)",
        "noise_multiplier", "test_ledger",
    ),
    Mutant(
        "what is acknowledged is in a second file", "_sqlite._prepare",
        'cursor.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",)',
        'cursor.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",)', "test_ledger_sqlite",
    ),
    Mutant(
        "a charge in a file that is gone is acknowledged", "Database._require_origin",
        "origin != self._origin()", "False", "test_ledger_sqlite",
    ),
    Mutant(
        "nobody keeps heads by default", "Anchor.from_environment",
        "return cls(default)", "return cls(None)", "test_ledger_sqlite",
    ),
    Mutant(
        "a link has a file of heads of its own", "ledger.source:_true_path",
        "true = path.resolve()", "true = path", "test_ledger_sqlite",
    ),
    Mutant(
        "a file may have several names", "ledger.source:_true_path", "found.st_nlink > 1", "False", "test_ledger_sqlite",
    ),
    Mutant(
        "heads may be kept in a device", "Anchor.end", "stat.S_ISREG(found.st_mode)", "True", "test_ledger_sqlite",
    ),
    Mutant(
        "a new ledger takes a lost one's place", "_check_lost", "heads.stat().st_size", "False", "test_ledger_sqlite",
    ),
    Mutant(
        "a dataset without heads is in order", "Anchor.check", "return bool(found)", "return True", "test_ledger_sqlite",
    ),
    Mutant("everybody may read a ledger", "_make_file", "0o600", "0o644", "test_ledger_sqlite"),
    Mutant(
        "a new ledger is made without asking", "ledger:init",
        "not exists and not new", "False", "test_ledger_cli",
    ),
    Mutant("an invisible name approves", "entries:_named", "is_blank(name)", "not name.strip()", "test_ledger_cli"),
    Mutant(
        "an export is written over a file", "write_new",
        "os.O_CREAT | os.O_EXCL | os.O_WRONLY", "os.O_CREAT | os.O_TRUNC | os.O_WRONLY", "test_ledger_cli",
    ),
    Mutant(
        "escape sequences reach the terminal", "terminal:echo", "printable(text, lines=True)", "text", "test_terminal",
    ),
    Mutant(
        "a guarantee's run is not looked up", "ledger:_require_runs",
        "verification.require_heads(verified, heads)", "assert heads", "test_ledger_cli",
    ),
    Mutant(
        "one of two ledgers is taken", "ledger:_remember",
        "context.obj is not None and context.obj != value", "False", "test_ledger_cli",
    ),
    Mutant(
        "a ledger after the subcommand is not taken", "ledger:_remember",
        "context.obj = value", "pass", "test_ledger_cli",
    ),
    Mutant(
        "an error quotes escape sequences", "TFXPrivacyError.__str__",
        "printable(super().__str__(), lines=True)", "super().__str__()", "test_printable",
    ),
    Mutant(
        "bidirectional marks are printed", "_prints",
        'unicodedata.category(character) == "Zs"', 'unicodedata.category(character) in ("Zs", "Cf")', "test_printable",
    ),
]  # fmt: skip

# Found by two connections to a real server, where there is one.
POSTGRESQL = [
    Mutant(
        "PostgreSQL's row is not locked", "read_dataset",
        "statement.with_for_update() if locked else statement", "statement", "test_ledger_race",
    ),
]  # fmt: skip
