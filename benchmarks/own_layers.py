"""What layers, losses and models of one's own cost in a step: processor time, one record at a time or all at once.

`python -m benchmarks.own_layers --against OTHER/src`, from the root of the repository, compares with another checkout.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

_RECORDS, _BATCH, _STEPS, _STEPS_PER_SAMPLE = 2000, 64, 40, 8


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_layers", description=__doc__.split("\n")[0])
    parser.add_argument("--against", type=pathlib.Path, metavar="SRC", help="the src of another checkout")
    parser.add_argument("--keras", choices=("tf_keras", "keras"), default="tf_keras", help="Keras 2 or Keras 3")
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3, help="processes per model and checkout")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(_milliseconds(options.child, options.keras))
        return
    here = pathlib.Path(__file__).resolve().parent.parent / "src"
    sources = [here, *([options.against.resolve()] if options.against else [])]
    print(f"| model, {options.keras} | CPU ms a step |" + (" other | ratio |" if options.against else ""))
    for name in options.models.split(","):
        found: dict[pathlib.Path, list[float]] = {source: [] for source in sources}
        for _ in range(options.rounds):
            for source in sources:
                found[source].append(_in_a_process(name, options.keras, source))
        medians = [statistics.median(each) for each in found.values()]
        ratio = [f"{medians[0] / medians[1]:.2f}"] if options.against else []
        print(f"| {' | '.join([name, *(f'{each:.2f}' for each in medians), *ratio])} |", flush=True)


def _in_a_process(name: str, keras: str, source: pathlib.Path) -> float:
    command = [sys.executable, "-m", "benchmarks.own_layers", "--child", name, "--keras", keras]
    environment = {**os.environ, "PYTHONPATH": str(source), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return float(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def _milliseconds(name: str, keras: str) -> float:
    """Processor time of a step, in the cheapest of some stretches of training."""
    from tfx_privacy import DPParameters, training

    random = np.random.default_rng(0)
    model, features = _model(name, importlib.import_module(keras), random)
    data = training.ColumnarDataset({"x": features}, random.integers(0, 2, (_RECORDS, 1)).astype(np.float32))
    run = DPParameters(noise_multiplier=1.0, target_delta=1e-6, expected_batch_size=_BATCH, steps=_STEPS)
    marks: list[float] = []
    training.train(
        model,
        data,
        run.resolve(population=_RECORDS),
        noise_multiplier=1.0,
        on_progress=lambda progress: marks.append(time.process_time()),
        progress_every=_STEPS_PER_SAMPLE,
    )
    stretches = [after - before for before, after in itertools.pairwise(marks[1:])]
    return 1000 * min(stretches) / _STEPS_PER_SAMPLE


def _model(name: str, keras: Any, random: np.random.Generator) -> tuple[Any, np.ndarray]:
    layers, tokens = keras.layers, name == "transformer block"
    features = random.integers(1, 500, (_RECORDS, 24)) if tokens else random.normal(size=(_RECORDS, 20))
    inputs = keras.Input(features.shape[1:], name="x", dtype="int64" if tokens else "float32")
    features = features.astype(np.int64 if tokens else np.float32)
    outputs = MODELS[name](keras, inputs)
    if outputs is None:
        model = _subclassed(keras)
        model({"x": features[:2]})
    else:
        model = keras.Model({"x": inputs}, layers.Dense(1)(outputs))
    model.compile(keras.optimizers.SGD(0.01), _squares if name == "loss" else "mse")
    return model, features


def _squares(labels: Any, outputs: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tf.square(labels - outputs), axis=-1)


def _lambda(keras: Any, inputs: Any) -> Any:
    import tensorflow as tf

    gate = keras.layers.Lambda(lambda x: x * tf.sigmoid(x), output_shape=(64,))
    return gate(keras.layers.Dense(64)(inputs))


def _elementwise(keras: Any, inputs: Any) -> Any:
    import tensorflow as tf

    class Gate(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs * tf.sigmoid(inputs)

    return Gate()(keras.layers.Dense(64)(inputs))


def _dense(keras: Any, inputs: Any) -> Any:
    import tensorflow as tf

    class Mine(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(int(shape[-1]), 32))

        def call(self, inputs: Any) -> Any:
            return tf.nn.relu(tf.matmul(inputs, self.kernel))

    return Mine()(keras.layers.Dense(32)(inputs))


def _block(keras: Any, inputs: Any) -> Any:
    layers = keras.layers

    class Block(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.first = layers.MultiHeadAttention(2, 8), layers.LayerNormalization()
            self.hidden, self.dense = layers.Dense(32, "relu"), layers.Dense(16)
            self.second = layers.LayerNormalization()

        def call(self, inputs: Any) -> Any:
            attended = self.first(inputs + self.attention(inputs, inputs))
            return self.second(attended + self.dense(self.hidden(attended)))

    return layers.GlobalAveragePooling1D()(Block()(layers.Embedding(500, 16)(inputs)))


def _subclassed(keras: Any) -> Any:
    layers = keras.layers

    class Mine(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(1)]

        def call(self, inputs: Any, training: Any = None) -> Any:
            hidden = inputs["x"]
            for part in self.parts:
                hidden = part(hidden)
            return hidden

    return Mine()


MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "none of one's own": lambda keras, inputs: keras.layers.Dense(64, "relu")(inputs),
    "Lambda": _lambda,
    "layer without weights": _elementwise,
    "layer with a matrix": _dense,
    "transformer block": _block,
    "loss": lambda keras, inputs: keras.layers.Dense(64, "relu")(inputs),
    "model": lambda keras, inputs: None,
}

if __name__ == "__main__":
    main()
