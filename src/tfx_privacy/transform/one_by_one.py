"""What a function makes of records, made of each of them alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def traceable(traced: Any, signature: tf.TensorSpec) -> Any:
    """A function that gives of each record what another one gives of a batch of that record alone.

    Args:
      traced: A concrete function from serialized records to pairs of values and the record of each.
      signature: Of serialized records, string of shape (num_records,).

    Returns:
      A function of the same inputs and outputs, to be saved with `traced`.
    """
    dtypes = [values.dtype for values, _ in traced.structured_outputs]

    def one_by_one(serialized: Any) -> list[tuple[Any, Any]]:
        size = tf.shape(serialized)[0]

        def add(place: Any, made: Any, counts: Any) -> Any:
            alone = [values for values, _ in traced(serialized[place : place + 1])]
            return (
                place + 1,
                [array.write(place, values) for array, values in zip(made, alone, strict=True)],
                [array.write(place, tf.size(values)) for array, values in zip(counts, alone, strict=True)],
            )

        made = [tf.TensorArray(dtype, size, infer_shape=False, element_shape=[None]) for dtype in dtypes]
        counts = [tf.TensorArray(tf.int32, size, element_shape=[]) for _ in dtypes]
        _, made, counts = tf.while_loop(lambda place, *_: place < size, add, (0, made, counts))
        records = tf.range(tf.cast(size, tf.int64))
        return [(array.concat(), tf.repeat(records, each.stack())) for array, each in zip(made, counts, strict=True)]

    return tf.function(one_by_one, input_signature=[signature], autograph=False)
