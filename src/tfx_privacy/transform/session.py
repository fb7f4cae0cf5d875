"""What connects the analyzers of a `preprocessing_fn` with the component that runs it.

The function is traced several times. In a draft each analyzer notes what it asks and of which tensor, and gives a stand-in
where nothing was released yet; what depends on a stand-in has to wait for the next draft. In the last tracing, TFX's own,
every analyzer gives what was released, as a constant; TFX does that in a worker of Beam's, which may be another process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfx_privacy import _validate, compat
from tfx_privacy.errors import ParameterError
from tfx_privacy.releases.noisy import Values
from tfx_privacy.releases.queries import Query
from tfx_privacy.releases.record import Answer
from tfx_privacy.transform import one_by_one, operations, reads, records_apart
from tfx_privacy.transform.drafting import MAX_ANALYZERS, Asked, Drafting, values_and_rows

_SIGNATURE = tf.TensorSpec([None], tf.string, name="serialized")
# Begins the names of files that say what the last tracing read.
_READ = "read_"
# A line of a vocabulary's file that holds no value: TensorFlow makes no table of an empty file.
_NO_VALUE, _NO_NUMBER = "00000000-no-value-was-common-enough", "-9223372036854775808"


@dataclasses.dataclass(frozen=True)
class Draft:
    """A traced function: from serialized records to what can be asked of them now."""

    module: tf.Module
    """Its `columns.one_by_one` takes serialized records, string of shape (num_records,), and gives values and rows of each asked,
    made of each record alone; where users are the unit, its `users.traced` gives them and the record of each."""
    asked: Sequence[Asked]


class Session:
    """One run of a component: what was asked so far, and what was released."""

    def __init__(self, folder: str) -> None:
        """Args: where vocabularies are written, which TFX copies into the graph."""
        self._folder = folder
        self.queries: list[Query] = []
        """Of all analyzers, in the order in which the function calls them."""
        self.answers: Sequence[Answer] = ()
        """How much noise each has, once that is planned."""
        self.released: dict[int, Any] = {}
        """Arrays or `Values`, by place."""
        self.uncovered: list[str] = []
        """tft's own analyzers in the function, in any of its drafts."""
        self.files = reads.Found(folder)
        """What the function read while it was imported or traced, whenever that was."""
        self._drafting: Drafting | None = None
        self._graph: Any = None
        self._questions: list[tuple[Query, Any, int]] = []
        self._place = 0
        self._awaited: int | None = None
        self._provisional: set[int] = set()
        self._columns: list[tuple[Any, list[Any]]] = []
        self._files: dict[str, _File] = {}

    def draft(
        self,
        preprocessing_fn: Callable[[dict[str, Any]], Any],
        feature_spec: Mapping[str, Any],
        user_id_key: str | None = None,
    ) -> Draft:
        """Traces the function with what was released so far.

        Args:
          preprocessing_fn: The user's.
          feature_spec: How records are parsed.
          user_id_key: Name of the feature that tells users apart, where they are the unit.

        Raises:
          ParameterError: If an analyzer is called wrongly, the function asks something else than in an earlier draft, or what
            it asks about a record, or makes of one, depends on others.
        """
        module = tf.Module()

        drafting, is_first = Drafting(self.released), not self.queries

        def columns(serialized: Any) -> list[tuple[Any, Any]]:
            self._call(drafting, preprocessing_fn, tf.io.parse_example(serialized, dict(feature_spec)))
            return [(asked.values, asked.rows) for asked in drafting.ready()]

        compat.trace_transform(module, columns=_traceable(columns))
        drafting.check_states()
        module.columns.one_by_one = one_by_one.traceable(module.columns.traced, _SIGNATURE)
        if user_id_key is not None:
            compat.trace_transform(module, users=_traceable(_users(feature_spec, user_id_key)))
        if is_first:
            self.queries = [asked.query for asked in drafting.asked]
        if len(drafting.asked) != len(self.queries):
            raise _changed(f"{len(drafting.asked)} analyzers and not {len(self.queries)}")
        if is_first:
            self._check_records_apart(preprocessing_fn, feature_spec)
        return Draft(module, drafting.ready())

    def _check_records_apart(
        self, preprocessing_fn: Callable[[dict[str, Any]], Any], feature_spec: Mapping[str, Any]
    ) -> None:
        """Refuses, before anything is charged, a function that mixes made-up records, in what it asks or what it returns."""
        module, drafting = tf.Module(), Drafting(self.released)
        names: list[str] = []

        def everything(serialized: Any) -> list[tuple[Any, Any]]:
            made = self._call(drafting, preprocessing_fn, tf.io.parse_example(serialized, dict(feature_spec)))
            found = drafting.everything(made)
            names[:] = found
            return list(found.values())

        compat.trace_transform(module, tried=_traceable(everything))

        def columns(records: Any) -> records_apart.Columns:
            return [(values.numpy(), rows.numpy()) for values, rows in module.tried.traced(records)]

        try:
            mixed = records_apart.of_made_up_records(columns, feature_spec)
        except tf.errors.OpError:
            raise ParameterError(
                "An analyzer is asked of a tensor that has not one row for each record, e.g. of the values of a SparseTensor or "
                "RaggedTensor. Give it the SparseTensor or RaggedTensor itself, and max_values."
            ) from None
        if mixed is not None:
            raise ParameterError(
                f"{names[mixed]} gets something else of a record alone than of the same record among others. "
                f"{records_apart.REMEDY}"
            )

    def call_in_draft(self, preprocessing_fn: Callable[[dict[str, Any]], Any], features: Mapping[str, Any]) -> Any:
        """Calls the function while a graph is traced; what its analyzers ask is noted, and nothing is released."""
        drafting = Drafting({})
        made = self._call(drafting, preprocessing_fn, features)
        self.queries = [asked.query for asked in drafting.asked]
        return made

    def _call(self, drafting: Drafting, preprocessing_fn: Callable[..., Any], features: Mapping[str, Any]) -> Any:
        inputs = drafting.name_inputs(features)
        with self._active(drafting), reads.watched(self.files):
            made = preprocessing_fn(inputs)
        self._note_graph(drafting.graph)
        self.uncovered = list(dict.fromkeys([*self.uncovered, *compat.transform_analyzers(drafting.graph)]))
        return made

    def _note_graph(self, graph: Any) -> None:
        for operation in operations.that_read_files(graph):
            self.files.add(f"operation {operation}")

    def last_traced(self, preprocessing_fn: Callable[..., Any]) -> LastTracing:
        """The function for TFX to trace: every analyzer gives what was released."""
        return LastTracing(
            preprocessing_fn, list(self.queries), list(self.answers), dict(self.released), dict(self._files), self._folder,
            len(self.uncovered),
        )  # fmt: skip

    def note_last_tracing(self) -> None:
        """Takes over what the function read while it was traced the last time, in whatever process that was."""
        for path in sorted(tf.io.gfile.glob(os.path.join(self._folder, f"{_READ}*"))):
            with tf.io.gfile.GFile(path, "r") as file:
                for name in json.loads(file.read()):
                    self.files.add(name)

    @contextlib.contextmanager
    def _active(self, drafting: Drafting | None) -> Iterator[None]:
        global _current
        before, self._drafting, self._graph = _current, drafting, None
        _current = self
        try:
            yield
        finally:
            _current = before

    def ask(self, query: Query, x: Any) -> int:
        """Asks something of a tensor; the same question of the same tensor is asked once.

        Args:
          query: What; its name is made here where it has none.
          x: A tensor, a SparseTensor or a RaggedTensor with records along its first dimension.

        Returns:
          The question's place, to find its answer by.
        """
        if not tf.is_tensor(x) or x.shape.rank == 0:
            raise ParameterError(f"Expected a tensor with records along its first dimension, not {_validate.short(x)}.")
        self._begin_if_new()
        drafting, awaited, self._awaited = self._drafting, self._awaited, None
        if drafting is not None and tf.compat.v1.get_default_graph() is not drafting.graph:
            raise ParameterError(
                f"{query.name.rstrip('()')} is called within a tf.function, tf.cond, tf.while_loop or tf.map_fn. Call it in "
                "preprocessing_fn itself."
            )
        for known, tensor, place in self._questions:
            if tensor is x and _same(query, known):
                return place
        place, self._place = self._place, self._place + 1
        self._questions.append((query, x, place))
        if awaited is not None:
            self._provisional.add(place)
        if drafting is not None:
            query = drafting.named(query, x)
        if self.queries:
            drafted = self.queries[place] if place < len(self.queries) else None
            if drafted is None or not _same(query, drafted, but_for_bounds=place in self._provisional):
                raise _changed(f"{_validate.short(query)} as number {place + 1}")
            query = self.queries[place] = dataclasses.replace(query, name=drafted.name)
        elif place >= MAX_ANALYZERS:
            raise ParameterError(f"preprocessing_fn asks more than {MAX_ANALYZERS} questions, which no budget allows.")
        if drafting is not None:
            drafting.note(place, query, x, awaited)
        elif place not in self.released:
            raise ParameterError(
                f"Nothing was released of {query.name!r}: the function was not traced by DPTransform before."
            )
        return place

    def _begin_if_new(self) -> None:
        """TFX traces the function more than once: each time in a graph of its own, in which questions are counted anew."""
        graph = tf.compat.v1.get_default_graph()
        if graph is not self._graph:
            self._graph, self._place, self._questions, self._awaited = graph, 0, [], None
            self._columns = []

    def answer(self, place: int) -> Any:
        """What was released; None while that is to come."""
        return self.released.get(place)

    def stand_in(self, place: int, value: Any) -> Any:
        """A tensor that stands for an answer that is to come: what is made of it has to wait."""
        assert self._drafting is not None
        return self._drafting.stand_in(place, value)

    def noise_standard_deviation(self, place: int) -> float:
        """Of an answer that was released."""
        return self.answers[place].noise_standard_deviation

    def wait_for_all(self, place: int) -> None:
        """Lets every later question wait for an answer: where nothing in the graph shows what is made of it."""
        assert self._drafting is not None
        self._drafting.hidden.add(place)

    def wait_for_next(self, place: int) -> None:
        """Lets the next question wait for an answer, from which its bounds follow."""
        self._awaited = place

    def columns(self, x: Any, split: Callable[[Any], list[Any]]) -> list[Any]:
        """The columns of a tensor, the same ones each time: so the same question of one is asked once."""
        self._begin_if_new()
        for known, parts in self._columns:
            if known is x:
                return parts
        self._columns.append((x, split(x)))
        return self._columns[-1][1]

    def vocabulary_file(
        self,
        place: int,
        name: str | None,
        options: tuple[int | None, int | None],
        values: Values | None,
        *,
        numbers: bool,
    ) -> str:
        """Writes a vocabulary's file.

        Args:
          place: Of its question.
          name: Of the file; made of the place where it is None.
          options: How many values are kept, and from which count on: different ones of one question are different files.
          values: What is written; None before its release, for a file without values.
          numbers: Whether the values are whole numbers.

        Returns:
          Its path.

        Raises:
          ParameterError: If another vocabulary has the name.
        """
        wanted = _File(place, options)
        if name is None:
            own = f"vocab_compute_and_apply_vocabulary_{place}"
            numbered = (own if number == 1 else f"{own}_{number}" for number in itertools.count(1))
            name = (
                next(each for each in numbered if self._files.get(f"{each}_vocabulary", wanted) == wanted)
                + "_vocabulary"
            )
        if self._files.setdefault(name, wanted) != wanted:
            raise ParameterError(f"Two vocabularies are called {name!r}. Give each its own vocab_filename.")
        folder = os.path.join(self._folder, f"{'draft' if values is None else 'released'}_{place}")
        path = os.path.join(folder, name)
        if not tf.io.gfile.exists(path):
            tf.io.gfile.makedirs(folder)
            with tf.io.gfile.GFile(path, "wb") as file:
                file.write(_text(values, numbers=numbers))
        return path

    def vocabulary_files(self) -> list[str]:
        """Paths of the files of vocabularies that were released."""
        paths = [os.path.join(self._folder, f"released_{file.place}", name) for name, file in self._files.items()]
        return [path for path in paths if tf.io.gfile.exists(path)]


