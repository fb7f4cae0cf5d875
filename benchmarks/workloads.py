"""The five models, as Keras layers, and the synthetic batches they are timed on.

* W1 tabular: 100 numbers, Dense 256, Dense 128, one logit.
* W2 images: the CNN of the TensorFlow Privacy tutorial on 28x28x1, ten classes.
* W3 text: Embedding 10000x64 over 64 tokens, average, Dense 64, two classes.
* W4 wide tabular: 20 categories of 1000 values (Embedding 16 each) and 20 numbers, Dense 128, Dense 64, one logit.
* W5 text: one transformer encoder block (64 wide, two heads, 64 tokens), average, two classes.

Only NumPy is imported here; Keras arrives as a module's name, so interpreters without
TensorFlow read the data too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

NUM_NUMBERS = 100
VOCABULARY = 10_000
NUM_TOKENS = 64
EMBEDDING_WIDTH = 64
NUM_CATEGORIES = 20
CATEGORY_VOCABULARY = 1000
CATEGORY_WIDTH = 16
NUM_CATEGORY_NUMBERS = 20
NUM_HEADS = 2
HEAD_WIDTH = EMBEDDING_WIDTH // NUM_HEADS
FEED_FORWARD_WIDTH = 128

Batch = tuple[Any, np.ndarray]
Graph = tuple[list[Any], Any]


@dataclass(frozen=True)
class Workload:
    """A model and its data.

    Attributes:
      name: W1 to W5.
      title: For the table.
      graph: From a Keras `layers` module to the model's inputs and its logits.
      features: From a generator and a batch size to one array, or a tuple of arrays for a model of several inputs.
      num_classes: 1 stands for a single logit with float labels of shape (batch, 1).
    """

    name: str
    title: str
    graph: Callable[[Any], Graph]
    features: Callable[[np.random.Generator, int], Any]
    num_classes: int

    @property
    def is_binary(self) -> bool:
        """Whether the loss is the sigmoid cross entropy of a single logit."""
        return self.num_classes == 1


def _tabular(layers: Any) -> Graph:
    numbers = layers.Input((NUM_NUMBERS,))
    hidden = layers.Dense(256, activation="relu")(numbers)
    hidden = layers.Dense(128, activation="relu")(hidden)
    return [numbers], layers.Dense(1)(hidden)


def _images(layers: Any) -> Graph:
    image = layers.Input((28, 28, 1))
    hidden = layers.Conv2D(16, 8, strides=2, padding="same", activation="relu")(image)
    hidden = layers.MaxPooling2D(2, 1)(hidden)
    hidden = layers.Conv2D(32, 4, strides=2, padding="valid", activation="relu")(hidden)
    hidden = layers.MaxPooling2D(2, 1)(hidden)
    hidden = layers.Dense(32, activation="relu")(layers.Flatten()(hidden))
    return [image], layers.Dense(10)(hidden)


def _text(layers: Any) -> Graph:
    tokens = layers.Input((NUM_TOKENS,), dtype="int32")
    hidden = layers.Embedding(VOCABULARY, EMBEDDING_WIDTH)(tokens)
    hidden = layers.GlobalAveragePooling1D()(hidden)
    hidden = layers.Dense(64, activation="relu")(hidden)
    return [tokens], layers.Dense(2)(hidden)


def _wide_tabular(layers: Any) -> Graph:
    categories = layers.Input((NUM_CATEGORIES,), dtype="int32", name="categories")
    numbers = layers.Input((NUM_CATEGORY_NUMBERS,), name="numbers")
    embedded = [
        layers.Flatten()(layers.Embedding(CATEGORY_VOCABULARY, CATEGORY_WIDTH)(categories[:, column : column + 1]))
        for column in range(NUM_CATEGORIES)
    ]
    hidden = layers.Concatenate()([*embedded, numbers])
    hidden = layers.Dense(128, activation="relu")(hidden)
    hidden = layers.Dense(64, activation="relu")(hidden)
    return [categories, numbers], layers.Dense(1)(hidden)


def _transformer(layers: Any) -> Graph:
    tokens = layers.Input((NUM_TOKENS,), dtype="int32")
    hidden = layers.Embedding(VOCABULARY, EMBEDDING_WIDTH)(tokens)
    attended = layers.MultiHeadAttention(num_heads=NUM_HEADS, key_dim=HEAD_WIDTH)(hidden, hidden)
    hidden = layers.LayerNormalization()(layers.Add()([hidden, attended]))
    fed = layers.Dense(FEED_FORWARD_WIDTH, activation="relu")(hidden)
    fed = layers.Dense(EMBEDDING_WIDTH)(fed)
    hidden = layers.LayerNormalization()(layers.Add()([hidden, fed]))
    return [tokens], layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden))


def _normal(*shape: int) -> Callable[[np.random.Generator, int], Any]:
    return lambda random, batch_size: random.standard_normal((batch_size, *shape), dtype=np.float32)


def _tokens(random: np.random.Generator, batch_size: int) -> Any:
    return random.integers(0, VOCABULARY, (batch_size, NUM_TOKENS), dtype=np.int32)


def _categories_and_numbers(random: np.random.Generator, batch_size: int) -> Any:
    categories = random.integers(0, CATEGORY_VOCABULARY, (batch_size, NUM_CATEGORIES), dtype=np.int32)
    return categories, random.standard_normal((batch_size, NUM_CATEGORY_NUMBERS), dtype=np.float32)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", "tabular MLP", _tabular, _normal(NUM_NUMBERS), num_classes=1),
        Workload("W2", "image CNN", _images, _normal(28, 28, 1), num_classes=10),
        Workload("W3", "text, embedding", _text, _tokens, num_classes=2),
        Workload("W4", "20 categories and 20 numbers", _wide_tabular, _categories_and_numbers, num_classes=1),
        Workload("W5", "transformer block", _transformer, _tokens, num_classes=2),
    )
}


def make_batch(name: str, batch_size: int, *, seed: int = 0) -> Batch:
    """A batch of random examples; never zeros, whose products some kernels skip.

    Args:
      name: A key of `WORKLOADS`.
      batch_size: Leading dimension of every array.
      seed: Of the data.

    Returns:
      Features (an array, or a tuple of arrays) and labels: int32 of shape (batch_size,), or for a single logit float32
      of shape (batch_size, 1).
    """
    workload = WORKLOADS[name]
    random = np.random.default_rng(seed)
    features = workload.features(random, batch_size)
    if workload.is_binary:
        return features, random.integers(0, 2, (batch_size, 1)).astype(np.float32)
    return features, random.integers(0, workload.num_classes, batch_size, dtype=np.int32)


def build_model(
    name: str,
    *,
    keras: str = "tf_keras",
    optimizer: Any = None,
    learning_rate: float = 0.05,
    reduction: str = "sum_over_batch_size",
    make_model: Callable[..., Any] | None = None,
    seed: int = 1,
) -> Any:
    """Builds and compiles a workload's model.

    Args:
      name: A key of `WORKLOADS`.
      keras: Module to build it with: "tf_keras" is Keras 2, "keras" is Keras 3.
      optimizer: Plain SGD unless given.
      learning_rate: Of the plain SGD.
      reduction: Of the loss; "none" leaves one loss per example, which some private optimizers ask for.
      make_model: Called with `inputs` and `outputs` in place of `Model`.
      seed: Of the initial weights.

    Returns:
      The model, compiled without XLA, which on a CPU is slower for convolutions and no faster elsewhere.
    """
    module = importlib.import_module(keras)
    module.utils.set_random_seed(seed)
    inputs, outputs = WORKLOADS[name].graph(module.layers)
    model = (make_model or module.Model)(inputs=inputs if len(inputs) > 1 else inputs[0], outputs=outputs)
    optimizer = optimizer or module.optimizers.SGD(learning_rate)
    model.compile(optimizer, loss=_loss(module, WORKLOADS[name], reduction), jit_compile=False)
    return model


def _loss(keras: Any, workload: Workload, reduction: str) -> Any:
    losses = keras.losses
    loss = losses.BinaryCrossentropy if workload.is_binary else losses.SparseCategoricalCrossentropy
    return loss(from_logits=True, reduction=reduction)
