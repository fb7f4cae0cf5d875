"""Runs a `preprocessing_fn` with private analyzers on records in memory, without TFX and Beam, and with exact answers."""

from __future__ import annotations

import dataclasses
import pathlib
import pickle
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import artifacts_on_disk as disk
import cloudpickle  # type: ignore[import-untyped] # Beam pickles by it
import numpy as np
import tensorflow as tf

from tfx_privacy import compat
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.noisy import Values
from tfx_privacy.releases.parameters import DPPreprocessing
from tfx_privacy.releases.plan import ReleasePlan, plan
from tfx_privacy.releases.queries import Query, VectorQuery, Vocabulary
from tfx_privacy.transform.session import Draft, Session

PRIVACY = DPPreprocessing(noise_multiplier=1.0, target_delta=1e-6)
SPEC: dict[str, Any] = {
    "x": tf.io.FixedLenFeature([], tf.float32),
    "pair": tf.io.FixedLenFeature([2], tf.float32),
    "n": tf.io.FixedLenFeature([], tf.int64),
    "word": tf.io.FixedLenFeature([], tf.string),
    "words": tf.io.VarLenFeature(tf.string),
    "numbers": tf.io.VarLenFeature(tf.float32),
    "ragged": tf.io.RaggedFeature(tf.float32),
    "user": tf.io.FixedLenFeature([], tf.string),
}


def make_records(size: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    words = [b"a", b"b", b"c", b"dd", b"e f"]
    return [
        {
            "x": [float(random.gamma(2.0, 10.0))],
            "pair": random.normal(size=2).tolist(),
            "n": [int(random.integers(0, 6))],
            "word": [words[min(4, int(random.geometric(0.4)) - 1)]],
            "words": [words[place] for place in random.integers(0, 5, random.integers(0, 4))],
            "numbers": random.normal(5.0, 2.0, random.integers(0, 4)).tolist(),
            "ragged": random.normal(-5.0, 2.0, random.integers(0, 4)).tolist(),
            "user": [b"user %d" % (index % 7)],
        }
        for index in range(size)
    ]


def serialized(records: Sequence[Mapping[str, Any]]) -> Any:
    """String tensor of shape (num_records,); features without values are left out."""
    made = [disk.serialize({name: values for name, values in record.items() if values}) for record in records]
    return tf.constant(made, tf.string)


def values_of(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([value for record in records for value in record[name]])


@dataclasses.dataclass
class Run:
    """What came of it."""

    outputs: dict[str, Any]
    session: Session
    plan: ReleasePlan
    rounds: list[list[str]]
    """Names of the questions, by the draft in which they were answered."""


def exact_answer(query: Query, column: Column) -> Any:
    """What would be released without noise: of a vocabulary, all values."""
    if isinstance(query, Vocabulary):
        counts: Counter[bytes] = query.counts(column)
        found = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return Values([key for key, _ in found], [count for _, count in found])
    assert isinstance(query, VectorQuery)
    return query.released(query.sums(column))


def columns_of(draft: Draft, records: Any) -> list[Column]:
    return [Column(values.numpy(), rows.numpy()) for values, rows in draft.module.columns.one_by_one(records)]


def run(
    preprocessing_fn: Callable[[dict[str, Any]], dict[str, Any]],
    folder: pathlib.Path,
    records: Sequence[Mapping[str, Any]] = (),
    *,
    spec: Mapping[str, Any] | None = None,
    privacy: DPPreprocessing = PRIVACY,
    answer: Callable[[Query, Column], Any] = exact_answer,
) -> Run:
    """Drafts, answers, and the last tracing, as DPTransform's executor does it."""
    spec = SPEC if spec is None else spec
    records = list(records) or make_records(500)
    session, batch = Session(str(folder / "vocabularies")), serialized(records)
    draft = session.draft(preprocessing_fn, spec)
    made = plan(session.queries, privacy)
    session.answers = made.answers
    if answer is exact_answer:
        session.answers = [one.model_copy(update={"noise_standard_deviation": 1e-9}) for one in made.answers]
    rounds = []
    while draft.asked:
        rounds.append([asked.query.name for asked in draft.asked])
        found = zip(draft.asked, columns_of(draft, batch), strict=True)
        session.released.update({asked.place: answer(session.queries[asked.place], column) for asked, column in found})
        draft = session.draft(preprocessing_fn, spec)
    return Run(last(session, preprocessing_fn, spec, batch), session, made, rounds)


def last(session: Session, preprocessing_fn: Callable[..., Any], spec: Mapping[str, Any], batch: Any) -> dict[str, Any]:
    """The outputs of the graph that leaves, of the function as it travels to a worker."""
    module, held = tf.Module(), pickle.loads(cloudpickle.dumps(session.last_traced(preprocessing_fn)))

    def outputs(examples: Any) -> Any:
        return held(tf.io.parse_example(examples, dict(spec)))

    signature = [tf.TensorSpec([None], tf.string)]
    compat.trace_transform(module, outputs=tf.function(outputs, input_signature=signature, autograph=False))
    session.note_last_tracing()
    return dict(module.outputs.traced(batch))
