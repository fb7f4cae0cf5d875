"""The training loop: checks the model, runs the mechanism or ordinary steps, and says what was executed."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfx_privacy import _validate
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.errors import CheckpointError, ModelError, ParameterError, TFXPrivacyError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.record import Audit
from tfx_privacy.training import keras_api, probe, record_values, validation, without_values
from tfx_privacy.training.checkpoint import Checkpoints
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.mechanism import CanaryScores, History, PrivateMechanism, planned
from tfx_privacy.training.ordinary import OrdinaryTraining
from tfx_privacy.training.private_step import Execution, Performance

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Progress:
    """What a callback is told; nothing in it is a function of the records beyond the noisy weights."""

    step: int
    steps: int
    update_norm: float | None
    """L2 norm of the noisy mean gradient; None without privacy."""
    clipped_fraction: float | None
    """Share of units beyond the clip, by the noisy count that adapts it, which the guarantee accounts;
    None where none is taken."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training run did."""

    mechanism: DPMechanism | NoMechanism
    audit: Audit | None = None
    declared_record_wise: tuple[str, ...] = ()
    """Classes and functions of the model that saw whole batches because their author declared them record-wise."""


class _Training(Protocol):
    """What the loop drives."""

    @property
    def steps(self) -> int:
        """Steps executed."""

    @property
    def completed(self) -> int:
        """Steps whose result is in the weights."""

    @property
    def clipped_fraction(self) -> float | None:
        """Noisy share of units beyond the clip, if it is counted."""

    def steps_in_one_call(self, wanted: int) -> int:
        """How many of them one call may execute."""

    def advance(self, steps: int) -> float | None:
        """Executes them."""


def train(
    model: Any,
    data: ColumnarDataset,
    resolved: ResolvedParameters,
    *,
    noise_multiplier: float | None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_every: int = 1,
    performance: Performance | None = None,
    strategy: Any = None,
    checkpoints: Checkpoints | None = None,
    deterministic_noise_for_tests: int | None = None,
    may_be_noise: bool = True,
) -> Outcome:
    """Trains a model in place, by DP-SGD or DP-FTRL, or without privacy where the parameters say so.

    Args:
      model: A compiled Keras model (Keras 2 or 3) with one output.
      data: The training records.
      resolved: Sampling probability, steps and expected batch size.
      noise_multiplier: Noise standard deviation / clip; None only without privacy.
      on_progress: Called after every `progress_every`-th step and after the last one.
      progress_every: Steps between two calls.
      performance: Chunk size and the like; no matter of privacy.
      strategy: A tf.distribute strategy that the model was made under.
      checkpoints: Where the run's state is kept, and found again if an earlier attempt was killed.
      deterministic_noise_for_tests: Seed of a noise that protects nothing; the result is stamped with it.
      may_be_noise: Whether a model without any gradient may be trained, e.g. to measure the noise; DPTrainer refuses one.

    Returns:
      The mechanism that was executed, and what the audit found.

    Raises:
      ParameterError: As `check_run`.
      ModelError: If the model cannot be trained privately, or its weights are not finite at the end.
      CheckpointError: If the checkpoints are of another run, or all steps were spent without one.
      DataError: If a label is none that its loss takes, an id is outside of a table, or TensorFlow cannot compute a step
        with some records.
    """
    progress_every = _validate.positive_integer(progress_every=progress_every)
    plan = check_run(model, resolved, noise_multiplier, strategy=strategy)
    data = validation.check_model(model, validation.relevant_features(model, data))
    record_values.check(model, data)
    training: PrivateMechanism | OrdinaryTraining
    if isinstance(plan, NoMechanism):
        training = OrdinaryTraining(model, data, resolved)
        _run(training, resolved, resolved.steps, on_progress, progress_every, model=model, strategy=strategy)
        _require_finite(model)
        return Outcome(NoMechanism(steps=training.steps))
    found = probe.examine(model, data, resolved, may_be_noise=may_be_noise)
    for line in found.notes:
        _LOG.warning("DPTrainer: %s", line)
    performance = performance or Performance()
    if performance.layout is None:
        performance = dataclasses.replace(performance, layout=found.layout)
    training = PrivateMechanism(
        model,
        data,
        resolved,
        noise_multiplier=plan.noise_multiplier,
        execution=Execution(record_by_record=found.record_by_record, performance=performance, strategy=strategy),
        deterministic_noise_for_tests=deterministic_noise_for_tests,
    )
    history = History()
    if checkpoints:
        history = checkpoints.resume(
            model,
            resolved,
            plan.noise_multiplier,
            training.state,
            declared_record_wise=found.declared_record_wise,
            deterministic_noise=deterministic_noise_for_tests is not None,
        )
        training.resume_from(history)
    steps = _steps_left(resolved, history)
    if not steps and not history.completed:
        raise CheckpointError(
            f"All {history.executed} steps that were planned were executed by attempts that were killed before their "
            "first checkpoint: nothing of them is left, and they are spent. Begin another run in another folder."
        )
    with keras_api.random_states_restored(model):
        _run(training, resolved, steps, on_progress, progress_every, checkpoints, model=model, strategy=strategy)
    _require_finite(model)
    return Outcome(training.executed(), _audit(training.canaries(), resolved), found.declared_record_wise)


