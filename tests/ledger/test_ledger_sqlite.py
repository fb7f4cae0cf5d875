"""What goes wrong around a SQLite file: full disk, read-only, damaged, restored from an old copy."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from ledger_faults import ended, forked
from ledgers import BUDGET, DATASET, DIGEST, KIND, RUN, attempt_id, new_ledger, open_ledger
from places import HELPERS, TESTS

from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import Ledger, anchor, new_run_id

COST = renyi_filter.cost(renyi_filter.best_order(epsilon=8.0, delta=1e-6), RUN.event)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file: pathlib.Path) -> Ledger:
    return new_ledger(f"sqlite:///{file}")


@pytest.fixture
def anchored(file: pathlib.Path, tmp_path: pathlib.Path) -> Ledger:
    new_ledger(f"sqlite:///{file}")
    ledger = open_ledger(f"sqlite:///{file}", TFX_PRIVACY_LEDGER_ANCHOR=str(tmp_path / "anchor"))
    reserve(ledger)
    return ledger


def reserve(ledger: Ledger) -> str:
    run_id = new_run_id()
    ledger.reserve(run_id, DATASET, RUN, **KIND)
    return run_id


def charged(ledger: Ledger) -> int:
    return ledger.verify().datasets[DATASET].blocks[""].charged


def restore(file: pathlib.Path) -> None:
    """As an operator should: the log of the newer file must not be taken for the older one's."""
    os.replace(str(file) + ".backup", file)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def at_most(ledger: Ledger, pages: int) -> None:
    """SQLite's own SQLITE_FULL, at a number of pages."""

    @sa.event.listens_for(ledger._database._engine, "begin")
    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_charges_nothing_and_starts_nothing(file: pathlib.Path, ledger: Ledger) -> None:
    run_id = reserve(ledger)
    full = open_ledger(f"sqlite:///{file}")
    at_most(full, 1)  # SQLite takes the pages that there are
    began = []

    def go_on() -> None:
        for _ in range(10):
            full.start(new := reserve(full), attempt_id=attempt_id())
            began.append(new)

    with pytest.raises(LedgerError, match="disk is full. Make room on the disk"):
        go_on()
    states = {name: run.state for name, run in ledger.verify().datasets[DATASET].runs.items()}
    assert all(states[name] == "STARTED" for name in began)
    assert len(states) <= len(began) + 2
    ledger.start(run_id, attempt_id=attempt_id())  # there is room again


def test_a_disk_that_is_full_at_commit_leaves_the_run_charged(file: pathlib.Path, ledger: Ledger) -> None:
    ledger.start(run_id := reserve(ledger), attempt_id=attempt_id())
    while True:  # fill the last page
        full = open_ledger(f"sqlite:///{file}")
        at_most(full, 1)
        try:
            full.abort(reserve(full), reason="to fill the page")
        except LedgerError:
            break
    failures = 0
    for _ in range(3):
        with contextlib.suppress(LedgerError):
            full.commit(run_id, RUN, model_digest=DIGEST, guarantee_digest=DIGEST)
            continue
        failures += 1
    assert failures == (3 if ledger.run(run_id).state == "STARTED" else 0)
    ledger.commit(run_id, RUN, model_digest=DIGEST, guarantee_digest=DIGEST)
    assert charged(ledger) >= COST


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_of_one_megabyte_that_fills_up(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        with new_ledger(f"sqlite:///{folder}/ledger.db", epsilon=8000.0) as ledger:
            (folder / "others").write_bytes(b"x" * 400_000)
            done, message = [], ""
            while not message:
                try:
                    done.append(reserve(ledger))
                except LedgerError as error:
                    message = str(error)
            assert "full" in message or "disk I/O" in message
            (folder / "others").unlink()
            assert list(ledger.verify().datasets[DATASET].runs) == done
            done.append(reserve(ledger))
            assert list(ledger.verify().datasets[DATASET].runs) == done
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another account")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_only_be_read_is_not_charged(tmp_path: pathlib.Path, what: str) -> None:
    import tempfile

    folder = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        with new_ledger(f"sqlite:///{folder}/ledger.db"):
            pass
        folder.chmod(0o777 if what == "file" else 0o555)
        (folder / "ledger.db").chmod(0o444 if what == "file" else 0o666)

        def as_nobody() -> int:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                reserve(open_ledger(f"sqlite:///{folder}/ledger.db"))
            except LedgerError as error:
                return 7 if "write access" in str(error) or "may be written" in str(error) else 8
            return 0

        assert ended(forked(as_nobody)) == 7
        folder.chmod(0o755)
        assert charged(open_ledger(f"sqlite:///{folder}/ledger.db")) == 0
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000, os.urandom(5000)],
    ids=["nothing", "text", "a database's first line", "noise"],
)
def test_a_file_of_something_else_is_no_ledger(file: pathlib.Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="damaged|is no ledger|There is no ledger"):
        reserve(open_ledger(f"sqlite:///{file}"))


