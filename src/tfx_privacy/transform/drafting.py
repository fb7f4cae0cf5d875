"""One draft of a `preprocessing_fn`: what its analyzers ask of which tensors, and what of that has to wait."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.queries import Query, Vocabulary
from tfx_privacy.transform import operations, records_apart

MAX_ANALYZERS = 1000
"""Questions of one function."""
# Those that NumPy knows as numbers.
_FLOATS = (tf.float16, tf.float32, tf.float64)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What one analyzer asks in a draft, and of which tensors."""

    place: int
    query: Query
    values: tf.Tensor
    rows: tf.Tensor


class Drafting:
    """State of one draft: what was asked of which tensor, and what depends on a stand-in."""

    def __init__(self, released: Mapping[int, Any]) -> None:
        self.asked: list[Asked] = []
        self.hidden: set[int] = set()
        self._released = released
        self._stand_ins: dict[Any, int] = {}
        self._inputs: dict[Any, str] = {}
        self._waits: dict[int, bool] = {}
        self.graph: Any = None
        self._num_records: Any = None

    def name_inputs(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Copies of the features, so that each is known by its name."""
        self.graph = tf.compat.v1.get_default_graph()
        copies = {}
        for name, feature in features.items():
            copies[name] = tf.nest.map_structure(tf.identity, feature, expand_composites=True)
            for part in tf.nest.flatten(copies[name], expand_composites=True):
                self._inputs[part.op] = name
            if self._num_records is None:
                self._num_records = num_rows(copies[name])
        return copies

    def named(self, query: Query, x: Any) -> Query:
        """The query with the names of the features that it is of; two of one name get numbers."""
        name = query.name
        if name.endswith("()"):
            features = sorted({self._inputs[op] for op in self._above(x) if op in self._inputs})
            name = f"{name[:-1]}{', '.join(features[:3])}{', ...' if len(features) > 3 else ''})"
        taken = {asked.query.name for asked in self.asked}
        numbered = (name if number == 1 else f"{name} {number}" for number in itertools.count(1))
        return dataclasses.replace(query, name=next(found for found in numbered if found not in taken))

    def note(self, place: int, query: Query, x: Any, awaited: int | None) -> None:
        """Notes what an analyzer asks.

        Args:
          place: Of the question.
          query: It.
          x: Of which tensor.
          awaited: A question whose answer it waits for in any case; None for none.

        Raises:
          ParameterError: If no noise would hide what the tensor is made of.
        """
        values, rows = values_and_rows(x)
        _check_kind(query, values)
        above = self._above(x)
        if stateful := operations.with_a_state(above, self.graph):
            raise ParameterError(
                f"{query.name!r} is asked of what {', '.join(stateful)} gives, which may depend on other records or on chance. "
                "Make it of each record alone, without random numbers, tf.py_function, tf.print and variables that change."
            )
        one_each = tf.debugging.assert_equal(
            num_rows(x),
            self._num_records,
            message="One row for each record is needed.",
            name=records_apart.ONE_ROW_EACH,
        )
        with tf.control_dependencies([one_each]):
            values = tf.identity(values)
        if above & self._uncovered_outputs():
            raise ParameterError(
                f"{query.name!r} is asked of what tft's own analyzer gives. Let one of tfx_privacy.transform take its place."
            )
        pending = {self._stand_ins[op] for op in above if op in self._stand_ins} | self.hidden | {awaited} - {None}
        self._waits[place] = any(other not in self._released for other in pending)
        self.asked.append(Asked(place, query, values, rows))

    def check_states(self) -> None:
        """Refuses what reads a variable that the function itself writes.

        Called when the graph is complete: only then does it say what comes before what.

        Raises:
          ParameterError: If there is such a question.
        """
        writing = operations.with_a_state(self.graph.get_operations(), self.graph)
        for asked in self.asked if writing else ():
            if operations.read_what_changes(self._above(asked.values), self.graph):
                raise ParameterError(
                    f"{asked.query.name!r} is asked of what a variable or a table holds, and {', '.join(writing)} may change "
                    "it, by other records. Make it of each record alone, and keep nothing between calls."
                )

    def everything(self, outputs: Any) -> dict[str, tuple[Any, Any]]:
        """All that was asked and all that the function returns, but for what waits for tft's own analyzers.

        Args:
          outputs: What it returned.

        Returns:
          Values and the record of each, by what they are called in an error.
        """
        found = {f"{asked.query.name!r}": (asked.values, asked.rows) for asked in self.asked}
        for name, output in outputs.items() if isinstance(outputs, Mapping) else ():
            is_column = tf.is_tensor(output) and output.shape.rank != 0
            if is_column and not self._above(output) & self._uncovered_outputs():
                found[f"The output {name!r}"] = values_and_rows(output)
        return found

    def ready(self) -> list[Asked]:
        """What can be asked of the records now: it has no answer yet, and depends on none that is to come."""
        return [asked for asked in self.asked if asked.place not in self._released and not self._waits[asked.place]]

    def stand_in(self, place: int, value: Any) -> Any:
        """A tensor that stands for an answer that is to come."""
        default = tf.convert_to_tensor(value)
        found = tf.raw_ops.PlaceholderWithDefault(input=default, shape=default.shape)
        self._stand_ins[found.op] = place
        return found

    def _uncovered_outputs(self) -> set[Any]:
        return {tensor.op for tensor in compat.transform_analyzer_outputs(self.graph)}

    def _above(self, x: Any) -> set[Any]:
        """All operations that a tensor is computed from."""
        parts = tf.nest.flatten(x, expand_composites=True)
        found: set[Any] = set()
        waiting = [part.op for part in parts]
        while waiting:
            op = waiting.pop()
            if op not in found:
                found.add(op)
                waiting += [tensor.op for tensor in op.inputs]
                waiting += list(op.control_inputs)
        return found


def values_and_rows(x: Any) -> tuple[Any, Any]:
    """The values of a tensor, one after the other, and the record that each is of.

    Args:
      x: A tensor, a SparseTensor or a RaggedTensor with records along its first dimension.

    Returns:
      A tensor of shape (num_values,), and an int64 tensor of that shape.
    """
    if isinstance(x, tf.SparseTensor):
        return x.values, x.indices[:, 0]
    if isinstance(x, tf.RaggedTensor):
        rows = tf.cast(x.value_rowids(), tf.int64)
        inner = x.values
        while isinstance(inner, tf.RaggedTensor):
            rows = tf.gather(rows, inner.value_rowids())
            inner = inner.values
        values, repeated = values_and_rows(inner)
        return values, tf.gather(rows, repeated)
    num_records = tf.shape(x, tf.int64)[0]
    values = tf.reshape(x, [-1])
    of_each = tf.size(x, tf.int64) // tf.maximum(num_records, 1)
    return values, tf.repeat(tf.range(num_records), of_each)


def num_rows(x: Any) -> Any:
    """Length of a tensor's first dimension, an int64 scalar."""
    if isinstance(x, tf.SparseTensor):
        return x.dense_shape[0]
    return tf.cast(x.nrows(), tf.int64) if isinstance(x, tf.RaggedTensor) else tf.shape(x, tf.int64)[0]


def _check_kind(query: Query, values: Any) -> None:
    """Texts and numbers are told apart while nothing is charged."""
    takes_texts = isinstance(query, Vocabulary) or isinstance(getattr(query, "keys", (0,))[0], bytes)
    if values.dtype == tf.string and not takes_texts:
        raise ParameterError(f"{query.name} needs numbers, and its feature holds texts.")
    if isinstance(query, Vocabulary) and not (values.dtype == tf.string or values.dtype.is_integer):
        raise ParameterError(f"{query.name} needs texts or whole numbers, and its feature holds {values.dtype.name}.")
    if not (values.dtype == tf.string or values.dtype.is_integer or values.dtype in _FLOATS):
        raise ParameterError(f"{query.name} cannot be asked of values of type {values.dtype.name}.")
