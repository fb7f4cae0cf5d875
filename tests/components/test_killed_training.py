"""DPTrainer is killed, and what the ledger says afterwards."""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from ledgers import DATASET, new_ledger
from test_charged_and_signed import Case, case
from trainer_bench import PRIVATE, Bench
from trainer_zygote import MOMENTS, Zygote

from tfx_privacy.gate import verdict_file
from tfx_privacy.ledger import Ledger

__all__ = ["case"]

pytestmark = pytest.mark.slow

SIGKILL = -9
CHARGED: dict[str, Any] = {"ledger": "env:TFX_PRIVACY_LEDGER", "dataset_id": DATASET}
PRIVACY: dict[str, Any] = {"privacy": dataclasses.replace(PRIVATE, population=300).to_json()}


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.close()


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture
def ledger(ledger_address: str, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("TFX_PRIVACY_LEDGER", ledger_address)
    return new_ledger(ledger_address, epsilon=20.0)


def states(ledger: Ledger) -> list[str]:
    return [run.state for run in ledger.verify().datasets[DATASET].runs.values()]


STATES: dict[str, list[str]] = dict(zip(MOMENTS, [[], ["RESERVED"], *[["STARTED"]] * 4, ["COMMITTED"]], strict=True))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_stays_charged(zygote: Zygote, bench: Bench, ledger: Ledger, moment: str) -> None:
    assert zygote.run(bench.root, kill=moment, **PRIVACY, **CHARGED) == SIGKILL
    assert states(ledger) == STATES[moment]
    assert (ledger.dataset(DATASET).blocks[""].charged > 0) == bool(STATES[moment])
    assert not list(bench.root.glob("privacy_guarantee/*"))


def files_of(blessing: pathlib.Path) -> set[str]:
    return {path.name for path in blessing.iterdir()} if blessing.is_dir() else set()


def bless_and_die(case: Case, at: int) -> bool:
    """Judges the model in a child that dies before a number of changes to files; whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == SIGKILL
    try:
        from tfx_privacy.components import _files, _signatures

        left = [at]
        modules: Any = (_files, _signatures)

        def counted(action: Any, *args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return action(*args, **kwargs)

        for module, name in [(0, "write_text"), (1, "remove"), (1, "remove_signed"), (1, "write_signed_text")]:
            setattr(modules[module], name, functools.partial(counted, getattr(modules[module], name)))
        case.run()
    finally:
        os._exit(0)


@pytest.mark.parametrize("earlier", [False, True], ids=["first verdict", "after an earlier one"])
def test_a_validator_that_is_killed_blesses_nothing_without_a_whole_verdict(case: Case, earlier: bool) -> None:
    import tfx_privacy.components.budget_validator.executor  # noqa: F401 - once, not in every child

    blessing = case.bench.root / "blessing"
    if earlier:
        assert case.run() == 1
    kills = 0
    while bless_and_die(case, kills):
        kills += 1
        found = files_of(blessing)
        assert "BLESSED" not in found or (
            json.loads((blessing / verdict_file.FILE_NAME).read_text())["predicate"]["blessed"] is True
            and "NOT_BLESSED" not in found
        )
    assert kills > 5
    assert "BLESSED" in files_of(blessing)


def test_a_resumed_run_is_charged_once(zygote: Zygote, bench: Bench, ledger: Ledger) -> None:
    run = {**PRIVACY, **CHARGED, "checkpoint_dir": str(bench.root / "checkpoints")}
    assert zygote.run(bench.root, kill="before saving", **run) == SIGKILL
    assert zygote.run(bench.root, **run) == 0
    assert states(ledger) == ["COMMITTED"]
    assert [entry.body.kind for entry in ledger.log(DATASET)] == ["register", "reserve", "start", "start", "commit"]
    first = bench.guarantee()
    assert first.run_id in ledger.verify().datasets[DATASET].runs
    assert zygote.run(bench.root, **run) == 0
    assert bench.guarantee().run_id != first.run_id
    assert states(ledger) == ["COMMITTED", "COMMITTED"]


def test_an_old_copy_of_the_checkpoints_is_refused(zygote: Zygote, bench: Bench, ledger: Ledger) -> None:
    folder, copy, log = bench.root / "checkpoints", bench.root / "copy", bench.root / "log"
    assert zygote.run(bench.root, kill="in a step", **PRIVACY, **CHARGED, checkpoint_dir=str(folder)) == SIGKILL
    shutil.copytree(folder, copy)
    assert zygote.run(bench.root, **PRIVACY, **CHARGED, checkpoint_dir=str(folder)) == 0
    assert zygote.run(bench.root, log=log, **PRIVACY, **CHARGED, checkpoint_dir=str(copy)) == 1
    assert "LedgerError: The ledger refuses to start" in log.read_text()
    assert states(ledger) == ["COMMITTED"]


def test_steps_whose_record_is_gone_are_paid_again(zygote: Zygote, bench: Bench, ledger: Ledger) -> None:
    """Without the journal nobody knows how often the data were read: the whole plan runs anew, and is charged anew."""
    folder = bench.root / "checkpoints"
    run = {**PRIVACY, **CHARGED, "checkpoint_dir": str(folder)}
    assert zygote.run(bench.root, kill="in a step", **run) == SIGKILL
    (folder / "journal.json").unlink()
    assert zygote.run(bench.root, **run) == 0
    assert states(ledger) == ["STARTED", "COMMITTED"]
