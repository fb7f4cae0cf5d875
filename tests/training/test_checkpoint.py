"""KilledError runs go on, with fresh noise, and every step that may have been executed is counted."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from places import HELPERS
from small_models import GENERATIONS, make_data, make_model, resolved, weights

from tfx_privacy.accounting.composition import terms
from tfx_privacy.errors import CheckpointError, ParameterError

pytestmark = pytest.mark.engine


class KilledError(Exception):
    """Stands for what ends a process."""


def run(
    folder: Any, *, kill_at: int | None = None, run: Any = None, every: int = 10, model: Any = None, **options: Any
) -> tuple[Any, Any]:
    from tfx_privacy import training

    model = model or make_model(optimizer="adam")
    run = run or resolved(40, steps=30)

    def kill(progress: Any) -> None:
        if progress.step == kill_at:
            raise KilledError

    with training.Checkpoints(folder, every=every) as checkpoints:
        outcome = training.train(
            model,
            make_data(),
            run,
            noise_multiplier=run.parameters.noise_multiplier,
            checkpoints=checkpoints,
            on_progress=kill,
            **options,
        )
    return model, outcome.mechanism


def journal(folder: pathlib.Path) -> dict[str, Any]:
    return dict(json.loads((folder / "journal.json").read_text()))


@pytest.mark.slow
def test_a_run_that_is_killed_by_the_system_goes_on(tmp_path: pathlib.Path) -> None:
    """SIGKILL after 17 of 30 steps: ten are in the checkpoint, seven are lost and count, so 13 are left."""
    killed = subprocess.run(
        [sys.executable, str(HELPERS / "killed_run.py"), str(tmp_path), "17"], check=False, cwd=HELPERS
    )
    assert killed.returncode == -signal.SIGKILL
    assert journal(tmp_path)["attempts"] == [17]
    assert journal(tmp_path)["completed"] == 10
    model, executed = run(tmp_path)
    assert (executed.steps, executed.lost_steps) == (30, 7)
    assert int(np.array(model.optimizer.iterations)) == 23


@pytest.mark.parametrize("generation", GENERATIONS)
def test_weights_and_optimizer_go_on_where_they_were(tmp_path: pathlib.Path, generation: str) -> None:
    """After the checkpoint nothing is left to execute: what comes out is what was in it."""
    first = make_model(optimizer="adam", generation=generation)
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=30, model=first, every=30)
    second, executed = run(tmp_path, model=make_model(optimizer="adam", generation=generation))
    # The state of the last step had been saved when the callback was told of it.
    np.testing.assert_array_equal(weights(first), weights(second))
    assert (executed.steps, executed.lost_steps) == (30, 0)
    assert int(np.array(second.optimizer.iterations)) == 30


def test_the_noise_of_a_resumed_run_is_fresh(tmp_path: pathlib.Path) -> None:
    """Two runs resumed from copies of one checkpoint differ: with the same noise their difference would cancel it."""
    import shutil

    with pytest.raises(KilledError):
        run(tmp_path / "one", kill_at=20)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    one, _ = run(tmp_path / "one")
    other, _ = run(tmp_path / "other")
    assert np.all(weights(one) != weights(other))


def test_nothing_of_the_noise_is_stored(tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    with pytest.raises(KilledError):
        run(
            tmp_path, kill_at=20, run=resolved(40, steps=30, sampling="shuffled", algorithm="dp_ftrl", audit_canaries=0)
        )
    (state,) = {path.name.split(".")[0] for path in tmp_path.glob("state-*")}
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / state))]
    assert not [name for name in names if "noise" in name or "node" in name or "seed" in name]
    stored = [name for name in names if name.startswith(("model_", "optimizer_", "mechanism_"))]
    assert len([name for name in stored if name.startswith("mechanism_")]) == 1  # the clip


@pytest.mark.slow
def test_a_run_killed_many_times_never_spends_more_than_planned(tmp_path: pathlib.Path) -> None:
    for step in (3, 5, 16, 22):
        with pytest.raises(KilledError):
            run(tmp_path, kill_at=step)
    _, executed = run(tmp_path)
    assert executed.steps == 30
    assert executed.lost_steps == sum(journal(tmp_path)["attempts"]) - journal(tmp_path)["completed"] > 0


def test_steps_that_were_all_lost_make_no_model(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed inside the first call of each attempt, after 16 and 14 steps: untrained weights are not passed off as trained."""
    from tfx_privacy.training import private_step

    def dies(self: Any, batches: Any) -> float:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(private_step.PrivateStep, "run", dies)
        for spent in ([16], [16, 14]):
            with pytest.raises(KilledError):
                run(tmp_path, progress_every=30)
            assert journal(tmp_path)["attempts"] == spent
    with pytest.raises(CheckpointError, match="All 30 steps that were planned"):
        run(tmp_path)


