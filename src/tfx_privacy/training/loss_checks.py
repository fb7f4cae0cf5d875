"""Looks at a loss on made-up records and outputs: is that of a batch made of those of its records?

DPTrainer clips the gradient of each record's own loss. A loss that compares records is a constant for one of them, and the
training would be of noise alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.training import keras_api, trial_records
from tfx_privacy.training.data import ColumnarDataset
from tfx_privacy.training.gradients import losses

_TOLERANCE = 1e-3
# Differences below this are none, whatever the numbers.
_SMALLEST = 1e-6
_OUTPUT_SCALES = (1.0, 30.0, 1e3)
# For a mean with weights: several times as many draws as there are weights.
_DRAWS = 8


def problems(model: Any, made: ColumnarDataset, call: Callable[[ColumnarDataset], Any]) -> Iterator[str]:
    """Of a loss that is not known: for a batch it must be the mean, the sum or a weighted mean of its records' losses.

    Args:
      model: A compiled model.
      made: Made-up records.
      call: The model on made-up records.
    """
    ways: dict[str, set[str]] = {}
    firsts: dict[str, keras_api.Head] = {}
    for records in trial_records.of_several_sizes(made):
        outputs = trial_records.unless_refused(call, records)
        if outputs is None:
            continue
        for head in keras_api.heads(model, tf.nest.map_structure(tf.constant, records.labels), outputs):
            if losses.is_known_loss(head.loss):
                continue
            firsts.setdefault(head.name, head)
            possible = ways.setdefault(head.name, {"mean", "sum"})
            for made_up in (head.outputs, *_made_up_outputs(head.outputs)):
                possible &= _ways_to_add_up(head.loss, head.labels, made_up)
    for name, possible in ways.items():
        if not possible and not _is_weighted_mean(firsts[name]):
            of_output = f" of output {name!r}" if name else ""
            yield (
                f"Its loss{of_output} compares the records of a batch: for made-up records the loss of a batch is not "
                "the mean of the losses of its records. DPTrainer clips the gradient of each record's own loss: make "
                "the loss a function of one record, e.g. by putting all that it compares into one."
            )


def _made_up_outputs(outputs: Any, seed: int = 0) -> Iterator[Any]:
    """Numbers that the model might give later, when its weights have grown."""
    random = np.random.default_rng(seed)
    normal = random.standard_normal(outputs.shape)
    for scale in _OUTPUT_SCALES:
        yield tf.constant(normal * scale, outputs.dtype)
    yield tf.constant(random.random(outputs.shape), outputs.dtype)


def _ways_to_add_up(loss: Any, labels: Any, outputs: Any) -> set[str]:
    """Whether a batch's loss is the mean or the sum of its records'; both where it is not finite and shows nothing."""
    together, alone = _of_batch_and_records(loss, labels, outputs)
    if not np.all(np.isfinite([*alone, together])):
        return {"mean", "sum"}
    allowed = _TOLERANCE * np.max(np.abs(alone)) + _SMALLEST
    return {
        way
        for way, expected, terms in (("mean", alone.mean(), 1), ("sum", alone.sum(), len(alone)))
        if abs(together - expected) <= allowed * terms
    }


def _of_batch_and_records(loss: Any, labels: Any, outputs: Any) -> tuple[float, np.ndarray]:
    def of(rows: slice) -> float:
        with keras_api.user_code():
            return float(tf.reduce_mean(tf.cast(loss(labels[rows], outputs[rows]), tf.float32)))

    return of(slice(None)), np.array([of(slice(index, index + 1)) for index in range(outputs.shape[0])])


def _is_weighted_mean(head: keras_api.Head) -> bool:
    """Whether each record has a weight of its own that no output changes, e.g. its number of positions that are not masked.

    Told from the losses of many outputs for the same labels; and the weights are in the same proportion without the last
    record.
    """
    size = head.outputs.shape[0]
    whole, part = (_weights(head, rows) for rows in (size, size - 1))
    if whole is None or part is None:
        return False
    first = whole[: size - 1]
    return bool(np.all(np.abs(first - part * first.sum()) <= _TOLERANCE))


def _weights(head: keras_api.Head, rows: int) -> np.ndarray | None:
    """Those that the first so many records have in their batch's loss; None where there are none that fit."""
    labels, equations, expected = head.labels[:rows], [], []
    for seed in range(_DRAWS):
        for outputs in _made_up_outputs(head.outputs[:rows], seed):
            together, alone = _of_batch_and_records(head.loss, labels, outputs)
            # A record without a position of its own has no loss, and no weight.
            alone = np.where(np.isnan(alone), 0.0, alone)
            scale = np.max(np.abs(alone))
            if np.isfinite([together, scale]).all() and scale > _SMALLEST:
                equations.append(alone / scale)
                expected.append(together / scale)
            elif np.isfinite(together) and abs(together) > _SMALLEST:
                return None
    if len(equations) <= rows:
        return None
    found = np.linalg.lstsq(np.array(equations), np.array(expected), rcond=None)[0]
    fits = np.abs(np.array(equations) @ found - expected) <= _TOLERANCE
    is_mean = abs(found.sum() - 1.0) <= _TOLERANCE and (found >= -_TOLERANCE).all()
    return np.asarray(found) if fits.all() and is_mean else None
