"""Trains reference models: the user's model again, by the same mechanism, on halves of the training and evaluation records."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import logging

from tfx_privacy import training
from tfx_privacy.accounting.composition import MAX_STEPS, terms
from tfx_privacy.accounting.parameters import ResolvedParameters
from tfx_privacy.attacks import record_keys
from tfx_privacy.attacks import reference_models as records_of_references
from tfx_privacy.components import _files
from tfx_privacy.components.dp_trainer import export
from tfx_privacy.errors import CheckpointError, InternalError, ParameterError
from tfx_privacy.guarantee.mechanism import DPMechanism, NoMechanism
from tfx_privacy.guarantee.recomputation import epsilon_with_references
from tfx_privacy.guarantee.record import ReferenceTrainings
from tfx_privacy.guarantee.spending import Beside
from tfx_privacy.training import keras_api

_JOURNAL = "reference_trainings.begun"


@dataclasses.dataclass(frozen=True)
class Pool:
    """The records that halves are taken of, the model's training data first."""

    records: training.ColumnarDataset
    keys: np.ndarray
    """Of each record, uint64 of shape (num_records,)."""
    key_features: list[str]
    num_members: int

    @classmethod
    def of(
        cls,
        members: training.ColumnarDataset,
        nonmembers: training.ColumnarDataset,
        label_key: str,
        user_id_key: str | None,
    ) -> Pool:
        """Joins both sides.

        Args:
          members: The model's training data.
          nonmembers: Records that it does not see.
          label_key: Name of the label, which is part of the keys.
          user_id_key: Name of the user ids, where users are the privacy unit: a user is in a half as a whole.
        """
        if members.has_variable_length:
            raise ParameterError(
                "reference_models does not go with features of variable length: their records have no keys. Make them "
                "dense in preprocessing_fn, or set reference_models=0."
            )
        records = _joined(members, nonmembers)
        if user_id_key is not None:
            assert records.user_ids is not None
            features = {user_id_key: records.user_ids}
        else:
            features = {**records.columns, label_key: records.labels}
        return cls(records, record_keys.record_keys(features), sorted(features), len(members))

    @property
    def members(self) -> training.ColumnarDataset:
        """The model's training data, without a copy of it."""
        return _part(self.records, slice(self.num_members))

    def half(self, number: int) -> training.ColumnarDataset:
        """The training data of one reference model.

        Raises:
          ParameterError: If there is none.
        """
        pair, side = divmod(number, 2)
        chosen = np.flatnonzero(record_keys.fold_bits(self.keys, pair) == side)
        if not len(chosen):
            raise ParameterError(
                f"Reference model {number} has none of the {len(self.keys)} records in its half. Set "
                "reference_models=0, or use more data."
            )
        return _part(self.records, chosen)

    def sample_keys(self) -> records_of_references.SampleKeys:
        """The smallest keys of both sides."""
        return records_of_references.SampleKeys(
            members=records_of_references.sample_of(self.keys[: self.num_members]),
            nonmembers=records_of_references.sample_of(self.keys[self.num_members :]),
        )


def _joined(first: training.ColumnarDataset, second: training.ColumnarDataset) -> training.ColumnarDataset:
    ids = None
    if first.user_ids is not None and second.user_ids is not None:
        ids = np.concatenate([first.user_ids, second.user_ids])
    other = second.columns
    features = {name: np.concatenate([column, other[name]]) for name, column in first.columns.items()}
    return training.ColumnarDataset(features, np.concatenate([first.labels, second.labels]), ids)


def _part(records: training.ColumnarDataset, chosen: Any) -> training.ColumnarDataset:
    ids = None if records.user_ids is None else records.user_ids[chosen]
    features = {name: column[chosen] for name, column in records.columns.items()}
    return training.ColumnarDataset(features, records.labels[chosen], ids)


