"""What private preprocessing costs in accuracy, at one epsilon for the whole of it and the training.

`python -m benchmarks.whole_pipeline [--adult adult.data]`, from the root of the repository: trains a small network on the
Chicago taxi trips that ship with tfx and, with the file of the UCI Machine Learning Repository, on Adult. At each epsilon
it does so with preprocessing that takes from the records without noise, as tft's analyzers do, and with DPTransform's
analyzers, for a tenth of that epsilon. In the first case epsilon is not true of what leaves the pipeline. One record in three is
held out. Five seeds take about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
import statistics
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
from sklearn import metrics

import tfx_privacy.transform as dpt
from tfx_privacy import DPParameters, DPPreprocessing, calibrate_noise_multiplier, training
from tfx_privacy.random_bits import RandomBits
from tfx_privacy.releases import noisy, plan
from tfx_privacy.releases.columns import Column
from tfx_privacy.releases.queries import Vocabulary
from tfx_privacy.transform.session import Session

EPSILONS, DELTA, SHARE = (1.0, 3.0), 1e-6, 0.1
BATCH, EPOCHS, BATCH_OF_RECORDS = 512, 20, 4096
_ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex",
    "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Data:
    """Records and how they become numbers."""

    name: str
    rows: Sequence[Mapping[str, str]]
    numbers: Mapping[str, tuple[float, float]]
    """Scaled to mean 0 and variance 1; their bounds."""
    buckets: Mapping[str, tuple[float, float]]
    """In tenths; their bounds."""
    words: Mapping[str, int]
    """One column for each of so many common values."""
    label: Callable[[Mapping[str, str]], bool]

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """One vector of each record."""
        columns = [
            dpt.scale_to_z_score(inputs[name], bounds=bounds)[:, tf.newaxis] for name, bounds in self.numbers.items()
        ]
        columns += [
            tf.one_hot(dpt.bucketize(inputs[name], 10, bounds=bounds), 10) for name, bounds in self.buckets.items()
        ]
        columns += [
            tf.one_hot(dpt.compute_and_apply_vocabulary(inputs[name], top_k=size, num_oov_buckets=1), size + 1)
            for name, size in self.words.items()
        ]
        return {"features": tf.concat(columns, axis=1)}

    @property
    def spec(self) -> dict[str, Any]:
        """How the records are parsed."""
        numbers = {name: tf.io.FixedLenFeature([], tf.float32) for name in (*self.numbers, *self.buckets)}
        return numbers | {name: tf.io.FixedLenFeature([], tf.string) for name in self.words}

    def split(self) -> tuple[list[Mapping[str, str]], list[Mapping[str, str]]]:
        """Two records in three, and the third."""
        held_out = [zlib.crc32(str(number).encode()) % 3 == 0 for number in range(len(self.rows))]
        pairs = list(zip(self.rows, held_out, strict=True))
        return [row for row, out in pairs if not out], [row for row, out in pairs if out]

    def serialized(self, rows: Sequence[Mapping[str, str]]) -> list[bytes]:
        """As tf.Examples."""
        made = []
        for row in rows:
            feature = {
                name: tf.train.Feature(float_list=tf.train.FloatList(value=[float(row[name] or 0.0)]))
                for name in (*self.numbers, *self.buckets)
            } | {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[row[name].encode()])) for name in self.words
            }
            made.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
        return made


def taxi() -> Data:
    """The trips inside the installed tfx package: will the passenger tip more than 20 %?"""
    from tfx_privacy.pipelines.taxi import pipeline

    rows = list(csv.DictReader((pathlib.Path(pipeline.data_root()) / "data.csv").open(encoding="utf-8")))
    city = {"latitude": (41.64, 42.03), "longitude": (-87.95, -87.52)}
    return Data(
        "Chicago taxi",
        rows,
        {"fare": (0.0, 100.0), "trip_miles": (0.0, 50.0), "trip_seconds": (0.0, 6000.0)},
        {f"{end}_{name}": bounds for end in ("pickup", "dropoff") for name, bounds in city.items()},
        {"payment_type": 6, "company": 30},
        lambda row: float(row["tips"] or 0) > 0.2 * float(row["fare"] or 0),
    )


def adult(path: pathlib.Path) -> Data:
    """UCI's `adult.data`: does somebody earn more than 50,000 dollars?"""
    lines = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    rows = [dict(zip(_ADULT, (value.strip() for value in line), strict=True)) for line in lines]
    return Data(
        "Adult",
        rows,
        {"age": (17.0, 90.0), "education_num": (1.0, 16.0), "hours_per_week": (1.0, 99.0)},
        {"capital_gain": (0.0, 20_000.0), "capital_loss": (0.0, 4000.0)},
        {
            "workclass": 8,
            "marital_status": 7,
            "occupation": 14,
            "relationship": 6,
            "race": 5,
            "sex": 2,
            "native_country": 20,
        },
        lambda row: row["income"].startswith(">50K"),
    )