@dataclasses.dataclass(frozen=True)
class _File:
    """What a vocabulary's file holds."""

    place: int
    options: tuple[int | None, int | None]


def _text(values: Values | None, *, numbers: bool) -> bytes:
    empty = (_NO_NUMBER if numbers else _NO_VALUE).encode()
    return b"\n".join(values.keys if values is not None and values.keys else [empty]) + b"\n"


@dataclasses.dataclass(frozen=True)
class LastTracing:
    """A `preprocessing_fn` whose analyzers give what was released; plain values, because TFX traces it in a worker of Beam's."""

    function: Callable[..., Any]
    queries: list[Query]
    answers: list[Answer]
    released: dict[int, Any]
    files: dict[str, _File]
    folder: str
    num_uncovered: int

    def __call__(self, inputs: Any) -> Any:
        """Traces the function, held to what it did in its drafts.

        Raises:
          ParameterError: If it asks something else, or calls more of tft's own analyzers.
        """
        session = Session(self.folder)
        session.queries, session.answers, session.released = list(self.queries), self.answers, self.released
        session._files = dict(self.files)
        with session._active(None), reads.watched(session.files):
            made = self.function(inputs)
        graph = tf.compat.v1.get_default_graph()
        session._note_graph(graph)
        uncovered = compat.transform_analyzers(graph)
        if len(uncovered) > self.num_uncovered:
            raise _changed(f"tft's own {', '.join(uncovered)}")
        if session.files.found:
            tf.io.gfile.makedirs(self.folder)
            with tf.io.gfile.GFile(os.path.join(self.folder, f"{_READ}{uuid.uuid4().hex}"), "w") as file:
                file.write(json.dumps(session.files.found))
        return made


