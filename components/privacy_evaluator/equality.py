"""Which records are equal, feature by feature: a salted hash of all that the examples hold, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.attacks.membership import hashing
from tfx_privacy.components.privacy_evaluator import columns as columns_of


class RecordHashes:
    """Hashes of records, in two parts: tensors in a graph, and NumPy on what they gave."""

    def __init__(self, raw_spec: Mapping[str, Any]) -> None:
        """Takes the specification that records are parsed by."""
        widths = {
            name: int(np.prod(spec.shape, dtype=np.int64))
            for name, spec in raw_spec.items()
            if isinstance(spec, tf.io.FixedLenFeature)
        }
        self._seeds = [hashing.seeds(name, np.arange(widths[name])) for name in sorted(widths)]
        # Features with any number of values per record.
        self._sparse_names = sorted(set(raw_spec) - set(widths))

    def tensors(self, raw: Mapping[str, Any], size: Any) -> dict[str, Any]:
        """In the graph: what `of` needs of parsed records, as few tensors as possible."""
        found: dict[str, Any] = {}
        dense = {name: value for name, value in raw.items() if isinstance(value, tf.Tensor)}
        if dense:
            flat = [tf.reshape(columns_of.as_integers(dense[name]), [size, -1]) for name in sorted(dense)]
            found["dense"] = tf.concat(flat, axis=1)
        entries = [columns_of.sparse(raw[name]) for name in self._sparse_names]
        if entries:
            found["sizes"] = tf.stack([tf.size(value.values) for value in entries])
            found["rows"] = tf.concat([value.indices[:, 0] for value in entries], axis=0)
            found["positions"] = tf.concat([value.indices[:, -1] for value in entries], axis=0)
            found["values"] = tf.concat([columns_of.as_integers(value.values) for value in entries], axis=0)
        return found

    def of(self, columns: Mapping[str, Any], size: int) -> np.ndarray:
        """The hashes.

        Args:
          columns: `tensors`, evaluated.
          size: Number of records.

        Returns:
          uint64 of shape (size,).
        """
        total = np.zeros(size, np.uint64)
        if "dense" in columns:
            total += hashing.of_dense(np.concatenate(self._seeds), columns["dense"].numpy())
        if "sizes" in columns:
            sizes, rows, positions, values = (
                columns[name].numpy() for name in ("sizes", "rows", "positions", "values")
            )
            total += hashing.of_features(self._sparse_names, sizes, size, rows, positions, values)
        return hashing.finished(total)