def features(data: Data, privacy: DPPreprocessing, *, noise: bool) -> tuple[np.ndarray, np.ndarray, plan.ReleasePlan]:
    """Training and held-out vectors, and what was released for them; without noise as tft's analyzers give them."""
    members, others = (data.serialized(rows) for rows in data.split())
    bits = RandomBits.of_system()
    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)
        draft = session.draft(data.preprocessing_fn, data.spec)
        planned = plan.plan(session.queries, privacy)
        session.answers = planned.answers if noise else [_exact(answer) for answer in planned.answers]
        while draft.asked:
            for asked, sums in zip(draft.asked, _sums(draft, members), strict=True):
                session.released[asked.place] = _released(asked.query, session.answers[asked.place], sums, bits)
            draft = session.draft(data.preprocessing_fn, data.spec)
        last = session.last_traced(data.preprocessing_fn)

        @tf.function(autograph=False)
        def transformed(serialized: Any) -> Any:
            return last(tf.io.parse_example(serialized, data.spec))["features"]

        return *(transformed(tf.constant(part)).numpy() for part in (members, others)), planned


def _exact(answer: Any) -> Any:
    selection = answer.selection and answer.selection.model_copy(update={"threshold": 1})
    return answer.model_copy(update={"noise_standard_deviation": 1e-9, "selection": selection})


def _sums(draft: Any, serialized: Sequence[bytes]) -> list[Any]:
    totals: list[Any] = [None] * len(draft.asked)
    for start in range(0, len(serialized), BATCH_OF_RECORDS):
        columns = draft.module.columns.traced(tf.constant(serialized[start : start + BATCH_OF_RECORDS]))
        for place, (asked, (values, rows)) in enumerate(zip(draft.asked, columns, strict=True)):
            column = Column(values.numpy(), rows.numpy())
            part = asked.query.counts(column) if isinstance(asked.query, Vocabulary) else asked.query.sums(column)
            totals[place] = part if totals[place] is None else totals[place] + part
    return totals


def _released(query: Any, answer: Any, sums: Any, bits: RandomBits) -> Any:
    if isinstance(query, Vocabulary):
        return noisy.noisy_values(query, answer, list(sums), np.fromiter(sums.values(), np.int64), bits)
    return noisy.noisy_vector(query, answer, sums, bits)


def trained(data: Data, epsilon: float, seed: int, *, private: bool) -> tuple[float, float]:
    """Accuracy and AUC on held-out records, of one training at one epsilon."""
    privacy = DPPreprocessing(target_epsilon=SHARE * epsilon, target_delta=DELTA)
    members, others, released = features(data, privacy, noise=private)
    labels = [np.array([data.label(row) for row in rows], np.float32) for rows in data.split()]
    run = DPParameters(
        target_epsilon=epsilon, target_delta=DELTA, expected_batch_size=BATCH, epochs=EPOCHS, population=len(members)
    )
    beside, delta = ([released.run.event], released.delta_spent) if private else ([], 0.0)
    noise = calibrate_noise_multiplier(run, target_epsilon=epsilon, target_delta=DELTA - delta, beside=beside)
    tf.keras.utils.set_random_seed(seed)
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Dense(64, activation="relu", input_shape=(members.shape[1],), name="hidden"),
            tf.keras.layers.Dense(32, activation="relu"),
            tf.keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss=tf.keras.losses.BinaryCrossentropy())
    dataset = training.ColumnarDataset({model.input_names[0]: members.astype(np.float32)}, labels[0])
    training.train(model, dataset, run.resolve(), noise_multiplier=noise)
    scores = model.predict(others, verbose=0)[:, 0]
    return float(((scores > 0.5) == labels[1]).mean()), float(metrics.roc_auc_score(labels[1], scores))


def table(data: Data, seeds: int) -> Iterator[str]:
    """Lines of a Markdown table: mean and standard deviation over the seeds."""
    for epsilon in EPSILONS:
        for private in (False, True):
            found = [trained(data, epsilon, seed, private=private) for seed in range(seeds)]
            shown = [
                f"{statistics.mean(values):.4f} +- {statistics.stdev(values) if seeds > 1 else 0.0:.4f}"
                for values in zip(*found, strict=True)
            ]
            covered = f"private, {SHARE:.0%} of epsilon" if private else "without noise, not covered"
            yield f"| {data.name} | {epsilon:g} | {covered} | {shown[0]} | {shown[1]} |"


def main() -> None:
    """Prints the table as it comes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole_pipeline", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--adult", type=pathlib.Path, help="adult.data of the UCI Machine Learning Repository")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| data | epsilon of the pipeline | preprocessing | accuracy | AUC |\n|---|---|---|---|---|")
    for data in (taxi(), *([adult(options.adult)] if options.adult else [])):
        for line in table(data, options.seeds):
            print(line, flush=True)
    print(f"delta {DELTA:g}; {options.seeds} seeds", file=sys.stderr)


if __name__ == "__main__":
    main()
