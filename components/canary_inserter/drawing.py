"""Draws made-up records that look like the split's: every feature by itself, from its values or its range."""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_privacy.errors import DataError, ParameterError

MAX_NUMBERS = 20
"""Numbers of at most so many different values are drawn from those, others from their range."""
MAX_VALUES = 1000
"""Of a feature of bytes; of more, the first ones that were seen are drawn from."""

_TRIES_PER_CANARY = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domain:
    """What one feature may be.

    Attributes:
      kind: Which of a tf.train.Feature's lists it is.
      lengths: Numbers of values that a record may have.
      values: What is drawn from; None draws from the range.
      low: Smallest number.
      high: Largest.
    """

    kind: str
    lengths: tuple[int, ...] = (1,)
    values: tuple[Any, ...] | None = None
    low: float = 0.0
    high: float = 0.0

    def draw(self, random: np.random.Generator) -> list[Any]:
        """Random values, as many as one of the records has."""
        size = self.lengths[int(random.integers(len(self.lengths)))]
        if self.values is not None:
            return [self.values[int(index)] for index in random.integers(len(self.values), size=size)]
        if self.kind == "int64_list":
            return [int(value) for value in random.integers(int(self.low), int(self.high), size=size, endpoint=True)]
        return [float(value) for value in random.uniform(self.low, self.high, size=size)]


class _Observed:
    """What was seen of one feature so far."""

    def __init__(self, kind: str, stated: Domain | None) -> None:
        self.kind = kind
        self._stated = stated
        self._lengths: set[int] = set()
        self._values: set[Any] = set()
        self._low, self._high = math.inf, -math.inf

    def add(self, values: Sequence[Any]) -> None:
        """Takes in one record's values."""
        self._lengths.add(len(values))
        if self._stated is not None:
            return
        if self.kind != "bytes_list":
            values = [value for value in values if math.isfinite(value)]
            self._low, self._high = min([self._low, *values]), max([self._high, *values])
        if len(self._values) < MAX_VALUES:
            self._values.update(values)

    def domain(self, name: str) -> Domain:
        """What to draw from; the schema's word before what was seen."""
        lengths = tuple(sorted(self._lengths))
        if self._stated is not None:
            return dataclasses.replace(self._stated, lengths=lengths)
        if not self._values:
            raise DataError(f"Feature {name!r} has no finite number. Drop it, or state its domain in the schema.")
        if self.kind == "bytes_list" or len(self._values) <= MAX_NUMBERS:
            return Domain(kind=self.kind, lengths=lengths, values=tuple(sorted(self._values)))
        return Domain(kind=self.kind, lengths=lengths, low=self._low, high=self._high)


def observe(records: Iterable[bytes], schema: schema_pb2.Schema) -> tuple[dict[str, Domain], int]:
    """Domains of all features of a split, and how many records it has.

    Args:
      records: Serialized tf.Examples.
      schema: Whose string, integer and float domains are taken in place of what is seen.

    Returns:
      Domains by feature, in alphabetical order; features without any value are left out.

    Raises:
      DataError: If there is no record, one is no tf.Example, or a feature is of two types.
    """
    observed: dict[str, _Observed] = {}
    stated = {feature.name: feature for feature in schema.feature}
    common = {domain.name: domain for domain in schema.string_domain}
    count = 0
    for serialized in records:
        count += 1
        for name, feature in parsed(serialized).features.feature.items():
            kind = feature.WhichOneof("kind")
            values = getattr(feature, kind).value if kind else ()
            if not values:
                continue
            if name not in observed:
                observed[name] = _Observed(kind, _from_schema(kind, stated.get(name), common))
            if observed[name].kind != kind:
                raise DataError(f"Feature {name!r} is a {kind} in some records and a {observed[name].kind} in others.")
            observed[name].add(values)
    if not observed:
        raise DataError("The split holds no record with a feature. Check the split.")
    return {name: observed[name].domain(name) for name in sorted(observed)}, count


def parsed(serialized: bytes) -> Any:
    """The tf.Example.

    Raises:
      DataError: If it is not one.
    """
    try:
        return tf.train.Example.FromString(serialized)
    except message.DecodeError:
        raise DataError("A record is no tf.Example. CanaryInserter takes ExampleGen's tf.Examples.") from None


def draw_canaries(
    domains: Mapping[str, Domain], count: int, random: np.random.Generator, text: Text | None = None
) -> list[bytes]:
    """Different made-up records.

    Args:
      domains: Of every feature.
      count: How many.
      random: Source of random numbers; whoever knows its state knows the canaries.
      text: The feature that holds a secret, by which canaries must then differ.

    Returns:
      Serialized tf.Examples, with features in one order.

    Raises:
      ParameterError: If there are too few combinations for so many different ones.
    """
    found: dict[Any, bytes] = {}
    for _ in range(_TRIES_PER_CANARY * count):
        if len(found) == count:
            break
        record = {name: (domain.kind, domain.draw(random)) for name, domain in domains.items()}
        if text is not None:
            record[text.feature] = ("bytes_list", [text.draw(random)])
        serialized = _serialize(record)
        found.setdefault(serialized if text is None else record[text.feature][1][0], serialized)
    if len(found) < count:
        what = "longer secrets or more words" if text else "features with more values"
        raise ParameterError(
            f"Only {len(found)} different canaries were drawn of {count} wanted. Ask for fewer (num_canaries, "
            f"canaries_per_repetition, num_references), or use {what}."
        )
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class Text:
    """A prefix and a secret: `generate_secrets` of TensorFlow Privacy, after Carlini et al. (2019)."""

    feature: str
    prefix: str
    vocabulary: tuple[str, ...]
    length: int

    def draw(self, random: np.random.Generator) -> bytes:
        """Characters are joined, words separated."""
        words = [self.vocabulary[int(index)] for index in random.integers(len(self.vocabulary), size=self.length)]
        between = "" if max(len(word) for word in self.vocabulary) == 1 else " "
        return (self.prefix + between.join(words)).encode()


DIGITS = tuple(string.digits)


def canonical(serialized: bytes) -> bytes:
    """The record with its features in one order, so equal records have equal bytes."""
    return bytes(parsed(serialized).SerializeToString(deterministic=True))


def _serialize(record: Mapping[str, tuple[str, list[Any]]]) -> bytes:
    lists = {"bytes_list": tf.train.BytesList, "int64_list": tf.train.Int64List, "float_list": tf.train.FloatList}
    features = {name: tf.train.Feature(**{kind: lists[kind](value=values)}) for name, (kind, values) in record.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


def _from_schema(kind: str, feature: Any, common: Mapping[str, Any]) -> Domain | None:
    """What the schema says of the values, if anything."""
    if feature is None:
        return None
    if kind == "bytes_list":
        stated = feature.string_domain if feature.HasField("string_domain") else common.get(feature.domain)
        if stated is not None and len(stated.value):
            return Domain(kind=kind, values=tuple(value.encode() for value in stated.value))
        return None
    name = "int_domain" if kind == "int64_list" else "float_domain"
    stated = getattr(feature, name) if feature.HasField(name) else None
    if stated is None or not (stated.HasField("min") and stated.HasField("max")):
        return None
    if not (math.isfinite(stated.min) and math.isfinite(stated.max) and stated.min <= stated.max):
        return None
    return Domain(kind=kind, low=stated.min, high=stated.max)
