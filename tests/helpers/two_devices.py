"""Trains on two virtual devices, in a separate process: devices are made before TensorFlow runs anything.

`python two_devices.py`, with TF_USE_LEGACY_KERAS set or not, prints what it measured as JSON. See test_distribution.py.
"""

import json
import os
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

(CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from small_models import BODIES, make_data, make_model, resolved, weights

from tfx_privacy import training

GENERATION = "tf_keras" if os.environ.get("TF_USE_LEGACY_KERAS") == "1" else "keras"
assert tf.keras.Model.__module__.startswith(GENERATION + "."), tf.keras.Model.__module__


def train(strategy: Any, run: Any, body: str = "dense", seed: int | None = None, optimizer: Any = None) -> Any:
    with strategy.scope():
        model = make_model(BODIES[body], optimizer=optimizer and optimizer(0.05), generation=GENERATION)
    before = weights(model)
    outcome = training.train(
        model,
        make_data(run.population),
        run,
        noise_multiplier=run.parameters.noise_multiplier,
        strategy=strategy if strategy.num_replicas_in_sync > 1 else None,
        deterministic_noise_for_tests=seed,
    )
    return weights(model) - before, outcome, model


def noise(strategy: Any) -> Any:
    """The update of a model without gradient, in units of the noise that should be there."""
    with strategy.scope():
        model = make_model(lambda layers, f: layers.Dense(3000)(f) * 0.0, "mse", generation=GENERATION)
    before = weights(model)
    run = resolved(40, steps=1, noise_multiplier=2.0, l2_norm_clip=0.5)
    training.train(model, make_data(), run, noise_multiplier=2.0, strategy=strategy)
    return (weights(model) - before) * 10 / (0.5 * 2.0)


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
single = tf.distribute.get_strategy()
everyone = resolved(40, expected_batch_size=40, steps=3, l2_norm_clip=0.1)
found: dict[str, Any] = {"replicas": mirrored.num_replicas_in_sync}
for body in ("dense", "embedding", "conv2d"):
    one, other = (train(each, everyone, body, seed=5)[0] for each in (single, mirrored))
    found[f"difference {body}"] = float(np.abs(one - other).max() / np.abs(one).max())
sample = noise(mirrored).astype(np.float64)
found["noise size"], found["noise sum of squares"] = len(sample), float((sample**2).sum())
run = resolved(2000, expected_batch_size=200, steps=40, audit_canaries=200)
_, outcome, model = train(mirrored, run, optimizer=tf.keras.optimizers.Adam)
data = make_data(2000)
found["accuracy"] = float(((np.array(model(data.features))[:, 0] > 0.5) == data.labels[:, 0]).mean())
found["mechanism"] = json.loads(outcome.mechanism.to_json())
found["audit"] = outcome.audit.epsilon_lower_bound
first = model.trainable_variables[0]
copies = [np.array(copy) for copy in (first if isinstance(first, tf.Variable) else first._value).values]
found["copies agree"] = bool(np.array_equal(copies[0], copies[1]))
print(json.dumps(found))