def check_run(
    model: Any, resolved: ResolvedParameters, noise_multiplier: float | None, *, strategy: Any = None
) -> DPMechanism | NoMechanism:
    """Refuses, without a record, a run that could not be executed, or of which nothing could be stated afterwards.

    Args:
      model: As `train` takes it.
      resolved: As `train` takes it.
      noise_multiplier: As `train` takes it.
      strategy: As `train` takes it.

    Returns:
      The mechanism as it will be executed, if no attempt is killed.

    Raises:
      ParameterError: If a private run has no noise or no expected batch size, or its numbers do not go together.
      ModelError: If the optimizer does something that the strategy cannot.
    """
    if strategy is not None and not isinstance(strategy, tf.distribute.Strategy):
        raise ParameterError(
            f"Expected strategy={_validate.short(strategy)} to be a tf.distribute.Strategy that the model was made under."
        )
    if strategy is not None and keras_api.is_model(model):
        keras_api.check_averages(model)
    return planned(resolved, noise_multiplier)


def check_model_beforehand(
    model: Any,
    made_up: ColumnarDataset | None,
    resolved: ResolvedParameters,
    declared: ColumnarDataset | None = None,
) -> None:
    """Refuses, without a record, a model that `train` would refuse: for a run that is charged before it reads.

    Args:
      model: As `train` takes it.
      made_up: At least one record with the names, shapes and types of the data; None where they are not known, and
        only what needs no record is looked at.
      resolved: As `train` takes it.
      declared: Records like it, with the ends of the domains that a schema declares; None where it declares none.

    Raises:
      ModelError: With every problem that was found.
      ParameterError: If the schema declares labels or ids that the model does not take.
    """
    if made_up is None:
        validation.check_structure(model)
        return
    made_up = validation.relevant_features(model, made_up)
    try:
        made_up = validation.check_model(model, made_up)
        if declared is not None:
            record_values.check_declared(model, made_up, validation.relevant_features(model, declared))
        if resolved.parameters.enabled:
            probe.examine(model, made_up, resolved)
    except TFXPrivacyError:
        raise
    except Exception as error:
        # How many values a record holds is not known beforehand, and a model may need so many.
        if not made_up.has_variable_length:
            raise
        _LOG.info("The model is looked at when the records are read (%s).", type(error).__name__)


def _steps_left(resolved: ResolvedParameters, history: History) -> int:
    """Steps that a resumed run may still execute without spending more than was planned."""
    if not history.attempts:
        return resolved.steps
    low, high = 0, max(0, resolved.steps - history.executed)
    while low < high:
        middle = (low + high + 1) // 2
        if resolved.compositions_of([*history.attempts, middle]) <= resolved.compositions:
            low = middle
        else:
            high = middle - 1
    return low


def _run(
    training: _Training,
    resolved: ResolvedParameters,
    steps: int,
    on_progress: Callable[[Progress], None] | None,
    progress_every: int,
    checkpoints: Checkpoints | None = None,
    *,
    model: Any,
    strategy: Any,
) -> None:
    done = 0
    while done < steps:
        until_report = progress_every - done % progress_every if on_progress else steps
        count = training.steps_in_one_call(min(until_report, steps - done))
        if checkpoints:
            checkpoints.intend(count)
        norm = without_values.call(functools.partial(training.advance, count), "A training step")
        done += count
        if checkpoints:
            checkpoints.executed(training.completed, last=done == steps)
        if done == steps:
            # After the state is saved, from which a later attempt would do it again; before the last report.
            keras_api.finish(model, strategy)
        if on_progress and (done % progress_every == 0 or done == steps):
            on_progress(Progress(training.steps, resolved.steps, norm, training.clipped_fraction))

    if not steps:
        keras_api.finish(model, strategy)


def _audit(canaries: CanaryScores | None, resolved: ResolvedParameters) -> Audit | None:
    if canaries is None or resolved.parameters.target_delta is None:
        return None
    from tfx_privacy.accounting.auditing import audit_bounds

    bounds = audit_bounds(canaries.scores, canaries.is_member, delta=resolved.parameters.target_delta)
    return Audit(
        num_canaries=bounds.num_canaries,
        num_members=bounds.num_members,
        confidence=bounds.confidence,
        epsilon_lower_bound=bounds.one_run_f_dp,
        epsilon_lower_bound_one_run=bounds.one_run,
        epsilon_lower_bound_gaussian=bounds.gaussian,
    )


def _require_finite(model: Any) -> None:
    for variable in keras_api.all_variables(model):
        if variable.dtype.is_floating and not np.all(np.isfinite(tf.convert_to_tensor(variable))):
            raise ModelError(
                f"Weight {variable.name!r} is not finite after training. Lower the learning rate; the run's budget is "
                "spent."
            )
