"""The user's module: how records become numbers, and the model. Example: will this passenger tip more than 20 %?

Vocabularies, scales and quantiles are computed privately by `tfx_privacy.transform`, whose functions have tft's names: what
they release is part of the epsilon that covers the model. Their bounds are public, known without looking at the records.
tft's own analyzers would compute from the records without noise, and DPTransform refuses them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

import tfx_privacy.transform as dpt

LABEL_KEY = "big_tipper"
FEATURES_KEY = "features"

# TODO: your features.
# Text of which every value is known: one-hot; what is not listed becomes zeros.
CATEGORIES = {
    "payment_type": ("Cash", "Credit Card", "Dispute", "No Charge", "Pcard", "Prcard", "Unknown"),
}
# Other text: so many of the most common values, one-hot, and one column for all others.
WORDS = {"company": 20}
# Whole numbers from 0 to below the given one: one-hot; 0 stands for missing.
INTEGERS = {"trip_start_hour": 24, "trip_start_day": 8, "pickup_community_area": 78, "dropoff_community_area": 78}
# Amounts, with the least and the largest that is plausible: the logarithm, scaled to mean 0 and variance 1.
AMOUNTS = {"fare": (0.0, 500.0), "trip_miles": (0.0, 100.0), "trip_seconds": (0.0, 20_000.0)}
# Numbers, with the range that they lie in: one-hot by which tenth of the records they are in.
PLACES = {"pickup_latitude": (41.64, 42.03), "pickup_longitude": (-87.95, -87.52)}
NUM_BUCKETS = 10
NUM_FEATURES = (
    sum(len(values) for values in CATEGORIES.values())
    + sum(size + 1 for size in WORDS.values())
    + sum(INTEGERS.values())
    + len(AMOUNTS)
    + NUM_BUCKETS * len(PLACES)
)

HIDDEN_UNITS = (64, 32)
LEARNING_RATE = 0.01


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes one vector of each record, and the label; called by DPTransform.

    Args:
      inputs: Raw features by name.

    Returns:
      `features`, float32 of shape (batch_size, NUM_FEATURES), and the label, int64 of shape (batch_size,).
    """
    columns = [_category(_text(inputs[name]), values) for name, values in CATEGORIES.items()]
    columns += [_word(_text(inputs[name]), name, size) for name, size in WORDS.items()]
    columns += [tf.one_hot(tf.cast(_number(inputs[name]), tf.int64), size) for name, size in INTEGERS.items()]
    columns += [_amount(_number(inputs[name]), *bounds)[:, tf.newaxis] for name, bounds in AMOUNTS.items()]
    columns += [_place(_number(inputs[name]), bounds) for name, bounds in PLACES.items()]
    return {FEATURES_KEY: tf.concat(columns, axis=1), LABEL_KEY: _label(inputs)}


def model_fn(fn_args: Any) -> Any:
    """Builds and compiles the model; called by DPTrainer.

    Args:
      fn_args: TFX's FnArgs.

    Returns:
      A compiled `tf.keras.Model` from `features` to a probability, shape (batch_size, 1). Layers that mix records, such
      as BatchNormalization, are refused; LayerNormalization and GroupNormalization are fine.
    """
    features = tf.keras.Input(shape=(NUM_FEATURES,), name=FEATURES_KEY)
    hidden = features
    for units in HIDDEN_UNITS:
        hidden = tf.keras.layers.Dense(units, activation="relu")(hidden)
    output = tf.keras.layers.Dense(1, activation="sigmoid", name="probability")(hidden)
    model = tf.keras.Model(inputs={FEATURES_KEY: features}, outputs=output)
    model.compile(optimizer=tf.keras.optimizers.Adam(LEARNING_RATE), loss=tf.keras.losses.BinaryCrossentropy())
    return model


def _label(inputs: dict[str, Any]) -> Any:
    """TODO: your label, as 0 or 1."""
    return tf.cast(_number(inputs["tips"]) > 0.2 * _number(inputs["fare"]), tf.int64)


def _column(feature: Any, default: Any) -> Any:
    """A feature of one value per record as a vector; missing values become `default`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(tf.SparseTensor(feature.indices, feature.values, shape), default_value=default)
    return tf.squeeze(feature, axis=1)


def _text(feature: Any) -> Any:
    return _column(feature, "")


def _number(feature: Any) -> Any:
    value = tf.cast(_column(feature, tf.constant(0, feature.dtype)), tf.float32)
    return tf.where(tf.math.is_finite(value), value, 0.0)


def _category(values: Any, known: tuple[str, ...]) -> Any:
    return tf.cast(tf.equal(values[:, tf.newaxis], tf.constant(known)), tf.float32)


def _word(values: Any, name: str, size: int) -> Any:
    places = dpt.compute_and_apply_vocabulary(values, top_k=size, num_oov_buckets=1, vocab_filename=name)
    return tf.one_hot(places, size + 1)


def _amount(values: Any, low: float, high: float) -> Any:
    bounds = (float(np.log1p(low)), float(np.log1p(high)))
    return dpt.scale_to_z_score(tf.math.log1p(tf.maximum(values, 0.0)), bounds=bounds)


def _place(values: Any, bounds: tuple[float, float]) -> Any:
    return tf.one_hot(dpt.bucketize(values, NUM_BUCKETS, bounds=bounds), NUM_BUCKETS)