def _traceable(function: Callable[[Any], Any]) -> Any:
    return tf.function(function, input_signature=[_SIGNATURE], autograph=False)


def _users(feature_spec: Mapping[str, Any], user_id_key: str) -> Callable[[Any], tuple[Any, Any]]:
    """Gives of serialized records their users, and which record each is of."""
    if user_id_key not in feature_spec:
        raise ParameterError(
            f"Unknown user_id_key={user_id_key!r}. The examples have: {', '.join(sorted(feature_spec))}."
        )
    spec = {user_id_key: feature_spec[user_id_key]}
    return lambda serialized: values_and_rows(tf.io.parse_example(serialized, spec)[user_id_key])


def current(analyzer: str) -> Session:
    """The session that an analyzer belongs to.

    Raises:
      ParameterError: If the function is run by something that adds no noise.
    """
    if _current is None:
        raise ParameterError(
            f"tfx_privacy.transform.{analyzer} was called outside of DPTransform, which alone adds its noise. Put "
            "DPTransform in the place of Transform."
        )
    return _current


_current: Session | None = None


def _same(query: Query, other: Query, *, but_for_bounds: bool = False) -> bool:
    """Whether they ask the same, whatever they are called; those of a search's bounds differ until it has ended."""
    if type(query) is not type(other):
        return False
    ours, theirs = (dataclasses.asdict(each) | {"name": ""} for each in (query, other))
    if but_for_bounds:
        for facts in (ours, theirs):
            facts["bounds"] = None
            # Of a histogram between them there are as many, wherever they lie.
            facts["boundaries"] = len(facts.get("boundaries", ()))
    return ours == theirs


def _changed(found: str) -> ParameterError:
    return ParameterError(
        f"preprocessing_fn asks something else each time it is traced: now {found}. Let it call the same analyzers in the "
        "same order, whatever they give."
    )
