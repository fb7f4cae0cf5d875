"""Attacks with DPTrainer's reference models: what they say of the sampled records, and who was in whose training data."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks import evaluation, record_keys, reference_models
from tfx_privacy.attacks.membership import heads, reference
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.attacks.reference_models import ReferenceSet
from tfx_privacy.components import _files, serving
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, LoadedReader
from tfx_privacy.components.privacy_evaluator.sampled import SampledRecords
from tfx_privacy.errors import EvidenceError

# Rounding of floats gives about one record in 12,000 per feature another key; less than this means other records.
_MIN_MATCHED = 0.9


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """What reference models say of one side's sample.

    Attributes:
      scores: By attack, of shape (num_records,).
      outputs: Of each model, float64 of shape (num_records, num_models, num_outputs).
      bits: Which model of each pair was trained with the record, of shape (num_records, num_pairs).
    """

    scores: dict[str, np.ndarray]
    outputs: np.ndarray
    bits: np.ndarray


def read_record(uri: str, model_digest: str) -> ReferenceSet | None:
    """The record of the reference models; None where there are none.

    Raises:
      EvidenceError: If they are of another model, or their folders were changed.
    """
    record = ReferenceSet.from_json(_files.read_text(uri, reference_models.FILE_NAME))
    if record.model_digest != model_digest:
        raise EvidenceError(
            "reference_models were trained for another model than the one that is attacked. Wire both from the same "
            "DPTrainer."
        )
    for number, stated in enumerate(record.digests):
        if _files.directory_digest(os.path.join(uri, str(number))) != stated:
            raise EvidenceError(
                f"Reference model {number} was changed since it was trained. Train the reference models again."
            )
    return record if record.num_models else None


def calibrate(
    loaded: LoadedReader, head: Head, uri: str, record: ReferenceSet, sides: tuple[SampledRecords, SampledRecords]
) -> tuple[tuple[Calibrated, Calibrated], evaluation.References]:
    """Asks the reference models about both samples.

    Args:
      loaded: The model that is attacked.
      head: Its one head.
      uri: Of the reference models.
      record: Of the reference models.
      sides: The samples of members and of others.

    Returns:
      What they say, and how well they fit.

    Raises:
      EvidenceError: If the samples are not of the records that the reference models were trained on.
    """
    models = [_signature(uri, number) for number in range(record.num_models)]
    features = [_batches(loaded, side) for side in sides]
    keys = [_keys(batches, record) for batches in features]
    known = record.sample_keys.members, record.sample_keys.nonmembers
    shares = [reference_models.matched_share(stored, found) for stored, found in zip(known, keys, strict=True)]
    if not min(shares) >= _MIN_MATCHED:
        raise EvidenceError(
            f"Only {min(shares):.1%} of the sampled records are known to the reference models; at least "
            f"{_MIN_MATCHED:.0%} must be. Give PrivacyEvaluator the splits that DPTrainer had: train_args and "
            "eval_args, member_splits and nonmember_splits."
        )
    bits = [
        np.stack([record_keys.fold_bits(found, pair) for pair in range(record.num_models // 2)], axis=1).astype(
            np.int64
        )
        for found in keys
    ]
    outputs = [np.concatenate([_ask(models, batch) for batch in batches]) for batches in features]
    scores = _scores(head, sides, outputs, bits)
    calibrated = tuple(Calibrated(*parts) for parts in zip(scores, outputs, bits, strict=True))
    described = evaluation.References(
        num_models=record.num_models, matched_share=min(shares), model_digest=record.combined_digest
    )
    return (calibrated[0], calibrated[1]), described


def _scores(
    head: Head, sides: tuple[SampledRecords, SampledRecords], outputs: list[np.ndarray], bits: list[np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Attacks of both sides together: what is chosen or estimated is the same for both."""
    labels = [side.first_labels for side in sides]
    own, ours = _signals(head, outputs, labels), [side.first_signals for side in sides]
    target = tuple(np.concatenate([getattr(signals, name) for signals in ours]) for name in ("loss", "log_likelihood"))
    usable = np.concatenate([signals.usable for signals in ours]) & own[2]
    found = reference.scores(
        (target[0][usable], target[1][usable]),
        (own[0][usable], own[1][usable]),
        np.concatenate(bits)[usable],
        is_likelihood=head.task in heads.OF_CLASSES,
    )
    size = len(bits[0])
    result: list[dict[str, np.ndarray]] = [{}, {}]
    for attack, values in found.items():
        filled = np.full(len(usable), np.nan)
        filled[usable] = values
        result[0][attack], result[1][attack] = filled[:size], filled[size:]
    return result


def _signals(
    head: Head, outputs: list[np.ndarray], labels: list[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss and log-likelihood of every record by every model, (num_records, num_models), and which records are usable."""
    loss, likelihood, usable = [], [], []
    for side, label in zip(outputs, labels, strict=True):
        found = [heads.signals(head, side[:, number], label) for number in range(side.shape[1])]
        loss.append(np.stack([signals.loss for signals in found], axis=1))
        likelihood.append(np.stack([signals.log_likelihood for signals in found], axis=1))
        usable.append(np.all([signals.usable for signals in found], axis=0))
    return np.concatenate(loss), np.concatenate(likelihood), np.concatenate(usable)


def _signature(uri: str, number: int) -> Any:
    model = tf.saved_model.load(os.path.join(uri, str(number)))
    function = model.signatures[serving.FROM_FEATURES]
    function._keeps_alive = model  # variables live as long as the object that holds them
    return function


def _batches(loaded: LoadedReader, side: SampledRecords) -> list[dict[str, Any]]:
    """The sample's features as the models take them, batch by batch."""
    records = np.array(side.sample.records, dtype=object)
    return [
        loaded.transformed(tf.constant(records[start : start + BATCH_SIZE]))
        for start in range(0, len(records), BATCH_SIZE)
    ]


def _keys(batches: list[dict[str, Any]], record: ReferenceSet) -> np.ndarray:
    missing = set(record.key_features) - set(batches[0])
    if missing:
        raise EvidenceError(
            f"The reference models were trained with feature {min(missing)!r}, which the examples do not give. Wire "
            "the transform_graph that DPTrainer had."
        )
    return np.concatenate(
        [record_keys.record_keys({name: batch[name].numpy() for name in record.key_features}) for batch in batches]
    )


def _ask(models: list[Any], features: Mapping[str, Any]) -> np.ndarray:
    """Outputs of every model, of shape (num_records, num_models, ...)."""
    named = serving.by_input_name(features)
    answers = []
    for model in models:
        inputs = {name: named[name] for name in model.structured_input_signature[1]}
        answers.append(model(**inputs)[serving.OUTPUT_KEY].numpy())
    return np.stack(answers, axis=1)