def plan(resolved: ResolvedParameters, num_units: int) -> ResolvedParameters:
    """The model's own training, for another number of records.

    Sampling probability, steps and noise stay; with passes their number and length stay too, and batches are of another
    size. So each reference training has the model's own composition, and its models are comparable.

    Args:
      resolved: The model's training.
      num_units: Privacy units of a half.

    Raises:
      ParameterError: If most batches would be empty.
    """
    if not resolved.sampling_probability * num_units >= 1.0:
        raise ParameterError(
            f"sampling_probability={resolved.sampling_probability:g} draws "
            f"{resolved.sampling_probability * num_units:g} of the {num_units} units of a reference model's half: most "
            "batches would be empty. Raise the expected batch, or set reference_models=0."
        )
    privacy, probability = resolved.parameters, resolved.sampling_probability
    expected = probability * num_units
    changes: dict[str, Any] = {"audit_canaries": 0}
    if privacy.clipping == "adaptive":
        changes["clip_count_noise"] = resolved.count_standard_deviation
    if resolved.steps_per_pass is not None:
        batch = -(-num_units // resolved.steps_per_pass)
        changes["expected_batch_size"] = batch
        # Batches are rounded up, so the last ones of a pass may be smaller or empty: on average a step takes this share.
        expected, probability = float(batch), 1.0 / resolved.steps_per_pass
    return dataclasses.replace(
        resolved,
        parameters=dataclasses.replace(privacy, **changes),
        sampling_probability=probability,
        expected_batch_size=expected,
        population=num_units,
        population_is_declared=False,
    )


def check(resolved: ResolvedParameters, pool: Pool, num_models: int) -> None:
    """Checks before training that all reference models can be trained.

    Raises:
      ParameterError: If a half is too small.
    """
    for number in range(num_models):
        plan(resolved, pool.half(number).num_units(resolved.parameters.privacy_unit))


@dataclasses.dataclass(frozen=True)
class Trained:
    """What was trained, in the order of the models."""

    digests: list[str]
    sizes: list[int]
    mechanisms: list[DPMechanism | NoMechanism]
    lost: int
    """Trainings of earlier attempts."""

    @property
    def mechanism(self) -> DPMechanism | NoMechanism:
        """The one that all share."""
        first = self.mechanisms[0]
        for other in self.mechanisms[1:]:
            if _composition(other) != _composition(first):
                raise InternalError("Two reference trainings differ in what they spent.")
        return first


class Journal:
    """Counts reference trainings before they begin, over all attempts at a run, in the run's folder of checkpoints.

    A later attempt trains all of them again. What earlier ones began is lost, and counts.
    """

    def __init__(self, checkpoints: training.Checkpoints | None) -> None:
        """Reads what earlier attempts began.

        Args:
          checkpoints: The run's folder, locked by this attempt and emptied when the run ends; None where there is none.

        Raises:
          CheckpointError: If the count cannot be read.
        """
        self._checkpoints = checkpoints
        self.lost = self._begun = self._read()

    def begin(self) -> None:
        """Writes down that one more training begins, and waits for the disk."""
        self._begun += 1
        if self._checkpoints is not None:
            self._checkpoints.write_note(_JOURNAL, str(self._begun))

    def _read(self) -> int:
        text = None if self._checkpoints is None else self._checkpoints.read_note(_JOURNAL)
        if text is None:
            return 0
        if not (text.isascii() and text.isdigit()):
            raise CheckpointError(
                f"{_JOURNAL} in checkpoint_dir is no number, so what was spent is not known. Use another folder."
            )
        return int(text)


def _composition(mechanism: DPMechanism | NoMechanism) -> Any:
    return mechanism.steps if isinstance(mechanism, NoMechanism) else mechanism.event


def train(
    make_model: Callable[[], Any],
    pool: Pool,
    resolved: ResolvedParameters,
    noise_multiplier: float | None,
    *,
    num_models: int,
    folder: str,
    specs: dict[str, Any],
    journal: Journal,
    strategy: Any = None,
) -> Trained:
    """Trains and saves reference models, one at a time.

    Args:
      make_model: Gives a fresh compiled model, made under the strategy.
      pool: Training and evaluation records.
      resolved: The model's own training.
      noise_multiplier: The model's own.
      num_models: How many, an even number.
      folder: Model j is saved in `<folder>/<j>`.
      specs: Features that the saved models take.
      journal: Where each training is written down before it begins.
      strategy: A tf.distribute strategy.

    Returns:
      Digests, sizes and mechanisms.

    Raises:
      TFXPrivacyError: As `training.train`.
    """
    trained = Trained([], [], [], journal.lost)
    for number in range(num_models):
        half = pool.half(number)
        run = plan(resolved, half.num_units(resolved.parameters.privacy_unit))
        model = make_model()
        journal.begin()
        outcome = training.train(model, half, run, noise_multiplier=noise_multiplier, strategy=strategy)
        path = os.path.join(folder, str(number))
        export.save_features_alone(model, path, specs)
        trained.digests.append(_files.directory_digest(path))
        trained.sizes.append(len(half))
        trained.mechanisms.append(outcome.mechanism)
        clear_keras_session(model)
        logging.info("DPTrainer: reference model %d of %d was trained on %d records", number + 1, num_models, len(half))
    return trained


def clear_keras_session(model: Any) -> None:
    """Frees what Keras keeps of a model, and seeds its generation of Keras anew: seeds are no model's own."""
    keras: Any = importlib.import_module("keras" if keras_api.is_keras_3(model) else "tf_keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(secrets.randbits(31))


def stated(
    num_models: int,
    lost: int,
    mechanism: DPMechanism | NoMechanism,
    reference: DPMechanism | NoMechanism,
    target_delta: float,
    beside: Beside,
) -> ReferenceTrainings:
    """What the guarantee says of them.

    Args:
      num_models: How many.
      lost: Trainings of earlier attempts.
      mechanism: Of the model.
      reference: Of each reference model.
      target_delta: In (0, 1).
      beside: What else the model's epsilon is of.

    Raises:
      ParameterError: If all steps together are more than can be accounted.
    """
    per_record = num_models // 2 + lost
    if isinstance(mechanism, DPMechanism) and isinstance(reference, DPMechanism):
        together = terms(mechanism.event).steps + per_record * terms(reference.event).steps
        if not together <= MAX_STEPS:
            raise ParameterError(
                f"reference_models={num_models} and the model take {together} steps for one record; at most "
                f"{MAX_STEPS} can be accounted. Lower reference_models or steps."
            )
    epsilon = epsilon_with_references(
        mechanism, reference, trainings_per_record=per_record, target_delta=target_delta, beside=beside
    )
    return ReferenceTrainings(
        num_models=num_models,
        trainings_per_record=per_record,
        lost_trainings=lost,
        mechanism=reference,
        epsilon_all="inf" if math.isinf(epsilon) else epsilon,
    )


def record(
    trained: Trained,
    pool: Pool,
    *,
    model_digest: str,
    train_splits: list[str],
    eval_splits: list[str],
    user_id_key: str | None,
) -> records_of_references.ReferenceSet:
    """The file next to the models."""
    return records_of_references.ReferenceSet(
        num_models=len(trained.digests),
        model_digest=model_digest,
        digests=trained.digests,
        train_splits=train_splits,
        eval_splits=eval_splits,
        key_features=pool.key_features,
        user_id_key=user_id_key,
        sample_keys=pool.sample_keys(),
        training_sizes=trained.sizes,
        num_pool_members=pool.num_members,
        num_pool_nonmembers=len(pool.keys) - pool.num_members,
        mechanism=trained.mechanism,
    )
