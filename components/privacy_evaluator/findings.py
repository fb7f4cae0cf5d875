"""What goes beyond membership: attributes, canaries, reconstructions, properties of the data as a whole."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.io import fileio

from tfx_privacy.attacks import attribute, canaries, exposure, properties
from tfx_privacy.attacks.evaluation import Family, Finding
from tfx_privacy.attacks.membership import heads
from tfx_privacy.attacks.membership.heads import Head
from tfx_privacy.components import _files, serving
from tfx_privacy.components.privacy_evaluator import inversion, scoring
from tfx_privacy.components.privacy_evaluator.calibration import Calibrated
from tfx_privacy.components.privacy_evaluator.reader import BATCH_SIZE, LoadedReader
from tfx_privacy.components.privacy_evaluator.sampled import SampledRecords
from tfx_privacy.errors import DataError, EvidenceError, ModelError, ParameterError

MAX_VALUES = 20
"""Candidate values of a sensitive feature: the model is asked about each record with each of them."""
_MAX_RECORDS = 2000

Sides = tuple[SampledRecords, SampledRecords]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which attacks beyond membership to run.

    Attributes:
      sensitive_features: Raw features whose values an attacker would like to know.
      properties: Pairs of a raw feature and a value, whose share in the data an attacker would like to know.
      model_inversion: Whether to reconstruct records of each class.
      canaries_uri: Of CanaryInserter's canaries, or None.
      canary_delta: At which the canaries' bound on epsilon is stated.
    """

    sensitive_features: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    model_inversion: bool = False
    canaries_uri: str | None = None
    canary_delta: float = 1e-5


def find(
    loaded: LoadedReader,
    tasks: tuple[Head, ...],
    wanted: Wanted,
    sides: Sides,
    calibrated: tuple[Calibrated, Calibrated] | None,
    *,
    member_splits: tuple[str, ...],
    confidence_level: float,
) -> list[Finding]:
    """Runs what is wanted.

    Args:
      loaded: The model.
      tasks: Of its heads.
      wanted: Which attacks.
      sides: The samples of members and of others.
      calibrated: What reference models say of them, or None.
      member_splits: Splits that the model was trained on.
      confidence_level: Of the intervals.

    Returns:
      One row for each attack, with numbers or a reason why there are none.

    Raises:
      EvidenceError: If canaries are of other splits, or their file was changed.
    """
    found = [
        _or_reason(
            "attribute_inference",
            feature,
            functools.partial(_attribute, loaded, tasks, feature, sides, confidence_level),
        )
        for feature in wanted.sensitive_features
    ]
    if wanted.canaries_uri is not None:
        found += _canaries(loaded, tasks, wanted, member_splits, confidence_level)
    if wanted.model_inversion:
        attack = functools.partial(_inversion, loaded, tasks, sides, confidence_level)
        found.append(_or_reason("model_inversion", "all classes", attack))
    found += [_property(loaded, name, value, sides, calibrated, confidence_level) for name, value in wanted.properties]
    return found


def _or_reason(family: Family, subject: str, attack: Callable[[], Finding]) -> Finding:
    """What an attack found; the reason, where the data or the model do not allow it."""
    try:
        return attack()
    except (DataError, ModelError, ParameterError) as error:
        return _absent(family, subject, str(error))


def _attribute(
    loaded: LoadedReader, tasks: tuple[Head, ...], feature: str, sides: Sides, confidence_level: float
) -> Finding:
    texts = [loaded.first_texts(feature, _tensor(side)) for side in sides]
    values = sorted(set(texts[0]) | set(texts[1]))
    if len(values) > MAX_VALUES:
        reason = (
            f"it has {len(values)} values in the sample; at most {MAX_VALUES} can be tried. Put numbers into buckets"
        )
        return _absent("attribute_inference", feature, reason)
    if any(head.task == "unsupported" for head in tasks):
        return _absent("attribute_inference", feature, "the model's task is not supported")
    records = []
    for side, text in zip(sides, texts, strict=True):
        size = min(_MAX_RECORDS, len(text))
        tried = [
            _losses(loaded, tasks, _replaced(side.sample.records[:size], feature, value, loaded), side)
            for value in values
        ]
        others = [loaded.blind_features(_tensor(side, size), without=feature), side.labels()[:size]]
        records.append(
            attribute.AttributeRecords(
                np.stack(tried, axis=1),
                np.array([values.index(one) for one in text[:size]]),
                np.column_stack(others),
                side.folds[:size],
            )
        )
    return attribute.attribute_inference(feature, records[0], records[1], confidence_level=confidence_level)


