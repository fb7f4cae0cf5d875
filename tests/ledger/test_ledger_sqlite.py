"""What goes wrong around a SQLite file: full disk, read-only, damaged, restored from an old copy."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from ledger_faults import ended, forked
from ledgers import BUDGET, DATASET, DIGEST, KIND, RUN, attempt_id, new_ledger, open_ledger
from places import HELPERS, TESTS

from tfx_privacy.budget import renyi_filter
from tfx_privacy.errors import LedgerError
from tfx_privacy.ledger import Ledger, anchor, new_run_id, source

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
        (folder / "ledger.db.heads.jsonl").chmod(0o666)

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


def test_what_a_killed_process_charged_is_in_the_one_file(file: pathlib.Path, ledger: Ledger) -> None:
    reading, writing = os.pipe()

    def work() -> int:
        opened = open_ledger(f"sqlite:///{file}")
        for _ in range(3):
            os.write(writing, reserve(opened).encode())
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert ended(forked(work)) == -signal.SIGKILL
    text = os.read(reading, 97).decode()
    os.close(reading)
    os.close(writing)
    runs = [text[at : at + 32] for at in range(0, len(text), 32)]
    for beside in file.parent.glob("ledger.db-*"):
        beside.unlink()
    assert list(ledger.verify().datasets[DATASET].runs) == runs


def test_what_is_acknowledged_is_in_the_one_file_even_while_it_is_open(
    file: pathlib.Path, ledger: Ledger, tmp_path: pathlib.Path
) -> None:
    """A write-ahead log would hold it, and whoever deleted or forgot that file would have an older, valid ledger."""
    for number in range(1, 4):
        reserve(ledger)
        copy = tmp_path / f"copy{number}.db"
        shutil.copy(file, copy)
        assert charged(open_ledger(f"sqlite:///{copy}")) == number * COST


def test_a_file_that_was_a_write_ahead_logs_is_changed_to_one_file(file: pathlib.Path, ledger: Ledger) -> None:
    reserve(ledger)
    ledger._database.close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    assert charged(open_ledger(f"sqlite:///{file}")) == COST
    assert not [*file.parent.glob("ledger.db-*")]


def test_files_next_to_the_ledger_that_are_deleted_take_no_charge_with_them(file: pathlib.Path, ledger: Ledger) -> None:
    for number in range(1, 4):
        reserve(ledger)
        for beside in file.parent.glob("ledger.db-*"):
            beside.unlink()
        with open_ledger(f"sqlite:///{file}") as other:
            assert charged(other) == number * COST


def before_commit(ledger: Ledger, action: Callable[[], object]) -> None:
    """SQLite itself notices a file that moved before the first write; not one that moves after it."""

    @sa.event.listens_for(ledger._database._engine, "commit")
    def act(_: sa.Connection) -> None:
        action()


def test_a_charge_in_a_file_that_was_deleted_during_it_is_not_acknowledged(file: pathlib.Path, ledger: Ledger) -> None:
    before_commit(ledger, lambda: file.unlink(missing_ok=True))
    with pytest.raises(LedgerError, match="There is no ledger in this database"):
        reserve(ledger)


@pytest.mark.parametrize("when", ["before it is written", "before it is acknowledged"])
def test_a_charge_in_a_file_that_was_replaced_during_it_is_made_in_the_new_one(
    file: pathlib.Path, ledger: Ledger, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = file.with_name("copy")
    shutil.copy(file, copy)

    def replace() -> None:
        if copy.exists():
            os.replace(copy, file)

    if when == "before it is written":
        true = ledger._appender._make_entry

        def replaces(*arguments: Any) -> Any:
            replace()
            return true(*arguments)

        monkeypatch.setattr(ledger._appender, "_make_entry", replaces)
    else:
        before_commit(ledger, replace)
    run_id = reserve(ledger)
    assert list(open_ledger(f"sqlite:///{file}").verify().datasets[DATASET].runs) == [run_id]


def test_no_anchor_need_be_named_to_find_an_old_copy(file: pathlib.Path, ledger: Ledger) -> None:
    ledger.backup(str(file) + ".backup")
    reserve(ledger)
    restore(file)
    for request in (lambda: reserve(ledger), ledger.verify, open_ledger(f"sqlite:///{file}").verify):
        with pytest.raises(LedgerError, match="heads.jsonl names, is missing: this ledger is an old copy"):
            request()


@pytest.mark.parametrize("name", ["link.db", "folder/ledger.db"])
def test_a_link_leads_to_the_same_file_of_heads(file: pathlib.Path, ledger: Ledger, name: str) -> None:
    """Whoever charged through it would else be unknown to who restores an old copy under the other name."""
    (file.parent / "link.db").symlink_to(file)
    (file.parent / "folder").symlink_to(file.parent, target_is_directory=True)
    ledger.backup(str(file) + ".backup")
    linked = open_ledger(f"sqlite:///{file.parent / name}")
    reserve(linked)
    assert linked.address == ledger.address == str(file)
    shutil.copy(str(file) + ".backup", file)
    for opened in (open_ledger(f"sqlite:///{file}"), open_ledger(f"sqlite:///{file.parent / name}")):
        with pytest.raises(LedgerError, match="this ledger is an old copy"):
            reserve(opened)
    assert [path.name for path in file.parent.glob("*.heads.jsonl")] == ["ledger.db.heads.jsonl"]


def test_a_file_of_several_names_is_refused(file: pathlib.Path, ledger: Ledger) -> None:
    other = file.with_name("other.db")
    other.hardlink_to(file)
    for path in (file, other):
        with pytest.raises(LedgerError, match=r"has 2 names \(hard links\)"):
            open_ledger(f"sqlite:///{path}")
    other.unlink()
    reserve(open_ledger(f"sqlite:///{file}"))


def test_what_is_no_file_is_no_ledger_and_nothing_is_made(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "loose.db").symlink_to(tmp_path / "none.db")
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    messages = {
        "pipe.db": "a device or a pipe",
        "loose.db": "a link to a file that is not there",
        "loop.db": "cannot be followed",
    }
    before = sorted(tmp_path.iterdir())
    for name, message in messages.items():
        with pytest.raises(LedgerError, match=message):
            open_ledger(f"sqlite:///{tmp_path / name}")
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_name_that_is_no_text_is_an_error_of_the_ledger(file: pathlib.Path, ledger: Ledger) -> None:
    """SQLite's message quotes it."""
    del ledger
    content = file.read_bytes()
    assert b"CREATE TABLE" in content
    file.write_bytes(content.replace(b"CREATE TABLE", b"\xb6\xff\xfeATE TABLE", 1))
    with pytest.raises(LedgerError, match="The file is damaged: restore a backup"):
        open_ledger(f"sqlite:///{file}").verify()


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_no_new_ledger_is_made_where_one_was_lost(file: pathlib.Path, ledger: Ledger, left: str) -> None:
    file.unlink()
    if left == "an empty file":
        file.touch()
    opened = open_ledger(f"sqlite:///{file}")
    with pytest.raises(LedgerError, match="names the entries of one that was there"):
        opened.initialise()
    assert not file.exists() or not file.stat().st_size
    # Whoever has settled what was lost moves the file away.
    file.with_name("ledger.db.heads.jsonl").rename(file.with_name("lost.jsonl"))
    assert new_ledger(f"sqlite:///{file}").verify().num_entries == 1


