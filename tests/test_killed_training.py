"""DPTrainer is killed, and what the ledger says afterwards."""

import dataclasses
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from ledgers import DATASET, new_ledger
from trainer_bench import PRIVATE, Bench
from trainer_zygote import Zygote

from tfx_privacy.ledger import Ledger

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


@pytest.mark.parametrize(
    ("moment", "state"), [("in a step", "STARTED"), ("before saving", "STARTED"), ("after commit", "COMMITTED")]
)
def test_a_killed_run_stays_charged(zygote: Zygote, bench: Bench, ledger: Ledger, moment: str, state: str) -> None:
    assert zygote.run(bench.root, kill=moment, **PRIVACY, **CHARGED) == SIGKILL
    assert states(ledger) == [state]
    assert ledger.dataset(DATASET).blocks[""].charged > 0
    assert not list(bench.root.glob("privacy_guarantee/*"))


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
