"""A whole training run against Keras' own `fit`: sampling, noise, input and progress included.

`python -m benchmarks.fit`, from the root of the repository. The model has the shape of the taxi example's. Each way is
run for few and for many epochs, in turn (A B B A ...): the difference is what an epoch costs, the rest is start-up
(tracing, checks, compilation).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.variants.keras_case import use_one_thread
from tfx_privacy import DPParameters, training

_WIDTH, _RECORDS, _BATCH = 240, 10_000, 256
_FEW, _MANY = 2, 22


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    use_one_thread()
    ways: dict[str, Callable[[int], None]] = {"model.fit": _fit, "training.train": _train}
    seconds: dict[tuple[str, int], list[float]] = {(name, epochs): [] for name in ways for epochs in (_FEW, _MANY)}
    for way in ways.values():
        way(1)  # what a process pays once, whichever way comes first
    for number in range(options.rounds):
        for name in list(ways) if number % 2 else list(ways)[::-1]:
            for epochs in (_FEW, _MANY):
                started = time.process_time()
                ways[name](epochs)
                seconds[name, epochs].append(time.process_time() - started)
    print(
        f"{_RECORDS} records of {_WIDTH} numbers, batch {_BATCH}, Dense 64, Dense 32, Dense 1, Adam; {options.rounds} "
        "rounds"
    )
    print(f"TensorFlow {tf.__version__}, {type(_model()).__module__.split('.')[0]}, one thread, CPU seconds (median)\n")
    print("| way | an epoch | start-up | 22 epochs |\n| --- | --- | --- | --- |")
    epoch: dict[str, float] = {}
    for name in ways:
        few, many = (statistics.median(seconds[name, epochs]) for epochs in (_FEW, _MANY))
        epoch[name] = (many - few) / (_MANY - _FEW)
        print(f"| {name} | {epoch[name]:.4f} | {few - _FEW * epoch[name]:.2f} | {many:.2f} |")
    print(
        f"\nAn epoch of training.train costs {epoch['training.train'] / epoch['model.fit']:.2f} times one of model.fit."
    )


def _data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    features = random.standard_normal((_RECORDS, _WIDTH), dtype=np.float32)
    return features, (features[:, :1] > 0).astype(np.int64)


def _model() -> Any:
    layers = tf.keras.layers
    features = tf.keras.Input((_WIDTH,), name="features")
    hidden = layers.Dense(32, "relu")(layers.Dense(64, "relu")(features))
    model = tf.keras.Model({"features": features}, layers.Dense(1, "sigmoid")(hidden))
    model.compile(tf.keras.optimizers.Adam(0.01), tf.keras.losses.BinaryCrossentropy(), jit_compile=False)
    return model


def _fit(epochs: int) -> None:
    features, labels = _data()
    _model().fit({"features": features}, labels, batch_size=_BATCH, epochs=epochs, verbose=0)


def _train(epochs: int) -> None:
    features, labels = _data()
    data = training.ColumnarDataset({"features": features}, labels)
    parameters = DPParameters(noise_multiplier=1.0, target_delta=1e-6, expected_batch_size=_BATCH, epochs=epochs)
    run = parameters.resolve(population=_RECORDS)
    every = max(1, run.steps // 20)
    training.train(_model(), data, run, noise_multiplier=1.0, on_progress=lambda progress: None, progress_every=every)


if __name__ == "__main__":
    main()