@pytest.mark.parametrize("kind", ["missing", "empty", "of another ledger"])
def test_what_no_head_is_kept_of_is_said(file: pathlib.Path, ledger: Ledger, kind: str) -> None:
    heads = file.with_name("ledger.db.heads.jsonl")
    assert ledger.verify().unanchored == []
    text = heads.read_text()
    heads.unlink()
    if kind != "missing":
        heads.write_text("" if kind == "empty" else text.replace('"ledger_id":"', '"ledger_id":"0'))
    assert ledger.verify().unanchored == [DATASET]
    reserve(ledger)
    assert ledger.verify().unanchored == []


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": "9"}, {"sequence": True}, {"sequence": 0}, {"sequence": 1.0}, {"sequence": None}, {"hash": 1},
        {"ledger_id": None}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_that_is_no_head_is_an_error_that_names_the_file(
    file: pathlib.Path, ledger: Ledger, change: dict[str, object]
) -> None:
    heads = file.with_name("ledger.db.heads.jsonl")
    line = json.loads(heads.read_text()) | change
    with heads.open("a") as file_of_heads:
        file_of_heads.write(json.dumps(line, separators=(",", ":")) + "\n")
    for request in (ledger.verify, lambda: reserve(ledger)):
        with pytest.raises(LedgerError, match="heads.jsonl .* cannot be used: a line of it is no head"):
            request()


def test_a_list_is_no_head(file: pathlib.Path, ledger: Ledger) -> None:
    with file.with_name("ledger.db.heads.jsonl").open("a") as heads:
        heads.write('["x",{"dataset_id":"trips"}]\n')
    with pytest.raises(LedgerError, match="a line of it is no head"):
        ledger.verify()


@pytest.mark.parametrize("kind", ["a device", "a link to a device", "a pipe"])
def test_heads_are_kept_in_a_file(file: pathlib.Path, ledger: Ledger, kind: str) -> None:
    """A device would keep none of them, and a pipe would be waited for; nothing is charged before that is seen."""
    heads = file.with_name("ledger.db.heads.jsonl")
    heads.unlink()
    environ = {"TFX_PRIVACY_LEDGER_ANCHOR": "/dev/null"} if kind == "a device" else {}
    if kind == "a link to a device":
        heads.symlink_to("/dev/null")
    elif kind == "a pipe":
        os.mkfifo(heads)
    opened = open_ledger(f"sqlite:///{file}", **environ)
    for request in (opened.verify, lambda: reserve(opened)):
        with pytest.raises(LedgerError, match="a device or a pipe, and no file"):
            request()
    heads.unlink(missing_ok=True)
    assert ledger.verify().num_entries == 1


def test_a_message_loses_the_address_and_no_other_letter() -> None:
    found = source.resolve("env:A", {"A": "postgresql://u:s3cret@db.internal:1/data"})
    text = "connection to server at db.internal, user u failed: Connection refused (data, update, s3crets3cret)"
    assert found.redact(text) == (
        "connection to server at ***, user *** failed: Connection refused (***, update, ******)"
    )


def test_reading_makes_no_file(tmp_path: pathlib.Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path}/other.db")
    assert not ledger.exists()
    for request in (
        ledger.verify,
        lambda: ledger.dataset(DATASET),
        lambda: ledger.run(new_run_id()),
        lambda: reserve(ledger),
    ):
        with pytest.raises(LedgerError, match="There is no ledger in this database"):
            request()
    assert not [*tmp_path.glob("other*")]


def test_only_the_owner_can_read_the_files(file: pathlib.Path, ledger: Ledger) -> None:
    reserve(ledger)
    ledger.backup(str(file) + ".backup")
    made = [*file.parent.glob("ledger.db*")]
    assert {path.name for path in made} >= {"ledger.db", "ledger.db.heads.jsonl", "ledger.db.backup"}
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}


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

    assert ledger._database.read(settings) == ("delete", 2, 1)


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
