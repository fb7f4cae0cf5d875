import json
import pathlib
import re
from typing import Any

import evidence
import pytest
from click.testing import CliRunner, Result
from ledgers import DIGEST, KIND, RELEASE, RUN, attempt_id, open_ledger
from released import release

from tfx_privacy import cli
from tfx_privacy.accounting.epsilon import epsilon_bounds
from tfx_privacy.budget import thresholds
from tfx_privacy.errors import TFXPrivacyError
from tfx_privacy.guarantee.record import CoveredRelease
from tfx_privacy.ledger import Ledger, new_run_id
from tfx_privacy.records import statement

REGISTER = ["register", "trips", "--epsilon", "8", "--delta", "1e-6", "--population", "10000", "--approver", "Dana"]


@pytest.fixture
def address(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/folder/ledger.db"
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", address)
    monkeypatch.setenv("COLUMNS", "160")
    return address


def run(*arguments: str, code: int = 0, answer: str | None = None) -> Result:
    done = CliRunner().invoke(cli.cli, ["ledger", *arguments], input=answer)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def refusal(*arguments: str) -> str:
    error = run(*arguments, code=1).exception
    assert isinstance(error, TFXPrivacyError)
    return str(error)


@pytest.fixture
def ledger(address: str) -> Ledger:
    run("init", "--new")
    run(*REGISTER)
    return open_ledger(address)


def committed(ledger: Ledger) -> str:
    run_id = new_run_id()
    ledger.reserve(run_id, "trips", RUN, **KIND)
    ledger.start(run_id, attempt_id=attempt_id())
    ledger.commit(run_id, RUN, model_digest=DIGEST, guarantee_digest=DIGEST)
    return run_id


def test_a_new_ledger_is_made_only_if_that_is_asked_for(address: str) -> None:
    """A mistyped path would be a ledger in which nothing is spent."""
    file = pathlib.Path(address.removeprefix("sqlite:///"))
    for answer in (None, "n\n"):
        asked = run("init", code=1, answer=answer).output
        assert f"There is no ledger in {file}. Make a new one, in which nothing is spent?" in asked
        assert not file.parent.exists()
    made = run("init", answer="y\n").output
    assert f"in {file} is new: nothing is spent in it." in made
    assert f"The folder {file.parent} was not there, and was made" in made
    assert f"in {file} was there already, and is in order." in run("init").output
    assert f"There is a ledger in {file} already." in refusal("init", "--new")


def test_no_export_is_written_over_a_file(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "export.jsonl"
    run("export", "--output", str(path))
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    committed(ledger)
    assert "is not overwritten" in refusal("export", "--output", str(path))
    assert path.read_bytes() == before


BLANK = [
    " ",
    "\u200b",
    "\u00a0\u2003",
    "\u2800",
    "\u3164",
    "\u0301",
    "\u202e\u202c",
    "\x1b",
    "\U0001d159",
    "\U000e0041",
    "\ufffc",
]


@pytest.mark.parametrize("approver", BLANK, ids=ascii)
def test_whoever_cannot_be_read_has_approved_nothing(ledger: Ledger, approver: str) -> None:
    run_id = new_run_id()
    ledger.reserve(run_id, "trips", RUN, **KIND)
    for arguments in (
        ["register", "rides", *REGISTER[2:-1], approver],
        ["budget", "trips", "--epsilon", "9", "--reason", "more", "--approver", approver],
        ["settle", run_id, "--yes", "--reason", "dead", "--approver", approver],
    ):
        assert "nobody is named" in refusal(*arguments)
    assert ledger.run(run_id).state == "RESERVED"
    assert list(ledger.verify().datasets) == ["trips"]


def test_what_somebody_wrote_into_the_ledger_commands_no_terminal(ledger: Ledger) -> None:
    run("budget", "trips", "--epsilon", "9", "--reason", "\x1b[2Jmore\u202e", "--approver", "Dana\x07\r")
    shown = run("log", "trips").output
    assert r"\x1b[2Jmore\u202e" in shown
    assert r"Dana\x07\r" in shown
    assert shown.replace("\n", "").isprintable()


def test_the_life_of_a_budget(ledger: Ledger) -> None:
    assert "100 %" in run("show").output
    committed(ledger)
    dead = new_run_id()
    ledger.reserve(dead, "trips", RUN, **KIND)
    ledger.start(dead, attempt_id=attempt_id())
    shown = run("show", "trips").output
    assert "8.8 %" in shown
    assert f"run {dead} is STARTED" in shown
    (row,) = json.loads(run("show", "--format", "json").output)
    assert (row["num_runs"], row["runs_left"], row["rdp_order"]) == (1, 9, 4.4)
    assert row["spent_share"] == row["reserved_share"] == pytest.approx(1 / 11.45, rel=0.01)
    assert row["spent_epsilon"] < row["charged_epsilon"]
    assert row["pld_epsilon_if_planned"] < row["charged_epsilon"]
    run("budget", "trips", "--epsilon", "10", "--approver", "Dana", "--reason", "a second model was agreed on")
    assert "its charge stays" in run("settle", dead, "--approver", "Dana", "--reason", "node died", answer="y\n").output
    assert "run " + dead not in run("show").output
    kinds = [json.loads(line)["body"]["kind"] for line in run("log", "trips", "--format", "json").output.splitlines()]
    assert kinds == ["register", "reserve", "start", "commit", "reserve", "start", "budget", "settle"]
    assert "approver=Dana, reason=a second model was agreed on" in " ".join(run("log", "trips").output.split())


def test_tables_fit_80_columns_and_no_number_is_folded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run("register", f"trips-{'x' * 90}", *REGISTER[2:], "--block", "2024", "--block", "of-a-name-of-many-letters")
    committed(ledger)
    for arguments in (["show"], ["log", "trips"]):
        shown = run(*arguments).output
        assert max(map(len, shown.splitlines())) <= 80
    (row,) = (line for line in run("show").output.splitlines() if line.startswith("trips "))
    assert re.fullmatch(r"trips +8 at 1e-06 +8.8 % +0 % +91.2 % +[\d.]+ +[\d.]+ +10 *", row)


def test_what_thresholds_spend_is_shown(ledger: Ledger) -> None:
    assert "hresholds" not in run("show").output
    run("register", "rides", *REGISTER[2:], "--threshold-delta", "1e-7", "--block", "a", "--block", "b")
    said = (
        "rides: Thresholds of releases have spent delta 0 of the 1e-07 that is set aside for them, in the block where"
    )
    assert said in " ".join(run("show").output.split())
    ledger.reserve(new_run_id(), "rides", RELEASE, **KIND, purpose="release", delta_spent=1.25e-8, blocks=["b"])
    text = " ".join(run("show").output.split())
    assert "of the budget and delta 1.25e-08 of its thresholds." in text
    assert "have spent delta 1.25e-08 of the 1e-07 that is set aside for them" in text
    one, other, trips = json.loads(run("show", "--format", "json").output)
    assert (trips["delta_spent"], trips["threshold_delta"], one["delta_spent"]) == (0.0, 0.0, 0.0)
    assert 1.25e-8 <= other["delta_spent"] <= 1.25e-8 + 2.0**-60
    changed = ["budget", "rides", "--epsilon", "9", "--approver", "Dana", "--reason", "x"]
    assert "less for thresholds than they have spent" in refusal(*changed, "--threshold-delta", "1e-8")
    run(*changed, "--threshold-delta", "2e-7")
    run(*changed)
    logged = " ".join(run("log", "rides").output.split())
    assert "delta_spent=1.25e-08" in logged
    assert logged.count("threshold_delta=1e-07") == logged.count("threshold_delta=2e-07") == 1
    last = json.loads(run("log", "rides", "--format", "json").output.splitlines()[1])
    assert last["body"]["delta_spent"] == thresholds.spent(1.25e-8)
    assert ledger.dataset("rides").threshold_delta == thresholds.set_aside(2e-7)


def test_the_releases_of_a_guarantee_are_looked_up(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    """Those of the same ledger: an old copy may lack one that the guarantee's own run came after, of another dataset."""
    run("register", "rides", *REGISTER[2:])
    place = place_of_a_run(ledger)
    head = ledger.log("rides")[0]
    own = evidence.position(ledger_id=head.ledger_id, blocks=[], sequence=1, entry_hash=head.hash)
    path = tmp_path / "privacy_guarantee.json"
    for position, message in (
        (own, None),
        (own.model_copy(update={"sequence": 2}), "Entry 2 of dataset 'rides'"),
        (own.model_copy(update={"ledger_id": "9" * 32, "sequence": 2}), None),
    ):
        covered = CoveredRelease.of(release("3" * 32, dataset_id="rides", ledger=position), signed_by=None)
        record = evidence.charged_guarantee(dataset_id="trips", ledger=evidence.position(**place), releases=[covered])
        path.write_text(statement.to_json(record))
        if message is None:
            shown = run("verify", "--guarantee", str(path)).output
            assert ("a release that it covers is entry 1 of rides" in shown) is (position is own)
        else:
            assert message in refusal("verify", "--guarantee", str(path))


def test_why_shares_and_epsilons_differ_is_said_where_something_is_spent(ledger: Ledger) -> None:
    """A run of epsilon 3 leaves most of 8, and shows more than 3 as spent."""
    assert "once for all runs" not in run("show").output
    committed(ledger)
    (row,) = json.loads(run("show", "--format", "json").output)
    alone = epsilon_bounds(RUN.event, target_delta=1e-6).best
    assert row["spent_share"] < alone / 8.0
    assert alone < row["spent_epsilon"]
    text = " ".join(run("show").output.split())
    assert "91.2 % of the budget is left, although epsilon" in text
    assert "once for all runs together. A single run's own epsilon is" in text
    run("register", "rides", *REGISTER[2:])
    text = " ".join(run("show").output.split())
    assert "trips: 91.2 %" in text
    assert "rides:" not in text


@pytest.mark.parametrize("arguments", [["show"], ["log", "trips"], ["verify"], ["export"]])
def test_the_ledgers_address_is_taken_before_and_after_the_subcommand(
    ledger: Ledger, arguments: list[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    expected = run(*arguments).output
    monkeypatch.delenv("TFX_PRIVACY_LEDGER")
    monkeypatch.setenv("OURS", address)
    assert run("--ledger", "env:OURS", *arguments).output == expected
    assert run(*arguments, "--ledger", "env:OURS").output == expected
    assert run("--ledger", "env:OURS", *arguments, "--ledger", "env:OURS").output == expected
    refused = run("--ledger", "env:OURS", *arguments, "--ledger", "postgresql://me:hunter2@db/x", code=2).output
    assert "names two ledgers" in refused
    assert "hunter2" not in refused


def place_of_a_run(ledger: Ledger) -> dict[str, Any]:
    """Where a guarantee says that its run is, of one that was committed."""
    found = ledger.run(committed(ledger))
    return {
        "ledger_id": found.ledger_id,
        "blocks": [],
        "sequence": found.sequence,
        "entry_hash": found.entry_hash,
    }


def test_each_guarantee_is_named(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    """Of several files it must show which one is not in the ledger."""
    paths = [tmp_path / name for name in ("one.json", "two.json")]
    for path in paths:
        place = place_of_a_run(ledger)
        record = evidence.charged_guarantee(dataset_id="trips", ledger=evidence.position(**place))
        path.write_text(statement.to_json(record))
    given = [text for path in paths for text in ("--guarantee", str(path))]
    shown = run("verify", *given).output
    assert f"guarantee {paths[0]}: its run is entry 4 of trips" in shown
    assert f"guarantee {paths[1]}: its run is entry 7 of trips" in shown
    for text in (paths[1].read_text().replace(str(place["entry_hash"]), DIGEST), "no JSON"):
        paths[1].write_text(text)
        assert f"{str(paths[1])!r}: " in refusal("verify", *given)


def test_settling_asks_first(ledger: Ledger) -> None:
    run_id = new_run_id()
    ledger.reserve(run_id, "trips", RUN, **KIND)
    run("settle", run_id, "--approver", "Dana", "--reason", "dead", answer="n\n", code=1)
    assert ledger.run(run_id).state == "RESERVED"
    assert "given back" in run("settle", run_id, "--approver", "Dana", "--reason", "dead", "--yes").output
    assert ledger.run(run_id).charged == 0


def test_an_export_is_verified_without_the_database(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    committed(ledger)
    file = tmp_path / "export.jsonl"
    run("export", "--output", str(file))
    assert run("verify", "--export", str(file)).output == run("verify").output
    assert run("export").output == file.read_text()
    text = file.read_bytes()
    for place in range(0, len(text), 7):
        file.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        done = CliRunner().invoke(cli.cli, ["ledger", "verify", "--export", str(file)])
        assert done.exit_code != 0, text[place - 20 : place + 20]
    file.write_bytes(text[: text.rindex(b"\n", 0, -1) + 1])
    assert "no whole export" in refusal("verify", "--export", str(file))


def test_an_old_backup_is_found_by_a_newer_head(
    ledger: Ledger, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.db"
    run("backup", str(copy))
    committed(ledger)
    head = run("verify").output.splitlines()[1].split()[1]
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", f"sqlite:///{copy}")
    run("verify")
    assert "old copy" in refusal("verify", "--head", head)
    assert "File exists" in refusal("backup", str(copy))


def test_blocks_are_shown_by_themselves(ledger: Ledger) -> None:
    run("register", "rides", "--epsilon", "3", "--delta", "1e-6", "--approver", "Dana", "--block", "2024")
    run("add-blocks", "rides", "2025", "2026", "--approver", "Dana")
    rows = json.loads(run("show", "rides", "--format", "json").output)
    assert [row["block"] for row in rows] == ["2024", "2025", "2026"]
    assert "rides / 2025" in run("show", "rides").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "rides"], "'rides' is not registered"),
        ([*REGISTER[:3], "7", *REGISTER[4:]], "registered already, with other facts"),
        (["register", "Rides", *REGISTER[2:]], "dataset_id='Rides'"),
        (["register", "rides", "--epsilon", "nan", *REGISTER[4:]], "epsilon=nan"),
        (["register", "rides", "--epsilon", "8", "--delta", "0", *REGISTER[6:]], "delta=0.0"),
        (["register", "rides", "--epsilon", "8", "--delta", "0.01", *REGISTER[6:]], "population"),
        (["register", "rides", "--epsilon", "0.000001", *REGISTER[4:]], "Raise epsilon"),
        (["add-blocks", "trips", "2025", "--approver", "Dana"], "registered without blocks"),
        (["budget", "trips", "--epsilon", "-1", "--approver", "Dana", "--reason", "x"], "epsilon=-1.0"),
        (["budget", "trips", "--epsilon", "9", "--approver", "", "--reason", "x"], "approver=''"),
        (["verify", "--head", "trips"], "DATASET:SEQUENCE:HASH"),
        (["verify", "--head", "trips:7:sha256:00"], "old copy"),
        (["settle", "0" * 32, "--approver", "Dana", "--reason", "x", "--yes"], "is not in this ledger"),
        (["log", "rides"], "'rides' is not registered"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(ledger: Ledger, arguments: list[str], message: str) -> None:
    text = refusal(*arguments)
    assert message in text
    assert "\n" not in text


def test_without_a_ledger_the_next_step_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tfx-privacy ledger init" in refusal("show")
    monkeypatch.delenv("TFX_PRIVACY_LEDGER")
    assert "TFX_PRIVACY_LEDGER is not set" in refusal("show")
    assert "must not be given" in str(CliRunner().invoke(cli.cli, ["ledger", "--ledger", address, "show"]).exception)


def test_a_guarantees_place_is_looked_up(ledger: Ledger, tmp_path: pathlib.Path) -> None:
    place = place_of_a_run(ledger)
    path = tmp_path / "privacy_guarantee.json"
    for record, message in (
        (evidence.charged_guarantee(dataset_id="trips", ledger=evidence.position(**place)), None),
        (evidence.charged_guarantee(dataset_id="trips", ledger=evidence.position(**{**place, "sequence": 99})), "99"),
        (evidence.make_guarantee(), "names no ledger"),
    ):
        path.write_text(statement.to_json(record))
        if message is None:
            assert "entries of 1 datasets are in order" in run("verify", "--guarantee", str(path)).output
        else:
            assert message in refusal("verify", "--guarantee", str(path))
    path.write_text(evidence.make_guarantee().to_json())
    assert "Not a valid Statement" in refusal("verify", "--guarantee", str(path))
