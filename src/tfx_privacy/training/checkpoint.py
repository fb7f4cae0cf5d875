"""Keeps a private run's state, so a killed run goes on with what it has spent.

Before steps are executed, the journal says so ("write-ahead"); whatever happens then, they are counted. A resumed run
draws batches and noise from fresh keys: neither is ever stored, because whoever knew the noise could subtract it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
from typing import Any

import tensorflow as tf
from typing_extensions import Self

from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.errors import CheckpointError, ParameterError
from tfx_privacy.records import strict_json
from tfx_privacy.training import keras_api
from tfx_privacy.training.mechanism import History

_JOURNAL, _LOCK, _STATE = "journal.json", "lock", "state"
_VERSION = 1


class Checkpoints:
    """The folder of one run. Use as a context manager: two attempts at a run must not work at the same time."""

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 100) -> None:
        """Names the folder.

        Args:
          folder: A local folder of this run alone; made where it is missing. It holds weights, and no noise.
          every: Completed steps between two checkpoints; those since the last one are lost when the run is killed.

        Raises:
          ParameterError: If the folder is not a local path.
        """
        if "://" in os.fspath(folder):
            raise ParameterError(
                f"Expected checkpoint_dir={os.fspath(folder)!r} to be a local folder, which can be locked."
            )
        self._folder = pathlib.Path(folder)
        self._every = every
        self._tracked: dict[str, Any] = {}
        self._journal: dict[str, Any] = {}
        self._saved_at = 0
        self._lock: Any = None

    def __enter__(self) -> Self:
        """Locks the folder.

        Raises:
          CheckpointError: If another attempt is at work.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise CheckpointError(
                f"Another training run is at work in checkpoint_dir={str(self._folder)!r}. Wait for it, or use another "
                "folder."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Unlocks it."""
        self._lock.close()

    def resume(
        self,
        model: Any,
        resolved: ResolvedParameters,
        noise_multiplier: float,
        state: dict[str, Any],
        *,
        declared_record_wise: tuple[str, ...] = (),
        deterministic_noise: bool = False,
    ) -> History:
        """Restores the weights of an earlier attempt, where there was one.

        Args:
          model: A compiled model whose optimizer has its variables.
          resolved: The run; the earlier attempt must have been the same.
          noise_multiplier: As calibrated.
          state: Further variables that the run needs.
          declared_record_wise: What the clipping takes on its author's word. An attempt that took more or less is
            another run, so the guarantee names it for every step and not for those of the last attempt alone.
          deterministic_noise: Whether the noise protects nothing. The result is stamped by what the last attempt draws,
            so an attempt that draws otherwise is another run.

        Returns:
          What was spent; nothing for a new run.

        Raises:
          CheckpointError: If the folder holds another run, or the journal cannot be read.
        """
        identity = _identity(model, resolved, noise_multiplier, declared_record_wise, deterministic_noise)
        self._tracked = _variables(model) | {f"mechanism_{name}": variable for name, variable in state.items()}
        journal = self._read()
        if journal is None:
            self._journal = {"version": _VERSION, "run": identity, "attempts": [], "completed": 0, "state": None}
        elif journal["run"] != identity:
            raise CheckpointError(
                f"checkpoint_dir={str(self._folder)!r} holds another run: its parameters, its model, its noise, what is "
                "declared record-wise or the number of records differ. Use another folder, or remove this one; what it spent "
                "stays spent."
            )
        else:
            self._journal = journal
            if journal["state"] is not None:
                self._restore(journal["state"])
        history = History(tuple(self._journal["attempts"]), self._journal["completed"])
        self._saved_at = history.completed
        self._journal["attempts"].append(0)
        return history

    def intend(self, steps: int) -> None:
        """Writes down that so many more steps may be executed, before they are."""
        self._journal["attempts"][-1] += steps
        self._write()

    def executed(self, completed: int, *, last: bool) -> None:
        """Saves the state, if it is time to.

        Args:
          completed: Steps whose result is in the weights.
          last: Whether there are no further steps.
        """
        if not last and completed - self._saved_at < self._every:
            return
        path = self._checkpoint().write(str(self._folder / f"{_STATE}-{completed}"))
        old = self._journal["state"]
        self._journal |= {"completed": completed, "state": pathlib.Path(path).name}
        self._write()
        self._saved_at = completed
        if old is not None:
            for file in self._folder.glob(f"{old}.*"):
                file.unlink()

    @property
    def has_journal(self) -> bool:
        """Whether it is written down what earlier attempts executed."""
        return (self._folder / _JOURNAL).exists()

    def read_note(self, name: str) -> str | None:
        """What an earlier attempt wrote down under a name; None where it did not."""
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return None

    def write_note(self, name: str, text: str) -> None:
        """Writes something down for later attempts, in one step, and waits for the disk."""
        new = self._folder / f"{name}.new"
        with new.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def finish(self) -> None:
        """Removes the state: a finished run is not resumed."""
        for entry in self._folder.iterdir():
            if entry.name != _LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _checkpoint(self) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(**self._tracked)

    def _restore(self, state: str) -> None:
        try:
            self._checkpoint().read(str(self._folder / state)).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError, KeyError) as error:
            raise CheckpointError(
                f"The state {state!r} in checkpoint_dir={str(self._folder)!r} cannot be read ({type(error).__name__}). "
                "Use another folder; what the run spent stays spent."
            ) from error

    def _read(self) -> dict[str, Any] | None:
        text = self.read_note(_JOURNAL)
        if text is None:
            return None
        with contextlib.suppress(Exception):
            journal = strict_json.loads(text)
            attempts, completed = journal["attempts"], journal["completed"]
            whole = all(type(number) is int and number >= 0 for number in [*attempts, completed])
            if journal["version"] == _VERSION and whole and completed <= sum(attempts):
                return dict(journal)
        raise CheckpointError(
            f"{_JOURNAL} in checkpoint_dir={str(self._folder)!r} is not a journal of this version, so what was "
            "spent is not known. Use another folder."
        )

    def _write(self) -> None:
        self.write_note(_JOURNAL, strict_json.dumps(self._journal, indent=None))


def _identity(
    model: Any,
    resolved: ResolvedParameters,
    noise_multiplier: float,
    declared_record_wise: tuple[str, ...],
    deterministic_noise: bool,
) -> str:
    shapes = [list(variable.shape) for variable in keras_api.trainable_variables(model)]
    facts = {
        "parameters": resolved.parameters.to_json(),
        "noise_multiplier": noise_multiplier,
        "sampling_probability": resolved.sampling_probability,
        "steps": resolved.steps,
        "expected_batch_size": resolved.expected_batch_size,
        "shapes": shapes,
        "declared_record_wise": sorted(declared_record_wise),
    }
    if deterministic_noise:
        facts["deterministic_noise"] = True
    return hashlib.sha256(strict_json.dumps(facts, indent=None).encode()).hexdigest()


def _variables(model: Any) -> dict[str, Any]:
    """The model's and the optimizer's variables, by place: names differ between processes."""
    groups = {"model": keras_api.all_variables(model), "optimizer": keras_api.optimizer_variables(model.optimizer)}
    return {f"{group}_{place}": variable for group, found in groups.items() for place, variable in enumerate(found)}