def _losses(loaded: LoadedReader, tasks: tuple[Head, ...], records: list[bytes], side: SampledRecords) -> np.ndarray:
    """The model's loss of changed records, against the labels of the records as they are; NaN where there is none."""
    losses = []
    for start in range(0, len(records), BATCH_SIZE):
        batch = np.array(records[start : start + BATCH_SIZE], dtype=object)
        outputs = loaded.of_heads(loaded.predict(tf.constant(batch)))
        part = side.parts[start // BATCH_SIZE].batch
        found = [
            heads.signals(head, output, _first(label, len(batch)), _first(mask, len(batch)))
            for head, output, label, mask in zip(tasks, outputs, part.labels, part.masks, strict=True)
        ]
        usable = np.all([signals.usable for signals in found], axis=0)
        losses.append(np.where(usable, -np.sum([signals.log_likelihood for signals in found], axis=0), np.nan))
    return np.concatenate(losses)


def _first(values: np.ndarray | None, size: int) -> np.ndarray | None:
    return None if values is None else values[:size]


def _replaced(records: tuple[bytes, ...], feature: str, text: str, loaded: LoadedReader) -> list[bytes]:
    """The records with a value in the place of the feature's own."""
    changed = []
    new = tf.train.Feature() if text == "" else _feature(text, loaded.raw_dtype(feature))
    for record in records:
        example = tf.train.Example.FromString(record)
        example.features.feature[feature].CopyFrom(new)
        changed.append(example.SerializeToString())
    return changed


def _feature(text: str, dtype: Any) -> Any:
    if dtype == tf.string:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    if dtype.is_floating:
        return tf.train.Feature(float_list=tf.train.FloatList(value=[float(text)]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(text)]))


def _canaries(
    loaded: LoadedReader,
    tasks: tuple[Head, ...],
    wanted: Wanted,
    member_splits: tuple[str, ...],
    confidence_level: float,
) -> list[Finding]:
    assert wanted.canaries_uri is not None
    record = canaries.CanarySet.from_json(_files.read_text(wanted.canaries_uri, canaries.FILE_NAME))
    if record.split not in member_splits:
        raise EvidenceError(
            f"Canaries are in split {record.split!r}, but the members are those of {list(member_splits)}. Set "
            "member_splits."
        )
    path = os.path.join(wanted.canaries_uri, canaries.RECORDS_FILE_NAME)
    with fileio.open(path, "rb") as file:
        if f"sha256:{hashlib.sha256(file.read()).hexdigest()}" != record.records_digest:
            raise EvidenceError(
                "The canaries' records were changed since they were inserted. Run CanaryInserter again."
            )
    losses = np.concatenate([-scoring.scored(loaded, tasks, batch).scores["loss"] for batch in scoring.dataset(path)])
    found = []
    inserted, reference = record.indices("inserted"), record.indices("reference")
    if len(inserted):
        found += exposure.canary_exposure(
            losses[inserted], record.repetitions("inserted"), losses[reference], confidence_level=confidence_level
        )
    coins = record.indices("coin")
    if len(coins):
        found.append(
            exposure.epsilon_finding(
                -losses[coins], record.bits(), delta=wanted.canary_delta, confidence_level=confidence_level
            )
        )
    return found


def _inversion(loaded: LoadedReader, tasks: tuple[Head, ...], sides: Sides, confidence_level: float) -> Finding:
    classes = [side.classes for side in sides]
    if serving.FROM_FEATURES not in loaded.signatures or len(tasks) != 1 or classes[0] is None or classes[1] is None:
        reason = (
            f"it needs one head with classes, and a model with the signature {serving.FROM_FEATURES!r}, as DPTrainer "
            "exports it"
        )
        return _absent("model_inversion", "all classes", reason)
    function = loaded.signatures[serving.FROM_FEATURES]
    inputs = function.structured_input_signature[1]
    features = [
        {
            name: value.numpy()
            for name, value in serving.by_input_name(loaded.transformed(_tensor(side))).items()
            if name in inputs
        }
        for side in sides
    ]
    return inversion.invert(
        lambda found: function(**found)[serving.OUTPUT_KEY],
        features[0],
        classes[0],
        features[1],
        classes[1],
        from_logits=bool(tasks[0].from_logits),
        confidence_level=confidence_level,
    )


def _property(
    loaded: LoadedReader,
    name: str,
    value: str,
    sides: Sides,
    calibrated: tuple[Calibrated, Calibrated] | None,
    confidence_level: float,
) -> Finding:
    subject = f"share of {name}={value}"
    if calibrated is None:
        reason = "it needs reference models: DPTrainer(reference_models=16) or more, wired to reference_models"
        return _absent("property_inference", subject, f"{reason}. Note that {properties.NOT_PROTECTED}", "INSUFFICIENT")
    has = np.concatenate(
        [np.array([text == value for text in loaded.first_texts(name, _tensor(side))]) for side in sides]
    )
    bits = np.concatenate([side.bits for side in calibrated])
    outputs = np.concatenate(
        [side.outputs.reshape(len(side.outputs), side.outputs.shape[1], -1) for side in calibrated]
    )
    shares = np.stack(
        [[has[bits[:, pair] == side].mean() for side in (0, 1)] for pair in range(bits.shape[1])]
    ).reshape(-1)
    # What each model says on average, of records with the property and of the others.
    behaviour = np.concatenate([outputs[mask].mean(axis=0) for mask in (has, ~has) if mask.any()], axis=1)
    return properties.property_inference(subject, shares, behaviour, confidence_level=confidence_level)


def _tensor(side: SampledRecords, size: int | None = None) -> Any:
    return tf.constant(np.array(side.sample.records[:size], dtype=object))


def _absent(family: Family, subject: str, reason: str, status: str = "UNSUPPORTED") -> Finding:
    return Finding(family=family, subject=subject, status=status, reason=reason)  # type: ignore[arg-type] # a Status


def parse_property(text: str) -> tuple[str, str]:
    """A feature and its value, from "feature=value"."""
    name, _, value = text.partition("=")
    return name, value