@pytest.mark.parametrize("algorithm", ["dp_sgd", "dp_ftrl"])
def test_passes_that_were_broken_off_count_as_begun(tmp_path: pathlib.Path, algorithm: str) -> None:
    """Four steps a pass and 16 planned: killed in the second pass, two whole ones more fit, since each begins afresh."""
    passes = resolved(40, steps=16, sampling="shuffled", algorithm=algorithm)
    assert passes.steps_per_pass == 4
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=6, run=passes, every=2)
    _, executed = run(tmp_path, run=passes, every=2)
    assert executed.passes[:2] == [4, 2]
    assert terms(executed.event).steps <= passes.compositions
    assert passes.compositions_of([6, sum(executed.passes[2:]) + 1]) > passes.compositions or executed.steps == 16


def test_an_adaptive_clip_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    adaptive = resolved(40, steps=30, clipping="adaptive", l2_norm_clip=20.0)
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=30, run=adaptive, every=30)
    _, executed = run(tmp_path, run=adaptive)
    assert executed.adaptive_clipping.final_l2_norm_clip < 15.0
    assert executed.l2_norm_clip == 20.0


def test_steps_are_written_down_before_they_are_executed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfx_privacy.training import private_step

    seen: list[int] = []
    before = private_step.PrivateStep.run

    def spying(self: Any, batches: Any) -> float:
        seen.append(journal(tmp_path)["attempts"][-1])
        return before(self, batches)

    monkeypatch.setattr(private_step.PrivateStep, "run", spying)
    run(tmp_path, progress_every=4)
    assert seen == [4, 8, 12, 16, 20, 24, 28, 30]


def test_a_finished_run_leaves_nothing_to_resume(tmp_path: pathlib.Path) -> None:
    from tfx_privacy import training

    with training.Checkpoints(tmp_path) as checkpoints:
        training.train(make_model(), make_data(), resolved(40), noise_multiplier=1.0, checkpoints=checkpoints)
        checkpoints.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    _, executed = run(tmp_path)
    assert executed.lost_steps == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"steps": 31}, {"l2_norm_clip": 0.5}, {"noise_multiplier": 1.1}, {"expected_batch_size": 11}],
    ids=lambda change: next(iter(change)),
)
def test_another_run_s_folder_is_refused(tmp_path: pathlib.Path, change: dict[str, Any]) -> None:
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=20)
    with pytest.raises(CheckpointError, match="holds another run"):
        run(tmp_path, run=resolved(40, **{"steps": 30, **change}))
    assert journal(tmp_path)["attempts"] == [20]


def test_another_number_of_records_or_another_model_is_another_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=20)
    with pytest.raises(CheckpointError, match="holds another run"):
        run(tmp_path, run=dataclasses.replace(resolved(40, steps=30), sampling_probability=0.2))
    with pytest.raises(CheckpointError, match="holds another run"):
        run(tmp_path, model=make_model(lambda layers, f: layers.Dense(1, "sigmoid")(f), optimizer="adam"))


def test_what_is_declared_record_wise_is_declared_of_every_step(tmp_path: pathlib.Path) -> None:
    """A run that took the author's word goes on as such, or the guarantee would be silent about its first steps."""
    import tensorflow as tf

    import tfx_privacy

    def error(labels: Any, predictions: Any) -> Any:
        return tf.square(tf.cast(tf.reshape(labels, (-1,)), tf.float32) - tf.reshape(predictions, (-1,)))

    with pytest.raises(KilledError):
        run(tmp_path, kill_at=20, model=make_model(optimizer="adam", loss=tfx_privacy.record_wise(error)))
    del error._tfx_privacy_record_wise  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="what is declared record-wise"):
        run(tmp_path, model=make_model(optimizer="adam", loss=error))
    assert journal(tmp_path)["attempts"] == [20]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"version": 1, "attempts": [-5], "completed": 0, "run": "", "state": null}']
)
def test_a_damaged_journal_is_no_new_run(tmp_path: pathlib.Path, text: str) -> None:
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=20)
    (tmp_path / "journal.json").write_text(text)
    with pytest.raises(CheckpointError, match="not a journal"):
        run(tmp_path)


def test_a_damaged_state_ends_the_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=20)
    for path in tmp_path.glob("state-*.data*"):
        path.write_bytes(b"no such thing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        run(tmp_path)


def test_two_attempts_at_a_time_are_refused(tmp_path: pathlib.Path) -> None:
    from tfx_privacy import training

    with training.Checkpoints(tmp_path), pytest.raises(CheckpointError, match="Another training run is at work"):
        run(tmp_path)


def test_a_remote_folder_cannot_be_locked() -> None:
    from tfx_privacy import training

    with pytest.raises(ParameterError, match="checkpoint_dir='gs://bucket/x' to be a local folder"):
        training.Checkpoints("gs://bucket/x")
