"""The groups that records belong to, such as people, from the feature that names them.

Records of a group are alike. Whoever counts them as independent finds a difference between any two sets of people, and
states intervals that are too narrow: attacks/membership/clusters.py corrects for that where groups are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks.evaluation import Groups
from tfx_privacy.attacks.membership import hashing
from tfx_privacy.components.privacy_evaluator import columns as columns_of
from tfx_privacy.components.privacy_evaluator.failures import UnjudgedError
from tfx_privacy.errors import ParameterError

_VALUE, _ROW = "group/value", "group/row"


def check_key(group_key: str, spec: Mapping[str, Any]) -> None:
    """Checks that a raw feature can name the group of a record.

    Raises:
      ParameterError: If there is no such feature, or it holds floats or several values.
    """
    if group_key not in spec:
        raise ParameterError(
            f"Unknown group_key={group_key!r}. Name the feature of the examples that says whom a record is of; they have: "
            f"{', '.join(sorted(spec))}."
        )
    feature = spec[group_key]
    if feature.dtype.is_floating:
        raise ParameterError(f"group_key={group_key!r} holds floats. Name a feature of integers or texts.")
    if isinstance(feature, tf.io.FixedLenFeature) and int(np.prod(feature.shape, dtype=np.int64)) != 1:
        raise ParameterError(
            f"group_key={group_key!r} holds {list(feature.shape)} values for each record. Name a feature of one value."
        )


def check_same(given: str | None, trained: str | None, spec: Mapping[str, Any]) -> None:
    """Checks that groups are the users that the model was trained for.

    Args:
      given: PrivacyEvaluator's `group_key`.
      trained: Feature that told users apart in training; None where records were the privacy unit.
      spec: Raw features. Where Transform renamed the users, only the gate can tell, by their number.

    Raises:
      ParameterError: If groups are something else.
    """
    if given and trained and given != trained and trained in spec:
        raise ParameterError(
            f"group_key={given!r}, but the model was trained for the users that {trained!r} tells apart: intervals by "
            f"{given!r} say nothing of them. Leave out group_key; the model names its users by itself."
        )


def tensors(feature: Any) -> dict[str, Any]:
    """In the graph: each value of the feature that names groups, and its record."""
    if isinstance(feature, tf.Tensor):
        flat = tf.reshape(feature, [-1])
        return {_VALUE: columns_of.as_integers(flat), _ROW: tf.range(tf.size(flat, out_type=tf.int64))}
    found = columns_of.sparse(feature)
    return {_VALUE: columns_of.as_integers(found.values), _ROW: found.indices[:, 0]}


def hashes(group_key: str, columns: Mapping[str, Any], size: int) -> np.ndarray:
    """The salted hash of each record's group.

    Args:
      group_key: The feature's name.
      columns: `tensors`, evaluated.
      size: Number of records.

    Returns:
      uint64 of shape (size,).

    Raises:
      UnjudgedError: If a record has no value, or several.
    """
    values, rows = columns[_VALUE].numpy(), columns[_ROW].numpy()
    if not np.array_equal(rows, np.arange(size)):
        raise UnjudgedError(
            f"Some records have no value of group_key={group_key!r}, or several. Each record needs one: give those of "
            "nobody known an id of their own."
        )
    seeds = hashing.seeds(group_key, np.zeros(1, np.int64))
    return hashing.finished(hashing.of_dense(seeds, values[:, None]))


def as_numbers(feature: Any, records: Any) -> np.ndarray:
    """A parsed feature as one int64 for each record: equal where all its values are.

    Args:
      feature: As it was parsed.
      records: The serialized examples.

    Returns:
      int64 of shape (num_records,). Of features with any number of values, a record without exactly one has a number of
      its own: ids that are missing are nobody's.
    """
    size = len(records)
    if isinstance(feature, tf.Tensor):
        values = columns_of.as_integers(feature).numpy().reshape(size, -1)
        if values.shape[1] == 1:
            return np.asarray(values[:, 0])
        return hashing.of_dense(hashing.seeds("", np.arange(values.shape[1])), values).view(np.int64)
    found = columns_of.sparse(feature)
    rows, values = found.indices[:, 0].numpy(), columns_of.as_integers(found.values).numpy()
    alone = np.bincount(rows, minlength=size)[rows] == 1
    result = columns_of.as_integers(records).numpy().copy()
    result[rows[alone]] = values[alone]
    return np.asarray(result)


def numbers(partition: tuple[int, Iterable[tuple[int, np.ndarray]]]) -> tuple[int, int, int]:
    """Groups of one partition: with members, with others, with both."""
    sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for side, found in partition[1]:
        sides[side].append(found)
    members, others = (np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64) for parts in sides)
    return len(members), len(others), len(np.intersect1d(members, others, assume_unique=True))


def added(parts: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    """The sum of several numbers of groups."""
    totals = np.sum([(0, 0, 0), *parts], axis=0)
    return int(totals[0]), int(totals[1]), int(totals[2])


def described(group_key: str | None, found: tuple[int, int, int]) -> Groups | None:
    """The groups, for the record; None without them, and where a side has none."""
    if group_key is None or not min(found[:2]) > 0:
        return None
    return Groups(
        group_key=group_key, num_member_groups=found[0], num_nonmember_groups=found[1], num_on_both_sides=found[2]
    )
