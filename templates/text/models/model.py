"""The user's module: how texts become numbers, and the model. Example: is this sentence about numerical computing?

Words are hashed into a public number of buckets, because a vocabulary of the records' words would be a function of the
records: what `tft.compute_and_apply_vocabulary` and other analyzers compute ends up inside the model, outside of the
guarantee, and the gate refuses it. A list of words that was published by somebody else is as good as hashing.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

LABEL_KEY = "is_scientific"
TOKENS_KEY = "tokens"

# TODO: your raw features.
TEXT_FEATURE = "text"
LABEL_FEATURE = "scientific"
# Words beyond these are cut off; shorter texts are filled up with token 0.
NUM_TOKENS = 32
NUM_BUCKETS = 1000

EMBEDDING_SIZE = 16
HIDDEN_UNITS = 16
LEARNING_RATE = 0.01


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes tokens of each text; called by Transform.

    Args:
      inputs: Raw features by name: a text, and its class, 0 or 1.

    Returns:
      `tokens`, int64 of shape (batch_size, NUM_TOKENS), from 1 to NUM_BUCKETS, or 0 where the text has ended; and the
      label, int64 of shape (batch_size,).
    """
    texts = tf.strings.lower(_column(inputs[TEXT_FEATURE], ""))
    words = tf.strings.split(tf.strings.regex_replace(texts, r"[^\pL\pN]+", " "))
    words = words.to_tensor(default_value="", shape=(None, NUM_TOKENS))
    tokens = tf.where(words == "", tf.constant(0, tf.int64), 1 + tft.hash_strings(words, NUM_BUCKETS))
    return {TOKENS_KEY: tokens, LABEL_KEY: _column(inputs[LABEL_FEATURE], tf.constant(0, tf.int64))}


def model_fn(fn_args: Any) -> Any:
    """Builds and compiles the model; called by DPTrainer.

    Args:
      fn_args: TFX's FnArgs.

    Returns:
      A compiled `tf.keras.Model` from `tokens` to a probability, shape (batch_size, 1). Layers that mix records, such
      as BatchNormalization, are refused; LayerNormalization is fine.
    """
    tokens = tf.keras.Input(shape=(NUM_TOKENS,), dtype=tf.int64, name=TOKENS_KEY)
    # Starts wide: with clipped gradients and noise small vectors take long to grow.
    wide = tf.keras.initializers.RandomUniform(-0.5, 0.5)
    vectors = tf.keras.layers.Embedding(1 + NUM_BUCKETS, EMBEDDING_SIZE, embeddings_initializer=wide)(tokens)
    hidden = tf.keras.layers.GlobalMaxPooling1D()(vectors)
    hidden = tf.keras.layers.Dense(HIDDEN_UNITS, activation="relu")(hidden)
    output = tf.keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = tf.keras.Model(inputs={TOKENS_KEY: tokens}, outputs=output)
    model.compile(optimizer=tf.keras.optimizers.Adam(LEARNING_RATE), loss=tf.keras.losses.BinaryCrossentropy())
    return model


def _column(feature: Any, default: Any) -> Any:
    """A feature of one value per record as a vector; missing values become `default`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default_value=default)
    return tf.squeeze(feature, axis=1)
