"""Made-up records of several sizes, for checks of whether a model mixes the records of a batch.

No size shows everything: a layer may mix records beyond a threshold only. So the checks are a second line behind the engine,
which lets no call see a batch that is not known, or declared, to leave its records apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_privacy.training.data import ColumnarDataset

_SCALES = (0.0, 1e-3, 30.0, 1e3, 1e6)
# One record among others of scale 1.
_GIANTS = (1e3, 1e6)


def of_several_sizes(made: ColumnarDataset) -> Iterator[ColumnarDataset]:
    """The records as they are; all alike; scaled up and down; and with one giant among them, as first and as last.

    Args:
      made: At least two made-up records.
    """
    size = len(made)
    yield made
    yield made.rows(np.zeros(size, np.int64))
    if not any(column.dtype.kind == "f" for column in made.columns.values()):
        return
    for scale in _SCALES:
        yield made.scaled(np.full(size, scale))
    for giant in _GIANTS:
        for place in (0, size - 1):
            yield made.scaled(np.where(np.arange(size) == place, giant, 1.0))


def copies(made: ColumnarDataset, index: int) -> ColumnarDataset:
    """A batch of the same size that holds nothing but copies of one record.

    What a model gives for the record in it must be what it gives among the others, to the last bit or nearly: the
    same kernels run on the same shapes, so sums are rounded alike whatever their size.
    """
    return made.rows(np.full(len(made), index))


def same_among_copies(
    call: Callable[[ColumnarDataset], Any], made: ColumnarDataset, agree: Callable[[list[Any], list[Any]], bool]
) -> bool:
    """Whether each record gets among others, of any size, what it gets among copies of itself.

    Args:
      call: From records to tensors, or a structure of them, with a row for each.
      made: Made-up records.
      agree: Whether one record's rows among others are those among its copies.
    """
    for records in of_several_sizes(made):
        together = unless_refused(call, records)
        if together is None:
            continue
        for index in range(len(made)):
            given, own = (
                [each[index] for each in tf.nest.flatten(found)] for found in (together, call(copies(records, index)))
            )
            if not agree(given, own):
                return False
    return True


def unless_refused(call: Callable[[ColumnarDataset], Any], records: ColumnarDataset) -> Any:
    """What a call gives; None where an operation refuses records of such a size, which then shows nothing."""
    try:
        return call(records)
    except tf.errors.InvalidArgumentError:
        return None
