"""Parsed features as the control takes them: some numbers of each, and all their values hashed where that is more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from tfx_privacy.attacks.membership import bags, learned
from tfx_privacy.components.privacy_evaluator import columns as columns_of


def values(raw: Mapping[str, Any], size: int) -> sparse.csr_matrix:
    """All values of the features of which trees do not get every one.

    These are text, features with any number of values, and numbers where there are more than `learned.MAX_COLUMNS`.

    Args:
      raw: Parsed features by name.
      size: Number of records.

    Returns:
      float32 of shape (size, bags.NUM_COLUMNS), without an entry where trees get all values.
    """
    widths = {name: int(np.prod(value.shape[1:])) for name, value in raw.items() if isinstance(value, tf.Tensor)}
    wide = sum(widths.values()) > learned.MAX_COLUMNS
    blocks = []
    for name in sorted(raw):
        feature = raw[name]
        if not isinstance(feature, tf.Tensor):
            found = columns_of.sparse(feature)
            places = found.indices.numpy()
            blocks.append(_block(name, places[:, 0], places[:, -1], found.values.numpy(), size))
        elif feature.dtype == tf.string or wide:
            flat = feature.numpy().reshape(size, -1)
            # What is zero in most places, as the background of an image, is left out.
            rows, positions = np.nonzero(flat) if flat.dtype.kind in "iufb" else np.indices(flat.shape).reshape(2, -1)
            blocks.append(_block(name, rows, positions, flat[rows, positions], size, by_position=True))
    return bags.joined(blocks, size)


def _block(
    name: str, rows: np.ndarray, positions: np.ndarray, found: np.ndarray, size: int, *, by_position: bool = False
) -> sparse.csr_matrix:
    if found.dtype.kind in "OSU":
        return bags.of_text(name, rows, found.tolist(), size)
    return bags.of_numbers(name, rows, positions, found, size, by_position=by_position)