def test_a_file_that_was_damaged_while_it_is_open_is_noticed(file: pathlib.Path, ledger: Ledger) -> None:
    reserve(ledger)
    other = file.with_name("garbage")
    other.write_bytes(os.urandom(20_000))
    os.replace(other, file)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    with pytest.raises(LedgerError):
        reserve(ledger)


def crashed(file: pathlib.Path, runs: int) -> list[str]:
    """A process charges runs and is killed with its log (WAL) not yet moved into the file."""
    reading, writing = os.pipe()

    def work() -> int:
        ledger = open_ledger(f"sqlite:///{file}")
        for _ in range(runs):
            os.write(writing, reserve(ledger).encode())
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert ended(forked(work)) == -signal.SIGKILL
    text = os.read(reading, 32 * runs + 1).decode()
    os.close(reading)
    os.close(writing)
    return [text[at : at + 32] for at in range(0, len(text), 32)]


def test_a_log_that_a_killed_process_left_is_taken_over(file: pathlib.Path, ledger: Ledger) -> None:
    runs = crashed(file, 3)
    assert file.with_name("ledger.db-wal").stat().st_size > 0
    assert list(ledger.verify().datasets[DATASET].runs) == runs


def test_a_truncated_log_is_an_old_copy_and_the_anchor_shows_it(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """SQLite cannot know that its log was longer; what is left is a valid, older ledger."""
    with new_ledger(f"sqlite:///{file}"):
        pass
    runs = crashed(file, 3)
    wal = file.with_name("ledger.db-wal")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (file, wal):
        shutil.copy(path, copy / path.name)
    with open_ledger(f"sqlite:///{file}") as whole:
        log = whole.log(DATASET)
    head = (DATASET, log[-1].sequence, log[-1].hash)
    for size in (0, 31, 5000, len((copy / wal.name).read_bytes()) - 1):
        for path in (file, wal):
            shutil.copy(copy / path.name, path)
        file.with_name("ledger.db-shm").unlink(missing_ok=True)
        os.truncate(wal, size)
        with open_ledger(f"sqlite:///{file}") as ledger:
            left = list(ledger.verify().datasets[DATASET].runs)
            assert left == runs[: len(left)]
            assert len(left) < 3
            with pytest.raises(LedgerError, match="is missing: this ledger is an old copy"):
                ledger.verify(heads=[head])


def test_an_old_copy_is_found_by_a_head_that_a_report_names(ledger: Ledger, file: pathlib.Path) -> None:
    ledger.backup(str(file) + ".backup")
    entry = ledger.start(reserve(ledger), attempt_id=attempt_id())
    head = (entry.dataset_id, entry.sequence, entry.hash)
    ledger.verify(heads=[head])
    with open_ledger(f"sqlite:///{file}.backup") as old:
        old.verify()
        with pytest.raises(LedgerError, match=r"Entry 3 .* is missing: this ledger is an old copy"):
            old.verify(heads=[head])
        reserve(old)
        reserve(old)
        with pytest.raises(LedgerError, match="is another one: this ledger is an old copy, or was rewritten"):
            old.verify(heads=[head])
    with pytest.raises(LedgerError, match="'nowhere'"):
        ledger.verify(heads=[("nowhere", 1, DIGEST)])


def test_an_old_copy_is_found_by_the_anchor(anchored: Ledger, file: pathlib.Path) -> None:
    anchored.backup(str(file) + ".backup")
    run_id = reserve(anchored)
    restore(file)
    for request in (
        lambda: reserve(anchored),
        lambda: anchored.register(DATASET, **BUDGET),
        anchored.verify,
        lambda: anchored.run(next(iter(open_ledger(f"sqlite:///{file}").verify().datasets[DATASET].runs))),
    ):
        with pytest.raises(LedgerError, match="Entry 3 .* is missing: this ledger is an old copy"):
            request()
    assert run_id not in open_ledger(f"sqlite:///{file}").verify().datasets[DATASET].runs


def test_repeated_requests_do_not_push_the_newest_head_out_of_sight(
    anchored: Ledger, file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "_HEADS", 5)
    anchored.backup(str(file) + ".backup")
    reserve(anchored)
    for _ in range(10):
        anchored.register(DATASET, **BUDGET)
    restore(file)
    with pytest.raises(LedgerError, match="old copy"):
        reserve(anchored)


@pytest.mark.parametrize("left", [1, 30, 100, 200])
def test_half_a_line_in_the_anchor_takes_no_other_with_it(anchored: Ledger, file: pathlib.Path, left: int) -> None:
    path = file.with_name("anchor")
    whole = path.read_bytes()
    with path.open("ab") as half:
        half.write(whole[1 : 1 + left])
    reserve(anchored)
    anchored.verify()
    newest = json.loads(path.read_text().splitlines()[-1])
    assert newest["sequence"] == 3
    anchored.backup(str(file) + ".backup")
    reserve(anchored)
    restore(file)
    with pytest.raises(LedgerError, match="Entry 4"):
        anchored.verify()


def test_a_head_that_a_killed_process_did_not_add_is_added_by_the_next_request(
    anchored: Ledger, file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(anchor.Anchor, "add", lambda *_: (_ for _ in ()).throw(LedgerError("killed")))
        run_id = new_run_id()
        with pytest.raises(LedgerError, match="killed"):
            anchored.reserve(run_id, DATASET, RUN, **KIND)
    anchored.reserve(run_id, DATASET, RUN, **KIND)
    assert json.loads(file.with_name("anchor").read_text().splitlines()[-1])["sequence"] == 3
    assert charged(anchored) == 2 * COST


@pytest.mark.parametrize("wrong", ["relative", "folder", "full"])
def test_an_anchor_that_cannot_be_written_is_an_error(
    ledger: Ledger, file: pathlib.Path, tmp_path: pathlib.Path, wrong: str
) -> None:
    path = {"relative": "anchor", "folder": str(tmp_path), "full": "/dev/full"}[wrong]
    with pytest.raises(LedgerError, match="TFX_PRIVACY_LEDGER_ANCHOR"):
        reserve(open_ledger(f"sqlite:///{file}", TFX_PRIVACY_LEDGER_ANCHOR=path))


def test_who_verifies_while_others_write_is_not_alarmed(anchored: Ledger, file: pathlib.Path) -> None:
    """The anchor may be ahead of what a reader sees; it is read first."""
    seen, true = [], anchored._database.read

    def slow_read(request: Any) -> Any:
        result = true(request)
        seen.append(reserve(anchored))  # a writer in between
        return result

    anchored._database.read = slow_read  # type: ignore[method-assign]
    anchored.verify()
    assert seen


def test_many_datasets_share_an_anchor(anchored: Ledger, file: pathlib.Path) -> None:
    for number in range(40):
        anchored.register(f"trips-{number}", **BUDGET)
        with file.with_name("anchor").open("ab") as others:
            others.write(b"x" * 5000 + b"\n")
    anchored.verify()
    anchored.backup(str(file) + ".backup")
    anchored.reserve(new_run_id(), "trips-0", RUN, **KIND)
    restore(file)
    reserve(anchored)
    with pytest.raises(LedgerError, match="'trips-0'"):
        anchored.verify()


def test_a_backup_is_whole_and_never_replaces_a_file(
    ledger: Ledger, file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    run_id = reserve(ledger)
    ledger.backup(str(tmp_path / "backup.db"))
    assert open_ledger(f"sqlite:///{tmp_path}/backup.db").run(run_id).state == "RESERVED"
    with pytest.raises(LedgerError, match="File exists"):
        ledger.backup(str(tmp_path / "backup.db"))
    with pytest.raises(LedgerError, match="cannot be copied"):
        ledger.backup(str(tmp_path / "nowhere" / "backup.db"))


def test_a_fork_leaves_no_connection_open_and_takes_no_lock_away(ledger: Ledger, file: pathlib.Path) -> None:
    reserve(ledger)
    open_files = lambda: [os.readlink(path) for path in pathlib.Path("/proc/self/fd").iterdir() if path.exists()]
    assert str(file) in open_files()

    def child() -> int:
        if str(file) in open_files():
            return 1
        for _ in range(3):
            reserve(ledger)
        return 0

    children = [forked(child) for _ in range(2)]
    for _ in range(3):
        reserve(ledger)
    assert [ended(each) for each in children] == [0, 0]
    assert charged(ledger) == 10 * COST


def test_threads_may_share_a_ledger(ledger: Ledger) -> None:
    threads = [threading.Thread(target=reserve, args=(ledger,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert charged(ledger) == 8 * COST


def test_the_disk_is_waited_for(ledger: Ledger) -> None:
    def settings(connection: sa.Connection) -> tuple[Any, ...]:
        return tuple(
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        )

    assert ledger._database.read(settings) == ("wal", 2, 1)


CLOCK = """
import sys
sys.path[:0] = {folders!r}
from test_ledger_sqlite import reserve, open_ledger, attempt_id
ledger = open_ledger({address!r})
ledger.start(reserve(ledger), attempt_id=attempt_id())
print(ledger.log("trips")[-1].at)
"""


@pytest.mark.slow
def test_a_clock_that_is_ten_years_off_changes_nothing(ledger: Ledger, file: pathlib.Path) -> None:
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), os.environ.get("LIBFAKETIME"))
    if library is None:
        pytest.skip("libfaketime is not installed; test_ledger.py patches the ledger's clock")
    years = []
    for shift in ("+10y", "-10y"):
        script = CLOCK.format(folders=[str(HELPERS), str(TESTS / "ledger")], address=f"sqlite:///{file}")
        environ = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": shift}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ)
        years.append(int(done.stdout[:4]))
    assert years[0] - years[1] == 20
    reserve(ledger)
    assert charged(ledger) == 3 * COST
